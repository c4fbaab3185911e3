//! From 16 bits of sequence number to the 48-bit packet index (RFC 3711 section 3.3.1).

/// What is known of a stream's rollover counter. Moves only after authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rollover {
    /// The highest index so far.
    highest: Option<u64>,
    /// What the application says the counter is, until a packet has shown it.
    seeded: Option<u32>,
}

/// Indices that a packet may have, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidates([Option<u64>; Candidates::MAX]);

impl Rollover {
    /// A stream of which this index was the highest.
    pub(crate) fn at(highest: u64) -> Self {
        Self {
            highest: Some(highest),
            seeded: None,
        }
    }

    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// The counter as signalled, e.g. to a receiver that joins late.
    pub(crate) fn seed(&mut self, counter: u32) {
        self.seeded = Some(counter);
    }

    /// The index of a packet; `None` when the counter is at its end.
    #[inline]
    pub(crate) fn estimate(&self, sequence: u16) -> Option<u64> {
        match (self.seeded, self.highest) {
            (Some(counter), _) => Some(index(counter, sequence)),
            (None, Some(highest)) => nearest(highest, sequence),
            (None, None) => Some(index(0, sequence)),
        }
    }

    /// The index that was authenticated, or used.
    #[inline]
    pub(crate) fn accept(&mut self, index: u64) {
        self.highest = self.highest.max(Some(index));
        self.seeded = None;
    }

    /// The index of a received packet, where there is no doubt about it.
    #[inline]
    pub(crate) fn certain(&self, sequence: u16) -> Option<u64> {
        let (None, Some(highest)) = (self.seeded, self.highest) else {
            return None;
        };
        nearest(highest, sequence).filter(|index| index.abs_diff(highest) < NEAR)
    }

    /// What to try on a received packet otherwise.
    pub(crate) fn candidates(&self, sequence: u16) -> Candidates {
        let estimate = self.estimate(sequence);
        match (self.seeded, self.highest) {
            (None, Some(_)) => Candidates([estimate, next_round(estimate), None, None]),
            (Some(counter), highest) => {
                let before = counter.checked_sub(1).map(|c| index(c, sequence));
                // The seed may be wrong about a stream that runs.
                let running = highest.and_then(|highest| nearest(highest, sequence));
                Candidates([estimate, next_round(estimate), before, running])
            }
            (None, None) => Self::candidates_of_new_stream(sequence),
        }
    }

    /// The first packets may be lost, and the counter turn in between. Seen from the second half of the
    /// sequence numbers that would be a loss of 2^15 packets: not worth a second try on every forgery.
    pub(crate) fn candidates_of_new_stream(sequence: u16) -> Candidates {
        let late = (sequence < HALF).then(|| index(1, sequence));
        Candidates([Some(index(0, sequence)), late, None, None])
    }
}

impl Candidates {
    pub(crate) const MAX: usize = 4;

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.into_iter().flatten()
    }
}

/// The index closest to the highest one, with the boundaries of section 3.3.1; before the first
/// rollover nothing lies behind 0.
#[inline]
fn nearest(highest: u64, sequence: u16) -> Option<u64> {
    let (round, last) = (highest >> 16, highest as u16);
    let round = if last < HALF {
        if i32::from(sequence) - i32::from(last) > i32::from(HALF) {
            round.saturating_sub(1)
        } else {
            round
        }
    } else if last - HALF > sequence {
        round + 1
    } else {
        round
    };
    (round <= u64::from(u32::MAX)).then_some(round << 16 | u64::from(sequence))
}

fn index(counter: u32, sequence: u16) -> u64 {
    u64::from(counter) << 16 | u64::from(sequence)
}

fn next_round(index: Option<u64>) -> Option<u64> {
    index.map(|at| at + (1 << 16)).filter(|at| at >> 48 == 0)
}

/// The median of section 3.3.1.
const HALF: u16 = 0x8000;
/// After a loss of more than 2^15 packets the estimate is one round too low. Where it then falls is
/// arbitrary, and moves on with the packets; so packets this close to the highest are taken at their
/// word, and cost one try, and those further away may be of the next round.
const NEAR: u64 = 1_984;

#[cfg(test)]
mod tests {
    use super::*;

    fn first(rollover: &Rollover, sequence: u16) -> Option<u64> {
        let candidates: Vec<_> = rollover.candidates(sequence).iter().collect();
        assert_eq!(candidates.first().copied(), rollover.estimate(sequence));
        candidates.first().copied()
    }

    /// Section 3.3.1, appendix A as written, over both halves and both boundaries.
    #[test]
    fn estimates_as_the_appendix_does() {
        for last in (0..=0xffffu16).step_by(257).chain([0x7fff, 0x8000, 0x8001]) {
            for sequence in (0..=0xffffu16)
                .step_by(251)
                .chain([0, 0x7fff, 0x8000, 0x8001, 0xffff])
            {
                let counter = 5i64;
                let (s_l, seq) = (i64::from(last), i64::from(sequence));
                let v = if s_l < 32_768 {
                    if seq - s_l > 32_768 {
                        counter - 1
                    } else {
                        counter
                    }
                } else if s_l - 32_768 > seq {
                    counter + 1
                } else {
                    counter
                };
                let rollover = Rollover::at(index(5, last));
                assert_eq!(first(&rollover, sequence), Some(index(v as u32, sequence)));
            }
        }
    }

    /// Nothing is behind the first packet's round.
    #[test]
    fn nothing_lies_before_round_zero() {
        assert_eq!(Rollover::at(10).estimate(60_000), Some(60_000));
        assert_eq!(Rollover::default().estimate(60_000), Some(60_000));
    }

    /// The counter ends at 2^32 - 1 instead of beginning again with used nonces.
    #[test]
    fn the_counter_never_wraps() {
        let rollover = Rollover::at(index(u32::MAX, 0xffff));
        assert_eq!(rollover.estimate(0), None);
        assert_eq!(rollover.candidates(0).iter().count(), 0);
        let far = Rollover::at(index(u32::MAX, 0)).candidates(0x7000);
        assert_eq!(far.iter().count(), 1);
    }

    /// What a late or interrupted receiver tries, and that an ordinary packet costs one try.
    #[test]
    fn tries_one_round_more_only_when_in_doubt() {
        let tries = |rollover: &Rollover, sequence| -> Vec<u64> {
            match rollover.certain(sequence) {
                Some(index) => vec![index >> 16],
                None => (rollover.candidates(sequence).iter())
                    .map(|at| at >> 16)
                    .collect(),
            }
        };
        assert_eq!(tries(&Rollover::default(), 100), [0, 1]);
        assert_eq!(tries(&Rollover::default(), 40_000), [0]);
        let running = Rollover::at(index(3, 30_000));
        assert_eq!(tries(&running, 30_001), [3]);
        assert_eq!(tries(&running, 29_000), [3]);
        assert_eq!(tries(&running, 20_000), [3, 4]);
        let mut seeded = running;
        seeded.seed(9);
        assert_eq!(tries(&seeded, 1), [9, 10, 8, 3]);
        seeded.accept(index(10, 1));
        assert_eq!(tries(&seeded, 2), [10]);
        assert_eq!(seeded.highest(), Some(index(10, 1)));
    }
}
