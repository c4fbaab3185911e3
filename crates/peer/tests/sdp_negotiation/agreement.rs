use super::*;

#[test]
fn both_ends_agree() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    assert!(a.negotiation.needs_offer() && !b.negotiation.needs_offer());
    let (here, there) = exchange(&mut a, &mut b);
    let (here, there) = (here.transport.unwrap(), there.transport.unwrap());
    assert_eq!(
        (here.dtls_role, there.dtls_role),
        (Role::Server, Role::Client)
    );
    assert_eq!(here.ice_role, peerloom_ice::Role::Controlling);
    assert_eq!(there.ice_role, peerloom_ice::Role::Controlled);
    assert_eq!(here.local_credentials, there.remote_credentials);
    assert_eq!(there.local_credentials, here.remote_credentials);
    assert_eq!(
        here.fingerprints,
        [Fingerprint::of(b"b", HashAlgorithm::Sha256)]
    );
    assert_eq!(here.remote_max_message_size, Some(262_144));
    assert_eq!(
        (a.state(), b.state()),
        (SignalingState::Stable, SignalingState::Stable)
    );
    assert!(!a.negotiation.needs_offer());
}

#[test]
fn the_answerer_may_prefer_to_be_server() {
    let mut a = Side::new('a');
    let mut b = Side::with('b', |local| local.preferred_role = Role::Server);
    a.negotiation.want_data();
    let (here, there) = exchange(&mut a, &mut b);
    assert_eq!(here.transport.unwrap().dtls_role, Role::Client);
    assert_eq!(there.transport.unwrap().dtls_role, Role::Server);
}

#[test]
fn message_size_absent_zero_and_given() {
    let size = |to| {
        let offer = edited("a=max-message-size:262144\r\n", to);
        answered(&offer).transport.unwrap().remote_max_message_size
    };
    assert_eq!(
        size(""),
        Some(65_536),
        "RFC 8841: what an absent attribute means"
    );
    assert_eq!(size("a=max-message-size:0\r\n"), None, "unlimited");
    assert_eq!(size("a=max-message-size:1\r\n"), Some(1));
}

#[test]
fn setup_is_decided_by_the_offer_where_it_decides() {
    let role = |setup: &str| {
        let offer = edited("a=setup:actpass\r\n", setup);
        answered(&offer).transport.unwrap().dtls_role
    };
    assert_eq!(role("a=setup:active\r\n"), Role::Server);
    assert_eq!(role("a=setup:passive\r\n"), Role::Client);
    assert_eq!(
        role(""),
        Role::Client,
        "an offer without it leaves it to us"
    );
    let error = refused(&edited("a=setup:actpass", "a=setup:holdconn"));
    assert!(
        error.contains("m-section 0") && error.contains("holdconn"),
        "{error}"
    );
}

#[test]
fn setup_of_an_answer_must_decide() {
    for (setup, expected) in [
        ("a=setup:actpass\r\n", "actpass"),
        ("a=setup:holdconn\r\n", "holdconn"),
        ("", "a=setup is missing"),
    ] {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        a.negotiation.want_data();
        let (answer, _) = b.answer(&a.offer());
        let answer = answer.sdp.replace("a=setup:active\r\n", setup);
        let error = a.refuses(&SessionDescription::answer(answer)).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn several_fingerprints_and_unknown_hashes() {
    let md5 = format!("a=fingerprint:md5 {}", ["AB"; 16].join(":"));
    let strong = Fingerprint::of(b"a", HashAlgorithm::Sha512);
    let all = format!("{md5}\r\na=fingerprint:{strong}\r\na=fingerprint:sha-256");
    let fingerprints = answered(&edited("a=fingerprint:sha-256", &all))
        .transport
        .unwrap()
        .fingerprints;
    assert_eq!(
        fingerprints,
        [strong, Fingerprint::of(b"a", HashAlgorithm::Sha256)]
    );

    let error = refused(&edited("a=fingerprint:sha-256", "a=fingerprint:sha-1"));
    assert!(
        error.starts_with("m-section 0: a=fingerprint:sha-1: "),
        "{error}"
    );
}

#[test]
fn what_the_transport_needs() {
    for attribute in ["ice-ufrag", "ice-pwd", "fingerprint"] {
        let offer = edited(&format!("a={attribute}:"), "a=nothing:");
        assert_eq!(
            refused(&offer),
            format!("m-section 0: a={attribute} is missing")
        );
    }
}

/// RFC 8839 §5.4, RFC 8122 §5: what a section does not say, the session says.
#[test]
fn attributes_of_the_session() {
    let offer = edited("x", "x").sdp;
    let (session, section) = offer.split_once("m=").unwrap();
    let is_transport = |line: &&str| {
        ["a=ice-", "a=fingerprint", "a=setup"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let moved: String = section.split_inclusive('\n').filter(is_transport).collect();
    let left: String = section
        .split_inclusive('\n')
        .filter(|line| !is_transport(line))
        .collect();
    let offer = SessionDescription::offer(format!("{session}a=ice-lite\r\n{moved}m={left}"));
    let transport = answered(&offer).transport.unwrap();
    assert_eq!(transport.remote_credentials.ufrag(), "a000");
    assert!(transport.remote_trickle && transport.remote_lite);
    assert_eq!(
        transport.ice_role,
        peerloom_ice::Role::Controlling,
        "a lite end never controls"
    );
}

/// draft-ietf-mmusic-sctp-sdp-20: the form before RFC 8841, answered in kind.
#[test]
fn the_old_data_section() {
    let offer = edited("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5001")
        .sdp
        .replace("a=sctp-port:5000", "a=sctpmap:5001 webrtc-datachannel 1024");
    let (answer, applied) = Side::new('b').answer(&SessionDescription::offer(offer));
    assert_eq!(applied.transport.unwrap().remote_sctp_port, 5001);
    assert!(
        answer.sdp.contains("m=application 9 DTLS/SCTP 5000\r\n"),
        "{}",
        answer.sdp
    );
    assert!(
        answer
            .sdp
            .contains("a=sctpmap:5000 webrtc-datachannel 65535\r\n")
    );
    assert!(!answer.sdp.contains("a=sctp-port"));

    let error = refused(&edited("a=sctp-port:5000", "a=sctp-port:0"));
    assert_eq!(error, "m-section 0: the SCTP port cannot be 0");
}

#[test]
fn nothing_to_negotiate_is_an_exchange_too() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    let (here, there) = exchange(&mut a, &mut b);
    assert_eq!((here.transport, there.transport), (None, None));
    assert!(!here.data_rejected && !there.data_rejected);
    assert!(
        a.negotiation
            .local_description(&[], true)
            .unwrap()
            .sdp
            .ends_with("t=0 0\r\n")
    );
}
