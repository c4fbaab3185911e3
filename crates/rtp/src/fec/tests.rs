use proptest::prelude::*;

use super::*;
use crate::{Limits, RtpWriter, SequenceNumber, Ssrc, Timestamp};

const MEDIA: Ssrc = Ssrc(0x1234_5678);

/// A packet whose every recoverable part depends on its number.
fn media(sequence: SequenceNumber) -> Vec<u8> {
    let number = sequence.0;
    let csrcs = [Ssrc(number.into()); 2];
    let header = RtpHeader {
        marker: number.is_multiple_of(3),
        payload_type: 96 + (number % 5) as u8,
        sequence,
        timestamp: Timestamp(u32::from(number) * 3000),
        ssrc: MEDIA,
        csrcs: &csrcs[..usize::from(number % 3)],
    };
    let mut buffer = vec![0; 400];
    let mut writer = RtpWriter::new(&mut buffer, &header).unwrap();
    if number.is_multiple_of(2) {
        writer.element(1, &number.to_be_bytes()).unwrap();
    }
    let mut body = writer.body().unwrap();
    body.payload(&vec![number as u8; usize::from(number % 200) + 1])
        .unwrap();
    let len = body
        .padding(if number.is_multiple_of(7) { 9 } else { 0 })
        .unwrap();
    buffer.truncate(len);
    buffer
}

fn packet(bytes: &[u8]) -> RtpPacket<'_> {
    RtpPacket::parse(bytes).unwrap()
}

fn repair_for(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0xaa; 600];
    let len = FlexFecEncoder::encode(packets.iter().map(|bytes| packet(bytes)), &mut out).unwrap();
    out.truncate(len);
    out
}

fn run(base: u16, count: usize, step: u16) -> Vec<Vec<u8>> {
    (0..count)
        .map(|index| media(SequenceNumber(base).plus(index as u16 * step)))
        .collect()
}

/// Whichever packet of a group is lost, it comes back as it was: masks of all three lengths, over
/// the wrap, with the repair packet before, between and after.
#[test]
fn flexfec_repairs_any_one() {
    for (count, step) in [
        (1, 1),
        (5, 1),
        (15, 1),
        (16, 1),
        (46, 1),
        (47, 1),
        (109, 1),
        (10, 12),
    ] {
        let packets = run(65_530, count, step);
        let repair = repair_for(&packets);
        for lost in 0..count {
            let mut decoder = FecDecoder::flexfec_03(MEDIA, &Limits::default());
            let mut out = Vec::new();
            for (index, bytes) in packets.iter().enumerate() {
                if index == lost {
                    if lost % 2 == 0 {
                        decoder.repair(&repair).unwrap();
                    }
                } else {
                    decoder.media(&packet(bytes));
                }
            }
            if lost % 2 == 1 {
                decoder.repair(&repair).unwrap();
            }
            let expected = packet(&packets[lost]).sequence();
            assert_eq!(decoder.poll(&mut out), Some(expected), "{count} {lost}");
            assert_eq!(out, packets[lost]);
            assert_eq!(decoder.poll(&mut out), None);
        }
    }
}

/// Rows and columns: a repaired packet makes another repair possible.
#[test]
fn repairs_follow_repairs() {
    let packets = run(100, 9, 1);
    let mut decoder = FecDecoder::flexfec_03(MEDIA, &Limits::default());
    for index in [0, 1, 2, 4, 5, 7, 8] {
        decoder.media(&packet(&packets[index]));
    }
    let column: Vec<_> = [0, 3, 6].map(|index| packets[index].clone()).into();
    decoder.repair(&repair_for(&column)).unwrap();
    let mut out = Vec::new();
    assert_eq!(decoder.poll(&mut out), None);
    decoder.repair(&repair_for(&packets[3..6])).unwrap();
    assert_eq!(decoder.poll(&mut out), Some(SequenceNumber(103)));
    assert_eq!(decoder.poll(&mut out), Some(SequenceNumber(106)));
    assert_eq!(out, packets[6]);
}

/// A ULPFEC payload written by hand from RFC 5109 §7.3, with both lengths of the mask.
#[test]
fn ulpfec_repairs() {
    for wide in [false, true] {
        let packets = run(500, 4, if wide { 11 } else { 3 });
        let longest = packets.iter().map(Vec::len).max().unwrap() - 12;
        let mut sum = Sum::default();
        let mut payload = vec![0; longest];
        let mut mask = 0u64;
        for bytes in &packets {
            let (header, rest) = bytes.split_first_chunk::<12>().unwrap();
            sum.add(header, rest.len());
            xor(&mut payload, rest);
            mask |= 1 << (47 - (packet(bytes).sequence().0 - 500));
        }
        let mut repair = vec![
            sum.head[0] & 0x3f | if wide { 0x40 } else { 0 },
            sum.head[1],
        ];
        repair.extend(500u16.to_be_bytes());
        repair.extend(sum.timestamp.to_be_bytes());
        repair.extend(sum.length.to_be_bytes());
        repair.extend((longest as u16).to_be_bytes());
        repair.extend(&mask.to_be_bytes()[2..if wide { 8 } else { 4 }]);
        repair.extend(payload);
        let mut decoder = FecDecoder::ulpfec(MEDIA, &Limits::default());
        for bytes in [&packets[0], &packets[1], &packets[3]] {
            decoder.media(&packet(bytes));
        }
        decoder.repair(&repair).unwrap();
        let mut out = Vec::new();
        assert!(decoder.poll(&mut out).is_some());
        assert_eq!(out, packets[2]);
        for len in 0..repair.len() {
            assert!(decoder.repair(&repair[..len]).is_err(), "{len}");
        }
    }
}

/// A RED packet of video is the packet it stands for, but for the payload type.
#[test]
fn red_is_unwrapped() {
    let inner = media(SequenceNumber(8));
    let inner = packet(&inner);
    let block = RedBlock {
        payload_type: inner.payload_type(),
        timestamp_offset: 0,
        data: inner.payload(),
    };
    let mut red = [0; 400];
    let mut payload = [0; 300];
    let len = crate::payload::RedWriter::write(&[block], &mut payload).unwrap();
    let header = RtpHeader {
        payload_type: 116,
        ..inner.header()
    };
    let mut body = copy_header(&inner, &header, &mut red).unwrap();
    body.payload(&payload[..len]).unwrap();
    let len = body.finish();
    let outer = packet(&red[..len]);
    let parsed = crate::payload::Red::parse(outer.payload())
        .unwrap()
        .primary();
    let mut out = [0; 400];
    let len = unwrap_red(&outer, &parsed, &mut out).unwrap();
    assert_eq!(&out[..len], inner.bytes());
}

/// Repair packets for others, with two gaps, or with lies in them repair nothing and are bounded.
#[test]
fn hostile_repairs() {
    let packets = run(10, 6, 1);
    let repair = repair_for(&packets);
    let mut decoder = FecDecoder::flexfec_03(Ssrc(1), &Limits::default());
    assert!(decoder.repair(&repair).is_err());
    let mut decoder = FecDecoder::flexfec_03(MEDIA, &Limits::default());
    for len in 0..20 {
        assert!(decoder.repair(&repair[..len]).is_err(), "{len}");
    }
    for bytes in &packets[..5] {
        decoder.media(&packet(bytes));
    }
    let mut out = Vec::new();
    for cut in 20..repair.len() {
        decoder.repair(&repair[..cut]).unwrap();
        while decoder.poll(&mut out).is_some() {}
    }
    let mut decoder = FecDecoder::flexfec_03(MEDIA, &Limits::default());
    for base in 0..1000u16 {
        let group = run(base * 40, 3, 1);
        decoder.repair(&repair_for(&group)).unwrap();
        assert_eq!(decoder.poll(&mut out), None);
    }
    assert!(decoder.repairs.len() <= Limits::default().fec_repair_packets);
}

proptest! {
    /// Groups of ten with one repair packet each: exactly the groups with one loss are repaired.
    #[test]
    fn repairs_what_the_mask_can(base in any::<u16>(), lost in prop::collection::vec(any::<bool>(), 60)) {
        let mut decoder = FecDecoder::flexfec_03(MEDIA, &Limits::default());
        let mut out = Vec::new();
        for (group, lost) in lost.chunks(10).enumerate() {
            let packets = run(base.wrapping_add(group as u16 * 10), 10, 1);
            for (bytes, lost) in packets.iter().zip(lost) {
                if !lost {
                    decoder.media(&packet(bytes));
                }
            }
            decoder.repair(&repair_for(&packets)).unwrap();
            let missing: Vec<_> = (0..10).filter(|index| lost[*index]).collect();
            let repaired = decoder.poll(&mut out).is_some();
            prop_assert_eq!(repaired, missing.len() == 1);
            if repaired {
                prop_assert_eq!(&out, &packets[missing[0]]);
            }
        }
    }
}
