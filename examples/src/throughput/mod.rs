//! The demo: what this machine does with peerloom, in one table or one figure.
//!
//! The measuring is the one of `benches/peers`, so its `compare` can hold this program against
//! other stacks: a second of warm-up, a window, fresh messages with a number first and last.

pub mod args;
mod flow;
mod latency;
mod link;
mod live;
pub mod meter;
pub mod report;
mod sctp_only;
mod setup;
mod table;
mod two_processes;
mod watchdog;
pub mod window;

use std::process::ExitCode;

use tokio::runtime::Runtime;

use crate::Result;
use args::{Cli, End, Layers, Mode, Run};
use report::Report;
use window::Progress;

/// Runs the program and says how it ended: 0, or 1 with an error that has been shown.
pub fn main(cli: &Cli) -> ExitCode {
    let outcome = match &cli.end {
        Some(End::Listen { http }) => two_processes::listen(*http),
        Some(End::Connect { url, options }) => {
            two_processes::connect(url.clone(), &options.run(), options.json)
        }
        None if cli.options.wants_table() => table::print(&cli.options),
        None => one(&cli.options.run(), cli.options.json),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            live::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// One measurement and its line.
fn one(run: &Run, json: bool) -> Result<()> {
    watchdog::start(run, json);
    let runtime = runtime(run.workers)?;
    let line = live::Line::new();
    line.now(run.mode.name());
    let report = measure(&runtime, run, &mut |progress| line.progress(progress));
    line.clear();
    match report {
        Ok(report) => {
            live::print(&if json {
                report.json()
            } else {
                report.to_string()
            });
            Ok(())
        }
        Err(error) => {
            if json {
                live::print(&Report::failed(run, &error).json());
            }
            Err(error)
        }
    }
}

fn measure(runtime: &Runtime, run: &Run, live: &mut dyn FnMut(Progress)) -> Result<Report> {
    match (run.mode, run.layers) {
        (Mode::Throughput | Mode::MsgRate, Layers::All) => flow::measure(runtime, run, live),
        (Mode::Throughput | Mode::MsgRate, Layers::Sctp) => sctp_only::measure(runtime, run, live),
        (Mode::Latency, _) => latency::measure(runtime, run, live),
        (Mode::Setup, _) => setup::measure(runtime, run, live),
    }
}

fn runtime(workers: usize) -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()?)
}
