use super::*;

fn refused_answer(change: impl FnOnce(String) -> String) -> String {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let (answer, _) = b.answer(&a.offer());
    a.refuses(&SessionDescription::answer(change(answer.sdp)))
        .to_string()
}

#[test]
fn must_have_the_sections_of_the_offer() {
    assert_eq!(
        refused_answer(|sdp| sdp
            .replace("a=mid:0", "a=mid:1")
            .replace("BUNDLE 0", "BUNDLE 1")),
        "m-section 0: mid changed from \"0\" to \"1\""
    );
    assert_eq!(
        refused_answer(|sdp| sdp.replace("m=application", "m=audio")),
        "m-section 0: media changed from \"application\" to \"audio\""
    );
    assert_eq!(
        refused_answer(|sdp| sdp + "m=audio 9 RTP/AVP 0\r\n"),
        "the answer has 2 m-sections, expected 1"
    );
    let error = refused_answer(|sdp| sdp.replace("m=application 9", "m=application 0"));
    assert!(
        error.starts_with("BUNDLE group: answered in a group though rejected"),
        "{error}"
    );
}

#[test]
fn may_reject_the_data_section() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let (answer, _) = b.answer(&a.offer());
    let answer = answer.sdp.replace("m=application 9", "m=application 0");
    let answer = SessionDescription::answer(answer.replace("a=group:BUNDLE 0\r\n", ""));
    let applied = a.negotiation.set_remote(&answer).unwrap();
    assert!(applied.data_rejected);
    assert_eq!(applied.transport, None);
    assert!(
        !a.negotiation.needs_offer(),
        "it was refused; nobody asked again"
    );

    // Asked again, the m-line is used again, under a new name.
    a.negotiation.want_data();
    assert!(a.negotiation.needs_offer());
    let offer = Description::parse(&a.offer().sdp).unwrap();
    assert_eq!(offer.media.len(), 1);
    assert_eq!(offer.media[0].mid().unwrap(), "1");
}

#[test]
fn must_leave_rejected_sections_alone() {
    let mut b = Side::new('b');
    let _ = b.answer(&SessionDescription::offer(CHROMIUM));
    let offer = b.offer();
    let parsed = Description::parse(&offer.sdp).unwrap();
    assert_eq!(parsed.media.len(), 3);
    assert_eq!(
        parsed
            .media
            .iter()
            .map(|media| media.port)
            .collect::<Vec<_>>(),
        [0, 0, 9]
    );
    let answer = offer.sdp.replace("m=audio 0", "m=audio 9");
    let error = b.refuses(&SessionDescription::answer(answer)).to_string();
    assert_eq!(
        error,
        "m-section 0: answered with port 9, but the offer has port 0"
    );
}
