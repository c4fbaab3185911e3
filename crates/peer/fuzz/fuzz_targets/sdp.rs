//! A description that is read comes out such that it reads the same; a fresh negotiation takes it
//! or refuses it unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom::SessionDescription;
use peerloom::jsep::{LocalParameters, Negotiation};
use peerloom::sdp::Description;
use peerloom_dtls::{Fingerprint, HashAlgorithm};
use peerloom_ice::Credentials;

fuzz_target!(|text: &str| {
    if let Ok(description) = Description::parse(text) {
        let written = description.to_string();
        assert_eq!(Description::parse(&written).as_ref(), Ok(&description));
        assert_eq!(
            Description::parse(&written).map(|again| again.to_string()),
            Ok(written)
        );
    }

    let fingerprint = Fingerprint::of(b"certificate", HashAlgorithm::Sha256);
    let mut negotiation = Negotiation::new(LocalParameters::new(vec![fingerprint]), 1);
    let before = format!("{negotiation:?}");
    let offer = SessionDescription::offer(text);
    if negotiation.set_remote(&offer).is_err() {
        assert_eq!(format!("{negotiation:?}"), before);
        return;
    }
    let credentials = Credentials::new("ourufrag", "ourpasswordourpassword").expect("valid");
    let answer = negotiation
        .create_answer(&credentials)
        .expect("an offer that was taken");
    let _ = negotiation
        .set_local(&answer)
        .expect("the answer just made");
    assert!(Description::parse(&answer.sdp).is_ok());
    // What is in effect is a base for the same offer.
    let _ = negotiation.set_remote(&offer);
});
