//! The receiver's pieces against plain models, over random streams.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use peerloom_rtp::receive::{
    Buffered, FeedbackConfig, JitterBuffer, JitterConfig, NackConfig, NackGenerator, PacketOrigin,
    Released, TransportFeedbackBuilder,
};
use peerloom_rtp::rtcp::{Compound, RtcpPacket, RtcpWriter};
use peerloom_rtp::send::TransportHistory;
use peerloom_rtp::{Limits, MediaPacket, SequenceNumber, Ssrc, Timestamp};
use proptest::prelude::*;

#[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
fn base() -> Instant {
    Instant::now()
}

/// Packets by index, with arrival times in µs, in the order of arrival; some are lost, some twice.
fn arrivals() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let packet = (
        prop::bool::weighted(0.85),
        0u64..60_000,
        prop::bool::weighted(0.05),
    );
    prop::collection::vec(packet, 1..300).prop_map(|packets| {
        let mut arrivals = Vec::new();
        for (index, (arrives, delay, twice)) in (0u64..).zip(packets) {
            if arrives {
                arrivals.push((index * 5_000 + delay, index));
                if twice {
                    arrivals.push((index * 5_000 + delay + 3_000, index));
                }
            }
        }
        arrivals.sort_unstable();
        arrivals
    })
}

proptest! {
    /// Every packet comes out once, in order and unharmed, or is reported lost; with time enough
    /// to wait exactly those are lost that never came.
    #[test]
    fn jitter_buffer(arrivals in arrivals(), first: u16, timestamp: u32, paced: bool) {
        let start = base();
        let config = if paced { JitterConfig::OPUS } else { JitterConfig::VIDEO };
        let mut buffer = JitterBuffer::new(config, &Limits::default());
        buffer.set_recovery(Duration::from_millis(200));
        let (mut came, mut lost) = (Vec::new(), 0);
        let mut poll = |buffer: &mut JitterBuffer<Vec<u8>>, now: Instant| {
            while let Some(released) = buffer.poll(now) {
                match released {
                    Released::Packet(packet) => {
                        let index = packet.sequence.distance_from(SequenceNumber(first));
                        assert_eq!(packet.payload, [index as u8]);
                        came.push(u64::from(index));
                    }
                    Released::Lost { count, .. } => lost += count,
                }
            }
        };
        for (at, index) in &arrivals {
            let now = start + Duration::from_micros(*at);
            poll(&mut buffer, now);
            let packet = MediaPacket {
                sequence: SequenceNumber(first.wrapping_add(*index as u16)),
                timestamp: Timestamp(timestamp.wrapping_add(*index as u32 * 240)),
                marker: false,
                payload: vec![*index as u8],
            };
            let result = buffer.insert(now, packet, PacketOrigin::Direct);
            prop_assert!(!matches!(result, Buffered::Full(_) | Buffered::TooLarge));
        }
        // Nothing is held for longer than two seconds.
        poll(&mut buffer, start + Duration::from_secs(60));
        prop_assert!(came.is_sorted_by(|a, b| a < b));
        let mut expected: BTreeSet<u64> = arrivals.iter().map(|(_, index)| *index).collect();
        // What came in front of the first packet when that was out already is late.
        if let Some(first) = came.first() {
            expected = expected.split_off(first);
        }
        let span = expected.last().map_or(0, |last| last + 1 - expected.first().unwrap());
        prop_assert_eq!(lost, span - expected.len() as u64);
        prop_assert_eq!(came, Vec::from_iter(expected));
    }

    /// Asked for is what is missing at that moment, ascending, and nothing else.
    #[test]
    fn nack_generator(arrivals in arrivals(), first: u16) {
        let start = base();
        let mut generator = NackGenerator::new(NackConfig::default());
        let mut lost = Vec::with_capacity(512);
        let (mut seen, mut requests) = (BTreeSet::new(), [0; 300]);
        for (at, index) in &arrivals {
            let now = start + Duration::from_micros(*at);
            generator.poll(now, &mut lost);
            let asked: Vec<u16> = lost
                .iter()
                .map(|sequence| sequence.distance_from(SequenceNumber(first)))
                .collect();
            prop_assert!(asked.is_sorted_by(|a, b| a < b));
            for index in asked {
                let index = u64::from(index);
                prop_assert!(!seen.contains(&index));
                prop_assert!(seen.last().is_some_and(|highest| index < *highest));
                requests[index as usize] += 1;
            }
            generator.on_packet(now, SequenceNumber(first.wrapping_add(*index as u16)));
            seen.insert(*index);
        }
        prop_assert!(requests.iter().all(|count| *count <= 5));
    }

    /// What the receiver noted the sender learns: every arrival, to 250 µs, and every loss.
    #[test]
    fn transport_feedback(arrivals in arrivals(), first: u16, interval in 1u64..200) {
        let start = base();
        let mut builder = TransportFeedbackBuilder::new(FeedbackConfig {
            interval: Duration::from_millis(interval),
            ..FeedbackConfig::default()
        });
        let mut history = TransportHistory::new(1024, SequenceNumber(first));
        for _ in 0..300 {
            history.on_sent(start, 100);
        }
        let mut learned = [None; 300];
        let mut exchange = |builder: &mut TransportFeedbackBuilder, now: Instant| {
            let mut buffer = [0; 1500];
            loop {
                let mut writer = RtcpWriter::new(&mut buffer);
                if !builder.build(now, Ssrc(1), Ssrc(2), &mut writer).unwrap() {
                    break;
                }
                let len = writer.finish();
                for packet in Compound::new(&buffer[..len], &Limits::default()) {
                    let Ok(RtcpPacket::TransportFeedback(feedback)) = packet else {
                        panic!("{packet:?}");
                    };
                    history.on_feedback(&feedback, |fate| {
                        let index = fate.sequence.distance_from(SequenceNumber(first));
                        if let Some(arrival) = fate.arrival {
                            learned[usize::from(index)] = Some(arrival);
                        }
                    });
                }
            }
        };
        let mut expected = [None; 300];
        for (at, index) in &arrivals {
            let now = start + Duration::from_micros(*at);
            exchange(&mut builder, now);
            builder.on_packet(now, SequenceNumber(first.wrapping_add(*index as u16)));
            expected[*index as usize].get_or_insert(*at);
        }
        exchange(&mut builder, start + Duration::from_secs(60));
        let mut offsets = expected.iter().zip(learned).filter_map(|(expected, learned)| {
            let learned: Duration = learned?;
            Some(learned.as_micros() as i64 - expected.unwrap() as i64)
        });
        let known: Vec<i64> = offsets.by_ref().collect();
        prop_assert_eq!(known.len(), expected.iter().flatten().count());
        let spread = known.iter().max().unwrap_or(&0) - known.iter().min().unwrap_or(&0);
        prop_assert!(spread <= 250, "{}", spread);
    }
}
