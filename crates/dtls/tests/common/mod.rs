//! Two ends on a simulated path, driven on tokio's paused clock.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::allow_attributes,
    reason = "test support; each test binary uses its part of it"
)]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use peerloom_dtls::{
    Certificate, Config, Connected, ContentType, Fingerprint, HEADROOM, Handshake, HandshakeError,
    HashAlgorithm, OVERHEAD, Opened, Role, records,
};
use peerloom_sctp::sim::{Duplex, LinkConfig, Loss, Reorder, Side};
use tokio::sync::{Mutex, mpsc};
use webrtc_dtls::config::{ClientAuthType, ExtendedMasterSecretType};
use webrtc_dtls::conn::DTLSConn;
use webrtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

/// The largest datagram that may ever leave us.
pub const MAX_DATAGRAM: usize = 1200;

pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Two certificates, made once: key generation is most of what a handshake costs.
pub fn certificates() -> &'static [Certificate; 2] {
    static CERTIFICATES: OnceLock<[Certificate; 2]> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        [
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
        ]
    })
}

pub fn config(role: Role) -> Config {
    let [client, server] = certificates();
    let (ours, theirs) = match role {
        Role::Client => (client, server),
        Role::Server => (server, client),
    };
    Config::new(ours.clone(), role, vec![theirs.fingerprint()]).with_rtt(Duration::from_millis(40))
}

/// One end of the path.
pub trait End {
    fn handle(&mut self, now: Instant, datagram: &mut [u8]);
    /// Runs it and returns what it sends.
    fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Vec<Vec<u8>>;
    fn timeout(&self) -> Option<Instant> {
        None
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn is_done(&self) -> bool;
}

/// Our end: a handshake, and afterwards its record layer.
pub struct Ours {
    pub handshake: Handshake,
    pub result: Option<Result<Connected, HandshakeError>>,
    pub received: Vec<Vec<u8>>,
    repeat: Vec<Bytes>,
}

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.handshake, self.result)
    }
}

impl Ours {
    pub fn new(config: Config) -> Self {
        let handshake = Handshake::new(config, now()).unwrap();
        Self {
            handshake,
            result: None,
            received: Vec::new(),
            repeat: Vec::new(),
        }
    }

    pub fn connected(&mut self) -> &mut Connected {
        match &mut self.result {
            Some(Ok(connected)) => connected,
            other => panic!("not connected: {other:?}, {:?}", self.handshake),
        }
    }

    pub fn error(&self) -> &HandshakeError {
        match &self.result {
            Some(Err(error)) => error,
            other => panic!("no error: {other:?}, {:?}", self.handshake),
        }
    }

    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut record = vec![0; OVERHEAD + plaintext.len()];
        record[HEADROOM..HEADROOM + plaintext.len()].copy_from_slice(plaintext);
        self.connected()
            .sealer
            .seal(ContentType::ApplicationData, &mut record)
            .unwrap();
        record
    }
}

impl End for Ours {
    fn handle(&mut self, now: Instant, datagram: &mut [u8]) {
        let Some(Ok(connected)) = &mut self.result else {
            self.handshake.handle_datagram(now, datagram);
            return;
        };
        for record in records(datagram) {
            match connected.opener.open(record) {
                Opened::ApplicationData(data) => self.received.push(data.to_vec()),
                Opened::RepeatLastFlight => {
                    self.repeat
                        .extend(connected.opener.last_flight(now).iter().cloned());
                }
                Opened::CloseNotify | Opened::FatalAlert(_) | Opened::Ignored(_) => {}
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Vec<Vec<u8>> {
        if self.result.is_none()
            && let Poll::Ready(result) = self.handshake.poll(cx, now)
        {
            self.result = Some(result.map(|mut connected| {
                for mut record in std::mem::take(&mut connected.early) {
                    if let Opened::ApplicationData(data) = connected.opener.open(&mut record) {
                        self.received.push(data.to_vec());
                    }
                }
                connected
            }));
        }
        let mut out: Vec<Vec<u8>> = self.repeat.drain(..).map(|bytes| bytes.to_vec()).collect();
        while let Some(datagram) = self.handshake.poll_transmit() {
            assert!(
                datagram.len() <= MAX_DATAGRAM,
                "datagram of {} bytes",
                datagram.len()
            );
            out.push(datagram.to_vec());
        }
        out
    }

    fn timeout(&self) -> Option<Instant> {
        self.handshake.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handshake.handle_timeout(now);
    }

    fn is_done(&self) -> bool {
        self.result.is_some()
    }
}

/// The engine alone, without any adapter, as a peer.
pub struct Raw {
    handshake: Pin<Box<dyn Future<Output = Result<DTLSConn, webrtc_dtls::Error>>>>,
    pub result: Option<Result<DTLSConn, webrtc_dtls::Error>>,
    inbound: mpsc::Sender<Vec<u8>>,
    outbound: mpsc::Receiver<Vec<u8>>,
}

pub struct RawConfig {
    pub role: Role,
    pub certificate: webrtc_dtls::crypto::Certificate,
    pub profiles: Vec<SrtpProtectionProfile>,
    pub extended_master_secret: ExtendedMasterSecretType,
}

impl RawConfig {
    pub fn new(role: Role) -> Self {
        Self {
            role,
            certificate: raw_certificate().clone(),
            profiles: vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80],
            extended_master_secret: ExtendedMasterSecretType::Request,
        }
    }
}

pub fn raw_certificate() -> &'static webrtc_dtls::crypto::Certificate {
    static CERTIFICATE: OnceLock<webrtc_dtls::crypto::Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        webrtc_dtls::crypto::Certificate::generate_self_signed(vec!["peer".into()]).unwrap()
    })
}

pub fn raw_fingerprint() -> Fingerprint {
    Fingerprint::of(&raw_certificate().certificate[0], HashAlgorithm::Sha256)
}

/// Our configuration for the raw engine as a peer.
pub fn config_for_raw(role: Role) -> Config {
    Config {
        remote_fingerprints: vec![raw_fingerprint()],
        ..config(role)
    }
}

impl Raw {
    pub fn new(config: RawConfig) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (inbound, rx) = mpsc::channel(1000);
        let (tx, outbound) = mpsc::channel(1000);
        let pipe = Arc::new(Pipe {
            rx: Mutex::new(rx),
            tx,
        });
        let is_client = config.role == Role::Client;
        let handshake = DTLSConn::new(
            pipe,
            webrtc_dtls::config::Config {
                certificates: vec![config.certificate],
                srtp_protection_profiles: config.profiles,
                client_auth: ClientAuthType::RequireAnyClientCert,
                insecure_skip_verify: true,
                extended_master_secret: config.extended_master_secret,
                flight_interval: Duration::from_millis(100),
                mtu: 1150,
                server_name: "peer".into(),
                ..Default::default()
            },
            is_client,
            None,
        );
        Self {
            handshake: Box::pin(handshake),
            result: None,
            inbound,
            outbound,
        }
    }

    pub fn connected(&self) -> &DTLSConn {
        match &self.result {
            Some(Ok(connection)) => connection,
            Some(Err(error)) => panic!("raw engine failed: {error}"),
            None => panic!("raw engine not connected"),
        }
    }
}

impl End for Raw {
    fn handle(&mut self, _: Instant, datagram: &mut [u8]) {
        let _ = self.inbound.try_send(datagram.to_vec());
    }

    fn poll(&mut self, cx: &mut Context<'_>, _: Instant) -> Vec<Vec<u8>> {
        if self.result.is_none()
            && let Poll::Ready(result) = self.handshake.as_mut().poll(cx)
        {
            self.result = Some(result);
        }
        let mut out = Vec::new();
        while let Poll::Ready(Some(datagram)) = self.outbound.poll_recv(cx) {
            out.push(datagram);
        }
        out
    }

    fn is_done(&self) -> bool {
        self.result.is_some()
    }
}

struct Pipe {
    rx: Mutex<mpsc::Receiver<Vec<u8>>>,
    tx: mpsc::Sender<Vec<u8>>,
}

#[async_trait]
impl webrtc_util::Conn for Pipe {
    async fn connect(&self, _: SocketAddr) -> Result<(), webrtc_util::Error> {
        Ok(())
    }
    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, webrtc_util::Error> {
        match self.rx.lock().await.recv().await {
            Some(datagram) => {
                buffer[..datagram.len()].copy_from_slice(&datagram);
                Ok(datagram.len())
            }
            None => std::future::pending().await,
        }
    }
    async fn recv_from(&self, _: &mut [u8]) -> Result<(usize, SocketAddr), webrtc_util::Error> {
        std::future::pending().await
    }
    async fn send(&self, datagram: &[u8]) -> Result<usize, webrtc_util::Error> {
        let _ = self.tx.send(datagram.to_vec()).await;
        Ok(datagram.len())
    }
    async fn send_to(&self, d: &[u8], _: SocketAddr) -> Result<usize, webrtc_util::Error> {
        self.send(d).await
    }
    fn local_addr(&self) -> Result<SocketAddr, webrtc_util::Error> {
        Ok(([0, 0, 0, 0], 0).into())
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }
    async fn close(&self) -> Result<(), webrtc_util::Error> {
        Ok(())
    }
    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

/// What happens to datagrams on their way: one in, any number out.
pub type Tamper<'a> = Box<dyn FnMut(Vec<u8>) -> Vec<Vec<u8>> + 'a>;

/// The path between two ends.
pub struct Path<'a> {
    pub link: Duplex,
    pub from_a: Tamper<'a>,
    pub from_b: Tamper<'a>,
}

impl<'a> Path<'a> {
    pub fn new(link: &LinkConfig, seed: u64) -> Self {
        Self {
            link: Duplex::new(link, seed),
            from_a: Box::new(|datagram| vec![datagram]),
            from_b: Box::new(|datagram| vec![datagram]),
        }
    }

    pub fn clean() -> Self {
        Self::new(&LinkConfig::with_rtt(Duration::from_millis(40)), 1)
    }

    pub fn lossy(loss: f64, seed: u64) -> Self {
        let link = LinkConfig {
            loss: Loss::Random(loss),
            duplicate: 0.05,
            reorder: Some(Reorder {
                probability: 0.25,
                depth: 4,
                longest: Duration::from_millis(30),
            }),
            jitter: Duration::from_millis(10),
            ..LinkConfig::with_rtt(Duration::from_millis(40))
        };
        Self::new(&link, seed)
    }

    /// Drives both ends until both are done or `limit` has passed; returns how long it took.
    pub async fn run(
        &mut self,
        a: &mut impl End,
        b: &mut impl End,
        limit: Duration,
    ) -> Option<Duration> {
        let start = now();
        let end = start + limit;
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|cx| {
            loop {
                let now = now();
                if now >= end {
                    return Poll::Ready(None);
                }
                let mut moved = false;
                for datagram in a.poll(cx, now) {
                    moved = true;
                    for datagram in (self.from_a)(datagram) {
                        self.link.send(now, Side::A, &datagram);
                    }
                }
                for datagram in b.poll(cx, now) {
                    moved = true;
                    for datagram in (self.from_b)(datagram) {
                        self.link.send(now, Side::B, &datagram);
                    }
                }
                while let Some(mut datagram) = self.link.receive(now, Side::A) {
                    moved = true;
                    a.handle(now, &mut datagram);
                }
                while let Some(mut datagram) = self.link.receive(now, Side::B) {
                    moved = true;
                    b.handle(now, &mut datagram);
                }
                if a.is_done() && b.is_done() {
                    return Poll::Ready(Some(now - start));
                }
                if moved {
                    continue;
                }
                let next = [
                    Some(end),
                    self.link.poll_timeout(),
                    a.timeout(),
                    b.timeout(),
                ];
                let next = next.into_iter().flatten().min().unwrap_or(end);
                if next > now {
                    sleep.as_mut().reset(next.into());
                    if sleep.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                } else {
                    a.handle_timeout(now);
                    b.handle_timeout(now);
                }
            }
        })
        .await
    }
}

/// A record as it is on the wire, for tests that make or change them.
#[derive(Clone, Debug)]
pub struct Record {
    pub kind: u8,
    pub epoch: u16,
    pub sequence: u64,
    pub body: Vec<u8>,
}

impl Record {
    pub fn handshake(sequence: u64, body: Vec<u8>) -> Self {
        Self {
            kind: 22,
            epoch: 0,
            sequence,
            body,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.kind, 0xfe, 0xfd];
        out.extend((u64::from(self.epoch) << 48 | self.sequence).to_be_bytes());
        out.extend((self.body.len() as u16).to_be_bytes());
        out.extend(&self.body);
        out
    }
}

pub fn parse(datagram: &[u8]) -> Vec<Record> {
    let mut datagram = datagram.to_vec();
    records(&mut datagram)
        .map(|record| Record {
            kind: record[0],
            epoch: u16::from_be_bytes([record[3], record[4]]),
            sequence: u64::from_be_bytes(record[3..11].try_into().unwrap()) & ((1 << 48) - 1),
            body: record[13..].to_vec(),
        })
        .collect()
}

/// A fragment of a handshake message with its header.
pub fn fragment(kind: u8, length: usize, sequence: u16, offset: usize, data: &[u8]) -> Vec<u8> {
    let u24 = |value: usize| (value as u32).to_be_bytes()[1..].to_vec();
    let mut out = vec![kind];
    out.extend(u24(length));
    out.extend(sequence.to_be_bytes());
    out.extend(u24(offset));
    out.extend(u24(data.len()));
    out.extend(data);
    out
}

/// Cuts every ClientHello in two datagrams and sends the second half first, as browsers' hellos with
/// a post-quantum key share arrive when the path reorders. All clear-text records get new numbers.
pub fn fragment_and_reorder_hello() -> Tamper<'static> {
    let mut number = 0;
    Box::new(move |datagram| {
        let mut out = Vec::new();
        let mut rest = Vec::new();
        for mut record in parse(&datagram) {
            if record.epoch == 0 && record.kind == 22 && record.body[0] == 1 {
                let message = record.body[12..].to_vec();
                let sequence = u16::from_be_bytes([record.body[4], record.body[5]]);
                let cut = message.len() * 2 / 3;
                for (offset, half) in [(cut, &message[cut..]), (0, &message[..cut])] {
                    let body = fragment(1, message.len(), sequence, offset, half);
                    out.push(Record::handshake(number, body).encode());
                    number += 1;
                }
                continue;
            }
            if record.epoch == 0 {
                record.sequence = number;
                number += 1;
            }
            rest.extend(record.encode());
        }
        if !rest.is_empty() {
            out.push(rest);
        }
        out
    })
}

/// The UDP payloads of a capture (LINKTYPE_ETHERNET), with the source port of each.
pub fn capture(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut out = Vec::new();
    let mut at = 24;
    while at < bytes.len() {
        let len = u32_at(at + 8);
        let ip = &bytes[at + 16 + 14..at + 16 + len];
        let udp = &ip[usize::from(ip[0] & 15) * 4..];
        out.push((u16::from_be_bytes([udp[0], udp[1]]), udp[8..].to_vec()));
        at += 16 + len;
    }
    out
}
