//! Asks for packets that are missing (RFC 4585 §6.2.1).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{SequenceNumber, SequenceUnwrapper};

/// Finds gaps in one stream and says when to ask for what. A packet is asked for at most
/// [`NackConfig::attempts`] times, never twice within an RTT, and not after [`NackConfig::max_age`].
#[derive(Debug)]
pub struct NackGenerator {
    config: NackConfig,
    unwrapper: SequenceUnwrapper,
    /// Ascending; never more than the capacity it was made with.
    missing: VecDeque<Missing>,
    rtt: Duration,
    /// No later than the first thing to do.
    due: Option<Instant>,
    stats: NackStats,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    number: u64,
    noticed: Instant,
    attempts: u8,
    next: Instant,
}

/// How a [`NackGenerator`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NackConfig {
    /// How often a packet is asked for at most.
    pub attempts: u8,
    /// For how long.
    pub max_age: Duration,
    /// Packets waited for at most; those beyond it, the oldest first, are given up.
    pub max_missing: usize,
    /// How long a gap may be mere reordering before the first request.
    pub patience: Duration,
    /// The RTT until one is known.
    pub initial_rtt: Duration,
}

/// Counters of a [`NackGenerator`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NackStats {
    /// Packets noticed missing.
    pub missing: u64,
    /// Requests, in packets: one that is asked for twice counts twice.
    pub requested: u64,
    /// Arrived after all, asked for or not.
    pub recovered: u64,
    /// Not waited for any longer.
    pub given_up: u64,
}

impl Default for NackConfig {
    fn default() -> Self {
        Self {
            attempts: 5,
            max_age: Duration::from_secs(1),
            max_missing: 512,
            patience: Duration::from_millis(5),
            initial_rtt: Duration::from_millis(100),
        }
    }
}

impl NackGenerator {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(config: NackConfig) -> Self {
        Self {
            unwrapper: SequenceUnwrapper::new(),
            missing: VecDeque::with_capacity(config.max_missing),
            rtt: config.initial_rtt,
            due: None,
            stats: NackStats::default(),
            config,
        }
    }

    /// Sets the round-trip time, which paces the requests.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// How long it is worth waiting for a packet that is asked for: what all attempts take.
    #[must_use]
    pub fn recovery_time(&self) -> Duration {
        let attempts = self.retry_interval() * u32::from(self.config.attempts);
        self.config.max_age.min(self.config.patience + attempts)
    }

    /// Takes note of a packet of the stream, received, retransmitted or repaired.
    pub fn on_packet(&mut self, now: Instant, sequence: SequenceNumber) {
        let Some(highest) = self.unwrapper.highest() else {
            self.unwrapper.unwrap(sequence);
            return;
        };
        let number = self.unwrapper.unwrap(sequence);
        if number <= highest {
            if let Ok(index) = self.find(number) {
                self.missing.remove(index);
                self.stats.recovered += 1;
            }
            return;
        }
        // Of a gap wider than the list only the end is worth asking for.
        let room = self.config.max_missing as u64;
        let first = (highest + 1).max(number.saturating_sub(room));
        self.stats.missing += number - highest - 1;
        self.stats.given_up += first - highest - 1;
        let next = now + self.config.patience;
        for number in first..number {
            if self.missing.len() >= self.config.max_missing {
                self.missing.pop_front();
                self.stats.given_up += 1;
            }
            self.missing.push_back(Missing {
                number,
                noticed: now,
                attempts: 0,
                next,
            });
        }
        if first < number {
            self.due = Some(self.due.map_or(next, |due| due.min(next)));
        }
    }

    /// Does not wait any longer for what is before `sequence`, such as frames before a key frame.
    pub fn give_up_before(&mut self, sequence: SequenceNumber) {
        let number = self.unwrapper.peek(sequence);
        while self
            .missing
            .front()
            .is_some_and(|lost| lost.number < number)
        {
            self.missing.pop_front();
            self.stats.given_up += 1;
        }
    }

    /// Fills `lost` with the packets to ask for now, ascending; what was in it is thrown away. Not
    /// more than `lost` has room for without allocating: [`NackConfig::max_missing`] is enough.
    pub fn poll(&mut self, now: Instant, lost: &mut Vec<SequenceNumber>) {
        lost.clear();
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let retry = self.retry_interval();
        let before = self.missing.len();
        let (attempts, max_age) = (self.config.attempts, self.config.max_age);
        let mut due = None;
        self.missing.retain_mut(|missing| {
            let is_old = now.saturating_duration_since(missing.noticed) >= max_age;
            // The answer to the last attempt has its time too.
            if is_old || (missing.attempts >= attempts && missing.next <= now) {
                return false;
            }
            if missing.next <= now && lost.len() < lost.capacity() {
                missing.attempts += 1;
                missing.next = now + retry;
                lost.push(SequenceNumber(missing.number as u16));
            }
            let next = missing.next.min(missing.noticed + max_age);
            due = Some(due.map_or(next, |due: Instant| due.min(next)));
            true
        });
        self.due = due;
        self.stats.requested += lost.len() as u64;
        self.stats.given_up += (before - self.missing.len()) as u64;
    }

    /// When to call [`Self::poll`] again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.filter(|_| !self.missing.is_empty())
    }

    /// Packets waited for.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> NackStats {
        self.stats
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        self.missing
            .binary_search_by_key(&number, |missing| missing.number)
    }

    /// A quarter above the RTT, so that an answer on its way is not asked for again.
    fn retry_interval(&self) -> Duration {
        (self.rtt + self.rtt / 4).clamp(MIN_RETRY, self.config.max_age.max(MIN_RETRY))
    }
}

/// On a LAN the RTT is less than what the other end takes to answer.
const MIN_RETRY: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::super::testing::base;
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn poll(generator: &mut NackGenerator, now: Instant) -> Vec<u16> {
        let mut lost = Vec::with_capacity(512);
        generator.poll(now, &mut lost);
        lost.into_iter().map(|sequence| sequence.0).collect()
    }

    /// A gap over the wrap is asked for once patience ends, again after an RTT and a quarter, at
    /// most five times; what arrives is not asked for again.
    #[test]
    fn paced_and_bounded() {
        let start = base();
        let mut generator = NackGenerator::new(NackConfig::default());
        generator.set_rtt(ms(40));
        generator.on_packet(start, SequenceNumber(65_534));
        generator.on_packet(start, SequenceNumber(2));
        assert_eq!(poll(&mut generator, start), [0u16; 0]);
        assert_eq!(generator.poll_timeout(), Some(start + ms(5)));
        assert_eq!(poll(&mut generator, start + ms(5)), [65_535, 0, 1]);
        assert_eq!(poll(&mut generator, start + ms(54)), [0u16; 0]);
        generator.on_packet(start + ms(54), SequenceNumber(0));
        assert_eq!(poll(&mut generator, start + ms(55)), [65_535, 1]);
        let mut requests = 0;
        for at in 56..3000 {
            requests += poll(&mut generator, start + ms(at)).len();
        }
        assert_eq!(requests, 2 * 3);
        assert_eq!((generator.missing(), generator.poll_timeout()), (0, None));
        assert_eq!(
            generator.stats(),
            NackStats {
                missing: 3,
                requested: 3 + 2 + 6,
                recovered: 1,
                given_up: 2
            }
        );
    }

    /// Reordering within the patience costs no request.
    #[test]
    fn reordering_is_not_loss() {
        let start = base();
        let mut generator = NackGenerator::new(NackConfig::default());
        for (at, sequence) in [(0, 1), (1, 3), (2, 2), (3, 4)] {
            generator.on_packet(start + ms(at), SequenceNumber(sequence));
        }
        assert_eq!(poll(&mut generator, start + ms(100)), [0u16; 0]);
    }

    /// With a long RTT time is what ends the requests, and a jump of half the number space neither
    /// grows the list nor takes long.
    #[test]
    fn bounded_by_time_and_number() {
        let start = base();
        let mut generator = NackGenerator::new(NackConfig::default());
        generator.set_rtt(ms(700));
        generator.on_packet(start, SequenceNumber(0));
        generator.on_packet(start, SequenceNumber(2));
        let requests = (0..2000)
            .filter(|at| !poll(&mut generator, start + ms(*at)).is_empty())
            .count();
        assert_eq!(requests, 2);
        for round in 0..100u16 {
            generator.on_packet(start, SequenceNumber(round.wrapping_mul(32_767)));
            assert!(generator.missing() <= 512);
        }
        assert!(poll(&mut generator, start + ms(5)).len() <= 512);
    }
}
