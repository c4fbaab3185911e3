use super::*;

/// RFC 8842 §5.3: re-offers say actpass, and the roles stay, whoever offers.
#[test]
fn roles_survive_re_offers_from_either_side() {
    let (mut a, mut b) = connected();
    for round in 0..4 {
        let (here, there) = if round % 2 == 0 {
            let (there, here) = exchange(&mut b, &mut a);
            (here, there)
        } else {
            exchange(&mut a, &mut b)
        };
        let (here, there) = (here.transport.unwrap(), there.transport.unwrap());
        assert_eq!(
            (here.dtls_role, there.dtls_role),
            (Role::Server, Role::Client)
        );
        assert_eq!(here.ice_role, peerloom_ice::Role::Controlling);
        assert_eq!((here.generation, here.ice_restart), (0, false));
    }
}

/// RFC 9429 §5.2: the session id stays, the version grows by one with every change and only then.
#[test]
fn versions() {
    let origin = |description: &SessionDescription| {
        let origin = Description::parse(&description.sdp).unwrap().origin;
        (origin.session_id, origin.version)
    };
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let first = a.negotiation.create_offer(&a.credentials()).unwrap();
    let same = a.negotiation.create_offer(&a.credentials()).unwrap();
    assert_eq!(first, same);
    let _ = exchange(&mut a, &mut b);
    let unchanged = a.negotiation.create_offer(&a.credentials()).unwrap();
    assert_eq!(first, unchanged);
    a.restart();
    let restarted = a.negotiation.create_offer(&a.credentials()).unwrap();
    assert_eq!(origin(&restarted), (origin(&first).0, origin(&first).1 + 1));
}

#[test]
fn ice_restart_by_either_side() {
    let (mut a, mut b) = connected();
    a.restart();
    let offer = a.negotiation.create_offer(&a.credentials()).unwrap();
    let gather = a.negotiation.set_local(&offer).unwrap().gather.unwrap();
    assert!(gather.restart && gather.credentials == a.credentials());

    let _ = b.negotiation.set_remote(&offer).unwrap();
    assert!(b.negotiation.needs_new_credentials());
    let error = b.negotiation.create_answer(&b.credentials()).unwrap_err();
    assert!(
        error.to_string().contains("must bring new ICE credentials"),
        "{error}"
    );
    b.restart();
    let answer = b.negotiation.create_answer(&b.credentials()).unwrap();
    let there = b.negotiation.set_local(&answer).unwrap();
    assert!(there.gather.unwrap().restart);
    let there = there.transport.unwrap();
    let here = a
        .negotiation
        .set_remote(&answer)
        .unwrap()
        .transport
        .unwrap();
    assert_eq!((here.generation, there.generation), (1, 1));
    assert!(here.ice_restart && there.ice_restart);
    assert_eq!(here.dtls_role, Role::Server);
    assert_eq!(here.remote_credentials, b.credentials());

    b.restart();
    let (there, here) = exchange(&mut b, &mut a);
    assert_eq!(there.transport.unwrap().generation, 2);
    let here = here.transport.unwrap();
    assert_eq!(
        (here.generation, here.ice_role),
        (2, peerloom_ice::Role::Controlling)
    );
}

#[test]
fn what_only_a_restart_may_change() {
    let (mut a, mut b) = connected();
    let offer = a.offer().sdp;
    let error = |b: &mut Side, from: &str, to: &str| {
        assert!(offer.contains(from), "{from} not in {offer}");
        b.refuses(&SessionDescription::offer(offer.replace(from, to)))
            .to_string()
    };
    assert_eq!(
        error(&mut b, "a=ice-ufrag:a000", "a=ice-ufrag:a001"),
        "m-section 0: ice-ufrag changed without the other: not an ICE restart"
    );
    assert_eq!(
        error(&mut b, "a=ice-pwd:a000", "a=ice-pwd:a001"),
        "m-section 0: ice-pwd changed without the other: not an ICE restart"
    );
    let stranger = Fingerprint::of(b"x", HashAlgorithm::Sha256).to_string();
    let ours = Fingerprint::of(b"a", HashAlgorithm::Sha256).to_string();
    assert_eq!(
        error(&mut b, &ours, &stranger),
        "m-section 0: the fingerprints changed in a running DTLS association"
    );
    // a is the server.
    let role = error(&mut b, "a=setup:actpass", "a=setup:active");
    assert!(role.contains("running association"), "{role}");
    assert_eq!(
        error(&mut b, "a=sctp-port:5000", "a=sctp-port:5001"),
        "m-section 0: the SCTP port cannot be 5001"
    );
    // A definite setup that says what is.
    let passive = offer.replace("a=setup:actpass", "a=setup:passive");
    assert!(
        b.negotiation
            .set_remote(&SessionDescription::offer(passive))
            .is_ok()
    );
}

#[test]
fn an_answer_cannot_restart_or_change_roles() {
    let (mut a, mut b) = connected();
    let offer = a.offer();
    let (answer, _) = b.answer(&offer);
    let restarted = answer.sdp.replace("b000", "b001");
    assert_eq!(
        a.refuses(&SessionDescription::answer(restarted))
            .to_string(),
        "m-section 0: the answer restarts ICE, which only an offer can"
    );
    let turned = answer.sdp.replace("a=setup:active", "a=setup:passive");
    let error = a.refuses(&SessionDescription::answer(turned));
    assert!(
        matches!(error, NegotiationError::Setup { index: 0, .. }),
        "{error}"
    );
    assert!(a.negotiation.set_remote(&answer).is_ok());

    let _ = b.negotiation.set_remote(&a.offer()).unwrap();
    b.restart();
    let error = b.negotiation.create_answer(&b.credentials()).unwrap_err();
    assert!(
        error.to_string().contains("must keep the ICE credentials"),
        "{error}"
    );
}

/// Firefox as DTLS server answers a restart with "active" and stays what it was.
#[test]
fn an_answer_to_a_restart_may_name_the_other_role() {
    let (mut a, mut b) = connected();
    b.restart();
    let offer = b.offer();
    let (answer, _) = a.answer(&offer);
    assert!(answer.sdp.contains("a=setup:passive"));
    let turned = answer.sdp.replace("a=setup:passive", "a=setup:active");
    let applied = b
        .negotiation
        .set_remote(&SessionDescription::answer(turned));
    let transport = applied.unwrap().transport.unwrap();
    assert!(transport.ice_restart);
    assert_eq!(transport.dtls_role, Role::Client);
}

/// Data added to a session that had none: in the place of a rejected m-line, under a new name.
#[test]
fn data_is_added_later_and_m_lines_are_recycled() {
    let audio = include_str!("../data/sdp/chromium-156-audio-red.sdp");
    let mut b = Side::new('b');
    let (answer, applied) = b.answer(&SessionDescription::offer(audio));
    assert!(applied.transport.is_none() && !applied.data_rejected);
    assert!(answer.sdp.contains("m=audio 0 "));
    assert!(!answer.sdp.contains("BUNDLE"));

    b.negotiation.want_data();
    assert!(b.negotiation.needs_offer());
    let offer = Description::parse(&b.offer().sdp).unwrap();
    assert_eq!(offer.media.len(), 1);
    assert!(offer.media[0].is_data());
    assert_eq!(offer.media[0].mid().unwrap(), "1", "0 was audio's");
}

/// The other side recycles an m-line that we rejected, for something of another kind.
#[test]
fn the_other_side_recycles() {
    let mut b = Side::new('b');
    let _ = b.answer(&SessionDescription::offer(CHROMIUM));
    let recycled = CHROMIUM
        .replace("BUNDLE 0 1 2", "BUNDLE 2 v")
        .replace("a=mid:0", "a=mid:v")
        .replace("m=audio 9", "m=video 9")
        .replace(
            "m=video 9 UDP/TLS/RTP/SAVPF 96 ",
            "m=video 0 UDP/TLS/RTP/SAVPF 96 ",
        );
    let (answer, applied) = b.answer(&SessionDescription::offer(recycled.clone()));
    assert!(applied.transport.is_some());
    let answer = Description::parse(&answer.sdp).unwrap();
    assert_eq!(answer.media[0].mid().unwrap(), "v");
    assert_eq!(b.negotiation.transceivers()[0].mid.as_deref(), Some("v"));

    // In use, or under its old name, an m-line stays what it is.
    let error = b.refuses(&SessionDescription::offer(
        recycled
            .replace("a=mid:2", "a=mid:3")
            .replace("BUNDLE 2 v", "BUNDLE 3 v"),
    ));
    assert_eq!(
        error.to_string(),
        "m-section 2: mid changed from \"2\" to \"3\""
    );
    let error = b.refuses(&SessionDescription::offer(recycled.replacen(
        "m=video 9",
        "m=audio 9",
        1,
    )));
    assert_eq!(
        error.to_string(),
        "m-section 0: media changed from \"video\" to \"audio\""
    );
    let two = recycled
        .split("m=application")
        .next()
        .unwrap()
        .replace("BUNDLE 2 v", "BUNDLE v");
    let error = b.refuses(&SessionDescription::offer(two));
    assert_eq!(error.to_string(), "the offer has 2 m-sections, expected 3");
}

#[test]
fn the_other_side_ends_data() {
    let (mut a, mut b) = connected();
    let offer = a.offer().sdp.replace("m=application 9", "m=application 0");
    let offer = SessionDescription::offer(offer.replace("a=group:BUNDLE 0\r\n", ""));
    let (answer, applied) = b.answer(&offer);
    assert!(applied.data_rejected && applied.transport.is_none());
    assert!(answer.sdp.contains("m=application 0 "));
    assert_eq!(b.negotiation.transport(), None);
}

#[test]
fn an_offer_has_a_limit_of_sections() {
    let limits = Limits {
        sdp: peerloom::sdp::Limits {
            sections: 0,
            ..Default::default()
        },
        ..Default::default()
    };
    let local = LocalParameters::new(vec![Fingerprint::of(b"a", HashAlgorithm::Sha256)]);
    let mut full = Negotiation::with_limits(local, limits, 1);
    full.want_data();
    let error = full
        .create_offer(&Side::new('a').credentials())
        .unwrap_err();
    assert_eq!(error, NegotiationError::Full { max: 0 });
}
