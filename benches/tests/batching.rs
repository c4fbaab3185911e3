//! Whether bulk data leaves in long batches and without wake-ups, by the connection's own counters:
//! they predict throughput and, unlike it, do not depend on the machine.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

use bytes::Bytes;
use peerloom::DataChannelOptions;
use peerloom_benches::loopback::Pair;

/// A path that holds batches back, cuts them short or wakes its driver for each message shows here.
#[test]
fn bulk_leaves_in_long_batches_with_few_wake_ups() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (size, messages) in [(65_535, 1_000), (16_384, 4_000), (1_024, 30_000)] {
            let pair = Pair::new(DataChannelOptions::default()).await.unwrap();
            let body = Bytes::from(vec![7; size]);
            pair.transfer(messages, move || body.clone()).await.unwrap();
            let stats = pair.a.stats().await.unwrap().internals;
            let transport = stats.transport;
            let batches = transport.batches_sent as f64;
            let in_batch = transport.packets_sent as f64 / batches;
            let in_call = transport.packets_sent as f64 / transport.send_calls as f64;
            let wakes = transport.wakes as f64 / batches;
            println!(
                "{size} B: {in_batch:.1} packets a batch, {in_call:.1} a system call, \
                 {wakes:.2} wake-ups a batch"
            );
            assert!(in_batch >= PACKETS, "{size} B: {in_batch:.1} packets");
            assert!(wakes <= WAKES, "{size} B: {wakes:.2} wake-ups a batch");
            // Elsewhere each datagram has a system call of its own.
            if stats
                .sockets
                .iter()
                .all(|socket| socket.max_gso_segments >= 54)
            {
                assert!(in_call >= PACKETS, "{size} B: {in_call:.1} packets a call");
            }
            pair.close().await;
        }
    });
}

/// The driver and the writer let other tasks run after each batch. Else an acknowledgement, and whatever
/// else the application runs on that worker, waits for all that they find to do.
#[test]
fn nobody_waits_for_more_than_a_batch() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let pair = Pair::new(DataChannelOptions::default()).await.unwrap();
        let turns = Arc::new(AtomicU64::new(0));
        // The runtime has one queue: this runs once in each round of it.
        let other = tokio::spawn({
            let turns = turns.clone();
            poll_fn(move |cx| {
                turns.fetch_add(1, Relaxed);
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            })
        });
        let body = Bytes::from(vec![7; 65_535]);
        turns.store(0, Relaxed);
        pair.transfer(500, move || body.clone()).await.unwrap();
        let turns = turns.load(Relaxed);
        let batches = pair
            .a
            .stats()
            .await
            .unwrap()
            .internals
            .transport
            .batches_sent;
        println!("{batches} batches, another task ran {turns} times");
        assert!(turns >= batches, "{turns} turns in {batches} batches");
        other.abort();
        pair.close().await;
    });
}

const PACKETS: f64 = 30.0;
const WAKES: f64 = 1.0;
