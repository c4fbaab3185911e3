//! Endpoints under strain: unread messages, thousands of channels, limits that change, endings.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::time::Duration;

use peerloom::{
    ChannelCloseReason, DataChannel, DataChannelOptions, DataChannelState, Event, Message, Reason,
    Reliability,
};
use support::*;

fn negotiated(id: u16) -> DataChannelOptions {
    DataChannelOptions {
        negotiated: Some(id),
        ..DataChannelOptions::default()
    }
}

/// Sends until nothing more is taken for a while; how many went in.
async fn push(channel: &DataChannel, size: usize) -> u32 {
    let mut pushed = 0u32;
    let mut idle = 0;
    while idle < 20 {
        let mut message = vec![0; size];
        message[..4].copy_from_slice(&pushed.to_be_bytes());
        if channel.try_send(message).is_ok() {
            pushed += 1;
            idle = 0;
        } else {
            idle += 1;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    pushed
}

async fn expect_numbered(channel: &DataChannel, count: u32) {
    for number in 0..count {
        let message = patient("message", channel.recv()).await.unwrap();
        assert_eq!(message.as_bytes()[..4], number.to_be_bytes());
    }
}

/// A channel, its messages, and messages for a channel that this end negotiates a little later, all
/// come before anybody looks. They are kept, against the window and no further.
#[tokio::test]
async fn what_comes_before_anyone_looks_is_kept_within_the_window() {
    let (window, buffer) = (256 << 10, 128 << 10);
    let a = builder().send_buffer_limit(buffer).build().await.unwrap();
    let b = builder().receive_window(window).build().await.unwrap();
    let Pair { a, b, at_a, at_b } = pair_of(a, b, DataChannelOptions::default()).await;
    let early = a
        .create_data_channel("negotiated", negotiated(100))
        .unwrap();
    for number in 0..5u8 {
        early.send(vec![number; 100]).await.unwrap();
    }
    let unseen = a
        .create_data_channel("unseen", DataChannelOptions::default())
        .unwrap();
    patient("open", unseen.opened()).await.unwrap();
    let pushed = push(&unseen, 1_000).await;
    let held = b.stats().await.unwrap().internals.sctp.receive_buffered;
    assert!(held <= window + window / 4, "{held}");
    assert!(
        (pushed * 1_000) as usize <= window + buffer,
        "{pushed} messages were taken in"
    );
    // Now somebody looks.
    let late = b
        .create_data_channel("negotiated", negotiated(100))
        .unwrap();
    for number in 0..5u8 {
        assert_eq!(
            patient("early", late.recv()).await,
            Some(vec![number; 100].into())
        );
    }
    let seen = incoming(&b).await;
    assert_eq!(seen.label(), "unseen");
    expect_numbered(&seen, pushed).await;
    // And the first channel has not suffered.
    at_a.send("still").await.unwrap();
    assert_eq!(patient("message", at_b.recv()).await, Some("still".into()));
}

/// Channels that come and go while nobody takes events must not pile up; one that still has something
/// to say stays.
#[tokio::test]
async fn channels_that_nobody_saw_come_and_go() {
    let Pair { a, b, .. } = pair().await;
    let keeper = a
        .create_data_channel("keeper", DataChannelOptions::default())
        .unwrap();
    keeper.send("last words").await.unwrap();
    keeper.close();
    patient("closed", keeper.closed()).await;
    for _ in 0..30 {
        let channels: Vec<_> = (0..50)
            .map(|_| {
                a.create_data_channel("fly", DataChannelOptions::default())
                    .unwrap()
            })
            .collect();
        for channel in &channels {
            patient("open", channel.opened()).await.unwrap();
            channel.close();
        }
        for channel in &channels {
            patient("closed", channel.closed()).await;
        }
    }
    a.close().await;
    patient("closed", b.closed()).await;
    let (mut flies, mut kept) = (0, Vec::new());
    while let Some(event) = b.next_event().await {
        if let Event::DataChannel(channel) = event {
            match channel.label() {
                "keeper" => kept.push(channel.recv().await),
                _ => flies += 1,
            }
        }
    }
    assert_eq!(kept, [Some(Message::from("last words"))]);
    assert!(flies < 1_100, "{flies} of 1,500 were kept");
}

#[tokio::test]
async fn limits_can_change_while_others_wait_for_them() {
    let Pair { a, b, at_a, at_b } = narrow_pair(200_000, 100_000).await;
    // The channel's.
    let mut accepted = push(&at_a, 10_000).await;
    let waiting = at_a.clone();
    let mut sending = tokio::task::JoinSet::new();
    let last = move |number: u32| {
        let mut message = vec![0; 10_000];
        message[..4].copy_from_slice(&number.to_be_bytes());
        message
    };
    let message = last(accepted);
    sending.spawn(async move { waiting.send(message).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(sending.try_join_next().is_none());
    at_a.set_send_buffer_limit(4 << 20);
    patient("send", sending.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    accepted += 1;
    assert_eq!(at_a.send_buffer_limit(), 4 << 20);
    // The connection's.
    let more = push(&at_a, 10_000).await;
    assert!(
        more > 0 && more < 12,
        "{more}: the connection's limit holds"
    );
    a.set_send_buffer_limit(8 << 20).unwrap();
    assert_eq!(a.send_buffer_limit(), 8 << 20);
    at_a.try_send(last(7)).unwrap();
    // The window: nothing is read, and yet more arrives.
    let held = || async { b.stats().await.unwrap().internals.sctp.receive_buffered };
    let before = held().await;
    b.set_receive_window(2 << 20).unwrap();
    assert_eq!(b.receive_window(), 2 << 20);
    patient("more", async {
        while held().await < before + 100_000 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    expect_numbered(&at_b, accepted).await;
    expect_numbered(&at_b, more).await;
    assert_eq!(patient("last", at_b.recv()).await, Some(last(7).into()));
    // Narrow again: what is unread stays within it.
    b.set_receive_window(128 << 10).unwrap();
    a.set_channel_send_buffer_limit(5_000);
    let pushed = push(&at_a, 10_000).await;
    // A message that has begun may be finished beyond the window, up to its double.
    let held = held().await;
    assert!(held <= 2 * (128 << 10), "{held}");
    expect_numbered(&at_b, pushed).await;
    let small = a
        .create_data_channel("small", DataChannelOptions::default())
        .unwrap();
    assert_eq!(small.send_buffer_limit(), 5_000);
}

/// Requirements, "65,534 channels open and close": the short form.
#[tokio::test]
async fn thousands_of_channels_open_and_close() {
    const CHANNELS: usize = 3_000;
    let Pair { a, b, .. } = pair().await;
    let channels: Vec<_> = (0..CHANNELS)
        .map(|n| {
            a.create_data_channel(n.to_string(), DataChannelOptions::default())
                .unwrap()
        })
        .collect();
    let mut theirs = Vec::new();
    for channel in &channels {
        patient("open", channel.opened()).await.unwrap();
        theirs.push(incoming(&b).await);
    }
    // Half from either end.
    channels.iter().step_by(2).for_each(DataChannel::close);
    theirs
        .iter()
        .filter(|channel| channel.label().parse::<usize>().unwrap() % 2 == 1)
        .for_each(DataChannel::close);
    for channel in channels.iter().chain(&theirs) {
        patient("closed", channel.closed()).await;
        assert!(matches!(
            channel.close_reason(),
            Some(ChannelCloseReason::Local | ChannelCloseReason::Remote)
        ));
    }
    let report = a.stats().await.unwrap();
    assert_eq!(report.data_channels.len(), 1, "only the first is left");
    assert_eq!(report.peer_connection.data_channels_closed, CHANNELS as u64);
    // Every id can be used again.
    let again = a
        .create_data_channel("again", DataChannelOptions::default())
        .unwrap();
    patient("open", again.opened()).await.unwrap();
    assert!(again.id() < Some(8), "{:?}", again.id());
}

/// Ids of negotiated channels are passed over by those that are chosen, and a channel that only one
/// end negotiates costs nothing but itself.
#[tokio::test]
async fn negotiated_ids_and_chosen_ones_keep_apart() {
    let (a, b) = peers().await;
    let here: Vec<_> = [0, 1, 2, 3]
        .map(|id| a.create_data_channel("n", negotiated(id)).unwrap())
        .into();
    let there: Vec<_> = [0, 1, 2]
        .map(|id| b.create_data_channel("n", negotiated(id)).unwrap())
        .into();
    let chosen = a
        .create_data_channel("chosen", DataChannelOptions::default())
        .unwrap();
    signal(&a, &b).await;
    patient("open", chosen.opened()).await.unwrap();
    assert!(chosen.id() >= Some(4), "{:?}", chosen.id());
    for (x, y) in here.iter().zip(&there) {
        x.send("hello").await.unwrap();
        assert_eq!(patient("message", y.recv()).await, Some("hello".into()));
    }
    // Nobody is there: the other end resets it after a while (RFC 8832 §6), and says why.
    here[3].send("anybody?").await.unwrap();
    tokio::time::pause();
    patient("refusal", here[3].closed()).await;
    tokio::time::resume();
    assert_eq!(here[3].close_reason(), Some(ChannelCloseReason::Remote));
    assert_eq!(here[0].state(), DataChannelState::Open);
    // The id is free again at both ends.
    let again = a.create_data_channel("again", negotiated(3)).unwrap();
    let there = b.create_data_channel("again", negotiated(3)).unwrap();
    again.send("now").await.unwrap();
    assert_eq!(patient("message", there.recv()).await, Some("now".into()));
}

/// A channel closed before it opened was never there for the other end.
#[tokio::test]
async fn a_channel_can_be_closed_before_there_is_a_connection() {
    let (a, b) = peers().await;
    let never = a
        .create_data_channel("never", DataChannelOptions::default())
        .unwrap();
    let kept = a
        .create_data_channel("kept", DataChannelOptions::default())
        .unwrap();
    never.close();
    patient("closed", never.closed()).await;
    assert!(never.send("x").await.is_err());
    signal(&a, &b).await;
    patient("open", kept.opened()).await.unwrap();
    assert_eq!(incoming(&b).await.label(), "kept");
}

/// The other process is gone without a word: its runtime is torn down.
#[tokio::test]
async fn a_killed_peer_is_found_out_and_costs_nothing_afterwards() {
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let a = builder().build().await.unwrap();
    let channel = a
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let offer = support::offer(&a).await;
    let (answers, answer) = tokio::sync::oneshot::channel();
    let (kill, killed) = std::sync::mpsc::sync_channel::<()>(1);
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let b = runtime.block_on(async {
            let b = builder().build().await.unwrap();
            b.set_remote_description(offer).await.unwrap();
            b.set_local_description(b.create_answer().await.unwrap())
                .await
                .unwrap();
            b.gathering_complete().await;
            answers.send(b.local_description().unwrap()).unwrap();
            b
        });
        let _ = killed.recv();
        // The tasks go first, so that nobody says goodbye.
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(b);
    });
    a.set_remote_description(answer.await.unwrap())
        .await
        .unwrap();
    patient("open", channel.opened()).await.unwrap();
    channel.send("hello").await.unwrap();
    kill.send(()).unwrap();
    other.join().unwrap();
    tokio::time::pause();
    channel.send("into the void").await.unwrap();
    let mut state = a.watch_connection_state();
    let lost = state.wait_for(|state| {
        matches!(
            state,
            peerloom::ConnectionState::Disconnected | peerloom::ConnectionState::Failed
        )
    });
    patient("loss", lost).await.unwrap();
    // Nobody takes what was accepted; closing does not wait for longer than it may.
    patient("close", a.close()).await;
    assert!(matches!(a.closed().await, Reason::Local));
    drop((a, channel));
    tokio::time::resume();
    patient("tasks", async {
        while tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
            > before
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Unreliable messages are dropped by the sender's choice, never by the receiver's application: what
/// arrived waits like any other.
#[tokio::test]
async fn unreliable_messages_that_arrived_wait_to_be_read() {
    let (a, b) = peers().await;
    let options = DataChannelOptions {
        ordered: false,
        reliability: Reliability::MaxRetransmits(0),
        ..DataChannelOptions::default()
    };
    let Pair { at_a, at_b, .. } = pair_of(a, b, options).await;
    for number in 0..100u32 {
        at_a.send(number.to_be_bytes().to_vec()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut read = 0;
    while at_b.try_recv().is_some() {
        read += 1;
    }
    assert!(read > 90, "{read} of 100 on loopback");
}

/// Two connections' worth of work on one: closing with everything in flight from both ends at once.
#[tokio::test]
async fn both_ends_may_close_a_busy_channel_at_once() {
    for _ in 0..5 {
        let Pair { a, at_a, at_b, .. } = pair().await;
        for number in 0..50u8 {
            at_a.send(vec![number; 20_000]).await.unwrap();
            at_b.send(vec![number; 20_000]).await.unwrap();
        }
        at_a.close();
        at_b.close();
        for channel in [&at_a, &at_b] {
            let mut read = 0;
            while let Some(message) = patient("message", channel.recv()).await {
                assert_eq!(message, vec![read; 20_000].into());
                read += 1;
            }
            assert_eq!(read, 50);
            patient("closed", channel.closed()).await;
        }
        assert!(a.stats().await.unwrap().data_channels.is_empty());
    }
}
