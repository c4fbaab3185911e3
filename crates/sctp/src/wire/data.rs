//! DATA (RFC 9260 §3.3.1, I-bit: RFC 7053).

use super::DecodeError;
use super::chunk::chunk_type;
use super::tlv::{Reader, TLV_HEADER, Writer};
use crate::serial::{Ppid, Ssn, StreamId, Tsn};

/// A fragment of a message, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// The fragment's number.
    pub tsn: Tsn,
    /// The stream of the message.
    pub stream: StreamId,
    /// The message's place in the stream; no meaning if it is unordered.
    pub ssn: Ssn,
    /// What the user says the message is.
    pub ppid: Ppid,
    /// Where in the message, and how it is delivered.
    pub flags: DataFlags,
    /// The user data. An empty one is a protocol violation that the association answers
    /// (§6.2: ABORT with cause No User Data).
    pub payload: &'a [u8],
}

/// The flag bits of DATA; of I-DATA as well (RFC 8260 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct DataFlags(u8);

impl DataFlags {
    /// No bit: a fragment from the middle of an ordered message.
    pub const NONE: Self = Self(0);
    /// E: the last fragment.
    pub const END: Self = Self(0x01);
    /// B: the first fragment.
    pub const BEGIN: Self = Self(0x02);
    /// U: deliver without regard to order.
    pub const UNORDERED: Self = Self(0x04);
    /// I: acknowledge at once (RFC 7053).
    pub const IMMEDIATE: Self = Self(0x08);
    /// A message in one fragment.
    pub const WHOLE: Self = Self(Self::BEGIN.0 | Self::END.0);

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The first fragment of its message.
    #[must_use]
    pub const fn is_begin(self) -> bool {
        self.contains(Self::BEGIN)
    }

    /// The last fragment of its message.
    #[must_use]
    pub const fn is_end(self) -> bool {
        self.contains(Self::END)
    }

    /// The message is delivered without regard to order.
    #[must_use]
    pub const fn is_unordered(self) -> bool {
        self.contains(Self::UNORDERED)
    }

    /// The sender asks for a SACK at once.
    #[must_use]
    pub const fn is_immediate(self) -> bool {
        self.contains(Self::IMMEDIATE)
    }

    /// RFC 9260 §3.3.1: reserved bits are ignored on receipt.
    pub(super) const fn from_wire(flags: u8) -> Self {
        Self(flags & 0x0f)
    }
}

/// Bytes of a DATA chunk before its user data.
pub const DATA_HEADER_LEN: usize = 16;

impl<'a> Data<'a> {
    #[inline]
    pub(super) fn decode(flags: u8, value: &'a [u8]) -> Option<Self> {
        let mut value = Reader::new(value);
        Some(Self {
            tsn: Tsn(value.u32()?),
            stream: StreamId(value.u16()?),
            ssn: Ssn(value.u16()?),
            ppid: Ppid(value.u32()?),
            flags: DataFlags::from_wire(flags),
            payload: value.rest(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        DATA_HEADER_LEN - TLV_HEADER + self.payload.len()
    }

    /// Writes the chunk and its padding.
    #[inline]
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        let mut header = [0; DATA_HEADER_LEN];
        let len = u16::try_from(DATA_HEADER_LEN + self.payload.len())
            .expect("a fragment is cut to fit one packet, which is shorter than 64 KiB");
        header[0] = chunk_type::DATA;
        header[1] = self.flags.0;
        header[2..4].copy_from_slice(&len.to_be_bytes());
        header[4..8].copy_from_slice(&self.tsn.0.to_be_bytes());
        header[8..10].copy_from_slice(&self.stream.0.to_be_bytes());
        header[10..12].copy_from_slice(&self.ssn.0.to_be_bytes());
        header[12..16].copy_from_slice(&self.ppid.0.to_be_bytes());
        out.slice(&header);
        out.slice(self.payload);
        out.pad();
    }
}

impl From<DataFlags> for u8 {
    fn from(flags: DataFlags) -> Self {
        flags.0
    }
}

/// The length error of this chunk.
pub(super) const LENGTH: DecodeError = DecodeError::ChunkLength {
    chunk_type: chunk_type::DATA,
};
