//! Received chunks: the verification tag rules (RFC 9260 §8.5), the dispatch, what is unknown (§3.2)
//! and what is out of the blue (§8.4).

use std::time::Instant;

use crate::error::CloseReason;
use crate::recv::{Disposition, Inbound, Violation};
use crate::send::SackOutcome;
use crate::serial::StreamId;
use crate::wire::{Abort, Cause, Chunk, ErrorChunk, Packet, Sack, ShutdownComplete, UnknownChunk};

use super::Association;
use super::state::Phase;

impl Association {
    /// The verification tag rules (RFC 9260 §8.5).
    pub(super) fn tag_fits(&self, packet: &Packet<'_>, chunk: &Chunk<'_>) -> bool {
        let tag = packet.verification_tag;
        let ours = tag == self.local_tag;
        let reflected = self.peer.is_some_and(|peer| peer.tag == tag);
        match chunk {
            // §8.5.1 A.
            Chunk::Init(_) => tag == 0,
            // §8.5.1 B, C.
            Chunk::Abort(Abort { reflected_tag, .. })
            | Chunk::ShutdownComplete(ShutdownComplete { reflected_tag }) => {
                if *reflected_tag {
                    reflected
                } else {
                    ours
                }
            }
            // §8.5.1 D: against the cookie, once that is known to be ours.
            Chunk::CookieEcho(_) => true,
            // §8.5.1 E: in these states it is out of the blue, and answered with its own tag.
            Chunk::ShutdownAck => {
                ours || matches!(
                    self.phase,
                    Phase::CookieWait { .. } | Phase::CookieEchoed { .. }
                )
            }
            Chunk::Data(_)
            | Chunk::InitAck(_)
            | Chunk::Sack(_)
            | Chunk::Heartbeat(_)
            | Chunk::HeartbeatAck(_)
            | Chunk::Shutdown(_)
            | Chunk::Error(_)
            | Chunk::CookieAck
            | Chunk::Reconfig(_)
            | Chunk::Pad(_)
            | Chunk::ForwardTsn(_)
            | Chunk::IData(_)
            | Chunk::IForwardTsn(_)
            | Chunk::Unknown(_) => ours,
        }
    }

    /// Handles one chunk. False if the rest of the packet is to be left alone.
    pub(super) fn handle_chunk(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        chunk: &Chunk<'_>,
    ) -> bool {
        match chunk {
            Chunk::Data(data) => {
                self.handle_data(now, data.stream, |inbound| inbound.on_data(data))
            }
            Chunk::IData(data) => {
                self.handle_data(now, data.stream, |inbound| inbound.on_i_data(data));
            }
            Chunk::Init(init) => self.handle_init(now, init),
            Chunk::InitAck(init) => self.handle_init_ack(now, init),
            Chunk::Sack(sack) => self.handle_sack(now, sack),
            Chunk::Heartbeat(heartbeat) => self.handle_heartbeat(heartbeat),
            Chunk::HeartbeatAck(heartbeat) => self.handle_heartbeat_ack(now, heartbeat),
            Chunk::Abort(abort) => self.handle_abort(abort),
            Chunk::Shutdown(shutdown) => self.handle_shutdown(now, *shutdown),
            Chunk::ShutdownAck => self.handle_shutdown_ack(packet),
            Chunk::Error(error) => self.handle_error(now, error),
            Chunk::CookieEcho(echo) => {
                return self.handle_cookie_echo(now, packet, &echo.cookie);
            }
            Chunk::CookieAck => self.handle_cookie_ack(now),
            Chunk::ShutdownComplete(_) => self.handle_shutdown_complete(),
            Chunk::Reconfig(reconfig) => self.handle_reconfig(now, reconfig),
            Chunk::Pad(_) => {}
            // RFC 3758 §3.3.2: not offered, so unknown; its type says skip and report.
            Chunk::ForwardTsn(_) | Chunk::IForwardTsn(_) if !self.config.partial_reliability => {
                self.counters.drops.unknown_chunk += 1;
            }
            Chunk::ForwardTsn(forward) => {
                self.handle_forward_tsn(now, |inbound| inbound.on_forward_tsn(forward));
            }
            Chunk::IForwardTsn(forward) => {
                self.handle_forward_tsn(now, |inbound| inbound.on_i_forward_tsn(forward));
            }
            Chunk::Unknown(unknown) => return self.handle_unknown(unknown),
        }
        !matches!(self.phase, Phase::Ended)
    }

    /// DATA and I-DATA (RFC 9260 §6.2, RFC 8260 §2.2).
    fn handle_data(
        &mut self,
        now: Instant,
        stream: StreamId,
        take: impl FnOnce(&mut Inbound) -> Result<Disposition, Violation>,
    ) {
        self.counters.data_received += 1;
        if !self.phase.may_receive_data() {
            self.counters.drops.unexpected_chunk += 1;
            return;
        }
        let Some(inbound) = &mut self.inbound else {
            return;
        };
        match take(inbound) {
            Ok(Disposition::InvalidStream) => {
                self.queue_error(Cause::InvalidStreamIdentifier(stream));
            }
            Ok(
                Disposition::Accepted
                | Disposition::Duplicate
                | Disposition::OutOfWindow
                | Disposition::NoRoom,
            ) => {}
            Err(violation) => self.abort_for(violation),
        }
        self.on_data_while_shutting_down(now);
    }

    /// FORWARD-TSN and I-FORWARD-TSN (RFC 3758 §3.6, RFC 8260 §2.3.2).
    fn handle_forward_tsn(
        &mut self,
        now: Instant,
        take: impl FnOnce(&mut Inbound) -> Result<(), Violation>,
    ) {
        if !self.phase.may_receive_data() {
            self.counters.drops.unexpected_chunk += 1;
            return;
        }
        let Some(inbound) = &mut self.inbound else {
            return;
        };
        if let Err(violation) = take(inbound) {
            self.abort_for(violation);
        }
        self.on_data_while_shutting_down(now);
    }

    fn handle_sack(&mut self, now: Instant, sack: &Sack) {
        self.counters.sacks_received += 1;
        let expected = self.phase.is_connected();
        if !expected {
            self.counters.drops.unexpected_chunk += 1;
            return;
        }
        let outcome = self.sender.handle_sack(now, sack);
        self.after_sack(outcome);
    }

    pub(super) fn after_sack(&mut self, outcome: SackOutcome) {
        match outcome {
            SackOutcome::Processed { progress } => {
                if progress {
                    self.errors = 0;
                }
            }
            SackOutcome::Old => self.counters.drops.old_sack += 1,
            SackOutcome::Nonsense => self.counters.drops.lying_sack += 1,
            SackOutcome::Impossible => {
                self.counters.drops.lying_sack += 1;
                self.violation("SACK of a TSN never sent");
            }
        }
    }

    fn handle_abort(&mut self, abort: &Abort<'_>) {
        let cause = abort.causes.first();
        let text = match cause {
            Some(Cause::UserInitiatedAbort(text) | Cause::ProtocolViolation(text)) => {
                let text = String::from_utf8_lossy(text.get(..256).unwrap_or(text));
                text.into_owned()
            }
            _ => String::new(),
        };
        self.end(CloseReason::PeerAbort(crate::AbortCause {
            code: cause.map(Cause::code),
            text,
        }));
    }

    fn handle_error(&mut self, now: Instant, error: &ErrorChunk<'_>) {
        for cause in &error.causes {
            // The others need no reaction: the peer says what of ours it ignores (§3.3.10).
            if let Cause::StaleCookie(_) = cause {
                self.handle_stale_cookie(now);
            }
        }
    }

    /// §3.2: the type's two highest bits say what to do.
    fn handle_unknown(&mut self, unknown: &UnknownChunk<'_>) -> bool {
        self.counters.drops.unknown_chunk += 1;
        let action = unknown.action();
        if action.reports() && self.peer.is_some() {
            self.queue_error(unknown.to_cause(self.limits.echo));
        }
        !action.stops()
    }

    /// Packets after the end (§8.4).
    pub(super) fn handle_out_of_the_blue(&mut self, packet: &Packet<'_>) {
        self.counters.drops.out_of_the_blue += 1;
        let silent = packet.chunks.iter().any(|chunk| match chunk {
            Chunk::Abort(_) | Chunk::ShutdownComplete(_) | Chunk::CookieAck => true,
            Chunk::Error(error) => error
                .causes
                .iter()
                .any(|cause| matches!(cause, Cause::StaleCookie(_))),
            Chunk::Data(_)
            | Chunk::Init(_)
            | Chunk::InitAck(_)
            | Chunk::Sack(_)
            | Chunk::Heartbeat(_)
            | Chunk::HeartbeatAck(_)
            | Chunk::Shutdown(_)
            | Chunk::ShutdownAck
            | Chunk::CookieEcho(_)
            | Chunk::Reconfig(_)
            | Chunk::Pad(_)
            | Chunk::ForwardTsn(_)
            | Chunk::IData(_)
            | Chunk::IForwardTsn(_)
            | Chunk::Unknown(_) => false,
        });
        if silent {
            return;
        }
        let (tag, answer) = match packet.chunks.first() {
            Some(Chunk::ShutdownAck) => (
                packet.verification_tag,
                Chunk::ShutdownComplete(ShutdownComplete {
                    reflected_tag: true,
                }),
            ),
            // §8.4 3: the INIT names the tag for the answer.
            Some(Chunk::Init(init)) => (init.initiate_tag, Chunk::Abort(Abort::default())),
            _ => (
                packet.verification_tag,
                Chunk::Abort(Abort {
                    reflected_tag: true,
                    causes: Vec::new(),
                }),
            ),
        };
        self.queue_reply(tag, answer);
    }
}
