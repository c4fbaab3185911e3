//! When slow start is over though nothing was lost: HyStart++ (RFC 9406).
//!
//! Packets are paced or few, so the limit L of §4.2 on growth by one acknowledgement is infinite.

/// The state of the initial slow start.
#[derive(Debug)]
pub(super) struct HyStart {
    /// Shortest sample of this round and of the last one, in nanoseconds.
    current: u64,
    last: u64,
    samples: u32,
    conservative: Option<Conservative>,
}

/// Conservative slow start.
#[derive(Debug, Clone, Copy)]
struct Conservative {
    /// The round trip that made it begin.
    baseline: u64,
    rounds: u32,
}

/// What slow start does with a SACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// By what was acknowledged.
    Exponential,
    /// By a quarter of it: the queue may have begun to fill.
    Conservative,
    /// It is over.
    Done,
}

impl HyStart {
    pub(super) fn new() -> Self {
        Self {
            current: u64::MAX,
            last: u64::MAX,
            samples: 0,
            conservative: None,
        }
    }

    pub(super) fn is_conservative(&self) -> bool {
        self.conservative.is_some()
    }

    /// A SACK with a sample of the round trip or none; it began a new round if `round`.
    pub(super) fn on_acked(&mut self, rtt: Option<u64>, round: bool) -> Growth {
        if round {
            self.last = self.current;
            self.current = u64::MAX;
            self.samples = 0;
            if let Some(css) = &mut self.conservative {
                css.rounds += 1;
                if css.rounds >= CSS_ROUNDS {
                    return Growth::Done;
                }
            }
        }
        if let Some(rtt) = rtt {
            self.current = self.current.min(rtt);
            self.samples += 1;
        }
        if self.samples < RTT_SAMPLES {
            return self.growth();
        }
        match self.conservative {
            None if self.last != u64::MAX => {
                let threshold =
                    (self.last / RTT_DIVISOR).clamp(MIN_RTT_THRESHOLD, MAX_RTT_THRESHOLD);
                if self.current >= self.last.saturating_add(threshold) {
                    self.conservative = Some(Conservative {
                        baseline: self.current,
                        rounds: 0,
                    });
                }
            }
            // It was jitter.
            Some(css) if self.current < css.baseline => self.conservative = None,
            None | Some(_) => {}
        }
        self.growth()
    }

    fn growth(&self) -> Growth {
        match self.conservative {
            None => Growth::Exponential,
            Some(_) => Growth::Conservative,
        }
    }
}

/// §4.3.
const MIN_RTT_THRESHOLD: u64 = 4_000_000;
const MAX_RTT_THRESHOLD: u64 = 16_000_000;
const RTT_DIVISOR: u64 = 8;
const RTT_SAMPLES: u32 = 8;
pub(super) const CSS_GROWTH_DIVISOR: usize = 4;
const CSS_ROUNDS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn round(hystart: &mut HyStart, rtt: u64) -> Growth {
        let mut growth = hystart.on_acked(Some(rtt), true);
        for _ in 1..10 {
            growth = match growth {
                Growth::Done => return growth,
                Growth::Exponential | Growth::Conservative => hystart.on_acked(Some(rtt), false),
            };
        }
        growth
    }

    /// §4.2: a round trip that grows by an eighth ends the doubling; five rounds later it is over.
    #[test]
    fn a_filling_queue_ends_slow_start() {
        let mut hystart = HyStart::new();
        assert_eq!(round(&mut hystart, 80 * MS), Growth::Exponential);
        assert_eq!(round(&mut hystart, 89 * MS), Growth::Exponential);
        for _ in 0..5 {
            assert_eq!(round(&mut hystart, 101 * MS), Growth::Conservative);
        }
        assert_eq!(round(&mut hystart, 101 * MS), Growth::Done);
    }

    /// §4.2: the round trip shrinks again, so it was not the queue.
    #[test]
    fn jitter_does_not() {
        let mut hystart = HyStart::new();
        round(&mut hystart, 80 * MS);
        assert_eq!(round(&mut hystart, 95 * MS), Growth::Conservative);
        assert_eq!(round(&mut hystart, 80 * MS), Growth::Exponential);
    }

    /// A few samples, or a change of less than four milliseconds, say nothing.
    #[test]
    fn little_evidence_changes_nothing() {
        let mut hystart = HyStart::new();
        round(&mut hystart, MS / 10);
        assert_eq!(round(&mut hystart, 3 * MS), Growth::Exponential);
        assert_eq!(hystart.on_acked(Some(90 * MS), true), Growth::Exponential);
    }
}
