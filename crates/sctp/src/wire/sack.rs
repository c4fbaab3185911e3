//! SACK (RFC 9260 §3.3.4).

use smallvec::SmallVec;

use super::tlv::{Reader, Writer};
use crate::serial::Tsn;

/// What has been received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sack {
    /// Everything up to here.
    pub cumulative_tsn: Tsn,
    /// Bytes the receiver can still take.
    pub a_rwnd: u32,
    /// What has been received beyond, as offsets from `cumulative_tsn`.
    pub gaps: SmallVec<[GapBlock; 8]>,
    /// TSNs received more than once since the last SACK.
    pub duplicates: SmallVec<[Tsn; 4]>,
}

/// The TSNs from `cumulative_tsn + start` to `cumulative_tsn + end`, both included. The values are
/// the wire's: nothing says that they are ordered, apart, or that `start <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapBlock {
    /// Offset of the first TSN.
    pub start: u16,
    /// Offset of the last one.
    pub end: u16,
}

impl Sack {
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut value = Reader::new(value);
        let cumulative_tsn = Tsn(value.u32()?);
        let a_rwnd = value.u32()?;
        let gap_count = usize::from(value.u16()?);
        let duplicate_count = usize::from(value.u16()?);
        let gaps = value.slice(gap_count * 4)?;
        let duplicates = value.slice(duplicate_count * 4)?;
        value.end()?;
        Some(Self {
            cumulative_tsn,
            a_rwnd,
            gaps: gaps
                .as_chunks()
                .0
                .iter()
                .map(|&[s0, s1, e0, e1]| GapBlock {
                    start: u16::from_be_bytes([s0, s1]),
                    end: u16::from_be_bytes([e0, e1]),
                })
                .collect(),
            duplicates: duplicates
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| Tsn(u32::from_be_bytes(bytes)))
                .collect(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        12 + self.gaps.len() * 4 + self.duplicates.len() * 4
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        let count = |len| {
            u16::try_from(len)
                .expect("a SACK is built to fit one packet, fewer than 16 Ki elements")
        };
        out.u32(self.cumulative_tsn.0);
        out.u32(self.a_rwnd);
        out.u16(count(self.gaps.len()));
        out.u16(count(self.duplicates.len()));
        for gap in &self.gaps {
            out.u16(gap.start);
            out.u16(gap.end);
        }
        for duplicate in &self.duplicates {
            out.u32(duplicate.0);
        }
    }
}

/// Duplicates that our own SACKs report at most; more say nothing new.
pub const MAX_DUPLICATES: usize = 32;
