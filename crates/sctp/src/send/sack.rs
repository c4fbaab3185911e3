//! What a SACK says (RFC 9260 §6.2.1) and what follows from it. Costs what is newly acknowledged
//! or newly lost plus the length of the SACK.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::serial::Tsn;
use crate::wire::{GapBlock, Sack};

use super::Sender;
use super::congestion::{Acked, Controller};
use super::outstanding::{ChunkState, Entry, Loss, Moment};
use super::recovery::nanos;

/// What became of a SACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SackOutcome {
    /// Processed. `progress` if it acknowledged something new.
    Processed { progress: bool },
    /// Overtaken by a later one.
    Old,
    /// Its gap blocks name TSNs that were never sent, or none. Ignored.
    Nonsense,
    /// It acknowledges TSNs that were never sent: the two ends do not talk about the same
    /// association any more.
    Impossible,
}

/// Newly acknowledged chunks, summed up.
#[derive(Debug, Default)]
struct Newly {
    bytes: usize,
    /// The chunk sent last: when, its TSN, and whether that was its first time.
    latest: Option<(Moment, Tsn, bool)>,
}

impl Sender {
    /// Processes a SACK.
    pub(crate) fn handle_sack(&mut self, now: Instant, sack: &Sack) -> SackOutcome {
        let base = self.outstanding.base();
        if base.previous().is_newer_than(sack.cumulative_tsn) {
            // Duplicates are reported once, in whatever SACK came next.
            self.on_duplicates(&sack.duplicates);
            return SackOutcome::Old;
        }
        let advance = sack.cumulative_tsn.distance_from(base.previous()) as usize;
        if advance > self.outstanding.len() {
            return SackOutcome::Impossible;
        }
        let left = self.outstanding.len() - advance;
        if !are_valid(&sack.gaps, left) {
            return SackOutcome::Nonsense;
        }

        let moment = self.moment(now);
        let peak = self.outstanding.flight_bytes().max(self.peak.bytes);
        let in_recovery = self.recovery.in_recovery();
        self.heard = true;
        self.advertised = sack.a_rwnd as usize;
        self.queue.raise_window(self.advertised);
        let mut newly = Newly::default();
        for _ in 0..advance {
            self.acknowledge_front(moment, &mut newly);
        }
        self.acknowledge_gaps(moment, sack, &mut newly);
        self.on_duplicates(&sack.duplicates);
        if advance > 0 {
            self.on_cumulative(moment, sack.cumulative_tsn);
        }
        // Karn's rule (§6.3.1 C5), for the whole SACK: one that a retransmission brought about tells
        // nothing about chunks that arrived long before it.
        if let Some((sent_at, _, true)) = newly.latest {
            self.rtt.sample(
                now,
                Duration::from_nanos(moment.0.saturating_sub(sent_at.0)),
            );
        }
        self.check_reneging();
        self.check_window_probe();
        self.detect_losses(now);
        if newly.bytes > 0 {
            let in_recovery = in_recovery || self.recovery.in_recovery();
            self.tell_controller(moment, &newly, peak, in_recovery);
        }
        self.set_pace();
        self.advance();
        self.remind(moment);

        let progress = newly.bytes > 0 || advance > 0;
        // R3. Gap acknowledgements count: the path works, and RACK finds what is missing.
        self.update_t3(now, progress);
        if self.outstanding.flight_bytes() == 0 || self.recovery.in_recovery() {
            self.recovery.probe.cancel();
        } else if progress {
            self.schedule_probe(moment);
        }
        SackOutcome::Processed { progress }
    }

    fn tell_controller(&mut self, now: Moment, newly: &Newly, peak: usize, in_recovery: bool) {
        let Some((sent_at, _, first_time)) = newly.latest else {
            return;
        };
        let round = sent_at >= self.round_began;
        if round {
            self.round_began = now;
        }
        let rate = self.congestion.wants_rate().then(|| {
            let min_rtt = self.rtt.min_rtt().map_or(0, nanos);
            self.delivery.on_acked(now, newly.bytes, sent_at, min_rtt)
        });
        self.congestion.on_acked(&Acked {
            now,
            bytes: newly.bytes,
            peak,
            in_recovery,
            in_flight: self.outstanding.flight_bytes(),
            lost: std::mem::take(&mut self.lost_bytes),
            rtt: first_time.then(|| now.0.saturating_sub(sent_at.0)),
            srtt: self.rtt.srtt().map_or(0, nanos),
            round,
            rate: rate.flatten(),
        });
    }

    /// The cumulative TSN of a SHUTDOWN (RFC 9260 §9.2): a SACK that says nothing else.
    pub(crate) fn handle_cumulative(&mut self, now: Instant, cumulative_tsn: Tsn) -> SackOutcome {
        self.handle_sack(
            now,
            &Sack {
                cumulative_tsn,
                a_rwnd: u32::try_from(self.advertised).unwrap_or(u32::MAX),
                gaps: SmallVec::new(),
                duplicates: SmallVec::new(),
            },
        )
    }

    fn acknowledge_front(&mut self, now: Moment, newly: &mut Newly) {
        let Some((tsn, entry)) = self.outstanding.pop_front() else {
            return;
        };
        match entry.state {
            ChunkState::InFlight | ChunkState::Lost => {
                newly.add(tsn, &entry);
                let needless = self
                    .recovery
                    .on_delivered(now, tsn, &entry, self.rtt.min_rtt());
                self.counters.retransmits.spurious += u64::from(needless);
            }
            ChunkState::Acked | ChunkState::Abandoned => {}
        }
        let next = (entry.sibling != tsn).then_some(entry.sibling);
        if let Some(payload) = self.queue.release_tsn(entry.message, next) {
            self.retired.push(payload);
        }
    }

    fn acknowledge_gaps(&mut self, now: Moment, sack: &Sack, newly: &mut Newly) {
        let min_rtt = self.rtt.min_rtt();
        for gap in &sack.gaps {
            let first = sack.cumulative_tsn.plus(u32::from(gap.start));
            let last = sack.cumulative_tsn.plus(u32::from(gap.end));
            let (recovery, counters) = (&mut self.recovery, &mut self.counters);
            self.outstanding.gap_ack(first, last, |tsn, entry| {
                newly.add(tsn, &entry);
                let needless = recovery.on_delivered(now, tsn, &entry, min_rtt);
                counters.retransmits.spurious += u64::from(needless);
            });
        }
    }

    fn on_cumulative(&mut self, now: Moment, acked: Tsn) {
        self.recovery.on_cumulative(acked);
        let next = self.outstanding.next_tsn();
        if self.recovery.probe.on_cumulative(acked, next) && self.recovery.enter(next.previous()) {
            self.congestion.on_loss(now);
            self.recovery.on_cumulative(acked);
        }
    }

    fn on_duplicates(&mut self, duplicates: &[Tsn]) {
        let next = self.outstanding.next_tsn();
        for &tsn in duplicates {
            if self.recovery.on_duplicate(tsn, next) {
                self.counters.retransmits.spurious += 1;
            }
        }
        if !self.outstanding.has_lost() && self.recovery.was_spurious() {
            self.congestion.undo();
        }
    }

    /// The receiver names the first missing TSN as received in one SACK and as missing in the next
    /// one: it gave up what it had only gap-acked (§6.2.1).
    fn check_reneging(&mut self) {
        let base = self.outstanding.base();
        if self
            .outstanding
            .get(base)
            .is_some_and(|e| e.state == ChunkState::Acked)
        {
            self.outstanding.renege();
        }
    }

    /// The window opened, and the probe of the closed one was dropped: everything behind it would
    /// wait for it. If it is only late, one chunk is sent in vain.
    fn check_window_probe(&mut self) {
        if let Some((tsn, entry)) = self.outstanding.oldest_in_flight()
            && entry.loss == Loss::WindowProbe
            && self.advertised >= usize::from(entry.len)
        {
            self.outstanding.mark_lost(tsn, Loss::WindowProbe);
        }
    }

    /// Marks lost what RACK says is lost, and begins recovery if the network was to blame.
    pub(super) fn detect_losses(&mut self, now: Instant) {
        let moment = self.moment(now);
        self.recovery.reorder_deadline = None;
        let three_later = self.outstanding.acked_bytes() > 2 * self.packet_size;
        let window =
            self.recovery
                .reordering_window(three_later, self.rtt.min_rtt(), self.rtt.srtt());
        while let Some((tsn, entry)) = self.outstanding.oldest_in_flight() {
            match self.recovery.lost_at(tsn, &entry, window) {
                None => break,
                Some(at) if moment < at => {
                    self.recovery.reorder_deadline = Some(at);
                    break;
                }
                Some(_) => self.lose(moment, tsn, &entry),
            }
        }
    }

    fn lose(&mut self, moment: Moment, tsn: Tsn, entry: &Entry) {
        self.lost_bytes += entry.wire_len();
        if entry.loss != Loss::WindowProbe
            && self.recovery.enter(self.outstanding.next_tsn().previous())
        {
            self.congestion.on_loss(moment);
        }
        let sendable = self
            .queue
            .get(entry.message)
            .is_some_and(|m| m.may_be_sent(moment, entry.sends));
        if sendable {
            self.outstanding.mark_lost(tsn, Loss::Fast);
        } else {
            self.outstanding.abandon(tsn);
            self.abandon_message(entry.message, moment);
        }
    }
}

impl Newly {
    fn add(&mut self, tsn: Tsn, entry: &Entry) {
        self.bytes += entry.wire_len();
        let later = self.latest.is_none_or(|(at, last, _)| {
            at < entry.sent_at || at == entry.sent_at && tsn.is_newer_than(last)
        });
        if later {
            self.latest = Some((entry.sent_at, tsn, entry.sends == 1));
        }
    }
}

/// Whether each block is within the `left` TSNs that are outstanding behind the cumulative one. The
/// order does not matter, and they may overlap.
fn are_valid(gaps: &[GapBlock], left: usize) -> bool {
    // The TSN right behind the cumulative one is missing by definition.
    gaps.iter()
        .all(|gap| 2 <= gap.start && gap.start <= gap.end && usize::from(gap.end) <= left)
}
