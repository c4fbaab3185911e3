use proptest::prelude::*;

use super::*;
use crate::{SequenceNumber, Timestamp, WriteError};

const SENDER: Ssrc = Ssrc(0x0102_0304);
const MEDIA: Ssrc = Ssrc(0x0506_0708);

fn written(write: impl FnOnce(&mut RtcpWriter<'_>) -> Result<(), WriteError>) -> Vec<u8> {
    let mut buffer = vec![0xaa; 2000];
    let mut writer = RtcpWriter::new(&mut buffer);
    write(&mut writer).unwrap();
    let len = writer.finish();
    buffer.truncate(len);
    buffer
}

fn only(bytes: &[u8]) -> RtcpPacket<'_> {
    let mut packets = Compound::new(bytes, &Limits::default());
    let packet = packets.next().unwrap().unwrap();
    assert!(packets.next().is_none());
    packet
}

/// One datagram with every kind of packet.
fn everything() -> Vec<u8> {
    let block = ReportBlock {
        ssrc: MEDIA,
        fraction_lost: 3,
        cumulative_lost: -5,
        highest_sequence: 0x0001_ffff,
        jitter: 9,
        last_report: 10,
        delay: 11,
    };
    let info = SenderInfo {
        ntp: 1 << 40,
        timestamp: Timestamp(2),
        packets: 3,
        octets: 4,
    };
    let items = [
        SdesItem {
            kind: SdesItem::CNAME,
            value: b"a name",
        },
        SdesItem {
            kind: 8,
            value: b"",
        },
    ];
    let arrivals = (0..40u16).map(|index| PacketArrival {
        sequence: SequenceNumber(65_530).plus(index),
        arrival: (index % 3 != 0).then(|| 1000 + i64::from(index) * 100),
    });
    let reports = [
        None,
        Some(PacketReport {
            ecn: Ecn::Ce,
            offset: 0x1ffe,
        }),
        None,
    ];
    written(|out| {
        out.sender_report(SENDER, &info, [block, block])?;
        out.receiver_report(SENDER, [block])?;
        out.source_description([(SENDER, items), (MEDIA, items)])?;
        out.app(&App {
            subtype: 7,
            ssrc: SENDER,
            name: *b"test",
            data: &[1, 2, 3, 4],
        })?;
        out.nack(SENDER, MEDIA, [5, 6, 22, 23, 65].map(SequenceNumber))?;
        out.congestion_feedback(SENDER, [(MEDIA, SequenceNumber(7), reports)], 99)?;
        out.transport_feedback(SENDER, MEDIA, 200, arrivals)?;
        out.picture_loss(SENDER, MEDIA)?;
        out.full_intra_request(
            SENDER,
            [FirEntry {
                ssrc: MEDIA,
                sequence: 4,
            }],
        )?;
        out.remb(SENDER, 1_234_567_890, [MEDIA, SENDER])?;
        let rrt = XrBlock::ReceiverReferenceTime(77);
        out.extended_report(
            SENDER,
            [
                rrt,
                XrBlock::Unknown {
                    kind: 9,
                    specific: 1,
                    data: &[0; 8],
                },
            ],
        )?;
        out.dlrr(
            SENDER,
            [Dlrr {
                ssrc: MEDIA,
                last_report: 1,
                delay: 2,
            }],
        )?;
        out.unknown(&UnknownPacket {
            format: 3,
            packet_type: 209,
            body: &[1, 2, 3, 4],
        })?;
        out.goodbye([SENDER, MEDIA], Some(b"done"))
    })
}

fn rewritten(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut buffer = vec![0xaa; bytes.len() + 64];
    let mut writer = RtcpWriter::new(&mut buffer);
    let mut packets = Compound::new(bytes, &Limits::default());
    for packet in &mut packets {
        writer.packet(&packet?).unwrap();
    }
    let len = writer.padding(packets.padding_len()).unwrap();
    buffer.truncate(len);
    Ok(buffer)
}

/// Every kind of packet is read as what it was written, and written as what it was read.
#[test]
fn everything_comes_back() {
    let bytes = everything();
    assert_eq!(rewritten(&bytes).unwrap(), bytes);
    let limits = Limits::default();
    let packets: Vec<_> = Compound::new(&bytes, &limits).map(Result::unwrap).collect();
    assert_eq!(packets.len(), 14);
    assert!(
        !packets[..12]
            .iter()
            .any(|packet| matches!(packet, RtcpPacket::Unknown(_)))
    );
    let RtcpPacket::SenderReport(report) = packets[0] else {
        panic!()
    };
    assert_eq!(report.info.compact_ntp(), 1 << 24);
    assert_eq!(report.blocks().next().unwrap().cumulative_lost, -5);
    let RtcpPacket::SourceDescription(sdes) = packets[2] else {
        panic!()
    };
    let names: Vec<_> = sdes.chunks().map(|chunk| chunk.cname()).collect();
    assert_eq!(names, [Some(&b"a name"[..]); 2]);
    let RtcpPacket::Nack(nack) = packets[4] else {
        panic!()
    };
    assert_eq!(nack.items().len(), 3);
    let lost: Vec<_> = nack.lost().map(|sequence| sequence.0).collect();
    assert_eq!(lost, [5, 6, 22, 23, 65]);
    let RtcpPacket::Remb(remb) = packets[9] else {
        panic!()
    };
    assert!(remb.bitrate <= 1_234_567_890 && remb.bitrate > 1_234_560_000);
    let RtcpPacket::Goodbye(bye) = packets[13] else {
        panic!()
    };
    assert_eq!(bye.reason, Some(&b"done"[..]));
}

/// Cut anywhere, a datagram is an error or ends between two packets.
#[test]
fn truncation() {
    let bytes = everything();
    let limits = Limits::default();
    let mut boundaries = 0;
    for len in 1..bytes.len() {
        let whole = Compound::new(&bytes[..len], &limits).all(|packet| packet.is_ok());
        boundaries += usize::from(whole);
    }
    assert_eq!(boundaries, 13);
    // The same with lengths that tell the truth: a short body is an error and never a panic.
    let mut start = 0;
    while start < bytes.len() {
        let words = usize::from(u16::from_be_bytes([bytes[start + 2], bytes[start + 3]]));
        for short in 0..words {
            let mut packet = bytes[start..start + 4 + short * 4].to_vec();
            packet[3] = short as u8;
            let _ = Compound::new(&packet, &limits)
                .map(|packet| format!("{packet:?}"))
                .count();
        }
        start += 4 + words * 4;
    }
}

/// Packets that do not fit leave those before them as they were.
#[test]
fn no_room() {
    let mut buffer = [0; 30];
    let mut writer = RtcpWriter::new(&mut buffer);
    writer.picture_loss(SENDER, MEDIA).unwrap();
    let long = [b'x'; 40];
    assert!(matches!(
        writer.cname(SENDER, &long),
        Err(WriteError::BufferTooSmall { .. })
    ));
    assert_eq!(writer.len(), 12);
    writer.picture_loss(MEDIA, SENDER).unwrap();
    assert_eq!(writer.finish(), 24);
    assert!(Compound::new(&buffer[..24], &Limits::default()).all(|packet| packet.is_ok()));
    let mut buffer = [0; 2000];
    let mut writer = RtcpWriter::new(&mut buffer);
    assert!(writer.goodbye([SENDER; 32], None).is_err());
    assert!(writer.cname(SENDER, &[0; 256]).is_err());
    let app = App {
        subtype: 1,
        ssrc: SENDER,
        name: *b"odd.",
        data: &[1],
    };
    assert!(writer.app(&app).is_err());
    assert!(writer.is_empty());
}

/// A bad body does not hide the packets after it; bad framing does.
#[test]
fn errors_are_contained() {
    let limits = Limits::default();
    let mut bytes = vec![0x81, 206, 0, 1, 0, 0, 0, 0];
    bytes.extend(written(|out| out.picture_loss(SENDER, MEDIA)));
    let results: Vec<_> = Compound::new(&bytes, &limits)
        .map(|packet| packet.is_ok())
        .collect();
    assert_eq!(results, [false, true]);
    bytes[0] = 0x41;
    let results: Vec<_> = Compound::new(&bytes, &limits).collect();
    assert_eq!(results, [Err(DecodeError::Version)]);
}

/// Padding belongs to the last packet and is a multiple of four; anything else is an error.
#[test]
fn padding() {
    let mut buffer = [0; 60];
    let mut writer = RtcpWriter::new(&mut buffer);
    writer.picture_loss(SENDER, MEDIA).unwrap();
    writer.picture_loss(MEDIA, SENDER).unwrap();
    let len = writer.padding(8).unwrap();
    assert_eq!(rewritten(&buffer[..len]).unwrap(), &buffer[..len]);
    for wrong in [0, 3, 24, 255] {
        buffer[len - 1] = wrong;
        assert_eq!(
            rewritten(&buffer[..len]),
            Err(DecodeError::Padding),
            "{wrong}"
        );
    }
    buffer[0] |= PADDING;
    assert_eq!(rewritten(&buffer[..len]), Err(DecodeError::Padding));
}

/// A few bytes that stand for a million packet statuses, or thousands of tiny packets, are cut off.
#[test]
fn bombs_are_capped() {
    let mut one = vec![0x8f, 205, 0, 9];
    one.extend([0; 8]);
    one.extend([0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    one.extend([0x1f, 0xff].repeat(10));
    let limits = Limits::default();
    let bomb = one.repeat(40);
    let results: Vec<_> = Compound::new(&bomb, &limits).collect();
    assert_eq!(results, [Err(DecodeError::TooMany("packet statuses"))]);

    let tiny = [0x80, 209, 0, 0].repeat(10_000);
    let results: Vec<_> = Compound::new(&tiny, &limits).collect();
    assert_eq!(results.len(), limits.rtcp_packets + 1);
    assert_eq!(
        results.last(),
        Some(&Err(DecodeError::TooMany("RTCP packets")))
    );
}

/// An exponent that shifts the mantissa out of 64 bits is no rate.
#[test]
fn remb_overflow() {
    let mut bytes = written(|out| out.remb(SENDER, u64::MAX, [MEDIA]));
    let RtcpPacket::Remb(remb) = only(&bytes) else {
        panic!()
    };
    assert_eq!(remb.bitrate, 0x3ffff << 46);
    bytes[17] = 0xff;
    assert!(
        Compound::new(&bytes, &Limits::default())
            .next()
            .unwrap()
            .is_err()
    );
}

proptest! {
    /// Any pattern of loss and jitter comes back from transport-wide feedback.
    #[test]
    fn transport_feedback_comes_back(
        base in any::<u16>(),
        start in -(1i64 << 30)..(1i64 << 30),
        steps in prop::collection::vec(prop::option::weighted(0.8, prop_oneof![
            8 => 0i64..256,
            1 => -3000i64..3000,
        ]), 1..300),
        runs in prop::collection::vec((any::<bool>(), 1usize..100), 0..5),
    ) {
        let mut clock = start;
        let mut arrivals: Vec<Option<i64>> = steps
            .iter()
            .map(|step| step.map(|step| { clock += step; clock }))
            .collect();
        for (lost, count) in runs {
            arrivals.extend((0..count).map(|_| (!lost).then(|| { clock += 1; clock })));
        }
        let packets: Vec<_> = arrivals
            .iter()
            .enumerate()
            .map(|(index, arrival)| PacketArrival {
                sequence: SequenceNumber(base).plus(index as u16),
                arrival: *arrival,
            })
            .collect();
        let bytes = written(|out| {
            out.transport_feedback(SENDER, MEDIA, 1, packets.iter().copied())
        });
        let RtcpPacket::TransportFeedback(feedback) = only(&bytes) else { panic!() };
        prop_assert_eq!(feedback.packets().collect::<Vec<_>>(), packets);
        prop_assert_eq!(rewritten(&bytes).unwrap(), bytes);
    }

    /// NACK groups whatever ascending numbers there are.
    #[test]
    fn nack_comes_back(base in any::<u16>(), gaps in prop::collection::vec(1u16..40, 1..60)) {
        let mut sequence = SequenceNumber(base);
        let lost: Vec<_> = gaps.iter().map(|gap| { sequence = sequence.plus(*gap); sequence }).collect();
        let bytes = written(|out| out.nack(SENDER, MEDIA, lost.iter().copied()));
        let RtcpPacket::Nack(nack) = only(&bytes) else { panic!() };
        prop_assert_eq!(nack.lost().collect::<Vec<_>>(), lost);
    }

    /// Whatever is read, is written so that it reads the same.
    #[test]
    fn any_body(packet_type in 199u8..=208, format in 0u8..32, words in prop::collection::vec(any::<[u8; 4]>(), 0..12)) {
        let mut bytes = vec![0x80 | format, packet_type, 0, words.len() as u8];
        bytes.extend(words.iter().flatten());
        if let Ok(again) = rewritten(&bytes) {
            let limits = Limits::default();
            let first: Vec<_> = Compound::new(&bytes, &limits).collect();
            let second: Vec<_> = Compound::new(&again, &limits).collect();
            prop_assert_eq!(first.len(), second.len());
            prop_assert_eq!(rewritten(&again).unwrap(), again);
        }
    }
}
