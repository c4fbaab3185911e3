//! The two ends in two processes, on one machine or two: offer and answer by HTTP.
//!
//! The connecting end opens two channels: `control`, with JSON text, and `bench`, with the
//! messages. It says what it is going to send, sends until the listening end reports its window,
//! and prints that report: what arrived is known only where it arrives.

mod connect;
mod listen;

use std::net::IpAddr;

use peerloom::{DataChannel, Message, PeerConnection};
use serde::{Deserialize, Serialize};

pub(super) use connect::connect;
pub(super) use listen::listen;

use super::args::{Mode, Pace, Run};
use super::link;
use crate::Result;

/// The label of the channel with JSON text.
const CONTROL: &str = "control";

/// What travels on the control channel.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Control {
    /// From the connecting end: this is going to be sent.
    Start(Start),
    /// From the listening end, now and then.
    Progress { mb_per_s: f64, done: f64 },
    /// From the listening end, once: the figures, as `--json` prints them.
    Result {
        report: serde_json::Value,
        text: String,
    },
    /// From the listening end instead: what is wrong with the start.
    Refused { why: String },
}

/// What the connecting end is going to send.
#[derive(Debug, Deserialize, Serialize)]
struct Start {
    mode: Mode,
    size: usize,
    secs: f64,
    ordered: bool,
    max_retransmits: Option<u16>,
    high: usize,
    pace: Pace,
}

impl Control {
    async fn send(&self, channel: &DataChannel) -> Result<()> {
        channel.send(serde_json::to_string(self)?).await?;
        Ok(())
    }

    /// The next one; nothing once the channel is closed.
    async fn receive(channel: &DataChannel) -> Result<Option<Self>> {
        match channel.recv().await {
            Some(Message::Text(text)) => Ok(Some(serde_json::from_str(&text)?)),
            Some(Message::Binary(_)) => Err("bytes on the control channel".into()),
            None => Ok(None),
        }
    }
}

/// A connection towards a peer that is reached by HTTP at `host`: if that is this machine, on
/// loopback alone.
async fn connection(run: &Run, host: Option<IpAddr>) -> Result<PeerConnection> {
    let near = host.is_some_and(|host| host.is_loopback());
    Ok(link::builder(run).loopback(near).build().await?)
}
