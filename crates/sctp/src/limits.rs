//! What a peer or a careless caller may cost us.

/// Caps on everything that grows. Reaching one is counted in [`crate::Stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of messages held for sending, in flight included; [`crate::Association::send`]
    /// refuses what would exceed it. A larger message is taken when nothing else is held.
    pub send_queue: usize,
    /// Messages held for sending, in flight included.
    pub send_messages: usize,
    /// TSNs in flight. At most 65,535, what the 16-bit offsets of a SACK can name (RFC 9260 §6.1).
    pub outstanding: usize,
    /// Control chunks waiting for transmission; answers beyond it are dropped.
    pub control_queue: usize,
    /// Events waiting in [`crate::Association::poll_event`] other than messages, which the receive
    /// window bounds.
    pub events: usize,
    /// Largest heartbeat information or error cause that is sent back to the peer, in bytes.
    pub echo: usize,
    /// Largest message in bytes that is reassembled.
    pub receive_message: usize,
    /// Messages begun by the peer and not complete at a time, where they can be interleaved (RFC
    /// 8260). Their bytes count as well: with what the application has not taken they may come to
    /// twice [`crate::Config::receive_window`]. A peer that begins more ends the association, since
    /// nothing could ever make room.
    pub incomplete_messages: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            send_queue: 64 << 20,
            send_messages: 1 << 20,
            outstanding: MAX_OUTSTANDING,
            control_queue: 64,
            events: 1024,
            echo: 1024,
            receive_message: 256 << 10,
            incomplete_messages: 8192,
        }
    }
}

/// A gap-ack block names TSNs by a 16-bit offset from the cumulative TSN.
pub(crate) const MAX_OUTSTANDING: usize = 65_535;
