//! The association.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::batch::PacketBatch;
use crate::config::Config;
use crate::error::{ResetError, SendError};
use crate::event::Event;
use crate::limits::Limits;
use crate::serial::{Ppid, StreamId};
use crate::stats::Stats;
use crate::wire::Packet;

/// One SCTP association.
#[derive(Debug)]
pub struct Association {
    config: Config,
}

/// How much one [`Association::poll_transmit`] may plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Packets.
    pub packets: usize,
    /// Bytes of packets.
    pub bytes: usize,
}

/// A message handed to [`Association::send`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The stream.
    pub stream: StreamId,
    /// The payload protocol identifier, carried uninterpreted.
    pub ppid: Ppid,
    /// The user data; not empty.
    pub payload: Bytes,
    /// Whether messages of the stream arrive in the order they were sent.
    pub ordered: bool,
    /// When to give up.
    pub reliability: Reliability,
}

/// When a message is given up (RFC 3758; RFC 7496 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reliability {
    /// Never.
    #[default]
    Reliable,
    /// After this many retransmissions of one of its fragments.
    MaxRetransmits(u16),
    /// This long after [`Association::send`].
    MaxLifetime(Duration),
}

/// Where an association is in its life (RFC 9260 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not connected yet, or ended.
    Closed,
    /// INIT sent.
    CookieWait,
    /// COOKIE-ECHO sent.
    CookieEchoed,
    /// Data flows.
    Established,
    /// Shutting down once everything sent is acknowledged.
    ShutdownPending,
    /// SHUTDOWN sent.
    ShutdownSent,
    /// SHUTDOWN received; sending what is left.
    ShutdownReceived,
    /// SHUTDOWN-ACK sent.
    ShutdownAckSent,
}

impl Association {
    /// An association that waits; nothing is sent before [`Self::connect`] or a peer's INIT.
    #[must_use]
    pub fn new(config: Config, _limits: Limits, _seed: [u8; 32], _now: Instant) -> Self {
        Self { config: config.normalized() }
    }

    /// Starts the handshake.
    pub fn connect(&mut self, _now: Instant) {}

    /// Processes a packet.
    pub fn handle_packet(&mut self, _now: Instant, _packet: &Packet<'_>) {}

    /// Processes expired timers.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Plans packets.
    pub fn poll_transmit(&mut self, _now: Instant, _batch: &mut PacketBatch, _budget: Budget) -> usize {
        0
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Queues a message.
    ///
    /// # Errors
    /// As [`SendError`] says.
    pub fn send(&mut self, _now: Instant, _message: OutgoingMessage) -> Result<(), SendError> {
        Ok(())
    }

    /// Bytes of messages on `stream` not yet sent.
    #[must_use]
    pub fn buffered_amount(&self, _stream: StreamId) -> usize {
        0
    }

    /// Bytes of messages not yet sent.
    #[must_use]
    pub fn total_buffered(&self) -> usize {
        0
    }

    /// The application took messages worth `bytes`.
    pub fn release(&mut self, _now: Instant, _bytes: usize) {}

    /// Resets outgoing streams once their data is sent.
    ///
    /// # Errors
    /// As [`ResetError`] says.
    pub fn reset_streams(&mut self, _now: Instant, _streams: &[StreamId]) -> Result<(), ResetError> {
        Ok(())
    }

    /// Ends the association once everything queued is acknowledged.
    pub fn shutdown(&mut self, _now: Instant) {}

    /// Ends the association at once.
    pub fn abort(&mut self, _now: Instant, _reason: &str) {}

    /// The path works again after silence.
    pub fn path_resumed(&mut self, _now: Instant) {}

    /// The round-trip time measured by a layer below, used until there is a measurement of our own.
    pub fn suggest_rtt(&mut self, _rtt: Duration) {}

    /// A new packet size in bytes.
    pub fn set_max_packet_size(&mut self, bytes: usize) {
        self.config.max_packet_size = bytes;
    }

    /// Largest message in bytes that the peer accepts.
    pub fn set_max_message_size(&mut self, bytes: usize) {
        self.config.max_message_size = bytes;
    }

    /// A snapshot of counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        State::Closed
    }
}
