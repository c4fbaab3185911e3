//! Source description (RFC 3550 §6.5).

use crate::wire::{Reader, Writer};
use crate::{DecodeError, Ssrc, WriteError};

/// SDES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceDescription<'a> {
    count: u8,
    body: &'a [u8],
}

/// All items of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: Ssrc,
    items: &'a [u8],
}

/// One item, unchecked: text is UTF-8 only if the peer says the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// Which one; [`SdesItem::CNAME`] is the one that matters.
    pub kind: u8,
    /// At most 255 bytes.
    pub value: &'a [u8],
}

impl SdesItem<'_> {
    /// Canonical end-point identifier (§6.5.1).
    pub const CNAME: u8 = 1;
}

impl<'a> SourceDescription<'a> {
    pub(super) fn decode(count: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        for _ in 0..count {
            SdesChunk::decode(&mut reader)?;
        }
        if !reader.is_empty() {
            return Err(DecodeError::Malformed("bytes after the last SDES chunk"));
        }
        Ok(Self { count, body })
    }

    /// Chunks, at most 31.
    pub fn chunks(&self) -> impl Iterator<Item = SdesChunk<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.body);
        (0..self.count).map_while(move |_| SdesChunk::decode(&mut reader).ok())
    }
}

impl<'a> SdesChunk<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let ssrc = Ssrc(reader.u32()?);
        let start = reader.rest();
        while reader.u8()? != 0 {
            let len = reader.u8()?;
            reader.take(len.into())?;
        }
        let len = start.len() - reader.rest().len();
        // The zero that ends the list is followed by zeros up to the next word.
        reader.take(len.next_multiple_of(4) - len)?;
        Ok(Self {
            ssrc,
            items: &start[..len - 1],
        })
    }

    /// Items in order.
    pub fn items(&self) -> impl Iterator<Item = SdesItem<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.items);
        std::iter::from_fn(move || {
            let kind = reader.u8().ok()?;
            let len = reader.u8().ok()?;
            Some(SdesItem {
                kind,
                value: reader.take(len.into()).ok()?,
            })
        })
    }

    /// The canonical name.
    #[must_use]
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items()
            .find(|item| item.kind == SdesItem::CNAME)
            .map(|item| item.value)
    }
}

pub(super) fn encode_chunk<'i>(
    out: &mut Writer<'_>,
    ssrc: Ssrc,
    items: impl IntoIterator<Item = SdesItem<'i>>,
) -> Result<(), WriteError> {
    let start = out.len();
    out.u32(ssrc.0)?;
    for SdesItem { kind, value } in items {
        let len = u8::try_from(value.len()).map_err(|_| WriteError::TooLarge {
            what: "SDES item",
            value: value.len(),
            max: 255,
        })?;
        if kind == 0 {
            return Err(WriteError::Invalid("SDES item 0 ends the list"));
        }
        out.bytes(&[kind, len])?;
        out.bytes(value)?;
    }
    out.u8(0)?;
    let len = out.len() - start;
    out.zeros(len.next_multiple_of(4) - len)
}
