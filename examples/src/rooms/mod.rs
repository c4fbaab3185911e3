//! Rooms for two: a WebSocket server that pairs whoever comes to the same room and passes their
//! signals on, and the client's end of it for a [`Negotiator`](peerloom::Negotiator).
//!
//! | request | what it does |
//! |---|---|
//! | `GET /rooms/NAME` | a WebSocket into the room; 409 when two are in it, 400 for another name than 1 to 64 of `A–Z a–z 0–9 - _` |
//! | `GET /negotiate.js` | perfect negotiation for a page, over such a WebSocket |
//!
//! The server's only message of its own is the first one, when both are there: `{"polite":true}` to
//! who came first, `{"polite":false}` to the other. What follows it from either is passed on
//! unread, in order. When one leaves, the other's WebSocket is closed, and the room is free.
//!
//! Whoever knows a room's name can enter: this is an example, not an access control.

mod client;
mod relay;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::ws::{Utf8Bytes, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{mpsc, oneshot};

pub use client::{Room, join};

/// The largest message that is passed on: a description of the largest kind, and its JSON.
const MAX_MESSAGE: usize = 512 << 10;

/// Messages on their way to one end. When they are not taken, the other end's are not read.
const QUEUE: usize = 64;

/// Rooms in use at once.
const MOST: usize = 1024;

/// The routes of [this module](self), for a server of its own or as part of another.
pub fn router() -> Router {
    let script = (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        include_str!("negotiate.js"),
    );
    Router::new()
        .route("/rooms/{room}", get(enter))
        .route("/negotiate.js", get(move || async move { script }))
        .with_state(Rooms::default())
}

async fn enter(
    State(rooms): State<Rooms>,
    Path(name): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    match rooms.enter(name) {
        Ok((seat, place)) => upgrade
            .max_message_size(MAX_MESSAGE)
            .on_upgrade(move |socket| relay::relay(socket, seat, place)),
        Err(refusal) => refusal.into_response(),
    }
}

/// All rooms. A handle.
#[derive(Clone, Debug, Default)]
struct Rooms {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// Numbers rooms, so that who leaves one does not free a later one of the same name.
    last: u64,
    rooms: HashMap<String, Occupied>,
}

#[derive(Debug)]
struct Occupied {
    number: u64,
    /// Who waits alone; `None` when both are there.
    waiting: Option<oneshot::Sender<Link>>,
}

/// A place in a room: gives it back when dropped.
#[derive(Debug)]
struct Seat {
    rooms: Rooms,
    name: String,
    number: u64,
}

/// Where the other end comes from.
#[derive(Debug)]
enum Place {
    /// It will come.
    First(oneshot::Receiver<Link>),
    /// It is here.
    Second(Link),
}

/// The way to the other end and back.
#[derive(Debug)]
struct Link {
    polite: bool,
    to_other: mpsc::Sender<Utf8Bytes>,
    from_other: mpsc::Receiver<Utf8Bytes>,
}

#[derive(Debug)]
enum Refusal {
    Name,
    Full,
    TooMany,
}

impl Rooms {
    fn enter(&self, name: String) -> Result<(Seat, Place), Refusal> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            return Err(Refusal::Name);
        }
        let mut table = self.lock();
        if let Some(room) = table.rooms.get_mut(&name) {
            let waiting = room.waiting.take().ok_or(Refusal::Full)?;
            let (first, second) = links();
            // Refused only by who is leaving; then the room is ours to wait in.
            if waiting.send(first).is_ok() {
                let seat = self.seat(&name, room.number);
                return Ok((seat, Place::Second(second)));
            }
        } else if table.rooms.len() >= MOST {
            return Err(Refusal::TooMany);
        }
        table.last += 1;
        let number = table.last;
        let (sender, link) = oneshot::channel();
        let waiting = Some(sender);
        table
            .rooms
            .insert(name.clone(), Occupied { number, waiting });
        Ok((self.seat(&name, number), Place::First(link)))
    }

    fn seat(&self, name: &str, number: u64) -> Seat {
        Seat {
            rooms: self.clone(),
            name: name.to_owned(),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.rooms.lock();
        if table
            .rooms
            .get(&self.name)
            .is_some_and(|room| room.number == self.number)
        {
            table.rooms.remove(&self.name);
        }
    }
}

fn links() -> (Link, Link) {
    let (to_second, from_first) = mpsc::channel(QUEUE);
    let (to_first, from_second) = mpsc::channel(QUEUE);
    let first = Link {
        polite: true,
        to_other: to_second,
        from_other: from_second,
    };
    let second = Link {
        polite: false,
        to_other: to_first,
        from_other: from_first,
    };
    (first, second)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Name => (
                StatusCode::BAD_REQUEST,
                "a room is 1 to 64 of A-Z a-z 0-9 - _\n".to_owned(),
            ),
            Refusal::Full => (StatusCode::CONFLICT, "two are in this room\n".to_owned()),
            Refusal::TooMany => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{MOST} rooms are in use, no more are made\n"),
            ),
        }
        .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room is for two; when one leaves, the name is free, and the other's seat frees nothing of
    /// the room that comes after.
    #[test]
    fn a_room_is_for_two_and_ends_with_either() {
        let rooms = Rooms::default();
        let (first, waiting) = rooms.enter("a".into()).unwrap();
        let (second, place) = rooms.enter("a".into()).unwrap();
        assert!(matches!(
            (waiting, place),
            (Place::First(_), Place::Second(_))
        ));
        assert!(matches!(rooms.enter("a".into()), Err(Refusal::Full)));
        drop(second);
        let (third, place) = rooms.enter("a".into()).unwrap();
        assert!(matches!(place, Place::First(_)));
        drop(first);
        let (_, place) = rooms.enter("a".into()).unwrap();
        assert!(matches!(place, Place::Second(_)), "the third still waits");
        drop(third);
        assert!(rooms.lock().rooms.is_empty());
    }

    #[test]
    fn who_waits_and_leaves_leaves_the_room_to_the_next() {
        let rooms = Rooms::default();
        let (_seat, place) = rooms.enter("a".into()).unwrap();
        drop(place);
        let (_, place) = rooms.enter("a".into()).unwrap();
        assert!(matches!(place, Place::First(_)));
    }

    #[test]
    fn names_and_rooms_are_limited() {
        let rooms = Rooms::default();
        for name in ["", "a b", "../etc", &"x".repeat(65), "ä"] {
            assert!(
                matches!(rooms.enter(name.into()), Err(Refusal::Name)),
                "{name}"
            );
        }
        let seats: Vec<_> = (0..MOST)
            .map(|i| rooms.enter(i.to_string()).unwrap())
            .collect();
        assert!(matches!(rooms.enter("x".into()), Err(Refusal::TooMany)));
        drop(seats);
        assert!(rooms.enter("x".into()).is_ok());
    }
}
