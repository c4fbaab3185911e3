//! One WebSocket of a room: what comes goes to the other end, and the other way round.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::time::timeout;

use super::{Link, Place, Seat};

/// How long one may be alone in a room.
const ALONE: Duration = Duration::from_secs(600);

/// A WebSocket that takes nothing for so long is gone.
const STUCK: Duration = Duration::from_secs(10);

/// Between two pings: a proxy closes what is quiet for a minute.
const PING: Duration = Duration::from_secs(20);

/// Runs until either end leaves.
pub(super) async fn relay(socket: WebSocket, seat: Seat, place: Place) {
    let (mut sink, mut source) = socket.split();
    if let Some(link) = other_end(place, &mut source).await {
        let welcome = json!({ "polite": link.polite }).to_string();
        if sink.send(Message::Text(welcome.into())).await.is_ok() {
            let Link {
                to_other,
                mut from_other,
                ..
            } = link;
            let reading = async {
                while let Some(Ok(message)) = source.next().await {
                    if let Message::Text(text) = message
                        && to_other.send(text).await.is_err()
                    {
                        break;
                    }
                }
            };
            let writing = async {
                while let Some(message) = next(&mut from_other).await {
                    if !matches!(timeout(STUCK, sink.send(message)).await, Ok(Ok(()))) {
                        break;
                    }
                }
            };
            tokio::select! {
                () = reading => {}
                () = writing => {}
            }
        }
    }
    // The room first: who is told may come again at once.
    drop(seat);
    let _ = timeout(STUCK, close(sink)).await;
}

/// Waits for the other end, unless this one leaves first.
async fn other_end(place: Place, source: &mut SplitStream<WebSocket>) -> Option<Link> {
    match place {
        Place::Second(link) => Some(link),
        Place::First(link) => tokio::select! {
            link = timeout(ALONE, link) => link.ok()?.ok(),
            () = gone(source) => None,
        },
    }
}

async fn gone(source: &mut SplitStream<WebSocket>) {
    while let Some(Ok(_)) = source.next().await {}
}

/// The next message for this end: the other's, or a ping when it says nothing.
async fn next(
    from_other: &mut tokio::sync::mpsc::Receiver<axum::extract::ws::Utf8Bytes>,
) -> Option<Message> {
    match timeout(PING, from_other.recv()).await {
        Ok(text) => text.map(Message::Text),
        Err(_) => Some(Message::Ping(Vec::new().into())),
    }
}

async fn close(mut sink: SplitSink<WebSocket, Message>) {
    // Gone already, as a rule.
    let _ = sink.send(Message::Close(None)).await;
}
