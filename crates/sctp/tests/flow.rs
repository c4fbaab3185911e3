//! Flow control, heartbeats, shutdown and abort.

mod common;

use std::time::Duration;

use common::{End, Pair, Raw, ms, origin, payload};
use peerloom_sctp::sim::{LinkConfig, Loss, Side};
use peerloom_sctp::wire::{Chunk, Heartbeat};
use peerloom_sctp::{
    CloseReason, Config, Event, Limits, OutgoingMessage, Packet, Ppid, Reliability, ResetError,
    SendError, State, StreamId,
};

fn rtt40() -> LinkConfig {
    LinkConfig::with_rtt(ms(40))
}

/// A pair whose receiving side does not read.
fn stalled(window: usize) -> Pair {
    let config = Config {
        receive_window: window,
        ..Config::default()
    };
    let mut pair = Pair::with_config(config, &rtt40(), 1);
    pair.connect();
    pair.b.reads = false;
    for tag in 0..100 {
        pair.a.send(pair.now, 1, payload(tag, 10_000));
    }
    pair
}

fn release_all(pair: &mut Pair, from: usize) {
    let now = pair.now;
    for index in from..pair.b.messages.len() {
        let cost = pair.b.messages[index].cost;
        pair.b.association.release(now, cost);
    }
}

/// Requirements, "consumer stops": what is held stays within the window, whatever is queued.
#[test]
fn a_stalled_consumer_stops_the_sender() {
    let window = 400_000;
    let mut pair = stalled(window);
    pair.run_for(Duration::from_secs(30));
    let (a, b) = (pair.a.association.stats(), pair.b.association.stats());
    assert!(
        b.receive_buffered <= window / 10 * 11,
        "{}",
        b.receive_buffered
    );
    assert!(
        a.unsent_bytes > 500_000,
        "it waits without a TSN: {}",
        a.unsent_bytes
    );
    assert!(a.outstanding <= 2, "a probe at most: {}", a.outstanding);
    assert_eq!(pair.a.association.state(), State::Established);
}

/// §6.1 rule A: a closed window is probed with one chunk at the pace of the backed-off RTO, which
/// neither counts as an error nor reduces the congestion window.
#[test]
fn zero_window_probes() {
    let mut pair = stalled(100_000);
    pair.run_for(Duration::from_secs(2));
    let before = pair.a.association.stats();
    pair.record();
    pair.run_for(Duration::from_secs(60));
    let after = pair.a.association.stats();
    let log = pair.log.take().unwrap();
    let probes = log.iter().filter(|(_, side, _)| *side == Side::A).count();
    assert!((3..20).contains(&probes), "{probes}");
    assert!(after.cwnd >= before.cwnd, "{} {}", before.cwnd, after.cwnd);
    pair.run_for(Duration::from_secs(600));
    assert_eq!(
        pair.a.association.state(),
        State::Established,
        "it is answered, so it goes on"
    );
}

/// Requirements: a consumer that reads again has data within a round trip; nothing is lost.
#[test]
fn a_reopened_window_is_announced_at_once() {
    let mut pair = stalled(100_000);
    pair.run_for(Duration::from_secs(30));
    let had = pair.b.messages.len();
    pair.b.reads = true;
    release_all(&mut pair, 0);
    assert!(
        pair.run_until(ms(41), |p| p.b.messages.len() > had),
        "an RTT"
    );
    assert!(pair.run_until(Duration::from_secs(5), |p| p.b.messages.len() == 100));
    for (tag, message) in (0..).zip(&pair.b.messages) {
        assert_eq!(message.payload, payload(tag, 10_000));
    }
    pair.run_to_idle();
    assert_eq!(pair.b.association.stats().receive_buffered, 0);
}

/// The window update may be lost: the next probe finds the window open.
#[test]
fn a_lost_window_update_is_found_by_a_probe() {
    let mut pair = stalled(100_000);
    pair.run_for(Duration::from_secs(5));
    pair.b.reads = true;
    release_all(&mut pair, 0);
    assert_eq!(
        pair.b.transmit(pair.now).len(),
        1,
        "the update, which no one delivers"
    );
    assert!(pair.run_until(Duration::from_secs(70), |p| p.b.messages.len() == 100));
}

/// RFC 9260 §6.2 with RFC 1122 §4.2.3.3: a reader of small steps does not make the sender send
/// small packets.
#[test]
fn no_silly_window() {
    let window = 100_000;
    let config = Config {
        receive_window: window,
        ..Config::default()
    };
    let mut pair = Pair::with_config(config, &rtt40(), 1);
    pair.connect();
    pair.b.reads = false;
    for tag in 0..4000 {
        pair.a.send(pair.now, 1, payload(tag, 250));
    }
    pair.run_for(Duration::from_secs(3));
    pair.record();
    for released in 0..300 {
        let now = pair.now;
        let cost = pair.b.messages[released].cost;
        pair.b.association.release(now, cost);
        pair.run_for(ms(10));
    }
    let log = pair.log.take().unwrap();
    let count = |from: Side| log.iter().filter(|(_, side, _)| *side == from).count();
    let (data, updates) = (count(Side::A), count(Side::B));
    assert!(
        data <= 120 && updates <= 150,
        "{data} packets and {updates} SACKs for 300 messages"
    );
}

/// §8.3: an idle path is probed every HB.interval + RTO ± 50 %, and the answer is a measurement.
#[test]
fn heartbeats() {
    let mut pair = Pair::connected(&rtt40(), 1);
    pair.record();
    pair.run_for(Duration::from_secs(100));
    let log = pair.log.take().unwrap();
    let beats: Vec<_> = log
        .iter()
        .filter(|(_, side, bytes)| {
            *side == Side::A
                && matches!(
                    Packet::decode(bytes).unwrap().chunks[0],
                    Chunk::Heartbeat(_)
                )
        })
        .map(|(at, ..)| *at)
        .collect();
    assert!((2..=3).contains(&beats.len()), "{beats:?}");
    assert_eq!(pair.a.association.stats().srtt, ms(40));
    // With data under way there are none.
    pair.record();
    for tag in 0..200 {
        pair.a.send(pair.now, 1, payload(tag, 100));
        pair.b.send(pair.now, 1, payload(tag, 100));
        pair.run_for(ms(500));
    }
    pair.run_for(ms(100));
}

/// §8.1, §8.2: unanswered heartbeats end an idle association, unless a layer above decides.
#[test]
fn unanswered_heartbeats() {
    for (config, ends) in [(Config::default(), true), (Config::webrtc(), false)] {
        let mut pair = Pair::with_config(config, &rtt40(), 1);
        pair.connect();
        pair.link.set_down(true);
        pair.run_for(Duration::from_secs(1000));
        assert_eq!(pair.a.association.close_reason().is_some(), ends);
    }
}

/// A HEARTBEAT-ACK with another nonce is no answer.
#[test]
fn a_guessed_heartbeat_ack_is_no_answer() {
    let now = origin();
    let mut end = End::new(Config::default(), 1, now);
    let raw = Raw::connect(&mut end, now);
    let at = end.association.poll_timeout().unwrap();
    end.association.handle_timeout(at);
    let chunks = raw.take(&mut end, at);
    let [Chunk::Heartbeat(beat)] = &chunks[..] else {
        panic!("{chunks:?}")
    };
    let mut wrong = beat.info.to_vec();
    wrong[3] ^= 1;
    raw.give(
        &mut end,
        at + ms(5),
        Chunk::HeartbeatAck(Heartbeat { info: wrong.into() }),
    );
    assert_eq!(end.association.stats().srtt, Duration::ZERO);
    raw.give(&mut end, at + ms(7), Chunk::HeartbeatAck(beat.clone()));
    assert_eq!(end.association.stats().srtt, ms(7));
    raw.give(&mut end, at + ms(9), Chunk::HeartbeatAck(beat.clone()));
    assert_eq!(
        end.association.stats().drops.heartbeat_ack,
        2,
        "an answer counts once"
    );
}

/// §9.2: what was queued arrives, then both sides end in order.
#[test]
fn shutdown_delivers_everything() {
    for loss in [0.0, 0.05, 0.2] {
        let mut pair = Pair::with_config(
            Config::default(),
            &LinkConfig {
                loss: Loss::Random(loss),
                ..rtt40()
            },
            5,
        );
        pair.connect();
        for tag in 0..20 {
            pair.a.send(pair.now, 1, payload(tag, 20_000));
        }
        pair.a.association.shutdown(pair.now);
        let refused = pair.a.association.send(
            pair.now,
            OutgoingMessage {
                stream: StreamId(1),
                ppid: Ppid(51),
                payload: payload(0, 1),
                ordered: true,
                reliability: Reliability::Reliable,
            },
        );
        assert_eq!(refused, Err(SendError::ShuttingDown));
        let ended = pair.run_until(Duration::from_secs(400), |p| {
            p.a.association.close_reason().is_some() && p.b.association.close_reason().is_some()
        });
        assert!(
            ended,
            "{loss}: {:?} {:?}",
            pair.a.association, pair.b.association
        );
        assert_eq!(pair.b.messages.len(), 20);
        for end in [&pair.a, &pair.b] {
            // The last acknowledgement may be lost for good; the guard ends the wait.
            let last = end.events.last();
            let in_order = matches!(last, Some(Event::Closed(CloseReason::Shutdown)));
            assert!(in_order || loss > 0.0, "{last:?}");
            assert_eq!(end.association.poll_timeout(), None);
        }
    }
}

/// §9.2: both at once.
#[test]
fn both_shut_down_at_once() {
    let mut pair = Pair::connected(&rtt40(), 1);
    pair.a.send(pair.now, 1, payload(1, 50_000));
    pair.b.send(pair.now, 1, payload(2, 100));
    pair.a.association.shutdown(pair.now);
    pair.b.association.shutdown(pair.now);
    assert!(pair.run_until(Duration::from_secs(5), |p| {
        [&p.a, &p.b]
            .iter()
            .all(|e| e.association.close_reason() == Some(&CloseReason::Shutdown))
    }));
    assert_eq!((pair.a.messages.len(), pair.b.messages.len()), (1, 1));
}

/// Before it is connected, an association that shuts down either never was, or delivers what it was
/// given first.
#[test]
fn shutdown_before_the_handshake_ends() {
    let mut pair = Pair::new(&rtt40(), 1);
    pair.a.association.shutdown(pair.now);
    assert_eq!(
        pair.a.association.close_reason(),
        Some(&CloseReason::Shutdown)
    );
    let mut pair = Pair::new(&rtt40(), 1);
    pair.a.send(pair.now, 1, payload(1, 10));
    pair.a.association.connect(pair.now);
    pair.a.association.shutdown(pair.now);
    assert!(pair.run_until(Duration::from_secs(5), |p| {
        p.a.association.close_reason().is_some()
    }));
    assert_eq!(pair.b.messages.len(), 1);
}

/// §9.2, T5: a peer that never acknowledges a SHUTDOWN is left.
#[test]
fn a_shutdown_without_answer_is_bounded() {
    let mut pair = Pair::with_config(Config::webrtc(), &rtt40(), 1);
    pair.connect();
    pair.link.set_down(true);
    pair.a.association.shutdown(pair.now);
    pair.run_for(Duration::from_secs(60));
    assert!(matches!(
        pair.a.association.close_reason(),
        Some(CloseReason::RetransmissionTimeout { .. })
    ));
}

/// §9.1: the peer learns why, at once, and nothing is left to do.
#[test]
fn abort_tells_the_peer() {
    let mut pair = Pair::connected(&rtt40(), 1);
    pair.a.send(pair.now, 1, payload(1, 200_000));
    pair.run_for(ms(50));
    pair.a.association.abort(pair.now, "no more");
    pair.a.collect(pair.now);
    pair.run_for(ms(50));
    assert_eq!(
        pair.a.association.close_reason(),
        Some(&CloseReason::LocalAbort("no more".to_owned()))
    );
    let Some(CloseReason::PeerAbort(cause)) = pair.b.association.close_reason() else {
        panic!("{:?}", pair.b.association)
    };
    assert_eq!((cause.code, cause.text.as_str()), (Some(12), "no more"));
    for end in [&mut pair.a, &mut pair.b] {
        assert!(matches!(end.events.last(), Some(Event::Closed(_))));
        let stats = end.association.stats();
        assert_eq!((stats.unsent_bytes, stats.outstanding), (0, 0));
        assert_eq!(end.association.poll_timeout(), None);
        let closed = end.association.reset_streams(pair.now, &[StreamId(1)]);
        assert!(matches!(closed, Err(ResetError::Closed(_))));
    }
}

/// Every refusal of `send` says by how much, and leaves everything as it was.
#[test]
fn refusals_carry_numbers() {
    let now = origin();
    let limits = Limits {
        send_queue: 1000,
        ..Limits::default()
    };
    let config = Config {
        max_message_size: 600,
        outbound_streams: 10,
        ..Config::default()
    };
    let mut end = End::with_limits(config, limits, 1, now);
    let mut send = |stream, len: usize| {
        let message = OutgoingMessage {
            stream: StreamId(stream),
            ppid: Ppid(0),
            payload: vec![0; len].into(),
            ordered: true,
            reliability: Reliability::Reliable,
        };
        end.association.send(now, message)
    };
    assert_eq!(send(1, 0), Err(SendError::Empty));
    assert_eq!(
        send(1, 601),
        Err(SendError::TooLarge { len: 601, max: 600 })
    );
    let stream = StreamId(10);
    assert_eq!(
        send(10, 1),
        Err(SendError::NoSuchStream {
            stream,
            streams: 10
        })
    );
    assert_eq!(send(1, 600), Ok(()));
    assert_eq!(
        send(1, 401),
        Err(SendError::QueueFull {
            len: 401,
            queued: 600,
            limit: 1000
        })
    );
    assert_eq!(send(2, 400), Ok(()));
    assert_eq!(end.association.total_buffered(), 1000);
    assert_eq!(end.association.buffered_amount(StreamId(1)), 600);
}

/// A window changed while the peer waits for it: a wider one is told at once, a narrower one holds
/// from then on.
#[test]
fn the_receive_window_can_be_changed() {
    let (narrow, wide) = (300_000, 700_000);
    let mut pair = stalled(narrow);
    for tag in 0..50 {
        pair.a.send(pair.now, 1, payload(tag, 10_000));
    }
    pair.run_for(Duration::from_secs(5));
    assert!(pair.b.association.stats().receive_buffered <= narrow / 10 * 11);
    pair.b.association.set_receive_window(wide);
    // One round trip, and a little for the pacing of the first packets: without an update the peer
    // would ask by its probe, after an RTO.
    pair.run_for(ms(80));
    let held = pair.b.association.stats().receive_buffered;
    assert!(held > narrow / 10 * 11, "{held}");
    pair.run_for(Duration::from_secs(5));
    let held = pair.b.association.stats().receive_buffered;
    assert!(held > wide / 10 * 9, "{held}");
    pair.b.association.set_receive_window(narrow);
    let taken = pair.b.messages.len() - 2;
    for index in 0..taken {
        let cost = pair.b.messages[index].cost;
        pair.b.association.release(pair.now, cost);
    }
    pair.run_for(Duration::from_secs(5));
    let held = pair.b.association.stats().receive_buffered;
    assert!(held <= narrow / 10 * 11, "{held}");
    pair.b.reads = true;
    release_all(&mut pair, taken);
    assert!(pair.run_until(Duration::from_secs(20), |p| p.b.messages.len() == 150));
}

/// A message that is refused for lack of room is taken once the limit is raised; one larger than the
/// limit is taken when nothing else is held, or it would never be.
#[test]
fn the_send_queue_limit_can_be_changed() {
    let limits = Limits {
        send_queue: 10_000,
        ..Limits::default()
    };
    let now = origin();
    let a = End::with_limits(Config::default(), limits, 1, now);
    let b = End::new(Config::default(), 2, now);
    let mut pair = Pair::of(a, b, now, &rtt40(), 1);
    pair.connect();
    let message = |len: usize| OutgoingMessage {
        stream: StreamId(1),
        ppid: Ppid(51),
        payload: payload(1, len),
        ordered: true,
        reliability: Reliability::Reliable,
    };
    assert_eq!(pair.a.association.send(pair.now, message(10_001)), Ok(()));
    let refused = pair.a.association.send(pair.now, message(1));
    assert!(matches!(
        refused,
        Err(SendError::QueueFull { limit: 10_000, .. })
    ));
    pair.a.association.set_send_queue_limit(10_002);
    assert_eq!(pair.a.association.send(pair.now, message(1)), Ok(()));
    assert!(pair.run_until(Duration::from_secs(5), |p| p.b.messages.len() == 2));
}
