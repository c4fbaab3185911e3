//! How large the receive window is.
//!
//! A window of less than what a path holds makes the sender wait, and how much that is only shows
//! while data flows. So the window follows what arrived and was taken in a round trip: half of it
//! used means that twice as much may come. It never shrinks, and an application that does not take
//! what arrives does not make it grow.

use std::time::{Duration, Instant};

/// What decides about it.
#[derive(Debug, Default)]
pub(super) struct Tuning {
    arrived: usize,
    taken: usize,
    round_began: Option<Instant>,
}

impl Tuning {
    /// User data arrived.
    #[inline]
    pub(super) fn on_data(&mut self, bytes: usize) {
        self.arrived += bytes;
    }

    /// The application took this much. Once in a round trip, the window that is wanted.
    pub(super) fn on_taken(
        &mut self,
        now: Instant,
        bytes: usize,
        rtt: Option<Duration>,
    ) -> Option<usize> {
        self.taken += bytes;
        let rtt = rtt?;
        let elapsed = now.saturating_duration_since(*self.round_began.get_or_insert(now));
        if elapsed < rtt {
            return None;
        }
        let through = self.arrived.min(self.taken);
        (self.arrived, self.taken) = (0, 0);
        self.round_began = Some(now);
        // What took several round trips was not much in one.
        let in_round = through as u128 * rtt.as_nanos() / elapsed.as_nanos().max(1);
        usize::try_from(in_round * 2).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    /// The largest window wanted in ten round trips of `per_round` bytes in ten parts; every part is
    /// taken if `takes`.
    fn run(per_round: usize, takes: bool) -> usize {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary origin of virtual time"
        )]
        let start = Instant::now();
        let mut tuning = Tuning::default();
        let mut most = 0;
        for part in 0..100 {
            tuning.on_data(per_round / 10);
            let taken = if takes { per_round / 10 } else { 0 };
            let wanted = tuning.on_taken(start + RTT / 10 * part, taken, Some(RTT));
            most = most.max(wanted.unwrap_or_default());
        }
        most
    }

    /// Twice what goes through in a round trip.
    #[test]
    fn it_follows_what_goes_through() {
        for per_round in [40_000, 5_000_000] {
            let wanted = run(per_round, true);
            assert!(
                (per_round * 2..per_round * 9 / 4).contains(&wanted),
                "{wanted}"
            );
        }
    }

    /// Data that nobody takes, a backlog taken all at once, and an unknown round trip.
    #[test]
    fn it_does_not_grow_without_reason() {
        assert_eq!(run(100_000, false), 0);
        let mut tuning = Tuning::default();
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary origin of virtual time"
        )]
        let now = Instant::now();
        tuning.on_data(100_000);
        tuning.on_taken(now, 0, Some(RTT));
        let wanted = tuning.on_taken(now + 30 * RTT, 100_000, Some(RTT));
        assert!(wanted.is_some_and(|wanted| wanted < 10_000), "{wanted:?}");
        tuning.on_data(1_000_000);
        assert_eq!(tuning.on_taken(now + 60 * RTT, 1_000_000, None), None);
    }
}
