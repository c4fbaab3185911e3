//! Serves a page that connects to this process by WebRTC. `browser --help` tells how.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use peerloom_examples::browser::{self, Options};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
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
    let _ = writeln!(std::io::stdout(), "open http://{address} in a browser");
    browser::serve(listener).await
}
