//! A file from one end to the other, native or page, over one reliable channel.
//!
//! | who | says | and means |
//! |---|---|---|
//! | sender | `{"offer":{"name","size","sha256"}}` | this is what I have |
//! | receiver | `{"accept":{"offset"}}` | send it from this byte; what is before, I have |
//! | receiver | `{"refuse":{"why"}}` | no |
//! | sender | binary messages | the bytes, in order, up to the size |
//! | receiver | `{"have":{"bytes"}}` | so much is written; what the progress bars show |
//! | receiver | `"done"` | the hash is right and the file has its name |
//!
//! The channel holds the sender back: it reads the file no faster than the other end writes. An ICE
//! restart does not disturb the channel. After a connection that ended, both come back to the room,
//! and the receiver goes on where its partial file ends.

mod note;
mod receive;
mod send;

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use peerloom::DataChannel;
use tokio::time::Instant;

use crate::meeting::{self, Place, say};
use crate::{Error, Result};

pub use note::{Note, Offer};
pub use receive::receive;
pub use send::{describe, send};

/// Send a file to another terminal or a browser, over a WebRTC data channel, or receive one.
#[derive(Clone, Debug, Parser)]
#[command(name = "send-file", version)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Send a file.
    Send {
        /// The file.
        file: PathBuf,
        /// Where the two meet.
        #[command(flatten)]
        place: Place,
        /// At most so many bytes a second.
        #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
        rate: Option<u64>,
        /// How long to try to find the room again after the other end was lost, in seconds.
        #[arg(long, value_name = "SECS", default_value_t = 60)]
        patience: u64,
    },
    /// Receive a file. One of the same name is never overwritten.
    Receive {
        /// Where the two meet.
        #[command(flatten)]
        place: Place,
        /// The directory that it goes to.
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// How long to try to find the room again after the other end was lost, in seconds.
        #[arg(long, value_name = "SECS", default_value_t = 60)]
        patience: u64,
    },
}

/// Why a transfer stopped.
#[derive(Debug)]
pub enum Failure {
    /// The other end is gone. It can go on with the next connection.
    Lost(Error),
    /// Another try would end the same way.
    Final(Error),
}

impl Failure {
    /// Of the connection.
    fn lost(error: impl Into<Error>) -> Self {
        Failure::Lost(error.into())
    }

    /// Of anything else.
    fn last(error: impl Into<Error>) -> Self {
        Failure::Final(error.into())
    }
}

/// Sends or receives, over as many connections as it takes.
///
/// # Errors
/// A file that cannot be read or written, or that the other end refuses; a room that is not there.
pub async fn run(options: &Options) -> Result<()> {
    match &options.command {
        Command::Send {
            file,
            place,
            rate,
            patience,
        } => {
            let offer = describe(file).await?;
            let bar = bar(offer.size);
            let url = place.open(page()).await?;
            persist(&url, *patience, async |channel| {
                send(channel, file, &offer, *rate, |bytes| {
                    bar.set_position(bytes)
                })
                .await
            })
            .await?;
            bar.finish();
            say(&format!(
                "sent {}: {} bytes, hash verified",
                offer.name, offer.size
            ));
        }
        Command::Receive {
            place,
            dir,
            patience,
        } => {
            if !dir.is_dir() {
                return Err(format!("{} is no directory", dir.display()).into());
            }
            let bar = bar(0);
            let url = place.open(page()).await?;
            let path = persist(&url, *patience, async |channel| {
                receive(channel, dir, |bytes, size| {
                    bar.set_length(size);
                    bar.set_position(bytes);
                })
                .await
            })
            .await?;
            bar.finish();
            say(&format!("received {}, hash verified", path.display()));
        }
    }
    Ok(())
}

/// Meets the other end again until the transfer is done.
async fn persist<T>(
    url: &str,
    patience: u64,
    transfer: impl AsyncFn(&DataChannel) -> Result<T, Failure>,
) -> Result<T> {
    let mut lost: Option<Instant> = None;
    loop {
        let met = meeting::connect(url, "file").await;
        let (connection, channel) = match (met, lost) {
            (Ok(met), _) => met,
            // Whoever serves the room may be on its way back.
            (Err(_), Some(at)) if at.elapsed() < Duration::from_secs(patience) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            (Err(error), _) => return Err(error),
        };
        let result = transfer(&channel).await;
        connection.close().await;
        match result {
            Ok(value) => return Ok(value),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Lost(error)) => {
                say(&format!("lost the other end ({error}), waiting for it"));
                lost = Some(Instant::now());
            }
        }
    }
}

fn bar(size: u64) -> ProgressBar {
    let style = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(style).expect("it is a valid template");
    ProgressBar::new(size).with_style(style)
}

/// The page's end.
fn page() -> Router {
    meeting::page(
        include_str!("page.html"),
        "/send-file.js",
        include_str!("page.js"),
    )
}
