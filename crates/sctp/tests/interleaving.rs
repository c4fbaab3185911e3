//! Message interleaving (RFC 8260): agreeing on it, keeping to it, and what it does.

mod common;

use std::time::Instant;

use common::{End, Pair, Raw, ms, origin, payload};
use peerloom_sctp::serial::{Fsn, Mid};
use peerloom_sctp::sim::{LinkConfig, Side};
use peerloom_sctp::wire::{
    Cause, Chunk, Data, DataFlags, ForwardTsn, IData, IForwardTsn, Param, SkippedMessage,
    chunk_type,
};
use peerloom_sctp::{CloseReason, Config, Packet, Ppid, Reliability, Ssn, StreamId, Tsn};

fn config(interleaving: bool) -> Config {
    Config {
        interleaving,
        ..Config::default()
    }
}

fn pair(a: Config, b: Config) -> Pair {
    let now = origin();
    let (a, b) = (End::new(a, 1, now), End::new(b, 2, now));
    let mut pair = Pair::of(a, b, now, &LinkConfig::with_rtt(ms(40)), 1);
    pair.record();
    pair.connect();
    pair
}

/// Every chunk that was sent, and by whom.
fn chunk_types(pair: &Pair) -> Vec<(Side, u8)> {
    let log = pair.log.as_ref().expect("recorded");
    let mut types = Vec::new();
    for (_, side, bytes) in log {
        let packet = Packet::decode(bytes).expect("our own");
        for chunk in &packet.chunks {
            let mut encoded = vec![0; chunk.encoded_len()];
            chunk.encode(&mut encoded);
            types.push((*side, encoded[0]));
        }
    }
    types
}

/// §2.2.1: I-DATA if both ends list it, DATA if one does not; never a mixture.
#[test]
fn negotiated_by_supported_extensions() {
    for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut pair = pair(config(a), config(b));
        for stream in 0..4 {
            pair.a.send(pair.now, stream, payload(1, 5000));
            pair.b.send(pair.now, stream, payload(2, 5000));
        }
        pair.run_to_idle();
        let (used, unused) = if a && b {
            (chunk_type::I_DATA, chunk_type::DATA)
        } else {
            (chunk_type::DATA, chunk_type::I_DATA)
        };
        let types = chunk_types(&pair);
        for side in [Side::A, Side::B] {
            assert!(types.contains(&(side, used)), "{a} {b}");
            assert!(!types.contains(&(side, unused)), "{a} {b}");
            let end = pair.end(side);
            assert_eq!(end.association.stats().interleaving, a && b);
            assert_eq!(end.messages.len(), 4);
        }
    }
}

/// §2.3.1: who gives messages up says so with I-FORWARD-TSN where I-DATA is used.
#[test]
fn i_forward_tsn_takes_the_place_of_forward_tsn() {
    for interleaving in [true, false] {
        let mut pair = pair(config(interleaving), config(true));
        pair.link.set_down(true);
        for tag in 0..10 {
            let ordered = tag % 2 == 0;
            let limit = Reliability::MaxRetransmits(0);
            pair.a
                .send_with(pair.now, 1, payload(tag, 3000), ordered, limit);
        }
        pair.run_for(ms(200));
        pair.link.set_down(false);
        pair.run_to_idle();
        pair.a.send(pair.now, 1, payload(20, 100));
        pair.run_to_idle();
        let types = chunk_types(&pair);
        let (used, unused) = if interleaving {
            (chunk_type::I_FORWARD_TSN, chunk_type::FORWARD_TSN)
        } else {
            (chunk_type::FORWARD_TSN, chunk_type::I_FORWARD_TSN)
        };
        assert!(types.contains(&(Side::A, used)) && !types.contains(&(Side::A, unused)));
        let last = pair
            .b
            .messages
            .last()
            .expect("the one behind those given up");
        assert_eq!(last.payload, payload(20, 100));
        assert_eq!(pair.b.association.stats().receive_buffered, 0);
    }
}

/// Without partial reliability I-FORWARD-TSN is neither offered nor missed.
#[test]
fn without_partial_reliability() {
    let reliable = Config {
        partial_reliability: false,
        ..config(true)
    };
    let mut pair = pair(config(true), reliable);
    assert!(pair.a.association.stats().interleaving);
    pair.a.send_with(
        pair.now,
        1,
        payload(1, 3000),
        true,
        Reliability::MaxLifetime(ms(1)),
    );
    pair.run_to_idle();
    assert_eq!(pair.b.messages.len(), 1);
}

/// A peer made by hand that has I-DATA.
fn interleaving_peer(now: Instant) -> (End, Raw) {
    let mut end = End::new(Config::webrtc(), 1, now);
    let extensions = [
        chunk_type::FORWARD_TSN,
        chunk_type::I_DATA,
        chunk_type::I_FORWARD_TSN,
    ];
    let raw = Raw::connect_with(
        &mut end,
        now,
        Param::SupportedExtensions(extensions.to_vec().into()),
    );
    assert!(end.association.stats().interleaving);
    (end, raw)
}

fn i_data(tsn: u32, mid: u32, fsn: u32, flags: DataFlags) -> Chunk<'static> {
    Chunk::IData(IData {
        tsn: Tsn(tsn),
        stream: StreamId(1),
        mid: Mid(mid),
        ppid: Ppid(51),
        fsn: Fsn(fsn),
        flags,
        payload: b"x",
    })
}

fn data(tsn: u32) -> Chunk<'static> {
    Chunk::Data(Data {
        tsn: Tsn(tsn),
        stream: StreamId(1),
        ssn: Ssn(0),
        ppid: Ppid(51),
        flags: DataFlags::WHOLE,
        payload: b"x",
    })
}

/// §2.2.1 and §2.3.1: the wrong kind of chunk for what was agreed on ends the association with a
/// cause, whichever way round.
#[test]
fn the_wrong_kind_is_a_violation() {
    let now = origin();
    let tsn = Raw::TSN;
    let forward = Chunk::ForwardTsn(ForwardTsn {
        new_cumulative_tsn: Tsn(tsn),
        skipped: Default::default(),
    });
    let i_forward = Chunk::IForwardTsn(IForwardTsn {
        new_cumulative_tsn: Tsn(tsn),
        skipped: Default::default(),
    });
    let whole = i_data(tsn, 0, 0, DataFlags::WHOLE);
    for (agreed, chunk, ends) in [
        (true, data(tsn), true),
        (true, forward.clone(), true),
        (true, whole.clone(), false),
        (true, i_forward.clone(), false),
        (false, whole, true),
        (false, i_forward, true),
        (false, data(tsn), false),
        (false, forward, false),
    ] {
        let (mut end, raw) = if agreed {
            interleaving_peer(now)
        } else {
            let mut end = End::new(Config::webrtc(), 1, now);
            let raw = Raw::connect(&mut end, now);
            (end, raw)
        };
        raw.give(&mut end, now, chunk.clone());
        let sent = raw.take(&mut end, now);
        let aborted = sent.iter().any(|answer| {
            matches!(answer, Chunk::Abort(abort)
                if matches!(abort.causes[..], [Cause::ProtocolViolation(_)]))
        });
        assert_eq!(aborted, ends, "{agreed} {chunk:?}");
        let closed = end.association.close_reason();
        assert_eq!(closed.is_some(), ends, "{agreed} {chunk:?}");
        if let Some(reason) = closed {
            assert!(matches!(reason, CloseReason::ProtocolViolation(_)));
        }
    }
}

/// A peer that begins messages and completes none is told that there is no room, not left waiting.
#[test]
fn messages_never_completed_end_the_association() {
    let now = origin();
    let (mut end, raw) = interleaving_peer(now);
    let begin = DataFlags::BEGIN.with(DataFlags::UNORDERED);
    for n in 0..10_000 {
        raw.give(&mut end, now, i_data(Raw::TSN + n, n, 0, begin));
        end.transmit(now);
        if end.association.close_reason().is_some() {
            assert!(n >= 8192, "{n}");
            return;
        }
        assert!(end.association.stats().receive_buffered <= 8 << 20);
    }
    panic!("10,000 messages begun");
}

/// A peer that sends no DATA but skips what it never sent moves on and costs nothing.
#[test]
fn skipping_everything_costs_nothing() {
    let now = origin();
    let (mut end, raw) = interleaving_peer(now);
    for n in 1..1000 {
        let skipped = (0..100).map(|id| SkippedMessage {
            stream: StreamId(id),
            unordered: id % 2 == 0,
            mid: Mid(n * 1_000_000),
        });
        let forward = Chunk::IForwardTsn(IForwardTsn {
            new_cumulative_tsn: Tsn(Raw::TSN + n * 100),
            skipped: skipped.collect(),
        });
        raw.give(&mut end, now, forward);
        end.transmit(now);
    }
    assert_eq!(end.association.stats().receive_buffered, 0);
    assert_eq!(end.association.close_reason(), None);
}

/// The receiver's view of what is sent: MIDs count up per stream and kind of order, FSNs within a
/// message, the PPID is in the first fragment.
#[test]
fn numbers_count_up() {
    let mut pair = pair(config(true), config(true));
    for tag in 0..6 {
        pair.a.send_with(
            pair.now,
            3,
            payload(tag, 3000),
            tag % 3 != 0,
            Reliability::Reliable,
        );
    }
    pair.run_to_idle();
    let log = pair.log.take().unwrap();
    let mut next = [(0, 0), (0, 0)];
    for (_, side, bytes) in log {
        for chunk in Packet::decode(&bytes).unwrap().chunks {
            let (Side::A, Chunk::IData(data)) = (side, chunk) else {
                continue;
            };
            let (mid, fsn) = &mut next[usize::from(data.flags.is_unordered())];
            assert_eq!((data.mid, data.fsn), (Mid(*mid), Fsn(*fsn)));
            assert_eq!(data.ppid.0, if *fsn == 0 { 51 } else { 0 });
            (*mid, *fsn) = if data.flags.is_end() {
                (*mid + 1, 0)
            } else {
                (*mid, *fsn + 1)
            };
        }
    }
    assert_eq!(next, [(4, 0), (2, 0)]);
    assert_eq!(pair.b.messages.len(), 6);
}
