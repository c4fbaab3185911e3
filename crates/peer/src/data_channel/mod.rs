//! A data channel as the application holds it.

mod byte_stream;
mod messages;
mod options;
mod send;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::channel::Channel;
use crate::error::{Error, SendError};
use crate::message::Message;
use crate::transport::shared::{Handle, Outgoing};

pub use byte_stream::{ByteReader, ByteStream, ByteWriter, TextMessages};
pub use messages::Messages;
pub use options::{
    ChannelCloseReason, DataChannelOptions, DataChannelState, MessageOptions, Reliability,
};
pub use send::Permit;

/// A bidirectional message channel (W3C WebRTC `RTCDataChannel`, RFC 8831).
///
/// A handle: clones are the same channel. It keeps its connection alive. Dropping all handles does
/// not close the channel; [`close`](Self::close) does.
///
/// None of the getters waits or takes the session lock.
#[derive(Clone, Debug)]
pub struct DataChannel {
    pub(crate) channel: Arc<Channel>,
    pub(crate) connection: Arc<Handle>,
}

impl DataChannel {
    /// The name it was created with; not unique.
    pub fn label(&self) -> &str {
        &self.channel.label
    }

    /// The application's subprotocol.
    pub fn protocol(&self) -> &str {
        &self.channel.options.protocol
    }

    /// The SCTP stream id, once it is known: with [`DataChannelOptions::negotiated`] at once,
    /// otherwise when DTLS has decided who takes even ids (RFC 8832 §6).
    pub fn id(&self) -> Option<u16> {
        u16::try_from(self.channel.id.load(Ordering::Acquire)).ok()
    }

    /// Whether messages arrive in order.
    pub fn ordered(&self) -> bool {
        self.channel.options.ordered
    }

    /// How hard lost messages are repeated.
    pub fn reliability(&self) -> Reliability {
        self.channel.options.reliability
    }

    /// The priority of what is sent here on this channel: that of the OPEN message, or of its options,
    /// until it is changed.
    pub fn priority(&self) -> u16 {
        self.channel.priority()
    }

    /// Changes the priority of what is sent here (RFC 8831 §6.4), from the next fragment that is
    /// planned on, so within a round trip; the other end's is its own. What it means is the
    /// [scheduler's](crate::PeerConnectionBuilder::scheduler) choice: by default a weight, so that a
    /// channel of 512 gets twice the bytes of one of 256 while both have something to send; 0 counts
    /// as 1. Without interleaving it counts from the next message on. No effect on a closed channel.
    pub fn set_priority(&self, priority: u16) {
        if self.channel.set_priority(priority) {
            let item = Outgoing::Priority(self.channel.clone());
            self.connection.shared.queue(item);
        }
    }

    /// Whether both ends created it with an agreed id.
    pub fn negotiated(&self) -> bool {
        self.channel.options.negotiated.is_some()
    }

    /// The state now.
    pub fn state(&self) -> DataChannelState {
        self.channel.state()
    }

    /// Bytes of messages that were accepted and have not been handed to the network yet (W3C
    /// WebRTC `bufferedAmount`).
    pub fn buffered_amount(&self) -> usize {
        self.channel.queued_bytes.load(Ordering::SeqCst)
    }

    /// Sets the amount at which [`buffered_amount_low`](Self::buffered_amount_low) resolves, in
    /// bytes. Default: 0.
    pub fn set_buffered_amount_low_threshold(&self, bytes: usize) {
        self.channel.low_threshold.store(bytes, Ordering::SeqCst);
        // A waiter may be satisfied by the new threshold.
        self.channel.low.notify_waiters();
    }

    /// The amount at which [`buffered_amount_low`](Self::buffered_amount_low) resolves, in bytes.
    pub fn buffered_amount_low_threshold(&self) -> usize {
        self.channel.low_threshold.load(Ordering::SeqCst)
    }

    /// Waits until [`buffered_amount`](Self::buffered_amount) is at or below the threshold, or the
    /// channel is closed. Cancel-safe.
    pub async fn buffered_amount_low(&self) {
        loop {
            let low = self.channel.low.notified();
            if self.buffered_amount() <= self.buffered_amount_low_threshold()
                || self.state() == DataChannelState::Closed
            {
                return;
            }
            low.await;
        }
    }

    /// Waits until the channel is open.
    ///
    /// # Errors
    /// [`Error::Closed`] when the connection ends first. A channel that closes before it opened
    /// answers the same with [`Reason::Local`](crate::Reason) or [`Reason::Remote`](crate::Reason). Cancel-safe.
    pub async fn opened(&self) -> Result<(), Error> {
        loop {
            let changed = self.channel.changed.notified();
            match self.state() {
                DataChannelState::Connecting => changed.await,
                DataChannelState::Open => return Ok(()),
                DataChannelState::Closing | DataChannelState::Closed => {
                    return Err(Error::Closed(self.channel.reason()));
                }
            }
        }
    }

    /// Waits until the channel is closed at both ends or the connection has ended. Messages that
    /// arrived before can still be received.
    ///
    /// An other end that has everything and still does not close its half is waited for no longer
    /// than [`channel_close_timeout`](crate::PeerConnectionBuilder::channel_close_timeout). One whose
    /// application does not read what was sent before is waited for as long as that takes.
    ///
    /// Cancel-safe.
    pub async fn closed(&self) {
        loop {
            let changed = self.channel.changed.notified();
            if self.state() == DataChannelState::Closed {
                return;
            }
            changed.await;
        }
    }

    /// The next message; `None` once the channel is closed and everything that arrived was taken.
    ///
    /// What is not taken counts against the receive window, which all channels of a connection
    /// share (SCTP has one): a channel that nobody reads stops the others in the end.
    ///
    /// Cancel-safe: a message is lost to no dropped future.
    pub async fn recv(&self) -> Option<Message> {
        let received = self.channel.inbox.pop().await?;
        self.connection.shared.taken(received.cost);
        Some(received.message)
    }

    /// The next message if one has arrived.
    pub fn try_recv(&self) -> Option<Message> {
        let received = self.channel.inbox.try_pop()?;
        self.connection.shared.taken(received.cost);
        Some(received.message)
    }

    /// The channel as a [`Stream`](futures_core::Stream) of its messages and a
    /// [`Sink`](futures_sink::Sink) for them.
    pub fn messages(&self) -> Messages {
        Messages::new(self.clone())
    }

    /// The channel as a byte stream for tokio's `AsyncRead` and `AsyncWrite`.
    ///
    /// On a channel that is unordered or partially reliable, bytes may arrive in another order or not
    /// at all: use one with the default options.
    pub fn into_stream(self) -> ByteStream {
        ByteStream::new(self)
    }

    /// Starts closing: what was accepted for sending is delivered first, then the stream is reset
    /// (RFC 8831 §6.7). [`closed`](Self::closed) tells when both ends are done.
    pub fn close(&self) {
        if self.channel.begin_closing() {
            self.connection
                .shared
                .queue(Outgoing::Close(self.channel.clone()));
        }
    }

    /// What closed the channel; `None` before it is closed, and for a channel that ended with a
    /// connection that never carried it.
    pub fn close_reason(&self) -> Option<ChannelCloseReason> {
        self.channel.close_reason()
    }

    /// Waits until everything that was accepted for this channel has been handed to the network, or
    /// the channel has ended.
    async fn flushed(&self) -> Result<(), SendError> {
        loop {
            let low = self.channel.low.notified();
            if self.buffered_amount() == 0 {
                return self.nothing_lost();
            }
            if self.state() == DataChannelState::Closed {
                return Err(self.ended());
            }
            low.await;
        }
    }

    /// Whether every message that was accepted for this channel left it, unless it still waits.
    fn nothing_lost(&self) -> Result<(), SendError> {
        if self.channel.lost.load(Ordering::Acquire) {
            Err(self.ended())
        } else {
            Ok(())
        }
    }
}
