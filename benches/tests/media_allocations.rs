//! Nothing is allocated for a packet between the encoder's frame and the socket, nor between the
//! socket and the decoder's frame: `alloc` and `realloc` calls of the whole process, every thread.
#![cfg(not(feature = "dhat"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use peerloom_rtp::extension::{ExtensionKind, ExtensionMap};
use peerloom_rtp::payload::{PayloadParts, Vp8Depacketizer, Vp8FrameInfo, Vp8Packetizer};
use peerloom_rtp::receive::{
    FeedbackConfig, JitterBuffer, JitterConfig, NackConfig, NackGenerator, PacketOrigin, Reception,
    TransportFeedbackBuilder,
};
use peerloom_rtp::rtcp::{Compound, RtcpPacket, RtcpWriter};
use peerloom_rtp::send::{
    BandwidthEstimator, EstimatorConfig, HistoryConfig, Pacer, PacerConfig, Priority,
    RetransmissionHistory, StreamConfig, StreamPacketizer, TransportHistory,
};
use peerloom_rtp::stage::{
    BufferStage, Chain, End, FeedbackStage, Frame, FrameStage, HistoryStage, NumberStage, Outgoing,
    PacerStage, Received, RtxStage, Sink, Stamped,
};
use peerloom_rtp::{
    FrameAssembler, FrameStatus, Limits, RtpHeader, RtpPacket, RtpWriter, SequenceNumber, Ssrc,
    Timestamp, rtx,
};
use peerloom_srtp::{MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig, TAILROOM};

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// A packet's bytes, shared between the pacer and the history.
#[derive(Clone, Debug)]
struct Pooled {
    bytes: Rc<[u8; ROOM]>,
    len: usize,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// An application's pool: buffers that nobody holds any more are used again.
struct Pool {
    buffers: Vec<Pooled>,
    next: usize,
}

impl Pool {
    fn new() -> Self {
        let buffer = || Pooled {
            bytes: Rc::new([0; ROOM]),
            len: 0,
        };
        Self {
            buffers: std::iter::repeat_with(buffer).take(8_192).collect(),
            next: 0,
        }
    }

    fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> Pooled {
        self.next = (self.next + 1) % self.buffers.len();
        let buffer = &mut self.buffers[self.next];
        let bytes = Rc::get_mut(&mut buffer.bytes).expect("the pool is large enough");
        buffer.len = write(bytes);
        buffer.clone()
    }
}

/// 10,000 packets of video at 2 Mbit/s, every fiftieth lost, all stages of both ends: packetizer,
/// pacer, history, transport-wide numbers, SRTP; SRTP, feedback, RTX, reports, NACKs, jitter buffer,
/// frames; and the feedback's way back into the bandwidth estimation.
#[test]
fn none_for_a_packet() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
        transfer(profile);
    }
}

fn transfer(profile: Profile) {
    let master = MasterKey::new(
        profile,
        &[7; 16][..profile.key_len()],
        &[9; 14][..profile.salt_len()],
    );
    let master = master.unwrap();
    let mut sealer = Sender::new(&master, SenderConfig::default());
    let mut opener = Receiver::new(&master, ReceiverConfig::default());
    let wire = RefCell::new(VecDeque::with_capacity(1_024));
    let limits = Limits::default();
    let mut map = ExtensionMap::default();
    map.insert(5, ExtensionKind::TransportSequence).unwrap();

    let mut stream = StreamPacketizer::new(
        Vp8Packetizer::new(Some(0)),
        StreamConfig {
            ssrc: MEDIA,
            payload_type: 96,
            clock_rate: 90_000,
            first_sequence: SequenceNumber(65_000),
            first_timestamp: Timestamp(1),
            max_payload: 1_100,
        },
    );
    let pacer = PacerStage::new(Pacer::new(PacerConfig::default(), 5_000_000));
    let history = RetransmissionHistory::new(HistoryConfig::default());
    let transport = TransportHistory::new(4_096, SequenceNumber(0));
    let number = NumberStage::new(transport, &map, ROOM, TAILROOM);
    let seal = End(|_now: Instant, stamped: Stamped<'_>| {
        let sealed = sealer.seal_rtp(stamped.buffer).unwrap();
        let mut datagram = [0; ROOM];
        datagram[..sealed.len()].copy_from_slice(sealed);
        wire.borrow_mut().push_back((datagram, sealed.len()));
    });
    let mut outgoing = Chain::new(
        pacer,
        Chain::new(HistoryStage { history }, Chain::new(number, seal)),
    );
    let mut estimator = BandwidthEstimator::new(EstimatorConfig::default());

    let mut pool = Pool::new();
    let mut received_pool = Pool::new();
    let copy = |payload: &[u8]| {
        received_pool.fill(|bytes| {
            bytes[..payload.len()].copy_from_slice(payload);
            payload.len()
        })
    };
    let mut complete = 0_u64;
    let count = End(|_now: Instant, frame: Frame<'_>| {
        complete += u64::from(frame.report.status == FrameStatus::Complete);
    });
    let builder = TransportFeedbackBuilder::new(FeedbackConfig::default());
    let buffer = JitterBuffer::new(JitterConfig::VIDEO, &limits);
    let frames = FrameStage::new(FrameAssembler::new(Vp8Depacketizer, &limits));
    let mut incoming = Chain::new(
        FeedbackStage::new(builder, &map),
        Chain::new(
            RtxStage::new(RTX, MEDIA, 96, ROOM),
            Chain::new(
                Reception::new(MEDIA, 90_000),
                Chain::new(
                    NackGenerator::new(NackConfig::default()),
                    Chain::new(BufferStage::new(buffer, copy), Chain::new(frames, count)),
                ),
            ),
        ),
    );

    let start = Instant::now();
    let content = [0; 8_333];
    let mut lost = Vec::with_capacity(512);
    let (mut rtx_sequence, mut carried, mut fed_back) = (SequenceNumber(1), 0_u64, 0_u64);
    let mut run = |from: u64, frames: u64| {
        for at in from * 33..(from + frames) * 33 {
            let now = start + Duration::from_millis(at);
            if at % 33 == 0 {
                let sink = |header: &RtpHeader<'_>, payload: PayloadParts<'_>| {
                    let packet = pool.fill(|bytes| {
                        let mut writer = RtpWriter::new(bytes, header).unwrap();
                        writer.element(5, &[0; 2]).unwrap();
                        let mut body = writer.body().unwrap();
                        payload.write(&mut body).unwrap();
                        body.finish()
                    });
                    let (priority, sequence) = (Priority::Video, header.sequence);
                    let item = Outgoing {
                        priority,
                        sequence,
                        packet,
                    };
                    outgoing.take(now, item);
                };
                let info = Vp8FrameInfo::default();
                let time = Duration::from_millis(at);
                stream.packetize(time, &content, &info, sink).unwrap();
            }
            outgoing.poll(now);
            while let Some((mut datagram, len)) = wire.borrow_mut().pop_front() {
                carried += 1;
                if carried % 50 == 0 {
                    continue;
                }
                let opened = opener.open_rtp(&mut datagram[..len]).unwrap();
                let packet = RtpPacket::parse(opened).unwrap();
                let origin = PacketOrigin::Direct;
                incoming.take(now, Received { packet, origin });
            }
            incoming.poll(now);
            let nack = &mut incoming.next.next.next.stage;
            nack.poll(now, &mut lost);
            for sequence in lost.drain(..) {
                let history = &mut outgoing.next.stage.history;
                let Ok(original) = history.retransmit(now, sequence) else {
                    continue;
                };
                let packet = pool.fill(|bytes| {
                    let original = RtpPacket::parse(original.as_ref()).unwrap();
                    rtx::retransmit(&original, RTX, 97, rtx_sequence, bytes).unwrap()
                });
                let (priority, sequence) = (Priority::Retransmission, rtx_sequence);
                rtx_sequence = rtx_sequence.next();
                let item = Outgoing {
                    priority,
                    sequence,
                    packet,
                };
                outgoing.take(now, item);
            }
            let mut report = [0; 1_200];
            let mut writer = RtcpWriter::new(&mut report);
            let builder = &mut incoming.stage.builder;
            if !builder.build(now, Ssrc(9), MEDIA, &mut writer).unwrap() {
                continue;
            }
            let len = writer.finish();
            let transport = &mut outgoing.next.next.stage.history;
            for packet in Compound::new(&report[..len], &limits).flatten() {
                if let RtcpPacket::TransportFeedback(feedback) = packet {
                    transport.on_feedback(&feedback, |fate| {
                        fed_back += 1;
                        estimator.on_packet(&fate);
                    });
                }
            }
            estimator.on_feedback(now);
        }
    };
    // Every queue has been as long as it gets, and the history has been full.
    run(0, 200);
    let region = stats_alloc::Region::new(ALLOCATOR);
    run(200, 1_250);
    let change = region.change();
    assert_eq!(
        change.allocations + change.reallocations,
        0,
        "{profile:?}: {change:?}"
    );
    assert!(
        carried > 11_600 && fed_back > 11_300,
        "{carried} {fed_back}"
    );
    // All but the last, whose retransmissions are on their way.
    assert!(complete >= 1_448, "{complete}");
}

const MEDIA: Ssrc = Ssrc(0x1111);
const RTX: Ssrc = Ssrc(0x2222);
const ROOM: usize = 1_400;
