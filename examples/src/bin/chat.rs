//! Chat between terminals and browsers. `chat --help` tells how.

use std::io::Write as _;

use clap::Parser;
use peerloom_examples::chat::{self, Options};

#[tokio::main]
async fn main() {
    let ended = chat::run(&Options::parse()).await;
    if let Err(error) = &ended {
        let _ = writeln!(std::io::stderr(), "error: {error}");
    }
    // A thread may still read standard input and cannot be stopped: no waiting for it.
    std::process::exit(i32::from(ended.is_err()))
}
