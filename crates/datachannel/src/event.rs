//! What a session tells its owner.

use bytes::Bytes;
use peerloom_sctp::CloseReason;

use crate::channel::ChannelOptions;
use crate::error::ChannelCloseReason;
use crate::ppid::MessageKind;
use crate::slab::ChannelKey;

/// Taken with [`Session::poll_event`](crate::Session::poll_event) until it returns `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// The association is established. Sent once, before any channel opens.
    Connected,
    /// An in-band channel of ours got its stream id and its OPEN is queued: from now on messages
    /// can be sent, although the peer has not answered yet.
    Assigned {
        /// The channel.
        key: ChannelKey,
        /// Its stream id.
        id: u16,
    },
    /// A channel of ours is open: the peer acknowledged it or sent on it, or it is negotiated and
    /// the association is established.
    Opened(ChannelKey),
    /// The peer opened a channel. It is open.
    Incoming {
        /// Its key, valid until [`SessionEvent::Closed`].
        key: ChannelKey,
        /// What the peer asked for.
        options: Box<ChannelOptions>,
        /// Its stream id.
        id: u16,
    },
    /// A message. Messages may still arrive after [`SessionEvent::Closing`] when this end closed
    /// the channel: the peer may have had some queued.
    Message {
        /// The channel.
        key: ChannelKey,
        /// Text or binary.
        kind: MessageKind,
        /// The message; text is not checked to be UTF-8.
        payload: Bytes,
        /// What it takes of the receive window. Hand it to
        /// [`Session::release`](crate::Session::release) when the application took the message.
        cost: usize,
    },
    /// The channel is being closed, by the peer or because of what the peer sent. Nothing more can
    /// be sent; what was queued is still sent.
    Closing(ChannelKey),
    /// The channel is gone and its key no longer known. The last event of every channel.
    Closed {
        /// The channel.
        key: ChannelKey,
        /// What closed it.
        reason: ChannelCloseReason,
    },
    /// The association ended, after every channel was closed. Nothing follows.
    SessionClosed(CloseReason),
}
