//! Messages far larger than every window. Alone in its process, since the heap is counted.

#![allow(
    clippy::allow_attributes,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, and the figures are printed"
)]

mod support;

use std::alloc::System;

use bytes::Bytes;
use cap::Cap;
use peerloom::{DataChannelOptions, SendError};
use support::*;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// The size in MiB: more than an association holds of several messages; `PEERLOOM_MESSAGE_MIB=256` for
/// the full length.
fn size() -> usize {
    let mib = std::env::var("PEERLOOM_MESSAGE_MIB")
        .ok()
        .map_or(80, |s| s.parse().unwrap());
    mib << 20
}

/// Requirements, "256 MiB message where allowed": delivered, at 1.2 times its size in the receiver;
/// over the limit it is refused at once and the channel lives.
#[tokio::test]
async fn a_message_beyond_every_window_arrives_and_takes_little_more_than_itself() {
    let size = size();
    let a = builder().build().await.unwrap();
    let b = builder().max_message_size(size).build().await.unwrap();
    let Pair { at_a, at_b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    let message: Bytes = (0..size).map(|i| (i ^ (i >> 9)) as u8).collect();
    let refused = at_a.send(vec![0; size + 1]).await;
    assert!(
        matches!(refused, Err(SendError::MessageTooLarge { len, max }) if len == size + 1 && max == size)
    );

    // The sender's copy is counted from before, so what comes on top is the receiver's.
    let before = HEAP.allocated();
    let peak = std::sync::atomic::AtomicUsize::new(0);
    let sampling = async {
        loop {
            peak.fetch_max(HEAP.allocated(), std::sync::atomic::Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    };
    let transfer = async {
        at_a.send(message.clone()).await.unwrap();
        at_b.recv().await
    };
    let received = tokio::select! {
        received = tokio::time::timeout(10 * PATIENCE, transfer) => received.unwrap().unwrap(),
        () = sampling => unreachable!("it samples for ever"),
    };
    assert!(received.as_bytes() == message, "byte for byte");
    let grown = peak.into_inner() - before;
    println!(
        "{} MiB: heap grew by {} KiB, {:.2} times its size",
        size >> 20,
        grown >> 10,
        grown as f64 / size as f64
    );
    assert!(grown <= size / 10 * 12, "{grown} bytes for {size}");
    drop(received);
    at_a.send("and on").await.unwrap();
    assert_eq!(patient("message", at_b.recv()).await, Some("and on".into()));
}
