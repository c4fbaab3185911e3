//! Congestion control feedback (RFC 8888 §3.1).

use super::entries;
use crate::wire::{Reader, Writer};
use crate::{DecodeError, SequenceNumber, Ssrc, WriteError};

/// Which packets of each stream arrived, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionFeedback<'a> {
    /// Who received them.
    pub sender: Ssrc,
    streams: &'a [u8],
    /// When the report was made: the receiver's clock, 2^-16 s, middle bits of NTP.
    pub timestamp: u32,
}

/// The reports on one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionStream<'a> {
    /// The stream.
    pub ssrc: Ssrc,
    /// The first packet reported on.
    pub base: SequenceNumber,
    /// One for each packet from there on.
    pub reports: CongestionReports<'a>,
}

/// Reports on consecutive packets, at most 16,384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionReports<'a>(&'a [[u8; 2]]);

/// Congestion marks of the IP header (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// Not capable.
    #[default]
    NotEct,
    /// Capable, code point 1.
    Ect1,
    /// Capable, code point 0.
    Ect0,
    /// Congestion experienced.
    Ce,
}

/// A packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketReport {
    /// Its mark.
    pub ecn: Ecn,
    /// From its arrival to the report's timestamp, in 1/1024 s: 0x1ffe is that or longer, 0x1fff
    /// unknown.
    pub offset: u16,
}

impl<'a> CongestionFeedback<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (rest, timestamp) = body.split_last_chunk::<4>().ok_or(DecodeError::Truncated)?;
        let mut reader = Reader::new(rest);
        let sender = Ssrc(reader.u32()?);
        let streams = reader.rest();
        while !reader.is_empty() {
            CongestionStream::decode(&mut reader)?;
        }
        Ok(Self {
            sender,
            streams,
            timestamp: u32::from_be_bytes(*timestamp),
        })
    }

    /// The streams reported on.
    pub fn streams(&self) -> impl Iterator<Item = CongestionStream<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.streams);
        std::iter::from_fn(move || CongestionStream::decode(&mut reader).ok())
    }
}

impl<'a> CongestionStream<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let ssrc = Ssrc(reader.u32()?);
        let base = SequenceNumber(reader.u16()?);
        let count = usize::from(reader.u16()?);
        if count > MAX_REPORTS {
            return Err(DecodeError::TooMany("congestion reports"));
        }
        let reports = CongestionReports(entries(reader.take(count * 2)?, "reports")?);
        reader.take(count % 2 * 2)?;
        Ok(Self {
            ssrc,
            base,
            reports,
        })
    }

    /// Every packet reported on; none for one that did not arrive.
    pub fn packets(
        &self,
    ) -> impl ExactSizeIterator<Item = (SequenceNumber, Option<PacketReport>)> + Clone + use<'a>
    {
        let base = self.base;
        let numbered = self.reports.iter().enumerate();
        numbered.map(move |(index, report)| (base.plus(index as u16), report))
    }
}

impl<'a> CongestionReports<'a> {
    /// One for each packet; none for one that did not arrive.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<PacketReport>> + Clone + use<'a> {
        self.0
            .iter()
            .map(|bytes| PacketReport::from_bits(u16::from_be_bytes(*bytes)))
    }
}

impl PacketReport {
    const fn from_bits(bits: u16) -> Option<Self> {
        if bits & RECEIVED == 0 {
            return None;
        }
        let ecn = match bits >> 13 & 3 {
            0 => Ecn::NotEct,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        };
        Some(Self {
            ecn,
            offset: bits & MAX_OFFSET,
        })
    }

    fn to_bits(self) -> u16 {
        RECEIVED | (self.ecn as u16) << 13 | self.offset.min(MAX_OFFSET)
    }
}

pub(super) fn encode_stream(
    out: &mut Writer<'_>,
    ssrc: Ssrc,
    base: SequenceNumber,
    reports: impl IntoIterator<Item = Option<PacketReport>>,
) -> Result<(), WriteError> {
    out.u32(ssrc.0)?;
    out.u16(base.0)?;
    let count_at = out.len();
    out.u16(0)?;
    let mut count = 0usize;
    for report in reports {
        out.u16(report.map_or(0, PacketReport::to_bits))?;
        count += 1;
    }
    if count > MAX_REPORTS {
        let what = "congestion reports";
        return Err(WriteError::TooLarge {
            what,
            value: count,
            max: MAX_REPORTS,
        });
    }
    out.zeros(count % 2 * 2)?;
    out.written()[count_at..][..2].copy_from_slice(&(count as u16).to_be_bytes());
    Ok(())
}

/// §3.1: more would be ambiguous about which cycle of the sequence number is meant.
const MAX_REPORTS: usize = 16_384;
const RECEIVED: u16 = 0x8000;
const MAX_OFFSET: u16 = 0x1fff;
