//! Any requests and feedback, forged ones included: what a sender keeps stays bounded, and
//! retransmissions never exceed their share.
#![no_main]

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peerloom_rtp::rtcp::{Compound, RtcpPacket};
use peerloom_rtp::send::{
    BandwidthEstimator, EstimatorConfig, HistoryConfig, Pacer, PacerConfig, Priority,
    RetransmissionHistory, TransportHistory,
};
use peerloom_rtp::{Limits, SequenceNumber};

#[derive(Arbitrary, Debug)]
enum Call {
    Send { len: u8, priority: u8, after: u16 },
    Skip(u8),
    Request(u16),
    Rtcp(Vec<u8>),
    Rate(u32),
    Wait(u16),
    Probe,
}

fuzz_target!(|input: (u16, Vec<Call>)| {
    let (base, calls) = input;
    let limits = Limits::default();
    let mut history = RetransmissionHistory::new(HistoryConfig {
        packets: 32,
        bytes: 2048,
        ..HistoryConfig::default()
    });
    let mut pacer = Pacer::new(
        PacerConfig {
            packets: 16,
            bytes: 2048,
            ..PacerConfig::default()
        },
        1_000_000,
    );
    let mut estimator = BandwidthEstimator::new(EstimatorConfig::default());
    let mut transport = TransportHistory::new(32, SequenceNumber(base));
    let mut sequence = SequenceNumber(base);
    let mut now = Instant::now();
    let (mut sent, mut pushed, mut paced) = (0u64, 0u64, 0u64);
    for call in calls {
        match call {
            Call::Send {
                len,
                priority,
                after,
            } => {
                now += Duration::from_micros(after.into());
                sequence = sequence.next();
                history.insert(now, sequence, vec![0; len.into()]);
                sent += u64::from(len);
                let priority = match priority % 5 {
                    0 => Priority::Audio,
                    1 => Priority::Retransmission,
                    2 => Priority::Video,
                    3 => Priority::Repair,
                    _ => Priority::Padding,
                };
                pushed += u64::from(pacer.push(now, priority, len.into(), ()).is_ok());
                transport.on_sent(now, len.into());
            }
            Call::Skip(step) => sequence = sequence.plus(step.into()),
            Call::Request(back) => {
                let _ = history.retransmit(now, sequence.minus(back));
            }
            Call::Rtcp(bytes) => {
                for packet in Compound::new(&bytes, &limits).flatten() {
                    match packet {
                        RtcpPacket::Nack(nack) => {
                            for lost in nack.lost() {
                                let _ = history.retransmit(now, lost);
                            }
                        }
                        RtcpPacket::TransportFeedback(feedback) => {
                            transport.on_feedback(&feedback, |fate| {
                                assert!(fate.sent <= now);
                                estimator.on_packet(&fate);
                            });
                            let estimate = estimator.on_feedback(now);
                            assert!((30_000..=50_000_000).contains(&estimate));
                        }
                        _ => {}
                    }
                }
            }
            Call::Rate(rate) => pacer.set_rate(rate.into()),
            Call::Probe => {
                if let Some(probe) = estimator.poll_probe(now) {
                    assert!(probe.rate <= 50_000_000 && probe.bytes >= 6_000);
                }
            }
            Call::Wait(after) => now += Duration::from_millis(after.into()),
        }
        while pacer.poll(now).is_some() {
            paced += 1;
        }
        let due = pacer.poll_timeout();
        assert!(due.is_none_or(|due| due > now && due <= now + Duration::from_secs(2)));
        assert!(history.bytes() <= 2048 && pacer.bytes() <= 2048);
        assert!(history.stats().bytes * 5 <= sent);
        assert!(transport.stats().in_flight <= 32 * 255);
    }
    while let Some(due) = pacer.poll_timeout() {
        now = now.max(due);
        paced += u64::from(pacer.poll(now).is_some());
    }
    assert_eq!(pushed, paced);
});
