//! The bytes of a packet (RFC 9260 §3): what is decoded borrows from the datagram, and the same
//! types are encoded.
//!
//! [`Packet::decode`] checks everything that can be checked without an association: the checksum,
//! every length down to the last parameter and cause, the bundling rules of §6.10, and the action
//! bits of what it does not know (§3.2). It needs no lock. What a chunk *means* in a state, its
//! verification tag included, is the association's business.

mod abort;
mod cause;
mod chunk;
mod cookie;
mod data;
mod error;
mod forward_tsn;
mod heartbeat;
mod i_data;
mod i_forward_tsn;
mod init;
mod packet;
mod param;
mod reconfig;
mod sack;
mod shutdown;
mod tlv;
mod unknown;

pub use abort::Abort;
pub use cause::Cause;
pub use chunk::{Chunk, chunk_type};
pub use cookie::CookieEcho;
pub use data::{DATA_HEADER_LEN, Data, DataFlags};
pub use error::ErrorChunk;
pub use forward_tsn::{ForwardTsn, SkippedStream};
pub use heartbeat::Heartbeat;
pub use i_data::{I_DATA_HEADER_LEN, IData};
pub use i_forward_tsn::{IForwardTsn, SkippedMessage};
pub use init::Init;
pub use packet::{Checksum, HEADER_LEN, Packet, PacketHeader};
pub use param::{Param, ZERO_CHECKSUM_DTLS};
pub use reconfig::{Reconfig, ReconfigParam, ReconfigResult};
pub use sack::{GapBlock, MAX_DUPLICATES, Sack};
pub use shutdown::{Shutdown, ShutdownComplete};
pub use unknown::{UnknownAction, UnknownChunk, UnknownParam};

pub(crate) use packet::{encode_header, write_checksum};
pub(crate) use tlv::{Writer, padded};

/// Why a datagram is not a packet. Noise on the wire: count it and drop the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Shorter than the common header and one chunk header.
    #[error("{0} bytes are too short for a packet")]
    TooShort(usize),
    /// The CRC32c does not match (RFC 9260 §6.8).
    #[error("checksum mismatch")]
    Checksum,
    /// A chunk's length exceeds the packet, or is less than its fixed fields need.
    #[error("chunk of type {chunk_type} has a wrong length")]
    ChunkLength {
        /// The chunk type.
        chunk_type: u8,
    },
    /// A parameter's length exceeds its chunk, or is not what its type needs.
    #[error("parameter of type {param_type} has a wrong length")]
    ParamLength {
        /// The parameter type.
        param_type: u16,
    },
    /// An error cause's length exceeds its chunk, or is not what its code needs.
    #[error("error cause {code} has a wrong length")]
    CauseLength {
        /// The cause code.
        code: u16,
    },
    /// A chunk lacks the parameter it consists of.
    #[error("chunk of type {chunk_type} lacks its parameter")]
    MissingParam {
        /// The chunk type.
        chunk_type: u8,
    },
    /// A chunk that has to be alone in its packet is not (RFC 9260 §6.10).
    #[error("chunk of type {chunk_type} is bundled")]
    Bundled {
        /// The chunk type.
        chunk_type: u8,
    },
    /// More chunks, parameters or causes than any sender has use for.
    #[error("too many elements")]
    TooMany,
}
