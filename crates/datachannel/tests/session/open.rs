//! Opening channels: in-band, negotiated, early, at the same time.

use std::time::Duration;

use bytes::Bytes;
use peerloom_datachannel::{
    ChannelCloseReason, ChannelOptions, ChannelState, DcepMessage, MAX_NAME_LEN, MessageKind, Open,
    OpenError, Reliability, Role, SendError, Session, SessionConfig, SessionEvent,
};

use crate::net::{Net, SECOND, labelled, negotiated};

/// Every field of an OPEN reaches the other application, for every type of channel.
#[test]
fn each_type_of_channel_opens_echoes_and_closes() {
    let reliabilities = [
        Reliability::Reliable,
        Reliability::MaxRetransmits(0),
        Reliability::MaxRetransmits(65_535),
        Reliability::MaxLifetime(Duration::from_millis(500)),
    ];
    for reliability in reliabilities {
        for ordered in [true, false] {
            let options = ChannelOptions {
                label: "größe".into(),
                protocol: "echo".into(),
                ordered,
                reliability,
                priority: 1024,
                negotiated: None,
            };
            let mut net = Net::connected(1);
            let ours = net.a.open(net.now, options.clone());
            net.run_until(SECOND, |net| net.a.opened(ours));
            let (theirs, seen, id) = net.b.incoming().remove(0);
            assert_eq!(seen, options);
            assert_eq!(id, 0);
            assert_eq!(net.a.session().id(ours), Some(0));

            net.a.send(net.now, ours, b"ping");
            net.run_until(SECOND, |net| net.b.messages(theirs).len() == 1);
            net.b.send(net.now, theirs, b"pong");
            net.run_until(SECOND, |net| net.a.messages(ours).len() == 1);
            assert_eq!(
                net.b.messages(theirs),
                [(MessageKind::Binary, Bytes::from("ping"))]
            );
            assert_eq!(
                net.a.messages(ours),
                [(MessageKind::Binary, Bytes::from("pong"))]
            );

            net.a.session().close(net.now, ours);
            net.run_until(SECOND, |net| {
                net.a.closed(ours).is_some() && net.b.closed(theirs).is_some()
            });
            assert_eq!(net.a.closed(ours), Some(ChannelCloseReason::Local));
            assert_eq!(net.b.closed(theirs), Some(ChannelCloseReason::Remote));
            assert!(net.b.closing(theirs) && !net.a.closing(ours));
        }
    }
}

/// The association sees the OPEN as RFC 8832 §5.1 writes it: PPID 50, ordered, before the messages.
#[test]
fn an_open_is_the_first_message_of_its_stream() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let options = ChannelOptions {
        ordered: false,
        ..labelled("x")
    };
    let key = net.a.open(net.now, options);
    // Sent before the ACK: ordered although the channel is not (RFC 8832 §6).
    net.a.send(net.now, key, b"early");
    net.run_until(SECOND, |net| net.b.raw_messages().len() == 2);
    let open = DcepMessage::Open(Open::new(false, Reliability::Reliable, 256, "x", ""));
    let expected = [
        (0, 50, open.encode(), true),
        (0, 53, Bytes::from("early"), true),
    ];
    assert_eq!(net.b.raw_messages(), expected);
    assert_eq!(
        net.a.session().channel_state(key),
        Some(ChannelState::Connecting)
    );

    net.b.send_raw(net.now, 0, 50, &[2]);
    net.run_until(SECOND, |net| net.a.opened(key));
    net.a.send(net.now, key, b"later");
    net.run_until(SECOND, |net| net.b.raw_messages().len() == 3);
    assert_eq!(
        net.b.raw_messages()[2],
        (0, 53, Bytes::from("later"), false)
    );
}

/// RFC 8832 §6: any message of the peer is as good as its ACK, and the ACK that follows is no
/// violation.
#[test]
fn a_message_that_overtakes_the_ack_opens_the_channel() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(
        net.now,
        ChannelOptions {
            ordered: false,
            ..labelled("")
        },
    );
    net.run_for(SECOND);
    assert!(!net.a.opened(key));
    net.b.send_raw_with(net.now, 0, 51, b"first", false);
    net.run_until(SECOND, |net| net.a.opened(key));
    assert_eq!(
        net.a.messages(key),
        [(MessageKind::Text, Bytes::from("first"))]
    );
    net.b.send_raw(net.now, 0, 50, &[2]);
    net.run_for(SECOND);
    let opened = net
        .a
        .events
        .iter()
        .filter(|event| **event == SessionEvent::Opened(key))
        .count();
    assert_eq!(opened, 1);
    assert_eq!(net.a.session().channel_state(key), Some(ChannelState::Open));
    assert_eq!(net.a.stats().drops.unexpected_ack, 0);
}

/// The messages that come in the same packets as the OPEN are not lost to an application that sees
/// the channel only afterwards.
#[test]
fn messages_sent_with_the_open_follow_the_incoming_event() {
    let mut net = Net::connected(3);
    let ours = net.a.open(net.now, labelled("early"));
    for n in 0..100u8 {
        net.a.send(net.now, ours, &[n]);
    }
    net.run_for(SECOND);
    let (theirs, ..) = net.b.incoming().remove(0);
    let messages = net.b.messages(theirs);
    assert_eq!(messages.len(), 100);
    assert!(
        messages
            .iter()
            .enumerate()
            .all(|(n, (_, payload))| payload[..] == [n as u8])
    );
}

/// Channels opened before the connection exists get ids in order, and the keys stay.
#[test]
fn channels_opened_before_connect_get_ids_later() {
    let mut net = Net::new(4, SessionConfig::default(), SessionConfig::default());
    let first = net.a.open(net.now, labelled("1"));
    let taken = net.a.open(net.now, negotiated(2));
    let second = net.a.open(net.now, labelled("2"));
    let server = net.b.open(net.now, labelled("3"));
    let other = net.b.open(net.now, negotiated(2));
    assert_eq!(net.a.session().id(first), None);
    assert_eq!(net.a.session().id(taken), Some(2));
    let text = Bytes::from("x");
    let result = net
        .a
        .session()
        .send(net.now, first, MessageKind::Text, text);
    assert_eq!(result, Err(SendError::NotOpen));
    net.connect();
    net.run_for(SECOND);
    assert_eq!(net.a.session().id(first), Some(0));
    assert_eq!(net.a.session().id(second), Some(4));
    assert_eq!(net.b.session().id(server), Some(1));
    assert!([first, taken, second].iter().all(|key| net.a.opened(*key)));
    assert!([server, other].iter().all(|key| net.b.opened(*key)));
    let labels = |end: &crate::net::End| -> Vec<_> {
        end.incoming()
            .into_iter()
            .map(|(_, options, id)| (options.label, id))
            .collect()
    };
    assert_eq!(labels(&net.b), [("1".into(), 0), ("2".into(), 4)]);
    assert_eq!(labels(&net.a), [("3".into(), 1)]);
    assert_eq!(net.a.events[0], SessionEvent::Connected);
}

/// The role may be known after the association is up.
#[test]
fn channels_wait_for_the_role() {
    let mut net = Net::new(5, SessionConfig::default(), SessionConfig::default());
    *net.a.session() = Session::new(SessionConfig::default(), [9; 32], net.now);
    let key = net.a.open(net.now, labelled("late"));
    net.connect();
    net.run_for(SECOND);
    assert_eq!(net.a.session().id(key), None);
    let now = net.now;
    net.a.session().set_role(now, Role::Client);
    net.run_until(SECOND, |net| net.a.opened(key));
    assert_eq!(net.a.session().id(key), Some(0));
    // It does not change afterwards.
    net.a.session().set_role(now, Role::Server);
    let next = net.a.open(net.now, labelled(""));
    assert_eq!(net.a.session().id(next), Some(2));
}

/// Even and odd ids: 2 × 50 channels opened at the same moment do not meet.
#[test]
fn simultaneous_opens_do_not_collide() {
    let mut net = Net::connected(6);
    net.link.set_loss(0.05);
    let ours: Vec<_> = (0..50)
        .map(|n| net.a.open(net.now, labelled(&format!("a{n}"))))
        .collect();
    let theirs: Vec<_> = (0..50)
        .map(|n| net.b.open(net.now, labelled(&format!("b{n}"))))
        .collect();
    net.run_until(10 * SECOND, |net| {
        ours.iter().all(|key| net.a.opened(*key)) && theirs.iter().all(|key| net.b.opened(*key))
    });
    for (n, (_, options, id)) in net.b.incoming().into_iter().enumerate() {
        assert_eq!((options.label, id), (format!("a{n}"), 2 * n as u16));
    }
    for (n, (_, options, id)) in net.a.incoming().into_iter().enumerate() {
        assert_eq!((options.label, id), (format!("b{n}"), 2 * n as u16 + 1));
    }
    assert_eq!(net.a.stats().drops, Default::default());
}

/// Glare of ids: one end agreed on an id of which the other knows nothing.
#[test]
fn an_in_band_open_on_a_negotiated_id_closes_both_and_nothing_else() {
    let mut net = Net::connected(7);
    let bystander = net.a.open(net.now, negotiated(10));
    net.b.open(net.now, negotiated(10));
    let negotiated_zero = net.b.open(net.now, negotiated(0));
    let in_band = net.a.open(net.now, labelled("glare"));
    assert_eq!(net.a.session().id(in_band), Some(0));
    net.run_for(SECOND);
    assert_eq!(net.a.closed(in_band), Some(ChannelCloseReason::Refused));
    assert!(matches!(
        net.b.closed(negotiated_zero),
        Some(ChannelCloseReason::Violation(
            peerloom_datachannel::Violation::OpenOnUsedStream
        ))
    ));
    assert_eq!(net.b.stats().drops.open_on_used_stream, 1);
    assert_eq!(
        net.a.session().channel_state(bystander),
        Some(ChannelState::Open)
    );
    // Both ends can use the id again.
    let again = net.a.open(net.now, labelled("again"));
    assert_eq!(net.a.session().id(again), Some(0));
    net.run_until(SECOND, |net| net.a.opened(again));
}

/// Each refusal names the value and changes nothing.
#[test]
fn open_refuses_what_cannot_work() {
    let mut net = Net::connected(8);
    let now = net.now;
    let channels = net.a.session().channels();
    let mut refused = |options| net.a.session().open(now, options).unwrap_err();
    let long = "x".repeat(MAX_NAME_LEN + 1);
    assert_eq!(
        refused(labelled(&long)),
        OpenError::NameTooLong {
            field: "label",
            len: 65_536,
            max: 65_535
        },
    );
    assert_eq!(
        refused(ChannelOptions {
            protocol: long,
            ..labelled("")
        }),
        OpenError::NameTooLong {
            field: "protocol",
            len: 65_536,
            max: 65_535
        },
    );
    let lifetime = Duration::from_millis(1 << 32);
    let reliability = Reliability::MaxLifetime(lifetime);
    assert_eq!(
        refused(ChannelOptions {
            reliability,
            ..labelled("")
        }),
        OpenError::LifetimeTooLong {
            lifetime,
            max: lifetime - Duration::from_millis(1)
        },
    );
    assert_eq!(
        refused(negotiated(65_535)),
        OpenError::IdOutOfRange {
            id: 65_535,
            max: 65_534
        }
    );
    assert_eq!(net.a.session().channels(), channels);

    net.a.open(net.now, negotiated(65_534));
    let again = net.a.session().open(now, negotiated(65_534));
    assert_eq!(again, Err(OpenError::IdInUse { id: 65_534 }));
    net.a.open(net.now, labelled(""));
    let used = net.a.session().open(now, negotiated(0));
    assert_eq!(used, Err(OpenError::IdInUse { id: 0 }));
}

/// Fewer streams than ids: what was opened early is closed, what comes later is refused.
#[test]
fn the_agreed_number_of_streams_bounds_the_ids() {
    let mut few = SessionConfig::default();
    few.association.inbound_streams = 4;
    few.association.outbound_streams = 4;
    let mut net = Net::new(9, SessionConfig::default(), few);
    let fits: Vec<_> = (0..2).map(|_| net.a.open(net.now, labelled(""))).collect();
    let third = net.a.open(net.now, labelled(""));
    let high = net.a.open(net.now, negotiated(4));
    net.connect();
    net.run_for(SECOND);
    assert!(fits.iter().all(|key| net.a.opened(*key)));
    assert_eq!(net.a.closed(third), Some(ChannelCloseReason::NoIdLeft));
    assert_eq!(net.a.closed(high), Some(ChannelCloseReason::NoIdLeft));
    let now = net.now;
    assert_eq!(
        net.a.session().open(now, labelled("")),
        Err(OpenError::NoIdLeft { streams: 4 }),
    );
    assert_eq!(
        net.a.session().open(now, negotiated(4)),
        Err(OpenError::IdOutOfRange { id: 4, max: 3 }),
    );
}

/// A negotiated channel that one end opens later than the other loses nothing.
#[test]
fn messages_wait_for_a_negotiated_channel_that_opens_later() {
    let mut net = Net::connected(10);
    let ours = net.a.open(net.now, negotiated(7));
    net.a.send(net.now, ours, b"one");
    net.a.send(net.now, ours, b"two");
    net.run_for(SECOND);
    let theirs = net.b.open(net.now, negotiated(7));
    net.run_for(SECOND);
    let payloads: Vec<_> = net.b.messages(theirs).into_iter().map(|(_, p)| p).collect();
    assert_eq!(payloads, ["one", "two"]);
    assert_eq!(net.b.stats().drops, Default::default());
}

/// Opening and closing before the association exists leaves nothing behind.
#[test]
fn channels_closed_before_connect_are_forgotten() {
    let mut net = Net::new(11, SessionConfig::default(), SessionConfig::default());
    let now = net.now;
    for _ in 0..10_000 {
        let key = net.a.open(now, labelled("short"));
        net.a.session().close(now, key);
    }
    let kept = net.a.open(now, labelled("kept"));
    assert_eq!(net.a.session().channels(), 1);
    net.connect();
    net.run_for(SECOND);
    assert_eq!(net.a.session().id(kept), Some(0));
    assert_eq!(net.b.incoming().len(), 1);
}
