//! Measures peerloom on this machine. `throughput --help` tells how.

use std::process::ExitCode;

use peerloom_examples::throughput::{self, args::Cli};

fn main() -> ExitCode {
    throughput::main(&Cli::read())
}
