//! The anti-replay window (RFC 6347 section 4.1.2.6), as a ring of words: O(1) but for a jump, and
//! then at most one pass over the ring.

/// Which of the last [`Window::SIZE`] record numbers were opened.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The next number that nothing was opened at or above: highest + 1.
    end: u64,
    words: [u64; WORDS],
}

impl Window {
    /// Numbers remembered below the highest one. A batch of 64 GSO segments in several lanes can
    /// overtake another by hundreds of records; 64, the RFC's default, loses data then.
    pub(crate) const SIZE: u64 = ((WORDS - 1) * 64) as u64;

    pub(crate) fn new() -> Self {
        Self {
            end: 0,
            words: [0; WORDS],
        }
    }

    /// Whether this number may still be opened. Changes nothing: the number is not authentic yet.
    pub(crate) fn is_fresh(&self, sequence: u64) -> bool {
        if sequence >= self.end {
            return true;
        }
        self.end - sequence <= Self::SIZE && self.words[word(sequence)] & bit(sequence) == 0
    }

    /// Marks a number as opened. Only after authentication, else a forged number moves the window.
    pub(crate) fn accept(&mut self, sequence: u64) {
        if sequence >= self.end {
            // The words that the window enters hold marks from a whole turn ago.
            let steps = (sequence / 64).saturating_sub(self.end.saturating_sub(1) / 64);
            for step in 0..steps.min(WORDS as u64) {
                self.words[word(sequence - step * 64)] = 0;
            }
            self.end = sequence + 1;
        }
        self.words[word(sequence)] |= bit(sequence);
    }
}

fn word(sequence: u64) -> usize {
    // The remainder is below WORDS, which fits.
    (sequence / 64 % WORDS as u64) as usize
}

fn bit(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

/// One word more than the window, so that the partly used oldest word never aliases the newest.
const WORDS: usize = 33;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The window against a plain set, over a walk with small steps, duplicates and long jumps.
    #[test]
    fn agrees_with_a_set() {
        let mut window = Window::new();
        let mut seen = HashSet::new();
        let mut highest = 0u64;
        let mut x = 1u64;
        for _ in 0..200_000 {
            x = x
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let r = x >> 33;
            let sequence = match r % 100 {
                0 => highest + r % 10_000,
                1..60 => highest + r % 4,
                _ => highest.saturating_sub(r % 3_000),
            };
            let expected = !seen.contains(&sequence)
                && (sequence > highest || highest + 1 - sequence <= Window::SIZE);
            assert_eq!(
                window.is_fresh(sequence),
                expected,
                "{sequence} at {highest}"
            );
            if expected {
                window.accept(sequence);
                seen.insert(sequence);
                highest = highest.max(sequence);
            }
        }
        const { assert!(Window::SIZE >= 1024) };
    }
}
