//! A connection's statistics, live. `stats --help` tells how.

use std::process::ExitCode;

use clap::Parser;
use peerloom_examples::program;
use peerloom_examples::stats::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    program::exit(stats::run(&Options::parse()).await)
}
