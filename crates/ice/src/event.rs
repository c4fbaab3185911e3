//! What the agent hands out: events, datagrams, states.

use crate::candidate::Candidate;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// One UDP socket of ours: a small index chosen by the caller, who maps it to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalId(pub u16);

/// Which agent nominates (RFC 8445 §6.1.1). The offerer of the first offer is controlling,
/// whatever comes later; a lite peer is always controlled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nominates the pair that both use.
    Controlling,
    /// Follows the nomination.
    Controlled,
}

/// The agent as the W3C's `RTCIceTransportState` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing to check yet.
    New,
    /// Checks run, none has succeeded.
    Checking,
    /// A pair is usable; the nomination is still to come, or to be confirmed.
    Connected,
    /// The nominated pair is in use.
    Completed,
    /// Nothing was heard for [`AgentConfig::disconnected_after`](crate::AgentConfig); checks go on
    /// and a single answer leads back.
    Disconnected,
    /// Consent ran out, or nothing answered in time. Sending has stopped; a restart may help.
    /// If no pair ever worked, a late check of the remote still leads back to `Connected`.
    Failed,
    /// [`Agent::close`](crate::Agent::close) was called.
    Closed,
}

/// What has happened, in order. Take events with [`Agent::poll_event`](crate::Agent::poll_event).
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A local candidate to be signalled (RFC 8838). It names our ufrag, so that the remote can
    /// tell the generations of a restart apart.
    LocalCandidate(Candidate),
    /// Every STUN server has answered or was given up, after
    /// [`Agent::local_addresses_done`](crate::Agent::local_addresses_done).
    GatheringComplete,
    /// The state has changed.
    ConnectionState(State),
    /// Send to this pair from now on. The first comes as soon as any pair is valid, in either
    /// role (RFC 8445 §12.1), later ones with the nomination or after the path has moved.
    Selected(Box<SelectedPair>),
    /// Something authenticated was heard on the selected pair after at least two liveness checks
    /// had gone unanswered, or the path has moved: whoever backed off may retransmit at once.
    Resumed,
}

/// A pair of addresses in use.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectedPair {
    /// The socket to send from.
    pub local: LocalId,
    /// The local candidate, as the remote sees it.
    pub local_candidate: Candidate,
    /// The address to send to.
    pub remote: SocketAddr,
    /// The remote candidate behind it.
    pub remote_candidate: Candidate,
    /// The round trip of the last check that was answered.
    pub rtt: Option<Duration>,
    /// Whether it is nominated, or merely the best pair that works so far.
    pub nominated: bool,
}

/// A STUN datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The socket to send from.
    pub local: LocalId,
    /// The address to send to.
    pub destination: SocketAddr,
    /// The datagram.
    pub payload: Bytes,
}
