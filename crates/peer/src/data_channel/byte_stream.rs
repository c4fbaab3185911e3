//! A channel as a byte stream.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::{DataChannel, Messages};
use crate::error::SendError;
use crate::message::Message;

/// A channel as a byte stream, from [`DataChannel::into_stream`].
///
/// **Framing.**
/// - *Writing.* One `poll_write` sends one binary message of at most
///   [`message_size`](Self::with_message_size) bytes (and at most what the other end accepts) and says
///   how many bytes it took, so `write_all` sends as many messages as it takes. Nothing is held back
///   to be joined with later bytes: for many small writes put a `tokio::io::BufWriter` around it. An
///   empty write sends nothing.
/// - *Reading.* Messages are concatenated; their boundaries do not show. Empty messages are passed
///   over. A text message is an error of kind `InvalidData`, after which reading goes on behind it, or
///   its UTF-8 bytes with [`TextMessages::AsBytes`].
/// - *Flushing* waits until everything written has been handed to the network, not until it has
///   arrived. Writing does not need it.
/// - *Shutting down* delivers what was written, closes the channel and waits until both ends are
///   closed; then the other end has everything. Data channels know no half-close: afterwards this end
///   reads only what the other had sent by then, and then the end.
/// - *The end.* A read of 0 bytes: either end closed the channel or the connection. A connection that
///   fails is an error of kind `ConnectionAborted` behind what had arrived.
///
/// A read or write that is dropped has taken or sent nothing. `tokio::io::split` works, and
/// [`into_split`](Self::into_split) without a lock.
///
/// ```
/// # use peerloom::{DataChannelOptions, Event, PeerConnection};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (a, b) = (
/// #     PeerConnection::builder().loopback(true).build().await?,
/// #     PeerConnection::builder().loopback(true).build().await?,
/// # );
/// # let channel = a.create_data_channel("bytes", DataChannelOptions::default())?;
/// # a.set_local_description(a.create_offer().await?).await?;
/// # a.gathering_complete().await;
/// # b.set_remote_description(a.local_description().ok_or("")?).await?;
/// # b.set_local_description(b.create_answer().await?).await?;
/// # b.gathering_complete().await;
/// # a.set_remote_description(b.local_description().ok_or("")?).await?;
/// # let incoming = loop {
/// #     if let Event::DataChannel(channel) = b.next_event().await.ok_or("")? { break channel }
/// # };
/// let (mut to, mut from) = (channel.into_stream(), incoming.into_stream());
/// let sent = async {
///     to.write_all(&[7; 1_000_000]).await?;
///     to.shutdown().await
/// };
/// let mut received = Vec::new();
/// let (sent, read) = tokio::join!(sent, from.read_to_end(&mut received));
/// sent?;
/// assert_eq!(read?, 1_000_000);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ByteStream {
    reader: ByteReader,
    writer: ByteWriter,
}

/// What a text message is to a byte stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextMessages {
    /// An error of kind `InvalidData`; the message is lost to the stream. The default.
    #[default]
    Refused,
    /// The bytes of its UTF-8 form.
    AsBytes,
}

impl ByteStream {
    pub(super) fn new(channel: DataChannel) -> Self {
        ByteStream {
            reader: ByteReader {
                messages: channel.messages(),
                text: TextMessages::default(),
                unread: Bytes::new(),
            },
            writer: ByteWriter {
                messages: channel.messages(),
                message_size: MESSAGE_SIZE,
            },
        }
    }

    /// The largest message that a write sends, in bytes; at least 1. Default: 64 KiB, the size up to
    /// which every implementation takes messages.
    #[must_use]
    pub fn with_message_size(mut self, bytes: usize) -> Self {
        self.writer.message_size = bytes.max(1);
        self
    }

    /// What a text message is. Default: [`TextMessages::Refused`].
    #[must_use]
    pub fn with_text(mut self, text: TextMessages) -> Self {
        self.reader.text = text;
        self
    }

    /// The channel.
    pub fn channel(&self) -> &DataChannel {
        self.reader.messages.channel()
    }

    /// The two directions, which share nothing but the channel.
    pub fn into_split(self) -> (ByteReader, ByteWriter) {
        (self.reader, self.writer)
    }
}

/// The reading half of a [`ByteStream`].
#[derive(Debug)]
pub struct ByteReader {
    messages: Messages,
    text: TextMessages,
    /// What is left of a message.
    unread: Bytes,
}

/// The writing half of a [`ByteStream`]. Dropped, it closes nothing.
#[derive(Debug)]
pub struct ByteWriter {
    messages: Messages,
    message_size: usize,
}

impl ByteReader {
    /// Waits until there is something unread, or the end.
    fn poll_unread(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.messages.poll_recv(cx)) {
                Some(Message::Text(_)) if self.text == TextMessages::Refused => {
                    let text = "text message on a byte stream";
                    return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, text)));
                }
                Some(message) => self.unread = message.into_bytes(),
                None => {
                    let reason = self.messages.channel().connection.shared.reason();
                    return Poll::Ready(match reason.filter(|reason| reason.is_failure()) {
                        Some(reason) => Err(io::Error::new(ErrorKind::ConnectionAborted, reason)),
                        None => Ok(()),
                    });
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ByteReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() > 0 {
            ready!(this.poll_unread(cx))?;
            let len = this.unread.len().min(buf.remaining());
            buf.put_slice(&this.unread.split_to(len));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for ByteReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_unread(cx))?;
        Poll::Ready(Ok(&this.unread))
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        let unread = &mut self.get_mut().unread;
        unread.advance(len.min(unread.len()));
    }
}

impl AsyncWrite for ByteWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let accepted = this.messages.channel().max_message_size();
            let len = bytes.len().min(this.message_size).min(accepted);
            ready!(this.messages.poll_room(cx, len)).map_err(io_error)?;
            let Some(permit) = this.messages.take_room() else {
                continue;
            };
            // Room may have been awaited with another buffer, or before the other end's limit was
            // known.
            let len = len.min(permit.len());
            let sent = permit.send(Bytes::copy_from_slice(&bytes[..len]));
            return Poll::Ready(sent.map(|()| len).map_err(io_error));
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().messages.poll_flushed(cx).map_err(io_error)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().messages.poll_closed(cx).map_err(io_error)
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().reader).poll_read(cx, buf)
    }
}

impl AsyncBufRead for ByteStream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().reader).poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        Pin::new(&mut self.get_mut().reader).consume(len);
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().writer).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().writer).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().writer).poll_shutdown(cx)
    }
}

/// Sending fails on a stream only because it has ended.
fn io_error(error: SendError) -> io::Error {
    let kind = match &error {
        SendError::MessageTooLarge { .. } => ErrorKind::InvalidInput,
        SendError::ChannelClosed => ErrorKind::BrokenPipe,
        SendError::ConnectionClosed(reason) if reason.is_failure() => ErrorKind::ConnectionAborted,
        SendError::ConnectionClosed(_) => ErrorKind::NotConnected,
    };
    io::Error::new(kind, error)
}

/// Half of the smallest of the usual limits is no limit to speed any more, and RFC 8841 §6.1 has
/// 64 KiB as what a peer takes that says nothing.
const MESSAGE_SIZE: usize = 64 << 10;
