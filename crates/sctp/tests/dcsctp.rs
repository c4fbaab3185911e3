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

    /// Ours wants I-DATA (RFC 8260); theirs decides.
    fn theirs(now: Instant, interleaving: bool) -> Self {
        let options = Options {
            max_send_buffer_size: 64 << 20,
            per_stream_send_queue_limit: 64 << 20,
            enable_message_interleaving: interleaving,
            ..Options::default()
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

    fn interleaves(&self) -> bool {
        match self {
            Self::Ours(end) => end.association.stats().interleaving,
            Self::Theirs(theirs) => {
                let metrics = theirs.socket.get_metrics();
                metrics.is_some_and(|metrics| metrics.uses_message_interleaving)
            }
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

/// Two ends, of which theirs takes part in interleaving or not.
type Make = fn(Instant, bool) -> (Node, Node);

struct World {
    now: Instant,
    a: Node,
    b: Node,
    link: Duplex,
}

/// Packets a driver reads at once before it answers: one 64 KiB buffer of a coalescing socket.
const BURST: usize = 54;

impl World {
    fn new(link: &LinkConfig, interleaving: bool, make: Make) -> Self {
        let now = origin();
        let (a, b) = make(now, interleaving);
        Self {
            now,
            a,
            b,
            link: Duplex::new(link, 1),
        }
    }

    fn connected(link: &LinkConfig, interleaving: bool, make: Make) -> Self {
        let mut world = Self::new(link, interleaving, make);
        world.connect();
        assert_eq!(world.a.interleaves(), interleaving);
        assert_eq!(world.b.interleaves(), interleaving);
        world
    }

    fn connect(&mut self) {
        self.a.connect(self.now);
        self.b.connect(self.now);
        assert!(self.run(Duration::from_secs(60), |w| w.a.is_connected()
            && w.b.is_connected()));
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

fn ours_and_theirs(now: Instant, interleaving: bool) -> (Node, Node) {
    (Node::ours(now), Node::theirs(now, interleaving))
}

fn theirs_and_ours(now: Instant, interleaving: bool) -> (Node, Node) {
    (Node::theirs(now, interleaving), Node::ours(now))
}

fn rtt40() -> LinkConfig {
    LinkConfig::with_rtt(ms(40))
}

/// One side connecting, or both at once.
#[test]
fn handshake_in_every_order() {
    let orders = [(true, false), (false, true), (true, true)];
    for (index, (a, b)) in orders.into_iter().cycle().take(6).enumerate() {
        let mut world = World::new(&rtt40(), index < 3, ours_and_theirs);
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
    let adverse = [3, 5, 8, 13, 21, 34, 55, 89].map(LinkConfig::adverse);
    // Every link once without I-DATA, and once with it.
    let links = [rtt40()].into_iter().chain(adverse);
    let links = links.flat_map(|link| [link.clone(), link]);
    for (index, link) in links.enumerate() {
        let mut world = World::connected(&link, index % 2 == 0, ours_and_theirs);
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

/// FORWARD-TSN and I-FORWARD-TSN in both directions: what is given up does not hold up what follows.
#[test]
fn partial_reliability_both_ways() {
    let roles: [Make; 2] = [ours_and_theirs, theirs_and_ours];
    for (index, make) in roles.into_iter().cycle().take(4).enumerate() {
        let mut world = World::connected(&rtt40(), index < 2, make);
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
    for interleaving in [false, true] {
        let mut world = World::connected(&rtt40(), interleaving, ours_and_theirs);
        reset_and_reuse(&mut world);
    }
}

fn reset_and_reuse(world: &mut World) {
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
        let mut world = World::connected(&rtt40(), ours, ours_and_theirs);
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
fn ramp(make: Make, round_trips: u32) -> Vec<usize> {
    let mut world = World::new(&rtt40(), false, make);
    world.connect();
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
    let itself = ramp(|now, i| (Node::theirs(now, i), Node::theirs(now, i)), 12);
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
    let us = ramp(|now, _| (Node::ours(now), Node::ours(now)), 12);
    let theirs = ramp(ours_and_theirs, 12);
    println!("us to us:     {us:?}\nus to dcsctp: {theirs:?}");
    for bytes in [&us, &theirs] {
        // Ten packets, then twenty, and so on: after n round trips (2^n − 1) × 10 packets, until
        // the peer's window of 4 MiB is what limits. Paced over half a round trip, a part of the last
        // window is still on its way.
        for (round_trip, &bytes) in (1..9).zip(bytes) {
            let ideal = ((1 << round_trip) - 1) * 10 * 1132_usize;
            assert!(
                bytes + 10_000 >= ideal * 3 / 4,
                "{bytes} of {ideal} after {round_trip} RTT"
            );
        }
    }
}

/// RFC 8260: fragments of several messages under way at once, in either direction, ordered and not,
/// with losses; a small message overtakes the large ones.
#[test]
fn interleaved_messages_both_ways() {
    for seed in [3, 5, 8, 13, 0] {
        let link = if seed == 0 {
            LinkConfig {
                rate: Some(10_000_000),
                ..rtt40()
            }
        } else {
            LinkConfig::adverse(seed)
        };
        let mut world = World::connected(&link, true, ours_and_theirs);
        let sent: Vec<_> = (1..=4).map(|n| (n, payload(n.into(), 90_000))).collect();
        for (stream, bytes) in &sent {
            world
                .a
                .send(world.now, *stream, bytes, Reliability::Reliable);
            world
                .b
                .send(world.now, *stream, bytes, Reliability::Reliable);
        }
        world.run(ms(60), |_| false);
        world.a.send(world.now, 9, b"small", Reliability::Reliable);
        world.b.send(world.now, 9, b"small", Reliability::Reliable);
        let limit = Duration::from_secs(3600);
        assert!(
            world.run(limit, |w| w.a.messages().len() == 5
                && w.b.messages().len() == 5),
            "seed {seed}"
        );
        for messages in [world.a.messages(), world.b.messages()] {
            if seed == 0 {
                assert_eq!(messages[0].1, b"small");
            }
            for (stream, bytes) in &sent {
                assert!(messages.contains(&(*stream, bytes.to_vec())), "seed {seed}");
            }
        }
    }
}
