//! The agent's verbs. What they do is in `signalling`, `incoming`, `outgoing` and `nomination`.

use crate::address::{canonical, is_dialable};
use crate::candidate::Candidate;
use crate::checklist::PairId;
use crate::config::AgentConfig;
use crate::credentials::Credentials;
use crate::error::{CandidateError, CredentialsError, Ignored, LocalAddressError};
use crate::event::{Event, LocalId, Role, SelectedPair, State, Transmit};
use crate::gathering::Gathering;
use crate::generation::Generation;
use crate::local::Locals;
use crate::stats::{CandidateStats, IgnoredCounts, PairStats, Stats};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// An ICE agent for one component. See the [crate documentation](crate) for the verbs.
#[derive(Debug)]
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) rng: StdRng,
    pub(crate) role: Role,
    pub(crate) remote_lite: bool,
    pub(crate) tie_breaker: u64,
    pub(crate) locals: Locals,
    pub(crate) gathering: Gathering,
    pub(crate) current: Generation,
    pub(crate) previous: Option<Previous>,
    pub(crate) answers: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    /// No paced datagram before this time.
    pub(crate) paced_until: Option<Instant>,
    /// When `poll_transmit` has something, answers aside: kept, since it is asked every turn.
    pub(crate) next_send: Option<Instant>,
    deadline: Option<Instant>,
    state: State,
    pub(crate) closed: bool,
    /// Peer-reflexive candidates so far, for their foundations.
    pub(crate) discovered: u64,
    pub(crate) selected_changes: u64,
    ignored: IgnoredCounts,
}

/// The generation before a restart.
#[derive(Debug)]
pub(crate) struct Previous {
    pub(crate) generation: Generation,
    /// Set once the new generation has a pair.
    pub(crate) drop_at: Option<Instant>,
}

impl Agent {
    /// An agent with fresh credentials. `seed` must come from a CSPRNG, except in tests.
    pub fn new(config: AgentConfig, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let credentials = Credentials::random(&mut rng);
        Self {
            role: config.role,
            config: config.sanitised(),
            remote_lite: false,
            tie_breaker: rng.random(),
            rng,
            locals: Locals::default(),
            gathering: Gathering::default(),
            current: Generation::new(credentials),
            previous: None,
            answers: VecDeque::new(),
            events: VecDeque::new(),
            paced_until: None,
            next_send: None,
            deadline: None,
            state: State::New,
            closed: false,
            discovered: 0,
            selected_changes: 0,
            ignored: IgnoredCounts::default(),
        }
    }

    /// Our credentials of the current generation.
    pub fn local_credentials(&self) -> &Credentials {
        &self.current.local
    }

    /// The remote's credentials of the current generation, once known.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.current.remote.as_ref().map(|r| &r.credentials)
    }

    /// Sets the role; to be called before checks start. A lite remote leaves no choice.
    pub fn set_role(&mut self, role: Role) {
        if !self.remote_lite && role != self.role {
            self.role = role;
            self.current.nominating = None;
            self.current.list.reprioritise(role);
        }
    }

    /// The role, after any conflict was resolved.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Says that the remote is an ICE-lite implementation: it only answers, and we are
    /// controlling, whatever the role was (RFC 8445 §6.1.1).
    pub fn set_remote_lite(&mut self, lite: bool) {
        if lite {
            self.set_role(Role::Controlling);
        }
        self.remote_lite = lite;
    }

    /// The remote's credentials, from its description. Checks that came early are looked at now.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Changed`] when others are known already and no restart was begun.
    pub fn set_remote_credentials(
        &mut self,
        now: Instant,
        credentials: Credentials,
    ) -> Result<(), CredentialsError> {
        self.learn_credentials(now, credentials)?;
        self.settle(now);
        Ok(())
    }

    /// One UDP socket of ours, bound to `address`: gives a host candidate at once and asks the
    /// STUN servers through it. Those added first are preferred.
    ///
    /// # Errors
    ///
    /// When the address cannot be a candidate, the id is in use or the limit is reached.
    pub fn add_local_address(
        &mut self,
        now: Instant,
        id: LocalId,
        address: SocketAddr,
    ) -> Result<(), LocalAddressError> {
        self.add_base(now, id, address)?;
        self.settle(now);
        Ok(())
    }

    /// The socket is gone, and every pair with it.
    pub fn remove_local_address(&mut self, now: Instant, id: LocalId) {
        self.remove_base(now, id);
        self.settle(now);
    }

    /// A STUN server, resolved. Asked through every socket of its address family. False when the
    /// address cannot be dialled, is known, or the limit is reached.
    pub fn add_stun_server(&mut self, now: Instant, server: SocketAddr) -> bool {
        let server = canonical(server);
        let servers = self.gathering.servers();
        let room = servers.len() < self.config.limits.stun_servers;
        if !is_dialable(server) || servers.contains(&server) || !room {
            return false;
        }
        self.gathering
            .add_server(now, server, self.locals.addresses(), &self.config);
        self.settle(now);
        true
    }

    /// No further address or server follows: [`Event::GatheringComplete`] comes as soon as every
    /// STUN server has answered, or after the configured bound.
    pub fn local_addresses_done(&mut self, now: Instant) {
        self.gathering.addresses_done();
        self.settle(now);
    }

    /// A candidate of the remote, in any order with everything else. One that is known already
    /// has no effect.
    ///
    /// # Errors
    ///
    /// When the candidate is of no use. The agent is unchanged.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), CandidateError> {
        self.add_candidate(now, candidate)?;
        self.settle(now);
        Ok(())
    }

    /// The remote has signalled its last candidate (RFC 8838 §14).
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        self.current.ended = true;
        self.current.started.get_or_insert(now);
        self.settle(now);
    }

    /// A STUN datagram from `source` on socket `local`. An IPv6 socket has to be IPv6-only:
    /// IPv4-mapped sources are ignored.
    ///
    /// # Errors
    ///
    /// [`Ignored`] when it had no effect; counted, never answered.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Ignored> {
        match self.receive(now, local, source, datagram) {
            Ok(()) => {
                self.settle(now);
                Ok(())
            }
            Err(reason) => {
                self.ignored.add(reason);
                Err(reason)
            }
        }
    }

    /// Whether `source` has proved, in a check on this socket, that it knows the credentials:
    /// DTLS and SRTP are accepted from such addresses only. O(1). True for early checks, too:
    /// a ClientHello may overtake the answer.
    pub fn is_validated(&self, local: LocalId, source: SocketAddr) -> bool {
        let source = canonical(source);
        let previous = self.previous.as_ref();
        !self.closed
            && (self.current.is_validated(local, source)
                || previous.is_some_and(|p| p.generation.is_validated(local, source)))
    }

    /// Authenticated data (a DTLS record or SRTP packet that opened) has arrived from `source` on
    /// socket `local`. Counts as a sign of life if that is the selected pair. Cheap; call it once
    /// per burst.
    pub fn note_received(&mut self, now: Instant, local: LocalId, source: SocketAddr) {
        let Some(generation) = self.watched() else {
            return;
        };
        let Some(selected) = &generation.selected else {
            return;
        };
        let pair = generation.list.pair(selected.pair);
        if (pair.local, pair.destination) != (local, canonical(source)) {
            return;
        }
        let heard = self.heard(now);
        if heard.is_some_and(|h| h.resumed || h.reconnected) {
            self.settle(now);
        }
    }

    /// The next datagram to send. Call until `None`, after every other call.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if self.closed {
            return None;
        }
        let transmit = self.transmit(now);
        if transmit.is_some() {
            self.rearm();
        }
        transmit
    }

    /// The next event. Call until `None`, after every other call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), then
    /// [`poll_transmit`](Self::poll_transmit).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Time has passed. Call `poll_transmit` and `poll_event` next.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.settle(now);
    }

    /// Fresh credentials for a restart, to be put into an offer and given to
    /// [`restart`](Self::restart) once the offer is applied.
    pub fn new_credentials(&mut self) -> Credentials {
        Credentials::random(&mut self.rng)
    }

    /// Starts a new generation with `credentials` (RFC 8445 §9). The candidates of our sockets
    /// are gathered and given out again; the old pair stays in use until a new one is selected.
    /// The remote's new credentials and candidates follow.
    pub fn restart(&mut self, now: Instant, credentials: Credentials) {
        self.begin_generation(now, credentials);
        self.settle(now);
    }

    /// Ends the agent: nothing is sent or answered any more.
    pub fn close(&mut self) {
        self.closed = true;
        self.answers.clear();
        self.current.selected = None;
        self.previous = None;
        self.update_state();
        self.rearm();
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The pair to send to, while consent holds.
    pub fn selected(&self) -> Option<SelectedPair> {
        let generation = self.watched()?;
        let selected = generation.selected.as_ref()?;
        Some(self.describe(generation, selected.pair, selected.nominated))
    }

    /// Candidates of ours to be signalled, so far, for a description.
    pub fn local_candidates(&self) -> impl Iterator<Item = &Candidate> + '_ {
        let discovered = crate::candidate::CandidateKind::PeerReflexive;
        let all = self.locals.candidates().iter().map(|c| &c.candidate);
        all.filter(move |c| c.kind != discovered)
    }

    /// Whether [`Event::GatheringComplete`] was given for this generation.
    pub fn is_gathering_complete(&self) -> bool {
        self.gathering.is_complete()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let current = &self.current;
        let selected = current.selected.as_ref();
        let pairs = current.list.iter().map(|(id, p)| {
            let selected = selected.filter(|s| s.pair == id);
            PairStats {
                local: p.local,
                remote: p.destination,
                state: p.state,
                priority: p.priority,
                nominated: selected.is_some_and(|s| s.nominated),
                selected: selected.is_some(),
                current_rtt: p.rtt,
                total_rtt: p.total_rtt,
                requests_sent: p.counters.requests_sent,
                consent_requests_sent: p.counters.consent_requests_sent,
                requests_received: p.counters.requests_received,
                responses_sent: p.counters.responses_sent,
                responses_received: p.counters.responses_received,
            }
        });
        let local = self.locals.candidates().iter();
        let local = local.map(|c| CandidateStats {
            candidate: c.candidate.clone(),
            local: Some(c.base),
        });
        let remote = current.candidates.iter();
        let remote = remote.map(|c| CandidateStats {
            candidate: c.candidate.clone(),
            local: None,
        });
        Stats {
            state: self.state,
            role: self.role,
            local_candidates: local.collect(),
            remote_candidates: remote.collect(),
            pairs: pairs.collect(),
            selected_changes: self.selected_changes,
            ignored: self.ignored,
        }
    }

    pub(crate) fn update_state(&mut self) {
        let state = if self.closed {
            State::Closed
        } else if let Some(selected) = self.watched().and_then(|g| g.selected.as_ref()) {
            match (selected.consent.is_disconnected(), selected.nominated) {
                (true, _) => State::Disconnected,
                (false, true) => State::Completed,
                (false, false) => State::Connected,
            }
        } else if self.current.failed.is_some() {
            State::Failed
        } else if self.current.started.is_some() {
            State::Checking
        } else {
            State::New
        };
        if state != self.state {
            self.state = state;
            self.events.push_back(Event::ConnectionState(state));
        }
    }

    /// Brings the two deadlines up to date.
    pub(crate) fn rearm(&mut self) {
        if self.closed {
            self.next_send = None;
            self.deadline = None;
            return;
        }
        self.next_send = self.send_deadline();
        let consent = self.watched().and_then(|g| g.selected.as_ref());
        self.deadline = [
            self.next_send,
            consent.map(|s| s.consent.deadline(&self.config)),
            self.gathering.deadline(),
            self.current.list.deadline(self.config.checking_timeout),
            self.current.challenge.as_ref().map(|c| c.until),
            self.nomination_deadline(),
            self.checking_deadline(),
            self.previous.as_ref().and_then(|p| p.drop_at),
        ]
        .into_iter()
        .flatten()
        .min();
    }

    fn describe(&self, generation: &Generation, id: PairId, nominated: bool) -> SelectedPair {
        let pair = generation.list.pair(id);
        let mapped = pair
            .mapped
            .and_then(|mapped| self.locals.find(pair.local, mapped));
        let of_base = || {
            self.locals
                .candidates()
                .iter()
                .find(|c| c.base == pair.local)
        };
        let local = mapped.or_else(|| of_base().map(|c| &c.candidate));
        let remote = &generation.candidates[pair.remote].candidate;
        SelectedPair {
            local: pair.local,
            local_candidate: local.unwrap_or(remote).clone(),
            remote: pair.destination,
            remote_candidate: remote.clone(),
            rtt: pair.rtt,
            nominated,
        }
    }
}
