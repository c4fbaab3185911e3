//! Packetize → lose, reorder, duplicate → reassemble delivers exactly the complete frames, in
//! order, byte by byte, for every format.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use peerloom_rtp::payload::{
    Av1Depacketizer, Av1Packetizer, Depacketizer, H264Depacketizer, H264Packetizer,
    H265Depacketizer, H265Packetizer, Packetizer, PayloadParts, Vp8Depacketizer, Vp8FrameInfo,
    Vp8Packetizer, Vp9Depacketizer, Vp9Descriptor, Vp9FrameInfo, Vp9Packetizer, WholeFrame,
};
use peerloom_rtp::{
    FrameAssembler, FrameStatus, Inserted, Limits, MediaPacket, RtpHeader, RtpPacket, RtpWriter,
    SequenceNumber, Ssrc, Timestamp,
};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// One frame to be sent.
#[derive(Debug, Clone)]
struct Frame {
    bytes: Vec<u8>,
    key: bool,
}

/// What happens to packets on the way, in percent.
#[derive(Debug, Clone, Copy)]
struct Path {
    seed: u64,
    loss: u32,
    duplication: u32,
    /// Packets are overtaken by up to this many.
    reordering: u32,
}

fn paths() -> impl Strategy<Value = Path> {
    (
        any::<u64>(),
        prop_oneof![Just(0u32), 1u32..30],
        0u32..20,
        0u32..30,
    )
        .prop_map(|(seed, loss, duplication, reordering)| Path {
            seed,
            loss,
            duplication,
            reordering,
        })
}

fn sizes() -> impl Strategy<Value = Vec<(usize, bool)>> {
    prop::collection::vec((2usize..3000, prop::bool::weighted(0.2)), 1..25)
}

fn check<P: Packetizer, D: Depacketizer>(
    mut packetizer: P,
    depacketizer: D,
    frames: &[Frame],
    info: impl Fn(&Frame) -> Box<P::FrameInfo>,
    base: u16,
    max_payload: usize,
    path: Path,
) where
    P::FrameInfo: Sized,
{
    // Frames to packets on the wire.
    let mut packets: Vec<(usize, Vec<u8>)> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let mut sink = |payload: PayloadParts<'_>| {
            let header = RtpHeader {
                marker: payload.marker,
                payload_type: 96,
                sequence: SequenceNumber(base.wrapping_add(packets.len() as u16)),
                timestamp: Timestamp((index as u32).wrapping_mul(3000).wrapping_sub(30_000)),
                ssrc: Ssrc(1),
                csrcs: &[],
            };
            let mut buffer = vec![0; 1500];
            let mut body = RtpWriter::new(&mut buffer, &header)
                .unwrap()
                .body()
                .unwrap();
            payload.write(&mut body).unwrap();
            let len = body.finish();
            buffer.truncate(len);
            packets.push((index, buffer));
        };
        packetizer
            .packetize(&frame.bytes, &info(frame), max_payload, &mut sink)
            .unwrap();
    }

    // The path.
    let mut rng = StdRng::seed_from_u64(path.seed);
    let mut arrivals: Vec<(usize, usize)> = Vec::new();
    let mut lost = vec![0; frames.len()];
    let mut arrived = vec![0; frames.len()];
    for (at, (frame, _)) in packets.iter().enumerate() {
        if rng.random_range(0..100) < path.loss {
            lost[*frame] += 1;
            continue;
        }
        arrived[*frame] += 1;
        let copies = 1 + usize::from(rng.random_range(0..100) < path.duplication);
        for _ in 0..copies {
            arrivals.push((at + rng.random_range(0..=path.reordering) as usize, at));
        }
    }
    arrivals.sort_by_key(|(when, _)| *when);

    // Packets to frames.
    let mut assembler = FrameAssembler::new(depacketizer, &Limits::default());
    let mut reports = Vec::new();
    let mut bytes = Vec::new();
    for (count, (_, at)) in arrivals.iter().enumerate() {
        let packet = RtpPacket::parse(&packets[*at].1).unwrap();
        let inserted = assembler.insert(MediaPacket {
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            payload: packet.payload().to_vec(),
        });
        assert!(
            matches!(
                inserted,
                Inserted::Stored | Inserted::Duplicate | Inserted::TooOld
            ),
            "{inserted:?}"
        );
        // A jitter buffer takes nothing out before the first packets had their chance to overtake.
        if count >= 64 {
            while let Some(report) = assembler.poll(&mut bytes) {
                reports.push((report, bytes.clone()));
            }
        }
    }
    assembler.give_up_all();
    while let Some(report) = assembler.poll(&mut bytes) {
        reports.push((report, bytes.clone()));
    }

    // Exactly the complete frames, each decodable if all since a key frame are there.
    let index_of = |timestamp: Timestamp| (timestamp.0.wrapping_add(30_000) / 3000) as usize;
    let delivered: Vec<_> = reports
        .iter()
        .filter(|(report, _)| {
            matches!(
                report.status,
                FrameStatus::Complete | FrameStatus::Undecodable
            )
        })
        .map(|(report, bytes)| (index_of(report.timestamp.unwrap()), report.status, bytes))
        .collect();
    let complete: Vec<_> = (0..frames.len())
        .filter(|index| lost[*index] == 0)
        .collect();
    assert_eq!(
        delivered
            .iter()
            .map(|(index, ..)| *index)
            .collect::<Vec<_>>(),
        complete
    );
    let mut is_sound = false;
    let mut expected = delivered.iter();
    for (index, frame) in frames.iter().enumerate() {
        is_sound = lost[index] == 0 && (is_sound || frame.key);
        if lost[index] == 0 {
            let (_, status, bytes) = expected.next().unwrap();
            assert_eq!(*bytes, &frame.bytes, "frame {index}");
            assert_eq!(*status == FrameStatus::Complete, is_sound, "frame {index}");
        }
    }
    // Of a frame that arrived in part something is said, unless it may still go on.
    let last = (0..frames.len())
        .rev()
        .find(|index| arrived[*index] > 0)
        .unwrap_or(0);
    for index in (0..last).filter(|index| arrived[*index] > 0 && lost[*index] > 0) {
        let found = reports.iter().any(|(report, _)| {
            report.status == FrameStatus::Incomplete
                && report
                    .timestamp
                    .is_some_and(|timestamp| index_of(timestamp) == index)
        });
        assert!(found, "frame {index} vanished");
    }
    assert!(
        reports
            .iter()
            .all(|(report, _)| report.status != FrameStatus::Malformed)
    );
}

/// Bytes without start codes, different in every frame.
fn content(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|index| ((index * 31) ^ (seed * 7)) as u8 | 1)
        .collect()
}

/// A NAL unit: header, a slice header that begins a picture, content.
fn unit(head: &[u8], len: usize, seed: usize) -> Vec<u8> {
    [&[0, 0, 0, 1][..], head, &[0x81], &content(len, seed)].concat()
}

fn obu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind << 3 | 2];
    let len = body.len();
    if len < 128 {
        bytes.push(len as u8);
    } else {
        bytes.extend([len as u8 | 0x80, (len >> 7) as u8]);
    }
    bytes.extend(body);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn vp8(sizes in sizes(), path in paths(), base in any::<u16>(), max in 50usize..1200) {
        let frames: Vec<_> = sizes.iter().enumerate().map(|(index, (len, key))| {
            let mut bytes = content(*len, index);
            bytes[0] = bytes[0] & !1 | u8::from(!key);
            Frame { bytes, key: *key }
        }).collect();
        let packetizer = Vp8Packetizer::new(Some(base));
        check(packetizer, Vp8Depacketizer, &frames, |_| Box::new(Vp8FrameInfo::default()), base, max, path);
    }

    #[test]
    fn vp9(sizes in sizes(), path in paths(), base in any::<u16>(), max in 50usize..1200) {
        let frames: Vec<_> = sizes.iter().enumerate()
            .map(|(index, (len, key))| Frame { bytes: content(*len, index), key: *key })
            .collect();
        let info = |frame: &Frame| Box::new(Vp9FrameInfo {
            descriptor: Vp9Descriptor { inter_picture: !frame.key, ..Vp9Descriptor::default() },
            ends_picture: true,
        });
        check(Vp9Packetizer::new(base), Vp9Depacketizer, &frames, info, base, max, path);
    }

    #[test]
    fn h264(sizes in sizes(), path in paths(), base in any::<u16>(), max in 50usize..1200) {
        let frames: Vec<_> = sizes.iter().enumerate().map(|(index, (len, key))| {
            let bytes = if *key {
                [unit(&[0x67, 0x42, 0, 0x1f], 10, index), unit(&[0x68], 5, index), unit(&[0x65], *len, index)].concat()
            } else {
                unit(&[0x41], *len, index)
            };
            Frame { bytes, key: *key }
        }).collect();
        let limits = Limits::default();
        let packetizer = H264Packetizer::new(&limits);
        check(packetizer, H264Depacketizer::new(&limits), &frames, |_| Box::new(()), base, max, path);
    }

    #[test]
    fn h265(sizes in sizes(), path in paths(), base in any::<u16>(), max in 50usize..1200) {
        let frames: Vec<_> = sizes.iter().enumerate().map(|(index, (len, key))| {
            let bytes = if *key {
                let sets = [32, 33, 34].map(|kind| unit(&[kind << 1, 1], 12, index));
                [&sets.concat()[..], &unit(&[19 << 1, 1], *len, index)].concat()
            } else {
                unit(&[1 << 1, 1], *len, index)
            };
            Frame { bytes, key: *key }
        }).collect();
        let limits = Limits::default();
        let packetizer = H265Packetizer::new(&limits);
        check(packetizer, H265Depacketizer::new(&limits), &frames, |_| Box::new(()), base, max, path);
    }

    #[test]
    fn av1(sizes in sizes(), path in paths(), base in any::<u16>(), max in 50usize..1200) {
        let frames: Vec<_> = sizes.iter().enumerate().map(|(index, (len, key))| {
            let header = if *key { obu(1, &content(10, index)) } else { vec![] };
            Frame { bytes: [header, obu(6, &content(*len, index))].concat(), key: *key }
        }).collect();
        check(Av1Packetizer, Av1Depacketizer::new(), &frames, |_| Box::new(()), base, max, path);
    }

    #[test]
    fn audio(sizes in sizes(), path in paths(), base in any::<u16>()) {
        let frames: Vec<_> = sizes.iter().enumerate()
            .map(|(index, (len, _))| Frame { bytes: content(len % 400 + 1, index), key: true })
            .collect();
        check(WholeFrame, WholeFrame, &frames, |_| Box::new(false), base, 1200, path);
    }
}
