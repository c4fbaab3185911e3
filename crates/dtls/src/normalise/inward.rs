//! What comes from the network before there are keys, made fit for the engine: whole handshake
//! messages in order, one a record, with record numbers of our own that rise. Every bound is here.

use std::collections::BTreeMap;

use super::message::{Fragment, MessageType, whole_header};
use super::reassembly::Partial;
use super::shape;
use crate::finished;
use crate::limits::{Limits, MAX_MESSAGE};
use crate::record::{ContentType, HEADER_LEN, Header, RecordRef, VERSION};
use crate::role::Role;
use crate::stats::{DropReason, Drops};

/// The inward normaliser of one handshake.
#[derive(Debug)]
pub(crate) struct Inward {
    role: Role,
    limits: Limits,
    /// The number of the message that the engine gets next.
    next: u16,
    partial: BTreeMap<u16, Partial>,
    bytes: usize,
    fragments: usize,
    duplicates: usize,
    /// Of the records that we make for the engine.
    record_number: u64,
    /// The first ClientHello, to drive another HelloVerifyRequest.
    first_hello: Vec<u8>,
    /// Of our HelloVerifyRequest.
    cookie: Option<Vec<u8>>,
    may_change_cipher: bool,
    cipher_changes: usize,
    /// Encrypted handshake records that overtook the ChangeCipherSpec.
    early_finished: Vec<Vec<u8>>,
    /// Every encrypted handshake record that the engine got; one of them is the peer's Finished.
    finished: Vec<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    last_seen: Option<u8>,
}

/// What follows from a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// A new message, as a record for the engine; it belongs to the transcript.
    Message(Vec<u8>),
    /// A record for the engine only.
    Record(Vec<u8>),
    /// The peer repeats a flight that is complete here: it did not get the answer.
    Repeated,
}

impl Inward {
    pub(crate) fn new(role: Role, mut limits: Limits) -> Self {
        limits.message = limits.message.min(MAX_MESSAGE);
        Self {
            role,
            limits,
            next: 0,
            partial: BTreeMap::new(),
            bytes: 0,
            fragments: 0,
            duplicates: 0,
            record_number: 0,
            first_hello: Vec::new(),
            cookie: None,
            may_change_cipher: role == Role::Server,
            cipher_changes: 0,
            early_finished: Vec::new(),
            finished: Vec::new(),
            certificate: None,
            last_seen: None,
        }
    }

    /// A handshake record in clear text.
    pub(crate) fn handshake(
        &mut self,
        record: &RecordRef<'_>,
        drops: &mut Drops,
        out: &mut Vec<Passed>,
    ) {
        let mut body = record.body;
        // A record may hold the tail of one message and the next.
        while !body.is_empty() {
            let Some((fragment, rest)) = Fragment::parse(body) else {
                drops.add(DropReason::Malformed);
                return;
            };
            body = rest;
            if let Err(reason) = self.fragment(&fragment, out) {
                drops.add(reason);
            }
        }
        while let Some(ready) = self.deliver() {
            match ready {
                Ok(passed) => out.push(passed),
                Err(reason) => drops.add(reason),
            }
        }
    }

    /// A ChangeCipherSpec. The engine's client never looks again at one that came before it had
    /// keys, so it does not get one then.
    pub(crate) fn change_cipher_spec(
        &mut self,
        record: &RecordRef<'_>,
        out: &mut Vec<Passed>,
    ) -> Result<(), DropReason> {
        if record.body != [1] {
            return Err(DropReason::Malformed);
        }
        if !self.may_change_cipher || self.next == 0 {
            return Err(DropReason::Unexpected);
        }
        if self.cipher_changes == MAX_CIPHER_CHANGES {
            return Err(DropReason::Limit);
        }
        self.cipher_changes += 1;
        let record = self.record(record.header.content_type, record.body);
        out.push(Passed::Record(record));
        for record in std::mem::take(&mut self.early_finished) {
            self.finished.push(record.clone());
            out.push(Passed::Record(record));
        }
        Ok(())
    }

    /// An encrypted handshake record: only a Finished can come now, and it has one length. (A
    /// shorter one makes the engine panic.)
    pub(crate) fn encrypted_handshake(
        &mut self,
        record: &RecordRef<'_>,
        out: &mut Vec<Passed>,
    ) -> Result<(), DropReason> {
        if record.body.len() != finished::SEALED_LEN || record.header.version != VERSION {
            return Err(DropReason::Malformed);
        }
        if self.finished.len() + self.early_finished.len() >= self.limits.finished {
            return Err(DropReason::Limit);
        }
        if self
            .finished
            .iter()
            .chain(&self.early_finished)
            .any(|seen| seen == record.raw)
        {
            return Err(DropReason::Replay);
        }
        if self.cipher_changes == 0 {
            if self.early_finished.len() >= MAX_EARLY_FINISHED {
                return Err(DropReason::Limit);
            }
            self.early_finished.push(record.raw.to_vec());
            return Ok(());
        }
        self.finished.push(record.raw.to_vec());
        out.push(Passed::Record(record.raw.to_vec()));
        Ok(())
    }

    /// Our HelloVerifyRequest left with this cookie; no other one is taken.
    pub(crate) fn set_cookie(&mut self, cookie: &[u8]) {
        self.cookie = Some(cookie.to_vec());
    }

    /// Our client's keys exist.
    pub(crate) fn allow_change_cipher(&mut self) {
        self.may_change_cipher = true;
    }

    /// Messages passed on so far.
    pub(crate) fn progress(&self) -> u16 {
        self.next
    }

    /// The first ClientHello once more, for an engine that answers it again.
    pub(crate) fn repeat_hello(&mut self) -> Result<Vec<u8>, DropReason> {
        if self.first_hello.is_empty() {
            return Err(DropReason::Pointless);
        }
        if self.duplicates == self.limits.duplicates {
            return Err(DropReason::Limit);
        }
        self.duplicates += 1;
        let hello = std::mem::take(&mut self.first_hello);
        let record = self.record(ContentType::Handshake as u8, &hello);
        self.first_hello = hello;
        Ok(record)
    }

    pub(crate) fn last_seen(&self) -> Option<&'static str> {
        self.last_seen.map(MessageType::name)
    }

    /// The peer's certificate in DER form, not verified.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    pub(crate) fn take_finished(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.finished)
    }

    fn fragment(
        &mut self,
        fragment: &Fragment<'_>,
        out: &mut Vec<Passed>,
    ) -> Result<(), DropReason> {
        if !self.expects(fragment.kind) {
            return Err(DropReason::Unexpected);
        }
        if !fragment.fits() {
            return Err(DropReason::Fragment);
        }
        if fragment.length > self.limits.message {
            return Err(DropReason::Limit);
        }
        let Some(ahead) = fragment.sequence.checked_sub(self.next) else {
            // Any fragment speaks for its flight: the others may be lost.
            if out.last() != Some(&Passed::Repeated) {
                out.push(Passed::Repeated);
            }
            return Err(DropReason::Pointless);
        };
        if ahead >= MAX_AHEAD || fragment.sequence >= MAX_MESSAGES {
            return Err(DropReason::Limit);
        }
        let known = self.partial.get(&fragment.sequence);
        if known.is_some_and(Partial::is_complete) {
            return Err(DropReason::Pointless);
        }
        // A message that is next and whole is never held, so it passes when the budget is spent on
        // garbage, and replaces garbage that has its number.
        let direct = ahead == 0 && fragment.is_whole();
        if !direct {
            if known.is_some_and(|known| !known.agrees(fragment)) {
                return Err(DropReason::Fragment);
            }
            let bytes = if known.is_some() { 0 } else { fragment.length };
            if self.fragments == self.limits.fragments || self.bytes + bytes > self.limits.handshake
            {
                return Err(DropReason::Limit);
            }
            self.bytes += bytes;
        } else {
            self.partial.remove(&fragment.sequence);
        }
        let partial = self
            .partial
            .entry(fragment.sequence)
            .or_insert_with(|| Partial::new(fragment));
        if !partial.add(fragment) {
            return Err(DropReason::Pointless);
        }
        self.fragments += usize::from(!direct);
        Ok(())
    }

    /// The next message if it is complete.
    fn deliver(&mut self) -> Option<Result<Passed, DropReason>> {
        if !self.partial.get(&self.next)?.is_complete() {
            return None;
        }
        let (kind, body) = self.partial.remove(&self.next)?.into_parts();
        // A message that is refused leaves its place free for the right one.
        if !shape::is_well_formed(kind, &body) {
            return Some(Err(DropReason::Message));
        }
        if self.role == Role::Server && kind == MessageType::CLIENT_HELLO && self.next > 0 {
            let ours = self.cookie.as_deref().filter(|cookie| !cookie.is_empty());
            if ours.is_none() || shape::cookie(kind, &body) != ours {
                // The engine would give up (a forged one is cheap to send).
                return Some(Err(DropReason::Cookie));
            }
        }
        let mut message = whole_header(kind, self.next, body.len()).to_vec();
        message.extend_from_slice(&body);
        if kind == MessageType::CLIENT_HELLO {
            self.first_hello = if self.next == 0 {
                message.clone()
            } else {
                Vec::new()
            };
        }
        if kind == MessageType::CERTIFICATE {
            self.certificate = shape::first_certificate(&body).map(<[u8]>::to_vec);
        }
        self.last_seen = Some(kind);
        self.next += 1;
        Some(Ok(Passed::Message(
            self.record(ContentType::Handshake as u8, &message),
        )))
    }

    /// The messages that the peer's role sends in clear text. A HelloRequest asks for nothing that
    /// is done here, and a Finished in epoch 0 would take the place of the real one in the engine.
    fn expects(&self, kind: u8) -> bool {
        match self.role {
            Role::Server => matches!(
                kind,
                MessageType::CLIENT_HELLO
                    | MessageType::CERTIFICATE
                    | MessageType::CLIENT_KEY_EXCHANGE
                    | MessageType::CERTIFICATE_VERIFY
            ),
            Role::Client => matches!(
                kind,
                MessageType::HELLO_VERIFY_REQUEST
                    | MessageType::SERVER_HELLO
                    | MessageType::CERTIFICATE
                    | MessageType::SERVER_KEY_EXCHANGE
                    | MessageType::CERTIFICATE_REQUEST
                    | MessageType::SERVER_HELLO_DONE
            ),
        }
    }

    /// A record in epoch 0 with our own next number: the engine's replay check drops numbers that
    /// it has seen, so a peer's numbers must not reach it.
    fn record(&mut self, content_type: u8, body: &[u8]) -> Vec<u8> {
        let header = Header {
            content_type,
            version: VERSION,
            epoch: 0,
            sequence: self.record_number,
            // Bounded by Limits::message, which is below 2^13 by default.
            length: u16::try_from(body.len()).unwrap_or(u16::MAX),
        };
        self.record_number += 1;
        let mut record = Vec::with_capacity(HEADER_LEN + body.len());
        record.extend_from_slice(&header.encode());
        record.extend_from_slice(body);
        record
    }
}

/// Messages held ahead of the next one. The longest flight has six.
const MAX_AHEAD: u16 = 8;
/// Messages of one direction in all. A handshake has six, and two more with HelloVerifyRequests.
const MAX_MESSAGES: u16 = 64;
/// ChangeCipherSpecs passed on: the real one, and as many more as forgeries and repeats may cost.
const MAX_CIPHER_CHANGES: usize = 16;
/// Encrypted handshake records that wait for the ChangeCipherSpec.
const MAX_EARLY_FINISHED: usize = 8;
