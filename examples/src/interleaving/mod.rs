//! What a small message waits for beside large ones: two connected peers over a slow line, with
//! message interleaving (RFC 8260) and without.

mod page;
mod plot;
mod relay;
mod traffic;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use peerloom::Scheduler;
use serde_json::json;

use crate::Result;
use relay::Line;
use traffic::{Measured, Traffic};

/// Latency of small messages beside large ones, over a slow line, with and without interleaving.
#[derive(Clone, Debug, Parser)]
#[command(name = "interleaving", version)]
pub struct Options {
    /// Prints one JSON line for each case instead of the table.
    #[arg(long)]
    pub json: bool,
    /// Seconds that each case is measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub secs: u64,
    /// Rate of the line in Mbit/s.
    #[arg(long, value_name = "MBIT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub rate: u64,
    /// Round trip of the line in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=2000))]
    pub rtt: u64,
    /// Packets that the line's queue holds.
    #[arg(long, value_name = "PACKETS", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub queue: u64,
    /// KiB of a large message.
    #[arg(long, value_name = "KIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub bulk: u64,
    /// Milliseconds between small messages of 64 bytes.
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub interval: u64,
    /// In which order channels send.
    #[arg(long, value_enum, default_value_t)]
    pub scheduler: Order,
    /// Draws the latencies of each case into this SVG file.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Serves a page that shows which small messages overtake large ones on their way to the browser,
    /// instead of measuring. Port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:8083")]
    pub browser: Option<SocketAddr>,
}

/// The schedulers by name.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Order {
    /// In proportion to priorities, which are equal here.
    #[default]
    WeightedFair,
    /// One after the other.
    RoundRobin,
    /// The highest priority first.
    StrictPriority,
    /// The oldest message first.
    FirstCome,
}

impl From<Order> for Scheduler {
    fn from(order: Order) -> Self {
        match order {
            Order::WeightedFair => Self::WeightedFair,
            Order::RoundRobin => Self::RoundRobin,
            Order::StrictPriority => Self::StrictPriority,
            Order::FirstCome => Self::FirstCome,
        }
    }
}

/// One case and what came of it.
#[derive(Debug)]
struct Case {
    interleaving: bool,
    loss: f64,
    measured: Measured,
    /// p50 of small messages alone on the line.
    base: Duration,
    time: Duration,
}

/// Does what the options say.
pub async fn run(options: &Options) -> Result<()> {
    if let Some(address) = options.browser {
        return page::serve(address, options).await;
    }
    let line = options.line(0.0);
    let alone = Traffic {
        bulk: None,
        ..options.traffic(true)
    };
    let base = percentile(&traffic::measure(line, alone).await?, 50);
    let mut cases = Vec::new();
    let mut out = std::io::stdout();
    if !options.json {
        writeln!(
            out,
            "{} Mbit/s, RTT {} ms, queue of {} packets; {} KiB back to back, and 64 B every {} ms\n\
             interleaving  loss  control p50   p95    p99 ms  (alone {:.1})  overtook  bulk MB/s",
            options.rate,
            options.rtt,
            options.queue,
            options.bulk,
            options.interval,
            ms(base)
        )?;
    }
    for (interleaving, loss) in [(true, 0.0), (false, 0.0), (true, 0.01), (false, 0.01)] {
        let case = Case {
            interleaving,
            loss,
            measured: traffic::measure(options.line(loss), options.traffic(interleaving)).await?,
            base,
            time: Duration::from_secs(options.secs),
        };
        if options.json {
            writeln!(out, "{}", case.json())?;
        } else {
            writeln!(out, "{}", case.row())?;
        }
        cases.push(case);
    }
    if let Some(path) = &options.plot {
        std::fs::write(path, plot::draw(&cases))?;
    }
    Ok(())
}

impl Options {
    fn line(&self, loss: f64) -> Line {
        Line {
            rate: self.rate * 1_000_000,
            delay: Duration::from_millis(self.rtt) / 2,
            queue: self.queue as usize,
            loss,
        }
    }

    fn traffic(&self, interleaving: bool) -> Traffic {
        Traffic {
            interleaving,
            scheduler: self.scheduler.into(),
            bulk: Some((self.bulk as usize) << 10),
            interval: Duration::from_millis(self.interval),
            warm_up: WARM_UP,
            time: Duration::from_secs(self.secs),
        }
    }
}

impl Case {
    fn json(&self) -> serde_json::Value {
        let percentile = |percent| ms(percentile(&self.measured, percent));
        json!({
            "interleaving": self.interleaving,
            "loss": self.loss,
            "control_p50_ms": percentile(50),
            "control_p95_ms": percentile(95),
            "control_p99_ms": percentile(99),
            "base_ms": ms(self.base),
            "bulk_MBps": self.bulk_rate(),
            "control_messages": self.measured.control.len(),
            "control_overtook": self.measured.overtook,
        })
    }

    fn row(&self) -> String {
        let percentile = |percent| ms(percentile(&self.measured, percent));
        format!(
            "{:<12}  {:>3.0} %  {:>11.1} {:>6.1} {:>6.1}  {:>23} {:>12.2}",
            if self.interleaving { "on" } else { "off" },
            self.loss * 100.0,
            percentile(50),
            percentile(95),
            percentile(99),
            format!(
                "{} of {}",
                self.measured.overtook,
                self.measured.control.len()
            ),
            self.bulk_rate(),
        )
    }

    /// MB/s.
    fn bulk_rate(&self) -> f64 {
        let rate = self.measured.bulk_bytes as f64 / self.time.as_secs_f64() / 1e6;
        (rate * 1000.0).round() / 1000.0
    }
}

/// Of the latencies of small messages.
fn percentile(measured: &Measured, percent: usize) -> Duration {
    let mut latencies: Vec<_> = measured
        .control
        .iter()
        .map(|&(_, latency)| latency)
        .collect();
    latencies.sort_unstable();
    let last = latencies.len().saturating_sub(1);
    latencies
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}

/// Milliseconds, to the microsecond.
fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// The window of the bulk channel opens in the meantime.
const WARM_UP: Duration = Duration::from_secs(2);
