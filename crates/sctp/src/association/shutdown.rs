//! The graceful end (RFC 9260 §9.2).

use std::time::Instant;

use crate::error::CloseReason;
use crate::timer::Timer;
use crate::wire::{Cause, Chunk, Packet, Shutdown, ShutdownComplete};

use super::Association;
use super::state::Phase;

impl Association {
    /// Ends the association once everything accepted is acknowledged. Nothing more can be sent.
    /// [`crate::Event::Closed`] follows. Then transmit.
    pub fn shutdown(&mut self, now: Instant) {
        self.shutdown_wanted = true;
        match self.phase {
            Phase::Idle => self.end(CloseReason::Shutdown),
            Phase::Established => {
                self.phase = Phase::ShutdownPending;
                self.proceed(now);
            }
            // Once established.
            Phase::CookieWait { .. } | Phase::CookieEchoed { .. } => {}
            Phase::ShutdownPending
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended => {}
        }
    }

    /// The next step once nothing is left to be acknowledged.
    pub(super) fn proceed_with_shutdown(&mut self, now: Instant) {
        let (pending, received) = match self.phase {
            Phase::ShutdownPending => (true, false),
            Phase::ShutdownReceived => (false, true),
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended => (false, false),
        };
        if !(pending || received) || !self.sender.is_done() {
            return;
        }
        let t2 = Timer::start(now, self.sender.rtt.rto());
        // T5-shutdown-guard.
        let guard = now + self.config.rto_max * GUARD_RTOS;
        if pending {
            self.shutdown_due = true;
            self.phase = Phase::ShutdownSent { t2, guard };
        } else {
            self.queue_control(Chunk::ShutdownAck);
            self.phase = Phase::ShutdownAckSent { t2, guard };
        }
    }

    pub(super) fn handle_shutdown(&mut self, now: Instant, shutdown: Shutdown) {
        match self.phase {
            Phase::Established | Phase::ShutdownPending | Phase::ShutdownReceived => {
                self.phase = Phase::ShutdownReceived;
                let outcome = self.sender.handle_cumulative(now, shutdown.cumulative_tsn);
                self.after_sack(outcome);
            }
            // Both sides at once: this side has sent everything, so has the peer.
            Phase::ShutdownSent { guard, .. } => {
                self.shutdown_due = false;
                self.queue_control(Chunk::ShutdownAck);
                let t2 = Timer::start(now, self.sender.rtt.rto());
                self.phase = Phase::ShutdownAckSent { t2, guard };
            }
            // The peer missed the SHUTDOWN-ACK; T2 repeats it.
            Phase::ShutdownAckSent { .. } => self.queue_shutdown_ack(),
            Phase::Idle | Phase::CookieWait { .. } | Phase::CookieEchoed { .. } | Phase::Ended => {
                self.counters.drops.unexpected_chunk += 1;
            }
        }
    }

    pub(super) fn handle_shutdown_ack(&mut self, packet: &Packet<'_>) {
        match self.phase {
            Phase::ShutdownSent { .. } | Phase::ShutdownAckSent { .. } => {
                if let Some(peer) = self.peer {
                    let complete = ShutdownComplete {
                        reflected_tag: false,
                    };
                    self.queue_reply(peer.tag, Chunk::ShutdownComplete(complete));
                }
                self.end(CloseReason::Shutdown);
            }
            Phase::CookieWait { .. } | Phase::CookieEchoed { .. } => {
                self.answer_stray_shutdown_ack(packet);
            }
            Phase::Idle
            | Phase::Established
            | Phase::ShutdownPending
            | Phase::ShutdownReceived
            | Phase::Ended => self.counters.drops.unexpected_chunk += 1,
        }
    }

    pub(super) fn handle_shutdown_complete(&mut self) {
        if let Phase::ShutdownAckSent { .. } = self.phase {
            self.end(CloseReason::Shutdown);
        } else {
            self.counters.drops.unexpected_chunk += 1;
        }
    }

    /// In SHUTDOWN-SENT, DATA is answered with a SHUTDOWN at once, and T2 starts over.
    pub(super) fn on_data_while_shutting_down(&mut self, now: Instant) {
        if let Phase::ShutdownSent { t2, .. } = &mut self.phase {
            *t2 = Timer::start(now, self.sender.rtt.rto());
            self.shutdown_due = true;
        }
    }

    /// T2-shutdown and T5-shutdown-guard.
    pub(super) fn handle_shutdown_timeout(&mut self, now: Instant) {
        let rto = self.sender.rtt.rto();
        let max = self.config.t3_max;
        let (t2, guard, acknowledging) = match &mut self.phase {
            Phase::ShutdownSent { t2, guard } => (t2, *guard, false),
            Phase::ShutdownAckSent { t2, guard } => (t2, *guard, true),
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established
            | Phase::ShutdownPending
            | Phase::ShutdownReceived
            | Phase::Ended => return,
        };
        if guard <= now {
            let attempts = t2.attempts;
            self.send_abort(Cause::ProtocolViolation(
                b"shutdown takes too long"[..].into(),
            ));
            self.end(CloseReason::RetransmissionTimeout { attempts });
            return;
        }
        if !t2.is_due(now) {
            return;
        }
        t2.back_off(now, rto, max);
        self.send_shutdown_again(acknowledging);
        self.count_error();
    }

    /// The path works again: what waits for T2 is sent now.
    pub(super) fn hurry_shutdown(&mut self, now: Instant) {
        let rto = self.sender.rtt.rto();
        let acknowledging = match &mut self.phase {
            Phase::ShutdownSent { t2, .. } => {
                *t2 = Timer::start(now, rto);
                false
            }
            Phase::ShutdownAckSent { t2, .. } => {
                *t2 = Timer::start(now, rto);
                true
            }
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established
            | Phase::ShutdownPending
            | Phase::ShutdownReceived
            | Phase::Ended => return,
        };
        self.send_shutdown_again(acknowledging);
    }

    fn send_shutdown_again(&mut self, acknowledging: bool) {
        if acknowledging {
            self.queue_shutdown_ack();
        } else {
            self.shutdown_due = true;
        }
    }

    fn queue_shutdown_ack(&mut self) {
        if !self.control.contains(&Chunk::ShutdownAck) {
            self.queue_control(Chunk::ShutdownAck);
        }
    }

    /// The SHUTDOWN, if it is to be sent: with what has been received until now.
    pub(super) fn take_shutdown(&mut self) -> Option<Chunk<'static>> {
        let inbound = self.inbound.as_ref()?;
        std::mem::take(&mut self.shutdown_due).then(|| {
            Chunk::Shutdown(Shutdown {
                cumulative_tsn: inbound.cumulative_tsn(),
            })
        })
    }
}

/// §9.2: five times RTO.Max.
const GUARD_RTOS: u32 = 5;
