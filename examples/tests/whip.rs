//! The `whip` program, both modes, run as a user would.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod program;

use std::process::Command;

use peerloom::{DataChannelOptions, PeerConnection};
use program::serve;
use reqwest::{Client, StatusCode};

const WHIP: &str = env!("CARGO_BIN_EXE_whip");

#[test]
fn a_message_comes_back() {
    let (_server, url) = serve(WHIP, &["serve", "--http", "127.0.0.1:0"]);
    let output = Command::new(WHIP)
        .args(["connect", &url, "--message", "over and back"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.trim(), "came back: over and back");
}

/// RFC 9725 §4: what each request is answered with.
#[tokio::test]
async fn requests_have_the_answers_of_the_rfc() {
    let (_server, url) = serve(WHIP, &["serve", "--http", "127.0.0.1:0"]);
    let http = Client::new();
    let post = |kind: &'static str, body: String| {
        let request = http.post(&url).header("Content-Type", kind).body(body);
        async { request.send().await.unwrap() }
    };
    let status = post("text/plain", String::new()).await.status();
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let refused = post("application/sdp", "v=0\r\nnonsense".into()).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(refused.text().await.unwrap().contains("line 2"));

    let connection = PeerConnection::builder().build().await.unwrap();
    connection
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let offer = connection.create_offer().await.unwrap().sdp;
    let created = post("application/sdp", offer).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let header = |name: &str| created.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/sdp");
    let session = url.replace("/whip", &header("location"));
    let tag = header("etag");
    assert!(created.text().await.unwrap().contains("a=candidate:"));

    let patch = |tag: &str, body: &'static str| {
        let request = http
            .patch(&session)
            .header("Content-Type", "application/trickle-ice-sdpfrag")
            .header("If-Match", tag)
            .body(body);
        async { request.send().await.unwrap().status() }
    };
    let candidate = "a=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n";
    assert_eq!(patch(&tag, candidate).await, StatusCode::NO_CONTENT);
    let other = patch("\"other\"", candidate).await;
    assert_eq!(other, StatusCode::PRECONDITION_FAILED);
    let elsewhere = "a=mid:9\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n";
    assert_eq!(patch(&tag, elsewhere).await, StatusCode::BAD_REQUEST);

    let delete = async || http.delete(&session).send().await.unwrap().status();
    assert_eq!(delete().await, StatusCode::OK);
    assert_eq!(delete().await, StatusCode::NOT_FOUND);
    let page = http.get(url.replace("/whip", "/")).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("RTCPeerConnection"));
}
