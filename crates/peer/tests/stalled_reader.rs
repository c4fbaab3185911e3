//! A receiving application that stops reading while the sender pushes.

#![allow(
    clippy::allow_attributes,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, and the figures are printed"
)]

mod support;

use std::alloc::System;
use std::time::Duration;

use cap::Cap;
use peerloom::DataChannelOptions;
use support::*;

/// Counts what is allocated, for both ends.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// What both ends may hold besides the send buffer and the receive window: batch and receive
/// buffers, and messages that straddle the limits.
const MARGIN: usize = 8 << 20;

/// How long the reader stalls; `PEERLOOM_STALL_SECS=30` for the full length.
fn stall() -> Duration {
    let seconds = std::env::var("PEERLOOM_STALL_SECS")
        .ok()
        .map_or(2, |s| s.parse().unwrap());
    Duration::from_secs(seconds)
}

async fn stalled(size: usize) {
    const SEND_BUFFER: usize = 4 << 20;
    const WINDOW: usize = 4 << 20;
    let a = builder()
        .send_buffer_limit(SEND_BUFFER)
        .channel_send_buffer_limit(SEND_BUFFER)
        .build()
        .await
        .unwrap();
    let b = builder().receive_window(WINDOW).build().await.unwrap();
    let Pair { at_a, at_b, .. } = pair_of(a, b, DataChannelOptions::default()).await;

    let before = HEAP.allocated();
    let mut accepted = 0u64;
    let mut peak = before;
    let end = tokio::time::Instant::now() + stall();
    // The application pushes as fast as it is let.
    while tokio::time::Instant::now() < end {
        let mut message = vec![0; size];
        message[..8].copy_from_slice(&accepted.to_be_bytes());
        let wait = tokio::time::timeout(Duration::from_millis(100), at_a.send(message)).await;
        match wait {
            Ok(sent) => {
                sent.unwrap();
                accepted += 1;
            }
            Err(_) => peak = peak.max(HEAP.allocated()),
        }
        if accepted.is_multiple_of(64) {
            peak = peak.max(HEAP.allocated());
        }
    }
    let grown = peak.saturating_sub(before);
    println!(
        "{size} B messages: {accepted} accepted while nobody read for {:?}, heap grew by {} KiB \
         (bound {} KiB)",
        stall(),
        grown >> 10,
        (SEND_BUFFER + WINDOW + MARGIN) >> 10
    );
    assert!(
        grown <= SEND_BUFFER + WINDOW + MARGIN,
        "{grown} bytes for {accepted} messages of {size}"
    );
    assert!(
        accepted * size as u64 >= (WINDOW / 2) as u64,
        "the sender was let push"
    );
    for number in 0..accepted {
        let message = patient("message", at_b.recv()).await.unwrap().into_bytes();
        assert_eq!(message.len(), size);
        assert_eq!(message[..8], number.to_be_bytes(), "in order, none lost");
    }
}

/// One test, since the heap is counted for the whole process.
#[tokio::test]
async fn heap_stays_within_the_limits_and_nothing_accepted_is_lost() {
    for size in [65_535, 1_024, 64] {
        stalled(size).await;
    }
}
