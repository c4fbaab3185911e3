//! A link that delays, loses, repeats, reorders, damages and throttles.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What a [`Link`] does to datagrams. The default does nothing: it delivers at once.
///
/// Effects apply in the order of the path: MTU, queue, rate, loss, duplication, corruption,
/// reordering, delay.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkConfig {
    /// One-way delay.
    pub delay: Duration,
    /// Upper bound of a random addition to it. Datagrams keep their order, as in a queue.
    pub jitter: Duration,
    /// What is lost.
    pub loss: Loss,
    /// Probability that a datagram arrives twice.
    pub duplicate: f64,
    /// Probability that one to eight bytes of a datagram are changed.
    pub corrupt: f64,
    /// Overtaking.
    pub reorder: Option<Reorder>,
    /// Bits per second; `None` is unlimited.
    pub rate: Option<u64>,
    /// Bytes that wait for the rate at most; what comes on top is dropped.
    pub queue: usize,
    /// Largest datagram in bytes; larger ones vanish without a trace.
    pub mtu: usize,
    /// Bytes around a datagram that count for rate and queue: 28 for UDP over IPv4.
    pub overhead: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::None,
            duplicate: 0.0,
            corrupt: 0.0,
            reorder: None,
            rate: None,
            queue: usize::MAX,
            mtu: usize::MAX,
            overhead: 28,
        }
    }
}

impl LinkConfig {
    /// A link with half of this round-trip time as its delay.
    #[must_use]
    pub fn with_rtt(rtt: Duration) -> Self {
        Self {
            delay: rtt / 2,
            ..Self::default()
        }
    }

    /// A path drawn from `seed`: RTT up to 100 ms, loss up to 30 %, at random or in bursts, up to
    /// 25 % reordering, 10 % duplication and 5 % corruption, each of them present or not.
    #[must_use]
    pub fn adverse(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ ADVERSE_SALT);
        let mut maybe = |max: f64| {
            if rng.random_bool(0.5) {
                rng.random_range(0.0..max)
            } else {
                0.0
            }
        };
        let (loss, duplicate, corrupt, reorder) =
            (maybe(0.3), maybe(0.1), maybe(0.05), maybe(0.25));
        let (delay, jitter) = (maybe(0.05), maybe(0.02));
        let burst = rng.random_bool(0.5);
        Self {
            delay: Duration::from_secs_f64(delay),
            jitter: Duration::from_secs_f64(jitter),
            loss: if burst {
                Loss::bursts(loss, rng.random_range(5.0..50.0))
            } else {
                Loss::Random(loss)
            },
            duplicate,
            corrupt,
            reorder: (reorder > 0.0).then(|| Reorder {
                probability: reorder,
                depth: rng.random_range(1..=50),
                ..Reorder::default()
            }),
            ..Self::default()
        }
    }
}

/// How datagrams are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Not at all.
    None,
    /// Each with this probability.
    Random(f64),
    /// Gilbert-Elliott: a good and a bad state, drawn anew for every datagram, and for every
    /// 10 ms without one: bursts are the path's, and end though nobody sends.
    GilbertElliott {
        /// Probability of turning bad.
        to_bad: f64,
        /// Probability of turning good.
        to_good: f64,
        /// Probability of a loss in the bad state; nothing is lost in the good one.
        loss_in_bad: f64,
    },
}

impl Loss {
    /// Bursts of on average `length` datagrams that make up `share` of all.
    #[must_use]
    pub fn bursts(share: f64, length: f64) -> Self {
        let to_good = 1.0 / length.max(1.0);
        let share = share.clamp(0.0, 0.99);
        Self::GilbertElliott {
            to_bad: (to_good * share / (1.0 - share)).min(1.0),
            to_good,
            loss_in_bad: 1.0,
        }
    }
}

/// How datagrams overtake each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reorder {
    /// Probability that a datagram is held back.
    pub probability: f64,
    /// It waits until one to this many later ones have been sent…
    pub depth: u64,
    /// …or until this long has passed.
    pub longest: Duration,
}

impl Default for Reorder {
    /// A quarter of them, up to 50 deep and 20 ms late.
    fn default() -> Self {
        Self {
            probability: 0.25,
            depth: 50,
            longest: Duration::from_millis(20),
        }
    }
}

/// What happened on a [`Link`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Datagrams handed to it.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Datagrams taken out at the other end, duplicates included.
    pub delivered: u64,
    /// Lost at random, in bursts, or while the link was down.
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
        self.pass(now, datagram);
        self.release_held(now);
    }

    fn pass(&mut self, now: Instant, datagram: &[u8]) {
        if datagram.len() > self.config.mtu {
            self.stats.too_large += 1;
            return;
        }
        let Some(departure) = self.enqueue(now, datagram.len() + self.config.overhead) else {
            self.stats.overflowed += 1;
            return;
        };
        if self.down || self.loses(now) {
            self.stats.lost += 1;
            return;
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
        self.release_held(now);
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

    /// When the datagram has left the queue, unless it does not fit.
    fn enqueue(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.config.rate else {
            return Some(now);
        };
        let start = self.busy_until.map_or(now, |busy| busy.max(now));
        let waiting = (start - now).as_secs_f64() * rate as f64 / 8.0;
        if waiting + len as f64 > self.config.queue as f64 {
            return None;
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

    /// Lets those go that were held back for long enough.
    fn release_held(&mut self, now: Instant) {
        if self.held.is_empty() {
            return;
        }
        let number = self.next_number;
        let due = |held: &mut Held| held.until_number <= number || held.until <= now;
        let released: Vec<Held> = self.held.extract_if(.., due).collect();
        for held in released {
            self.depart(held.until.min(now), held.datagram);
        }
    }
}

/// The two ends of a [`Duplex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// One.
    A,
    /// The other.
    B,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A path both ways.
#[derive(Debug)]
pub struct Duplex {
    a_to_b: Link,
    b_to_a: Link,
}

impl Duplex {
    /// The same conditions both ways, drawn independently.
    #[must_use]
    pub fn new(config: &LinkConfig, seed: u64) -> Self {
        Self::asymmetric(config.clone(), config.clone(), seed)
    }

    /// Conditions of their own each way.
    #[must_use]
    pub fn asymmetric(a_to_b: LinkConfig, b_to_a: LinkConfig, seed: u64) -> Self {
        Self {
            a_to_b: Link::new(a_to_b, seed),
            b_to_a: Link::new(b_to_a, seed ^ OTHER_WAY_SALT),
        }
    }

    /// Puts in a datagram that `from` sends.
    pub fn send(&mut self, now: Instant, from: Side, datagram: &[u8]) {
        self.from_mut(from).send(now, datagram);
    }

    /// The next datagram that has arrived at `at`.
    pub fn receive(&mut self, now: Instant, at: Side) -> Option<Vec<u8>> {
        self.from_mut(at.other()).receive(now)
    }

    /// When the next datagram arrives anywhere.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.a_to_b
            .poll_timeout()
            .into_iter()
            .chain(self.b_to_a.poll_timeout())
            .min()
    }

    /// Takes both directions down or up.
    pub fn set_down(&mut self, down: bool) {
        self.a_to_b.set_down(down);
        self.b_to_a.set_down(down);
    }

    /// The direction in which `side` sends.
    #[must_use]
    pub fn from(&self, side: Side) -> &Link {
        match side {
            Side::A => &self.a_to_b,
            Side::B => &self.b_to_a,
        }
    }

    /// The direction in which `side` sends.
    pub fn from_mut(&mut self, side: Side) -> &mut Link {
        match side {
            Side::A => &mut self.a_to_b,
            Side::B => &mut self.b_to_a,
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

/// Keep a link, its conditions and the other direction from drawing the same numbers.
const ADVERSE_SALT: u64 = 0x5ca1_ab1e_0000_0001;
const OTHER_WAY_SALT: u64 = 0x5ca1_ab1e_0000_0002;

#[cfg(test)]
mod tests {
    use super::*;

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
}
