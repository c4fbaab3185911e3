//! A data channel as the application holds it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use peerloom_datachannel::MessageKind;
pub use peerloom_sctp::Reliability;
use serde::{Deserialize, Serialize};

use crate::channel::{Channel, charge, wire_len};
use crate::error::{Error, SendError, TrySendError, TrySendErrorKind};
use crate::message::Message;
use crate::transport::budget::SendBudget;
use crate::transport::shared::{Handle, Outgoing};

/// How a channel delivers, for
/// [`PeerConnection::create_data_channel`](crate::PeerConnection::create_data_channel)
/// (W3C WebRTC `RTCDataChannelInit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChannelOptions {
    /// Messages arrive in the order in which they were sent. Default: true.
    pub ordered: bool,
    /// How hard lost messages are repeated. Default: until they arrive.
    pub reliability: Reliability,
    /// The application's subprotocol, at most 65,535 bytes. Default: empty.
    pub protocol: String,
    /// The stream id, when both ends create the channel themselves and no OPEN is sent
    /// (0 to 65,534). Default: `None`, the id is chosen and the other end is told.
    pub negotiated: Option<u16>,
    /// The priority carried in the OPEN message (RFC 8831 §6.4: 128 below normal, 256 normal,
    /// 512 high, 1024 extra high). Default: 256.
    pub priority: u16,
}

impl Default for DataChannelOptions {
    fn default() -> Self {
        DataChannelOptions {
            ordered: true,
            reliability: Reliability::Reliable,
            protocol: String::new(),
            negotiated: None,
            priority: 256,
        }
    }
}

/// The state of a channel (W3C WebRTC §6.2 `readyState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataChannelState {
    /// Not usable yet; `send` waits.
    Connecting,
    /// Messages can be sent and received.
    Open,
    /// No more messages can be sent; those accepted are still on their way.
    Closing,
    /// Closed at both ends.
    Closed,
}

impl DataChannelState {
    pub(crate) fn from_u8(state: u8) -> Self {
        match state {
            0 => DataChannelState::Connecting,
            1 => DataChannelState::Open,
            2 => DataChannelState::Closing,
            _ => DataChannelState::Closed,
        }
    }
}

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

    /// The priority carried in the OPEN message.
    pub fn priority(&self) -> u16 {
        self.channel.options.priority
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
    /// arrived before can still be received. Cancel-safe.
    pub async fn closed(&self) {
        loop {
            let changed = self.channel.changed.notified();
            if self.state() == DataChannelState::Closed {
                return;
            }
            changed.await;
        }
    }

    /// Sends a message, waiting while the channel is not open yet and while the send buffer has no
    /// room (`send_buffer_limit` of the connection and of the channel). Messages of one channel
    /// leave in the order in which their `send` was admitted.
    ///
    /// Returning means that the message is queued; [`PeerConnection::close`] still delivers it.
    ///
    /// # Errors
    /// [`SendError`]: too large for the other end, or the channel or connection has ended.
    ///
    /// Cancel-safe: a dropped future has sent nothing.
    ///
    /// [`PeerConnection::close`]: crate::PeerConnection::close
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let len = message.len();
        if self.state() != DataChannelState::Open || !self.try_take(len) {
            self.take(len).await?;
        }
        self.check_size(len).inspect_err(|_| self.give(len))?;
        self.queue(message);
        Ok(())
    }

    /// [`send`](Self::send) for text.
    ///
    /// # Errors
    /// As [`send`](Self::send). Cancel-safe.
    pub async fn send_text(&self, text: impl Into<String>) -> Result<(), SendError> {
        self.send(Message::Text(text.into())).await
    }

    /// [`send`](Self::send) for bytes.
    ///
    /// # Errors
    /// As [`send`](Self::send). Cancel-safe.
    pub async fn send_binary(&self, bytes: impl Into<Bytes>) -> Result<(), SendError> {
        self.send(Message::Binary(bytes.into())).await
    }

    /// Sends a message if that is possible without waiting.
    ///
    /// # Errors
    /// [`TrySendError`] gives the message back, with
    /// [`Full`](TrySendErrorKind::Full), [`NotOpen`](TrySendErrorKind::NotOpen) or the reason why
    /// it can never be sent.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        let message = message.into();
        let len = message.len();
        let kind = match self.state() {
            DataChannelState::Connecting => TrySendErrorKind::NotOpen,
            DataChannelState::Closing | DataChannelState::Closed => self.ended().into(),
            DataChannelState::Open => match self.check_size(len) {
                Err(error) => error.into(),
                Ok(()) if self.try_take(len) => {
                    self.queue(message);
                    return Ok(());
                }
                Ok(()) => self.full(len),
            },
        };
        Err(TrySendError { message, kind })
    }

    /// Waits for room for a message of `len` bytes and keeps it, so that [`Permit::send`] does not
    /// wait.
    ///
    /// # Errors
    /// As [`send`](Self::send). Cancel-safe: a dropped future or permit gives the room back.
    pub async fn reserve(&self, len: usize) -> Result<Permit, SendError> {
        self.take(len).await?;
        let permit = Permit {
            channel: self.clone(),
            reserved: Some(len),
        };
        self.check_size(len)?;
        Ok(permit)
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

    /// Starts closing: what was accepted for sending is delivered first, then the stream is reset
    /// (RFC 8831 §6.7). [`closed`](Self::closed) tells when both ends are done.
    pub fn close(&self) {
        if self.channel.begin_closing() {
            self.connection
                .shared
                .queue(Outgoing::Close(self.channel.clone()));
        }
    }

    /// Waits until open, then for room. Channel first: a full channel must not hold room of the
    /// connection that others could use.
    async fn take(&self, len: usize) -> Result<(), SendError> {
        if self.opened().await.is_err() {
            return Err(self.ended());
        }
        let charge = charge(len);
        self.channel
            .budget
            .take(charge)
            .await
            .map_err(|_| self.ended())?;
        let room = Room {
            budget: &self.channel.budget,
            bytes: charge,
        };
        self.connection
            .shared
            .budget
            .take(charge)
            .await
            .map_err(|_| self.ended())?;
        room.keep();
        if self.state() == DataChannelState::Open {
            return Ok(());
        }
        self.give(len);
        Err(self.ended())
    }

    fn try_take(&self, len: usize) -> bool {
        let charge = charge(len);
        if !self.channel.budget.try_take(charge) {
            return false;
        }
        if !self.connection.shared.budget.try_take(charge) {
            self.channel.budget.give(charge);
            return false;
        }
        true
    }

    fn give(&self, len: usize) {
        self.channel.budget.give(charge(len));
        self.connection.shared.budget.give(charge(len));
    }

    fn check_size(&self, len: usize) -> Result<(), SendError> {
        let max = self.connection.shared.remote_max_message_size();
        if len > max {
            Err(SendError::MessageTooLarge { len, max })
        } else {
            Ok(())
        }
    }

    fn full(&self, len: usize) -> TrySendErrorKind {
        let (own, all) = (&self.channel.budget, &self.connection.shared.budget);
        let fuller = if own.used() + charge(len) > own.limit() {
            own
        } else {
            all
        };
        TrySendErrorKind::Full {
            len,
            buffered: fuller.used(),
            limit: fuller.limit(),
        }
    }

    fn ended(&self) -> SendError {
        match self.connection.shared.reason() {
            Some(reason) => SendError::ConnectionClosed(reason),
            None => SendError::ChannelClosed,
        }
    }

    /// The message has its room.
    fn queue(&self, message: Message) {
        self.channel.queued_messages.fetch_add(1, Ordering::SeqCst);
        self.channel
            .queued_bytes
            .fetch_add(wire_len(message.len()), Ordering::SeqCst);
        let (kind, payload) = match message {
            Message::Text(text) => (MessageKind::Text, Bytes::from(text)),
            Message::Binary(bytes) => (MessageKind::Binary, bytes),
        };
        self.connection.shared.queue(Outgoing::Message {
            channel: self.channel.clone(),
            kind,
            payload,
        });
    }
}

/// Room in the send buffer, from [`DataChannel::reserve`]. Dropped, it gives the room back.
#[derive(Debug)]
pub struct Permit {
    channel: DataChannel,
    /// `None` once the room belongs to a message.
    reserved: Option<usize>,
}

impl Permit {
    /// Sends a message of at most the reserved length, without waiting.
    ///
    /// # Errors
    /// [`SendError::MessageTooLarge`] with the reserved length as `max`, or the channel has closed
    /// since.
    pub fn send(mut self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let reserved = self.reserved.unwrap_or_default();
        if message.len() > reserved {
            return Err(SendError::MessageTooLarge {
                len: message.len(),
                max: reserved,
            });
        }
        if self.channel.state() != DataChannelState::Open {
            return Err(self.channel.ended());
        }
        self.reserved = None;
        let unused = charge(reserved) - charge(message.len());
        self.channel.channel.budget.give(unused);
        self.channel.connection.shared.budget.give(unused);
        self.channel.queue(message);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(len) = self.reserved {
            self.channel.give(len);
        }
    }
}

/// Room taken from one budget, given back if dropped before [`keep`](Self::keep).
struct Room<'a> {
    budget: &'a SendBudget,
    bytes: usize,
}

impl Room<'_> {
    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give(self.bytes);
        }
    }
}
