//! Any packets in any order: memory stays bounded, every packet is accounted for at most once, and
//! giving up always makes progress.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peerloom_rtp::payload::{Av1Depacketizer, H264Depacketizer, Vp8Depacketizer};
use peerloom_rtp::{
    FrameAssembler, Inserted, Limits, MediaPacket, SequenceNumber, Timestamp, payload::Depacketizer,
};

#[derive(Arbitrary, Debug)]
enum Call {
    Insert {
        step: i16,
        timestamp: u8,
        marker: bool,
        payload: Vec<u8>,
    },
    Next {
        new_frame: bool,
        marker: bool,
        payload: Vec<u8>,
    },
    Poll,
    GiveUpBefore(i16),
    GiveUpAll,
}

fuzz_target!(|input: (u8, u16, Vec<Call>)| {
    let mut limits = Limits::default();
    limits.assembler_packets = 64;
    limits.assembler_bytes = 4096;
    let (format, base, calls) = input;
    match format % 3 {
        0 => run(FrameAssembler::new(Vp8Depacketizer, &limits), base, calls),
        1 => run(
            FrameAssembler::new(H264Depacketizer::new(&limits), &limits),
            base,
            calls,
        ),
        _ => run(
            FrameAssembler::new(Av1Depacketizer::new(), &limits),
            base,
            calls,
        ),
    }
});

fn run<D: Depacketizer>(mut assembler: FrameAssembler<D, Vec<u8>>, base: u16, calls: Vec<Call>) {
    let mut sequence = SequenceNumber(base);
    let mut timestamp = 0u32;
    let mut frame = Vec::new();
    let (mut stored, mut reported) = (0u32, 0u32);
    let mut poll = |assembler: &mut FrameAssembler<D, Vec<u8>>, frame: &mut Vec<u8>| {
        while let Some(report) = assembler.poll(frame) {
            reported += report.packets;
            assert!(frame.len() <= 1 << 20);
        }
        reported
    };
    for call in calls {
        let packet = match call {
            Call::Poll => {
                assert!(poll(&mut assembler, &mut frame) <= stored);
                continue;
            }
            Call::GiveUpBefore(step) => {
                assembler.give_up_before(sequence.plus(step as u16));
                continue;
            }
            Call::GiveUpAll => {
                assembler.give_up_all();
                continue;
            }
            Call::Insert {
                step,
                timestamp,
                marker,
                payload,
            } => MediaPacket {
                sequence: sequence.plus(step as u16),
                timestamp: Timestamp(timestamp.into()),
                marker,
                payload,
            },
            Call::Next {
                new_frame,
                marker,
                payload,
            } => {
                sequence = sequence.next();
                timestamp = timestamp.wrapping_add(new_frame.into());
                MediaPacket {
                    sequence,
                    timestamp: Timestamp(timestamp),
                    marker,
                    payload,
                }
            }
        };
        match assembler.insert(packet) {
            Inserted::Stored => stored += 1,
            Inserted::Full(packet) => {
                poll(&mut assembler, &mut frame);
                match assembler.insert(packet) {
                    Inserted::Stored => stored += 1,
                    Inserted::Full(_) => panic!("there is room after polling"),
                    _ => {}
                }
            }
            _ => {}
        }
        assert!(assembler.bytes() <= 4096 && assembler.span() <= 64);
    }
    assembler.give_up_all();
    assert!(poll(&mut assembler, &mut frame) <= stored);
}
