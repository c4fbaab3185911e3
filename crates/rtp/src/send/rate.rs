//! Bytes per time, by one clock.

use std::collections::VecDeque;
use std::time::Duration;

/// Bytes over the last 300 ms of one clock.
#[derive(Debug, Default)]
pub(super) struct RateMeter {
    /// Ascending; not more than [`BUCKETS`] and one.
    buckets: VecDeque<Bucket>,
    bytes: usize,
}

#[derive(Debug)]
struct Bucket {
    /// Of 10 ms.
    index: u64,
    /// The earliest packet in it.
    first: Duration,
    bytes: usize,
}

impl RateMeter {
    pub(super) fn add(&mut self, at: Duration, bytes: usize) {
        let index = u64::try_from(at.as_millis() / BUCKET_MILLIS).unwrap_or(u64::MAX);
        if index.saturating_add(CLOCK_JUMP) < self.newest(index) {
            // The clock was wrong then, or is now.
            self.buckets.clear();
            self.bytes = 0;
        }
        let place = self.buckets.partition_point(|bucket| bucket.index < index);
        match self.buckets.get_mut(place) {
            Some(bucket) if bucket.index == index => {
                bucket.first = bucket.first.min(at);
                bucket.bytes += bytes;
            }
            _ => {
                let first = at;
                let bucket = Bucket {
                    index,
                    first,
                    bytes,
                };
                self.buckets.insert(place, bucket);
            }
        }
        self.bytes += bytes;
        let oldest = self.newest(index).saturating_sub(BUCKETS);
        while let Some(bucket) = self.buckets.front().filter(|bucket| bucket.index < oldest) {
            self.bytes -= bucket.bytes;
            self.buckets.pop_front();
        }
    }

    /// bit/s, from the first packet of the oldest bucket to the first of the newest: whole gaps only,
    /// so that at three packets in a bucket or one in three the rate is still exact.
    pub(super) fn rate(&self) -> Option<f64> {
        let (oldest, newest) = (self.buckets.front()?, self.buckets.back()?);
        let seconds = newest.first.saturating_sub(oldest.first).as_secs_f64();
        let bits = (self.bytes - newest.bytes) as f64 * 8.0;
        (seconds >= LEAST_SECONDS).then(|| bits / seconds)
    }

    fn newest(&self, otherwise: u64) -> u64 {
        self.buckets.back().map_or(otherwise, |bucket| bucket.index)
    }
}

const BUCKET_MILLIS: u128 = 10;
const BUCKETS: u64 = 30;
const LEAST_SECONDS: f64 = 0.1;
/// In buckets: 10 s.
const CLOCK_JUMP: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet every 16, 27 or 1 ms gives its rate to a thousandth, wherever the buckets begin; one
    /// that comes before others does not count twice; old ones leave.
    #[test]
    fn exact() {
        for gap in [16, 27, 1] {
            for offset in 0..10 {
                let mut meter = RateMeter::default();
                for at in 0..200 {
                    // Every fifth before the one ahead of it.
                    let at = if at % 5 == 0 {
                        at + 1
                    } else if at % 5 == 1 {
                        at - 1
                    } else {
                        at
                    };
                    meter.add(Duration::from_millis(offset + at * gap), 1_000);
                    if at > 150 && at % 5 > 1 {
                        let rate = meter.rate().unwrap() * gap as f64 / 8_000_000.0;
                        assert!((rate - 1.0).abs() < 0.001, "{gap} {offset} {at}: {rate}");
                    }
                }
                assert!(meter.buckets.len() as u64 <= BUCKETS + 1);
            }
        }
    }

    /// A clock that jumps back is believed, at once and without a wrong rate.
    #[test]
    fn clock_jump() {
        let mut meter = RateMeter::default();
        for at in 0..100 {
            meter.add(Duration::from_millis(100_000 + at * 10), 1_000);
        }
        meter.add(Duration::from_millis(5), 1_000);
        assert_eq!(meter.rate(), None);
    }
}
