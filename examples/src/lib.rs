//! What people come to peerloom for, as programs.
//!
//! The programs are in `src/bin`; `README.md` beside this crate lists them with their commands.
//! Here are the parts that their tests reach too: [`throughput`] measures the stack, [`browser`]
//! serves a page that connects to it, [`interleaving`] shows what a small message waits for,
//! [`rooms`] is signalling between any two ends, [`whip`] signalling by HTTP. [`chat`],
//! [`send_file`] and [`stats`] meet in rooms by way of [`meeting`].

pub mod browser;
pub mod chat;
pub mod counters;
pub mod host;
pub mod interleaving;
pub mod meeting;
pub mod program;
pub mod rooms;
pub mod send_file;
pub mod signaling;
pub mod stats;
pub mod throughput;
pub mod whip;

/// What ends a program: any error, shown to the user as it is.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of most functions here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The guide's own code compiles.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../docs/guide/getting-started.md")]
    mod getting_started {}
    #[doc = include_str!("../../docs/guide/from-webrtc-rs.md")]
    mod from_webrtc_rs {}
}
