//! How far packets come behind the fastest one, and so how long to wait for the others.

use std::time::{Duration, Instant};

use crate::{Timestamp, TimestampUnwrapper};

/// Relates timestamps to arrival times and keeps a histogram of the lateness of packets, in which
/// old ones fade.
#[derive(Debug)]
pub(super) struct DelayEstimator {
    clock_rate: u32,
    timestamps: TimestampUnwrapper,
    anchor: Option<Anchor>,
    lateness: Box<[f32; BUCKETS]>,
    /// What the next packet counts for: growing by a factor each time is the fading of the others
    /// by its inverse, without touching them.
    weight: f32,
    samples: u32,
    target: Duration,
}

/// A stretch of the stream in which timestamps follow the clock.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    at: Instant,
    timestamp: u64,
    /// The least transit time, in µs relative to the anchor, in this window and the one before: a
    /// sender's slow clock makes it grow.
    minimum: i64,
    previous_minimum: i64,
    window_end: Instant,
}

impl DelayEstimator {
    pub(super) fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            timestamps: TimestampUnwrapper::new(),
            anchor: None,
            lateness: Box::new([0.0; BUCKETS]),
            weight: 1.0,
            samples: 0,
            target: Duration::ZERO,
        }
    }

    /// Takes note of a packet that took the direct way.
    pub(super) fn observe(&mut self, now: Instant, timestamp: Timestamp) {
        let timestamp = self.timestamps.unwrap(timestamp);
        let Some(mut anchor) = self.anchor else {
            self.anchor = Some(Anchor::new(now, timestamp));
            return;
        };
        let transit = anchor.transit(now, timestamp, self.clock_rate);
        if (transit - anchor.base()).abs() > DISCONTINUITY {
            self.anchor = Some(Anchor::new(now, timestamp));
            return;
        }
        if now >= anchor.window_end {
            anchor.previous_minimum = anchor.minimum;
            anchor.minimum = transit;
            anchor.window_end = now + MINIMUM_WINDOW;
        } else {
            anchor.minimum = anchor.minimum.min(transit);
        }
        let late = transit - anchor.base();
        self.anchor = Some(anchor);
        self.count(late);
    }

    /// How long packets are to be held behind the fastest, so that nearly all are in time.
    pub(super) const fn target(&self) -> Duration {
        self.target
    }

    /// When the fastest packet with this timestamp would have arrived; None before the first.
    pub(super) fn earliest(&self, timestamp: Timestamp) -> Option<Instant> {
        let anchor = self.anchor?;
        let media = anchor.media_micros(self.timestamps.peek(timestamp), self.clock_rate);
        let offset = anchor.base().saturating_add(media).max(0).unsigned_abs();
        anchor.at.checked_add(Duration::from_micros(offset))
    }

    fn count(&mut self, late: i64) {
        let bucket = (late.max(0) / BUCKET_MICROS).min(BUCKETS as i64 - 1) as usize;
        self.lateness[bucket] += self.weight;
        self.weight *= GROWTH;
        self.samples = self.samples.wrapping_add(1);
        if self.weight > MAX_WEIGHT {
            self.lateness
                .iter_mut()
                .for_each(|count| *count /= MAX_WEIGHT);
            self.weight /= MAX_WEIGHT;
        }
        let seen = Duration::from_micros((bucket as u64 + 1) * BUCKET_MICROS as u64);
        if self.samples < FIRST_SAMPLES {
            self.target = self.target.max(seen);
        } else if self.samples.is_multiple_of(UPDATE_EVERY) {
            self.target = self.quantile();
        }
    }

    fn quantile(&self) -> Duration {
        let total: f32 = self.lateness.iter().sum();
        let mut above = total * (1.0 - QUANTILE);
        let mut bucket = BUCKETS;
        // From above, where the counts are small and few.
        while bucket > 1 {
            above -= self.lateness[bucket - 1];
            if above < 0.0 {
                break;
            }
            bucket -= 1;
        }
        Duration::from_micros(bucket as u64 * BUCKET_MICROS as u64)
    }
}

impl Anchor {
    fn new(at: Instant, timestamp: u64) -> Self {
        Self {
            at,
            timestamp,
            minimum: 0,
            previous_minimum: 0,
            window_end: at + MINIMUM_WINDOW,
        }
    }

    fn base(&self) -> i64 {
        self.minimum.min(self.previous_minimum)
    }

    fn transit(&self, now: Instant, timestamp: u64, clock_rate: u32) -> i64 {
        let elapsed = now.saturating_duration_since(self.at).as_micros();
        i64::try_from(elapsed)
            .unwrap_or(i64::MAX)
            .saturating_sub(self.media_micros(timestamp, clock_rate))
    }

    fn media_micros(&self, timestamp: u64, clock_rate: u32) -> i64 {
        let ticks = timestamp.wrapping_sub(self.timestamp) as i64;
        let micros = i128::from(ticks) * 1_000_000 / i128::from(clock_rate);
        micros.clamp(-LONGEST, LONGEST) as i64
    }
}

const BUCKET_MICROS: i64 = 10_000;
/// 2 s, the longest delay there is.
const BUCKETS: usize = 200;
/// 3 of 100 packets may be late.
const QUANTILE: f32 = 0.97;
/// A packet counts for half of a new one after 700.
const GROWTH: f32 = 1.001;
const MAX_WEIGHT: f32 = 65_536.0;
/// Until then the latest packet decides: too few for a quantile.
const FIRST_SAMPLES: u32 = 32;
const UPDATE_EVERY: u32 = 16;
/// µs between what a timestamp says and the clock, beyond which the timestamps began anew.
const DISCONTINUITY: i64 = 10_000_000;
/// A clock that is 1,000 ppm slow adds 20 ms in two windows.
const MINIMUM_WINDOW: Duration = Duration::from_secs(10);
/// A year, in µs: keeps sums from overflowing.
const LONGEST: i128 = 366 * 86_400 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::super::testing::base;
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The target follows jitter up within packets and down again, and timestamps may wrap.
    #[test]
    fn follows_jitter() {
        let start = base();
        let mut estimator = DelayEstimator::new(90_000);
        let mut timestamp = Timestamp(u32::MAX - 90_000);
        let mut at = start;
        let mut run = |estimator: &mut DelayEstimator, count: u32, late: u64| {
            for index in 0..count {
                let delay = if index % 5 == 0 { late } else { 0 };
                estimator.observe(at + ms(delay), timestamp);
                at += ms(20);
                timestamp = timestamp.plus(1_800);
            }
            estimator.target()
        };
        assert_eq!(run(&mut estimator, 100, 0), ms(10));
        assert_eq!(run(&mut estimator, 200, 85), ms(90));
        assert_eq!(run(&mut estimator, 6_000, 15), ms(20));
    }

    /// Timestamps that begin anew, forwards or backwards, do not leave packets waiting.
    #[test]
    fn survives_a_jump() {
        let start = base();
        let mut estimator = DelayEstimator::new(8_000);
        for (index, first) in [0u32, 2_000_000_000, 500].into_iter().enumerate() {
            for packet in 0..50u32 {
                let now = start + ms(20 * (index as u64 * 50 + u64::from(packet)));
                let timestamp = Timestamp(first + packet * 160);
                estimator.observe(now, timestamp);
                let earliest = estimator.earliest(timestamp).unwrap();
                assert!(earliest <= now + ms(1) && earliest + ms(50) > now);
            }
        }
    }
}
