//! Round-trip time from reports (RFC 3550 §6.4.1, RFC 3611 §4.5).

use std::time::{Duration, Instant};

use crate::rtcp::{Dlrr, ReportBlock};

/// NTP time without a clock: the wall clock is read once, outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtpClock {
    at: Instant,
    ntp: u64,
}

impl NtpClock {
    /// `ntp` is what the wall clock said at `at`, in 2^-32 s since 1900.
    #[must_use]
    pub const fn new(at: Instant, ntp: u64) -> Self {
        Self { at, ntp }
    }

    /// NTP time, 2^-32 s; wraps as NTP does.
    #[must_use]
    pub fn ntp(&self, now: Instant) -> u64 {
        match now.checked_duration_since(self.at) {
            Some(since) => self.ntp.wrapping_add(fraction(since)),
            None => {
                let before = self.at.saturating_duration_since(now);
                self.ntp.wrapping_sub(fraction(before))
            }
        }
    }
}

/// The round-trip time, in W3C's terms (`RTCRemoteInboundRtpStreamStats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrip {
    /// `roundTripTime`: the latest.
    pub latest: Option<Duration>,
    /// Smoothed as by RFC 6298 §2; what to pace by.
    pub smoothed: Option<Duration>,
    /// `totalRoundTripTime`.
    pub total: Duration,
    /// `roundTripTimeMeasurements`.
    pub measurements: u64,
}

impl RoundTrip {
    /// Takes a report block on a stream of ours that arrived at `ntp`. Returns the measurement, if
    /// it is one: not before the other end has seen a report.
    pub fn on_report_block(&mut self, ntp: u64, block: &ReportBlock) -> Option<Duration> {
        self.measure(ntp, block.last_report, block.delay)
    }

    /// The same from the answer to our receiver reference time.
    pub fn on_dlrr(&mut self, ntp: u64, dlrr: &Dlrr) -> Option<Duration> {
        self.measure(ntp, dlrr.last_report, dlrr.delay)
    }

    fn measure(&mut self, ntp: u64, last_report: u32, delay: u32) -> Option<Duration> {
        if last_report == 0 {
            return None;
        }
        let now = (ntp >> 16) as u32;
        let units = now.wrapping_sub(last_report).wrapping_sub(delay) as i32;
        // Rounding makes a short one negative; what is further off is a lie or years old.
        if !(-ROUNDING..LONGEST).contains(&units) {
            return None;
        }
        let rtt = Duration::from_nanos(units.max(0) as u64 * 1_000_000_000 / 65_536);
        self.latest = Some(rtt);
        self.smoothed = Some(
            self.smoothed
                .map_or(rtt, |smoothed| (smoothed * 7 + rtt) / 8),
        );
        self.total += rtt;
        self.measurements += 1;
        Some(rtt)
    }
}

/// In 2^-32 s.
fn fraction(duration: Duration) -> u64 {
    let seconds = duration.as_secs() << 32;
    seconds.wrapping_add((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

/// 2^-16 s: 1 ms.
const ROUNDING: i32 = 66;
/// 2^-16 s: 30 s.
const LONGEST: i32 = 30 << 16;

#[cfg(test)]
mod tests {
    use super::super::testing::base;
    use super::*;

    /// RFC 3550 figure 2: 10 Nov 1995 11:33:25.125, a delay of 5.250 s and an RTT of 6.125 s.
    #[test]
    fn figure_2() {
        let block = ReportBlock {
            last_report: 0xb705_2000,
            delay: 0x0005_4000,
            ..ReportBlock::default()
        };
        let mut round_trip = RoundTrip::default();
        let rtt = round_trip.on_report_block(0xb44d_b710_8000_0000, &block);
        assert_eq!(rtt, Some(Duration::from_millis(6_125)));
        assert_eq!(round_trip.smoothed, rtt);
    }

    /// Lies and what was never sent are no measurement.
    #[test]
    fn implausible() {
        let mut round_trip = RoundTrip::default();
        let ntp = 0x1000_0000_0000;
        for (last_report, delay) in [(0, 0), (0x1000_0100, 0), (0x1000_0000, 5000), (1, 1)] {
            let block = ReportBlock {
                last_report,
                delay,
                ..ReportBlock::default()
            };
            assert_eq!(round_trip.on_report_block(ntp, &block), None);
        }
        assert_eq!(round_trip, RoundTrip::default());
    }

    /// NTP time before, at and after the base, over its wrap.
    #[test]
    fn ntp() {
        let start = base() + Duration::from_secs(10);
        let clock = NtpClock::new(start, u64::MAX);
        assert_eq!(clock.ntp(start + Duration::from_millis(500)), (1 << 31) - 1);
        assert_eq!(
            clock.ntp(start - Duration::from_secs(1)),
            u64::MAX - (1 << 32)
        );
    }
}
