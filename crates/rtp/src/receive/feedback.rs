//! Which packets of a transport arrived, and when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::{Duration, Instant};

use crate::rtcp::{PacketArrival, RtcpWriter};
use crate::{SequenceNumber, SequenceUnwrapper, Ssrc, WriteError};

/// Remembers arrivals until they are reported. One per transport; of fixed size.
#[derive(Debug)]
pub struct TransportFeedbackBuilder {
    config: FeedbackConfig,
    unwrapper: SequenceUnwrapper,
    /// In 250 µs since the first packet, by number modulo the length, a power of two.
    arrivals: Box<[i64]>,
    epoch: Option<Instant>,
    /// The first packet that the next feedback reports on.
    next: u64,
    /// One behind the newest.
    end: u64,
    due: Option<Instant>,
    feedback_count: u8,
}

/// How a [`TransportFeedbackBuilder`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedbackConfig {
    /// From the first packet not reported to the report.
    pub interval: Duration,
    /// Packets remembered; a power of two is used.
    pub packets: usize,
    /// Bytes of one feedback packet, about.
    pub bytes: usize,
}

impl Default for FeedbackConfig {
    fn default() -> Self {
        Self {
            // What libwebrtc does at 1 Mbit/s and more is 50 ms to 100 ms.
            interval: Duration::from_millis(50),
            // 80 ms of 50,000 packets a second.
            packets: 4096,
            bytes: 1_000,
        }
    }
}

impl TransportFeedbackBuilder {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(config: FeedbackConfig) -> Self {
        let capacity = config.packets.clamp(64, MAX_PACKETS).next_power_of_two();
        Self {
            config,
            unwrapper: SequenceUnwrapper::new(),
            arrivals: vec![MISSING; capacity].into_boxed_slice(),
            epoch: None,
            next: 0,
            end: 0,
            due: None,
            feedback_count: 0,
        }
    }

    /// Takes note of a packet by its transport-wide number. One that comes after its loss was
    /// reported makes the next feedback begin with it, unless it is older than 512 others.
    pub fn on_packet(&mut self, now: Instant, sequence: SequenceNumber) {
        let number = self.unwrapper.unwrap(sequence);
        let epoch = *self.epoch.get_or_insert_with(|| {
            (self.next, self.end) = (number, number);
            now
        });
        let capacity = self.arrivals.len() as u64;
        if number >= self.end {
            if number - self.end >= capacity {
                self.arrivals.fill(MISSING);
            } else {
                (self.end..number).for_each(|lost| *self.slot(lost) = MISSING);
            }
            self.end = number + 1;
            self.next = self.next.max(self.end.saturating_sub(capacity));
        } else if number + capacity.min(MAX_BACK) < self.end || *self.slot(number) != MISSING {
            return;
        } else {
            self.next = self.next.min(number);
        }
        let micros = now.saturating_duration_since(epoch).as_micros();
        *self.slot(number) = i64::try_from(micros / TICK_MICROS).unwrap_or(i64::MAX);
        self.due.get_or_insert(now + self.config.interval);
    }

    /// When to call [`Self::build`] again.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Writes a feedback packet if one is due; says whether it did. What one has no room for is in
    /// the next: call it until it says no.
    ///
    /// # Errors
    /// No room in `writer`; nothing is lost then.
    pub fn build(
        &mut self,
        now: Instant,
        sender: Ssrc,
        media: Ssrc,
        writer: &mut RtcpWriter<'_>,
    ) -> Result<bool, WriteError> {
        if self.due.is_none_or(|due| due > now) {
            return Ok(false);
        }
        let (next, stop) = (self.next, self.stop());
        let packets = (next..stop).map(|number| PacketArrival {
            sequence: SequenceNumber(number as u16),
            arrival: Some(self.arrival(number)).filter(|arrival| *arrival != MISSING),
        });
        writer.transport_feedback(sender, media, self.feedback_count, packets)?;
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.next = stop;
        if stop == self.end {
            self.due = None;
        }
        Ok(true)
    }

    /// How far one feedback packet reaches. It ends before a packet that arrived, or at the end.
    fn stop(&self) -> u64 {
        let mut bytes = 0;
        let mut lost_run = 0;
        let mut last = None;
        for number in self.next..self.end {
            let arrival = self.arrival(number);
            if arrival == MISSING {
                lost_run += 1;
                // Beyond that they share a run-length chunk.
                bytes += if lost_run <= LONGEST_VECTOR { 2 } else { 0 };
                continue;
            }
            lost_run = 0;
            let delta = arrival - last.unwrap_or(arrival);
            bytes += if (0..=255).contains(&delta) { 2 } else { 3 };
            // Clear of the largest delta, less up to 64 ms of the reference.
            if last.is_some() && (bytes > self.config.bytes || delta.abs() > MAX_DELTA) {
                return number;
            }
            last = Some(arrival);
        }
        self.end
    }

    fn arrival(&self, number: u64) -> i64 {
        self.arrivals[number as usize & (self.arrivals.len() - 1)]
    }

    fn slot(&mut self, number: u64) -> &mut i64 {
        let mask = self.arrivals.len() - 1;
        &mut self.arrivals[number as usize & mask]
    }
}

const MISSING: i64 = -1;
const TICK_MICROS: u128 = 250;
const MAX_DELTA: i64 = 32_000;
const MAX_PACKETS: usize = 1 << 14;
/// A late packet makes everything after it be reported again: no more than this.
const MAX_BACK: u64 = 512;
/// Packets in a vector chunk of one bit each.
const LONGEST_VECTOR: u32 = 14;

#[cfg(test)]
mod tests {
    use super::super::testing::base;
    use super::*;
    use crate::Limits;
    use crate::rtcp::{Compound, RtcpPacket};

    fn build(builder: &mut TransportFeedbackBuilder, now: Instant) -> Vec<(u16, Option<i64>)> {
        let mut all = Vec::new();
        loop {
            let mut buffer = [0; 1200];
            let mut writer = RtcpWriter::new(&mut buffer);
            if !builder.build(now, Ssrc(1), Ssrc(2), &mut writer).unwrap() {
                return all;
            }
            let len = writer.finish();
            for packet in Compound::new(&buffer[..len], &Limits::default()) {
                let Ok(RtcpPacket::TransportFeedback(feedback)) = packet else {
                    panic!("{packet:?}");
                };
                all.extend(feedback.packets().map(|one| (one.sequence.0, one.arrival)));
            }
        }
    }

    /// Arrivals, losses, a wrap and a late packet, which is reported with all after it.
    #[test]
    fn arrivals_and_losses() {
        let start = base();
        let at = |ms| start + Duration::from_millis(ms);
        let mut builder = TransportFeedbackBuilder::new(FeedbackConfig::default());
        for (ms, sequence) in [(0, 65_534), (1, 65_535), (10, 1)] {
            builder.on_packet(at(ms), SequenceNumber(sequence));
        }
        assert_eq!(build(&mut builder, at(49)), []);
        let expected = [
            (65_534, Some(0)),
            (65_535, Some(4)),
            (0, None),
            (1, Some(40)),
        ];
        assert_eq!(build(&mut builder, at(50)), expected);
        assert_eq!(builder.poll_timeout(), None);
        builder.on_packet(at(60), SequenceNumber(0));
        assert_eq!(
            build(&mut builder, at(110)),
            [(0, Some(240)), (1, Some(40))]
        );
    }

    /// Everything is reported once whatever the sizes, gaps and pauses, in packets that fit.
    #[test]
    fn long_and_sparse() {
        let start = base();
        let mut builder = TransportFeedbackBuilder::new(FeedbackConfig::default());
        let (mut now, mut number, mut sent) = (start, 60_000u32, Vec::new());
        for round in 0..4_000u32 {
            now += Duration::from_micros(u64::from(round % 7) * 300);
            if round % 1_000 == 999 {
                now += Duration::from_secs(9);
            }
            number += if round % 500 == 0 {
                1_500
            } else {
                1 + round % 3
            };
            builder.on_packet(now, SequenceNumber(number as u16));
            sent.push(number as u16);
            if round % 700 == 0 {
                sent.retain(|_| false);
                build(&mut builder, now + Duration::from_secs(1));
            }
        }
        let reported: Vec<u16> = build(&mut builder, now + Duration::from_secs(1))
            .into_iter()
            .filter_map(|(sequence, arrival)| arrival.map(|_| sequence))
            .collect();
        assert_eq!(reported, sent);
    }
}
