//! The native end's way into a room.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use peerloom::{Politeness, Signal};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::{Error, Result};

/// A room with both ends in it: a `Sink` and `Stream` of [`Signal`]s for
/// [`Negotiator::run`](peerloom::Negotiator::run).
///
/// The stream ends when the other end has left. To meet it again, [`join`] again.
#[derive(Debug)]
pub struct Room {
    politeness: Politeness,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

#[derive(Deserialize)]
struct Welcome {
    polite: bool,
}

/// Enters the room at `url` (`ws://HOST/rooms/NAME`; `http://` is taken for `ws://`) and waits for
/// the other end. Cancel-safe: dropped, it leaves the room.
///
/// ```no_run
/// # use peerloom::{Negotiator, PeerConnection};
/// # use futures_util::StreamExt as _;
/// # async fn example(connection: PeerConnection) -> peerloom_examples::Result<()> {
/// let room = peerloom_examples::rooms::join("ws://127.0.0.1:8081/rooms/tea").await?;
/// let mut negotiator = Negotiator::new(&connection, room.politeness())?;
/// let (sink, source) = room.split();
/// tokio::spawn(async move { negotiator.run(sink, source).await });
/// # Ok(()) }
/// ```
pub async fn join(url: &str) -> Result<Room> {
    let url = match url.strip_prefix("http://") {
        Some(rest) => format!("ws://{rest}"),
        None => url.to_owned(),
    };
    let (mut socket, _) = connect_async(&url)
        .await
        .map_err(|error| format!("{url}: {error}"))?;
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message? {
            let Welcome { polite } = serde_json::from_str(&text)?;
            let politeness = if polite {
                Politeness::Polite
            } else {
                Politeness::Impolite
            };
            return Ok(Room { politeness, socket });
        }
    }
    Err(format!("{url}: closed while nobody else was there").into())
}

impl Room {
    /// Who gives way here, as the server decided.
    pub fn politeness(&self) -> Politeness {
        self.politeness
    }
}

impl Stream for Room {
    type Item = Result<Signal>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Text(text))) => {
                    let signal = serde_json::from_str(&text);
                    return Poll::Ready(Some(signal.map_err(Error::from)));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(None),
                // Pings are answered below; nothing else is said in a room.
                Some(Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                )) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}

impl Sink<Signal> for Room {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket.poll_ready_unpin(cx).map_err(Error::from)
    }

    fn start_send(mut self: Pin<&mut Self>, signal: Signal) -> Result<()> {
        let text = serde_json::to_string(&signal)?;
        Ok(self.socket.start_send_unpin(Message::text(text))?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket.poll_flush_unpin(cx).map_err(Error::from)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket.poll_close_unpin(cx).map_err(Error::from)
    }
}
