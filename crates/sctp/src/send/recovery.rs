//! Which chunks are lost: RACK and the tail-loss probe (RFC 8985, carried over to TSNs), and the
//! recovery that follows (RFC 9260 §7.2.4).
//!
//! A chunk is lost when one sent later has arrived and a round trip plus a reordering window has
//! passed. Where three later packets have arrived and reordering was never seen, the window is
//! zero, which is the three missing reports of RFC 9260.

use std::time::Duration;

use crate::serial::Tsn;

use super::outstanding::{ChunkState, Entry, Moment};

/// State of loss detection.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// The most recently sent chunk of those delivered.
    delivered: Option<Delivered>,
    /// Highest TSN delivered.
    highest: Option<Tsn>,
    reordering: Reordering,
    /// When the oldest chunk in flight becomes lost if nothing arrives.
    pub(crate) reorder_deadline: Option<Moment>,
    /// Recovery ends when this TSN is cumulatively acknowledged.
    episode: Option<Tsn>,
    /// One packet may be sent whatever the window says (§7.2.4 rule 3).
    pub(crate) force_packet: bool,
    retransmitted: Retransmitted,
    pub(crate) probe: Probe,
}

#[derive(Debug, Clone, Copy)]
struct Delivered {
    sent_at: Moment,
    tsn: Tsn,
    rtt: u64,
}

/// How late packets come on this path.
#[derive(Debug, Default)]
struct Reordering {
    seen: bool,
    /// How much later than their successors chunks were seen to arrive, in nanoseconds.
    extent: u64,
    /// Quarters of the shortest round trip to wait; grows with every round of spurious
    /// retransmissions (RFC 8985 §6.2 step 4).
    quarters: u32,
    /// Recoveries after which the window starts small again.
    persist: u32,
    next_growth: Option<Tsn>,
}

/// The chunks sent again since the window was last reduced: if the first transmission of every one of
/// them turns out to have arrived, because the peer reports a duplicate (as RFC 3708 has it for TCP)
/// or its acknowledgement is too early for the second one, nothing had been lost.
#[derive(Debug, Default)]
struct Retransmitted {
    tsns: Vec<Tsn>,
    /// Too many to remember: the reduction stands.
    overflowed: bool,
    any: bool,
}

/// The tail-loss probe (RFC 8985 §7).
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub(crate) deadline: Option<Moment>,
    /// A probe is due with the next packet.
    pub(crate) pending: bool,
    /// The highest TSN outstanding when a probe left, until it is acknowledged: one probe a tail.
    end: Option<Tsn>,
    /// The probe was a retransmission of this TSN, not yet reported as a duplicate.
    repeated: Option<Tsn>,
    /// The acknowledgement of this TSN tells that no such report will come.
    settled_by: Option<Tsn>,
}

impl Recovery {
    pub(crate) fn new() -> Self {
        Self {
            delivered: None,
            highest: None,
            reordering: Reordering {
                quarters: 1,
                ..Reordering::default()
            },
            reorder_deadline: None,
            episode: None,
            force_packet: false,
            retransmitted: Retransmitted::default(),
            probe: Probe::default(),
        }
    }

    /// RFC 8985 §6.2 steps 2 and 3, for one newly acknowledged chunk, as it was. Whether it was sent
    /// again though its first transmission had arrived.
    pub(crate) fn on_delivered(
        &mut self,
        now: Moment,
        tsn: Tsn,
        entry: &Entry,
        min_rtt: Option<Duration>,
    ) -> bool {
        let rtt = now.0.saturating_sub(entry.sent_at.0);
        let min_rtt = min_rtt.map_or(0, nanos);
        if entry.sends > 1 && rtt < min_rtt {
            // The acknowledgement of an earlier transmission: it was not lost but late.
            self.reordering.seen = true;
            // Half a round trip is not enough for the retransmission to be what is acknowledged,
            // even if the path has become shorter (RFC 3522).
            return rtt < min_rtt / 2 && self.retransmitted.remove(tsn);
        }
        if entry.state == ChunkState::Lost && entry.sends == 1 {
            // It came before it could be sent again.
            self.reordering.seen = true;
            self.retransmitted.any = true;
        }
        match self.highest {
            Some(highest) if highest.is_newer_than(tsn) => {
                if entry.sends <= 1 {
                    self.reordering.seen = true;
                    self.reordering.extent =
                        self.reordering.extent.max(rtt.saturating_sub(min_rtt));
                    self.reordering.persist = PERSIST_RECOVERIES;
                }
            }
            _ => self.highest = Some(tsn),
        }
        let later = self.delivered.is_none_or(|d| {
            d.sent_at < entry.sent_at || d.sent_at == entry.sent_at && tsn.is_newer_than(d.tsn)
        });
        if later {
            self.delivered = Some(Delivered {
                sent_at: entry.sent_at,
                tsn,
                rtt,
            });
        }
        false
    }

    /// Whether a chunk in flight is lost (RFC 8985 §6.2 step 5): `None` if nothing sent later was
    /// delivered, else the moment from which on it is.
    pub(crate) fn lost_at(&self, tsn: Tsn, entry: &Entry, window: u64) -> Option<Moment> {
        let delivered = self.delivered?;
        let sent_before = entry.sent_at < delivered.sent_at
            || entry.sent_at == delivered.sent_at && delivered.tsn.is_newer_than(tsn);
        sent_before.then(|| Moment(entry.sent_at.0 + delivered.rtt + window))
    }

    /// The reordering window in nanoseconds (RFC 8985 §6.2 step 4).
    pub(crate) fn reordering_window(
        &self,
        three_packets_later: bool,
        min_rtt: Option<Duration>,
        srtt: Option<Duration>,
    ) -> u64 {
        if !self.reordering.seen && (self.episode.is_some() || three_packets_later) {
            return 0;
        }
        let quarters = min_rtt.map_or(0, nanos) / 4 * u64::from(self.reordering.quarters);
        let extent = self.reordering.extent + self.reordering.extent / 4;
        quarters.max(extent).min(srtt.map_or(u64::MAX, nanos))
    }

    pub(crate) fn in_recovery(&self) -> bool {
        self.episode.is_some()
    }

    /// Something was lost. Whether that begins a recovery, and the window is to be reduced.
    pub(crate) fn enter(&mut self, last_sent: Tsn) -> bool {
        if self.episode.is_some() {
            return false;
        }
        self.episode = Some(last_sent);
        self.force_packet = true;
        self.retransmitted.clear();
        self.probe.cancel();
        if self.reordering.persist > 0 {
            self.reordering.persist -= 1;
            if self.reordering.persist == 0 {
                self.reordering.quarters = 1;
                self.reordering.extent = 0;
            }
        }
        true
    }

    /// The cumulative TSN acknowledged moved to `acked`.
    pub(crate) fn on_cumulative(&mut self, acked: Tsn) {
        if self.episode.is_some_and(|end| acked.is_at_least(end)) {
            self.episode = None;
            self.force_packet = false;
        }
    }

    /// T3-rtx expired: a new start.
    pub(crate) fn on_timeout(&mut self) {
        self.episode = None;
        self.force_packet = false;
        self.reorder_deadline = None;
        self.retransmitted.clear();
        self.probe = Probe::default();
    }

    /// A lost chunk is sent again.
    pub(crate) fn on_retransmitted(&mut self, tsn: Tsn) {
        self.retransmitted.push(tsn);
    }

    /// The peer reports `tsn` as a duplicate (RFC 8985 §6.2 step 4). Whether that was a needless
    /// retransmission of ours.
    pub(crate) fn on_duplicate(&mut self, tsn: Tsn, next_tsn: Tsn) -> bool {
        if self.probe.repeated == Some(tsn) {
            self.probe.repeated = None;
            return true;
        }
        if !self.retransmitted.remove(tsn) {
            return false;
        }
        self.reordering.seen = true;
        self.reordering.persist = PERSIST_RECOVERIES;
        // Once per round trip.
        if self
            .reordering
            .next_growth
            .is_none_or(|at| tsn.is_at_least(at))
        {
            self.reordering.quarters = (self.reordering.quarters + 1).min(MAX_QUARTERS);
            self.reordering.next_growth = Some(next_tsn);
        }
        true
    }

    /// Whether all retransmissions of this recovery were needless, given that nothing waits to be sent
    /// again. True once.
    pub(crate) fn was_spurious(&mut self) -> bool {
        let spurious = self.retransmitted.any
            && self.retransmitted.tsns.is_empty()
            && !self.retransmitted.overflowed;
        if spurious {
            self.retransmitted.clear();
            self.episode = None;
            self.force_packet = false;
        }
        spurious
    }
}

impl Retransmitted {
    fn clear(&mut self) {
        self.tsns.clear();
        self.overflowed = false;
        self.any = false;
    }

    fn push(&mut self, tsn: Tsn) {
        self.any = true;
        if self.tsns.len() < MAX_REMEMBERED {
            self.tsns.push(tsn);
        } else {
            self.overflowed = true;
        }
    }

    fn remove(&mut self, tsn: Tsn) -> bool {
        let Some(index) = self.tsns.iter().position(|&t| t == tsn) else {
            return false;
        };
        self.tsns.swap_remove(index);
        true
    }
}

impl Probe {
    /// Sets the timer after something new was sent or acknowledged (RFC 8985 §7.2).
    pub(crate) fn schedule(
        &mut self,
        now: Moment,
        srtt: Option<Duration>,
        rttvar: Option<Duration>,
    ) {
        if self.end.is_none() && !self.pending {
            self.deadline = Some(Moment(now.0 + probe_timeout(srtt, rttvar)));
        }
    }

    pub(crate) fn cancel(&mut self) {
        self.deadline = None;
        self.pending = false;
    }

    /// A probe left: new data, or `repeated` once more.
    pub(crate) fn on_sent(&mut self, last_sent: Tsn, repeated: Option<Tsn>) {
        self.pending = false;
        self.deadline = None;
        self.end = Some(last_sent);
        self.repeated = repeated;
        self.settled_by = None;
    }

    /// The cumulative TSN acknowledged moved. True if the probe was what repaired a loss, so that
    /// the network did drop something (RFC 8985 §7.4.2). That is known once what was sent after the
    /// tail's acknowledgement is acknowledged, too: a report that the repetition was needless may
    /// come in a SACK behind the one that acknowledges the tail.
    pub(crate) fn on_cumulative(&mut self, acked: Tsn, next_tsn: Tsn) -> bool {
        if self.end.is_some_and(|end| acked.is_at_least(end)) {
            self.end = None;
            self.settled_by = self.repeated.map(|_| next_tsn);
        }
        if self.settled_by.is_some_and(|tsn| acked.is_at_least(tsn)) {
            self.settled_by = None;
            return self.repeated.take().is_some();
        }
        false
    }
}

/// RFC 8985 §7.2, with what the variation asks for up to a bound. The acknowledgement is not
/// delayed: the last packet carries the I-bit.
fn probe_timeout(srtt: Option<Duration>, rttvar: Option<Duration>) -> u64 {
    let Some(srtt) = srtt else {
        return nanos(PROBE_WITHOUT_RTT);
    };
    let twice = srtt * 2;
    let varied = srtt + rttvar.unwrap_or_default() * 4;
    nanos(twice.max(varied.min(twice + PROBE_SLACK)).max(PROBE_FLOOR))
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

/// RFC 8985 §7.2.
const PROBE_WITHOUT_RTT: Duration = Duration::from_secs(1);
/// A probe leaves after 2 × SRTT + 40 ms at the latest, whatever the path's jitter.
const PROBE_SLACK: Duration = Duration::from_millis(40);
/// On a loopback path a busy machine takes longer to answer than the path.
const PROBE_FLOOR: Duration = Duration::from_millis(10);
/// RFC 8985 §6.2 step 4.
const PERSIST_RECOVERIES: u32 = 16;
/// The window is capped by SRTT; more quarters of the shortest round trip change nothing.
const MAX_QUARTERS: u32 = 16;
/// Every duplicate a peer reports is looked up among these.
const MAX_REMEMBERED: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::outstanding::{Fragment, Loss, Outstanding};
    use super::*;
    use crate::serial::Fsn;

    const MS: u64 = 1_000_000;

    fn entry(sent_at: u64, sends: u16) -> Entry {
        let fragment = Fragment {
            message: 0,
            offset: 0,
            fsn: Fsn(0),
            len: 100,
        };
        let mut ring = Outstanding::new(Tsn(0), 16);
        let tsn = ring.push(Moment(sent_at), fragment, Loss::None);
        for _ in 1..sends {
            ring.resend(tsn, Moment(sent_at), Loss::None);
        }
        *ring.get(tsn).unwrap()
    }

    /// RFC 8985 §6.2 step 5: later sent and delivered, a round trip and the window ago.
    #[test]
    fn lost_by_time() {
        let mut recovery = Recovery::new();
        let min_rtt = Some(Duration::from_millis(40));
        assert_eq!(recovery.lost_at(Tsn(1), &entry(0, 1), 0), None);
        recovery.on_delivered(Moment(41 * MS), Tsn(5), &entry(MS, 1), min_rtt);
        assert_eq!(
            recovery.lost_at(Tsn(1), &entry(0, 1), 10 * MS),
            Some(Moment(50 * MS))
        );
        assert_eq!(
            recovery.lost_at(Tsn(6), &entry(MS, 1), 0),
            None,
            "sent with it, but after"
        );
        assert_eq!(
            recovery.lost_at(Tsn(4), &entry(MS, 1), 0),
            Some(Moment(41 * MS))
        );
    }

    /// Without reordering three later packets are enough; with it, the window is waited for.
    #[test]
    fn window_follows_reordering() {
        let mut recovery = Recovery::new();
        let rtt = Some(Duration::from_millis(40));
        assert_eq!(recovery.reordering_window(true, rtt, rtt), 0);
        assert_eq!(recovery.reordering_window(false, rtt, rtt), 10 * MS);
        recovery.on_delivered(Moment(40 * MS), Tsn(5), &entry(0, 1), rtt);
        recovery.on_delivered(Moment(60 * MS), Tsn(4), &entry(0, 1), rtt);
        assert_eq!(
            recovery.reordering_window(true, rtt, rtt),
            25 * MS,
            "1.25 × 20 ms late"
        );
        recovery.on_delivered(Moment(400 * MS), Tsn(3), &entry(0, 1), rtt);
        assert_eq!(
            recovery.reordering_window(true, rtt, rtt),
            40 * MS,
            "at most SRTT"
        );
    }

    /// An acknowledgement faster than any round trip is for the original, and tells no time.
    #[test]
    fn a_retransmission_is_not_timed_by_its_original() {
        let mut recovery = Recovery::new();
        recovery.on_delivered(
            Moment(50 * MS),
            Tsn(5),
            &entry(49 * MS, 2),
            Some(Duration::from_millis(40)),
        );
        assert!(recovery.delivered.is_none() && recovery.reordering.seen);
    }

    /// All retransmissions reported as duplicates: nothing was lost.
    #[test]
    fn spurious_recovery() {
        let mut recovery = Recovery::new();
        assert!(recovery.enter(Tsn(20)));
        assert!(!recovery.enter(Tsn(30)), "one reduction per recovery");
        recovery.on_retransmitted(Tsn(3));
        recovery.on_retransmitted(Tsn(4));
        assert!(
            !recovery.on_duplicate(Tsn(9), Tsn(21)),
            "not ours: the network duplicated it"
        );
        assert!(recovery.on_duplicate(Tsn(3), Tsn(21)) && !recovery.was_spurious());
        assert!(recovery.on_duplicate(Tsn(4), Tsn(21)) && recovery.was_spurious());
        assert!(!recovery.in_recovery() && !recovery.was_spurious());
        assert_eq!(recovery.reordering.quarters, 2, "once per round trip");
    }

    /// RFC 8985 §7.2 and the bound of this stack.
    #[test]
    fn probe_timeouts() {
        let ms = Duration::from_millis;
        assert_eq!(probe_timeout(None, None), 1000 * MS);
        assert_eq!(probe_timeout(Some(ms(40)), Some(ms(1))), 80 * MS);
        assert_eq!(probe_timeout(Some(ms(40)), Some(ms(200))), 120 * MS);
        assert_eq!(
            probe_timeout(Some(Duration::from_micros(50)), None),
            10 * MS
        );
    }

    /// RFC 8985 §7.4.2: a repeated tail that nobody reports twice had been lost.
    #[test]
    fn a_probe_that_repaired_a_loss_counts_as_one() {
        let mut probe = Probe::default();
        probe.on_sent(Tsn(10), Some(Tsn(10)));
        assert!(!probe.on_cumulative(Tsn(10), Tsn(14)), "not yet known");
        assert!(!probe.on_cumulative(Tsn(13), Tsn(20)), "under way before");
        assert!(probe.on_cumulative(Tsn(14), Tsn(20)));
        assert!(!probe.on_cumulative(Tsn(15), Tsn(20)), "once");
    }
}
