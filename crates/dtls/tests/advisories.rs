//! Known advisories of DTLS stacks, as regression tests by their names. Those that are also facts
//! about the engine have their test in `shields.rs`: CVE-2022-29189 (`early_records_are_bounded`),
//! GHSA-9f3f-wv7r-qc8r (`nonces_are_sequential`), GHSA-qwfw-ggxw-577c
//! (`fingerprint_is_checked_in_both_roles`).

mod common;

use std::time::Duration;

use common::*;
use peerloom_dtls::{DropReason, Fingerprint, HandshakeError, HashAlgorithm, Role, Waiting};

const LIMIT: Duration = Duration::from_secs(15);

/// A stranger's ClientHello that arrives first, with suites nobody has, must not decide the
/// connection. Which addresses may speak DTLS at all is ICE's business; here a hello that is not
/// even well-formed, or has a cookie of its own, is ignored.
#[tokio::test(start_paused = true)]
async fn cve_2023_49786_client_hello_race() {
    let (mut client, mut server) = (
        Ours::new(config(Role::Client)),
        Ours::new(config(Role::Server)),
    );
    let mut hello = vec![0xfe, 0xfd];
    hello.extend([7; 32]);
    hello.extend([0, 3, 1, 2, 3, 0, 2, 0, 0, 1, 0]);
    for number in 0..100u16 {
        let body = fragment(1, hello.len(), 1 + number % 3, 0, &hello);
        server.handle(now(), &mut Record::handshake(number.into(), body).encode());
    }
    Path::clean()
        .run(&mut client, &mut server, LIMIT)
        .await
        .unwrap();
}

/// Zero-length fragments made a reader loop for ever.
#[tokio::test(start_paused = true)]
async fn cve_2022_29190_zero_length_fragments() {
    let (mut client, mut server) = (
        Ours::new(config(Role::Client)),
        Ours::new(config(Role::Server)),
    );
    for number in 0..1_000 {
        let mut body = Vec::new();
        for offset in 0..20 {
            body.extend(fragment(1, 100, 0, offset, &[]));
        }
        server.handle(now(), &mut Record::handshake(number, body).encode());
    }
    assert_eq!(server.handshake.drops().count(DropReason::Fragment), 20_000);
    Path::clean()
        .run(&mut client, &mut server, LIMIT)
        .await
        .unwrap();
}

/// A client that shows another's certificate, with the right fingerprint, but signs with its own
/// key, or does not sign at all.
#[tokio::test(start_paused = true)]
async fn cve_2022_29222_certificate_without_proof() {
    let victim = raw_certificate();
    let mut impostor =
        webrtc_dtls::crypto::Certificate::generate_self_signed(vec!["impostor".into()]).unwrap();
    impostor.certificate.clone_from(&victim.certificate);
    for role in [Role::Server, Role::Client] {
        let mut ours = Ours::new(config_for_raw(role));
        let peer = RawConfig {
            certificate: impostor.clone(),
            ..RawConfig::new(role.peer())
        };
        let mut raw = Raw::new(peer);
        Path::clean()
            .run(&mut ours, &mut raw, Duration::from_secs(1))
            .await;
        assert_eq!(*ours.error(), HandshakeError::BadSignature, "{role:?}");
    }

    let mut ours = Ours::new(config_for_raw(Role::Server));
    let mut raw = Raw::new(RawConfig::new(Role::Client));
    let mut path = Path::clean();
    path.from_b = Box::new(|datagram| {
        let kept = parse(&datagram)
            .into_iter()
            .filter(|record| !(record.epoch == 0 && record.kind == 22 && record.body[0] == 15));
        vec![kept.flat_map(|record| record.encode()).collect()]
    });
    path.run(&mut ours, &mut raw, LIMIT * 3).await;
    let HandshakeError::Timeout {
        waiting, last_seen, ..
    } = *ours.error()
    else {
        panic!("{:?}", ours.error());
    };
    assert_eq!(waiting, Waiting::AnswerToServerHello);
    assert_eq!(last_seen, Some("ClientKeyExchange"));
}

/// The same for the client's check: fingerprints by every hash function work in both roles.
#[tokio::test(start_paused = true)]
async fn ghsa_qwfw_ggxw_577c_all_hash_functions() {
    for algorithm in [
        HashAlgorithm::Sha256,
        HashAlgorithm::Sha384,
        HashAlgorithm::Sha512,
    ] {
        let [ours, theirs] = certificates();
        let fingerprint = |der| vec![Fingerprint::of(der, algorithm)];
        let mut client = config(Role::Client);
        client.remote_fingerprints = fingerprint(theirs.der());
        let mut server = config(Role::Server);
        server.remote_fingerprints = fingerprint(ours.der());
        let (mut client, mut server) = (Ours::new(client), Ours::new(server));
        Path::clean()
            .run(&mut client, &mut server, LIMIT)
            .await
            .unwrap();
        client.connected();
        server.connected();
    }
}

/// Downgrade: a server without the extended master secret is refused unless the option allows it.
#[tokio::test(start_paused = true)]
async fn downgrade_of_the_master_secret() {
    use webrtc_dtls::config::ExtendedMasterSecretType;
    for role in [Role::Client, Role::Server] {
        for required in [true, false] {
            let mut config = config_for_raw(role);
            config.require_extended_master_secret = required;
            let mut ours = Ours::new(config);
            let mut raw = Raw::new(RawConfig {
                extended_master_secret: ExtendedMasterSecretType::Disable,
                ..RawConfig::new(role.peer())
            });
            Path::clean()
                .run(&mut ours, &mut raw, Duration::from_secs(1))
                .await;
            if required {
                assert_eq!(*ours.error(), HandshakeError::NoExtendedMasterSecret);
            } else {
                ours.connected();
            }
        }
    }
}
