//! Being a lite agent (RFC 8445 §2.5): answers, and never asks.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod net;

use net::{A, B, Net, addr, link, ms};
use peerloom_ice::{AgentConfig, CandidateKind, Event, LocalId, Role, State};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

/// A full, B lite.
fn net(seed: u64) -> Net {
    let lite = AgentConfig {
        lite: true,
        ..AgentConfig::default()
    };
    Net::with_configs(seed, link(ms(40), 0.0), AgentConfig::default(), lite)
}

fn connect(seed: u64) -> Net {
    let mut net = net(seed);
    net.agent(A).set_remote_lite(true);
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    net.run_for(S);
    net
}

fn requests(net: &Net, host: usize) -> usize {
    let sent = net.hosts[host].sent.iter();
    sent.filter(|(_, t)| t.payload[..2] == [0, 1]).count()
}

/// Protects a server without checks: it is nominated in two round trips, sends no request ever,
/// and stays connected by the checks of the other end.
#[test]
fn lite_agent_is_nominated_and_sends_no_check() {
    let mut net = connect(1);
    assert_eq!(net.when_state(B, Duration::ZERO, State::Connected), None);
    // B may send when A's nomination has arrived (RFC 8445 §12.1), A when B has answered.
    assert_eq!(
        net.when_state(B, Duration::ZERO, State::Completed),
        Some(ms(60))
    );
    assert_eq!(
        net.when_state(A, Duration::ZERO, State::Completed),
        Some(ms(80))
    );
    net.assert_consistent();
    net.run_for(120 * S);
    assert!(net.both(State::Completed));
    assert_eq!(net.when_state(B, S, State::Disconnected), None);
    assert_eq!(requests(&net, B), 0);
}

/// Host candidates alone, whatever servers are known; and controlled, whatever it is told.
#[test]
fn lite_agent_has_host_candidates_alone_and_one_role() {
    let mut net = net(2);
    net.stun_servers.push(addr("203.0.113.1:3478"));
    net.agent(B).set_role(Role::Controlling);
    assert_eq!(net.hosts[B].agent.role(), Role::Controlled);
    net.add_address(B, "192.0.2.2:2000");
    let now = net.now;
    net.agent(B)
        .add_stun_server(now, addr("203.0.113.1:3478"), "stun:test");
    net.agent(B).local_addresses_done(now);
    net.run_for(S);
    assert!(
        net.candidates(B)
            .iter()
            .all(|c| c.kind == CandidateKind::Host)
    );
    assert!(
        net.when(B, Duration::ZERO, |e| *e == Event::GatheringComplete)
            .is_some()
    );
    assert_eq!(net.hosts[B].sent, []);
}

/// Protects a lite agent from a full one that has the wrong role: it is told (RFC 8445 §7.3.1.1).
#[test]
fn full_remote_that_is_controlled_switches() {
    for seed in 0..10 {
        let mut net = net(seed);
        net.agent(A).set_role(Role::Controlled);
        net.add_address(A, "192.0.2.1:1000");
        net.add_address(B, "192.0.2.2:2000");
        net.exchange_credentials();
        net.run_for(S);
        assert!(net.both(State::Completed), "seed {seed}");
        assert_eq!(net.hosts[A].agent.role(), Role::Controlling);
    }
}

/// Checks that overtake the answer count once it is there.
#[test]
fn early_nomination_is_remembered() {
    let mut net = net(3);
    net.agent(A).set_remote_lite(true);
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.set_remote_credentials(A);
    net.run_for(S);
    assert_eq!(net.state(A), State::Completed);
    assert!(net.hosts[B].agent.selected().is_none());
    net.set_remote_credentials(B);
    net.run_for(ms(1));
    assert_eq!(net.state(B), State::Completed);
}

/// A blackout: noticed within the longest gap of the remote's consent checks and a half, survived;
/// after 30 s without a check nothing is sent any more (RFC 7675 §5.1).
#[test]
fn silence_disconnects_and_ends_a_lite_agent() {
    let mut net = connect(4);
    net.run_for(5 * S);
    let down = net.elapsed();
    net.set_down(true);
    net.run_for(20 * S);
    let noticed = net.when_state(B, down, State::Disconnected).unwrap() - down;
    assert!(noticed <= ms(7540), "{noticed:?}");
    let up = net.elapsed();
    net.set_down(false);
    net.run_for(2 * S);
    assert!(net.both(State::Completed));
    assert!(net.when(B, up, |e| *e == Event::Resumed).is_some());

    let down = net.elapsed();
    net.set_down(true);
    net.run_for(40 * S);
    let failed = net.when_state(B, down, State::Failed).unwrap() - down;
    assert!(failed > 25 * S && failed <= 31 * S, "{failed:?}");
    assert!(net.hosts[B].agent.selected().is_none());
}

/// The path moves with the nomination, and not before.
#[test]
fn lite_agent_follows_the_nomination() {
    let mut net = net(5);
    net.agent(A).set_remote_lite(true);
    net.add_two_networks();
    net.exchange_credentials();
    net.run_for(2 * S);
    net.assert_consistent();
    let first = net.hosts[B].agent.selected().unwrap();
    let (a, b) = (net.hosts[A].addresses[0].1, net.hosts[B].addresses[0].1);
    net.blocked.extend([(a, b), (b, a)]);
    net.run_for(15 * S);
    assert!(net.both(State::Completed));
    net.assert_consistent();
    let second = net.hosts[B].agent.selected().unwrap();
    assert_ne!((second.local, second.remote), (first.local, first.remote));
    assert_eq!(requests(&net, B), 0);
}

/// An ICE restart by the full end: the old pair serves until the new one is nominated.
#[test]
fn restart_of_a_lite_agent() {
    let mut net = connect(6);
    let from = net.elapsed();
    let now = net.now;
    for host in [A, B] {
        let credentials = net.agent(host).new_credentials();
        net.agent(host).restart(now, credentials);
    }
    net.run_for(40 * S);
    assert!(net.usable(), "consent goes on over the old pair");
    net.exchange_credentials();
    for host in [A, B] {
        net.signal_candidates(host);
    }
    net.run_for(S);
    assert!(net.both(State::Completed));
    for state in [State::Disconnected, State::Failed, State::Checking] {
        assert_eq!(net.when_state(B, from, state), None);
    }
    assert!(
        net.agent(B)
            .is_validated(LocalId(0), addr("192.0.2.1:1000"))
    );
}

/// Two lite agents have nobody who checks: they say that they failed, and send nothing.
#[test]
fn two_lite_agents_never_connect() {
    let lite = AgentConfig {
        lite: true,
        ..AgentConfig::default()
    };
    let mut net = Net::with_configs(7, link(ms(40), 0.0), lite.clone(), lite);
    net.agent(A).set_remote_lite(true);
    net.agent(B).set_remote_lite(true);
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    net.run_for(60 * S);
    assert!(net.both(State::Failed));
    assert!(net.hosts[A].sent.is_empty() && net.hosts[B].sent.is_empty());
}
