//! Datagrams received, and the checks of the remote among them (RFC 8445 §7.3).

use crate::address::{canonical, destination, is_dialable};
use crate::agent::Agent;
use crate::candidate::{Candidate, CandidateKind};
use crate::checklist::{NewPair, PairId};
use crate::error::Ignored;
use crate::event::{LocalId, Role, Transmit};
use crate::generation::{EarlyCheck, Failure, RemoteCandidate};
use crate::nomination::PREVIOUS;
use crate::policy::TransportPolicy;
use crate::stats::{CandidateId, PairState};
use crate::stun::{self, Class, Request, Unverified};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

impl Agent {
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Ignored> {
        if self.closed {
            return Err(Ignored::Closed);
        }
        let message = Unverified::new(datagram, self.config.limits.datagram)?;
        if self.locals.base(local).is_none() {
            return Err(Ignored::UnknownLocal);
        }
        let source = canonical(source);
        if !is_dialable(source) {
            return Err(Ignored::UnusableSource);
        }
        match message.class {
            Class::Request => self.request(now, local, source, &message),
            Class::Success | Class::Error => self.response(now, local, source, &message),
        }
    }

    fn request(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        message: &Unverified<'_>,
    ) -> Result<(), Ignored> {
        let (ours, theirs) = message.username()?;
        if ours != self.current.local.ufrag().as_bytes() {
            return self.request_of_previous(now, local, source, message, ours, theirs);
        }
        let known = self.current.remote.as_ref();
        if known.is_some_and(|r| r.credentials.ufrag().as_bytes() != theirs) {
            return Err(Ignored::UnknownUsername);
        }
        if self.current.failed == Some(Failure::Consent) {
            // Answering would keep the remote's consent alive for a path that is over.
            return Err(Ignored::NoConsent);
        }
        let relay = self.config.transport_policy == TransportPolicy::Relay;
        let known = self.current.list.find(local, source).is_some();
        if relay || !(known || self.policy.0.allows_remote(source)) {
            return Err(Ignored::NotAllowed);
        }
        let request = message.request(self.current.local.pwd())?;
        if !self.resolve_roles(now, local, source, message, &request)? {
            return Ok(());
        }
        if self.current.remote.is_none() {
            return self.early_check(local, source, message, &request, theirs);
        }
        let id = match self.current.list.find(local, source) {
            Some(id) => id,
            None => self
                .peer_reflexive_pair(now, local, source, request.priority)
                .ok_or(Ignored::LimitReached)?,
        };
        let answer = stun::encode_success(message.transaction, source, self.current.local.pwd());
        self.answer(local, source, message, answer)?;
        let pair = self.current.list.pair_mut(id);
        pair.counters.responses_sent += 1;
        self.checked(now, id, request.use_candidate);
        Ok(())
    }

    /// An authentic check has arrived on a pair: a triggered check goes back (RFC 8445 §7.3.1.4).
    pub(crate) fn checked(&mut self, now: Instant, id: PairId, use_candidate: bool) {
        let selected = self.current.selected.as_ref().is_some_and(|s| s.pair == id);
        let role = self.role;
        let pair = self.current.list.pair_mut(id);
        pair.authenticated = true;
        pair.counters.requests_received += 1;
        if use_candidate && role == Role::Controlled {
            pair.nominated_at = Some(now);
        }
        if self.config.lite {
            return self.checked_lite(now, id);
        }
        // A pair that worked long ago may lead nowhere by now.
        let fresh = pair.state == PairState::Succeeded
            && pair.last_answer.is_some_and(|at| now < at + FRESH);
        if selected {
            self.heard(now);
        }
        if selected || fresh {
            self.valid(now, id, false);
        } else {
            self.current.list.trigger(now, id);
        }
    }

    /// RFC 8445 §7.3.2: a lite agent makes no checks of its own. The remote's are its consent, and
    /// the nomination is the permission to send (§12.1).
    fn checked_lite(&mut self, now: Instant, id: PairId) {
        let selected = self.current.selected.as_ref().is_some_and(|s| s.pair == id);
        let pair = self.current.list.pair_mut(id);
        pair.state = PairState::Succeeded;
        pair.last_answer = Some(now);
        let nominated = pair.nominated_at.is_some();
        if selected {
            self.consented(now);
        }
        if nominated {
            self.valid(now, id, false);
        }
    }

    /// RFC 8445 §7.3.1.1. False when the request was refused.
    fn resolve_roles(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        message: &Unverified<'_>,
        request: &Request,
    ) -> Result<bool, Ignored> {
        if request.role != self.role {
            return Ok(true);
        }
        let larger = self.tie_breaker >= request.tie_breaker;
        // Both controlling: the larger stays. Both controlled: the larger switches.
        // A lite agent cannot switch.
        if self.config.lite || larger == (self.role == Role::Controlling) {
            let pwd = self.current.local.pwd();
            let answer = stun::encode_role_conflict(message.transaction, pwd);
            self.answer(local, source, message, answer)?;
            return Ok(false);
        }
        self.switch_role(now);
        Ok(true)
    }

    /// Nothing can be checked without the remote's credentials, but the request is authentic and
    /// is answered; the address is kept for later.
    fn early_check(
        &mut self,
        local: LocalId,
        source: SocketAddr,
        message: &Unverified<'_>,
        request: &Request,
        theirs: &[u8],
    ) -> Result<(), Ignored> {
        let early = &mut self.current.early;
        let known = early
            .iter()
            .position(|e| e.local == local && e.source == source);
        match known {
            Some(known) => early[known].nominated |= request.use_candidate,
            None if early.len() >= self.config.limits.early_checks => {
                return Err(Ignored::LimitReached);
            }
            None => early.push(EarlyCheck {
                local,
                source,
                priority: request.priority,
                nominated: request.use_candidate,
                remote_ufrag: theirs.to_owned(),
            }),
        }
        let answer = stun::encode_success(message.transaction, source, self.current.local.pwd());
        self.answer(local, source, message, answer)
    }

    /// During a restart the old pair is in use, and consent to it is given.
    fn request_of_previous(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        message: &Unverified<'_>,
        ours: &[u8],
        theirs: &[u8],
    ) -> Result<(), Ignored> {
        let previous = self.previous.as_ref().map(|p| &p.generation);
        let previous = previous.ok_or(Ignored::UnknownUsername)?;
        let remote = previous
            .remote
            .as_ref()
            .map(|r| r.credentials.ufrag().as_bytes());
        if previous.local.ufrag().as_bytes() != ours || remote != Some(theirs) {
            return Err(Ignored::UnknownUsername);
        }
        message.request(previous.local.pwd())?;
        // New addresses are for the new generation.
        let id = previous
            .list
            .find(local, source)
            .ok_or(Ignored::LimitReached)?;
        let selected = previous.selected.as_ref().is_some_and(|s| s.pair == id);
        let answer = stun::encode_success(message.transaction, source, previous.local.pwd());
        self.answer(local, source, message, answer)?;
        if let Some(previous) = &mut self.previous {
            let counters = &mut previous.generation.list.pair_mut(id).counters;
            counters.requests_received += 1;
            counters.responses_sent += 1;
            previous.drop_at = previous.drop_at.map(|_| now + PREVIOUS);
        }
        if selected && self.current.selected.is_none() {
            if self.config.lite {
                self.consented(now);
            } else {
                self.heard(now);
            }
        }
        Ok(())
    }

    /// A check from an address that was not signalled (RFC 8445 §7.3.1.3).
    pub(crate) fn peer_reflexive_pair(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        priority: u32,
    ) -> Option<PairId> {
        let index = match self.current.candidate(source) {
            Some(index) => index,
            None => self.peer_reflexive_candidate(source, priority),
        };
        let address = self.locals.base(local)?.address;
        // A source of the other family or scope cannot have reached this socket.
        if destination(address, source) != Some(source) {
            return None;
        }
        self.add_pair(now, local, source, index, true)
    }

    fn peer_reflexive_candidate(&mut self, source: SocketAddr, priority: u32) -> usize {
        let mut candidate = Candidate::udp(CandidateKind::PeerReflexive, source, priority);
        let candidates = &mut self.current.candidates;
        let list = &self.current.list;
        // Equal to no other foundation (RFC 8445 §7.3.1.3).
        self.discovered += 1;
        candidate.foundation = format!("p{}", self.discovered);
        let new = RemoteCandidate {
            id: CandidateId(self.discovered + self.signalled),
            candidate,
            address: source,
        };
        if candidates.len() < self.config.limits.remote_candidates {
            candidates.push(new);
            return candidates.len() - 1;
        }
        // The place of one without pairs, else it shares the last one's: only the address of the
        // pair is dialled.
        let unused = |i: &usize| !list.iter().any(|(_, p)| p.remote == *i);
        match (0..candidates.len()).find(unused) {
            Some(index) => {
                candidates[index] = new;
                index
            }
            None => candidates.len() - 1,
        }
    }

    /// Adds a pair, if it is not there and finds room.
    pub(crate) fn add_pair(
        &mut self,
        now: Instant,
        local: LocalId,
        destination: SocketAddr,
        remote: usize,
        authenticated: bool,
    ) -> Option<PairId> {
        let base = self.locals.base(local)?;
        let candidate = &self.current.candidates[remote].candidate;
        self.paired += 1;
        let new = NewPair {
            number: self.paired,
            local,
            destination,
            remote,
            priorities: (
                crate::candidate::priority(CandidateKind::Host, base.preference),
                candidate.priority,
            ),
            direct: candidate.kind == CandidateKind::Host,
            foundation: (base.foundation.clone(), candidate.foundation.clone()),
            authenticated,
        };
        let keep = self.current.in_use();
        let id = self
            .current
            .list
            .insert(now, new, self.role, self.config.limits.pairs, keep)?;
        self.current.started.get_or_insert(now);
        if self.current.selected.as_ref().is_some_and(|s| s.nominated) && !authenticated {
            // Checks are over: what is signalled late is kept for worse times.
            let pair = self.current.list.pair_mut(id);
            pair.backoff.stop();
            pair.state = PairState::Frozen;
        }
        Some(id)
    }

    /// Queues an answer, which goes to where the request came from and is never larger.
    fn answer(
        &mut self,
        local: LocalId,
        destination: SocketAddr,
        request: &Unverified<'_>,
        payload: Bytes,
    ) -> Result<(), Ignored> {
        if payload.len() > request.len() || self.answers.len() >= self.config.limits.answers {
            return Err(Ignored::LimitReached);
        }
        self.answers.push_back(Transmit {
            local,
            destination,
            payload,
        });
        Ok(())
    }
}

/// How long an answer speaks for its pair when the remote checks the pair again.
const FRESH: Duration = Duration::from_secs(1);
