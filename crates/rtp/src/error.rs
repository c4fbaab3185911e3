//! What can be wrong with input, and with a call.

/// A packet, report, payload or file that is not what its format says. Noise: dropped and counted
/// by the caller, never logged per packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends before the format does.
    #[error("truncated")]
    Truncated,
    /// Not version 2 (RFC 3550 §5.1, §6.4), or another version of the named format.
    #[error("unknown version")]
    Version,
    /// A padding length of zero or beyond the payload (RFC 3550 §5.1).
    #[error("padding length out of range")]
    Padding,
    /// A field has a value that the format does not allow.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// More elements than [`crate::Limits`] allows.
    #[error("more than {0} allowed by the limits")]
    TooMany(&'static str),
    /// Valid, but a part of the format that is not implemented.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
    /// Needs state from an earlier packet that has not been received, such as the template
    /// structure of a dependency descriptor.
    #[error("depends on something not received: {0}")]
    MissingState(&'static str),
}

/// Why something was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The buffer is too small for the next part.
    #[error("{needed} bytes needed, {available} left in the buffer")]
    BufferTooSmall {
        /// Bytes the next part needs.
        needed: usize,
        /// Bytes left.
        available: usize,
    },
    /// A value that the format has no room for.
    #[error("{what}: {value} exceeds {max}")]
    TooLarge {
        /// The field.
        what: &'static str,
        /// The value given.
        value: usize,
        /// The largest the format can carry.
        max: usize,
    },
    /// A value that the format forbids.
    #[error("invalid: {0}")]
    Invalid(&'static str),
}
