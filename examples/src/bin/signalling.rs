//! A signalling server: rooms for two, over WebSockets. `signalling --help` tells how.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use peerloom_examples::{program, rooms};

/// Pairs two ends that come to the same room and passes their signals on: pages with the script at
/// /negotiate.js, native ends with `Negotiator`.
#[derive(Clone, Debug, Parser)]
#[command(name = "signalling", version)]
struct Options {
    /// Where rooms are served: ws://ADDR/rooms/NAME. Port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    http: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    program::exit(run(&Options::parse()).await)
}

async fn run(options: &Options) -> peerloom_examples::Result<()> {
    let (listener, address) = program::listen(options.http).await?;
    let _ = writeln!(std::io::stdout(), "rooms at http://{address}/rooms/NAME");
    axum::serve(listener, rooms::router()).await?;
    Ok(())
}
