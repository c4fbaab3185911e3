//! dcSCTP, what browsers run, as the other end: on virtual time, over the same links.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one variant"
)]

mod common;

use std::time::{Duration, Instant};

use common::{End, ms, origin, payload};
use dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendOptions, SocketEvent, SocketState, SocketTime,
    StreamId as TheirStreamId,
};
use peerloom_sctp::sim::{Duplex, LinkConfig, Side};
use peerloom_sctp::{Config, Event, Reliability, ResetResult, State, StreamId};

/// Either implementation.
enum Node {
    Ours(Box<End>),
    Theirs(Theirs),
}

struct Theirs {
    socket: Box<dyn DcSctpSocket>,
    start: Instant,
    messages: Vec<Message>,
    events: Vec<SocketEvent>,
}

impl Node {
    fn ours(now: Instant) -> Self {
        Self::Ours(Box::new(End::new(Config::webrtc(), 3, now)))
    }

    fn theirs(now: Instant) -> Self {
        let options = Options {
            max_send_buffer_size: 64 << 20,
            ..Options::default()
        };
        let options = Options {
            per_stream_send_queue_limit: 64 << 20,
            ..options
        };
        Self::Theirs(Theirs {
            socket: dcsctp::new_socket("theirs", &options),
            start: now,
            messages: Vec::new(),
            events: Vec::new(),
        })
    }

    fn connect(&mut self, now: Instant) {
        match self {
            Self::Ours(end) => end.association.connect(now),
            Self::Theirs(theirs) => theirs.at(now).connect(),
        }
    }

    fn is_connected(&self) -> bool {
        match self {
            Self::Ours(end) => end.association.state() == State::Established,
            Self::Theirs(theirs) => theirs.socket.state() == SocketState::Connected,
        }
    }

    fn send(&mut self, now: Instant, stream: u16, bytes: &[u8], limit: Reliability) {
        match self {
            Self::Ours(end) => end.send_with(now, stream, bytes.to_vec(), true, limit),
            Self::Theirs(theirs) => {
                let message = Message::new(TheirStreamId(stream), PpId(53), bytes.to_vec());
                let options = match limit {
                    Reliability::Reliable => SendOptions::default(),
                    Reliability::MaxRetransmits(count) => SendOptions {
                        max_retransmissions: Some(count),
                        ..SendOptions::default()
                    },
                    Reliability::MaxLifetime(life) => SendOptions {
                        lifetime: Some(life),
                        ..SendOptions::default()
                    },
                };
                theirs
                    .at(now)
                    .send(message, &options)
                    .expect("within its limits");
            }
        }
    }

    fn reset(&mut self, now: Instant, stream: u16) {
        match self {
            Self::Ours(end) => end
                .association
                .reset_streams(now, &[StreamId(stream)])
                .expect("the peer supports it"),
            Self::Theirs(theirs) => {
                theirs
                    .at(now)
                    .reset_streams(&[TheirStreamId(stream)])
                    .expect("we support it");
            }
        }
    }

    fn shutdown(&mut self, now: Instant) {
        match self {
            Self::Ours(end) => end.association.shutdown(now),
            Self::Theirs(theirs) => theirs.at(now).shutdown(),
        }
    }

    fn messages(&self) -> Vec<(u16, Vec<u8>)> {
        match self {
            Self::Ours(end) => end
                .messages
                .iter()
                .map(|m| (m.stream.0, m.payload.to_vec()))
                .collect(),
            Self::Theirs(theirs) => theirs
                .messages
                .iter()
                .map(|m| (m.stream_id.0, m.payload.clone()))
                .collect(),
        }
    }

    fn received_bytes(&self) -> usize {
        match self {
            Self::Ours(end) => end.messages.iter().map(|m| m.payload.len()).sum(),
            Self::Theirs(theirs) => theirs.messages.iter().map(|m| m.payload.len()).sum(),
        }
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        match self {
            Self::Ours(end) => end.receive(now, datagram),
            Self::Theirs(theirs) => theirs.at(now).handle_input(datagram),
        }
    }

    fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Ours(end) => end.association.poll_timeout(),
            Self::Theirs(theirs) => {
                let at = theirs.socket.poll_timeout();
                (at != SocketTime::infinite_future())
                    .then(|| theirs.start + (at - SocketTime::zero()))
            }
        }
    }

    fn run(&mut self, now: Instant) -> Vec<Vec<u8>> {
        match self {
            Self::Ours(end) => {
                if end.association.poll_timeout().is_some_and(|at| at <= now) {
                    end.association.handle_timeout(now);
                }
                end.collect(now);
                end.transmit(now)
            }
            Self::Theirs(theirs) => {
                theirs.at(now);
                let mut packets = Vec::new();
                while let Some(event) = theirs.socket.poll_event() {
                    match event {
                        SocketEvent::SendPacket(packet) => packets.push(packet),
                        event => theirs.events.push(event),
                    }
                }
                while let Some(message) = theirs.socket.get_next_message() {
                    theirs.messages.push(message);
                }
                packets
            }
        }
    }
}

impl Theirs {
    fn at(&mut self, now: Instant) -> &mut dyn DcSctpSocket {
        self.socket
            .advance_time(SocketTime::zero() + (now - self.start));
        &mut *self.socket
    }
}

struct World {
    now: Instant,
    a: Node,
    b: Node,
    link: Duplex,
}

/// Packets a driver reads at once before it answers: one 64 KiB buffer of a coalescing socket.
const BURST: usize = 54;

impl World {
    fn new(link: &LinkConfig, make: impl Fn(Instant) -> (Node, Node)) -> Self {
        let now = origin();
        let (a, b) = make(now);
        Self {
            now,
            a,
            b,
            link: Duplex::new(link, 1),
        }
    }

    fn connected(link: &LinkConfig, make: impl Fn(Instant) -> (Node, Node)) -> Self {
        let mut world = Self::new(link, make);
        world.a.connect(world.now);
        world.b.connect(world.now);
        assert!(world.run(Duration::from_secs(60), |w| w.a.is_connected()
            && w.b.is_connected()));
        world
    }

    fn step(&mut self) {
        for side in [Side::A, Side::B] {
            let node = if side == Side::A {
                &mut self.a
            } else {
                &mut self.b
            };
            loop {
                let mut received = 0;
                while received < BURST
                    && let Some(datagram) = self.link.receive(self.now, side)
                {
                    node.receive(self.now, &datagram);
                    received += 1;
                }
                for packet in node.run(self.now) {
                    self.link.send(self.now, side, &packet);
                }
                if received < BURST {
                    break;
                }
            }
        }
    }

    fn run(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        self.step();
        while !done(self) {
            let next = [self.link.poll_timeout(), self.a.timeout(), self.b.timeout()];
            match next.into_iter().flatten().min() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => {
                    self.now = end;
                    return done(self);
                }
            }
            self.step();
        }
        true
    }
}

fn ours_and_theirs(now: Instant) -> (Node, Node) {
    (Node::ours(now), Node::theirs(now))
}

fn theirs_and_ours(now: Instant) -> (Node, Node) {
    (Node::theirs(now), Node::ours(now))
}

fn rtt40() -> LinkConfig {
    LinkConfig::with_rtt(ms(40))
}

/// One side connecting, or both at once.
#[test]
fn handshake_in_every_order() {
    for (a, b) in [(true, false), (false, true), (true, true)] {
        let mut world = World::new(&rtt40(), ours_and_theirs);
        if a {
            world.a.connect(world.now);
        }
        if b {
            world.b.connect(world.now);
        }
        let limit = ms(100);
        assert!(
            world.run(limit, |w| w.a.is_connected() && w.b.is_connected()),
            "{a} {b}"
        );
    }
}

/// Messages of every size, both ways at once, whole and in order, on a good link and a bad one.
#[test]
fn messages_both_ways() {
    let sizes = [1, 100, 1100, 1130, 1200, 5000, 65_535, 200_000];
    let adverse: Vec<_> = [3, 5, 8, 13, 21, 34, 55, 89]
        .map(LinkConfig::adverse)
        .into();
    for (index, link) in [rtt40()].iter().chain(&adverse).enumerate() {
        let mut world = World::connected(link, ours_and_theirs);
        let payloads: Vec<_> = (0..)
            .zip(sizes)
            .map(|(tag, len)| payload(tag, len))
            .collect();
        for bytes in &payloads {
            world.a.send(world.now, 1, bytes, Reliability::Reliable);
            world.b.send(world.now, 2, bytes, Reliability::Reliable);
        }
        let limit = Duration::from_secs(3600);
        let arrived = world.run(limit, |w| {
            w.a.messages().len() >= sizes.len() && w.b.messages().len() >= sizes.len()
        });
        assert!(arrived, "link {index}");
        let sent = |stream| {
            payloads
                .iter()
                .map(|p| (stream, p.to_vec()))
                .collect::<Vec<_>>()
        };
        assert!(
            world.b.messages() == sent(1) && world.a.messages() == sent(2),
            "link {index}"
        );
    }
}

/// FORWARD-TSN in both directions: what is given up does not hold up what follows.
#[test]
fn partial_reliability_both_ways() {
    for make in [ours_and_theirs, theirs_and_ours] {
        let mut world = World::connected(&rtt40(), make);
        world.a.send(
            world.now,
            1,
            &payload(0, 100),
            Reliability::MaxRetransmits(0),
        );
        world.run(ms(100), |_| false);
        world.link.set_down(true);
        world.a.send(
            world.now,
            1,
            &payload(1, 5000),
            Reliability::MaxRetransmits(0),
        );
        world.run(ms(10), |_| false);
        world.link.set_down(false);
        world
            .a
            .send(world.now, 1, &payload(2, 100), Reliability::Reliable);
        assert!(world.run(Duration::from_secs(10), |w| w.b.messages().len() == 2));
        assert_eq!(world.b.messages()[1].1, payload(2, 100));
    }
}

/// Stream reset in both directions at once, and again after use.
#[test]
fn stream_reset_and_reuse() {
    let mut world = World::connected(&rtt40(), ours_and_theirs);
    for round in 0..3 {
        world
            .a
            .send(world.now, 1, &payload(round, 30_000), Reliability::Reliable);
        world
            .b
            .send(world.now, 1, &payload(round, 30_000), Reliability::Reliable);
        world.a.reset(world.now, 1);
        world.b.reset(world.now, 1);
        let expected = round as usize + 1;
        let both = world.run(Duration::from_secs(5), |w| {
            let (Node::Ours(ours), Node::Theirs(theirs)) = (&w.a, &w.b) else {
                unreachable!()
            };
            let count = |matches: &dyn Fn(&Event) -> bool| {
                ours.events.iter().filter(|e| matches(e)).count() == expected
            };
            let theirs_count = |matches: &dyn Fn(&SocketEvent) -> bool| {
                theirs.events.iter().filter(|e| matches(e)).count() == expected
            };
            let done = ResetResult::Performed;
            count(
                &|e| matches!(e, Event::IncomingReset { streams } if streams[..] == [StreamId(1)]),
            ) && count(&|e| matches!(e, Event::OutgoingResetDone { result, .. } if *result == done))
                && theirs_count(&|e| matches!(e, SocketEvent::OnStreamsResetPerformed(_)))
                && theirs_count(&|e| matches!(e, SocketEvent::OnIncomingStreamReset(_)))
        });
        assert!(both, "round {round}");
        assert_eq!(
            (world.a.messages().len(), world.b.messages().len()),
            (expected, expected)
        );
    }
}

/// Either side shuts down; both end, with everything delivered.
#[test]
fn shutdown_from_either_side() {
    for ours in [true, false] {
        let mut world = World::connected(&rtt40(), ours_and_theirs);
        world
            .a
            .send(world.now, 1, &payload(0, 50_000), Reliability::Reliable);
        if ours {
            world.a.shutdown(world.now);
        } else {
            world.run(ms(200), |w| !w.b.messages().is_empty());
            world.b.shutdown(world.now);
        }
        assert!(world.run(Duration::from_secs(5), |w| {
            let (Node::Ours(end), Node::Theirs(theirs)) = (&w.a, &w.b) else {
                unreachable!()
            };
            end.association.close_reason().is_some() && theirs.socket.state() == SocketState::Closed
        }));
        assert_eq!(world.b.messages().len(), 1);
    }
}

/// Bytes delivered after so many round trips from the first message.
fn ramp(make: impl Fn(Instant) -> (Node, Node), round_trips: u32) -> Vec<usize> {
    let mut world = World::connected(&rtt40(), make);
    for tag in 0..2000 {
        world
            .a
            .send(world.now, 1, &payload(tag, 10_000), Reliability::Reliable);
    }
    (0..round_trips)
        .map(|_| {
            world.run(ms(40), |_| false);
            world.b.received_bytes()
        })
        .collect()
}

/// A dcSCTP sender opens its window by at most a packet per SACK, so it depends on how often we
/// acknowledge: against us it is as fast as against itself.
#[test]
fn a_dcsctp_sender_ramps_up_as_fast_as_against_itself() {
    let itself = ramp(|now| (Node::theirs(now), Node::theirs(now)), 12);
    let us = ramp(theirs_and_ours, 12);
    println!("dcsctp to itself: {itself:?}\ndcsctp to us:     {us:?}");
    for (round_trip, (us, itself)) in us.iter().zip(&itself).enumerate() {
        // A message is 10,000 bytes long and counts when it is complete.
        assert!(
            us + 10_000 >= itself / 100 * 98,
            "{us} of {itself} after {} RTT",
            round_trip + 1
        );
    }
}

/// Our own sender: the window doubles every round trip, against either receiver.
#[test]
fn our_sender_doubles_every_round_trip() {
    let us = ramp(|now| (Node::ours(now), Node::ours(now)), 12);
    let theirs = ramp(ours_and_theirs, 12);
    println!("us to us:     {us:?}\nus to dcsctp: {theirs:?}");
    for bytes in [&us, &theirs] {
        // Ten packets, then twenty, and so on: after n round trips (2^n − 1) × 10 packets, until
        // the peer's window of 4 MiB is what limits.
        for (round_trip, &bytes) in (1..9).zip(bytes) {
            let ideal = ((1 << round_trip) - 1) * 10 * 1132_usize;
            assert!(
                bytes + 10_000 >= ideal * 9 / 10,
                "{bytes} of {ideal} after {round_trip} RTT"
            );
        }
    }
}
