//! What goes into a negotiation, and what comes out of it.

use peerloom_dtls::{Fingerprint, Role, Setup};
use peerloom_ice::Credentials;

use super::SignalingState;
use crate::IceCandidate;
use crate::sdp;

/// What our side says about itself, the same in all its descriptions.
#[derive(Debug, Clone)]
pub struct LocalParameters {
    /// Hashes of our certificate; at least one.
    pub fingerprints: Vec<Fingerprint>,
    /// Largest message that we take, in bytes; 0 is unlimited (RFC 8841 §6).
    pub max_message_size: u64,
    /// Our SCTP port, 5000.
    pub sctp_port: u16,
    /// Our role where the other side leaves it to us: the client saves it a round trip.
    pub preferred_role: Role,
    /// Whether we only answer checks (RFC 8445 §2.5), `false`.
    pub lite: bool,
    /// Whether candidates follow in messages of their own (RFC 8838), `true`.
    pub trickle: bool,
}

impl LocalParameters {
    /// With the defaults of WebRTC and the fingerprints of our certificate.
    pub fn new(fingerprints: Vec<Fingerprint>) -> Self {
        Self {
            fingerprints,
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            sctp_port: SCTP_PORT,
            preferred_role: Role::Client,
            lite: false,
            trickle: true,
        }
    }
}

/// How much a negotiation reads and keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of descriptions.
    pub sdp: sdp::Limits,
    /// Candidates taken from one description, and candidates kept until theirs is in effect: 256.
    pub candidates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sdp: sdp::Limits::default(),
            candidates: 256,
        }
    }
}

/// What setting a description asks the connection to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "the connection has to act on it"]
pub struct Applied {
    /// The new state, where it changed.
    pub signaling: Option<SignalingState>,
    /// A pending offer was taken back, by a rollback or by a remote offer that met ours.
    pub rolled_back: bool,
    /// Our ICE credentials that are now described: gather candidates for them (again).
    ///
    /// After a rollback, those that were in effect before.
    pub gather: Option<Gather>,
    /// An answer took effect: run the transport like this.
    pub transport: Option<Transport>,
    /// Remote candidates that are now due: those in the description and those that came early.
    /// The same may come twice.
    pub candidates: Vec<IceCandidate>,
    /// No more remote candidates will come (for this generation).
    pub end_of_candidates: bool,
    /// The data section was rejected, by either side: there will be no data channels, and if there
    /// were some they are gone.
    pub data_rejected: bool,
    /// The list of transceivers changed.
    pub transceivers_changed: bool,
}

/// Local candidates to gather.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// For these.
    pub credentials: Credentials,
    /// They replace others: an ICE restart.
    pub restart: bool,
}

/// The one transport of a connection, as offer and answer agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// Counts ICE restarts, from 0.
    pub generation: u32,
    /// ICE was restarted by this exchange: other credentials than in the last one.
    pub ice_restart: bool,
    /// Whether the ICE agent controls: the side that made the first offer does, unless the other is
    /// lite (RFC 8445 §6.1.1).
    pub ice_role: peerloom_ice::Role,
    /// Our ICE credentials.
    pub local_credentials: Credentials,
    /// Theirs.
    pub remote_credentials: Credentials,
    /// They only answer checks (RFC 8445 §2.5).
    pub remote_lite: bool,
    /// They read candidates that come one by one.
    pub remote_trickle: bool,
    /// Who opens the DTLS association. Never changes while it runs.
    pub dtls_role: Role,
    /// One of these must be their certificate's.
    pub fingerprints: Vec<Fingerprint>,
    /// Their SCTP port.
    pub remote_sctp_port: u16,
    /// Largest message that they take, in bytes; `None` is unlimited (RFC 8841 §6: 0, while an
    /// absent attribute means 65,536).
    pub remote_max_message_size: Option<u64>,
}

/// What becomes of a remote candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateUse {
    /// Give it to the ICE agent.
    Now,
    /// Its description is not in effect yet; it comes back in [`Applied::candidates`].
    Held,
    /// It is for a section that does not use our transport.
    Ignored,
}

/// Candidates that were not used, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// More than [`Limits::candidates`].
    pub candidates_over_limit: u64,
    /// Held for a description that never came, or for another section.
    pub candidates_unclaimed: u64,
}

impl Transport {
    /// What our side says in `a=setup` when it answers.
    pub fn setup(&self) -> Setup {
        self.dtls_role.setup()
    }
}

/// What browsers and RFC 8841 §5 use.
const SCTP_PORT: u16 = 5000;
/// What Chromium announces.
const DEFAULT_MAX_MESSAGE_SIZE: u64 = 262_144;
