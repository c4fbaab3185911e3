//! Two associations, a seeded link between them, and virtual time.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::allow_attributes,
    reason = "each test file uses its part, and a helper of a test fails by panicking"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom_sctp::sim::{Duplex, LinkConfig, Side};
use peerloom_sctp::wire::{
    Chunk, CookieEcho, Data, DataFlags, GapBlock, Init, Param, Sack, chunk_type,
};
use peerloom_sctp::{
    Association, Budget, Config, Event, Limits, OutgoingMessage, Packet, PacketBatch, Ppid,
    ReceivedMessage, Reliability, Ssn, State, StreamId, Tsn,
};

/// An arbitrary origin of virtual time.
pub fn origin() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin of virtual time"
    )]
    Instant::now()
}

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub const BUDGET: Budget = Budget {
    packets: 54,
    bytes: 64 << 10,
};

/// One side: the association, what it told, and what it does with messages.
pub struct End {
    pub association: Association,
    pub events: Vec<Event>,
    pub messages: Vec<ReceivedMessage>,
    /// Messages are released as soon as they arrive.
    pub reads: bool,
    batch: PacketBatch,
}

impl End {
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        Self::with_limits(config, Limits::default(), seed, now)
    }

    pub fn with_limits(config: Config, limits: Limits, seed: u64, now: Instant) -> Self {
        Self {
            association: Association::new(config, limits, seed_bytes(seed), now),
            events: Vec::new(),
            messages: Vec::new(),
            reads: true,
            batch: PacketBatch::new(),
        }
    }

    /// All packets that are to be sent now.
    pub fn transmit(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        loop {
            let planned = self.association.poll_transmit(now, &mut self.batch, BUDGET);
            for index in 0..self.batch.len() {
                let mut bytes = vec![0; self.batch.encoded_len(index)];
                assert_eq!(self.batch.encode(index, &mut bytes), bytes.len());
                packets.push(bytes);
            }
            self.batch.clear();
            if planned == 0 {
                return packets;
            }
        }
    }

    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        if let Ok(packet) = Packet::decode(datagram) {
            self.association.handle_packet(now, &packet);
        }
        self.collect(now);
    }

    pub fn collect(&mut self, now: Instant) {
        while let Some(event) = self.association.poll_event() {
            match event {
                Event::Message(message) => {
                    if self.reads {
                        self.association.release(now, message.cost);
                    }
                    self.messages.push(message);
                }
                other => self.events.push(other),
            }
        }
    }

    pub fn send(&mut self, now: Instant, stream: u16, payload: impl Into<Bytes>) {
        self.send_with(now, stream, payload, true, Reliability::Reliable);
    }

    pub fn send_with(
        &mut self,
        now: Instant,
        stream: u16,
        payload: impl Into<Bytes>,
        ordered: bool,
        reliability: Reliability,
    ) {
        self.association
            .send(
                now,
                OutgoingMessage {
                    stream: StreamId(stream),
                    ppid: Ppid(51),
                    payload: payload.into(),
                    ordered,
                    reliability,
                },
            )
            .expect("the test sends within the limits");
    }

    pub fn has_event(&self, matches: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(matches)
    }
}

pub fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}

/// Two ends and the link.
pub struct Pair {
    pub now: Instant,
    pub start: Instant,
    pub a: End,
    pub b: End,
    pub link: Duplex,
    /// Every packet put on the link, if recorded: when, from where, and its bytes.
    pub log: Option<Vec<(Duration, Side, Vec<u8>)>>,
}

impl Pair {
    pub fn new(link: &LinkConfig, seed: u64) -> Self {
        Self::with_config(Config::default(), link, seed)
    }

    pub fn with_config(config: Config, link: &LinkConfig, seed: u64) -> Self {
        let now = origin();
        let a = End::new(config.clone(), seed * 2, now);
        let b = End::new(config, seed * 2 + 1, now);
        Self::of(a, b, now, link, seed)
    }

    pub fn of(a: End, b: End, now: Instant, link: &LinkConfig, seed: u64) -> Self {
        Self {
            now,
            start: now,
            a,
            b,
            link: Duplex::new(link, seed),
            log: None,
        }
    }

    /// A pair that has connected, both sides at once.
    pub fn connected(link: &LinkConfig, seed: u64) -> Self {
        let mut pair = Self::new(link, seed);
        pair.connect();
        pair
    }

    pub fn connect(&mut self) {
        self.a.association.connect(self.now);
        self.b.association.connect(self.now);
        assert!(
            self.run_until(Duration::from_secs(60), |p| {
                p.a.association.state() == State::Established
                    && p.b.association.state() == State::Established
            }),
            "connects"
        );
    }

    pub fn record(&mut self) {
        self.log = Some(Vec::new());
    }

    pub fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Puts everything on the link that is to be sent now.
    pub fn transmit(&mut self) {
        for side in [Side::A, Side::B] {
            let now = self.now;
            for packet in self.end(side).transmit(now) {
                self.link.send(now, side, &packet);
                if let Some(log) = &mut self.log {
                    log.push((now - self.start, side, packet));
                }
            }
            self.end(side).collect(now);
        }
    }

    /// Delivers what has arrived, and lets timers expire.
    fn step_now(&mut self) {
        let now = self.now;
        for side in [Side::A, Side::B] {
            while let Some(datagram) = self.link.receive(now, side) {
                self.end(side).receive(now, &datagram);
            }
            let end = self.end(side);
            if end.association.poll_timeout().is_some_and(|at| at <= now) {
                end.association.handle_timeout(now);
                end.collect(now);
            }
        }
        self.transmit();
    }

    /// The next moment at which something happens.
    fn next(&self) -> Option<Instant> {
        [
            self.link.poll_timeout(),
            self.a.association.poll_timeout(),
            self.b.association.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Runs until `done`, at most for `limit`; whether it was.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        let mut still = 0;
        self.transmit();
        loop {
            if done(self) {
                return true;
            }
            match self.next() {
                Some(next) if next <= end => {
                    still = if next <= self.now { still + 1 } else { 0 };
                    assert!(still < 100_000, "time stands still");
                    self.now = self.now.max(next);
                    self.step_now();
                }
                _ => {
                    self.now = end;
                    return done(self);
                }
            }
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(duration, |_| false);
    }

    pub fn run_to_idle(&mut self) {
        let idle = self.run_until(Duration::from_secs(600), |p| {
            p.a.association.stats().outstanding == 0
                && p.b.association.stats().outstanding == 0
                && p.a.association.total_buffered() == 0
                && p.b.association.total_buffered() == 0
        });
        assert!(idle, "everything is acknowledged");
    }
}

/// A payload that tells where it was cut or repeated.
pub fn payload(tag: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = (tag as usize)
            .wrapping_mul(31)
            .wrapping_add(index.wrapping_mul(7)) as u8;
    }
    bytes.into()
}

/// A peer made by hand: what it sends is exactly what the test says.
pub struct Raw {
    /// The tag we put into packets to the association.
    pub their_tag: u32,
    /// The tag it puts into packets to us.
    pub our_tag: u32,
    /// The TSN we send next.
    pub next_tsn: u32,
    /// The first TSN of the association.
    pub their_tsn: u32,
}

impl Raw {
    pub const TAG: u32 = 0x0102_0304;
    pub const TSN: u32 = 1000;

    /// Our INIT, or INIT-ACK with a cookie.
    pub fn init(tag: u32, cookie: Option<&[u8]>) -> Init<'static> {
        let mut params = vec![
            Param::ForwardTsnSupported,
            Param::SupportedExtensions(vec![chunk_type::RECONFIG, chunk_type::FORWARD_TSN].into()),
        ];
        if let Some(cookie) = cookie {
            params.push(Param::StateCookie(cookie.to_vec().into()));
        }
        Init {
            initiate_tag: tag,
            a_rwnd: 1 << 20,
            outbound_streams: 1000,
            inbound_streams: 1000,
            initial_tsn: Tsn(Self::TSN),
            params,
        }
    }

    /// Connects to `end`, which waits: INIT, COOKIE-ECHO.
    pub fn connect(end: &mut End, now: Instant) -> Self {
        Self::connect_by(end, now, Self::init(Self::TAG, None))
    }

    /// The same with a parameter of the INIT in place of those it has.
    pub fn connect_with(end: &mut End, now: Instant, param: Param<'static>) -> Self {
        let init = Init {
            params: vec![param],
            ..Self::init(Self::TAG, None)
        };
        Self::connect_by(end, now, init)
    }

    fn connect_by(end: &mut End, now: Instant, init: Init<'static>) -> Self {
        let init = Chunk::Init(init);
        end.receive(now, &packet(0, vec![init]));
        let answers = end.transmit(now);
        let answer = Packet::decode(&answers[0]).expect("an answer");
        assert_eq!(answer.verification_tag, Self::TAG);
        let Chunk::InitAck(ack) = &answer.chunks[0] else {
            panic!("{answer:?}")
        };
        let cookie = ack.state_cookie().expect("a cookie").to_vec();
        let raw = Self {
            their_tag: ack.initiate_tag,
            our_tag: Self::TAG,
            next_tsn: Self::TSN,
            their_tsn: ack.initial_tsn.0,
        };
        raw.give(
            end,
            now,
            Chunk::CookieEcho(CookieEcho {
                cookie: cookie.into(),
            }),
        );
        assert_eq!(end.association.state(), State::Established);
        assert!(raw.take(end, now).contains(&Chunk::CookieAck));
        raw
    }

    /// Hands one chunk to the association.
    pub fn give(&self, end: &mut End, now: Instant, chunk: Chunk<'_>) {
        end.receive(now, &packet(self.their_tag, vec![chunk]));
    }

    /// DATA with the next TSN.
    pub fn give_data(&mut self, end: &mut End, now: Instant, payload: &[u8]) {
        let data = Data {
            tsn: Tsn(self.next_tsn),
            stream: StreamId(1),
            ssn: Ssn(0),
            ppid: Ppid(51),
            flags: DataFlags::WHOLE
                .with(DataFlags::UNORDERED)
                .with(DataFlags::IMMEDIATE),
            payload,
        };
        self.next_tsn = self.next_tsn.wrapping_add(1);
        self.give(end, now, Chunk::Data(data));
    }

    /// A SACK.
    pub fn sack(&self, cumulative: u32, a_rwnd: u32, gaps: &[(u16, u16)]) -> Chunk<'static> {
        Chunk::Sack(Sack {
            cumulative_tsn: Tsn(cumulative),
            a_rwnd,
            gaps: gaps
                .iter()
                .map(|&(start, end)| GapBlock { start, end })
                .collect(),
            duplicates: Default::default(),
        })
    }

    /// All chunks the association sends now, DATA left out.
    pub fn take(&self, end: &mut End, now: Instant) -> Vec<Chunk<'static>> {
        let mut chunks = Vec::new();
        for bytes in end.transmit(now) {
            let packet = Packet::decode(&bytes).expect("our own");
            assert_eq!(packet.verification_tag, self.our_tag);
            chunks.extend(packet.chunks.into_iter().filter_map(Chunk::into_owned));
        }
        chunks
    }

    /// TSN and length of all DATA the association sends now.
    pub fn take_data(&self, end: &mut End, now: Instant) -> Vec<(u32, usize)> {
        let mut data = Vec::new();
        for bytes in end.transmit(now) {
            let packet = Packet::decode(&bytes).expect("our own");
            for chunk in &packet.chunks {
                if let Chunk::Data(d) = chunk {
                    data.push((d.tsn.0, d.payload.len()));
                }
            }
        }
        data
    }
}

/// What DATA and I-DATA have in common.
pub fn user_data<'a>(chunk: &Chunk<'a>) -> Option<(Tsn, DataFlags, &'a [u8])> {
    match *chunk {
        Chunk::Data(data) => Some((data.tsn, data.flags, data.payload)),
        Chunk::IData(data) => Some((data.tsn, data.flags, data.payload)),
        _ => None,
    }
}

/// A packet's bytes.
pub fn packet(tag: u32, chunks: Vec<Chunk<'_>>) -> Vec<u8> {
    let packet = Packet {
        source_port: 5000,
        destination_port: 5000,
        verification_tag: tag,
        chunks: chunks.into(),
        len: 0,
    };
    let mut bytes = vec![0; packet.encoded_len()];
    packet.encode(&mut bytes);
    bytes
}
