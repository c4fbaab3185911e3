//! What a description that was set asks of the transports.

use std::time::Instant;

use peerloom_ice::{Candidate, Credentials};

use super::driver::Driver;
use super::dtls::DtlsParameters;
use super::ice::IceParameters;
use crate::error::Reason;
use crate::event::IceGatheringState;
use crate::signaling::IceCandidate;

/// All of it in one command: nothing else comes between its parts.
#[derive(Debug, Default)]
pub(crate) struct Described {
    /// Section and generation of our candidates from now on.
    pub(crate) section: Option<IceCandidate>,
    /// With the number of the gathering.
    pub(crate) gather: Option<(u32, Gather)>,
    pub(crate) remote: Option<RemoteParameters>,
    /// Of the remote parameters in effect.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) end_of_candidates: bool,
    /// There will be no data channels, or no more.
    pub(crate) data_rejected: bool,
}

/// Which local candidates are wanted.
#[derive(Debug)]
pub(crate) enum Gather {
    /// The first ones.
    First,
    /// Those of a generation with these credentials.
    Restart(Credentials),
    /// The restart was taken back: those of the generation before, with its remote side.
    RollBack(Credentials),
}

/// The other end, as an answer made it take effect.
#[derive(Debug)]
pub(crate) struct RemoteParameters {
    pub(crate) ice: IceParameters,
    pub(crate) dtls: DtlsParameters,
    /// In bytes; `usize::MAX` is unlimited.
    pub(crate) max_message_size: usize,
}

impl Driver {
    pub(super) fn describe(&mut self, now: Instant, described: Described) -> Result<(), Reason> {
        let Described {
            section,
            gather,
            remote,
            candidates,
            end_of_candidates,
            data_rejected,
        } = described;
        if let Some((number, gather)) = gather {
            self.ice.gathering_number = number;
            self.shared
                .set_gathering(number, IceGatheringState::Gathering);
            match gather {
                Gather::First => self.ice.gather(now),
                Gather::Restart(credentials) => {
                    self.shared.clear_local_candidates();
                    self.ice.restart(now, credentials);
                }
                Gather::RollBack(credentials) => {
                    self.shared.clear_local_candidates();
                    self.ice.roll_back(now, credentials);
                }
            }
        }
        if let Some(section) = section {
            self.shared.describe_local_candidates(section);
        }
        if let Some(remote) = remote {
            let max = remote.max_message_size;
            self.with_session(|session| session.set_remote_max_message_size(max))?;
            self.ice.set_remote(now, remote.ice);
            self.dtls.set_parameters(remote.dtls);
        }
        for candidate in candidates {
            self.ice.add_remote_candidate(now, candidate);
        }
        if end_of_candidates {
            self.ice.end_of_remote_candidates(now);
        }
        if data_rejected {
            self.reject_data(now)?;
        }
        Ok(())
    }

    /// The data section was rejected. A transport that runs carries nothing else, so it ends; one
    /// that never began can still be offered again.
    fn reject_data(&mut self, now: Instant) -> Result<(), Reason> {
        if self.dtls.has_parameters() {
            return Err(Reason::DataRejected);
        }
        let channels = self
            .shared
            .session
            .with(super::lock::Purpose::Control, |guarded| {
                let channels = std::mem::take(&mut guarded.channels);
                for key in channels.keys() {
                    guarded.session.close(now, *key);
                }
                channels
            })?;
        for channel in channels.values() {
            channel.close(Some(&Reason::DataRejected));
        }
        self.with_session(|_| {})
    }
}
