//! A page and its native end: an axum server that hands out the page, takes offers and answers by
//! `fetch`, and serves the data channels of every page that connects.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /` | the page |
//! | `POST /api/offer?setup=active\|passive` | an offer; answers `{id, description}` |
//! | `POST /api/connections` | the native end offers: `{id, description}` |
//! | `POST /api/connections/ID/answer` | the answer to that |
//! | `GET /api/connections/ID` | state and counters of the native end |
//! | `DELETE /api/connections/ID` | closes it |

mod channels;
mod connections;

use std::net::SocketAddr;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use peerloom::SessionDescription;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::Result;
use connections::{Connections, Refusal};

/// A page and a native process, connected by WebRTC data channels: echo, and throughput both ways.
#[derive(Clone, Debug, Parser)]
#[command(name = "browser", version)]
pub struct Options {
    /// Where the page is served. Port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
}

/// The largest description that is read: far more than any browser makes.
const MAX_BODY: usize = 256 << 10;

/// Serves the page on `listener` until the future is dropped.
pub async fn serve(listener: TcpListener) -> Result<()> {
    axum::serve(listener, router()).await?;
    Ok(())
}

fn router() -> Router {
    let text = |kind: &'static str, body: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], body) })
    };
    Router::new()
        .route(
            "/",
            text("text/html; charset=utf-8", include_str!("page.html")),
        )
        .route(
            "/page.css",
            text("text/css; charset=utf-8", include_str!("page.css")),
        )
        .route(
            "/plot.js",
            text("text/javascript; charset=utf-8", include_str!("plot.js")),
        )
        .route(
            "/page.js",
            text("text/javascript; charset=utf-8", include_str!("page.js")),
        )
        .route("/api/offer", post(take_offer))
        .route("/api/connections", post(make_offer))
        .route("/api/connections/{id}/answer", post(take_answer))
        .route("/api/connections/{id}", get(stats).delete(close))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Connections::default())
}

/// Which end is the DTLS client when the native end answers.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Setup {
    /// The native end.
    #[default]
    Active,
    /// The page.
    Passive,
}

#[derive(Debug, Deserialize)]
struct OfferQuery {
    #[serde(default)]
    setup: Setup,
}

/// A description of ours, and by which name to speak about the connection.
#[derive(Debug, Serialize)]
struct Described {
    id: u64,
    description: SessionDescription,
}

async fn take_offer(
    State(connections): State<Connections>,
    Query(query): Query<OfferQuery>,
    Json(offer): Json<SessionDescription>,
) -> Result<Json<Described>, Refusal> {
    let (id, description) = connections.answer(offer, query.setup).await?;
    Ok(Json(Described { id, description }))
}

async fn make_offer(State(connections): State<Connections>) -> Result<Json<Described>, Refusal> {
    let (id, description) = connections.offer().await?;
    Ok(Json(Described { id, description }))
}

async fn take_answer(
    State(connections): State<Connections>,
    Path(id): Path<u64>,
    Json(answer): Json<SessionDescription>,
) -> Result<StatusCode, Refusal> {
    connections.answered(id, answer).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn stats(
    State(connections): State<Connections>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(connections.stats(id).await?))
}

async fn close(
    State(connections): State<Connections>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Refusal> {
    connections.close(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Refusal::Unknown(_) => StatusCode::NOT_FOUND,
            Refusal::TooMany(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Peer(_) => StatusCode::BAD_REQUEST,
        };
        (status, format!("{self}\n")).into_response()
    }
}
