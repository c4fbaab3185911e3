//! Messages: kinds, sizes, the deprecated parts, accounting.

use bytes::Bytes;
use peerloom_datachannel::{
    ChannelCloseReason, ChannelKey, ChannelOptions, ChannelState, MessageKind, MessageOptions,
    Reliability, SendError, SessionConfig, SessionEvent, Violation,
};

use crate::net::{Net, SECOND, labelled, negotiated};

const TEXT: u32 = 51;
const BINARY_PARTIAL: u32 = 52;
const BINARY: u32 = 53;
const TEXT_PARTIAL: u32 = 54;
const EMPTY_TEXT: u32 = 56;
const EMPTY_BINARY: u32 = 57;

/// RFC 8831 §6.6: four kinds of message, four PPIDs, and one byte stands for none.
#[test]
fn text_binary_and_empty_messages_keep_their_kind() {
    let mut net = Net::connected(1);
    let (ours, theirs) = open_both(&mut net);
    let messages = [
        (MessageKind::Text, Bytes::from("text")),
        (MessageKind::Binary, Bytes::from_static(&[0, 255])),
        (MessageKind::Text, Bytes::new()),
        (MessageKind::Binary, Bytes::new()),
        (MessageKind::Binary, Bytes::from_static(&[0])),
    ];
    for (kind, payload) in &messages {
        net.a
            .session()
            .send(net.now, ours, *kind, payload.clone())
            .unwrap();
    }
    net.run_for(SECOND);
    assert_eq!(net.b.messages(theirs), messages);
}

#[test]
fn the_ppids_on_the_wire_are_those_of_rfc_8831() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, negotiated(3));
    let now = net.now;
    for (kind, payload) in [
        (MessageKind::Text, "t"),
        (MessageKind::Binary, "b"),
        (MessageKind::Text, ""),
        (MessageKind::Binary, ""),
    ] {
        net.a
            .session()
            .send(now, key, kind, Bytes::from(payload))
            .unwrap();
    }
    net.run_for(SECOND);
    let zero = Bytes::from_static(&[0]);
    assert_eq!(
        net.b.raw_messages(),
        [
            (3, TEXT, Bytes::from("t"), true),
            (3, BINARY, Bytes::from("b"), true),
            (3, EMPTY_TEXT, zero.clone(), true),
            (3, EMPTY_BINARY, zero, true),
        ],
    );
}

/// Text that is not UTF-8 is delivered as it is: replacing or refusing is the shell's choice, made
/// outside the lock.
#[test]
fn text_that_is_not_utf8_is_delivered_and_harms_nothing() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, negotiated(3));
    net.b.send_raw(net.now, 3, TEXT, b"\xff\xfe");
    net.b.send_raw(net.now, 3, TEXT, b"fine");
    net.run_for(SECOND);
    assert_eq!(
        net.a.messages(key),
        [
            (MessageKind::Text, Bytes::from_static(b"\xff\xfe")),
            (MessageKind::Text, Bytes::from("fine")),
        ],
    );
}

/// Old stacks cut messages into parts with PPIDs of their own.
#[test]
fn deprecated_parts_are_joined() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, negotiated(3));
    let other = net.a.open(net.now, negotiated(5));
    net.b.send_raw(net.now, 3, BINARY_PARTIAL, b"a");
    net.b.send_raw(net.now, 5, TEXT_PARTIAL, b"x");
    net.b.send_raw(net.now, 3, BINARY_PARTIAL, b"b");
    net.b.send_raw(net.now, 3, BINARY, b"c");
    net.b.send_raw(net.now, 5, TEXT, b"y");
    net.b.send_raw(net.now, 3, BINARY, b"whole");
    net.run_for(SECOND);
    assert_eq!(
        net.a.messages(key),
        [
            (MessageKind::Binary, Bytes::from("abc")),
            (MessageKind::Binary, Bytes::from("whole"))
        ],
    );
    assert_eq!(
        net.a.messages(other),
        [(MessageKind::Text, Bytes::from("xy"))]
    );
    assert_eq!(net.a.stats().drops, Default::default());
}

#[test]
fn a_part_without_its_end_gives_way_to_the_next_message() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, negotiated(3));
    net.b.send_raw(net.now, 3, BINARY_PARTIAL, b"lost");
    net.b.send_raw(net.now, 3, TEXT_PARTIAL, b"x");
    net.b.send_raw(net.now, 3, TEXT, b"y");
    net.b.send_raw(net.now, 3, TEXT_PARTIAL, b"lost");
    net.b.send_raw(net.now, 3, BINARY, b"z");
    net.run_for(SECOND);
    assert_eq!(
        net.a.messages(key),
        [
            (MessageKind::Text, Bytes::from("xy")),
            (MessageKind::Binary, Bytes::from("z"))
        ],
    );
    assert_eq!(net.a.stats().drops.unfinished_message, 2);
    assert_eq!(net.a.held(), 0);
}

/// Parts that never end keep a share of the window, not all of it.
#[test]
fn parts_that_never_end_cost_their_channel_and_not_the_window() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    for round in 1..=3 {
        let keys: Vec<_> = (1..=40u16)
            .map(|id| net.a.open(net.now, negotiated(2 * id)))
            .collect();
        for id in 1..=40u16 {
            net.b
                .send_raw(net.now, 2 * id, BINARY_PARTIAL, &[0; 60_000]);
        }
        net.run_for(5 * SECOND);
        let refused = net.a.stats().drops.partial_too_large;
        assert!((20 * round..40 * round).contains(&refused), "{refused}");
        let is_open =
            |key: &&ChannelKey| net.a.session().channel_state(**key) == Some(ChannelState::Open);
        assert!(keys.iter().filter(is_open).count() >= 10);
        // The window is given back with the channels, and so is the room for parts.
        for (id, key) in (1..=40u16).zip(keys) {
            net.a.session().close(net.now, key);
            net.b.reset_raw(net.now, 2 * id);
        }
        net.run_for(SECOND);
        assert_eq!(net.a.session().channels(), 0);
    }
    assert_eq!(net.a.held(), 0);
    let echo = net.a.open(net.now, negotiated(200));
    net.b.send_raw(net.now, 200, BINARY, &[1; 100_000]);
    net.run_until(5 * SECOND, |net| net.a.messages(echo).len() == 1);
}

/// `a=max-message-size` of the peer: an error with the numbers, and the channel lives.
#[test]
fn a_message_over_the_peers_limit_is_refused_and_changes_nothing() {
    let mut net = Net::connected(2);
    net.a.session().set_remote_max_message_size(1000);
    let (ours, theirs) = open_both(&mut net);
    let now = net.now;
    let big = Bytes::from(vec![0; 1001]);
    let before = net.a.session().channel_stats(ours);
    assert_eq!(
        net.a
            .session()
            .send(now, ours, MessageKind::Binary, big.clone()),
        Err(SendError::TooLarge {
            len: 1001,
            max: 1000
        }),
    );
    assert_eq!(net.a.session().channel_stats(ours), before);
    net.a
        .session()
        .send(now, ours, MessageKind::Binary, big.slice(1..))
        .unwrap();
    net.run_for(SECOND);
    assert_eq!(net.b.messages(theirs).len(), 1);
}

/// Ours: the peer exceeds what we announced and loses that channel, no more.
#[test]
fn a_message_over_our_limit_closes_its_channel_only() {
    let config = SessionConfig {
        max_message_size: 1000,
        ..SessionConfig::default()
    };
    let mut net = Net::new(3, config, SessionConfig::default());
    net.connect();
    let (ours, theirs) = open_both(&mut net);
    let bystander = net.a.open(net.now, negotiated(100));
    net.b.open(net.now, negotiated(100));
    net.b.send(net.now, theirs, &[1; 1000]);
    net.b.send(net.now, theirs, &[1; 1001]);
    net.run_for(SECOND);
    assert_eq!(net.a.messages(ours).len(), 1);
    let reason = ChannelCloseReason::Violation(Violation::MessageTooLarge);
    assert_eq!(net.a.closed(ours), Some(reason));
    assert_eq!(net.b.closed(theirs), Some(ChannelCloseReason::Remote));
    assert_eq!(net.a.stats().drops.message_too_large, 1);
    assert_eq!(net.a.held(), 0);
    assert_eq!(
        net.a.session().channel_state(bystander),
        Some(ChannelState::Open)
    );
}

#[test]
fn a_ppid_of_another_protocol_is_dropped_and_the_channel_lives() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, negotiated(3));
    for ppid in [0, 46, 55, u32::MAX] {
        net.b.send_raw(net.now, 3, ppid, b"?");
    }
    net.b.send_raw(net.now, 3, TEXT, b"fine");
    net.run_for(SECOND);
    assert_eq!(
        net.a.messages(key),
        [(MessageKind::Text, Bytes::from("fine"))]
    );
    assert_eq!(net.a.stats().drops.unknown_ppid, 4);
    assert_eq!(net.a.held(), 0);
}

/// SSNs wrap at 65,536 messages of one stream: same behaviour before and after.
#[test]
fn messages_stay_in_order_across_the_wrap_of_the_stream_sequence_number() {
    let mut net = Net::connected(4);
    let (ours, theirs) = open_both(&mut net);
    let total = 66_000u32;
    for chunk in 0..66u32 {
        for n in chunk * 1000..(chunk + 1) * 1000 {
            net.a.send(net.now, ours, &n.to_be_bytes());
        }
        net.run_for(SECOND);
    }
    net.run_until(60 * SECOND, |net| net.b.events.len() >= total as usize);
    let messages = net.b.messages(theirs);
    assert_eq!(messages.len(), total as usize);
    for (n, (_, payload)) in (0u32..).zip(messages) {
        assert_eq!(payload[..], n.to_be_bytes());
    }
}

/// `bufferedAmount` counts what the application sent, not our OPEN.
#[test]
fn unqueued_bytes_are_those_of_the_application() {
    let mut net = Net::connected(5);
    let ours = net.a.open(
        net.now,
        labelled("a label that is longer than the messages"),
    );
    let other = net.a.open(net.now, labelled("nothing sent here"));
    net.a.send(net.now, ours, b"12345");
    net.a.send(net.now, ours, b"678");
    assert!(net.a.session().buffered_amount(ours) >= 8);
    net.run_for(SECOND);
    let sum = |key: ChannelKey| -> usize {
        net.a
            .unqueued
            .iter()
            .filter(|(k, _)| *k == key)
            .map(|(_, bytes)| bytes)
            .sum()
    };
    assert_eq!(sum(ours), 8);
    assert_eq!(sum(other), 0);
    assert!(net.b.unqueued.is_empty(), "ACKs are not the application's");
    assert_eq!(net.a.session().buffered_amount(ours), 0);
}

#[test]
fn channel_stats_count_both_ways() {
    let mut net = Net::connected(6);
    let (ours, theirs) = open_both(&mut net);
    net.a.send(net.now, ours, &[0; 300]);
    net.a.send(net.now, ours, b"");
    net.b.send(net.now, theirs, &[0; 7]);
    net.run_for(SECOND);
    let stats = net.a.session().channel_stats(ours).unwrap();
    assert_eq!((stats.id, stats.state), (Some(0), ChannelState::Open));
    assert_eq!((stats.messages_sent, stats.bytes_sent), (2, 300));
    assert_eq!((stats.messages_received, stats.bytes_received), (1, 7));
    let stats = net.b.session().channel_stats(theirs).unwrap();
    assert_eq!((stats.messages_received, stats.bytes_received), (2, 300));
}

/// The window is not reopened before the application takes the messages.
#[test]
fn the_cost_of_messages_is_held_until_it_is_released() {
    let mut net = Net::connected(7);
    let (ours, theirs) = open_both(&mut net);
    net.b.reads = false;
    let message = [7; 60_000];
    for _ in 0..200 {
        net.a.send(net.now, ours, &message);
    }
    net.run_for(5 * SECOND);
    let held: usize = net
        .b
        .messages(theirs)
        .iter()
        .map(|(_, payload)| payload.len())
        .sum();
    assert!(
        held <= 5 << 20,
        "{held} bytes delivered into a window of 4 MiB"
    );
    assert!(net.b.messages(theirs).len() < 200);
    let cost = |event: &SessionEvent| match event {
        SessionEvent::Message { cost, .. } => *cost,
        _ => 0,
    };
    let held = net.b.events.iter().map(cost).sum();
    net.b.reads = true;
    net.b.session().release(net.now, held);
    net.run_until(30 * SECOND, |net| net.b.messages(theirs).len() == 200);
}

/// The sender of a partly reliable channel gives up; the counter says so and order is kept.
#[test]
fn abandoned_messages_are_counted_by_channel() {
    let mut net = Net::connected(8);
    let options = ChannelOptions {
        reliability: peerloom_datachannel::Reliability::MaxRetransmits(0),
        ..labelled("lossy")
    };
    let ours = net.a.open(net.now, options);
    net.run_until(SECOND, |net| net.a.opened(ours));
    let (theirs, ..) = net.b.incoming().remove(0);
    net.link.set_loss(0.2);
    for n in 0..200u8 {
        net.a.send(net.now, ours, &[n; 1000]);
        net.run_for(SECOND / 50);
    }
    net.link.set_loss(0.0);
    net.run_for(20 * SECOND);
    let received: Vec<u8> = net.b.messages(theirs).iter().map(|(_, p)| p[0]).collect();
    assert!(received.is_sorted() && received.len() < 200 && received.len() > 100);
    let abandoned = net
        .a
        .session()
        .channel_stats(ours)
        .unwrap()
        .messages_abandoned;
    assert!(
        abandoned >= 200 - received.len() as u64,
        "{abandoned} of {}",
        received.len()
    );
}

/// SCTP carries order and reliability with each message, so one may differ from its channel.
#[test]
fn a_message_may_differ_from_its_channel() {
    let mut net = Net::connected(11);
    let (ours, theirs) = open_both(&mut net);
    let send = |net: &mut Net, message: &'static str, options: MessageOptions| {
        let payload = bytes::Bytes::from_static(message.as_bytes());
        let sent = net
            .a
            .session()
            .send_with(net.now, ours, MessageKind::Text, payload, options);
        assert_eq!(sent, Ok(()));
    };
    // The first packet, with the ordered message, is lost: the unordered one overtakes it.
    let mut lost = false;
    net.link.lose = Some(Box::new(move |from_a, _| {
        from_a && !std::mem::replace(&mut lost, true)
    }));
    send(&mut net, "ordered", MessageOptions::default());
    net.run_for(std::time::Duration::from_millis(1));
    let unordered = MessageOptions {
        ordered: Some(false),
        ..MessageOptions::default()
    };
    send(&mut net, "unordered", unordered);
    net.run_for(10 * SECOND);
    let texts = |net: &Net| -> Vec<_> { net.b.messages(theirs).into_iter().map(|m| m.1).collect() };
    assert_eq!(texts(&net), ["unordered", "ordered"]);
    // Lost and not repeated; what follows is not held up.
    let mut lost = false;
    net.link.lose = Some(Box::new(move |from_a, _| {
        from_a && !std::mem::replace(&mut lost, true)
    }));
    let once = MessageOptions {
        reliability: Some(Reliability::MaxRetransmits(0)),
        ..MessageOptions::default()
    };
    send(&mut net, "once", once);
    net.run_for(std::time::Duration::from_millis(1));
    send(&mut net, "again", MessageOptions::default());
    net.run_for(10 * SECOND);
    assert_eq!(texts(&net)[2..], ["again"]);
    let stats = net.a.session().channel_stats(ours).unwrap();
    assert_eq!((stats.messages_sent, stats.messages_abandoned), (4, 1));
}

fn open_both(net: &mut Net) -> (ChannelKey, ChannelKey) {
    let ours = net.a.open(net.now, labelled("both"));
    net.run_until(SECOND, |net| net.a.opened(ours));
    let (theirs, ..) = net.b.incoming().pop().unwrap();
    (ours, theirs)
}
