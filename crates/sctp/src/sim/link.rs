//! A link that delays, loses, repeats, reorders, damages and throttles.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{LinkConfig, Loss};

/// What happened on a [`Link`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Datagrams handed to it.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Datagrams taken out at the other end, duplicates included.
    pub delivered: u64,
    /// Lost at random, in bursts, in a blackout, or while the link was down.
    pub lost: u64,
    /// Dropped because the queue was full.
    pub overflowed: u64,
    /// Dropped because they exceeded the MTU.
    pub too_large: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Damaged.
    pub corrupted: u64,
    /// Held back.
    pub reordered: u64,
}

/// One direction of a path. See the [module](super) for an example.
///
/// [`Link::send`] puts datagrams in, [`Link::poll_timeout`] says when the next one arrives, and
/// [`Link::receive`] takes out those that have arrived; call it until it returns `None`.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    rng: StdRng,
    /// On the way, by arrival and, at the same instant, by departure.
    flying: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    held: Vec<Held>,
    /// Until when the rate is used up.
    busy_until: Option<Instant>,
    latest_arrival: Option<Instant>,
    /// When each of those that wait begins to be sent.
    waiting: VecDeque<Instant>,
    /// The first datagram's moment.
    started: Option<Instant>,
    in_bad_state: bool,
    last_draw: Option<Instant>,
    down: bool,
    next_number: u64,
    departed: u64,
    stats: LinkStats,
}

impl Link {
    /// A link whose randomness comes from `seed`.
    #[must_use]
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self {
            config,
            rng: StdRng::seed_from_u64(seed),
            flying: BinaryHeap::new(),
            held: Vec::new(),
            busy_until: None,
            latest_arrival: None,
            waiting: VecDeque::new(),
            started: None,
            in_bad_state: false,
            last_draw: None,
            down: false,
            next_number: 0,
            departed: 0,
            stats: LinkStats::default(),
        }
    }

    /// Puts a datagram in.
    pub fn send(&mut self, now: Instant, datagram: &[u8]) {
        self.stats.sent += 1;
        self.stats.sent_bytes += datagram.len() as u64;
        self.next_number += 1;
        self.started.get_or_insert(now);
        if let Some(departure) = self.pass(now, datagram) {
            self.release_overtaken(departure);
        }
        self.release_late(now);
    }

    /// When the datagram leaves the queue, if it gets there.
    fn pass(&mut self, now: Instant, datagram: &[u8]) -> Option<Instant> {
        if datagram.len() > self.mtu(now) {
            self.stats.too_large += 1;
            return None;
        }
        let Some(departure) = self.enqueue(now, datagram.len() + self.config.overhead) else {
            self.stats.overflowed += 1;
            return None;
        };
        if self.is_down(now) || self.loses(now) {
            self.stats.lost += 1;
            return Some(departure);
        }
        let mut datagram = datagram.to_vec();
        if self.chance(self.config.duplicate) {
            self.stats.duplicated += 1;
            self.depart(departure, datagram.clone());
        }
        if !datagram.is_empty() && self.chance(self.config.corrupt) {
            self.stats.corrupted += 1;
            for _ in 0..self.rng.random_range(1..=8) {
                let at = self.rng.random_range(0..datagram.len());
                datagram[at] ^= self.rng.random_range(1..=255u8);
            }
        }
        let reorder = self.config.reorder;
        match reorder {
            Some(reorder) if self.chance(reorder.probability) => {
                self.stats.reordered += 1;
                self.held.push(Held {
                    until_number: self.next_number
                        + self.rng.random_range(1..=reorder.depth.max(1)),
                    until: departure + reorder.longest,
                    datagram,
                });
            }
            _ => self.depart(departure, datagram),
        }
        Some(departure)
    }

    /// When to call [`Link::receive`] next; `None` if nothing is on the way.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let flying = self.flying.peek().map(|Reverse((arrival, _, _))| *arrival);
        let held = self
            .held
            .iter()
            .map(|held| held.until + self.config.delay)
            .min();
        flying.into_iter().chain(held).min()
    }

    /// The next datagram that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.release_late(now);
        if self.flying.peek()?.0.0 > now {
            return None;
        }
        let Reverse((_, _, datagram)) = self.flying.pop()?;
        self.stats.delivered += 1;
        Some(datagram)
    }

    /// Takes the link down: everything sent from now on is lost. What is on the way arrives.
    pub fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// Changes what the link does from the next datagram on.
    pub fn set_config(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// What the link does.
    #[must_use]
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// Datagrams on the way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flying.len() + self.held.len()
    }

    fn mtu(&self, now: Instant) -> usize {
        let hole = self
            .config
            .mtu_hole
            .filter(|h| self.is_within(now, h.after, h.lasts));
        hole.map_or(self.config.mtu, |hole| hole.mtu.min(self.config.mtu))
    }

    fn is_down(&self, now: Instant) -> bool {
        let mut blackouts = self.config.blackouts.iter();
        self.down || blackouts.any(|b| self.is_within(now, b.after, b.lasts))
    }

    fn is_within(&self, now: Instant, after: Duration, lasts: Duration) -> bool {
        let age = self.started.map_or(Duration::ZERO, |started| now - started);
        after <= age && age < after + lasts
    }

    /// When the datagram has left the queue, unless it does not fit.
    fn enqueue(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.config.rate else {
            return Some(now);
        };
        while self.waiting.front().is_some_and(|&start| start <= now) {
            self.waiting.pop_front();
        }
        let start = self.busy_until.map_or(now, |busy| busy.max(now));
        let bytes = (start - now).as_secs_f64() * rate as f64 / 8.0;
        let full = start > now && self.waiting.len() >= self.config.queue_packets;
        if full || bytes + len as f64 > self.config.queue as f64 {
            return None;
        }
        if start > now {
            self.waiting.push_back(start);
        }
        let departure = start + Duration::from_secs_f64(len as f64 * 8.0 / rate as f64);
        self.busy_until = Some(departure);
        Some(departure)
    }

    fn loses(&mut self, now: Instant) -> bool {
        match self.config.loss {
            Loss::None => false,
            Loss::Random(probability) => self.chance(probability),
            Loss::GilbertElliott {
                to_bad,
                to_good,
                loss_in_bad,
            } => {
                let idle = self
                    .last_draw
                    .replace(now)
                    .map_or(Duration::ZERO, |last| now - last);
                let draws = 1 + idle.as_millis() / IDLE_DRAW.as_millis();
                for _ in 0..draws.min(MAX_DRAWS) {
                    let turn = if self.in_bad_state { to_good } else { to_bad };
                    self.in_bad_state ^= self.chance(turn);
                }
                self.in_bad_state && self.chance(loss_in_bad)
            }
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability.min(1.0))
    }

    fn depart(&mut self, departure: Instant, datagram: Vec<u8>) {
        let mut arrival = departure + self.config.delay;
        if !self.config.jitter.is_zero() {
            arrival += self.rng.random_range(Duration::ZERO..=self.config.jitter);
            arrival = self
                .latest_arrival
                .map_or(arrival, |latest| latest.max(arrival));
            self.latest_arrival = Some(arrival);
        }
        self.departed += 1;
        self.flying
            .push(Reverse((arrival, self.departed, datagram)));
    }

    /// Lets those go that enough others have overtaken, behind the last of these, which leaves the
    /// queue at `departure`.
    fn release_overtaken(&mut self, departure: Instant) {
        if self.held.is_empty() {
            return;
        }
        let number = self.next_number;
        let due = |held: &mut Held| held.until_number <= number;
        let released: Vec<Held> = self.held.extract_if(.., due).collect();
        for held in released {
            self.depart(held.until.min(departure), held.datagram);
        }
    }

    /// Lets those go that were held back for long enough.
    fn release_late(&mut self, now: Instant) {
        if self.held.is_empty() {
            return;
        }
        let released: Vec<Held> = self.held.extract_if(.., |h| h.until <= now).collect();
        for held in released {
            self.depart(held.until, held.datagram);
        }
    }
}

#[derive(Debug)]
struct Held {
    until_number: u64,
    until: Instant,
    datagram: Vec<u8>,
}

/// See [`Loss::GilbertElliott`]; after a second the state is as good as new.
const IDLE_DRAW: Duration = Duration::from_millis(10);
const MAX_DRAWS: u128 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Blackout, MtuHole, Reorder};

    fn run(config: LinkConfig, seed: u64, count: u32) -> (Vec<u32>, LinkStats) {
        #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
        let start = Instant::now();
        let mut link = Link::new(config, seed);
        let mut arrived = Vec::new();
        let mut now = start;
        for number in 0..count {
            link.send(now, &number.to_be_bytes());
            now += Duration::from_micros(100);
            while let Some(datagram) = link.receive(now) {
                arrived.push(u32::from_be_bytes(datagram.try_into().unwrap()));
            }
        }
        while let Some(next) = link.poll_timeout() {
            now = next.max(now);
            while let Some(datagram) = link.receive(now) {
                arrived.push(u32::from_be_bytes(datagram.try_into().unwrap()));
            }
        }
        (arrived, link.stats())
    }

    /// Without this, a failing seed could not be replayed.
    #[test]
    fn the_same_seed_is_the_same_path() {
        for seed in 0..20 {
            let config = LinkConfig::adverse(seed);
            assert_eq!(run(config.clone(), seed, 500), run(config, seed, 500));
        }
    }

    /// The rates that tests state are the rates they get.
    #[test]
    fn loss_duplication_and_corruption_come_at_their_rates() {
        let config = LinkConfig {
            loss: Loss::Random(0.2),
            duplicate: 0.1,
            corrupt: 0.05,
            ..LinkConfig::default()
        };
        let (_, stats) = run(config, 7, 20_000);
        assert!((3700..4300).contains(&stats.lost), "{stats:?}");
        assert!((1400..1800).contains(&stats.duplicated), "{stats:?}");
        assert!((650..950).contains(&stats.corrupted), "{stats:?}");
        let bursts = LinkConfig {
            loss: Loss::bursts(0.1, 20.0),
            ..LinkConfig::default()
        };
        let (_, stats) = run(bursts, 7, 50_000);
        assert!((3500..6500).contains(&stats.lost), "{stats:?}");
    }

    /// Jitter alone keeps order, held-back datagrams are overtaken and still arrive.
    #[test]
    fn only_reordering_reorders() {
        let jitter = LinkConfig {
            jitter: Duration::from_millis(5),
            ..LinkConfig::default()
        };
        let (arrived, _) = run(jitter, 3, 1000);
        assert!(arrived.is_sorted() && arrived.len() == 1000);

        let reorder = LinkConfig {
            reorder: Some(Reorder::default()),
            ..LinkConfig::default()
        };
        let (mut arrived, stats) = run(reorder, 3, 1000);
        assert!(!arrived.is_sorted() && stats.reordered > 150);
        arrived.sort_unstable();
        assert_eq!(arrived, (0..1000).collect::<Vec<_>>());
    }

    /// A full queue drops the tail; what passes leaves at the rate.
    #[test]
    fn rate_and_queue() {
        #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
        let start = Instant::now();
        let config = LinkConfig {
            rate: Some(8_000_000),
            queue: 10_000,
            overhead: 0,
            mtu: 1500,
            ..LinkConfig::default()
        };
        let mut link = Link::new(config, 1);
        for _ in 0..20 {
            link.send(start, &[0; 1000]);
        }
        link.send(start, &[0; 1501]);
        assert_eq!((link.stats().overflowed, link.stats().too_large), (10, 1));
        // 1000 bytes take a millisecond.
        assert_eq!(link.poll_timeout(), Some(start + Duration::from_millis(1)));
        let end = start + Duration::from_millis(10);
        assert_eq!(std::iter::from_fn(|| link.receive(end)).count(), 10);
    }

    /// A held-back datagram does not leave before the rate lets it: those that were sent later pass
    /// it on the far side of the queue.
    #[test]
    fn reordering_happens_behind_the_queue() {
        let config = LinkConfig {
            rate: Some(8_000_000),
            overhead: 0,
            reorder: Some(Reorder {
                probability: 0.3,
                depth: 5,
                longest: Duration::from_secs(1),
            }),
            ..LinkConfig::default()
        };
        #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
        let start = Instant::now();
        let mut link = Link::new(config, 1);
        for number in 0..200_u32 {
            let mut datagram = [0; 1000];
            datagram[..4].copy_from_slice(&number.to_be_bytes());
            link.send(start, &datagram);
        }
        let mut overtaken = 0;
        let mut newest = 0;
        while let Some(at) = link.poll_timeout() {
            while let Some(datagram) = link.receive(at) {
                let number = u32::from_be_bytes(datagram[..4].try_into().unwrap());
                let earliest = start + Duration::from_millis(u64::from(number) + 1);
                assert!(at >= earliest, "{number} after {:?}", at - start);
                overtaken += u32::from(number < newest);
                newest = newest.max(number);
            }
        }
        assert!(overtaken > 30, "{overtaken}");
    }

    /// A queue may be bounded in datagrams, whatever their size.
    #[test]
    fn a_queue_of_packets() {
        #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
        let start = Instant::now();
        let config = LinkConfig {
            rate: Some(8_000_000),
            queue_packets: 8,
            overhead: 0,
            ..LinkConfig::default()
        };
        let mut link = Link::new(config, 1);
        for len in (1..=20).map(|n| n * 50) {
            link.send(start, &vec![0; len]);
        }
        assert_eq!(link.stats().overflowed, 11, "one is being sent, eight wait");
        let first_left = start + Duration::from_micros(50);
        link.send(first_left, &[0; 1000]);
        link.send(first_left, &[0; 1000]);
        assert_eq!(link.stats().overflowed, 12);
    }

    /// Blackouts and MTU holes begin and end by themselves.
    #[test]
    fn blackouts_and_mtu_holes_pass() {
        #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let config = LinkConfig {
            blackouts: vec![Blackout {
                after: second,
                lasts: second,
            }],
            mtu_hole: Some(MtuHole {
                after: 3 * second,
                lasts: second,
                mtu: 1000,
            }),
            ..LinkConfig::default()
        };
        let mut link = Link::new(config, 1);
        let mut passed = Vec::new();
        for tenths in 0..50_u32 {
            let now = start + second / 10 * tenths;
            link.send(now, &[0; 1001]);
            if link.receive(now).is_some() {
                passed.push(tenths);
            }
        }
        let open: Vec<_> = (0..10).chain(20..30).chain(40..50).collect();
        assert_eq!(passed, open);
        assert_eq!((link.stats().lost, link.stats().too_large), (10, 10));
    }
}
