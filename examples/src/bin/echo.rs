//! Sends every message of a browser page back: the program of the guide's first chapter.

use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use peerloom::{ConnectionState, DataChannel, Event, PeerConnection, SessionDescription};

const PAGE: &str = include_str!("echo.html");

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("open http://{} in a browser", listener.local_addr()?);

    let pages = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/offer", post(answer));
    axum::serve(listener, pages).await?;
    Ok(())
}

/// Takes a page's offer and gives it our answer.
async fn answer(
    Json(offer): Json<SessionDescription>,
) -> Result<Json<SessionDescription>, (StatusCode, String)> {
    connect(offer)
        .await
        .map(Json)
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

async fn connect(offer: SessionDescription) -> Result<SessionDescription, peerloom::Error> {
    let connection = PeerConnection::new().await?;
    connection.set_remote_description(offer).await?;
    let answer = connection.create_answer().await?;
    connection.set_local_description(answer).await?;
    connection.gathering_complete().await;
    let answer = connection.local_description().expect("it was just set");
    tokio::spawn(serve(connection));
    Ok(answer)
}

/// Serves one page until its connection ends.
async fn serve(connection: PeerConnection) {
    while let Some(event) = connection.next_event().await {
        if let Event::DataChannel(channel) = event {
            tokio::spawn(echo(channel));
        } else if let Event::ConnectionState(ConnectionState::Failed) = event {
            // Nothing was heard for half a minute: the page is gone.
            connection.close().await;
        }
    }
    println!("a page has gone: {}", connection.closed().await);
}

async fn echo(channel: DataChannel) {
    println!("channel {:?} opened", channel.label());
    while let Some(message) = channel.recv().await {
        // Waits for room if the page does not read: an echo never piles up in memory.
        if channel.send(message).await.is_err() {
            break;
        }
    }
}
