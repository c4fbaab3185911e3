//! The DTLS transport: from signalling's role and fingerprints through the handshake to keys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom_dtls::{
    Certificate, Config, Connected, EarlyFlight, Fingerprint, Handshake, KeyLog, Opened, Opener,
    Role, Usage, records,
};
use peerloom_ice::LocalId;
use peerloom_sctp::Packet;

use super::driver::Driver;
use super::lock::assert_unlocked;
use super::writer::Control;
use crate::certificate::RemoteCertificate;
use crate::error::Reason;
use crate::stats::{DtlsStats, count};

/// What the descriptions say about DTLS.
#[derive(Clone, Debug)]
pub(crate) struct DtlsParameters {
    pub(crate) role: Role,
    pub(crate) fingerprints: Vec<Fingerprint>,
}

pub(crate) struct DtlsTransport {
    certificate: Certificate,
    key_log: Option<Arc<dyn KeyLog>>,
    offer_srtp: bool,
    handshake_timeout: Duration,
    parameters: Option<DtlsParameters>,
    state: State,
    /// Where the handshake's datagrams go: the selected pair, or before there is one, where the
    /// last of the other end's came from.
    reply_to: Option<(LocalId, SocketAddr)>,
    stats: DtlsStats,
}

enum State {
    /// For signalling or for a path. A flight that came first is kept.
    Waiting(EarlyFlight),
    Handshaking(Box<Handshake>),
    Established(Box<Opener>),
}

impl DtlsTransport {
    pub(crate) fn new(certificate: Certificate, config: &crate::config::Config) -> Self {
        DtlsTransport {
            certificate,
            key_log: config.key_log.clone(),
            offer_srtp: config.offer_srtp,
            handshake_timeout: config.handshake_timeout,
            parameters: None,
            state: State::Waiting(EarlyFlight::default()),
            reply_to: None,
            stats: DtlsStats::default(),
        }
    }

    /// The first parameters stay: DTLS 1.2 keeps its association, and signalling refuses a change
    /// of role or certificate.
    pub(super) fn set_parameters(&mut self, parameters: DtlsParameters) {
        self.stats.role = Some(parameters.role);
        self.parameters.get_or_insert(parameters);
    }

    /// Whether an answer has made a transport.
    pub(super) fn has_parameters(&self) -> bool {
        self.parameters.is_some()
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(self.state, State::Established(_))
    }

    pub(super) fn stats(&self) -> DtlsStats {
        let drops = match &self.state {
            State::Waiting(_) => None,
            State::Handshaking(handshake) => Some(handshake.drops()),
            State::Established(opener) => Some(opener.drops()),
        };
        let received = match &self.state {
            State::Established(opener) => opener.usage(),
            State::Waiting(_) | State::Handshaking(_) => Usage::default(),
        };
        DtlsStats {
            handshaking: matches!(self.state, State::Handshaking(_)),
            received,
            drops: drops.cloned().unwrap_or_default(),
            ..self.stats.clone()
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Handshaking(handshake) => handshake.poll_timeout(),
            State::Waiting(_) | State::Established(_) => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let State::Handshaking(handshake) = &mut self.state
            && handshake.poll_timeout().is_some_and(|at| at <= now)
        {
            handshake.handle_timeout(now);
        }
    }

    /// Contact is back after silence: repeats need not wait for their back-off.
    pub(super) fn path_resumed(&mut self, now: Instant) {
        if let State::Handshaking(handshake) = &mut self.state {
            handshake.path_resumed(now);
        }
    }
}

impl Driver {
    /// Starts the handshake when it can start, drives it, and takes the keys over when it is done.
    pub(super) fn poll_dtls(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Reason> {
        self.start_handshake(now)?;
        let State::Handshaking(handshake) = &mut self.dtls.state else {
            return Ok(());
        };
        assert_unlocked("a handshake");
        let done = handshake.poll(cx, now);
        let mut flight = Vec::new();
        while let Some(datagram) = handshake.poll_transmit() {
            flight.push(datagram);
        }
        for datagram in flight {
            self.send_handshake(now, datagram);
        }
        match done {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(connected)) => self.take_over(now, connected),
            Poll::Ready(Err(error)) => Err(Reason::Dtls(Arc::new(error))),
        }
    }

    fn start_handshake(&mut self, now: Instant) -> Result<(), Reason> {
        let dtls = &mut self.dtls;
        let State::Waiting(early) = &mut dtls.state else {
            return Ok(());
        };
        let Some(parameters) = &dtls.parameters else {
            return Ok(());
        };
        // A server answers whoever passed a check; a client needs somewhere to send to.
        if self.ice.selected.is_none() && early.is_empty() {
            return Ok(());
        }
        let mut config = Config::new(
            dtls.certificate.clone(),
            parameters.role,
            parameters.fingerprints.clone(),
        );
        config.key_log = dtls.key_log.clone();
        config.limits.deadline = dtls.handshake_timeout;
        if let Some(rtt) = self.ice.selected.as_ref().and_then(|pair| pair.rtt) {
            config = config.with_rtt(rtt);
        }
        if !dtls.offer_srtp {
            config.srtp_profiles.clear();
        }
        let mut handshake =
            Handshake::new(config, now).map_err(|error| Reason::Task(error.to_string()))?;
        early.replay(now, &mut handshake);
        dtls.state = State::Handshaking(Box::new(handshake));
        self.update_connection_state();
        Ok(())
    }

    fn send_handshake(&mut self, now: Instant, payload: Bytes) {
        let to = match &self.ice.selected {
            Some(pair) => Some((pair.local, pair.remote)),
            None => self.dtls.reply_to,
        };
        if let Some((local, destination)) = to
            && let Some(socket) = self.ice.socket(local)
        {
            let bytes = payload.len() as u64;
            let agent = &mut self.ice.agent;
            agent.note_sent(now, local, destination, 1, bytes);
            self.send_datagram(Control::Datagram {
                socket,
                destination,
                payload,
            });
        }
    }

    /// The handshake is complete and the other end is who signalling said: keys to the writer,
    /// SCTP starts.
    fn take_over(&mut self, now: Instant, connected: Connected) -> Result<(), Reason> {
        let Connected {
            sealer,
            mut opener,
            srtp,
            cipher_suite,
            remote_certificate,
            mut early,
            keys: _,
        } = connected;
        self.dtls.stats.established = true;
        self.dtls.stats.cipher_suite = Some(cipher_suite);
        self.dtls.stats.srtp_profile = srtp.as_ref().map(|keying| keying.profile);
        let _ = self
            .shared
            .remote_certificate
            .set(RemoteCertificate::new(&remote_certificate));
        self.dtls.stats.remote_certificate = Some(remote_certificate);
        self.pending_control
            .push_back(Control::Keys(Box::new(sealer)));
        self.send_control(now);
        let role = match self
            .dtls
            .parameters
            .as_ref()
            .map(|parameters| parameters.role)
        {
            Some(Role::Client) => peerloom_datachannel::Role::Client,
            Some(Role::Server) | None => peerloom_datachannel::Role::Server,
        };
        self.with_session(|session| {
            session.set_role(now, role);
            session.connect(now);
        })?;
        // Application data that overtook the end of the handshake.
        let mut packets = Vec::new();
        for record in &mut early {
            match opener.open(record) {
                Opened::ApplicationData(plaintext) => self.decode(plaintext, &mut packets),
                Opened::CloseNotify => return Err(Reason::Remote),
                Opened::FatalAlert(alert) => return Err(Reason::DtlsAlert(alert)),
                // The flight that is asked for again has just left.
                Opened::RepeatLastFlight | Opened::Ignored(_) => {}
            }
        }
        self.handle_packets(now, &packets)?;
        self.dtls.state = State::Established(Box::new(opener));
        self.update_connection_state();
        Ok(())
    }

    /// One datagram of DTLS from an address that passed a check. Opened packets are added to
    /// `packets`, borrowed from the datagram.
    pub(super) fn handle_dtls<'a>(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        datagram: &'a mut [u8],
        packets: &mut Vec<Packet<'a>>,
    ) -> Result<(), Reason> {
        assert_unlocked("open");
        let opener = match &mut self.dtls.state {
            State::Established(opener) => opener,
            State::Handshaking(handshake) => {
                self.dtls.reply_to = Some((local, source));
                handshake.handle_datagram(now, datagram);
                return Ok(());
            }
            State::Waiting(early) => {
                self.dtls.reply_to = Some((local, source));
                if !early.push(datagram) {
                    count(&self.shared.counters.early_dtls);
                }
                return Ok(());
            }
        };
        let mut repeat = false;
        for record in records(datagram) {
            match opener.open(record) {
                Opened::ApplicationData(plaintext) => {
                    match Packet::decode_with(plaintext, self.checksum) {
                        Ok(packet) => packets.push(packet),
                        Err(_) => count(&self.shared.counters.sctp_malformed),
                    }
                }
                Opened::CloseNotify => return Err(Reason::Remote),
                Opened::FatalAlert(alert) => return Err(Reason::DtlsAlert(alert)),
                Opened::RepeatLastFlight => repeat = true,
                // Counted by the opener, by reason.
                Opened::Ignored(_) => {}
            }
        }
        if repeat {
            let flight = opener.last_flight(now).to_vec();
            for datagram in flight {
                self.send_handshake(now, datagram);
            }
        }
        Ok(())
    }
}
