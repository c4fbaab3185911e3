//! The ICE transport: the agent, its sockets and the STUN servers' names.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use peerloom_ice::{Agent, Candidate, Credentials, Event, LocalId, Role, SelectedPair, State};

use super::driver::Driver;
use super::mdns::Resolver;
use super::path::Path;
use super::socket::{UdpSocket, is_transient};
use crate::config::StunServer;
use crate::error::Reason;
use crate::event::{Event as PeerEvent, IceConnectionState, IceGatheringState, Queued};
use crate::ice_options::IceConfig;

/// What the remote description says about ICE.
#[derive(Clone, Debug)]
pub(crate) struct IceParameters {
    /// Counts ICE restarts.
    pub(crate) generation: u32,
    pub(crate) role: Role,
    pub(crate) credentials: Credentials,
    pub(crate) lite: bool,
}

/// Gives the server's URL back with its addresses.
type Lookup = Pin<Box<dyn Future<Output = (String, Vec<SocketAddr>)> + Send>>;

pub(crate) struct IceTransport {
    pub(super) agent: Agent,
    pub(super) sockets: Vec<Arc<UdpSocket>>,
    pub(super) selected: Option<SelectedPair>,
    options: IceConfig,
    /// The weight of each socket's errors in a row, see [`MAX_FAILURES`].
    failures: Vec<u16>,
    stun_servers: Vec<StunServer>,
    /// Names of remote candidates being resolved.
    mdns: Resolver,
    /// The remote has signalled its last candidate, and some of its names are not resolved yet.
    ending: bool,
    /// Names being resolved. Gathering is complete only when they are, within a bound.
    lookups: Vec<Lookup>,
    gathering: bool,
    /// Of the last gathering that a description asked for.
    pub(super) gathering_number: u32,
    /// The remote side in effect.
    remote: Option<RemoteSide>,
}

/// What is known of the other end in the generation in effect. Given to the agent again when a
/// restart is taken back.
#[derive(Debug)]
struct RemoteSide {
    generation: u32,
    credentials: Credentials,
    /// At most [`REMEMBERED`].
    candidates: Vec<Candidate>,
    ended: bool,
}

impl IceTransport {
    pub(crate) fn new(
        agent: Agent,
        sockets: Vec<Arc<UdpSocket>>,
        stun_servers: Vec<StunServer>,
        options: IceConfig,
    ) -> Self {
        IceTransport {
            agent,
            failures: vec![0; sockets.len()],
            mdns: Resolver::new(options.mdns),
            options,
            ending: false,
            sockets,
            selected: None,
            stun_servers,
            lookups: Vec::new(),
            gathering: false,
            gathering_number: 0,
            remote: None,
        }
    }

    pub(super) fn local_id(&self, index: usize) -> LocalId {
        LocalId(u16::try_from(index).unwrap_or(u16::MAX))
    }

    pub(super) fn socket(&self, id: LocalId) -> Option<Arc<UdpSocket>> {
        self.sockets.get(usize::from(id.0)).cloned()
    }

    /// Starts gathering: host candidates at once, server-reflexive ones as servers answer.
    pub(super) fn gather(&mut self, now: Instant) {
        if std::mem::replace(&mut self.gathering, true) {
            return;
        }
        for index in 0..self.sockets.len() {
            let (id, address) = (self.local_id(index), self.sockets[index].local());
            if self.is_deaf(index) {
                continue;
            }
            let added = match self.options.external(address) {
                Some(external) => self.agent.add_mapped_address(now, id, address, external),
                None => self.agent.add_local_address(now, id, address),
            };
            if let Err(error) = added {
                tracing::debug!(%address, %error, "no host candidate");
            }
        }
        self.lookups = self.stun_servers.drain(..).map(resolve).collect();
        if self.lookups.is_empty() {
            self.agent.local_addresses_done(now);
        }
    }

    /// Polls the look-ups of names.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) {
        if !self.mdns.is_idle() {
            for candidate in self.mdns.poll(cx) {
                self.take_candidate(now, candidate);
            }
            if self.mdns.is_idle() && self.ending {
                self.end_of_remote_candidates(now);
            }
        }
        if self.lookups.is_empty() {
            return;
        }
        let agent = &mut self.agent;
        self.lookups
            .retain_mut(|lookup| match lookup.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready((url, addresses)) => {
                    for address in addresses {
                        agent.add_stun_server(now, address, &url);
                    }
                    false
                }
            });
        if self.lookups.is_empty() {
            self.agent.local_addresses_done(now);
        }
    }

    /// A local description brings new credentials. What is selected carries data until the new
    /// generation has a pair.
    pub(super) fn restart(&mut self, now: Instant, credentials: Credentials) {
        self.agent.restart(now, credentials);
    }

    /// The offer that restarted was taken back: a generation with the credentials that both sides
    /// had, which the other end never left.
    pub(super) fn roll_back(&mut self, now: Instant, credentials: Credentials) {
        self.agent.restart(now, credentials);
        let Some(remote) = self.remote.take() else {
            return;
        };
        self.set_remote_credentials(now, remote.credentials.clone());
        for candidate in &remote.candidates {
            self.pass_on(now, candidate.clone());
        }
        if remote.ended {
            self.agent.end_of_remote_candidates(now);
        }
        self.remote = Some(remote);
    }

    /// Applies a remote description. A re-offer within a generation changes nothing.
    pub(super) fn set_remote(&mut self, now: Instant, parameters: IceParameters) {
        match &self.remote {
            Some(remote) if remote.generation == parameters.generation => return,
            // Agents keep their roles over a restart, and a conflict may have changed them. Names
            // of the last generation no longer matter.
            Some(_) => {
                self.mdns.clear();
                self.ending = false;
            }
            None => self.agent.set_role(parameters.role),
        }
        self.agent.set_remote_lite(parameters.lite);
        self.set_remote_credentials(now, parameters.credentials.clone());
        self.remote = Some(RemoteSide {
            generation: parameters.generation,
            credentials: parameters.credentials,
            candidates: Vec::new(),
            ended: false,
        });
    }

    /// A batch goes to the selected pair: for its statistics. A change of the pair before the
    /// writer has sent it is not followed.
    pub(super) fn note_sent(&mut self, now: Instant, packets: usize, bytes: usize) {
        if let Some(pair) = &self.selected {
            let (packets, bytes) = (packets as u64, bytes as u64);
            self.agent
                .note_sent(now, pair.local, pair.remote, packets, bytes);
        }
    }

    /// Takes a candidate; one with an mDNS name once that is resolved.
    pub(super) fn add_remote_candidate(&mut self, now: Instant, candidate: Candidate) {
        if let Some(candidate) = self.mdns.resolve(candidate) {
            self.take_candidate(now, candidate);
        }
    }

    /// Takes a candidate that is an address, or never will be.
    fn take_candidate(&mut self, now: Instant, candidate: Candidate) {
        if let Some(remote) = &mut self.remote
            && remote.candidates.len() < REMEMBERED
        {
            remote.candidates.push(candidate.clone());
        }
        if self.is_in_effect() {
            self.pass_on(now, candidate);
        }
    }

    pub(super) fn end_of_remote_candidates(&mut self, now: Instant) {
        // Those whose names are being resolved came before the end.
        self.ending = !self.mdns.is_idle();
        if self.ending {
            return;
        }
        if let Some(remote) = &mut self.remote {
            remote.ended = true;
        }
        if self.is_in_effect() {
            self.agent.end_of_remote_candidates(now);
        }
    }

    /// Whether the agent's generation is the one in effect: not while a restart of ours waits for
    /// its answer.
    fn is_in_effect(&self) -> bool {
        self.remote.is_none() || self.agent.remote_credentials().is_some()
    }

    fn pass_on(&mut self, now: Instant, candidate: Candidate) {
        if let Err(error) = self.agent.add_remote_candidate(now, candidate) {
            tracing::debug!(%error, "remote candidate not used");
        }
    }

    fn set_remote_credentials(&mut self, now: Instant, credentials: Credentials) {
        if let Err(error) = self.agent.set_remote_credentials(now, credentials) {
            tracing::debug!(%error, "remote ICE credentials refused");
        }
    }

    /// Whether the socket can no longer receive.
    pub(super) fn is_deaf(&self, index: usize) -> bool {
        self.failures[index] >= MAX_FAILURES
    }

    /// The socket has given something, or has nothing: it is in order.
    pub(super) fn receive_worked(&mut self, index: usize) {
        self.failures[index] = 0;
    }

    /// A receive has failed. What ICMP or the moment is the reason of changes nothing; an error that
    /// comes again and again is the socket's end, and the last socket's that of the connection.
    /// True if the socket is to be asked again.
    pub(super) fn receive_failed(
        &mut self,
        now: Instant,
        index: usize,
        error: io::Error,
    ) -> Result<bool, Reason> {
        let weight = if is_transient(&error) { 1 } else { LASTING };
        self.failures[index] = self.failures[index].saturating_add(weight);
        if !self.is_deaf(index) {
            return Ok(true);
        }
        let address = self.sockets[index].local();
        tracing::debug!(%address, %error, "socket receives no more");
        self.agent.remove_local_address(now, self.local_id(index));
        if (0..self.sockets.len()).all(|index| self.is_deaf(index)) {
            return Err(Reason::Socket(Arc::new(error)));
        }
        Ok(false)
    }
}

impl Driver {
    /// Passes on what the agent found out.
    pub(super) fn handle_ice_events(&mut self, now: Instant) -> Result<(), Reason> {
        while let Some(event) = self.ice.agent.poll_event() {
            match event {
                Event::LocalCandidate(candidate) => self.shared.add_local_candidate(&candidate),
                Event::GatheringComplete => {
                    let number = self.ice.gathering_number;
                    self.shared
                        .set_gathering(number, IceGatheringState::Complete);
                    self.shared
                        .events
                        .push(Queued::Plain(PeerEvent::IceCandidate(None)));
                }
                Event::ConnectionState(state) => self.handle_ice_state(state),
                Event::Selected(pair) => self.select(*pair)?,
                Event::Resumed => {
                    self.dtls.path_resumed(now);
                    self.with_session(|session| session.path_resumed(now))?;
                }
            }
        }
        Ok(())
    }

    fn select(&mut self, pair: SelectedPair) -> Result<(), Reason> {
        let path = self.ice.socket(pair.local).map(|socket| Path {
            socket,
            destination: pair.remote,
        });
        tracing::debug!(
            local = %pair.local_candidate,
            remote = %pair.remote,
            nominated = pair.nominated,
            "pair selected"
        );
        self.shared.path.publish(path);
        let rtt = pair.rtt;
        self.ice.selected = Some(pair);
        match rtt {
            Some(rtt) => self.with_session(|session| session.suggest_rtt(rtt)),
            None => Ok(()),
        }
    }

    fn handle_ice_state(&mut self, state: State) {
        let state = match state {
            State::New => IceConnectionState::New,
            State::Checking => IceConnectionState::Checking,
            State::Connected => IceConnectionState::Connected,
            State::Completed => IceConnectionState::Completed,
            State::Disconnected => IceConnectionState::Disconnected,
            State::Failed => IceConnectionState::Failed,
            State::Closed => IceConnectionState::Closed,
        };
        if state == IceConnectionState::Failed {
            // No consent, no packets (RFC 7675 §5.1).
            self.shared.path.publish(None);
        }
        self.shared.set_ice_state(state);
        self.update_connection_state();
    }
}

/// Resolves a STUN server's name within a bound; one that fails is left out.
fn resolve(StunServer { url, address }: StunServer) -> Lookup {
    Box::pin(async move {
        let addresses =
            match tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host(&address)).await {
                Ok(Ok(addresses)) => addresses.collect(),
                Ok(Err(error)) => {
                    tracing::debug!(%url, %error, "STUN server not found");
                    Vec::new()
                }
                Err(_) => {
                    tracing::debug!(%url, "STUN server's name took too long");
                    Vec::new()
                }
            };
        (url, addresses)
    })
}

/// As many as the agent takes, and a description (`jsep::Limits::candidates`).
const REMEMBERED: usize = 256;

/// A socket in order clears an error by reporting it. So many in a row mean that it does not; more
/// than ICMP can bring before the socket is empty once.
const MAX_FAILURES: u16 = 16_000;

/// What an error weighs that is about the socket itself: sixteen are enough.
const LASTING: u16 = 1_000;

/// As long as the agent waits for a server itself, see `AgentConfig::stun_timeout`.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects a connection from a burst of (forged) ICMP, which passes, and the machine from
    /// polling for ever what does not.
    #[tokio::test]
    async fn only_errors_that_last_make_a_socket_deaf() {
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 0, true).unwrap();
        let agent = Agent::new(peerloom_ice::AgentConfig::default(), [1; 32]);
        let sockets = vec![Arc::new(socket)];
        let mut ice = IceTransport::new(agent, sockets, Vec::new(), IceConfig::default());
        let now = tokio::time::Instant::now().into_std();
        let mut fail = |kind: io::ErrorKind, times: usize| {
            ice.receive_worked(0);
            (0..times).all(|_| matches!(ice.receive_failed(now, 0, kind.into()), Ok(true)))
        };
        assert!(fail(io::ErrorKind::ConnectionRefused, 10_000));
        assert!(fail(io::ErrorKind::NotConnected, 15));
        assert!(!fail(io::ErrorKind::NotConnected, 16));
        assert!(!fail(io::ErrorKind::NetworkDown, 20_000));
    }
}
