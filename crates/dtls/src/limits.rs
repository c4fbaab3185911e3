//! What a handshake may hold, and for how long.

use std::time::Duration;

/// Bounds of one handshake. The defaults fit every peer known; nothing here needs tuning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest handshake message taken, in bytes without its header. A browser's ClientHello is
    /// under 1.5 KB; the engine reads at most 8192 B, headers included.
    pub message: usize,
    /// Bytes of handshake messages taken in all.
    pub handshake: usize,
    /// Fragments taken in all. A handshake has about ten messages.
    pub fragments: usize,
    /// Repeats of the first ClientHello that the engine is asked to answer again.
    pub duplicates: usize,
    /// Encrypted handshake records passed to the engine in all (the peer's Finished and its repeats).
    pub finished: usize,
    /// Application records that overtook the Finished and are held for later.
    pub early_records: usize,
    /// The same in bytes.
    pub early_bytes: usize,
    /// The longest pause between two repeats of a flight. RFC 6347's 60 s would outlive the
    /// patience of every user; ICE sends checks on the same path more often than this.
    pub repeat_interval: Duration,
    /// How long the whole handshake may take. Longer than the 25 s for which ICE keeps trying.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: MAX_MESSAGE,
            handshake: 64 * 1024,
            fragments: 256,
            duplicates: 64,
            finished: 64,
            early_records: 32,
            early_bytes: 48 * 1024,
            repeat_interval: Duration::from_secs(1),
            deadline: Duration::from_secs(30),
        }
    }
}

/// The engine's read buffer less the headers of the record and of the message.
pub(crate) const MAX_MESSAGE: usize = 8192 - 13 - 12;
