//! What a description changes once it is known to fit (RFC 9429 §5.9 to §5.11).

use std::sync::Arc;

use peerloom_dtls::{Role, Setup, SetupError, Side};
use peerloom_ice::Credentials;

use super::remote::{self, RemoteTransport};
use super::session::{Kept, Section};
use super::{Applied, Gather, Negotiation, NegotiationError, SignalingState, Source, Transport};
use crate::SdpType;
use crate::sdp::Description;

impl Negotiation {
    pub(super) fn apply_local_offer(&mut self, state: SignalingState) -> Applied {
        self.begin();
        let Some(created) = self.created.take() else {
            return Applied::default();
        };
        let gather = if created.sections.iter().any(Section::is_data) {
            self.gather(&created.credentials)
        } else {
            None
        };
        self.session.sections.clone_from(&created.sections);
        // Without a data section they are not in the description.
        if created.sections.iter().any(Section::is_data) {
            self.session.local_credentials = Some(created.credentials.clone());
        }
        self.session.pending.local = Some(Kept {
            kind: SdpType::Offer,
            description: Arc::clone(&created.description),
        });
        self.session.note_mids(&created.description);
        // It may be set again.
        self.created = Some(created);
        Applied {
            signaling: self.enter(state),
            gather,
            ..Applied::default()
        }
    }

    pub(super) fn apply_remote_offer(
        &mut self,
        description: Description,
        state: SignalingState,
    ) -> Result<Applied, NegotiationError> {
        // A second offer replaces the first, and one that meets ours takes ours back.
        let base = self.before.as_deref().unwrap_or(&self.session);
        let mut session = base.clone();
        remote::offered(&mut session, &description)?;
        if let Some(remote) = &session.remote {
            let role = session.agreed.as_ref().map(|agreed| agreed.dtls_role);
            Setup::answer_to(remote.setup, role, self.local.preferred_role).map_err(|source| {
                NegotiationError::Setup {
                    index: remote.section,
                    source,
                }
            })?;
        }

        let mut applied = if self.state == SignalingState::HaveLocalOffer {
            self.rollback()
        } else {
            Applied::default()
        };
        session.note_mids(&description);
        applied.transceivers_changed = session.transceivers != self.session.transceivers;
        let description = Arc::new(description);
        session.pending.remote = Some(Kept {
            kind: SdpType::Offer,
            description,
        });
        self.begin();
        self.session = session;
        self.created = None;
        applied.signaling = self.enter(state);
        Ok(applied)
    }

    pub(super) fn apply_local_answer(
        &mut self,
        kind: SdpType,
        state: SignalingState,
    ) -> Result<Applied, NegotiationError> {
        let Some(created) = &self.created else {
            return Err(NegotiationError::Modified { kind });
        };
        let transport = match (&self.session.remote, created.setup) {
            (Some(remote), Some(setup)) => Some(self.agree(
                remote,
                Source::Remote,
                (remote.setup, setup),
                &created.credentials,
            )?),
            _ => None,
        };
        let gather = transport
            .as_ref()
            .and_then(|_| self.gather(&created.credentials));
        let description = Arc::clone(&created.description);
        if transport.is_some() {
            self.session.local_credentials = Some(created.credentials.clone());
        }
        self.session.pending.local = Some(Kept { kind, description });
        let data_rejected = transport.is_none() && self.session.agreed.is_some();
        Ok(Applied {
            gather,
            ..self.settle(kind, state, transport, data_rejected)
        })
    }

    pub(super) fn apply_remote_answer(
        &mut self,
        kind: SdpType,
        description: Description,
        state: SignalingState,
    ) -> Result<Applied, NegotiationError> {
        let mut session = self.session.clone();
        remote::answered(&mut session, kind, &description)?;
        let transport = match (&session.remote, &session.local_credentials) {
            (Some(remote), Some(credentials)) => {
                let setups = (Setup::OFFER, remote.setup);
                Some(self.agree(remote, Source::Local, setups, credentials)?)
            }
            _ => None,
        };
        let description = Arc::new(description);
        session.pending.remote = Some(Kept { kind, description });
        let data_rejected = transport.is_none() && self.session.data_section().is_some();
        self.session = session;
        Ok(self.settle(kind, state, transport, data_rejected))
    }

    /// What an answer agrees on.
    pub(super) fn agree(
        &self,
        remote: &RemoteTransport,
        offerer: Source,
        (offer, answer): (Setup, Setup),
        credentials: &Credentials,
    ) -> Result<Transport, NegotiationError> {
        let agreed = self.session.agreed.as_ref();
        let side = match offerer {
            Source::Local => Side::Offerer,
            Source::Remote => Side::Answerer,
        };
        let ice_restart = agreed.is_some_and(|agreed| {
            agreed.local_credentials != *credentials
                || agreed.remote_credentials != remote.credentials
        });
        let existing = agreed.map(|agreed| agreed.dtls_role);
        let dtls_role = match Role::decide(side, offer, answer, existing) {
            // Firefox answers every offer that restarts ICE with "active", whichever role it has in
            // the association, which it keeps. The fingerprints are the same; so it stays.
            Err(SetupError::RoleChanged { existing, .. })
                if ice_restart && offerer == Source::Local =>
            {
                existing
            }
            decided => decided.map_err(|source| NegotiationError::Setup {
                index: remote.section,
                source,
            })?,
        };
        // RFC 8445 §6.1.1. The first exchange decides: agents keep their roles over restarts.
        let ice_role = match (remote.lite, agreed, offerer) {
            _ if self.local.lite => peerloom_ice::Role::Controlled,
            (true, _, _) => peerloom_ice::Role::Controlling,
            (false, Some(agreed), _) => agreed.ice_role,
            (false, None, Source::Local) => peerloom_ice::Role::Controlling,
            (false, None, Source::Remote) => peerloom_ice::Role::Controlled,
        };
        Ok(Transport {
            generation: agreed.map_or(0, |agreed| agreed.generation) + u32::from(ice_restart),
            ice_restart,
            ice_role,
            local_credentials: credentials.clone(),
            remote_credentials: remote.credentials.clone(),
            remote_lite: remote.lite,
            remote_trickle: remote.trickle,
            dtls_role,
            fingerprints: remote.fingerprints.clone(),
            remote_sctp_port: remote.sctp_port,
            remote_max_message_size: remote.max_message_size,
        })
    }

    /// An answer or pranswer of either side takes effect.
    pub(super) fn settle(
        &mut self,
        kind: SdpType,
        state: SignalingState,
        transport: Option<Transport>,
        data_rejected: bool,
    ) -> Applied {
        // A provisional answer may reject what the final one takes: nothing ends with it.
        let data_rejected = data_rejected && kind == SdpType::Answer;
        if data_rejected {
            self.wants_data = false;
        }
        if transport.is_some() || kind == SdpType::Answer {
            self.session.agreed.clone_from(&transport);
        }
        let mut transceivers_changed = false;
        if kind == SdpType::Answer {
            let session = &mut self.session;
            for transceiver in &mut session.transceivers {
                transceivers_changed |= !transceiver.stopped;
                transceiver.stopped = true;
            }
            session.current = std::mem::take(&mut session.pending);
            self.before = None;
            self.created = None;
            self.restarted();
        }
        let mut applied = Applied {
            signaling: self.enter(state),
            data_rejected,
            transceivers_changed,
            ..Applied::default()
        };
        if transport.is_some() {
            self.take_candidates(&mut applied);
            applied.transport = transport;
        }
        applied
    }

    pub(super) fn rollback(&mut self) -> Applied {
        let remote = self.state == SignalingState::HaveRemoteOffer;
        let Some(before) = self.before.take() else {
            return Applied::default();
        };
        let pending = std::mem::replace(&mut self.session, *before);
        self.created = None;
        if remote {
            // Those of the offer that is gone.
            self.dropped.candidates_unclaimed += self.held.len() as u64;
            self.held.clear();
        }
        let in_effect = self
            .session
            .agreed
            .as_ref()
            .map(|agreed| &agreed.local_credentials);
        let gather = match (in_effect, pending.local_credentials) {
            (Some(ours), Some(pending)) if *ours != pending => Some(Gather {
                credentials: ours.clone(),
                restart: true,
            }),
            _ => None,
        };
        Applied {
            signaling: self.enter(SignalingState::Stable),
            rolled_back: true,
            gather,
            transceivers_changed: pending.transceivers != self.session.transceivers,
            ..Applied::default()
        }
    }

    /// Remembers what a rollback returns to.
    pub(super) fn begin(&mut self) {
        if self.before.is_none() {
            self.before = Some(Box::new(self.session.clone()));
        }
    }

    /// Gathering starts when credentials are described for the first time.
    pub(super) fn gather(&self, credentials: &Credentials) -> Option<Gather> {
        let described = self.session.local_credentials.as_ref() == Some(credentials);
        let restart = self.restarts(credentials);
        (!described).then(|| Gather {
            credentials: credentials.clone(),
            restart,
        })
    }

    /// Whether these local credentials replace others.
    pub(super) fn restarts(&self, credentials: &Credentials) -> bool {
        let agreed = self.session.agreed.as_ref();
        agreed.is_some_and(|agreed| agreed.local_credentials != *credentials)
    }
}
