//! What is remembered per SSRC: bounded, the least recently used leaves, every operation O(1).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by SSRC whose entries are linked from the most to the least recently used.
#[derive(Debug)]
pub(crate) struct SsrcTable<T> {
    slots: HashMap<u32, u32, BuildHasherDefault<SsrcHasher>>,
    entries: Vec<Entry<T>>,
    /// Slots by a few bits of the SSRC: the handful of streams that a session has are found here.
    recent: [u32; RECENT],
    newest: u32,
    oldest: u32,
    max: usize,
}

/// Where an entry is; valid until the next insertion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot(u32);

#[derive(Debug)]
struct Entry<T> {
    ssrc: u32,
    newer: u32,
    older: u32,
    value: T,
}

impl<T> SsrcTable<T> {
    /// Grows up to `max` entries, at least one.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            slots: HashMap::default(),
            entries: Vec::new(),
            recent: [NONE; RECENT],
            newest: NONE,
            oldest: NONE,
            // Slots are 32 bits.
            max: max.clamp(1, NONE as usize),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Looks without marking as used: anybody can make us look.
    #[inline]
    pub(crate) fn find(&self, ssrc: u32) -> Option<Slot> {
        let slot = self.recent[bucket(ssrc)];
        match self.entries.get(slot as usize) {
            Some(entry) if entry.ssrc == ssrc => Some(Slot(slot)),
            Some(_) | None => self.slots.get(&ssrc).copied().map(Slot),
        }
    }

    #[inline]
    pub(crate) fn at(&self, slot: Slot) -> &T {
        &self.entries[slot.0 as usize].value
    }

    /// The entry, which becomes the most recently used.
    #[inline]
    pub(crate) fn touch(&mut self, slot: Slot) -> &mut T {
        if slot.0 != self.newest {
            self.unlink(slot.0);
            self.link_newest(slot.0);
        }
        &mut self.entries[slot.0 as usize].value
    }

    /// Whether inserting would evict.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.max
    }

    /// What inserting into a full table would evict.
    pub(crate) fn oldest(&self) -> Option<(u32, &T)> {
        let entry = self.entries.get(self.oldest as usize)?;
        Some((entry.ssrc, &entry.value))
    }

    /// Adds an SSRC that is not in the table, as the most recently used.
    pub(crate) fn insert(&mut self, ssrc: u32, value: T) -> Slot {
        let slot = if self.is_full() {
            let slot = self.oldest;
            self.unlink(slot);
            let entry = &mut self.entries[slot as usize];
            self.slots.remove(&entry.ssrc);
            (entry.ssrc, entry.value) = (ssrc, value);
            slot
        } else {
            self.entries.push(Entry {
                ssrc,
                newer: NONE,
                older: NONE,
                value,
            });
            (self.entries.len() - 1) as u32
        };
        self.slots.insert(ssrc, slot);
        self.link_newest(slot);
        Slot(slot)
    }

    fn unlink(&mut self, slot: u32) {
        let Entry { newer, older, .. } = self.entries[slot as usize];
        match self.entries.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, slot: u32) {
        let second = self.newest;
        match self.entries.get_mut(second as usize) {
            Some(entry) => entry.newer = slot,
            None => self.oldest = slot,
        }
        let entry = &mut self.entries[slot as usize];
        (entry.newer, entry.older) = (NONE, second);
        self.newest = slot;
        self.recent[bucket(entry.ssrc)] = slot;
    }
}

/// Multiplies: SSRCs are random, or at worst chosen by a peer that holds our keys and can then make
/// the lookups in a table of this size slow by a few hundred nanoseconds.
#[derive(Default)]
pub(crate) struct SsrcHasher(u64);

impl Hasher for SsrcHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(self.0 as u32 ^ u32::from(byte));
        }
    }

    #[inline]
    fn write_u32(&mut self, ssrc: u32) {
        let product = u64::from(ssrc).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[inline]
fn bucket(ssrc: u32) -> usize {
    (ssrc.wrapping_mul(0x9e37_79b9) >> 28) as usize % RECENT
}

const NONE: u32 = u32::MAX;
const RECENT: usize = 16;

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn order(table: &SsrcTable<u32>) -> Vec<u32> {
        let mut order = Vec::new();
        let mut at = table.newest;
        while let Some(entry) = table.entries.get(at as usize) {
            order.push(entry.ssrc);
            at = entry.older;
        }
        let mut back = Vec::new();
        let mut at = table.oldest;
        while let Some(entry) = table.entries.get(at as usize) {
            back.push(entry.ssrc);
            at = entry.newer;
        }
        back.reverse();
        assert_eq!(order, back, "both directions agree");
        assert_eq!(table.slots.len(), order.len());
        order
    }

    /// A flood of SSRCs must not push out the streams in use.
    #[test]
    fn the_least_recently_used_leaves() {
        let mut table = SsrcTable::new(3);
        for ssrc in [10, 20, 30] {
            table.insert(ssrc, ssrc);
        }
        assert_eq!(order(&table), [30, 20, 10]);
        let slot = table.find(10).unwrap();
        *table.touch(slot) += 1;
        assert_eq!(order(&table), [10, 30, 20]);
        let slot = table.find(30).unwrap();
        table.touch(slot);
        assert_eq!(table.oldest(), Some((20, &20)));
        table.insert(40, 40);
        assert_eq!(order(&table), [40, 30, 10]);
        assert!(table.find(20).is_none());
        let slot = table.find(10).unwrap();
        assert_eq!(*table.at(slot), 11);
        assert_eq!(table.len(), 3);
    }

    /// Shortcuts to recent entries must not outlive them: equal to a plain list, over SSRCs that share
    /// shortcuts and come back after their eviction.
    #[test]
    fn equals_a_plain_list() {
        let mut rng = StdRng::seed_from_u64(9335);
        let mut table = SsrcTable::new(20);
        let mut list: Vec<(u32, u32)> = Vec::new();
        for step in 0..50_000 {
            let ssrc = rng.random_range(0..40);
            let known = list.iter().position(|entry| entry.0 == ssrc);
            let slot = table.find(ssrc);
            assert_eq!(slot.map(|slot| *table.at(slot)), known.map(|at| list[at].1));
            match (slot, known) {
                (Some(slot), Some(at)) => {
                    *table.touch(slot) = step;
                    list.remove(at);
                }
                _ => {
                    table.insert(ssrc, step);
                    list.truncate(19);
                }
            }
            list.insert(0, (ssrc, step));
            assert!(
                order(&table)
                    .into_iter()
                    .eq(list.iter().map(|entry| entry.0))
            );
        }
    }

    /// The table of one entry has no second to link to.
    #[test]
    fn a_table_of_one() {
        let mut table = SsrcTable::new(0);
        for ssrc in 0..5 {
            let slot = table.insert(ssrc, ssrc);
            assert_eq!(*table.touch(slot), ssrc);
            assert_eq!(order(&table), [ssrc]);
        }
    }
}
