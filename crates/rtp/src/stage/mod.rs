//! Paths that packets take through this crate's pieces and an application's own, put together by
//! generics: what a [`Stage`] hands on is a call of the one behind it, in line, without an allocation
//! and without a pointer to a function.
//!
//! A [`Chain`] is a stage and what stands behind it, up to an [`End`]. It is told the time like every
//! piece, and [`Chain::poll_timeout`] says when to call [`Chain::poll`] for all of them. One chain
//! serves one stream in one direction; who has several streams looks up the chain first.
//!
//! ```
//! use std::time::Instant;
//!
//! use peerloom_rtp::receive::{NackConfig, NackGenerator, PacketOrigin, Reception};
//! use peerloom_rtp::stage::{Chain, End, Received, Sink, Stage, Timed};
//! use peerloom_rtp::{RtpPacket, Ssrc};
//!
//! /// An application's own stage: counts bytes, and lets no payload type but one pass.
//! struct Meter {
//!     payload_type: u8,
//!     bytes: usize,
//! }
//!
//! impl<'p, N: Sink<Received<'p>>> Stage<Received<'p>, N> for Meter {
//!     fn handle(&mut self, now: Instant, received: Received<'p>, next: &mut N) {
//!         if received.packet.payload_type() == self.payload_type {
//!             self.bytes += received.packet.payload().len();
//!             next.take(now, received);
//!         }
//!     }
//! }
//!
//! // It has nothing to do later.
//! impl<N> Timed<N> for Meter {}
//!
//! let mut seen = Vec::new();
//! let end = End(|_now: Instant, received: Received<'_>| seen.push(received.packet.sequence().0));
//! let mut path = Chain::new(
//!     Meter { payload_type: 96, bytes: 0 },
//!     Chain::new(
//!         Reception::new(Ssrc(1), 90_000),
//!         Chain::new(NackGenerator::new(NackConfig::default()), end),
//!     ),
//! );
//! let now = Instant::now();
//! for (payload_type, sequence) in [(96, 1), (97, 2), (96, 3)] {
//!     let bytes = [0x80, payload_type, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 1, b'h', b'i'];
//!     let packet = RtpPacket::parse(&bytes)?;
//!     path.take(now, Received { packet, origin: PacketOrigin::Direct });
//! }
//! assert_eq!(path.stage.bytes, 4);
//! // The stages behind did not see packet 2, and say so.
//! assert_eq!(path.next.stage.lost(), 1);
//! assert_eq!(path.next.next.stage.missing(), 1);
//! assert_eq!(seen, [1, 3]);
//! # Ok::<(), peerloom_rtp::DecodeError>(())
//! ```

mod receive;
mod send;

pub use receive::{BufferStage, FecStage, FeedbackStage, Frame, FrameStage, Received, RtxStage};
pub use send::{HistoryStage, NumberStage, Outgoing, PacerStage, Stamped};

use std::time::Instant;

/// One step of a path, which takes items of one kind and hands what comes of them, none, one or
/// several, to what stands behind it, `N`.
pub trait Stage<T, N>: Timed<N> {
    /// Takes an item.
    fn handle(&mut self, now: Instant, item: T, next: &mut N);
}

/// What a stage does when its time has come; nothing, unless it says otherwise.
pub trait Timed<N> {
    /// Hands on what is due.
    fn poll(&mut self, _now: Instant, _next: &mut N) {}

    /// When to call [`Self::poll`] again; it may be in the past.
    fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }
}

/// Where items go: a [`Chain`], or an [`End`].
pub trait Sink<T> {
    /// Takes an item.
    fn take(&mut self, now: Instant, item: T);
}

/// A stage and what stands behind it.
#[derive(Clone, Copy, Debug)]
pub struct Chain<S, N> {
    /// The stage.
    pub stage: S,
    /// What it hands on to.
    pub next: N,
}

impl<S, N> Chain<S, N> {
    /// Puts `stage` before `next`.
    pub const fn new(stage: S, next: N) -> Self {
        Self { stage, next }
    }

    /// Hands on what is due in all stages, those in front first.
    pub fn poll(&mut self, now: Instant)
    where
        Self: Timed<()>,
    {
        Timed::poll(self, now, &mut ());
    }

    /// When to call [`Self::poll`] again; it may be in the past.
    pub fn poll_timeout(&mut self) -> Option<Instant>
    where
        Self: Timed<()>,
    {
        Timed::poll_timeout(self)
    }
}

impl<T, S: Stage<T, N>, N> Sink<T> for Chain<S, N> {
    #[inline]
    fn take(&mut self, now: Instant, item: T) {
        self.stage.handle(now, item, &mut self.next);
    }
}

/// A chain has nothing behind it but itself.
impl<S: Timed<N>, N: Timed<()>> Timed<()> for Chain<S, N> {
    fn poll(&mut self, now: Instant, (): &mut ()) {
        self.stage.poll(now, &mut self.next);
        self.next.poll(now, &mut ());
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let (stage, next) = (self.stage.poll_timeout(), self.next.poll_timeout());
        stage.into_iter().chain(next).min()
    }
}

/// The end of a path: a closure that is told the time and the item.
#[derive(Clone, Copy, Debug)]
pub struct End<F>(pub F);

impl<T, F: FnMut(Instant, T)> Sink<T> for End<F> {
    #[inline]
    fn take(&mut self, now: Instant, item: T) {
        (self.0)(now, item);
    }
}

impl<F> Timed<()> for End<F> {}
