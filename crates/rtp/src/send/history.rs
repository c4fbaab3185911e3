//! Packets that may be asked for again, and how many of them are sent again.

use std::time::{Duration, Instant};

use crate::{SequenceNumber, SequenceUnwrapper};

/// The packets of one stream that were sent lately. `P` holds one: `Bytes`, or a buffer of a pool.
/// Nothing is allocated after construction.
///
/// Whatever is asked for, by whom and how often, retransmissions stay below a share of what was
/// sent ([`HistoryConfig::share_percent`]), and no packet goes twice within an RTT.
#[derive(Debug)]
pub struct RetransmissionHistory<P> {
    config: HistoryConfig,
    unwrapper: SequenceUnwrapper,
    /// By number modulo the length, a power of two.
    slots: Box<[Option<Sent<P>>]>,
    /// Packets held are in `oldest..end`.
    oldest: u64,
    end: u64,
    bytes: usize,
    rtt: Duration,
    /// In 1/100 byte.
    credit: u64,
    stats: HistoryStats,
}

#[derive(Debug)]
struct Sent<P> {
    packet: P,
    number: u64,
    sent: Instant,
    last: Option<Instant>,
}

/// What a [`RetransmissionHistory`] holds and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// How long a packet is of use.
    pub max_age: Duration,
    /// Packets held; a power of two is used.
    pub packets: usize,
    /// Bytes held.
    pub bytes: usize,
    /// Bytes sent again, in hundredths of the bytes sent; 20 at most.
    pub share_percent: u8,
    /// The RTT until one is known.
    pub initial_rtt: Duration,
}

/// Why a packet is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Never sent, or too long ago.
    #[error("not in the history")]
    Unknown,
    /// It was sent again within the last RTT.
    #[error("sent again within the last round trip")]
    TooSoon,
    /// The share of retransmissions is used up.
    #[error("the share of retransmissions is used up")]
    OverShare,
}

/// Counters; the first two in the terms of W3C's `RTCOutboundRtpStreamStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryStats {
    /// `retransmittedPacketsSent`.
    pub packets: u64,
    /// `retransmittedBytesSent`, with headers.
    pub bytes: u64,
    /// [`Refusal::Unknown`].
    pub unknown: u64,
    /// [`Refusal::TooSoon`].
    pub too_soon: u64,
    /// [`Refusal::OverShare`].
    pub over_share: u64,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(1),
            packets: 2048,
            bytes: 4 << 20,
            share_percent: MAX_SHARE,
            initial_rtt: Duration::from_millis(50),
        }
    }
}

impl<P: AsRef<[u8]>> RetransmissionHistory<P> {
    /// Empty.
    #[must_use]
    pub fn new(config: HistoryConfig) -> Self {
        let capacity = config.packets.clamp(2, MAX_PACKETS).next_power_of_two();
        Self {
            unwrapper: SequenceUnwrapper::new(),
            slots: std::iter::repeat_with(|| None).take(capacity).collect(),
            oldest: 0,
            end: 0,
            bytes: 0,
            rtt: config.initial_rtt,
            credit: 0,
            stats: HistoryStats::default(),
            config,
        }
    }

    /// Sets the round-trip time.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// Takes a packet as it is sent for the first time.
    pub fn insert(&mut self, now: Instant, sequence: SequenceNumber, packet: P) {
        let number = self.unwrapper.unwrap(sequence);
        let capacity = self.slots.len() as u64;
        if self.oldest == self.end {
            (self.oldest, self.end) = (number, number);
        }
        if number < self.oldest {
            return;
        }
        self.expire(now);
        let size = packet.as_ref().len();
        let is_over = |history: &Self| {
            number - history.oldest >= capacity || history.bytes + size > history.config.bytes
        };
        while self.oldest < self.end && is_over(self) {
            self.drop_oldest();
        }
        if self.oldest == self.end {
            self.oldest = number;
        }
        self.end = self.end.max(number + 1);
        self.bytes += size;
        let replaced = self.slot(number).replace(Sent {
            packet,
            number,
            sent: now,
            last: None,
        });
        if let Some(replaced) = replaced {
            self.bytes -= replaced.packet.as_ref().len();
        }
        let share = u64::from(self.config.share_percent.min(MAX_SHARE));
        // What is saved up is no more than the share of what could be asked for.
        self.credit = (self.credit + size as u64 * share).min(self.bytes as u64 * share);
    }

    /// The packet to send again, which counts as sent.
    ///
    /// # Errors
    /// It is not to be sent; that is counted.
    pub fn retransmit(&mut self, now: Instant, sequence: SequenceNumber) -> Result<&P, Refusal> {
        let number = self.unwrapper.peek(sequence);
        let (rtt, max_age, credit) = (self.rtt, self.config.max_age, self.credit);
        let index = number as usize & (self.slots.len() - 1);
        let found = self.slots[index]
            .as_mut()
            .filter(|sent| sent.number == number)
            .filter(|sent| now.saturating_duration_since(sent.sent) < max_age);
        let Some(sent) = found else {
            self.stats.unknown += 1;
            return Err(Refusal::Unknown);
        };
        let is_recent = |last: Instant| now.saturating_duration_since(last) < rtt;
        if sent.last.is_some_and(is_recent) {
            self.stats.too_soon += 1;
            return Err(Refusal::TooSoon);
        }
        // RFC 4588: the original number comes on top.
        let size = sent.packet.as_ref().len() as u64 + 2;
        let Some(credit) = credit.checked_sub(size * 100) else {
            self.stats.over_share += 1;
            return Err(Refusal::OverShare);
        };
        sent.last = Some(now);
        self.credit = credit;
        self.stats.packets += 1;
        self.stats.bytes += size;
        Ok(&sent.packet)
    }

    /// Drops what is too old. [`Self::insert`] does so too: this is for a stream that pauses.
    pub fn expire(&mut self, now: Instant) {
        while self.oldest < self.end {
            let max_age = self.config.max_age;
            let is_young = |sent: &Sent<P>| now.saturating_duration_since(sent.sent) < max_age;
            if self.slot(self.oldest).as_ref().is_some_and(is_young) {
                break;
            }
            self.drop_oldest();
        }
    }

    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> HistoryStats {
        self.stats
    }

    fn drop_oldest(&mut self) {
        let oldest = self.oldest;
        self.oldest += 1;
        if let Some(sent) = self.slot(oldest).take() {
            self.bytes -= sent.packet.as_ref().len();
        }
    }

    fn slot(&mut self, number: u64) -> &mut Option<Sent<P>> {
        let mask = self.slots.len() - 1;
        &mut self.slots[number as usize & mask]
    }
}

/// Beyond it a repair is a load.
const MAX_SHARE: u8 = 20;
const MAX_PACKETS: usize = 1 << 15;

#[cfg(test)]
mod tests {
    use super::super::super::receive::testing::base;
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Over a wrap: found while young, not twice within an RTT, gone when old.
    #[test]
    fn bounded_by_time() {
        let start = base();
        let mut history = RetransmissionHistory::new(HistoryConfig::default());
        for index in 0..100u16 {
            let sequence = SequenceNumber(65_500u16.wrapping_add(index));
            history.insert(start + ms(index.into()), sequence, vec![index as u8; 100]);
        }
        let sequence = SequenceNumber(3);
        assert_eq!(
            history.retransmit(start + ms(100), sequence),
            Ok(&vec![39; 100])
        );
        assert_eq!(
            history.retransmit(start + ms(149), sequence),
            Err(Refusal::TooSoon)
        );
        assert!(history.retransmit(start + ms(150), sequence).is_ok());
        assert_eq!(
            history.retransmit(start + ms(1039), sequence),
            Err(Refusal::Unknown)
        );
        let never = SequenceNumber(500);
        assert_eq!(
            history.retransmit(start + ms(150), never),
            Err(Refusal::Unknown)
        );
        history.expire(start + ms(1050));
        assert_eq!(history.bytes(), 49 * 100);
        history.expire(start + ms(2000));
        assert_eq!(history.bytes(), 0);
    }

    /// Bytes, number and gaps: nothing is held beyond the limits, and the newest is always there.
    #[test]
    fn bounded_by_size() {
        let start = base();
        let config = HistoryConfig {
            packets: 16,
            bytes: 1000,
            ..HistoryConfig::default()
        };
        let mut history = RetransmissionHistory::new(config);
        let mut sequence = SequenceNumber(0);
        for index in 0..2000u16 {
            sequence = sequence.plus(1 + index % 40);
            history.insert(start, sequence, vec![0; usize::from(index % 300)]);
            assert!(history.bytes() <= 1000);
            assert_ne!(history.retransmit(start, sequence), Err(Refusal::Unknown));
        }
    }

    /// A storm of requests for everything, at every moment, stays below the share, however long
    /// credit was saved up for.
    #[test]
    fn storm() {
        let start = base();
        let mut history = RetransmissionHistory::new(HistoryConfig::default());
        history.set_rtt(Duration::ZERO);
        let (mut sent, mut again, mut burst) = (0, 0, 0);
        for index in 0..20_000u64 {
            let now = start + ms(index);
            history.insert(now, SequenceNumber(index as u16), vec![0; 1000]);
            sent += 1000;
            if index < 10_000 {
                continue;
            }
            let before = history.stats().bytes;
            for lost in 0..300 {
                let _ = history.retransmit(now, SequenceNumber((index - lost) as u16));
            }
            again = history.stats().bytes;
            burst = burst.max(again - before);
        }
        assert!(again * 5 <= sent, "{again} of {sent}");
        // A fifth of the last second.
        assert!(burst <= 200_000, "{burst}");
        assert!(history.stats().over_share > 0);
    }
}
