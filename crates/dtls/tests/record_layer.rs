//! The record layer alone: replay, forgery, limits, batches, alerts. Keys are made up.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

use std::time::Instant;

use peerloom_dtls::{
    AlertDescription, CLOSE_NOTIFY_LEN, ContentType, DropReason, HEADROOM, KeySchedule,
    MAX_PLAINTEXT, OVERHEAD, Opened, Opener, Role, SealError, Sealer, TAILROOM, records,
};

fn keys() -> KeySchedule {
    KeySchedule::new(&[7; 48], [1; 32], [2; 32])
}

/// What a client seals and its server opens.
fn ends() -> (Sealer, Opener) {
    (keys().sealer(Role::Client, 1), keys().opener(Role::Server))
}

fn seal(sealer: &mut Sealer, content: ContentType, plaintext: &[u8]) -> Vec<u8> {
    let mut record = vec![0; HEADROOM];
    record.extend_from_slice(plaintext);
    record.extend([0; TAILROOM]);
    sealer.seal(content, &mut record).unwrap();
    record
}

fn data(sealer: &mut Sealer) -> Vec<u8> {
    seal(sealer, ContentType::ApplicationData, b"data")
}

/// Every length survives, the empty one and the longest included; a direction's keys open only that
/// direction.
#[test]
fn seal_and_open() {
    let (mut sealer, mut opener) = ends();
    for len in [0, 1, 15, 16, 17, 1160, MAX_PLAINTEXT] {
        let plaintext: Vec<u8> = (0..len).map(|index| index as u8).collect();
        let mut record = seal(&mut sealer, ContentType::ApplicationData, &plaintext);
        assert_eq!(record.len(), OVERHEAD + len);
        let mut wrong = keys().opener(Role::Client);
        assert_eq!(
            wrong.open(&mut record.clone()),
            Opened::Ignored(DropReason::Forged)
        );
        match opener.open(&mut record) {
            Opened::ApplicationData(opened) => assert_eq!(opened, plaintext),
            other => panic!("{len}: {other:?}"),
        }
    }
    assert_eq!(opener.usage().records, 7);
    assert_eq!(opener.usage().bytes, sealer.usage().bytes);
}

/// A batch of equal segments, the last one shorter, is sealed back to back and comes apart again.
#[test]
fn batch() {
    let (mut sealer, mut opener) = ends();
    let segment = OVERHEAD + 100;
    let mut batch = vec![0xaa; segment * 3 + OVERHEAD + 7];
    sealer
        .seal_batch(ContentType::ApplicationData, &mut batch, segment)
        .unwrap();
    let lengths: Vec<_> = records(&mut batch)
        .map(|record| match opener.open(record) {
            Opened::ApplicationData(opened) => {
                assert!(opened.iter().all(|byte| *byte == 0xaa));
                opened.len()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths, [100, 100, 100, 7]);
    let mut short = vec![0; segment + 5];
    assert_eq!(
        sealer.seal_batch(ContentType::ApplicationData, &mut short, segment),
        Err(SealError::TooShort { len: 5 })
    );
    assert!(
        sealer
            .seal_batch(ContentType::ApplicationData, &mut [], segment)
            .is_ok()
    );
    assert!(
        sealer
            .seal_batch(ContentType::ApplicationData, &mut short, 0)
            .is_err()
    );
}

/// A replayed record is dropped, within the window and below it; late ones inside 1024 still open.
#[test]
fn replay() {
    let (mut sealer, mut opener) = ends();
    let records: Vec<_> = (0..3000).map(|_| data(&mut sealer)).collect();
    let mut open = |index: usize| match opener.open(&mut records[index].clone()) {
        Opened::ApplicationData(_) => None,
        Opened::Ignored(reason) => Some(reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(open(2500), None);
    assert_eq!(open(2500), Some(DropReason::Replay));
    assert_eq!(open(2500 - 1024), None);
    assert_eq!(open(2500 - 1024), Some(DropReason::Replay));
    assert_eq!(open(2999), None);
    assert_eq!(open(0), Some(DropReason::Replay));
    assert_eq!(open(2998), None);
}

/// A forged record far ahead moves nothing: the window is moved by authentic records only.
#[test]
fn forged_far_ahead_sequence() {
    let (mut sealer, mut opener) = ends();
    let mut first = data(&mut sealer);
    for number in [1u64 << 20, 1 << 47, (1 << 48) - 1] {
        let mut forged = data(&mut sealer);
        forged[3..11].copy_from_slice(&(1 << 48 | number).to_be_bytes());
        assert_eq!(
            opener.open(&mut forged),
            Opened::Ignored(DropReason::Forged)
        );
    }
    assert!(matches!(
        opener.open(&mut first),
        Opened::ApplicationData(_)
    ));
    assert_eq!(opener.usage().forged, 3);
    assert_eq!(opener.drops().count(DropReason::Forged), 3);
}

/// Any changed bit and any cut is noticed, and the honest record still opens afterwards.
#[test]
fn every_bit_and_every_length() {
    let (mut sealer, mut opener) = ends();
    let record = data(&mut sealer);
    for bit in 0..record.len() * 8 {
        let mut forged = record.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(opener.open(&mut forged), Opened::Ignored(_)),
            "bit {bit}"
        );
    }
    for len in 0..record.len() {
        let mut cut = record[..len].to_vec();
        assert!(
            matches!(opener.open(&mut cut), Opened::Ignored(_)),
            "cut at {len}"
        );
        // With a header that admits to the cut.
        if len >= 13 {
            let mut cut = record[..len].to_vec();
            cut[11..13].copy_from_slice(&((len - 13) as u16).to_be_bytes());
            assert!(
                matches!(opener.open(&mut cut), Opened::Ignored(_)),
                "short record {len}"
            );
        }
    }
    let mut long = record.clone();
    long.push(0);
    assert_eq!(
        opener.open(&mut long),
        Opened::Ignored(DropReason::Malformed)
    );
    assert!(matches!(
        opener.open(&mut record.clone()),
        Opened::ApplicationData(_)
    ));
}

/// Clear text after the handshake is dropped by its epoch, whatever it says.
#[test]
fn other_epochs() {
    let (mut sealer, mut opener) = ends();
    for epoch in [0u16, 2, 0xffff] {
        let mut record = data(&mut sealer);
        record[3..5].copy_from_slice(&epoch.to_be_bytes());
        assert_eq!(opener.open(&mut record), Opened::Ignored(DropReason::Epoch));
    }
}

/// Only what is authentic ends a connection, and only closures and fatal alerts do.
#[test]
fn alerts() {
    let (mut sealer, mut opener) = ends();
    let mut open = |body: &[u8]| {
        let mut record = seal(&mut sealer, ContentType::Alert, body);
        match opener.open(&mut record) {
            Opened::CloseNotify => Ok(None),
            Opened::FatalAlert(description) => Ok(Some(description)),
            Opened::Ignored(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(open(&[1, 0]), Ok(None));
    assert_eq!(open(&[2, 0]), Ok(None));
    assert_eq!(open(&[2, 80]), Ok(Some(AlertDescription(80))));
    assert_eq!(open(&[1, 100]), Err(DropReason::Pointless));
    assert_eq!(open(&[2]), Err(DropReason::Malformed));
}

/// close_notify is sent once, and nothing after it.
#[test]
fn close_notify_once() {
    let (mut sealer, mut opener) = ends();
    let mut record = sealer.close_notify().unwrap();
    assert_eq!(record.len(), CLOSE_NOTIFY_LEN);
    assert_eq!(opener.open(&mut record), Opened::CloseNotify);
    assert_eq!(sealer.close_notify(), None);
    let mut record = [0; OVERHEAD];
    assert_eq!(
        sealer.seal(ContentType::ApplicationData, &mut record),
        Err(SealError::Closed)
    );
}

/// A repeated Finished asks a server for its last flight; a client has none to repeat, and answering
/// would start an endless exchange. Renegotiation is ignored.
#[test]
fn repeated_finished() {
    let mut finished = [0; 24];
    finished[0] = 20;
    for (sender, asks) in [(Role::Client, true), (Role::Server, false)] {
        let mut sealer = keys().sealer(sender, 1);
        let mut opener = keys().opener(sender.peer());
        let mut record = seal(&mut sealer, ContentType::Handshake, &finished);
        assert_eq!(
            opener.open(&mut record.clone()) == Opened::RepeatLastFlight,
            asks
        );
        assert_eq!(
            opener.open(&mut record),
            Opened::Ignored(DropReason::Replay)
        );
        for other in [&[0, 0, 0, 0][..], &[1; 60], &[]] {
            let mut record = seal(&mut sealer, ContentType::Handshake, other);
            assert_eq!(
                opener.open(&mut record),
                Opened::Ignored(DropReason::Pointless)
            );
        }
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        assert!(opener.last_flight(now).is_empty());
    }
}

/// The last record number can be used, and then nothing: a nonce is never used twice.
#[test]
fn exhaustion() {
    let last = (1 << 48) - 1;
    let mut sealer = keys().sealer(Role::Client, last);
    let mut opener = keys().opener(Role::Server);
    let mut record = data(&mut sealer);
    assert!(matches!(
        opener.open(&mut record),
        Opened::ApplicationData(_)
    ));
    let mut record = [1; OVERHEAD];
    assert_eq!(
        sealer.seal(ContentType::Alert, &mut record),
        Err(SealError::Exhausted)
    );
    assert_eq!(record, [1; OVERHEAD], "untouched");
    assert_eq!(sealer.close_notify(), None);
}

/// What cannot be a record is refused with its length, and uses up no number.
#[test]
fn refused_lengths() {
    let (mut sealer, _) = ends();
    for len in 0..OVERHEAD {
        let result = sealer.seal(ContentType::ApplicationData, &mut vec![0; len]);
        assert_eq!(result, Err(SealError::TooShort { len }));
    }
    let mut long = vec![0; OVERHEAD + MAX_PLAINTEXT + 1];
    let error = sealer
        .seal(ContentType::ApplicationData, &mut long)
        .unwrap_err();
    assert_eq!(
        error,
        SealError::TooLong {
            len: MAX_PLAINTEXT + 1
        }
    );
    assert_eq!(
        error.to_string(),
        "plaintext of 16385 bytes is longer than 16384"
    );
    assert_eq!(sealer.next_sequence(), 1);
}

/// The sealer goes to the writer task and the opener to the driver: both move between threads, alone.
#[test]
fn halves_are_send() {
    fn assert_send<T: Send + 'static>() {}
    assert_send::<Sealer>();
    assert_send::<Opener>();
    assert_send::<peerloom_dtls::Handshake>();
    assert_send::<peerloom_dtls::Connected>();
}
