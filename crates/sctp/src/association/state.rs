//! The states of an association (RFC 9260 §4), each with the timer that runs in it.

use std::time::Instant;

use crate::timer::Timer;

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

/// The state with what belongs to it; leaving it stops its timer.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Before the handshake. A peer's INIT is answered, its COOKIE-ECHO accepted.
    Idle,
    CookieWait {
        t1: Timer,
    },
    CookieEchoed {
        t1: Timer,
        cookie: Vec<u8>,
        /// The COOKIE-ECHO is to be sent (again).
        due: bool,
    },
    Established,
    ShutdownPending,
    ShutdownSent {
        t2: Timer,
        guard: Instant,
    },
    ShutdownReceived,
    ShutdownAckSent {
        t2: Timer,
        guard: Instant,
    },
    Ended,
}

impl Phase {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Idle | Self::Ended => State::Closed,
            Self::CookieWait { .. } => State::CookieWait,
            Self::CookieEchoed { .. } => State::CookieEchoed,
            Self::Established => State::Established,
            Self::ShutdownPending => State::ShutdownPending,
            Self::ShutdownSent { .. } => State::ShutdownSent,
            Self::ShutdownReceived => State::ShutdownReceived,
            Self::ShutdownAckSent { .. } => State::ShutdownAckSent,
        }
    }

    /// Both sides agreed on an association, and it has not ended.
    pub(super) fn is_connected(&self) -> bool {
        match self {
            Self::Established
            | Self::ShutdownPending
            | Self::ShutdownSent { .. }
            | Self::ShutdownReceived
            | Self::ShutdownAckSent { .. } => true,
            Self::Idle | Self::CookieWait { .. } | Self::CookieEchoed { .. } | Self::Ended => false,
        }
    }

    /// DATA may be sent (RFC 9260 §6).
    pub(super) fn may_send_data(&self) -> bool {
        match self {
            Self::Established | Self::ShutdownPending | Self::ShutdownReceived => true,
            Self::Idle
            | Self::CookieWait { .. }
            | Self::CookieEchoed { .. }
            | Self::ShutdownSent { .. }
            | Self::ShutdownAckSent { .. }
            | Self::Ended => false,
        }
    }

    /// DATA is accepted (§6).
    pub(super) fn may_receive_data(&self) -> bool {
        match self {
            Self::Established | Self::ShutdownPending | Self::ShutdownSent { .. } => true,
            Self::Idle
            | Self::CookieWait { .. }
            | Self::CookieEchoed { .. }
            | Self::ShutdownReceived
            | Self::ShutdownAckSent { .. }
            | Self::Ended => false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::CookieWait { t1 } | Self::CookieEchoed { t1, .. } => Some(t1.deadline),
            Self::ShutdownSent { t2, guard } | Self::ShutdownAckSent { t2, guard } => {
                Some(t2.deadline.min(*guard))
            }
            Self::Idle
            | Self::Established
            | Self::ShutdownPending
            | Self::ShutdownReceived
            | Self::Ended => None,
        }
    }
}

/// What the handshake told about the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    /// The verification tag of packets to it.
    pub(super) tag: u32,
    pub(super) initial_tsn: crate::serial::Tsn,
    pub(super) a_rwnd: u32,
    /// Streams it wants to send on.
    pub(super) outbound_streams: u16,
    /// Streams it accepts.
    pub(super) inbound_streams: u16,
    pub(super) forward_tsn: bool,
    pub(super) reconfig: bool,
    /// It understands PAD. That chunk's type says that it may be skipped, but widespread stacks drop
    /// a packet with any chunk they do not know.
    pub(super) pad: bool,
    /// It has I-DATA, and I-FORWARD-TSN if it has FORWARD-TSN (RFC 8260 §2.2.1, §2.3.1).
    pub(super) interleaving: bool,
    /// It accepts a zero checksum inside DTLS (RFC 9653).
    pub(super) zero_checksum: bool,
}
