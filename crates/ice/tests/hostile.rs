//! Strangers and hostile peers: each row of what must hold, by name.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod net;

use net::{A, B, Net, addr, link, ms};
use peerloom_ice::{
    Agent, AgentConfig, Candidate, CandidateError, Credentials, Event, Ignored, LocalId, Role,
    State,
};
use std::collections::HashSet;
use std::time::Duration;
use stun::attributes::{
    ATTR_ERROR_CODE, ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE,
    ATTR_USERNAME, AttrType,
};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, Setter};

const PWD: &str = "0123456789012345678901";

/// A request as a peer would make it, to be spoilt.
struct Forged {
    message: Message,
}

impl Forged {
    fn new(username: &str) -> Self {
        let mut message = Message::new();
        message.typ = BINDING_REQUEST;
        message.transaction_id.0 = [9; 12];
        message.write_header();
        message.add(ATTR_USERNAME, username.as_bytes());
        Self { message }
    }

    fn check(username: &str) -> Self {
        let role = ATTR_ICE_CONTROLLING;
        Self::new(username)
            .with(ATTR_PRIORITY, &[0x6e, 0, 1, 255])
            .with(role, &[0; 8])
    }

    fn with(mut self, kind: AttrType, value: &[u8]) -> Self {
        self.message.add(kind, value);
        self
    }

    fn sealed(mut self, pwd: &str) -> Self {
        let key = MessageIntegrity::new_short_term_integrity(pwd.to_owned());
        key.add_to(&mut self.message).unwrap();
        self
    }

    fn raw(self) -> Vec<u8> {
        self.message.raw
    }

    fn fingerprinted(mut self) -> Vec<u8> {
        FINGERPRINT.add_to(&mut self.message).unwrap();
        self.message.raw
    }
}

/// A controlled agent that knows its remote, with one socket.
fn agent() -> (Net, String, String) {
    let mut net = Net::new(1, link(ms(40), 0.0));
    net.agent(A).set_role(Role::Controlled);
    net.add_address(A, "192.0.2.1:1000");
    let remote = Credentials::new("abcd", PWD).unwrap();
    let now = net.now;
    net.agent(A).set_remote_credentials(now, remote).unwrap();
    let local = net.hosts[A].agent.local_credentials().clone();
    let username = format!("{}:abcd", local.ufrag());
    (net, username, local.pwd().to_owned())
}

fn drain(net: &mut Net) -> Vec<peerloom_ice::Transmit> {
    let now = net.now;
    std::iter::from_fn(|| net.agent(A).poll_transmit(now)).collect()
}

/// "STUN with wrong integrity, username half, transaction id, huge attributes": ignored without an
/// answer, without a pair, counted by reason.
#[test]
fn strangers_are_ignored_without_an_answer() {
    let (mut net, username, pwd) = agent();
    let ufrag = username.split(':').next().unwrap().to_owned();
    let check = || Forged::check(&username);
    let good = check().sealed(&pwd).fingerprinted();
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut long = good.clone();
    long.push(0);
    let cases: Vec<(&str, Vec<u8>, Ignored)> = vec![
        ("empty", vec![], Ignored::NotStun),
        ("short", good[..19].to_vec(), Ignored::NotStun),
        (
            "DTLS",
            [&[22, 254, 253][..], &[0; 60]].concat(),
            Ignored::NotStun,
        ),
        ("no cookie", flip(4), Ignored::NotStun),
        (
            "truncated",
            good[..good.len() - 4].to_vec(),
            Ignored::Malformed,
        ),
        ("trailing byte", long, Ignored::Malformed),
        (
            "wrong fingerprint",
            flip(good.len() - 1),
            Ignored::BadFingerprint,
        ),
        (
            "wrong password",
            check().sealed(PWD).fingerprinted(),
            Ignored::BadIntegrity,
        ),
        (
            "no integrity",
            check().fingerprinted(),
            Ignored::BadIntegrity,
        ),
        (
            "twice integrity",
            check().sealed(&pwd).sealed(&pwd).raw(),
            Ignored::BadIntegrity,
        ),
        (
            "our half wrong",
            Forged::check("wxyz:abcd").sealed(&pwd).fingerprinted(),
            Ignored::UnknownUsername,
        ),
        (
            "their half wrong",
            Forged::check(&format!("{ufrag}:abce"))
                .sealed(&pwd)
                .fingerprinted(),
            Ignored::UnknownUsername,
        ),
        (
            "no colon",
            Forged::check(&ufrag).sealed(&pwd).raw(),
            Ignored::UnknownUsername,
        ),
        (
            "huge attribute",
            check()
                .with(AttrType(0x8022), &[0; 1400])
                .sealed(&pwd)
                .raw(),
            Ignored::TooLarge,
        ),
        (
            "many attributes",
            (0..40)
                .fold(check(), |c, _| c.with(AttrType(0x8022), &[]))
                .sealed(&pwd)
                .raw(),
            Ignored::Malformed,
        ),
        (
            "unknown required attribute",
            check().with(AttrType(0x7001), &[1]).sealed(&pwd).raw(),
            Ignored::UnknownAttribute,
        ),
        (
            "no priority",
            Forged::new(&username)
                .with(ATTR_ICE_CONTROLLING, &[0; 8])
                .sealed(&pwd)
                .raw(),
            Ignored::BadAttribute,
        ),
        (
            "both roles",
            check()
                .with(ATTR_ICE_CONTROLLED, &[0; 8])
                .sealed(&pwd)
                .raw(),
            Ignored::BadAttribute,
        ),
        (
            "short tie-breaker",
            Forged::new(&username)
                .with(ATTR_PRIORITY, &[0; 4])
                .with(ATTR_ICE_CONTROLLING, &[0; 7])
                .sealed(&pwd)
                .raw(),
            Ignored::BadAttribute,
        ),
    ];
    for (name, datagram, reason) in &cases {
        let before = net.hosts[A].agent.stats().ignored.of(*reason);
        assert_eq!(
            net.inject(A, "198.51.100.66:6", datagram),
            Err(*reason),
            "{name}"
        );
        assert_eq!(
            net.hosts[A].agent.stats().ignored.of(*reason),
            before + 1,
            "{name}"
        );
    }
    let mut unknown = good.clone();
    unknown[..2].copy_from_slice(&[0x00, 0x11]);
    assert_eq!(
        net.inject(A, "198.51.100.66:6", &unknown),
        Err(Ignored::UnknownMethod)
    );

    assert_eq!(drain(&mut net), []);
    assert!(
        !net.agent(A)
            .is_validated(LocalId(0), addr("198.51.100.66:6"))
    );
    let stats = net.hosts[A].agent.stats();
    assert!(stats.pairs.is_empty() && stats.remote_candidates.is_empty());
    assert_eq!(stats.ignored.total(), cases.len() as u64 + 1);

    // The same from a socket that is not ours, and from sources that cannot be answered.
    let (now, agent) = (net.now, net.agent(A));
    let from = |agent: &mut Agent, id, source| {
        agent.handle_datagram(now, LocalId(id), addr(source), &good)
    };
    assert_eq!(
        from(agent, 5, "198.51.100.66:6"),
        Err(Ignored::UnknownLocal)
    );
    for source in [
        "198.51.100.66:0",
        "224.0.0.1:5",
        "0.0.0.0:5",
        "255.255.255.255:5",
    ] {
        assert_eq!(
            from(agent, 0, source),
            Err(Ignored::UnusableSource),
            "{source}"
        );
    }
    // And the good one is good.
    assert_eq!(from(agent, 0, "198.51.100.66:6"), Ok(()));
    assert!(agent.is_validated(LocalId(0), addr("198.51.100.66:6")));
}

/// RFC 8489 §14.5: MESSAGE-INTEGRITY covers what is before it. Whoever is on the path could append
/// USE-CANDIDATE to a check and choose the pair.
#[test]
fn attributes_behind_the_integrity_have_no_effect() {
    let (mut net, username, pwd) = agent();
    let appended = Forged::check(&username)
        .sealed(&pwd)
        .with(ATTR_USE_CANDIDATE, &[]);
    net.inject(A, "192.0.2.2:2000", &appended.fingerprinted())
        .unwrap();
    let honest = Forged::check(&username)
        .with(ATTR_USE_CANDIDATE, &[])
        .sealed(&pwd);
    net.inject(A, "192.0.2.3:2000", &honest.fingerprinted())
        .unwrap();
    // Both are answered by the remote, so both pairs are valid.
    for _ in 0..4 {
        net.now += ms(5);
        for check in drain(&mut net) {
            if check.payload[..2] == [0, 1] {
                let answer = success(&check.payload, "198.51.100.5:5");
                let _ = net.inject(A, &check.destination.to_string(), &answer);
            }
        }
    }
    let selected = net.hosts[A].agent.selected().unwrap();
    assert_eq!(
        (selected.remote, selected.nominated),
        (addr("192.0.2.3:2000"), true)
    );
}

/// What the remote answers.
fn success(request: &[u8], mapped: &str) -> Vec<u8> {
    let mut message = Message::new();
    message.typ = BINDING_SUCCESS;
    message.transaction_id.0.copy_from_slice(&request[8..20]);
    message.write_header();
    let mapped = addr(mapped);
    let mapped = stun::xoraddr::XorMappedAddress {
        ip: mapped.ip(),
        port: mapped.port(),
    };
    mapped.add_to(&mut message).unwrap();
    let key = MessageIntegrity::new_short_term_integrity(PWD.to_owned());
    key.add_to(&mut message).unwrap();
    FINGERPRINT.add_to(&mut message).unwrap();
    message.raw
}

/// A response counts once, from where the question went, with the password of the remote.
#[test]
fn responses_are_bound_to_their_request() {
    let (mut net, ..) = agent();
    let now = net.now;
    let line = "candidate:1 1 udp 1 192.0.2.2 2000 typ host";
    net.agent(A)
        .add_remote_candidate(now, line.parse().unwrap())
        .unwrap();
    let check = drain(&mut net).remove(0);
    let good = success(&check.payload, "192.0.2.1:1000");
    let mut other_id = check.payload.to_vec();
    other_id[10] ^= 1;
    let other_id = success(&other_id, "192.0.2.1:1000");
    let mut forged = good.clone();
    forged[30] ^= 1;
    let unknown = Err(Ignored::UnknownTransaction);
    assert_eq!(
        net.inject(A, "192.0.2.2:2001", &good),
        unknown,
        "other source"
    );
    assert_eq!(
        net.inject(A, "192.0.2.2:2000", &other_id),
        unknown,
        "other transaction"
    );
    assert_eq!(
        net.inject(A, "192.0.2.2:2000", &forged),
        Err(Ignored::BadFingerprint)
    );
    assert!(
        !net.agent(A)
            .is_validated(LocalId(0), addr("192.0.2.2:2000"))
    );
    assert_eq!(net.inject(A, "192.0.2.2:2000", &good), Ok(()));
    assert_eq!(net.inject(A, "192.0.2.2:2000", &good), unknown, "twice");
}

/// "10,000 candidates … ≤ 100 pairs, one check per 5 ms and agent", until all
/// have failed.
#[test]
fn ten_thousand_candidates_make_a_hundred_pairs_and_one_check_per_five_ms() {
    let (mut net, ..) = agent();
    net.add_address(A, "192.0.2.9:1001");
    let mut refused = 0;
    for i in 0..10_000_u32 {
        let [_, _, high, low] = i.to_be_bytes();
        let line = format!("candidate:{i} 1 udp {i} 203.{high}.{low}.7 9 typ host");
        let (now, agent) = (net.now, net.agent(A));
        match agent.add_remote_candidate(now, line.parse().unwrap()) {
            Ok(()) => {}
            Err(CandidateError::TooMany { max: 100 }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(refused, 9_900);
    assert_eq!(net.hosts[A].agent.stats().pairs.len(), 100);
    net.run_for(Duration::from_secs(40));
    let sent = &net.hosts[A].sent;
    assert!(sent.windows(2).all(|w| w[1].0 - w[0].0 >= ms(5)));
    let dialled: HashSet<_> = sent.iter().map(|(_, t)| (t.local, t.destination)).collect();
    assert_eq!(dialled.len(), 100, "no pair starves");
    assert_eq!(net.state(A), State::Failed);
    let last = sent.last().unwrap().0;
    assert!(last <= Duration::from_secs(41), "{last:?}");
}

/// RFC 7675 §5.2: 403 withdraws consent at once, if it is authentic; nothing is sent or answered
/// afterwards.
#[test]
fn withdrawn_consent_ends_sending_at_once() {
    let mut net = Net::connected_pair(8, link(ms(40), 0.0));
    let [a, b] = [A, B].map(|host| net.hosts[host].agent.local_credentials().clone());
    net.hosts[B].link.set_down(true);
    net.run_for(Duration::from_secs(3));
    let check = net.hosts[A].sent.last().unwrap().1.payload.clone();
    let refuse = |pwd: &str| {
        let mut message = Message::new();
        message.typ = BINDING_ERROR;
        message.transaction_id.0.copy_from_slice(&check[8..20]);
        message.write_header();
        message.add(ATTR_ERROR_CODE, &[0, 0, 4, 3]);
        Forged { message }.sealed(pwd).fingerprinted()
    };
    let from = "192.0.2.2:2000";
    assert_eq!(
        net.inject(A, from, &refuse(PWD)),
        Err(Ignored::BadIntegrity)
    );
    assert_eq!(net.state(A), State::Completed);
    assert_eq!(net.inject(A, from, &refuse(b.pwd())), Ok(()));
    assert_eq!(net.state(A), State::Failed);
    assert!(net.hosts[A].agent.selected().is_none());
    let username = format!("{}:{}", a.ufrag(), b.ufrag());
    let request = Forged::check(&username).sealed(a.pwd()).fingerprinted();
    assert_eq!(net.inject(A, from, &request), Err(Ignored::NoConsent));
    assert_eq!(drain(&mut net), []);
}

/// A controlled agent follows the latest nomination, also to a pair of lower priority, and an
/// older one does not lead it back.
#[test]
fn latest_nomination_counts() {
    let (mut net, username, pwd) = agent();
    let check = |priority: u8, nominate: bool| {
        let check = Forged::new(&username)
            .with(ATTR_PRIORITY, &[priority, 0, 0, 1])
            .with(ATTR_ICE_CONTROLLING, &[0; 8]);
        let check = if nominate {
            check.with(ATTR_USE_CANDIDATE, &[])
        } else {
            check
        };
        check.sealed(&pwd).fingerprinted()
    };
    // Delivers `datagram`, then answers every check for a while.
    let turn = |net: &mut Net, from: &str, datagram: &[u8]| {
        net.inject(A, from, datagram).unwrap();
        for _ in 0..100 {
            net.now += ms(20);
            let now = net.now;
            net.agent(A).handle_timeout(now);
            for check in drain(net).iter().filter(|t| t.payload[..2] == [0, 1]) {
                let answer = success(&check.payload, "192.0.2.1:1000");
                net.inject(A, &check.destination.to_string(), &answer)
                    .unwrap();
            }
        }
        net.hosts[A].agent.selected().unwrap().remote
    };
    let (high, low) = ("192.0.2.2:2000", "192.0.2.3:2000");
    assert_eq!(turn(&mut net, high, &check(9, true)), addr(high));
    assert_eq!(
        turn(&mut net, low, &check(5, false)),
        addr(high),
        "no nomination"
    );
    assert_eq!(
        turn(&mut net, low, &check(5, true)),
        addr(low),
        "two seconds later"
    );
    assert_eq!(
        turn(&mut net, high, &check(9, false)),
        addr(low),
        "its nomination is history"
    );
    assert_eq!(turn(&mut net, high, &check(9, true)), addr(high));
}

/// The same by checks from 10,000 addresses, of a peer that knows the password: bounded, and what
/// works stays.
#[test]
fn checks_from_ten_thousand_addresses_do_not_grow_the_list() {
    let mut net = Net::connected_pair(2, link(ms(40), 0.0));
    net.trickle = false;
    let a = net.hosts[A].agent.local_credentials().clone();
    let b = net.hosts[B].agent.local_credentials().clone();
    let username = format!("{}:{}", b.ufrag(), a.ufrag());
    let check = Forged::check(&username)
        .with(ATTR_USE_CANDIDATE, &[])
        .sealed(b.pwd());
    let check = check.fingerprinted();
    for i in 0..10_000_u32 {
        let [_, _, high, low] = i.to_be_bytes();
        let _ = net.inject(B, &format!("203.{high}.{low}.7:9"), &check);
        if i % 50 == 0 {
            net.run_for(ms(50));
        }
    }
    let stats = net.hosts[B].agent.stats();
    assert!(stats.pairs.len() <= 100 && stats.remote_candidates.len() <= 100);
    net.run_for(Duration::from_secs(40));
    assert!(net.both(State::Completed));
    assert_eq!(
        net.hosts[B].agent.selected().unwrap().remote,
        addr("192.0.2.1:1000")
    );
    let stray: Vec<_> = net.hosts[B]
        .sent
        .iter()
        .filter(|(_, t)| t.destination.port() == 9 && t.payload[..2] == [0, 1])
        .collect();
    assert!(stray.windows(2).all(|w| w[1].0 - w[0].0 >= ms(5)));
}

/// "multicast, unspecified or port-0 candidates: never dialled", nor broadcast, nor IPv4 in IPv6.
#[test]
fn undialable_candidates_are_never_dialled() {
    let (mut net, ..) = agent();
    net.add_address(A, "[2001:db8::1]:1000");
    let now = net.now;
    for (address, port) in [
        ("224.0.0.251", 5353),
        ("0.0.0.0", 5),
        ("255.255.255.255", 5),
        ("192.0.2.5", 0),
        ("ff02::fb", 5353),
        ("::", 5),
        ("::ffff:192.0.2.5", 5),
    ] {
        let line = format!("candidate:1 1 udp 1 {address} {port} typ host");
        let candidate: Candidate = line.parse().unwrap();
        let result = net.agent(A).add_remote_candidate(now, candidate);
        assert!(
            matches!(result, Err(CandidateError::Unusable(_))),
            "{line}: {result:?}"
        );
        let server = format!(
            "{}:{port}",
            if address.contains(':') {
                "[::]"
            } else {
                address
            }
        );
        assert!(
            address == "::ffff:192.0.2.5"
                || !net
                    .agent(A)
                    .add_stun_server(now, addr(&server), "stun:test")
        );
    }
    net.run_for(Duration::from_secs(5));
    assert!(net.hosts[A].sent.is_empty());
}

/// "answers never larger than the question", and only for authentic ones: no amplifier.
#[test]
fn answers_are_never_larger_than_the_question() {
    for (local, source) in [
        ("192.0.2.1:1000", "192.0.2.7:7"),
        ("[2001:db8::1]:1000", "[2001:db8::7]:7"),
    ] {
        let mut net = Net::new(3, link(ms(40), 0.0));
        net.add_address(A, local);
        let credentials = net.hosts[A].agent.local_credentials().clone();
        let username = format!("{}:x", credentials.ufrag());
        // The smallest question that gets an answer, of a role that conflicts and one that not.
        for role in [ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING] {
            let check = Forged::new(&username)
                .with(ATTR_PRIORITY, &[0; 4])
                .with(role, &[0; 8]);
            let check = check.sealed(credentials.pwd()).raw();
            net.inject(A, source, &check).unwrap();
            let answers = drain(&mut net);
            assert_eq!(answers.len(), 1);
            assert!(answers[0].payload.len() <= check.len());
            assert_eq!(answers[0].destination, addr(source));
        }
    }
}

/// Answers wait in a bounded queue when nobody takes them out.
#[test]
fn unsent_answers_are_bounded() {
    let (mut net, username, pwd) = agent();
    let check = Forged::check(&username).sealed(&pwd).fingerprinted();
    for _ in 0..64 {
        net.inject(A, "192.0.2.2:2000", &check).unwrap();
    }
    assert_eq!(
        net.inject(A, "192.0.2.2:2000", &check),
        Err(Ignored::LimitReached)
    );
    assert_eq!(
        drain(&mut net).iter().filter(|t| t.payload[0] == 1).count(),
        64
    );
}

/// Early checks are bounded, and those of another remote than the one that answers are forgotten.
#[test]
fn early_checks_are_bounded_and_bound_to_the_remote() {
    let mut net = Net::new(4, link(ms(40), 0.0));
    net.add_address(A, "192.0.2.1:1000");
    let credentials = net.hosts[A].agent.local_credentials().clone();
    let check = |remote: &str| {
        let username = format!("{}:{remote}", credentials.ufrag());
        Forged::new(&username)
            .with(ATTR_PRIORITY, &[0; 4])
            .with(ATTR_ICE_CONTROLLED, &[0; 8])
            .sealed(credentials.pwd())
            .fingerprinted()
    };
    let right = check("abcd");
    let wrong = check("wxyz");
    for i in 0..30 {
        let datagram = if i < 8 { &right } else { &wrong };
        let expected = if i < 16 {
            Ok(())
        } else {
            Err(Ignored::LimitReached)
        };
        assert_eq!(
            net.inject(A, &format!("192.0.2.50:{}", 100 + i), datagram),
            expected
        );
    }
    let now = net.now;
    net.agent(A)
        .set_remote_credentials(now, Credentials::new("abcd", PWD).unwrap())
        .unwrap();
    let pairs = net.hosts[A].agent.stats().pairs;
    assert_eq!(pairs.len(), 8);
    assert!(pairs.iter().all(|p| p.remote.port() < 108));
}

/// "consent withheld: nothing sent to an address without its own fresh valid response". A peer
/// that checks and nominates, but does not answer, gets checks for its answers, no data, and in
/// the end nothing.
#[test]
fn address_that_does_not_answer_is_never_selected() {
    let (mut net, username, pwd) = agent();
    net.trickle = false;
    let check = Forged::check(&username)
        .with(ATTR_USE_CANDIDATE, &[])
        .sealed(&pwd);
    let check = check.fingerprinted();
    for _ in 0..100 {
        net.inject(A, "203.0.113.99:53", &check).unwrap();
        net.run_for(ms(500));
    }
    assert!(net.hosts[A].agent.selected().is_none());
    assert!(
        net.when(A, Duration::ZERO, |e| matches!(e, Event::Selected(_)))
            .is_none()
    );
}

/// A check replayed from a victim's address makes us check that address a few times, and then no
/// more until it is replayed again.
#[test]
fn replayed_check_is_worth_few_checks() {
    let (mut net, username, pwd) = agent();
    let check = Forged::check(&username).sealed(&pwd).fingerprinted();
    net.inject(A, "203.0.113.99:53", &check).unwrap();
    net.run_for(Duration::from_secs(60));
    let checks = net.hosts[A]
        .sent
        .iter()
        .filter(|(_, t)| t.payload[..2] == [0, 1])
        .count();
    assert_eq!(checks, 6);
}

/// The victim's address, signalled or spoofed, must not take over a running connection: without
/// an answer from there nothing moves.
#[test]
fn spoofed_source_does_not_move_the_path() {
    let mut net = Net::connected_pair(5, link(ms(40), 0.0));
    let a = net.hosts[A].agent.local_credentials().clone();
    let b = net.hosts[B].agent.local_credentials().clone();
    let username = format!("{}:{}", b.ufrag(), a.ufrag());
    // Replayed by someone on the path: authentic, with a nomination, from the victim's address.
    let check = Forged::new(&username)
        .with(ATTR_PRIORITY, &[0xff; 4])
        .with(ATTR_ICE_CONTROLLING, &[0; 8])
        .with(ATTR_USE_CANDIDATE, &[])
        .sealed(b.pwd())
        .fingerprinted();
    for _ in 0..20 {
        net.inject(B, "203.0.113.99:53", &check).unwrap();
        net.run_for(ms(250));
    }
    assert_eq!(
        net.hosts[B].agent.selected().unwrap().remote,
        addr("192.0.2.1:1000")
    );
    assert_eq!(net.hosts[B].agent.stats().selected_changes, 1);
    assert!(net.both(State::Completed));
}

/// A STUN server, or someone who answers in its place, can claim any mapped address; without the
/// transaction id of the query nothing is believed, and nonsense gives no candidate.
#[test]
fn stun_server_answers_are_bound_to_their_query() {
    let mut net = Net::new(6, link(ms(40), 0.0));
    net.add_address(A, "192.0.2.1:1000");
    let now = net.now;
    net.agent(A)
        .add_stun_server(now, addr("203.0.113.1:3478"), "stun:test");
    let query = drain(&mut net).remove(0);
    let good = success(&query.payload, "198.51.100.1:4000");
    let nonsense = success(&query.payload, "224.0.0.1:4000");
    let unknown = Err(Ignored::UnknownTransaction);
    assert_eq!(net.inject(A, "203.0.113.2:3478", &good), unknown);
    let mut other = query.payload.to_vec();
    other[19] ^= 1;
    assert_eq!(
        net.inject(A, "203.0.113.1:3478", &success(&other, "198.51.100.1:1")),
        unknown
    );
    assert_eq!(net.inject(A, "203.0.113.1:3478", &nonsense), Ok(()));
    assert_eq!(
        net.inject(A, "203.0.113.1:3478", &good),
        unknown,
        "answered already"
    );
    assert_eq!(net.candidates(A).len(), 1);
}

/// Every prefix and every single-byte change of a good check: no panic, and no effect but that of
/// the check itself.
#[test]
fn truncated_and_damaged_checks_do_nothing() {
    let (mut net, username, pwd) = agent();
    let good = Forged::check(&username).sealed(&pwd).fingerprinted();
    for end in 0..good.len() {
        assert!(net.inject(A, "198.51.100.66:6", &good[..end]).is_err());
    }
    let mut damage = |at: usize, bit: u8| {
        let mut damaged = good.clone();
        damaged[at] ^= 1 << bit;
        let result = net.inject(A, "198.51.100.66:6", &damaged);
        (result, net.hosts[A].agent.stats().pairs.len())
    };
    let fingerprint = good.len() - 8;
    for at in 0..fingerprint {
        for bit in 0..8 {
            let (result, pairs) = damage(at, bit);
            assert!(result.is_err() && pairs == 0, "byte {at} bit {bit}");
        }
    }
    // With its type changed, the fingerprint is some other attribute that nobody reads.
    for at in fingerprint..good.len() {
        let _ = damage(at, 0);
    }
}

/// A caller's mistake is an error, never a hang: timers of zero still make progress.
#[test]
fn zero_timers_do_not_spin() {
    let zero = Duration::ZERO;
    let config = AgentConfig {
        pacing: zero,
        initial_rto: zero,
        max_rto: zero,
        stun_keepalive: zero,
        consent_interval: zero,
        liveness_interval: zero,
        liveness_interval_silent: zero,
        ..AgentConfig::default()
    };
    let mut net = Net::with_configs(7, link(ms(40), 0.0), config.clone(), config);
    net.add_address(A, "192.0.2.1:1000");
    net.add_address(B, "192.0.2.2:2000");
    net.exchange_credentials();
    net.run_for(Duration::from_secs(10));
    assert!(net.both(State::Completed));
    assert!(net.hosts[A].sent.len() < 400);
}
