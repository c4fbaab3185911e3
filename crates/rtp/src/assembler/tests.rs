use super::*;
use crate::payload::{Vp8Depacketizer, Vp8Descriptor, Vp8TemporalLayer, WholeFrame};

type Vp8 = FrameAssembler<Vp8Depacketizer, Vec<u8>>;

/// A packet of VP8; `key` and `start` for the first of a frame.
struct Vp8Packet {
    sequence: u16,
    timestamp: u32,
    start: bool,
    marker: bool,
    key: bool,
    descriptor: Vp8Descriptor,
}

fn packet(sequence: u16, timestamp: u32, start: bool, marker: bool) -> Vp8Packet {
    let key = timestamp == 0;
    Vp8Packet {
        sequence,
        timestamp,
        start,
        marker,
        key,
        descriptor: Vp8Descriptor::default(),
    }
}

impl Vp8Packet {
    fn media(self) -> MediaPacket<Vec<u8>> {
        let descriptor = Vp8Descriptor {
            partition_start: self.start,
            ..self.descriptor
        };
        let mut payload = vec![0; 8];
        let len = descriptor.encode(&mut payload).unwrap();
        payload.truncate(len);
        payload.extend([u8::from(!self.key), self.sequence as u8]);
        MediaPacket {
            sequence: SequenceNumber(self.sequence),
            timestamp: Timestamp(self.timestamp),
            marker: self.marker,
            payload,
        }
    }
}

fn vp8() -> Vp8 {
    FrameAssembler::new(Vp8Depacketizer, &Limits::default())
}

fn insert(assembler: &mut Vp8, packets: impl IntoIterator<Item = Vp8Packet>) {
    for packet in packets {
        assert!(matches!(assembler.insert(packet.media()), Inserted::Stored));
    }
}

/// Everything that can be polled: status, timestamp, packets, missing.
fn poll(assembler: &mut Vp8) -> Vec<(FrameStatus, Option<u32>, u32, u32)> {
    let mut frame = Vec::new();
    std::iter::from_fn(|| assembler.poll(&mut frame))
        .map(|report| {
            (
                report.status,
                report.timestamp.map(|t| t.0),
                report.packets,
                report.missing,
            )
        })
        .collect()
}

use FrameStatus::{Complete, Incomplete, Undecodable};

/// Out of order over the wrap, with duplicates: every frame once, in order.
#[test]
fn reordering() {
    let mut assembler = vp8();
    insert(
        &mut assembler,
        [
            packet(65_535, 0, false, true),
            packet(65_534, 0, true, false),
        ],
    );
    assert!(matches!(
        assembler.insert(packet(65_535, 0, false, true).media()),
        Inserted::Duplicate
    ));
    insert(&mut assembler, [packet(1, 2, true, true)]);
    assert_eq!(poll(&mut assembler), [(Complete, Some(0), 2, 0)]);
    assert_eq!(assembler.waiting_for(), Some(SequenceNumber(0)));
    insert(&mut assembler, [packet(0, 1, true, true)]);
    assert_eq!(
        poll(&mut assembler),
        [(Complete, Some(1), 1, 0), (Complete, Some(2), 1, 0)]
    );
    assert!(matches!(
        assembler.insert(packet(0, 1, true, true).media()),
        Inserted::TooOld
    ));
    assert_eq!((assembler.span(), assembler.bytes()), (0, 0));
}

/// A gap in a frame costs that frame, and what refers to it up to the next key frame.
#[test]
fn loss_within_a_frame() {
    let mut assembler = vp8();
    insert(
        &mut assembler,
        [packet(1, 0, true, true), packet(2, 1, true, false)],
    );
    insert(
        &mut assembler,
        [packet(4, 1, false, true), packet(5, 2, true, true)],
    );
    assert_eq!(poll(&mut assembler), [(Complete, Some(0), 1, 0)]);
    assembler.give_up_before(SequenceNumber(4));
    assert_eq!(
        poll(&mut assembler),
        [(Incomplete, Some(1), 2, 1), (Undecodable, Some(2), 1, 0)]
    );
    insert(
        &mut assembler,
        [packet(6, 0, true, true), packet(7, 4, true, true)],
    );
    assert_eq!(
        poll(&mut assembler),
        [(Complete, Some(0), 1, 0), (Complete, Some(4), 1, 0)]
    );
}

/// A frame's end, whole frames, and a frame's beginning lost in one gap.
#[test]
fn loss_over_frames() {
    let mut assembler = vp8();
    insert(
        &mut assembler,
        [packet(1, 0, true, false), packet(8, 5, false, true)],
    );
    insert(&mut assembler, [packet(9, 0, true, true)]);
    assembler.give_up_all();
    assert_eq!(
        poll(&mut assembler),
        [
            (Incomplete, Some(0), 1, 6),
            (Incomplete, Some(5), 1, 0),
            (Complete, Some(0), 1, 0)
        ]
    );
    insert(&mut assembler, [packet(12, 6, true, true)]);
    assembler.give_up_all();
    assert_eq!(
        poll(&mut assembler),
        [(Incomplete, None, 0, 2), (Undecodable, Some(6), 1, 0)]
    );
}

/// A frame that nothing refers to may be lost without harm to the others.
#[test]
fn discardable_loss() {
    let mut assembler = vp8();
    let discardable = |sequence, start, marker| Vp8Packet {
        descriptor: Vp8Descriptor {
            non_reference: true,
            ..Vp8Descriptor::default()
        },
        ..packet(sequence, 1, start, marker)
    };
    insert(
        &mut assembler,
        [packet(1, 0, true, true), discardable(2, true, false)],
    );
    insert(
        &mut assembler,
        [discardable(4, false, true), packet(5, 2, true, true)],
    );
    assembler.give_up_all();
    let all = [
        (Complete, Some(0), 1, 0),
        (Incomplete, Some(1), 2, 1),
        (Complete, Some(2), 1, 0),
    ];
    assert_eq!(poll(&mut assembler), all);
}

/// With a numbered base layer the loss of a higher layer is told from the loss of the base.
#[test]
fn temporal_layers() {
    let mut assembler = vp8();
    let layered = |sequence: u16, id, index, layer_sync| Vp8Packet {
        descriptor: Vp8Descriptor {
            picture_id: Some(sequence & 0x7f),
            base_layer_index: Some(index),
            temporal: Some(Vp8TemporalLayer { id, layer_sync }),
            ..Vp8Descriptor::default()
        },
        ..packet(sequence, sequence.into(), true, true)
    };
    insert(
        &mut assembler,
        [
            Vp8Packet {
                key: true,
                ..layered(1, 0, 255, false)
            },
            layered(2, 1, 255, true),
            // 3, of layer 1, is lost.
            layered(4, 0, 0, false),
            layered(5, 1, 0, false),
            layered(6, 1, 0, true),
            layered(7, 1, 0, false),
            // 8, of the base layer, is lost.
            layered(9, 1, 1, true),
            layered(10, 0, 2, false),
        ],
    );
    assembler.give_up_all();
    let expected = [
        Complete,
        Complete,
        Incomplete,
        Complete,
        Undecodable,
        Complete,
        Complete,
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .chain([Incomplete, Undecodable, Undecodable])
        .collect();
    let statuses: Vec<_> = poll(&mut assembler)
        .into_iter()
        .map(|(status, ..)| status)
        .collect();
    assert_eq!(statuses, expected);
}

/// Empty payloads of padding have a place in the sequence and belong to no frame.
#[test]
fn padding_between_frames() {
    let mut assembler = vp8();
    let padding = |sequence, timestamp| MediaPacket {
        sequence: SequenceNumber(sequence),
        timestamp: Timestamp(timestamp),
        marker: false,
        payload: vec![],
    };
    insert(
        &mut assembler,
        [packet(1, 0, true, true), packet(4, 1, true, true)],
    );
    assembler.insert(padding(3, 0));
    assembler.insert(padding(2, 0));
    assert_eq!(
        poll(&mut assembler),
        [(Complete, Some(0), 1, 0), (Complete, Some(1), 1, 0)]
    );
}

/// A jump beyond the capacity gives up the oldest gap, and then there is room.
#[test]
fn overflow() {
    let limits = Limits {
        assembler_packets: 16,
        ..Limits::default()
    };
    let mut assembler = FrameAssembler::new(Vp8Depacketizer, &limits);
    insert(
        &mut assembler,
        [packet(1, 0, true, true), packet(3, 1, true, true)],
    );
    let Inserted::Full(again) = assembler.insert(packet(30_000, 2, true, true).media()) else {
        panic!("there is no room");
    };
    let statuses: Vec<_> = poll(&mut assembler)
        .into_iter()
        .map(|(status, ..)| status)
        .collect();
    assert_eq!(statuses, [Complete, Incomplete, Undecodable]);
    assert!(matches!(assembler.insert(again), Inserted::Stored));
    assembler.give_up_all();
    assert_eq!(
        poll(&mut assembler),
        [(Incomplete, None, 0, 29_996), (Undecodable, Some(2), 1, 0)]
    );

    let limits = Limits {
        assembler_bytes: 10,
        ..Limits::default()
    };
    let mut assembler = FrameAssembler::new(Vp8Depacketizer, &limits);
    insert(
        &mut assembler,
        [packet(1, 0, true, false), packet(3, 1, true, true)],
    );
    insert(&mut assembler, [packet(4, 2, true, true)]);
    let Inserted::Full(again) = assembler.insert(packet(5, 3, true, true).media()) else {
        panic!("there is no room");
    };
    assert_eq!(poll(&mut assembler).len(), 3);
    assert!(matches!(assembler.insert(again), Inserted::Stored));
}

/// A frame that never ends, or that is larger than the capacity, makes room as well.
#[test]
fn overflow_by_one_frame() {
    let limits = Limits {
        assembler_packets: 16,
        ..Limits::default()
    };
    for (held, next) in [(16, 16), (3, 1000)] {
        let mut assembler = FrameAssembler::new(Vp8Depacketizer, &limits);
        insert(
            &mut assembler,
            (0..held).map(|sequence| packet(sequence, 0, sequence == 0, false)),
        );
        let Inserted::Full(again) = assembler.insert(packet(next, 0, false, true).media()) else {
            panic!("there is no room");
        };
        poll(&mut assembler);
        assert!(matches!(assembler.insert(again), Inserted::Stored));
        assembler.give_up_all();
        let reports = poll(&mut assembler);
        assert!(
            reports.iter().all(|(status, ..)| *status == Incomplete),
            "{reports:?}"
        );
    }
}

/// A sender that begins anew with older numbers is not too old for ever.
#[test]
fn restart() {
    let mut assembler = vp8();
    insert(
        &mut assembler,
        [
            packet(40_000, 0, true, true),
            packet(40_002, 1, true, false),
        ],
    );
    assert_eq!(poll(&mut assembler).len(), 1);
    assert!(matches!(
        assembler.insert(packet(39_000, 0, true, true).media()),
        Inserted::TooOld
    ));
    assembler.reset();
    insert(&mut assembler, [packet(39_000, 0, true, true)]);
    assert_eq!(poll(&mut assembler), [(Complete, Some(0), 1, 0)]);
    assert_eq!(assembler.bytes(), 0);
}

/// Audio: each packet is a frame, whatever its marker and timestamp, and none needs another.
#[test]
fn audio() {
    let mut assembler = FrameAssembler::new(WholeFrame, &Limits::default());
    for sequence in [1u16, 2, 4] {
        let packet = MediaPacket {
            sequence: SequenceNumber(sequence),
            timestamp: Timestamp(0),
            marker: false,
            payload: [sequence as u8],
        };
        assert!(matches!(assembler.insert(packet), Inserted::Stored));
    }
    assembler.give_up_all();
    let mut frame = Vec::new();
    let statuses: Vec<_> = std::iter::from_fn(|| assembler.poll(&mut frame))
        .map(|report| report.status)
        .collect();
    assert_eq!(statuses, [Complete, Complete, Incomplete, Complete]);
    assert_eq!(frame, [4]);
}
