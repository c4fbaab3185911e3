//! Counters, copied out on request.

use crate::candidate::Candidate;
use crate::error::Ignored;
use crate::event::{LocalId, Role, State};
use crate::generation::RemoteCandidate;
use crate::local::LocalCandidate;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A snapshot of an [`Agent`](crate::Agent).
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// State of the agent.
    pub state: State,
    /// Role, after any conflict was resolved.
    pub role: Role,
    /// Our user name fragment of the current generation.
    pub local_ufrag: String,
    /// Our candidates, discovered ones included.
    pub local_candidates: Vec<CandidateStats>,
    /// The remote's candidates, discovered ones included.
    pub remote_candidates: Vec<CandidateStats>,
    /// Pairs of the current generation and, during a restart, the one of the last generation that
    /// is still in use.
    pub pairs: Vec<PairStats>,
    /// How often the selected pair has changed.
    pub selected_changes: u64,
    /// Datagrams without effect, by reason.
    pub ignored: IgnoredCounts,
    /// What all pairs there ever were have carried.
    pub carried: Carried,
}

/// Datagrams that are no checks, as told by [`Agent::note_sent`](crate::Agent::note_sent) and
/// [`Agent::note_received`](crate::Agent::note_received).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Datagrams sent.
    pub packets_sent: u64,
    /// UDP payload bytes in them.
    pub bytes_sent: u64,
    /// Datagrams received.
    pub packets_received: u64,
    /// UDP payload bytes in them.
    pub bytes_received: u64,
}

/// Names a candidate among the local, or among the remote ones; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CandidateId(pub u64);

/// One candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateStats {
    /// Its name.
    pub id: CandidateId,
    /// The candidate: type, address, priority, foundation, related address, ufrag.
    pub candidate: Candidate,
    /// The socket behind it, for a local candidate.
    pub local: Option<LocalId>,
    /// The STUN server that a local server-reflexive candidate came from, as it was given to
    /// [`Agent::add_stun_server`](crate::Agent::add_stun_server).
    pub url: Option<Arc<str>>,
}

impl From<&LocalCandidate> for CandidateStats {
    fn from(local: &LocalCandidate) -> Self {
        Self {
            id: local.id,
            candidate: local.candidate.clone(),
            local: Some(local.base),
            url: local.url.clone(),
        }
    }
}

impl From<&RemoteCandidate> for CandidateStats {
    fn from(remote: &RemoteCandidate) -> Self {
        Self {
            id: remote.id,
            candidate: remote.candidate.clone(),
            local: None,
            url: None,
        }
    }
}

/// State of a pair (RFC 8445 §6.1.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairState {
    /// Not to be checked yet, or no longer.
    Frozen,
    /// To be checked.
    Waiting,
    /// A check is under way.
    InProgress,
    /// A check was answered.
    Succeeded,
    /// No check was answered, or one was refused.
    Failed,
}

/// One pair.
#[derive(Debug, Clone, PartialEq)]
pub struct PairStats {
    /// Names the pair for the life of the agent.
    pub id: u64,
    /// Our candidate as the remote sees it: discovered by a check where a NAT has mapped the base.
    /// `None` for a base without candidates.
    pub local_candidate: Option<CandidateId>,
    /// The remote's.
    pub remote_candidate: CandidateId,
    /// Our socket.
    pub local: LocalId,
    /// The remote's address.
    pub remote: SocketAddr,
    /// State.
    pub state: PairState,
    /// Pair priority (RFC 8445 §6.1.2.3).
    pub priority: u64,
    /// Whether it is nominated.
    pub nominated: bool,
    /// Whether data is sent to it.
    pub selected: bool,
    /// Round trip of the last answered check.
    pub current_rtt: Option<Duration>,
    /// Sum of all measured round trips; divide by `responses_received` for the mean.
    pub total_rtt: Duration,
    /// Checks sent, of every kind.
    pub requests_sent: u64,
    /// Of these, consent and liveness checks.
    pub consent_requests_sent: u64,
    /// Authentic checks received.
    pub requests_received: u64,
    /// Answers sent.
    pub responses_sent: u64,
    /// Authentic answers received.
    pub responses_received: u64,
    /// Datagrams sent that are no checks, as told by [`Agent::note_sent`](crate::Agent::note_sent).
    pub packets_sent: u64,
    /// UDP payload bytes in them.
    pub bytes_sent: u64,
    /// When the last of them was sent.
    pub last_packet_sent: Option<Instant>,
    /// Datagrams received that are no checks, as told by
    /// [`Agent::note_received`](crate::Agent::note_received).
    pub packets_received: u64,
    /// UDP payload bytes in them.
    pub bytes_received: u64,
    /// When the last of them was received.
    pub last_packet_received: Option<Instant>,
}

/// Ignored datagrams by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IgnoredCounts([u64; Ignored::COUNT]);

impl IgnoredCounts {
    /// How many datagrams were ignored for `reason`.
    pub fn of(&self, reason: Ignored) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Ignored, u64)> + '_ {
        Ignored::ALL
            .into_iter()
            .map(|reason| (reason, self.of(reason)))
    }

    /// The sum over all reasons.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, reason: Ignored) {
        self.0[reason as usize] += 1;
    }
}
