//! What the application decides: external addresses, which addresses and kinds of candidates are
//! used, in which order.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod net;

use net::{A, B, Nat, Net, addr, link, ms};
use peerloom_ice::{
    Address, AddressPolicy, AgentConfig, CandidateError, CandidateKind, Event, ExternalAddress,
    Ignored, LocalAddressError, LocalId, State, TransportPolicy,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A on a cloud host whose 1:1 NAT keeps ports: opened by checks from outside, too.
fn cloud(external: ExternalAddress) -> Net {
    let mut net = Net::new(1, link(ms(40), 0.0));
    net.nats.push(Nat::one_to_one("198.51.100.1"));
    net.hosts[A].nat = Some(0);
    net.add_mapped_address(A, "10.0.0.1:1000", external);
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    net.run_for(ms(1000));
    net
}

/// Protects a server in a cloud: without a STUN server the outer address is its host candidate,
/// and the inner one is in no line that leaves.
#[test]
fn external_address_replaces_the_host_candidate() {
    let mut net = cloud(ExternalAddress::Host(addr("198.51.100.1:1000")));
    assert!(net.both(State::Completed));
    net.assert_consistent();
    let host = (CandidateKind::Host, CandidateKind::Host);
    assert_eq!(net.selected_kinds(A), host);
    let lines = |net: &Net| net.candidates(A).iter().map(ToString::to_string).collect();
    let before: Vec<String> = lines(&net);
    assert!(
        before[0].contains("198.51.100.1 1000 typ host"),
        "{before:?}"
    );
    assert_eq!(before.len(), 1);
    // A server that sees another address must not give the inner one away as its base.
    net.stun_servers.push(addr("203.0.113.1:3478"));
    net.nats[0] = Nat::new("198.51.100.9", false);
    let now = net.now;
    assert!(
        net.agent(A)
            .add_stun_server(now, addr("203.0.113.1:3478"), "stun:test")
    );
    net.run_for(ms(1000));
    let after: Vec<String> = lines(&net);
    assert!(
        after[1].contains("typ srflx raddr 198.51.100.1"),
        "{after:?}"
    );
    assert!(!after.iter().any(|line| line.contains("10.0.0.1")));
    // And a restart keeps it so.
    let credentials = net.agent(A).new_credentials();
    net.agent(A).restart(now, credentials);
    assert!(
        net.candidates(A)[0]
            .to_string()
            .contains("198.51.100.1 1000 typ host")
    );
}

/// The same beside the host candidate, for a host that others reach from inside as well.
#[test]
fn external_address_is_added_as_server_reflexive() {
    let net = cloud(ExternalAddress::ServerReflexive(addr("198.51.100.1:1000")));
    assert!(net.both(State::Completed));
    net.assert_consistent();
    assert_eq!(net.selected_kinds(A).0, CandidateKind::ServerReflexive);
    let candidates = net.candidates(A);
    assert_eq!(candidates.len(), 2);
    assert_eq!(candidates[0].kind, CandidateKind::Host);
    let base = Address::Ip([10, 0, 0, 1].into());
    assert_eq!(candidates[1].related, Some((base, 1000)));
    assert_ne!(candidates[0].foundation, candidates[1].foundation);
}

#[test]
fn external_address_that_nobody_can_dial_is_refused() {
    let mut net = Net::new(1, link(ms(40), 0.0));
    let (now, outer) = (net.now, addr("0.0.0.0:1000"));
    let external = ExternalAddress::Host(outer);
    let inner = addr("10.0.0.1:1000");
    let result = net
        .agent(A)
        .add_mapped_address(now, LocalId(0), inner, external);
    assert_eq!(result, Err(LocalAddressError::Unusable(outer)));
}

/// Protects who asked for relays alone (W3C `relay`): while there are none, nothing leaves, and
/// nothing is told about our addresses.
#[test]
fn relay_policy_uses_no_other_candidate() {
    let config = AgentConfig {
        transport_policy: TransportPolicy::Relay,
        ..AgentConfig::default()
    };
    let mut net = Net::with_configs(2, link(ms(40), 0.0), config, AgentConfig::default());
    net.stun_servers.push(addr("203.0.113.1:3478"));
    let external = ExternalAddress::ServerReflexive(addr("198.51.100.1:1000"));
    net.add_mapped_address(A, "192.0.2.1:1000", external);
    net.add_address(B, "192.0.2.2:2000");
    let now = net.now;
    net.agent(A)
        .add_stun_server(now, addr("203.0.113.1:3478"), "stun:test");
    net.agent(A).local_addresses_done(now);
    net.exchange_credentials();
    // B knows A's address all the same.
    let line = "candidate:1 1 udp 9 192.0.2.1 1000 typ host";
    net.agent(B)
        .add_remote_candidate(now, line.parse().unwrap())
        .unwrap();
    net.run_for(Duration::from_secs(2));
    assert_eq!(net.candidates(A), []);
    assert_eq!(net.hosts[A].sent, []);
    assert!(net.hosts[A].agent.stats().ignored.of(Ignored::NotAllowed) > 0);
    assert!(
        net.when(A, Duration::ZERO, |e| *e == Event::GatheringComplete)
            .is_some()
    );
    let credentials = net.agent(A).new_credentials();
    let now = net.now;
    net.agent(A).restart(now, credentials);
    net.run_for(Duration::from_secs(2));
    assert_eq!((net.candidates(A).len(), net.hosts[A].sent.len()), (0, 0));
}

struct Only(SocketAddr);

impl AddressPolicy for Only {
    fn allows_remote(&self, remote: SocketAddr) -> bool {
        remote == self.0
    }
}

/// Protects the networks that an application will not touch: what the policy refuses is neither
/// dialled nor answered, signalled or not.
#[test]
fn addresses_that_the_policy_refuses_are_neither_dialled_nor_answered() {
    let mut net = Net::new(3, link(ms(40), 0.0));
    let policy = Arc::new(Only(addr("192.0.2.2:2000")));
    net.agent(A).set_address_policy(policy);
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.66:2000");
    net.exchange_credentials();
    let refused: peerloom_ice::Candidate = "candidate:1 1 udp 9 192.0.2.66 2000 typ host"
        .parse()
        .unwrap();
    let now = net.now;
    assert_eq!(
        net.agent(A).add_remote_candidate(now, refused),
        Err(CandidateError::NotAllowed(addr("192.0.2.66:2000")))
    );
    // B's checks come from there.
    net.run_for(Duration::from_secs(2));
    assert_eq!(net.hosts[A].sent, []);
    assert!(net.hosts[A].agent.stats().ignored.of(Ignored::NotAllowed) > 0);
    net.add_address(B, "192.0.2.2:2000");
    net.run_for(Duration::from_secs(2));
    assert_eq!(
        net.hosts[A].agent.selected().unwrap().remote,
        addr("192.0.2.2:2000")
    );
}

struct SecondFirst;

impl AddressPolicy for SecondFirst {
    fn local_preference(&self, local: SocketAddr, suggested: u16) -> u16 {
        if local.port() == 2 {
            u16::MAX
        } else {
            suggested / 2
        }
    }
}

/// Protects the choice of a network (RFC 8445 §5.1.2.1), metered or not: it reaches the remote in
/// the priorities, so both ends choose alike.
#[test]
fn local_preference_decides_between_networks() {
    for (policy, port) in [(false, 1), (true, 2)] {
        let mut net = Net::new(4, link(ms(40), 0.0));
        for host in [A, B] {
            if policy {
                net.agent(host).set_address_policy(Arc::new(SecondFirst));
            }
        }
        net.add_two_networks();
        net.exchange_credentials();
        net.run_for(Duration::from_secs(2));
        net.assert_consistent();
        assert_eq!(net.hosts[A].agent.selected().unwrap().remote.port(), port);
    }
}
