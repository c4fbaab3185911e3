//! Consent (RFC 7675) and liveness of the selected pair.
//!
//! Two timers. Consent checks come every 4 to 6 s and only answers renew consent. Liveness checks
//! come in between, so that a dead path is noticed within seconds, and at a fast rate once an
//! answer is missing, so that a path which comes back is used at once. An answer to either counts
//! for both.

use crate::config::AgentConfig;
use rand::RngExt;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// Watches one selected pair.
#[derive(Debug, Clone)]
pub(crate) struct Consent {
    last_heard: Instant,
    last_answer: Instant,
    last_sent: Instant,
    consent_at: Instant,
    liveness_at: Instant,
    unanswered: u32,
    disconnected: bool,
}

/// What the passing of time has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Disconnected,
    Expired,
}

/// What hearing from the remote has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// At least two checks had gone unanswered.
    pub(crate) resumed: bool,
    /// The pair had counted as disconnected.
    pub(crate) reconnected: bool,
}

impl Consent {
    /// Starts at `now` on a pair that last answered at `last_answer`.
    pub(crate) fn new(
        now: Instant,
        last_answer: Instant,
        config: &AgentConfig,
        rng: &mut StdRng,
    ) -> Self {
        Self {
            last_heard: now,
            last_answer,
            last_sent: now,
            consent_at: now + spread(config.consent_interval, 0.8, 1.2, rng),
            liveness_at: now + spread(config.liveness_interval, 0.8, 1.0, rng),
            unanswered: 0,
            disconnected: false,
        }
    }

    pub(crate) fn is_disconnected(&self) -> bool {
        self.disconnected
    }

    /// Whether the answer to an earlier check is missing.
    pub(crate) fn is_silent(&self) -> bool {
        self.unanswered >= 2
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next_check() <= now
    }

    /// Makes a check due at `at`, if none is before.
    pub(crate) fn probe(&mut self, at: Instant) {
        self.liveness_at = self.liveness_at.min(at);
    }

    /// A check was sent.
    pub(crate) fn sent(&mut self, now: Instant, config: &AgentConfig, rng: &mut StdRng) {
        if self.consent_at <= now {
            self.consent_at = now + spread(config.consent_interval, 0.8, 1.2, rng);
        }
        // The answer moves this back to the slow rate.
        self.liveness_at = now + spread(config.liveness_interval_silent, 0.8, 1.0, rng);
        self.last_sent = now;
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// A check was answered: renews consent.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        config: &AgentConfig,
        rng: &mut StdRng,
    ) -> Heard {
        self.last_answer = now;
        let next = self.last_sent + spread(config.liveness_interval, 0.8, 1.0, rng);
        self.liveness_at = next.max(now + config.liveness_interval_silent / 2);
        self.heard(now)
    }

    /// Anything authenticated was heard: a check of the remote, or data.
    pub(crate) fn heard(&mut self, now: Instant) -> Heard {
        let heard = Heard {
            // A lite agent has no checks of its own to miss answers to.
            resumed: self.is_silent() || self.disconnected,
            reconnected: self.disconnected,
        };
        self.last_heard = self.last_heard.max(now);
        self.unanswered = 0;
        self.disconnected = false;
        heard
    }

    /// Notices silence and the end of consent.
    pub(crate) fn handle_timeout(&mut self, now: Instant, config: &AgentConfig) -> Option<Change> {
        if now >= self.last_answer + config.consent_timeout {
            return Some(Change::Expired);
        }
        if !self.disconnected && now >= self.last_heard + config.disconnected_after {
            self.disconnected = true;
            // Whatever the slow timer says, the fast rate starts here.
            self.liveness_at = self.liveness_at.min(now);
            return Some(Change::Disconnected);
        }
        None
    }

    /// When the next check is due.
    pub(crate) fn next_check(&self) -> Instant {
        self.consent_at.min(self.liveness_at)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to say.
    pub(crate) fn deadline(&self, config: &AgentConfig) -> Instant {
        let expires = self.last_answer + config.consent_timeout;
        if self.disconnected {
            expires
        } else {
            expires.min(self.last_heard + config.disconnected_after)
        }
    }
}

/// Random, so that the checks of many connections do not beat in time.
fn spread(interval: Duration, low: f64, high: f64, rng: &mut StdRng) -> Duration {
    interval.mul_f64(rng.random_range(low..high))
}
