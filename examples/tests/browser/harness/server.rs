//! Serves the pages to the browsers.

use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;
use peerloom_examples::browser;
use tokio::net::TcpListener;

/// Addresses of the pages.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    /// The tests' own page.
    pub(crate) plain: String,
    /// The page of the `browser` example.
    pub(crate) example: String,
}

/// Serves until the runtime ends.
pub(crate) async fn serve() -> Pages {
    let (listener, plain) = listen().await;
    let page = Router::new()
        .route(
            "/",
            get(async || Html("<!doctype html><title>t</title><script src=/page.js></script>")),
        )
        .route(
            "/page.js",
            get(async || {
                let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
                (kind, include_str!("page.js"))
            }),
        );
    tokio::spawn(async move { axum::serve(listener, page).await.unwrap() });
    let (listener, example) = listen().await;
    tokio::spawn(async move { browser::serve(listener).await.unwrap() });
    Pages { plain, example }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}
