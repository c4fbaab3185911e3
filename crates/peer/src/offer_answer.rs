//! Offer and answer of one connection: the negotiation, and what its outcome asks of the driver.
//!
//! It holds no handle, so that a [`Negotiator`](crate::Negotiator) does not keep the connection
//! alive. Nothing here waits: each operation is one hold of a lock that is never held together with
//! the data path's, which is what W3C WebRTC §4.4.1.2 needs its chain of operations for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerloom_ice::Credentials;

use crate::error::Error;
use crate::event::{Event, IceGatheringState, Queued};
use crate::jsep::{Applied, CandidateUse, Negotiation, NegotiationError, SignalingState};
use crate::signaling::{IceCandidate, SdpType, SessionDescription};
use crate::transceiver::Transceiver;
use crate::transport::described::{Described, Gather, RemoteParameters};
use crate::transport::driver::Command;
use crate::transport::dtls::DtlsParameters;
use crate::transport::ice::IceParameters;
use crate::transport::shared::Shared;
use crate::transport::supervisor;

#[derive(Clone, Debug)]
pub(crate) struct OfferAnswer {
    pub(crate) shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    negotiation: Negotiation,
    /// What the ICE agent began with, for the first description.
    first_credentials: Credentials,
    /// W3C WebRTC `[[NegotiationNeeded]]`: the event was fired and nothing has come of it yet.
    needed: bool,
}

impl OfferAnswer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        negotiation: Negotiation,
        first_credentials: Credentials,
    ) -> Self {
        OfferAnswer {
            shared,
            state: Arc::new(Mutex::new(State {
                negotiation,
                first_credentials,
                needed: false,
            })),
        }
    }

    pub(crate) fn want_data(&self) {
        let mut state = self.lock();
        state.negotiation.want_data();
        self.update_needed(&mut state);
    }

    pub(crate) fn restart_ice(&self) -> Result<(), Error> {
        self.alive()?;
        let mut state = self.lock();
        state.negotiation.restart_ice();
        self.update_needed(&mut state);
        Ok(())
    }

    pub(crate) fn create(&self, kind: SdpType) -> Result<SessionDescription, Error> {
        self.alive()?;
        let mut state = self.lock();
        let credentials = state.credentials(kind)?;
        let negotiation = &mut state.negotiation;
        match kind {
            SdpType::Offer => negotiation.create_offer(&credentials),
            SdpType::Pranswer | SdpType::Answer | SdpType::Rollback => {
                negotiation.create_answer(&credentials)
            }
        }
        .map_err(refused)
    }

    /// `None` is what the state asks for (W3C WebRTC §4.4.1.5).
    pub(crate) fn set_local(&self, description: Option<SessionDescription>) -> Result<(), Error> {
        self.shared.ready_for_command()?;
        let mut state = self.lock();
        let mut description = description.unwrap_or_else(|| SessionDescription {
            kind: state.negotiation.implied_kind(),
            sdp: String::new(),
        });
        if description.sdp.is_empty() && description.kind != SdpType::Rollback {
            let implied = state.negotiation.implied_kind();
            let credentials = state.credentials(implied)?;
            let made = state.negotiation.create_implied(&credentials);
            description.sdp = made.map_err(refused)?.sdp;
        }
        let applied = state.negotiation.set_local(&description).map_err(refused)?;
        self.apply(&mut state, applied);
        Ok(())
    }

    pub(crate) fn set_remote(&self, description: &SessionDescription) -> Result<(), Error> {
        self.shared.ready_for_command()?;
        let mut state = self.lock();
        let applied = state.negotiation.set_remote(description).map_err(refused)?;
        self.apply(&mut state, applied);
        Ok(())
    }

    pub(crate) fn add_candidate(&self, candidate: &IceCandidate) -> Result<(), Error> {
        self.shared.ready_for_command()?;
        let mut state = self.lock();
        match state
            .negotiation
            .add_candidate(candidate)
            .map_err(refused)?
        {
            CandidateUse::Held | CandidateUse::Ignored => Ok(()),
            CandidateUse::Now if candidate.is_end_of_candidates() => {
                self.shared.command(Command::EndOfCandidates)
            }
            CandidateUse::Now => self.shared.command(Command::Candidate(parse(candidate)?)),
        }
    }

    pub(crate) fn local_description(&self) -> Option<SessionDescription> {
        let complete = self.gathering_state() == IceGatheringState::Complete;
        let candidates = self.shared.candidates.list();
        let state = self.lock();
        state.negotiation.local_description(&candidates, complete)
    }

    pub(crate) fn remote_description(&self) -> Option<SessionDescription> {
        self.lock().negotiation.remote_description()
    }

    /// The mark behind the last local candidate.
    pub(crate) fn end_of_candidates(&self) -> Option<IceCandidate> {
        self.lock().negotiation.local_end_of_candidates()
    }

    /// Whether the local description has no transport: every section of it is rejected.
    pub(crate) fn nothing_to_gather(&self) -> bool {
        let negotiation = &self.lock().negotiation;
        negotiation.local_end_of_candidates().is_none()
            && negotiation.local_description(&[], false).is_some()
    }

    pub(crate) fn signaling_state(&self) -> SignalingState {
        self.lock().negotiation.signaling_state()
    }

    pub(crate) fn needs_offer(&self) -> bool {
        self.lock().negotiation.needs_offer()
    }

    pub(crate) fn transceivers(&self) -> Vec<Transceiver> {
        self.lock().negotiation.transceivers().to_vec()
    }

    pub(crate) fn gathering_state(&self) -> IceGatheringState {
        self.shared
            .gathering_state(*self.shared.states.gathering.borrow())
    }

    /// Acts on a description that was set. Within the lock, so that the driver hears of one
    /// description after the other.
    fn apply(&self, state: &mut State, applied: Applied) {
        let shared = &self.shared;
        let stable = applied.signaling == Some(SignalingState::Stable);
        if let Some(signaling) = applied.signaling {
            shared
                .events
                .push(Queued::Plain(Event::SignalingState(signaling)));
        }
        if applied.transceivers_changed {
            shared
                .events
                .push(Queued::Plain(Event::TransceiversChanged));
        }
        let described = self.described(&state.negotiation, applied);
        shared.push_command(Command::Described(Box::new(described)));
        // W3C WebRTC §4.4.1.5: with an exchange done, what is still needed is a new need.
        state.needed &= !stable;
        self.update_needed(state);
    }

    fn described(&self, negotiation: &Negotiation, applied: Applied) -> Described {
        let shared = &self.shared;
        let gather = applied.gather.and_then(|gather| {
            let gather = match (gather.restart, applied.rolled_back) {
                (true, true) => Gather::RollBack(gather.credentials),
                (true, false) => Gather::Restart(gather.credentials),
                // For these credentials gathering has begun with an offer that was taken back.
                (false, _) if shared.candidates.is_asked() => return None,
                (false, _) => Gather::First,
            };
            Some((shared.candidates.ask(), gather))
        });
        let remote = applied.transport.map(|transport| {
            let max = transport.remote_max_message_size.unwrap_or(u64::MAX);
            let max_message_size = usize::try_from(max).unwrap_or(usize::MAX);
            shared.set_remote_max_message_size(max_message_size);
            RemoteParameters {
                ice: IceParameters {
                    generation: transport.generation,
                    role: transport.ice_role,
                    credentials: transport.remote_credentials,
                    lite: transport.remote_lite,
                },
                dtls: DtlsParameters {
                    role: transport.dtls_role,
                    fingerprints: transport.fingerprints,
                },
                max_message_size,
            }
        });
        let parsed = applied.candidates.iter().filter_map(|candidate| {
            // Part of a description that is set: what cannot be used is left out.
            parse(candidate)
                .inspect_err(|error| tracing::debug!(%error, "candidate left out"))
                .ok()
        });
        Described {
            section: negotiation.local_end_of_candidates(),
            gather,
            remote,
            candidates: parsed.collect(),
            end_of_candidates: applied.end_of_candidates,
            data_rejected: applied.data_rejected,
        }
    }

    /// W3C WebRTC §4.7.3. There is no chain of operations to wait for: they do not overlap.
    fn update_needed(&self, state: &mut State) {
        if state.negotiation.signaling_state() != SignalingState::Stable {
            return;
        }
        let needed = state.negotiation.needs_offer();
        if needed && !state.needed {
            self.shared
                .events
                .push(Queued::Plain(Event::NegotiationNeeded));
        }
        state.needed = needed;
    }

    fn alive(&self) -> Result<(), Error> {
        self.shared
            .reason()
            .map_or(Ok(()), |reason| Err(Error::Closed(reason)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A negotiation changes only when a call succeeds, so it is whole even after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Our ICE credentials for the next description of this kind.
    fn credentials(&self, kind: SdpType) -> Result<Credentials, Error> {
        if let Some(kept) = self.negotiation.credentials_for(kind) {
            return Ok(kept.clone());
        }
        if self.negotiation.is_described() {
            Ok(Credentials::from_seed(supervisor::random()?))
        } else {
            Ok(self.first_credentials.clone())
        }
    }
}

fn parse(candidate: &IceCandidate) -> Result<peerloom_ice::Candidate, Error> {
    candidate
        .candidate
        .parse()
        .map_err(|error| Error::Candidate {
            candidate: candidate.candidate.chars().take(200).collect(),
            why: format!("{error}"),
        })
}

fn refused(error: NegotiationError) -> Error {
    Error::Negotiation(Arc::new(error))
}
