//! I-DATA (RFC 8260 §2.1): DATA whose fragments may be interleaved with those of other messages.

use super::DecodeError;
use super::chunk::chunk_type;
use super::data::DataFlags;
use super::tlv::{Reader, TLV_HEADER, Writer};
use crate::serial::{Fsn, Mid, Ppid, StreamId, Tsn};

/// A fragment of a message, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IData<'a> {
    /// The fragment's number.
    pub tsn: Tsn,
    /// The stream of the message.
    pub stream: StreamId,
    /// The message's place in the stream; ordered and unordered messages are counted apart.
    pub mid: Mid,
    /// What the user says the message is. Only the first fragment carries it; zero in others.
    pub ppid: Ppid,
    /// The fragment's place in the message. The first fragment is number 0 and does not carry it.
    pub fsn: Fsn,
    /// Where in the message, and how it is delivered.
    pub flags: DataFlags,
    /// The user data. An empty one is a protocol violation that the association answers
    /// (RFC 9260 §6.2: ABORT with cause No User Data).
    pub payload: &'a [u8],
}

/// Bytes of an I-DATA chunk before its user data.
pub const I_DATA_HEADER_LEN: usize = 20;

impl<'a> IData<'a> {
    #[inline]
    pub(super) fn decode(flags: u8, value: &'a [u8]) -> Option<Self> {
        let flags = DataFlags::from_wire(flags);
        let mut value = Reader::new(value);
        let tsn = Tsn(value.u32()?);
        let stream = StreamId(value.u16()?);
        // Reserved: ignored on receipt.
        value.u16()?;
        let mid = Mid(value.u32()?);
        let shared = value.u32()?;
        let (ppid, fsn) = if flags.is_begin() {
            (Ppid(shared), Fsn(0))
        } else {
            (Ppid(0), Fsn(shared))
        };
        Some(Self {
            tsn,
            stream,
            mid,
            ppid,
            fsn,
            flags,
            payload: value.rest(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        I_DATA_HEADER_LEN - TLV_HEADER + self.payload.len()
    }

    /// Writes the chunk and its padding.
    #[inline]
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        let mut header = [0; I_DATA_HEADER_LEN];
        let len = u16::try_from(I_DATA_HEADER_LEN + self.payload.len())
            .expect("a fragment is cut to fit one packet, which is shorter than 64 KiB");
        let shared = if self.flags.is_begin() {
            self.ppid.0
        } else {
            self.fsn.0
        };
        header[0] = chunk_type::I_DATA;
        header[1] = self.flags.into();
        header[2..4].copy_from_slice(&len.to_be_bytes());
        header[4..8].copy_from_slice(&self.tsn.0.to_be_bytes());
        header[8..10].copy_from_slice(&self.stream.0.to_be_bytes());
        header[12..16].copy_from_slice(&self.mid.0.to_be_bytes());
        header[16..20].copy_from_slice(&shared.to_be_bytes());
        out.slice(&header);
        out.slice(self.payload);
        out.pad();
    }
}

/// The length error of this chunk.
pub(super) const LENGTH: DecodeError = DecodeError::ChunkLength {
    chunk_type: chunk_type::I_DATA,
};
