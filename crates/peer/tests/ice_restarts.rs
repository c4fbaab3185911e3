//! ICE restarts while data flows as fast as it can. How long the flow stalls is measured by
//! `cargo run --release -p peerloom-benches --bin restarts`, not here.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::StreamExt as _;
use peerloom::{Negotiator, PeerConnection, Politeness, SignalingState};
use support::{Pair, pair, patient};
use tokio::task::JoinSet;

/// Twenty restarts from either end in turn, each once the last has found its pair: every message
/// arrives, in order, over one association.
#[tokio::test]
async fn twenty_restarts_at_full_speed_lose_nothing() {
    let Pair { a, b, at_a, at_b } = pair().await;
    let mut tasks = JoinSet::new();
    let (to_b, for_b) = mpsc::channel(8);
    let (to_a, for_a) = mpsc::channel(8);
    for (peer, politeness, sink, source) in [
        (&a, Politeness::Polite, to_b, for_a),
        (&b, Politeness::Impolite, to_a, for_b),
    ] {
        let mut negotiator = Negotiator::new(peer, politeness).unwrap();
        tasks.spawn(async move {
            let end = negotiator.run(sink, source.map(Ok::<_, Infallible>)).await;
            assert!(end.is_ok(), "{end:?}");
        });
    }

    let stop = Arc::new(AtomicBool::new(false));
    let (sender, stopped) = (at_a.clone(), stop.clone());
    let sending = async move {
        let mut sent = 0u64;
        while !stopped.load(Ordering::Relaxed) {
            let mut message = vec![0; 16_000];
            message[..8].copy_from_slice(&sent.to_be_bytes());
            sender.send(message).await.unwrap();
            sent += 1;
        }
        sender.close();
        sent
    };
    let receiving = async move {
        let mut received = 0u64;
        while let Some(message) = at_b.recv().await {
            assert_eq!(message.into_bytes()[..8], received.to_be_bytes());
            received += 1;
        }
        received
    };
    let restarting = async {
        for round in 0..20 {
            let before = (selections(&a).await, selections(&b).await);
            [&a, &b][round % 2].restart_ice().unwrap();
            patient("restart", async {
                while selections(&a).await == before.0
                    || selections(&b).await == before.1
                    || a.signaling_state() != SignalingState::Stable
                {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (sent, received, ()) = patient("the flow", async {
        tokio::join!(sending, receiving, restarting)
    })
    .await;
    assert_eq!(sent, received);
    assert!(sent > 1_000, "it was a flow: {sent}");
}

async fn selections(peer: &PeerConnection) -> u64 {
    peer.stats().await.unwrap().internals.ice.selected_changes
}
