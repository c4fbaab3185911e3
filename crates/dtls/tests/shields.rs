//! One test for each fact about the engine that would hurt a connection if the adapter did not stand
//! in between (docs/dtls.md lists them). All time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use peerloom_dtls::{
    AlertDescription, Config, DropReason, EarlyFlight, HandshakeError, KeyLog, Opened, Role,
    SrtpProfile, Waiting,
};

const LIMIT: Duration = Duration::from_secs(15);
/// A handshake without loss takes three round trips of 40 ms.
const UNDISTURBED: Duration = Duration::from_millis(130);

fn pair() -> (Ours, Ours) {
    (
        Ours::new(config(Role::Client)),
        Ours::new(config(Role::Server)),
    )
}

async fn connect(client: &mut Ours, server: &mut Ours) {
    Path::clean().run(client, server, LIMIT).await.unwrap();
}

/// Data passes both ways: what every attack below must leave intact.
fn assert_alive(client: &mut Ours, server: &mut Ours) {
    let mut record = client.seal(b"to server");
    server.handle(now(), &mut record);
    assert_eq!(server.received.pop().unwrap(), b"to server");
    let mut record = server.seal(b"to client");
    client.handle(now(), &mut record);
    assert_eq!(client.received.pop().unwrap(), b"to client");
}

/// Puts `forged` in front of every datagram.
fn inject<'a>(forged: Vec<Vec<u8>>) -> Tamper<'a> {
    Box::new(move |datagram| {
        let mut out = forged.clone();
        out.push(datagram);
        out
    })
}

fn is_last_flight(datagram: &[u8]) -> bool {
    parse(datagram).iter().any(|record| record.kind == 20)
}

fn forged(kind: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
    Record {
        kind,
        epoch,
        sequence,
        body: body.to_vec(),
    }
    .encode()
}

/// What a stranger can say without keys: alerts, data and unknown types in clear text.
fn clear_text_forgeries() -> Vec<Vec<u8>> {
    let mut out = vec![
        forged(21, 0, 77, &[2, 40]),
        forged(21, 0, 78, &[1, 0]),
        forged(21, 0, 79, &[2]),
        forged(23, 0, 80, b"data"),
        forged(24, 0, 81, b"heartbeat"),
        forged(99, 0, 82, b"unknown"),
        forged(22, 7, 0, &[0; 48]),
        forged(20, 0, 83, &[2]),
        vec![22],
        vec![0x2f; 40],
        vec![],
    ];
    let mut cut = forged(22, 0, 84, &[0; 30]);
    cut.truncate(20);
    out.push(cut);
    out
}

/// Fact: the engine never repeats its last flight, so a lost one leaves the client waiting for ever.
#[tokio::test(start_paused = true)]
async fn lost_final_flight_is_repeated() {
    for lost in [1, 2, 5] {
        let (mut client, mut server) = pair();
        let mut path = Path::clean();
        let sent = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&sent);
        path.from_b = Box::new(move |datagram| {
            if !is_last_flight(&datagram) {
                return vec![datagram];
            }
            seen.borrow_mut().push(datagram.clone());
            if seen.borrow().len() > lost {
                vec![datagram]
            } else {
                vec![]
            }
        });
        let took = path.run(&mut client, &mut server, LIMIT).await.unwrap();
        assert!(took < Duration::from_secs(5), "{lost} lost: {took:?}");
        let sent = sent.borrow();
        assert!(
            sent.iter().all(|again| *again == sent[0]),
            "verbatim: no nonce is used twice"
        );
        assert_alive(&mut client, &mut server);
    }
}

/// Fact: two application records that overtake the Finished deadlock the engine.
#[tokio::test(start_paused = true)]
async fn two_application_records_before_the_finished() {
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    let last = Rc::new(RefCell::new(Vec::new()));
    let keep = Rc::clone(&last);
    path.from_b = Box::new(move |datagram| {
        if is_last_flight(&datagram) {
            *keep.borrow_mut() = datagram;
            return vec![];
        }
        vec![datagram]
    });
    assert_eq!(
        path.run(&mut client, &mut server, Duration::from_millis(200))
            .await,
        None
    );
    for data in [&b"one"[..], b"two", b"three"] {
        let mut record = server.seal(data);
        client.handle(now(), &mut record);
    }
    client.handle(now(), &mut last.borrow().clone());
    path.run(&mut client, &mut server, LIMIT).await.unwrap();
    assert_eq!(client.received, [&b"one"[..], b"two", b"three"]);
    client.received.clear();
    assert_alive(&mut client, &mut server);
}

/// Fact: the engine holds records of the next epoch without limit. CVE-2022-29189.
#[tokio::test(start_paused = true)]
async fn early_records_are_bounded() {
    let (mut client, mut server) = pair();
    for index in 0..10_000 {
        client.handle(now(), &mut forged(23, 1, index, &[0; 100]));
        server.handle(now(), &mut forged(22, 1, index, &[index as u8; 48]));
    }
    assert_eq!(
        client.handshake.drops().count(DropReason::Limit),
        10_000 - 32
    );
    assert!(server.handshake.drops().count(DropReason::Limit) >= 9_900);
    let (mut client, _) = pair();
    for index in 0..100 {
        client.handle(now(), &mut forged(23, 1, index, &[0; 8_000]));
    }
    assert_eq!(
        client.handshake.drops().count(DropReason::Limit),
        100 - 48 * 1024 / 8_013
    );
}

/// Fact: one forged alert, application record or unknown type in clear text ends the engine, during
/// the handshake…
#[tokio::test(start_paused = true)]
async fn forged_clear_text_during_the_handshake() {
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    path.from_a = inject(clear_text_forgeries());
    path.from_b = inject(clear_text_forgeries());
    let took = path.run(&mut client, &mut server, LIMIT).await.unwrap();
    assert!(took < UNDISTURBED, "{took:?}");
    assert_alive(&mut client, &mut server);
}

/// … and after it.
#[tokio::test(start_paused = true)]
async fn forged_clear_text_after_the_handshake() {
    let (mut client, mut server) = pair();
    connect(&mut client, &mut server).await;
    for forgery in clear_text_forgeries() {
        let opener = &mut client.connected().opener;
        for record in peerloom_dtls::records(&mut forgery.clone()) {
            let opened = opener.open(record);
            assert!(
                matches!(opened, Opened::Ignored(DropReason::Epoch)),
                "{opened:?}"
            );
        }
        assert!(matches!(
            opener.open(&mut forgery.clone()),
            Opened::Ignored(_)
        ));
    }
    assert_alive(&mut client, &mut server);
}

/// Item 7: an alert nobody vouched for ends the handshake only when nothing else happens.
#[tokio::test(start_paused = true)]
async fn alert_counts_only_without_progress() {
    struct Silent(Vec<Vec<u8>>);
    impl End for Silent {
        fn handle(&mut self, _: std::time::Instant, _: &mut [u8]) {}
        fn poll(&mut self, _: &mut std::task::Context<'_>, _: std::time::Instant) -> Vec<Vec<u8>> {
            std::mem::take(&mut self.0)
        }
        fn is_done(&self) -> bool {
            true
        }
    }
    let mut client = Ours::new(config(Role::Client));
    let mut peer = Silent(vec![forged(21, 0, 0, &[2, 40])]);
    let took = Path::clean()
        .run(&mut client, &mut peer, LIMIT)
        .await
        .unwrap();
    assert_eq!(*client.error(), HandshakeError::Alert(AlertDescription(40)));
    assert_eq!(
        client.error().to_string(),
        "peer sent the alert handshake_failure (40)"
    );
    assert!(
        (Duration::from_millis(240)..Duration::from_secs(1)).contains(&took),
        "{took:?}"
    );
}

/// Fact: 40,000 one-byte fragments abort the engine's process, after much time. The honest hello
/// that comes next still connects.
#[tokio::test(start_paused = true)]
async fn forty_thousand_one_byte_fragments() {
    let (mut client, mut server) = pair();
    for index in 0..40_000u64 {
        let offset = (index * 7 % 8_000) as usize;
        let body = fragment(1, 8_000, 0, offset, &[1]);
        server.handle(now(), &mut Record::handshake(index, body).encode());
    }
    assert_eq!(
        server.handshake.drops().count(DropReason::Limit),
        40_000 - 256
    );
    connect(&mut client, &mut server).await;
    assert_alive(&mut client, &mut server);
}

/// Fact: the engine misreads a record with the tail of one message and the next message.
#[tokio::test(start_paused = true)]
async fn tail_of_a_message_and_the_next_in_one_record() {
    for room in [60, 100, 333] {
        let (mut client, mut server) = pair();
        let mut path = Path::clean();
        path.from_a = repack(room);
        path.from_b = repack(room);
        let took = path.run(&mut client, &mut server, LIMIT).await.unwrap();
        assert!(took < UNDISTURBED, "{took:?}");
        assert_alive(&mut client, &mut server);
    }
}

/// Cuts handshake messages into records of at most `room` bytes that are filled to the brim.
fn repack<'a>(room: usize) -> Tamper<'a> {
    let mut number = 0;
    Box::new(move |datagram| {
        let (messages, others): (Vec<_>, Vec<_>) = parse(&datagram)
            .into_iter()
            .partition(|record| record.kind == 22 && record.epoch == 0);
        let mut bodies = vec![Vec::new()];
        for message in messages {
            let sequence = u16::from_be_bytes([message.body[4], message.body[5]]);
            let (kind, data) = (message.body[0], &message.body[12..]);
            let mut offset = 0;
            loop {
                let body = bodies.last_mut().unwrap();
                let left = room.saturating_sub(body.len() + 12);
                if left == 0 {
                    bodies.push(Vec::new());
                    continue;
                }
                let end = data.len().min(offset + left);
                body.extend(fragment(
                    kind,
                    data.len(),
                    sequence,
                    offset,
                    &data[offset..end],
                ));
                offset = end;
                if offset == data.len() {
                    break;
                }
            }
        }
        let mut out = Vec::new();
        for body in bodies.into_iter().filter(|body| !body.is_empty()) {
            out.push(Record::handshake(number, body).encode());
            number += 1;
        }
        out.extend(others.iter().map(Record::encode));
        out
    })
}

/// Fact: the engine draws explicit nonces at random (GHSA-9f3f-wv7r-qc8r). Ours are epoch and number,
/// and begin behind every number the engine used with the same key.
#[tokio::test(start_paused = true)]
async fn nonces_are_sequential() {
    let (mut client, mut server) = pair();
    let mut path = Path::lossy(0.3, 5);
    let highest = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&highest);
    path.from_a = Box::new(move |datagram| {
        for record in parse(&datagram).iter().filter(|record| record.epoch == 1) {
            *seen.borrow_mut() = record.sequence;
        }
        vec![datagram]
    });
    path.run(&mut client, &mut server, LIMIT).await.unwrap();
    let first = client.connected().sealer.next_sequence();
    assert!(first > *highest.borrow());
    for expected in first..first + 100 {
        let record = client.seal(b"data");
        assert_eq!(record[3..11], (1 << 48 | expected).to_be_bytes());
        assert_eq!(record[13..21], record[3..11]);
    }
}

/// Fact: an epoch-1 record that is too short makes the engine panic where overflow is checked. Only
/// the length of a Finished passes, and forged ones of that length do no harm.
#[tokio::test(start_paused = true)]
async fn encrypted_records_of_odd_length() {
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    let odd: Vec<_> = (0..60).filter(|len| *len != 48).collect();
    let mut forgeries: Vec<_> = odd
        .iter()
        .map(|len| forged(22, 1, *len as u64, &vec![1; *len]))
        .collect();
    forgeries.push(forged(22, 1, 1_000, &[9; 48]));
    forgeries.push(forged(22, 1, 0, &[9; 48]));
    path.from_a = inject(forgeries.clone());
    path.from_b = inject(forgeries);
    let took = path.run(&mut client, &mut server, LIMIT).await.unwrap();
    assert!(took < UNDISTURBED, "{took:?}");
    assert!(server.handshake.drops().count(DropReason::Malformed) >= odd.len() as u64);
    assert_alive(&mut client, &mut server);
}

/// Fact: the engine's client never looks again at a ChangeCipherSpec that came before its keys, and
/// its replay check refuses a record number that a forgery has used.
#[tokio::test(start_paused = true)]
async fn forged_change_cipher_spec_and_record_numbers() {
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    let mut forgeries = vec![forged(20, 0, 0, &[1]), forged(20, 0, (1 << 48) - 1, &[1])];
    for number in 0..8 {
        forgeries.push(Record::handshake(number, fragment(11, 300, 5, 0, &[0; 10])).encode());
    }
    forgeries.push(Record::handshake((1 << 48) - 1, fragment(0, 0, 0, 0, &[])).encode());
    path.from_b = inject(forgeries);
    path.run(&mut client, &mut server, LIMIT).await.unwrap();
    assert_alive(&mut client, &mut server);
}

/// A Finished that overtakes its ChangeCipherSpec waits for it; the engine's client would hold it
/// and never look again.
#[tokio::test(start_paused = true)]
async fn finished_before_change_cipher_spec() {
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    let swap = || -> Tamper<'static> {
        Box::new(|datagram| {
            let mut records = parse(&datagram);
            if records.iter().any(|record| record.kind == 20) {
                records.reverse();
                return records.iter().map(Record::encode).collect();
            }
            vec![datagram]
        })
    };
    path.from_a = swap();
    path.from_b = swap();
    let took = path.run(&mut client, &mut server, LIMIT).await.unwrap();
    assert!(took < UNDISTURBED, "{took:?}");
}

/// Fact: the engine aborts where `use_srtp` is left out or no profile matches. The error says so and
/// names the option; with the option such peers connect.
#[tokio::test(start_paused = true)]
async fn missing_use_srtp() {
    let silent = |role| RawConfig {
        profiles: vec![],
        ..RawConfig::new(role)
    };
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    path.from_b = Box::new(without_use_srtp);
    path.run(&mut client, &mut server, Duration::from_secs(1))
        .await;
    assert_eq!(*client.error(), HandshakeError::SrtpRefused);
    assert!(client.error().to_string().contains("srtp_profiles"));

    let off = Config {
        srtp_profiles: vec![],
        ..config_for_raw(Role::Client)
    };
    let mut client = Ours::new(off);
    let mut raw = Raw::new(silent(Role::Server));
    Path::clean()
        .run(&mut client, &mut raw, LIMIT)
        .await
        .unwrap();
    assert!(client.connected().srtp.is_none());

    let mut server = Ours::new(config_for_raw(Role::Server));
    let mut raw = Raw::new(silent(Role::Client));
    Path::clean()
        .run(&mut server, &mut raw, LIMIT)
        .await
        .unwrap();
    assert!(server.connected().srtp.is_none());

    let other = Config {
        srtp_profiles: vec![SrtpProfile::AeadAes256Gcm],
        ..config_for_raw(Role::Server)
    };
    let mut server = Ours::new(other);
    let mut raw = Raw::new(RawConfig::new(Role::Client));
    Path::clean()
        .run(&mut server, &mut raw, Duration::from_secs(1))
        .await;
    assert_eq!(*server.error(), HandshakeError::NoCommonSrtpProfile);
}

/// Takes the extension out of every ServerHello.
fn without_use_srtp(datagram: Vec<u8>) -> Vec<Vec<u8>> {
    let mut records = parse(&datagram);
    for record in &mut records {
        if record.epoch == 0 && record.kind == 22 && record.body[0] == 2 {
            let mut message = record.body[12..].to_vec();
            // use_srtp with one profile and no MKI; its number becomes one nobody knows.
            let at = message
                .windows(4)
                .position(|bytes| bytes == [0, 14, 0, 5])
                .unwrap();
            message[at..at + 2].copy_from_slice(&[0xfa, 0xfa]);
            record.body = fragment(2, message.len(), 1, 0, &message);
        }
    }
    vec![records.iter().flat_map(Record::encode).collect()]
}

/// Fact: the engine repeats at a fixed interval and for ever. The path sees a doubling interval, and
/// the end says what was tried.
#[tokio::test(start_paused = true)]
async fn back_off_and_deadline() {
    struct Deaf(Rc<RefCell<Vec<std::time::Instant>>>);
    impl End for Deaf {
        fn handle(&mut self, now: std::time::Instant, _: &mut [u8]) {
            self.0.borrow_mut().push(now);
        }
        fn poll(&mut self, _: &mut std::task::Context<'_>, _: std::time::Instant) -> Vec<Vec<u8>> {
            vec![]
        }
        fn is_done(&self) -> bool {
            true
        }
    }
    let heard = Rc::default();
    let mut client = Ours::new(config(Role::Client));
    let took = Path::clean()
        .run(&mut client, &mut Deaf(Rc::clone(&heard)), LIMIT * 3)
        .await;
    assert_eq!(took, Some(Duration::from_secs(30)));
    let heard = heard.take();
    let gaps: Vec<_> = heard
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis())
        .collect();
    for (gap, expected) in gaps.iter().zip([80, 160, 320, 640, 1000, 1000, 1000]) {
        assert!(gap.abs_diff(expected) <= 45, "{gaps:?}");
    }
    let tries = heard.len() as u32;
    let HandshakeError::Timeout {
        waiting: Waiting::AnswerToClientHello,
        tries: counted,
        ..
    } = *client.error()
    else {
        panic!("{:?}", client.error());
    };
    assert!(tries.abs_diff(counted) <= 1, "{tries} {counted}");
    let text = client.error().to_string();
    assert_eq!(
        text,
        format!("no answer to ClientHello after {counted} tries in 30s")
    );

    let mut server = Ours::new(config(Role::Server));
    Path::clean()
        .run(&mut server, &mut Deaf(Rc::default()), LIMIT * 3)
        .await;
    assert_eq!(
        server.error().to_string(),
        "no ClientHello came after 0 tries in 30s"
    );
}

/// A path that was dead for 20 s connects as soon as ICE says that it is back.
#[tokio::test(start_paused = true)]
async fn resumes_after_a_blackout() {
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    path.link.set_down(true);
    let blackout = Duration::from_millis(20_300);
    assert_eq!(path.run(&mut client, &mut server, blackout).await, None);
    path.link.set_down(false);
    client.handshake.path_resumed(now());
    server.handshake.path_resumed(now());
    let took = path.run(&mut client, &mut server, LIMIT).await.unwrap();
    assert!(took < UNDISTURBED, "{took:?}");
}

/// Fact: the engine never frees fragments it has consumed, and repeats of a hello make it answer
/// each. Ten thousand repeats cost a bounded number of answers.
#[tokio::test(start_paused = true)]
async fn repeated_hellos_are_bounded() {
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    let answers = Rc::new(RefCell::new(0));
    let count = Rc::clone(&answers);
    path.from_a = Box::new(|datagram| vec![datagram; 10_000]);
    path.from_b = Box::new(move |_| {
        *count.borrow_mut() += 1;
        vec![]
    });
    path.run(&mut client, &mut server, Duration::from_millis(500))
        .await;
    assert!(
        (1..=10).contains(&*answers.borrow()),
        "{}",
        answers.borrow()
    );
    assert!(server.handshake.drops().count(DropReason::Pointless) > 9_000);
}

/// Fact: a wrong cookie ends the engine's handshake; whoever guesses the time could end ours.
#[tokio::test(start_paused = true)]
async fn forged_cookie() {
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    path.from_a = Box::new(|datagram| {
        let mut forgery = parse(&datagram);
        let hello = &mut forgery[0];
        // The second hello has a cookie behind version, random and an empty session id.
        if hello.body[0] == 1 && hello.body[12 + 35] != 0 {
            hello.body[12 + 36] ^= 1;
            return vec![hello.encode(), datagram];
        }
        vec![datagram]
    });
    let took = path.run(&mut client, &mut server, LIMIT).await.unwrap();
    assert!(took < UNDISTURBED, "{took:?}");
    assert_eq!(server.handshake.drops().count(DropReason::Cookie), 1);
}

/// Fact: hellos and key exchanges whose lengths lie make the engine panic. They never reach it, and
/// leave their place to the honest message.
#[tokio::test(start_paused = true)]
async fn messages_that_lie_about_their_inside() {
    let (mut client, mut server) = pair();
    let hello = {
        let mut out = vec![0xfe, 0xfd];
        out.extend([7; 32]);
        out.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
        // An extension block of three bytes: the engine reads the fourth.
        out.extend([0, 3, 0, 10, 0]);
        out
    };
    let body = fragment(1, hello.len(), 0, 0, &hello);
    server.handle(now(), &mut Record::handshake(0, body).encode());
    assert_eq!(server.handshake.drops().count(DropReason::Message), 1);
    let lies = Rc::new(RefCell::new(0));
    let count = Rc::clone(&lies);
    let mut path = Path::clean();
    path.from_a = Box::new(move |datagram| {
        // In front of the client's last flight, an empty Certificate and key exchange by its numbers.
        if is_last_flight(&datagram) {
            *count.borrow_mut() += 1;
            let certificate = fragment(11, 1, 2, 0, &[0]);
            let exchange = fragment(16, 1, 3, 0, &[0]);
            return vec![
                Record::handshake(90, certificate).encode(),
                Record::handshake(91, exchange).encode(),
                datagram,
            ];
        }
        vec![datagram]
    });
    path.run(&mut client, &mut server, LIMIT).await.unwrap();
    assert_eq!(*lies.borrow(), 1);
    assert_alive(&mut client, &mut server);
}

/// Item 8, in both roles: a certificate of another fingerprint ends the handshake with both values,
/// and before anything is exported.
#[tokio::test(start_paused = true)]
async fn fingerprint_is_checked_in_both_roles() {
    #[derive(Default)]
    struct Log(std::sync::Mutex<Vec<Vec<u8>>>);
    impl KeyLog for Log {
        fn log(&self, _: &str, _: &[u8; 32], secret: &[u8]) {
            self.0.lock().unwrap().push(secret.to_vec());
        }
    }
    let wrong = peerloom_dtls::Certificate::generate()
        .unwrap()
        .fingerprint();
    for role in [Role::Client, Role::Server] {
        let log = std::sync::Arc::new(Log::default());
        let mut ours = Ours::new(Config {
            remote_fingerprints: vec![wrong.clone()],
            key_log: Some(log.clone()),
            ..config(role)
        });
        let mut theirs = Ours::new(config(role.peer()));
        Path::clean()
            .run(&mut ours, &mut theirs, LIMIT)
            .await
            .unwrap();
        let actual = certificates()[usize::from(role == Role::Client)].fingerprint();
        let expected = vec![wrong.clone()];
        assert_eq!(
            *ours.error(),
            HandshakeError::FingerprintMismatch { expected, actual }
        );
        let text = ours.error().to_string();
        assert!(text.contains(&wrong.to_string()), "{text}");
        // The peer hears of it.
        assert_eq!(*theirs.error(), HandshakeError::Alert(AlertDescription(42)));
        assert!(log.0.lock().unwrap().is_empty());
    }
}

/// Fact: the engine spawns two tasks. They are gone once the handshake is, whatever became of it.
#[tokio::test(start_paused = true)]
async fn no_task_outlives_the_handshake() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let (mut client, mut server) = pair();
    connect(&mut client, &mut server).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(tasks(), 0);
    let (mut client, mut server) = pair();
    let mut path = Path::clean();
    path.run(&mut client, &mut server, Duration::from_millis(70))
        .await;
    assert_eq!(tasks(), 4);
    drop((client, server));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(tasks(), 0);
}

/// Fact: with several crypto providers in the program and none installed, the engine panics.
#[tokio::test(start_paused = true)]
async fn a_crypto_provider_is_installed() {
    let _handshake = Ours::new(config(Role::Client));
    assert!(rustls::crypto::CryptoProvider::get_default().is_some());
}

/// Browsers' hellos (1413 and 1461 B with a post-quantum key share, in two datagrams) are put
/// together in either order, and answered once.
#[tokio::test(start_paused = true)]
async fn hellos_of_browsers() {
    for (name, bytes) in [
        (
            "chromium 156",
            &include_bytes!("data/chromium-156-data.pcap")[..],
        ),
        ("firefox 153", include_bytes!("data/firefox-153-data.pcap")),
    ] {
        let hello: Vec<_> = capture(bytes)
            .into_iter()
            .map(|(_, datagram)| datagram)
            .filter(|datagram| datagram[0] == 22 && datagram[13] == 1)
            .collect();
        assert_eq!(hello.len(), 2, "{name}");
        for order in [[0, 1], [1, 0]] {
            let mut server = Ours::new(config(Role::Server));
            let mut early = EarlyFlight::new();
            for index in order {
                assert!(early.push(&hello[index]), "{name}");
                assert!(!early.push(&hello[index]), "kept once");
            }
            early.replay(now(), &mut server.handshake);
            assert!(early.is_empty());
            let answer = answer_of(&mut server).await;
            assert_eq!(answer.len(), 1, "{name}");
            let records = parse(&answer[0]);
            assert_eq!(
                (records.len(), records[0].body[0]),
                (1, 3),
                "a HelloVerifyRequest"
            );
        }
    }
}

async fn answer_of(end: &mut Ours) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for _ in 0..20 {
        out.extend(std::future::poll_fn(|cx| std::task::Poll::Ready(end.poll(cx, now()))).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    out
}

/// Item 9: what comes before the remote description is one first ClientHello and nothing else.
#[tokio::test(start_paused = true)]
async fn early_flight_is_one_hello() {
    let mut early = EarlyFlight::new();
    for forgery in clear_text_forgeries() {
        assert!(!early.push(&forgery));
    }
    assert!(!early.push(&Record::handshake(0, fragment(11, 3, 0, 0, &[0; 3])).encode()));
    assert!(!early.push(&Record::handshake(0, fragment(1, 3, 1, 0, &[0; 3])).encode()));
    let mut kept = 0;
    for offset in 0..100 {
        let body = fragment(1, 100_000, 0, offset * 1_000, &[0; 1_000]);
        let datagram = Record::handshake(offset as u64, body).encode();
        if early.push(&datagram) {
            kept += datagram.len();
        }
    }
    assert!(kept > 0 && kept <= EarlyFlight::MAX_BYTES);
}

/// Fact: the engine reads at most 8192 B at once. The longest message that is taken fits, whole or in
/// pieces; a longer one is refused at its first fragment.
#[tokio::test(start_paused = true)]
async fn longest_message() {
    for (extra, fits) in [(0, true), (1, false)] {
        // A hello that is all padding extension but for its 44 bytes and the 6 of two lengths.
        let length = 8192 - 13 - 12 + extra;
        let mut hello = vec![0xfe, 0xfd];
        hello.extend([7; 32]);
        hello.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
        let padding = length - hello.len() - 6;
        hello.extend((padding as u16 + 4).to_be_bytes());
        hello.extend([0, 21]);
        hello.extend((padding as u16).to_be_bytes());
        hello.resize(length, 0);
        let mut server = Ours::new(config(Role::Server));
        for (index, piece) in hello.chunks(1_000).enumerate() {
            let body = fragment(1, length, 0, index * 1_000, piece);
            server.handle(now(), &mut Record::handshake(index as u64, body).encode());
        }
        assert_eq!(server.handshake.drops().total() == 0, fits);
        if fits {
            // The engine got it and found no extended master secret in it.
            answer_of(&mut server).await;
            assert_eq!(*server.error(), HandshakeError::NoExtendedMasterSecret);
        }
    }
}
