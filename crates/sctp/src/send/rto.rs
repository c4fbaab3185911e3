//! Round-trip time and retransmission timeout (RFC 9260 §6.3).

use std::time::{Duration, Instant};

/// The estimator. Fed by acknowledgements of chunks sent once (Karn's rule) and by heartbeats.
#[derive(Debug, Clone)]
pub(crate) struct RttEstimator {
    smoothed: Option<Smoothed>,
    /// Shortest samples of the current and the previous [`MIN_RTT_SPAN`].
    shortest: [Duration; 2],
    span_ends: Option<Instant>,
    next_smoothing: Option<Instant>,
    initial: Duration,
    floor: Duration,
    ceiling: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Smoothed {
    srtt: Duration,
    rttvar: Duration,
    /// A value of the layers below, given up for the first sample of our own.
    suggested: bool,
}

impl RttEstimator {
    pub(crate) fn new(initial: Duration, floor: Duration, ceiling: Duration) -> Self {
        Self {
            smoothed: None,
            shortest: [Duration::MAX; 2],
            span_ends: None,
            next_smoothing: None,
            initial,
            floor,
            ceiling,
        }
    }

    /// Takes a value measured below us as long as there is none of our own.
    pub(crate) fn suggest(&mut self, rtt: Duration) {
        let rtt = rtt.min(self.ceiling);
        if self.smoothed.is_none_or(|s| s.suggested) {
            self.smoothed = Some(Smoothed {
                srtt: rtt,
                rttvar: rtt / 2,
                suggested: true,
            });
        }
    }

    /// Takes a sample. The minimum sees every one; the average one per round trip, since its
    /// weights are meant for that (C4; RFC 7323 appendix G).
    pub(crate) fn sample(&mut self, now: Instant, rtt: Duration) {
        match self.span_ends {
            Some(end) if now < end => self.shortest[0] = self.shortest[0].min(rtt),
            _ => {
                self.shortest = [rtt, self.shortest[0]];
                self.span_ends = Some(now + MIN_RTT_SPAN);
            }
        }
        if self.next_smoothing.is_some_and(|at| now < at) {
            return;
        }
        let smoothed = match self.smoothed {
            Some(Smoothed {
                srtt,
                rttvar,
                suggested: false,
            }) => Smoothed {
                // C3: RTO.Alpha is 1/8 and RTO.Beta 1/4.
                rttvar: rttvar * 3 / 4 + srtt.abs_diff(rtt) / 4,
                srtt: srtt * 7 / 8 + rtt / 8,
                suggested: false,
            },
            // C2.
            Some(Smoothed {
                suggested: true, ..
            })
            | None => Smoothed {
                srtt: rtt,
                rttvar: rtt / 2,
                suggested: false,
            },
        };
        self.next_smoothing = Some(now + smoothed.srtt);
        self.smoothed = Some(smoothed);
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.smoothed.map(|s| s.srtt)
    }

    pub(crate) fn rttvar(&self) -> Option<Duration> {
        self.smoothed.map(|s| s.rttvar)
    }

    /// The shortest sample of the last one to two [`MIN_RTT_SPAN`].
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        let min = self.shortest[0].min(self.shortest[1]);
        (min != Duration::MAX).then_some(min)
    }

    /// RTO without back-off.
    pub(crate) fn rto(&self) -> Duration {
        self.smoothed.map_or(self.initial, |s| {
            // C7: a variation of zero is taken as the clock's granularity.
            let variation = (s.rttvar * 4).max(GRANULARITY);
            (s.srtt + variation).clamp(self.floor, self.ceiling)
        })
    }

    /// The interval of the handshake's timers. INIT and COOKIE-ECHO are answered at once, so that
    /// the floor, which is there for delayed acknowledgements, does not apply to a known RTT.
    pub(crate) fn handshake_rto(&self) -> Duration {
        self.smoothed.map_or(self.initial, |s| {
            (s.srtt + s.rttvar * 4).clamp(HANDSHAKE_FLOOR.min(self.floor), self.ceiling)
        })
    }
}

/// How long a minimum is kept at least. Long enough to have seen the path without a queue, short
/// enough that a route change is not held against it for ever.
const MIN_RTT_SPAN: Duration = Duration::from_secs(60);
const GRANULARITY: Duration = Duration::from_millis(1);
/// Well above what a scheduler and a DTLS stack add to a round trip.
const HANDSHAKE_FLOOR: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn estimator() -> RttEstimator {
        RttEstimator::new(ms(1000), ms(400), ms(60_000))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin of virtual time"
    )]
    fn origin() -> Instant {
        Instant::now()
    }

    /// RFC 9260 §6.3.1 C1 to C3.
    #[test]
    fn first_and_second_sample() {
        let mut rtt = estimator();
        let now = origin();
        assert_eq!(rtt.rto(), ms(1000));
        rtt.sample(now, ms(400));
        assert_eq!(
            (rtt.srtt(), rtt.rttvar(), rtt.rto()),
            (Some(ms(400)), Some(ms(200)), ms(1200))
        );
        rtt.sample(now + ms(400), ms(800));
        assert_eq!((rtt.srtt(), rtt.rttvar()), (Some(ms(450)), Some(ms(250))));
    }

    /// C4: samples within the same round trip do not each move the average.
    #[test]
    fn one_smoothing_per_round_trip() {
        let mut rtt = estimator();
        let now = origin();
        rtt.sample(now, ms(100));
        for step in 1..50 {
            rtt.sample(now + ms(step), ms(300));
        }
        assert_eq!(rtt.srtt(), Some(ms(100)));
        assert_eq!(rtt.min_rtt(), Some(ms(100)));
    }

    /// C6, C7 and the handshake's lower floor.
    #[test]
    fn bounds() {
        let mut rtt = estimator();
        rtt.suggest(ms(10));
        assert_eq!((rtt.rto(), rtt.handshake_rto()), (ms(400), ms(100)));
        rtt.sample(origin(), ms(50_000));
        assert_eq!(rtt.rto(), ms(60_000));
    }

    /// The minimum forgets after two spans, so that a longer route is accepted.
    #[test]
    fn the_minimum_moves_up() {
        let mut rtt = estimator();
        let now = origin();
        rtt.sample(now, ms(10));
        rtt.sample(now + MIN_RTT_SPAN, ms(50));
        assert_eq!(rtt.min_rtt(), Some(ms(10)));
        rtt.sample(now + MIN_RTT_SPAN * 2, ms(50));
        assert_eq!(rtt.min_rtt(), Some(ms(50)));
    }
}
