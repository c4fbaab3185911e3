//! The page: a browser at the other end of the slow line.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use peerloom::{DataChannel, DataChannelOptions, PeerConnection, SessionDescription};
use tokio::task::JoinSet;

use super::Options;
use super::relay::Relay;
use crate::{Result, program};

/// Serves the page until the process ends.
pub(super) async fn serve(address: SocketAddr, options: &Options) -> Result<()> {
    let (listener, address) = program::listen(address).await?;
    writeln!(std::io::stdout(), "open http://{address} in a browser")?;
    let script = || async {
        (
            [(header::CONTENT_TYPE, "text/javascript")],
            include_str!("page.js"),
        )
    };
    let router = Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/page.js", get(script))
        .route("/api/offer", post(answer))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(options.clone());
    Ok(axum::serve(listener, router).await?)
}

async fn answer(
    State(options): State<Options>,
    Json(offer): Json<SessionDescription>,
) -> Result<Json<SessionDescription>, Refusal> {
    Ok(Json(connect(&options, offer).await?))
}

/// Answers the page, whose packets come through the relay: the address in the answer is the relay's,
/// which learns from the first packet where the page is.
async fn connect(options: &Options, mut offer: SessionDescription) -> Result<SessionDescription> {
    let relay = Relay::new(options.line(0.0)).await?;
    let connection = PeerConnection::builder()
        .bind_ips([Ipv4Addr::LOCALHOST.into()])
        .scheduler(options.scheduler.into())
        .build()
        .await?;
    // What the page says of itself would lead past the relay.
    let lines = offer
        .sdp
        .lines()
        .filter(|line| !line.starts_with("a=candidate:"));
    offer.sdp = lines.map(|line| format!("{line}\r\n")).collect();
    connection.set_remote_description(offer).await?;
    connection
        .set_local_description(connection.create_answer().await?)
        .await?;
    connection.gathering_complete().await;
    let answer = connection.local_description().ok_or("no answer")?;
    let answer = relay.through(1, answer)?;
    let traffic = Traffic {
        bulk: connection.create_data_channel("bulk", DataChannelOptions::default())?,
        control: connection.create_data_channel("control", DataChannelOptions::default())?,
        bulk_len: (options.bulk as usize) << 10,
        interval: Duration::from_millis(options.interval),
    };
    // It lives as long as the page, and nobody waits for it.
    tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        tasks.spawn(traffic.run());
        connection.closed().await;
        drop(relay);
    });
    Ok(answer)
}

/// Both channels to one page.
struct Traffic {
    bulk: DataChannel,
    control: DataChannel,
    bulk_len: usize,
    interval: Duration,
}

impl Traffic {
    /// Large messages one behind the other, numbered; and small ones that say how many large ones were
    /// sent before them.
    async fn run(self) {
        let sent = AtomicU32::new(0);
        let bulk = async {
            let mut message = vec![0; self.bulk_len];
            loop {
                self.bulk.buffered_amount_low().await;
                message[..4].copy_from_slice(&sent.load(Relaxed).to_be_bytes());
                if self.bulk.send(Bytes::from(message.clone())).await.is_err() {
                    return;
                }
                sent.fetch_add(1, Relaxed);
            }
        };
        let control = async {
            let mut ticks = tokio::time::interval(self.interval);
            loop {
                ticks.tick().await;
                if self
                    .control
                    .send(sent.load(Relaxed).to_string())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        };
        tokio::select! {
            () = bulk => {}
            () = control => {}
        }
    }
}

/// An error, as the page shows it.
struct Refusal(String);

impl From<crate::Error> for Refusal {
    fn from(error: crate::Error) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.0).into_response()
    }
}

/// Far more than any browser's description.
const MAX_BODY: usize = 256 << 10;
