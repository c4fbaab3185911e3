//! The handshake: INIT, INIT-ACK, COOKIE-ECHO, COOKIE-ACK (RFC 9260 §5).
//!
//! Below WebRTC both ends call `connect`, so that INITs cross on the way; the collision of §5.2.1
//! and action B of §5.2.4 are the normal path here.

use std::time::Instant;

use rand::Rng;

use crate::error::CloseReason;
use crate::event::Event;
use crate::recv::Inbound;
use crate::send::PeerAbilities;
use crate::serial::Tsn;
use crate::timer::Timer;
use crate::wire::{
    Abort, Cause, Chunk, CookieEcho, ErrorChunk, Init, Packet, Param, ShutdownComplete,
    ZERO_CHECKSUM_DTLS, chunk_type,
};

use super::cookie::{Cookie, CookieError};
use super::state::{Peer, Phase};
use super::{Association, tag};

impl Association {
    /// Starts the handshake (§5.1 A). Without effect if that was done before, here or by the peer.
    /// Then transmit.
    pub fn connect(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Idle) {
            self.phase = Phase::CookieWait {
                t1: Timer::start(now, self.sender.rtt.handshake_rto()),
            };
            self.queue_init();
        }
    }

    fn queue_init(&mut self) {
        self.replies
            .retain(|(_, chunk)| !matches!(chunk, Chunk::Init(_)));
        let init = self.init(self.local_tag, self.local_tsn, Vec::new());
        self.queue_reply(0, Chunk::Init(init));
    }

    /// An INIT or INIT-ACK of ours.
    fn init(&self, tag: u32, tsn: Tsn, mut params: Vec<Param<'static>>) -> Init<'static> {
        let mut extensions = vec![chunk_type::PAD];
        if self.config.stream_reset {
            extensions.push(chunk_type::RECONFIG);
        }
        if self.config.partial_reliability {
            extensions.push(chunk_type::FORWARD_TSN);
            params.push(Param::ForwardTsnSupported);
        }
        if self.config.interleaving {
            extensions.push(chunk_type::I_DATA);
            if self.config.partial_reliability {
                extensions.push(chunk_type::I_FORWARD_TSN);
            }
        }
        params.push(Param::SupportedExtensions(extensions.into()));
        if self.config.zero_checksum {
            params.push(Param::ZeroChecksumAcceptable(ZERO_CHECKSUM_DTLS));
        }
        let a_rwnd = self
            .inbound
            .as_ref()
            .map_or(self.config.first_window(), |inbound| {
                inbound.a_rwnd() as usize
            });
        Init {
            initiate_tag: tag,
            // §3.3.2: at least 1500, even if the application has fallen behind.
            a_rwnd: u32::try_from(a_rwnd.max(1500)).unwrap_or(u32::MAX),
            outbound_streams: self.config.outbound_streams,
            inbound_streams: self.config.inbound_streams,
            initial_tsn: tsn,
            params,
        }
    }

    /// §5.1 B, §5.2.1, §5.2.2: answered without keeping anything.
    pub(super) fn handle_init(&mut self, now: Instant, init: &Init<'_>) {
        if let Err(cause) = check_init(init) {
            self.counters.drops.malformed_chunk += 1;
            if init.initiate_tag != 0 {
                let abort = Abort {
                    reflected_tag: false,
                    causes: vec![cause],
                };
                self.queue_reply(init.initiate_tag, Chunk::Abort(abort));
            }
            return;
        }
        let peer_tie_tag = self.peer.map_or(0, |peer| peer.tag);
        let (local_tag, local_tsn, local_tie_tag) = match self.phase {
            // There is nothing to tie to, and this object has one peer: the tag it would choose is
            // already chosen.
            Phase::Idle => (self.local_tag, self.local_tsn, 0),
            // §5.2.1: the same parameters as in our own INIT.
            Phase::CookieWait { .. } | Phase::CookieEchoed { .. } => {
                (self.local_tag, self.local_tsn, self.local_tag)
            }
            // §5.2.2: the peer may have restarted. Nothing changes before its cookie is back.
            Phase::Established
            | Phase::ShutdownPending
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived => {
                (tag(&mut self.rng), Tsn(self.rng.next_u32()), self.local_tag)
            }
            // §9.2: the peer missed the SHUTDOWN-ACK.
            Phase::ShutdownAckSent { .. } => {
                self.queue_control(Chunk::ShutdownAck);
                return;
            }
            Phase::Ended => return,
        };
        let cookie = Cookie {
            made_at: self.jar.time(now),
            local_tag,
            local_tsn,
            peer: peer_of(init),
            local_tie_tag,
            peer_tie_tag,
        };
        let mut params = vec![Param::StateCookie(self.jar.seal(&cookie).into())];
        let mut echoed = 0;
        for param in init.unrecognized() {
            echoed += param.len();
            if echoed > self.limits.echo {
                self.counters.drops.control_limit += 1;
                break;
            }
            params.push(Param::Unrecognized(param.into()));
        }
        let mut answer = self.init(local_tag, local_tsn, params);
        while answer_len(&answer) > self.config.max_packet_size {
            // Reports are a courtesy; the cookie is not.
            let Some(last) = answer
                .params
                .iter()
                .rposition(|p| matches!(p, Param::Unrecognized(_)))
            else {
                break;
            };
            answer.params.remove(last);
        }
        // A flood of INITs is worth one answer: the last.
        self.replies
            .retain(|(_, chunk)| !matches!(chunk, Chunk::InitAck(_)));
        self.queue_reply(init.initiate_tag, Chunk::InitAck(answer));
    }

    /// §5.1 C.
    pub(super) fn handle_init_ack(&mut self, now: Instant, init: &Init<'_>) {
        let Phase::CookieWait { t1 } = &self.phase else {
            // §5.2.3.
            self.counters.drops.unexpected_chunk += 1;
            return;
        };
        let attempts = t1.attempts;
        if let Err(cause) = check_init(init) {
            self.counters.drops.malformed_chunk += 1;
            if init.initiate_tag != 0 {
                self.peer = Some(peer_of(init));
                self.send_abort(cause);
            }
            self.end(CloseReason::ProtocolViolation(
                "INIT-ACK with invalid parameters",
            ));
            return;
        }
        let Some(cookie) = init.state_cookie().map(<[u8]>::to_vec) else {
            self.peer = Some(peer_of(init));
            self.send_abort(Cause::MissingMandatoryParameter(smallvec::smallvec![
                STATE_COOKIE
            ]));
            self.end(CloseReason::ProtocolViolation("INIT-ACK without a cookie"));
            return;
        };
        self.adopt(peer_of(init));
        let unrecognized: Vec<u8> = init.unrecognized().flatten().collect();
        if !unrecognized.is_empty() && unrecognized.len() <= self.limits.echo {
            self.queue_error(Cause::UnrecognizedParameters(unrecognized.into()));
        }
        let mut t1 = Timer::start(now, self.sender.rtt.handshake_rto());
        t1.attempts = attempts.min(1);
        self.phase = Phase::CookieEchoed {
            t1,
            cookie,
            due: true,
        };
    }

    /// §5.1 D, §5.1.5, §5.2.4. False if the rest of the packet is to be left alone.
    pub(super) fn handle_cookie_echo(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        bytes: &[u8],
    ) -> bool {
        let opened = self.jar.open(now, bytes);
        let cookie = match opened {
            Ok(cookie) => cookie,
            Err(CookieError::Forged) => {
                self.counters.drops.forged_cookie += 1;
                return false;
            }
            // §5.2.4 step 3: good after all if it is the one of this association.
            Err(CookieError::Stale(cookie, _))
                if cookie.local_tag == self.local_tag
                    && self.peer.is_some_and(|peer| peer.tag == cookie.peer.tag) =>
            {
                cookie
            }
            Err(CookieError::Stale(cookie, by)) => {
                self.counters.drops.stale_cookie += 1;
                let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
                let error = ErrorChunk {
                    causes: vec![Cause::StaleCookie(micros)],
                };
                self.queue_reply(cookie.peer.tag, Chunk::Error(error));
                return false;
            }
        };
        if packet.verification_tag != cookie.local_tag {
            self.counters.drops.verification_tag += 1;
            return false;
        }
        if matches!(self.phase, Phase::Idle) {
            self.peer = None;
            return self.accept(now, &cookie);
        }
        // §5.2.4, table 12.
        let local = cookie.local_tag == self.local_tag;
        let peer_tag = self.peer.map(|peer| peer.tag);
        let remote = peer_tag == Some(cookie.peer.tag);
        let ties = cookie.local_tie_tag == self.local_tag
            && peer_tag.is_some_and(|tag| tag == cookie.peer_tie_tag);
        match (local, remote) {
            // D: a duplicate, or ours was faster.
            (true, true) => self.accept(now, &cookie),
            // B: both sides opened.
            (true, false) => {
                if self.phase.is_connected() {
                    // The peer restarted while INITs crossed, and we went with its former self.
                    return self.restart(now, &cookie);
                }
                self.accept(now, &cookie)
            }
            // A: the peer restarted.
            (false, false) if ties => self.restart(now, &cookie),
            // C, and what the table does not have.
            (false, _) => {
                self.counters.drops.unexpected_chunk += 1;
                false
            }
        }
    }

    /// The cookie belongs to this association: established, if it was not before.
    fn accept(&mut self, now: Instant, cookie: &Cookie) -> bool {
        if !self.phase.is_connected() {
            self.adopt(cookie.peer);
            self.establish(now);
        }
        self.acknowledge_cookie();
        true
    }

    /// §5.2.4 action A.
    fn restart(&mut self, now: Instant, cookie: &Cookie) -> bool {
        if matches!(self.phase, Phase::ShutdownAckSent { .. }) {
            self.queue_control(Chunk::ShutdownAck);
            self.queue_error(Cause::CookieReceivedWhileShuttingDown);
            return false;
        }
        self.local_tag = cookie.local_tag;
        self.local_tsn = cookie.local_tsn;
        self.control.clear();
        self.replies.clear();
        self.sender.restart(&self.config, cookie.local_tsn);
        self.adopt(cookie.peer);
        let limits = self.receive_limits();
        if let Some(inbound) = &mut self.inbound {
            inbound.restart(limits, cookie.peer.initial_tsn);
        }
        self.errors = 0;
        self.phase = Phase::Established;
        self.set_up(now);
        self.acknowledge_cookie();
        self.push_event(Event::Restarted);
        true
    }

    fn acknowledge_cookie(&mut self) {
        // §6.10: in front of anything else for the peer.
        if !matches!(self.control.front(), Some(Chunk::CookieAck)) {
            self.control.push_front(Chunk::CookieAck);
        }
    }

    pub(super) fn handle_cookie_ack(&mut self, now: Instant) {
        if let Phase::CookieEchoed { .. } = self.phase {
            self.establish(now);
        } else {
            // §5.2.5.
            self.counters.drops.unexpected_chunk += 1;
        }
    }

    /// §5.2.6: begin again; the number of attempts goes on.
    pub(super) fn handle_stale_cookie(&mut self, now: Instant) {
        if let Phase::CookieEchoed { t1, .. } = &self.phase {
            let mut t1 = *t1;
            t1.back_off(now, self.sender.rtt.handshake_rto(), self.config.t1_max);
            self.sender.lose_all();
            self.phase = Phase::CookieWait { t1 };
            self.queue_init();
            self.check_attempts(t1.attempts);
        }
    }

    /// Takes over what the peer said about itself.
    fn adopt(&mut self, peer: Peer) {
        let interleaving = peer.interleaving && self.config.interleaving;
        let forward_tsn = peer.forward_tsn && self.config.partial_reliability;
        self.peer = Some(Peer {
            forward_tsn,
            interleaving,
            reconfig: peer.reconfig && self.config.stream_reset,
            zero_checksum: peer.zero_checksum && self.config.zero_checksum,
            ..peer
        });
        let abilities = PeerAbilities {
            a_rwnd: peer.a_rwnd,
            forward_tsn,
            pad: peer.pad,
            interleaving,
        };
        self.sender.connected(self.outbound_streams(), abilities);
        if self.inbound.is_none() {
            self.inbound = Some(Inbound::new(self.receive_limits(), peer.initial_tsn));
        } else if !self.phase.is_connected() {
            // The INIT-ACK and the cookie may come from different lives of the peer.
            let limits = self.receive_limits();
            if let Some(inbound) = &mut self.inbound {
                inbound.restart(limits, peer.initial_tsn);
            }
        }
    }

    fn establish(&mut self, now: Instant) {
        self.phase = Phase::Established;
        self.errors = 0;
        self.set_up(now);
        self.sender.established(now);
        let peer = self.peer;
        self.push_event(Event::Connected {
            outbound_streams: self.outbound_streams(),
            inbound_streams: self.inbound_streams(),
            partial_reliability: peer.is_some_and(|p| p.forward_tsn),
            stream_reset: peer.is_some_and(|p| p.reconfig),
        });
        if self.shutdown_wanted {
            self.phase = Phase::ShutdownPending;
        }
    }

    fn set_up(&mut self, now: Instant) {
        if let Some(peer) = self.peer {
            self.reset_reconfiguration(peer.initial_tsn);
        }
        self.schedule_heartbeat(now);
    }

    /// T1-init and T1-cookie (§5.1.6, §4).
    pub(super) fn handle_handshake_timeout(&mut self, now: Instant) {
        let rto = self.sender.rtt.handshake_rto();
        let max = self.config.t1_max;
        let attempts = match &mut self.phase {
            Phase::CookieWait { t1 } if t1.is_due(now) => {
                t1.back_off(now, rto, max);
                let attempts = t1.attempts;
                self.queue_init();
                attempts
            }
            Phase::CookieEchoed { t1, due, .. } if t1.is_due(now) => {
                t1.back_off(now, rto, max);
                *due = true;
                let attempts = t1.attempts;
                self.sender.lose_all();
                attempts
            }
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established
            | Phase::ShutdownPending
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended => return,
        };
        self.check_attempts(attempts);
    }

    fn check_attempts(&mut self, attempts: u32) {
        if attempts > self.config.max_init_retransmits && !self.config.never_fail {
            self.replies.clear();
            self.end(CloseReason::ConnectTimeout { attempts });
        }
    }

    /// The path works again: what waits for T1 is sent now.
    pub(super) fn hurry_handshake(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::CookieWait { t1 } => {
                *t1 = Timer::start(now, self.sender.rtt.handshake_rto());
                self.queue_init();
            }
            Phase::CookieEchoed { t1, due, .. } => {
                *t1 = Timer::start(now, self.sender.rtt.handshake_rto());
                *due = true;
                self.sender.lose_all();
            }
            Phase::Idle
            | Phase::Established
            | Phase::ShutdownPending
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended => {}
        }
    }

    /// The COOKIE-ECHO, if it is to be sent.
    pub(super) fn take_cookie_echo(&mut self) -> Option<Chunk<'static>> {
        let Phase::CookieEchoed { cookie, due, .. } = &mut self.phase else {
            return None;
        };
        std::mem::take(due).then(|| {
            Chunk::CookieEcho(CookieEcho {
                cookie: cookie.clone().into(),
            })
        })
    }

    /// §8.5.1 E: before the association is up, a SHUTDOWN-ACK belongs to another one.
    pub(super) fn answer_stray_shutdown_ack(&mut self, packet: &Packet<'_>) {
        self.counters.drops.out_of_the_blue += 1;
        self.queue_reply(
            packet.verification_tag,
            Chunk::ShutdownComplete(ShutdownComplete {
                reflected_tag: true,
            }),
        );
    }
}

fn peer_of(init: &Init<'_>) -> Peer {
    Peer {
        tag: init.initiate_tag,
        initial_tsn: init.initial_tsn,
        a_rwnd: init.a_rwnd,
        outbound_streams: init.outbound_streams,
        inbound_streams: init.inbound_streams,
        forward_tsn: init.supports_forward_tsn(),
        reconfig: init.supports(chunk_type::RECONFIG),
        pad: init.supports(chunk_type::PAD),
        interleaving: init.supports(chunk_type::I_DATA)
            && (init.supports(chunk_type::I_FORWARD_TSN) || !init.supports_forward_tsn()),
        zero_checksum: init
            .params
            .contains(&Param::ZeroChecksumAcceptable(ZERO_CHECKSUM_DTLS)),
    }
}

/// What §3.3.2 and §3.3.3 forbid.
fn check_init(init: &Init<'_>) -> Result<(), Cause<'static>> {
    if let Some(host) = init.params.iter().find_map(|param| {
        if let Param::HostName(name) = param {
            Some(name)
        } else {
            None
        }
    }) {
        return Err(Cause::UnresolvableAddress(
            host.get(..64).unwrap_or(host).to_vec().into(),
        ));
    }
    let valid = init.initiate_tag != 0
        && init.outbound_streams != 0
        && init.inbound_streams != 0
        && init.a_rwnd >= 1500;
    if valid {
        Ok(())
    } else {
        Err(Cause::InvalidMandatoryParameter)
    }
}

fn answer_len(answer: &Init<'static>) -> usize {
    crate::wire::HEADER_LEN + Chunk::InitAck(answer.clone()).encoded_len()
}

/// Parameter type of the State Cookie (§3.3.3.1).
const STATE_COOKIE: u16 = 7;
