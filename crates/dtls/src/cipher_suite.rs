//! The cipher suites that are offered and taken (RFC 8827 section 6.5).

use std::fmt;

use crate::certificate::KeyKind;
use crate::der;

/// The suite of a connection. Records are protected alike by both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CipherSuite {
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256` (0xC02B): a server with an ECDSA or EdDSA key.
    EcdheEcdsaAes128GcmSha256,
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` (0xC02F): a server with an RSA key.
    EcdheRsaAes128GcmSha256,
}

impl CipherSuite {
    /// Which of them it is follows from the server's certificate: the suite names the kind of key
    /// that signs the key exchange (RFC 8422 section 2).
    pub(crate) fn of_server(certificate: &[u8]) -> Self {
        match der::certificate(certificate).map(|view| view.key) {
            Some(KeyKind::Rsa) => Self::EcdheRsaAes128GcmSha256,
            Some(
                KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::Ed25519 | KeyKind::Other,
            )
            | None => Self::EcdheEcdsaAes128GcmSha256,
        }
    }

    /// The name in IANA's registry.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdheEcdsaAes128GcmSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Self::EcdheRsaAes128GcmSha256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        }
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
