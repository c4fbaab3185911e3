//! Redundant audio data (RFC 2198). Video uses the same format around ULPFEC (RFC 5109 §14.2).

use crate::wire::{Reader, Writer};
use crate::{DecodeError, WriteError};

/// A validated RED payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Red<'a> {
    headers: &'a [[u8; 4]],
    primary_type: u8,
    data: &'a [u8],
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedBlock<'a> {
    /// Its own payload type, 0–127.
    pub payload_type: u8,
    /// How much older than the packet's timestamp, at most 16,383; 0 for the primary.
    pub timestamp_offset: u16,
    /// Its payload; 1,023 bytes at most unless it is the primary.
    pub data: &'a [u8],
}

impl<'a> Red<'a> {
    /// Checks a payload.
    ///
    /// # Errors
    /// Headers without end, or blocks longer than the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut headers = 0;
        let mut redundant = 0;
        let mut reader = Reader::new(payload);
        let primary_type = loop {
            let first = reader.u8()?;
            if first & MORE == 0 {
                break first;
            }
            redundant += reader.u24()? as usize & MAX_LEN;
            headers += 1;
        };
        let data = reader.rest();
        if redundant > data.len() {
            return Err(DecodeError::Truncated);
        }
        let headers = payload
            .as_chunks::<4>()
            .0
            .get(..headers)
            .ok_or(DecodeError::Truncated)?;
        Ok(Self {
            headers,
            primary_type,
            data,
        })
    }

    /// All blocks, oldest first; the primary is the last.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = RedBlock<'a>> + Clone + use<'a> {
        let Self {
            headers,
            primary_type,
            data,
        } = *self;
        let mut rest = data;
        (0..headers.len() + 1).map(move |index| match headers.get(index) {
            Some([kind, a, b, c]) => {
                let fields = u32::from_be_bytes([0, *a, *b, *c]);
                let len = (fields as usize & MAX_LEN).min(rest.len());
                let (data, tail) = rest.split_at(len);
                rest = tail;
                let timestamp_offset = (fields >> 10) as u16;
                RedBlock {
                    payload_type: kind & !MORE,
                    timestamp_offset,
                    data,
                }
            }
            None => RedBlock {
                payload_type: primary_type,
                timestamp_offset: 0,
                data: rest,
            },
        })
    }

    /// The block that the packet's timestamp belongs to.
    #[must_use]
    pub fn primary(&self) -> RedBlock<'a> {
        let redundant: usize = self
            .headers
            .iter()
            .map(|[_, _, b, c]| usize::from(u16::from_be_bytes([*b, *c])) & MAX_LEN)
            .sum();
        let data = self.data.get(redundant..).unwrap_or_default();
        RedBlock {
            payload_type: self.primary_type,
            timestamp_offset: 0,
            data,
        }
    }
}

/// Writes a RED payload.
#[derive(Debug)]
pub struct RedWriter;

impl RedWriter {
    /// Writes `blocks`, oldest first, the primary last, into `out`; returns the length. Redundant
    /// blocks that are empty, too long or too old for their header are left out.
    ///
    /// # Errors
    /// No room, no block, or a payload type over 127.
    pub fn write(blocks: &[RedBlock<'_>], out: &mut [u8]) -> Result<usize, WriteError> {
        let (primary, redundant) = blocks
            .split_last()
            .ok_or(WriteError::Invalid("RED without a primary"))?;
        if let Some(block) = blocks.iter().find(|block| block.payload_type > 127) {
            let value = block.payload_type.into();
            return Err(WriteError::TooLarge {
                what: "payload type",
                value,
                max: 127,
            });
        }
        let redundant = redundant.iter().filter(|block| {
            (1..=MAX_LEN).contains(&block.data.len()) && block.timestamp_offset <= MAX_OFFSET
        });
        let mut out = Writer::new(out);
        for block in redundant.clone() {
            out.u8(MORE | block.payload_type)?;
            out.u24(u32::from(block.timestamp_offset) << 10 | block.data.len() as u32)?;
        }
        out.u8(primary.payload_type)?;
        for block in redundant {
            out.bytes(block.data)?;
        }
        out.bytes(primary.data)?;
        Ok(out.len())
    }
}

const MORE: u8 = 0x80;
/// A block's length has 10 bits, its timestamp offset 14.
const MAX_LEN: usize = 0x3ff;
const MAX_OFFSET: u16 = 0x3fff;

#[cfg(test)]
mod tests {
    use super::*;

    fn block(payload_type: u8, timestamp_offset: u16, data: &[u8]) -> RedBlock<'_> {
        RedBlock {
            payload_type,
            timestamp_offset,
            data,
        }
    }

    /// One to three blocks; the primary may be empty.
    #[test]
    fn comes_back() {
        let all = [
            block(111, 1920, &[1, 2]),
            block(111, 960, &[3]),
            block(111, 0, &[4, 5, 6]),
        ];
        for blocks in [&all[..], &all[1..], &all[2..], &[block(0, 0, &[])]] {
            let mut out = [0; 40];
            let len = RedWriter::write(blocks, &mut out).unwrap();
            let red = Red::parse(&out[..len]).unwrap();
            assert_eq!(red.blocks().collect::<Vec<_>>(), blocks);
            assert_eq!(Some(&red.primary()), blocks.last());
            for short in 0..len {
                assert!(RedWriter::write(blocks, &mut out[..short]).is_err());
            }
        }
    }

    /// Redundancy that the header cannot name is left out, the primary never.
    #[test]
    fn unfit_redundancy() {
        let long = [0; 1024];
        let blocks = [
            block(1, 16_384, &[1]),
            block(1, 5, &long),
            block(1, 4, &[]),
            block(2, 0, &long),
        ];
        let mut out = [0; 2000];
        let len = RedWriter::write(&blocks, &mut out).unwrap();
        assert_eq!(len, 1025);
        assert!(RedWriter::write(&[block(128, 0, &[])], &mut out).is_err());
        assert!(RedWriter::write(&[], &mut out).is_err());
    }

    /// Cut in the headers or in a redundant block it is an error.
    #[test]
    fn truncation() {
        let bytes = [0x80 | 5, 0, 4, 2, 6, 1, 2, 3];
        for len in 0..bytes.len() {
            assert_eq!(Red::parse(&bytes[..len]).is_ok(), len >= 7, "{len}");
        }
    }
}
