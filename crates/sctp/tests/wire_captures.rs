//! What browsers really send: every packet is understood, and re-encoded to the same bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;

use peerloom_sctp::wire::{Chunk, HEADER_LEN, Packet, Param};

const CHROMIUM: &[u8] = include_bytes!("data/chromium-156-sctp-plain.pcap");
const FIREFOX_I_DATA: &[u8] = include_bytes!("data/firefox-153-idata-sctp-plain.pcap");
const CHROMIUM_I_DATA: &[u8] = include_bytes!("data/chromium-156-idata-sctp-plain.pcap");
const USRSCTP: &[u8] = include_bytes!("data/firefox-153-usrsctp-sctp-plain.pcap");

/// The packets of a pcap file in little-endian order.
fn packets(mut pcap: &[u8]) -> Vec<&[u8]> {
    let u32_at =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((u32_at(pcap, 0), u32_at(pcap, 20)), (0xa1b2_c3d4, 248));
    pcap = &pcap[24..];
    let mut packets = Vec::new();
    while !pcap.is_empty() {
        let (header, rest) = pcap.split_at(16);
        let (packet, rest) = rest.split_at(u32_at(header, 8) as usize);
        packets.push(packet);
        pcap = rest;
    }
    packets
}

fn name(chunk: &Chunk<'_>) -> &'static str {
    match chunk {
        Chunk::Data(_) => "DATA",
        Chunk::Init(_) => "INIT",
        Chunk::InitAck(_) => "INIT-ACK",
        Chunk::Sack(_) => "SACK",
        Chunk::Heartbeat(_) => "HEARTBEAT",
        Chunk::HeartbeatAck(_) => "HEARTBEAT-ACK",
        Chunk::Abort(_) => "ABORT",
        Chunk::Shutdown(_) => "SHUTDOWN",
        Chunk::ShutdownAck => "SHUTDOWN-ACK",
        Chunk::Error(_) => "ERROR",
        Chunk::CookieEcho(_) => "COOKIE-ECHO",
        Chunk::CookieAck => "COOKIE-ACK",
        Chunk::ShutdownComplete(_) => "SHUTDOWN-COMPLETE",
        Chunk::Reconfig(_) => "RE-CONFIG",
        Chunk::Pad(_) => "PAD",
        Chunk::ForwardTsn(_) => "FORWARD-TSN",
        Chunk::IData(_) => "I-DATA",
        Chunk::IForwardTsn(_) => "I-FORWARD-TSN",
        Chunk::Unknown(_) => "unknown",
    }
}

/// Decodes and re-encodes all of a capture, and counts its chunks.
fn check(capture: &[u8]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for (index, bytes) in packets(capture).into_iter().enumerate() {
        let packet = Packet::decode(bytes).unwrap_or_else(|e| panic!("packet {index}: {e}"));
        assert_eq!(packet.len, bytes.len());
        for chunk in &packet.chunks {
            *counts.entry(name(chunk)).or_default() += 1;
        }
        let mut encoded = vec![0xaa; packet.encoded_len()];
        assert_eq!(
            packet.encode(&mut encoded),
            bytes.len(),
            "packet {index}: {packet:?}"
        );
        assert_eq!(encoded, bytes, "packet {index}: {packet:?}");
    }
    counts
}

#[test]
fn chromium() {
    let expected = [
        ("ABORT", 1),
        ("COOKIE-ACK", 2),
        ("COOKIE-ECHO", 2),
        ("DATA", 155),
        ("INIT", 2),
        ("INIT-ACK", 2),
        ("RE-CONFIG", 8),
        ("SACK", 127),
    ];
    assert_eq!(check(CHROMIUM), BTreeMap::from(expected));
}

#[test]
fn firefox_with_usrsctp() {
    let expected = [
        ("ABORT", 1),
        ("COOKIE-ACK", 2),
        ("COOKIE-ECHO", 2),
        ("DATA", 140),
        ("INIT", 2),
        ("INIT-ACK", 2),
        ("RE-CONFIG", 11),
        ("SACK", 122),
    ];
    assert_eq!(check(USRSCTP), BTreeMap::from(expected));
}

#[test]
fn interleaved_by_firefox() {
    let expected = [
        ("ABORT", 1),
        ("COOKIE-ACK", 2),
        ("COOKIE-ECHO", 2),
        ("I-DATA", 335),
        ("I-FORWARD-TSN", 43),
        ("INIT", 2),
        ("INIT-ACK", 2),
        ("RE-CONFIG", 15),
        ("SACK", 259),
    ];
    assert_eq!(check(FIREFOX_I_DATA), BTreeMap::from(expected));
}

#[test]
fn interleaved_by_chromium_and_firefox() {
    let expected = [
        ("ABORT", 1),
        ("COOKIE-ACK", 2),
        ("COOKIE-ECHO", 2),
        ("I-DATA", 330),
        ("I-FORWARD-TSN", 34),
        ("INIT", 2),
        ("INIT-ACK", 2),
        ("RE-CONFIG", 12),
        ("SACK", 249),
    ];
    assert_eq!(check(CHROMIUM_I_DATA), BTreeMap::from(expected));
}

/// What Chromium offers decides what we may use: partial reliability and stream reset.
#[test]
fn the_init_of_chromium() {
    let packets = packets(CHROMIUM);
    let inits: Vec<_> = packets
        .iter()
        .filter_map(
            |bytes| match Packet::decode(bytes).unwrap().chunks.into_iter().next() {
                Some(Chunk::Init(init)) => Some(init.into_owned()),
                _ => None,
            },
        )
        .collect();
    let init = inits.iter().find(|init| init.a_rwnd == 5 << 20).unwrap();
    assert!(init.supports_forward_tsn() && init.supports(130) && !init.supports(64));
    assert_eq!(
        (init.outbound_streams, init.inbound_streams),
        (65_535, 65_535)
    );
    assert!(init.params.contains(&Param::ForwardTsnSupported));
}

/// A packet cut short anywhere is refused or, at the end of a chunk, shorter; nothing panics. The
/// checksum is made right, so that the cut itself is judged.
#[test]
fn every_packet_cut_anywhere() {
    let captures = [CHROMIUM, USRSCTP, FIREFOX_I_DATA];
    for bytes in captures.into_iter().flat_map(packets) {
        let whole = Packet::decode(bytes).unwrap();
        // Long payloads have nothing more to tell.
        let step = if bytes.len() > 300 { 7 } else { 1 };
        for len in (0..bytes.len()).step_by(step) {
            let mut cut = bytes[..len].to_vec();
            if len >= HEADER_LEN {
                cut[8..12].fill(0);
                let crc = crc32c::crc32c(&cut);
                cut[8..12].copy_from_slice(&crc.to_le_bytes());
            }
            if let Ok(packet) = Packet::decode(&cut) {
                assert!(
                    packet
                        .chunks
                        .iter()
                        .zip(&whole.chunks)
                        .all(|(cut, whole)| cut == whole)
                );
            }
        }
    }
}
