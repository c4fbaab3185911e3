//! Why a packet was refused, and why keys were.

use thiserror::Error;

/// What is wrong with a packet before any cryptography.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than its header, tag and index need.
    #[error("too short")]
    Truncated,
    /// Longer than 65,535 bytes, which no datagram is.
    #[error("too long")]
    TooLong,
    /// The version is not 2.
    #[error("version is not 2")]
    Version,
}

/// Why [`Receiver`](crate::Receiver) dropped a packet. Never ends a session: anybody can cause any of
/// these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not an RTP or RTCP packet.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A packet with this index was already opened.
    #[error("replayed")]
    Replayed,
    /// Behind the replay window, so it cannot be told from a replay.
    #[error("behind the replay window")]
    TooOld,
    /// The tag does not belong to the packet: forged, damaged, other keys, or a rollover counter that
    /// is off by more than one.
    #[error("not authentic")]
    NotAuthentic,
    /// SRTCP without encryption, which the configuration does not allow.
    #[error("RTCP not encrypted")]
    Unencrypted,
    /// Cryptex was not negotiated, but the packet uses it (RFC 9335 section 5.3).
    #[error("unexpected Cryptex")]
    CryptexUnexpected,
    /// Cryptex is required, but the packet has its extension or CSRCs in the clear.
    #[error("Cryptex missing")]
    CryptexMissing,
    /// All indices of the stream are used up (RFC 3711 section 9.2).
    #[error("packet indices exhausted")]
    Exhausted,
}

/// Why [`Sender`](crate::Sender) refused a packet. The packet is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not an RTP or RTCP packet, or no tailroom behind it.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The output buffer is too short.
    #[error("{needed} bytes needed, the buffer has {len}")]
    NoRoom {
        /// Bytes of the buffer.
        len: usize,
        /// Bytes it needs, tailroom included.
        needed: usize,
    },
    /// A packet with this SSRC and sequence number was sealed before, or lies too far behind to tell.
    /// Sealing another one would use a nonce twice, which gives the keys away; send the same sealed
    /// bytes again instead.
    #[error("sequence number already used")]
    Reused,
    /// All indices are used up (RFC 3711 section 9.2); new keys are needed.
    #[error("packet indices exhausted")]
    Exhausted,
    /// More SSRCs than [`Limits`](crate::Limits) allows have been used with these keys.
    #[error("more than {max} streams")]
    TooManyStreams {
        /// The bound that was met.
        max: usize,
    },
    /// Cryptex is on and the header extension is not one of RFC 8285, so it could not be hidden
    /// (RFC 9335 section 5.2).
    #[error("header extension 0x{profile:04x} cannot be encrypted")]
    CryptexExtension {
        /// Its "defined by profile" field.
        profile: u16,
    },
}

/// Why keys were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No such profile here.
    #[error("unknown SRTP profile 0x{0:04x}")]
    UnknownProfile(u16),
    /// Key, salt or keying material of the wrong length.
    #[error("{len} bytes of key data where the profile needs {expected}")]
    Length {
        /// Bytes given.
        len: usize,
        /// Bytes needed.
        expected: usize,
    },
}
