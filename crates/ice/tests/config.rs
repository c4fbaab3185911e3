//! Every option does what it says: a value unlike the default shows in what happens.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod net;

use net::{A, B, Net, addr, link, ms};
use peerloom_ice::{AgentConfig, Event, Ignored, Limits, LocalAddressError, LocalId, Role, State};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

fn with(change: impl Fn(&mut AgentConfig)) -> Net {
    let mut config = AgentConfig::default();
    change(&mut config);
    let mut net = Net::with_configs(1, link(ms(40), 0.0), config.clone(), config);
    net.trickle = true;
    net
}

fn with_limits(change: impl Fn(&mut Limits)) -> Net {
    with(|config| change(&mut config.limits))
}

fn connect(mut net: Net) -> Net {
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    net
}

fn requests(net: &Net) -> Vec<Duration> {
    net.hosts[A]
        .sent
        .iter()
        .filter(|(_, t)| t.payload[..2] == [0, 1])
        .map(|s| s.0)
        .collect()
}

/// The times of the first checks to addresses that do not answer.
fn unanswered(mut net: Net, candidates: usize) -> Vec<Duration> {
    net.add_address(A, "192.0.2.1:1000");
    net.set_remote_credentials(A);
    for i in 0..candidates {
        let line = format!("candidate:{i} 1 udp 9 203.0.113.{} 9 typ host", i + 1);
        let now = net.now;
        net.agent(A)
            .add_remote_candidate(now, line.parse().unwrap())
            .unwrap();
    }
    net.run_for(60 * S);
    requests(&net)
}

#[test]
fn role() {
    let agent = peerloom_ice::Agent::new(
        AgentConfig {
            role: Role::Controlled,
            ..AgentConfig::default()
        },
        [0; 32],
    );
    assert_eq!(agent.role(), Role::Controlled);
}

#[test]
fn pacing() {
    let sent = unanswered(with(|c| c.pacing = ms(20)), 5);
    assert_eq!(sent[..5], [ms(0), ms(20), ms(40), ms(60), ms(80)]);
}

#[test]
fn initial_and_longest_wait() {
    let sent = unanswered(with(|c| (c.initial_rto, c.max_rto) = (ms(100), ms(200))), 1);
    assert_eq!(sent[..5], [ms(0), ms(100), ms(250), ms(450), ms(650)]);
}

#[test]
fn checking_timeout() {
    let mut net = connect(with(|c| c.checking_timeout = 3 * S));
    net.set_down(true);
    net.run_for(10 * S);
    assert_eq!(
        net.when_state(A, Duration::ZERO, State::Failed),
        Some(3 * S)
    );
}

#[test]
fn nomination_delay() {
    let mut net = with(|c| c.nomination_delay = ms(300));
    net.trickle = false;
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    for line in [
        "candidate:2 1 udp 7 192.0.2.2 2000 typ srflx",
        "candidate:1 1 udp 2130706431 192.0.2.99 9 typ host",
    ] {
        let now = net.now;
        net.agent(A)
            .add_remote_candidate(now, line.parse().unwrap())
            .unwrap();
    }
    net.run_for(S);
    let connected = net.when_state(A, Duration::ZERO, State::Connected).unwrap();
    let completed = net.when_state(A, Duration::ZERO, State::Completed).unwrap();
    assert_eq!(completed - connected, ms(340));
}

#[test]
fn stun_timeout_and_keepalive() {
    let mut net = with(|c| (c.stun_timeout, c.stun_keepalive) = (ms(700), 4 * S));
    net.stun_servers.push(addr("203.0.113.1:3478"));
    net.add_address(A, "192.0.2.1:1000");
    for server in ["203.0.113.1:3478", "203.0.113.2:3478"] {
        let now = net.now;
        assert!(net.agent(A).add_stun_server(now, addr(server), "stun:test"));
    }
    let now = net.now;
    net.agent(A).local_addresses_done(now);
    net.run_for(20 * S);
    let complete = net.when(A, Duration::ZERO, |e| *e == Event::GatheringComplete);
    assert_eq!(complete, Some(ms(700)));
    let alive = net.hosts[A]
        .sent
        .iter()
        .filter(|s| s.1.destination == addr("203.0.113.1:3478"));
    assert_eq!(alive.count(), 5);
}

#[test]
fn consent_and_liveness() {
    let mut net = connect(with(|c| {
        c.consent_interval = 10 * S;
        c.consent_timeout = 25 * S;
        c.liveness_interval = 100 * S;
        c.liveness_interval_silent = S;
        c.disconnected_after = 13 * S;
    }));
    net.run_for(S);
    let quiet = requests(&net).len();
    net.run_for(6 * S);
    assert_eq!(requests(&net).len(), quiet, "neither timer is due");
    net.run_for(60 * S);
    let consent = net.hosts[A].agent.stats().pairs[0].consent_requests_sent;
    assert!((5..=8).contains(&consent), "{consent}");
    let down = net.elapsed();
    net.set_down(true);
    net.run_for(40 * S);
    let silent = requests(&net)
        .into_iter()
        .filter(|at| *at > down + 2 * S)
        .count();
    assert!((10..=30).contains(&silent), "{silent}");
    let state = |state| net.when_state(A, down, state).unwrap() - down;
    assert!(state(State::Disconnected) > 6 * S);
    assert!(state(State::Failed) <= 25 * S + ms(40));
}

#[test]
fn limits() {
    let mut net = with_limits(|l| {
        (
            l.local_addresses,
            l.stun_servers,
            l.remote_candidates,
            l.pairs,
        ) = (2, 1, 3, 4);
    });
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(A, "192.0.2.1:1001");
    net.set_remote_credentials(A);
    let now = net.now;
    let agent = net.agent(A);
    let third = agent.add_local_address(now, LocalId(9), addr("192.0.2.1:1002"));
    assert_eq!(third, Err(LocalAddressError::TooMany { max: 2 }));
    assert!(agent.add_stun_server(now, addr("203.0.113.1:1"), "stun:test"));
    assert!(!agent.add_stun_server(now, addr("203.0.113.2:1"), "stun:test"));
    let taken = (0..10).filter(|i| {
        let line = format!("candidate:{i} 1 udp 9 203.0.113.{} 9 typ host", i + 1);
        agent
            .add_remote_candidate(now, line.parse().unwrap())
            .is_ok()
    });
    assert_eq!(taken.count(), 3);
    assert_eq!(agent.stats().pairs.len(), 4);
}

#[test]
fn limits_on_what_arrives() {
    let mut net = connect(with_limits(|l| (l.datagram, l.answers) = (60, 0)));
    net.run_for(S);
    let stats = net.hosts[A].agent.stats();
    assert!(stats.ignored.of(Ignored::TooLarge) > 0);
    let mut net = connect(with_limits(|l| l.answers = 0));
    net.run_for(S);
    assert!(net.hosts[A].agent.stats().ignored.of(Ignored::LimitReached) > 0);
    assert!(net.both(State::Checking));

    let mut net = with_limits(|l| l.early_checks = 0);
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.set_remote_credentials(B);
    net.run_for(S);
    assert!(net.hosts[A].agent.stats().ignored.of(Ignored::LimitReached) > 0);
}
