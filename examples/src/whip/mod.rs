//! Signalling for data in the manner of WHIP (RFC 9725): one HTTP request is the whole exchange.
//!
//! | request | what it does |
//! |---|---|
//! | `POST /whip`, `application/sdp` | an offer; 201 with the answer, all its candidates in it, and the session's `Location` and `ETag` |
//! | `PATCH` session, `application/trickle-ice-sdpfrag` | candidates of the offering end (RFC 8840 §9); 204, or 412 when `If-Match` is not the `ETag` |
//! | `DELETE` session | ends it; 200 |
//! | `GET /` | a page that does the same |
//!
//! What arrives on a data channel is sent back on it. Not here: media, which is what WHIP was made
//! for, ICE restarts by `PATCH`, bearer tokens and `Link` headers.

mod client;
mod fragment;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, patch, post};
use peerloom::{DataChannel, Event, PeerConnection, SessionDescription};
use tokio::task::JoinSet;

use crate::signaling;

pub use client::Client;

/// The largest description that is read: what the connection reads as well.
const MAX_BODY: usize = 256 << 10;

/// Sessions at once.
const MOST: usize = 64;

/// The routes of [this module](self).
pub fn router() -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/whip", post(offer))
        .route("/whip/{session}", patch(trickle).delete(end))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Sessions::default())
}

/// All sessions by their names, which are random: whoever knows one may end it. A handle.
#[derive(Clone, Debug, Default)]
struct Sessions {
    table: Arc<Mutex<HashMap<String, PeerConnection>>>,
}

/// Why a request was not carried out.
#[derive(Debug)]
enum Refusal {
    MediaType(&'static str),
    TooMany,
    Unknown,
    OtherTag,
    Peer(crate::Error),
}

async fn offer(
    State(sessions): State<Sessions>,
    headers: HeaderMap,
    sdp: String,
) -> Result<Response, Refusal> {
    expect_type(&headers, "application/sdp")?;
    if sessions.lock().len() >= MOST {
        return Err(Refusal::TooMany);
    }
    let connection = PeerConnection::builder()
        .build()
        .await
        .map_err(|error| Refusal::Peer(error.into()))?;
    let offer = SessionDescription::offer(sdp);
    let answer = match signaling::answer(&connection, offer).await {
        Ok(answer) => answer,
        Err(error) => {
            connection.close().await;
            return Err(Refusal::Peer(error));
        }
    };
    let name = format!("{:032x}", rand::random::<u128>());
    sessions.serve(&name, connection);
    let headers = [
        (header::CONTENT_TYPE, "application/sdp".to_owned()),
        (header::LOCATION, format!("/whip/{name}")),
        (header::ETAG, tag(&name)),
        (ACCEPT_PATCH, fragment::TYPE.to_owned()),
    ];
    Ok((StatusCode::CREATED, headers, answer.sdp).into_response())
}

async fn trickle(
    State(sessions): State<Sessions>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Result<StatusCode, Refusal> {
    expect_type(&headers, fragment::TYPE)?;
    let connection = sessions.find(&name)?;
    // RFC 9725 §4.3.1: candidates are of the ICE session that the tag stands for.
    let matched = headers.get(header::IF_MATCH);
    if matched.is_none_or(|given| given.as_bytes() != tag(&name).as_bytes()) {
        return Err(Refusal::OtherTag);
    }
    for candidate in fragment::read(&body) {
        let added = connection.add_ice_candidate(candidate).await;
        added.map_err(|error| Refusal::Peer(error.into()))?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn end(
    State(sessions): State<Sessions>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    let connection = sessions.find(&name)?;
    sessions.lock().remove(&name);
    connection.close().await;
    Ok(StatusCode::OK)
}

impl Sessions {
    /// Echoes until the connection ends.
    fn serve(&self, name: &str, connection: PeerConnection) {
        let (sessions, name) = (self.clone(), name.to_owned());
        sessions.lock().insert(name.clone(), connection.clone());
        tokio::spawn(async move {
            let connected = tokio::time::timeout(PATIENCE, connection.connected()).await;
            if matches!(connected, Ok(Ok(()))) {
                let mut echoing = JoinSet::new();
                while let Some(event) = connection.next_event().await {
                    if let Event::DataChannel(channel) = event {
                        echoing.spawn(echo(channel));
                    }
                }
            }
            connection.close().await;
            sessions.lock().remove(&name);
        });
    }

    fn find(&self, name: &str) -> Result<PeerConnection, Refusal> {
        self.lock().get(name).cloned().ok_or(Refusal::Unknown)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, PeerConnection>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn echo(channel: DataChannel) {
    while let Some(message) = channel.recv().await {
        if channel.send(message).await.is_err() {
            return;
        }
    }
}

fn tag(name: &str) -> String {
    format!("\"{name}\"")
}

fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case(wanted) {
        Ok(())
    } else {
        Err(Refusal::MediaType(wanted))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Refusal::MediaType(wanted) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("{wanted} is wanted"),
            ),
            Refusal::TooMany => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{MOST} sessions are served, no more are taken"),
            ),
            Refusal::Unknown => (
                StatusCode::NOT_FOUND,
                "there is no such session (any more)".to_owned(),
            ),
            Refusal::OtherTag => (
                StatusCode::PRECONDITION_FAILED,
                "If-Match must be the session's ETag".to_owned(),
            ),
            Refusal::Peer(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        };
        (status, text + "\n").into_response()
    }
}

/// How long an end may take to connect once it has the answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// RFC 5789 §3.1.
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
