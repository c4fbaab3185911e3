//! Through NATs: server-reflexive candidates, silent STUN servers, rebinding.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod net;

use net::{A, B, Nat, Net, addr, link, ms};
use peerloom_ice::{CandidateKind, Event, State};
use std::time::Duration;

const STUN: &str = "203.0.113.1:3478";

/// A behind a NAT, B either on the open network or behind one of its own.
fn behind_nats(seed: u64, loss: f64, symmetric: bool, both: bool) -> Net {
    let mut net = Net::new(seed, link(ms(40), loss));
    net.stun_servers.push(addr(STUN));
    net.nats.push(Nat::new("198.51.100.1", symmetric));
    net.hosts[A].nat = Some(0);
    net.add_address(A, "10.0.0.1:1000");
    if both {
        net.nats.push(Nat::new("198.51.100.2", false));
        net.hosts[B].nat = Some(1);
        net.add_address(B, "10.0.0.2:2000");
    } else {
        net.add_address(B, "192.0.2.2:2000");
    }
    for host in [A, B] {
        let now = net.now;
        assert!(
            net.agent(host)
                .add_stun_server(now, addr(STUN), "stun:test")
        );
        net.agent(host).local_addresses_done(now);
    }
    net
}

fn gathered(net: &Net, host: usize) -> Option<Duration> {
    net.when(host, Duration::ZERO, |e| *e == Event::GatheringComplete)
}

/// Protects everyone at home: two NATs, each opened by the check that goes out.
#[test]
fn two_nats_connect_over_server_reflexive_candidates() {
    let mut net = behind_nats(1, 0.0, false, true);
    net.exchange_credentials();
    let usable = net.run_while(Duration::from_secs(2), Net::usable).unwrap();
    assert!(usable <= ms(200), "{usable:?}");
    net.run_for(ms(500));
    assert!(net.both(State::Completed));
    net.assert_consistent();
    let expected = (
        CandidateKind::ServerReflexive,
        CandidateKind::ServerReflexive,
    );
    assert_eq!(net.selected_kinds(A), expected);
    assert_eq!(gathered(&net, A), Some(ms(40)));
    // The base of the candidate is told (RFC 8839 §5.1), its foundation is another.
    let candidates = net.candidates(A);
    assert_eq!(candidates.len(), 2);
    assert_eq!(
        candidates[1].related,
        Some((candidates[0].address.clone(), 1000))
    );
    assert_ne!(candidates[0].foundation, candidates[1].foundation);
}

/// Protects a port-per-destination NAT: the mapping is discovered by the checks themselves, on
/// both sides.
#[test]
fn symmetric_nat_is_found_as_peer_reflexive() {
    let mut net = behind_nats(2, 0.0, true, false);
    net.exchange_credentials();
    net.run_for(Duration::from_secs(1));
    assert!(net.both(State::Completed));
    net.assert_consistent();
    assert_eq!(
        net.selected_kinds(A),
        (CandidateKind::PeerReflexive, CandidateKind::Host)
    );
    assert_eq!(
        net.selected_kinds(B),
        (CandidateKind::Host, CandidateKind::PeerReflexive)
    );
}

/// An address that no NAT has changed is one candidate, not two.
#[test]
fn mapped_address_equal_to_the_base_is_redundant() {
    let mut net = behind_nats(3, 0.0, false, false);
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.candidates(B).len(), 1);
    assert!(net.hosts[B].agent.is_gathering_complete());
}

/// "A dead STUN server holds nothing up": host checks connect as if it did not exist, and
/// gathering completes within its bound.
#[test]
fn dead_stun_server_delays_nothing() {
    let mut net = Net::new(4, link(ms(40), 0.0));
    for (host, address) in [(A, "192.0.2.1:1000"), (B, "192.0.2.2:2000")] {
        net.add_address(host, address);
        for server in ["203.0.113.8:3478", "203.0.113.9:3478"] {
            let now = net.now;
            assert!(
                net.agent(host)
                    .add_stun_server(now, addr(server), "stun:test")
            );
        }
        let now = net.now;
        net.agent(host).local_addresses_done(now);
    }
    net.exchange_credentials();
    let usable = net.run_while(Duration::from_secs(2), Net::usable).unwrap();
    assert!(usable <= ms(50), "{usable:?}");
    net.run_for(Duration::from_secs(5));
    assert_eq!(gathered(&net, A), Some(Duration::from_secs(2)));
    net.assert_consistent();
}

/// Protects full gathering under loss: a query is repeated until it is answered.
#[test]
fn stun_queries_are_repeated() {
    let found = (0..100)
        .filter(|seed| {
            let mut net = behind_nats(*seed, 0.3, false, true);
            net.run_for(Duration::from_secs(3));
            assert!(gathered(&net, A).unwrap() <= Duration::from_secs(2));
            net.candidates(A).len() == 2
        })
        .count();
    assert!(found >= 97, "{found} of 100");
}

/// Protects the offerer who waits for a human to answer: the NAT must not forget him
/// (RFC 8445 §5.1.1.4).
#[test]
fn server_reflexive_candidates_are_kept_alive_until_nominated() {
    let mut net = behind_nats(5, 0.0, false, true);
    net.run_for(Duration::from_secs(60));
    let queries = net.hosts[A].sent.len();
    assert!((6..=8).contains(&queries), "{queries}");
    net.exchange_credentials();
    net.run_for(Duration::from_secs(60));
    let after = net.hosts[A]
        .sent
        .iter()
        .filter(|(_, t)| t.destination == addr(STUN))
        .count();
    assert!(after <= queries + 1, "{after}");
}

/// A socket that cannot reach the server (loopback, link-local) must not make gathering wait.
#[test]
fn sockets_out_of_reach_do_not_ask() {
    let mut net = Net::new(6, link(ms(40), 0.0));
    for address in ["127.0.0.1:1", "[::1]:2", "[fe80::1%1]:3", "169.254.1.1:4"] {
        net.add_address(A, address);
    }
    let now = net.now;
    assert!(net.agent(A).add_stun_server(now, addr(STUN), "stun:test"));
    net.agent(A).local_addresses_done(now);
    net.run_for(Duration::from_secs(1));
    assert_eq!(gathered(&net, A), Some(Duration::ZERO));
    assert!(net.hosts[A].sent.is_empty());
}

/// "NAT rebinding in mid-transfer: resumes ≤ 5 s without an ICE restart; unauthenticated packets
/// from the new address stay refused", whichever side is behind the NAT.
#[test]
fn nat_rebinding_moves_the_path() {
    for controlling_behind_nat in [true, false] {
        for seed in 0..50 {
            let mut net = behind_nats(seed, 0.0, false, false);
            if !controlling_behind_nat {
                net.agent(A).set_role(peerloom_ice::Role::Controlled);
                net.agent(B).set_role(peerloom_ice::Role::Controlling);
            }
            net.exchange_credentials();
            net.run_for(Duration::from_secs(3) + ms(seed * 100));
            net.assert_consistent();
            net.nats[0].rebind();
            let b = net.hosts[B].agent.selected().unwrap();
            let changed = |n: &Net| n.hosts[B].agent.selected().unwrap().remote != b.remote;
            let moved = net.run_while(Duration::from_secs(5), changed);
            assert!(moved.is_some_and(|t| t <= ms(4500)), "{seed} {moved:?}");
            let from = net.elapsed();
            assert!(
                net.when(B, from - ms(1), |e| *e == Event::Resumed)
                    .is_some()
            );
            net.run_for(ms(3000));
            assert!(
                net.both(State::Completed),
                "{} {}",
                controlling_behind_nat,
                seed
            );
            net.assert_consistent();
            assert!(net.when_state(A, Duration::ZERO, State::Failed).is_none());
        }
    }
}
