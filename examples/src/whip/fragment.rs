//! Candidates as a piece of SDP (RFC 8840 §9), the body of a `PATCH`.

use peerloom::{IceCandidate, SessionDescription};

/// Its media type.
pub(super) const TYPE: &str = "application/trickle-ice-sdpfrag";

/// The candidates in a fragment. Lines that are none of its business are passed over.
pub(super) fn read(text: &str) -> Vec<IceCandidate> {
    let mut ufrag = None;
    let mut mid = None;
    let mut candidates = Vec::new();
    for line in text.lines() {
        let mut candidate = |text: &str| {
            candidates.push(IceCandidate {
                candidate: text.to_owned(),
                sdp_mid: mid.clone(),
                sdp_m_line_index: None,
                username_fragment: ufrag.clone(),
            });
        };
        if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
            ufrag = Some(value.to_owned());
        } else if let Some(value) = line.strip_prefix("a=mid:") {
            mid = Some(value.to_owned());
        } else if line.starts_with("a=candidate:") {
            candidate(&line["a=".len()..]);
        } else if line == "a=end-of-candidates" {
            candidate("");
        }
    }
    candidates
}

/// A fragment with these candidates of the data section; an empty one is the end of them.
pub(super) fn write(local: &SessionDescription, candidates: &[IceCandidate]) -> String {
    let mut text = String::new();
    let mut add = |line: &str| {
        text += line;
        text += "\r\n";
    };
    // The generation, then the section: each line as the description has it.
    for name in ["a=ice-ufrag:", "a=ice-pwd:", "m=application ", "a=mid:"] {
        if let Some(line) = local.sdp.lines().find(|line| line.starts_with(name)) {
            add(line);
        }
    }
    for candidate in candidates {
        if candidate.is_end_of_candidates() {
            add("a=end-of-candidates");
        } else {
            add(&format!("a={}", candidate.candidate));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8840 §9: what is written reads the same, with section and generation.
    #[test]
    fn what_is_written_is_read() {
        let local = SessionDescription::offer(
            "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:abcd\r\na=ice-pwd:secret\r\na=mid:0\r\n",
        );
        let of = |text: &str| IceCandidate {
            candidate: text.to_owned(),
            sdp_mid: Some("0".into()),
            sdp_m_line_index: None,
            username_fragment: Some("abcd".into()),
        };
        let candidates = [of("candidate:1 1 udp 1 192.0.2.1 1 typ host"), of("")];
        let text = write(&local, &candidates);
        assert!(text.contains("a=ice-pwd:secret\r\n"), "{text}");
        assert_eq!(read(&text), candidates);
        assert_eq!(read("nonsense\na=x\n\n"), []);
    }
}
