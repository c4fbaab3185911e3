//! The candidate line: RFC 8839 examples, browsers' lines, what must be refused, round trips.

#![expect(clippy::panic, reason = "a test that cannot go on should say where")]

use peerloom_ice::{Address, Candidate, CandidateKind, ParseCandidateError, Protocol, TcpType};
use proptest::prelude::*;

fn parse(line: &str) -> Candidate {
    line.parse().unwrap_or_else(|e| panic!("{line}: {e}"))
}

/// Lines as browsers and other stacks write them: read and written without a change.
const LINES: &[&str] = &[
    // RFC 8839 §5.1.
    "candidate:1 1 udp 2130706431 203.0.113.141 8998 typ host",
    "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
    // Chromium, with and without mDNS.
    "candidate:3498147984 1 udp 2113937151 4f7a3f5e-7a4e-4b5d-9a53-6c8e5d8a0f2b.local 55024 typ \
     host generation 0 ufrag 4Zv9 network-cost 999",
    "candidate:842163049 1 udp 1677729535 198.51.100.7 51472 typ srflx raddr 0.0.0.0 rport 0 \
     generation 0 ufrag 4Zv9 network-id 1 network-cost 10",
    "candidate:1467250027 1 tcp 1518280447 192.168.0.196 9 typ host tcptype active generation 0 \
     ufrag wF+1 network-id 1",
    "candidate:3745641921 1 udp 2122197247 2001:db8::1c2a 53044 typ host generation 0 ufrag wF+1 \
     network-id 2",
    // Others.
    "candidate:0 1 udp 2122252543 127.0.0.1 41021 typ host",
    "candidate:p3 1 udp 1862270975 192.0.2.9 9 typ prflx raddr 10.0.0.1 rport 8",
    "candidate:9 1 udp 16777215 192.0.2.15 3479 typ relay raddr 198.51.100.7 rport 5000",
];

/// Protects interoperability: a browser's line must come back as it went in.
#[test]
fn lines_are_read_and_written_without_a_change() {
    for line in LINES {
        let line = line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(parse(&line).to_string(), line);
    }
}

/// Firefox writes upper case, descriptions have `a=`, and order is free among extensions.
#[test]
fn variants_are_accepted() {
    let c = parse("a=candidate:0 1 UDP 2122252543 192.0.2.1 5000 typ host\r\n");
    assert_eq!(
        (c.protocol, c.kind, c.port),
        (Protocol::Udp, CandidateKind::Host, 5000)
    );
    let c = parse("1 1 TCP 1 192.0.2.1 9 typ host generation 3 tcptype so foo bar ufrag abcd");
    assert_eq!(c.tcp_type, Some(TcpType::SimultaneousOpen));
    assert_eq!((c.generation, c.ufrag.as_deref()), (Some(3), Some("abcd")));
    assert_eq!(c.extensions, [("foo".to_owned(), "bar".to_owned())]);
    let c = parse("candidate:1 1 udp 1 host-3.local 9 typ host");
    assert_eq!(c.address, Address::Name("host-3.local".to_owned()));
    assert_eq!(c.socket_addr(), None);
}

/// Protects the agent from signalling: what is not a candidate is refused, naming the field.
#[test]
fn refuses_what_is_not_a_candidate() {
    let cases = [
        ("", "foundation"),
        ("candidate:", "foundation"),
        ("candidate:a-b 1 udp 1 192.0.2.1 9 typ host", "foundation"),
        (
            "candidate:123456789012345678901234567890123 1 udp 1 192.0.2.1 9 typ host",
            "foundation",
        ),
        ("candidate:1 x udp 1 192.0.2.1 9 typ host", "component"),
        ("candidate:1 65536 udp 1 192.0.2.1 9 typ host", "component"),
        ("candidate:1 1 sctp 1 192.0.2.1 9 typ host", "transport"),
        (
            "candidate:1 1 udp 4294967296 192.0.2.1 9 typ host",
            "priority",
        ),
        ("candidate:1 1 udp +1 192.0.2.1 9 typ host", "priority"),
        ("candidate:1 1 udp -1 192.0.2.1 9 typ host", "priority"),
        ("candidate:1 1 udp 1 192.0.2.256 9 typ host", "address"),
        ("candidate:1 1 udp 1 a/b 9 typ host", "address"),
        ("candidate:1 1 udp 1 192.0.2.1 65536 typ host", "port"),
        ("candidate:1 1 udp 1 192.0.2.1 9", "typ"),
        ("candidate:1 1 udp 1 192.0.2.1 9 type host", "typ"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ guest", "typ"),
        (
            "candidate:1 1 udp 1 192.0.2.1 9 typ host raddr",
            "extension value",
        ),
        (
            "candidate:1 1 udp 1 192.0.2.1 9 typ host rport x raddr 1.2.3.4",
            "rport",
        ),
        (
            "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype lazy",
            "tcptype",
        ),
    ];
    for (line, field) in cases {
        let error = line.parse::<Candidate>().unwrap_err();
        assert_eq!(error, ParseCandidateError::Field(field), "{line}");
    }
    let long = format!(
        "candidate:1 1 udp 1 192.0.2.1 9 typ host x {}",
        "y".repeat(5000)
    );
    assert_eq!(
        long.parse::<Candidate>(),
        Err(ParseCandidateError::TooLong { max: 4096 })
    );
}

/// Every prefix of a line is refused or understood, never a panic.
#[test]
fn truncations_do_not_panic() {
    for line in LINES {
        for end in 0..line.len() {
            let _ = line[..end].parse::<Candidate>();
        }
    }
}

fn candidates() -> impl Strategy<Value = Candidate> {
    let address = || {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|a| Address::Ip(a.into())),
            any::<[u8; 16]>().prop_map(|a| Address::Ip(a.into())),
            "[a-z][a-z0-9-]{0,20}\\.local".prop_map(Address::Name),
        ]
    };
    let kind = prop_oneof![
        Just(CandidateKind::Host),
        Just(CandidateKind::ServerReflexive),
        Just(CandidateKind::PeerReflexive),
        Just(CandidateKind::Relayed),
    ];
    let tcp = prop_oneof![
        Just(None),
        Just(Some(TcpType::Active)),
        Just(Some(TcpType::Passive)),
        Just(Some(TcpType::SimultaneousOpen)),
    ];
    let head = (
        "[A-Za-z0-9+/]{1,32}",
        any::<u16>(),
        any::<u32>(),
        address(),
        any::<u16>(),
        kind,
    );
    let tail = (
        proptest::option::of((address(), any::<u16>())),
        tcp,
        proptest::option::of(any::<u32>()),
        proptest::option::of("[A-Za-z0-9+/]{4,32}"),
        proptest::collection::vec(("x-[a-z]{1,8}", "[!-~]{1,12}"), 0..4),
    );
    (head, tail).prop_map(|(head, tail)| {
        let (foundation, component, priority, address, port, kind) = head;
        let (related, tcp_type, generation, ufrag, extensions) = tail;
        let protocol = if tcp_type.is_some() {
            Protocol::Tcp
        } else {
            Protocol::Udp
        };
        Candidate {
            foundation,
            component,
            protocol,
            priority,
            address,
            port,
            kind,
            related,
            tcp_type,
            generation,
            ufrag,
            extensions,
        }
    })
}

proptest! {
    /// What is written is read back as the same value, whatever the value.
    #[test]
    fn display_then_parse_is_identity(candidate in candidates()) {
        prop_assert_eq!(parse(&candidate.to_string()), candidate);
    }

    /// What was read once is stable.
    #[test]
    fn parse_then_display_is_stable(line in "[ -~]{0,120}") {
        if let Ok(candidate) = line.parse::<Candidate>() {
            prop_assert_eq!(parse(&candidate.to_string()), candidate);
        }
    }
}
