//! I-FORWARD-TSN (RFC 8260 §2.3.1).

use smallvec::SmallVec;

use super::tlv::{Reader, Writer};
use crate::serial::{Mid, StreamId, Tsn};

/// The sender gave up everything not received up to a TSN, where I-DATA is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IForwardTsn {
    /// Treat everything up to here as received.
    pub new_cumulative_tsn: Tsn,
    /// Messages among it, the latest of each stream and kind of order.
    pub skipped: SmallVec<[SkippedMessage; 4]>,
}

/// Messages of `stream` up to and including `mid` are not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedMessage {
    /// The stream.
    pub stream: StreamId,
    /// Whether the unordered messages are meant, or the ordered ones.
    pub unordered: bool,
    /// The last message skipped.
    pub mid: Mid,
}

impl IForwardTsn {
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut value = Reader::new(value);
        let new_cumulative_tsn = Tsn(value.u32()?);
        let (skipped, []) = value.rest().as_chunks() else {
            return None;
        };
        Some(Self {
            new_cumulative_tsn,
            skipped: skipped
                .iter()
                .map(|&[s0, s1, _, flags, m0, m1, m2, m3]| SkippedMessage {
                    stream: StreamId(u16::from_be_bytes([s0, s1])),
                    unordered: flags & UNORDERED != 0,
                    mid: Mid(u32::from_be_bytes([m0, m1, m2, m3])),
                })
                .collect(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        4 + self.skipped.len() * SKIPPED_LEN
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        out.u32(self.new_cumulative_tsn.0);
        for skipped in &self.skipped {
            out.u16(skipped.stream.0);
            out.u16(if skipped.unordered {
                UNORDERED.into()
            } else {
                0
            });
            out.u32(skipped.mid.0);
        }
    }
}

/// The U-bit: the lowest of the sixteen behind the stream; the others are reserved.
const UNORDERED: u8 = 1;

const SKIPPED_LEN: usize = 8;
