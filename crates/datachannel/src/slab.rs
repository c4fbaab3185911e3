//! Channels by [`ChannelKey`]: an index and the generation of its slot.

/// Names a channel of a [`Session`](crate::Session) from `open` (or
/// [`SessionEvent::Incoming`](crate::SessionEvent::Incoming)) to
/// [`SessionEvent::Closed`](crate::SessionEvent::Closed), before its stream id is known too.
///
/// A key outlives its channel safely: the next channel in the same slot has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelKey {
    index: u32,
    generation: u32,
}

impl ChannelKey {
    /// Index of the slot: small, dense and reused. Handy as an index into the caller's own table.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> ChannelKey {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.value = Some(value);
            return ChannelKey {
                index,
                generation: slot.generation,
            };
        }
        let index = u32::try_from(self.slots.len())
            .expect("the session holds fewer than 2^17 channels, see Limits");
        self.slots.push(Slot {
            generation: 0,
            value: Some(value),
        });
        ChannelKey {
            index,
            generation: 0,
        }
    }

    pub(crate) fn remove(&mut self, key: ChannelKey) -> Option<T> {
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    pub(crate) fn channel(&self, key: ChannelKey) -> Option<&T> {
        let slot = self.slots.get(key.index())?;
        if slot.generation == key.generation {
            slot.value.as_ref()
        } else {
            None
        }
    }

    pub(crate) fn channel_mut(&mut self, key: ChannelKey) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation == key.generation {
            slot.value.as_mut()
        } else {
            None
        }
    }

    /// The key of the channel in slot `index`.
    pub(crate) fn key_at(&self, index: u32) -> Option<ChannelKey> {
        let slot = self.slots.get(index as usize)?;
        slot.value.as_ref().map(|_| ChannelKey {
            index,
            generation: slot.generation,
        })
    }

    /// Every key, in slot order.
    pub(crate) fn keys(&self) -> Vec<ChannelKey> {
        (0u32..)
            .take(self.slots.len())
            .filter_map(|index| self.key_at(index))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_does_not_reach_the_next_channel_in_its_slot() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(first.index(), second.index());
        assert_eq!(slab.channel(first), None);
        assert_eq!(slab.channel_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.channel(second), Some(&'b'));
        assert_eq!(slab.key_at(0), Some(second));
    }

    #[test]
    fn slots_are_reused_before_the_slab_grows() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..100).map(|n| slab.insert(n)).collect();
        for key in &keys {
            slab.remove(*key);
        }
        assert_eq!(slab.len(), 0);
        for n in 0..100 {
            assert!(slab.insert(n).index() < 100);
        }
        assert_eq!(slab.keys().len(), 100);
    }

    #[test]
    fn a_generation_that_wraps_stays_usable() {
        let mut slab = Slab {
            slots: vec![Slot {
                generation: u32::MAX,
                value: Some(()),
            }],
            free: vec![],
        };
        let last = slab.key_at(0).unwrap();
        assert_eq!(slab.remove(last), Some(()));
        let next = slab.insert(());
        assert_eq!(next.generation, 0);
        assert_eq!(slab.channel(last), None);
    }
}
