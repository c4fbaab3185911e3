//! Generic NACK (RFC 4585 §6.2.1).

use super::{entries, feedback_head};
use crate::wire::{Reader, Writer};
use crate::{DecodeError, SequenceNumber, Ssrc, WriteError};

/// Packets that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who misses them.
    pub sender: Ssrc,
    /// The stream they belong to.
    pub media: Ssrc,
    items: &'a [[u8; 4]],
}

/// Up to 17 missing packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NackItem {
    /// The first of them.
    pub first: SequenceNumber,
    /// Bit n stands for the packet n + 1 after the first.
    pub following: u16,
}

impl<'a> Nack<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (sender, media) = feedback_head(&mut reader)?;
        Ok(Self {
            sender,
            media,
            items: entries(reader.rest(), "NACK")?,
        })
    }

    /// Items in order.
    pub fn items(&self) -> impl ExactSizeIterator<Item = NackItem> + Clone + use<'a> {
        self.items.iter().map(|[a, b, c, d]| NackItem {
            first: SequenceNumber(u16::from_be_bytes([*a, *b])),
            following: u16::from_be_bytes([*c, *d]),
        })
    }

    /// The missing packets in order; at most 17 for every four bytes.
    pub fn lost(&self) -> impl Iterator<Item = SequenceNumber> + Clone + use<'a> {
        self.items().flat_map(NackItem::lost)
    }
}

impl NackItem {
    /// The missing packets.
    pub fn lost(self) -> impl Iterator<Item = SequenceNumber> + Clone {
        let following = (0..16).filter(move |bit| self.following >> bit & 1 == 1);
        std::iter::once(self.first).chain(following.map(move |bit| self.first.plus(bit + 1)))
    }

    /// Groups ascending sequence numbers into as few items as it takes.
    pub fn group(lost: impl IntoIterator<Item = SequenceNumber>) -> impl Iterator<Item = Self> {
        let mut lost = lost.into_iter().peekable();
        std::iter::from_fn(move || {
            let first = lost.next()?;
            let mut item = Self {
                first,
                following: 0,
            };
            while let Some(next) = lost.next_if(|next| next.distance_from(first) <= 16) {
                if let Some(bit) = next.distance_from(first).checked_sub(1) {
                    item.following |= 1 << bit;
                }
            }
            Some(item)
        })
    }

    pub(super) fn encode(self, out: &mut Writer<'_>) -> Result<(), WriteError> {
        out.u16(self.first.0)?;
        out.u16(self.following)
    }
}
