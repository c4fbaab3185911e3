//! Clusters of packets faster than the estimate, to see what the path makes of them.

use std::time::{Duration, Instant};

use super::PacketFate;

/// What to send to find out whether a path carries more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// bit/s, of everything that is sent meanwhile.
    pub rate: u64,
    /// Bytes to send at that rate.
    pub bytes: usize,
}

/// What became of a probe; rates are those at which it arrived, bit/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// As fast as it was sent.
    Carried(f64),
    /// Neither as fast as it was sent nor so slow that the path has to be the reason.
    Unclear(f64),
    /// The path was full.
    Full(f64),
}

/// One probe after the other.
#[derive(Debug)]
pub(super) struct Probing {
    /// Whether the last one was carried, or none was sent yet: the next need not wait.
    is_hunting: bool,
    last: Option<Instant>,
    cluster: Option<Cluster>,
    /// When and at which rate the last one arrived.
    arrived: Option<(Instant, f64)>,
}

/// A probe on its way. Its packets are known by when they were sent.
#[derive(Debug)]
struct Cluster {
    rate: f64,
    from: Instant,
    until: Instant,
    /// A later packet's fate is known.
    is_over: bool,
    packets: usize,
    bytes: usize,
    /// The first and the last that arrived: when sent, when arrived, bytes.
    ends: Option<[(Instant, Duration, usize); 2]>,
}

impl Default for Probing {
    fn default() -> Self {
        Self {
            is_hunting: true,
            last: None,
            cluster: None,
            arrived: None,
        }
    }
}

impl Probing {
    pub(super) const fn is_hunting(&self) -> bool {
        self.is_hunting
    }

    /// The path is full: what is on its way says no more than that.
    pub(super) const fn stop(&mut self) {
        self.is_hunting = false;
    }

    /// Begins a probe, unless one is on its way or the last was less than `interval` ago.
    pub(super) fn start(&mut self, now: Instant, interval: Duration, rate: f64) -> Option<Probe> {
        let is_early = |last: Instant| now.saturating_duration_since(last) < interval;
        if self.cluster.is_some() || self.last.is_some_and(is_early) {
            return None;
        }
        let bytes = (rate * SECONDS / 8.0).max(LEAST_BYTES);
        self.last = Some(now);
        self.cluster = Some(Cluster {
            rate,
            from: now,
            until: now + Duration::from_secs_f64(bytes * 8.0 / rate),
            is_over: false,
            packets: 0,
            bytes: 0,
            ends: None,
        });
        Some(Probe {
            rate: rate as u64,
            bytes: bytes as usize,
        })
    }

    pub(super) fn on_packet(&mut self, packet: &PacketFate) {
        let Some(cluster) = self.cluster.as_mut().filter(|c| packet.sent >= c.from) else {
            return;
        };
        if packet.sent >= cluster.until {
            cluster.is_over = true;
            return;
        }
        let Some(arrival) = packet.arrival else {
            return;
        };
        let end = (packet.sent, arrival, packet.bytes);
        match &mut cluster.ends {
            Some([_, last]) => *last = end,
            ends @ None => *ends = Some([end; 2]),
        }
        cluster.packets += 1;
        cluster.bytes += packet.bytes;
    }

    /// What the probe came to, once it did.
    pub(super) fn poll(&mut self, now: Instant, rtt: Duration) -> Option<Outcome> {
        let cluster = self.cluster.as_ref()?;
        if !cluster.is_over && now < cluster.until + rtt + PATIENCE {
            return None;
        }
        let outcome = self.cluster.take()?.outcome();
        self.is_hunting = match outcome {
            Some(Outcome::Carried(_)) => true,
            Some(Outcome::Unclear(_)) => self.is_hunting,
            Some(Outcome::Full(_)) | None => false,
        };
        let (Outcome::Carried(rate) | Outcome::Unclear(rate) | Outcome::Full(rate)) = outcome?;
        self.arrived = Some((now, rate));
        outcome
    }

    /// The rate at which the last probe was acknowledged, until feedback on what follows can be there.
    pub(super) fn acknowledged(&self, now: Instant, rtt: Duration) -> f64 {
        self.arrived
            .filter(|(at, _)| now < *at + rtt + PATIENCE)
            .map_or(0.0, |(_, rate)| rate)
    }
}

impl Cluster {
    /// None if too little was sent, or arrived, to say anything.
    fn outcome(&self) -> Option<Outcome> {
        let [first, last] = self.ends?;
        let rate = |bytes: usize, time: Duration| {
            let seconds = time.as_secs_f64().max(LEAST_SPAN);
            bytes as f64 * 8.0 / seconds
        };
        // The gaps between them: one less than there are packets.
        let sent = rate(
            self.bytes - last.2,
            last.0.saturating_duration_since(first.0),
        );
        let arrived = rate(self.bytes - first.2, last.1.saturating_sub(first.1));
        if self.packets < LEAST_PACKETS || sent < self.rate * LEAST_USE {
            return None;
        }
        let rate = arrived.min(sent);
        Some(if arrived >= sent * CARRIED {
            Outcome::Carried(rate)
        } else if arrived >= sent * FULL {
            Outcome::Unclear(rate)
        } else {
            Outcome::Full(rate)
        })
    }
}

/// Long enough for 250 µs of resolution and some ms of jitter.
const SECONDS: f64 = 0.02;
/// Six packets of 1,000 bytes.
const LEAST_BYTES: f64 = 6_000.0;
const LEAST_PACKETS: usize = 5;
/// What arrives together arrived within this time.
const LEAST_SPAN: f64 = 0.001;
/// Of the probe's rate: less was none.
const LEAST_USE: f64 = 0.6;
/// Of the rate sent: a path of which half is another's makes 0.89 of 1.6 times the other half.
const CARRIED: f64 = 0.9;
const FULL: f64 = 0.7;
/// Beside an RTT, until feedback is there.
const PATIENCE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::super::super::receive::testing::base;
    use super::*;
    use crate::SequenceNumber;

    /// Sends a probe of 4 Mbit/s over a path of `capacity`, and one packet after it.
    fn outcome(capacity: u64, sent: u64) -> Option<Outcome> {
        let now = base();
        let mut probing = Probing::default();
        let probe = probing.start(now, Duration::ZERO, 4_000_000.0).unwrap();
        assert_eq!(probe.bytes, 10_000);
        assert_eq!(probing.start(now, Duration::ZERO, 4_000_000.0), None);
        let gap = |rate: u64| Duration::from_nanos(8_000_000_000_000 / rate);
        for index in 0..12 {
            probing.on_packet(&PacketFate {
                sequence: SequenceNumber(0),
                sent: now + gap(sent) * index,
                bytes: 1_000,
                arrival: Some(gap(sent).max(gap(capacity)) * index),
            });
        }
        let later = now + Duration::from_secs(1);
        let outcome = probing.poll(later, Duration::ZERO);
        let rate = probing.acknowledged(later, Duration::ZERO);
        let (Outcome::Carried(found) | Outcome::Unclear(found) | Outcome::Full(found)) = outcome?;
        assert_eq!(rate, found);
        outcome
    }

    /// What a path makes of a probe, and that a sender who did not send one learns nothing.
    #[test]
    fn outcomes() {
        let rate = |outcome| match outcome {
            Some(Outcome::Carried(rate)) => ("carried", (rate / 1e5_f64).round()),
            Some(Outcome::Unclear(rate)) => ("unclear", (rate / 1e5_f64).round()),
            Some(Outcome::Full(rate)) => ("full", (rate / 1e5_f64).round()),
            None => ("nothing", 0.0),
        };
        assert_eq!(rate(outcome(50_000_000, 4_000_000)), ("carried", 40.0));
        assert_eq!(rate(outcome(3_200_000, 4_000_000)), ("unclear", 32.0));
        assert_eq!(rate(outcome(2_000_000, 4_000_000)), ("full", 20.0));
        assert_eq!(rate(outcome(50_000_000, 2_000_000)), ("nothing", 0.0));
    }

    /// A probe whose feedback is lost is given up, and the next waits for its time.
    #[test]
    fn silence() {
        let now = base();
        let mut probing = Probing::default();
        assert!(probing.start(now, Duration::ZERO, 1e6).is_some());
        assert_eq!(probing.poll(now, Duration::ZERO), None);
        assert!(probing.is_hunting());
        let later = now + Duration::from_secs(1);
        assert_eq!(probing.poll(later, Duration::ZERO), None);
        assert!(!probing.is_hunting());
        let interval = Duration::from_secs(2);
        assert_eq!(probing.start(later, interval, 1e6), None);
        assert!(probing.start(now + interval, interval, 1e6).is_some());
    }
}
