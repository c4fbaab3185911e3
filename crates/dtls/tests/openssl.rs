//! Against OpenSSL's command line as a peer, over loopback sockets, in both roles and with the
//! certificates that the bare engine cannot have. Skipped where there is no `openssl`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{End, Ours, config};
use peerloom_dtls::{
    Certificate, CertificateError, CipherSuite, Config, Fingerprint, HandshakeError, HashAlgorithm,
    KeyKind, Role, SrtpProfile,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Both roles, with the usual key: data goes both ways and the SRTP profile is agreed.
#[tokio::test(flavor = "multi_thread")]
async fn both_roles() {
    for role in [Role::Client, Role::Server] {
        let Some(identity) = Identity::new("p256", "ec", &["ec_paramgen_curve:P-256"]) else {
            return;
        };
        let mut peer = Peer::new(role.peer(), &identity);
        peer.connect().await;
        let srtp = peer.ours.connected().srtp.clone().unwrap();
        assert_eq!(srtp.profile, SrtpProfile::AeadAes128Gcm);

        let record = peer.ours.seal(b"to openssl\n");
        peer.socket.send_to(&record, peer.address.unwrap()).unwrap();
        peer.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"from openssl\n")
            .unwrap();
        peer.until(|ours| !ours.received.is_empty()).await;
        assert_eq!(peer.ours.received[0], b"from openssl\n");
        let close = peer.ours.connected().sealer.close_notify().unwrap();
        peer.socket.send_to(&close, peer.address.unwrap()).unwrap();
        assert!(peer.output().contains("to openssl"), "{role:?}");
    }
}

/// A server with an RSA key takes the second cipher suite of our client (0xC02F).
#[tokio::test(flavor = "multi_thread")]
async fn rsa_server() {
    let Some(identity) = Identity::new("rsa", "rsa", &["rsa_keygen_bits:2048"]) else {
        return;
    };
    let mut peer = Peer::new(Role::Server, &identity);
    peer.connect().await;
    assert_eq!(
        peer.ours.connected().cipher_suite,
        CipherSuite::EcdheRsaAes128GcmSha256
    );
}

/// Fact: the engine cannot verify a P-384 certificate of the peer. The error says so.
#[tokio::test(flavor = "multi_thread")]
async fn p384_server() {
    let Some(identity) = Identity::new("p384", "ec", &["ec_paramgen_curve:P-384"]) else {
        return;
    };
    let mut peer = Peer::new(Role::Server, &identity);
    peer.connect().await;
    assert_eq!(
        *peer.ours.error(),
        HandshakeError::CertificateKeyUnsupported(KeyKind::P384),
        "{}",
        peer.ours.error()
    );
    let loaded = Certificate::from_pem(&identity.pem());
    assert_eq!(loaded, Err(CertificateError::KeyUnsupported(KeyKind::P384)));
}

/// Certificates made by OpenSSL load; so do P-256 keys it wrote.
#[test]
fn loads_a_certificate_of_openssl() {
    let Some(identity) = Identity::new("load", "ec", &["ec_paramgen_curve:P-256"]) else {
        return;
    };
    let certificate = Certificate::from_pem(&identity.pem()).unwrap();
    assert_eq!(certificate.fingerprint(), identity.fingerprint());
}

/// A certificate and key of OpenSSL, as files.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

impl Identity {
    /// `None` where there is no `openssl`.
    fn new(name: &str, algorithm: &str, options: &[&str]) -> Option<Self> {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = |extension| directory.join(format!("{name}-{}.{extension}", std::process::id()));
        let identity = Self {
            certificate: path("crt"),
            key: path("key"),
        };
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=test"]);
        command.args(["-newkey", algorithm]);
        for option in options {
            command.args(["-pkeyopt", option]);
        }
        command
            .arg("-keyout")
            .arg(&identity.key)
            .arg("-out")
            .arg(&identity.certificate);
        let made = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        made.is_ok_and(|status| status.success())
            .then_some(identity)
    }

    fn pem(&self) -> String {
        let read = |path| std::fs::read_to_string(path).unwrap();
        read(&self.key) + &read(&self.certificate)
    }

    fn fingerprint(&self) -> Fingerprint {
        let der = CertificateDer::from_pem_file(&self.certificate).unwrap();
        Fingerprint::of(&der, HashAlgorithm::Sha256)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.certificate);
        let _ = std::fs::remove_file(&self.key);
    }
}

/// `openssl s_server` or `s_client`, and our end.
struct Peer {
    child: Child,
    socket: UdpSocket,
    address: Option<SocketAddr>,
    ours: Ours,
}

impl Peer {
    fn new(role: Role, identity: &Identity) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut command = Command::new("openssl");
        let address = match role {
            Role::Server => {
                // Free a moment ago; OpenSSL does not say which one it takes.
                let free = UdpSocket::bind("127.0.0.1:0")
                    .unwrap()
                    .local_addr()
                    .unwrap();
                command.args(["s_server", "-Verify", "1", "-accept", &free.to_string()]);
                Some(free)
            }
            Role::Client => {
                let to = socket.local_addr().unwrap().to_string();
                command.args(["s_client", "-connect", &to]);
                None
            }
        };
        command.args(["-dtls1_2", "-quiet", "-mtu", "1200"]);
        command.args(["-use_srtp", "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"]);
        command
            .arg("-cert")
            .arg(&identity.certificate)
            .arg("-key")
            .arg(&identity.key);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let ours = Ours::new(Config {
            remote_fingerprints: vec![identity.fingerprint()],
            ..config(role.peer())
        });
        Self {
            child: command.spawn().unwrap(),
            socket,
            address,
            ours,
        }
    }

    async fn connect(&mut self) {
        self.until(|ours| ours.is_done()).await;
    }

    /// Drives our end over the socket, on the real clock: OpenSSL has no other.
    async fn until(&mut self, done: impl Fn(&Ours) -> bool) {
        #[expect(clippy::disallowed_methods, reason = "the peer is a process")]
        let clock = Instant::now;
        let start = clock();
        while !done(&self.ours) {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", self.ours);
            let now = clock();
            if self.ours.timeout().is_some_and(|due| due <= now) {
                self.ours.handle_timeout(now);
            }
            let mut buffer = [0; 2048];
            // Nothing there, or the peer is not up yet.
            while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
                self.address = Some(from);
                self.ours.handle(now, &mut buffer[..len]);
            }
            let out =
                std::future::poll_fn(|cx| std::task::Poll::Ready(self.ours.poll(cx, now))).await;
            for datagram in out {
                let _ = self.socket.send_to(&datagram, self.address.unwrap());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What it printed until it ended.
    fn output(&mut self) -> String {
        drop(self.child.stdin.take());
        let mut output = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        let mut byte = [0];
        while !output.contains('\n') && stdout.read(&mut byte).unwrap() == 1 {
            output.push(byte[0].into());
        }
        output
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
