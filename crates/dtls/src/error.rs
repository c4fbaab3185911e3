//! Why a handshake could not start or did not succeed.

use std::fmt;
use std::time::Duration;

use crate::alert::AlertDescription;
use crate::certificate::KeyKind;
use crate::fingerprint::Fingerprint;

/// A configuration that no handshake can be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no fingerprint to authenticate the peer with.
    #[error("no remote fingerprint")]
    NoFingerprint,
}

/// What ended a handshake. Nothing was exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The time limit passed.
    #[error("{waiting} after {} in {after:?}{}", count(*tries), seen(*last_seen))]
    Timeout {
        /// What did not come.
        waiting: Waiting,
        /// How often our last flight was sent.
        tries: u32,
        /// Since the start.
        after: Duration,
        /// The last handshake message that the peer sent.
        last_seen: Option<&'static str>,
    },
    /// The peer's certificate is not the one of its description.
    #[error("certificate fingerprint is {actual}, expected {}", list(expected))]
    FingerprintMismatch {
        /// The fingerprints of the description.
        expected: Vec<Fingerprint>,
        /// The certificate's, by the strongest of their hash functions.
        actual: Fingerprint,
    },
    /// The peer gave up. In the handshake this is not authentic, so it counts only when nothing
    /// else came for a while.
    #[error("peer sent the alert {0}")]
    Alert(AlertDescription),
    /// We offer AES-128-GCM with ECDHE only.
    #[error("no common cipher suite")]
    NoCommonCipherSuite,
    /// `use_srtp` lists no profile of ours.
    #[error("no common SRTP profile")]
    NoCommonSrtpProfile,
    /// The server left `use_srtp` out.
    #[error("peer does not negotiate SRTP; for such peers set srtp_profiles to an empty list")]
    SrtpRefused,
    /// The peer does not speak DTLS 1.2.
    #[error("peer does not support DTLS 1.2")]
    ProtocolVersion,
    /// The peer lacks RFC 7627.
    #[error("peer does not support the extended master secret")]
    NoExtendedMasterSecret,
    /// The peer sent no certificate.
    #[error("peer sent no certificate")]
    NoCertificate,
    /// The peer's certificate has a key that the engine cannot verify with.
    #[error("certificate key {0:?} of the peer is not supported")]
    CertificateKeyUnsupported(KeyKind),
    /// The peer did not prove that it has the key of its certificate.
    #[error("peer's signature does not verify")]
    BadSignature,
    /// The peer's Finished does not match what we sent and received: someone changed the handshake.
    #[error("peer's Finished does not match the handshake")]
    FinishedMismatch,
    /// The engine failed for another reason.
    #[error("handshake engine: {0}")]
    Engine(String),
}

/// What a handshake was waiting for when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// A server that heard nothing.
    ClientHello,
    /// A server whose HelloVerifyRequest was not answered.
    ClientHelloWithCookie,
    /// A client that heard nothing, or only parts.
    AnswerToClientHello,
    /// A server whose flight from ServerHello to ServerHelloDone was not answered in full.
    AnswerToServerHello,
    /// A client whose Finished was not answered.
    ServerFinished,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientHello => "no ClientHello came",
            Self::ClientHelloWithCookie => "no ClientHello with our cookie",
            Self::AnswerToClientHello => "no answer to ClientHello",
            Self::AnswerToServerHello => "no complete answer to ServerHello",
            Self::ServerFinished => "no Finished from the server",
        })
    }
}

fn count(tries: u32) -> String {
    format!("{tries} {}", if tries == 1 { "try" } else { "tries" })
}

fn seen(message: Option<&'static str>) -> String {
    message.map_or_else(String::new, |message| format!(", last seen {message}"))
}

fn list(fingerprints: &[Fingerprint]) -> String {
    fingerprints
        .iter()
        .map(Fingerprint::to_string)
        .collect::<Vec<_>>()
        .join(" or ")
}
