//! Our certificate: generated, or loaded from PEM (RFC 8827 section 6.5).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::der;
use crate::fingerprint::{Fingerprint, HashAlgorithm};

/// A self-signed certificate and its private key. A clone shares both.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    kind: KeyKind,
    expires: SystemTime,
}

impl Certificate {
    /// Generates a P-256 key and a certificate that is valid for 30 days, as browsers do.
    pub fn generate() -> Result<Self, CertificateError> {
        Self::generate_valid_for(DEFAULT_VALIDITY)
    }

    /// The same, valid for `validity` from now.
    pub fn generate_valid_for(validity: Duration) -> Result<Self, CertificateError> {
        let failed = |error: rcgen::Error| CertificateError::Generate(error.to_string());
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that needs the date"
        )]
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, "WebRTC");
        // A peer whose clock is late must not find it invalid yet.
        params.not_before = epoch + now.saturating_sub(CLOCK_SKEW);
        params.not_after = epoch + (now + validity).min(LATEST);
        let der = params.self_signed(&key).map_err(failed)?.der().clone();
        Self::new(der, PrivatePkcs8KeyDer::from(key.serialize_der()))
    }

    /// Loads a certificate and its private key (PKCS #8; P-256 or Ed25519) from PEM blocks in any
    /// order. Of several certificates the first one is used: WebRTC has no chains.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| CertificateError::NoCertificate)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| CertificateError::NoPrivateKey)?;
        Self::new(der, key)
    }

    /// The private key (PKCS #8) and the certificate as PEM blocks. Keep it secret.
    pub fn to_pem(&self) -> String {
        let mut out = String::new();
        push_pem(&mut out, "PRIVATE KEY", self.0.key.secret_pkcs8_der());
        push_pem(&mut out, "CERTIFICATE", &self.0.der);
        out
    }

    /// The sha-256 fingerprint, for `a=fingerprint`.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_with(HashAlgorithm::Sha256)
    }

    /// The fingerprint by another hash function.
    pub fn fingerprint_with(&self, algorithm: HashAlgorithm) -> Fingerprint {
        Fingerprint::of(&self.0.der, algorithm)
    }

    /// When it expires. Peers identify it by its fingerprint and do not look at this; a connection
    /// should still not be made with an expired one (W3C webrtc section 4.9).
    pub fn expires(&self) -> SystemTime {
        self.0.expires
    }

    /// Whether it has expired at `now`.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now >= self.0.expires
    }

    /// The certificate in DER form.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    pub(crate) fn kind(&self) -> KeyKind {
        self.0.kind
    }

    pub(crate) fn key_der(&self) -> &[u8] {
        self.0.key.secret_pkcs8_der()
    }

    fn new(
        der: CertificateDer<'static>,
        key: PrivatePkcs8KeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let view = der::certificate(&der).ok_or(CertificateError::Malformed)?;
        if !matches!(view.key, KeyKind::P256 | KeyKind::Ed25519) {
            return Err(CertificateError::KeyUnsupported(view.key));
        }
        let pair = KeyPair::try_from(&key).map_err(|_| CertificateError::NoPrivateKey)?;
        if rcgen::PublicKeyData::der_bytes(&pair) != view.public_key {
            return Err(CertificateError::KeyMismatch);
        }
        let expires = UNIX_EPOCH
            .checked_add(Duration::from_secs(view.not_after))
            .ok_or(CertificateError::Malformed)?;
        Ok(Self(Arc::new(Inner {
            kind: view.key,
            expires,
            der,
            key,
        })))
    }
}

impl fmt::Debug for Certificate {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint())
            .field("key", &self.0.kind)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

/// The kind of a certificate's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on P-256: what everyone uses.
    P256,
    /// ECDSA on P-384; the engine can neither use nor verify it.
    P384,
    /// ECDSA on P-521; the engine can neither use nor verify it.
    P521,
    /// EdDSA on Curve25519.
    Ed25519,
    /// RSA; a peer may have it, we may not.
    Rsa,
    /// Something else.
    Other,
}

/// A certificate that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The PEM has no readable certificate.
    #[error("no certificate in the PEM")]
    NoCertificate,
    /// The PEM has no readable private key in PKCS #8 form.
    #[error("no PKCS #8 private key in the PEM")]
    NoPrivateKey,
    /// Not an X.509 certificate.
    #[error("malformed certificate")]
    Malformed,
    /// The engine signs with P-256 and Ed25519 only.
    #[error("certificate key {0:?} is not supported, use P-256 or Ed25519")]
    KeyUnsupported(KeyKind),
    /// The private key does not belong to the certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The key or the certificate could not be made.
    #[error("cannot generate a certificate: {0}")]
    Generate(String),
}

fn push_pem(out: &mut String, label: &str, der: &[u8]) {
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    // 48 bytes make a line of 64 characters (RFC 7468 section 2).
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits = group
                .iter()
                .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - group.len()));
            for index in 0..4 {
                let sextet = bits >> (18 - 6 * index) & 0x3f;
                out.push(if index > group.len() {
                    '='
                } else {
                    BASE64[sextet as usize].into()
                });
            }
        }
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// W3C webrtc section 4.9.1 leaves it to us; browsers take 30 days.
const DEFAULT_VALIDITY: Duration = Duration::from_secs(30 * 24 * 3600);
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);
/// X.509 has four digits for the year.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is what is loaded, and the DER survives the PEM byte for byte.
    #[test]
    fn pem_round_trip() {
        let certificate = Certificate::generate().unwrap();
        let loaded = Certificate::from_pem(&certificate.to_pem()).unwrap();
        assert_eq!(loaded, certificate);
        assert_eq!(loaded.key_der(), certificate.key_der());
        assert_eq!(loaded.expires(), certificate.expires());
    }

    /// The validity asked for is the one in the certificate, to the second.
    #[test]
    fn expiry() {
        let day = Duration::from_secs(24 * 3600);
        let certificate = Certificate::generate_valid_for(day).unwrap();
        let other = Certificate::generate().unwrap();
        let difference = other
            .expires()
            .duration_since(certificate.expires())
            .unwrap();
        assert!(
            difference.abs_diff(29 * day) < Duration::from_secs(60),
            "{difference:?}"
        );
        assert!(!certificate.is_expired(certificate.expires() - Duration::from_secs(1)));
        assert!(certificate.is_expired(certificate.expires()));
        Certificate::generate_valid_for(Duration::MAX / 2).unwrap();
    }

    /// Keys the engine cannot sign with, and foreign keys, are refused when they are loaded and not
    /// in the middle of a handshake.
    #[test]
    fn refuses_unusable_keys() {
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let cert = CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&p384)
            .unwrap();
        let pem = format!("{}{}", p384.serialize_pem(), cert.pem());
        assert_eq!(
            Certificate::from_pem(&pem),
            Err(CertificateError::KeyUnsupported(KeyKind::P384))
        );
        let (a, b) = (
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
        );
        let mut mixed = String::new();
        push_pem(&mut mixed, "PRIVATE KEY", a.key_der());
        assert_eq!(
            Certificate::from_pem(&mixed),
            Err(CertificateError::NoCertificate)
        );
        push_pem(&mut mixed, "CERTIFICATE", b.der());
        assert_eq!(
            Certificate::from_pem(&mixed),
            Err(CertificateError::KeyMismatch)
        );
        let mut keyless = String::new();
        push_pem(&mut keyless, "CERTIFICATE", b.der());
        assert_eq!(
            Certificate::from_pem(&keyless),
            Err(CertificateError::NoPrivateKey)
        );
        assert_eq!(
            Certificate::from_pem("junk"),
            Err(CertificateError::NoCertificate)
        );
    }

    /// Ed25519 is the other key the engine can use.
    #[test]
    fn loads_ed25519() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let cert = CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let loaded = Certificate::from_pem(&format!("{}{}", cert.pem(), key.serialize_pem()));
        assert_eq!(loaded.unwrap().kind(), KeyKind::Ed25519);
    }
}
