//! Why a description or candidate is not taken. The negotiation is then as it was before.

use peerloom_dtls::{FingerprintError, SetupError};

use super::{SignalingState, Source};
use crate::SdpType;
use crate::sdp::ParseError;

/// A description or candidate that cannot be used, or was asked for at the wrong time.
///
/// Values that came from elsewhere are shortened and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The text is not SDP, or beyond the limits.
    #[error("{kind}: {source}")]
    Parse {
        /// What it claims to be.
        kind: SdpType,
        /// Where it fails.
        source: ParseError,
    },
    /// W3C WebRTC's `InvalidStateError`.
    #[error("cannot {operation} in state {state}")]
    WrongState {
        /// The state that the negotiation is in, and stays in.
        state: SignalingState,
        /// What was asked for.
        operation: Operation,
    },
    /// A local description is not the one that `create_offer` or `create_answer` made
    /// (W3C WebRTC's `InvalidModificationError`): changes are made through the API.
    #[error("the {kind} is not the one that was created last")]
    Modified {
        /// What it claims to be.
        kind: SdpType,
    },
    /// Local ICE credentials can only change in an offer, or in the answer to one that changes them
    /// (RFC 8839 §4.4.3).
    #[error("the {kind} {}", if *.must_change {
        "must bring new ICE credentials: the offer restarts ICE"
    } else {
        "must keep the ICE credentials: the offer does not restart ICE"
    })]
    LocalCredentials {
        /// What was to be made.
        kind: SdpType,
        /// Whether the credentials should have changed.
        must_change: bool,
    },
    /// An offer with more m-sections than we would read.
    #[error("{max} m-sections are in use, which is as many as a description may have")]
    Full {
        /// The limit.
        max: usize,
    },

    /// M-sections never go away (RFC 9429 §5.2.2), and an answer has those of its offer.
    #[error("the {kind} has {found} m-sections, expected {expected}")]
    SectionCount {
        /// Of which description.
        kind: SdpType,
        /// How many there are.
        found: usize,
        /// How many there must be (in an offer: at least).
        expected: usize,
    },
    /// An m-section that is in use changed what it is.
    #[error("m-section {index}: {what} changed from {from:?} to {to:?}")]
    SectionChanged {
        /// Which, counted from 0.
        index: usize,
        /// `mid` or `media`.
        what: &'static str,
        /// What it was.
        from: Box<str>,
        /// What it would be.
        to: Box<str>,
    },
    /// An answer uses an m-section that the offer rejects.
    #[error("m-section {index}: answered with port {port}, but the offer has port 0")]
    NotOffered {
        /// Which, counted from 0.
        index: usize,
        /// Of the answer.
        port: u16,
    },
    /// Two m-sections of the same name.
    #[error("m-section {index}: the mid {mid:?} is taken by another")]
    DuplicateMid {
        /// The second of them, counted from 0.
        index: usize,
        /// The name.
        mid: Box<str>,
    },
    /// A BUNDLE group names an m-section that there is not, or twice, or was not offered so
    /// (RFC 9143 §7).
    #[error("BUNDLE group: {why}: {mid:?}")]
    Bundle {
        /// The rule.
        why: &'static str,
        /// The m-section.
        mid: Box<str>,
    },
    /// The m-section that carries the transport lacks something that it needs.
    #[error("m-section {index}: a={attribute} is missing")]
    Missing {
        /// Which, counted from 0.
        index: usize,
        /// The attribute.
        attribute: &'static str,
    },
    /// None of the fingerprints can be used.
    #[error("m-section {index}: a=fingerprint:{hash}: {source}")]
    Fingerprint {
        /// Which, counted from 0.
        index: usize,
        /// Hash function of the last of them.
        hash: Box<str>,
        /// What is wrong with it.
        source: FingerprintError,
    },
    /// No role follows from `a=setup`, or one that is not ours in the running association.
    #[error("m-section {index}: {source}")]
    Setup {
        /// Which, counted from 0.
        index: usize,
        /// The pair.
        source: SetupError,
    },
    /// One of `ice-ufrag` and `ice-pwd` changed: a restart changes both (RFC 8839 §4.4.1.1.1).
    #[error("m-section {index}: {changed} changed without the other: not an ICE restart")]
    HalfRestart {
        /// Which, counted from 0.
        index: usize,
        /// The attribute that changed.
        changed: &'static str,
    },
    /// An answer restarts ICE though the offer does not (RFC 8839 §4.4.3).
    #[error("m-section {index}: the answer restarts ICE, which only an offer can")]
    RestartInAnswer {
        /// Which, counted from 0.
        index: usize,
    },
    /// Other certificates than in the running association. That takes a new association (RFC 8842
    /// §5), which would lose what its data channels hold; make a new connection instead.
    #[error("m-section {index}: the fingerprints changed in a running DTLS association")]
    FingerprintChanged {
        /// Which, counted from 0.
        index: usize,
    },
    /// `a=sctp-port:0`, or another port than the running association's.
    #[error("m-section {index}: the SCTP port cannot be {port}")]
    SctpPort {
        /// Which, counted from 0.
        index: usize,
        /// As given.
        port: u16,
    },

    /// W3C WebRTC §4.4.1.9: a candidate names its m-section.
    #[error("the candidate has neither sdpMid nor sdpMLineIndex")]
    CandidateWithoutSection,
    /// The candidate names an m-section that there is not.
    #[error("the candidate is for the m-section {section:?}, which the description has not")]
    CandidateSection {
        /// `sdpMid`, or else `sdpMLineIndex`.
        section: Box<str>,
    },
    /// The candidate belongs to an ICE generation that is not described (any more).
    #[error("the candidate is of the ICE generation {ufrag:?}, which is not described")]
    CandidateGeneration {
        /// `usernameFragment`.
        ufrag: Box<str>,
    },
    /// Too long, or with a line end in it.
    #[error("not a candidate: {value:?}")]
    CandidateText {
        /// As given, shortened.
        value: Box<str>,
    },
}

/// What was asked for in the wrong state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Operation {
    /// `set_local_description`, `set_remote_description`.
    #[error("set a {0} {1}")]
    Set(Source, SdpType),
    /// `create_offer`, `create_answer`.
    #[error("create an {0}")]
    Create(SdpType),
}
