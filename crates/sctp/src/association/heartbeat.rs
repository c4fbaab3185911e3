//! HEARTBEATs on an idle path (RFC 9260 §8.3).

use std::time::{Duration, Instant};

use rand::Rng;

use crate::wire::{Chunk, Heartbeat};

use super::Association;

/// One heartbeat at a time.
#[derive(Debug, Default)]
pub(super) struct HeartbeatState {
    /// When the next one is sent, or the last one counts as unanswered.
    pub(super) deadline: Option<Instant>,
    /// The one under way: what it says, and when it left.
    waiting: Option<([u8; NONCE], Instant)>,
}

impl Association {
    /// Starts the interval, after which the path counts as idle.
    pub(super) fn schedule_heartbeat(&mut self, now: Instant) {
        self.heartbeat.deadline = self.config.heartbeat_interval.map(|interval| {
            let rto = self.sender.rtt.rto();
            // ± 50 % of the RTO, so that many associations do not beat together.
            let jitter = rto.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
            now + interval + rto / 2 + jitter
        });
    }

    pub(super) fn handle_heartbeat_timeout(&mut self, now: Instant) {
        if self.heartbeat.deadline.is_none_or(|at| now < at) {
            return;
        }
        if self.heartbeat.waiting.take().is_some() {
            self.count_error();
        }
        self.schedule_heartbeat(now);
        if self.sender.outstanding_tsns() > 0 {
            // Not idle: the DATA under way tells as much.
            return;
        }
        let mut nonce = [0; NONCE];
        self.rng.fill_bytes(&mut nonce);
        self.heartbeat.waiting = Some((nonce, now));
        self.queue_control(Chunk::Heartbeat(Heartbeat {
            info: nonce.to_vec().into(),
        }));
    }

    /// Returned as it came, if that is not too much.
    pub(super) fn handle_heartbeat(&mut self, heartbeat: &Heartbeat<'_>) {
        if self.peer.is_none() || !self.phase.is_connected() {
            self.counters.drops.unexpected_chunk += 1;
            return;
        }
        if heartbeat.info.len() > self.limits.echo {
            self.counters.drops.control_limit += 1;
            return;
        }
        self.queue_control(Chunk::HeartbeatAck(heartbeat.clone().into_owned()));
    }

    /// Only the answer to what was asked tells anything: the nonce cannot be guessed.
    pub(super) fn handle_heartbeat_ack(&mut self, now: Instant, heartbeat: &Heartbeat<'_>) {
        match self.heartbeat.waiting {
            Some((nonce, sent_at)) if *heartbeat.info == nonce => {
                self.heartbeat.waiting = None;
                self.errors = 0;
                let rtt: Duration = now.saturating_duration_since(sent_at);
                self.sender.rtt.sample(now, rtt);
            }
            _ => self.counters.drops.heartbeat_ack += 1,
        }
    }
}

const NONCE: usize = 16;
