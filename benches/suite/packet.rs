//! `rtp_parse`, `rtp_marshal`: one packet of 1,200 bytes in each iteration, as a browser sends video:
//! plain, with three elements of the one-byte form, and with one of them read.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use peerloom_rtp::extension::{ExtensionKind, ExtensionMap, TransportSequence};
use peerloom_rtp::{RtpHeader, RtpPacket, RtpWriter, SequenceNumber, Ssrc, Timestamp};
use webrtc_rtp::packet::Packet;
use webrtc_util::marshal::{Marshal, Unmarshal};

pub(crate) fn benches(criterion: &mut Criterion) {
    let (plain, elements) = (packet(&[]), packet(&ELEMENTS));
    let mut map = ExtensionMap::default();
    map.insert(5, ExtensionKind::TransportSequence)
        .expect("5 is an id of the one-byte form");

    let mut group = crate::short(criterion, "rtp_parse");
    for (name, bytes) in [("plain", &plain), ("elements", &elements)] {
        group.bench_function(BenchmarkId::new(name, "peerloom"), |b| {
            b.iter(|| RtpPacket::parse(black_box(bytes)).map(|packet| packet.payload().len()));
        });
        group.bench_function(BenchmarkId::new(name, "webrtc-rtp"), |b| {
            let bytes = bytes::Bytes::from(bytes.clone());
            b.iter(|| Packet::unmarshal(&mut black_box(bytes.clone())));
        });
    }
    group.bench_function(BenchmarkId::new("read_element", "peerloom"), |b| {
        b.iter(|| {
            let packet = RtpPacket::parse(black_box(&elements)).ok()?;
            packet.extension::<TransportSequence>(&map)
        });
    });
    group.bench_function(BenchmarkId::new("read_element", "webrtc-rtp"), |b| {
        let bytes = bytes::Bytes::from(elements.clone());
        b.iter(|| {
            let packet = Packet::unmarshal(&mut black_box(bytes.clone())).ok()?;
            packet.header.get_extension(5)
        });
    });
    group.finish();

    let mut group = crate::short(criterion, "rtp_marshal");
    for (name, with) in [("plain", &[][..]), ("elements", &ELEMENTS)] {
        group.bench_function(BenchmarkId::new(name, "peerloom"), |b| {
            let mut buffer = [0; 1500];
            let payload = [7; PAYLOAD];
            b.iter(|| write(black_box(&mut buffer), with, black_box(&payload)));
        });
        group.bench_function(BenchmarkId::new(name, "webrtc-rtp"), |b| {
            let mut bytes = bytes::Bytes::from(packet(with));
            let packet = Packet::unmarshal(&mut bytes).expect("a packet of ours");
            let mut buffer = [0; 1500];
            b.iter(|| black_box(&packet).marshal_to(&mut buffer));
        });
    }
    group.finish();
}

fn packet(elements: &[(u8, &[u8])]) -> Vec<u8> {
    let mut buffer = [0; 1500];
    let len = write(&mut buffer, elements, &[7; PAYLOAD]);
    buffer[..len].to_vec()
}

fn write(buffer: &mut [u8], elements: &[(u8, &[u8])], payload: &[u8]) -> usize {
    let header = RtpHeader {
        payload_type: 96,
        sequence: SequenceNumber(1),
        timestamp: Timestamp(90_000),
        ssrc: Ssrc(1),
        ..RtpHeader::default()
    };
    let mut writer = RtpWriter::new(buffer, &header).expect("the buffer is long enough");
    for (id, data) in elements {
        let written = writer.element(*id, data);
        written.expect("the buffer is long enough");
    }
    writer.payload(payload).expect("the buffer is long enough")
}

/// mid, abs-send-time and the transport-wide number.
const ELEMENTS: [(u8, &[u8]); 3] = [(1, b"0"), (3, &[1, 2, 3]), (5, &[0, 9])];
const PAYLOAD: usize = 1_172;
