//! Every chunk, parameter and error cause: its bytes as the RFCs draw them, both ways, and what
//! happens when they are cut or bent.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::borrow::Cow;

use peerloom_sctp::serial::{Fsn, Mid, ReconfigSeq};
use peerloom_sctp::wire::{
    Abort, Cause, Checksum, Chunk, CookieEcho, Data, DataFlags, DecodeError, ErrorChunk,
    ForwardTsn, GapBlock, Heartbeat, IData, IForwardTsn, Init, Packet, Param, Reconfig,
    ReconfigParam, ReconfigResult, Sack, Shutdown, ShutdownComplete, SkippedMessage, SkippedStream,
    UnknownAction, UnknownChunk, UnknownParam, ZERO_CHECKSUM_DTLS,
};
use peerloom_sctp::{Ppid, Ssn, StreamId, Tsn};

/// A packet with ports 5000, tag 0x01020304 and a correct checksum.
fn packet(chunks: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4, 0, 0, 0, 0];
    packet.extend_from_slice(chunks);
    let crc = crc32c::crc32c(&packet);
    packet[8..12].copy_from_slice(&crc.to_le_bytes());
    packet
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn cow(bytes: &[u8]) -> Cow<'_, [u8]> {
    bytes.into()
}

fn init(params: Vec<Param<'static>>) -> Init<'static> {
    Init {
        initiate_tag: 0xdead_beef,
        a_rwnd: 0x0010_0000,
        outbound_streams: 0x0100,
        inbound_streams: 0x0200,
        initial_tsn: Tsn(7),
        params,
    }
}

/// One of each chunk with its bytes.
fn samples() -> Vec<(Chunk<'static>, Vec<u8>)> {
    vec![
        (
            Chunk::Data(Data {
                tsn: Tsn(0x0a0b_0c0d),
                stream: StreamId(0x0102),
                ssn: Ssn(0x0304),
                ppid: Ppid(51),
                flags: DataFlags::WHOLE.with(DataFlags::IMMEDIATE),
                payload: b"hello",
            }),
            hex("00 0b 0015 0a0b0c0d 0102 0304 00000033 68656c6c 6f 000000"),
        ),
        (
            Chunk::Init(init(vec![
                Param::ForwardTsnSupported,
                Param::SupportedExtensions(cow(&[130, 192])),
                Param::ZeroChecksumAcceptable(ZERO_CHECKSUM_DTLS),
            ])),
            hex("01 00 0028 deadbeef 00100000 0100 0200 00000007
                 c000 0004  8008 0006 82c0 0000  8001 0008 00000001"),
        ),
        (
            Chunk::Init(init(vec![
                Param::Ipv4Address([127, 0, 0, 1].into()),
                Param::Ipv6Address([0, 0, 0, 0, 0, 0, 0, 1].into()),
                Param::SupportedAddressTypes([5, 6, 11][..].into()),
                Param::CookiePreservative(1000),
                Param::HostName(cow(b"host\0")),
            ])),
            hex("01 00 004d deadbeef 00100000 0100 0200 00000007
                 0005 0008 7f000001  0006 0014 00000000 00000000 00000000 00000001
                 000c 000a 0005 0006 000b 0000  0009 0008 000003e8  000b 0009 686f7374 00 000000"),
        ),
        (
            Chunk::InitAck(init(vec![
                Param::StateCookie(cow(b"cookie")),
                Param::Unrecognized(cow(&[0xc1, 0x23, 0, 5, 9])),
                Param::Unknown(UnknownParam {
                    param_type: 0x8123,
                    value: cow(b"x"),
                }),
            ])),
            hex("02 00 0031 deadbeef 00100000 0100 0200 00000007
                 0007 000a 636f6f6b6965 0000  0008 0009 c123000509 000000  8123 0005 78 000000"),
        ),
        (
            Chunk::Sack(Sack {
                cumulative_tsn: Tsn(0x1000_0000),
                a_rwnd: 0x0001_0000,
                gaps: [
                    GapBlock { start: 2, end: 3 },
                    GapBlock {
                        start: 5,
                        end: 0xffff,
                    },
                ][..]
                    .into(),
                duplicates: [Tsn(0x0fff_ffff)][..].into(),
            }),
            hex("03 00 001c 10000000 00010000 0002 0001 0002 0003 0005 ffff 0fffffff"),
        ),
        (
            Chunk::Heartbeat(Heartbeat {
                info: cow(b"info!"),
            }),
            hex("04 00 000d 0001 0009 696e666f 21 000000"),
        ),
        (
            Chunk::HeartbeatAck(Heartbeat { info: cow(b"") }),
            hex("05 00 0008 0001 0004"),
        ),
        (
            Chunk::Abort(Abort {
                reflected_tag: true,
                causes: vec![Cause::UserInitiatedAbort(cow(b"bye"))],
            }),
            hex("06 01 000b 000c 0007 627965 00"),
        ),
        (Chunk::Abort(Abort::default()), hex("06 00 0004")),
        (
            Chunk::Shutdown(Shutdown {
                cumulative_tsn: Tsn(9),
            }),
            hex("07 00 0008 00000009"),
        ),
        (Chunk::ShutdownAck, hex("08 00 0004")),
        (
            Chunk::Error(ErrorChunk {
                causes: vec![
                    Cause::InvalidStreamIdentifier(StreamId(7)),
                    Cause::MissingMandatoryParameter([7][..].into()),
                    Cause::StaleCookie(0x1234),
                    Cause::OutOfResource,
                    Cause::UnresolvableAddress(cow(&[0, 11, 0, 5, b'a'])),
                    Cause::UnrecognizedChunkType(cow(&[0xff, 0, 0, 4])),
                    Cause::InvalidMandatoryParameter,
                    Cause::UnrecognizedParameters(cow(&[0xc1, 0x23, 0, 4])),
                    Cause::NoUserData(Tsn(0x99)),
                    Cause::CookieReceivedWhileShuttingDown,
                    Cause::RestartWithNewAddresses(cow(&[0, 5, 0, 8, 127, 0, 0, 1])),
                    Cause::ProtocolViolation(cow(b"")),
                    Cause::Unknown {
                        code: 0x1234,
                        value: cow(b"?"),
                    },
                ],
            }),
            hex(
                "09 00 0065  0001 0008 0007 0000  0002 000a 00000001 0007 0000
                 0003 0008 00001234  0004 0004  0005 0009 000b000561 000000  0006 0008 ff000004
                 0007 0004  0008 0008 c1230004  0009 0008 00000099  000a 0004
                 000b 000c 00050008 7f000001  000d 0004  1234 0005 3f 000000",
            ),
        ),
        (
            Chunk::CookieEcho(CookieEcho {
                cookie: cow(b"cookie"),
            }),
            hex("0a 00 000a 636f6f6b6965 0000"),
        ),
        (Chunk::CookieAck, hex("0b 00 0004")),
        (
            Chunk::ShutdownComplete(ShutdownComplete {
                reflected_tag: true,
            }),
            hex("0e 01 0004"),
        ),
        (
            Chunk::Reconfig(Reconfig::one(ReconfigParam::OutgoingReset {
                request: ReconfigSeq(1),
                response: ReconfigSeq(2),
                last_tsn: Tsn(3),
                streams: [StreamId(4)][..].into(),
            })),
            hex("82 00 0016 000d 0012 00000001 00000002 00000003 0004 0000"),
        ),
        (
            Chunk::Reconfig(Reconfig {
                params: vec![
                    ReconfigParam::Response {
                        response: ReconfigSeq(1),
                        result: ReconfigResult::Performed,
                        next_tsns: None,
                    },
                    ReconfigParam::IncomingReset {
                        request: ReconfigSeq(2),
                        streams: [StreamId(1), StreamId(2), StreamId(3)][..].into(),
                    },
                ],
            }),
            hex("82 00 001e 0010 000c 00000001 00000001 000e 000e 00000002 0001 0002 0003 0000"),
        ),
        (
            Chunk::Reconfig(Reconfig::one(ReconfigParam::SsnTsnReset {
                request: ReconfigSeq(5),
            })),
            hex("82 00 000c 000f 0008 00000005"),
        ),
        (
            Chunk::Reconfig(Reconfig::one(ReconfigParam::Response {
                response: ReconfigSeq(5),
                result: ReconfigResult::Unknown(77),
                next_tsns: Some((Tsn(10), Tsn(20))),
            })),
            hex("82 00 0018 0010 0014 00000005 0000004d 0000000a 00000014"),
        ),
        (
            Chunk::Reconfig(Reconfig {
                params: vec![
                    ReconfigParam::AddOutgoingStreams {
                        request: ReconfigSeq(6),
                        count: 16,
                    },
                    ReconfigParam::AddIncomingStreams {
                        request: ReconfigSeq(7),
                        count: 17,
                    },
                ],
            }),
            hex("82 00 001c 0011 000c 00000006 0010 0000 0012 000c 00000007 0011 0000"),
        ),
        (Chunk::Pad(8), hex("84 00 000c 00000000 00000000")),
        (
            Chunk::ForwardTsn(ForwardTsn {
                new_cumulative_tsn: Tsn(0x20),
                skipped: [SkippedStream {
                    stream: StreamId(1),
                    ssn: Ssn(2),
                }][..]
                    .into(),
            }),
            hex("c0 00 000c 00000020 0001 0002"),
        ),
        (
            // RFC 8260 §2.1: the first fragment has the PPID where the others have the FSN.
            Chunk::IData(IData {
                tsn: Tsn(0x0a0b_0c0d),
                stream: StreamId(0x0102),
                mid: Mid(0x0304_0506),
                ppid: Ppid(0x33),
                fsn: Fsn(0),
                flags: DataFlags::BEGIN.with(DataFlags::IMMEDIATE),
                payload: b"abcde",
            }),
            hex("40 0a 0019 0a0b0c0d 0102 0000 03040506 00000033 6162636465 000000"),
        ),
        (
            Chunk::IData(IData {
                tsn: Tsn(0x0a0b_0c0e),
                stream: StreamId(0x0102),
                mid: Mid(0x0304_0506),
                ppid: Ppid(0),
                fsn: Fsn(0x0708_090a),
                flags: DataFlags::END.with(DataFlags::UNORDERED),
                payload: b"abcd",
            }),
            hex("40 05 0018 0a0b0c0e 0102 0000 03040506 0708090a 61626364"),
        ),
        (
            Chunk::IForwardTsn(IForwardTsn {
                new_cumulative_tsn: Tsn(0x20),
                skipped: [(1, false, 2), (1, true, 0x0304_0506)].map(|(stream, unordered, mid)| {
                    SkippedMessage {
                        stream: StreamId(stream),
                        unordered,
                        mid: Mid(mid),
                    }
                })[..]
                    .into(),
            }),
            hex("c2 00 0018 00000020 0001 0000 00000002 0001 0001 03040506"),
        ),
        (
            Chunk::Unknown(UnknownChunk {
                chunk_type: 0xbf,
                flags: 0x5a,
                value: cow(b"abc"),
            }),
            hex("bf 5a 0007 616263 00"),
        ),
    ]
}

/// Each chunk is the bytes that its RFC draws, both ways.
#[test]
fn bytes_both_ways() {
    for (chunk, bytes) in samples() {
        let datagram = packet(&bytes);
        let decoded = Packet::decode(&datagram).unwrap_or_else(|e| panic!("{chunk:?}: {e}"));
        assert_eq!(decoded.chunks[..], *std::slice::from_ref(&chunk));
        assert_eq!(
            (
                decoded.source_port,
                decoded.destination_port,
                decoded.verification_tag,
                decoded.len
            ),
            (5000, 5000, 0x0102_0304, datagram.len())
        );
        let mut encoded = vec![0xaa; chunk.encoded_len()];
        assert_eq!(chunk.encode(&mut encoded), bytes.len());
        assert_eq!(encoded, bytes, "{chunk:?}");
        let chunk: Chunk<'static> = chunk;
        assert_eq!(chunk.clone().into_owned().unwrap_or(chunk.clone()), chunk);
    }
}

/// The truncation table: a chunk cut anywhere is refused (only its padding may be missing), and so
/// is one whose length says less or more than there is.
#[test]
fn cut_anywhere() {
    for (chunk, bytes) in samples() {
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        for len in 0..bytes.len() {
            let datagram = packet(&bytes[..len]);
            match Packet::decode(&datagram) {
                Ok(packet) => assert!(
                    len >= length && packet.chunks[0] == chunk,
                    "{chunk:?} {len}"
                ),
                Err(_) => assert!(len < length, "{chunk:?} at {len} of {length}"),
            }
        }
        let overlong = [&bytes[..2], &[0xff, 0xff], &bytes[4..]].concat();
        assert!(Packet::decode(&packet(&overlong)).is_err(), "{chunk:?}");
        for short in 0..4 {
            let bent = [&bytes[..2], &[0, short], &bytes[4..]].concat();
            assert!(Packet::decode(&packet(&bent)).is_err(), "{chunk:?}");
        }
    }
}

/// Any length field inside a chunk may lie: nothing panics, and what is accepted is encoded to
/// something that decodes to the same.
#[test]
fn bent_anywhere() {
    for (_, bytes) in samples() {
        for at in 0..bytes.len() {
            for value in [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff] {
                let mut bent = bytes.clone();
                bent[at] = value;
                let datagram = packet(&bent);
                let Ok(first) = Packet::decode(&datagram) else {
                    continue;
                };
                let mut encoded = vec![0; first.encoded_len()];
                first.encode(&mut encoded);
                let second = Packet::decode(&encoded).unwrap();
                assert_eq!(
                    format!("{:?}", first.chunks),
                    format!("{:?}", second.chunks)
                );
            }
        }
    }
}

/// §6.8: the checksum covers every bit, except that a zero may be agreed on (RFC 9653).
#[test]
fn the_checksum() {
    let (_, bytes) = &samples()[0];
    let good = packet(bytes);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            Packet::decode(&bad),
            Err(DecodeError::Checksum),
            "bit {bit}"
        );
    }
    let mut zero = good.clone();
    zero[8..12].fill(0);
    assert_eq!(Packet::decode(&zero), Err(DecodeError::Checksum));
    assert!(Packet::decode_with(&zero, Checksum::Zero).is_ok());
    assert!(Packet::decode_with(&good, Checksum::Zero).is_ok());
    zero[8] = 1;
    assert_eq!(
        Packet::decode_with(&zero, Checksum::Zero),
        Err(DecodeError::Checksum)
    );
}

/// §6.10: INIT, INIT-ACK and SHUTDOWN-COMPLETE come alone.
#[test]
fn not_bundled() {
    let cookie_ack = hex("0b 00 0004");
    for (chunk, bytes) in samples() {
        let alone = matches!(
            chunk,
            Chunk::Init(_) | Chunk::InitAck(_) | Chunk::ShutdownComplete(_)
        );
        for both in [
            [&bytes[..], &cookie_ack].concat(),
            [&cookie_ack[..], &bytes].concat(),
        ] {
            let refused = matches!(
                Packet::decode(&packet(&both)),
                Err(DecodeError::Bundled { .. })
            );
            assert_eq!(refused, alone, "{chunk:?}");
        }
    }
}

/// §3.2: the two highest bits of an unknown type say whether to go on, and whether to tell.
#[test]
fn unknown_chunks() {
    for (kind, action) in [
        (0x3f, UnknownAction::Stop),
        (0x7f, UnknownAction::StopAndReport),
        (0xbf, UnknownAction::Skip),
        (0xff, UnknownAction::SkipAndReport),
    ] {
        let datagram = packet(&[&[kind, 9, 0, 5, 1, 0, 0, 0][..], &hex("0b 00 0004")].concat());
        let decoded = Packet::decode(&datagram).unwrap();
        let Chunk::Unknown(unknown) = &decoded.chunks[0] else {
            panic!("{decoded:?}")
        };
        assert_eq!(unknown.action(), action);
        assert_eq!(decoded.chunks.len(), if action.stops() { 1 } else { 2 });
        assert_eq!(
            unknown.to_cause(100),
            Cause::UnrecognizedChunkType(cow(&[kind, 9, 0, 5, 1]))
        );
        assert_eq!(
            unknown.to_cause(2),
            Cause::UnrecognizedChunkType(cow(&[kind, 9]))
        );
    }
}

/// §3.2.1: the same for parameters, of which a stop hides the rest.
#[test]
fn unknown_parameters() {
    for (kind, stops, reports) in [
        (0x3f, true, false),
        (0x7f, true, true),
        (0xbf, false, false),
        (0xff, false, true),
    ] {
        let mut chunk = hex("01 00 001c deadbeef 00100000 0100 0200 00000007");
        chunk.extend([kind, 1, 0, 4]);
        chunk.extend(hex("c000 0004"));
        let datagram = packet(&chunk);
        let decoded = Packet::decode(&datagram).unwrap();
        let Chunk::Init(init) = &decoded.chunks[0] else {
            panic!("{decoded:?}")
        };
        assert_eq!(init.supports_forward_tsn(), !stops);
        let reported: Vec<_> = init.unrecognized().collect();
        assert_eq!(
            reported,
            if reports {
                vec![vec![kind, 1, 0, 4]]
            } else {
                vec![]
            }
        );
    }
}

/// Elements that cost more memory than bytes are limited; honest packets are not.
#[test]
fn element_bombs() {
    let bomb = |element: &[u8], count: usize| packet(&element.repeat(count));
    assert_eq!(
        Packet::decode(&bomb(&hex("0b 00 0004"), 1000)),
        Err(DecodeError::TooMany)
    );
    let data = hex("00 03 0011 00000001 0001 0000 00000000 61 000000");
    assert_eq!(
        Packet::decode(&bomb(&data, 3000)).unwrap().chunks.len(),
        3000
    );
    let mut error = hex("09 00 2004");
    error.extend(hex("0004 0004").repeat(2048));
    assert_eq!(Packet::decode(&packet(&error)), Err(DecodeError::TooMany));
    let mut init = hex("01 00 2014 deadbeef 00100000 0100 0200 00000007");
    init.extend(hex("c000 0004").repeat(2048));
    assert_eq!(Packet::decode(&packet(&init)), Err(DecodeError::TooMany));
    assert_eq!(Packet::decode(&packet(&[])), Err(DecodeError::TooShort(12)));
}

/// What the steady state decodes stays in the packet value: no allocation, and a value small
/// enough to move.
#[test]
fn ordinary_packets_do_not_allocate() {
    let sack = Sack {
        cumulative_tsn: Tsn(1),
        a_rwnd: 1,
        gaps: [GapBlock { start: 2, end: 3 }; 8][..].into(),
        duplicates: [Tsn(1); 4][..].into(),
    };
    let mut bytes = vec![0; Chunk::Sack(sack.clone()).encoded_len()];
    Chunk::Sack(sack).encode(&mut bytes);
    bytes.extend(hex("00 03 0011 00000001 0001 0000 00000000 61 000000").repeat(2));
    let datagram = packet(&bytes);
    let decoded = Packet::decode(&datagram).unwrap();
    assert!(!decoded.chunks.spilled());
    let Chunk::Sack(sack) = &decoded.chunks[0] else {
        panic!("{decoded:?}")
    };
    assert!(!sack.gaps.spilled() && !sack.duplicates.spilled());
    assert!(
        size_of::<Packet<'_>>() <= 344,
        "{}",
        size_of::<Packet<'_>>()
    );
}

/// Found by fuzzing: the limit of chunks depended on bytes that are left out. What decodes has to
/// decode again when encoded, so the limit counts chunks by what they are worth.
#[test]
fn small_chunks_are_limited_whatever_surrounds_them() {
    let packet = |kinds: &[u8], rest: &[u8]| {
        let mut datagram = vec![0, 1, 254, 252, 0, 225, 204, 128, 0, 0, 0, 0];
        for kind in kinds {
            datagram.extend([*kind, 0, 0, 4]);
        }
        datagram.extend(rest);
        datagram
    };
    let nine = packet(&[157; 9], &[0; 400]);
    assert_eq!(
        Packet::decode_with(&nine, Checksum::Zero).err(),
        Some(DecodeError::TooMany)
    );
    // Chunk 65 is unknown and stops the decoding; what follows does not count.
    let eight = packet(
        &[157, 157, 248, 248, 157, 248, 9, 65],
        &[9, 254, 0, 9, 254, 0],
    );
    let eight = Packet::decode_with(&eight, Checksum::Zero).expect("eight are allowed");
    let mut encoded = vec![0; eight.encoded_len()];
    eight.encode(&mut encoded);
    assert_eq!(Packet::decode(&encoded).expect("the same").chunks.len(), 8);
}
