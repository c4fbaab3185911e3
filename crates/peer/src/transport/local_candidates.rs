//! Local candidates in signalling's form, for descriptions and events, and how far gathering is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use peerloom_ice::Candidate;

use super::shared::{Shared, change};
use crate::event::{Event, IceGatheringState, Queued};
use crate::signaling::IceCandidate;

/// What the driver has found so far.
#[derive(Debug, Default)]
pub(crate) struct LocalCandidates {
    section: Mutex<LocalSection>,
    /// How often descriptions asked to gather. The driver comes to it later, so a gathering of a
    /// lower number is not the one that was asked for.
    asked: AtomicU32,
}

#[derive(Debug, Default)]
struct LocalSection {
    /// A candidate without its text: section and generation.
    section: IceCandidate,
    candidates: Vec<IceCandidate>,
}

/// A gathering, as the driver reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gathering {
    /// Counts from 1.
    number: u32,
    state: IceGatheringState,
}

impl Default for Gathering {
    fn default() -> Self {
        Gathering {
            number: 0,
            state: IceGatheringState::New,
        }
    }
}

impl LocalCandidates {
    /// A description that was set asks to gather: the number of this gathering.
    pub(crate) fn ask(&self) -> u32 {
        self.asked.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether gathering was ever asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire) > 0
    }

    /// Those known so far, of whatever generation is in effect.
    pub(crate) fn list(&self) -> Vec<IceCandidate> {
        self.lock().candidates.clone()
    }

    fn lock(&self) -> MutexGuard<'_, LocalSection> {
        self.section.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The state of the gathering that was asked for last.
    pub(crate) fn gathering_state(&self, reported: Gathering) -> IceGatheringState {
        let asked = self.candidates.asked.load(Ordering::Acquire);
        if reported.number < asked {
            IceGatheringState::Gathering
        } else {
            reported.state
        }
    }

    /// The gathering of this number has begun or is complete. Reported by the driver alone.
    pub(crate) fn set_gathering(&self, number: u32, state: IceGatheringState) {
        change(&self.states.gathering, Gathering { number, state }, || {
            self.events
                .push(Queued::Plain(Event::IceGatheringState(state)));
        });
    }

    /// Those of another generation are gone.
    pub(crate) fn clear_local_candidates(&self) {
        self.candidates.lock().candidates.clear();
        self.events.discard_candidates();
    }

    /// Says which section and generation candidates belong to. Where they were found for another
    /// section (an offer that was taken back), they are told again.
    pub(crate) fn describe_local_candidates(&self, section: IceCandidate) {
        let again = {
            let mut local = self.candidates.lock();
            if local.section == section {
                return;
            }
            for candidate in &mut local.candidates {
                let candidate_text = std::mem::take(&mut candidate.candidate);
                *candidate = IceCandidate {
                    candidate: candidate_text,
                    ..section.clone()
                };
            }
            local.section = section;
            local.candidates.clone()
        };
        if again.is_empty() {
            return;
        }
        self.events.discard_candidates();
        for candidate in again {
            self.events
                .push(Queued::Plain(Event::IceCandidate(Some(candidate))));
        }
        if self.states.gathering.borrow().state == IceGatheringState::Complete {
            self.events.push(Queued::Plain(Event::IceCandidate(None)));
        }
    }

    /// A local candidate was found.
    pub(crate) fn add_local_candidate(&self, candidate: &Candidate) {
        let candidate = {
            let mut local = self.candidates.lock();
            let candidate = IceCandidate {
                candidate: candidate.to_string(),
                ..local.section.clone()
            };
            local.candidates.push(candidate.clone());
            candidate
        };
        self.events
            .push(Queued::Plain(Event::IceCandidate(Some(candidate))));
    }
}
