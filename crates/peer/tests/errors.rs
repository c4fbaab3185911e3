//! Call errors name the value that was wrong and the one that would have been right.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::time::Duration;

use peerloom::{
    DataChannelOptions, Error, IceCandidate, Message, PeerConnection, Reliability,
    SessionDescription,
};
use support::*;

/// One row: what was done, what it answered, and what the answer has to name.
fn names<T, E: std::fmt::Display>(what: &str, answer: Result<T, E>, wanted: &[&str]) {
    let Err(error) = answer else {
        panic!("{what} was accepted")
    };
    let error = error.to_string();
    for wanted in wanted {
        assert!(
            error.contains(wanted),
            "{what}: {error:?} does not name {wanted:?}"
        );
    }
}

#[tokio::test]
async fn options_of_the_builder() {
    let uri = |uri: &str| builder().stun_server(uri);
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|a| (taken, a)).unwrap();
    for (bad, wanted) in [
        (builder().receive_window(100), ["receive_window", "100"]),
        (builder().send_buffer_limit(0), ["send_buffer_limit", "0"]),
        (
            builder().channel_send_buffer_limit(0),
            ["channel_send_buffer_limit", "0"],
        ),
        (builder().max_message_size(0), ["max_message_size", "0"]),
        (builder().max_channels(0), ["max_channels", "0"]),
        (builder().bind([]), ["bind", "[]"]),
        (
            builder().bind([taken.1]),
            ["cannot bind", &taken.1.to_string()],
        ),
        (uri("turn:example.org"), ["stun_server", "turn:example.org"]),
        (
            uri("stun:example.org:0"),
            ["valid port", "stun:example.org:0"],
        ),
        (uri("stun:"), ["stun_server", "stun:host[:port]"]),
    ] {
        names("build", bad.build().await, &wanted);
    }
}

#[tokio::test]
async fn opening_a_channel() {
    let (a, b) = peers().await;
    let with = |change: &dyn Fn(&mut DataChannelOptions)| {
        let mut options = DataChannelOptions::default();
        change(&mut options);
        options
    };
    let open = |options| a.create_data_channel("label", options);
    let plain = DataChannelOptions::default;
    let long = "x".repeat(65_536);
    names(
        "label",
        a.create_data_channel(long.clone(), plain()),
        &["label", "65536", "65535"],
    );
    let options = with(&|o| o.protocol = long.clone());
    names("protocol", open(options), &["protocol", "65536", "65535"]);
    let options = with(&|o| o.negotiated = Some(65_535));
    names("id", open(options), &["65535", "65534"]);
    let options =
        with(&|o| o.reliability = Reliability::MaxLifetime(Duration::from_secs(5_000_000)));
    names("lifetime", open(options), &["5000000s", "4294967.295s"]);
    let seven = with(&|o| o.negotiated = Some(7));
    open(seven.clone()).unwrap();
    names("id in use", open(seven.clone()), &["7", "in use"]);
    signal(&a, &b).await;
    let at_b = b.create_data_channel("at b", plain()).unwrap();
    patient("open", at_b.opened()).await.unwrap();
    // In use by the other end's in-band channel.
    let theirs = incoming(&a).await.id();
    let options = with(&|o| o.negotiated = theirs);
    names(
        "id of theirs",
        open(options),
        &[&theirs.unwrap().to_string(), "in use"],
    );
    a.close().await;
    names(
        "after the end",
        open(plain()),
        &["has ended", "closed here"],
    );
}

#[tokio::test]
async fn sending() {
    let a = builder()
        .channel_send_buffer_limit(2_000)
        .build()
        .await
        .unwrap();
    let b = builder().max_message_size(5_000).build().await.unwrap();
    let early = a
        .create_data_channel("early", DataChannelOptions::default())
        .unwrap();
    names("too early", early.try_send("x"), &["not open yet"]);
    let Pair { a, at_a, b: _b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    let large = || vec![0u8; 5_001];
    names("send", at_a.send(large()).await, &["5001", "5000"]);
    names("try_send", at_a.try_send(large()), &["5001", "5000"]);
    names("reserve", at_a.reserve(5_001).await, &["5001", "5000"]);
    let permit = at_a.reserve(10).await.unwrap();
    names("permit", permit.send("eleven byte"), &["11", "10"]);
    at_a.try_send(vec![0; 1_500]).unwrap();
    let full = at_a.try_send(vec![1; 600]);
    assert_eq!(
        full.as_ref().unwrap_err().message,
        Message::from(vec![1; 600]),
        "given back"
    );
    names("full", full, &["600", "1628", "2000"]);
    at_a.close();
    names(
        "closed channel",
        at_a.send("x").await,
        &["data channel is closed"],
    );
    a.close().await;
    names(
        "closed connection",
        at_a.send("x").await,
        &["has ended: closed here"],
    );
}

#[tokio::test]
async fn calls_on_a_connection() {
    let (a, b) = peers().await;
    a.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    names(
        "window",
        a.set_receive_window(1_000),
        &["receive_window", "1000"],
    );
    names("answer", a.create_answer().await, &["stable"]);
    let nonsense = SessionDescription::offer("v=0\r\nnonsense");
    names(
        "offer",
        b.set_remote_description(nonsense).await,
        &["line 2"],
    );
    signal(&a, &b).await;
    let candidate = |text: &str| IceCandidate {
        candidate: text.into(),
        sdp_mid: Some("0".into()),
        ..IceCandidate::default()
    };
    let bad = "candidate:1 1 udp x 127.0.0.1 9 typ host";
    names(
        "candidate",
        a.add_ice_candidate(candidate(bad)).await,
        &[bad],
    );
    let long = format!("candidate:{}", "1".repeat(10_000));
    let error = a.add_ice_candidate(candidate(&long)).await.unwrap_err();
    assert!(error.to_string().len() < 500, "what a peer sends is cut");
    a.close().await;
    type Call<'a> = (&'a str, Result<(), Error>);
    let after_the_end: [Call<'_>; 6] = [
        ("create_offer", a.create_offer().await.map(|_| ())),
        ("stats", a.stats().await.map(|_| ())),
        ("restart_ice", a.restart_ice()),
        ("connected", a.connected().await),
        ("set_send_buffer_limit", a.set_send_buffer_limit(1)),
        ("set_receive_window", a.set_receive_window(1 << 20)),
    ];
    for (what, answer) in after_the_end {
        names(what, answer, &["has ended: closed here"]);
    }
    let _: fn(&PeerConnection) -> usize = PeerConnection::receive_window;
}
