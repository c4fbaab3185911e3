//! The engine `webrtc-dtls` (crate `dtls`), for the handshake alone.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use webrtc_dtls::Error;
use webrtc_dtls::cipher_suite::CipherSuiteId;
use webrtc_dtls::config::{ClientAuthType, Config, ExtendedMasterSecretType};
use webrtc_dtls::conn::DTLSConn;
use webrtc_dtls::crypto::{CryptoPrivateKey, CryptoPrivateKeyKind};
use webrtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use webrtc_util::Conn;

use super::{Engine, EngineConfig, Secrets};
use crate::certificate::{Certificate, KeyKind};
use crate::error::HandshakeError;
use crate::fingerprint::{self, Fingerprint};
use crate::role::Role;
use crate::srtp::SrtpProfile;

/// A handshake in the making. The two tasks that the engine spawns end when this is dropped.
pub(crate) struct WebrtcEngine {
    handshake: Option<HandshakeFuture>,
    inbound: mpsc::Sender<Vec<u8>>,
    outbound: mpsc::Receiver<Vec<u8>>,
}

type HandshakeFuture = Pin<Box<dyn Future<Output = Result<Secrets, HandshakeError>> + Send>>;

impl WebrtcEngine {
    pub(crate) fn new(config: EngineConfig) -> Result<Self, HandshakeError> {
        install_crypto_provider();
        let (inbound, inbound_rx) = mpsc::channel(INBOUND_RECORDS);
        let (outbound_tx, outbound) = mpsc::channel(OUTBOUND_DATAGRAMS);
        let link = Arc::new(Link {
            inbound: tokio::sync::Mutex::new(inbound_rx),
            outbound: outbound_tx,
        });
        let refused = Arc::new(Mutex::new(None));
        let is_client = config.role == Role::Client;
        let fingerprints = Arc::clone(&config.remote_fingerprints);
        let engine_config = engine_config(config, Arc::clone(&refused))?;
        let handshake = async move {
            match handshake(link, engine_config, is_client).await {
                Ok(secrets) => Ok(secrets),
                Err(error) => {
                    let refused = refused
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                    Err(match refused {
                        Some(actual) => HandshakeError::FingerprintMismatch {
                            expected: fingerprints.to_vec(),
                            actual,
                        },
                        None => translate(error),
                    })
                }
            }
        };
        Ok(Self {
            handshake: Some(Box::pin(handshake)),
            inbound,
            outbound,
        })
    }
}

impl Engine for WebrtcEngine {
    fn feed(&mut self, record: Vec<u8>) -> bool {
        self.inbound.try_send(record).is_ok()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Secrets, HandshakeError>> {
        let Some(handshake) = &mut self.handshake else {
            return Poll::Pending;
        };
        // A panic in the engine is one failed handshake, not a failed application.
        let polled = catch_unwind(AssertUnwindSafe(|| handshake.as_mut().poll(cx)));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(_) => Err(HandshakeError::Engine("panicked".into())),
        };
        self.handshake = None;
        Poll::Ready(result)
    }

    fn poll_produced(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        match self.outbound.poll_recv(cx) {
            Poll::Ready(Some(datagram)) => Poll::Ready(datagram),
            // The engine is gone and will say why through `poll`.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

async fn handshake(link: Arc<Link>, config: Config, is_client: bool) -> Result<Secrets, Error> {
    let connection = DTLSConn::new(link, config, is_client, None).await?;
    let state = connection.connection_state().await;
    let keys = state.key_log_data()?;
    let random = |bytes: Vec<u8>| {
        <[u8; 32]>::try_from(bytes).map_err(|_| Error::Other("random of wrong length".into()))
    };
    Ok(Secrets {
        local_random: random(keys.local_random)?,
        remote_random: random(keys.remote_random)?,
        master_secret: keys.master_secret,
        srtp_profile: match connection.selected_srtpprotection_profile() {
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => {
                Some(SrtpProfile::Aes128CmSha1_80)
            }
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_32 => {
                Some(SrtpProfile::Aes128CmSha1_32)
            }
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Some(SrtpProfile::AeadAes128Gcm),
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => Some(SrtpProfile::AeadAes256Gcm),
            SrtpProtectionProfile::Unsupported => None,
        },
        remote_certificate: state
            .peer_certificates
            .into_iter()
            .next()
            .ok_or(Error::ErrInvalidCertificate)?,
    })
}

/// The engine's transport: never the network, never an error. An error from `recv` would make the
/// engine's reader spin.
struct Link {
    inbound: tokio::sync::Mutex<mpsc::Receiver<Vec<u8>>>,
    outbound: mpsc::Sender<Vec<u8>>,
}

#[async_trait]
impl Conn for Link {
    async fn connect(&self, _: SocketAddr) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, webrtc_util::Error> {
        loop {
            let Some(record) = self.inbound.lock().await.recv().await else {
                return pending().await;
            };
            if let Some(room) = buffer.get_mut(..record.len()) {
                room.copy_from_slice(&record);
                return Ok(record.len());
            }
        }
    }

    async fn recv_from(
        &self,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr), webrtc_util::Error> {
        Ok((self.recv(buffer).await?, NOWHERE))
    }

    async fn send(&self, datagram: &[u8]) -> Result<usize, webrtc_util::Error> {
        // Full: the engine waits until `poll` has taken some. Closed: nobody is interested any more.
        let _ = self.outbound.send(datagram.to_vec()).await;
        Ok(datagram.len())
    }

    async fn send_to(&self, datagram: &[u8], _: SocketAddr) -> Result<usize, webrtc_util::Error> {
        self.send(datagram).await
    }

    fn local_addr(&self) -> Result<SocketAddr, webrtc_util::Error> {
        Ok(NOWHERE)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn close(&self) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

fn engine_config(
    config: EngineConfig,
    refused: Arc<Mutex<Option<Fingerprint>>>,
) -> Result<Config, HandshakeError> {
    let cipher_suites = match config.role {
        Role::Client => vec![
            CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256, // 0xC02B
            CipherSuiteId::Tls_Ecdhe_Rsa_With_Aes_128_Gcm_Sha256,   // 0xC02F, for RSA servers
        ],
        // Our own certificate is never RSA.
        Role::Server => vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256],
    };
    let expected = config.remote_fingerprints;
    let verify = move |chain: &[Vec<u8>], _: &[CertificateDer<'static>]| {
        let certificate = chain.first().ok_or(Error::ErrInvalidCertificate)?;
        fingerprint::check(&expected, certificate).map_err(|actual| {
            *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(actual);
            Error::ErrInvalidCertificate
        })
    };
    Ok(Config {
        certificates: vec![engine_certificate(&config.certificate)?],
        cipher_suites,
        srtp_protection_profiles: config
            .srtp_profiles
            .into_iter()
            .map(engine_profile)
            .collect(),
        // Both ends authenticate; the chain means nothing, the fingerprint everything.
        client_auth: ClientAuthType::RequireAnyClientCert,
        insecure_skip_verify: true,
        verify_peer_certificate: Some(Arc::new(verify)),
        extended_master_secret: if config.require_extended_master_secret {
            ExtendedMasterSecretType::Require
        } else {
            ExtendedMasterSecretType::Request
        },
        flight_interval: config.repeat_interval,
        mtu: ENGINE_MTU,
        // The engine always sends an SNI, and logs a warning if it has to make one up.
        server_name: "localhost".into(),
        ..Config::default()
    })
}

fn engine_certificate(
    certificate: &Certificate,
) -> Result<webrtc_dtls::crypto::Certificate, HandshakeError> {
    let serialized_der = certificate.key_der().to_vec();
    let kind = match certificate.kind() {
        KeyKind::P256 => EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &serialized_der,
            &SystemRandom::new(),
        )
        .map(CryptoPrivateKeyKind::Ecdsa256),
        KeyKind::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&serialized_der)
            .map(CryptoPrivateKeyKind::Ed25519),
        // `Certificate` takes none of these.
        KeyKind::P384 | KeyKind::P521 | KeyKind::Rsa | KeyKind::Other => {
            return Err(HandshakeError::Engine("certificate key".into()));
        }
    };
    let kind = kind.map_err(|error| HandshakeError::Engine(error.to_string()))?;
    Ok(webrtc_dtls::crypto::Certificate {
        certificate: vec![CertificateDer::from(certificate.der().to_vec())],
        private_key: CryptoPrivateKey {
            kind,
            serialized_der,
        },
    })
}

fn engine_profile(profile: SrtpProfile) -> SrtpProtectionProfile {
    SrtpProtectionProfile::from(profile.id())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the engine has 60 errors; the rest is text"
)]
fn translate(error: Error) -> HandshakeError {
    match error {
        Error::ErrCipherSuiteNoIntersection | Error::ErrInvalidCipherSuite => {
            HandshakeError::NoCommonCipherSuite
        }
        Error::ErrServerNoMatchingSrtpProfile | Error::ErrClientNoMatchingSrtpProfile => {
            HandshakeError::NoCommonSrtpProfile
        }
        Error::ErrRequestedButNoSrtpExtension => HandshakeError::SrtpRefused,
        Error::ErrUnsupportedProtocolVersion => HandshakeError::ProtocolVersion,
        Error::ErrClientRequiredButNoServerEms | Error::ErrServerRequiredButNoClientEms => {
            HandshakeError::NoExtendedMasterSecret
        }
        Error::ErrClientCertificateRequired
        | Error::ErrCertificateVerifyNoCertificate
        | Error::ErrInvalidCertificate => HandshakeError::NoCertificate,
        Error::ErrKeySignatureMismatch
        | Error::ErrKeySignatureVerifyUnimplemented
        | Error::ErrClientCertificateNotVerified
        | Error::ErrNoAvailableSignatureSchemes => HandshakeError::BadSignature,
        // What ring says of a signature, passed on as text.
        Error::Other(text) if text == ring::error::Unspecified.to_string() => {
            HandshakeError::BadSignature
        }
        Error::ErrVerifyDataMismatch => HandshakeError::FinishedMismatch,
        other => HandshakeError::Engine(other.to_string()),
    }
}

/// With both of rustls's providers compiled in somewhere in the program and none installed, the
/// engine panics.
fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only when another thread was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// More records than the inward normaliser's bounds let through in one handshake.
const INBOUND_RECORDS: usize = 512;
/// The longest flight takes four.
const OUTBOUND_DATAGRAMS: usize = 32;
/// The engine counts a fragment's payload only: 12 and 13 bytes of headers come on top, and a
/// datagram must stay within 1200.
const ENGINE_MTU: usize = 1150;
const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

#[cfg(test)]
mod tests {
    use super::*;

    /// Fact: a transport whose `recv` returns an error makes the engine spin. Ours pends for ever
    /// once nobody feeds it, and `send` is no error either when nobody listens.
    #[tokio::test]
    async fn transport_never_fails() {
        let (inbound, inbound_rx) = mpsc::channel(4);
        let (outbound, _) = mpsc::channel(1);
        let link = Link {
            inbound: tokio::sync::Mutex::new(inbound_rx),
            outbound,
        };
        let mut buffer = [0; 8];
        inbound.try_send(vec![1, 2]).unwrap();
        assert_eq!(link.recv(&mut buffer).await.unwrap(), 2);
        // What does not fit is skipped, not cut.
        inbound.try_send(vec![0; 9]).unwrap();
        inbound.try_send(vec![3]).unwrap();
        assert_eq!(link.recv(&mut buffer).await.unwrap(), 1);
        drop(inbound);
        let mut recv = link.recv(&mut buffer);
        let polled = std::future::poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        assert_eq!(link.send(&[1]).await.unwrap(), 1);
    }

    /// Ring's text for a bad signature is what tells it apart from other failures.
    #[test]
    fn bad_signature_is_recognised() {
        let error = Error::Other(ring::error::Unspecified.to_string());
        assert_eq!(translate(error), HandshakeError::BadSignature);
    }
}
