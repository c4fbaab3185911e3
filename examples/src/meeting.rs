//! Where the two ends of `chat` and `send-file` meet: a room of a signalling server, their own or
//! another's, and the connection that comes of it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;
use clap::Args;
use futures_util::StreamExt as _;
use peerloom::{
    ConnectionState, DataChannel, DataChannelOptions, Event, Negotiator, PeerConnection,
    Politeness, SignallingEnd,
};

use crate::{Result, program, rooms};

/// Between two tries to enter a room that is not free yet: its last pair is still leaving.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// How long a room may stay full.
const FULL: Duration = Duration::from_secs(20);

/// How long the other end may take to connect once it is in the room.
const CONNECT: Duration = Duration::from_secs(30);

/// Where the two meet.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The room, `http://HOST:PORT/rooms/NAME`, of a `signalling` program or of the other end.
    /// Without it this program serves a room and a page itself, and prints the address.
    #[arg(value_name = "ROOM_URL")]
    pub url: Option<String>,
    /// Where a room of our own is served. Port 0 takes a free one.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8083",
        conflicts_with = "url"
    )]
    pub http: SocketAddr,
    /// The name of our own room: 1 to 64 of A-Z a-z 0-9 - _.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "room",
        conflicts_with = "url"
    )]
    pub room: String,
}

impl Place {
    /// The room's address. Serves the room, and `page` beside it, if it is our own, for as long as
    /// the runtime lasts.
    pub async fn open(&self, page: Router) -> Result<String> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let (listener, address) = program::listen(self.http).await?;
        let name = &self.room;
        let url = format!("http://{address}/rooms/{name}");
        say(&format!(
            "open http://{address}/?room={name} in a browser, or give {url} to the other end"
        ));
        tokio::spawn(async move { axum::serve(listener, page.merge(rooms::router())).await });
        Ok(url)
    }
}

/// Waits in the room for the other end and connects to it. Who came second creates the channel and
/// so offers; both get it open. (Both could: a `Negotiator` settles that. But Chromium 156 now and
/// then gathers no candidates after an offer of its own that it took back at once.)
///
/// The connection is negotiated, and ICE restarted when it fails, for as long as both are in the
/// room. When the other end has left the room and is silent, the connection is closed: it could not
/// be found again. Cancel-safe: dropped, it leaves the room.
pub async fn connect(url: &str, label: &str) -> Result<(PeerConnection, DataChannel)> {
    let room = enter(url).await?;
    let connection = PeerConnection::builder().build().await?;
    let created = match room.politeness() {
        Politeness::Polite => None,
        Politeness::Impolite => {
            Some(connection.create_data_channel(label, DataChannelOptions::default())?)
        }
    };
    let mut negotiator = Negotiator::new(&connection, room.politeness())?;
    let connected = connection.clone();
    tokio::spawn(async move {
        let (sink, source) = room.split();
        if let Ok(SignallingEnd::Connection(_)) = negotiator.run(sink, source).await {
            return;
        }
        let mut state = connected.watch_connection_state();
        let lost = |state: &ConnectionState| match state {
            ConnectionState::Disconnected | ConnectionState::Failed | ConnectionState::Closed => {
                true
            }
            ConnectionState::New | ConnectionState::Connecting | ConnectionState::Connected => {
                false
            }
        };
        // Its sender lives as long as the connection.
        let _ = state.wait_for(lost).await;
        connected.close().await;
    });
    let channel = async {
        let channel = match created {
            Some(channel) => channel,
            None => incoming(&connection).await?,
        };
        channel.opened().await?;
        Result::Ok(channel)
    };
    match tokio::time::timeout(CONNECT, channel).await {
        Ok(Ok(channel)) => Ok((connection, channel)),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            connection.close().await;
            Err(format!("the other end came, but did not connect within {CONNECT:?}").into())
        }
    }
}

/// The channel that the other end creates.
async fn incoming(connection: &PeerConnection) -> Result<DataChannel> {
    while let Some(event) = connection.next_event().await {
        if let Event::DataChannel(channel) = event {
            return Ok(channel);
        }
    }
    Err(format!("no connection: {}", connection.closed().await).into())
}

/// Enters the room; one that is full may be about to be left.
async fn enter(url: &str) -> Result<rooms::Room> {
    let began = tokio::time::Instant::now();
    loop {
        match rooms::join(url).await {
            Err(error) if error.to_string().contains("409") && began.elapsed() < FULL => {
                tokio::time::sleep(TRY_AGAIN).await;
            }
            entered => return entered,
        }
    }
}

/// A page, and its script at `path` beside it.
pub fn page(html: &'static str, path: &str, script: &'static str) -> Router {
    let script = (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        script,
    );
    Router::new()
        .route("/", get(move || async move { Html(html) }))
        .route(path, get(move || async move { script }))
}

/// A line for the user.
pub fn say(line: &str) {
    let mut stdout = std::io::stdout();
    // Nobody reads any more: there is nobody to tell.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
