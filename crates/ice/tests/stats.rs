//! What the statistics say, as far as W3C's candidate-pair and candidate types need it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod net;

use net::{A, B, Nat, Net, addr, link, ms};
use peerloom_ice::{CandidateKind, LocalId, PairStats, Stats};
use std::time::Duration;

fn selected(stats: &Stats) -> &PairStats {
    stats.pairs.iter().find(|p| p.selected).unwrap()
}

/// Protects the figures of a call that is looked into: every counter of the pair agrees with what
/// went over the wire, and both candidates of the pair are in the list.
#[test]
fn pair_counters_agree_with_the_wire() {
    let mut net = Net::connected_pair(1, link(ms(40), 0.0));
    net.run_for(Duration::from_secs(20));
    for host in [A, B] {
        let stats = net.hosts[host].agent.stats();
        let pair = selected(&stats);
        let sent = |kind: [u8; 2]| {
            let sent = net.hosts[host].sent.iter();
            sent.filter(|(_, t)| t.payload[..2] == kind).count() as u64
        };
        assert_eq!(pair.requests_sent, sent([0, 1]));
        assert_eq!(pair.responses_sent, sent([1, 1]));
        let consent = pair.consent_requests_sent;
        assert!(consent >= 8 && consent < pair.requests_sent);
        // At the same moment the last of either may be on its way.
        assert!(pair.requests_sent - pair.responses_received <= 1);
        assert_eq!(pair.requests_received, pair.responses_sent);
        assert_eq!(pair.current_rtt, Some(ms(40)));
        assert_eq!(
            pair.total_rtt,
            ms(40) * u32::try_from(pair.responses_received).unwrap()
        );
        assert!(pair.nominated && pair.priority > 0);
        let local = pair.local_candidate.unwrap();
        assert!(stats.local_candidates.iter().any(|c| c.id == local));
        let remote = pair.remote_candidate;
        assert!(stats.remote_candidates.iter().any(|c| c.id == remote));
        let ufrag = net.hosts[host].agent.local_credentials().ufrag();
        assert_eq!(stats.local_ufrag, ufrag);
    }
}

/// Data is counted on the pair it went over, and on no other.
#[test]
fn data_is_counted_on_its_pair() {
    let mut net = Net::connected_pair(2, link(ms(40), 0.0));
    let now = net.now;
    let (id, b) = (LocalId(0), addr("192.0.2.2:2000"));
    let agent = net.agent(A);
    agent.note_sent(now, id, b, 3, 3600);
    agent.note_received(now, id, b, 2, 200);
    agent.note_sent(now, LocalId(1), b, 9, 9);
    agent.note_received(now, id, addr("192.0.2.9:1"), 9, 9);
    let stats = agent.stats();
    let pair = selected(&stats);
    assert_eq!((pair.packets_sent, pair.bytes_sent), (3, 3600));
    assert_eq!((pair.packets_received, pair.bytes_received), (2, 200));
    assert_eq!(pair.last_packet_sent, Some(now));
    assert_eq!(pair.last_packet_received, Some(now));
}

/// Protects the names: a candidate, or pair, is never confused with one of before, and while a
/// restart is under way the pair that carries the data is there with its counters.
#[test]
fn a_restart_keeps_the_figures_of_the_pair_in_use() {
    let mut net = Net::connected_pair(3, link(ms(40), 0.0));
    let now = net.now;
    let b = addr("192.0.2.2:2000");
    net.agent(A).note_sent(now, LocalId(0), b, 3, 3600);
    let before = net.hosts[A].agent.stats();
    for host in [A, B] {
        let credentials = net.agent(host).new_credentials();
        net.agent(host).restart(now, credentials);
    }
    net.run_for(Duration::from_secs(10));
    let now = net.now;
    net.agent(A).note_sent(now, LocalId(0), b, 1, 1200);
    let during = net.hosts[A].agent.stats();
    let (old, kept) = (selected(&before), selected(&during));
    assert_eq!((kept.id, kept.bytes_sent), (old.id, 4800));
    assert_eq!(kept.remote_candidate, old.remote_candidate);
    assert!(kept.responses_received > old.responses_received);
    assert!(kept.consent_requests_sent > old.consent_requests_sent);
    assert!(kept.requests_received > old.requests_received);

    net.exchange_credentials();
    for host in [A, B] {
        net.signal_candidates(host);
    }
    net.run_for(Duration::from_secs(1));
    let after = net.hosts[A].agent.stats();
    let new = selected(&after);
    assert_ne!(new.id, old.id);
    assert_ne!(new.remote_candidate, old.remote_candidate);
    assert_ne!(new.local_candidate, old.local_candidate);
    assert_eq!(new.bytes_sent, 0);
}

/// The server that a candidate came from is named as its owner named it.
#[test]
fn server_reflexive_candidates_name_their_server() {
    let mut net = Net::new(4, link(ms(40), 0.0));
    let servers = ["203.0.113.1:3478", "203.0.113.2:3478"];
    net.stun_servers.extend(servers.map(addr));
    net.nats.push(Nat::new("198.51.100.1", true));
    net.hosts[A].nat = Some(0);
    net.add_address(A, "10.0.0.1:1000");
    for server in servers {
        let (now, url) = (net.now, format!("stun:{server}"));
        assert!(net.agent(A).add_stun_server(now, addr(server), &url));
    }
    net.run_for(Duration::from_secs(1));
    let stats = net.hosts[A].agent.stats();
    let of = |kind| {
        let all = stats.local_candidates.iter();
        all.filter(move |c| c.candidate.kind == kind)
    };
    let urls: Vec<_> = of(CandidateKind::ServerReflexive)
        .map(|c| c.url.as_deref().unwrap())
        .collect();
    assert_eq!(urls, ["stun:203.0.113.1:3478", "stun:203.0.113.2:3478"]);
    assert!(of(CandidateKind::Host).all(|c| c.url.is_none()));
}
