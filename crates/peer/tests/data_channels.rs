//! Data channels between two connections over real loopback sockets.

mod support;

use std::time::Duration;

use bytes::Bytes;
use peerloom::{
    DataChannelOptions, DataChannelState, Message, Reliability, SendError, TrySendErrorKind,
};
use support::*;

#[tokio::test]
async fn every_kind_of_message_goes_both_ways() {
    let Pair { at_a, at_b, .. } = pair().await;
    let messages = [
        Message::from("text"),
        Message::from(""),
        Message::Binary(Bytes::from_static(b"\0\xff")),
        Message::Binary(Bytes::new()),
        Message::Binary(vec![7; 256 << 10].into()),
        Message::from("ü".repeat(40_000)),
    ];
    for (from, to) in [(&at_a, &at_b), (&at_b, &at_a)] {
        for message in &messages {
            from.send(message.clone()).await.unwrap();
        }
        for message in &messages {
            assert_eq!(patient("message", to.recv()).await.as_ref(), Some(message));
        }
    }
}

#[tokio::test]
async fn what_one_end_asks_for_is_what_the_other_sees() {
    let (a, b) = peers().await;
    let options = DataChannelOptions {
        ordered: false,
        reliability: Reliability::MaxLifetime(Duration::from_millis(1500)),
        protocol: "p/1".into(),
        priority: 1024,
        ..DataChannelOptions::default()
    };
    let Pair { at_a, at_b, .. } = pair_of(a, b, options.clone()).await;
    assert_eq!(at_b.label(), "test");
    assert_eq!(at_b.protocol(), "p/1");
    assert!(!at_b.ordered());
    assert_eq!(at_b.reliability(), options.reliability);
    assert_eq!(at_b.priority(), 1024);
    assert!(!at_b.negotiated());
    assert!(at_a.id().is_some());
    assert_eq!(at_a.id(), at_b.id());
}

#[tokio::test]
async fn messages_sent_before_the_connection_exists_arrive_first_and_in_order() {
    let (a, b) = peers().await;
    let at_a = a
        .create_data_channel("early", DataChannelOptions::default())
        .unwrap();
    assert_eq!(at_a.state(), DataChannelState::Connecting);
    let refused = at_a.try_send("too early").unwrap_err();
    assert!(matches!(refused.kind, TrySendErrorKind::NotOpen));
    assert_eq!(refused.message, Message::from("too early"));
    let sender = at_a.clone();
    let mut sending = tokio::task::JoinSet::new();
    sending.spawn(async move {
        for i in 0..100 {
            sender.send(i.to_string()).await.unwrap();
        }
    });
    signal(&a, &b).await;
    let at_b = incoming(&b).await;
    for i in 0..100 {
        assert_eq!(
            patient("message", at_b.recv()).await,
            Some(Message::from(i.to_string()))
        );
    }
}

#[tokio::test]
async fn negotiated_channels_need_no_announcement() {
    let (a, b) = peers().await;
    let options = DataChannelOptions {
        negotiated: Some(7),
        ..DataChannelOptions::default()
    };
    let at_a = a.create_data_channel("n", options.clone()).unwrap();
    let at_b = b.create_data_channel("n", options.clone()).unwrap();
    let taken = a
        .create_data_channel("again", options)
        .unwrap_err()
        .to_string();
    assert!(taken.contains("7"), "{taken}");
    signal(&a, &b).await;
    at_a.send("over").await.unwrap();
    assert_eq!(
        patient("message", at_b.recv()).await,
        Some(Message::from("over"))
    );
    assert_eq!((at_a.id(), at_b.id()), (Some(7), Some(7)));
}

#[tokio::test]
async fn a_message_over_the_other_ends_limit_is_refused_with_numbers_and_the_channel_lives() {
    let (a, b) = (
        builder().build().await.unwrap(),
        builder().max_message_size(1000).build().await.unwrap(),
    );
    let Pair { at_a, at_b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    let error = at_a.send(vec![0; 1001]).await.unwrap_err();
    assert!(
        matches!(
            error,
            SendError::MessageTooLarge {
                len: 1001,
                max: 1000
            }
        ),
        "{error}"
    );
    let error = at_a.try_send(vec![0; 1001]).unwrap_err();
    assert_eq!(error.message.len(), 1001);
    assert_eq!(at_a.buffered_amount(), 0, "a refused message holds no room");
    at_a.send(vec![1; 1000]).await.unwrap();
    assert_eq!(
        patient("message", at_b.recv()).await.map(|m| m.len()),
        Some(1000)
    );
}

#[tokio::test]
async fn a_full_buffer_gives_the_message_back_and_send_waits() {
    let (a, b) = (
        builder()
            .channel_send_buffer_limit(64 << 10)
            .build()
            .await
            .unwrap(),
        builder().receive_window(128 << 10).build().await.unwrap(),
    );
    let Pair { at_a, at_b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    // Nobody reads, so the window closes and the buffer fills.
    let mut accepted = 0;
    let refused = patient("full", async {
        loop {
            match at_a.try_send(vec![accepted as u8; 10_000]) {
                Ok(()) => accepted += 1,
                Err(error) if accepted > 15 => break error,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(refused.message.len(), 10_000);
    let TrySendErrorKind::Full {
        len: 10_000,
        buffered,
        limit: 65_536,
    } = refused.kind
    else {
        panic!("{:?}", refused.kind)
    };
    assert!(buffered <= 65_536);
    // Filled to the brim: a waiting send resolves only after the reader makes room.
    while at_a.try_send(vec![accepted as u8; 10_000]).is_ok() {
        accepted += 1;
    }
    let waiting = at_a.clone();
    let mut sending = tokio::task::JoinSet::new();
    sending.spawn(async move { waiting.send(vec![255; 10_000]).await });
    for i in 0..accepted {
        let message = patient("message", at_b.recv()).await.unwrap();
        assert_eq!(
            message,
            Message::Binary(vec![i as u8; 10_000].into()),
            "message {i}"
        );
    }
    patient("send", sending.join_all()).await[0]
        .as_ref()
        .unwrap();
    assert_eq!(
        patient("message", at_b.recv()).await,
        Some(vec![255; 10_000].into())
    );
    patient("low", at_a.buffered_amount_low()).await;
    assert_eq!(at_a.buffered_amount(), 0);
}

#[tokio::test]
async fn a_permit_holds_room_and_gives_it_back() {
    let a = builder()
        .channel_send_buffer_limit(1000)
        .build()
        .await
        .unwrap();
    let b = builder().build().await.unwrap();
    let Pair { at_a, at_b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    // The limit of 1000 has room for one message of 600 bytes, not for two.
    let permit = at_a.reserve(600).await.unwrap();
    let refused = at_a.try_send(vec![0; 600]).unwrap_err();
    assert!(matches!(
        refused.kind,
        TrySendErrorKind::Full {
            len: 600,
            limit: 1000,
            ..
        }
    ));
    drop(permit);
    drop(at_a.reserve(600).await.unwrap());
    let permit = at_a.reserve(100).await.unwrap();
    let error = permit.send(vec![0; 101]).unwrap_err();
    assert!(matches!(
        error,
        SendError::MessageTooLarge { len: 101, max: 100 }
    ));
    assert_eq!(at_a.buffered_amount(), 0);
    at_a.reserve(100).await.unwrap().send("less").unwrap();
    assert_eq!(
        patient("message", at_b.recv()).await,
        Some(Message::from("less"))
    );
    patient("low", at_a.buffered_amount_low()).await;
    assert_eq!(at_a.buffered_amount(), 0);
}

#[tokio::test]
async fn a_closed_channel_delivers_what_was_accepted_and_then_ends() {
    for from_a in [true, false] {
        let Pair { a, at_a, at_b, .. } = pair().await;
        let (from, to) = if from_a { (at_a, at_b) } else { (at_b, at_a) };
        for i in 0..50 {
            from.send(vec![i; 10_000]).await.unwrap();
        }
        from.close();
        assert!(matches!(
            from.send("late").await,
            Err(SendError::ChannelClosed)
        ));
        for i in 0..50 {
            assert_eq!(
                patient("message", to.recv()).await,
                Some(vec![i; 10_000].into())
            );
        }
        assert_eq!(patient("end", to.recv()).await, None);
        patient("closed there", to.closed()).await;
        patient("closed here", from.closed()).await;
        // The connection goes on.
        assert!(
            a.create_data_channel("another", DataChannelOptions::default())
                .is_ok()
        );
    }
}

#[tokio::test]
async fn bulk_arrives_whole_and_in_order_with_several_workers() {
    let Pair { a, b, at_a, at_b } = pair().await;
    const MESSAGES: u32 = 2_000;
    let mut sending = tokio::task::JoinSet::new();
    sending.spawn(async move {
        for i in 0..MESSAGES {
            let mut message = vec![i as u8; 1 + (i as usize * 7919) % 60_000];
            let stamp = i.to_be_bytes();
            let n = message.len().min(4);
            message[..n].copy_from_slice(&stamp[..n]);
            at_a.send(message).await.unwrap();
        }
    });
    for i in 0..MESSAGES {
        let message = patient("message", at_b.recv()).await.unwrap().into_bytes();
        assert_eq!(
            message.len(),
            1 + (i as usize * 7919) % 60_000,
            "message {i}"
        );
        assert_eq!(
            message[..message.len().min(4)],
            i.to_be_bytes()[..message.len().min(4)]
        );
    }
    let stats = a.stats().await.unwrap().internals;
    assert!(stats.transport.batches_sent > 0);
    assert!(
        stats.transport.packets_sent >= 4 * stats.transport.send_calls
            || stats
                .sockets
                .iter()
                .all(|socket| socket.max_gso_segments == 1),
        "bulk must leave in batches: {:?}",
        stats.transport
    );
    assert!(b.stats().await.unwrap().internals.sctp.messages_received >= u64::from(MESSAGES));
}

#[tokio::test]
async fn a_hundred_channels_at_once() {
    let (a, b) = peers().await;
    let channels: Vec<_> = (0..100)
        .map(|i| {
            a.create_data_channel(i.to_string(), DataChannelOptions::default())
                .unwrap()
        })
        .collect();
    signal(&a, &b).await;
    for channel in &channels {
        channel.send(channel.label().to_owned()).await.unwrap();
    }
    let mut ids = std::collections::HashSet::new();
    for _ in &channels {
        let channel = incoming(&b).await;
        let message = patient("message", channel.recv()).await;
        assert_eq!(message, Some(Message::from(channel.label())));
        assert!(ids.insert(channel.id().unwrap()));
    }
}

/// Unread messages of a channel that nobody holds any more give their window back.
#[tokio::test]
async fn a_dropped_channel_does_not_keep_the_window() {
    let (a, b) = (
        builder().build().await.unwrap(),
        builder().receive_window(128 << 10).build().await.unwrap(),
    );
    let Pair { a, b, at_a, at_b } = pair_of(a, b, DataChannelOptions::default()).await;
    for _ in 0..12 {
        at_a.send(vec![0; 10_000]).await.unwrap();
    }
    at_a.close();
    patient("closed", at_b.closed()).await;
    drop(at_b);
    let again = a
        .create_data_channel("again", DataChannelOptions::default())
        .unwrap();
    again.send(vec![1; 120_000]).await.unwrap();
    let at_b = incoming(&b).await;
    assert_eq!(
        patient("message", at_b.recv()).await.map(|m| m.len()),
        Some(120_000)
    );
}

/// The option has to reach the wire: both ends must allow it.
#[tokio::test]
async fn checksums_go_only_when_both_ends_allow_it() {
    for (at_b, sending) in [(true, true), (false, false)] {
        let a = builder().build().await.unwrap();
        let b = builder().zero_checksum(at_b).build().await.unwrap();
        let pair = pair_of(a, b, DataChannelOptions::default()).await;
        pair.at_a.send("over").await.unwrap();
        assert_eq!(
            patient("message", pair.at_b.recv()).await,
            Some(Message::from("over"))
        );
        assert_eq!(
            pair.a
                .stats()
                .await
                .unwrap()
                .internals
                .sctp
                .zero_checksum_sending,
            sending
        );
        assert_eq!(
            pair.b
                .stats()
                .await
                .unwrap()
                .internals
                .sctp
                .zero_checksum_sending,
            sending
        );
    }
}
