//! A signalling server: rooms for two, over WebSockets. `signalling --help` tells how.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use peerloom_examples::rooms;
use tokio::net::TcpListener;

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
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> peerloom_examples::Result<()> {
    let listener = TcpListener::bind(options.http)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", options.http))?;
    let address = listener.local_addr()?;
    let _ = writeln!(std::io::stdout(), "rooms at http://{address}/rooms/NAME");
    axum::serve(listener, rooms::router()).await?;
    Ok(())
}
