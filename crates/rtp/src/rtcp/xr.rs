//! Extended reports (RFC 3611): receiver reference time and delay since the last one.

use super::entries;
use crate::wire::{Reader, Writer};
use crate::{DecodeError, Ssrc, WriteError};

/// XR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    blocks: &'a [u8],
}

/// One report block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XrBlock<'a> {
    /// RRT (§4.4): the receiver's wall clock, NTP format, 2^-32 s.
    ReceiverReferenceTime(u64),
    /// DLRR (§4.5): what a sender of RRT needs for its round-trip time.
    Dlrr(Dlrrs<'a>),
    /// Anything else, as it is.
    Unknown {
        /// Block type.
        kind: u8,
        /// The byte after it.
        specific: u8,
        /// A multiple of four bytes.
        data: &'a [u8],
    },
}

/// The list in a DLRR block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dlrrs<'a>(&'a [[u8; 12]]);

/// For one receiver (§4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dlrr {
    /// The receiver that sent the RRT.
    pub ssrc: Ssrc,
    /// The middle 32 bits of its NTP time; 0 for none.
    pub last_report: u32,
    /// Since then, in 2^-16 s.
    pub delay: u32,
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let ssrc = Ssrc(reader.u32()?);
        let blocks = reader.rest();
        while !reader.is_empty() {
            XrBlock::decode(&mut reader)?;
        }
        Ok(Self { ssrc, blocks })
    }

    /// Blocks in order.
    pub fn blocks(&self) -> impl Iterator<Item = XrBlock<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.blocks);
        std::iter::from_fn(move || XrBlock::decode(&mut reader).ok())
    }
}

impl<'a> XrBlock<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let [kind, specific] = reader.array()?;
        let words = usize::from(reader.u16()?);
        let data = reader.take(words * 4)?;
        Ok(match (kind, data.len()) {
            (RRT, 8) => Self::ReceiverReferenceTime(Reader::new(data).u64()?),
            (RRT, _) => return Err(DecodeError::Malformed("RRT length")),
            (DLRR, _) => Self::Dlrr(Dlrrs(entries(data, "DLRR length")?)),
            _ => Self::Unknown {
                kind,
                specific,
                data,
            },
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<(), WriteError> {
        match self {
            Self::ReceiverReferenceTime(ntp) => {
                out.bytes(&[RRT, 0, 0, 2])?;
                out.u64(*ntp)
            }
            Self::Dlrr(list) => encode_dlrr(out, list.iter()),
            Self::Unknown {
                kind,
                specific,
                data,
            } => {
                out.bytes(&[*kind, *specific])?;
                out.u16((data.len() / 4) as u16)?;
                out.bytes(data)
            }
        }
    }
}

impl<'a> Dlrrs<'a> {
    /// One for each receiver.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Dlrr> + Clone + use<'a> {
        self.0
            .iter()
            .map(|[a, b, c, d, e, f, g, h, i, j, k, l]| Dlrr {
                ssrc: Ssrc(u32::from_be_bytes([*a, *b, *c, *d])),
                last_report: u32::from_be_bytes([*e, *f, *g, *h]),
                delay: u32::from_be_bytes([*i, *j, *k, *l]),
            })
    }
}

pub(super) fn encode_dlrr(
    out: &mut Writer<'_>,
    list: impl IntoIterator<Item = Dlrr>,
) -> Result<(), WriteError> {
    out.bytes(&[DLRR, 0])?;
    let words_at = out.len();
    out.u16(0)?;
    let mut count = 0usize;
    for dlrr in list {
        out.u32(dlrr.ssrc.0)?;
        out.u32(dlrr.last_report)?;
        out.u32(dlrr.delay)?;
        count += 1;
    }
    let max = usize::from(u16::MAX) / 3;
    let words = u16::try_from(count * 3).map_err(|_| WriteError::TooLarge {
        what: "DLRR",
        value: count,
        max,
    })?;
    out.written()[words_at..][..2].copy_from_slice(&words.to_be_bytes());
    Ok(())
}

const RRT: u8 = 4;
const DLRR: u8 = 5;
