//! Streams: order, turns, partial reliability (RFC 3758) and reset (RFC 6525), and the wraps of
//! every number.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one variant"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{End, Pair, Raw, ms, origin, payload};
use peerloom_sctp::sim::{LinkConfig, Loss, Reorder};
use peerloom_sctp::wire::{Chunk, Reconfig, ReconfigParam, ReconfigResult};
use peerloom_sctp::{
    Config, Event, PacketBatch, Reliability, ResetError, ResetResult, SendError, StreamId, Tsn,
};

fn rtt40() -> LinkConfig {
    LinkConfig::with_rtt(ms(40))
}

fn payloads(end: &End) -> Vec<Bytes> {
    end.messages.iter().map(|m| m.payload.clone()).collect()
}

/// RFC 9260 §6.6: an unordered message overtakes ordered ones that wait for a lost fragment.
#[test]
fn unordered_messages_overtake() {
    let mut pair = Pair::connected(&rtt40(), 1);
    let now = pair.now;
    pair.a.send(now, 1, payload(1, 100));
    assert_eq!(pair.a.transmit(now).len(), 1, "lost");
    pair.a.send(now, 1, payload(2, 100));
    pair.a
        .send_with(now, 1, payload(3, 100), false, Reliability::Reliable);
    assert!(pair.run_until(ms(20), |p| p.b.messages.len() == 1));
    assert!(!pair.b.messages[0].ordered);
    assert!(pair.run_until(Duration::from_secs(5), |p| p.b.messages.len() == 3));
    assert_eq!(
        payloads(&pair.b),
        [payload(3, 100), payload(1, 100), payload(2, 100)]
    );
}

/// Streams take turns at message boundaries: a long queue on one does not keep a short one waiting
/// longer than a message.
#[test]
fn streams_take_turns() {
    let mut pair = Pair::connected(&rtt40(), 1);
    for tag in 0..50 {
        pair.a.send(pair.now, 1, payload(tag, 30_000));
    }
    pair.a.send(pair.now, 2, payload(99, 100));
    pair.run_to_idle();
    let place = pair.b.messages.iter().position(|m| m.stream == StreamId(2));
    assert!(place <= Some(1), "{place:?}");
}

/// RFC 3758 by number of retransmissions: the message is given up, later ones of the stream go on.
#[test]
fn given_up_after_a_number_of_retransmissions() {
    for max in [0, 1, 3] {
        let mut pair = Pair::connected(&rtt40(), 1);
        pair.a.send(pair.now, 1, payload(0, 10));
        pair.run_to_idle();
        pair.link.set_down(true);
        let reliability = Reliability::MaxRetransmits(max);
        pair.a
            .send_with(pair.now, 1, payload(1, 3000), true, reliability);
        pair.run_for(Duration::from_secs(20));
        assert!(
            pair.a.has_event(|e| *e
                == Event::Abandoned {
                    stream: StreamId(1),
                    messages: 1
                }),
            "{max}: {:?}",
            pair.a.events
        );
        let sent_again = pair.a.association.stats().retransmits.total();
        assert!(sent_again <= 3 * u64::from(max), "{max}: {sent_again}");
        pair.link.set_down(false);
        pair.a.send(pair.now, 1, payload(2, 10));
        assert!(
            pair.run_until(Duration::from_secs(70), |p| p.b.messages.len() == 2),
            "{max}"
        );
        assert_eq!(pair.b.messages[1].payload, payload(2, 10));
        pair.run_to_idle();
    }
}

/// RFC 3758 by time: queued messages that expire are never sent, one in the middle is cut off.
#[test]
fn given_up_after_a_time() {
    let link = LinkConfig {
        rate: Some(1_000_000),
        ..rtt40()
    };
    let mut pair = Pair::connected(&link, 1);
    let lifetime = Reliability::MaxLifetime(ms(300));
    for tag in 0..20 {
        pair.a
            .send_with(pair.now, 1, payload(tag, 20_000), true, lifetime);
    }
    pair.a.send(pair.now, 1, payload(99, 100));
    assert!(pair.run_until(Duration::from_secs(20), |p| {
        p.b.messages
            .last()
            .is_some_and(|m| m.payload == payload(99, 100))
    }));
    pair.run_to_idle();
    let (got, stats) = (pair.b.messages.len(), pair.a.association.stats());
    assert!(
        (2..8).contains(&got),
        "{got}: 300 ms at 1 Mbit/s are 37 kB and what was in flight"
    );
    assert_eq!(stats.messages_abandoned as usize + got, 21);
    assert_eq!(pair.a.association.total_buffered(), 0);
    assert_eq!(
        pair.b.association.stats().receive_buffered,
        0,
        "no half of a message stays"
    );
    assert!(stats.data_bytes_sent < 200_000, "{}", stats.data_bytes_sent);
}

/// Without FORWARD-TSN at the peer every message is reliable (RFC 3758 §3.3.2).
#[test]
fn without_forward_tsn_everything_is_reliable() {
    let now = origin();
    let plain = Config {
        partial_reliability: false,
        ..Config::default()
    };
    let (a, b) = (End::new(Config::default(), 1, now), End::new(plain, 2, now));
    let mut pair = Pair::of(
        a,
        b,
        now,
        &LinkConfig {
            loss: Loss::Random(0.2),
            ..rtt40()
        },
        1,
    );
    // Both before and after the handshake told.
    pair.a.send_with(
        now,
        1,
        payload(0, 5000),
        true,
        Reliability::MaxRetransmits(0),
    );
    pair.connect();
    for tag in 1..20 {
        pair.a.send_with(
            pair.now,
            1,
            payload(tag, 5000),
            true,
            Reliability::MaxLifetime(ms(1)),
        );
    }
    pair.run_to_idle();
    assert_eq!(pair.b.messages.len(), 20);
    assert_eq!(pair.a.association.stats().forward_tsns_sent, 0);
}

/// Bytes leave `buffered_amount` when they are first sent or given up, and the batch says so.
#[test]
fn the_batch_accounts_for_what_left_the_queue() {
    let mut pair = Pair::connected(&rtt40(), 1);
    let now = pair.now;
    pair.a.send(now, 1, payload(1, 500));
    pair.a.send(now, 2, payload(1, 20_000));
    pair.a.send_with(
        now,
        3,
        payload(1, 700),
        true,
        Reliability::MaxLifetime(ms(0)),
    );
    let mut batch = PacketBatch::new();
    pair.a
        .association
        .poll_transmit(now, &mut batch, common::BUDGET);
    let mut left: Vec<_> = batch.unqueued().iter().map(|&(s, n)| (s.0, n)).collect();
    left.sort_unstable();
    let on_2 = 20_000 - pair.a.association.buffered_amount(StreamId(2));
    assert_eq!(left, [(1, 500), (2, on_2), (3, 700)]);
    assert_eq!(pair.a.association.total_buffered(), 20_000 - on_2);
}

/// RFC 6525 §5.1.2, §5.2.2: all data arrives, then the reset, then the stream is new; from one side,
/// from both at once, and on a bad link.
#[test]
fn reset_in_both_directions_and_reuse() {
    let bad = LinkConfig {
        loss: Loss::Random(0.1),
        reorder: Some(Reorder::default()),
        duplicate: 0.1,
        ..rtt40()
    };
    for (index, link) in [rtt40(), bad].iter().enumerate() {
        let mut pair = Pair::with_config(Config::webrtc(), link, 9);
        pair.connect();
        for round in 1..=10 {
            for tag in 0..5 {
                pair.a.send(pair.now, 4, payload(tag, 5000));
                pair.b.send(pair.now, 4, payload(tag, 5000));
            }
            for end in [&mut pair.a, &mut pair.b] {
                end.association
                    .reset_streams(pair.now, &[StreamId(4)])
                    .unwrap();
                let refused = end.association.reset_streams(pair.now, &[StreamId(4)]);
                assert_eq!(refused, Ok(()), "asking twice is asking once");
            }
            let done = pair.run_until(Duration::from_secs(60), |p| {
                [&p.a, &p.b].iter().all(|end| {
                    let count = |f: fn(&Event) -> bool| end.events.iter().filter(|e| f(e)).count();
                    count(|e| matches!(e, Event::IncomingReset { .. })) == round
                        && count(|e| {
                            matches!(
                                e,
                                Event::OutgoingResetDone {
                                    result: ResetResult::Performed,
                                    ..
                                }
                            )
                        }) == round
                })
            });
            assert!(done, "link {index}, round {round}");
            // Everything sent before was delivered before.
            assert_eq!(pair.a.messages.len(), round * 5, "link {index}");
            assert_eq!(pair.b.messages.len(), round * 5, "link {index}");
        }
    }
}

/// A stream being reset takes no messages; the others do.
#[test]
fn a_stream_being_reset_is_closed_for_sending() {
    let mut pair = Pair::connected(&rtt40(), 1);
    let now = pair.now;
    pair.a
        .association
        .reset_streams(now, &[StreamId(1)])
        .unwrap();
    let message = |stream| peerloom_sctp::OutgoingMessage {
        stream: StreamId(stream),
        ppid: peerloom_sctp::Ppid(0),
        payload: payload(1, 10),
        ordered: true,
        reliability: Reliability::Reliable,
    };
    let refused = pair.a.association.send(now, message(1));
    assert_eq!(
        refused,
        Err(SendError::Resetting {
            stream: StreamId(1)
        })
    );
    assert_eq!(pair.a.association.send(now, message(2)), Ok(()));
    pair.run_for(ms(100));
    assert_eq!(pair.a.association.send(pair.now, message(1)), Ok(()));
}

/// RFC 6525 §5.2.2 E2, §5.2.7: data from before the reset is missing, so the peer answers "in
/// progress" and performs it when the data is there.
#[test]
fn a_reset_waits_for_missing_data() {
    let mut pair = Pair::connected(&rtt40(), 1);
    let now = pair.now;
    pair.a.send(now, 1, payload(1, 100));
    assert_eq!(pair.a.transmit(now).len(), 1, "lost");
    pair.a
        .association
        .reset_streams(now, &[StreamId(1)])
        .unwrap();
    pair.run_for(ms(41));
    assert!(
        !pair
            .b
            .has_event(|e| matches!(e, Event::IncomingReset { .. }))
    );
    assert!(
        !pair
            .a
            .has_event(|e| matches!(e, Event::OutgoingResetDone { .. }))
    );
    assert!(pair.run_until(Duration::from_secs(5), |p| {
        p.a.has_event(|e| matches!(e, Event::OutgoingResetDone { .. }))
    }));
    assert_eq!(pair.b.messages.len(), 1);
    assert!(
        pair.b
            .has_event(|e| matches!(e, Event::IncomingReset { .. }))
    );
}

/// RFC 6525 §5.1.1: a lost RE-CONFIG is repeated with the same number, and one is open at a time.
#[test]
fn requests_are_repeated_one_at_a_time() {
    let now = origin();
    let mut end = End::new(Config::default(), 1, now);
    let raw = Raw::connect(&mut end, now);
    let requests = |end: &mut End, now| -> Vec<_> {
        let request = |chunk: &Chunk<'static>| match chunk {
            Chunk::Reconfig(Reconfig { params }) => match &params[0] {
                ReconfigParam::OutgoingReset {
                    request,
                    streams,
                    last_tsn,
                    ..
                } => Some((request.0, streams.to_vec(), *last_tsn)),
                _ => None,
            },
            _ => None,
        };
        raw.take(end, now).iter().filter_map(request).collect()
    };
    end.association.reset_streams(now, &[StreamId(1)]).unwrap();
    let last_tsn = Tsn(raw.their_tsn.wrapping_sub(1));
    let first = [(raw.their_tsn, vec![StreamId(1)], last_tsn)];
    assert_eq!(requests(&mut end, now), first);
    end.association.reset_streams(now, &[StreamId(2)]).unwrap();
    assert_eq!(requests(&mut end, now), []);
    let mut at = now;
    for _ in 0..3 {
        at = end.association.poll_timeout().unwrap();
        end.association.handle_timeout(at);
        assert_eq!(requests(&mut end, at), first);
    }
    let answer = |result| {
        Chunk::Reconfig(Reconfig::one(ReconfigParam::Response {
            response: peerloom_sctp::serial::ReconfigSeq(raw.their_tsn),
            result,
            next_tsns: None,
        }))
    };
    raw.give(&mut end, at, answer(ReconfigResult::InProgress));
    assert_eq!(requests(&mut end, at), []);
    at = end.association.poll_timeout().unwrap();
    end.association.handle_timeout(at);
    assert_eq!(requests(&mut end, at), first, "asked again");
    raw.give(&mut end, at, answer(ReconfigResult::Denied));
    let denied = Event::OutgoingResetDone {
        streams: vec![StreamId(1)],
        result: ResetResult::Denied,
    };
    assert!(end.events.contains(&denied));
    assert_eq!(
        requests(&mut end, at),
        [(raw.their_tsn.wrapping_add(1), vec![StreamId(2)], last_tsn)]
    );
}

/// RFC 6525 §5.2.3: the peer asks for a reset of our stream.
#[test]
fn an_incoming_reset_request_resets_our_stream() {
    let now = origin();
    let mut end = End::new(Config::default(), 1, now);
    let raw = Raw::connect(&mut end, now);
    let request = peerloom_sctp::serial::ReconfigSeq(Raw::TSN);
    let streams = [StreamId(6)].into_iter().collect();
    raw.give(
        &mut end,
        now,
        Chunk::Reconfig(Reconfig::one(ReconfigParam::IncomingReset {
            request,
            streams,
        })),
    );
    let chunks = raw.take(&mut end, now);
    assert!(
        chunks.iter().any(|chunk| matches!(
            chunk,
            Chunk::Reconfig(Reconfig { params }) if matches!(
                &params[0],
                ReconfigParam::OutgoingReset { response, streams, .. }
                    if *response == request && streams[..] == [StreamId(6)]
            )
        )),
        "{chunks:?}"
    );
}

/// Sixty-four streams a request, thousands of streams in all.
#[test]
fn many_streams_are_reset() {
    let mut pair = Pair::connected(&rtt40(), 1);
    let streams: Vec<_> = (0..2000).map(StreamId).collect();
    pair.a
        .association
        .reset_streams(pair.now, &streams)
        .unwrap();
    assert!(pair.run_until(Duration::from_secs(10), |p| {
        let done = |e: &Event| match e {
            Event::OutgoingResetDone { streams, .. } => streams.len(),
            _ => 0,
        };
        p.a.events.iter().map(done).sum::<usize>() == 2000
    }));
}

/// Without RFC 6525 at the peer there is a clear error.
#[test]
fn without_reconfig_there_is_no_reset() {
    let now = origin();
    let plain = Config {
        stream_reset: false,
        ..Config::default()
    };
    let (a, b) = (End::new(Config::default(), 1, now), End::new(plain, 2, now));
    let mut pair = Pair::of(a, b, now, &rtt40(), 1);
    let early = pair.a.association.reset_streams(now, &[StreamId(0)]);
    assert_eq!(early, Err(ResetError::NotEstablished));
    pair.connect();
    let refused = pair.a.association.reset_streams(pair.now, &[StreamId(0)]);
    assert_eq!(refused, Err(ResetError::NotSupported));
}

/// Requirements, wraps: TSNs (and with them the numbers of requests) beyond 2^32 and SSNs beyond
/// 2^16, under loss and reordering.
#[test]
fn tsn_and_ssn_wrap() {
    // Seeds whose first TSN lies within 30,000 of the wrap are rare; find one.
    let now = origin();
    let near_wrap = |seed: u64| {
        let mut end = End::new(Config::webrtc(), seed, now);
        end.association.connect(now);
        let packets = end.transmit(now);
        let packet = peerloom_sctp::Packet::decode(&packets[0]).unwrap();
        let Chunk::Init(init) = &packet.chunks[0] else {
            panic!("INIT")
        };
        init.initial_tsn.0 > u32::MAX - 60_000
    };
    let seed = (0..2_000_000)
        .find(|&seed| near_wrap(seed))
        .expect("1 in 71,583");
    let link = LinkConfig {
        loss: Loss::Random(0.02),
        reorder: Some(Reorder {
            probability: 0.05,
            depth: 10,
            ..Reorder::default()
        }),
        ..LinkConfig::with_rtt(ms(4))
    };
    let a = End::new(Config::webrtc(), seed, now);
    let b = End::new(Config::webrtc(), 1, now);
    let mut pair = Pair::of(a, b, now, &link, 1);
    pair.connect();
    let total = 70_000_u64;
    let mut next = 0;
    while next < total {
        for _ in 0..1000 {
            let reliability = if next % 7 == 3 {
                Reliability::MaxRetransmits(0)
            } else {
                Reliability::Reliable
            };
            let bytes = next.to_be_bytes().to_vec();
            pair.a.send_with(pair.now, 1, bytes, true, reliability);
            next += 1;
        }
        assert!(pair.run_until(Duration::from_secs(60), |p| {
            p.a.association.total_buffered() == 0 && p.a.association.stats().outstanding < 100
        }));
        if next == 65_000 {
            pair.a
                .association
                .reset_streams(pair.now, &[StreamId(2)])
                .unwrap();
        }
    }
    pair.run_to_idle();
    let numbers: Vec<u64> = pair
        .b
        .messages
        .iter()
        .map(|m| u64::from_be_bytes(m.payload[..].try_into().unwrap()))
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    let reliable = numbers.iter().filter(|n| *n % 7 != 3).count() as u64;
    assert_eq!(reliable, (0..total).filter(|n| n % 7 != 3).count() as u64);
    assert!(
        pair.a
            .has_event(|e| matches!(e, Event::OutgoingResetDone { .. }))
    );
}

/// Closing thousands of streams takes a round trip for each full packet of them, whatever the size of
/// packets is meanwhile.
#[test]
fn one_request_names_as_many_streams_as_a_packet_holds() {
    let mut pair = Pair::connected(&rtt40(), 1);
    let streams: Vec<StreamId> = (0..2_000).map(StreamId).collect();
    let now = pair.now;
    pair.a.association.reset_streams(now, &streams).unwrap();
    let lost = pair.a.transmit(now);
    assert!(
        lost[0].len() > 1_100 && lost[0].len() <= 1_160,
        "{}",
        lost[0].len()
    );
    // The repeated request is the same one, in packets that have become smaller.
    pair.a.association.set_max_packet_size(600);
    let done = |p: &Pair| {
        p.a.events
            .iter()
            .filter_map(|e| match e {
                Event::OutgoingResetDone { streams, .. } => Some(streams.len()),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert!(
        pair.run_until(Duration::from_secs(2), |p| done(p).iter().sum::<usize>()
            == 2_000)
    );
    let counts = done(&pair);
    assert!(counts[0] > 500, "{counts:?}");
    assert!(counts.len() <= 8, "{counts:?}");
}
