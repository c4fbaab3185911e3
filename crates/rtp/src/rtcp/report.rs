//! Sender and receiver reports (RFC 3550 §6.4).

use super::entries;
use crate::wire::{Reader, Writer};
use crate::{DecodeError, Ssrc, Timestamp, WriteError};

/// SR (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    /// About its own sending.
    pub info: SenderInfo,
    blocks: &'a [[u8; BLOCK]],
    /// Profile-specific extension, a multiple of four bytes.
    pub extension: &'a [u8],
}

/// RR (RFC 3550 §6.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    blocks: &'a [[u8; BLOCK]],
    /// Profile-specific extension, a multiple of four bytes.
    pub extension: &'a [u8],
}

/// What a sender says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SenderInfo {
    /// Wall clock of the report, NTP format, 2^-32 s.
    pub ntp: u64,
    /// The same moment on the stream's clock.
    pub timestamp: Timestamp,
    /// Packets sent, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent, modulo 2^32.
    pub octets: u32,
}

/// What a receiver says of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; negative with duplicates. 24 bits.
    pub cumulative_lost: i32,
    /// Highest sequence number received in the low 16 bits, wraps above.
    pub highest_sequence: u32,
    /// Interarrival jitter, in units of the clock rate.
    pub jitter: u32,
    /// The middle 32 bits of the last SR's NTP time; 0 for none.
    pub last_report: u32,
    /// Since that SR was received, in 2^-16 s.
    pub delay: u32,
}

impl<'a> SenderReport<'a> {
    pub(super) fn decode(count: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let ssrc = Ssrc(reader.u32()?);
        let info = SenderInfo {
            ntp: reader.u64()?,
            timestamp: Timestamp(reader.u32()?),
            packets: reader.u32()?,
            octets: reader.u32()?,
        };
        let blocks = entries(reader.take(usize::from(count) * BLOCK)?, "report block")?;
        Ok(Self {
            ssrc,
            info,
            blocks,
            extension: reader.rest(),
        })
    }

    /// Report blocks, at most 31.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = ReportBlock> + Clone + use<'a> {
        self.blocks.iter().map(ReportBlock::decode)
    }
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn decode(count: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let ssrc = Ssrc(reader.u32()?);
        let blocks = entries(reader.take(usize::from(count) * BLOCK)?, "report block")?;
        Ok(Self {
            ssrc,
            blocks,
            extension: reader.rest(),
        })
    }

    /// Report blocks, at most 31.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = ReportBlock> + Clone + use<'a> {
        self.blocks.iter().map(ReportBlock::decode)
    }
}

impl SenderInfo {
    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<(), WriteError> {
        out.u64(self.ntp)?;
        out.u32(self.timestamp.0)?;
        out.u32(self.packets)?;
        out.u32(self.octets)
    }

    /// What a report block's `last_report` says about this report.
    #[must_use]
    pub const fn compact_ntp(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

impl ReportBlock {
    fn decode(bytes: &[u8; BLOCK]) -> Self {
        let word = |index: usize| {
            let at = index * 4;
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            ssrc: Ssrc(word(0)),
            fraction_lost: bytes[4],
            // Sign extension from 24 bits.
            cumulative_lost: (word(1) << 8) as i32 >> 8,
            highest_sequence: word(2),
            jitter: word(3),
            last_report: word(4),
            delay: word(5),
        }
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<(), WriteError> {
        // §6.4.1: clamped, not wrapped, when it has no more room.
        let lost = self.cumulative_lost.clamp(-(1 << 23), (1 << 23) - 1);
        out.u32(self.ssrc.0)?;
        out.u8(self.fraction_lost)?;
        out.u24(lost as u32 & 0xff_ffff)?;
        out.u32(self.highest_sequence)?;
        out.u32(self.jitter)?;
        out.u32(self.last_report)?;
        out.u32(self.delay)
    }
}

/// Bytes of a report block.
const BLOCK: usize = 24;
