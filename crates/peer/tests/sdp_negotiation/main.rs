//! Offer and answer as a state machine: what is agreed, what is refused, and what a refusal leaves.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

mod again;
mod agreement;
mod answers;
mod bundle;
mod candidates;
mod local;
mod undo;

use peerloom::jsep::{
    Applied, CandidateUse, Limits, LocalParameters, Negotiation, NegotiationError, Operation,
    Source,
};
use peerloom::sdp::{Attribute, Description, Setup};
use peerloom::{IceCandidate, Rejection, SdpType, SessionDescription, SignalingState};
use peerloom_dtls::{Fingerprint, HashAlgorithm, Role};
use peerloom_ice::Credentials;

/// One end: its negotiation and its ICE credentials, which a restart changes.
struct Side {
    negotiation: Negotiation,
    name: char,
    generation: u32,
}

impl Side {
    fn new(name: char) -> Self {
        Self::with(name, |_| {})
    }

    fn with(name: char, change: impl FnOnce(&mut LocalParameters)) -> Self {
        let certificate = name.to_string();
        let fingerprint = Fingerprint::of(certificate.as_bytes(), HashAlgorithm::Sha256);
        let mut local = LocalParameters::new(vec![fingerprint]);
        change(&mut local);
        Self {
            negotiation: Negotiation::new(local, name.into()),
            name,
            generation: 0,
        }
    }

    fn credentials(&self) -> Credentials {
        let text = format!("{}{:03}", self.name, self.generation);
        Credentials::new(&text, &text.repeat(6)).unwrap()
    }

    fn restart(&mut self) {
        self.generation += 1;
    }

    fn offer(&mut self) -> SessionDescription {
        let offer = self.negotiation.create_offer(&self.credentials()).unwrap();
        let _ = self.negotiation.set_local(&offer).unwrap();
        offer
    }

    /// Sets the offer and answers it.
    fn answer(&mut self, offer: &SessionDescription) -> (SessionDescription, Applied) {
        let _ = self.negotiation.set_remote(offer).unwrap();
        if self.negotiation.needs_new_credentials() {
            self.restart();
        }
        let answer = self.negotiation.create_answer(&self.credentials()).unwrap();
        let applied = self.negotiation.set_local(&answer).unwrap();
        (answer, applied)
    }

    fn state(&self) -> SignalingState {
        self.negotiation.signaling_state()
    }

    /// The call fails, and nothing has changed.
    fn refuses(&mut self, description: &SessionDescription) -> NegotiationError {
        let before = format!("{:?}", self.negotiation);
        let error = self.negotiation.set_remote(description).unwrap_err();
        assert_eq!(
            format!("{:?}", self.negotiation),
            before,
            "changed by {error}"
        );
        error
    }
}

fn exchange(offerer: &mut Side, answerer: &mut Side) -> (Applied, Applied) {
    let offer = offerer.offer();
    let (answer, there) = answerer.answer(&offer);
    let here = offerer.negotiation.set_remote(&answer).unwrap();
    (here, there)
}

fn connected() -> (Side, Side) {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let _ = exchange(&mut a, &mut b);
    (a, b)
}

/// A data offer of somebody else, with these lines replaced.
fn edited(from: &str, to: &str) -> SessionDescription {
    let mut a = Side::new('a');
    a.negotiation.want_data();
    let offer = a.offer().sdp;
    assert!(offer.contains(from), "{from} not in {offer}");
    SessionDescription::offer(offer.replace(from, to))
}

fn answered(offer: &SessionDescription) -> Applied {
    Side::new('b').answer(offer).1
}

fn refused(offer: &SessionDescription) -> String {
    Side::new('b').refuses(offer).to_string()
}

const CHROMIUM: &str = include_str!("../data/sdp/chromium-156.sdp");
