//! Any packets at any time: what a receiver keeps stays bounded, packets come out in order and once,
//! every timer makes progress, and what is written can be read.
#![no_main]

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peerloom_rtp::receive::{
    Buffered, FeedbackConfig, JitterBuffer, JitterConfig, NackConfig, NackGenerator, PacketOrigin,
    Reception, Released, TransportFeedbackBuilder,
};
use peerloom_rtp::rtcp::{Compound, RtcpWriter};
use peerloom_rtp::{
    Limits, MediaPacket, RtpHeader, RtpPacket, RtpWriter, SequenceNumber, Ssrc, Timestamp,
};

#[derive(Arbitrary, Debug)]
enum Call {
    Packet {
        step: i16,
        timestamp: i32,
        size: u8,
        repaired: bool,
        after: u16,
    },
    Next {
        after: u8,
    },
    Wait(u16),
    Rtt(u16),
    GiveUpBefore(i16),
}

fuzz_target!(|input: (bool, u16, u32, Vec<Call>)| {
    let (is_paced, base, base_timestamp, calls) = input;
    let mut limits = Limits::default();
    limits.assembler_packets = 64;
    limits.assembler_bytes = 4096;
    let config = if is_paced {
        JitterConfig::OPUS
    } else {
        JitterConfig::VIDEO
    };
    let mut jitter: JitterBuffer<Vec<u8>> = JitterBuffer::new(config, &limits);
    let mut nack = NackGenerator::new(NackConfig {
        max_missing: 64,
        ..NackConfig::default()
    });
    let mut feedback = TransportFeedbackBuilder::new(FeedbackConfig {
        packets: 1024,
        ..FeedbackConfig::default()
    });
    let mut reception = Reception::new(Ssrc(1), config.clock_rate);
    let mut lost = Vec::with_capacity(64);
    let mut now = Instant::now();
    let (mut sequence, mut timestamp) = (SequenceNumber(base), Timestamp(base_timestamp));
    let mut last: Option<SequenceNumber> = None;
    let mut drain = |jitter: &mut JitterBuffer<Vec<u8>>, now: Instant| {
        while let Some(released) = jitter.poll(now) {
            let (first, count) = match released {
                Released::Packet(packet) => (packet.sequence, 1),
                Released::Lost { first, count } => (first, count),
            };
            assert!(count > 0 && last.is_none_or(|last| last.next() == first));
            last = Some(first.plus((count - 1) as u16));
        }
        assert!(jitter.poll_timeout().is_none_or(|due| due > now));
        assert!(
            jitter
                .poll_timeout()
                .is_none_or(|due| due <= now + Duration::from_secs(4))
        );
    };
    for call in calls {
        let (size, origin) = match call {
            Call::Packet {
                step,
                timestamp: step_timestamp,
                size,
                repaired,
                after,
            } => {
                now += Duration::from_micros(after.into());
                sequence = sequence.plus(step as u16);
                timestamp = timestamp.plus(step_timestamp as u32);
                let origin = if repaired {
                    PacketOrigin::Repaired
                } else {
                    PacketOrigin::Direct
                };
                (usize::from(size) * 20, origin)
            }
            Call::Next { after } => {
                now += Duration::from_millis(after.into());
                sequence = sequence.next();
                timestamp = timestamp.plus(960);
                (100, PacketOrigin::Direct)
            }
            Call::Wait(after) => {
                now += Duration::from_millis(after.into());
                drain(&mut jitter, now);
                continue;
            }
            Call::Rtt(rtt) => {
                nack.set_rtt(Duration::from_millis(rtt.into()));
                jitter.set_recovery(nack.recovery_time());
                continue;
            }
            Call::GiveUpBefore(step) => {
                nack.give_up_before(sequence.plus(step as u16));
                continue;
            }
        };
        let header = RtpHeader {
            sequence,
            timestamp,
            ..RtpHeader::default()
        };
        let mut buffer = [0; 20];
        let len = RtpWriter::new(&mut buffer, &header)
            .unwrap()
            .payload(&[])
            .unwrap();
        reception.on_packet(now, &RtpPacket::parse(&buffer[..len]).unwrap());
        nack.on_packet(now, sequence);
        feedback.on_packet(now, sequence);
        let packet = MediaPacket {
            sequence,
            timestamp,
            marker: false,
            payload: vec![0; size],
        };
        if let Buffered::Full(packet) = jitter.insert(now, packet, origin) {
            drain(&mut jitter, now);
            let again = jitter.insert(now, packet, origin);
            assert!(
                !matches!(again, Buffered::Full(_)),
                "there is room after polling"
            );
        }
        drain(&mut jitter, now);
        assert!(jitter.bytes() <= 4096 && jitter.span() <= 64);

        nack.poll(now, &mut lost);
        assert!(nack.missing() <= 64 && lost.len() <= 64);
        assert!(nack.poll_timeout().is_none_or(|due| due > now));
        let mut buffer = [0; 4096];
        let mut writer = RtcpWriter::new(&mut buffer);
        writer
            .receiver_report(Ssrc(2), [reception.report(now)])
            .unwrap();
        writer.nack(Ssrc(2), Ssrc(1), lost.iter().copied()).unwrap();
        while feedback
            .build(now, Ssrc(2), Ssrc(1), &mut writer)
            .is_ok_and(|wrote| wrote)
        {}
        let len = writer.finish();
        for packet in Compound::new(&buffer[..len], &Limits::default()) {
            packet.unwrap();
        }
    }
    let stats = nack.stats();
    assert!(stats.requested <= stats.missing * 5);
    assert!(stats.recovered + stats.given_up <= stats.missing);
});
