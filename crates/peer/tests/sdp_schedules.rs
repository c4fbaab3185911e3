//! Perfect negotiation (W3C WebRTC §10.7) between two ends over a signalling path that delays: offers,
//! answers, candidates, glare, rollback and restarts in random order.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::collections::VecDeque;

use peerloom::jsep::{CandidateUse, LocalParameters, Negotiation, Transport};
use peerloom::{IceCandidate, SdpType, SessionDescription, SignalingState};
use peerloom_dtls::{Fingerprint, HashAlgorithm};
use peerloom_ice::Credentials;

/// 1,000 schedules. Both ends must come to rest in `stable`, in the same generation, with opposite
/// roles that never changed, each knowing the other's credentials and candidates.
#[test]
fn any_schedule_ends_stable_and_agreed() {
    let (mut glare, mut restarts) = (0, 0);
    for seed in 1..=1000 {
        let mut world = World::new(seed);
        for _ in 0..40 {
            world.step();
        }
        world.settle();
        glare += world.glare;
        restarts += world.check(seed);
    }
    // The schedules are worth something.
    assert!(glare > 200, "{glare}");
    assert!(restarts > 1000, "{restarts}");
}

enum Signal {
    Description(SessionDescription),
    Candidate(IceCandidate),
}

struct End {
    negotiation: Negotiation,
    polite: bool,
    name: char,
    /// Counts credentials.
    generation: u32,
    /// The last offer of the other end was ignored: so are its candidates.
    ignoring: bool,
    transport: Option<Transport>,
    /// Candidates that the ICE agent was given.
    candidates: Vec<IceCandidate>,
    inbox: VecDeque<Signal>,
}

struct World {
    ends: [End; 2],
    random: u64,
    glare: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let ends = [End::new('a', true), End::new('b', false)];
        Self {
            ends,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            glare: 0,
        }
    }

    /// xorshift64*.
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) % below
    }

    fn step(&mut self) {
        let me = usize::from(self.random(2) == 1);
        match self.random(8) {
            0 => self.ends[me].negotiation.want_data(),
            1 => self.ends[me].negotiation.restart_ice(),
            2 => self.offer(me),
            3 if self.ends[me].negotiation.signaling_state() == SignalingState::HaveLocalOffer => {
                // An application that changes its mind; what it offered is already on its way, so
                // only where nobody has seen it.
                let unseen = matches!(
                    self.ends[1 - me].inbox.back(),
                    Some(Signal::Description(last)) if last.kind == SdpType::Offer
                );
                if unseen {
                    self.ends[1 - me].inbox.pop_back();
                    self.ends[me].rollback();
                }
            }
            _ => self.deliver(me),
        }
    }

    /// Everything arrives, and what is still wanted is negotiated.
    fn settle(&mut self) {
        self.ends[0].negotiation.want_data();
        while self
            .ends
            .iter()
            .any(|end| !end.inbox.is_empty() || end.negotiation.needs_offer())
        {
            for me in 0..2 {
                while !self.ends[me].inbox.is_empty() {
                    self.deliver(me);
                }
                self.offer(me);
            }
        }
    }

    fn offer(&mut self, me: usize) {
        let end = &mut self.ends[me];
        if !end.negotiation.needs_offer() {
            return;
        }
        let credentials = end.credentials(SdpType::Offer);
        let offer = end.negotiation.create_offer(&credentials).unwrap();
        let _ = end.negotiation.set_local(&offer).unwrap();
        let candidate = end.candidate();
        let inbox = &mut self.ends[1 - me].inbox;
        inbox.push_back(Signal::Description(offer));
        inbox.extend(candidate.map(Signal::Candidate));
    }

    fn deliver(&mut self, me: usize) {
        let end = &mut self.ends[me];
        let description = match end.inbox.pop_front() {
            None => return,
            Some(Signal::Candidate(candidate)) => {
                match end.negotiation.add_candidate(&candidate) {
                    Ok(CandidateUse::Now) => end.candidates.push(candidate),
                    Ok(CandidateUse::Held | CandidateUse::Ignored) => {}
                    Err(error) => assert!(end.ignoring, "{error}"),
                }
                return;
            }
            Some(Signal::Description(description)) => description,
        };
        let collision = description.kind == SdpType::Offer
            && end.negotiation.signaling_state() != SignalingState::Stable;
        self.glare += u32::from(collision);
        end.ignoring = collision && !end.polite;
        if end.ignoring {
            return;
        }
        let applied = end.negotiation.set_remote(&description).unwrap();
        end.apply(applied.transport, applied.candidates);
        if description.kind == SdpType::Offer {
            let credentials = end.credentials(SdpType::Answer);
            let answer = end.negotiation.create_answer(&credentials).unwrap();
            let applied = end.negotiation.set_local(&answer).unwrap();
            end.apply(applied.transport, applied.candidates);
            let candidate = end.candidate();
            let inbox = &mut self.ends[1 - me].inbox;
            inbox.push_back(Signal::Description(answer));
            inbox.extend(candidate.map(Signal::Candidate));
        }
    }

    /// Returns the number of restarts.
    fn check(&self, seed: u64) -> u32 {
        let [a, b] = &self.ends;
        for end in &self.ends {
            assert_eq!(
                end.negotiation.signaling_state(),
                SignalingState::Stable,
                "{seed}"
            );
        }
        let (ours, theirs) = (a.transport.as_ref().unwrap(), b.transport.as_ref().unwrap());
        assert_eq!(ours.generation, theirs.generation, "{seed}");
        assert_eq!(ours.dtls_role, theirs.dtls_role.peer(), "{seed}");
        assert_ne!(ours.ice_role, theirs.ice_role, "{seed}");
        assert_eq!(ours.local_credentials, theirs.remote_credentials, "{seed}");
        assert_eq!(ours.remote_credentials, theirs.local_credentials, "{seed}");
        for (end, other) in [(a, b), (b, a)] {
            let current = &other.transport.as_ref().unwrap().local_credentials;
            let of_current = |candidate: &&IceCandidate| {
                candidate.username_fragment.as_deref() == Some(current.ufrag())
            };
            assert!(
                end.candidates.iter().any(|one| of_current(&one)),
                "{seed}: no candidate"
            );
        }
        ours.generation
    }
}

impl End {
    fn new(name: char, polite: bool) -> Self {
        let fingerprint = Fingerprint::of(name.to_string().as_bytes(), HashAlgorithm::Sha256);
        Self {
            negotiation: Negotiation::new(LocalParameters::new(vec![fingerprint]), name.into()),
            polite,
            name,
            generation: 0,
            ignoring: false,
            transport: None,
            candidates: Vec::new(),
            inbox: VecDeque::new(),
        }
    }

    /// Those in effect, or new ones where the negotiation asks for them.
    fn credentials(&mut self, kind: SdpType) -> Credentials {
        if let Some(kept) = self.negotiation.credentials_for(kind) {
            return kept.clone();
        }
        self.generation += 1;
        let text = format!("{}{:03}", self.name, self.generation);
        Credentials::new(&text, &text.repeat(6)).unwrap()
    }

    fn candidate(&self) -> Option<IceCandidate> {
        let candidate = "candidate:1 1 udp 2122260223 192.0.2.1 5001 typ host";
        self.negotiation
            .local_candidate(&candidate.parse().unwrap())
    }

    fn rollback(&mut self) {
        let applied = self
            .negotiation
            .set_local(&SessionDescription::rollback())
            .unwrap();
        assert!(applied.rolled_back);
    }

    fn apply(&mut self, transport: Option<Transport>, candidates: Vec<IceCandidate>) {
        if let Some(new) = transport {
            if let Some(old) = &self.transport {
                assert_eq!(new.dtls_role, old.dtls_role);
                assert_eq!(new.ice_role, old.ice_role);
                assert_eq!(new.generation, old.generation + u32::from(new.ice_restart));
            }
            self.transport = Some(new);
        }
        self.candidates.extend(candidates);
    }
}
