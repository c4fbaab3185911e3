//! The `signalling` program and what uses it, run as a user would.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod program;

use std::time::Duration;

use futures_util::StreamExt as _;
use peerloom::{DataChannelOptions, Event, Message, Negotiator, PeerConnection, SignallingEnd};
use peerloom_examples::rooms;
use program::serve;

const SIGNALLING: &str = env!("CARGO_BIN_EXE_signalling");

async fn patient<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing within 20 s"),
    }
}

async fn peer() -> PeerConnection {
    PeerConnection::builder()
        .loopback(true)
        .build()
        .await
        .unwrap()
}

/// Two native ends meet in a room, offer both at once, connect, and exchange messages; when one
/// leaves, the other's signalling ends and its connection goes on.
#[tokio::test]
async fn two_ends_meet_in_a_room() {
    let (_server, url) = serve(SIGNALLING, &["--http", "127.0.0.1:0"]);
    let room = url.replace("NAME", "tea");
    let (a, b) = (peer().await, peer().await);
    let channels = [&a, &b].map(|peer| {
        peer.create_data_channel("tea", DataChannelOptions::default())
            .unwrap()
    });
    let (at_a, at_b) = patient("rooms", async {
        tokio::join!(rooms::join(&room), rooms::join(&room))
    })
    .await;
    let (at_a, at_b) = (at_a.unwrap(), at_b.unwrap());
    assert_ne!(at_a.politeness(), at_b.politeness());
    let third = rooms::join(&room).await.unwrap_err().to_string();
    assert!(third.contains("409"), "{third}");

    let mut negotiator = Negotiator::new(&a, at_a.politeness()).unwrap();
    let (sink, source) = at_a.split();
    let first = tokio::spawn(async move { negotiator.run(sink, source).await });
    let mut negotiator = Negotiator::new(&b, at_b.politeness()).unwrap();
    let (sink, source) = at_b.split();
    let second = tokio::spawn(async move { negotiator.run(sink, source).await });

    for (from, to) in [(&channels[0], &b), (&channels[1], &a)] {
        patient("send", from.send("hello")).await.unwrap();
        let channel = patient("channel", async {
            loop {
                if let Event::DataChannel(channel) = to.next_event().await.unwrap() {
                    return channel;
                }
            }
        })
        .await;
        let message = patient("message", channel.recv()).await;
        assert_eq!(message, Some(Message::from("hello")));
    }

    first.abort();
    let end = patient("end of the room", second).await.unwrap();
    assert!(matches!(end, Ok(SignallingEnd::Source)), "{end:?}");
    assert!(
        channels[0].send("without signalling").await.is_ok(),
        "the connection goes on"
    );
    // The room is free for the next two.
    let again = patient("rooms", async {
        tokio::join!(rooms::join(&room), rooms::join(&room))
    })
    .await;
    assert!(again.0.is_ok() && again.1.is_ok());
}

#[tokio::test]
async fn a_wrong_name_is_refused_in_words_and_the_script_is_there() {
    let (_server, url) = serve(SIGNALLING, &["--http", "127.0.0.1:0"]);
    let error = rooms::join(&url.replace("NAME", "a%20b"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("400"), "{error}");
    let script = reqwest::get(url.replace("rooms/NAME", "negotiate.js"))
        .await
        .unwrap();
    assert!(script.text().await.unwrap().contains("RTCPeerConnection"));
}
