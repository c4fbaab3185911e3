//! Values at stable small keys, so that queues and the outstanding ring hold four bytes a reference.

/// Keys are reused; the owner of a key knows when its value is gone.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Used(T),
    /// The next free slot, or [`NONE`].
    Free(u32),
}

/// No key. The slab never holds that many values.
pub(crate) const NONE: u32 = u32::MAX;

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let key = self.free;
        match self.slots.get_mut(key as usize) {
            Some(slot) => {
                if let Slot::Free(next) = *slot {
                    self.free = next;
                }
                *slot = Slot::Used(value);
                key
            }
            None => {
                self.slots.push(Slot::Used(value));
                (self.slots.len() - 1) as u32
            }
        }
    }

    pub(crate) fn remove(&mut self, key: u32) -> Option<T> {
        let slot = self.slots.get_mut(key as usize)?;
        if matches!(slot, Slot::Free(_)) {
            return None;
        }
        self.len -= 1;
        match std::mem::replace(slot, Slot::Free(self.free)) {
            Slot::Used(value) => {
                self.free = key;
                Some(value)
            }
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        match self.slots.get(key as usize)? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        match self.slots.get_mut(key as usize)? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// Gives the memory of free slots back, if all are free: the others keep their keys.
    pub(crate) fn shrink(&mut self) {
        if self.len == 0 {
            *self = Self::new();
        }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> + '_ {
        self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        })
    }

    /// Removes everything, handing each value out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.free = NONE;
        self.len = 0;
        self.slots.drain(..).filter_map(|slot| match slot {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A freed key comes back first, and stale keys read as absent.
    #[test]
    fn keys_are_reused_last_freed_first() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.remove(b), Some('b'));
        assert_eq!(
            (slab.insert('c'), slab.insert('d'), slab.insert('e')),
            (b, a, 2)
        );
        assert_eq!(slab.len(), 3);
        slab.shrink();
        assert_eq!(slab.get(2), Some(&'e'), "in use, nothing moves");
        assert_eq!(slab.drain().collect::<String>(), "dce");
        assert_eq!(slab.insert('f'), 0);
        slab.remove(0);
        slab.shrink();
        assert_eq!((slab.slots.capacity(), slab.insert('g')), (0, 0));
    }
}
