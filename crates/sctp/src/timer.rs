//! A timer is data: a deadline and how often it has expired in a row.

use std::time::{Duration, Instant};

/// A timer with exponential back-off (RFC 9260 §6.3.3 E2), living in the state that needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer {
    /// When it expires.
    pub(crate) deadline: Instant,
    /// Expirations so far.
    pub(crate) attempts: u32,
}

impl Timer {
    /// Started for the first time.
    pub(crate) fn start(now: Instant, after: Duration) -> Self {
        Self {
            deadline: now + after,
            attempts: 0,
        }
    }

    /// Whether it has expired.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    /// Restarted after an expiration with twice the interval for each, at most `max` or `base`.
    pub(crate) fn back_off(&mut self, now: Instant, base: Duration, max: Duration) {
        self.attempts = self.attempts.saturating_add(1);
        self.deadline = now + backed_off(base, self.attempts, max);
    }
}

/// `base` doubled `attempts` times, at most `max`, but never less than `base`.
pub(crate) fn backed_off(base: Duration, attempts: u32, max: Duration) -> Duration {
    base.saturating_mul(1 << attempts.min(16))
        .min(max.max(base))
}

/// The earlier of two optional deadlines.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => None,
    }
}
