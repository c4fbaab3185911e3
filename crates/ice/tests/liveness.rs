//! Consent (RFC 7675), liveness, silence and recovery, restart.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod net;

use net::{A, B, Net, addr, link, ms};
use peerloom_ice::{Agent, Event, LocalId, State};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

/// Times at which A sent a datagram within the last `window`.
fn sent_within(net: &Net, window: Duration) -> Vec<Duration> {
    let from = net.elapsed() - window;
    let requests = net.hosts[A]
        .sent
        .iter()
        .filter(|(_, t)| t.payload[..2] == [0, 1]);
    requests
        .map(|(at, _)| *at)
        .filter(|at| *at >= from)
        .collect()
}

fn gaps(times: &[Duration]) -> Vec<Duration> {
    times.windows(2).map(|w| w[1] - w[0]).collect()
}

/// Protects the detection of dead paths: checks at most 2.5 s apart, in random time; and the
/// network from more than that.
#[test]
fn liveness_checks_are_at_most_two_and_a_half_seconds_apart() {
    let mut net = Net::connected_pair(1, link(ms(40), 0.0));
    net.run_for(120 * S);
    let gaps = gaps(&sent_within(&net, 100 * S));
    assert!(gaps.iter().all(|g| *g <= ms(2500)), "{gaps:?}");
    assert!(gaps.len() <= 80, "{}", gaps.len());
    let distinct: std::collections::HashSet<_> = gaps.iter().collect();
    assert!(distinct.len() > gaps.len() / 2, "not random");
    assert!(net.both(State::Completed));
    assert_eq!(net.hosts[A].agent.stats().selected_changes, 1);
}

/// "blackout 5–25 s: `disconnected` within 6 s, never `failed` before 25 s"; an answer within
/// 0.7 s of link-up, with the event that makes the layers above retransmit.
#[test]
fn blackout_is_noticed_survived_and_ended_at_once() {
    for (seed, length) in (5..=25u32)
        .map(|l| (u64::from(l), l))
        .flat_map(|(s, l)| [(s, l * S), (s + 100, l * S + ms(330))])
    {
        let mut net = Net::connected_pair(seed, link(ms(40), 0.0));
        net.run_for(7 * S + ms(seed * 77));
        let down = net.elapsed();
        net.set_down(true);
        net.run_for(length);
        let up = net.elapsed();
        net.set_down(false);
        net.run_for(5 * S);
        for host in [A, B] {
            if let Some(at) = net.when_state(host, down, State::Disconnected) {
                assert!(at <= down + 6 * S, "{at:?} after {down:?}");
            } else {
                assert!(length < 6 * S);
            }
            assert_eq!(net.when_state(host, down, State::Failed), None);
            let resumed = net.when(host, up, |e| *e == Event::Resumed).unwrap();
            assert!(resumed <= up + ms(550), "{:?} after link-up", resumed - up);
            assert_eq!(net.state(host), State::Completed);
        }
        assert_eq!(net.hosts[A].agent.stats().selected_changes, 1);
    }
}

/// While disconnected: at most half a second between checks.
#[test]
fn disconnected_pair_is_checked_twice_a_second() {
    let mut net = Net::connected_pair(2, link(ms(40), 0.0));
    net.set_down(true);
    net.run_for(20 * S);
    assert_eq!(net.state(A), State::Disconnected);
    let gaps = gaps(&sent_within(&net, 10 * S));
    assert!(gaps.iter().all(|g| *g <= ms(500)), "{gaps:?}");
    assert!(gaps.len() <= 26, "{}", gaps.len());
}

/// "blackout over 30 s: sending stops with consent (RFC 7675)", and not before 25 s.
#[test]
fn consent_expires_after_thirty_seconds() {
    for seed in 0..30 {
        let mut net = Net::connected_pair(seed, link(ms(40), 0.0));
        net.run_for(5 * S + ms(seed * 111));
        let down = net.elapsed();
        net.set_down(true);
        net.run_for(40 * S);
        let failed = net.when_state(A, down, State::Failed).unwrap() - down;
        assert!(failed > 25 * S && failed <= 30 * S + ms(40), "{failed:?}");
        assert!(net.hosts[A].agent.selected().is_none());
        let sent = net.hosts[A].sent.len();
        net.set_down(false);
        net.run_for(60 * S);
        assert_eq!(net.hosts[A].sent.len(), sent, "sends without consent");
        assert!(net.both(State::Failed));
    }
}

/// Hearing the remote is not its consent: who gets no answers stops after 30 s, though checks and
/// data of the remote arrive (RFC 7675 §5.1).
#[test]
fn consent_needs_answers_of_our_own() {
    let mut net = Net::connected_pair(3, link(ms(40), 0.0));
    // What A sends is lost; B's checks arrive.
    net.hosts[A].link.set_down(true);
    let down = net.elapsed();
    for _ in 0..40 {
        net.run_for(S);
        let now = net.now;
        net.agent(A)
            .note_received(now, LocalId(0), addr("192.0.2.2:2000"), 1, 1000);
    }
    let failed = net.when_state(A, down, State::Failed).unwrap() - down;
    assert!(failed > 25 * S && failed <= 31 * S, "{failed:?}");
    assert_eq!(
        net.when_state(A, down, State::Disconnected),
        None,
        "it did hear the remote"
    );
}

/// Data is a sign of life of the pair it arrived on, and of no other.
#[test]
fn data_keeps_the_pair_connected() {
    for (source, connected) in [("192.0.2.2:2000", true), ("192.0.2.2:2001", false)] {
        let mut net = Net::connected_pair(4, link(ms(40), 0.0));
        net.set_down(true);
        for _ in 0..100 {
            net.run_for(ms(100));
            let now = net.now;
            net.agent(A)
                .note_received(now, LocalId(0), addr(source), 1, 1000);
        }
        assert_eq!(net.state(A) == State::Completed, connected, "{source}");
    }
}

/// Protects the moderately lossy path from being called dead, and from a storm of events.
#[test]
fn loss_alone_does_not_disconnect_for_long() {
    let mut net = Net::connected_pair(5, link(ms(40), 0.3));
    net.run_for(600 * S);
    assert!(net.when_state(A, S, State::Failed).is_none());
    let disconnected = net.hosts[A]
        .events
        .iter()
        .filter(|e| e.1 == Event::ConnectionState(State::Disconnected));
    assert!(disconnected.count() <= 3);
}

/// A process that was frozen for 10 s recovers as from a blackout, without a burst of old timers.
#[test]
fn frozen_process_recovers() {
    let mut net = Net::connected_pair(6, link(ms(40), 0.0));
    net.run_for(3 * S);
    // B goes on alone: A's clock and socket stand still.
    let frozen_at = net.now;
    net.now += 10 * S;
    let sent = net.hosts[A].sent.len();
    net.run_for(2 * S);
    assert!(net.hosts[A].sent.len() - sent < 12);
    assert!(net.both(State::Completed));
    assert!(net.now > frozen_at);
}

/// Another pair takes over when the selected one dies, without a restart: the second network of
/// both hosts.
#[test]
fn second_network_takes_over() {
    let mut net = Net::new(7, link(ms(40), 0.0));
    net.add_two_networks();
    net.exchange_credentials();
    net.run_for(2 * S);
    let first = net.hosts[A].agent.selected().unwrap();
    assert_eq!(first.remote, addr("192.0.2.2:1"));
    // The first network is gone on both sides; nobody is told.
    net.hosts[A].addresses[0].1 = addr("192.0.2.77:1");
    net.hosts[B].addresses[0].1 = addr("192.0.2.78:1");
    net.run_for(15 * S);
    assert_eq!(
        net.hosts[A].agent.selected().unwrap().remote,
        addr("198.51.100.2:2")
    );
    assert!(net.both(State::Completed));
    net.assert_consistent();
}

/// A path that has broken in one direction is as dead as one that has broken in both, though one
/// end hears the other: either end may be the deaf one.
#[test]
fn path_broken_in_one_direction_is_left() {
    for deaf in [A, B] {
        let mut net = Net::new(11, link(ms(40), 0.0));
        net.add_two_networks();
        net.exchange_credentials();
        net.run_for(2 * S);
        let from = net.hosts[1 - deaf].addresses[0].1;
        let to = net.hosts[deaf].agent.selected().unwrap();
        assert_eq!(to.remote, from);
        net.blocked.push((from, net.hosts[deaf].addresses[0].1));
        net.run_for(15 * S);
        assert!(net.both(State::Completed), "deaf {deaf}");
        net.assert_consistent();
        let selected = net.hosts[1 - deaf].agent.selected().unwrap();
        assert_ne!(
            (selected.local, selected.remote),
            (LocalId(0), net.hosts[deaf].addresses[0].1)
        );
    }
}

fn restart(net: &mut Net) {
    let now = net.now;
    for host in [A, B] {
        let credentials = net.agent(host).new_credentials();
        net.agent(host).restart(now, credentials);
    }
}

/// "ICE restart resumes the same association": new credentials, same sockets; the old pair serves
/// until the new one is selected, and its late packets are still accepted.
#[test]
fn restart_keeps_the_old_pair_until_the_new_one_is_selected() {
    let mut net = Net::connected_pair(8, link(ms(40), 0.0));
    let old = net.hosts[A].agent.local_credentials().clone();
    let from = net.elapsed();
    restart(&mut net);
    assert_ne!(*net.hosts[A].agent.local_credentials(), old);
    let validated = |a: &mut Agent| a.is_validated(LocalId(0), addr("192.0.2.2:2000"));
    // Signalling takes its time; nothing is interrupted.
    net.run_for(10 * S);
    assert!(net.usable() && validated(net.agent(A)));
    assert!(net.both(State::Completed));
    net.exchange_credentials();
    for host in [A, B] {
        net.signal_candidates(host);
    }
    net.run_for(S);
    for host in [A, B] {
        let selected = net.when(host, from, |e| matches!(e, Event::Selected(_)));
        assert_eq!(selected, Some(from + 10 * S + ms(40)));
        assert_eq!(net.when_state(host, from, State::Checking), None);
        let line = net.candidates(host)[0].to_string();
        assert!(line.contains(net.hosts[host].agent.local_credentials().ufrag()));
    }
    assert!(net.both(State::Completed) && validated(net.agent(A)));
    net.run_for(60 * S);
    assert!(net.both(State::Completed));
    net.assert_consistent();
}

/// The two ends restart one after the other, as far apart as signalling is slow: consent on the
/// old pair goes on across generations, and the first to know both sides' credentials leads.
#[test]
fn restart_survives_slow_signalling() {
    for lag in [0, 50, 2_000, 40_000] {
        let mut net = Net::connected_pair(20, link(ms(40), 0.0));
        let from = net.elapsed();
        let now = net.now;
        let new_a = net.agent(A).new_credentials();
        net.agent(A).restart(now, new_a.clone());
        net.run_for(ms(lag));
        // The offer arrives: B restarts and knows A.
        let now = net.now;
        let new_b = net.agent(B).new_credentials();
        net.agent(B).restart(now, new_b.clone());
        net.agent(B).set_remote_credentials(now, new_a).unwrap();
        net.signal_candidates(A);
        net.run_for(ms(lag));
        // The answer arrives.
        let now = net.now;
        net.agent(A).set_remote_credentials(now, new_b).unwrap();
        net.signal_candidates(B);
        net.run_for(2 * S);
        assert!(net.both(State::Completed), "lag {lag}");
        net.assert_consistent();
        for host in [A, B] {
            for state in [State::Disconnected, State::Failed, State::Checking] {
                assert_eq!(net.when_state(host, from, state), None, "lag {lag}");
            }
        }
    }
}

/// After consent ran out a restart brings the connection back.
#[test]
fn restart_recovers_from_failed() {
    let mut net = Net::connected_pair(9, link(ms(40), 0.0));
    net.set_down(true);
    net.run_for(40 * S);
    assert!(net.both(State::Failed));
    net.set_down(false);
    restart(&mut net);
    net.exchange_credentials();
    for host in [A, B] {
        net.signal_candidates(host);
    }
    assert_eq!(net.run_while(S, |n| n.both(State::Completed)), Some(ms(80)));
}

/// Twenty restarts in a row leave nothing behind.
#[test]
fn many_restarts_do_not_accumulate() {
    let mut net = Net::connected_pair(10, link(ms(40), 0.0));
    for _ in 0..20 {
        restart(&mut net);
        net.exchange_credentials();
        for host in [A, B] {
            net.signal_candidates(host);
        }
        net.run_for(ms(300));
        assert!(net.both(State::Completed));
        net.assert_consistent();
    }
    let stats = net.hosts[A].agent.stats();
    assert_eq!((stats.pairs.len(), stats.local_candidates.len()), (1, 1));
}
