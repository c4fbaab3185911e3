//! What a receiver reports on a stream (RFC 3550 §6.4 and appendix A).

use std::time::{Duration, Instant};

use crate::rtcp::{ReportBlock, SenderInfo};
use crate::{RtpPacket, SequenceNumber, SequenceUnwrapper, Ssrc};

/// Loss and jitter of one stream, as received directly: retransmissions and repairs belong to the
/// streams they came in.
#[derive(Debug)]
pub struct Reception {
    ssrc: Ssrc,
    clock_rate: u32,
    unwrapper: SequenceUnwrapper,
    first: u64,
    /// The number after which a jump is a restart: the one that would follow it (appendix A.1).
    after_jump: Option<SequenceNumber>,
    /// Since the restart, as `expected` counts.
    received: u64,
    expected_before: u64,
    received_before: u64,
    epoch: Option<Instant>,
    transit: Option<u32>,
    /// In 1/16 of a unit (appendix A.8).
    jitter: u32,
    last_report: Option<(u32, Instant)>,
    stats: ReceptionStats,
}

/// Counters in the terms of W3C's `RTCReceivedRtpStreamStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceptionStats {
    /// `packetsReceived`.
    pub packets: u64,
    /// `bytesReceived`: payload, without headers and padding.
    pub payload_bytes: u64,
    /// `headerBytesReceived`: headers and padding.
    pub header_bytes: u64,
    /// `lastPacketReceivedTimestamp`.
    pub last_packet: Option<Instant>,
}

impl Reception {
    /// Nothing received yet. `clock_rate` in Hz.
    #[must_use]
    pub fn new(ssrc: Ssrc, clock_rate: u32) -> Self {
        Self {
            ssrc,
            clock_rate: clock_rate.max(1),
            unwrapper: SequenceUnwrapper::new(),
            first: 0,
            after_jump: None,
            received: 0,
            expected_before: 0,
            received_before: 0,
            epoch: None,
            transit: None,
            jitter: 0,
            last_report: None,
            stats: ReceptionStats::default(),
        }
    }

    /// Takes note of a packet of this stream. False for one whose number is so far off that it is
    /// either stray or the first after a restart: it counts for nothing.
    pub fn on_packet(&mut self, now: Instant, packet: &RtpPacket<'_>) -> bool {
        if !self.count(packet.sequence()) {
            return false;
        }
        self.stats.packets += 1;
        self.stats.payload_bytes += packet.payload().len() as u64;
        self.stats.header_bytes += (packet.bytes().len() - packet.payload().len()) as u64;
        self.stats.last_packet = Some(now);
        let epoch = *self.epoch.get_or_insert(now);
        let elapsed = now.saturating_duration_since(epoch).as_nanos();
        let arrival = (elapsed * u128::from(self.clock_rate) / 1_000_000_000) as u32;
        let transit = arrival.wrapping_sub(packet.timestamp().0);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A timestamp that began anew is not jitter.
            if difference < self.clock_rate.saturating_mul(MAX_STEP) {
                self.jitter = self
                    .jitter
                    .saturating_sub((self.jitter + 8) >> 4)
                    .saturating_add(difference);
            }
        }
        true
    }

    /// Takes note of a sender report on this stream.
    pub const fn on_sender_report(&mut self, now: Instant, info: &SenderInfo) {
        self.last_report = Some((info.compact_ntp(), now));
    }

    /// A report block; the fraction lost is since the last one.
    pub fn report(&mut self, now: Instant) -> ReportBlock {
        let expected = self.expected();
        let expected_since = expected - self.expected_before;
        let received_since = self.received - self.received_before;
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction = (lost_since << 8).checked_div(expected_since).unwrap_or(0);
        let (last_report, delay) = self.last_report.map_or((0, 0), |(ntp, at)| {
            (ntp, compact(now.saturating_duration_since(at)))
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: self.lost().clamp(-(1 << 23), (1 << 23) - 1) as i32,
            highest_sequence: self.unwrapper.highest().unwrap_or(0) as u32,
            jitter: self.jitter >> 4,
            last_report,
            delay,
        }
    }

    /// `packetsLost`: expected and not received; less than zero with duplicates.
    #[must_use]
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// `jitter`.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.jitter >> 4) / f64::from(self.clock_rate))
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> ReceptionStats {
        self.stats
    }

    fn expected(&self) -> u64 {
        let highest = self.unwrapper.highest();
        highest.map_or(0, |highest| highest + 1 - self.first)
    }

    fn count(&mut self, sequence: SequenceNumber) -> bool {
        let number = self.unwrapper.peek(sequence);
        let Some(highest) = self.unwrapper.highest() else {
            self.restart(sequence);
            return true;
        };
        let is_near = number <= highest + MAX_DROPOUT && number + MAX_MISORDER >= highest;
        if !is_near {
            // Appendix A.1: two in a row make a restart, one is stray.
            if self.after_jump == Some(sequence) {
                self.restart(sequence);
                return true;
            }
            self.after_jump = Some(sequence.next());
            return false;
        }
        self.after_jump = None;
        self.unwrapper.unwrap(sequence);
        // What came before the first packet was not expected.
        if number >= self.first {
            self.received += 1;
        }
        true
    }

    fn restart(&mut self, sequence: SequenceNumber) {
        self.unwrapper = SequenceUnwrapper::new();
        self.first = self.unwrapper.unwrap(sequence);
        self.received = 1;
        (self.expected_before, self.received_before) = (0, 0);
        self.transit = None;
        self.after_jump = None;
    }
}

/// In 2^-16 s, as reports have it; 18 h at most.
fn compact(duration: Duration) -> u32 {
    u32::try_from((duration.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX)
}

const MAX_DROPOUT: u64 = 3000;
const MAX_MISORDER: u64 = 100;
/// Seconds.
const MAX_STEP: u32 = 5;

#[cfg(test)]
mod tests {
    use super::super::testing::base;
    use super::*;
    use crate::{RtpHeader, RtpWriter, Timestamp};

    fn receive(reception: &mut Reception, now: Instant, sequence: u16, timestamp: u32) -> bool {
        let header = RtpHeader {
            sequence: SequenceNumber(sequence),
            timestamp: Timestamp(timestamp),
            ..RtpHeader::default()
        };
        let mut buffer = [0; 100];
        let writer = RtpWriter::new(&mut buffer, &header).unwrap();
        let len = writer.payload(&[1; 10]).unwrap();
        reception.on_packet(now, &RtpPacket::parse(&buffer[..len]).unwrap())
    }

    /// Loss since the last report and in all, over a wrap; DLSR; what was counted.
    #[test]
    fn loss_and_delay() {
        let start = base();
        let mut reception = Reception::new(Ssrc(5), 90_000);
        assert_eq!(
            reception.report(start),
            ReportBlock {
                ssrc: Ssrc(5),
                ..ReportBlock::default()
            }
        );
        for sequence in (65_530..=65_535).chain([1, 2, 3]) {
            receive(&mut reception, start, sequence, 0);
        }
        let info = SenderInfo {
            ntp: 0x1234_5678_9abc_def0,
            ..SenderInfo::default()
        };
        reception.on_sender_report(start, &info);
        let report = reception.report(start + Duration::from_millis(1500));
        assert_eq!(report.fraction_lost, 25);
        assert_eq!(report.cumulative_lost, 1);
        assert_eq!(report.highest_sequence, 0x1_0003);
        assert_eq!(report.last_report, 0x5678_9abc);
        assert_eq!(report.delay, 0x1_8000);
        // The missing one and a duplicate: nothing is lost any more, on balance.
        receive(&mut reception, start, 0, 0);
        receive(&mut reception, start, 2, 0);
        let report = reception.report(start);
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, -1));
        assert_eq!(reception.stats().payload_bytes, 110);
        assert_eq!(reception.stats().header_bytes, 132);
    }

    /// Appendix A.8: an even stream has none; 10 ms to and fro converge on 10 ms.
    #[test]
    fn jitter() {
        let start = base();
        let mut reception = Reception::new(Ssrc(5), 48_000);
        for index in 0..200u16 {
            let now = start + Duration::from_millis(20) * index.into();
            receive(&mut reception, now, index, u32::from(index) * 960);
        }
        assert_eq!(reception.jitter(), Duration::ZERO);
        for index in 200..500u16 {
            let late = Duration::from_millis(if index % 2 == 0 { 10 } else { 0 });
            let now = start + Duration::from_millis(20) * index.into() + late;
            receive(&mut reception, now, index, u32::from(index) * 960);
        }
        let millis = reception.jitter().as_secs_f64() * 1e3;
        assert!((9.5..=10.5).contains(&millis), "{millis}");
    }

    /// Appendix A.1: a stray packet changes nothing, two in a row are a restart.
    #[test]
    fn restart() {
        let start = base();
        let mut reception = Reception::new(Ssrc(5), 8_000);
        for sequence in 0..10 {
            assert!(receive(&mut reception, start, sequence, 0));
        }
        assert!(!receive(&mut reception, start, 20_000, 0));
        assert!(receive(&mut reception, start, 10, 0));
        assert!(!receive(&mut reception, start, 40_000, 0));
        assert!(receive(&mut reception, start, 40_001, 0));
        assert!(receive(&mut reception, start, 40_003, 0));
        assert_eq!(reception.report(start).cumulative_lost, 1);
    }
}
