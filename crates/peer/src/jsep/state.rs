//! The signalling state machine (RFC 9429 §3.2, W3C WebRTC §4.3.1).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::SdpType;

/// How far the exchange of offer and answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignalingState {
    /// No exchange is under way.
    #[default]
    Stable,
    /// Our offer is out.
    HaveLocalOffer,
    /// An offer waits for our answer.
    HaveRemoteOffer,
    /// We have answered provisionally.
    HaveLocalPranswer,
    /// The other side has answered provisionally.
    HaveRemotePranswer,
    /// The connection has ended.
    Closed,
}

impl SignalingState {
    /// The state that follows from setting a description, or `None` where it cannot be set.
    ///
    /// A remote offer that meets ours takes ours back first (W3C WebRTC §4.4.1.5, "implicit
    /// rollback"), so it can be set in `have-local-offer`.
    pub fn after(self, source: Source, kind: SdpType) -> Option<Self> {
        Some(match (kind, source, self) {
            (SdpType::Offer, Source::Local, Self::Stable | Self::HaveLocalOffer) => {
                Self::HaveLocalOffer
            }
            (
                SdpType::Offer,
                Source::Remote,
                Self::Stable | Self::HaveRemoteOffer | Self::HaveLocalOffer,
            ) => Self::HaveRemoteOffer,
            (SdpType::Answer, Source::Local, Self::HaveRemoteOffer | Self::HaveLocalPranswer)
            | (SdpType::Answer, Source::Remote, Self::HaveLocalOffer | Self::HaveRemotePranswer)
            | (SdpType::Rollback, _, Self::HaveLocalOffer | Self::HaveRemoteOffer) => Self::Stable,
            (SdpType::Pranswer, Source::Local, Self::HaveRemoteOffer | Self::HaveLocalPranswer) => {
                Self::HaveLocalPranswer
            }
            (
                SdpType::Pranswer,
                Source::Remote,
                Self::HaveLocalOffer | Self::HaveRemotePranswer,
            ) => Self::HaveRemotePranswer,
            (
                SdpType::Offer | SdpType::Pranswer | SdpType::Answer | SdpType::Rollback,
                Source::Local | Source::Remote,
                Self::Stable
                | Self::HaveLocalOffer
                | Self::HaveRemoteOffer
                | Self::HaveLocalPranswer
                | Self::HaveRemotePranswer
                | Self::Closed,
            ) => return None,
        })
    }
}

impl fmt::Display for SignalingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::HaveLocalPranswer => "have-local-pranswer",
            Self::HaveRemotePranswer => "have-remote-pranswer",
            Self::Closed => "closed",
        })
    }
}

/// Whose description it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Ours.
    Local,
    /// The other side's.
    Remote,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Remote => "remote",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [SignalingState; 6] = [
        SignalingState::Stable,
        SignalingState::HaveLocalOffer,
        SignalingState::HaveRemoteOffer,
        SignalingState::HaveLocalPranswer,
        SignalingState::HaveRemotePranswer,
        SignalingState::Closed,
    ];

    /// The whole table, as RFC 9429 figure 2 draws it: columns are the states above.
    #[test]
    fn every_description_in_every_state() {
        let table = [
            (Source::Local, SdpType::Offer, "lo lo -- -- -- --"),
            (Source::Local, SdpType::Answer, "-- -- st st -- --"),
            (Source::Local, SdpType::Pranswer, "-- -- lp lp -- --"),
            (Source::Local, SdpType::Rollback, "-- st st -- -- --"),
            (Source::Remote, SdpType::Offer, "ro ro ro -- -- --"),
            (Source::Remote, SdpType::Answer, "-- st -- -- st --"),
            (Source::Remote, SdpType::Pranswer, "-- rp -- -- rp --"),
            (Source::Remote, SdpType::Rollback, "-- st st -- -- --"),
        ];
        for (source, kind, row) in table {
            for (state, expected) in STATES.into_iter().zip(row.split(' ')) {
                let next = match state.after(source, kind) {
                    None => "--",
                    Some(SignalingState::Stable) => "st",
                    Some(SignalingState::HaveLocalOffer) => "lo",
                    Some(SignalingState::HaveRemoteOffer) => "ro",
                    Some(SignalingState::HaveLocalPranswer) => "lp",
                    Some(SignalingState::HaveRemotePranswer) => "rp",
                    Some(SignalingState::Closed) => "cl",
                };
                assert_eq!(next, expected, "{source} {kind} in {state}");
            }
        }
    }

    #[test]
    fn states_have_their_w3c_names() {
        for state in STATES {
            assert_eq!(
                serde_json::to_string(&state).unwrap(),
                format!("\"{state}\"")
            );
        }
    }
}
