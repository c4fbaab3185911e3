//! Two ends and the link between them. Each end is a [`Session`] or a bare [`Association`]: a peer
//! that can send any bytes with any PPID on any stream.

use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom_datachannel::sctp::sim::{Duplex, LinkConfig, Loss, Side};
use peerloom_datachannel::sctp::{
    self, Association, Budget, Event, OutgoingMessage, Packet, PacketBatch, Ppid, StreamId,
    serial::ReconfigSeq, wire,
};
use peerloom_datachannel::{
    ChannelCloseReason, ChannelKey, ChannelOptions, MessageKind, Reliability, Role, Session,
    SessionConfig, SessionEvent,
};

pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) a: End,
    pub(crate) b: End,
    pub(crate) link: Link,
    batch: PacketBatch,
}

pub(crate) struct End {
    core: Core,
    /// Everything a session reported, oldest first.
    pub(crate) events: Vec<SessionEvent>,
    /// Everything a bare association reported.
    pub(crate) raw_events: Vec<Event>,
    /// Whether the application takes messages as they come.
    pub(crate) reads: bool,
    /// Bytes reported by `drain_unqueued`, by channel in order of report.
    pub(crate) unqueued: Vec<(ChannelKey, usize)>,
}

#[expect(clippy::large_enum_variant, reason = "two of them in a test")]
enum Core {
    Session(Session),
    Raw(Association),
}

pub(crate) struct Link {
    path: Duplex,
    pub(crate) lose: Option<Box<Lose>>,
    /// Number of the first RE-CONFIG request of `b` (RFC 6525 §4.1).
    pub(crate) first_request_of_b: ReconfigSeq,
    /// The verification tag of packets to `a`.
    tag_of_a: u32,
}

/// Whether to lose a packet; the flag says whether `a` sent it.
type Lose = dyn FnMut(bool, &Packet<'_>) -> bool;

impl Net {
    /// Two sessions; `a` is the DTLS client. Not connected.
    pub(crate) fn new(seed: u64, config_a: SessionConfig, config_b: SessionConfig) -> Self {
        let now = epoch();
        let mut a = Session::new(config_a, seed32(seed, 1), now);
        let mut b = Session::new(config_b, seed32(seed, 2), now);
        a.set_role(now, Role::Client);
        b.set_role(now, Role::Server);
        Self::with(seed, now, Core::Session(a), Core::Session(b))
    }

    /// Two connected sessions of default configuration.
    pub(crate) fn connected(seed: u64) -> Self {
        let mut net = Self::new(seed, SessionConfig::default(), SessionConfig::default());
        net.connect();
        net
    }

    /// Two connected sessions, of which the sequence numbers of `a` (TSN, RE-CONFIG) are less than
    /// `within` before their wrap. Found by trying seeds, as they are random.
    pub(crate) fn shortly_before_wrap(within: u32) -> Self {
        let first_tsn = |seed| {
            let config = sctp::Config::webrtc();
            let limits = sctp::Limits::default();
            let mut association = Association::new(config, limits, seed32(seed, 1), epoch());
            association.connect(epoch());
            let mut batch = PacketBatch::new();
            association.poll_transmit(epoch(), &mut batch, BUDGET);
            let mut bytes = vec![0; batch.encoded_len(0)];
            batch.encode(0, &mut bytes);
            match &Packet::decode(&bytes).unwrap().chunks[..] {
                [wire::Chunk::Init(init), ..] => init.initial_tsn.0,
                other => panic!("{other:?}"),
            }
        };
        let seed = (0..).find(|seed| first_tsn(*seed) > u32::MAX - within);
        Self::connected(seed.unwrap())
    }

    /// `a` is a session and the DTLS client, `b` a bare association. Connected.
    pub(crate) fn with_raw_peer(config: SessionConfig) -> Self {
        let now = epoch();
        let mut a = Session::new(config, seed32(0, 1), now);
        a.set_role(now, Role::Client);
        let limits = sctp::Limits::default();
        let b = Association::new(raw_config(), limits, seed32(0, 2), now);
        let mut net = Self::with(0, now, Core::Session(a), Core::Raw(b));
        net.connect();
        net
    }

    fn with(seed: u64, now: Instant, a: Core, b: Core) -> Self {
        let end = |core| End {
            core,
            events: Vec::new(),
            raw_events: Vec::new(),
            reads: true,
            unqueued: Vec::new(),
        };
        let link = Link {
            path: Duplex::new(&LinkConfig::with_rtt(RTT), seed),
            lose: None,
            first_request_of_b: ReconfigSeq(0),
            tag_of_a: 0,
        };
        Self {
            now,
            a: end(a),
            b: end(b),
            link,
            batch: PacketBatch::new(),
        }
    }

    pub(crate) fn connect(&mut self) {
        let now = self.now;
        for end in [&mut self.a, &mut self.b] {
            match &mut end.core {
                Core::Session(session) => session.connect(now),
                Core::Raw(association) => association.connect(now),
            }
        }
        self.run_for(Duration::from_millis(200));
        for end in [&self.a, &self.b] {
            assert!(end.is_connected(), "{:?} {:?}", end.events, end.raw_events);
        }
    }

    /// The peer forgets everything and connects anew (RFC 9260 §5.2.4.1).
    pub(crate) fn restart_raw_peer(&mut self) {
        let limits = sctp::Limits::default();
        let mut b = Association::new(raw_config(), limits, seed32(1, 2), self.now);
        b.connect(self.now);
        self.b.core = Core::Raw(b);
        self.b.raw_events.clear();
    }

    /// Hands `a` a packet that `b` did not send.
    pub(crate) fn inject_to_a(&mut self, chunk: wire::Chunk<'_>) {
        let packet = Packet {
            source_port: 5000,
            destination_port: 5000,
            verification_tag: self.link.tag_of_a,
            len: wire::HEADER_LEN + chunk.encoded_len(),
            chunks: [chunk].into_iter().collect(),
        };
        self.a.session().handle_packet(self.now, &packet);
    }

    /// Lets `time` pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.run(end, |_| false);
        self.now = end;
    }

    /// Lets time pass until `done`; more than `limit` of it is a failure.
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl FnMut(&Net) -> bool) {
        let end = self.now + limit;
        if !self.run(end, done) {
            panic!(
                "not done within {limit:?}:\na {:?}\nb {:?}",
                self.a.tail(),
                self.b.tail()
            );
        }
    }

    fn run(&mut self, end: Instant, mut done: impl FnMut(&Net) -> bool) -> bool {
        loop {
            self.a
                .exchange(self.now, &mut self.batch, &mut self.link, Side::A);
            self.b
                .exchange(self.now, &mut self.batch, &mut self.link, Side::B);
            if done(self) {
                return true;
            }
            let next = [
                self.a.poll_timeout(),
                self.b.poll_timeout(),
                self.link.path.poll_timeout(),
            ];
            let next = next.into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else {
                return false;
            };
            self.now = self.now.max(next);
            while let Some(datagram) = self.link.path.receive(self.now, Side::A) {
                self.a.handle_datagram(self.now, &datagram);
            }
            while let Some(datagram) = self.link.path.receive(self.now, Side::B) {
                self.b.handle_datagram(self.now, &datagram);
            }
            self.a.handle_timeout(self.now);
            self.b.handle_timeout(self.now);
        }
    }
}

impl End {
    pub(crate) fn session(&mut self) -> &mut Session {
        match &mut self.core {
            Core::Session(session) => session,
            Core::Raw(_) => panic!("a bare association"),
        }
    }

    pub(crate) fn raw(&mut self) -> &mut Association {
        match &mut self.core {
            Core::Session(_) => panic!("a session"),
            Core::Raw(association) => association,
        }
    }

    pub(crate) fn open(&mut self, now: Instant, options: ChannelOptions) -> ChannelKey {
        self.session().open(now, options).unwrap()
    }

    pub(crate) fn send(&mut self, now: Instant, key: ChannelKey, message: &[u8]) {
        let message = Bytes::copy_from_slice(message);
        self.session()
            .send(now, key, MessageKind::Binary, message)
            .unwrap();
    }

    /// Sends any bytes, reliable.
    pub(crate) fn send_raw(&mut self, now: Instant, stream: u16, ppid: u32, payload: &[u8]) {
        self.send_raw_with(now, stream, ppid, payload, true);
    }

    pub(crate) fn send_raw_with(
        &mut self,
        now: Instant,
        stream: u16,
        ppid: u32,
        payload: &[u8],
        ordered: bool,
    ) {
        let message = OutgoingMessage {
            stream: StreamId(stream),
            ppid: Ppid(ppid),
            payload: Bytes::copy_from_slice(payload),
            ordered,
            reliability: Reliability::Reliable,
        };
        self.raw().send(now, message).unwrap();
    }

    pub(crate) fn reset_raw(&mut self, now: Instant, stream: u16) {
        self.raw().reset_streams(now, &[StreamId(stream)]).unwrap();
    }

    /// Receive window not given back, bytes.
    pub(crate) fn held(&mut self) -> usize {
        self.session().association().stats().receive_buffered
    }

    pub(crate) fn stats(&mut self) -> peerloom_datachannel::Stats {
        self.session().stats()
    }

    /// The channels the peer opened, in order.
    pub(crate) fn incoming(&self) -> Vec<(ChannelKey, ChannelOptions, u16)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                SessionEvent::Incoming { key, options, id } => {
                    Some((*key, (**options).clone(), *id))
                }
                _ => None,
            })
            .collect()
    }

    pub(crate) fn messages(&self, channel: ChannelKey) -> Vec<(MessageKind, Bytes)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                SessionEvent::Message {
                    key, kind, payload, ..
                } if *key == channel => Some((*kind, payload.clone())),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.events.contains(&SessionEvent::Connected)
            || self
                .raw_events
                .iter()
                .any(|event| matches!(event, Event::Connected { .. }))
    }

    pub(crate) fn opened(&self, key: ChannelKey) -> bool {
        self.events.contains(&SessionEvent::Opened(key))
    }

    pub(crate) fn closing(&self, key: ChannelKey) -> bool {
        self.events.contains(&SessionEvent::Closing(key))
    }

    pub(crate) fn closed(&self, channel: ChannelKey) -> Option<ChannelCloseReason> {
        self.events.iter().find_map(|event| match event {
            SessionEvent::Closed { key, reason } if *key == channel => Some(*reason),
            _ => None,
        })
    }

    pub(crate) fn session_closed(&self) -> bool {
        matches!(self.events.last(), Some(SessionEvent::SessionClosed(_)))
    }

    /// The streams a bare association saw reset, sorted.
    pub(crate) fn raw_resets(&self) -> Vec<u16> {
        let mut streams: Vec<u16> = self
            .raw_events
            .iter()
            .filter_map(|event| match event {
                Event::IncomingReset { streams } => Some(streams),
                _ => None,
            })
            .flatten()
            .map(|stream| stream.0)
            .collect();
        streams.sort_unstable();
        streams
    }

    /// The messages a bare association received: stream, PPID, payload, ordered.
    pub(crate) fn raw_messages(&self) -> Vec<(u16, u32, Bytes, bool)> {
        self.raw_events
            .iter()
            .filter_map(|event| match event {
                Event::Message(m) => Some((m.stream.0, m.ppid.0, m.payload.clone(), m.ordered)),
                _ => None,
            })
            .collect()
    }

    fn exchange(&mut self, now: Instant, batch: &mut PacketBatch, link: &mut Link, side: Side) {
        loop {
            self.take_events(now);
            batch.clear();
            let planned = match &mut self.core {
                Core::Session(session) => {
                    let planned = session.poll_transmit(now, batch, BUDGET);
                    session.drain_unqueued(batch, |key, bytes| self.unqueued.push((key, bytes)));
                    planned
                }
                Core::Raw(association) => association.poll_transmit(now, batch, BUDGET),
            };
            if planned == 0 {
                break;
            }
            for index in 0..batch.len() {
                let mut bytes = vec![0; batch.encoded_len(index)];
                batch.encode(index, &mut bytes);
                link.carry(now, side, &bytes);
            }
        }
        self.take_events(now);
    }

    fn take_events(&mut self, now: Instant) {
        match &mut self.core {
            Core::Session(session) => {
                while let Some(event) = session.poll_event() {
                    if let SessionEvent::Message { cost, .. } = &event
                        && self.reads
                    {
                        session.release(now, *cost);
                    }
                    self.events.push(event);
                }
            }
            Core::Raw(association) => {
                while let Some(event) = association.poll_event() {
                    if let Event::Message(message) = &event
                        && self.reads
                    {
                        association.release(now, message.cost);
                    }
                    self.raw_events.push(event);
                }
            }
        }
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        // The link corrupts some.
        let Ok(packet) = Packet::decode(datagram) else {
            return;
        };
        match &mut self.core {
            Core::Session(session) => session.handle_packet(now, &packet),
            Core::Raw(association) => association.handle_packet(now, &packet),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            match &mut self.core {
                Core::Session(session) => session.handle_timeout(now),
                Core::Raw(association) => association.handle_timeout(now),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.core {
            Core::Session(session) => session.poll_timeout(),
            Core::Raw(association) => association.poll_timeout(),
        }
    }

    fn tail(&self) -> (&[SessionEvent], &[Event]) {
        let last = |len: usize| len.saturating_sub(8);
        (
            &self.events[last(self.events.len())..],
            &self.raw_events[last(self.raw_events.len())..],
        )
    }
}

impl Link {
    pub(crate) fn set(&mut self, config: &LinkConfig) {
        for side in [Side::A, Side::B] {
            self.path.from_mut(side).set_config(config.clone());
        }
    }

    pub(crate) fn set_loss(&mut self, share: f64) {
        self.set(&LinkConfig {
            loss: Loss::Random(share),
            ..LinkConfig::with_rtt(RTT)
        });
    }

    fn carry(&mut self, now: Instant, from: Side, bytes: &[u8]) {
        let packet = Packet::decode(bytes).unwrap();
        let from_a = from == Side::A;
        if !from_a {
            if let [wire::Chunk::Init(init) | wire::Chunk::InitAck(init), ..] = &packet.chunks[..] {
                self.first_request_of_b = ReconfigSeq(init.initial_tsn.0);
            }
            if packet.verification_tag != 0 {
                self.tag_of_a = packet.verification_tag;
            }
        }
        if !self.lose.as_mut().is_some_and(|lose| lose(from_a, &packet)) {
            self.path.send(now, from, bytes);
        }
    }
}

/// Whether the packet carries a RE-CONFIG chunk.
pub(crate) fn has_reconfig(packet: &Packet<'_>) -> bool {
    packet
        .chunks
        .iter()
        .any(|chunk| matches!(chunk, wire::Chunk::Reconfig(_)))
}

pub(crate) fn labelled(label: &str) -> ChannelOptions {
    ChannelOptions {
        label: label.into(),
        ..ChannelOptions::default()
    }
}

pub(crate) fn negotiated(id: u16) -> ChannelOptions {
    ChannelOptions {
        negotiated: Some(id),
        ..ChannelOptions::default()
    }
}

const BUDGET: Budget = Budget {
    packets: 64,
    bytes: 64 << 10,
};

/// Of a link that was not set otherwise.
const RTT: Duration = Duration::from_millis(40);

pub(crate) const SECOND: Duration = Duration::from_secs(1);

fn raw_config() -> sctp::Config {
    let mut config = sctp::Config::webrtc();
    config.max_message_size = 16 << 20;
    // What a test sends first arrives first.
    config.scheduler = sctp::Scheduler::FirstCome;
    config
}

fn seed32(seed: u64, end: u8) -> [u8; 32] {
    let mut bytes = [end; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}

#[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
fn epoch() -> Instant {
    Instant::now()
}
