use super::*;

const HOST: &str = "candidate:1 1 udp 2122260223 192.0.2.1 5001 typ host";

fn candidate(mid: &str) -> IceCandidate {
    IceCandidate {
        candidate: HOST.into(),
        sdp_mid: Some(mid.into()),
        ..IceCandidate::default()
    }
}

#[test]
fn are_held_until_the_answer() {
    let mut b = Side::new('b');
    // Before anything: the signalling may overtake the offer.
    let early = IceCandidate {
        username_fragment: Some("Ff6p".into()),
        ..candidate("2")
    };
    assert_eq!(b.negotiation.add_candidate(&early), Ok(CandidateUse::Held));
    let _ = b
        .negotiation
        .set_remote(&SessionDescription::offer(CHROMIUM))
        .unwrap();
    assert_eq!(
        b.negotiation.add_candidate(&candidate("2")),
        Ok(CandidateUse::Held)
    );
    let end = IceCandidate {
        candidate: String::new(),
        ..candidate("2")
    };
    assert_eq!(b.negotiation.add_candidate(&end), Ok(CandidateUse::Held));
    let answer = b.negotiation.create_answer(&b.credentials()).unwrap();
    let applied = b.negotiation.set_local(&answer).unwrap();
    assert_eq!(applied.candidates, [early, candidate("2")]);
    assert!(applied.end_of_candidates);
    assert_eq!(
        b.negotiation.add_candidate(&candidate("2")),
        Ok(CandidateUse::Now)
    );
    assert_eq!(b.negotiation.add_candidate(&end), Ok(CandidateUse::Now));
}

#[test]
fn overtake_the_answer() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let (answer, _) = b.answer(&a.offer());
    let early = IceCandidate {
        username_fragment: Some("b000".into()),
        ..candidate("0")
    };
    assert_eq!(a.negotiation.add_candidate(&early), Ok(CandidateUse::Held));
    let applied = a.negotiation.set_remote(&answer).unwrap();
    assert_eq!(applied.candidates, [early]);

    // The same in a restart, where there is an older generation.
    a.restart();
    let (answer, _) = b.answer(&a.offer());
    let early = IceCandidate {
        username_fragment: Some("b001".into()),
        ..candidate("0")
    };
    assert_eq!(a.negotiation.add_candidate(&early), Ok(CandidateUse::Held));
    let old = IceCandidate {
        username_fragment: Some("b000".into()),
        ..candidate("0")
    };
    assert_eq!(a.negotiation.add_candidate(&old), Ok(CandidateUse::Now));
    let applied = a.negotiation.set_remote(&answer).unwrap();
    assert_eq!(applied.candidates, [early]);
}

#[test]
fn in_the_description_count_for_their_section() {
    let with = |sections: &[&str]| {
        let mut offer = CHROMIUM.to_owned();
        for mid in sections {
            let line = format!("a=mid:{mid}\r\n");
            offer = offer.replace(&line, &format!("{line}a={HOST} ufrag {mid}xxx\r\n"));
        }
        answered(&SessionDescription::offer(offer)).candidates
    };
    let mids = |candidates: Vec<IceCandidate>| -> Vec<_> {
        candidates
            .into_iter()
            .map(|candidate| candidate.sdp_mid.unwrap())
            .collect()
    };
    // A balanced offerer: each section has a port of its own, and the others' will close.
    assert_eq!(mids(with(&["0", "1", "2"])), ["2"]);
    // A max-bundle one: the tagged section has the one transport.
    assert_eq!(mids(with(&["0"])), ["0"]);
    let candidates = with(&["2"]);
    assert_eq!(candidates[0].sdp_m_line_index, Some(2));
    assert_eq!(candidates[0].username_fragment.as_deref(), Some("Ff6p"));
}

#[test]
fn of_other_sections() {
    let mut b = Side::new('b');
    let _ = b.answer(&SessionDescription::offer(CHROMIUM));
    // Of the same group, and the data section has none of its own (yet).
    assert_eq!(
        b.negotiation.add_candidate(&candidate("0")),
        Ok(CandidateUse::Now)
    );
    let end = IceCandidate {
        candidate: String::new(),
        ..candidate("0")
    };
    assert_eq!(b.negotiation.add_candidate(&end), Ok(CandidateUse::Ignored));

    let mut b = Side::new('b');
    let apart = CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE 0 2");
    let _ = b.answer(&SessionDescription::offer(apart));
    assert_eq!(
        b.negotiation.add_candidate(&candidate("1")),
        Ok(CandidateUse::Ignored)
    );

    // Nothing is accepted: nothing is of use.
    let mut b = Side::new('b');
    let _ = b.answer(&SessionDescription::offer(include_str!(
        "../data/sdp/chromium-156-recvonly.sdp"
    )));
    assert_eq!(
        b.negotiation.add_candidate(&candidate("0")),
        Ok(CandidateUse::Ignored)
    );
}

#[test]
fn by_index_where_there_is_no_mid() {
    let (mut a, _) = connected();
    let mut one = candidate("0");
    one.sdp_mid = None;
    one.sdp_m_line_index = Some(0);
    assert_eq!(a.negotiation.add_candidate(&one), Ok(CandidateUse::Now));
    // The end of all sections names none.
    assert_eq!(
        a.negotiation.add_candidate(&IceCandidate::default()),
        Ok(CandidateUse::Now)
    );
}

#[test]
fn that_fit_nowhere() {
    let (mut a, _) = connected();
    let mut error = |candidate: &IceCandidate| {
        let before = format!("{:?}", a.negotiation);
        let error = a
            .negotiation
            .add_candidate(candidate)
            .unwrap_err()
            .to_string();
        assert_eq!(format!("{:?}", a.negotiation), before);
        error
    };
    assert_eq!(
        error(&candidate("7")),
        "the candidate is for the m-section \"7\", which the description has not"
    );
    let index = IceCandidate {
        sdp_mid: None,
        sdp_m_line_index: Some(1),
        ..candidate("")
    };
    assert!(error(&index).contains("\"1\""));
    let nowhere = IceCandidate {
        sdp_mid: None,
        ..candidate("")
    };
    assert_eq!(
        error(&nowhere),
        "the candidate has neither sdpMid nor sdpMLineIndex"
    );
    let stale = IceCandidate {
        username_fragment: Some("zzzz".into()),
        ..candidate("0")
    };
    assert_eq!(
        error(&stale),
        "the candidate is of the ICE generation \"zzzz\", which is not described"
    );
    let inside = IceCandidate {
        candidate: format!("{HOST} ufrag yyyy"),
        ..candidate("0")
    };
    assert!(error(&inside).contains("\"yyyy\""));
    for text in ["candidate:1\r\na=setup:active", "candidate:\0"] {
        let injected = IceCandidate {
            candidate: text.into(),
            ..candidate("0")
        };
        assert!(error(&injected).starts_with("not a candidate: "));
    }
    let long = IceCandidate {
        candidate: "x".repeat(2000),
        ..candidate("0")
    };
    assert!(error(&long).len() < 120, "a long value is shortened");
    let long = IceCandidate {
        sdp_mid: Some("x".repeat(2000)),
        ..candidate("0")
    };
    assert!(error(&long).starts_with("not a candidate"));
}

/// Neither candidates that wait nor those in a description are a way to fill memory.
#[test]
fn are_bounded_and_counted() {
    let mut b = Side::new('b');
    for _ in 0..1000 {
        let _ = b.negotiation.add_candidate(&candidate("0")).unwrap();
    }
    assert_eq!(b.negotiation.dropped().candidates_over_limit, 744);
    let many = format!("a={HOST}\r\n").repeat(1000);
    let offer = edited("a=mid:0\r\n", &format!("a=mid:0\r\n{many}"));
    let (_, applied) = b.answer(&offer);
    assert_eq!(applied.candidates.len(), 256 + 256);
    assert_eq!(b.negotiation.dropped().candidates_over_limit, 744 + 744);

    // Held for an offer that is taken back.
    let (mut a, mut b) = connected();
    a.restart();
    let _ = b.negotiation.set_remote(&a.offer()).unwrap();
    assert_eq!(
        b.negotiation.add_candidate(&candidate("0")),
        Ok(CandidateUse::Held)
    );
    let _ = b
        .negotiation
        .set_remote(&SessionDescription::rollback())
        .unwrap();
    assert_eq!(b.negotiation.dropped().candidates_unclaimed, 1);
}
