//! Negotiation of a session (JSEP, RFC 9429) without I/O: descriptions in, descriptions out, and
//! [`Applied`], which says what the connection has to do about it.
//!
//! One m-section is ever accepted: the data channels'. Audio and video of a remote offer are kept as
//! [transceivers](crate::Transceiver) and answered with port 0; where they had the BUNDLE tag, it
//! moves on to the data section (RFC 9143 §7.3). There is one transport, so BUNDLE is max-bundle
//! and RTCP would be multiplexed.
//!
//! Remote transport parameters take effect with the answer, not with the offer: until then they
//! can be taken back, and a rollback has nothing to undo outside of this module.
//!
//! Every error leaves the negotiation as it was. What it is not: the queue that runs one operation
//! at a time, and the decision who gives way in glare; those are the connection's.
//!
//! ```
//! use peerloom::jsep::{LocalParameters, Negotiation};
//! use peerloom_dtls::{Fingerprint, HashAlgorithm};
//! use peerloom_ice::Credentials;
//!
//! let side = |certificate: &[u8], id| {
//!     let fingerprint = Fingerprint::of(certificate, HashAlgorithm::Sha256);
//!     Negotiation::new(LocalParameters::new(vec![fingerprint]), id)
//! };
//! let (mut a, mut b) = (side(b"one", 1), side(b"other", 2));
//! let credentials = |ufrag| Credentials::new(ufrag, "0123456789012345678901").unwrap();
//!
//! a.want_data();
//! let offer = a.create_offer(&credentials("aaaa"))?;
//! assert!(a.set_local(&offer)?.gather.is_some());
//! assert!(b.set_remote(&offer)?.transport.is_none());
//! let answer = b.create_answer(&credentials("bbbb"))?;
//! let here = b.set_local(&answer)?.transport.unwrap();
//! let there = a.set_remote(&answer)?.transport.unwrap();
//! assert_eq!(here.dtls_role, there.dtls_role.peer());
//! assert_eq!(here.remote_credentials.ufrag(), "aaaa");
//! # Ok::<(), peerloom::jsep::NegotiationError>(())
//! ```

mod apply;
mod build;
mod candidates;
mod error;
mod needed;
mod parameters;
mod remote;
mod session;
mod state;

use std::fmt;
use std::sync::Arc;

use peerloom_dtls::Setup;
use peerloom_ice::Credentials;

pub use error::{NegotiationError, Operation};
pub use parameters::{Applied, CandidateUse, Dropped, Gather, Limits, LocalParameters, Transport};
pub use state::{SignalingState, Source};

use crate::sdp::{Description, Token};
use crate::{SdpType, SessionDescription, Transceiver};
use remote::RemoteTransport;
use session::{Kept, Purpose, Section, Session};

/// Both sides' descriptions of one connection, and what they amount to.
#[derive(Debug)]
pub struct Negotiation {
    local: LocalParameters,
    limits: Limits,
    session_id: u64,
    state: SignalingState,
    wants_data: bool,
    /// Our ICE credentials that the next offer is to replace (W3C WebRTC
    /// `[[LocalIceCredentialsToReplace]]`). The wish outlives an offer that is rolled back.
    replace: Vec<Credentials>,
    session: Session,
    /// What a rollback returns to; `Some` while an exchange is under way.
    before: Option<Box<Session>>,
    /// The last one made, as long as it can be set.
    created: Option<Created>,
    /// The last one made at all, for the version in `o=`.
    last: Option<Description>,
    held: Vec<crate::IceCandidate>,
    dropped: Dropped,
}

/// A description of ours that waits to be set.
struct Created {
    kind: SdpType,
    text: String,
    description: Arc<Description>,
    sections: Vec<Section>,
    credentials: Credentials,
    /// Of an answer with a transport.
    setup: Option<Setup>,
}

impl fmt::Debug for Created {
    /// Without the text, which holds the ICE password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Created")
            .field("kind", &self.kind)
            .field("description", &self.description)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl Negotiation {
    /// A new session. `seed` is random; it becomes the session id, which must not repeat.
    pub fn new(local: LocalParameters, seed: u64) -> Self {
        Self::with_limits(local, Limits::default(), seed)
    }

    /// A new session with limits of its own.
    pub fn with_limits(local: LocalParameters, limits: Limits, seed: u64) -> Self {
        Self {
            local,
            limits,
            // RFC 9429 §5.2.1: 64 bits, the highest zero.
            session_id: seed >> 1,
            state: SignalingState::Stable,
            wants_data: false,
            replace: Vec::new(),
            session: Session::default(),
            before: None,
            created: None,
            last: None,
            held: Vec::new(),
            dropped: Dropped::default(),
        }
    }

    /// The state of the exchange.
    pub fn signaling_state(&self) -> SignalingState {
        self.state
    }

    /// Audio and video m-sections, in their order; those of a pending offer included.
    pub fn transceivers(&self) -> &[Transceiver] {
        &self.session.transceivers
    }

    /// The transport of the last answer.
    pub fn transport(&self) -> Option<&Transport> {
        self.session.agreed.as_ref()
    }

    /// What is left out.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// The connection has ended: nothing can be set any more.
    pub fn close(&mut self) {
        self.state = SignalingState::Closed;
        self.held = Vec::new();
        self.created = None;
    }

    /// What `set_local_description` without a description means now (W3C WebRTC §4.4.1.5).
    pub fn implied_kind(&self) -> SdpType {
        if self.is_answering() {
            SdpType::Answer
        } else {
            SdpType::Offer
        }
    }

    /// Makes an offer. Credentials other than those in effect restart ICE.
    ///
    /// # Errors
    /// In a state that allows no offer, or when there are as many m-lines as can be.
    pub fn create_offer(
        &mut self,
        credentials: &Credentials,
    ) -> Result<SessionDescription, NegotiationError> {
        self.allow(
            matches!(
                self.state,
                SignalingState::Stable | SignalingState::HaveLocalOffer
            ),
            Operation::Create(SdpType::Offer),
        )?;
        let mut sections = self.session.sections.clone();
        if self.wants_data && !sections.iter().any(Section::is_data) {
            self.add_data_section(&mut sections)?;
        }
        Ok(self.create(SdpType::Offer, sections, credentials, Some(Setup::OFFER)))
    }

    /// Makes the answer to the pending offer. Credentials must be new exactly if the offer restarts
    /// ICE, see [`needs_new_credentials`](Self::needs_new_credentials).
    ///
    /// # Errors
    /// Without a pending remote offer, or with credentials that the offer does not allow.
    pub fn create_answer(
        &mut self,
        credentials: &Credentials,
    ) -> Result<SessionDescription, NegotiationError> {
        self.allow(self.is_answering(), Operation::Create(SdpType::Answer))?;
        let mut setup = None;
        if let Some(remote) = &self.session.remote {
            let must_change = self.needs_new_credentials();
            if self.session.agreed.is_some() && self.restarts(credentials) != must_change {
                let kind = SdpType::Answer;
                return Err(NegotiationError::LocalCredentials { kind, must_change });
            }
            setup = Some(self.answer_setup(remote)?);
        }
        let sections = self.session.sections.clone();
        Ok(self.create(SdpType::Answer, sections, credentials, setup))
    }

    /// Makes what [`implied_kind`](Self::implied_kind) says.
    ///
    /// # Errors
    /// Those of [`create_offer`](Self::create_offer) and [`create_answer`](Self::create_answer).
    pub fn create_implied(
        &mut self,
        credentials: &Credentials,
    ) -> Result<SessionDescription, NegotiationError> {
        if self.is_answering() {
            self.create_answer(credentials)
        } else {
            self.create_offer(credentials)
        }
    }

    /// Sets a description of ours: the one that was created last, of this kind (an answer can be
    /// set as a pranswer). An empty `sdp` stands for it.
    ///
    /// # Errors
    /// In a state that does not allow it, or when it is another description.
    pub fn set_local(
        &mut self,
        description: &SessionDescription,
    ) -> Result<Applied, NegotiationError> {
        let kind = description.kind;
        let state = self.next_state(Source::Local, kind)?;
        match kind {
            SdpType::Rollback => Ok(self.rollback()),
            SdpType::Offer => {
                self.check_created(description)?;
                Ok(self.apply_local_offer(state))
            }
            SdpType::Pranswer | SdpType::Answer => {
                self.check_created(description)?;
                self.apply_local_answer(kind, state)
            }
        }
    }

    /// Sets a description of the other side.
    ///
    /// # Errors
    /// In a state that does not allow it; when it is not SDP; when it contradicts what it answers
    /// or what is in effect; when the data section lacks something.
    pub fn set_remote(
        &mut self,
        description: &SessionDescription,
    ) -> Result<Applied, NegotiationError> {
        let kind = description.kind;
        let state = self.next_state(Source::Remote, kind)?;
        if kind == SdpType::Rollback {
            return Ok(self.rollback());
        }
        let parsed = Description::parse_with(&description.sdp, &self.limits.sdp)
            .map_err(|source| NegotiationError::Parse { kind, source })?;
        if kind == SdpType::Offer {
            self.apply_remote_offer(parsed, state)
        } else {
            self.apply_remote_answer(kind, parsed, state)
        }
    }

    /// Our description, pending or else current, with these candidates in it; `complete` when there
    /// will be no others.
    ///
    /// Candidates of another ICE generation are left out.
    pub fn local_description(
        &self,
        candidates: &[crate::IceCandidate],
        complete: bool,
    ) -> Option<SessionDescription> {
        let Kept { kind, description } = self.session.local()?;
        let mut description = Description::clone(description);
        if let Some((index, _)) = self.session.data_section() {
            candidates::add_local(&mut description, index, candidates, complete);
        }
        Some(SessionDescription {
            kind: *kind,
            sdp: description.to_string(),
        })
    }

    /// The other side's description, pending or else current, as it was set.
    pub fn remote_description(&self) -> Option<SessionDescription> {
        let Kept { kind, description } = self.session.remote_description()?;
        Some(SessionDescription {
            kind: *kind,
            sdp: description.to_string(),
        })
    }

    fn answer_setup(&self, remote: &RemoteTransport) -> Result<Setup, NegotiationError> {
        let role = self.session.agreed.as_ref().map(|agreed| agreed.dtls_role);
        Setup::answer_to(remote.setup, role, self.local.preferred_role).map_err(|source| {
            NegotiationError::Setup {
                index: remote.section,
                source,
            }
        })
    }

    fn is_answering(&self) -> bool {
        matches!(
            self.state,
            SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer
        )
    }

    pub(super) fn is_offering(&self) -> bool {
        matches!(
            self.state,
            SignalingState::HaveLocalOffer | SignalingState::HaveRemotePranswer
        )
    }

    fn enter(&mut self, state: SignalingState) -> Option<SignalingState> {
        let changed = self.state != state;
        self.state = state;
        changed.then_some(state)
    }

    fn next_state(
        &self,
        source: Source,
        kind: SdpType,
    ) -> Result<SignalingState, NegotiationError> {
        self.state
            .after(source, kind)
            .ok_or(NegotiationError::WrongState {
                state: self.state,
                operation: Operation::Set(source, kind),
            })
    }

    fn allow(&self, allowed: bool, operation: Operation) -> Result<(), NegotiationError> {
        if allowed {
            Ok(())
        } else {
            Err(NegotiationError::WrongState {
                state: self.state,
                operation,
            })
        }
    }

    /// A local description is one that we made: changes go through the API (RFC 9429 §5.4).
    /// Candidates may have been added meanwhile.
    fn check_created(&self, description: &SessionDescription) -> Result<(), NegotiationError> {
        let kind = description.kind;
        let modified = NegotiationError::Modified { kind };
        let Some(created) = &self.created else {
            return Err(modified);
        };
        if (created.kind == SdpType::Offer) != (kind == SdpType::Offer) {
            return Err(modified);
        }
        if description.sdp.is_empty() || description.sdp == created.text {
            return Ok(());
        }
        let mut parsed = Description::parse_with(&description.sdp, &self.limits.sdp)
            .map_err(|source| NegotiationError::Parse { kind, source })?;
        candidates::strip(&mut parsed);
        if parsed == *created.description {
            Ok(())
        } else {
            Err(modified)
        }
    }

    /// In the place of a rejected m-line if there is one (RFC 9429 §5.2.2), else behind the last.
    fn add_data_section(&self, sections: &mut Vec<Section>) -> Result<(), NegotiationError> {
        let max = self.limits.sdp.sections;
        let free = sections
            .iter()
            .position(|section| section.purpose == Purpose::Rejected);
        if free.is_none() && sections.len() >= max {
            return Err(NegotiationError::Full { max });
        }
        let section = Section::data(self.new_mid());
        match free {
            Some(index) => sections[index] = section,
            None => sections.push(section),
        }
        Ok(())
    }

    /// Browsers' names: as short as can be, since they travel in RTP header extensions. All that
    /// were in a description that was set are below `next_mid`, or have more digits.
    fn new_mid(&self) -> Token {
        Token::new(&self.session.next_mid.to_string()).expect("digits are a token")
    }
}
