//! What was sent on a transport and what became of it
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::{Duration, Instant};

use crate::rtcp::TransportFeedback;
use crate::{SequenceNumber, Timestamp, TimestampUnwrapper};

/// Numbers the packets of a transport and matches feedback with them. Of fixed size.
#[derive(Debug)]
pub struct TransportHistory {
    /// By number modulo the length, a power of two.
    sent: Box<[Option<Sent>]>,
    next: u64,
    /// Arrival times wrap after 2^32 ticks, 12 days.
    arrivals: TimestampUnwrapper,
    first_arrival: Option<u64>,
    stats: TransportHistoryStats,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    at: Instant,
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InFlight,
    Lost,
    Arrived,
}

/// What feedback says of a packet for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketFate {
    /// Its transport-wide number.
    pub sequence: SequenceNumber,
    /// When it was sent.
    pub sent: Instant,
    /// Its size.
    pub bytes: usize,
    /// When it arrived, to 250 µs, on the receiver's clock, which counts from an hour before its
    /// first arrival; None if it is lost so far.
    pub arrival: Option<Duration>,
}

/// Counters of a [`TransportHistory`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportHistoryStats {
    /// Bytes sent of which nothing was said yet.
    pub in_flight: usize,
    /// Packets sent.
    pub packets: u64,
    /// Bytes that arrived.
    pub acknowledged_bytes: u64,
    /// Packets reported lost, those that arrived later included.
    pub lost: u64,
    /// Packets forgotten before anything was said of them.
    pub forgotten: u64,
    /// Reports on packets never sent, or forgotten.
    pub unknown: u64,
}

impl TransportHistory {
    /// Remembers `packets`, rounded up to a power of two, at most 32,768. Numbers begin at `first`.
    #[must_use]
    pub fn new(packets: usize, first: SequenceNumber) -> Self {
        let capacity = packets.clamp(2, MAX_PACKETS).next_power_of_two();
        Self {
            sent: vec![None; capacity].into_boxed_slice(),
            // Clear of zero, so that there is a number before any other.
            next: u64::from(first.0) + (1 << 16),
            arrivals: TimestampUnwrapper::new(),
            first_arrival: None,
            stats: TransportHistoryStats::default(),
        }
    }

    /// The number for a packet of `bytes`, which counts as sent.
    pub fn on_sent(&mut self, now: Instant, bytes: usize) -> SequenceNumber {
        let number = self.next;
        self.next += 1;
        let index = number as usize & (self.sent.len() - 1);
        let replaced = self.sent[index].replace(Sent {
            number,
            at: now,
            bytes,
            state: State::InFlight,
        });
        if let Some(old) = replaced.filter(|old| old.state == State::InFlight) {
            self.stats.in_flight -= old.bytes;
            self.stats.forgotten += 1;
        }
        self.stats.in_flight += bytes;
        self.stats.packets += 1;
        SequenceNumber(number as u16)
    }

    /// Hands what is new in a feedback packet to `each`, in the order of the numbers. A packet
    /// reported lost that arrived after all is new again.
    pub fn on_feedback(
        &mut self,
        feedback: &TransportFeedback<'_>,
        mut each: impl FnMut(PacketFate),
    ) {
        for packet in feedback.packets() {
            // The clock goes on even where the packet is not known.
            let arrival = packet.arrival.map(|ticks| self.arrival(ticks));
            let newest = self.next - 1;
            let back = SequenceNumber(newest as u16).offset_from(packet.sequence);
            let known = u64::try_from(back).ok().and_then(|back| {
                let number = newest.checked_sub(back)?;
                let index = number as usize & (self.sent.len() - 1);
                self.sent[index]
                    .as_mut()
                    .filter(|sent| sent.number == number)
            });
            let Some(sent) = known else {
                self.stats.unknown += 1;
                continue;
            };
            let state = if arrival.is_some() {
                State::Arrived
            } else {
                State::Lost
            };
            let before = sent.state;
            if before == State::Arrived || before == state {
                continue;
            }
            sent.state = state;
            if before == State::InFlight {
                self.stats.in_flight -= sent.bytes;
            }
            match state {
                State::Arrived => self.stats.acknowledged_bytes += sent.bytes as u64,
                State::InFlight | State::Lost => self.stats.lost += 1,
            }
            each(PacketFate {
                sequence: packet.sequence,
                sent: sent.at,
                bytes: sent.bytes,
                arrival,
            });
        }
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> TransportHistoryStats {
        self.stats
    }

    fn arrival(&mut self, ticks: i64) -> Duration {
        let ticks = self.arrivals.unwrap(Timestamp(ticks as u32));
        let first = *self.first_arrival.get_or_insert(ticks);
        let since = (ticks + HOUR_TICKS).saturating_sub(first);
        Duration::from_micros(since.saturating_mul(250))
    }
}

/// Half the numbers: more could not be told apart.
const MAX_PACKETS: usize = 1 << 15;
/// Of 250 µs: the first arrival reported need not be the earliest.
const HOUR_TICKS: u64 = 3600 * 4000;

#[cfg(test)]
mod tests {
    use super::super::super::receive::testing::base;
    use super::*;
    use crate::rtcp::{Compound, PacketArrival, RtcpPacket, RtcpWriter};
    use crate::{Limits, Ssrc};

    fn feed(
        history: &mut TransportHistory,
        first: u16,
        arrivals: &[Option<i64>],
    ) -> Vec<(u16, Option<u64>)> {
        let packets = arrivals
            .iter()
            .enumerate()
            .map(|(index, arrival)| PacketArrival {
                sequence: SequenceNumber(first).plus(index as u16),
                arrival: *arrival,
            });
        let mut buffer = [0; 500];
        let mut writer = RtcpWriter::new(&mut buffer);
        writer
            .transport_feedback(Ssrc(1), Ssrc(2), 0, packets)
            .unwrap();
        let len = writer.finish();
        let mut fates = Vec::new();
        for packet in Compound::new(&buffer[..len], &Limits::default()) {
            let Ok(RtcpPacket::TransportFeedback(feedback)) = packet else {
                panic!("{packet:?}");
            };
            history.on_feedback(&feedback, |fate| {
                let arrival = fate.arrival.map(|at| at.as_micros() as u64 - 3_600_000_000);
                fates.push((fate.sequence.0, arrival));
            });
        }
        fates
    }

    /// Over both wraps: news once, a loss that was none twice, what was never sent not at all.
    #[test]
    fn news() {
        let start = base();
        let mut history = TransportHistory::new(64, SequenceNumber(65_534));
        for expected in [65_534, 65_535, 0, 1] {
            assert_eq!(history.on_sent(start, 100).0, expected);
        }
        let clock = (1i64 << 31) - 40;
        let fates = feed(&mut history, 65_534, &[Some(clock), None, Some(clock + 80)]);
        assert_eq!(
            fates,
            [(65_534, Some(0)), (65_535, None), (0, Some(20_000))]
        );
        assert_eq!(history.stats().in_flight, 100);
        let again = [Some(clock), Some(clock + 4), Some(clock + 80), None, None];
        let fates = feed(&mut history, 65_534, &again);
        assert_eq!(fates, [(65_535, Some(1000)), (1, None)]);
        let stats = history.stats();
        assert_eq!((stats.in_flight, stats.lost, stats.unknown), (0, 2, 1));
        assert_eq!(stats.acknowledged_bytes, 300);
    }

    /// With nothing heard, what is in flight is bounded by what is remembered.
    #[test]
    fn silence() {
        let start = base();
        let mut history = TransportHistory::new(64, SequenceNumber(0));
        for _ in 0..100_000 {
            history.on_sent(start, 10);
        }
        let stats = history.stats();
        assert_eq!((stats.in_flight, stats.forgotten), (640, 99_936));
    }
}
