//! When to acknowledge (RFC 9260 §6.2, RFC 7053).
//!
//! A peer in slow start opens its window by at most one packet per SACK (§7.2.1), so while it ramps
//! up every second packet has a SACK of its own: several from one burst are stepped through, and
//! leave together. At a sustained high rate that would be waste. Then a burst has one SACK: it is
//! due when enough packets came, whatever else came with them.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::serial::Tsn;

/// The moment of the next SACK.
#[derive(Debug)]
pub(super) struct AckState {
    /// How long an acknowledgement is held back at most.
    delay: Duration,
    /// Packets with data since the last SACK or step.
    unacknowledged: u32,
    /// A SACK is due, whatever was counted.
    immediate: bool,
    /// SACKs of their own before the one that says everything.
    steps: SmallVec<[Step; MAX_STEPS]>,
    /// How many of them were taken.
    steps_taken: usize,
    /// When the unacknowledged packets are acknowledged at the latest.
    deadline: Option<Instant>,
    started: bool,
    rate: Rate,
}

/// What a SACK says that others of the same burst follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing was missing up to here.
    Cumulative(Tsn),
    /// TSNs were missing before this newest one. A peer takes a TSN for lost after three SACKs that
    /// lack it (§7.2.4), so the first few packets behind a gap have one each.
    Gap(Tsn),
}

/// What the chunks of a packet amount to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PacketSummary {
    /// It had DATA.
    pub(super) data: bool,
    /// It had a duplicate, an I-bit, something that was dropped, or a FORWARD-TSN.
    pub(super) urgent: bool,
    /// TSNs are missing, or were before it came.
    pub(super) gap: bool,
}

impl AckState {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            delay,
            unacknowledged: 0,
            immediate: false,
            steps: SmallVec::new(),
            steps_taken: 0,
            deadline: None,
            started: false,
            rate: Rate::default(),
        }
    }

    /// A packet ended that left the tracker with these TSNs.
    #[inline]
    pub(super) fn on_packet(
        &mut self,
        now: Instant,
        packet: PacketSummary,
        cumulative: Tsn,
        highest: Tsn,
    ) {
        self.immediate |= packet.urgent || packet.gap;
        if !packet.data {
            return;
        }
        if !self.started {
            // The very first one tells the peer its round trip, and has a SACK of its own.
            self.started = true;
            self.immediate = true;
            self.unacknowledged = EVERY - 1;
        }
        self.rate.on_packet(now, packet.gap);
        self.unacknowledged += 1;
        if self.deadline.is_none() {
            self.deadline = Some(now + self.delay);
        }
        if packet.gap {
            if self.steps.len() < MAX_GAP_STEPS {
                self.steps.push(Step::Gap(highest));
            }
        } else if !self.rate.sustained && self.unacknowledged >= EVERY {
            self.immediate = true;
            self.unacknowledged = 0;
            if self.steps.len() < MAX_STEPS {
                self.steps.push(Step::Cumulative(cumulative));
            }
        }
    }

    /// The window opened enough to say so.
    pub(super) fn on_window_update(&mut self) {
        self.immediate = true;
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.immediate
            || self.unacknowledged >= self.rate.every()
            || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether anything came that no SACK covers.
    pub(super) fn is_pending(&self) -> bool {
        self.immediate || self.deadline.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next step. The last one is none: the SACK that says everything takes its place.
    pub(super) fn take_step(&mut self) -> Option<Step> {
        let &[step, _, ..] = self.steps.get(self.steps_taken..)? else {
            return None;
        };
        self.steps_taken += 1;
        Some(step)
    }

    /// A SACK that says everything was taken.
    pub(super) fn on_sack(&mut self) {
        self.unacknowledged = 0;
        self.immediate = false;
        self.deadline = None;
        self.steps.clear();
        self.steps_taken = 0;
    }
}

/// Packets with data in each of the last periods.
///
/// A peer that ramps sends more from one round trip to the next. The last period is compared with
/// the mean of [`HISTORY`] before it, 400 ms, which makes growth visible up to a round trip of about
/// half a second; beyond, every second packet would not be many anyway.
#[derive(Debug, Default)]
struct Rate {
    started: Option<Instant>,
    current: u32,
    history: [u32; HISTORY],
    next: usize,
    sustained: bool,
    every: u32,
}

impl Rate {
    #[inline]
    fn on_packet(&mut self, now: Instant, gap: bool) {
        let started = *self.started.get_or_insert(now);
        if now.saturating_duration_since(started) >= PERIOD {
            self.end_period(now, started);
        }
        self.current += 1;
        if gap {
            // The peer shrinks its window, and may not have as many packets in flight as we would
            // wait for.
            self.sustained = false;
        }
    }

    fn end_period(&mut self, now: Instant, started: Instant) {
        let idle = now.saturating_duration_since(started) >= 2 * PERIOD;
        let mean = self.history.iter().sum::<u32>() / HISTORY as u32;
        self.sustained =
            !idle && self.current >= HIGH_RATE && self.current - self.current / 5 <= mean;
        self.every = (self.current / HIGH_RATE).clamp(EVERY, MAX_EVERY);
        if idle {
            self.history = [0; HISTORY];
        }
        self.history[self.next] = self.current;
        self.next = (self.next + 1) % HISTORY;
        self.current = 0;
        self.started = Some(now);
    }

    /// Packets after which a SACK is due.
    fn every(&self) -> u32 {
        if self.sustained { self.every } else { EVERY }
    }
}

/// §6.2: a SACK for at least every second packet.
const EVERY: u32 = 2;

/// At a sustained rate, a SACK waits for up to so many packets: fewer than any congestion window
/// that makes such a rate, so that the peer never has to wait for us.
const MAX_EVERY: u32 = 8;

/// SACKs stepped through from one burst. A burst is a receive buffer of about 50 packets, or a few.
const MAX_STEPS: usize = 32;

/// One more than the peer has to see before the last, which says everything.
const MAX_GAP_STEPS: usize = 4;

const PERIOD: Duration = Duration::from_millis(50);
const HISTORY: usize = 8;

/// Packets in a period that are a high rate: 10,000 a second, about 12 MB/s. Below, every second
/// packet costs nothing worth saving.
const HIGH_RATE: u32 = 500;
