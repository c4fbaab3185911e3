//! Serves a page that connects to this process by WebRTC. `browser --help` tells how.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use peerloom_examples::browser::{self, Options};
use peerloom_examples::program;

#[tokio::main]
async fn main() -> ExitCode {
    program::exit(run(&Options::parse()).await)
}

async fn run(options: &Options) -> peerloom_examples::Result<()> {
    let (listener, address) = program::listen(options.http).await?;
    let _ = writeln!(std::io::stdout(), "open http://{address} in a browser");
    browser::serve(listener).await
}
