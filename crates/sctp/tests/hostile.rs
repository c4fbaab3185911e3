//! Peers that lie, flood or cut corners (requirements, "SCTP: …"): answered by the RFC's tables,
//! never with a panic, growth, or an answer larger than the question.

mod common;

use std::time::Instant;

use common::{End, Raw, ms, origin, packet, payload};
use peerloom_sctp::wire::{
    Abort, Cause, Chunk, Data, DataFlags, ForwardTsn, Heartbeat, Reconfig, ReconfigParam,
    ReconfigResult, Shutdown, ShutdownComplete, SkippedStream, UnknownChunk,
};
use peerloom_sctp::{
    CloseReason, Config, Event, Packet, Ppid, Reliability, Ssn, State, StreamId, Tsn,
};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

fn connected() -> (End, Raw, Instant) {
    let now = origin();
    let mut end = End::new(Config::default(), 1, now);
    let raw = Raw::connect(&mut end, now);
    (end, raw, now)
}

fn data(tsn: u32, stream: u16, flags: DataFlags, payload: &[u8]) -> Chunk<'_> {
    Chunk::Data(Data {
        tsn: Tsn(tsn),
        stream: StreamId(stream),
        ssn: Ssn(0),
        ppid: Ppid(51),
        flags,
        payload,
    })
}

/// §8.5: a packet with another tag is dropped, whatever it holds, unless a rule says otherwise.
#[test]
fn wrong_verification_tag() {
    let (mut end, raw, now) = connected();
    let chunks: Vec<Chunk<'_>> = vec![
        data(Raw::TSN, 1, DataFlags::WHOLE, b"x"),
        raw.sack(raw.their_tsn.wrapping_sub(1), 1 << 20, &[]),
        Chunk::Abort(Abort::default()),
        Chunk::Shutdown(Shutdown {
            cumulative_tsn: Tsn(raw.their_tsn.wrapping_sub(1)),
        }),
        Chunk::ShutdownComplete(ShutdownComplete {
            reflected_tag: false,
        }),
        Chunk::Heartbeat(Heartbeat {
            info: b"x"[..].into(),
        }),
        Chunk::InitAck(Raw::init(5, Some(b"x"))),
        Chunk::CookieAck,
    ];
    let count = chunks.len() as u64;
    for chunk in chunks {
        end.receive(now, &packet(raw.their_tag ^ 1, vec![chunk]));
    }
    // An INIT has the tag zero (§8.5.1 A).
    end.receive(
        now,
        &packet(raw.their_tag, vec![Chunk::Init(Raw::init(5, None))]),
    );
    assert_eq!(end.association.stats().drops.verification_tag, count + 1);
    assert_eq!(end.association.state(), State::Established);
    assert_eq!(raw.take(&mut end, now), []);
    // §8.5.1 B: with the T-bit, the tag is the one we send.
    let mut abort = Abort {
        reflected_tag: true,
        causes: Vec::new(),
    };
    end.receive(
        now,
        &packet(raw.their_tag, vec![Chunk::Abort(abort.clone())]),
    );
    assert_eq!(end.association.state(), State::Established);
    abort
        .causes
        .push(Cause::UserInitiatedAbort(b"bye"[..].into()));
    end.receive(now, &packet(raw.our_tag, vec![Chunk::Abort(abort)]));
    let reason = end.association.close_reason().map(ToString::to_string);
    assert_eq!(
        reason.as_deref(),
        Some("aborted by the peer: user-initiated abort (\"bye\")")
    );
}

/// Other ports are no one's.
#[test]
fn wrong_ports() {
    let (mut end, raw, now) = connected();
    let mut bytes = packet(raw.their_tag, vec![Chunk::Abort(Abort::default())]);
    bytes[1] ^= 1;
    bytes[8..12].fill(0);
    let crc = crc32c::crc32c(&bytes);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    end.receive(now, &bytes);
    assert_eq!(
        (end.association.state(), end.association.stats().drops.ports),
        (State::Established, 1)
    );
}

/// A SACK for what was never sent: in its gaps it is ignored, in its cumulative TSN it ends the
/// association, since the two sides have nothing in common any more.
#[test]
fn lying_sacks() {
    let (mut end, raw, now) = connected();
    end.send(now, 1, payload(1, 3000));
    let sent = raw.take_data(&mut end, now);
    assert_eq!(sent.len(), 3);
    let base = raw.their_tsn.wrapping_sub(1);
    let before = end.association.stats();
    for gaps in [
        &[(2, 4)][..],
        &[(3, 2)],
        &[(1, 2)],
        &[(0, 0)],
        &[(2, 3), (65_535, 65_535)],
    ] {
        raw.give(&mut end, now, raw.sack(base, 1 << 20, gaps));
    }
    let stats = end.association.stats();
    assert_eq!(
        (stats.bytes_in_flight, stats.cwnd),
        (before.bytes_in_flight, before.cwnd)
    );
    assert_eq!(stats.drops.lying_sack, 5);
    // An old one is nothing special.
    raw.give(&mut end, now, raw.sack(base.wrapping_add(1), 1 << 20, &[]));
    raw.give(&mut end, now, raw.sack(base, 1 << 20, &[]));
    assert_eq!(end.association.stats().drops.old_sack, 1);
    raw.give(&mut end, now, raw.sack(base.wrapping_add(4), 1 << 20, &[]));
    assert!(matches!(
        end.association.close_reason(),
        Some(CloseReason::ProtocolViolation("SACK of a TSN never sent"))
    ));
    let [Chunk::Abort(abort)] = &raw.take(&mut end, now)[..] else {
        panic!("ABORT")
    };
    assert!(matches!(&abort.causes[..], [Cause::ProtocolViolation(_)]));
}

/// Gap blocks for every second TSN, over and over, with holes that never close: no state grows, and
/// each chunk is counted once.
#[test]
fn gap_bombs() {
    let (mut end, raw, mut now) = connected();
    // A large window first.
    let mut acked = raw.their_tsn.wrapping_sub(1);
    for _ in 0..8 {
        end.send(now, 1, payload(1, 200_000));
        while !raw.take_data(&mut end, now).is_empty() {
            // Too short a path to be paced.
            now += ms(1);
            acked = acked.wrapping_add(end.association.stats().outstanding as u32);
            raw.give(&mut end, now, raw.sack(acked, 1 << 24, &[]));
        }
    }
    end.send(now, 1, payload(1, 200_000));
    let sent = raw.take_data(&mut end, now).len() as u16;
    assert!(sent > 150, "{sent}");
    let gaps: Vec<_> = (2..sent).step_by(2).map(|n| (n, n)).collect();
    for _ in 0..100 {
        raw.give(&mut end, now, raw.sack(acked, 1 << 24, &gaps));
    }
    let stats = end.association.stats();
    assert_eq!(stats.outstanding, usize::from(sent));
    assert!(stats.retransmits.total() == 0 && stats.bytes_in_flight < usize::from(sent) * 1148);
    // And all of it, overlapping and in no order, is acknowledged once.
    let gaps: Vec<_> = (2..=sent).rev().map(|n| (n.min(sent - 1), sent)).collect();
    raw.give(&mut end, now, raw.sack(acked, 1 << 24, &gaps));
    let stats = end.association.stats();
    assert_eq!(stats.outstanding, usize::from(sent));
    raw.give(
        &mut end,
        now,
        raw.sack(acked.wrapping_add(u32::from(sent)), 1 << 24, &[]),
    );
    assert_eq!(
        (
            end.association.stats().outstanding,
            end.association.stats().bytes_in_flight
        ),
        (0, 0)
    );
}

/// §6.2.1: what was gap-acked and is not any more is sent again.
#[test]
fn a_receiver_that_reneges_gets_it_again() {
    let (mut end, raw, mut now) = connected();
    end.send(now, 1, payload(1, 5000));
    let sent = raw.take_data(&mut end, now);
    let base = raw.their_tsn.wrapping_sub(1);
    // Too short a path to be paced.
    now += ms(1);
    raw.give(&mut end, now, raw.sack(base, 1 << 20, &[(2, 5)]));
    assert_eq!(raw.take_data(&mut end, now), [sent[0]]);
    now += ms(1);
    // The first arrived, the rest is gone.
    raw.give(&mut end, now, raw.sack(base.wrapping_add(1), 1 << 20, &[]));
    assert_eq!(raw.take_data(&mut end, now), sent[1..]);
}

/// RFC 3758 §3.6: a FORWARD-TSN beyond what can be in flight is dropped, and answered with what we
/// have.
#[test]
fn forward_tsn_beyond_the_window() {
    let (mut end, raw, now) = connected();
    let skipped = [SkippedStream {
        stream: StreamId(60_000),
        ssn: Ssn(5),
    }];
    for ahead in [70_000_u32, 1 << 30, 1 << 31, u32::MAX - 5] {
        let forward = ForwardTsn {
            new_cumulative_tsn: Tsn(Raw::TSN.wrapping_add(ahead)),
            skipped: skipped.as_slice().into(),
        };
        raw.give(&mut end, now, Chunk::ForwardTsn(forward));
        let chunks = raw.take(&mut end, now);
        let [Chunk::Sack(sack)] = &chunks[..] else {
            panic!("{ahead}: {chunks:?}")
        };
        assert_eq!(sack.cumulative_tsn, Tsn(Raw::TSN - 1));
    }
    assert_eq!(end.association.state(), State::Established);
}

/// RE-CONFIG requests repeated, out of sequence, for streams that do not exist, and such that data
/// channels have no use for.
#[test]
fn reconfig_floods() {
    let (mut end, raw, now) = connected();
    let give = |end: &mut End, param: ReconfigParam<'static>| {
        raw.give(end, now, Chunk::Reconfig(Reconfig::one(param)));
    };
    let answer = |end: &mut End| {
        let chunks = raw.take(end, now);
        let [Chunk::Reconfig(reconfig)] = &chunks[..] else {
            panic!("{chunks:?}")
        };
        let ReconfigParam::Response {
            response, result, ..
        } = reconfig.params[0]
        else {
            panic!()
        };
        (response.0, result)
    };
    let request = |n| peerloom_sctp::serial::ReconfigSeq(Raw::TSN + n);
    let outgoing = |n, streams: &[u16]| ReconfigParam::OutgoingReset {
        request: request(n),
        response: request(0),
        last_tsn: Tsn(Raw::TSN - 1),
        streams: streams.iter().map(|&s| StreamId(s)).collect(),
    };
    // The same request ten thousand times: one reset, one answer a packet at most.
    for _ in 0..10_000 {
        give(&mut end, outgoing(0, &[3]));
    }
    assert_eq!(answer(&mut end), (Raw::TSN, ReconfigResult::Performed));
    assert_eq!(
        end.events
            .iter()
            .filter(|e| matches!(e, Event::IncomingReset { .. }))
            .count(),
        1
    );
    // Out of sequence.
    give(&mut end, outgoing(7, &[3]));
    assert_eq!(
        answer(&mut end),
        (Raw::TSN + 7, ReconfigResult::BadSequenceNumber)
    );
    // A stream that does not exist.
    give(&mut end, outgoing(1, &[3, 1000]));
    assert_eq!(answer(&mut end), (Raw::TSN + 1, ReconfigResult::WrongSsn));
    let denied = [
        ReconfigParam::SsnTsnReset {
            request: request(2),
        },
        ReconfigParam::AddOutgoingStreams {
            request: request(3),
            count: 65_535,
        },
        ReconfigParam::AddIncomingStreams {
            request: request(4),
            count: 1,
        },
        ReconfigParam::IncomingReset {
            request: request(5),
            streams: [].into_iter().collect(),
        },
    ];
    for (n, param) in (2..).zip(denied) {
        give(&mut end, param);
        assert_eq!(answer(&mut end), (Raw::TSN + n, ReconfigResult::Denied));
    }
    // New requests without end, and nobody takes the events: the peer has to ask again.
    for n in 6..3000 {
        let bytes = packet(
            raw.their_tag,
            vec![Chunk::Reconfig(Reconfig::one(outgoing(n, &[3])))],
        );
        end.association
            .handle_packet(now, &Packet::decode(&bytes).unwrap());
        let _ = end.transmit(now);
    }
    let mut events = 0;
    while end.association.poll_event().is_some() {
        events += 1;
    }
    assert_eq!(events, 1024);
    // A response to nothing.
    let dropped = end.association.stats().drops.reconfig;
    give(
        &mut end,
        ReconfigParam::Response {
            response: request(0),
            result: ReconfigResult::Performed,
            next_tsns: None,
        },
    );
    assert_eq!(end.association.stats().drops.reconfig, dropped + 1);
}

/// A HEARTBEAT is returned as it came; a huge one, or one of a flood, is not.
#[test]
fn heartbeat_floods() {
    let (mut end, raw, now) = connected();
    let info: Vec<u8> = (0..1000).map(|n| n as u8).collect();
    raw.give(
        &mut end,
        now,
        Chunk::Heartbeat(Heartbeat {
            info: (&info[..]).into(),
        }),
    );
    let [Chunk::HeartbeatAck(ack)] = &raw.take(&mut end, now)[..] else {
        panic!("HEARTBEAT-ACK")
    };
    assert_eq!(ack.info[..], info[..]);
    raw.give(
        &mut end,
        now,
        Chunk::Heartbeat(Heartbeat {
            info: vec![0; 1100].into(),
        }),
    );
    assert_eq!(raw.take(&mut end, now), []);
    for _ in 0..10_000 {
        raw.give(
            &mut end,
            now,
            Chunk::Heartbeat(Heartbeat {
                info: (&info[..]).into(),
            }),
        );
    }
    assert_eq!(raw.take(&mut end, now).len(), 64);
    assert_eq!(end.association.stats().drops.control_limit, 1 + 10_000 - 64);
    // An answer that no one asked for moves no clock.
    let before = end.association.stats().srtt;
    raw.give(
        &mut end,
        now,
        Chunk::HeartbeatAck(Heartbeat {
            info: vec![0; 16].into(),
        }),
    );
    assert_eq!(end.association.stats().drops.heartbeat_ack, 1);
    assert_eq!(end.association.stats().srtt, before);
}

/// §3.3.1: DATA without data ends the association with cause 9.
#[test]
fn empty_data() {
    let (mut end, raw, now) = connected();
    raw.give(&mut end, now, data(Raw::TSN, 1, DataFlags::WHOLE, b""));
    let [Chunk::Abort(abort)] = &raw.take(&mut end, now)[..] else {
        panic!("ABORT")
    };
    assert_eq!(abort.causes, [Cause::NoUserData(Tsn(Raw::TSN))]);
}

/// §6.5: DATA for a stream that does not exist is acknowledged and answered with ERROR.
#[test]
fn data_for_unknown_streams() {
    let (mut end, raw, now) = connected();
    raw.give(&mut end, now, data(Raw::TSN, 1000, DataFlags::WHOLE, b"x"));
    let chunks = raw.take(&mut end, now);
    let [Chunk::Error(error), Chunk::Sack(sack)] = &chunks[..] else {
        panic!("{chunks:?}")
    };
    assert_eq!(
        error.causes,
        [Cause::InvalidStreamIdentifier(StreamId(1000))]
    );
    assert_eq!(sack.cumulative_tsn, Tsn(Raw::TSN));
    assert_eq!(end.messages.len(), 0);
}

/// §3.2: the two highest bits of an unknown chunk's type.
#[test]
fn unknown_chunks() {
    let (mut end, raw, now) = connected();
    let mut tsn = Raw::TSN;
    // Type; processing goes on; it is reported.
    for (chunk_type, goes_on, reported) in [
        (0x3e, false, false),
        (0x7e, false, true),
        (0xbe, true, false),
        (0xfe, true, true),
    ] {
        let unknown = UnknownChunk {
            chunk_type,
            flags: 0,
            value: b"abcd"[..].into(),
        };
        let chunks = vec![
            Chunk::Unknown(unknown.clone()),
            data(tsn, 1, DataFlags::WHOLE.with(DataFlags::UNORDERED), b"x"),
        ];
        let before = end.messages.len();
        end.receive(now, &packet(raw.their_tag, chunks));
        assert_eq!(
            end.messages.len() - before,
            usize::from(goes_on),
            "{chunk_type:#x}"
        );
        tsn += u32::from(goes_on);
        let errors: Vec<_> = raw
            .take(&mut end, now)
            .into_iter()
            .filter_map(|c| {
                if let Chunk::Error(e) = c {
                    Some(e)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(errors.len(), usize::from(reported), "{chunk_type:#x}");
        if reported {
            assert_eq!(errors[0].causes, [unknown.to_cause(100)]);
        }
    }
    assert_eq!(end.association.stats().drops.unknown_chunk, 4);
}

/// §8.4: after the end, packets are answered by the rules for those out of the blue, and never with
/// more than they are.
#[test]
fn out_of_the_blue() {
    let (mut end, raw, now) = connected();
    end.association.abort(now, "enough");
    let [Chunk::Abort(_)] = &raw.take(&mut end, now)[..] else {
        panic!("ABORT")
    };
    let long = Chunk::Heartbeat(Heartbeat {
        info: vec![0; 100].into(),
    });
    type Answer = Option<(u32, Chunk<'static>)>;
    let cases: Vec<(u32, Chunk<'_>, Answer)> = vec![
        (
            0,
            Chunk::Init(Raw::init(9, None)),
            Some((9, Chunk::Abort(Abort::default()))),
        ),
        (
            3,
            Chunk::ShutdownAck,
            Some((
                3,
                Chunk::ShutdownComplete(ShutdownComplete {
                    reflected_tag: true,
                }),
            )),
        ),
        (
            3,
            long,
            Some((
                3,
                Chunk::Abort(Abort {
                    reflected_tag: true,
                    causes: vec![],
                }),
            )),
        ),
        (
            3,
            data(1, 1, DataFlags::WHOLE, b"x"),
            Some((
                3,
                Chunk::Abort(Abort {
                    reflected_tag: true,
                    causes: vec![],
                }),
            )),
        ),
        (3, Chunk::Abort(Abort::default()), None),
        (
            3,
            Chunk::ShutdownComplete(ShutdownComplete {
                reflected_tag: false,
            }),
            None,
        ),
        (3, Chunk::CookieAck, None),
    ];
    for (tag, chunk, expected) in cases {
        let question = packet(tag, vec![chunk]);
        end.receive(now, &question);
        let answers = end.transmit(now);
        let found = answers.first().map(|bytes| {
            assert!(bytes.len() <= question.len());
            let packet = Packet::decode(bytes).unwrap();
            (
                packet.verification_tag,
                packet.chunks[0].clone().into_owned().unwrap(),
            )
        });
        assert_eq!(found, expected);
    }
    assert_eq!(end.association.poll_timeout(), None);
}

/// Random packets of valid chunks with random numbers: no panic, no growth, no endless timers, and
/// the association still answers or has ended for a reason.
#[test]
fn random_chunks() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut now = origin();
        let mut end = End::new(Config::webrtc(), seed, now);
        let mut raw = Raw::connect(&mut end, now);
        for round in 0..300 {
            if rng.random_bool(0.3) && end.association.state() == State::Established {
                let limit = match rng.random_range(0..3) {
                    0 => Reliability::Reliable,
                    1 => Reliability::MaxRetransmits(rng.random_range(0..3)),
                    _ => Reliability::MaxLifetime(ms(rng.random_range(0..200))),
                };
                let len = rng.random_range(1..4000);
                let _ = end.association.send(
                    now,
                    peerloom_sctp::OutgoingMessage {
                        stream: StreamId(rng.random_range(0..5)),
                        ppid: Ppid(0),
                        payload: payload(round, len),
                        ordered: rng.random_bool(0.5),
                        reliability: limit,
                    },
                );
            }
            if rng.random_bool(0.02) {
                let _ = end
                    .association
                    .reset_streams(now, &[StreamId(rng.random_range(0..5))]);
            }
            let outstanding = end.association.stats().outstanding as u32;
            let near = |rng: &mut StdRng, base: u32| match rng.random_range(0..4) {
                0 => rng.next_u32(),
                _ => base.wrapping_add(rng.random_range(0..20)).wrapping_sub(3),
            };
            let body = [7; 3000];
            let chunk = match rng.random_range(0..12) {
                0..3 => {
                    let flags = [
                        DataFlags::NONE,
                        DataFlags::BEGIN,
                        DataFlags::END,
                        DataFlags::WHOLE,
                    ][rng.random_range(0..4)];
                    let flags = if rng.random_bool(0.5) {
                        flags.with(DataFlags::UNORDERED)
                    } else {
                        flags
                    };
                    let tsn = near(&mut rng, raw.next_tsn);
                    data(
                        tsn,
                        rng.random_range(0..5),
                        flags,
                        &body[..rng.random_range(1..1000)],
                    )
                }
                3 => {
                    raw.give_data(&mut end, now, b"honest");
                    continue;
                }
                4..7 => {
                    let base = raw.their_tsn.wrapping_sub(1);
                    let cumulative = if rng.random_bool(0.9) {
                        base.wrapping_add(rng.random_range(0..=outstanding.max(1)))
                    } else {
                        near(&mut rng, base)
                    };
                    let gaps: Vec<_> = (0..rng.random_range(0..4))
                        .map(|_| (rng.random_range(0..10), rng.random_range(0..20)))
                        .collect();
                    raw.sack(cumulative, rng.random_range(0..100_000), &gaps)
                }
                7 => Chunk::ForwardTsn(ForwardTsn {
                    new_cumulative_tsn: Tsn(near(&mut rng, raw.next_tsn)),
                    skipped: (0..rng.random_range(0..3))
                        .map(|_| SkippedStream {
                            stream: StreamId(rng.random_range(0..6)),
                            ssn: Ssn(rng.random_range(0..9)),
                        })
                        .collect(),
                }),
                8 => {
                    let request = peerloom_sctp::serial::ReconfigSeq(near(&mut rng, Raw::TSN));
                    let streams = (0..rng.random_range(0..3))
                        .map(|_| StreamId(rng.random_range(0..6)))
                        .collect();
                    Chunk::Reconfig(Reconfig::one(match rng.random_range(0..3) {
                        0 => ReconfigParam::OutgoingReset {
                            request,
                            response: request,
                            last_tsn: Tsn(near(&mut rng, raw.next_tsn)),
                            streams,
                        },
                        1 => ReconfigParam::IncomingReset { request, streams },
                        _ => ReconfigParam::Response {
                            response: peerloom_sctp::serial::ReconfigSeq(near(
                                &mut rng,
                                raw.their_tsn,
                            )),
                            result: ReconfigResult::Performed,
                            next_tsns: None,
                        },
                    }))
                }
                9 => Chunk::Heartbeat(Heartbeat {
                    info: body[..rng.random_range(0..3000)].into(),
                }),
                10 => Chunk::Init(Raw::init(rng.next_u32(), None)),
                _ if rng.random_bool(0.02) => Chunk::Shutdown(Shutdown {
                    cumulative_tsn: Tsn(near(&mut rng, raw.their_tsn)),
                }),
                _ => Chunk::Pad(rng.random_range(0..100)),
            };
            if let Chunk::Init(_) = chunk {
                end.receive(now, &packet(0, vec![chunk]));
            } else {
                raw.give(&mut end, now, chunk);
            }
            let _ = end.transmit(now);
            if rng.random_bool(0.3) {
                now += ms(rng.random_range(0..100));
                let mut turns = 0;
                while end.association.poll_timeout().is_some_and(|at| at <= now) {
                    end.association.handle_timeout(now);
                    end.collect(now);
                    let _ = end.transmit(now);
                    turns += 1;
                    assert!(turns < 10, "seed {seed}: {:?}", end.association);
                }
            }
            let stats = end.association.stats();
            assert!(stats.outstanding <= 65_535 && stats.receive_buffered < 3 << 20);
        }
    }
}

/// `Debug` shows neither keys nor what users send.
#[test]
fn debug_keeps_secrets() {
    let (mut end, _, now) = connected();
    end.send(now, 1, &b"a secret message"[..]);
    let text = format!("{:?}", end.association);
    assert!(
        text.len() < 4000 && !text.contains("secret") && !text.contains("115, 101"),
        "{text}"
    );
}
