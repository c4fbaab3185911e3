//! Shared by the tests: keys, packets, and the pcap reader.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test uses its part of it"
)]

use peerloom_srtp::{MasterKey, Profile, TAILROOM};

/// Bytes from hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// A master key and salt, made of different bytes.
pub(crate) fn key_and_salt(profile: Profile) -> (Vec<u8>, Vec<u8>) {
    let key = (0..profile.key_len() as u8)
        .map(|at| at.wrapping_mul(37))
        .collect();
    let salt = (0..profile.salt_len() as u8).map(|at| at ^ 0xa5).collect();
    (key, salt)
}

pub(crate) fn master(profile: Profile) -> MasterKey {
    let (key, salt) = key_and_salt(profile);
    MasterKey::new(profile, &key, &salt).expect("lengths of the profile")
}

/// An RTP packet with two CSRCs and a one-byte extension.
pub(crate) fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x92, 0xe0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(u32::from(sequence).wrapping_mul(90).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0, 0, 0, 7, 0, 0, 0, 8]);
    packet.extend([0xbe, 0xde, 0, 1, 0x10, 0x99, 0, 0]);
    packet.extend(payload);
    packet
}

/// A receiver report with one block.
pub(crate) fn rtcp(ssrc: u32, seed: u8) -> Vec<u8> {
    let mut packet = vec![0x81, 201, 0, 7];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([seed; 24]);
    packet
}

pub(crate) fn with_tailroom(packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + TAILROOM, 0xee);
    buffer
}

/// UDP payloads of a capture with Ethernet framing and IPv4: source port and payload.
pub(crate) fn pcap(file: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let word = |at: usize| {
        let bytes = file[at..].first_chunk().expect("a whole word");
        u32::from_le_bytes(*bytes) as usize
    };
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1));
    let (mut at, mut datagrams) = (24, Vec::new());
    while at < file.len() {
        let frame = &file[at + 16..at + 16 + word(at + 8)];
        at += 16 + frame.len();
        let udp = &frame[14 + 4 * usize::from(frame[14] & 0x0f)..];
        let len = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
        datagrams.push((u16::from_be_bytes([udp[0], udp[1]]), udp[8..len].to_vec()));
    }
    datagrams
}
