//! Stream ids: which channel uses one, and which one is the next to use (RFC 8832 §6).

/// The DTLS role of this end. It decides who picks even and who picks odd stream ids, so that
/// both ends can open channels at the same time (RFC 8832 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// DTLS client: even ids.
    Client,
    /// DTLS server: odd ids.
    Server,
}

impl Role {
    /// The role of the other end.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Whether an end of this role may pick `id` for an in-band channel.
    pub fn picks(self, id: u16) -> bool {
        id % 2 == self.parity()
    }

    fn parity(self) -> u16 {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

/// Who uses a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamUse {
    Free,
    /// The channel in this slot of the slab.
    Channel(u32),
    /// Its reset failed, so the two ends may disagree about its sequence numbers: never again.
    Retired,
}

/// Stream id → use. A page of 256 ids is allocated when the first of them is used.
#[derive(Debug)]
pub(crate) struct StreamTable {
    pages: Vec<Option<Box<[u32; PAGE]>>>,
}

impl StreamTable {
    pub(crate) fn new() -> Self {
        Self { pages: Vec::new() }
    }

    pub(crate) fn usage(&self, id: u16) -> StreamUse {
        let (page, entry) = split(id);
        match self
            .pages
            .get(page)
            .and_then(Option::as_ref)
            .map_or(FREE, |page| page[entry])
        {
            FREE => StreamUse::Free,
            RETIRED => StreamUse::Retired,
            slot => StreamUse::Channel(slot - FIRST_SLOT),
        }
    }

    pub(crate) fn set(&mut self, id: u16, usage: StreamUse) {
        let value = match usage {
            StreamUse::Free => FREE,
            StreamUse::Retired => RETIRED,
            StreamUse::Channel(slot) => slot + FIRST_SLOT,
        };
        let (page, entry) = split(id);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        self.pages[page].get_or_insert_with(|| Box::new([FREE; PAGE]))[entry] = value;
    }
}

/// The ids of one parity that are in use: a bitmap with a summary above it, so that the lowest
/// free id is found by looking at 8 + 1 words, however many channels are open.
#[derive(Debug)]
pub(crate) struct IdPool {
    role: Role,
    /// Bit n of word w: id 2 × (64 w + n) + parity is in use. Grown as needed.
    words: Vec<u64>,
    /// Bit n of word w: all ids of `words[64 w + n]` are in use.
    full: [u64; 8],
}

impl IdPool {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            words: Vec::new(),
            full: [0; 8],
        }
    }

    /// The lowest id below `streams` that is not in use.
    pub(crate) fn lowest_free(&self, streams: u16) -> Option<u16> {
        let (summary, bits) = self
            .full
            .iter()
            .enumerate()
            .find(|(_, bits)| **bits != u64::MAX)?;
        let word = summary * 64 + bits.trailing_ones() as usize;
        let bit = self.words.get(word).map_or(0, |word| word.trailing_ones()) as usize;
        let id = u16::try_from((word * 64 + bit) * 2).ok()? + self.role.parity();
        (id < streams).then_some(id)
    }

    /// Marks `id`; ids of the other parity are not ours to pick and need no mark.
    pub(crate) fn set_used(&mut self, id: u16, used: bool) {
        if !self.role.picks(id) {
            return;
        }
        let (word, bit) = (usize::from(id) / 128, usize::from(id) / 2 % 64);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let summary = 1u64 << (word % 64);
        if used {
            self.words[word] |= 1 << bit;
            if self.words[word] == u64::MAX {
                self.full[word / 64] |= summary;
            }
        } else {
            self.words[word] &= !(1 << bit);
            self.full[word / 64] &= !summary;
        }
    }
}

fn split(id: u16) -> (usize, usize) {
    (usize::from(id) / PAGE, usize::from(id) % PAGE)
}

/// The id that no stream can have: 65,535 streams are numbered from 0 (RFC 8832 §5, W3C).
pub(crate) const RESERVED_ID: u16 = u16::MAX;

const PAGE: usize = 256;
const FREE: u32 = 0;
const RETIRED: u32 = 1;
const FIRST_SLOT: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u16 = u16::MAX;

    #[test]
    fn each_role_hands_out_all_ids_of_its_parity_once_and_in_order() {
        for (role, last) in [(Role::Client, 65_534), (Role::Server, 65_533)] {
            let mut pool = IdPool::new(role);
            let mut expected = role.parity();
            while let Some(id) = pool.lowest_free(ALL) {
                assert_eq!(id, expected);
                pool.set_used(id, true);
                expected = expected.saturating_add(2);
                if id == last {
                    assert_eq!(pool.lowest_free(ALL), None);
                }
            }
            // Together 65,535: every id but the reserved one.
            assert!(pool.lowest_free(ALL).is_none());
            pool.set_used(last, false);
            assert_eq!(pool.lowest_free(ALL), Some(last));
            pool.set_used(role.parity(), false);
            assert_eq!(pool.lowest_free(ALL), Some(role.parity()));
        }
    }

    #[test]
    fn ids_beyond_the_negotiated_streams_are_not_handed_out() {
        let mut pool = IdPool::new(Role::Server);
        assert_eq!(pool.lowest_free(1), None);
        assert_eq!(pool.lowest_free(2), Some(1));
        pool.set_used(1, true);
        assert_eq!(pool.lowest_free(3), None);
        assert_eq!(pool.lowest_free(4), Some(3));
    }

    #[test]
    fn ids_of_the_other_parity_do_not_disturb_the_pool() {
        let mut pool = IdPool::new(Role::Client);
        for id in (1..=1_001).step_by(2) {
            pool.set_used(id, true);
        }
        assert_eq!(pool.lowest_free(ALL), Some(0));
    }

    #[test]
    fn the_table_keeps_each_id_apart() {
        let mut table = StreamTable::new();
        for id in [0, 1, 255, 256, 65_534] {
            assert_eq!(table.usage(id), StreamUse::Free);
            table.set(id, StreamUse::Channel(u32::from(id) + 7));
        }
        table.set(256, StreamUse::Retired);
        table.set(1, StreamUse::Free);
        assert_eq!(table.usage(0), StreamUse::Channel(7));
        assert_eq!(table.usage(1), StreamUse::Free);
        assert_eq!(table.usage(255), StreamUse::Channel(262));
        assert_eq!(table.usage(256), StreamUse::Retired);
        assert_eq!(table.usage(257), StreamUse::Free);
        assert_eq!(table.usage(65_534), StreamUse::Channel(65_541));
    }
}
