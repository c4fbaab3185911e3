//! A signalling path in memory: in order in either direction, late by a random time.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use peerloom::Signal;
use tokio::task::JoinSet;

pub(crate) type Source = Pin<Box<dyn Stream<Item = Result<Signal, Infallible>> + Send>>;

/// One end's sink and source.
pub(crate) struct End {
    pub(crate) sink: mpsc::Sender<Signal>,
    pub(crate) source: Source,
}

/// Random delays of a path.
#[derive(Clone, Copy)]
pub(crate) struct Delays {
    pub(crate) seed: u64,
    /// Each signal takes up to this long, in milliseconds, after the one before it.
    pub(crate) up_to: u64,
}

/// The two ends of a path. Its tasks live in `tasks`; without them nothing arrives any more.
pub(crate) fn path(delays: Delays, tasks: &mut JoinSet<()>) -> (End, End) {
    let mut random = Random::new(delays.seed);
    let mut direction = || {
        let (sink, mut from) = mpsc::channel::<Signal>(64);
        let (mut to, source) = mpsc::channel::<Signal>(64);
        let mut random = Random::new(random.below(u64::MAX));
        tasks.spawn(async move {
            while let Some(signal) = from.next().await {
                let delay = Duration::from_millis(random.below(delays.up_to + 1));
                tokio::time::sleep(delay).await;
                // As a WebSocket does: what travels is JSON.
                let json = serde_json::to_string(&signal).unwrap();
                if to.send(serde_json::from_str(&json).unwrap()).await.is_err() {
                    return;
                }
            }
        });
        (sink, Box::pin(source.map(Ok)) as Source)
    };
    let (from_a, to_b) = direction();
    let (from_b, to_a) = direction();
    let end = |sink, source| End { sink, source };
    (end(from_a, to_a), end(from_b, to_b))
}

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }
}
