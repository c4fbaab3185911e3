//! What a handshake engine has to do. One is there, [`webrtc`]; the trait keeps the adapter free of
//! it, so that another can take its place.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::certificate::Certificate;
use crate::error::HandshakeError;
use crate::fingerprint::Fingerprint;
use crate::role::Role;
use crate::srtp::SrtpProfile;

pub(crate) mod webrtc;

/// Makes a handshake from normalised records. Dropping it ends whatever it runs.
pub(crate) trait Engine: Send {
    /// Gives it one record. Returns whether there was room.
    fn feed(&mut self, record: Vec<u8>) -> bool;

    /// Runs it. Everything it sent before it completed can be taken with
    /// [`poll_produced`](Self::poll_produced) afterwards.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Secrets, HandshakeError>>;

    /// A datagram it wants to send.
    fn poll_produced(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>>;
}

/// What an engine is told.
pub(crate) struct EngineConfig {
    pub(crate) certificate: Certificate,
    pub(crate) role: Role,
    /// To be checked inside the handshake, before the engine answers to a certificate.
    pub(crate) remote_fingerprints: Arc<[Fingerprint]>,
    pub(crate) srtp_profiles: Vec<SrtpProfile>,
    pub(crate) require_extended_master_secret: bool,
    /// How often to make a repeat of the current flight. They are held back from the path.
    pub(crate) repeat_interval: Duration,
}

/// What an engine leaves. The cipher suite is one with AES-128-GCM and SHA-256.
pub(crate) struct Secrets {
    pub(crate) local_random: [u8; 32],
    pub(crate) remote_random: [u8; 32],
    pub(crate) master_secret: Vec<u8>,
    pub(crate) srtp_profile: Option<SrtpProfile>,
    /// In DER form.
    pub(crate) remote_certificate: Vec<u8>,
}
