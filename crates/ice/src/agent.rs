//! The agent's verbs. What they do is in `signalling`, `incoming`, `outgoing` and `nomination`.

use crate::address::{canonical, is_dialable};
use crate::candidate::Candidate;
use crate::checklist::{Pair, PairId, Traffic};
use crate::config::AgentConfig;
use crate::credentials::Credentials;
use crate::error::{CandidateError, CredentialsError, Ignored, LocalAddressError};
use crate::event::{Event, LocalId, Role, SelectedPair, State, Transmit};
use crate::gathering::{Gathering, StunServer};
use crate::generation::Generation;
use crate::local::{ExternalAddress, Locals};
use crate::policy::{AddressPolicy, Policy};
use crate::stats::{Carried, IgnoredCounts, PairStats, Stats};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// An ICE agent for one component. See the [crate documentation](crate) for the verbs.
#[derive(Debug)]
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) rng: StdRng,
    pub(crate) policy: Policy,
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
    /// Remote candidates of other kinds so far; both together name them.
    pub(crate) signalled: u64,
    /// Pairs so far.
    pub(crate) paired: u64,
    pub(crate) selected_changes: u64,
    ignored: IgnoredCounts,
    /// Over all pairs there ever were.
    sent: Traffic,
    received: Traffic,
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
        let config = config.sanitised();
        Self {
            policy: Policy::default(),
            role: config.role,
            config,
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
            signalled: 0,
            paired: 0,
            selected_changes: 0,
            ignored: IgnoredCounts::default(),
            sent: Traffic::default(),
            received: Traffic::default(),
        }
    }

    /// Has `policy` decide about addresses; to be called before any is added. Default: all are
    /// allowed.
    pub fn set_address_policy(&mut self, policy: Arc<dyn AddressPolicy>) {
        self.policy = Policy(policy);
    }

    /// Our credentials of the current generation.
    pub fn local_credentials(&self) -> &Credentials {
        &self.current.local
    }

    /// The remote's credentials of the current generation, once known.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.current.remote.as_ref().map(|r| &r.credentials)
    }

    /// Sets the role; to be called before checks start. A lite agent at either end leaves no choice.
    pub fn set_role(&mut self, role: Role) {
        if !self.remote_lite && !self.config.lite && role != self.role {
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
    /// controlling, whatever the role was (RFC 8445 §6.1.1). Two lite agents never connect.
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
        self.add_base(now, id, address, None)?;
        self.settle(now);
        Ok(())
    }

    /// As [`add_local_address`](Self::add_local_address), for a socket behind a 1:1 NAT whose
    /// outer address is known.
    ///
    /// # Errors
    ///
    /// The same, for either address.
    pub fn add_mapped_address(
        &mut self,
        now: Instant,
        id: LocalId,
        address: SocketAddr,
        external: ExternalAddress,
    ) -> Result<(), LocalAddressError> {
        self.add_base(now, id, address, Some(external))?;
        self.settle(now);
        Ok(())
    }

    /// The socket is gone, and every pair with it.
    pub fn remove_local_address(&mut self, now: Instant, id: LocalId) {
        self.remove_base(now, id);
        self.settle(now);
    }

    /// A STUN server, resolved; `url` is what [`CandidateStats`](crate::CandidateStats) calls it.
    /// Asked through every socket of its address family. False when the address cannot be dialled,
    /// is known, or the limit is reached.
    pub fn add_stun_server(&mut self, now: Instant, server: SocketAddr, url: &str) -> bool {
        let address = canonical(server);
        let room = self.gathering.servers().len() < self.config.limits.stun_servers;
        if !is_dialable(address) || self.gathering.server(address).is_some() || !room {
            return false;
        }
        let server = StunServer {
            address,
            url: url.into(),
        };
        let asks = self.config.asks_servers();
        let locals = self.locals.addresses().filter(|_| asks);
        self.gathering.add_server(now, server, locals, &self.config);
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

    /// Authenticated data (DTLS records or SRTP packets that opened) has arrived from `source` on
    /// socket `local`: `packets` datagrams with `bytes` of UDP payload. Counts as a sign of life if
    /// that is the selected pair. Cheap; call it once per burst.
    pub fn note_received(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        packets: u64,
        bytes: u64,
    ) {
        self.received.add(now, packets, bytes);
        let Some((pair, selected)) = self.pair_of(local, canonical(source)) else {
            return;
        };
        pair.counters.received.add(now, packets, bytes);
        let heard = selected.then(|| self.heard(now)).flatten();
        if heard.is_some_and(|h| h.resumed || h.reconnected) {
            self.settle(now);
        }
    }

    /// `packets` datagrams with `bytes` of UDP payload, no checks, were sent from socket `local` to
    /// `destination`. For [`PairStats`] alone. Cheap; call it once per burst.
    pub fn note_sent(
        &mut self,
        now: Instant,
        local: LocalId,
        destination: SocketAddr,
        packets: u64,
        bytes: u64,
    ) {
        self.sent.add(now, packets, bytes);
        if let Some((pair, _)) = self.pair_of(local, canonical(destination)) {
            pair.counters.sent.add(now, packets, bytes);
        }
    }

    /// The pair of these addresses in the generation in use, and whether it is selected.
    fn pair_of(&mut self, local: LocalId, remote: SocketAddr) -> Option<(&mut Pair, bool)> {
        let previous = self.previous.as_mut().map(|p| &mut p.generation);
        let generation = match previous {
            Some(previous) if self.current.selected.is_none() => previous,
            Some(_) | None => &mut self.current,
        };
        // Nearly always the selected one, and a comparison is cheaper than a hash.
        let selected = generation.selected.as_ref().map(|s| s.pair);
        let is_it = |id: &PairId| {
            let pair = generation.list.pair(*id);
            (pair.local, pair.destination) == (local, remote)
        };
        let id = match selected.filter(is_it) {
            Some(id) => id,
            None => generation.list.find(local, remote)?,
        };
        Some((generation.list.pair_mut(id), selected == Some(id)))
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
        let previous = self.previous.as_ref().map(|p| &p.generation);
        // What a restart left behind counts while data flows over it.
        let in_use = previous.filter(|_| current.selected.is_none());
        let old = in_use.and_then(|g| Some((g, g.selected.as_ref()?.pair)));
        let pairs = current.list.iter().map(|(id, _)| (current, id));
        let remote = old.map(|(g, id)| &g.candidates[g.list.pair(id).remote]);
        Stats {
            state: self.state,
            role: self.role,
            local_ufrag: current.local.ufrag().to_owned(),
            local_candidates: self.locals.candidates().iter().map(Into::into).collect(),
            remote_candidates: current
                .candidates
                .iter()
                .chain(remote)
                .map(Into::into)
                .collect(),
            pairs: pairs
                .chain(old)
                .map(|(generation, id)| self.pair_stats(generation, id))
                .collect(),
            selected_changes: self.selected_changes,
            ignored: self.ignored,
            carried: Carried {
                packets_sent: self.sent.packets,
                bytes_sent: self.sent.bytes,
                packets_received: self.received.packets,
                bytes_received: self.received.bytes,
            },
        }
    }

    fn pair_stats(&self, generation: &Generation, id: PairId) -> PairStats {
        let pair = generation.list.pair(id);
        let counters = &pair.counters;
        let selected = generation.selected.as_ref().filter(|s| s.pair == id);
        PairStats {
            id: pair.number,
            local_candidate: self.locals.of_pair(pair.local, pair.mapped).map(|c| c.id),
            remote_candidate: generation.candidates[pair.remote].id,
            local: pair.local,
            remote: pair.destination,
            state: pair.state,
            priority: pair.priority,
            nominated: selected.is_some_and(|s| s.nominated),
            selected: selected.is_some(),
            current_rtt: pair.rtt,
            total_rtt: pair.total_rtt,
            requests_sent: counters.requests_sent,
            consent_requests_sent: counters.consent_requests_sent,
            requests_received: counters.requests_received,
            responses_sent: counters.responses_sent,
            responses_received: counters.responses_received,
            packets_sent: counters.sent.packets,
            bytes_sent: counters.sent.bytes,
            last_packet_sent: counters.sent.last,
            packets_received: counters.received.packets,
            bytes_received: counters.received.bytes,
            last_packet_received: counters.received.last,
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
        let local = self.locals.of_pair(pair.local, pair.mapped);
        let remote = &generation.candidates[pair.remote].candidate;
        SelectedPair {
            local: pair.local,
            local_candidate: local.map_or(remote, |c| &c.candidate).clone(),
            remote: pair.destination,
            remote_candidate: remote.clone(),
            rtt: pair.rtt,
            nominated,
        }
    }
}
