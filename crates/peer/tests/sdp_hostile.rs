//! Descriptions that somebody made to hurt. Bounded by counting bytes and calls of the allocator:
//! time is proportional to them, since the parser looks at each byte a fixed number of times.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::fmt::Write as _;

use peerloom::SessionDescription;
use peerloom::jsep::{LocalParameters, Negotiation, NegotiationError};
use peerloom::sdp::{Description, ParseError, ParseErrorKind};
use peerloom_dtls::{Fingerprint, HashAlgorithm};
use peerloom_ice::Credentials;
use proptest::prelude::*;

const START: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

const CAPTURES: [&str; 4] = [
    include_str!("data/sdp/chromium-156-all-extensions.sdp"),
    include_str!("data/sdp/chromium-156.sdp"),
    include_str!("data/sdp/firefox-153-simulcast.sdp"),
    include_str!("data/sdp/firefox-153-data.sdp"),
];

fn error(text: &str) -> ParseError {
    Description::parse(text).unwrap_err()
}

/// Parses and returns the peak of the heap, in bytes.
fn heap(text: &str) -> u64 {
    allocation_counter::measure(|| drop(Description::parse(text))).bytes_max
}

fn negotiation() -> Negotiation {
    let fingerprint = Fingerprint::of(b"certificate", HashAlgorithm::Sha256);
    Negotiation::new(LocalParameters::new(vec![fingerprint]), 1)
}

/// Offer, answer, everything that reads the text: no panic, and a refusal changes nothing.
fn apply(text: &str) -> Result<(), NegotiationError> {
    let mut negotiation = negotiation();
    let before = format!("{negotiation:?}");
    let offer = SessionDescription::offer(text);
    if let Err(error) = negotiation.set_remote(&offer) {
        assert_eq!(format!("{negotiation:?}"), before);
        return Err(error);
    }
    let credentials = Credentials::new("ourufrag", "ourpasswordourpassword").unwrap();
    let answer = negotiation.create_answer(&credentials).unwrap();
    assert_eq!(
        Description::parse(&answer.sdp).unwrap().to_string(),
        answer.sdp
    );
    let _ = negotiation.set_local(&answer).unwrap();
    // The same again, from what is now in effect, and taken back.
    if negotiation.set_remote(&offer).is_ok() {
        let _ = negotiation
            .set_remote(&SessionDescription::rollback())
            .unwrap();
    }
    Ok(())
}

#[test]
fn ten_megabytes() {
    let text = format!("{START}a={}", "x".repeat(10 << 20));
    let counted = allocation_counter::measure(|| {
        let error = error(&text);
        let kind = ParseErrorKind::TooLong {
            len: text.len(),
            max: 256 * 1024,
        };
        assert_eq!((error.line, error.kind), (0, kind));
    });
    assert_eq!(counted.count_total, 0, "refused before it is looked at");
}

#[test]
fn a_hundred_thousand_lines() {
    let text = START.to_owned() + &"a=x\r\n".repeat(100_000);
    assert!(matches!(error(&text).kind, ParseErrorKind::TooLong { .. }));
    // As many as fit: the model stays a small multiple of the text.
    let text = START.to_owned() + &"a=x\n".repeat(65_000);
    assert!(Description::parse(&text).is_ok());
    assert!(heap(&text) <= 16 * text.len() as u64, "{}", heap(&text));
}

#[test]
fn ten_thousand_m_lines() {
    let text = START.to_owned() + &"m=a 0 b c\r\n".repeat(10_000);
    let refused = error(&text);
    assert_eq!(refused.kind, ParseErrorKind::TooManySections { max: 256 });
    assert_eq!(refused.line, 4 + 257);
    let counted = allocation_counter::measure(|| drop(Description::parse(&text)));
    assert!(
        counted.count_total < 256 * 4,
        "nothing behind the limit is built"
    );
}

#[test]
fn a_long_line() {
    let line = |len: usize| format!("{START}a=x:{}\r\n", "y".repeat(len - 4));
    assert!(Description::parse(&line(16 * 1024)).is_ok());
    let refused = error(&line(16 * 1024 + 1));
    let kind = ParseErrorKind::LineTooLong {
        len: 16 * 1024 + 1,
        max: 16 * 1024,
    };
    assert_eq!((refused.line, refused.kind), (5, kind));
    assert!(
        refused.to_string().len() < 160,
        "the error does not repeat the line"
    );
}

#[test]
fn payload_types_above_127() {
    for (line, value) in [
        ("m=audio 9 RTP/AVP 0 128", "audio 9 RTP/AVP 0 128"),
        ("m=audio 9 RTP/AVP 0\r\na=rtpmap:128 x/1", "rtpmap:128 x/1"),
        ("m=audio 9 RTP/AVP 0\r\na=fmtp:255 x", "fmtp:255 x"),
        (
            "m=audio 9 RTP/AVP 0\r\na=rtcp-fb:1000 nack",
            "rtcp-fb:1000 nack",
        ),
    ] {
        let refused = error(&format!("{START}{line}\r\n"));
        assert_eq!(refused.kind, ParseErrorKind::PayloadType);
        assert_eq!(&*refused.value, value);
        assert_eq!(refused.line, 4 + line.lines().count());
    }
    let refused = error(&format!("{START}m=audio 9 RTP/AVP 300\r\n"));
    assert_eq!(
        refused.to_string(),
        "line 5: not a payload type (0 to 127): \"audio 9 RTP/AVP 300\""
    );
}

/// A line end or NUL within a value never starts a line of its own, and never gets into the model.
#[test]
fn nul_and_line_ends_in_values() {
    for text in ["a=mid:0\0", "a=mid:0\ra=setup:active", "s=\0", "a=x:\0"] {
        let refused = error(&format!("{START}{text}\r\n"));
        assert_eq!(refused.kind, ParseErrorKind::ControlCharacter, "{text:?}");
        assert!(
            !refused.to_string().contains(['\0', '\r', '\n']),
            "escaped: {refused}"
        );
    }
    let refused = error(&format!("{START}m=audio 9 RTP/AVP 0\r\na=mid:a b\r\n"));
    assert_eq!(
        refused.to_string(),
        "line 6: not a value of a=mid: \"mid:a b\""
    );
}

#[test]
fn not_sdp_at_all() {
    for (text, message) in [
        ("", "line 1: the line v= is missing"),
        ("\r\n\r\n", "line 2: the line v= is missing"),
        ("v=1\r\n", "line 1: the version must be 0: \"1\""),
        ("v=0\r\no=- 1 2\r\n", "line 2: not an origin: \"- 1 2\""),
        (
            "v=0\r\no=- x 2 IN IP4 0\r\n",
            "line 2: not an origin: \"- x 2 IN IP4 0\"",
        ),
        ("v=0\r\ns=-\r\n", "line 2: the line o= is missing: \"-\""),
        (
            "v=0\r\no=- 1 2 IN IP4 0\r\ns=-\r\n",
            "line 3: the line t= is missing",
        ),
        (
            "{\"type\":\"offer\"}",
            "line 1: not of the form letter=value: \"{\\\"type\\\":\\\"offer\\\"}\"",
        ),
    ] {
        assert_eq!(error(text).to_string(), message);
    }
    let line = |line: &str| error(&format!("{START}{line}\r\nt=0 0\r\n")).to_string();
    assert_eq!(line("x=y"), "line 5: this line does not belong here: \"y\"");
    assert_eq!(
        line("m=audio 9 RTP/AVP 0"),
        "line 6: this line does not belong here: \"0 0\""
    );
    assert_eq!(line(""), "line 5: not of the form letter=value");
    for media in [
        "",
        "audio",
        "audio 9",
        "audio 9 RTP/AVP",
        "audio 9 RTP/AVP ",
        "audio 65536 x y",
        "a/b 9 x y",
        "audio 9/x x y",
    ] {
        assert_eq!(
            line(&format!("m={media}")).split(": ").nth(1),
            Some("not a media description")
        );
    }
}

/// Inputs whose model would be large in proportion, each of about 64 KiB.
#[test]
fn no_input_costs_more_than_sixteen_times_its_size() {
    let mut mids = String::from("a=group:BUNDLE");
    for i in 0..4000 {
        write!(mids, " {}", char::from(b'a' + (i % 26) as u8)).unwrap();
    }
    let media = "m=audio 9 RTP/AVP 0\n";
    for (name, text) in [
        ("attributes", START.to_owned() + &"a=x\n".repeat(16_000)),
        ("lines", START.to_owned() + &"b=\n".repeat(20_000)),
        ("m-lines", START.to_owned() + &"m=a 0 b c\n".repeat(256)),
        (
            "sections with an attribute",
            START.to_owned() + &"m=a 0 b c\na=x\n".repeat(256),
        ),
        ("groups", START.to_owned() + &format!("{mids}\n").repeat(8)),
        (
            "ssrc groups",
            format!("{START}{media}") + &format!("a=ssrc-group:F{}\n", " 1".repeat(4000)).repeat(8),
        ),
        (
            "options",
            START.to_owned() + &format!("a=ice-options:{}\n", "a ".repeat(4000)).repeat(8),
        ),
        (
            "payload types",
            START.to_owned() + &format!("m=a 0 RTP {}\n", "1 ".repeat(4000)).repeat(8),
        ),
        (
            "fingerprints",
            START.to_owned() + &"a=fingerprint:x 00\n".repeat(3400),
        ),
        (
            "rtpmaps",
            format!("{START}{media}") + &"a=rtpmap:1 x/1\n".repeat(4000),
        ),
    ] {
        assert!(text.len() <= 66_000, "{name}: {}", text.len());
        Description::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes = heap(&text);
        assert!(
            bytes <= 16 * text.len() as u64,
            "{name}: {bytes} for {}",
            text.len()
        );
    }
}

/// The negotiation, too, works in proportion: each of 256 sections and every one of its codecs is
/// looked at a fixed number of times.
#[test]
fn a_full_offer_is_negotiated_in_proportion() {
    let offer = |sections: usize| {
        let mut text = START.to_owned();
        for i in 0..sections {
            write!(
                text,
                "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98\r\na=mid:{i}\r\na=rtcp-mux\r\n"
            )
            .unwrap();
            text += "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:* nack\r\n";
        }
        text
    };
    let cost = |text: &str| allocation_counter::measure(|| apply(text).unwrap()).bytes_total;
    let (some, all) = (cost(&offer(64)), cost(&offer(256)));
    assert!(all < 5 * some, "{some} for 64 sections, {all} for 256");
    assert!(matches!(
        apply(&offer(257)),
        Err(NegotiationError::Parse { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any text at all.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = apply(&text);
    }

    /// Lines that look like SDP: what is read comes out such that it reads the same.
    #[test]
    fn what_is_read_is_written_such_that_it_reads_the_same(
        lines in prop::collection::vec("[a-z]=[ -~]{0,40}|m=(audio|video|application) [0-9]{1,5} (RTP/AVP|UDP/DTLS/SCTP) [0-9a-z]{1,3}|a=(mid|setup|group|ice-ufrag|rtpmap|fmtp|rtcp-fb|extmap|msid|ssrc|ssrc-group|rid|sctp-port|sctpmap|max-message-size|fingerprint|ice-options|candidate)(:[ -~]{0,30})?", 0..20),
    ) {
        let text = START.to_owned() + &lines.join("\r\n");
        if let Ok(description) = Description::parse(&text) {
            let written = description.to_string();
            prop_assert_eq!(Description::parse(&written).unwrap(), description);
        }
        let _ = apply(&text);
    }

    /// A browser's offer with bytes of it changed, lines swapped, doubled and left out.
    #[test]
    fn damaged_captures(
        which in 0..CAPTURES.len(),
        bytes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..128), 0..6),
        lines in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3), 0..6),
    ) {
        let mut text = CAPTURES[which].as_bytes().to_vec();
        for (at, byte) in bytes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let text = String::from_utf8(text).unwrap();
        let mut list: Vec<&str> = text.split_inclusive('\n').collect();
        for (a, b, how) in lines {
            let (a, b) = (a.index(list.len()), b.index(list.len()));
            match how {
                0 => list.swap(a, b),
                1 => list.insert(a, list[b]),
                _ => { list.remove(a); }
            }
        }
        let text = list.concat();
        if let Ok(description) = Description::parse(&text) {
            prop_assert_eq!(Description::parse(&description.to_string()).unwrap(), description);
        }
        let _ = apply(&text);
    }
}
