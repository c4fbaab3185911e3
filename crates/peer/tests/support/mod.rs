//! Two connections on this machine's loopback, signalled in memory.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test file uses its part, and a helper of a test fails by panicking"
)]

use std::time::Duration;

use peerloom::{
    DataChannel, DataChannelOptions, Event, PeerConnection, PeerConnectionBuilder,
    SessionDescription,
};

/// A hang is a failure; far above anything a test needs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub async fn patient<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing within {PATIENCE:?}"),
    }
}

pub fn builder() -> PeerConnectionBuilder {
    PeerConnection::builder().loopback(true)
}

pub async fn peers() -> (PeerConnection, PeerConnection) {
    (
        builder().build().await.unwrap(),
        builder().build().await.unwrap(),
    )
}

/// Offer and answer, with all candidates in them.
pub async fn signal(a: &PeerConnection, b: &PeerConnection) {
    let answer = answer(b, offer(a).await).await;
    a.set_remote_description(answer).await.unwrap();
}

/// An offer that is set, with all candidates.
pub async fn offer(peer: &PeerConnection) -> SessionDescription {
    peer.set_local_description(peer.create_offer().await.unwrap())
        .await
        .unwrap();
    peer.gathering_complete().await;
    peer.local_description().unwrap()
}

/// The answer to it, set, with all candidates.
pub async fn answer(peer: &PeerConnection, offer: SessionDescription) -> SessionDescription {
    peer.set_remote_description(offer).await.unwrap();
    peer.set_local_description(peer.create_answer().await.unwrap())
        .await
        .unwrap();
    peer.gathering_complete().await;
    peer.local_description().unwrap()
}

/// The next channel that the other end opened.
pub async fn incoming(peer: &PeerConnection) -> DataChannel {
    patient("incoming channel", async {
        loop {
            match peer.next_event().await {
                Some(Event::DataChannel(channel)) => return channel,
                Some(_) => {}
                None => panic!("the connection ended: {}", peer.closed().await),
            }
        }
    })
    .await
}

pub struct Pair {
    pub a: PeerConnection,
    pub b: PeerConnection,
    /// Opened by `a`.
    pub at_a: DataChannel,
    pub at_b: DataChannel,
}

pub async fn pair_of(a: PeerConnection, b: PeerConnection, options: DataChannelOptions) -> Pair {
    let at_a = a.create_data_channel("test", options).unwrap();
    signal(&a, &b).await;
    patient("open", at_a.opened()).await.unwrap();
    let at_b = incoming(&b).await;
    Pair { a, b, at_a, at_b }
}

/// A pair whose sender may queue so many bytes in all and in a channel, and whose receiver has the
/// smallest window, so that everything waits soon.
pub async fn narrow_pair(send_buffer: usize, channel: usize) -> Pair {
    let a = builder()
        .send_buffer_limit(send_buffer)
        .channel_send_buffer_limit(channel);
    let b = builder().receive_window(128 << 10);
    let (a, b) = (a.build().await.unwrap(), b.build().await.unwrap());
    pair_of(a, b, DataChannelOptions::default()).await
}

pub async fn pair() -> Pair {
    let (a, b) = peers().await;
    pair_of(a, b, DataChannelOptions::default()).await
}
