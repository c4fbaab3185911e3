//! What a handshake needs to know.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::certificate::Certificate;
use crate::error::ConfigError;
use crate::fingerprint::Fingerprint;
use crate::keylog::KeyLog;
use crate::limits::Limits;
use crate::role::Role;
use crate::srtp::SrtpProfile;

/// The configuration of one [`Handshake`](crate::Handshake).
#[derive(Clone)]
pub struct Config {
    /// Our certificate.
    pub certificate: Certificate,
    /// Which end we are. Decided by [`Role::decide`].
    pub role: Role,
    /// The peer's `a=fingerprint` values. Must not be empty: without one nobody is authenticated.
    pub remote_fingerprints: Vec<Fingerprint>,
    /// What `use_srtp` offers, the preferred first. On by default in every connection, since
    /// DTLS 1.2 cannot add it later. Empty turns the extension off, for peers that do not know it.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// Whether a peer without the extended master secret (RFC 7627) is refused. On by default: every
    /// WebRTC stack has it, and without it exported keys are not bound to the handshake.
    pub require_extended_master_secret: bool,
    /// The first interval between repeats of a flight: twice the round-trip time that ICE measured.
    /// Kept within 50 ms and 3 s.
    pub first_interval: Duration,
    /// Receives the master secret, for packet analysers.
    pub key_log: Option<Arc<dyn KeyLog>>,
    /// Bounds.
    pub limits: Limits,
}

impl Config {
    /// The defaults: all SRTP profiles, a first interval for an unknown round-trip time.
    pub fn new(
        certificate: Certificate,
        role: Role,
        remote_fingerprints: Vec<Fingerprint>,
    ) -> Self {
        Self {
            certificate,
            role,
            remote_fingerprints,
            srtp_profiles: SrtpProfile::DEFAULT.to_vec(),
            require_extended_master_secret: true,
            first_interval: UNKNOWN_RTT_INTERVAL,
            key_log: None,
            limits: Limits::default(),
        }
    }

    /// Sets the first interval from the round-trip time of an ICE check.
    pub fn with_rtt(mut self, rtt: Duration) -> Self {
        self.first_interval = (rtt * 2).clamp(MIN_INTERVAL, MAX_INTERVAL);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.remote_fingerprints.is_empty() {
            return Err(ConfigError::NoFingerprint);
        }
        Ok(())
    }

    pub(crate) fn clamped_interval(&self) -> Duration {
        self.first_interval.clamp(MIN_INTERVAL, MAX_INTERVAL)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("certificate", &self.certificate)
            .field("role", &self.role)
            .field("remote_fingerprints", &self.remote_fingerprints)
            .field("srtp_profiles", &self.srtp_profiles)
            .field("first_interval", &self.first_interval)
            .finish_non_exhaustive()
    }
}

/// As ICE assumes before it has measured (RFC 8445 section 14.3 has 500 ms; half is enough for a
/// path that just passed a check).
const UNKNOWN_RTT_INTERVAL: Duration = Duration::from_millis(250);
const MIN_INTERVAL: Duration = Duration::from_millis(50);
const MAX_INTERVAL: Duration = Duration::from_secs(3);
