//! What the next description has to bring: whether an offer is needed at all (W3C WebRTC §4.7.3), and
//! which ICE credentials belong into it.

use super::{Negotiation, SignalingState};
use crate::SdpType;
use peerloom_ice::Credentials;

impl Negotiation {
    /// From now on offers have a data section. An extra call does nothing.
    pub fn want_data(&mut self) {
        self.wants_data = true;
    }

    /// The next offer is to bring new ICE credentials (W3C WebRTC `restartIce`), see
    /// [`credentials_for`](Self::credentials_for). The wish ends with the exchange that replaces
    /// those described now, whoever offers; a rollback does not end it. Before anything is
    /// described there is nothing to restart.
    pub fn restart_ice(&mut self) {
        let agreed = self.session.agreed.as_ref();
        let agreed = agreed.map(|agreed| agreed.local_credentials.clone());
        let described = self.session.local_credentials.clone();
        self.replace = agreed.into_iter().chain(described).collect();
        self.replace.dedup();
    }

    /// Whether an offer would change something (W3C WebRTC §4.7.3). In another state than `stable`
    /// the question is open until the exchange is over: `false`.
    pub fn needs_offer(&self) -> bool {
        let lacks_data = self.wants_data && self.session.data_section().is_none();
        self.state == SignalingState::Stable && (lacks_data || self.wants_restart())
    }

    /// Whether the pending remote offer restarts ICE, so that the answer needs new credentials.
    pub fn needs_new_credentials(&self) -> bool {
        match (&self.session.agreed, &self.session.remote) {
            (Some(agreed), Some(remote)) => {
                self.is_answering() && agreed.remote_credentials != remote.credentials
            }
            _ => false,
        }
    }

    /// The ICE credentials that a description of this kind keeps; `None` when it is to bring new
    /// ones.
    pub fn credentials_for(&self, kind: SdpType) -> Option<&Credentials> {
        let agreed = self.session.agreed.as_ref();
        let described = self.session.local_credentials.as_ref();
        match kind {
            SdpType::Offer => described.filter(|ours| !self.replace.contains(ours)),
            SdpType::Pranswer | SdpType::Answer => agreed
                .map(|agreed| &agreed.local_credentials)
                .or(described)
                .filter(|_| !self.needs_new_credentials()),
            SdpType::Rollback => None,
        }
    }

    /// Whether any description of ours has had ICE credentials, pending ones included.
    pub fn is_described(&self) -> bool {
        self.session.local_credentials.is_some()
    }

    /// An exchange is complete: a restart that it brought is wanted no more.
    pub(super) fn restarted(&mut self) {
        if !self.wants_restart() {
            self.replace.clear();
        }
    }

    fn wants_restart(&self) -> bool {
        let agreed = self.session.agreed.as_ref();
        agreed.is_some_and(|agreed| self.replace.contains(&agreed.local_credentials))
    }
}
