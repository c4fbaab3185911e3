//! When the next packet may leave.
//!
//! A window alone lets a burst go whenever a SACK opens it, and a short queue drops the end of each.
//! On paths above [`PACED_FROM`] packets leave at the controller's rate instead, as a token bucket
//! lets them: up to [`BURST`] at once, and then no sooner than [`GRANULARITY`] later, because every
//! release is a wake-up and should be worth one. This takes the place of Max.Burst (RFC 9260 §6.1 D).

use std::time::Duration;

use super::outstanding::Moment;
use super::recovery::nanos;

/// The bucket, kept as the moment at which what was sent has left at the rate.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// Picoseconds that a byte takes; zero does not pace.
    per_byte: u64,
    empty_at: Moment,
    /// Nothing leaves before.
    held_until: Option<Moment>,
}

impl Pacer {
    pub(crate) fn new() -> Self {
        Self {
            per_byte: 0,
            empty_at: Moment(0),
            held_until: None,
        }
    }

    /// Whether a path of this shortest round trip is paced.
    pub(crate) fn applies(min_rtt: Option<Duration>) -> bool {
        min_rtt.is_some_and(|rtt| rtt >= PACED_FROM)
    }

    /// Bytes a second from now on; `None` does not pace.
    pub(crate) fn set_rate(&mut self, rate: Option<u64>) {
        self.per_byte = rate.map_or(0, |rate| (PICOS_PER_SECOND / rate.max(1)).max(1));
        if self.per_byte == 0 {
            self.held_until = None;
        }
    }

    /// Bytes a second; `None` if packets are not paced.
    pub(crate) fn rate(&self) -> Option<u64> {
        (self.per_byte > 0).then(|| PICOS_PER_SECOND / self.per_byte)
    }

    /// Whether packets wait at all.
    pub(crate) fn is_on(&self) -> bool {
        self.per_byte > 0
    }

    /// Whether a packet may leave. If not, [`Self::held_until`] says when.
    pub(crate) fn may_send(&mut self, now: Moment) -> bool {
        if self.per_byte == 0 {
            return true;
        }
        if self.held_until.is_none() && now < self.empty_at {
            let next = self.empty_at.0.max(now.0 + nanos(GRANULARITY));
            self.held_until = Some(Moment(next));
        }
        if self.held_until.is_some_and(|at| now < at) {
            return false;
        }
        self.held_until = None;
        true
    }

    /// When to ask again after a refusal.
    pub(crate) fn held_until(&self) -> Option<Moment> {
        self.held_until
    }

    /// What was held back is no more, or something else let it go.
    pub(crate) fn release(&mut self) {
        self.held_until = None;
    }

    /// A packet left.
    pub(crate) fn on_sent(&mut self, now: Moment, bytes: usize) {
        if self.per_byte > 0 {
            let start = self.empty_at.0.max(now.0.saturating_sub(nanos(BURST)));
            self.empty_at = Moment(start + bytes as u64 * self.per_byte / 1000);
        }
    }

    /// The path is a new one: nothing of the past is on it.
    pub(crate) fn restart(&mut self) {
        self.empty_at = Moment(0);
        self.held_until = None;
    }
}

/// On shorter paths a timer's granularity exceeds the round trip, and SACKs are the better clock.
const PACED_FROM: Duration = Duration::from_millis(2);
/// What may leave at once. Timers fire up to a millisecond late, and what they missed is made up.
const BURST: Duration = Duration::from_millis(2);
/// That of the timers of common runtimes.
const GRANULARITY: Duration = Duration::from_millis(1);
const PICOS_PER_SECOND: u64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Sends 1000-byte packets whenever allowed, asking every `step`; how many leave, and in how many
    /// bursts.
    fn run(pacer: &mut Pacer, step: u64, until: u64) -> (usize, usize) {
        let (mut packets, mut bursts) = (0, 0);
        for now in (0..until)
            .step_by(step as usize)
            .map(|at| Moment(at + 10 * MS))
        {
            let before = packets;
            while pacer.may_send(now) {
                pacer.on_sent(now, 1000);
                packets += 1;
            }
            bursts += usize::from(packets > before);
        }
        (packets, bursts)
    }

    /// The rate is kept whether timers are exact or a millisecond late, and no packet has a wake-up
    /// of its own.
    #[test]
    fn the_rate_is_kept_in_bursts() {
        for step in [MS / 10, MS, 2 * MS] {
            let mut pacer = Pacer::new();
            pacer.set_rate(Some(10_000_000));
            let (packets, bursts) = run(&mut pacer, step, 1000 * MS);
            assert!((9990..10_030).contains(&packets), "{step}: {packets}");
            assert!(bursts <= 1000, "{step}: {bursts}");
        }
    }

    /// A slow path sends one packet at a time; silence saves up no more than one burst.
    #[test]
    fn silence_saves_up_one_burst() {
        let mut pacer = Pacer::new();
        pacer.set_rate(Some(100_000));
        assert_eq!(run(&mut pacer, MS, 100 * MS), (11, 11));
        let mut pacer = Pacer::new();
        pacer.set_rate(Some(10_000_000));
        let mut burst = 0;
        while pacer.may_send(Moment(5000 * MS)) {
            pacer.on_sent(Moment(5000 * MS), 1000);
            burst += 1;
        }
        assert_eq!(burst, 21, "two milliseconds and one packet");
        assert_eq!(pacer.held_until(), Some(Moment(5001 * MS)));
    }

    /// Short paths are not paced.
    #[test]
    fn short_paths_are_clocked_by_sacks() {
        assert!(!Pacer::applies(None));
        assert!(!Pacer::applies(Some(Duration::from_micros(1900))));
        assert!(Pacer::applies(Some(Duration::from_millis(2))));
        let mut pacer = Pacer::new();
        for _ in 0..100_000 {
            assert!(pacer.may_send(Moment(0)));
            pacer.on_sent(Moment(0), 1000);
        }
    }
}
