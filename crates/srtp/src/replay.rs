//! The replay window (RFC 3711 section 3.3.2): which indices were used.

/// The last [`ReplayWindow::LEN`] indices, one bit each. Moves only when told to, which is after
/// authentication.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow {
    /// One more than the highest index marked; 0 if none was.
    next: u64,
    /// Bit `index % 64` of word `index / 64 % 32`. Words ahead of `next` are cleared when reached.
    words: [u64; WORDS],
}

/// What the window knows of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    Seen,
    TooOld,
}

impl ReplayWindow {
    /// One word is not counted, since it is cleared as a whole while the window moves through it.
    pub(crate) const LEN: u64 = 64 * (WORDS as u64 - 1);

    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            words: [0; WORDS],
        }
    }

    /// As if everything up to `highest` had been seen.
    pub(crate) fn used_up_to(highest: u64) -> Self {
        let mut words = [u64::MAX; WORDS];
        words[word(highest)] = u64::MAX >> (63 - highest % 64);
        Self {
            next: highest + 1,
            words,
        }
    }

    #[inline]
    pub(crate) fn check(&self, index: u64) -> Verdict {
        if index >= self.next {
            Verdict::New
        } else if self.next - index > Self::LEN {
            Verdict::TooOld
        } else if self.words[word(index)] & bit(index) != 0 {
            Verdict::Seen
        } else {
            Verdict::New
        }
    }

    /// Marks an index that [`Self::check`] called new.
    #[inline]
    pub(crate) fn mark(&mut self, index: u64) {
        if index >= self.next {
            // Nothing was marked beyond the word of the highest index, so begin behind it.
            let reached = self.next.div_ceil(64);
            let entered = (index / 64 + 1).saturating_sub(reached).min(WORDS as u64);
            for step in 0..entered {
                self.words[word((reached + step) * 64)] = 0;
            }
            self.next = index + 1;
        }
        self.words[word(index)] |= bit(index);
    }
}

#[inline]
fn word(index: u64) -> usize {
    (index / 64) as usize % WORDS
}

#[inline]
fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

const WORDS: usize = 32;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const _: () = assert!(ReplayWindow::LEN >= 1024);

    /// A set of indices says what the window must say.
    #[derive(Default)]
    struct Model {
        seen: BTreeSet<u64>,
    }

    impl Model {
        fn check(&self, index: u64) -> Verdict {
            let highest = self.seen.last();
            if highest.is_some_and(|highest| highest + 1 > index + ReplayWindow::LEN) {
                Verdict::TooOld
            } else if self.seen.contains(&index) {
                Verdict::Seen
            } else {
                Verdict::New
            }
        }
    }

    /// A packet accepted twice, or a new one refused, would differ from the model. 10^6 steps in 1,000
    /// sequences of every pace, each checked and marked or only checked (not authentic).
    #[test]
    fn equals_a_reference_model() {
        let mut rng = StdRng::seed_from_u64(3711);
        for _ in 0..1_000 {
            let (mut window, mut model) = (ReplayWindow::new(), Model::default());
            let mut at: u64 = rng.random_range(0..1 << 40);
            let (ahead, behind) =
                [(3, 3), (80, 70), (700, 2_200), (5_000, 5_000)][rng.random_range(0..4usize)];
            for _ in 0..1_000 {
                let index =
                    (at + rng.random_range(0..ahead)).saturating_sub(rng.random_range(0..behind));
                let verdict = window.check(index);
                assert_eq!(verdict, model.check(index));
                if verdict == Verdict::New && rng.random_range(0..8) != 0 {
                    window.mark(index);
                    model.seen.insert(index);
                    at = at.max(index);
                }
            }
        }
    }

    /// 10^6 short sequences around the places where words are cleared.
    #[test]
    fn equals_a_reference_model_on_a_million_short_sequences() {
        let mut rng = StdRng::seed_from_u64(3550);
        let mut window = ReplayWindow::new();
        let mut indices = [0u64; 6];
        for _ in 0..1_000_000 {
            window.next = 0;
            window.words.fill(0);
            let base = rng.random_range(0..4_096u64);
            for at in 0..indices.len() {
                let index = base
                    + [1, 63, 64, 65, 1_983, 1_984, 1_985, 2_048][rng.random_range(0..8usize)]
                        * rng.random_range(0..3u64);
                let seen = &indices[..at];
                let highest = seen.iter().max();
                let expected = if highest.is_some_and(|h| h + 1 > index + ReplayWindow::LEN) {
                    Verdict::TooOld
                } else if seen.contains(&index) {
                    Verdict::Seen
                } else {
                    Verdict::New
                };
                assert_eq!(window.check(index), expected, "{index} after {seen:?}");
                if expected == Verdict::New {
                    window.mark(index);
                    indices[at] = index;
                } else {
                    indices[at] = highest.copied().unwrap_or(index);
                }
            }
        }
    }

    /// A sender's stream that comes back after its state was dropped must not reuse an index.
    #[test]
    fn used_up_to_refuses_everything_before() {
        let mut window = ReplayWindow::used_up_to(70_000);
        for index in [70_000, 69_999, 68_100] {
            assert_eq!(window.check(index), Verdict::Seen);
        }
        assert_eq!(window.check(60_000), Verdict::TooOld);
        window.mark(70_003);
        assert_eq!(window.check(70_003), Verdict::Seen);
        assert_eq!(window.check(70_002), Verdict::New);
        assert_eq!(window.check(70_000), Verdict::Seen);
    }
}
