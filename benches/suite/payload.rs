//! `payload/{vp8,vp9,h264,av1,opus}/{pack,unpack}`: one frame in each iteration, 10,000 bytes of video
//! in payloads of up to 1,100, or 20 ms of audio. Packing ends with the payloads in memory of their
//! own, as packets would have them; unpacking ends with the frame.

use std::hint::black_box;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use peerloom_rtp::Limits;
use peerloom_rtp::payload::{
    Av1Depacketizer, Av1Packetizer, Depacketizer, H264Depacketizer, H264Packetizer, Packetizer,
    PayloadParts, Vp8Depacketizer, Vp8FrameInfo, Vp8Packetizer, Vp9Depacketizer, Vp9FrameInfo,
    Vp9Packetizer, WholeFrame,
};
use webrtc_rtp::codecs::{av1, h264, opus, vp8, vp9};
use webrtc_rtp::packetizer::{self, Payloader};

pub(crate) fn benches(criterion: &mut Criterion) {
    let limits = Limits::default();
    let video = content(FRAME);

    let mut group = crate::short(criterion, "payload/vp8");
    let (mut packetizer, info) = (Vp8Packetizer::new(Some(1)), Vp8FrameInfo::default());
    ours(&mut group, &mut packetizer, Vp8Depacketizer, &video, &info);
    let mut theirs = vp8::Vp8Payloader::default();
    webrtc(
        &mut group,
        &mut theirs,
        Some(vp8::Vp8Packet::default()),
        &video,
    );
    group.finish();

    let mut group = crate::short(criterion, "payload/vp9");
    let info = Vp9FrameInfo {
        ends_picture: true,
        ..Vp9FrameInfo::default()
    };
    let mut packetizer = Vp9Packetizer::new(1);
    ours(&mut group, &mut packetizer, Vp9Depacketizer, &video, &info);
    let mut theirs = vp9::Vp9Payloader::default();
    webrtc(
        &mut group,
        &mut theirs,
        Some(vp9::Vp9Packet::default()),
        &video,
    );
    group.finish();

    let mut group = crate::short(criterion, "payload/h264");
    let mut unit = vec![0, 0, 0, 1, 0x41];
    unit.extend(&video);
    let mut packetizer = H264Packetizer::new(&limits);
    let depacketizer = H264Depacketizer::new(&limits);
    ours(&mut group, &mut packetizer, depacketizer, &unit, &());
    let mut theirs = h264::H264Payloader::default();
    webrtc(
        &mut group,
        &mut theirs,
        Some(h264::H264Packet::default()),
        &unit,
    );
    group.finish();

    let mut group = crate::short(criterion, "payload/av1");
    // A frame OBU with a size of two bytes.
    let mut unit = vec![6 << 3 | 2, 0x80 | (FRAME & 0x7f) as u8, (FRAME >> 7) as u8];
    unit.extend(&video);
    ours(
        &mut group,
        &mut Av1Packetizer,
        Av1Depacketizer::new(),
        &unit,
        &(),
    );
    let mut theirs = av1::Av1Payloader::default();
    // It has no depacketizer.
    webrtc::<_, vp8::Vp8Packet>(&mut group, &mut theirs, None, &unit);
    group.finish();

    let mut group = crate::short(criterion, "payload/opus");
    let audio = content(160);
    ours(&mut group, &mut WholeFrame, WholeFrame, &audio, &false);
    webrtc(
        &mut group,
        &mut opus::OpusPayloader,
        Some(opus::OpusPacket),
        &audio,
    );
    group.finish();
}

fn ours<P: Packetizer, D: Depacketizer>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    packetizer: &mut P,
    mut depacketizer: D,
    frame: &[u8],
    info: &P::FrameInfo,
) {
    let mut payloads = Vec::new();
    let mut keep = |payload: PayloadParts<'_>| {
        let mut joined = Vec::new();
        payload.append_to(&mut joined);
        payloads.push(joined);
    };
    packetizer
        .packetize(frame, info, MAX_PAYLOAD, &mut keep)
        .expect("a frame of the format");
    group.bench_function(BenchmarkId::new("pack", "peerloom"), |b| {
        let mut packet = Vec::with_capacity(MAX_PAYLOAD);
        b.iter(|| {
            let mut write = |payload: PayloadParts<'_>| {
                packet.clear();
                payload.append_to(&mut packet);
                black_box(&packet);
            };
            packetizer.packetize(black_box(frame), info, MAX_PAYLOAD, &mut write)
        });
    });
    group.bench_function(BenchmarkId::new("unpack", "peerloom"), |b| {
        let mut frame = Vec::with_capacity(2 * FRAME);
        b.iter(|| {
            frame.clear();
            depacketizer.begin();
            for payload in &payloads {
                depacketizer.inspect(black_box(payload))?;
                depacketizer.append(payload, &mut frame)?;
            }
            depacketizer.finish(&mut frame)
        });
    });
}

fn webrtc<P: Payloader, D: packetizer::Depacketizer>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    payloader: &mut P,
    depacketizer: Option<D>,
    frame: &[u8],
) {
    let frame = Bytes::copy_from_slice(frame);
    let payloads = payloader
        .payload(MAX_PAYLOAD, &frame)
        .expect("a frame of the format");
    group.bench_function(BenchmarkId::new("pack", "webrtc-rtp"), |b| {
        b.iter(|| payloader.payload(MAX_PAYLOAD, black_box(&frame)));
    });
    let Some(mut depacketizer) = depacketizer else {
        return;
    };
    group.bench_function(BenchmarkId::new("unpack", "webrtc-rtp"), |b| {
        let mut frame = Vec::with_capacity(2 * FRAME);
        b.iter(|| {
            frame.clear();
            for payload in &payloads {
                frame.extend_from_slice(&depacketizer.depacketize(black_box(payload))?);
            }
            Ok::<_, webrtc_rtp::Error>(frame.len())
        });
    });
}

/// Bytes that are not all alike and contain no start code.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31) | 1).collect()
}

const FRAME: usize = 10_000;
const MAX_PAYLOAD: usize = 1_100;
