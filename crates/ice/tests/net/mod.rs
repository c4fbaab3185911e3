//! Hosts, NATs and STUN servers on virtual time. Every datagram passes one seeded link, that of
//! its sender.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use peerloom_ice::{
    Agent, AgentConfig, Candidate, CandidateKind, Event, ExternalAddress, Ignored, LocalId, Role,
    State, Transmit,
};
use peerloom_sctp::sim::{Link, LinkConfig, Loss};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::message::{BINDING_SUCCESS, Message, Setter};
use stun::xoraddr::XorMappedAddress;

pub const A: usize = 0;
pub const B: usize = 1;

pub struct Net {
    pub start: Instant,
    pub now: Instant,
    pub hosts: Vec<Host>,
    pub nats: Vec<Nat>,
    /// Answer Binding requests.
    pub stun_servers: Vec<SocketAddr>,
    /// Local candidates go to the other host at once, as through perfect signalling.
    pub trickle: bool,
    /// From, to: one direction of a path that is broken.
    pub blocked: Vec<(SocketAddr, SocketAddr)>,
    wire: HashMap<u64, Datagram>,
    sent: u64,
    servers_link: Link,
}

pub struct Host {
    pub agent: Agent,
    pub addresses: Vec<(LocalId, SocketAddr)>,
    /// Index of the NAT in front.
    pub nat: Option<usize>,
    pub link: Link,
    pub events: Vec<(Duration, Event)>,
    /// Every datagram that left: when, and what.
    pub sent: Vec<(Duration, Transmit)>,
    pub ignored: Vec<Ignored>,
}

#[derive(Clone)]
struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    payload: Vec<u8>,
}

/// Maps every inner address to a port of its own; lets in only what was asked for.
pub struct Nat {
    pub outer: std::net::IpAddr,
    /// A port per destination, too.
    pub symmetric: bool,
    /// One inner host, all ports kept and open, as in a cloud.
    pub one_to_one: bool,
    next_port: u16,
    mapping: HashMap<(SocketAddr, Option<SocketAddr>), u16>,
    permitted: HashSet<(u16, SocketAddr)>,
}

impl Nat {
    pub fn new(outer: &str, symmetric: bool) -> Self {
        Self {
            outer: outer.parse().unwrap(),
            symmetric,
            one_to_one: false,
            next_port: 40_000,
            mapping: HashMap::new(),
            permitted: HashSet::new(),
        }
    }

    pub fn one_to_one(outer: &str) -> Self {
        Self {
            one_to_one: true,
            ..Self::new(outer, false)
        }
    }

    /// Forgets everything and starts with other ports.
    pub fn rebind(&mut self) {
        self.mapping.clear();
        self.permitted.clear();
        self.next_port += 1000;
    }

    fn out(&mut self, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let key = (from, self.symmetric.then_some(to));
        let next = &mut self.next_port;
        let kept = self.one_to_one.then(|| from.port());
        let port = *self.mapping.entry(key).or_insert_with(|| {
            *next += 1;
            kept.unwrap_or(*next)
        });
        self.permitted.insert((port, to));
        SocketAddr::new(self.outer, port)
    }

    fn inward(&self, from: SocketAddr, port: u16) -> Option<SocketAddr> {
        if !self.one_to_one && !self.permitted.contains(&(port, from)) {
            return None;
        }
        self.mapping
            .iter()
            .find(|(_, p)| **p == port)
            .map(|((inner, _), _)| *inner)
    }
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn link(rtt: Duration, loss: f64) -> LinkConfig {
    let loss = if loss > 0.0 {
        Loss::Random(loss)
    } else {
        Loss::None
    };
    LinkConfig {
        delay: rtt / 2,
        loss,
        ..LinkConfig::default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the base of virtual time; its value is irrelevant"
)]
fn base_of_time() -> Instant {
    Instant::now()
}

impl Net {
    /// Two hosts without addresses: A controlling, B controlled.
    pub fn new(seed: u64, link: LinkConfig) -> Self {
        Self::with_configs(seed, link, AgentConfig::default(), AgentConfig::default())
    }

    pub fn with_configs(seed: u64, link: LinkConfig, a: AgentConfig, b: AgentConfig) -> Self {
        let start = base_of_time();
        let host = |index: u64, role, config| {
            let mut bytes = [index as u8 + 1; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            let mut agent = Agent::new(config, bytes);
            agent.set_role(role);
            Host {
                agent,
                addresses: Vec::new(),
                nat: None,
                link: Link::new(link.clone(), seed * 2 + index),
                events: Vec::new(),
                sent: Vec::new(),
                ignored: Vec::new(),
            }
        };
        Self {
            start,
            now: start,
            hosts: vec![host(0, Role::Controlling, a), host(1, Role::Controlled, b)],
            nats: Vec::new(),
            stun_servers: Vec::new(),
            trickle: true,
            blocked: Vec::new(),
            wire: HashMap::new(),
            sent: 0,
            servers_link: Link::new(link, seed * 2 + 7),
        }
    }

    /// Two hosts on one network, credentials exchanged, candidates trickled.
    pub fn connected_pair(seed: u64, link: LinkConfig) -> Self {
        let mut net = Self::new(seed, link);
        net.add_address(A, "192.0.2.1:1000");
        net.add_address(B, "192.0.2.2:2000");
        net.exchange_credentials();
        net.run_for(Duration::from_secs(1));
        net
    }

    pub fn agent(&mut self, host: usize) -> &mut Agent {
        &mut self.hosts[host].agent
    }

    pub fn add_address(&mut self, host: usize, address: &str) {
        let host = &mut self.hosts[host];
        let id = LocalId(host.addresses.len() as u16);
        host.addresses.push((id, addr(address)));
        host.agent
            .add_local_address(self.now, id, addr(address))
            .unwrap();
    }

    /// Two networks, with an address of either host in each.
    pub fn add_two_networks(&mut self) {
        for (a, b) in [
            ("192.0.2.1:1", "192.0.2.2:1"),
            ("198.51.100.1:2", "198.51.100.2:2"),
        ] {
            self.add_address(A, a);
            self.add_address(B, b);
        }
    }

    pub fn add_mapped_address(&mut self, host: usize, address: &str, external: ExternalAddress) {
        let host = &mut self.hosts[host];
        let id = LocalId(host.addresses.len() as u16);
        host.addresses.push((id, addr(address)));
        host.agent
            .add_mapped_address(self.now, id, addr(address), external)
            .unwrap();
    }

    pub fn set_remote_credentials(&mut self, host: usize) {
        let credentials = self.hosts[1 - host].agent.local_credentials().clone();
        self.hosts[host]
            .agent
            .set_remote_credentials(self.now, credentials)
            .unwrap();
    }

    pub fn exchange_credentials(&mut self) {
        self.set_remote_credentials(A);
        self.set_remote_credentials(B);
    }

    /// What `host` has to signal.
    pub fn candidates(&self, host: usize) -> Vec<Candidate> {
        self.hosts[host].agent.local_candidates().cloned().collect()
    }

    pub fn signal_candidates(&mut self, from: usize) {
        for candidate in self.candidates(from) {
            self.hosts[1 - from]
                .agent
                .add_remote_candidate(self.now, candidate)
                .unwrap();
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time, |_| false);
    }

    /// Runs until `done` says so; how long that took. `None` after `time`.
    pub fn run_while(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let from = self.now;
        self.run_until(self.now + time, &done);
        done(self).then(|| self.now - from)
    }

    fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) {
        let mut turns = 0;
        loop {
            self.settle();
            if done(self) {
                return;
            }
            let timers = self.hosts.iter().filter_map(|h| h.agent.poll_timeout());
            let links = self.hosts.iter().filter_map(|h| h.link.poll_timeout());
            let next = timers
                .chain(links)
                .chain(self.servers_link.poll_timeout())
                .min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.now = self.now.max(end);
                return;
            };
            // An agent whose deadline does not move would keep a core busy.
            turns = if next > self.now { 0 } else { turns + 1 };
            assert!(turns < 100, "busy loop at {:?}", self.elapsed());
            self.now = self.now.max(next);
            for host in &mut self.hosts {
                if host.agent.poll_timeout().is_some_and(|at| at <= self.now) {
                    host.agent.handle_timeout(self.now);
                }
            }
            self.deliver();
        }
    }

    /// Takes out everything that the agents have to say.
    fn settle(&mut self) {
        loop {
            let mut idle = true;
            for index in 0..self.hosts.len() {
                while let Some(event) = self.hosts[index].agent.poll_event() {
                    idle = false;
                    if let (true, Event::LocalCandidate(candidate)) = (self.trickle, &event) {
                        let line = candidate.to_string().parse().unwrap();
                        let other = &mut self.hosts[1 - index].agent;
                        // After a restart one side still has the old credentials.
                        let _ = other.add_remote_candidate(self.now, line);
                    }
                    let at = self.elapsed();
                    self.hosts[index].events.push((at, event));
                }
                while let Some(transmit) = self.hosts[index].agent.poll_transmit(self.now) {
                    idle = false;
                    self.transmit(index, transmit);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn transmit(&mut self, index: usize, transmit: Transmit) {
        let at = self.elapsed();
        let host = &mut self.hosts[index];
        let from = host
            .addresses
            .iter()
            .find(|(id, _)| *id == transmit.local)
            .unwrap()
            .1;
        let datagram = Datagram {
            from,
            to: transmit.destination,
            payload: transmit.payload.to_vec(),
        };
        host.sent.push((at, transmit));
        self.sent += 1;
        self.wire.insert(self.sent, datagram);
        self.hosts[index]
            .link
            .send(self.now, &self.sent.to_be_bytes());
    }

    fn deliver(&mut self) {
        for index in 0..self.hosts.len() {
            while let Some(id) = self.hosts[index].link.receive(self.now) {
                let id = u64::from_be_bytes(id.try_into().unwrap());
                // A damaged number is a damaged datagram.
                let Some(mut datagram) = self.wire.get(&id).cloned() else {
                    continue;
                };
                if let Some(nat) = self.hosts[index].nat {
                    datagram.from = self.nats[nat].out(datagram.from, datagram.to);
                }
                self.route(&datagram);
            }
        }
        while let Some(id) = self.servers_link.receive(self.now) {
            let id = u64::from_be_bytes(id.try_into().unwrap());
            let datagram = self.wire[&id].clone();
            self.route(&datagram);
        }
    }

    fn route(&mut self, datagram: &Datagram) {
        if self.stun_servers.contains(&datagram.to) {
            return self.serve(datagram);
        }
        if self.blocked.contains(&(datagram.from, datagram.to)) {
            return;
        }
        let mut to = datagram.to;
        let mut behind = None;
        if let Some(nat) = self.nats.iter().position(|n| n.outer == to.ip()) {
            match self.nats[nat].inward(datagram.from, to.port()) {
                Some(inner) => to = inner,
                None => return,
            }
            behind = Some(nat);
        }
        for host in self.hosts.iter_mut().filter(|h| h.nat == behind) {
            if let Some((id, _)) = host.addresses.iter().find(|(_, a)| *a == to) {
                let result =
                    host.agent
                        .handle_datagram(self.now, *id, datagram.from, &datagram.payload);
                host.ignored.extend(result.err());
                return;
            }
        }
    }

    /// A STUN server's answer.
    fn serve(&mut self, request: &Datagram) {
        let mut question = Message::new();
        question.unmarshal_binary(&request.payload).unwrap();
        let mut answer = Message::new();
        answer.typ = BINDING_SUCCESS;
        answer.transaction_id = question.transaction_id;
        answer.write_header();
        let mapped = XorMappedAddress {
            ip: request.from.ip(),
            port: request.from.port(),
        };
        mapped.add_to(&mut answer).unwrap();
        self.sent += 1;
        let datagram = Datagram {
            from: request.to,
            to: request.from,
            payload: answer.raw,
        };
        self.wire.insert(self.sent, datagram);
        self.servers_link.send(self.now, &self.sent.to_be_bytes());
    }

    /// Hands a datagram to a host, as if it had just arrived.
    pub fn inject(&mut self, host: usize, from: &str, payload: &[u8]) -> Result<(), Ignored> {
        self.hosts[host]
            .agent
            .handle_datagram(self.now, LocalId(0), addr(from), payload)
    }

    pub fn set_down(&mut self, down: bool) {
        for host in &mut self.hosts {
            host.link.set_down(down);
        }
    }

    pub fn state(&self, host: usize) -> State {
        self.hosts[host].agent.state()
    }

    pub fn both(&self, state: State) -> bool {
        self.state(A) == state && self.state(B) == state
    }

    pub fn usable(&self) -> bool {
        self.hosts.iter().all(|h| h.agent.selected().is_some())
    }

    pub fn selected_kinds(&self, host: usize) -> (CandidateKind, CandidateKind) {
        let selected = self.hosts[host].agent.selected().unwrap();
        (
            selected.local_candidate.kind,
            selected.remote_candidate.kind,
        )
    }

    /// Each sends where the other listens.
    pub fn assert_consistent(&self) {
        for host in [A, B] {
            let selected = self.hosts[host].agent.selected().unwrap();
            let other = self.hosts[1 - host].agent.selected().unwrap();
            assert_eq!(
                selected.local_candidate.socket_addr().unwrap(),
                other.remote,
                "{selected:?} {other:?}"
            );
            assert!(selected.nominated);
        }
        assert_ne!(self.hosts[A].agent.role(), self.hosts[B].agent.role());
    }

    /// The same for link-local addresses, whose scope a candidate does not carry.
    pub fn assert_consistent_scoped(&self) {
        for host in [A, B] {
            let remote = self.hosts[host].agent.selected().unwrap().remote;
            assert_eq!(remote, self.hosts[1 - host].addresses[0].1);
        }
    }

    /// When an event that satisfies `matches` first came after `from`.
    pub fn when(
        &self,
        host: usize,
        from: Duration,
        matches: impl Fn(&Event) -> bool,
    ) -> Option<Duration> {
        let events = self.hosts[host].events.iter();
        events
            .filter(|(at, _)| *at >= from)
            .find(|(_, e)| matches(e))
            .map(|(at, _)| *at)
    }

    pub fn when_state(&self, host: usize, from: Duration, state: State) -> Option<Duration> {
        self.when(host, from, |e| *e == Event::ConnectionState(state))
    }
}
