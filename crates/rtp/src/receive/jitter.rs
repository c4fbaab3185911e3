//! Puts the packets of one stream in order and decides how long to wait for those missing.

use std::time::{Duration, Instant};

use super::delay::DelayEstimator;
use crate::{Limits, MediaPacket, SequenceNumber, SequenceUnwrapper};

/// Packets of one SSRC, in order, as they become due. `P` holds a payload; nothing is allocated
/// after construction. Holds at most [`Limits::assembler_packets`], [`Limits::assembler_bytes`] and
/// [`JitterConfig::max_delay`].
#[derive(Debug)]
pub struct JitterBuffer<P> {
    config: JitterConfig,
    estimator: DelayEstimator,
    unwrapper: SequenceUnwrapper,
    /// By number modulo the length, which is a power of two.
    slots: Box<[Option<Held<P>>]>,
    /// The next packet to be released.
    head: u64,
    /// Nothing is held between the head and this one, both excluded.
    scan: u64,
    /// One behind the newest packet.
    end: u64,
    /// Everything before this one is due, to make room.
    forced: u64,
    /// Lost before the head and not reported yet.
    skipped: u64,
    bytes: usize,
    max_bytes: usize,
    recovery: Duration,
    phase: Phase,
    stats: JitterStats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    /// Nothing was released yet: earlier packets may still come in front.
    Filling,
    Running,
}

#[derive(Debug)]
struct Held<P> {
    packet: MediaPacket<P>,
    arrival: Instant,
}

/// How a [`JitterBuffer`] waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterConfig {
    /// Of the stream's timestamps, in Hz.
    pub clock_rate: u32,
    /// When packets come out.
    pub release: ReleaseMode,
    /// The least delay.
    pub min_delay: Duration,
    /// The longest that a packet is held; at most 2 s.
    pub max_delay: Duration,
}

/// When packets come out of a [`JitterBuffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseMode {
    /// As soon as all before them are out: for frames, which are shown by their own clock.
    InOrder,
    /// At an even pace, each when its timestamp says, behind by the target delay: for audio.
    Paced,
}

/// Which way a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketOrigin {
    /// As it was sent first.
    Direct,
    /// Retransmitted, or repaired by FEC: says nothing about the jitter of the path.
    Repaired,
}

/// What became of a packet given to [`JitterBuffer::insert`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Buffered<P> {
    /// Taken.
    Stored,
    /// Already there.
    Duplicate,
    /// Its place was released or given up.
    Late,
    /// Larger than the whole buffer.
    TooLarge,
    /// No room. What is in the way is due now: poll until there is nothing more and insert the
    /// packet again; then there is room.
    Full(MediaPacket<P>),
}

/// What comes out of a [`JitterBuffer`].
#[derive(Clone, Debug)]
pub enum Released<P> {
    /// The next packet. None before it comes any more: a [`crate::FrameAssembler`] it is given to
    /// need not wait for what is missing before it.
    Packet(MediaPacket<P>),
    /// Packets that are not waited for any longer.
    Lost {
        /// The first of them.
        first: SequenceNumber,
        /// How many.
        count: u64,
    },
}

/// Counters in the terms of W3C's `RTCInboundRtpStreamStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// `jitterBufferDelay`: sum over all packets released of the time they were held.
    pub delay: Duration,
    /// `jitterBufferTargetDelay`: sum over all packets released of the target at that time.
    pub target_delay: Duration,
    /// `jitterBufferEmittedCount`, in packets.
    pub emitted: u64,
    /// `packetsDiscarded`: too late, or too large.
    pub discarded: u64,
    /// Already there.
    pub duplicates: u64,
    /// Given up.
    pub lost: u64,
}

impl JitterConfig {
    /// Video: in order, 90 kHz.
    pub const VIDEO: Self = Self {
        clock_rate: 90_000,
        release: ReleaseMode::InOrder,
        min_delay: Duration::ZERO,
        max_delay: LONGEST_DELAY,
    };

    /// Opus: paced, 48 kHz.
    pub const OPUS: Self = Self {
        clock_rate: 48_000,
        release: ReleaseMode::Paced,
        min_delay: Duration::ZERO,
        max_delay: LONGEST_DELAY,
    };
}

impl<P: AsRef<[u8]>> JitterBuffer<P> {
    /// Empty. Values of `config` out of range are brought into it.
    #[must_use]
    pub fn new(config: JitterConfig, limits: &Limits) -> Self {
        let capacity = limits.assembler_packets.clamp(2, MAX_PACKETS);
        let max_delay = config.max_delay.min(LONGEST_DELAY);
        Self {
            config: JitterConfig {
                max_delay,
                min_delay: config.min_delay.min(max_delay),
                ..config
            },
            estimator: DelayEstimator::new(config.clock_rate),
            unwrapper: SequenceUnwrapper::new(),
            slots: std::iter::repeat_with(|| None)
                .take(capacity.next_power_of_two())
                .collect(),
            head: 0,
            scan: 0,
            end: 0,
            forced: 0,
            skipped: 0,
            bytes: 0,
            max_bytes: limits.assembler_bytes,
            recovery: Duration::ZERO,
            phase: Phase::Empty,
            stats: JitterStats::default(),
        }
    }

    /// How long a missing packet is worth waiting for at least, because it was asked for:
    /// [`super::NackGenerator::recovery_time`]. Zero without retransmission.
    pub fn set_recovery(&mut self, recovery: Duration) {
        self.recovery = recovery;
    }

    /// Takes a packet. Call [`Self::poll`] afterwards.
    pub fn insert(
        &mut self,
        now: Instant,
        packet: MediaPacket<P>,
        origin: PacketOrigin,
    ) -> Buffered<P> {
        let number = self.unwrapper.peek(packet.sequence);
        let size = packet.payload.as_ref().len();
        if size > self.max_bytes {
            self.stats.discarded += 1;
            return Buffered::TooLarge;
        }
        if self.phase == Phase::Empty {
            (self.head, self.scan, self.end) = (number, number, number);
            self.phase = Phase::Filling;
        } else if number < self.head && !self.extend_back(number) {
            self.stats.discarded += 1;
            return Buffered::Late;
        }
        if number < self.end && self.slot(number).is_some() {
            self.stats.duplicates += 1;
            return Buffered::Duplicate;
        }
        let capacity = self.slots.len() as u64;
        let head = (number + 1).saturating_sub(capacity);
        let is_heavy = self.bytes + size > self.max_bytes;
        if self.head < self.end && (is_heavy || head > self.head) {
            // One round of polling has to be enough: for bytes, everything goes.
            let forced = if is_heavy { self.end } else { head };
            self.forced = self.forced.max(forced);
            return Buffered::Full(packet);
        }
        if head > self.head {
            self.skipped += head - self.head;
            (self.head, self.scan, self.end) = (head, head, head);
        }
        if origin == PacketOrigin::Direct {
            self.estimator.observe(now, packet.timestamp);
        }
        self.unwrapper.unwrap(packet.sequence);
        self.bytes += size;
        self.end = self.end.max(number + 1);
        if number > self.head && number < self.scan {
            self.scan = number;
        }
        *self.slot(number) = Some(Held {
            packet,
            arrival: now,
        });
        Buffered::Stored
    }

    /// The next packet that is due, or a gap that is given up.
    pub fn poll(&mut self, now: Instant) -> Option<Released<P>> {
        if self.skipped > 0 {
            let count = std::mem::take(&mut self.skipped);
            return Some(self.lose(self.head.saturating_sub(count), count));
        }
        if self.next_due()? > now && self.head >= self.forced {
            return None;
        }
        self.phase = Phase::Running;
        let target = self.target_delay();
        let Some(held) = self.slot(self.head).take() else {
            let first = self.head;
            self.head = self.scan;
            return Some(self.lose(first, self.head - first));
        };
        self.head += 1;
        self.bytes -= held.packet.payload.as_ref().len();
        self.stats.emitted += 1;
        self.stats.delay += now.saturating_duration_since(held.arrival);
        self.stats.target_delay += target;
        Some(Released::Packet(held.packet))
    }

    /// When to call [`Self::poll`] again; it may be in the past.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.next_due()
    }

    /// How long packets are held for the late ones now.
    #[must_use]
    pub fn target_delay(&self) -> Duration {
        let target = self.estimator.target();
        target.clamp(self.config.min_delay, self.config.max_delay)
    }

    /// Sequence numbers between the oldest packet waited for and the newest held.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.end - self.head
    }

    /// Bytes of payload held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> JitterStats {
        self.stats
    }

    /// When the head is due, or, if it is missing, given up.
    fn next_due(&mut self) -> Option<Instant> {
        if self.head == self.end {
            return None;
        }
        if let Some(held) = self.peek(self.head) {
            return Some(self.due(held));
        }
        self.scan = self.scan.max(self.head + 1);
        // The newest packet ends this: it is held as long as the head is before the end.
        while self.scan < self.end && self.peek(self.scan).is_none() {
            self.scan += 1;
        }
        let after_gap = self.peek(self.scan)?;
        let waited = after_gap.arrival + self.wait().min(self.config.max_delay);
        Some(waited.max(self.due(after_gap)))
    }

    fn due(&self, held: &Held<P>) -> Instant {
        match self.config.release {
            ReleaseMode::InOrder => held.arrival,
            ReleaseMode::Paced => {
                let latest = held.arrival + self.config.max_delay;
                let earliest = self.estimator.earliest(held.packet.timestamp);
                earliest.map_or(latest, |earliest| {
                    latest.min(earliest + self.target_delay())
                })
            }
        }
    }

    /// How long to wait for what is missing before a packet, from its arrival on.
    fn wait(&self) -> Duration {
        match self.config.release {
            ReleaseMode::InOrder => self.recovery.max(self.target_delay()),
            ReleaseMode::Paced => self.recovery,
        }
    }

    fn extend_back(&mut self, number: u64) -> bool {
        let fits = self.end - number <= self.slots.len() as u64;
        let extends = self.phase == Phase::Filling && fits && self.skipped == 0;
        if extends {
            // What was the head is now the first one held behind it.
            (self.scan, self.head) = (self.head, number);
        }
        extends
    }

    fn lose(&mut self, first: u64, count: u64) -> Released<P> {
        self.stats.lost += count;
        Released::Lost {
            first: SequenceNumber(first as u16),
            count,
        }
    }

    fn peek(&self, number: u64) -> Option<&Held<P>> {
        self.slots[number as usize & (self.slots.len() - 1)].as_ref()
    }

    fn slot(&mut self, number: u64) -> &mut Option<Held<P>> {
        let mask = self.slots.len() - 1;
        &mut self.slots[number as usize & mask]
    }
}

/// Beyond it a conversation is none.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// Half the sequence numbers: more could not be told apart.
const MAX_PACKETS: usize = 1 << 15;

#[cfg(test)]
mod tests;
