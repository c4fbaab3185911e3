//! A channel as a stream of messages and a sink for them.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;

use super::{ChannelCloseReason, DataChannel, DataChannelState, Permit};
use crate::error::SendError;
use crate::message::Message;
use crate::transport::inbox::Turn;

/// The messages of a channel, from [`DataChannel::messages`]: a [`Stream`] of those that arrive and a
/// [`Sink`] for those to send. `futures_util::StreamExt::split` makes two of it.
///
/// **Stream.** As [`DataChannel::recv`]: ends once the channel is closed and everything that arrived
/// was taken. Of several streams and `recv` calls on one channel, each message reaches one.
///
/// **Sink.**
/// - `poll_ready` waits until the channel is open and the send buffers (of channel and connection) are
///   below their limits. How large the next message is, it cannot know: that message may exceed a
///   limit, once for each sink. `start_send` neither waits nor fails for lack of room.
/// - `poll_flush` waits until everything accepted for the *channel*, by whatever handle, was handed to
///   the network: [`buffered_amount`](DataChannel::buffered_amount) is 0. It does not wait for the
///   other end. `SinkExt::send` flushes after each message, which leaves the pipe empty between two;
///   `feed` and `send_all` do not.
/// - `poll_close` delivers what was accepted, closes the channel, and waits until it is closed at both
///   ends: then the other end has everything.
///
/// Nothing is lost or doubled when a future made of it is dropped: a message is taken by the poll that
/// returns it, and sent by `start_send` alone. Room that `poll_ready` found is kept until it is used
/// or the value is dropped.
///
/// ```
/// # use peerloom::{DataChannelOptions, Event, PeerConnection};
/// use futures_util::{SinkExt, StreamExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (a, b) = (
/// #     PeerConnection::builder().loopback(true).build().await?,
/// #     PeerConnection::builder().loopback(true).build().await?,
/// # );
/// # let channel = a.create_data_channel("echo", DataChannelOptions::default())?;
/// # a.set_local_description(a.create_offer().await?).await?;
/// # a.gathering_complete().await;
/// # b.set_remote_description(a.local_description().ok_or("")?).await?;
/// # b.set_local_description(b.create_answer().await?).await?;
/// # b.gathering_complete().await;
/// # a.set_remote_description(b.local_description().ok_or("")?).await?;
/// # let echo = loop {
/// #     if let Event::DataChannel(channel) = b.next_event().await.ok_or("")? { break channel }
/// # };
/// // The other end answers every message with itself.
/// let (sink, stream) = echo.messages().split();
/// let echoing = stream.map(Ok).forward(sink);
///
/// let ours = async {
///     let mut messages = channel.messages();
///     messages.feed("one".into()).await?;
///     messages.feed("two".into()).await?;
///     assert_eq!(messages.next().await, Some("one".into()));
///     assert_eq!(messages.next().await, Some("two".into()));
///     messages.close().await
/// };
/// let (echoed, sent) = tokio::join!(echoing, ours);
/// echoed?;
/// sent?;
/// # Ok(()) }
/// ```
#[must_use = "streams and sinks do nothing unless polled"]
pub struct Messages {
    channel: DataChannel,
    receiving: Turn,
    ended: bool,
    room: Room,
    flushing: Option<Waiting<Result<(), SendError>>>,
    closing: Option<Waiting<()>>,
}

/// A wait that goes on between two polls. One allocation each time there is something to wait for.
pub(super) type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

impl Messages {
    pub(super) fn new(channel: DataChannel) -> Self {
        Messages {
            channel,
            receiving: Turn::default(),
            ended: false,
            room: Room::None,
            flushing: None,
            closing: None,
        }
    }

    /// The channel.
    pub fn channel(&self) -> &DataChannel {
        &self.channel
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let inbox = &self.channel.channel.inbox;
        let received = ready!(inbox.poll_pop(cx, &mut self.receiving));
        self.ended = received.is_none();
        Poll::Ready(received.map(|received| {
            self.channel.connection.shared.taken(received.cost);
            received.message
        }))
    }

    /// Room for a message of `len` bytes, kept until it is used.
    pub(super) fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
    ) -> Poll<Result<(), SendError>> {
        loop {
            match &mut self.room {
                Room::Kept(_) => return Poll::Ready(Ok(())),
                Room::None => {
                    self.room = match self.channel.try_reserve(len) {
                        Some(permit) => Room::Kept(permit),
                        None => {
                            let channel = self.channel.clone();
                            Room::Awaited(Box::pin(async move { channel.reserve(len).await }))
                        }
                    };
                }
                Room::Awaited(waiting) => {
                    let permit = ready!(waiting.as_mut().poll(cx));
                    self.room = Room::None;
                    self.room = Room::Kept(permit?);
                }
            }
        }
    }

    /// The room that [`poll_room`](Self::poll_room) found.
    pub(super) fn take_room(&mut self) -> Option<Permit> {
        match std::mem::replace(&mut self.room, Room::None) {
            Room::Kept(permit) => Some(permit),
            Room::None | Room::Awaited(_) => None,
        }
    }

    pub(super) fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.flushing.is_none() && self.channel.buffered_amount() == 0 {
            return Poll::Ready(self.channel.nothing_lost());
        }
        let channel = &self.channel;
        let flushing = self.flushing.get_or_insert_with(|| {
            let channel = channel.clone();
            Box::pin(async move { channel.flushed().await })
        });
        let flushed = ready!(flushing.as_mut().poll(cx));
        self.flushing = None;
        Poll::Ready(flushed)
    }

    /// Closes, and waits until the other end has everything that was accepted.
    pub(super) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        // Room kept for a message that will not come must not be missing elsewhere.
        self.room = Room::None;
        self.channel.close();
        if self.channel.state() != DataChannelState::Closed {
            let channel = &self.channel;
            let closing = self.closing.get_or_insert_with(|| {
                let channel = channel.clone();
                Box::pin(async move { channel.closed().await })
            });
            ready!(closing.as_mut().poll(cx));
            self.closing = None;
        }
        Poll::Ready(match self.channel.close_reason() {
            Some(ChannelCloseReason::Local | ChannelCloseReason::Remote) => {
                self.channel.nothing_lost()
            }
            Some(_) | None => Err(self.channel.ended()),
        })
    }
}

impl Stream for Messages {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.get_mut().poll_recv(cx)
    }
}

impl FusedStream for Messages {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl Sink<Message> for Messages {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_room(cx, 0)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        let this = self.get_mut();
        let permit = this.take_room().unwrap_or_else(|| {
            // Sent without having asked, which is the caller's mistake and not worth a panic.
            Permit::empty(this.channel.clone())
        });
        permit.send_beyond(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_flushed(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_closed(cx)
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// Room in the send buffers.
enum Room {
    None,
    Awaited(Waiting<Result<Permit, SendError>>),
    Kept(Permit),
}
