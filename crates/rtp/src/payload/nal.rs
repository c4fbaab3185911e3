//! NAL units in Annex B, groups of them in a payload, and parameter sets, of H.264 and H.265.

use smallvec::SmallVec;

/// Annex B start code, written before every NAL unit.
pub(super) const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units between the start codes of `bytes`, without them and without trailing zeros.
/// Bytes before the first start code are not a NAL unit.
pub fn annex_b(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = next_start_code(bytes).map(|at| &bytes[at + 3..]);
    std::iter::from_fn(move || {
        loop {
            let current = rest?;
            let end = next_start_code(current);
            rest = end.map(|at| &current[at + 3..]);
            let unit = &current[..end.unwrap_or(current.len())];
            // Of a start code of four bytes, and `trailing_zero_8bits`.
            let len = unit
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            if len > 0 {
                return Some(&unit[..len]);
            }
        }
    })
}

/// Where `00 00 01` begins.
pub(crate) fn next_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    // Looks at every third byte while that alone says that no start code is near.
    loop {
        match *bytes.get(at)? {
            0 => at += 1,
            1 => {
                if bytes[at - 1] == 0 && bytes[at - 2] == 0 {
                    return Some(at - 2);
                }
                at += 3;
            }
            _ => at += 3,
        }
    }
}

/// Consecutive NAL units that fit one payload together.
pub(super) struct Group<'a> {
    units: [&'a [u8]; MAX_GROUP],
    len: usize,
    /// Bytes of the units with a length of two bytes each.
    bytes: usize,
}

impl<'a> Group<'a> {
    pub(super) const fn new() -> Self {
        Self {
            units: [&[]; MAX_GROUP],
            len: 0,
            bytes: 0,
        }
    }

    pub(super) fn units(&self) -> &[&'a [u8]] {
        &self.units[..self.len]
    }

    /// Takes another unit if that leaves the aggregation payload within `max` bytes.
    pub(super) fn take(&mut self, unit: &'a [u8], header: usize, max: usize) -> bool {
        let bytes = self.bytes + 2 + unit.len();
        let fits = self.len < MAX_GROUP && unit.len() <= 0xffff && header + bytes <= max;
        if fits {
            self.units[self.len] = unit;
            self.len += 1;
            self.bytes = bytes;
        }
        fits
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Gives `with` the payload's parts: a unit alone, or `header` and all of them with lengths.
    pub(super) fn parts(&self, header: &[u8], with: impl FnOnce(&[&[u8]])) {
        if let [unit] = self.units() {
            return with(&[unit]);
        }
        let mut lengths = [[0; 2]; MAX_GROUP];
        for (length, unit) in lengths.iter_mut().zip(self.units()) {
            *length = (unit.len() as u16).to_be_bytes();
        }
        let mut parts: [&[u8]; 1 + 2 * MAX_GROUP] = [&[]; 1 + 2 * MAX_GROUP];
        parts[0] = header;
        for (index, unit) in self.units().iter().enumerate() {
            parts[1 + index * 2] = &lengths[index];
            parts[2 + index * 2] = unit;
        }
        with(&parts[..=self.len * 2]);
    }
}

/// The latest parameter sets, to be put before key frames that come without.
#[derive(Clone, Debug, Default)]
pub(super) struct ParameterSets {
    /// By kind, then id.
    sets: SmallVec<[ParameterSet; 4]>,
    max_len: usize,
}

#[derive(Clone, Debug)]
struct ParameterSet {
    kind: u8,
    id: u32,
    unit: Vec<u8>,
}

impl ParameterSets {
    pub(super) fn new(max_len: usize) -> Self {
        Self {
            sets: SmallVec::new(),
            max_len,
        }
    }

    /// Remembers a set in place of the last one with the same kind and id. Too long or too many
    /// are not remembered.
    pub(super) fn remember(&mut self, kind: u8, id: u32, unit: &[u8]) {
        if unit.len() > self.max_len {
            return;
        }
        match self
            .sets
            .binary_search_by_key(&(kind, id), |set| (set.kind, set.id))
        {
            Ok(at) if self.sets[at].unit == unit => {}
            Ok(at) => {
                self.sets[at].unit.clear();
                self.sets[at].unit.extend_from_slice(unit);
            }
            Err(_) if self.sets.len() == MAX_SETS => {}
            Err(at) => self.sets.insert(
                at,
                ParameterSet {
                    kind,
                    id,
                    unit: unit.to_vec(),
                },
            ),
        }
    }

    /// All sets of a kind, by id.
    pub(super) fn of_kind(&self, kind: u8) -> impl Iterator<Item = &[u8]> + Clone {
        self.sets
            .iter()
            .filter(move |set| set.kind == kind)
            .map(|set| &set.unit[..])
    }
}

/// Units of one aggregation payload: parameter sets, SEI and a few slices.
const MAX_GROUP: usize = 8;
/// An encoder uses one set of each kind; simulcast and layers a few more.
const MAX_SETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Start codes of three and four bytes, zeros behind a unit, nothing, and junk in front.
    #[test]
    fn units() {
        let units = |bytes: &'static [u8]| annex_b(bytes).collect::<Vec<_>>();
        assert_eq!(units(&[0, 0, 0, 1, 9, 8, 0, 0, 1, 7]), [&[9, 8][..], &[7]]);
        assert_eq!(units(&[5, 0, 0, 1, 9, 0, 0, 0, 0, 1, 7, 0, 0]), [[9], [7]]);
        assert_eq!(units(&[0, 0, 1, 0, 0, 1, 1, 0, 1]), [[1, 0, 1]]);
        assert!(units(&[]).is_empty());
        assert!(units(&[1, 2, 3, 4]).is_empty());
        assert!(units(&[0, 0, 1]).is_empty());
    }
}
