//! Sends a file to a terminal or a browser, or receives one. `send-file --help` tells how.

use std::process::ExitCode;

use clap::Parser;
use peerloom_examples::program;
use peerloom_examples::send_file::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    program::exit(send_file::run(&Options::parse()).await)
}
