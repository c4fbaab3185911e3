//! What the engine sends, before it reaches the network. The engine repeats its flight at a fixed
//! short interval; those repeats are held back here, so that the path sees them with back-off, and
//! each still has record numbers that the peer has not seen.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::message::{Fragment, MessageType, whole_header};
use super::shape;
use crate::record::{ContentType, EXPLICIT_NONCE_LEN, RecordRef, split};
use crate::role::Role;
use crate::transcript::Transcript;

/// The outward normaliser of one handshake.
#[derive(Debug)]
pub(crate) struct Outward {
    role: Role,
    transmit: VecDeque<Bytes>,
    flight: Flight,
    /// The current flight as it was sent first.
    sent: Vec<Bytes>,
    /// Where the datagram before ended in its flight; a repeat starts again at the front.
    position: u64,
    pass: Pass,
    /// The latest repeat that the engine made and nobody has seen.
    held: Vec<Bytes>,
    /// Send the next repeat at once: its time came when there was none.
    overdue: bool,
    due: Option<Instant>,
    /// When the flight was last sent or asked for.
    last_sent: Option<Instant>,
    first_interval: Duration,
    longest_interval: Duration,
    interval: Duration,
    tries: u32,
    message: Option<Message>,
    next_message: u16,
    cookie: Option<Vec<u8>>,
    changed_cipher: bool,
    highest_sequence: Option<u64>,
    nonces: Vec<[u8; EXPLICIT_NONCE_LEN]>,
    finished: Option<Vec<u8>>,
}

/// A flight of RFC 6347 section 4.2.4, with which of its kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flight {
    None,
    /// Flights 1 and 3, by message number: there may be several HelloVerifyRequests.
    ClientHello(u16),
    HelloVerifyRequest,
    /// Flight 4.
    ServerHello,
    /// Flight 5.
    ClientFinished,
    /// Flight 6, the last.
    ServerFinished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Goes to the network.
    Sent,
    /// A repeat whose time has not come.
    Held,
}

#[derive(Debug)]
struct Message {
    kind: u8,
    sequence: u16,
    length: usize,
    body: Vec<u8>,
}

impl Outward {
    pub(crate) fn new(role: Role, first_interval: Duration, longest_interval: Duration) -> Self {
        Self {
            role,
            transmit: VecDeque::new(),
            flight: Flight::None,
            sent: Vec::new(),
            position: 0,
            pass: Pass::Sent,
            held: Vec::new(),
            overdue: false,
            due: None,
            last_sent: None,
            first_interval,
            longest_interval: longest_interval.max(first_interval),
            interval: first_interval,
            tries: 0,
            message: None,
            next_message: 0,
            cookie: None,
            changed_cipher: false,
            highest_sequence: None,
            nonces: Vec::new(),
            finished: None,
        }
    }

    /// A datagram of the engine.
    pub(crate) fn produced(
        &mut self,
        now: Instant,
        datagram: Vec<u8>,
        transcript: &mut Transcript,
    ) {
        let datagram = Bytes::from(datagram);
        let mut first = None;
        let mut last = 0;
        for record in split(&datagram).flatten() {
            if let Some((flight, position)) = self.place(&record) {
                first.get_or_insert((flight, position));
                last = position;
            }
            self.remember(&record, transcript);
        }
        let Some((flight, first)) = first else {
            // An alert: the engine gives up and says so.
            self.transmit.push_back(datagram);
            return;
        };
        if flight > self.flight {
            self.start(flight);
        } else if flight < self.flight {
            return;
        } else if first <= self.position {
            self.repeat();
        }
        self.position = last;
        match self.pass {
            Pass::Held => self.held.push(datagram),
            Pass::Sent => {
                if self.tries == 1 && self.flight != Flight::HelloVerifyRequest {
                    self.sent.push(datagram.clone());
                }
                self.send(now, datagram);
            }
        }
    }

    /// The engine's client has keys from here on.
    pub(crate) fn changed_cipher(&self) -> bool {
        self.changed_cipher
    }

    pub(crate) fn cookie(&mut self) -> Option<Vec<u8>> {
        self.cookie.take()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmit.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.interval = (self.interval * 2).min(self.longest_interval);
            self.release(now);
        }
    }

    /// The peer repeats its flight, so it did not get ours: waiting longer helps nobody. Returns
    /// whether the engine has to be asked for the answer, because it repeats it only on request.
    pub(crate) fn peer_repeated(&mut self, now: Instant) -> bool {
        let recent = |at| now.saturating_duration_since(at) < self.first_interval / 2;
        if self.last_sent.is_some_and(recent) {
            return false;
        }
        // Also when there is nothing to send yet: one answer for a burst of repeats.
        self.last_sent = Some(now);
        if self.due.is_some() {
            self.release(now);
        }
        self.flight == Flight::HelloVerifyRequest
    }

    /// The path works again after a silence: forget the back-off and try at once.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.interval = self.first_interval;
        if self.due.is_some() {
            self.release(now);
        }
    }

    /// Adds a datagram of our own.
    pub(crate) fn push(&mut self, datagram: Bytes) {
        self.transmit.push_back(datagram);
    }

    pub(crate) fn flight(&self) -> Flight {
        self.flight
    }

    /// How often the current flight was sent.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// The highest record number that the engine used with its keys, sent or held.
    pub(crate) fn highest_sequence(&self) -> Option<u64> {
        self.highest_sequence
    }

    /// The explicit nonces that the engine used with its keys.
    pub(crate) fn nonces(&self) -> &[[u8; EXPLICIT_NONCE_LEN]] {
        &self.nonces
    }

    /// Our sealed Finished.
    pub(crate) fn finished(&self) -> Option<&[u8]> {
        self.finished.as_deref()
    }

    /// The current flight as it was sent first.
    pub(crate) fn take_sent(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.sent)
    }

    fn start(&mut self, flight: Flight) {
        self.flight = flight;
        self.sent.clear();
        self.held.clear();
        self.overdue = false;
        self.due = None;
        self.pass = Pass::Sent;
        self.interval = self.first_interval;
        self.tries = 1;
    }

    fn repeat(&mut self) {
        // A HelloVerifyRequest is no larger than the ClientHello it answers, and the engine makes
        // one only as an answer.
        if self.overdue || self.flight == Flight::HelloVerifyRequest {
            self.overdue = false;
            self.pass = Pass::Sent;
            self.tries += 1;
        } else {
            self.pass = Pass::Held;
            self.held.clear();
        }
    }

    fn release(&mut self, now: Instant) {
        if self.held.is_empty() {
            self.overdue = true;
            self.due = None;
            return;
        }
        self.tries += 1;
        // The engine may be in the middle of this repeat; its rest follows at once.
        self.pass = Pass::Sent;
        for datagram in std::mem::take(&mut self.held) {
            self.send(now, datagram);
        }
    }

    fn send(&mut self, now: Instant, datagram: Bytes) {
        self.transmit.push_back(datagram);
        self.last_sent = Some(now);
        self.due = match self.flight {
            // These have no timer: the peer's repeat asks for them.
            Flight::None | Flight::HelloVerifyRequest | Flight::ServerFinished => None,
            Flight::ClientHello(_) | Flight::ServerHello | Flight::ClientFinished => {
                Some(now + self.interval)
            }
        };
    }

    /// Which flight a record is of, and where in it.
    fn place(&self, record: &RecordRef<'_>) -> Option<(Flight, u64)> {
        let last = match self.role {
            Role::Client => Flight::ClientFinished,
            Role::Server => Flight::ServerFinished,
        };
        let kind = ContentType::from_wire(record.header.content_type)?;
        match (kind, record.header.epoch) {
            (ContentType::ChangeCipherSpec, _) => Some((last, CHANGE_CIPHER_SPEC)),
            (ContentType::Handshake, 0) => {
                let (fragment, _) = Fragment::parse(record.body)?;
                let flight = match (self.role, fragment.kind) {
                    (Role::Client, MessageType::CLIENT_HELLO) => {
                        Flight::ClientHello(fragment.sequence)
                    }
                    (Role::Client, _) => Flight::ClientFinished,
                    (Role::Server, MessageType::HELLO_VERIFY_REQUEST) => Flight::HelloVerifyRequest,
                    (Role::Server, _) => Flight::ServerHello,
                };
                let offset = fragment.offset as u64;
                // Above 0, so that the first record after a start is never taken for a repeat.
                Some((flight, 1 + (u64::from(fragment.sequence) << 24 | offset)))
            }
            (ContentType::Handshake, _) => Some((last, FINISHED)),
            (ContentType::Alert | ContentType::ApplicationData, _) => None,
        }
    }

    fn remember(&mut self, record: &RecordRef<'_>, transcript: &mut Transcript) {
        if record.header.epoch == 1 {
            self.highest_sequence = self.highest_sequence.max(Some(record.header.sequence));
            if let Some(nonce) = record.body.first_chunk() {
                self.nonces.push(*nonce);
            }
            if record.header.content_type == ContentType::Handshake as u8 {
                self.finished.get_or_insert_with(|| record.raw.to_vec());
            }
            return;
        }
        if record.header.content_type == ContentType::ChangeCipherSpec as u8 {
            self.changed_cipher = true;
        }
        if record.header.content_type != ContentType::Handshake as u8 {
            return;
        }
        let Some((fragment, _)) = Fragment::parse(record.body) else {
            return;
        };
        if fragment.sequence != self.next_message {
            return;
        }
        // The engine sends the fragments of a message in order.
        let message = self.message.get_or_insert_with(|| Message {
            kind: fragment.kind,
            sequence: fragment.sequence,
            length: fragment.length,
            body: Vec::with_capacity(fragment.length),
        });
        message.body.extend_from_slice(fragment.data);
        if message.body.len() < message.length {
            return;
        }
        let Some(message) = self.message.take() else {
            return;
        };
        self.next_message += 1;
        if message.kind == MessageType::HELLO_VERIFY_REQUEST {
            self.cookie = shape::cookie(message.kind, &message.body).map(<[u8]>::to_vec);
        }
        let mut whole = whole_header(message.kind, message.sequence, message.length).to_vec();
        whole.extend_from_slice(&message.body);
        transcript.push(&whole);
    }
}

/// Behind every message.
const CHANGE_CIPHER_SPEC: u64 = 1 << 48;
const FINISHED: u64 = 1 << 49;
