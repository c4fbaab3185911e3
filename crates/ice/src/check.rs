//! One check: its transactions, and when it is sent again.
//!
//! Every transmission is a transaction of its own, as browsers do it, where RFC 8489 §6.2.1
//! repeats one id: each round trip is then measured without ambiguity, and an answer to any of
//! them counts.

use crate::event::Role;
use crate::stun::TransactionId;
use std::time::{Duration, Instant};

/// A request that may still be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) id: TransactionId,
    pub(crate) at: Instant,
    pub(crate) role: Role,
    pub(crate) use_candidate: bool,
}

/// The latest requests to one address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outstanding {
    ring: [Option<Sent>; OUTSTANDING],
    next: usize,
}

impl Outstanding {
    pub(crate) fn push(&mut self, sent: Sent) {
        self.ring[self.next] = Some(sent);
        self.next = (self.next + 1) % OUTSTANDING;
    }

    /// The request with this id, unless it is too old to be answered.
    pub(crate) fn find(&self, now: Instant, id: TransactionId) -> Option<Sent> {
        let sent = self.ring.iter().flatten().find(|s| s.id == id)?;
        (now.saturating_duration_since(sent.at) <= MAX_AGE).then_some(*sent)
    }

    /// Forgets the request: a response counts once.
    pub(crate) fn remove(&mut self, id: TransactionId) {
        for slot in &mut self.ring {
            if slot.is_some_and(|s| s.id == id) {
                *slot = None;
            }
        }
    }
}

/// When to send next. The wait grows by half each time, up to a maximum.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    attempts: u32,
    next: Option<Instant>,
}

impl Backoff {
    /// Starts over, first due at `at`.
    pub(crate) fn start(at: Instant) -> Self {
        Self {
            attempts: 0,
            next: Some(at),
        }
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Not due again.
    pub(crate) fn stop(&mut self) {
        self.next = None;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|at| at <= now)
    }

    /// One more attempt was sent at `now`; the answer is awaited for `rto` at first.
    pub(crate) fn sent(&mut self, now: Instant, rto: Duration, max: Duration) {
        let mut wait = rto;
        for _ in 0..self.attempts.min(16) {
            wait = (wait * 3 / 2).min(max.max(rto));
        }
        self.attempts = self.attempts.saturating_add(1);
        self.next = Some(now + wait);
    }
}

/// Covers eight seconds at the slowest rate of repetition.
const OUTSTANDING: usize = 16;
/// A path with more delay than this is of no use, and its buffers are full.
const MAX_AGE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects connecting under loss: six attempts within 800 ms, and never a flood.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn backoff_grows_by_half_up_to_its_maximum() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut backoff = Backoff::start(start);
        let mut at = Vec::new();
        for _ in 0..9 {
            let now = backoff.next().unwrap();
            at.push((now - start).as_millis());
            backoff.sent(now, ms(60), ms(500));
        }
        assert_eq!(at, [0, 60, 150, 285, 487, 791, 1246, 1746, 2246]);
    }
}
