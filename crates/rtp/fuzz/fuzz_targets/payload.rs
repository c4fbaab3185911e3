//! Payloads of every format: inspect and append agree on what is an error only where they must,
//! nothing panics, output is bounded by input. Frames of every format: what was packetized makes
//! a frame again.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peerloom_rtp::Limits;
use peerloom_rtp::payload::{
    Av1Depacketizer, Av1Packetizer, ComfortNoise, Depacketizer, H264Depacketizer, H264Packetizer,
    H265Depacketizer, H265Packetizer, OpusToc, Packetizer, PayloadParts, Red, RedWriter,
    TelephoneEvent, Vp8Depacketizer, Vp8Descriptor, Vp8FrameInfo, Vp8Packetizer, Vp9Depacketizer,
    Vp9Descriptor, Vp9FrameInfo, Vp9Packetizer, annex_b, obus,
};

#[derive(Arbitrary, Debug)]
struct Input {
    format: u8,
    max: u8,
    payloads: Vec<Vec<u8>>,
    frame: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let limits = Limits::default();
    let Input {
        payloads, frame, ..
    } = &input;
    let max = usize::from(input.max) + 1;
    match input.format % 6 {
        0 => {
            depacketize(Vp8Depacketizer, payloads, 1);
            for payload in payloads {
                if let Ok((descriptor, rest)) = Vp8Descriptor::parse(payload) {
                    let mut out = [0; 6];
                    let len = descriptor
                        .encode(&mut out)
                        .expect("what was read is written");
                    let again = [&out[..len], rest].concat();
                    assert_eq!(Vp8Descriptor::parse(&again), Ok((descriptor, rest)));
                }
            }
            let info = Vp8FrameInfo::default();
            roundtrip(
                Vp8Packetizer::new(Some(1)),
                Vp8Depacketizer,
                frame,
                &info,
                max,
                true,
            );
        }
        1 => {
            depacketize(Vp9Depacketizer, payloads, 1);
            for payload in payloads {
                if let Ok((descriptor, rest)) = Vp9Descriptor::parse(payload) {
                    let mut out = vec![0; payload.len()];
                    let len = descriptor
                        .encode(&mut out)
                        .expect("what was read is written");
                    let again = [&out[..len], rest].concat();
                    assert_eq!(Vp9Descriptor::parse(&again), Ok((descriptor, rest)));
                }
            }
            let info = Vp9FrameInfo::default();
            roundtrip(
                Vp9Packetizer::new(1),
                Vp9Depacketizer,
                frame,
                &info,
                max,
                true,
            );
        }
        2 => {
            depacketize(H264Depacketizer::new(&limits), payloads, 4);
            let receiver = H264Depacketizer::new(&limits);
            roundtrip(
                H264Packetizer::new(&limits),
                receiver,
                frame,
                &(),
                max,
                false,
            );
        }
        3 => {
            depacketize(H265Depacketizer::new(&limits), payloads, 4);
            let receiver = H265Depacketizer::new(&limits);
            roundtrip(
                H265Packetizer::new(&limits),
                receiver,
                frame,
                &(),
                max,
                false,
            );
        }
        4 => {
            depacketize(Av1Depacketizer::with_delimiter(), payloads, 4);
            roundtrip(
                Av1Packetizer,
                Av1Depacketizer::new(),
                frame,
                &(),
                max,
                false,
            );
            assert!(obus(frame).count() <= frame.len());
        }
        _ => {
            for payload in payloads {
                let _ = OpusToc::parse(payload);
                let _ = ComfortNoise::decode(payload);
                let _ = TelephoneEvent::decode(payload);
                assert!(annex_b(payload).map(<[u8]>::len).sum::<usize>() <= payload.len());
                if let Ok(red) = Red::parse(payload) {
                    let blocks: Vec<_> = red.blocks().collect();
                    assert_eq!(blocks.last(), Some(&red.primary()));
                    let mut out = vec![0; payload.len()];
                    let len =
                        RedWriter::write(&blocks, &mut out).expect("what was read is written");
                    if blocks
                        .iter()
                        .rev()
                        .skip(1)
                        .all(|block| !block.data.is_empty())
                    {
                        assert_eq!(&out[..len], payload);
                    }
                }
            }
        }
    }
});

/// Gives all payloads to one depacketizer. `overhead` is what a payload's byte may become.
fn depacketize<D: Depacketizer>(mut depacketizer: D, payloads: &[Vec<u8>], overhead: usize) {
    let mut frame = Vec::new();
    depacketizer.begin();
    let mut bytes = 0;
    for payload in payloads {
        bytes += payload.len();
        let _ = depacketizer.inspect(payload);
        if depacketizer.append(payload, &mut frame).is_err() {
            depacketizer.begin();
        }
    }
    let _ = depacketizer.finish(&mut frame);
    // Parameter sets may be repeated once for every frame of the input.
    assert!(frame.len() <= (bytes + 8) * overhead * (payloads.len() + 1) + 70_000);
}

fn roundtrip<P: Packetizer, D: Depacketizer>(
    mut packetizer: P,
    mut depacketizer: D,
    frame: &[u8],
    info: &P::FrameInfo,
    max: usize,
    exact: bool,
) {
    let mut payloads = Vec::new();
    let mut sink = |payload: PayloadParts<'_>| {
        let mut joined = Vec::new();
        payload.append_to(&mut joined);
        assert!(joined.len() <= max, "{} over {max}", joined.len());
        payloads.push((joined, payload.marker));
    };
    if packetizer.packetize(frame, info, max, &mut sink).is_err() {
        return;
    }
    let marker = payloads.iter().position(|(_, marker)| *marker);
    if marker.is_some() {
        assert_eq!(marker, Some(payloads.len() - 1));
    }
    let mut out = Vec::new();
    depacketizer.begin();
    for (payload, _) in &payloads {
        // Types of NAL units that are packet types in RTP cannot be carried: not an error here.
        if depacketizer.append(payload, &mut out).is_err() {
            assert!(!exact);
            return;
        }
    }
    if exact {
        depacketizer
            .finish(&mut out)
            .expect("all payloads were there");
        assert_eq!(out, frame);
    }
}
