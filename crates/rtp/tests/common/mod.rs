//! Captures of browsers: pcap files with LINKTYPE_RAW, RTP on port 5004, RTCP on 5005.

use std::path::Path;

/// One UDP datagram of a capture.
#[derive(Debug, Clone)]
pub struct Datagram {
    /// Whether the browser sent it.
    #[allow(dead_code, reason = "not every test looks at directions")]
    pub from_browser: bool,
    /// UDP payload.
    pub payload: Vec<u8>,
}

/// All datagrams of `tests/data/<name>`.
pub fn datagrams(name: &str) -> Vec<Datagram> {
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
pub const CAPTURES: [&str; 2] = ["chromium-156-rtp-plain.pcap", "firefox-153-rtp-plain.pcap"];
