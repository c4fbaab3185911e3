//! What real browsers send is read completely and written again byte by byte.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use peerloom_rtp::rtcp::{Compound, RtcpPacket, RtcpWriter};
use peerloom_rtp::{Limits, RtpHeader, RtpPacket, RtpWriter, Ssrc, is_rtcp};

/// Writes a packet from its parts, with its elements one by one where their layout is the usual
/// one, and says whether that was so.
fn rewrite(packet: &RtpPacket<'_>, buffer: &mut [u8], elementwise: bool) -> usize {
    let csrcs: Vec<Ssrc> = packet.csrcs().collect();
    let header = RtpHeader {
        csrcs: &csrcs,
        ..packet.header()
    };
    let mut writer = RtpWriter::new(buffer, &header).unwrap();
    let mut body = match packet.raw_extension() {
        Some((profile, data)) if !elementwise => writer.raw_extension(profile, data).unwrap(),
        _ => {
            for (id, data) in packet.elements() {
                writer.element(id, data).unwrap();
            }
            writer.body().unwrap()
        }
    };
    body.payload(packet.payload()).unwrap();
    body.padding(packet.padding_len()).unwrap()
}

/// Every RTP packet of both browsers and aiortc: from raw extensions and from elements.
#[test]
fn rtp_comes_back() {
    for capture in CAPTURES {
        let mut types = BTreeMap::new();
        for datagram in datagrams(capture) {
            if is_rtcp(&datagram.payload) {
                continue;
            }
            let packet = RtpPacket::parse(&datagram.payload).unwrap();
            let mut buffer = [0xaa; 2000];
            for elementwise in [false, true] {
                let len = rewrite(&packet, &mut buffer, elementwise);
                assert_eq!(&buffer[..len], datagram.payload, "{capture}");
            }
            if datagram.from_browser {
                *types.entry(packet.payload_type()).or_insert(0) += 1;
            }
        }
        let expected: &[(u8, i32)] = if capture.starts_with("chromium") {
            &[(96, 79), (97, 18), (111, 188)]
        } else {
            &[(109, 184), (120, 57), (124, 13)]
        };
        assert_eq!(types.into_iter().collect::<Vec<_>>(), expected, "{capture}");
    }
}

/// Every RTCP packet of both browsers and aiortc, each of a kind that is known.
#[test]
fn rtcp_comes_back() {
    for capture in CAPTURES {
        let mut count = [0, 0];
        for datagram in datagrams(capture) {
            if !is_rtcp(&datagram.payload) {
                continue;
            }
            count[usize::from(datagram.from_browser)] += 1;
            let mut buffer = [0xaa; 2000];
            let mut writer = RtcpWriter::new(&mut buffer);
            let mut packets = Compound::new(&datagram.payload, &Limits::default());
            for packet in &mut packets {
                let packet = packet.unwrap();
                assert!(!matches!(packet, RtcpPacket::Unknown(_)), "{packet:?}");
                writer.packet(&packet).unwrap();
            }
            let len = writer.padding(packets.padding_len()).unwrap();
            assert_eq!(&buffer[..len], datagram.payload, "{capture}");
        }
        let expected = if capture.starts_with("chromium") {
            [15, 10]
        } else {
            [13, 20]
        };
        assert_eq!(count, expected, "{capture}");
    }
}

/// One UDP datagram of a capture.
#[derive(Debug, Clone)]
struct Datagram {
    /// Whether the browser sent it.
    from_browser: bool,
    /// UDP payload.
    payload: Vec<u8>,
}

/// All datagrams of `tests/data/<name>`.
fn datagrams(name: &str) -> Vec<Datagram> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let bytes = std::fs::read(path).unwrap();
    let le32 = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(
        (le32(0), le32(20)),
        (0xa1b2_c3d4, 101),
        "a little-endian LINKTYPE_RAW capture"
    );
    let mut at = 24;
    let mut found = Vec::new();
    while at < bytes.len() {
        let len = le32(at + 8) as usize;
        let packet = &bytes[at + 16..at + 16 + len];
        at += 16 + len;
        assert_eq!(
            (packet[0], packet[9]),
            (0x45, 17),
            "IPv4 without options, UDP"
        );
        found.push(Datagram {
            from_browser: packet[12..16] == [10, 0, 0, 1],
            payload: packet[28..].to_vec(),
        });
    }
    found
}

/// The two captures.
const CAPTURES: [&str; 2] = ["chromium-156-rtp-plain.pcap", "firefox-153-rtp-plain.pcap"];
