//! What a sender reports on a stream (RFC 3550 §6.4.1) and counts.

use std::time::{Duration, Instant};

use crate::receive::NtpClock;
use crate::rtcp::{ReportBlock, SenderInfo};
use crate::{RtpPacket, Timestamp};

/// Counts one stream's packets and relates its timestamps to wall-clock time.
#[derive(Clone, Copy, Debug)]
pub struct SenderReports {
    clock_rate: u32,
    latest: Option<(Timestamp, Instant)>,
    stats: OutboundStats,
}

/// Counters in the terms of W3C's `RTCOutboundRtpStreamStats` and, for what the other end reports,
/// `RTCRemoteInboundRtpStreamStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboundStats {
    /// `packetsSent`.
    pub packets: u64,
    /// `bytesSent`: payload, without headers and padding.
    pub payload_bytes: u64,
    /// `headerBytesSent`: headers and padding.
    pub header_bytes: u64,
    /// `framesSent`: packets with the marker bit.
    pub frames: u64,
    /// `totalPacketSendDelay`: in the pacer.
    pub send_delay: Duration,
    /// `packetsLost`, at the other end.
    pub remote_lost: i32,
    /// `fractionLost`, in 1/256.
    pub remote_fraction_lost: u8,
    /// `jitter`, in units of the clock rate.
    pub remote_jitter: u32,
}

impl SenderReports {
    /// Nothing sent yet. `clock_rate` in Hz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            latest: None,
            stats: OutboundStats::default(),
        }
    }

    /// Takes note of a packet that is sent for the first time. `captured` is the moment its
    /// timestamp stands for, `waited` the time it spent in the pacer.
    pub fn on_packet(&mut self, captured: Instant, packet: &RtpPacket<'_>, waited: Duration) {
        self.latest = Some((packet.timestamp(), captured));
        self.stats.packets += 1;
        self.stats.payload_bytes += packet.payload().len() as u64;
        self.stats.header_bytes += (packet.bytes().len() - packet.payload().len()) as u64;
        self.stats.frames += u64::from(packet.marker());
        self.stats.send_delay += waited;
    }

    /// Takes note of a report block of the other end on this stream.
    pub const fn on_report_block(&mut self, block: &ReportBlock) {
        self.stats.remote_lost = block.cumulative_lost;
        self.stats.remote_fraction_lost = block.fraction_lost;
        self.stats.remote_jitter = block.jitter;
    }

    /// What to report now; None if nothing was sent.
    #[must_use]
    pub fn info(&self, now: Instant, clock: &NtpClock) -> Option<SenderInfo> {
        let (timestamp, captured) = self.latest?;
        // §6.4.1: the timestamp is that of the report's moment, not of the last packet.
        let since = now.saturating_duration_since(captured).as_nanos();
        let ticks = since * u128::from(self.clock_rate) / 1_000_000_000;
        Some(SenderInfo {
            ntp: clock.ntp(now),
            timestamp: timestamp.plus(ticks as u32),
            packets: self.stats.packets as u32,
            octets: self.stats.payload_bytes as u32,
        })
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> OutboundStats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::receive::testing::base;
    use super::*;
    use crate::{RtpHeader, RtpWriter};

    /// A report's timestamp and wall clock are the same moment, and it counts payload only.
    #[test]
    fn same_moment() {
        let start = base();
        let clock = NtpClock::new(start, 5 << 32);
        let mut reports = SenderReports::new(90_000);
        assert_eq!(reports.info(start, &clock), None);
        let header = RtpHeader {
            marker: true,
            timestamp: Timestamp(u32::MAX),
            ..RtpHeader::default()
        };
        let mut buffer = [0; 50];
        let len = RtpWriter::new(&mut buffer, &header)
            .unwrap()
            .payload(&[1; 20])
            .unwrap();
        let packet = RtpPacket::parse(&buffer[..len]).unwrap();
        reports.on_packet(start, &packet, Duration::from_millis(3));
        let info = reports.info(start + Duration::from_millis(500), &clock);
        let expected = SenderInfo {
            ntp: (5 << 32) + (1 << 31),
            timestamp: Timestamp(44_999),
            packets: 1,
            octets: 20,
        };
        assert_eq!(info, Some(expected));
        assert_eq!(reports.stats().header_bytes, 12);
        assert_eq!(reports.stats().frames, 1);
    }
}
