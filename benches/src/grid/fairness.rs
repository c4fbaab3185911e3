//! Several senders that share a path.

use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom_sctp::CongestionControl;
use peerloom_sctp::sim::{Bottleneck, Duplex, LinkConfig};

use super::{MESSAGE, Window, host, take, top_up};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Race {
    /// A sender each, and when it starts.
    pub flows: Vec<(CongestionControl, Duration)>,
    /// The path they share.
    pub path: LinkConfig,
    /// Its round trip.
    pub rtt: Duration,
    /// Virtual time from the last start on.
    pub time: Duration,
    /// What randomness comes from.
    pub seed: u64,
}

/// User data that arrived of each, in bits a second, from the last start on.
#[must_use]
pub fn run(race: &Race, start: Instant) -> Vec<f64> {
    let pairs = (0_u64..)
        .zip(&race.flows)
        .map(|(index, &(controller, _))| {
            let end = |salt: u64| {
                let seed = race.seed * 1000 + index * 2 + salt;
                host(controller, Window::Default, race.rtt, seed, start)
            };
            (end(0), end(1))
        })
        .collect();
    let mut shared = Bottleneck::new(pairs, Duplex::new(&race.path, race.seed), start);
    let message = Bytes::from(vec![0; MESSAGE]);
    let all_started = race
        .flows
        .iter()
        .map(|flow| flow.1)
        .max()
        .unwrap_or_default();
    let mut connected = vec![false; race.flows.len()];
    let mut run = |shared: &mut Bottleneck, time| {
        let mut arrived = vec![0_u64; race.flows.len()];
        shared.run_for(time, |shared| {
            let now = shared.now();
            for (index, (a, b)) in shared.pairs.iter_mut().enumerate() {
                if now < start + race.flows[index].1 {
                    continue;
                }
                if !std::mem::replace(&mut connected[index], true) {
                    a.association.connect(now);
                }
                top_up(a, now, &message);
                arrived[index] += take(b);
            }
        });
        arrived
    };
    run(&mut shared, all_started + Duration::from_millis(1));
    let arrived = run(&mut shared, race.time);
    let rate = |bytes| bytes as f64 * 8.0 / race.time.as_secs_f64();
    arrived.into_iter().map(rate).collect()
}

/// Jain's index: 1 if all get the same, 1/n if one gets all.
#[must_use]
pub fn jain(rates: &[f64]) -> f64 {
    let sum: f64 = rates.iter().sum();
    let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
    sum * sum / (rates.len() as f64 * squares).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its two ends.
    #[test]
    fn jains_index() {
        assert!((jain(&[5.0, 5.0, 5.0, 5.0]) - 1.0).abs() < 1e-9);
        assert!((jain(&[7.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }
}
