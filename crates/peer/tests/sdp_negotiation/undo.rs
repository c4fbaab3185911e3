use super::*;

#[test]
fn rollback_of_a_local_offer() {
    let mut a = Side::new('a');
    a.negotiation.want_data();
    let _ = a.offer();
    let applied = a
        .negotiation
        .set_local(&SessionDescription::rollback())
        .unwrap();
    assert!(applied.rolled_back);
    assert_eq!(applied.signaling, Some(SignalingState::Stable));
    assert!(a.negotiation.needs_offer(), "the wish stays");
    assert_eq!(a.negotiation.local_description(&[], false), None);

    // A restart that is taken back goes on with what was.
    let (mut a, _) = connected();
    a.restart();
    let _ = a.offer();
    let applied = a
        .negotiation
        .set_local(&SessionDescription::rollback())
        .unwrap();
    a.generation = 0;
    assert_eq!(applied.gather.unwrap().credentials, a.credentials());
    let current = a.negotiation.local_description(&[], false).unwrap();
    assert!(current.sdp.contains("a=ice-ufrag:a000"));
}

#[test]
fn rollback_of_a_remote_offer_restores_transceivers() {
    let mut b = Side::new('b');
    let _ = b.answer(&SessionDescription::offer(include_str!(
        "../data/sdp/firefox-153.sdp"
    )));
    let before = b.negotiation.transceivers().to_vec();
    let pending = include_str!("../data/sdp/firefox-153.sdp")
        .replace("a=mid:0", "a=mid:new")
        .replace("BUNDLE 0", "BUNDLE new");
    let applied = b
        .negotiation
        .set_remote(&SessionDescription::offer(pending))
        .unwrap();
    assert!(applied.transceivers_changed);
    assert_ne!(b.negotiation.transceivers(), before);
    let applied = b
        .negotiation
        .set_remote(&SessionDescription::rollback())
        .unwrap();
    assert!(applied.transceivers_changed && applied.rolled_back);
    assert_eq!(b.negotiation.transceivers(), before);
    assert!(b.negotiation.transport().is_some());
}

/// W3C WebRTC §4.4.1.5: the polite side's offer is taken back by the offer that it meets.
#[test]
fn glare_is_ended_by_an_implicit_rollback() {
    let (mut polite, mut impolite) = (Side::new('a'), Side::new('b'));
    polite.negotiation.want_data();
    impolite.negotiation.want_data();
    let _lost = polite.offer();
    let offer = impolite.offer();
    let applied = polite.negotiation.set_remote(&offer).unwrap();
    assert!(applied.rolled_back);
    assert_eq!(applied.signaling, Some(SignalingState::HaveRemoteOffer));
    let answer = polite
        .negotiation
        .create_answer(&polite.credentials())
        .unwrap();
    let here = polite
        .negotiation
        .set_local(&answer)
        .unwrap()
        .transport
        .unwrap();
    let there = impolite
        .negotiation
        .set_remote(&answer)
        .unwrap()
        .transport
        .unwrap();
    assert_eq!(here.dtls_role, there.dtls_role.peer());
    assert!(!polite.negotiation.needs_offer());
    // Rolled back again, it is the state before both.
    let refused = impolite.refuses(&SessionDescription::rollback());
    assert!(matches!(refused, NegotiationError::WrongState { .. }));
}

/// An offer that cannot be taken must not cost the one that is pending.
#[test]
fn a_bad_offer_does_not_roll_back() {
    let mut a = Side::new('a');
    a.negotiation.want_data();
    let _ = a.offer();
    let _ = a.refuses(&edited("a=setup:actpass", "a=setup:holdconn"));
    assert_eq!(a.state(), SignalingState::HaveLocalOffer);
}

#[test]
fn provisional_answers() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let _ = b.negotiation.set_remote(&a.offer()).unwrap();
    let answer = b.negotiation.create_answer(&b.credentials()).unwrap();
    let provisional = SessionDescription::pranswer(answer.sdp.clone());
    let applied = b.negotiation.set_local(&provisional).unwrap();
    assert_eq!(applied.signaling, Some(SignalingState::HaveLocalPranswer));
    assert!(
        applied.transport.is_some(),
        "a provisional answer starts the transport"
    );
    let applied = a.negotiation.set_remote(&provisional).unwrap();
    assert_eq!(applied.signaling, Some(SignalingState::HaveRemotePranswer));
    assert!(applied.transport.is_some());
    assert!(
        a.negotiation
            .set_local(&SessionDescription::rollback())
            .is_err()
    );

    let applied = b.negotiation.set_local(&answer).unwrap();
    assert_eq!(applied.transport.unwrap().generation, 0);
    let applied = a.negotiation.set_remote(&answer).unwrap();
    assert!(!applied.transport.unwrap().ice_restart);
    assert_eq!(
        (a.state(), b.state()),
        (SignalingState::Stable, SignalingState::Stable)
    );
}

/// Should the other side have answered an offer that was taken back (its answer was lost), it knows
/// the m-line by the mid of that offer.
#[test]
fn an_offer_made_again_has_the_mid_of_the_one_taken_back() {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let lost = a.offer();
    let _ = b.answer(&lost);
    let _ = a
        .negotiation
        .set_local(&SessionDescription::rollback())
        .unwrap();
    let again = a.offer();
    let (answer, _) = b.answer(&again);
    assert!(
        a.negotiation
            .set_remote(&answer)
            .unwrap()
            .transport
            .is_some()
    );
}

/// What a provisional answer rejects, the final one may take.
#[test]
fn a_provisional_rejection_ends_nothing() {
    let (mut a, mut b) = connected();
    let offer = a.offer();
    let (answer, _) = b.answer(&offer);
    let rejected = answer
        .sdp
        .replace("m=application 9", "m=application 0")
        .replace("a=group:BUNDLE 0\r\n", "");
    let provisional = SessionDescription::pranswer(rejected.clone());
    let applied = a.negotiation.set_remote(&provisional).unwrap();
    assert!(!applied.data_rejected && applied.transport.is_none());
    assert!(a.negotiation.transport().is_some());
    let applied = a.negotiation.set_remote(&answer).unwrap();
    assert!(applied.transport.is_some());

    let _ = a.offer();
    let final_one = SessionDescription::answer(rejected);
    let applied = a.negotiation.set_remote(&final_one).unwrap();
    assert!(applied.data_rejected && a.negotiation.transport().is_none());
}

/// W3C WebRTC `[[LocalIceCredentialsToReplace]]`: the wish outlives an offer that is taken back, is
/// granted by either side's restart, and does not touch the answer to an offer without one.
#[test]
fn the_wish_for_a_restart() {
    let (mut a, mut b) = connected();
    let before = a.credentials();
    a.negotiation.restart_ice();
    assert!(a.negotiation.needs_offer());
    assert_eq!(a.negotiation.credentials_for(SdpType::Offer), None);
    a.restart();
    let _ = a.offer();
    let pending = a.credentials();
    assert_eq!(
        a.negotiation.credentials_for(SdpType::Offer),
        Some(&pending),
        "an offer made again is the same restart"
    );
    // Glare with an offer that does not restart.
    let plain = b.offer();
    let _ = a.negotiation.set_remote(&plain).unwrap();
    assert_eq!(
        a.negotiation.credentials_for(SdpType::Answer),
        Some(&before)
    );
    let answer = a.negotiation.create_answer(&before).unwrap();
    let _ = a.negotiation.set_local(&answer).unwrap();
    let _ = b.negotiation.set_remote(&answer).unwrap();
    assert!(a.negotiation.needs_offer(), "still wanted");

    b.restart();
    let _ = exchange(&mut b, &mut a);
    assert!(!a.negotiation.needs_offer(), "granted by the other side");
}
