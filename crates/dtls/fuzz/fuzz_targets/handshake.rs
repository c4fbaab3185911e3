//! Datagrams to a handshake in either role, with the engine running behind the normaliser: nothing a
//! peer sends makes either of them panic, or makes us hold or send without bound.
//!
//! The first byte chooses the role; each datagram has its length in two bytes in front.
#![no_main]

use std::future::poll_fn;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use peerloom_dtls::{Certificate, Config, EarlyFlight, Handshake, Role};

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut rest)) = data.split_first() else {
        return;
    };
    let role = if first & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(async {
        let now = || tokio::time::Instant::now().into_std();
        let certificate = certificate();
        let config = Config::new(certificate.clone(), role, vec![certificate.fingerprint()]);
        let mut handshake = Handshake::new(config, now()).expect("a fingerprint");
        let mut early = EarlyFlight::new();
        let mut received = 0;
        while let Some((length, tail)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
            let (datagram, tail) = tail.split_at(length);
            rest = tail;
            early.push(datagram);
            handshake.handle_datagram(now(), datagram);
            received += 1;
            // Time for the engine's tasks, and sometimes for a repeat.
            let pause = if first & 2 == 0 { 1 } else { 60 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let mut sent = 0;
            poll_fn(|cx| {
                let _ = handshake.poll(cx, now());
                Poll::Ready(())
            })
            .await;
            handshake.handle_timeout(now());
            while let Some(datagram) = handshake.poll_transmit() {
                assert!(datagram.len() <= 1200);
                sent += 1;
            }
            assert!(sent <= 8, "{sent} datagrams for one");
        }
        let _ = (
            received,
            handshake.poll_timeout(),
            handshake.drops().total(),
        );
    });
});

fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| Certificate::generate().expect("a certificate"))
}
