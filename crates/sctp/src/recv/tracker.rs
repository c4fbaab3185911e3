//! Which TSNs have been received (RFC 9260 §6.2, §6.2.1): a cumulative TSN and, beyond it, a ring
//! of bits.
//!
//! While nothing is missing the ring is not touched. It spans what a SACK can name, 65,535 TSNs, in
//! at most 8 KiB, and grows only as far as the gaps reach.

use smallvec::SmallVec;

use crate::serial::Tsn;
use crate::wire::{GapBlock, MAX_DUPLICATES};

/// The received TSNs.
#[derive(Debug)]
pub(super) struct Tracker {
    /// Everything up to here was received or skipped.
    cumulative: Tsn,
    /// The newest received; `cumulative` if nothing is missing.
    highest: Tsn,
    /// Bit `tsn % bits` of those after `cumulative`; all others are zero.
    ring: Vec<u64>,
    /// How often the cumulative TSN passed the whole number space, so that TSNs have an order.
    epoch: u32,
    duplicates: SmallVec<[Tsn; 4]>,
}

/// What a TSN is to what was received before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The one after the cumulative TSN.
    InOrder,
    /// Ahead of it, at or before the newest one: it fills a gap.
    InGap,
    /// Newer than any.
    Ahead,
    /// Received before.
    Duplicate,
    /// Further ahead than a SACK can name.
    OutOfWindow,
}

impl Tracker {
    pub(super) fn new(initial_tsn: Tsn) -> Self {
        Self {
            cumulative: initial_tsn.previous(),
            highest: initial_tsn.previous(),
            ring: Vec::new(),
            // Starts at one, since the cumulative TSN starts before the first.
            epoch: 1,
            duplicates: SmallVec::new(),
        }
    }

    pub(super) fn cumulative(&self) -> Tsn {
        self.cumulative
    }

    /// The cumulative TSN as a number that never wraps.
    pub(super) fn position(&self) -> u64 {
        u64::from(self.epoch) << 32 | u64::from(self.cumulative.0)
    }

    /// The same for any TSN that is not a duplicate or out of the window.
    #[inline]
    pub(super) fn position_of(&self, tsn: Tsn) -> u64 {
        self.position() + u64::from(tsn.distance_from(self.cumulative))
    }

    pub(super) fn highest(&self) -> Tsn {
        self.highest
    }

    /// Whether TSNs are missing before the newest one.
    #[inline]
    pub(super) fn has_gaps(&self) -> bool {
        self.highest != self.cumulative
    }

    /// What `tsn` is. Changes nothing.
    #[inline]
    pub(super) fn classify(&self, tsn: Tsn) -> Arrival {
        let ahead = tsn.distance_from(self.cumulative);
        if ahead == 1 {
            Arrival::InOrder
        } else if ahead > WINDOW {
            if tsn.is_newer_than(self.cumulative) {
                Arrival::OutOfWindow
            } else {
                Arrival::Duplicate
            }
        } else if tsn.is_newer_than(self.highest) {
            Arrival::Ahead
        } else if ahead == 0 || self.bit(tsn) {
            Arrival::Duplicate
        } else {
            Arrival::InGap
        }
    }

    /// Takes a TSN that [`Tracker::classify`] found in the window and not received.
    #[inline]
    pub(super) fn record(&mut self, tsn: Tsn) {
        if tsn == self.cumulative.next() {
            if self.has_gaps() {
                self.advance_over_received(tsn);
            } else {
                self.step_to(tsn);
                self.highest = tsn;
            }
        } else {
            self.reserve(tsn.distance_from(self.cumulative));
            self.set(tsn);
            if tsn.is_newer_than(self.highest) {
                self.highest = tsn;
            }
        }
    }

    /// Remembers a duplicate for the next SACK.
    pub(super) fn record_duplicate(&mut self, tsn: Tsn) {
        if self.duplicates.len() < MAX_DUPLICATES {
            self.duplicates.push(tsn);
        }
    }

    /// Treats everything up to `tsn` as received (RFC 3758 §3.6). `false` if that is nothing new,
    /// or further ahead than any TSN in flight can be.
    pub(super) fn forward(&mut self, tsn: Tsn) -> bool {
        let ahead = tsn.distance_from(self.cumulative);
        if ahead == 0 || ahead > WINDOW {
            return false;
        }
        if tsn.is_at_least(self.highest) {
            if self.has_gaps() {
                self.ring.fill(0);
            }
            self.step_to(tsn);
            self.highest = tsn;
        } else {
            self.clear_up_to(tsn);
            self.step_to(tsn);
            if self.bit(tsn.next()) {
                self.advance_over_received(tsn.next());
            }
        }
        true
    }

    /// At most `max` gap blocks, the lowest ones.
    pub(super) fn gaps(&self, max: usize) -> SmallVec<[GapBlock; 8]> {
        self.gaps_up_to(self.highest, max)
    }

    /// The same of what is not newer than `limit`, which lies within the newest received.
    pub(super) fn gaps_up_to(&self, limit: Tsn, max: usize) -> SmallVec<[GapBlock; 8]> {
        let mut gaps = SmallVec::new();
        let span = limit.distance_from(self.cumulative);
        // Bit by bit only at the edges of blocks: each search skips words.
        let mut from = 1;
        while from <= span && gaps.len() < max {
            let Some(start) = self.next_bit(from, span, true) else {
                break;
            };
            let end = self.next_bit(start, span, false).unwrap_or(span + 1) - 1;
            gaps.push(GapBlock {
                start: offset(start),
                end: offset(end),
            });
            from = end + 2;
        }
        gaps
    }

    /// The duplicates since the last call, at most `max` of them; the others are forgotten.
    pub(super) fn take_duplicates(&mut self, max: usize) -> SmallVec<[Tsn; 4]> {
        let mut duplicates = std::mem::take(&mut self.duplicates);
        duplicates.truncate(max);
        duplicates
    }

    /// Offset of the first bit of value `value` from offset `from` to offset `to`, both included.
    fn next_bit(&self, from: u32, to: u32, value: bool) -> Option<u32> {
        let mut at = from;
        while at <= to {
            let bit = self.index(self.cumulative.plus(at));
            let word = self.ring[bit / BITS];
            let word = if value { word } else { !word } >> (bit % BITS);
            if word != 0 {
                let found = at + word.trailing_zeros();
                return (found <= to).then_some(found);
            }
            at += u32::try_from(BITS - bit % BITS).expect("at most 64");
        }
        None
    }

    /// Moves the cumulative TSN to `tsn` and over all that was received behind it, clearing bits.
    fn advance_over_received(&mut self, tsn: Tsn) {
        self.clear(tsn);
        let mut last = tsn;
        while last != self.highest {
            let next = self.index(last.next());
            let (word, shift) = (next / BITS, next % BITS);
            let run = (self.ring[word] >> shift).trailing_ones();
            if run == 0 {
                break;
            }
            let mask = if run == u64::BITS {
                u64::MAX
            } else {
                ((1 << run) - 1) << shift
            };
            self.ring[word] &= !mask;
            last = last.plus(run);
        }
        self.step_to(last);
    }

    fn step_to(&mut self, tsn: Tsn) {
        self.epoch += u32::from(tsn.0 < self.cumulative.0);
        self.cumulative = tsn;
    }

    /// Clears the bits after the cumulative TSN up to `tsn`, a word at a time.
    fn clear_up_to(&mut self, tsn: Tsn) {
        let mut at = 1;
        let to = tsn.distance_from(self.cumulative);
        while at <= to {
            let bit = self.index(self.cumulative.plus(at));
            let shift = bit % BITS;
            let count = u32::try_from(BITS - shift)
                .expect("at most 64")
                .min(to - at + 1);
            let mask = if count == u64::BITS {
                u64::MAX
            } else {
                ((1 << count) - 1) << shift
            };
            self.ring[bit / BITS] &= !mask;
            at += count;
        }
    }

    /// Gives the ring back if nothing is missing.
    pub(super) fn shrink(&mut self) {
        if !self.has_gaps() {
            self.ring = Vec::new();
        }
    }

    /// Grows the ring so that it holds `ahead` TSNs after the cumulative one.
    fn reserve(&mut self, ahead: u32) {
        let bits = (ahead as usize)
            .next_power_of_two()
            .clamp(MIN_BITS, MAX_BITS);
        if bits <= self.ring.len() * BITS {
            return;
        }
        // Bits move, since their place is the TSN modulo the size.
        let old = std::mem::replace(&mut self.ring, vec![0; bits / BITS]);
        let old_bits = old.len() * BITS;
        for ahead in 1..=self.highest.distance_from(self.cumulative) {
            let tsn = self.cumulative.plus(ahead);
            let bit = tsn.0 as usize & (old_bits - 1);
            if old[bit / BITS] >> (bit % BITS) & 1 == 1 {
                self.set(tsn);
            }
        }
    }

    #[inline]
    fn bit(&self, tsn: Tsn) -> bool {
        if self.ring.is_empty() {
            return false;
        }
        let bit = self.index(tsn);
        self.ring[bit / BITS] >> (bit % BITS) & 1 == 1
    }

    fn set(&mut self, tsn: Tsn) {
        let bit = self.index(tsn);
        self.ring[bit / BITS] |= 1 << (bit % BITS);
    }

    fn clear(&mut self, tsn: Tsn) {
        let bit = self.index(tsn);
        self.ring[bit / BITS] &= !(1 << (bit % BITS));
    }

    /// Place in the ring, which is not empty and a power of two long.
    #[inline]
    fn index(&self, tsn: Tsn) -> usize {
        tsn.0 as usize & (self.ring.len() * BITS - 1)
    }
}

fn offset(ahead: u32) -> u16 {
    u16::try_from(ahead).expect("the window ends at what 16 bits can name")
}

const BITS: usize = u64::BITS as usize;

/// TSNs after the cumulative one that are accepted: what the 16-bit offsets of a gap block name.
const WINDOW: u32 = 65_535;

/// A first loss at moderate rates fits without growing.
const MIN_BITS: usize = 512;
const MAX_BITS: usize = 65_536;
