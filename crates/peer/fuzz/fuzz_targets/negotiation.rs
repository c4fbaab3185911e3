//! Sequences of operations on two negotiations that talk to each other, with descriptions and
//! candidates cut, mixed up and from elsewhere: no panic, a refusal changes nothing, and two ends
//! that both have a transport disagree about who is DTLS client.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom::jsep::{LocalParameters, Negotiation};
use peerloom::{IceCandidate, SdpType, SessionDescription, SignalingState};
use peerloom_dtls::{Fingerprint, HashAlgorithm};
use peerloom_ice::Credentials;

fuzz_target!(|data: &[u8]| {
    let side = |id: u64| {
        let fingerprint = Fingerprint::of(&id.to_be_bytes(), HashAlgorithm::Sha256);
        Negotiation::new(LocalParameters::new(vec![fingerprint]), id)
    };
    let mut sides = [side(1), side(2)];
    let mut generations = [0u8; 2];
    // What each side made last.
    let mut made: [Option<SessionDescription>; 2] = [None, None];

    for pair in data.chunks_exact(2).take(64) {
        let (operation, value) = (pair[0] >> 1, pair[1]);
        let (me, other) = (usize::from(pair[0] & 1), usize::from(!pair[0] & 1));
        let name = format!("{me}{:03}", generations[me]);
        let credentials = Credentials::new(&name, &name.repeat(6)).expect("valid");
        let before = format!("{:?}", sides[me]);
        let negotiation = &mut sides[me];
        let refused = match operation % 12 {
            0 => {
                negotiation.want_data();
                false
            }
            1 => {
                generations[me] = generations[me].wrapping_add(1);
                false
            }
            2 => {
                let credentials = chosen(negotiation, SdpType::Offer, credentials, value);
                let offer = negotiation.create_offer(&credentials);
                made[me] = offer.ok().or(made[me].take());
                false
            }
            3 => {
                let credentials = chosen(negotiation, SdpType::Answer, credentials, value);
                let answer = negotiation.create_answer(&credentials);
                made[me] = answer.ok().or(made[me].take());
                false
            }
            4 => made[me]
                .as_ref()
                .is_some_and(|made| negotiation.set_local(made).is_err()),
            5 => made[other]
                .as_ref()
                .is_some_and(|made| negotiation.set_remote(made).is_err()),
            6 => negotiation
                .set_local(&SessionDescription::rollback())
                .is_err(),
            7 => made[other].as_ref().is_some_and(|made| {
                let kind =
                    [SdpType::Offer, SdpType::Answer, SdpType::Pranswer][usize::from(value % 3)];
                let mut sdp = made.sdp.clone();
                if value > 127 {
                    let lines: Vec<&str> = sdp.split_inclusive('\n').collect();
                    let left_out = usize::from(value) % lines.len();
                    sdp = [&lines[..left_out], &lines[left_out + 1..]]
                        .concat()
                        .concat();
                }
                negotiation
                    .set_remote(&SessionDescription { kind, sdp })
                    .is_err()
            }),
            8 => {
                let candidate = IceCandidate {
                    candidate: "candidate:1 1 udp 1 192.0.2.1 1 typ host".into(),
                    sdp_mid: (value & 1 == 0).then(|| (value >> 4).to_string()),
                    sdp_m_line_index: Some(u16::from(value >> 4)),
                    username_fragment: (value & 2 == 0)
                        .then(|| format!("{other}{:03}", value >> 6)),
                };
                negotiation.add_candidate(&candidate).is_err()
            }
            9 => {
                negotiation.restart_ice();
                false
            }
            10 => {
                let mut sdp = made[other]
                    .as_ref()
                    .map_or(String::new(), |made| made.sdp.clone());
                // The data section rejected, in an offer or an answer.
                sdp = sdp.replace("m=application 9", "m=application 0");
                sdp = sdp.replace("a=group:BUNDLE 0\r\n", "");
                let kind =
                    [SdpType::Offer, SdpType::Answer, SdpType::Pranswer][usize::from(value % 3)];
                negotiation
                    .set_remote(&SessionDescription { kind, sdp })
                    .is_err()
            }
            _ => {
                let shown = negotiation.local_description(&[], value & 1 == 0);
                assert!(
                    shown.is_none_or(|shown| peerloom::sdp::Description::parse(&shown.sdp).is_ok())
                );
                false
            }
        };
        if refused {
            assert_eq!(format!("{:?}", sides[me]), before);
        }
        let [a, b] = &sides;
        let said = |side: &Negotiation| side.local_description(&[], false);
        if a.signaling_state() == SignalingState::Stable
            && b.signaling_state() == SignalingState::Stable
            // Only if both completed the same exchange: an answer may have been lost or refused.
            && said(a) == b.remote_description()
            && said(b) == a.remote_description()
            && let (Some(a), Some(b)) = (a.transport(), b.transport())
        {
            assert_ne!(a.dtls_role, b.dtls_role);
        }
    }
});

/// What the negotiation asks for, as a connection does it; or whatever comes, for odd values.
fn chosen(negotiation: &Negotiation, kind: SdpType, fresh: Credentials, value: u8) -> Credentials {
    match negotiation.credentials_for(kind) {
        Some(kept) if value & 1 == 0 => kept.clone(),
        _ => fresh,
    }
}
