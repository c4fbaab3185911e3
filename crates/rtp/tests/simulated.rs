//! A video stream over a lossy link: what the receiver's and the sender's pieces reach together.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::time::{Duration, Instant};

use peerloom_rtp::payload::{PayloadParts, Vp8Depacketizer, Vp8FrameInfo, Vp8Packetizer};
use peerloom_rtp::receive::{
    Buffered, FeedbackConfig, JitterBuffer, JitterConfig, NackConfig, NackGenerator, NtpClock,
    PacketOrigin, Reception, Released, RoundTrip, TransportFeedbackBuilder,
};
use peerloom_rtp::rtcp::{Compound, RtcpPacket, RtcpWriter};
use peerloom_rtp::rtx::{self, RtxPacket};
use peerloom_rtp::send::{
    HistoryConfig, Pacer, PacerConfig, Priority, RetransmissionHistory, SenderReports,
    StreamConfig, StreamPacketizer, TransportHistory,
};
use peerloom_rtp::{
    AssembledFrame, FrameAssembler, FrameStatus, Inserted, Limits, MediaPacket, RtpHeader,
    RtpPacket, RtpWriter, SequenceNumber, Ssrc, Timestamp, is_rtcp,
};
use peerloom_sctp::sim::{Duplex, LinkConfig, Loss, Reorder, Side};

/// One sender at A, one receiver at B, on virtual time in steps of a millisecond.
struct Call {
    start: Instant,
    now: Instant,
    link: Duplex,
    sender: Sender,
    receiver: Receiver,
    /// Asks for everything of the last second, every millisecond.
    storm: bool,
}

struct Sender {
    stream: StreamPacketizer<Vp8Packetizer>,
    pacer: Pacer<(SequenceNumber, Vec<u8>)>,
    history: RetransmissionHistory<Vec<u8>>,
    transport: TransportHistory,
    reports: SenderReports,
    clock: NtpClock,
    round_trip: RoundTrip,
    rtx_sequence: SequenceNumber,
    frames: u32,
    media_bytes: u64,
}

struct Receiver {
    jitter: JitterBuffer<Vec<u8>>,
    nack: NackGenerator,
    reception: Reception,
    feedback: TransportFeedbackBuilder,
    assembler: FrameAssembler<Vp8Depacketizer, Vec<u8>>,
    lost: Vec<SequenceNumber>,
    complete: u32,
    broken: u32,
    /// How often each packet was asked for.
    requests: Vec<u8>,
}

#[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
fn base() -> Instant {
    Instant::now()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Call {
    fn new(config: &LinkConfig, seed: u64) -> Self {
        let start = base();
        let limits = Limits::default();
        Self {
            start,
            now: start,
            link: Duplex::new(config, seed),
            sender: Sender {
                stream: StreamPacketizer::new(
                    Vp8Packetizer::new(Some(0)),
                    StreamConfig {
                        ssrc: MEDIA,
                        payload_type: 96,
                        clock_rate: 90_000,
                        first_sequence: SequenceNumber(65_000),
                        first_timestamp: Timestamp(u32::MAX - 90_000),
                        max_payload: 1100,
                    },
                ),
                pacer: Pacer::new(PacerConfig::default(), 5_000_000),
                history: RetransmissionHistory::new(HistoryConfig::default()),
                transport: TransportHistory::new(4096, SequenceNumber(65_535)),
                reports: SenderReports::new(90_000),
                clock: NtpClock::new(start, 1 << 60),
                round_trip: RoundTrip::default(),
                rtx_sequence: SequenceNumber(1),
                frames: 0,
                media_bytes: 0,
            },
            receiver: Receiver {
                jitter: JitterBuffer::new(JitterConfig::VIDEO, &limits),
                nack: NackGenerator::new(NackConfig::default()),
                reception: Reception::new(MEDIA, 90_000),
                feedback: TransportFeedbackBuilder::new(FeedbackConfig::default()),
                assembler: FrameAssembler::new(Vp8Depacketizer, &limits),
                lost: Vec::with_capacity(512),
                complete: 0,
                broken: 0,
                requests: vec![0; 1 << 16],
            },
            storm: false,
        }
    }

    /// 30 frames a second, 2 Mbit/s, for so many frames, and two seconds more.
    fn run(&mut self, frames: u64) {
        for at in 0..frames * 100 / 3 + 2000 {
            self.now = self.start + ms(at);
            if at * 3 % 100 < 3 && at < frames * 100 / 3 {
                self.capture(ms(at));
            }
            if at % 500 == 250 {
                self.report();
            }
            self.send();
            while let Some(datagram) = self.link.receive(self.now, Side::B) {
                self.receive(&datagram);
            }
            self.respond();
            while let Some(datagram) = self.link.receive(self.now, Side::A) {
                self.react(&datagram);
            }
        }
    }

    fn capture(&mut self, media_time: Duration) {
        let sender = &mut self.sender;
        let content = vec![sender.frames as u8 | 1; 8_333];
        sender.frames += 1;
        let (now, pacer) = (self.now, &mut sender.pacer);
        let sink = |header: &RtpHeader<'_>, payload: PayloadParts<'_>| {
            let packet = write(header, |out| payload.append_to(out));
            let len = packet.len();
            let item = (header.sequence, packet);
            pacer.push(now, Priority::Video, len, item).unwrap();
        };
        let info = Vp8FrameInfo::default();
        sender
            .stream
            .packetize(media_time, &content, &info, sink)
            .unwrap();
    }

    fn send(&mut self) {
        let (now, sender) = (self.now, &mut self.sender);
        while let Some(paced) = sender.pacer.poll(now) {
            let (sequence, packet) = paced.item;
            let number = sender.transport.on_sent(now, packet.len());
            if paced.priority == Priority::Video {
                sender.media_bytes += packet.len() as u64;
                let view = RtpPacket::parse(&packet).unwrap();
                sender.reports.on_packet(now, &view, paced.waited);
            }
            // The transport-wide number travels beside the packet here.
            let mut datagram = packet.clone();
            datagram.extend(number.0.to_be_bytes());
            self.link.send(now, Side::A, &datagram);
            if paced.priority == Priority::Video {
                sender.history.insert(now, sequence, packet);
            }
        }
    }

    fn report(&mut self) {
        let mut buffer = [0; 200];
        let mut writer = RtcpWriter::new(&mut buffer);
        if let Some(info) = self.sender.reports.info(self.now, &self.sender.clock) {
            writer.sender_report(MEDIA, &info, []).unwrap();
            let len = writer.finish();
            self.link.send(self.now, Side::A, &buffer[..len]);
        }
        let mut writer = RtcpWriter::new(&mut buffer);
        let block = self.receiver.reception.report(self.now);
        writer.receiver_report(Ssrc(9), [block]).unwrap();
        let len = writer.finish();
        self.link.send(self.now, Side::B, &buffer[..len]);
        // What the receiver would learn from the answer to its own reference time.
        if let Some(rtt) = self.sender.round_trip.smoothed {
            self.receiver.nack.set_rtt(rtt);
        }
    }

    fn receive(&mut self, datagram: &[u8]) {
        let (now, receiver) = (self.now, &mut self.receiver);
        if is_rtcp(datagram) {
            for packet in Compound::new(datagram, &Limits::default()) {
                if let Ok(RtcpPacket::SenderReport(report)) = packet {
                    receiver.reception.on_sender_report(now, &report.info);
                }
            }
            return;
        }
        let (bytes, number) = datagram.split_last_chunk::<2>().unwrap();
        let number = SequenceNumber(u16::from_be_bytes(*number));
        receiver.feedback.on_packet(now, number);
        let packet = RtpPacket::parse(bytes).unwrap();
        let mut restored = [0; 1500];
        let (packet, origin) = if packet.ssrc() == MEDIA {
            receiver.reception.on_packet(now, &packet);
            (packet, PacketOrigin::Direct)
        } else {
            let rtx = RtxPacket::parse(packet).unwrap().unwrap();
            let len = rtx.restore(MEDIA, 96, &mut restored).unwrap();
            let packet = RtpPacket::parse(&restored[..len]).unwrap();
            (packet, PacketOrigin::Repaired)
        };
        receiver.nack.on_packet(now, packet.sequence());
        let recovery = receiver.nack.recovery_time();
        receiver.jitter.set_recovery(recovery);
        let media = MediaPacket {
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            payload: packet.payload().to_vec(),
        };
        let buffered = receiver.jitter.insert(now, media, origin);
        assert!(!matches!(buffered, Buffered::Full(_)));
    }

    fn respond(&mut self) {
        let (now, receiver) = (self.now, &mut self.receiver);
        receiver.release(now);
        let mut buffer = [0; 1500];
        let mut writer = RtcpWriter::new(&mut buffer);
        while receiver
            .feedback
            .build(now, Ssrc(9), MEDIA, &mut writer)
            .unwrap()
        {}
        receiver.nack.poll(now, &mut receiver.lost);
        for lost in &receiver.lost {
            receiver.requests[usize::from(lost.0)] += 1;
        }
        if self.storm {
            let next = self.sender.stream.next_sequence();
            let all = (1..=240).rev().map(|back| next.minus(back));
            writer.nack(Ssrc(9), MEDIA, all).unwrap();
        } else if !receiver.lost.is_empty() {
            let lost = receiver.lost.iter().copied();
            writer.nack(Ssrc(9), MEDIA, lost).unwrap();
        }
        let len = writer.finish();
        if len > 0 {
            self.link.send(now, Side::B, &buffer[..len]);
        }
    }

    fn react(&mut self, datagram: &[u8]) {
        let (now, sender) = (self.now, &mut self.sender);
        for packet in Compound::new(datagram, &Limits::default()) {
            let packet = packet.unwrap();
            if let RtcpPacket::ReceiverReport(report) = packet {
                for block in report.blocks() {
                    sender.reports.on_report_block(&block);
                    let ntp = sender.clock.ntp(now);
                    if sender.round_trip.on_report_block(ntp, &block).is_some() {
                        sender.history.set_rtt(sender.round_trip.smoothed.unwrap());
                    }
                }
            } else if let RtcpPacket::Nack(nack) = packet {
                nack.lost().for_each(|lost| sender.retransmit(now, lost));
            } else if let RtcpPacket::TransportFeedback(feedback) = packet {
                sender.transport.on_feedback(&feedback, |fate| {
                    let is_plausible = fate.arrival.is_none_or(|at| at >= ms(3_599_000));
                    assert!(is_plausible && fate.sent <= now);
                });
            } else {
                panic!("nothing else is sent: {packet:?}");
            }
        }
    }

    fn complete_share(&self) -> f64 {
        assert!(self.sender.frames > 0);
        f64::from(self.receiver.complete) / f64::from(self.sender.frames)
    }

    /// Retransmitted bytes, in shares of the bytes of media.
    fn extra(&self) -> f64 {
        self.sender.history.stats().bytes as f64 / self.sender.media_bytes as f64
    }
}

impl Sender {
    fn retransmit(&mut self, now: Instant, lost: SequenceNumber) {
        let Ok(original) = self.history.retransmit(now, lost) else {
            return;
        };
        let original = RtpPacket::parse(original).unwrap();
        let mut buffer = [0; 1500];
        let sequence = self.rtx_sequence;
        self.rtx_sequence = sequence.next();
        let len = rtx::retransmit(&original, RTX, 97, sequence, &mut buffer).unwrap();
        let item = (sequence, buffer[..len].to_vec());
        let priority = Priority::Retransmission;
        self.pacer.push(now, priority, len, item).unwrap();
    }
}

impl Receiver {
    fn release(&mut self, now: Instant) {
        while let Some(released) = self.jitter.poll(now) {
            // What was lost shows in the next packet's number.
            let Released::Packet(packet) = released else {
                continue;
            };
            let sequence = packet.sequence;
            let inserted = self.assembler.insert(packet);
            assert!(matches!(inserted, Inserted::Stored));
            self.assembler.give_up_before(sequence);
            let mut frame = Vec::new();
            while let Some(report) = self.assembler.poll(&mut frame) {
                self.on_frame(&report, &frame);
            }
        }
    }

    fn on_frame(&mut self, report: &AssembledFrame, frame: &[u8]) {
        match report.status {
            FrameStatus::Complete | FrameStatus::Undecodable => {
                assert_eq!(frame.len(), 8_333);
                self.complete += 1;
            }
            FrameStatus::Incomplete | FrameStatus::Malformed => self.broken += 1,
        }
    }
}

fn write(header: &RtpHeader<'_>, payload: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut content = Vec::new();
    payload(&mut content);
    let mut buffer = vec![0; content.len() + 12];
    let len = RtpWriter::new(&mut buffer, header)
        .unwrap()
        .payload(&content)
        .unwrap();
    assert_eq!(len, buffer.len());
    buffer
}

fn lossy(rtt: u64, loss: f64) -> LinkConfig {
    LinkConfig {
        loss: Loss::Random(loss),
        ..LinkConfig::with_rtt(ms(rtt))
    }
}

/// Issue goal: 5 % random loss both ways at an RTT of 20 ms leaves at least 99.9 % of frames.
#[test]
fn five_percent_at_20_ms() {
    let (mut complete, mut frames) = (0, 0);
    for seed in 0..3 {
        let mut call = Call::new(&lossy(20, 0.05), seed);
        call.run(2_000);
        complete += call.receiver.complete;
        frames += call.sender.frames;
        check_requests(&call);
    }
    let share = f64::from(complete) / f64::from(frames);
    assert!(share >= 0.999, "{share}");
}

/// Issue goal: 10 % at 100 ms leaves at least 99 %.
#[test]
fn ten_percent_at_100_ms() {
    for seed in 0..3 {
        let mut call = Call::new(&lossy(100, 0.10), seed);
        call.run(2_000);
        let share = call.complete_share();
        assert!(share >= 0.99, "seed {seed}: {share}");
        check_requests(&call);
    }
}

/// Issue goal: at most 5 NACKs per lost packet; and what is reported is what happened.
fn check_requests(call: &Call) {
    let most = call.receiver.requests.iter().max().copied();
    assert!(most <= Some(5), "{most:?}");
    let stats = call.receiver.nack.stats();
    let lost = call.link.from(Side::A).stats().lost;
    assert!(stats.requested <= stats.missing * 5);
    // Media lost, less what was lost of retransmissions and reports.
    assert!(stats.missing <= lost && stats.missing * 2 > lost);
    assert!(call.extra() <= 0.2, "{}", call.extra());
    let rtt = call.sender.round_trip.smoothed.unwrap();
    let delay = call.link.from(Side::A).config().delay;
    // Reports have it to 15 µs.
    assert!(
        rtt + ms(1) >= delay * 2 && rtt <= delay * 2 + ms(5),
        "{rtt:?}"
    );
    let transport = call.sender.transport.stats();
    assert_eq!(call.sender.pacer.bytes(), 0);
    // The feedback packets lost take their reports with them.
    let reported = transport.packets - transport.forgotten - transport.unknown;
    assert!(reported > 0 && transport.acknowledged_bytes * 100 > call.sender.media_bytes * 70);
}

/// Issue goal: requests for everything, all the time, make at most 20 % more traffic, and every
/// frame still arrives.
#[test]
fn nack_storm() {
    let mut call = Call::new(&LinkConfig::with_rtt(ms(20)), 1);
    call.storm = true;
    call.run(1_000);
    let sent = call.link.from(Side::A).stats().sent_bytes as f64;
    assert!(call.extra() <= 0.2, "{}", call.extra());
    assert!(sent <= call.sender.media_bytes as f64 * 1.21, "{sent}");
    assert!(call.extra() > 0.15, "the storm does reach the sender");
    assert_eq!(call.receiver.complete, call.sender.frames);
}

/// Reordering and duplication lose nothing, whatever else they cost.
#[test]
fn reordering() {
    let config = LinkConfig {
        duplicate: 0.05,
        jitter: ms(5),
        reorder: Some(Reorder {
            probability: 0.1,
            depth: 10,
            ..Reorder::default()
        }),
        ..LinkConfig::with_rtt(ms(40))
    };
    let mut call = Call::new(&config, 7);
    call.run(500);
    assert_eq!(call.receiver.complete, call.sender.frames);
    assert_eq!(call.receiver.broken, 0);
}

const MEDIA: Ssrc = Ssrc(0x1111);
const RTX: Ssrc = Ssrc(0x2222);
