//! Two endpoints and the path between them, moved by virtual time alone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Duplex, LinkConfig, Side};
use crate::wire::Packet;
use crate::{
    Association, Budget, Config, Event, Limits, OutgoingMessage, PacketBatch, Ppid,
    ReceivedMessage, Reliability, SendError, State, StreamId,
};

/// One end of a [`Pair`]: ours is [`Host`], and a test may bring another implementation.
pub trait Endpoint {
    /// Takes datagrams that arrived at the same time.
    fn handle_datagrams(&mut self, now: Instant, datagrams: &[Vec<u8>]);

    /// Hands everything there is to send to `out`.
    fn transmit(&mut self, now: Instant, out: &mut dyn FnMut(&[u8]));

    /// When to call [`Endpoint::handle_timeout`].
    fn poll_timeout(&self) -> Option<Instant>;

    /// Processes expired timers.
    fn handle_timeout(&mut self, now: Instant);
}

/// Two endpoints connected by a [`Duplex`].
///
/// ```
/// use std::time::{Duration, Instant};
/// use peerloom_sctp::sim::{LinkConfig, Pair, Side};
/// # fn base() -> Instant { #[allow(clippy::disallowed_methods)] Instant::now() }
///
/// let link = LinkConfig::with_rtt(Duration::from_millis(40));
/// let mut pair = Pair::of_associations(&link, 1, base());
/// pair.connect();
/// assert!(pair.run_until_connected(Duration::from_secs(1)));
/// pair.send(Side::A, 0, b"hello").unwrap();
/// pair.run_for(Duration::from_millis(20));
/// assert_eq!(&pair.b.messages.pop_front().unwrap().payload[..], b"hello");
/// ```
#[derive(Debug)]
pub struct Pair<A = Host, B = Host> {
    /// One end.
    pub a: A,
    /// The other end.
    pub b: B,
    /// What is between them.
    pub path: Duplex,
    start: Instant,
    now: Instant,
    /// Steps without time passing.
    standing: u32,
}

impl<A: Endpoint, B: Endpoint> Pair<A, B> {
    /// Two endpoints at the beginning of their time.
    pub fn new(a: A, b: B, path: Duplex, start: Instant) -> Self {
        Self {
            a,
            b,
            path,
            start,
            now: start,
            standing: 0,
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(duration, |_| false);
    }

    /// Lets time pass until `done`, asked at every event, at most this much. Returns whether it
    /// was; if not, the time has passed in full.
    pub fn run_until(
        &mut self,
        at_most: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let end = self.now + at_most;
        loop {
            self.transmit();
            if done(self) {
                return true;
            }
            match self.poll_timeout() {
                Some(next) if next <= end => self.advance_to(next),
                _ => {
                    self.now = end;
                    self.standing = 0;
                    return false;
                }
            }
        }
    }

    /// Takes out what both ends want to send. Every run begins with it.
    pub fn transmit(&mut self) {
        let Self {
            a, b, path, now, ..
        } = self;
        a.transmit(*now, &mut |datagram| path.send(*now, Side::A, datagram));
        b.transmit(*now, &mut |datagram| path.send(*now, Side::B, datagram));
    }

    /// When something happens next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ends = [
            self.a.poll_timeout(),
            self.b.poll_timeout(),
            self.path.poll_timeout(),
        ];
        ends.into_iter().flatten().min()
    }

    fn advance_to(&mut self, next: Instant) {
        self.standing = if next > self.now {
            0
        } else {
            self.standing + 1
        };
        assert!(
            self.standing < MAX_STANDING,
            "busy without progress at {:?}",
            self.elapsed()
        );
        self.now = self.now.max(next);
        let now = self.now;
        for side in [Side::A, Side::B] {
            let datagrams: Vec<_> = std::iter::from_fn(|| self.path.receive(now, side))
                .take(BURST)
                .collect();
            match side {
                Side::A => advance(&mut self.a, now, &datagrams),
                Side::B => advance(&mut self.b, now, &datagrams),
            }
        }
    }
}

fn advance(end: &mut impl Endpoint, now: Instant, datagrams: &[Vec<u8>]) {
    if !datagrams.is_empty() {
        end.handle_datagrams(now, datagrams);
    }
    if end.poll_timeout().is_some_and(|timeout| timeout <= now) {
        end.handle_timeout(now);
    }
}

impl Pair {
    /// Two associations as below ICE and DTLS, over the same conditions both ways.
    pub fn of_associations(link: &LinkConfig, seed: u64, start: Instant) -> Self {
        Self::with_configs(Config::webrtc(), Config::webrtc(), link, seed, start)
    }

    /// Two associations of these configurations.
    pub fn with_configs(
        a: Config,
        b: Config,
        link: &LinkConfig,
        seed: u64,
        start: Instant,
    ) -> Self {
        let host = |config, salt: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            bytes[8..16].copy_from_slice(&salt.to_le_bytes());
            Host::new(Association::new(config, Limits::default(), bytes, start))
        };
        Self::new(host(a, 1), host(b, 2), Duplex::new(link, seed), start)
    }

    /// Both ends connect, as in WebRTC.
    pub fn connect(&mut self) {
        let now = self.now;
        self.a.association.connect(now);
        self.b.association.connect(now);
    }

    /// Lets time pass until both ends are established.
    pub fn run_until_connected(&mut self, at_most: Duration) -> bool {
        self.run_until(at_most, |pair| {
            [&pair.a, &pair.b]
                .iter()
                .all(|host| host.association.state() == State::Established)
        })
    }

    /// Sends a reliable ordered message; it leaves with the next run.
    ///
    /// # Errors
    /// As [`Association::send`].
    pub fn send(&mut self, from: Side, stream: u16, payload: &[u8]) -> Result<(), SendError> {
        let message = OutgoingMessage {
            stream: StreamId(stream),
            ppid: Ppid(53),
            payload: Bytes::copy_from_slice(payload),
            ordered: true,
            reliability: Reliability::Reliable,
        };
        let now = self.now;
        self.host(from).association.send(now, message)
    }

    /// One end.
    pub fn host(&mut self, side: Side) -> &mut Host {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

/// An association with a driver around it.
#[derive(Debug)]
pub struct Host {
    /// The association.
    pub association: Association,
    /// Messages that arrived.
    pub messages: VecDeque<ReceivedMessage>,
    /// Events other than messages.
    pub events: VecDeque<Event>,
    /// Leaves messages in the association and its receive window closed, as a stalled application
    /// does. Otherwise they are released as they arrive.
    pub stalled: bool,
    /// Packets and bytes that one gather may plan.
    pub budget: Budget,
    /// Datagrams that were no packets.
    pub undecodable: u64,
    /// Gathers that planned packets.
    pub gathers: u64,
    batch: PacketBatch,
    buffer: Vec<u8>,
}

impl Host {
    /// A driver around `association`.
    #[must_use]
    pub fn new(association: Association) -> Self {
        Self {
            association,
            messages: VecDeque::new(),
            events: VecDeque::new(),
            stalled: false,
            budget: Budget {
                packets: BURST,
                bytes: 64 << 10,
            },
            undecodable: 0,
            gathers: 0,
            batch: PacketBatch::new(),
            buffer: Vec::new(),
        }
    }

    /// Takes events and messages out of the association, as every turn does.
    pub fn take_events(&mut self, now: Instant) {
        if self.stalled {
            return;
        }
        while let Some(event) = self.association.poll_event() {
            if let Event::Message(message) = event {
                self.association.release(now, message.cost);
                self.messages.push_back(message);
            } else {
                self.events.push_back(event);
            }
        }
    }
}

impl Endpoint for Host {
    fn handle_datagrams(&mut self, now: Instant, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            match Packet::decode(datagram) {
                Ok(packet) => self.association.handle_packet(now, &packet),
                Err(_) => self.undecodable += 1,
            }
        }
    }

    fn transmit(&mut self, now: Instant, out: &mut dyn FnMut(&[u8])) {
        self.take_events(now);
        while self
            .association
            .poll_transmit(now, &mut self.batch, self.budget)
            > 0
        {
            self.gathers += 1;
            for index in 0..self.batch.len() {
                self.buffer.resize(self.batch.encoded_len(index), 0);
                self.batch.encode(index, &mut self.buffer);
                out(&self.buffer);
            }
            self.batch.clear();
        }
        self.batch.clear();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
    }
}

/// Datagrams handled at once, as one GRO buffer holds.
pub(super) const BURST: usize = 50;

/// More than any honest exchange takes over a link without delay.
const MAX_STANDING: u32 = 1_000_000;
