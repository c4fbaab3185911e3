//! What an association tells its owner.

use bytes::Bytes;

use crate::error::CloseReason;
use crate::serial::{Ppid, StreamId};

/// Taken with [`crate::Association::poll_event`] until it returns `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The association is established; sent once.
    Connected {
        /// Streams we may send on: ids below this number.
        outbound_streams: u16,
        /// Streams the peer may send on.
        inbound_streams: u16,
        /// The peer accepts FORWARD-TSN: partial reliability takes effect.
        partial_reliability: bool,
        /// The peer accepts RE-CONFIG: streams can be reset.
        stream_reset: bool,
    },
    /// The peer restarted (RFC 9260 §5.2.4.1): every stream starts again at sequence number zero,
    /// and messages not yet delivered in either direction are lost.
    Restarted,
    /// A complete message.
    Message(ReceivedMessage),
    /// The peer reset streams it sends on (RFC 6525 §5.2.2); all data sent before has been
    /// delivered. An empty list means all of them.
    IncomingReset {
        /// The streams.
        streams: Vec<StreamId>,
    },
    /// Streams handed to [`crate::Association::reset_streams`] were dealt with.
    OutgoingResetDone {
        /// The streams.
        streams: Vec<StreamId>,
        /// What the peer answered.
        result: ResetResult,
    },
    /// A message was given up before it was acknowledged: its lifetime or number of
    /// retransmissions was reached, or its stream does not exist (RFC 3758 §3.5). Consecutive ones
    /// of a stream may be reported together.
    Abandoned {
        /// The stream.
        stream: StreamId,
        /// Number of messages.
        messages: usize,
    },
    /// The association ended. Nothing follows.
    Closed(CloseReason),
}

/// The peer's answer to an outgoing stream reset (RFC 6525 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetResult {
    /// The streams start again at sequence number zero.
    Performed,
    /// Refused; the streams go on as before.
    Denied,
}

/// A message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The stream.
    pub stream: StreamId,
    /// The payload protocol identifier, uninterpreted.
    pub ppid: Ppid,
    /// The user data.
    pub payload: Bytes,
    /// Whether it was sent in order.
    pub ordered: bool,
    /// What it takes of the receive window: its length and an overhead. Hand it to
    /// [`crate::Association::release`] once the application has taken the message.
    pub cost: usize,
}
