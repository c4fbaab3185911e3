//! What the two ends say to each other beside the bytes.

use std::fmt::Write as _;

use peerloom::{DataChannel, Message};
use ring::digest;
use serde::{Deserialize, Serialize};

use super::Failure;

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Note {
    /// The sender's file.
    Offer(Offer),
    /// The receiver wants it from this byte on.
    Accept {
        /// Bytes that it has already.
        offset: u64,
    },
    /// The receiver does not want it, or not any more.
    Refuse {
        /// For the user.
        why: String,
    },
    /// The receiver has written so much.
    Have {
        /// From the file's beginning.
        bytes: u64,
    },
    /// The receiver has all of it, and the hash is right.
    Done,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its name, without a directory.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of all of it, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl Note {
    pub(super) async fn send(&self, channel: &DataChannel) -> Result<(), Failure> {
        let text = serde_json::to_string(self).map_err(Failure::last)?;
        channel.send(text).await.map_err(Failure::lost)
    }

    /// The next message, which is to be a note.
    pub(super) async fn receive(channel: &DataChannel) -> Result<Self, Failure> {
        match channel.recv().await {
            None => Err(Failure::lost("the connection has ended")),
            Some(Message::Text(text)) => serde_json::from_str(&text).map_err(|error| {
                Failure::last(format!("the other end says what is no note: {error}"))
            }),
            Some(Message::Binary(_)) => Err(Failure::last("the other end sends bytes unasked")),
        }
    }
}

/// In the form of [`Offer::sha256`].
pub(super) fn hex(digest: &digest::Digest) -> String {
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes everything");
            text
        })
}
