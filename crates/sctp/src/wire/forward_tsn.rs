//! FORWARD-TSN (RFC 3758 §3.2).

use smallvec::SmallVec;

use super::tlv::{Reader, Writer};
use crate::serial::{Ssn, StreamId, Tsn};

/// The sender gave up everything not received up to a TSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardTsn {
    /// Treat everything up to here as received.
    pub new_cumulative_tsn: Tsn,
    /// Ordered messages among it, the latest of each stream.
    pub skipped: SmallVec<[SkippedStream; 4]>,
}

/// Ordered messages of `stream` up to and including `ssn` are not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedStream {
    /// The stream.
    pub stream: StreamId,
    /// The last message skipped.
    pub ssn: Ssn,
}

impl ForwardTsn {
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
                .map(|&[s0, s1, n0, n1]| SkippedStream {
                    stream: StreamId(u16::from_be_bytes([s0, s1])),
                    ssn: Ssn(u16::from_be_bytes([n0, n1])),
                })
                .collect(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        4 + self.skipped.len() * 4
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        out.u32(self.new_cumulative_tsn.0);
        for skipped in &self.skipped {
            out.u16(skipped.stream.0);
            out.u16(skipped.ssn.0);
        }
    }
}
