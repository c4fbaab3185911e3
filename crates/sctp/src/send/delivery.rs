//! How fast data arrives (draft-ietf-ccwg-bbr, delivery rate).
//!
//! The draft keeps with each packet what had been delivered when it left. That changes with each
//! SACK only, so it is kept once for all packets that left in between, and found again by the moment
//! they left: an entry of the outstanding ring needs no byte more. Remembering less often makes the
//! interval of a sample longer and its rate no less true.

use std::collections::VecDeque;

use super::outstanding::Moment;

/// The estimator. Fed only if the controller asks for it.
#[derive(Debug)]
pub(crate) struct Delivery {
    delivered: u64,
    delivered_at: Moment,
    /// When the packet of the last sample left.
    first_sent_at: Moment,
    /// The application had nothing to send when so much was delivered or in flight.
    limited_until: Option<u64>,
    departures: VecDeque<Departure>,
}

/// What was known when packets left from `since` on.
#[derive(Debug, Clone, Copy)]
struct Departure {
    since: Moment,
    delivered: u64,
    delivered_at: Moment,
    first_sent_at: Moment,
    limited: bool,
}

/// A sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateSample {
    /// Bytes a second.
    pub(crate) rate: u64,
    /// The application, not the path, set it: a lower bound.
    pub(crate) limited: bool,
}

impl Delivery {
    pub(crate) fn new() -> Self {
        Self {
            delivered: 0,
            delivered_at: Moment(0),
            first_sent_at: Moment(0),
            limited_until: None,
            departures: VecDeque::new(),
        }
    }

    /// A packet leaves; nothing was in flight before if `idle`. `round_trip` in nanoseconds.
    pub(crate) fn on_sent(&mut self, now: Moment, idle: bool, round_trip: u64) {
        if idle {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        let limited = self.limited_until.is_some();
        let known = self.departures.back().is_some_and(|last| {
            let fresh = now.0 < last.since.0 + round_trip / DEPARTURES_PER_ROUND;
            !idle && last.limited == limited && (fresh || last.delivered == self.delivered)
        });
        if known || self.departures.len() >= MAX_DEPARTURES && !idle {
            return;
        }
        if idle {
            // What is older will never be asked for.
            self.departures.clear();
        }
        self.departures.push_back(Departure {
            since: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            limited,
        });
    }

    /// The window has room and nothing is there to fill it; `in_flight` bytes are.
    pub(crate) fn on_limited(&mut self, in_flight: usize) {
        self.limited_until = Some(self.delivered + in_flight as u64);
    }

    /// `bytes` were newly acknowledged, the latest of them sent at `sent_at`.
    pub(crate) fn on_acked(
        &mut self,
        now: Moment,
        bytes: usize,
        sent_at: Moment,
        min_rtt: u64,
    ) -> Option<RateSample> {
        self.delivered += bytes as u64;
        self.delivered_at = now;
        if self.limited_until.is_some_and(|end| self.delivered > end) {
            self.limited_until = None;
        }
        while self.departures.get(1).is_some_and(|d| d.since <= sent_at) {
            self.departures.pop_front();
        }
        let departure = *self.departures.front()?;
        if sent_at < departure.since {
            // It was overtaken by what an earlier sample was of.
            return None;
        }
        self.first_sent_at = sent_at;
        let sending = sent_at.0 - departure.first_sent_at.0.min(sent_at.0);
        let arriving = now.0.saturating_sub(departure.delivered_at.0);
        // Faster than it was sent is faster than it was delivered; the slower of both is the path's.
        let interval = sending.max(arriving);
        if interval < min_rtt || interval == 0 {
            return None;
        }
        let bytes = self.delivered - departure.delivered;
        Some(RateSample {
            rate: (u128::from(bytes) * NANOS_PER_SECOND / u128::from(interval)) as u64,
            limited: departure.limited,
        })
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// Departures told apart in a round trip.
const DEPARTURES_PER_ROUND: u64 = 64;
/// The same in all, should round trips grow while packets are on the way.
const MAX_DEPARTURES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A packet every millisecond, delivered 40 ms later: the rate is what it is.
    #[test]
    fn a_steady_rate_is_seen() {
        let mut delivery = Delivery::new();
        let mut last = None;
        for at in 0..500 {
            if at >= 40 {
                last = delivery.on_acked(Moment(at * MS), 1000, Moment((at - 40) * MS), 40 * MS);
            }
            delivery.on_sent(Moment(at * MS), at == 0, 40 * MS);
        }
        let rate = last.unwrap().rate;
        assert!((950_000..=1_000_000).contains(&rate), "{rate}");
        assert!(
            delivery.departures.len() <= 130,
            "{}",
            delivery.departures.len()
        );
    }

    /// SACKs that come in a bunch do not make the path faster than the sender was.
    #[test]
    fn bunched_acknowledgements_are_no_speed() {
        let mut delivery = Delivery::new();
        for at in 0..100 {
            delivery.on_sent(Moment(at * MS), at == 0, 40 * MS);
        }
        let mut best = 0;
        for at in 0..100 {
            let sample = delivery.on_acked(Moment(140 * MS), 1000, Moment(at * MS), 40 * MS);
            best = best.max(sample.map_or(0, |s| s.rate));
        }
        assert!(best <= 1_020_000, "{best}");
    }

    /// What the application did not send says nothing about the path.
    #[test]
    fn samples_of_a_quiet_application_are_marked() {
        let mut delivery = Delivery::new();
        delivery.on_sent(Moment(0), true, 40 * MS);
        delivery.on_limited(1000);
        delivery.on_sent(Moment(MS), false, 40 * MS);
        let first = delivery.on_acked(Moment(40 * MS), 1000, Moment(0), 40 * MS);
        let second = delivery.on_acked(Moment(41 * MS), 1000, Moment(MS), 40 * MS);
        assert!(!first.unwrap().limited && second.unwrap().limited);
        delivery.on_sent(Moment(42 * MS), true, 40 * MS);
        let third = delivery.on_acked(Moment(90 * MS), 1000, Moment(42 * MS), 40 * MS);
        assert!(!third.unwrap().limited);
    }
}
