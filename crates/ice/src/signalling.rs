//! What comes through signalling, in any order (RFC 8838), and from the caller's interfaces.

use crate::address::{canonical, destination, is_dialable};
use crate::agent::{Agent, Previous};
use crate::candidate::{Candidate, CandidateKind, Protocol};
use crate::credentials::Credentials;
use crate::error::{CandidateError, CredentialsError, LocalAddressError};
use crate::event::{Event, LocalId, Role};
use crate::generation::{Failure, Generation, Remote, RemoteCandidate};
use crate::local::ExternalAddress;
use crate::policy::TransportPolicy;
use crate::stats::CandidateId;
use std::net::SocketAddr;
use std::time::Instant;

impl Agent {
    pub(crate) fn add_base(
        &mut self,
        now: Instant,
        id: LocalId,
        address: SocketAddr,
        external: Option<ExternalAddress>,
    ) -> Result<(), LocalAddressError> {
        let address = canonical(address);
        let outer = external.map(ExternalAddress::address);
        let both = [Some(address), outer];
        if let Some(bad) = both.into_iter().flatten().find(|a| !is_dialable(*a)) {
            return Err(LocalAddressError::Unusable(bad));
        }
        if self.locals.base(id).is_some() {
            return Err(LocalAddressError::Duplicate(id));
        }
        let max = self.config.limits.local_addresses;
        if self.locals.bases().len() >= max {
            return Err(LocalAddressError::TooMany { max });
        }
        let suggested = self.locals.suggested_preference(address);
        let preference = self.policy.0.local_preference(address, suggested);
        self.locals.add(id, address, external, preference);
        self.offer_base(id);
        if self.config.asks_servers() {
            self.gathering.add_local(now, id, address, &self.config);
        }
        if self.current.remote.is_some() {
            for remote in 0..self.current.candidates.len() {
                self.pair_up(now, id, remote);
            }
        }
        Ok(())
    }

    pub(crate) fn remove_base(&mut self, now: Instant, id: LocalId) {
        self.locals.remove(id);
        self.gathering.remove_local(id);
        self.answers.retain(|t| t.local != id);
        self.current.early.retain(|e| e.local != id);
        if self
            .previous
            .as_ref()
            .is_some_and(|p| p.generation.uses(id))
        {
            self.previous = None;
        }
        let lost = self.current.uses(id);
        self.current.remove_local(id);
        if lost {
            // What worked besides takes over; the rest is checked again.
            self.current.first_valid = None;
            self.current.started = Some(now);
            if let Some(best) = self.current.best_valid(now, self.config.consent_timeout) {
                self.valid(now, best, false);
            }
            self.current
                .list
                .thaw(now, self.current.selected.as_ref().map(|s| s.pair));
        }
    }

    pub(crate) fn add_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), CandidateError> {
        if candidate.protocol != Protocol::Udp {
            return Err(CandidateError::NotUdp);
        }
        if candidate.component != 1 {
            return Err(CandidateError::Component(candidate.component));
        }
        let Some(address) = candidate.socket_addr() else {
            return Err(CandidateError::Unresolved(candidate.address.to_string()));
        };
        if !is_dialable(address) {
            return Err(CandidateError::Unusable(address));
        }
        if !self.policy.0.allows_remote(address) {
            return Err(CandidateError::NotAllowed(address));
        }
        let remote = self.current.remote.as_ref().map(|r| r.credentials.ufrag());
        if let (Some(ufrag), Some(remote)) = (&candidate.ufrag, remote)
            && ufrag != remote
        {
            return Err(CandidateError::OtherGeneration(ufrag.clone()));
        }
        if let Some(known) = self.current.candidate(address) {
            self.learn(known, candidate);
            return Ok(());
        }
        if self.current.ended {
            return Err(CandidateError::AfterEnd);
        }
        let max = self.config.limits.remote_candidates;
        if self.current.candidates.len() >= max {
            return Err(CandidateError::TooMany { max });
        }
        self.signalled += 1;
        self.current.candidates.push(RemoteCandidate {
            id: CandidateId(self.discovered + self.signalled),
            candidate,
            address,
        });
        if self.current.failed == Some(Failure::Timeout) {
            self.current.failed = None;
            self.current.started = Some(now);
        }
        if self.current.remote.is_some() {
            self.pair_with_all(now, self.current.candidates.len() - 1);
        }
        Ok(())
    }

    pub(crate) fn learn_credentials(
        &mut self,
        now: Instant,
        credentials: Credentials,
    ) -> Result<(), CredentialsError> {
        if let Some(known) = &self.current.remote {
            if known.credentials == credentials {
                return Ok(());
            }
            return Err(CredentialsError::Changed);
        }
        let username = format!("{}:{}", credentials.ufrag(), self.current.local.ufrag());
        // No pair refers to them yet.
        self.current.candidates.retain(|c| {
            c.candidate
                .ufrag
                .as_deref()
                .is_none_or(|u| u == credentials.ufrag())
        });
        let early = std::mem::take(&mut self.current.early);
        let ufrag = credentials.ufrag().as_bytes().to_owned();
        self.current.remote = Some(Remote {
            credentials,
            username,
        });
        for remote in 0..self.current.candidates.len() {
            self.pair_with_all(now, remote);
        }
        for check in early.into_iter().filter(|e| e.remote_ufrag == ufrag) {
            let known = self.current.list.find(check.local, check.source);
            let pair = known.or_else(|| {
                self.peer_reflexive_pair(now, check.local, check.source, check.priority)
            });
            if let Some(id) = pair {
                self.checked(now, id, check.nominated);
            }
        }
        Ok(())
    }

    pub(crate) fn begin_generation(&mut self, now: Instant, credentials: Credentials) {
        let mut old = std::mem::replace(&mut self.current, Generation::new(credentials));
        if old.selected.is_some() {
            old.list.stop();
            old.nominating = None;
            old.challenge = None;
            self.previous = Some(Previous {
                generation: old,
                drop_at: None,
            });
        } else if old.failed.is_some() {
            self.previous = None;
        }
        self.locals.clear_candidates();
        let ids: Vec<LocalId> = self.locals.bases().iter().map(|b| b.id).collect();
        for id in ids {
            self.offer_base(id);
        }
        let asks = self.config.asks_servers();
        let locals = self.locals.addresses().filter(|_| asks);
        self.gathering.restart(now, locals, &self.config);
        if self.remote_lite && !self.config.lite {
            self.role = Role::Controlling;
        }
    }

    /// Gives out the candidates that a base has of itself, where the policy wants them.
    fn offer_base(&mut self, id: LocalId) {
        if self.config.transport_policy == TransportPolicy::All {
            let candidates = self.locals.own_candidates(id, self.current.local.ufrag());
            self.events
                .extend(candidates.into_iter().map(Event::LocalCandidate));
        }
    }

    /// What was discovered is now signalled, or signalled twice.
    fn learn(&mut self, known: usize, candidate: Candidate) {
        let entry = &mut self.current.candidates[known].candidate;
        if entry.kind == CandidateKind::PeerReflexive
            && candidate.kind != CandidateKind::PeerReflexive
        {
            let direct = candidate.kind == CandidateKind::Host;
            let (priority, foundation) = (candidate.priority, candidate.foundation.clone());
            *entry = candidate;
            self.current
                .list
                .update_remote(known, priority, &foundation, direct, self.role);
        }
    }

    fn pair_with_all(&mut self, now: Instant, remote: usize) {
        for i in 0..self.locals.bases().len() {
            self.pair_up(now, self.locals.bases()[i].id, remote);
        }
    }

    fn pair_up(&mut self, now: Instant, id: LocalId, remote: usize) {
        if self.config.transport_policy == TransportPolicy::Relay {
            return;
        }
        let Some(base) = self.locals.base(id) else {
            return;
        };
        let address = self.current.candidates[remote].address;
        if let Some(destination) = destination(base.address, address)
            && self.current.list.find(id, destination).is_none()
        {
            self.add_pair(now, id, destination, remote, false);
        }
    }
}
