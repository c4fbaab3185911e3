//! When to ask for a key frame (RFC 4585 §6.3.1), and when to heed such a request.

use std::time::{Duration, Instant};

/// Lets at most one request per 300 ms through for one SSRC, and repeats it until a key frame
/// comes. At the receiver it throttles what is sent, at the sender what reaches the encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyFrameRequests {
    is_wanted: bool,
    last: Option<Instant>,
    sent: u64,
}

impl KeyFrameRequests {
    /// No request yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            is_wanted: false,
            last: None,
            sent: 0,
        }
    }

    /// A key frame is wanted. Call [`Self::poll`] afterwards.
    pub const fn request(&mut self) {
        self.is_wanted = true;
    }

    /// A key frame came, whole: the wish is fulfilled.
    pub const fn on_key_frame(&mut self) {
        self.is_wanted = false;
    }

    /// Whether to send a request now.
    pub fn poll(&mut self, now: Instant) -> bool {
        let is_due = self.poll_timeout().is_some_and(|due| due <= now)
            || (self.is_wanted && self.last.is_none());
        if is_due {
            self.last = Some(now);
            self.sent += 1;
        }
        is_due
    }

    /// When to call [`Self::poll`] again. None if nothing is wanted, or if the first request can
    /// go at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.last
            .filter(|_| self.is_wanted)
            .map(|last| last + INTERVAL)
    }

    /// Requests let through: W3C's `pliCount`.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }
}

/// A key frame is large: more of them would be the congestion that they are to cure.
const INTERVAL: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::super::testing::base;
    use super::*;

    /// A storm of wishes makes one request per 300 ms; a key frame ends it, and the next wish still
    /// keeps the distance.
    #[test]
    fn throttled() {
        let start = base();
        let mut requests = KeyFrameRequests::new();
        let mut sent = Vec::new();
        for at in 0..1000 {
            requests.request();
            if requests.poll(start + Duration::from_millis(at)) {
                sent.push(at);
            }
        }
        assert_eq!(sent, [0, 300, 600, 900]);
        requests.on_key_frame();
        assert_eq!(requests.poll_timeout(), None);
        requests.request();
        assert!(!requests.poll(start + Duration::from_millis(1199)));
        assert!(requests.poll(start + Duration::from_millis(1200)));
        assert_eq!(requests.sent(), 5);
    }
}
