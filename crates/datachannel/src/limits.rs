//! What a peer or a careless caller may cost us.

use std::time::Duration;

/// Caps on everything that grows. Reaching one is counted in [`Stats`](crate::Stats).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Channels alive at a time, closing ones included, whoever opened them. More than 65,535
    /// cannot have an id at the same time, but channels that wait for one count too.
    pub channels: usize,
    /// Channels opened by the peer alive at a time.
    pub incoming_channels: usize,
    /// Longest label or protocol accepted from the peer, bytes.
    pub name_length: usize,
    /// Labels and protocols of all channels the peer opened, bytes.
    pub name_bytes: usize,
    /// Receive window that messages for streams without a channel may hold, bytes. Never more
    /// than a quarter of the receive window.
    pub early_bytes: usize,
    /// Messages held for streams without a channel.
    pub early_messages: usize,
    /// How long they are held before their stream is reset. Zero resets it at once, as RFC 8832 §6
    /// has it; the default leaves time for a negotiated channel that this end opens a little
    /// later, and for the OPEN that an unordered message overtook.
    pub early_hold: Duration,
    /// Receive window that unfinished messages with deprecated PPIDs may hold in all channels,
    /// bytes. Never more than half the receive window.
    pub partial_bytes: usize,
    /// How long a closing channel of which everything is sent waits for the peer to reset its half,
    /// before it is closed without that ([`ChannelCloseReason::Unanswered`]). Its id stays in use
    /// until the peer does.
    ///
    /// [`ChannelCloseReason::Unanswered`]: crate::ChannelCloseReason::Unanswered
    pub close_timeout: Duration,
    /// Streams being reset at a time that are no channel of ours. Beyond it, what the peer sends on
    /// further ones is dropped without an answer.
    pub refused_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels: 65_535,
            incoming_channels: 65_535,
            name_length: 16 << 10,
            name_bytes: 8 << 20,
            early_bytes: 64 << 10,
            early_messages: 64,
            early_hold: Duration::from_secs(5),
            partial_bytes: 1 << 20,
            // As long as ICE waits for a peer that is silent (RFC 7675 §5.1).
            close_timeout: Duration::from_secs(30),
            refused_streams: 256,
        }
    }
}
