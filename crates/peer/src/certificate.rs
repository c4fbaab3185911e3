//! The certificates that both ends have shown.

use std::sync::Arc;

use peerloom_dtls::{Certificate, Fingerprint, HashAlgorithm};

use crate::connection::PeerConnection;

/// The certificate of the other end, from [`PeerConnection::remote_certificate`]. A clone shares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCertificate {
    der: Arc<[u8]>,
}

impl RemoteCertificate {
    pub(crate) fn new(der: &[u8]) -> Self {
        RemoteCertificate { der: der.into() }
    }

    /// The certificate in DER form (X.509).
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its sha-256 fingerprint, in the form of `a=fingerprint`.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_with(HashAlgorithm::Sha256)
    }

    /// Its fingerprint by another hash function.
    pub fn fingerprint_with(&self, algorithm: HashAlgorithm) -> Fingerprint {
        Fingerprint::of(&self.der, algorithm)
    }
}

impl PeerConnection {
    /// The certificate that the other end proved to own in the DTLS handshake, and whose fingerprint
    /// its description names (W3C WebRTC `RTCDtlsTransport.getRemoteCertificates`). `None` before
    /// the handshake is complete. It stays known after the end.
    pub fn remote_certificate(&self) -> Option<RemoteCertificate> {
        self.shared().remote_certificate.get().cloned()
    }

    /// The certificate of this end: the builder's, or one made for this connection. It knows its
    /// fingerprint, its DER form and when it [expires](Certificate::expires).
    pub fn local_certificate(&self) -> Certificate {
        self.shared().certificate.clone()
    }
}
