//! Interleaving, schedulers and priorities through the connection's API.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use peerloom::{
    DataChannel, DataChannelOptions, Message, NextMessage, PeerConnection, Scheduler, StreamId,
    StreamScheduler,
};
use support::{Pair, builder, incoming, pair, pair_of, patient};

/// The option has to reach the wire: both ends must allow it.
#[tokio::test]
async fn messages_are_interleaved_when_both_ends_allow_it() {
    for (at_b, interleaving) in [(true, true), (false, false)] {
        let a = builder().build().await.unwrap();
        let b = builder().interleaving(at_b).build().await.unwrap();
        let pair = pair_of(a, b, DataChannelOptions::default()).await;
        pair.at_a.send("over").await.unwrap();
        let over = Message::from("over");
        assert_eq!(patient("message", pair.at_b.recv()).await, Some(over));
        for peer in [&pair.a, &pair.b] {
            let stats = peer.stats().await.unwrap();
            assert_eq!(stats.internals.sctp.interleaving, interleaving);
        }
    }
}

/// Two channels to an end with the smallest window, which nobody reads yet.
async fn two_channels(a: PeerConnection) -> (Pair, DataChannel, DataChannel) {
    let b = builder().receive_window(128 << 10).build().await.unwrap();
    let pair = pair_of(a, b, DataChannelOptions::default()).await;
    let options = DataChannelOptions::default();
    let second = pair.a.create_data_channel("second", options).unwrap();
    let at_b = incoming(&pair.b).await;
    (pair, second, at_b)
}

const COUNT: usize = 60;
const LEN: usize = 16 << 10;

/// Queues `COUNT` messages on each channel while nothing can move, and counts how many of the first
/// one have arrived when all of the second one have.
async fn first_when_second_is_through(
    a: PeerConnection,
    prepare: impl Fn(&DataChannel, &DataChannel),
) -> usize {
    let (pair, second, second_at_b) = two_channels(a).await;
    for _ in 0..COUNT {
        pair.at_a.send(vec![1; LEN]).await.unwrap();
    }
    for _ in 0..COUNT {
        second.send(vec![2; LEN]).await.unwrap();
    }
    prepare(&pair.at_a, &second);
    let first = AtomicUsize::new(0);
    let read_first = async {
        while pair.at_b.recv().await.is_some() {
            first.fetch_add(1, SeqCst);
        }
    };
    let read_second = async {
        for _ in 0..COUNT {
            patient("message", second_at_b.recv()).await.unwrap();
        }
        first.load(SeqCst)
    };
    tokio::select! {
        () = read_first => panic!("the first channel closed"),
        count = read_second => count,
    }
}

/// A priority that is changed while messages wait decides about them, not only about later ones.
#[tokio::test]
async fn a_priority_changes_what_is_sent_next() {
    let strict = || builder().scheduler(Scheduler::StrictPriority).build();
    let raise = |_: &DataChannel, second: &DataChannel| {
        assert_eq!(second.priority(), 256);
        second.set_priority(300);
        second.set_priority(257);
        assert_eq!(second.priority(), 257);
    };
    let raised = first_when_second_is_through(strict().await.unwrap(), raise).await;
    // What fits the window was sent before.
    assert!(raised <= COUNT / 2, "{raised}");
    let lower = |_: &DataChannel, second: &DataChannel| second.set_priority(255);
    let lowered = first_when_second_is_through(strict().await.unwrap(), lower).await;
    assert!(lowered >= COUNT - 10, "{lowered}");
}

/// By default a priority is a weight: the second channel has four times the share of the first.
#[tokio::test]
async fn priorities_are_weights() {
    let favour = |_: &DataChannel, second: &DataChannel| second.set_priority(1024);
    let a = builder().build().await.unwrap();
    let favoured = first_when_second_is_through(a, favour).await;
    assert!(favoured <= COUNT / 2, "{favoured}");
}

/// The scheduler option is heeded: first come, first served.
#[tokio::test]
async fn the_scheduler_can_be_chosen() {
    let a = builder().scheduler(Scheduler::FirstCome);
    let count = first_when_second_is_through(a.build().await.unwrap(), |_, _| {}).await;
    assert!(count >= COUNT - 10, "{count}");
}

/// The highest stream with something first, and how often it was asked.
#[derive(Debug)]
struct Highest {
    streams: std::collections::BTreeSet<StreamId>,
    asked: Arc<AtomicUsize>,
    panics: bool,
}

impl StreamScheduler for Highest {
    fn update(&mut self, stream: StreamId, next: Option<NextMessage>) {
        if next.is_some() {
            self.streams.insert(stream);
        } else {
            self.streams.remove(&stream);
        }
    }

    fn next(&mut self) -> Option<StreamId> {
        assert!(!self.panics, "the application's scheduler fails");
        self.asked.fetch_add(1, SeqCst);
        self.streams.last().copied()
    }

    fn sent(&mut self, stream: StreamId, _bytes: usize, next: Option<NextMessage>) {
        self.update(stream, next);
    }
}

#[tokio::test]
async fn an_applications_own_scheduler() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let a = builder().custom_scheduler(move || {
        Box::new(Highest {
            streams: Default::default(),
            asked: counter.clone(),
            panics: false,
        })
    });
    let count = first_when_second_is_through(a.build().await.unwrap(), |_, _| {}).await;
    assert!(count <= COUNT / 2, "{count}");
    assert!(asked.load(SeqCst) >= COUNT * LEN / 1160);
}

/// A panic in the application's scheduler ends its connection, which says so, and no other one.
#[tokio::test]
async fn a_panic_in_a_scheduler_ends_one_connection() {
    let a = builder().custom_scheduler(|| {
        Box::new(Highest {
            streams: Default::default(),
            asked: Arc::default(),
            panics: true,
        })
    });
    let (a, b) = (a.build().await.unwrap(), builder().build().await.unwrap());
    let other = pair().await;
    let channel = a
        .create_data_channel("test", DataChannelOptions::default())
        .unwrap();
    support::signal(&a, &b).await;
    let reason = patient("the end", a.closed()).await;
    assert!(reason.is_failure(), "{reason}");
    assert!(patient("an error", channel.send("x")).await.is_err());
    other.at_a.send("still here").await.unwrap();
    let message = patient("message", other.at_b.recv()).await;
    assert_eq!(message, Some(Message::from("still here")));
}

/// A channel that has queued all the connection allows does not keep a small message of another from
/// being accepted.
#[tokio::test]
async fn a_small_message_does_not_wait_for_the_send_buffer() {
    let a = builder()
        .send_buffer_limit(256 << 10)
        .build()
        .await
        .unwrap();
    let (pair, second, second_at_b) = two_channels(a).await;
    // Until nothing moves any more; the window is one message and a half.
    while let Ok(sent) = tokio::time::timeout(
        std::time::Duration::from_millis(50),
        pair.at_a.send(vec![1; 100_000]),
    )
    .await
    {
        sent.unwrap();
    }
    let waiting = pair.at_a.send(vec![1; 100_000]);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("there is no room"),
        sent = second.send("small") => sent.unwrap(),
    }
    second.try_send("another").unwrap();
    let read_first = async { while pair.at_b.recv().await.is_some() {} };
    let read_second = async {
        for text in ["small", "another"] {
            let message = patient("message", second_at_b.recv()).await;
            assert_eq!(message, Some(Message::from(text)));
        }
    };
    tokio::select! {
        () = read_first => panic!("the first channel closed"),
        () = read_second => {}
    }
}
