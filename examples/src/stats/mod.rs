//! A connection's statistics, live: what flows, and what the stack does for it.

mod figures;

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Parser;
use peerloom::{DataChannel, DataChannelOptions, Error, PeerConnection, Reason};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::meeting::{self, say};
use crate::throughput::meter::Messages;
use crate::{Result, signaling};

pub use figures::Figures;

/// Shows a connection's statistics while data flows over it both ways: throughput, round trip,
/// congestion window, queue, packets in one system call, retransmissions. Without a room, both ends
/// are in this process.
#[derive(Clone, Debug, Parser)]
#[command(name = "stats", version)]
pub struct Options {
    /// The room, `http://HOST:PORT/rooms/NAME`, where another `stats` is or will be.
    #[arg(value_name = "ROOM_URL")]
    pub url: Option<String>,
    /// How much each end sends, in MB a second.
    #[arg(long, value_name = "MB", default_value_t = 10.0, value_parser = positive)]
    pub rate: f64,
    /// Between one look and the next, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 1.0, value_parser = positive)]
    pub interval: f64,
    /// One look, after one interval, and no more.
    #[arg(long)]
    pub once: bool,
    /// One line of JSON for each look.
    #[arg(long)]
    pub json: bool,
}

/// Bytes of one message.
const SIZE: usize = 16 << 10;

/// Between two bursts of messages.
const BURST: Duration = Duration::from_millis(10);

const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Shows until the connection ends, or once.
///
/// # Errors
/// When no connection comes about.
pub async fn run(options: &Options) -> Result<()> {
    let (shown, ends, _other) = match &options.url {
        Some(url) => {
            say("waiting for the other end");
            let (connection, channel) = meeting::connect(url, "stats").await?;
            (connection, vec![channel], None)
        }
        None => {
            let (a, b) = (PeerConnection::new().await?, PeerConnection::new().await?);
            let agreed = DataChannelOptions {
                negotiated: Some(0),
                ..DataChannelOptions::default()
            };
            let ends = vec![
                a.create_data_channel("stats", agreed.clone())?,
                b.create_data_channel("stats", agreed)?,
            ];
            signaling::connect(&a, &b).await?;
            ends[0].opened().await?;
            (a, ends, Some(b))
        }
    };
    for end in ends {
        tokio::spawn(send(end.clone(), options.rate));
        tokio::spawn(async move { while end.recv().await.is_some() {} });
    }
    let result = watch(&shown, options).await;
    shown.close().await;
    result
}

/// Until the connection ends.
async fn watch(connection: &PeerConnection, options: &Options) -> Result<()> {
    let live = std::io::stdout().is_terminal() && !options.json && !options.once;
    let mut looks = interval(Duration::from_secs_f64(options.interval));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await;
    let mut before = (connection.stats().await?.internals, Instant::now());
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            reason = connection.closed() => return ended(&reason),
        }
        let stats = match connection.stats().await {
            Ok(stats) => stats.internals,
            Err(Error::Closed(reason)) => return ended(&reason),
            Err(error) => return Err(error.into()),
        };
        let after = (stats, Instant::now());
        let figures = Figures::between(&before.0, &after.0, after.1 - before.1);
        if options.json {
            say(&serde_json::to_string(&figures)?);
        } else {
            say(&format!("{}{figures}", if live { CLEAR } else { "" }));
        }
        if options.once {
            return Ok(());
        }
        before = after;
    }
}

fn ended(reason: &Reason) -> Result<()> {
    say(&format!("the connection has ended: {reason}"));
    if reason.is_failure() {
        return Err("it has failed".into());
    }
    Ok(())
}

/// So many MB a second, until the channel ends. What did not fit waits no longer than the channel.
async fn send(channel: DataChannel, rate: f64) {
    let messages = Messages::new(SIZE);
    let mut bursts = interval(BURST);
    // After a pause nothing is made up for.
    bursts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut owed, mut number) = (0.0, 0);
    loop {
        bursts.tick().await;
        owed += rate * 1e6 * BURST.as_secs_f64();
        while owed >= SIZE as f64 {
            owed -= SIZE as f64;
            if channel.send(messages.numbered(number)).await.is_err() {
                return;
            }
            number += 1;
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1e6 => Ok(value),
        Ok(_) | Err(_) => Err(format!("{text} is no number above 0")),
    }
}
