//! A path both ways.

use std::time::Instant;

use super::{Link, LinkConfig};

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

/// Keeps the two directions from drawing the same numbers.
const OTHER_WAY_SALT: u64 = 0x5ca1_ab1e_0000_0002;
