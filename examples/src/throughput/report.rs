//! What a measurement prints: one JSON line with the fields of `benches/peers`, or a few lines of
//! text.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::args::{Layers, Pace, Run};
use super::meter::Counts;
use super::window::Window;
use crate::counters::round;
use crate::host;

/// One measurement's result.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    stack: &'static str,
    version: &'static str,
    mode: &'static str,
    size: usize,
    ordered: bool,
    max_retransmits: Option<u16>,
    layers: Layers,
    workers: usize,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
    /// Of the measurement alone, in seconds.
    cpu_s: Option<f64>,
    /// Of the whole process.
    peak_rss_kb: Option<u64>,
    /// Counters of the connections, where there are any.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// The figures, by kind of measurement.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// `throughput` and `msgrate`.
    Flow(Flow),
    /// `latency`.
    Latency(Latency),
    /// `setup`.
    Setup(Setup),
    /// Nothing could be measured.
    Failed {
        /// Why.
        error: String,
    },
}

/// What arrived within the window.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    /// 10^6 application bytes received a second.
    #[serde(rename = "MBps", serialize_with = "thousandths")]
    pub mb_per_s: f64,
    /// Messages received a second.
    #[serde(serialize_with = "thousandths")]
    pub msgs_per_s: f64,
    /// Messages accepted for sending a second. Unknown to the listening one of two processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_per_s: Option<f64>,
    /// Length of the window.
    #[serde(serialize_with = "thousandths")]
    pub secs: f64,
    /// Messages with a wrong length or number, in the whole run.
    pub bad_msgs: u64,
    /// Messages out of order, in the whole run (ordered and reliable).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq_gaps: Option<u64>,
    /// Messages lost, in percent (otherwise).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_pct: Option<f64>,
    /// Longest time without a delivery.
    #[serde(serialize_with = "thousandths")]
    pub max_stall_ms: f64,
    /// How often there was none for 200 ms.
    pub stalls_200ms: u64,
    /// Datagrams lost at our sockets in the window.
    pub rcvbuf_drops: u64,
    /// The same since the process began.
    pub rcvbuf_drops_total: u64,
    /// The smallest receive buffer, as the system counts it.
    pub so_rcvbuf: usize,
    /// What `--sockbuf` asked for.
    pub sockbuf_set: usize,
    /// Bytes that could wait in the sender.
    pub high: usize,
    /// How the sender was held back.
    pub pace: Pace,
    /// Connections that sent at once.
    pub pairs: usize,
    /// Whether many datagrams could leave in one system call.
    pub gso: bool,
    /// How often it was told to go on (`--pace events`).
    pub low_events: u64,
}

/// Half of each round trip.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// How many round trips.
    pub rounds: usize,
    /// Median, in microseconds.
    #[serde(serialize_with = "thousandths")]
    pub p50_us: f64,
    /// 99th percentile, in microseconds.
    #[serde(serialize_with = "thousandths")]
    pub p99_us: f64,
    /// The longest, in microseconds.
    #[serde(serialize_with = "thousandths")]
    pub max_us: f64,
}

/// From creating the offer to the channel being open on both sides, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// How many connections, one after the other.
    pub n: usize,
    /// Their median.
    #[serde(serialize_with = "thousandths")]
    pub setup_ms_median: f64,
    /// The fastest.
    #[serde(serialize_with = "thousandths")]
    pub setup_ms_min: f64,
    /// The slowest.
    #[serde(serialize_with = "thousandths")]
    pub setup_ms_max: f64,
    /// Building both connections before that.
    #[serde(serialize_with = "thousandths")]
    pub build_ms_median: f64,
    /// How many were opened at once then.
    pub concurrent: usize,
    /// How many of them opened.
    pub concurrent_opened: usize,
    /// Building all of them.
    #[serde(serialize_with = "thousandths")]
    pub concurrent_build_ms: f64,
    /// From the common start, the median.
    #[serde(serialize_with = "thousandths")]
    pub concurrent_median_ms: f64,
    /// From the common start, the last; null if not all opened.
    pub concurrent_all_open_ms: Option<f64>,
    /// CPU time of opening them.
    pub concurrent_cpu_s: Option<f64>,
}

impl Flow {
    /// The figures of a window.
    pub fn new(run: &Run, window: &Window, whole: &Counts, so_rcvbuf: usize) -> Self {
        let in_order = run.ordered && run.max_retransmits.is_none();
        Self {
            mb_per_s: window.bytes as f64 / window.secs / 1e6,
            msgs_per_s: window.messages as f64 / window.secs,
            sent_per_s: (whole.sent > 0).then(|| round(window.sent as f64 / window.secs)),
            secs: window.secs,
            bad_msgs: whole.bad,
            seq_gaps: in_order.then_some(whole.gaps),
            lost_pct: (!in_order).then(|| round(whole.lost_percent())),
            max_stall_ms: window.max_stall.as_secs_f64() * 1e3,
            stalls_200ms: window.stalls,
            rcvbuf_drops: window.drops,
            rcvbuf_drops_total: window.drops_total,
            so_rcvbuf,
            sockbuf_set: run.sockbuf,
            high: run.high,
            pace: run.pace,
            pairs: run.pairs,
            gso: run.gso,
            low_events: whole.low_events,
        }
    }
}

impl Report {
    /// The result of `run`; `cpu_s` is what the measurement took.
    pub fn new(run: &Run, figures: Figures, cpu_s: Option<f64>) -> Self {
        Self {
            stack: match run.layers {
                Layers::All => "peerloom",
                Layers::Sctp => "peerloom-sctp",
            },
            version: env!("CARGO_PKG_VERSION"),
            mode: run.mode.name(),
            size: run.size,
            ordered: run.ordered,
            max_retransmits: run.max_retransmits,
            layers: run.layers,
            workers: run.workers,
            figures,
            cpu_s: cpu_s.map(round),
            peak_rss_kb: host::peak_rss_kb(),
            extra: Map::new(),
        }
    }

    /// A run that gave nothing.
    pub fn failed(run: &Run, why: impl fmt::Display) -> Self {
        Self::new(
            run,
            Figures::Failed {
                error: why.to_string(),
            },
            None,
        )
    }

    /// Adds counters of a connection under `name`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The JSON line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain numbers and strings always serialize")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}, {} B: ",
            self.stack,
            self.mode,
            grouped(self.size as u64)
        )?;
        match &self.figures {
            Figures::Flow(flow) => write!(f, "{flow}"),
            Figures::Latency(l) => write!(
                f,
                "half round trip {:.1} µs median, {:.1} µs p99, {:.0} µs at most ({} rounds)",
                l.p50_us,
                l.p99_us,
                l.max_us,
                grouped(l.rounds as u64)
            ),
            Figures::Setup(s) => write!(f, "{s}"),
            Figures::Failed { error } => write!(f, "failed: {error}"),
        }?;
        if let (Some(cpu), Some(peak)) = (self.cpu_s, self.peak_rss_kb) {
            write!(
                f,
                "\n  {cpu:.2} s of CPU, {} MB of memory at most",
                peak / 1_000
            )?;
        }
        let sender = |name| self.extra.get("sender")?.get(name)?.as_f64();
        if let (Some(packets), Some(wakes)) =
            (sender("packets_per_send"), sender("wakes_per_batch"))
        {
            write!(
                f,
                "\n  sender: {packets:.1} packets a system call, {wakes:.2} wake-ups a batch"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} MB/s, {} messages/s, ",
            self.mb_per_s,
            grouped(self.msgs_per_s as u64)
        )?;
        match self.lost_pct {
            Some(lost) => write!(f, "{lost:.2} % lost")?,
            None => write!(f, "{} out of order", self.seq_gaps.unwrap_or(0))?,
        }
        write!(
            f,
            ", {} damaged, longest stall {:.0} ms",
            self.bad_msgs, self.max_stall_ms
        )
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} ms median ({:.2}-{:.2}), {} of {} at once ",
            self.setup_ms_median,
            self.setup_ms_min,
            self.setup_ms_max,
            self.concurrent_opened,
            self.concurrent,
        )?;
        match self.concurrent_all_open_ms {
            Some(all) => write!(f, "in {all:.0} ms"),
            None => write!(f, "opened"),
        }
    }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn thousandths<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let all: Vec<_> = [0, 999, 1_000, 65_535, 1_234_567].map(grouped).into();
        assert_eq!(all, ["0", "999", "1,000", "65,535", "1,234,567"]);
    }
}
