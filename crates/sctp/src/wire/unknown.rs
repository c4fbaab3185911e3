//! Chunks and parameters of types that this crate does not know (RFC 9260 §3.2, §3.2.1).

use std::borrow::Cow;

use super::cause::Cause;
use super::tlv::{TLV_HEADER, Writer};

/// What the two highest bits of an unknown type ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownAction {
    /// 00: stop processing the packet (or the chunk around a parameter).
    Stop,
    /// 01: the same, and report it.
    StopAndReport,
    /// 10: skip it and go on.
    Skip,
    /// 11: the same, and report it.
    SkipAndReport,
}

impl UnknownAction {
    fn from_high_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::Stop,
            0b01 => Self::StopAndReport,
            0b10 => Self::Skip,
            _ => Self::SkipAndReport,
        }
    }

    /// What follows is not processed.
    #[must_use]
    pub fn stops(self) -> bool {
        matches!(self, Self::Stop | Self::StopAndReport)
    }

    /// The sender is told.
    #[must_use]
    pub fn reports(self) -> bool {
        matches!(self, Self::StopAndReport | Self::SkipAndReport)
    }
}

/// A chunk of unknown type. If its action stops the packet, it is the last chunk of the decoded
/// packet, whatever followed on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownChunk<'a> {
    /// The chunk type.
    pub chunk_type: u8,
    /// The flags.
    pub flags: u8,
    /// What follows the chunk header.
    pub value: Cow<'a, [u8]>,
}

impl UnknownChunk<'_> {
    /// What its type asks for.
    #[must_use]
    pub fn action(&self) -> UnknownAction {
        UnknownAction::from_high_bits(self.chunk_type >> 6)
    }

    /// The report of it, at most `max` bytes of the chunk (a report must not be larger than what
    /// it answers, and has to fit a packet).
    #[must_use]
    pub fn to_cause(&self, max: usize) -> Cause<'static> {
        let mut bytes = vec![0; TLV_HEADER + self.value.len()];
        let mut out = Writer::new(&mut bytes);
        out.chunk(self.chunk_type, self.flags, self.value.len());
        out.slice(&self.value);
        bytes.truncate(max);
        Cause::UnrecognizedChunkType(bytes.into())
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> UnknownChunk<'static> {
        UnknownChunk {
            chunk_type: self.chunk_type,
            flags: self.flags,
            value: self.value.into_owned().into(),
        }
    }
}

/// A parameter of unknown type. If its action stops the chunk, it is the last one decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownParam<'a> {
    /// The parameter type.
    pub param_type: u16,
    /// What follows the parameter header.
    pub value: Cow<'a, [u8]>,
}

impl UnknownParam<'_> {
    /// What its type asks for.
    #[must_use]
    pub fn action(&self) -> UnknownAction {
        UnknownAction::from_high_bits(self.param_type.to_be_bytes()[0] >> 6)
    }

    /// The whole parameter without padding, as an Unrecognized Parameter holds it (§3.3.3.1).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; TLV_HEADER + self.value.len()];
        let mut out = Writer::new(&mut bytes);
        out.tlv(self.param_type, self.value.len());
        out.slice(&self.value);
        bytes
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> UnknownParam<'static> {
        UnknownParam {
            param_type: self.param_type,
            value: self.value.into_owned().into(),
        }
    }
}
