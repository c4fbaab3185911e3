//! A handshake from the first datagram to the keys: routing, deadlines, take-over.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::alert::{Alert, AlertDescription};
use crate::certificate::KeyKind;
use crate::cipher_suite::CipherSuite;
use crate::config::Config;
use crate::der;
use crate::engine::webrtc::WebrtcEngine;
use crate::engine::{Engine, EngineConfig, Secrets};
use crate::error::{ConfigError, HandshakeError, Waiting};
use crate::fingerprint::{self, Fingerprint};
use crate::finished;
use crate::key_schedule::KeySchedule;
use crate::keylog::{CLIENT_RANDOM, KeyLog};
use crate::last_flight::LastFlight;
use crate::limits::Limits;
use crate::normalise::inward::{Inward, Passed};
use crate::normalise::outward::{Flight, Outward};
use crate::opener::Opener;
use crate::record::{ContentType, HEADER_LEN, RecordRef, VERSION, VERSION_1_0, split};
use crate::role::Role;
use crate::sealer::Sealer;
use crate::srtp::SrtpKeying;
use crate::stats::{DropReason, Drops};
use crate::transcript::Transcript;

/// A DTLS 1.2 handshake in progress.
///
/// The verbs: give it what arrives ([`handle_datagram`](Self::handle_datagram)) and the time
/// ([`handle_timeout`](Self::handle_timeout)), and after each of these, and whenever the waker of
/// the last poll is woken, call [`poll`](Self::poll) and then send everything that
/// [`poll_transmit`](Self::poll_transmit) has. Extra calls do nothing. Dropping it ends the engine's
/// two tasks.
pub struct Handshake {
    role: Role,
    engine: Option<Box<dyn Engine>>,
    failed: Option<HandshakeError>,
    inward: Inward,
    outward: Outward,
    transcript: Transcript,
    early: Early,
    alert: Option<PendingAlert>,
    fingerprints: Arc<[Fingerprint]>,
    key_log: Option<Arc<dyn KeyLog>>,
    started: Instant,
    limits: Limits,
    drops: Drops,
    /// Reused by every datagram.
    passed: Vec<Passed>,
}

/// What a handshake leaves. The peer's fingerprint matched and its Finished was checked.
#[derive(Debug)]
pub struct Connected {
    /// Seals what we send. Goes to the task that writes.
    pub sealer: Sealer,
    /// Opens what we receive. Goes to the task that reads.
    pub opener: Opener,
    /// The SRTP keys, if a profile was negotiated.
    pub srtp: Option<SrtpKeying>,
    /// The cipher suite.
    pub cipher_suite: CipherSuite,
    /// The peer's certificate in DER form.
    pub remote_certificate: Vec<u8>,
    /// Encrypted records that overtook the peer's Finished, in the order of arrival: open them first.
    pub early: Vec<BytesMut>,
    /// Exports keying material ([`KeySchedule::export`]).
    pub keys: KeySchedule,
}

impl Handshake {
    /// Starts one. Call [`poll`](Self::poll) next: a client has its ClientHello to send.
    ///
    /// # Errors
    /// A configuration that authenticates nobody.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let first_interval = config.clamped_interval();
        let fingerprints: Arc<[Fingerprint]> = config.remote_fingerprints.into();
        let engine = WebrtcEngine::new(EngineConfig {
            certificate: config.certificate,
            role: config.role,
            remote_fingerprints: Arc::clone(&fingerprints),
            srtp_profiles: config.srtp_profiles,
            require_extended_master_secret: config.require_extended_master_secret,
            repeat_interval: (first_interval / 2).min(MAX_ENGINE_INTERVAL),
        });
        let (engine, failed): (Option<Box<dyn Engine>>, _) = match engine {
            Ok(engine) => (Some(Box::new(engine)), None),
            Err(error) => (None, Some(error)),
        };
        Ok(Self {
            role: config.role,
            engine,
            failed,
            inward: Inward::new(config.role, config.limits.clone()),
            outward: Outward::new(config.role, first_interval, config.limits.repeat_interval),
            transcript: Transcript::default(),
            early: Early::default(),
            alert: None,
            fingerprints,
            key_log: config.key_log,
            started: now,
            limits: config.limits,
            drops: Drops::default(),
            passed: Vec::new(),
        })
    }

    /// A DTLS datagram from an address that passed an authenticated ICE check. After
    /// [`poll`](Self::poll) was ready, datagrams belong to the [`Opener`].
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if self.engine.is_none() {
            return;
        }
        for record in split(datagram) {
            let routed = match record {
                Ok(record) => self.route(now, &record),
                Err(_) => Err(DropReason::Malformed),
            };
            if let Err(reason) = routed {
                self.drops.add(reason);
            }
        }
        self.pass_on(now);
    }

    /// Runs the engine, inside a tokio runtime. Ready once: with the keys, or with what went wrong
    /// (send what [`poll_transmit`](Self::poll_transmit) has even then; the peer may get an alert).
    /// A failure stays.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Result<Connected, HandshakeError>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.clone()));
        }
        let Some(engine) = &mut self.engine else {
            return Poll::Pending;
        };
        let polled = engine.poll(cx);
        while let Poll::Ready(datagram) = engine.poll_produced(cx) {
            self.outward.produced(now, datagram, &mut self.transcript);
        }
        if let Some(cookie) = self.outward.cookie() {
            self.inward.set_cookie(&cookie);
        }
        if self.outward.changed_cipher() {
            self.inward.allow_change_cipher();
        }
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                self.engine = None;
                let result = result.and_then(|secrets| self.take_over(now, secrets));
                Poll::Ready(result.map_err(|error| self.fail(error)))
            }
        }
    }

    /// The next datagram to send, at most 1200 bytes.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.outward.poll_transmit()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.engine.as_ref()?;
        let alert = self.alert.as_ref().map(|alert| alert.due);
        [self.outward.poll_timeout(), alert]
            .into_iter()
            .flatten()
            .chain([self.deadline()])
            .min()
    }

    /// Time has passed: repeats what is due, gives up what is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.engine.is_none() {
            return;
        }
        if let Some(alert) = self.alert.take_if(|alert| alert.due <= now)
            && alert.progress == self.inward.progress()
        {
            self.fail(HandshakeError::Alert(alert.description));
            return;
        }
        if now >= self.deadline() {
            let error = HandshakeError::Timeout {
                waiting: self.waiting(),
                tries: self.outward.tries(),
                after: now.saturating_duration_since(self.started),
                last_seen: self.inward.last_seen(),
            };
            self.fail(error);
            return;
        }
        self.outward.handle_timeout(now);
    }

    /// The path works again after a silence (an authenticated ICE answer came): forgets the back-off
    /// and repeats at once.
    pub fn path_resumed(&mut self, now: Instant) {
        self.outward.resume(now);
    }

    /// Our role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What was dropped and why.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Where a record goes while there are no keys.
    fn route(&mut self, now: Instant, record: &RecordRef<'_>) -> Result<(), DropReason> {
        let header = &record.header;
        let kind = ContentType::from_wire(header.content_type).ok_or(DropReason::UnknownRecord)?;
        if header.version != VERSION && header.version != VERSION_1_0 {
            return Err(DropReason::UnknownRecord);
        }
        match (kind, header.epoch) {
            (ContentType::Handshake, 0) => {
                self.inward
                    .handshake(record, &mut self.drops, &mut self.passed);
                Ok(())
            }
            (ContentType::ChangeCipherSpec, 0) => {
                self.inward.change_cipher_spec(record, &mut self.passed)
            }
            (ContentType::Handshake, 1) => {
                self.inward.encrypted_handshake(record, &mut self.passed)
            }
            // An alert may close what the Finished before it has opened.
            (ContentType::ApplicationData | ContentType::Alert, 1) => {
                self.early.hold(record.raw, &self.limits)
            }
            (ContentType::Alert, 0) => self.clear_text_alert(now, record.body),
            (ContentType::ApplicationData, 0) => Err(DropReason::ClearText),
            (ContentType::ChangeCipherSpec, _) | (_, 2..) => Err(DropReason::Epoch),
        }
    }

    /// Anyone can send this, so it only counts if the handshake stands still afterwards.
    fn clear_text_alert(&mut self, now: Instant, body: &[u8]) -> Result<(), DropReason> {
        let description = match Alert::parse(body).ok_or(DropReason::Malformed)? {
            Alert::CloseNotify => AlertDescription::CLOSE_NOTIFY,
            Alert::Fatal(description) => description,
            Alert::Warning => return Err(DropReason::Pointless),
        };
        let progress = self.inward.progress();
        // The first one decides the time, else a stream of them would postpone it for ever.
        if self
            .alert
            .as_ref()
            .is_none_or(|alert| alert.progress != progress)
        {
            let patience = self.outward.interval() * ALERT_PATIENCE;
            self.alert = Some(PendingAlert {
                description,
                progress,
                due: now + patience,
            });
        }
        Err(DropReason::ClearText)
    }

    fn pass_on(&mut self, now: Instant) {
        let mut passed = std::mem::take(&mut self.passed);
        for passed in passed.drain(..) {
            let record = match passed {
                Passed::Message(record) => {
                    self.transcript.push(&record[HEADER_LEN..]);
                    record
                }
                Passed::Record(record) => record,
                Passed::Repeated if self.outward.peer_repeated(now) => {
                    match self.inward.repeat_hello() {
                        Ok(record) => record,
                        Err(reason) => {
                            self.drops.add(reason);
                            continue;
                        }
                    }
                }
                Passed::Repeated => continue,
            };
            if self
                .engine
                .as_mut()
                .is_some_and(|engine| !engine.feed(record))
            {
                self.drops.add(DropReason::Limit);
            }
        }
        self.passed = passed;
    }

    /// The engine is done and gone: everything from here on is ours.
    fn take_over(&mut self, now: Instant, secrets: Secrets) -> Result<Connected, HandshakeError> {
        // The engine has checked it when it verified the signature; this is the second lock.
        let verified = self.inward.certificate() == Some(&secrets.remote_certificate[..]);
        if !verified {
            return Err(HandshakeError::NoCertificate);
        }
        fingerprint::check(&self.fingerprints, &secrets.remote_certificate).map_err(|actual| {
            HandshakeError::FingerprintMismatch {
                expected: self.fingerprints.to_vec(),
                actual,
            }
        })?;
        let (client_random, server_random) = match self.role {
            Role::Client => (secrets.local_random, secrets.remote_random),
            Role::Server => (secrets.remote_random, secrets.local_random),
        };
        let keys = KeySchedule::new(&secrets.master_secret, client_random, server_random);
        let first_sequence = self
            .outward
            .highest_sequence()
            .map_or(0, |highest| highest + 1);
        let mut sealer = keys.sealer(self.role, first_sequence);
        for nonce in self.outward.nonces() {
            sealer.stop_before_nonce(*nonce);
        }
        let mut opener = keys.opener(self.role);
        let finished = finished::verify(
            &keys,
            self.role,
            &mut opener,
            &mut self.inward.take_finished(),
            self.outward.finished(),
            &self.transcript,
        );
        if let Err(error) = finished {
            if let Some(alert) = sealer.fatal_alert(AlertDescription::DECRYPT_ERROR) {
                self.outward.push(Bytes::copy_from_slice(&alert));
            }
            return Err(error);
        }
        opener.set_drops(self.drops.clone());
        if self.role == Role::Server {
            opener.set_last_flight(LastFlight::new(self.outward.take_sent(), now));
        }
        if let Some(key_log) = &self.key_log {
            key_log.log(CLIENT_RANDOM, keys.client_random(), &secrets.master_secret);
        }
        Ok(Connected {
            sealer,
            opener,
            srtp: secrets
                .srtp_profile
                .map(|profile| keys.srtp(profile, self.role)),
            cipher_suite: match self.role {
                Role::Client => CipherSuite::of_server(&secrets.remote_certificate),
                // Our own certificate is never RSA.
                Role::Server => CipherSuite::EcdheEcdsaAes128GcmSha256,
            },
            remote_certificate: secrets.remote_certificate,
            early: self.early.take(),
            keys,
        })
    }

    fn fail(&mut self, error: HandshakeError) -> HandshakeError {
        self.engine = None;
        let key = self
            .inward
            .certificate()
            .and_then(der::certificate)
            .map(|view| view.key);
        let error = match (error, key) {
            // What the engine calls a signature that does not verify is often one it cannot verify.
            (
                HandshakeError::BadSignature,
                Some(key @ (KeyKind::P384 | KeyKind::P521 | KeyKind::Other)),
            ) => HandshakeError::CertificateKeyUnsupported(key),
            (error, _) => error,
        };
        self.failed = Some(error.clone());
        error
    }

    fn waiting(&self) -> Waiting {
        match self.outward.flight() {
            Flight::None if self.role == Role::Server => Waiting::ClientHello,
            Flight::None | Flight::ClientHello(_) => Waiting::AnswerToClientHello,
            Flight::HelloVerifyRequest => Waiting::ClientHelloWithCookie,
            Flight::ServerHello => Waiting::AnswerToServerHello,
            Flight::ClientFinished | Flight::ServerFinished => Waiting::ServerFinished,
        }
    }

    fn deadline(&self) -> Instant {
        self.started + self.limits.deadline
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("role", &self.role)
            .field("flight", &self.outward.flight())
            .field("tries", &self.outward.tries())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Encrypted records that came before the keys. When it is full the newest is dropped: SCTP repeats
/// what it carries.
#[derive(Debug, Default)]
struct Early {
    records: Vec<BytesMut>,
    bytes: usize,
}

impl Early {
    fn hold(&mut self, record: &[u8], limits: &Limits) -> Result<(), DropReason> {
        if self.records.len() >= limits.early_records
            || self.bytes + record.len() > limits.early_bytes
        {
            return Err(DropReason::Limit);
        }
        self.bytes += record.len();
        self.records.push(BytesMut::from(record));
        Ok(())
    }

    fn take(&mut self) -> Vec<BytesMut> {
        std::mem::take(&mut self.records)
    }
}

/// An alert that nobody has vouched for.
#[derive(Debug)]
struct PendingAlert {
    description: AlertDescription,
    /// Messages passed on when it came.
    progress: u16,
    due: Instant,
}

/// How many of the current repeat intervals must pass without progress.
const ALERT_PATIENCE: u32 = 3;
/// The engine's repeats are made at half the first interval, so that one is always ready, but not
/// rarer than this, or a path that resumes would wait for it.
const MAX_ENGINE_INTERVAL: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Certificate;
    use crate::normalise::message::{MessageType, whole_header};
    use crate::record::Header;

    /// Fact: a P-384 certificate of the peer fails in the engine, as a signature that does not
    /// verify. The error names the key.
    #[tokio::test]
    async fn p384_certificate_of_the_peer_is_named() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key);
        let certificate = certificate.unwrap().der().to_vec();
        let mut hello = vec![0xfe, 0xfd];
        hello.extend([0; 32 + 1 + 2 + 1 + 2]);
        let [.., a0, a1, a2] = (certificate.len() as u32 + 3).to_be_bytes();
        let [.., b0, b1, b2] = (certificate.len() as u32).to_be_bytes();
        let list = [&[a0, a1, a2, b0, b1, b2], &certificate[..]].concat();

        let mut handshake = handshake(Role::Client);
        let messages = [
            (MessageType::SERVER_HELLO, hello),
            (MessageType::CERTIFICATE, list),
        ];
        for (sequence, (kind, body)) in messages.into_iter().enumerate() {
            let message = [&whole_header(kind, sequence as u16, body.len())[..], &body].concat();
            handshake.handle_datagram(now(), &record(ContentType::Handshake, &message));
        }
        assert_eq!(handshake.drops().total(), 0);
        let error = handshake.fail(HandshakeError::BadSignature);
        assert_eq!(
            error,
            HandshakeError::CertificateKeyUnsupported(KeyKind::P384)
        );
        assert_eq!(handshake.poll_timeout(), None);
    }

    /// A handshake that has failed stays failed and says the same again; extra calls do nothing.
    #[tokio::test]
    async fn failure_stays() {
        let mut handshake = handshake(Role::Server);
        let late = now() + Duration::from_secs(60);
        assert!(handshake.poll_timeout() < Some(late));
        for _ in 0..2 {
            handshake.handle_timeout(late);
            handshake.handle_datagram(late, &[22; 40]);
            let polled = std::future::poll_fn(|cx| Poll::Ready(handshake.poll(cx, late))).await;
            assert!(matches!(
                polled,
                Poll::Ready(Err(HandshakeError::Timeout { .. }))
            ));
            assert_eq!(handshake.poll_timeout(), None);
        }
    }

    fn handshake(role: Role) -> Handshake {
        let certificate = Certificate::generate().unwrap();
        let fingerprint = certificate.fingerprint();
        let none = Handshake::new(Config::new(certificate.clone(), role, vec![]), now());
        assert_eq!(none.unwrap_err(), ConfigError::NoFingerprint);
        Handshake::new(Config::new(certificate, role, vec![fingerprint]), now()).unwrap()
    }

    fn record(kind: ContentType, body: &[u8]) -> Vec<u8> {
        let length = body.len() as u16;
        let header = Header {
            content_type: kind as u8,
            version: VERSION,
            epoch: 0,
            sequence: 0,
            length,
        };
        [&header.encode()[..], body].concat()
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }
}
