//! Errors a caller can act on, and what closes a channel.

use std::time::Duration;

use peerloom_sctp::CloseReason;

/// Why [`Session::open`](crate::Session::open) did not open a channel. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Label or protocol does not fit its 16-bit length field.
    #[error("{field} of {len} bytes exceeds the limit of {max}")]
    NameTooLong {
        /// `"label"` or `"protocol"`.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The lifetime does not fit its 32-bit field of milliseconds.
    #[error("a message lifetime of {lifetime:?} exceeds the limit of {max:?}")]
    LifetimeTooLong {
        /// The lifetime asked for.
        lifetime: Duration,
        /// The longest possible.
        max: Duration,
    },
    /// There is no such stream: ids end at 65,534, or where the association's streams end.
    #[error("stream id {id} is beyond the last one, {max}")]
    IdOutOfRange {
        /// The id asked for.
        id: u16,
        /// The highest id.
        max: u16,
    },
    /// A channel uses this id, or the streams of its last one are not reset yet.
    #[error("stream id {id} is in use")]
    IdInUse {
        /// The id asked for.
        id: u16,
    },
    /// All ids of our parity are in use.
    #[error("no stream id is left: the association has {streams} streams")]
    NoIdLeft {
        /// Streams in each direction; half of them are ours to choose from.
        streams: u16,
    },
    /// [`Limits::channels`](crate::Limits::channels) is reached.
    #[error("{max} channels are open")]
    TooManyChannels {
        /// The limit.
        max: usize,
    },
    /// The association ended.
    #[error("the session is closed: {0}")]
    Closed(CloseReason),
}

/// Why [`Session::send`](crate::Session::send) did not take a message. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The channel waits for the association or for a stream id.
    #[error("the channel is not open yet")]
    NotOpen,
    /// The channel is closing or closed.
    #[error("the channel is closed")]
    Closed,
    /// Larger than the peer accepts.
    #[error("message of {len} bytes exceeds the peer's limit of {max}")]
    TooLarge {
        /// Length of the message in bytes.
        len: usize,
        /// The peer's `a=max-message-size`.
        max: usize,
    },
    /// The association holds as much as its limits allow; see
    /// [`peerloom_sctp::Limits::send_queue`].
    #[error("no room for {len} bytes: {queued} of {limit} bytes are queued")]
    QueueFull {
        /// Length of the message in bytes.
        len: usize,
        /// Bytes held now.
        queued: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The association is shutting down or ended.
    #[error("the session is closed")]
    SessionClosed,
}

/// What closed a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelCloseReason {
    /// [`Session::close`](crate::Session::close).
    #[error("closed by this end")]
    Local,
    /// The peer closed it.
    #[error("closed by the peer")]
    Remote,
    /// The peer reset the stream without having acknowledged the channel (RFC 8832 §6).
    #[error("refused by the peer")]
    Refused,
    /// The peer broke a rule of this channel.
    #[error("protocol violation by the peer: {0}")]
    Violation(Violation),
    /// The association has no stream for the channel: fewer were agreed on, or all are in use.
    #[error("no stream id is left")]
    NoIdLeft,
    /// Label and protocol together exceed what the peer accepts in a message.
    #[error("label and protocol exceed the peer's message size")]
    NameTooLong,
    /// The peer cannot or will not reset streams; the stream id is not used again.
    #[error("the peer does not reset streams")]
    ResetDenied,
    /// The peer did not reset its half within
    /// [`Limits::close_timeout`](crate::Limits::close_timeout).
    #[error("the peer did not answer the closing")]
    Unanswered,
    /// The peer started its association anew and no longer knows the channel.
    #[error("the peer restarted")]
    Restarted,
    /// The association ended, for the reason in
    /// [`SessionEvent::SessionClosed`](crate::SessionEvent::SessionClosed).
    #[error("the session is closed")]
    SessionClosed,
}

/// What a peer does that closes one channel, or resets one stream, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A message with the PPID of DCEP is not a DCEP message.
    #[error("malformed DCEP message")]
    MalformedDcep,
    /// OPEN on a stream that has a channel.
    #[error("OPEN on a stream in use")]
    OpenOnUsedStream,
    /// OPEN on a stream id that is ours to choose.
    #[error("OPEN on a stream id of the wrong parity")]
    WrongParity,
    /// Label or protocol exceeds [`Limits::name_length`](crate::Limits::name_length) or
    /// [`Limits::name_bytes`](crate::Limits::name_bytes).
    #[error("label or protocol too long")]
    NameTooLong,
    /// More channels than [`Limits::incoming_channels`](crate::Limits::incoming_channels).
    #[error("too many channels")]
    TooManyChannels,
    /// ACK for a channel that sent no OPEN, or a second one.
    #[error("ACK without OPEN")]
    UnexpectedAck,
    /// A message on a stream that has no channel, and did not get one in time.
    #[error("message on a stream without a channel")]
    UnknownStream,
    /// A message larger than we announced.
    #[error("message exceeds the announced size")]
    MessageTooLarge,
    /// Unfinished parts exceed [`Limits::partial_bytes`](crate::Limits::partial_bytes).
    #[error("unfinished message exceeds its limit")]
    PartialTooLarge,
}
