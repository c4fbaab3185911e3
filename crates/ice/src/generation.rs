//! What a restart replaces (RFC 8445 §9): credentials, remote candidates, pairs, the selection.

use crate::candidate::{Address, Candidate};
use crate::check::Backoff;
use crate::checklist::{Checklist, PairId};
use crate::consent::Consent;
use crate::credentials::Credentials;
use crate::event::LocalId;
use crate::stats::{CandidateId, PairState};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One generation.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) local: Credentials,
    pub(crate) remote: Option<Remote>,
    /// Kept in order: pairs refer to them by index. Signalled before the credentials or after.
    pub(crate) candidates: Vec<RemoteCandidate>,
    pub(crate) ended: bool,
    pub(crate) list: Checklist,
    pub(crate) selected: Option<Selected>,
    pub(crate) nominating: Option<Nominating>,
    pub(crate) challenge: Option<Challenge>,
    /// When the first pair was found valid.
    pub(crate) first_valid: Option<Instant>,
    /// When there was something to check.
    pub(crate) started: Option<Instant>,
    pub(crate) failed: Option<Failure>,
    pub(crate) early: Vec<EarlyCheck>,
}

/// The remote's credentials, and the user name that goes with them.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) credentials: Credentials,
    /// `remote:local`, of our checks.
    pub(crate) username: String,
}

/// A candidate of the remote, signalled or discovered.
#[derive(Debug)]
pub(crate) struct RemoteCandidate {
    pub(crate) id: CandidateId,
    pub(crate) candidate: Candidate,
    pub(crate) address: SocketAddr,
}

/// The pair in use.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) pair: PairId,
    pub(crate) nominated: bool,
    pub(crate) consent: Consent,
}

/// The pair that our USE-CANDIDATE goes to until it is answered.
#[derive(Debug)]
pub(crate) struct Nominating {
    pub(crate) pair: PairId,
    pub(crate) backoff: Backoff,
}

/// Another pair shows life: the selected one has until `until` to do so, too.
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) pair: PairId,
    pub(crate) until: Instant,
    /// Between two checks on the selected pair until then.
    pub(crate) pace: Duration,
}

/// Why nothing is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No pair has worked in time. A late check may still lead to one (RFC 8863).
    Timeout,
    /// Consent ran out or was withdrawn: over, until a restart (RFC 7675 §5.1).
    Consent,
}

/// An authentic check from before the remote's credentials were known (RFC 8445 §7.3).
#[derive(Debug)]
pub(crate) struct EarlyCheck {
    pub(crate) local: LocalId,
    pub(crate) source: SocketAddr,
    pub(crate) priority: u32,
    pub(crate) nominated: bool,
    pub(crate) remote_ufrag: Vec<u8>,
}

impl Generation {
    pub(crate) fn new(local: Credentials) -> Self {
        Self {
            local,
            remote: None,
            candidates: Vec::new(),
            ended: false,
            list: Checklist::default(),
            selected: None,
            nominating: None,
            challenge: None,
            first_valid: None,
            started: None,
            failed: None,
            early: Vec::new(),
        }
    }

    /// Whether `source` has shown that it knows the credentials.
    pub(crate) fn is_validated(&self, local: LocalId, source: SocketAddr) -> bool {
        // Nearly every datagram is from there, and a comparison is cheaper than a hash.
        if let Some(selected) = &self.selected {
            let pair = self.list.pair(selected.pair);
            if (pair.local, pair.destination) == (local, source) {
                return true;
            }
        }
        match self.list.find(local, source) {
            Some(id) => self.list.pair(id).authenticated,
            None => self
                .early
                .iter()
                .any(|e| e.local == local && e.source == source),
        }
    }

    /// The candidate with this address, whatever its scope.
    pub(crate) fn candidate(&self, address: SocketAddr) -> Option<usize> {
        self.candidates.iter().position(|c| {
            c.candidate.port == address.port() && c.candidate.address == Address::Ip(address.ip())
        })
    }

    /// Pairs that must not make room for others.
    pub(crate) fn in_use(&self) -> impl Fn(PairId) -> bool + use<> {
        let selected = self.selected.as_ref().map(|s| s.pair);
        let nominating = self.nominating.as_ref().map(|n| n.pair);
        let challenger = self.challenge.as_ref().map(|c| c.pair);
        move |id| [selected, nominating, challenger].contains(&Some(id))
    }

    /// Whether the selected pair is on this socket.
    pub(crate) fn uses(&self, local: LocalId) -> bool {
        self.selected
            .as_ref()
            .is_some_and(|s| self.list.pair(s.pair).local == local)
    }

    /// Drops the pairs of a socket that is gone; the selected one is for the caller to replace.
    pub(crate) fn remove_local(&mut self, local: LocalId) {
        let of_local = |list: &Checklist, id: PairId| list.pair(id).local == local;
        if self
            .selected
            .as_ref()
            .is_some_and(|s| of_local(&self.list, s.pair))
        {
            self.selected = None;
        }
        if self
            .nominating
            .as_ref()
            .is_some_and(|n| of_local(&self.list, n.pair))
        {
            self.nominating = None;
        }
        if self
            .challenge
            .as_ref()
            .is_some_and(|c| of_local(&self.list, c.pair))
        {
            self.challenge = None;
        }
        let gone: Vec<PairId> = self
            .list
            .iter()
            .filter(|(_, p)| p.local == local)
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            self.list.remove(id);
        }
    }

    /// The best pair that has answered within `age`.
    pub(crate) fn best_valid(&self, now: Instant, age: Duration) -> Option<PairId> {
        self.list.best(|p| {
            p.state == PairState::Succeeded && p.last_answer.is_some_and(|at| now < at + age)
        })
    }

    /// Ends the sending of data and checks.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failed = Some(failure);
        self.selected = None;
        self.nominating = None;
        self.challenge = None;
        self.list.stop();
    }
}
