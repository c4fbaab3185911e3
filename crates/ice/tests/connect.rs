//! How two agents come together: roles, trickle orders, address families, loss.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod net;

use net::{A, B, Net, addr, link, ms};
use peerloom_ice::{Address, CandidateKind, Credentials, Event, LocalId, PairState, Role, State};
use peerloom_sctp::sim::LinkConfig;
use std::time::Duration;

/// ```text
/// A                      B
/// |--- check ----------->|
/// |<-- check ------------|
/// |--- answer ---------->|  usable
/// |<-- answer -----------|  usable
/// |--- USE-CANDIDATE --->|
/// |<-- answer -----------|  completed
/// ```
/// Protects the time to connect: round trips, no timers.
#[test]
fn connects_in_one_round_trip_and_nominates_in_two() {
    let mut net = Net::new(1, link(ms(40), 0.0));
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    let usable = net.run_while(ms(1000), Net::usable).unwrap();
    assert_eq!(usable, ms(40));
    let completed = net
        .run_while(ms(1000), |n| n.both(State::Completed))
        .unwrap();
    assert_eq!(completed, ms(40));
    net.assert_consistent();
    assert_eq!(net.hosts[A].agent.selected().unwrap().rtt, Some(ms(40)));
    assert_eq!(
        net.hosts[A].events[1].1,
        Event::ConnectionState(State::Checking)
    );
}

/// Protects loopback: with no delay at all everything happens at one instant, timers or not.
#[test]
fn loopback_needs_no_timer() {
    let mut net = Net::new(2, link(Duration::ZERO, 0.0));
    net.add_address(A, "127.0.0.1:1000");
    net.add_address(B, "127.0.0.1:2000");
    net.exchange_credentials();
    let completed = net
        .run_while(ms(1000), |n| n.both(State::Completed))
        .unwrap();
    assert_eq!(completed, Duration::ZERO);
    net.assert_consistent();
}

/// A host with every kind of address on either side must not be slower for it.
#[test]
fn many_addresses_do_not_delay_the_first_pair() {
    let mut net = Net::new(3, link(ms(10), 0.0));
    for (a, b) in [
        ("192.0.2.1:1000", "192.0.2.2:1000"),
        ("198.51.100.1:1001", "198.51.100.2:1001"),
        ("[2001:db8::1]:1002", "[2001:db8::2]:1002"),
        ("[fe80::1%1]:1003", "[fe80::2%1]:1003"),
    ] {
        net.add_address(A, a);
        net.add_address(B, b);
    }
    net.exchange_credentials();
    assert_eq!(net.run_while(ms(1000), Net::usable), Some(ms(10)));
    net.run_for(ms(1000));
    assert!(net.both(State::Completed));
    net.assert_consistent();
}

/// Protects the peer that was told the wrong role: the tie-breaker decides, both go on.
#[test]
fn role_conflict_is_resolved_in_both_directions() {
    for role in [Role::Controlling, Role::Controlled] {
        for seed in 0..10 {
            let mut net = Net::new(seed, link(ms(40), 0.0));
            net.agent(A).set_role(role);
            net.agent(B).set_role(role);
            net.add_address(A, "192.0.2.1:1000");
            net.add_address(B, "192.0.2.2:2000");
            net.exchange_credentials();
            let time = net.run_while(ms(2000), |n| n.both(State::Completed));
            assert!(
                time.is_some_and(|t| t <= ms(200)),
                "{role:?} {seed} {time:?}"
            );
            net.assert_consistent();
        }
    }
}

/// Protects trickle (RFC 8838): credentials, candidates and checks may come in any order.
#[test]
fn signalling_in_any_order_connects() {
    type Step = fn(&mut Net);
    let steps: [(&str, Step); 4] = [
        ("A's credentials", |n| n.set_remote_credentials(B)),
        ("B's credentials", |n| n.set_remote_credentials(A)),
        ("A's candidates", |n| n.signal_candidates(A)),
        ("B's candidates", |n| n.signal_candidates(B)),
    ];
    for order in permutations(4) {
        let mut net = Net::new(4, link(ms(40), 0.0));
        net.trickle = false;
        net.add_address(A, "192.0.2.1:1000");
        net.add_address(B, "192.0.2.2:2000");
        for &i in &order {
            steps[i].1(&mut net);
            net.run_for(ms(300));
        }
        assert!(
            net.both(State::Completed),
            "{:?}",
            order.map(|i| steps[i].0)
        );
        net.assert_consistent();
    }
}

/// Protects the peer whose candidates never arrive, as mDNS names that nobody resolves: its first
/// check makes it known, and the check back leaves at once.
#[test]
fn unknown_candidate_becomes_peer_reflexive() {
    let mut net = Net::new(5, link(ms(40), 0.0));
    net.trickle = false;
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    net.signal_candidates(B);
    // A's check 20 ms, B's check back, its answer.
    let usable = net
        .run_while(ms(1000), |n| n.hosts[B].agent.selected().is_some())
        .unwrap();
    assert_eq!(usable, ms(60));
    net.run_for(ms(100));
    assert_eq!(
        net.selected_kinds(B),
        (CandidateKind::Host, CandidateKind::PeerReflexive)
    );
    net.assert_consistent();

    // Signalled later, it is what it is, and the pair the same.
    net.signal_candidates(A);
    assert_eq!(
        net.selected_kinds(B),
        (CandidateKind::Host, CandidateKind::Host)
    );
    assert_eq!(net.hosts[B].agent.stats().selected_changes, 1);
}

/// Protects the offerer, whom checks and a ClientHello reach before the answer: the check is
/// answered, the address remembered, and one round trip after the answer the pair is there.
#[test]
fn early_checks_are_answered_and_remembered() {
    let mut net = Net::new(6, link(ms(40), 0.0));
    net.trickle = false;
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.set_remote_credentials(B);
    net.signal_candidates(A);
    net.run_for(ms(500));
    assert_eq!(net.state(A), State::New);
    assert_eq!(net.state(B), State::Connected);
    let from_b = addr("192.0.2.2:2000");
    assert!(net.agent(A).is_validated(LocalId(0), from_b));
    assert!(
        !net.agent(A)
            .is_validated(LocalId(0), addr("192.0.2.3:2000"))
    );
    net.set_remote_credentials(A);
    assert_eq!(
        net.run_while(ms(1000), |n| n.state(A) == State::Connected),
        Some(ms(40))
    );
    net.run_for(ms(100));
    net.assert_consistent();
}

/// Protects IPv4 and IPv6 beside each other: no pair mixes them, either works alone.
#[test]
fn families_are_not_mixed() {
    let mut net = Net::new(7, link(ms(40), 0.0));
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(A, "[2001:db8::1]:1001");
    net.add_address(B, "[2001:db8::2]:2001");
    net.exchange_credentials();
    net.run_for(ms(1000));
    net.assert_consistent();
    let stats = net.hosts[A].agent.stats();
    assert_eq!(stats.pairs.len(), 1);
    assert_eq!(stats.pairs[0].remote, addr("[2001:db8::2]:2001"));
    assert_eq!(stats.pairs[0].state, PairState::Succeeded);
    assert!(stats.pairs[0].nominated && stats.pairs[0].selected);
}

/// Protects against a pair without its scope: the kernel would refuse to send.
#[test]
fn link_local_addresses_connect_within_their_scope() {
    let mut net = Net::new(8, link(ms(1), 0.0));
    net.add_address(A, "[fe80::1%2]:1000");
    net.add_address(B, "[fe80::2%2]:2000");
    net.exchange_credentials();
    net.run_for(ms(1000));
    net.assert_consistent_scoped();
}

/// Protects a remote that never checks by itself (RFC 8445 §2.5): we are controlling and it
/// answers.
#[test]
fn lite_remote_is_nominated_by_its_answers() {
    let mut net = Net::new(9, link(ms(40), 0.0));
    net.agent(A).set_role(Role::Controlled);
    net.agent(A).set_remote_lite(true);
    net.agent(B).set_role(Role::Controlled);
    net.trickle = false;
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    // Without our credentials B can only answer, which is what a lite agent does.
    net.set_remote_credentials(A);
    net.signal_candidates(B);
    assert_eq!(
        net.run_while(ms(1000), |n| n.state(A) == State::Completed),
        Some(ms(80))
    );
    net.run_for(Duration::from_secs(60));
    assert_eq!(net.state(A), State::Completed);
}

/// Protects the caller: what cannot be used is refused with its reason, and nothing changes.
#[test]
fn useless_candidates_are_refused_with_a_reason() {
    let mut net = Net::new(10, link(ms(40), 0.0));
    net.add_address(A, "192.0.2.1:1000");
    let (now, agent) = (net.now, &mut net.hosts[A].agent);
    let pwd = "0123456789012345678901";
    agent
        .set_remote_credentials(now, Credentials::new("abcd", pwd).unwrap())
        .unwrap();
    let mut refuse = |line: &str| {
        agent
            .add_remote_candidate(now, line.parse().unwrap())
            .unwrap_err()
            .to_string()
    };
    let name = "candidate:1 1 udp 1 0b1c2d3e.local 9 typ host";
    assert_eq!(
        refuse(name),
        "candidate address 0b1c2d3e.local is not resolved"
    );
    let tcp = "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active";
    assert_eq!(refuse(tcp), "candidate transport is not UDP");
    assert_eq!(
        refuse("candidate:1 2 udp 1 192.0.2.1 9 typ host"),
        "component 2 is not used"
    );
    let old = "candidate:1 1 udp 1 192.0.2.1 9 typ host ufrag efgh";
    assert_eq!(
        refuse(old),
        "candidate is of ufrag efgh, which is not the remote's"
    );
    assert_eq!(
        agent.set_remote_credentials(now, Credentials::new("efgh", pwd).unwrap()),
        Err(peerloom_ice::CredentialsError::Changed)
    );
    assert_eq!(agent.state(), State::New);
    let mut name: peerloom_ice::Candidate = name.parse().unwrap();
    name.address = Address::Ip([192, 0, 2, 9].into());
    agent.add_remote_candidate(now, name).unwrap();
    assert_eq!(agent.state(), State::Checking);
}

/// Protects connecting under loss. The whole connection has 0.4 / 0.8 / 1.5 s (p50) and 1 / 3 / 6 s
/// (p95); ICE may take a tenth of it.
#[test]
fn connects_under_loss() {
    for (loss, p50, p95) in [(0.1, 60, 150), (0.2, 100, 250), (0.3, 150, 500)] {
        let mut times: Vec<Duration> = (0..300)
            .map(|seed| {
                let mut net = Net::new(seed, link(ms(40), loss));
                net.add_address(A, "192.0.2.1:1000");
                net.add_address(B, "192.0.2.2:2000");
                net.exchange_credentials();
                net.run_while(Duration::from_secs(15), Net::usable)
                    .expect("connects within 15 s")
            })
            .collect();
        times.sort();
        let (at_50, at_95, last) = (times[150], times[285], times[299]);
        println!("loss {loss}: p50 {at_50:?} p95 {at_95:?} max {last:?}");
        assert!(
            at_50 <= ms(p50) && at_95 <= ms(p95),
            "{loss}: {at_50:?} {at_95:?}"
        );
    }
}

/// Data flows over the first pair that works; the nomination waits a little for a better one, and
/// no longer.
#[test]
fn nomination_waits_for_a_better_pair_but_not_for_long() {
    let mut net = Net::new(14, link(ms(40), 0.0));
    net.trickle = false;
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    // The better candidate leads nowhere.
    let now = net.now;
    let dead = "candidate:1 1 udp 2130706431 192.0.2.99 9 typ host";
    net.agent(A)
        .add_remote_candidate(now, dead.parse().unwrap())
        .unwrap();
    let alive = "candidate:2 1 udp 1694498815 192.0.2.2 2000 typ srflx";
    net.agent(A)
        .add_remote_candidate(now, alive.parse().unwrap())
        .unwrap();
    net.run_for(ms(1000));
    let at = |state| net.when_state(A, Duration::ZERO, state).unwrap();
    assert_eq!(at(State::Connected), ms(45));
    assert_eq!(at(State::Completed), ms(45 + 100 + 40));
    net.assert_consistent();
}

/// Bursts, reordering, duplication, jitter: whatever the path does, both ends come together.
#[test]
fn connects_over_adverse_paths() {
    for seed in 0..200 {
        let mut net = Net::new(seed, LinkConfig::adverse(seed));
        net.add_address(A, "192.0.2.1:1000");
        net.add_address(B, "192.0.2.2:2000");
        net.exchange_credentials();
        let time = net.run_while(Duration::from_secs(15), |n| n.both(State::Completed));
        assert!(time.is_some(), "seed {seed}");
        net.run_for(Duration::from_secs(5));
        net.assert_consistent();
    }
}

/// Protects the nomination from lost packets: whatever is lost, both end on one pair.
#[test]
fn both_agree_on_one_pair_under_loss() {
    for seed in 0..100 {
        let mut net = Net::new(seed, link(ms(40), 0.3));
        net.add_two_networks();
        net.exchange_credentials();
        let time = net.run_while(Duration::from_secs(20), |n| n.both(State::Completed));
        assert!(time.is_some(), "seed {seed}");
        net.run_for(Duration::from_secs(5));
        net.assert_consistent();
    }
}

/// Protects an application from waiting for ever, and a slow remote from being given up early: not
/// before 39.5 s (RFC 8863 §4), whatever else is known to have failed.
#[test]
fn fails_after_the_pac_timer_and_recovers_by_a_late_check() {
    let mut net = Net::new(11, link(ms(40), 0.0));
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.set_down(true);
    net.exchange_credentials();
    let now = net.now;
    net.agent(A).end_of_remote_candidates(now);
    net.run_for(ms(39_400));
    assert!(net.both(State::Checking));
    net.run_for(ms(200));
    assert!(net.both(State::Failed));

    // Patience is cheap. A candidate that comes late starts over.
    net.set_down(false);
    net.add_address(A, "192.0.2.3:1000");
    net.run_for(Duration::from_secs(1));
    assert!(net.both(State::Completed));
}

/// Protects a connection whose interface disappears: another pair takes over.
#[test]
fn removed_address_is_replaced() {
    let mut net = Net::new(12, link(ms(40), 0.0));
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(A, "198.51.100.1:1001");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    net.run_for(ms(1000));
    assert_eq!(net.hosts[A].agent.selected().unwrap().local, LocalId(0));
    let now = net.now;
    net.agent(A).remove_local_address(now, LocalId(0));
    assert!(
        !net.agent(A)
            .is_validated(LocalId(0), addr("192.0.2.2:2000"))
    );
    net.run_for(Duration::from_secs(2));
    assert_eq!(net.hosts[A].agent.selected().unwrap().local, LocalId(1));
    net.assert_consistent();
}

/// Protects close: silence at once.
#[test]
fn closed_agent_says_nothing() {
    let mut net = Net::connected_pair(13, link(ms(40), 0.0));
    net.agent(A).close();
    let sent = net.hosts[A].sent.len();
    net.run_for(Duration::from_secs(60));
    assert_eq!(net.hosts[A].sent.len(), sent);
    assert_eq!(net.state(A), State::Closed);
    assert_eq!(net.state(B), State::Failed);
}

fn permutations(n: usize) -> Vec<[usize; 4]> {
    assert_eq!(n, 4);
    let mut all = Vec::new();
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| ![a, b].contains(c)) {
                all.push([a, b, c, 6 - a - b - c]);
            }
        }
    }
    all
}
