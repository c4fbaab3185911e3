//! The closed set of chunks and their common header (RFC 9260 §3.2).

use super::DecodeError;
use super::abort::Abort;
use super::cookie::CookieEcho;
use super::data::{self, Data};
use super::error::ErrorChunk;
use super::forward_tsn::ForwardTsn;
use super::heartbeat::Heartbeat;
use super::i_data::{self, IData};
use super::i_forward_tsn::IForwardTsn;
use super::init::Init;
use super::reconfig::Reconfig;
use super::sack::Sack;
use super::shutdown::{Shutdown, ShutdownComplete};
use super::tlv::{TLV_HEADER, Writer, padded};
use super::unknown::UnknownChunk;

/// One chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// 0: payload.
    Data(Data<'a>),
    /// 1: start of an association.
    Init(Init<'a>),
    /// 2: its acknowledgement.
    InitAck(Init<'a>),
    /// 3: selective acknowledgement.
    Sack(Sack),
    /// 4: probe of the path.
    Heartbeat(Heartbeat<'a>),
    /// 5: its answer.
    HeartbeatAck(Heartbeat<'a>),
    /// 6: end of the association.
    Abort(Abort<'a>),
    /// 7: graceful end.
    Shutdown(Shutdown),
    /// 8: its acknowledgement.
    ShutdownAck,
    /// 9: report of an error.
    Error(ErrorChunk<'a>),
    /// 10: the cookie returned.
    CookieEcho(CookieEcho<'a>),
    /// 11: its acknowledgement.
    CookieAck,
    /// 14: end of the graceful end.
    ShutdownComplete(ShutdownComplete),
    /// 64: payload that may be interleaved (RFC 8260).
    IData(IData<'a>),
    /// 130: stream re-configuration (RFC 6525).
    Reconfig(Reconfig<'a>),
    /// 132: padding (RFC 4820) of so many bytes behind the chunk header.
    Pad(usize),
    /// 192: abandoned data (RFC 3758).
    ForwardTsn(ForwardTsn),
    /// 194: the same where I-DATA is used (RFC 8260).
    IForwardTsn(IForwardTsn),
    /// Any other.
    Unknown(UnknownChunk<'a>),
}

/// Chunk types (RFC 9260 §3.2 and the RFCs named above).
pub mod chunk_type {
    #![expect(missing_docs, reason = "the standard's names say it")]
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const HEARTBEAT: u8 = 4;
    pub const HEARTBEAT_ACK: u8 = 5;
    pub const ABORT: u8 = 6;
    pub const SHUTDOWN: u8 = 7;
    pub const SHUTDOWN_ACK: u8 = 8;
    pub const ERROR: u8 = 9;
    pub const COOKIE_ECHO: u8 = 10;
    pub const COOKIE_ACK: u8 = 11;
    pub const SHUTDOWN_COMPLETE: u8 = 14;
    pub const I_DATA: u8 = 64;
    pub const RECONFIG: u8 = 130;
    pub const PAD: u8 = 132;
    pub const FORWARD_TSN: u8 = 192;
    pub const I_FORWARD_TSN: u8 = 194;
}

impl<'a> Chunk<'a> {
    /// Splits the first chunk off `rest`.
    #[inline]
    pub(super) fn decode(rest: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[kind, flags, l0, l1], after)) = rest.split_first_chunk::<TLV_HEADER>() else {
            return Err(DecodeError::ChunkLength {
                chunk_type: rest.first().copied().unwrap_or_default(),
            });
        };
        let wrong = DecodeError::ChunkLength { chunk_type: kind };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value_len = length.checked_sub(TLV_HEADER).ok_or(wrong)?;
        let value = after.get(..value_len).ok_or(wrong)?;
        // Tolerant of a last chunk whose padding was left off.
        *rest = after.get(padded(value_len)..).unwrap_or_default();
        Ok(match kind {
            chunk_type::DATA => Self::Data(Data::decode(flags, value).ok_or(data::LENGTH)?),
            chunk_type::INIT => Self::Init(Init::decode(kind, value)?),
            chunk_type::INIT_ACK => Self::InitAck(Init::decode(kind, value)?),
            chunk_type::SACK => Self::Sack(Sack::decode(value).ok_or(wrong)?),
            chunk_type::HEARTBEAT => Self::Heartbeat(Heartbeat::decode(kind, value)?),
            chunk_type::HEARTBEAT_ACK => Self::HeartbeatAck(Heartbeat::decode(kind, value)?),
            chunk_type::ABORT => Self::Abort(Abort::decode(flags, value)?),
            chunk_type::SHUTDOWN => Self::Shutdown(Shutdown::decode(value).ok_or(wrong)?),
            chunk_type::SHUTDOWN_ACK if value.is_empty() => Self::ShutdownAck,
            chunk_type::ERROR => Self::Error(ErrorChunk::decode(value)?),
            chunk_type::COOKIE_ECHO => Self::CookieEcho(CookieEcho::decode(value)),
            chunk_type::COOKIE_ACK if value.is_empty() => Self::CookieAck,
            chunk_type::SHUTDOWN_COMPLETE if value.is_empty() => {
                Self::ShutdownComplete(ShutdownComplete::decode(flags))
            }
            chunk_type::SHUTDOWN_ACK | chunk_type::COOKIE_ACK | chunk_type::SHUTDOWN_COMPLETE => {
                return Err(wrong);
            }
            chunk_type::I_DATA => Self::IData(IData::decode(flags, value).ok_or(i_data::LENGTH)?),
            chunk_type::RECONFIG => Self::Reconfig(Reconfig::decode(value)?),
            chunk_type::PAD => Self::Pad(value_len),
            chunk_type::FORWARD_TSN => Self::ForwardTsn(ForwardTsn::decode(value).ok_or(wrong)?),
            chunk_type::I_FORWARD_TSN => {
                Self::IForwardTsn(IForwardTsn::decode(value).ok_or(wrong)?)
            }
            _ => Self::Unknown(UnknownChunk {
                chunk_type: kind,
                flags,
                value: value.into(),
            }),
        })
    }

    /// Bytes on the wire, header and padding included.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        padded(TLV_HEADER + self.value_len())
    }

    fn value_len(&self) -> usize {
        match self {
            Self::Data(data) => data.value_len(),
            Self::IData(data) => data.value_len(),
            Self::Init(init) | Self::InitAck(init) => init.value_len(),
            Self::Sack(sack) => sack.value_len(),
            Self::Heartbeat(heartbeat) | Self::HeartbeatAck(heartbeat) => heartbeat.value_len(),
            Self::Abort(abort) => abort.value_len(),
            Self::Shutdown(_) => 4,
            Self::ShutdownAck | Self::CookieAck | Self::ShutdownComplete(_) => 0,
            Self::Error(error) => error.value_len(),
            Self::CookieEcho(echo) => echo.value_len(),
            Self::Reconfig(reconfig) => reconfig.value_len(),
            Self::Pad(len) => *len,
            Self::ForwardTsn(forward) => forward.value_len(),
            Self::IForwardTsn(forward) => forward.value_len(),
            Self::Unknown(unknown) => unknown.value.len(),
        }
    }

    /// Writes the chunk, padding included, and returns its [`Chunk::encoded_len`].
    ///
    /// # Panics
    /// If `out` is shorter than that, or the chunk longer than 65,535 bytes.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let mut writer = Writer::new(out);
        self.write(&mut writer);
        writer.written()
    }

    /// Writes the chunk at the writer's position, which is a multiple of four.
    pub(crate) fn write(&self, out: &mut Writer<'_>) {
        let (kind, flags) = match self {
            Self::Data(data) => return data.encode(out),
            Self::IData(data) => return data.encode(out),
            Self::Init(_) => (chunk_type::INIT, 0),
            Self::InitAck(_) => (chunk_type::INIT_ACK, 0),
            Self::Sack(_) => (chunk_type::SACK, 0),
            Self::Heartbeat(_) => (chunk_type::HEARTBEAT, 0),
            Self::HeartbeatAck(_) => (chunk_type::HEARTBEAT_ACK, 0),
            Self::Abort(abort) => (chunk_type::ABORT, abort.flags()),
            Self::Shutdown(_) => (chunk_type::SHUTDOWN, 0),
            Self::ShutdownAck => (chunk_type::SHUTDOWN_ACK, 0),
            Self::Error(_) => (chunk_type::ERROR, 0),
            Self::CookieEcho(_) => (chunk_type::COOKIE_ECHO, 0),
            Self::CookieAck => (chunk_type::COOKIE_ACK, 0),
            Self::ShutdownComplete(complete) => (chunk_type::SHUTDOWN_COMPLETE, complete.flags()),
            Self::Reconfig(_) => (chunk_type::RECONFIG, 0),
            Self::Pad(_) => (chunk_type::PAD, 0),
            Self::ForwardTsn(_) => (chunk_type::FORWARD_TSN, 0),
            Self::IForwardTsn(_) => (chunk_type::I_FORWARD_TSN, 0),
            Self::Unknown(unknown) => (unknown.chunk_type, unknown.flags),
        };
        out.chunk(kind, flags, self.value_len());
        match self {
            Self::Data(_)
            | Self::IData(_)
            | Self::ShutdownAck
            | Self::CookieAck
            | Self::ShutdownComplete(_) => {}
            Self::Init(init) | Self::InitAck(init) => init.encode_value(out),
            Self::Sack(sack) => sack.encode_value(out),
            Self::Heartbeat(heartbeat) | Self::HeartbeatAck(heartbeat) => {
                heartbeat.encode_value(out);
            }
            Self::Abort(abort) => abort.encode_value(out),
            Self::Shutdown(shutdown) => shutdown.encode_value(out),
            Self::Error(error) => error.encode_value(out),
            Self::CookieEcho(echo) => echo.encode_value(out),
            Self::Reconfig(reconfig) => reconfig.encode_value(out),
            Self::Pad(len) => out.zeros(*len),
            Self::ForwardTsn(forward) => forward.encode_value(out),
            Self::IForwardTsn(forward) => forward.encode_value(out),
            Self::Unknown(unknown) => out.slice(&unknown.value),
        }
        out.pad();
    }

    /// The same without borrowing from a datagram; `None` for DATA and I-DATA, which are never
    /// kept as chunks (their payload belongs to a message).
    #[must_use]
    pub fn into_owned(self) -> Option<Chunk<'static>> {
        Some(match self {
            Self::Data(_) | Self::IData(_) => return None,
            Self::Init(init) => Chunk::Init(init.into_owned()),
            Self::InitAck(init) => Chunk::InitAck(init.into_owned()),
            Self::Sack(sack) => Chunk::Sack(sack),
            Self::Heartbeat(heartbeat) => Chunk::Heartbeat(heartbeat.into_owned()),
            Self::HeartbeatAck(heartbeat) => Chunk::HeartbeatAck(heartbeat.into_owned()),
            Self::Abort(abort) => Chunk::Abort(abort.into_owned()),
            Self::Shutdown(shutdown) => Chunk::Shutdown(shutdown),
            Self::ShutdownAck => Chunk::ShutdownAck,
            Self::Error(error) => Chunk::Error(error.into_owned()),
            Self::CookieEcho(echo) => Chunk::CookieEcho(echo.into_owned()),
            Self::CookieAck => Chunk::CookieAck,
            Self::ShutdownComplete(complete) => Chunk::ShutdownComplete(complete),
            Self::Reconfig(reconfig) => Chunk::Reconfig(reconfig.into_owned()),
            Self::Pad(len) => Chunk::Pad(len),
            Self::ForwardTsn(forward) => Chunk::ForwardTsn(forward),
            Self::IForwardTsn(forward) => Chunk::IForwardTsn(forward),
            Self::Unknown(unknown) => Chunk::Unknown(unknown.into_owned()),
        })
    }

    /// The type number if the chunk has to be alone in its packet (§6.10).
    pub(super) fn alone(&self) -> Option<u8> {
        if let Self::Init(_) = self {
            Some(chunk_type::INIT)
        } else if let Self::InitAck(_) = self {
            Some(chunk_type::INIT_ACK)
        } else if let Self::ShutdownComplete(_) = self {
            Some(chunk_type::SHUTDOWN_COMPLETE)
        } else {
            None
        }
    }
}

/// T-bit of ABORT and SHUTDOWN-COMPLETE: the verification tag is reflected.
pub(super) const FLAG_T: u8 = 0x01;
