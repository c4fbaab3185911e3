//! Measures, or shows in a browser, what a small message waits for. `interleaving --help` tells how.

use std::process::ExitCode;

use clap::Parser;
use peerloom_examples::interleaving::{self, Options};
use peerloom_examples::program;

#[tokio::main]
async fn main() -> ExitCode {
    program::exit(interleaving::run(&Options::parse()).await)
}
