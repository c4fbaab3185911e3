//! How much the path carries, from what arrived, when, and what did not.

use std::time::{Duration, Instant};

use super::PacketFate;
use super::probe::{Outcome, Probe, Probing};
use super::rate::RateMeter;

/// Estimates the bandwidth of one path from transport-wide feedback. Told of every packet's fate in
/// the order of sending and of the end of each feedback round; of fixed size.
///
/// It grows while packets keep their delay, quickly while that costs nothing and slowly near what
/// once was too much; falls below what arrives when the delay grows or over a tenth is lost; and does
/// not grow where the sender does not use what it has. Probes, which are the caller's to send, find
/// out sooner, and in spite of that.
#[derive(Debug)]
pub struct BandwidthEstimator {
    config: EstimatorConfig,
    /// bit/s.
    estimate: f64,
    acknowledged: RateMeter,
    sent: RateMeter,
    epoch: Option<Instant>,
    delay: QueueDelay,
    /// What arrived when the path was last seen full, bit/s.
    capacity: Option<f64>,
    hold_until: Option<Instant>,
    /// Since when it has been above what the path last carried, without a queue.
    above_since: Option<Instant>,
    last_round: Option<Instant>,
    rtt: Duration,
    received: u32,
    lost: u32,
    loss_since: Option<Instant>,
    /// Share lost in the last window.
    loss: f64,
    /// How long the packets of the last round waited.
    queue: Duration,
    probing: Probing,
}

/// Bounds of a [`BandwidthEstimator`], bit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EstimatorConfig {
    /// The estimate until something is known.
    pub start: u64,
    /// Never less.
    pub min: u64,
    /// Never more.
    pub max: u64,
}

impl Default for EstimatorConfig {
    fn default() -> Self {
        Self {
            start: 300_000,
            min: 30_000,
            max: 50_000_000,
        }
    }
}

impl BandwidthEstimator {
    /// Nothing known yet.
    #[must_use]
    pub fn new(config: EstimatorConfig) -> Self {
        Self {
            estimate: config.start.clamp(config.min, config.max.max(config.min)) as f64,
            config,
            acknowledged: RateMeter::default(),
            sent: RateMeter::default(),
            epoch: None,
            delay: QueueDelay::default(),
            capacity: None,
            hold_until: None,
            above_since: None,
            last_round: None,
            rtt: Duration::from_millis(100),
            received: 0,
            lost: 0,
            loss_since: None,
            loss: 0.0,
            queue: Duration::ZERO,
            probing: Probing::default(),
        }
    }

    /// Sets the round-trip time.
    pub const fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// Takes the fate of a packet.
    pub fn on_packet(&mut self, packet: &PacketFate) {
        let epoch = *self.epoch.get_or_insert(packet.sent);
        let sent = packet.sent.saturating_duration_since(epoch);
        self.sent.add(sent, packet.bytes);
        self.probing.on_packet(packet);
        let Some(arrival) = packet.arrival else {
            self.lost = self.lost.saturating_add(1);
            return;
        };
        self.received = self.received.saturating_add(1);
        self.acknowledged.add(arrival, packet.bytes);
        self.delay.add(packet.sent, arrival);
    }

    /// Ends a round of feedback; returns the estimate, in bit/s.
    pub fn on_feedback(&mut self, now: Instant) -> u64 {
        let queue = self.delay.finish();
        self.queue = queue;
        let elapsed = self.last_round.replace(now).map_or(Duration::ZERO, |last| {
            now.saturating_duration_since(last).min(LONGEST_ROUND)
        });
        let Some(acknowledged) = self.acknowledged.rate() else {
            return self.estimate();
        };
        // On a slow path one packet before ours is a queue.
        let packet = Duration::from_secs_f64(PACKET_BITS / self.estimate.max(1_000.0));
        let is_held = self.is_held(now);
        if queue > OVERUSE + packet {
            if !is_held {
                // What the path loses whatever the rate has to be sent all the same.
                self.capacity = Some(acknowledged / (1.0 - self.loss.min(HEAVY_LOSS)));
                self.probing.stop();
                // The queue has to drain too.
                let drain = (queue.as_secs_f64() * DRAIN).min(MAX_DRAIN);
                self.estimate = self.estimate.min(acknowledged * (BELOW_CAPACITY - drain));
                self.hold_until = Some(now + self.rtt + HOLD);
                self.restart_loss(now);
            }
        } else if queue < UNDERUSE + packet
            && !is_held
            && !self.is_lossy()
            && !self.is_application_limited()
        {
            self.grow(now, elapsed.as_secs_f64(), queue);
        }
        self.heed_loss(now, acknowledged);
        self.heed_probe(now);
        if !self.is_application_limited() {
            let probed = self.probing.acknowledged(now, self.rtt);
            let most = acknowledged.max(probed) * MAX_OVER_ACKNOWLEDGED;
            self.estimate = self.estimate.min(most);
        }
        let max = self.config.max.max(self.config.min);
        self.estimate = self.estimate.clamp(self.config.min as f64, max as f64);
        self.estimate()
    }

    /// bit/s.
    #[must_use]
    pub const fn estimate(&self) -> u64 {
        self.estimate as u64
    }

    /// Whether the sender uses so little of the estimate that it says nothing about the path. It
    /// does not grow then, unless padding is sent.
    #[must_use]
    pub fn is_application_limited(&self) -> bool {
        let sent = self.sent.rate().unwrap_or(0.0);
        sent < self.estimate * APPLICATION_LIMITED
    }

    /// A probe for the caller to send now: so many bytes at that rate, of media, retransmissions or
    /// padding, instead of the estimate. To be called before anything is sent, by whoever has use for
    /// more than the estimate; who cannot send padding leaves it out and waits longer for what a path
    /// has to give. None while one is on its way, and where it could only do harm.
    ///
    /// The beginning of a stream and a path that carried one probe are followed by others at once;
    /// else there is one every 2 s at rates where growing takes longer than that, and every 5 s where
    /// the sender uses little of the estimate.
    pub fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        let is_quiet = self.last_round.is_some() && self.queue <= CLEAR;
        if !is_quiet || self.is_held(now) || self.is_lossy() {
            return None;
        }
        let is_limited = self.is_application_limited();
        let interval = match (self.probing.is_hunting(), is_limited) {
            (true, _) => Duration::ZERO,
            (false, true) => LIMITED_PROBE_INTERVAL,
            (false, false) if self.estimate >= PROBE_FROM => PROBE_INTERVAL,
            (false, false) => return None,
        };
        let factor = if self.probing.is_hunting() || is_limited {
            HUNTING_PROBE
        } else {
            CAUTIOUS_PROBE
        };
        let rate = (self.estimate * factor).min(self.config.max as f64);
        if rate < self.estimate * CAUTIOUS_PROBE {
            return None;
        }
        self.probing.start(now, interval, rate)
    }

    fn heed_probe(&mut self, now: Instant) {
        let is_limited = self.is_application_limited();
        let is_bold = self.probing.is_hunting() || is_limited;
        match self.probing.poll(now, self.rtt) {
            None => {}
            // One alone may be chance, where others send too: it only makes for the next.
            Some(Outcome::Carried(rate)) if is_bold => {
                self.estimate = self.estimate.max(rate * BELOW_PROBE);
                self.capacity = None;
            }
            Some(Outcome::Unclear(rate)) if is_bold => {
                self.estimate = self.estimate.max(rate * BELOW_CAPACITY);
            }
            Some(Outcome::Full(rate)) if is_bold => {
                self.capacity = Some(rate);
                self.estimate = self.estimate.max(rate * BELOW_CAPACITY);
            }
            Some(Outcome::Carried(_) | Outcome::Unclear(_) | Outcome::Full(_)) => {}
        }
    }

    fn is_held(&self, now: Instant) -> bool {
        self.hold_until.is_some_and(|until| now < until)
    }

    /// Whether too much was lost in the last window: no time to grow.
    fn is_lossy(&self) -> bool {
        self.loss > HEAVY_LOSS
    }

    fn grow(&mut self, now: Instant, seconds: f64, queue: Duration) {
        let ratio = self.capacity.map(|capacity| self.estimate / capacity);
        let is_above = ratio.is_none_or(|ratio| ratio > NEAR.end) && queue <= CLEAR;
        let since = self.above_since.filter(|_| is_above).unwrap_or(now);
        self.above_since = is_above.then_some(since);
        // Whether the path carries more than before shows only after a while.
        let is_shown = now.saturating_duration_since(since) >= self.rtt + PROOF;
        let is_near = ratio
            .is_some_and(|ratio| queue > CLEAR || NEAR.contains(&ratio) || (is_above && !is_shown));
        if is_near {
            let by_root = NEAR_ROOT * self.estimate.sqrt();
            self.estimate += by_root.min(self.estimate * NEAR_GROWTH) * seconds;
        } else {
            self.estimate *= (FAR_GROWTH * seconds).exp();
        }
    }

    fn heed_loss(&mut self, now: Instant, acknowledged: f64) {
        let since = *self.loss_since.get_or_insert(now);
        let total = self.received.saturating_add(self.lost);
        if now.saturating_duration_since(since) < LOSS_WINDOW || total < LOSS_PACKETS {
            return;
        }
        let share = f64::from(self.lost) / f64::from(total);
        if share > HEAVY_LOSS {
            // Not below what does arrive.
            let less = (self.estimate * (1.0 - share / 2.0)).max(acknowledged * BELOW_CAPACITY);
            self.estimate = self.estimate.min(less);
        }
        self.loss = share;
        self.restart_loss(now);
    }

    const fn restart_loss(&mut self, now: Instant) {
        (self.received, self.lost, self.loss_since) = (0, 0, Some(now));
    }
}

/// How long packets waited on the way, against the fastest lately.
#[derive(Debug, Default)]
struct QueueDelay {
    base: Option<Instant>,
    /// µs; of this window and the one before.
    minimum: Option<i64>,
    previous: Option<i64>,
    window_end: Option<Instant>,
    /// The least of this round: a packet that waited little shows an empty queue.
    round: Option<i64>,
}

impl QueueDelay {
    fn add(&mut self, sent: Instant, arrival: Duration) {
        let base = *self.base.get_or_insert(sent);
        let sent_micros = sent.saturating_duration_since(base).as_micros() as i64;
        let transit = arrival.as_micros() as i64 - sent_micros;
        if self.window_end.is_none_or(|end| sent >= end) {
            self.previous = self.minimum;
            self.minimum = None;
            self.window_end = Some(sent + MINIMUM_WINDOW);
        }
        self.minimum = Some(self.minimum.map_or(transit, |least| least.min(transit)));
        self.round = Some(self.round.map_or(transit, |least| least.min(transit)));
    }

    fn finish(&mut self) -> Duration {
        let least = self.minimum.into_iter().chain(self.previous).min();
        let (Some(round), Some(least)) = (self.round.take(), least) else {
            return Duration::ZERO;
        };
        Duration::from_micros((round - least).max(0) as u64)
    }
}

/// Waiting that all packets of a round share, beyond which the path is too full…
const OVERUSE: Duration = Duration::from_millis(20);
/// …and below which there is room.
const UNDERUSE: Duration = Duration::from_millis(10);
/// …and below which it is far from full.
const CLEAR: Duration = Duration::from_millis(7);
/// Bits of a packet of usual size.
const PACKET_BITS: f64 = 6_000.0;
/// Beside an RTT, until a change shows in feedback.
const HOLD: Duration = Duration::from_millis(100);
const BELOW_CAPACITY: f64 = 0.91;
/// The share for draining, per second of queue, and at most.
const DRAIN: f64 = 0.3;
const MAX_DRAIN: f64 = 0.04;
const MAX_OVER_ACKNOWLEDGED: f64 = 1.5;
/// Of the estimate. What was sent lags behind an estimate that grows.
const APPLICATION_LIMITED: f64 = 0.6;
/// e-folds per second: three doublings.
const FAR_GROWTH: f64 = 2.0;
/// Of what the path last carried.
const NEAR: std::ops::Range<f64> = 0.7..1.04;
/// Beside an RTT, until that much more counts as room for much more.
const PROOF: Duration = Duration::from_millis(300);
/// Near it, growth per second is with the root of the rate, bit/s: of two flows the smaller gains on
/// the larger. On slow paths it is a share, so that one round does not overshoot.
const NEAR_ROOT: f64 = 100.0;
const NEAR_GROWTH: f64 = 0.16;
const LONGEST_ROUND: Duration = Duration::from_millis(200);
/// Loss below it is the path's nature and no sign of a full queue.
const HEAVY_LOSS: f64 = 0.1;
const LOSS_WINDOW: Duration = Duration::from_millis(500);
const LOSS_PACKETS: u32 = 20;
/// Of what the estimate is; far enough above it to tell a path that has room from a full one, and
/// little enough that a full one gets a queue of 10 ms and no more.
const CAUTIOUS_PROBE: f64 = 1.6;
const HUNTING_PROBE: f64 = 2.0;
/// bit/s; below it, growth finds out as soon as a probe would.
const PROBE_FROM: f64 = 2_000_000.0;
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// As libwebrtc's.
const LIMITED_PROBE_INTERVAL: Duration = Duration::from_secs(5);
const BELOW_PROBE: f64 = 0.95;
/// A path that changes its delay is known anew after two of them.
const MINIMUM_WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::super::super::receive::testing::base;
    use super::*;
    use crate::SequenceNumber;

    /// A round of 50 ms: packets of 1,000 bytes at `rate`, bit/s, every `lost`-th of them lost.
    fn round(
        estimator: &mut BandwidthEstimator,
        now: &mut Instant,
        start: Instant,
        rate: u64,
        lost: u64,
    ) -> u64 {
        let packets = rate / 8_000 / 20;
        for index in 1..=packets {
            let sent = *now + Duration::from_micros(50_000 * index / packets);
            let arrives = lost == 0 || index % lost != 0;
            estimator.on_packet(&PacketFate {
                sequence: SequenceNumber(0),
                sent,
                bytes: 1000,
                arrival: arrives.then(|| sent - start + Duration::from_millis(20)),
            });
        }
        *now += Duration::from_millis(50);
        estimator.on_feedback(*now)
    }

    /// What the sender does not use is neither found nor lost; what it uses again grows.
    #[test]
    fn application_limited() {
        let start = base();
        let mut now = start;
        let mut estimator = BandwidthEstimator::new(EstimatorConfig {
            start: 2_000_000,
            ..EstimatorConfig::default()
        });
        for _ in 0..200 {
            let estimate = round(&mut estimator, &mut now, start, 320_000, 0);
            assert_eq!(estimate, 2_000_000);
            assert!(estimator.is_application_limited());
        }
        let mut estimate = 2_000_000;
        for _ in 0..40 {
            let before = estimate;
            estimate = round(&mut estimator, &mut now, start, before, 0);
            // Never over 1.5 times what arrives.
            assert!(estimate <= before * 3 / 2 + 1);
        }
        assert!(estimate > 10_000_000, "{estimate}");
    }

    /// A sender that uses little learns what there is by probes alone, 5 s apart once one was not
    /// carried: here 20 Mbit/s, of which 320 kbit/s are used.
    #[test]
    fn probes_of_a_limited_sender() {
        let start = base();
        let mut now = start;
        let mut estimator = BandwidthEstimator::new(EstimatorConfig {
            start: 2_000_000,
            ..EstimatorConfig::default()
        });
        assert_eq!(
            estimator.poll_probe(now),
            None,
            "nothing is known of the path"
        );
        let (mut probes, mut pace) = (Vec::new(), Duration::ZERO);
        let mut least = start;
        for _ in 0..400 {
            if let Some(probe) = estimator.poll_probe(now) {
                probes.push(now - start);
                let gap = Duration::from_nanos(8_000_000_000_000 / probe.rate);
                let carried = gap.max(Duration::from_micros(400));
                for index in 0..=(probe.bytes / 1000) as u32 {
                    pace = least.max(now) - start + carried * index;
                    estimator.on_packet(&PacketFate {
                        sequence: SequenceNumber(0),
                        sent: now + gap * index,
                        bytes: 1000,
                        arrival: Some(pace + Duration::from_millis(20)),
                    });
                }
                least = start + pace;
            }
            round(&mut estimator, &mut now, start, 320_000, 0);
        }
        let estimate = estimator.estimate();
        assert!((17_000_000..=20_000_000).contains(&estimate), "{estimate}");
        let late: Vec<_> = probes
            .iter()
            .filter(|at| **at > Duration::from_secs(5))
            .collect();
        assert!((2..=3).contains(&late.len()), "{probes:?}");
    }

    /// A lossy path is used up to what arrives; silence and loss of everything neither panic nor
    /// leave the bounds.
    #[test]
    fn loss() {
        let start = base();
        let mut now = start;
        let config = EstimatorConfig {
            start: 1_000_000,
            max: 2_000_000,
            ..EstimatorConfig::default()
        };
        let mut estimator = BandwidthEstimator::new(config);
        let mut estimate = estimator.estimate();
        for _ in 0..100 {
            estimate = round(&mut estimator, &mut now, start, estimate.max(160_000), 20);
        }
        assert_eq!(estimate, 2_000_000);
        for _ in 0..100 {
            estimate = round(&mut estimator, &mut now, start, 2_000_000, 3);
        }
        assert!((1_000_000..1_800_000).contains(&estimate), "{estimate}");
        for _ in 0..100 {
            estimate = round(&mut estimator, &mut now, start, 2_000_000, 1);
            assert!((30_000..=2_000_000).contains(&estimate));
        }
    }
}
