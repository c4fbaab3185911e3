//! Errors a caller can act on, and the reason an association ended.
//!
//! The third kind, noise in a received packet, is [`crate::wire::DecodeError`].

use crate::serial::StreamId;

/// Why [`crate::Association::send`] did not take a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// SCTP has no empty messages (RFC 9260 §3.3.1).
    #[error("an SCTP message cannot be empty")]
    Empty,
    /// Larger than the peer accepts.
    #[error("message of {len} bytes exceeds the limit of {max}")]
    TooLarge {
        /// Length of the message.
        len: usize,
        /// Largest length accepted.
        max: usize,
    },
    /// [`crate::Limits::send_queue`] or [`crate::Limits::send_messages`] is reached.
    #[error("no room for {len} bytes: {queued} of {limit} bytes are queued")]
    QueueFull {
        /// Length of the message.
        len: usize,
        /// Bytes held now.
        queued: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The peer agreed on fewer streams.
    #[error("stream {} does not exist: {streams} outgoing streams were agreed on", stream.0)]
    NoSuchStream {
        /// The stream asked for.
        stream: StreamId,
        /// How many there are, counted from zero.
        streams: u16,
    },
    /// The stream is being reset; it can be used again after
    /// [`crate::Event::OutgoingResetDone`].
    #[error("stream {} is being reset", stream.0)]
    Resetting {
        /// The stream asked for.
        stream: StreamId,
    },
    /// [`crate::Association::shutdown`] was called, here or by the peer.
    #[error("the association is shutting down")]
    ShuttingDown,
    /// The association ended.
    #[error("the association is closed: {0}")]
    Closed(CloseReason),
}

/// Why [`crate::Association::reset_streams`] refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// The peer does not support RFC 6525.
    #[error("the peer does not support stream reset")]
    NotSupported,
    /// There is no association yet, or it is shutting down.
    #[error("the association is not established")]
    NotEstablished,
    /// The peer agreed on fewer streams.
    #[error("stream {} does not exist: {streams} outgoing streams were agreed on", stream.0)]
    NoSuchStream {
        /// The stream asked for.
        stream: StreamId,
        /// How many there are, counted from zero.
        streams: u16,
    },
    /// The association ended.
    #[error("the association is closed: {0}")]
    Closed(CloseReason),
}

/// What ended an association. Stored once, returned to every later call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both sides agreed to end (RFC 9260 §9.2).
    #[error("shut down in order")]
    Shutdown,
    /// We ended it with [`crate::Association::abort`].
    #[error("aborted locally: {0}")]
    LocalAbort(String),
    /// The peer sent an ABORT.
    #[error("aborted by the peer: {0}")]
    PeerAbort(AbortCause),
    /// The peer broke the protocol and we sent an ABORT.
    #[error("protocol violation by the peer: {0}")]
    ProtocolViolation(&'static str),
    /// No answer to INIT or COOKIE-ECHO.
    #[error("no answer to {attempts} attempts to connect")]
    ConnectTimeout {
        /// How many were sent.
        attempts: u32,
    },
    /// [`crate::Config::max_retransmits`] was reached.
    #[error("no answer to {attempts} consecutive transmissions")]
    RetransmissionTimeout {
        /// How many were sent.
        attempts: u32,
    },
}

/// The error cause in a peer's ABORT (RFC 9260 §3.3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbortCause {
    /// The cause code; `None` if the ABORT carried no cause.
    pub code: Option<u16>,
    /// Its text, if it is one that carries text, cut to 256 bytes.
    pub text: String,
}

impl std::fmt::Display for AbortCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            None => f.write_str("no cause given"),
            Some(code) => {
                write!(f, "{}", cause_name(code))?;
                if self.text.is_empty() {
                    Ok(())
                } else {
                    write!(f, " ({:?})", self.text)
                }
            }
        }
    }
}

/// RFC 9260 §3.3.10, RFC 5061 §3.3.
fn cause_name(code: u16) -> &'static str {
    match code {
        1 => "invalid stream identifier",
        2 => "missing mandatory parameter",
        3 => "stale cookie",
        4 => "out of resource",
        5 => "unresolvable address",
        6 => "unrecognized chunk type",
        7 => "invalid mandatory parameter",
        8 => "unrecognized parameters",
        9 => "no user data",
        10 => "cookie received while shutting down",
        11 => "restart with new addresses",
        12 => "user-initiated abort",
        13 => "protocol violation",
        _ => "unknown cause",
    }
}
