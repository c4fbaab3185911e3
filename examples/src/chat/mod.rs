//! Lines of text between two terminals, or a terminal and a page.
//!
//! Both ends enter a room, and each line is a text message of one channel.

use axum::Router;
use clap::Parser;
use peerloom::{DataChannel, Message};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

use crate::Result;
use crate::meeting::{self, Place, say};

/// Chat with another terminal or a browser, over a WebRTC data channel. Lines that you type go to
/// the other end; the end of input ends the chat.
#[derive(Clone, Debug, Parser)]
#[command(name = "chat", version)]
pub struct Options {
    /// Where the two meet.
    #[command(flatten)]
    pub place: Place,
}

/// Chats until the input ends.
///
/// # Errors
/// When there is no room to be had.
pub async fn run(options: &Options) -> Result<()> {
    let url = options.place.open(page()).await?;
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    loop {
        say("waiting for somebody");
        // What is typed meanwhile waits for whoever comes.
        let (connection, channel) = meeting::connect(&url, "chat").await?;
        say("connected");
        let ended = talk(&channel, &mut input).await;
        connection.close().await;
        match ended? {
            End::Input => return Ok(()),
            End::Left => say("the other end has left"),
        }
    }
}

enum End {
    Input,
    Left,
}

async fn talk(channel: &DataChannel, input: &mut Lines<BufReader<Stdin>>) -> Result<End> {
    loop {
        tokio::select! {
            line = input.next_line() => match line? {
                None => return Ok(End::Input),
                Some(line) => if let Err(error) = channel.send(line).await {
                    say(&format!("not sent: {error}"));
                }
            },
            message = channel.recv() => match message {
                None => return Ok(End::Left),
                Some(Message::Text(text)) => say(&format!("> {}", printable(&text))),
                Some(Message::Binary(bytes)) => say(&format!("({} bytes)", bytes.len())),
            },
        }
    }
}

/// Without what would control the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The page's end.
fn page() -> Router {
    meeting::page(
        include_str!("page.html"),
        "/chat.js",
        include_str!("page.js"),
    )
}
