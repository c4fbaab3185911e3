//! Closing: from either end, both at once, with data queued, under loss; reuse of ids.

use peerloom_datachannel::sctp::{StreamId, wire};
use peerloom_datachannel::{
    ChannelCloseReason, ChannelKey, ChannelState, MessageKind, OpenError, SendError, SessionConfig,
    SessionEvent,
};

use crate::net::{Net, SECOND, has_reconfig, labelled, negotiated};

#[test]
fn either_end_may_close() {
    for closer_is_opener in [true, false] {
        let mut net = Net::connected(1);
        let (ours, theirs) = open_both(&mut net);
        if closer_is_opener {
            net.a.session().close(net.now, ours);
        } else {
            net.b.session().close(net.now, theirs);
        }
        net.run_until(SECOND, |net| both_closed(net, ours, theirs));
        let (local, remote) = (ChannelCloseReason::Local, ChannelCloseReason::Remote);
        let expected = if closer_is_opener {
            (local, remote)
        } else {
            (remote, local)
        };
        assert_eq!(
            (net.a.closed(ours), net.b.closed(theirs)),
            (Some(expected.0), Some(expected.1))
        );
        assert_eq!(net.a.closing(ours), !closer_is_opener);
        assert_eq!(
            (net.a.session().channels(), net.b.session().channels()),
            (0, 0)
        );
        assert_eq!(net.a.session().channel_state(ours), None);
    }
}

#[test]
fn both_ends_may_close_at_once() {
    let mut net = Net::connected(2);
    let (ours, theirs) = open_both(&mut net);
    net.a.session().close(net.now, ours);
    net.b.session().close(net.now, theirs);
    net.run_until(SECOND, |net| both_closed(net, ours, theirs));
    assert_eq!(net.a.closed(ours), Some(ChannelCloseReason::Local));
    assert_eq!(net.b.closed(theirs), Some(ChannelCloseReason::Local));
}

#[test]
fn a_closing_channel_refuses_messages_and_a_second_close_does_nothing() {
    let mut net = Net::connected(3);
    let (ours, theirs) = open_both(&mut net);
    let now = net.now;
    net.a.session().close(now, ours);
    net.a.session().close(now, ours);
    let message = bytes::Bytes::from("late");
    let send = net
        .a
        .session()
        .send(now, ours, MessageKind::Text, message.clone());
    assert_eq!(send, Err(SendError::Closed));
    assert_eq!(
        net.a.session().channel_state(ours),
        Some(ChannelState::Closing)
    );
    net.run_until(SECOND, |net| both_closed(net, ours, theirs));
    // The key is stale now; nothing panics and nothing changes.
    net.a.session().close(now, ours);
    let send = net.a.session().send(now, ours, MessageKind::Text, message);
    assert_eq!(send, Err(SendError::Closed));
    let closed = net
        .a
        .events
        .iter()
        .filter(|e| matches!(e, SessionEvent::Closed { .. }))
        .count();
    assert_eq!(closed, 1);
}

/// Everything queued arrives, then both ends see the close: RFC 8831 §6.7 over 5 % loss.
#[test]
fn close_with_data_queued_at_five_percent_loss_delivers_everything_first() {
    for seed in 0..20 {
        let mut net = Net::connected(seed);
        net.link.set_loss(0.05);
        let (ours, theirs) = open_both(&mut net);
        for n in 0..200u16 {
            let mut message = vec![0; 3000];
            message[..2].copy_from_slice(&n.to_be_bytes());
            net.a.send(net.now, ours, &message);
            net.b.send(net.now, theirs, &message);
        }
        net.a.session().close(net.now, ours);
        net.run_until(60 * SECOND, |net| both_closed(net, ours, theirs));
        for (end, key) in [(&net.a, ours), (&net.b, theirs)] {
            let received: Vec<_> = end
                .messages(key)
                .iter()
                .map(|(_, p)| u16::from_be_bytes([p[0], p[1]]))
                .collect();
            assert_eq!(received, (0..200).collect::<Vec<_>>(), "seed {seed}");
            assert!(matches!(
                end.events.last(),
                Some(SessionEvent::Closed { .. })
            ));
        }
    }
}

/// An id is used again, and only after both directions are reset.
#[test]
fn an_id_is_reused_only_after_the_reset_completed() {
    let mut net = Net::connected(4);
    let (ours, theirs) = open_both(&mut net);
    assert_eq!(net.a.session().id(ours), Some(0));
    let now = net.now;
    net.a.session().close(now, ours);
    let meanwhile = net.a.open(now, labelled("meanwhile"));
    assert_eq!(net.a.session().id(meanwhile), Some(2));
    let conflict = net.a.session().open(now, negotiated(0));
    assert_eq!(conflict, Err(OpenError::IdInUse { id: 0 }));
    net.run_until(SECOND, |net| both_closed(net, ours, theirs));
    let again = net.a.open(net.now, labelled("again"));
    assert_eq!(net.a.session().id(again), Some(0));
    net.a.send(net.now, again, b"fresh");
    net.run_for(SECOND);
    let (key, options, id) = net.b.incoming().pop().unwrap();
    assert_eq!((options.label.as_str(), id), ("again", 0));
    assert_eq!(net.b.messages(key).len(), 1);
    assert_ne!(key, theirs);
}

/// The same ids over and over, with messages each time, over a lossy link: no message of one
/// channel ever appears in the next.
#[test]
fn ids_survive_many_uses_over_a_lossy_link() {
    for seed in 0..10 {
        let mut net = Net::connected(seed);
        net.link.set_loss(0.1);
        for round in 0..20u8 {
            let ours = net.a.open(net.now, labelled("round"));
            for n in 0..5 {
                net.a.send(net.now, ours, &[round, n]);
            }
            assert_eq!(net.a.session().id(ours), Some(0));
            net.a.session().close(net.now, ours);
            net.run_until(60 * SECOND, |net| net.a.closed(ours).is_some());
            let (theirs, ..) = net.b.incoming().pop().unwrap();
            let messages: Vec<_> = net
                .b
                .messages(theirs)
                .iter()
                .map(|(_, p)| (p[0], p[1]))
                .collect();
            assert_eq!(
                messages,
                (0..5).map(|n| (round, n)).collect::<Vec<_>>(),
                "seed {seed}"
            );
        }
        assert_eq!(net.a.stats().drops, Default::default());
        assert_eq!(net.b.stats().drops, Default::default());
    }
}

/// TSNs and the numbers of RE-CONFIG requests start at the same random number and wrap: channels
/// open, carry and close the same before and after.
#[test]
fn channels_come_and_go_across_the_wrap_of_sequence_numbers() {
    const BEFORE: u32 = 20_000;
    let mut net = Net::shortly_before_wrap(BEFORE);
    for round in 0..BEFORE + 100 {
        let ours = net.a.open(net.now, labelled(""));
        net.a.send(net.now, ours, &round.to_be_bytes());
        net.a.session().close(net.now, ours);
        net.run_until(SECOND, |net| {
            let closed = SessionEvent::Closed {
                key: ours,
                reason: ChannelCloseReason::Local,
            };
            net.a.events.last() == Some(&closed)
        });
        let received = net.b.events.iter().any(|event| {
            matches!(event, SessionEvent::Message { payload, .. } if payload[..] == round.to_be_bytes())
        });
        assert!(received, "round {round}");
        net.a.events.clear();
        net.b.events.clear();
    }
    assert_eq!(net.a.session().association().stats().retransmits.total(), 0);
}

/// a knows that both directions are reset and uses the id again; the answer that would have told b
/// was lost (RFC 6525 §5.2.7). The second OPEN must wait for b's reset, not be refused.
#[test]
fn an_open_that_overtakes_the_answer_to_a_reset_waits_for_it() {
    // Once with the second channel left open, once with it closed before b knows of the first end.
    for close_again in [false, true] {
        let mut net = Net::connected(5);
        let (ours, theirs) = open_both(&mut net);
        let mut seen = 0;
        net.link.lose = Some(Box::new(move |from_a, packet| {
            // a's request, and then its answer to b's.
            from_a && has_reconfig(packet) && {
                seen += 1;
                seen == 2
            }
        }));
        net.a.session().close(net.now, ours);
        net.run_until(SECOND, |net| net.a.closed(ours).is_some());
        assert_eq!(net.b.closed(theirs), None);
        let again = net.a.open(net.now, labelled("again"));
        assert_eq!(net.a.session().id(again), Some(0));
        net.a.send(net.now, again, b"fresh");
        if close_again {
            net.a.session().close(net.now, again);
        }
        net.run_for(SECOND / 10);
        assert_eq!(net.b.closed(theirs), None);
        assert_eq!(net.b.incoming().len(), 1, "the second one waits");

        net.run_until(10 * SECOND, |net| net.b.closed(theirs).is_some());
        net.run_for(SECOND);
        let (second, options, id) = net.b.incoming().pop().unwrap();
        assert_eq!((options.label.as_str(), id), ("again", 0));
        assert_eq!(net.b.messages(second).len(), 1);
        if close_again {
            assert_eq!(net.b.closed(second), Some(ChannelCloseReason::Remote));
            assert_eq!(net.a.closed(again), Some(ChannelCloseReason::Local));
            assert_eq!(net.a.session().channels() + net.b.session().channels(), 0);
        } else {
            assert!(net.a.opened(again));
        }
        assert_eq!(net.a.stats().drops, Default::default());
        assert_eq!(net.b.stats().drops, Default::default());
    }
}

/// RFC 6525 §5.2.3: a peer may ask us to reset our half. It is another way to close.
#[test]
fn a_request_to_reset_our_half_closes_the_channel() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, negotiated(9));
    let request = wire::ReconfigParam::IncomingReset {
        request: net.link.first_request_of_b,
        streams: [StreamId(9)].into_iter().collect(),
    };
    net.inject_to_a(wire::Chunk::Reconfig(wire::Reconfig::one(request)));
    net.run_for(SECOND);
    assert!(net.a.closing(key));
    assert_eq!(net.b.raw_resets(), [9]);
    assert_eq!(
        net.a.session().channel_state(key),
        Some(ChannelState::Closing)
    );
}

/// W3C: a channel can be closed before it is open.
#[test]
fn a_channel_closed_right_after_open_is_seen_and_closed_by_the_peer() {
    let mut net = Net::connected(6);
    let ours = net.a.open(net.now, labelled("short"));
    net.a.send(net.now, ours, b"but not silent");
    net.a.session().close(net.now, ours);
    net.run_for(SECOND);
    assert_eq!(net.a.closed(ours), Some(ChannelCloseReason::Local));
    let (theirs, ..) = net.b.incoming().pop().unwrap();
    assert_eq!(net.b.messages(theirs).len(), 1);
    assert_eq!(net.b.closed(theirs), Some(ChannelCloseReason::Remote));
    assert_eq!(net.a.stats().drops, Default::default());
    assert_eq!(net.b.stats().drops, Default::default());
}

/// RFC 8832 §6: a reset instead of an ACK is a refusal.
#[test]
fn a_reset_without_an_ack_is_a_refusal() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, labelled("unwanted"));
    net.run_for(SECOND);
    net.b.reset_raw(net.now, 0);
    net.run_until(SECOND, |net| net.a.closed(key).is_some());
    assert_eq!(net.a.closed(key), Some(ChannelCloseReason::Refused));
    assert_eq!(net.b.raw_resets(), [0]);
}

/// Our half of the reset is ours to send whoever began (RFC 8831 §6.7).
#[test]
fn a_peers_reset_is_answered_with_ours() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, negotiated(9));
    net.a.send(net.now, key, b"queued");
    net.b.reset_raw(net.now, 9);
    net.run_until(SECOND, |net| net.a.closed(key).is_some());
    assert_eq!(net.b.raw_resets(), [9]);
    assert_eq!(net.b.raw_messages().len(), 1);
}

/// A peer that never answers our reset keeps one id busy; the application is told after a while that
/// its channel is closed, and until then it hears what the peer had queued.
#[test]
fn a_peer_that_never_resets_its_half_keeps_the_id_and_not_the_application() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let key = net.a.open(net.now, negotiated(9));
    net.a.session().close(net.now, key);
    net.run_for(29 * SECOND);
    assert_eq!(
        net.a.session().channel_state(key),
        Some(ChannelState::Closing)
    );
    net.b.send_raw(net.now, 9, 51, b"last words");
    net.run_for(2 * SECOND);
    assert_eq!(net.a.messages(key).len(), 1);
    assert_eq!(net.a.closed(key), Some(ChannelCloseReason::Unanswered));
    let now = net.now;
    assert_eq!(
        net.a.session().open(now, negotiated(9)),
        Err(OpenError::IdInUse { id: 9 }),
    );
    // Too late to be heard, and nothing is held for it.
    net.b.send_raw(net.now, 9, 51, b"one more thing");
    net.run_for(SECOND);
    assert_eq!(net.a.messages(key).len(), 1);
    assert_eq!(net.a.held(), 0);
    net.b.reset_raw(net.now, 9);
    net.run_for(SECOND);
    assert_eq!(net.a.session().channels(), 0);
    assert!(net.a.session().open(net.now, negotiated(9)).is_ok());
}

/// The same channel closed in time is not reported twice, and the option decides how long that is.
#[test]
fn a_peer_that_answers_in_time_closes_the_channel_once() {
    let mut config = SessionConfig::default();
    config.limits.close_timeout = 3 * SECOND;
    let mut net = Net::with_raw_peer(config);
    let (late, in_time) = (
        net.a.open(net.now, negotiated(9)),
        net.a.open(net.now, negotiated(11)),
    );
    net.a.session().close(net.now, late);
    net.a.session().close(net.now, in_time);
    net.run_for(2 * SECOND);
    net.b.reset_raw(net.now, 11);
    net.run_for(5 * SECOND);
    assert_eq!(net.a.closed(late), Some(ChannelCloseReason::Unanswered));
    assert_eq!(net.a.closed(in_time), Some(ChannelCloseReason::Local));
    let closed = |event: &&SessionEvent| matches!(event, SessionEvent::Closed { .. });
    assert_eq!(net.a.events.iter().filter(closed).count(), 2);
    assert_eq!(net.a.stats().channels_closed, 2);
}

/// What was accepted goes first, however long the peer's application takes.
#[test]
fn a_channel_whose_data_waits_for_the_peers_window_waits_with_it() {
    let mut net = Net::connected(4);
    let (ours, theirs) = open_both(&mut net);
    net.b.reads = false;
    let message = vec![7; 200_000];
    for _ in 0..40 {
        net.a.send(net.now, ours, &message);
    }
    net.a.session().close(net.now, ours);
    net.run_for(100 * SECOND);
    assert_eq!(net.a.closed(ours), None);
    net.b.reads = true;
    let cost = net.b.held();
    net.b.session().release(net.now, cost);
    net.run_until(10 * SECOND, |net| both_closed(net, ours, theirs));
    assert_eq!(net.b.messages(theirs).len(), 40);
    assert_eq!(net.a.closed(ours), Some(ChannelCloseReason::Local));
}

#[test]
fn a_peer_without_stream_reset_costs_the_id() {
    let mut config = SessionConfig::default();
    config.association.stream_reset = false;
    let mut net = Net::new(7, SessionConfig::default(), config);
    net.connect();
    let (ours, _) = open_both(&mut net);
    net.a.session().close(net.now, ours);
    net.run_for(SECOND);
    assert_eq!(net.a.closed(ours), Some(ChannelCloseReason::ResetDenied));
    let now = net.now;
    assert_eq!(
        net.a.session().open(now, negotiated(0)),
        Err(OpenError::IdInUse { id: 0 }),
    );
    let next = net.a.open(net.now, labelled("next"));
    assert_eq!(net.a.session().id(next), Some(2));
}

#[test]
fn the_end_of_the_association_closes_every_channel() {
    let mut net = Net::connected(8);
    let (ours, theirs) = open_both(&mut net);
    let more = net.a.open(net.now, negotiated(20));
    net.a.session().abort(net.now, "enough");
    net.run_for(SECOND);
    for (end, keys) in [(&mut net.a, &[ours, more][..]), (&mut net.b, &[theirs][..])] {
        assert!(end.session_closed());
        for key in keys {
            assert_eq!(end.closed(*key), Some(ChannelCloseReason::SessionClosed));
        }
        assert_eq!(end.session().channels(), 0);
        assert!(end.session().close_reason().is_some());
    }
    let now = net.now;
    assert!(matches!(
        net.a.session().open(now, labelled("")),
        Err(OpenError::Closed(_))
    ));
}

/// RFC 9260 §5.2.4.1: the peer knows nothing of our channels any more. What both applications agreed
/// on outside the association still holds.
#[test]
fn a_restart_of_the_peer_closes_in_band_channels_and_keeps_negotiated_ones() {
    let mut net = Net::with_raw_peer(SessionConfig::default());
    let agreed = net.a.open(net.now, negotiated(9));
    let in_band = net.a.open(net.now, labelled("in-band"));
    let closing = net.a.open(net.now, negotiated(11));
    net.b.send_raw(net.now, 0, 50, &[2]);
    net.run_for(SECOND);
    net.a.session().close(net.now, closing);
    net.run_for(SECOND);
    net.restart_raw_peer();
    net.run_for(5 * SECOND);
    assert_eq!(net.a.closed(in_band), Some(ChannelCloseReason::Restarted));
    assert_eq!(net.a.closed(closing), Some(ChannelCloseReason::Local));
    assert_eq!(
        net.a.session().channel_state(agreed),
        Some(ChannelState::Open)
    );
    assert_eq!(net.a.session().channels(), 1);
    net.a.send(net.now, agreed, b"hello again");
    net.b.send_raw(net.now, 9, 51, b"hello again");
    let again = net.a.open(net.now, labelled("again"));
    net.run_for(SECOND);
    assert_eq!(net.a.session().id(again), Some(0));
    assert_eq!(net.a.messages(agreed).len(), 1);
    assert_eq!(net.b.raw_messages().len(), 2);
}

#[test]
fn a_shutdown_delivers_what_was_queued_first() {
    let mut net = Net::connected(9);
    net.link.set_loss(0.05);
    let (ours, theirs) = open_both(&mut net);
    for n in 0..100u8 {
        net.a.send(net.now, ours, &[n; 2000]);
    }
    net.a.session().shutdown(net.now);
    net.run_until(60 * SECOND, |net| {
        net.a.session_closed() && net.b.session_closed()
    });
    assert_eq!(net.b.messages(theirs).len(), 100);
}

fn open_both(net: &mut Net) -> (ChannelKey, ChannelKey) {
    let ours = net.a.open(net.now, labelled("both"));
    net.run_until(10 * SECOND, |net| net.a.opened(ours));
    let (theirs, ..) = net.b.incoming().pop().unwrap();
    (ours, theirs)
}

fn both_closed(net: &Net, ours: ChannelKey, theirs: ChannelKey) -> bool {
    net.a.closed(ours).is_some() && net.b.closed(theirs).is_some()
}
