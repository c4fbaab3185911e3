//! What a link does to what is put on it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What a [`Link`](super::Link) does to datagrams. The default does nothing: it delivers at once.
///
/// Effects apply in the order of the path: MTU, queue, rate, blackout, loss, duplication, corruption,
/// reordering, delay. Times "after" something count from the first datagram.
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
    /// Datagrams that wait for the rate at most, the one being sent not among them.
    pub queue_packets: usize,
    /// When nothing passes.
    pub blackouts: Vec<Blackout>,
    /// Largest datagram in bytes; larger ones vanish without a trace.
    pub mtu: usize,
    /// A time in which less than that passes.
    pub mtu_hole: Option<MtuHole>,
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
            queue_packets: usize::MAX,
            blackouts: Vec::new(),
            mtu: usize::MAX,
            mtu_hole: None,
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

/// A time in which everything is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackout {
    /// When it begins.
    pub after: Duration,
    /// How long it is.
    pub lasts: Duration,
}

/// A time in which large datagrams vanish, as when a route changes to one with a smaller MTU and
/// nobody tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MtuHole {
    /// When it begins.
    pub after: Duration,
    /// How long it is.
    pub lasts: Duration,
    /// Largest datagram in bytes meanwhile.
    pub mtu: usize,
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

/// Keeps a link and its conditions from drawing the same numbers.
const ADVERSE_SALT: u64 = 0x5ca1_ab1e_0000_0001;
