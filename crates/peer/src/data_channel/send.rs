//! Sending: room first, then the queue.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use peerloom_datachannel::MessageKind;

use super::{DataChannel, DataChannelState, MessageOptions};
use crate::channel::{charge, wire_len};
use crate::error::{SendError, TrySendError, TrySendErrorKind};
use crate::message::Message;
use crate::transport::budget::SendBudget;
use crate::transport::shared::Outgoing;

impl DataChannel {
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
        self.send_with(message, MessageOptions::default()).await
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

    /// [`send`](Self::send) for a message that is delivered otherwise than its channel says: out of
    /// order, or given up after a time or a number of retransmissions. SCTP carries both per message
    /// (RFC 9260 §3.3.1, RFC 7496 §4), so the other end, a browser too, needs to know nothing of it.
    ///
    /// Until the other end has answered the channel's opening, messages go in order whatever they
    /// ask for (RFC 8832 §6). A lifetime begins when the message leaves the send buffer's queue for
    /// SCTP.
    ///
    /// ```no_run
    /// # async fn example(channel: peerloom::DataChannel) -> Result<(), peerloom::SendError> {
    /// use std::time::Duration;
    /// use peerloom::{MessageOptions, Reliability};
    ///
    /// // A position is worth nothing after 100 ms, and never waits for an older one.
    /// let position = MessageOptions {
    ///     ordered: Some(false),
    ///     reliability: Some(Reliability::MaxLifetime(Duration::from_millis(100))),
    /// };
    /// channel.send_with("x=1,y=2", position).await?;
    /// channel.send("a chat message on the same channel").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send). Cancel-safe.
    pub async fn send_with(
        &self,
        message: impl Into<Message>,
        options: MessageOptions,
    ) -> Result<(), SendError> {
        let message = message.into();
        let len = message.len();
        if self.state() != DataChannelState::Open || !self.try_take(len) {
            self.take(len).await?;
        }
        self.check_size(len).inspect_err(|_| self.give(len))?;
        self.queue(message, options);
        Ok(())
    }

    /// Sends a message if that is possible without waiting.
    ///
    /// # Errors
    /// [`TrySendError`] gives the message back, with
    /// [`Full`](TrySendErrorKind::Full), [`NotOpen`](TrySendErrorKind::NotOpen) or the reason why
    /// it can never be sent.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.try_send_with(message, MessageOptions::default())
    }

    /// [`try_send`](Self::try_send) with the options of [`send_with`](Self::send_with).
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn try_send_with(
        &self,
        message: impl Into<Message>,
        options: MessageOptions,
    ) -> Result<(), TrySendError> {
        let message = message.into();
        let len = message.len();
        let kind = match self.state() {
            DataChannelState::Connecting => TrySendErrorKind::NotOpen,
            DataChannelState::Closing | DataChannelState::Closed => self.ended().into(),
            DataChannelState::Open => match self.check_size(len) {
                Err(error) => error.into(),
                Ok(()) if self.try_take(len) => {
                    self.queue(message, options);
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

    /// [`reserve`](Self::reserve) if there is room at once.
    pub(super) fn try_reserve(&self, len: usize) -> Option<Permit> {
        (self.state() == DataChannelState::Open && self.try_take(len)).then(|| Permit {
            channel: self.clone(),
            reserved: Some(len),
        })
    }

    /// The largest message that the other end accepts, in bytes; `usize::MAX` if it names no limit
    /// or before its description is known (W3C WebRTC `RTCSctpTransport.maxMessageSize`).
    pub fn max_message_size(&self) -> usize {
        self.connection.shared.remote_max_message_size()
    }

    /// Bytes that may wait to be sent in this channel.
    pub fn send_buffer_limit(&self) -> usize {
        self.channel.budget.limit()
    }

    /// Changes how many bytes may wait to be sent in this channel, at once: a `send` that waits goes
    /// on if there is room now; what is queued beyond a smaller limit is sent all the same. Default:
    /// [`channel_send_buffer_limit`] of the connection.
    ///
    /// [`channel_send_buffer_limit`]: crate::PeerConnectionBuilder::channel_send_buffer_limit
    pub fn set_send_buffer_limit(&self, bytes: usize) {
        self.channel.budget.set_limit(bytes);
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
        let all = &self.connection.shared.budget;
        if !self.may_use_reserve() || !all.try_take_reserve(charge) {
            all.take(charge).await.map_err(|_| self.ended())?;
        }
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
        let all = &self.connection.shared.budget;
        if all.try_take(charge) || self.may_use_reserve() && all.try_take_reserve(charge) {
            return true;
        }
        self.channel.budget.give(charge);
        false
    }

    /// Whether so little of this channel is queued, what is being taken included, that it need not
    /// wait for others.
    fn may_use_reserve(&self) -> bool {
        self.channel.budget.used() <= LITTLE
    }

    fn give(&self, len: usize) {
        self.channel.budget.give(charge(len));
        self.connection.shared.budget.give(charge(len));
    }

    fn check_size(&self, len: usize) -> Result<(), SendError> {
        let max = self.max_message_size();
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

    /// Why nothing can be sent any more.
    pub(super) fn ended(&self) -> SendError {
        match self.connection.shared.reason() {
            Some(reason) => SendError::ConnectionClosed(reason),
            None => SendError::ChannelClosed,
        }
    }

    /// The message has its room.
    fn queue(&self, message: Message, options: MessageOptions) {
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
            options,
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
    pub fn send(self, message: impl Into<Message>) -> Result<(), SendError> {
        let (message, reserved) = (message.into(), self.len());
        if message.len() > reserved {
            return Err(SendError::MessageTooLarge {
                len: message.len(),
                max: reserved,
            });
        }
        self.send_beyond(message)
    }

    /// Sends a message of any length that the other end accepts, over the limit if need be.
    pub(super) fn send_beyond(mut self, message: Message) -> Result<(), SendError> {
        let channel = &self.channel;
        channel.check_size(message.len())?;
        if channel.state() != DataChannelState::Open {
            return Err(channel.ended());
        }
        let (held, needed) = (
            self.reserved.take().map_or(0, charge),
            charge(message.len()),
        );
        for budget in [&channel.channel.budget, &channel.connection.shared.budget] {
            if needed > held {
                budget.take_beyond(needed - held);
            } else {
                budget.give(held - needed);
            }
        }
        channel.queue(message, MessageOptions::default());
        Ok(())
    }

    /// No room at all.
    pub(super) fn empty(channel: DataChannel) -> Self {
        Permit {
            channel,
            reserved: None,
        }
    }

    /// Bytes reserved.
    pub(super) fn len(&self) -> usize {
        self.reserved.unwrap_or_default()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(len) = self.reserved {
            self.channel.give(len);
        }
    }
}

/// What a channel may have queued at the cost of the connection's reserve, in bytes.
const LITTLE: usize = 64 << 10;

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
