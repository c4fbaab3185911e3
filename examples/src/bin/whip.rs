//! Data channels with HTTP for signalling, in the manner of WHIP. `whip --help` tells how.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use peerloom_examples::{program, whip};

/// Data channels with HTTP for signalling, in the manner of WHIP (RFC 9725): a POST with the offer
/// is answered with the answer.
#[derive(Clone, Debug, Parser)]
#[command(name = "whip", version)]
struct Options {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Clone, Debug, Subcommand)]
enum Mode {
    /// Takes offers at /whip and sends back what arrives; / is a page that connects.
    Serve {
        /// Where. Port 0 takes a free one and prints it.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8082")]
        http: SocketAddr,
    },
    /// Offers to a server, sends a message and prints what comes back.
    Connect {
        /// The server's endpoint.
        #[arg(default_value = "http://127.0.0.1:8082/whip")]
        url: String,
        /// What to send.
        #[arg(long, default_value = "hello")]
        message: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    program::exit(run(Options::parse().mode).await)
}

async fn run(mode: Mode) -> peerloom_examples::Result<()> {
    match mode {
        Mode::Serve { http } => {
            let (listener, address) = program::listen(http).await?;
            let _ = writeln!(
                std::io::stdout(),
                "endpoint http://{address}/whip and page http://{address}/"
            );
            axum::serve(listener, whip::router()).await?;
        }
        Mode::Connect { url, message } => {
            let client = whip::Client::connect(&url).await?;
            let back = client.echo(&message).await?;
            let _ = writeln!(std::io::stdout(), "came back: {back}");
            client.end().await?;
        }
    }
    Ok(())
}
