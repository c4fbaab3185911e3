//! One sender, one receiver, one path.

use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom_sctp::CongestionControl;
use peerloom_sctp::sim::{Duplex, LinkConfig, Loss, Pair, Side};
use serde_json::{Value, json};

use super::{MESSAGE, Window, host, take, top_up};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The sender's controller.
    pub controller: CongestionControl,
    /// Bounds at both ends.
    pub window: Window,
    /// The path, the same both ways.
    pub path: LinkConfig,
    /// Its round trip.
    pub rtt: Duration,
    /// The share of packets that is lost in either direction.
    pub loss: f64,
    /// Virtual time in all; the second half counts.
    pub time: Duration,
    /// What randomness comes from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// User data that arrived in the second half, in bits a second.
    pub goodput: f64,
    /// The share of DATA chunks that were sent again, and again in vain.
    pub retransmitted: f64,
    /// See there.
    pub spurious: f64,
    /// T3-rtx expirations' retransmissions.
    pub timeouts: u64,
    /// The receiver's window at the end, in bytes.
    pub receive_window: usize,
    /// The smoothed round trip at the end.
    pub srtt: Duration,
}

impl Outcome {
    /// For `--json`.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "goodput_mbps": round(self.goodput / 1e6),
            "retransmitted": round(self.retransmitted),
            "spurious": round(self.spurious),
            "timeouts": self.timeouts,
            "receive_window": self.receive_window,
            "srtt_ms": round(self.srtt.as_secs_f64() * 1e3),
        })
    }
}

/// Runs it.
#[must_use]
pub fn run(cell: &Cell, start: Instant) -> Outcome {
    let end = |salt| {
        host(
            cell.controller,
            cell.window,
            cell.rtt,
            cell.seed * 2 + salt,
            start,
        )
    };
    let link = LinkConfig {
        loss: if cell.loss > 0.0 {
            Loss::Random(cell.loss)
        } else {
            Loss::None
        },
        ..cell.path.clone()
    };
    let mut pair = Pair::new(end(0), end(1), Duplex::new(&link, cell.seed), start);
    pair.connect();
    pair.run_until_connected(Duration::from_secs(60));
    let message = Bytes::from(vec![0; MESSAGE]);
    let half = cell.time / 2;
    let run = |pair: &mut Pair| {
        let mut arrived = 0;
        pair.run_until(half, |pair| {
            let now = pair.now();
            top_up(pair.host(Side::A), now, &message);
            arrived += take(pair.host(Side::B));
            false
        });
        arrived
    };
    run(&mut pair);
    let arrived = run(&mut pair);
    let stats = pair.a.association.stats();
    let share = |count: u64| count as f64 / stats.data_sent.max(1) as f64;
    Outcome {
        goodput: arrived as f64 * 8.0 / half.as_secs_f64(),
        retransmitted: share(stats.retransmits.total()),
        spurious: share(stats.retransmits.spurious),
        timeouts: stats.retransmits.timeout,
        receive_window: pair.b.association.stats().receive_window,
        srtt: stats.srtt,
    }
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
