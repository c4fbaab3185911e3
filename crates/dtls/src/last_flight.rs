//! Our last flight, kept to be repeated: the engine never does, and the peer would wait for ever
//! (RFC 6347 section 4.2.4).

use std::time::{Duration, Instant};

use bytes::Bytes;

/// The server's ChangeCipherSpec and Finished, as they were sent.
#[derive(Debug, Default)]
pub(crate) struct LastFlight {
    datagrams: Vec<Bytes>,
    sent: Option<Instant>,
}

impl LastFlight {
    /// First sent at `now`.
    pub(crate) fn new(datagrams: Vec<Bytes>, now: Instant) -> Self {
        Self {
            datagrams,
            sent: Some(now),
        }
    }

    pub(crate) fn repeat(&mut self, now: Instant) -> &[Bytes] {
        let recent = |at| now.saturating_duration_since(at) < MIN_INTERVAL;
        if self.sent.is_some_and(recent) {
            return &[];
        }
        self.sent = Some(now);
        &self.datagrams
    }
}

/// Only the peer itself can ask for a repeat, so this bounds the harm of a broken one.
const MIN_INTERVAL: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that asks without pause gets an answer every 25 ms, not one each.
    #[test]
    fn rate_limit() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        let mut flight = LastFlight::new(vec![Bytes::from_static(b"flight")], start);
        let repeats = (0..1000)
            .filter(|ms| !flight.repeat(start + Duration::from_millis(*ms)).is_empty())
            .count();
        assert_eq!(repeats, 39);
    }
}
