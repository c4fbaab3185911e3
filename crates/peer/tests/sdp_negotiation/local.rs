use super::*;

#[test]
fn only_what_was_created_can_be_set() {
    let mut a = Side::new('a');
    a.negotiation.want_data();
    let offer = a.negotiation.create_offer(&a.credentials()).unwrap();
    let modified = SessionDescription::offer(offer.sdp.replace("actpass", "active"));
    let error = a.negotiation.set_local(&modified).unwrap_err();
    assert_eq!(
        error,
        NegotiationError::Modified {
            kind: SdpType::Offer
        }
    );
    let error = a
        .negotiation
        .set_local(&SessionDescription::offer("v=1"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "offer: line 1: the version must be 0: \"1\""
    );

    // Candidates may have come in meanwhile, and nothing at all stands for the last one.
    let trickled = offer.sdp.clone() + "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n";
    assert!(
        a.negotiation
            .set_local(&SessionDescription::offer(trickled))
            .is_ok()
    );
    assert!(
        a.negotiation
            .set_local(&SessionDescription::offer(""))
            .is_ok()
    );

    let error = Side::new('b').negotiation.set_local(&offer).unwrap_err();
    assert_eq!(
        error,
        NegotiationError::Modified {
            kind: SdpType::Offer
        }
    );
}

/// What was created before the other side's offer came is not an answer to anything.
#[test]
fn a_stale_offer_cannot_be_set() {
    let (mut a, mut b) = connected();
    let stale = a.negotiation.create_offer(&a.credentials()).unwrap();
    let _ = exchange(&mut b, &mut a);
    let error = a.negotiation.set_local(&stale).unwrap_err();
    assert_eq!(
        error,
        NegotiationError::Modified {
            kind: SdpType::Offer
        }
    );
}

#[test]
fn implied_descriptions() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let offer = a.negotiation.create_implied(&a.credentials()).unwrap();
    assert_eq!(offer.kind, SdpType::Offer);
    let _ = b.negotiation.set_remote(&offer).unwrap();
    assert_eq!(b.negotiation.implied_kind(), SdpType::Answer);
    let answer = b.negotiation.create_implied(&b.credentials()).unwrap();
    assert_eq!(answer.kind, SdpType::Answer);
}

#[test]
fn wrong_states_say_which_and_what() {
    let mut a = Side::new('a');
    let error = a.negotiation.create_answer(&a.credentials()).unwrap_err();
    assert_eq!(error.to_string(), "cannot create an answer in state stable");
    let answer = SessionDescription::answer("");
    let error = a.refuses(&answer);
    let operation = Operation::Set(Source::Remote, SdpType::Answer);
    let state = SignalingState::Stable;
    assert_eq!(error, NegotiationError::WrongState { state, operation });
    assert_eq!(
        error.to_string(),
        "cannot set a remote answer in state stable"
    );
    let error = a.negotiation.set_local(&answer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot set a local answer in state stable"
    );
    a.negotiation.close();
    let error = a.negotiation.create_offer(&a.credentials()).unwrap_err();
    assert_eq!(error.to_string(), "cannot create an offer in state closed");
}

/// RFC 8839 §4.2.1.2, and what browsers show in `localDescription`.
#[test]
fn candidates_in_the_local_description() {
    let mut a = Side::new('a');
    a.negotiation.want_data();
    let _ = a.offer();
    let candidate = |text: &str| IceCandidate {
        candidate: format!("candidate:{text}"),
        username_fragment: Some("a000".into()),
        ..IceCandidate::default()
    };
    let none = a.negotiation.local_description(&[], false).unwrap().sdp;
    assert!(none.contains("m=application 9 ") && !none.contains("candidate"));
    let mut stale = candidate("9 1 udp 1 203.0.113.9 9999 typ relay raddr 0.0.0.0 rport 9");
    stale.username_fragment = Some("old0".into());
    let host = candidate("1 1 udp 2122260223 192.0.2.1 5001 typ host");
    let reflexive =
        candidate("2 1 udp 1686052607 203.0.113.1 5002 typ srflx raddr 192.0.2.1 rport 5001");
    let six = candidate("3 1 udp 2122262783 2001:db8::1 5003 typ host");
    let all = [stale, six, host, reflexive];
    let text = a.negotiation.local_description(&all, true).unwrap().sdp;
    assert!(text.contains("m=application 5002 "), "{text}");
    assert!(
        text.contains("c=IN IP4 203.0.113.1\r\na=candidate:3 "),
        "{text}"
    );
    assert_eq!(text.matches("a=candidate:").count(), 3);
    assert!(text.contains("a=end-of-candidates\r\n"));
    let parsed = Description::parse(&text).unwrap();
    assert!(parsed.media[0].has(&Attribute::Setup(Setup::ActPass)));
}

#[test]
fn local_candidates_name_their_section() {
    let mut b = Side::new('b');
    assert_eq!(b.negotiation.local_end_of_candidates(), None);
    let _ = b.answer(&SessionDescription::offer(CHROMIUM));
    let candidate: peerloom_ice::Candidate = "candidate:1 1 udp 2122260223 192.0.2.1 5001 typ host"
        .parse()
        .unwrap();
    let json = serde_json::to_value(b.negotiation.local_candidate(&candidate).unwrap()).unwrap();
    assert_eq!(json["sdpMid"], "2");
    assert_eq!(json["sdpMLineIndex"], 2);
    assert_eq!(json["usernameFragment"], "b000");
    assert_eq!(
        json["candidate"],
        "candidate:1 1 udp 2122260223 192.0.2.1 5001 typ host"
    );
    assert!(
        b.negotiation
            .local_end_of_candidates()
            .unwrap()
            .is_end_of_candidates()
    );
}

/// A negotiation in a log must not give the connection away.
#[test]
fn debug_does_not_print_passwords() {
    let mut a = Side::new('a');
    a.negotiation.want_data();
    let offer = a.offer();
    let password = a.credentials().pwd().to_owned();
    assert!(offer.sdp.contains(&password));
    assert!(!format!("{:?} {offer:?}", a.negotiation).contains(&password));
}
