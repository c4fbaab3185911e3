//! Handshakes over a simulated path, in both roles, against ourselves and against the engine without
//! an adapter. All time is virtual.

#![expect(clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::*;
use peerloom_dtls::{Certificate, Config, Role, SrtpProfile};

const LIMIT: Duration = Duration::from_secs(15);

/// The plain case: both ends agree on keys, SRTP keys and certificates.
#[tokio::test(start_paused = true)]
async fn two_of_ours() {
    let (mut client, mut server) = (
        Ours::new(config(Role::Client)),
        Ours::new(config(Role::Server)),
    );
    let took = Path::clean()
        .run(&mut client, &mut server, LIMIT)
        .await
        .unwrap();
    // Three round trips: HelloVerifyRequest, hello flights, Finished.
    assert!(took < Duration::from_millis(130), "{took:?}");
    let record = client.seal(b"ping");
    server.handle(now(), &mut record.clone());
    assert_eq!(server.received, [b"ping"]);
    let record = server.seal(b"pong");
    client.handle(now(), &mut record.clone());
    assert_eq!(client.received, [b"pong"]);

    let [ours, theirs] = certificates();
    let (client, server) = (client.connected(), server.connected());
    assert_eq!(client.remote_certificate, theirs.der());
    assert_eq!(server.remote_certificate, ours.der());
    let (a, b) = (client.srtp.as_ref().unwrap(), server.srtp.as_ref().unwrap());
    assert_eq!(a.profile, SrtpProfile::AeadAes128Gcm);
    assert_eq!(a.material, b.material);
    assert_eq!(a.local(), b.remote());
    assert_eq!(b.local(), a.remote());
}

/// Interoperates with the engine as it is, which shares no code of ours: SRTP keys by its own
/// exporter, data by its own record layer.
#[tokio::test(start_paused = true)]
async fn against_the_raw_engine() {
    for role in [Role::Client, Role::Server] {
        let mut ours = Ours::new(config_for_raw(role));
        let mut raw = Raw::new(RawConfig::new(role.peer()));
        Path::clean().run(&mut ours, &mut raw, LIMIT).await.unwrap();

        use webrtc_util::KeyingMaterialExporter;
        let state = raw.connected().connection_state().await;
        let srtp = ours.connected().srtp.clone().unwrap();
        assert_eq!(srtp.profile, SrtpProfile::Aes128CmSha1_80);
        let theirs = state
            .export_keying_material("EXTRACTOR-dtls_srtp", &[], 60)
            .await
            .unwrap();
        assert_eq!(srtp.material, theirs);

        let mut record = ours.seal(b"to the engine");
        raw.handle(now(), &mut record);
        let mut buffer = [0; 100];
        let len = raw.connected().read(&mut buffer, None).await.unwrap();
        assert_eq!(&buffer[..len], b"to the engine");
        raw.connected()
            .write(b"from the engine", None)
            .await
            .unwrap();
        let sent = std::future::poll_fn(|cx| std::task::Poll::Ready(raw.poll(cx, now()))).await;
        for mut datagram in sent {
            ours.handle(now(), &mut datagram);
        }
        assert_eq!(ours.received, [b"from the engine"]);
    }
}

/// The path that connections are made on in the field: loss in both directions, duplication,
/// reordering, jitter, and a ClientHello in two datagrams of which the second comes first.
/// 200 of 200 within 15 s at each loss rate.
async fn on_a_lossy_path(loss: f64) {
    let mut times = Vec::new();
    for seed in 0..200 {
        let mut client = Ours::new(config(Role::Client));
        let mut server = Ours::new(config(Role::Server));
        let mut path = Path::lossy(loss, seed);
        path.from_a = fragment_and_reorder_hello();
        let took = path.run(&mut client, &mut server, LIMIT).await;
        times.push(took.unwrap_or_else(|| panic!("seed {seed}: {client:?} {server:?}")));
        let record = client.seal(b"data");
        server.handle(now(), &mut record.clone());
        assert_eq!(server.received, [b"data"], "seed {seed}");
    }
    times.sort();
    println!(
        "loss {loss}: p50 {:?}, p95 {:?}, max {:?}",
        times[100], times[190], times[199]
    );
    assert!(times[199] <= LIMIT);
}

#[tokio::test(start_paused = true)]
async fn loss_10_percent() {
    on_a_lossy_path(0.1).await;
}

#[tokio::test(start_paused = true)]
async fn loss_20_percent() {
    on_a_lossy_path(0.2).await;
}

#[tokio::test(start_paused = true)]
async fn loss_30_percent() {
    on_a_lossy_path(0.3).await;
}

/// The engine as client repeats its last flight with new numbers until it hears ours again.
#[tokio::test(start_paused = true)]
async fn raw_client_on_a_lossy_path() {
    for seed in 0..50 {
        let mut ours = Ours::new(config_for_raw(Role::Server));
        let mut raw = Raw::new(RawConfig::new(Role::Client));
        let mut path = Path::lossy(0.2, seed);
        path.from_b = fragment_and_reorder_hello();
        let took = path.run(&mut ours, &mut raw, LIMIT).await;
        assert!(took.is_some(), "seed {seed}: {:?}", ours.handshake);
        raw.connected();
        ours.connected();
    }
}

/// The engine as server never repeats its last flight, so that one gets through; a third of all other
/// datagrams is lost.
#[tokio::test(start_paused = true)]
async fn raw_server_on_a_lossy_path() {
    for seed in 0..50u64 {
        let lossy = |salt: u64| -> Tamper<'static> {
            let mut state = seed * 2 + salt;
            Box::new(move |datagram| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let last = salt == 1 && parse(&datagram).iter().any(|record| record.kind == 20);
                if last || !(state >> 40).is_multiple_of(3) {
                    vec![datagram]
                } else {
                    vec![]
                }
            })
        };
        let mut ours = Ours::new(config_for_raw(Role::Client));
        let mut raw = Raw::new(RawConfig::new(Role::Server));
        let mut path = Path::clean();
        path.from_a = lossy(0);
        path.from_b = lossy(1);
        let took = path.run(&mut ours, &mut raw, LIMIT).await;
        assert!(took.is_some(), "seed {seed}: {ours:?}");
        raw.connected();
        ours.connected();
    }
}

/// Certificates of 4 KB make flights of five datagrams: fragments in both directions, repeats that
/// are released in the middle, transcripts over reassembled messages.
#[tokio::test(start_paused = true)]
async fn long_certificates_on_a_lossy_path() {
    let names: Vec<_> = (0..100)
        .map(|index| format!("{index:032}.example"))
        .collect();
    let long = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(names.clone()).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Certificate::from_pem(&(certificate.pem() + &key.serialize_pem())).unwrap()
    };
    let (ours, theirs) = (long(), long());
    assert!(ours.der().len() > 4_000);
    let rtt = Duration::from_millis(40);
    for seed in 0..50 {
        let client = Config::new(ours.clone(), Role::Client, vec![theirs.fingerprint()]);
        let server = Config::new(theirs.clone(), Role::Server, vec![ours.fingerprint()]);
        let mut client = Ours::new(client.with_rtt(rtt));
        let mut server = Ours::new(server.with_rtt(rtt));
        let took = Path::lossy(0.2, seed)
            .run(&mut client, &mut server, LIMIT)
            .await;
        assert!(took.is_some(), "seed {seed}: {client:?} {server:?}");
        let mut record = client.seal(b"data");
        server.handle(now(), &mut record);
        assert_eq!(server.received, [b"data"]);
    }
}

/// On a runtime with several threads, driven only by datagrams, wakes and the deadline that
/// `poll_timeout` names: no wake of the engine's tasks gets lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wakes_are_enough() {
    use tokio::sync::mpsc;

    async fn end(role: Role, out: mpsc::Sender<Vec<u8>>, mut datagrams: mpsc::Receiver<Vec<u8>>) {
        let mut ours = Ours::new(config(role));
        while !ours.is_done() {
            let due = ours
                .timeout()
                .map_or_else(tokio::time::Instant::now, Into::into);
            let mut sent = Vec::new();
            tokio::select! {
                biased;
                () = std::future::poll_fn(|cx| {
                    sent = ours.poll(cx, now());
                    if sent.is_empty() && !ours.is_done() {
                        return std::task::Poll::Pending;
                    }
                    std::task::Poll::Ready(())
                }) => {}
                Some(mut datagram) = datagrams.recv() => ours.handle(now(), &mut datagram),
                () = tokio::time::sleep_until(due) => ours.handle_timeout(now()),
            }
            for datagram in sent {
                let _ = out.send(datagram).await;
            }
        }
        ours.connected();
    }

    for _ in 0..50 {
        let (to_server, from_client) = mpsc::channel(100);
        let (to_client, from_server) = mpsc::channel(100);
        tokio::join!(
            end(Role::Client, to_server, from_server),
            end(Role::Server, to_client, from_client)
        );
    }
}
