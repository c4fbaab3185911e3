//! The agent's verbs.

use crate::candidate::Candidate;
use crate::config::AgentConfig;
use crate::credentials::Credentials;
use crate::error::{CandidateError, CredentialsError, Ignored, LocalAddressError};
use crate::event::{Event, LocalId, Role, SelectedPair, State, Transmit};
use crate::stats::Stats;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::time::Instant;

/// An ICE agent for one component. See the [crate documentation](crate) for the verbs.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    rng: StdRng,
    credentials: Credentials,
}

#[expect(clippy::todo, unused_variables, reason = "replaced within the hour")]
impl Agent {
    /// An agent with fresh credentials. `seed` must come from a CSPRNG, except in tests.
    pub fn new(config: AgentConfig, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let credentials = Credentials::random(&mut rng);
        Self { config: config.sanitised(), rng, credentials }
    }

    /// Our credentials of the current generation.
    pub fn local_credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Sets the role, before checks start.
    pub fn set_role(&mut self, role: Role) {
        todo!()
    }

    /// The role, after any conflict was resolved.
    pub fn role(&self) -> Role {
        todo!()
    }

    /// Says that the remote is an ICE-lite implementation: we are controlling, whatever the role
    /// was (RFC 8445 §6.1.1).
    pub fn set_remote_lite(&mut self, lite: bool) {
        todo!()
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
        todo!()
    }

    /// One UDP socket of ours, bound to `address`: gives a host candidate at once and asks the
    /// STUN servers through it.
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
        todo!()
    }

    /// The socket is gone, and every pair with it.
    pub fn remove_local_address(&mut self, now: Instant, id: LocalId) {
        todo!()
    }

    /// A STUN server, resolved. Asked through every socket of its address family. Returns false
    /// when the address cannot be dialled or the limit is reached.
    pub fn add_stun_server(&mut self, now: Instant, server: SocketAddr) -> bool {
        todo!()
    }

    /// No further address or server follows: [`Event::GatheringComplete`] comes as soon as every
    /// STUN server has answered, or after the configured bound.
    pub fn local_addresses_done(&mut self, now: Instant) {
        todo!()
    }

    /// A candidate of the remote, in any order with everything else.
    ///
    /// # Errors
    ///
    /// When the candidate is of no use. The agent is unchanged.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), CandidateError> {
        todo!()
    }

    /// The remote has signalled its last candidate (RFC 8838 §14).
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        todo!()
    }

    /// A STUN datagram from `source` on socket `local`.
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
        todo!()
    }

    /// Whether `source` has proved, in a check on this socket, that it knows the credentials:
    /// DTLS and SRTP are accepted from such addresses only. O(1).
    pub fn is_validated(&self, local: LocalId, source: SocketAddr) -> bool {
        todo!()
    }

    /// Authenticated data (a DTLS record or SRTP packet that opened) has arrived on the selected
    /// pair. Cheap; call it once per burst.
    pub fn note_received(&mut self, now: Instant) {
        todo!()
    }

    /// The next datagram to send. Call until `None`, after every other call.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        todo!()
    }

    /// The next event. Call until `None`, after every other call.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), then
    /// [`poll_transmit`](Self::poll_transmit).
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Time has passed. Call `poll_transmit` and `poll_event` next.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// Fresh credentials for a restart, to be put into an offer and given to
    /// [`restart`](Self::restart) once the offer is applied.
    pub fn new_credentials(&mut self) -> Credentials {
        Credentials::random(&mut self.rng)
    }

    /// Starts a new generation with `credentials` (RFC 8445 §9). The candidates of our sockets
    /// are gathered and given out again; the old pair stays in use until a new one is selected.
    pub fn restart(&mut self, now: Instant, credentials: Credentials) {
        todo!()
    }

    /// Ends the agent: nothing is sent or answered any more.
    pub fn close(&mut self) {
        todo!()
    }

    /// The state.
    pub fn state(&self) -> State {
        todo!()
    }

    /// The pair to send to, while consent holds.
    pub fn selected(&self) -> Option<SelectedPair> {
        todo!()
    }

    /// Candidates of ours so far, for a description.
    pub fn local_candidates(&self) -> impl Iterator<Item = &Candidate> + '_ {
        std::iter::empty()
    }

    /// Whether [`Event::GatheringComplete`] was given for this generation.
    pub fn is_gathering_complete(&self) -> bool {
        todo!()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
