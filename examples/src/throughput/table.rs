//! Without arguments: everything worth knowing first, in one table.

use std::time::Duration;

use super::args::{Layers, Mode, Options, Run};
use super::live::{self, Line};
use super::report::{Figures, Report, grouped};
use crate::{Result, host};

/// Length of each window unless `--secs` says otherwise: the table is there within 40 s.
const WINDOW: Duration = Duration::from_secs(3);

struct Row {
    name: &'static str,
    mode: Mode,
    size: usize,
    /// Unordered and without retransmissions.
    unreliable: bool,
}

const ROWS: [Row; 7] = [
    Row {
        name: "ordered, reliable",
        mode: Mode::Throughput,
        size: 1_024,
        unreliable: false,
    },
    Row {
        name: "ordered, reliable",
        mode: Mode::Throughput,
        size: 16_384,
        unreliable: false,
    },
    Row {
        name: "ordered, reliable",
        mode: Mode::Throughput,
        size: 65_535,
        unreliable: false,
    },
    Row {
        name: "unordered, no repeats",
        mode: Mode::Throughput,
        size: 1_200,
        unreliable: true,
    },
    Row {
        name: "small messages",
        mode: Mode::MsgRate,
        size: 64,
        unreliable: false,
    },
    Row {
        name: "latency (half RTT)",
        mode: Mode::Latency,
        size: 1_024,
        unreliable: false,
    },
    Row {
        name: "set-up",
        mode: Mode::Setup,
        size: 1_024,
        unreliable: false,
    },
];

/// Measures and prints row after row. A row that fails says so and the others follow.
pub(crate) fn print(options: &Options) -> Result<()> {
    let base = options.run();
    let runtime = super::runtime(base.workers)?;
    let what = match base.layers {
        Layers::All => "ICE, DTLS, SCTP and data channel",
        Layers::Sctp => "SCTP alone",
    };
    live::print(&format!(
        "peerloom {}: two peers over loopback UDP in one process, {what}; {} worker threads\n",
        env!("CARGO_PKG_VERSION"),
        base.workers
    ));
    live::print(&format!(
        "{:<24}{:>10}{:>14}{:>14}   notes",
        "", "message", "MB/s", "messages/s"
    ));

    let line = Line::new();
    let mut failed = 0;
    for row in ROWS
        .iter()
        .filter(|row| base.layers == Layers::All || row.mode.windowed())
    {
        let run = Run {
            mode: row.mode,
            size: row.size,
            window: options.secs.unwrap_or(WINDOW),
            ordered: !row.unreliable,
            max_retransmits: row.unreliable.then_some(0),
            ..base
        };
        line.now(&format!("{}, {} B", row.name, grouped(row.size as u64)));
        match super::measure(&runtime, &run, &mut |progress| line.progress(progress)) {
            Ok(report) => line.print(&text(row, &report)),
            Err(error) => {
                failed += 1;
                line.print(&format!("{}   failed: {error}", head(row)));
            }
        }
    }
    line.clear();
    if let Some(peak) = host::peak_rss_kb() {
        live::print(&format!(
            "\n{} MB of memory at most, both peers.",
            peak / 1_000
        ));
    }
    if failed > 0 {
        return Err(format!("{failed} of the measurements failed").into());
    }
    Ok(())
}

fn head(row: &Row) -> String {
    format!(
        "{:<24}{:>10}",
        row.name,
        format!("{} B", grouped(row.size as u64))
    )
}

fn text(row: &Row, report: &Report) -> String {
    let head = head(row);
    let cells = |a: &str, b: &str| format!("{head}{a:>14}{b:>14}");
    match &report.figures {
        Figures::Flow(flow) => {
            let loss = match (flow.lost_pct, flow.seq_gaps) {
                (Some(lost), _) => format!("{lost:.2} % lost"),
                (None, Some(0)) => "all in order".into(),
                (None, gaps) => format!("{} OUT OF ORDER", gaps.unwrap_or(0)),
            };
            let damaged = match flow.bad_msgs {
                0 => String::new(),
                bad => format!(", {bad} DAMAGED"),
            };
            let rate = cells(
                &format!("{:.1}", flow.mb_per_s),
                &grouped(flow.msgs_per_s.round() as u64),
            );
            format!(
                "{rate}   {loss}{damaged}, longest stall {:.0} ms",
                flow.max_stall_ms
            )
        }
        Figures::Latency(l) => format!(
            "{}   {:.1} µs median, {:.1} µs p99",
            cells("", ""),
            l.p50_us,
            l.p99_us
        ),
        Figures::Setup(s) => format!("{}   {s}", cells("", "")),
        Figures::Failed { error } => format!("{}   failed: {error}", cells("", "")),
    }
}
