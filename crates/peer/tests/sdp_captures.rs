//! Offers and answers as Chromium 156 and Firefox ESR 153 wrote them.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::fs;
use std::path::Path;

use peerloom::jsep::{LocalParameters, Negotiation};
use peerloom::sdp::{Attribute, Description, Direction, Formats, Media};
use peerloom::{SdpType, SessionDescription, SignalingState, TransceiverKind};
use peerloom_dtls::{Fingerprint, HashAlgorithm, Role};
use peerloom_ice::Credentials;

/// Name, text.
fn captures() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sdp");
    let mut captures: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    captures.sort();
    assert_eq!(captures.len(), 15);
    captures
}

fn capture(name: &str) -> String {
    let mut captures = captures().into_iter();
    captures.find(|(other, _)| other == name).unwrap().1
}

fn offers() -> Vec<(String, String)> {
    let mut captures = captures();
    captures.retain(|(name, _)| !name.contains("answer"));
    captures
}

fn negotiation() -> Negotiation {
    let fingerprint = Fingerprint::of(b"certificate", HashAlgorithm::Sha256);
    Negotiation::new(
        LocalParameters::new(vec![fingerprint]),
        0x7fff_ffff_ffff_ffff,
    )
}

fn credentials() -> Credentials {
    Credentials::new("ourufrag", "ourpasswordourpassword").unwrap()
}

fn has_data(description: &Description) -> bool {
    description.media.iter().any(Media::is_data)
}

/// What a browser wrote is its canonical form: nothing of it may change on the way through.
#[test]
fn every_capture_comes_out_byte_for_byte() {
    for (name, text) in captures() {
        let description =
            Description::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(description.to_string(), text, "{name}");
        assert_eq!(
            Description::parse(&description.to_string()).unwrap(),
            description,
            "{name}"
        );
    }
}

/// The typed model must know the attributes of today's browsers: one that falls through to `Other`
/// would be kept, but mean nothing.
#[test]
fn only_these_attributes_have_no_type() {
    let mut names: Vec<String> = Vec::new();
    for (_, text) in captures() {
        let description = Description::parse(&text).unwrap();
        let media = description.media.iter().flat_map(|media| &media.attributes);
        for attribute in description.attributes.iter().chain(media) {
            if let Attribute::Other { name, .. } = attribute {
                names.push(name.to_string());
            }
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names, ["msid-semantic", "rtcp", "rtcp-xr", "simulcast"]);
}

/// LF instead of CRLF, no line end at the end, and empty lines behind it: what editors, templates
/// and text fields make of a description.
#[test]
fn line_ends_may_be_lost_on_the_way() {
    for (name, text) in captures() {
        let description = Description::parse(&text).unwrap();
        for variant in [
            text.replace("\r\n", "\n"),
            text.trim_end().to_owned(),
            format!("{text}\r\n\r\n"),
            format!("{text}\n\n"),
        ] {
            assert_eq!(
                Description::parse(&variant).as_ref(),
                Ok(&description),
                "{name}"
            );
        }
    }
}

/// No prefix of a description may panic, and none may be taken for the whole.
#[test]
fn truncated_anywhere() {
    for name in ["chromium-156-data.sdp", "firefox-153-simulcast.sdp"] {
        let text = capture(name);
        let whole = Description::parse(&text).unwrap();
        // The last line may lose its end, nothing else.
        for len in 0..text.len() - 2 {
            assert_ne!(
                Description::parse(&text[..len]).as_ref(),
                Ok(&whole),
                "{name} at {len}"
            );
        }
    }
}

/// An answer must have the m-lines of its offer, in kind and order, port 0 for what it rejects, and
/// a BUNDLE group of what it accepts: this is what browsers check.
#[test]
fn every_offer_gets_the_answer_that_its_browser_accepts() {
    for (name, text) in offers() {
        let offer = Description::parse(&text).unwrap();
        let mut ours = negotiation();
        let applied = ours.set_remote(&SessionDescription::offer(&text)).unwrap();
        assert_eq!(applied.signaling, Some(SignalingState::HaveRemoteOffer));
        assert_eq!(applied.transport, None, "{name}: not before the answer");

        let answer = ours.create_answer(&credentials()).unwrap();
        assert_eq!(answer.kind, SdpType::Answer);
        let parsed = Description::parse(&answer.sdp).unwrap();
        assert_eq!(parsed.to_string(), answer.sdp);
        assert_eq!(parsed.media.len(), offer.media.len(), "{name}");
        for (theirs, ours) in offer.media.iter().zip(&parsed.media) {
            assert_eq!(ours.kind, theirs.kind);
            assert_eq!(ours.protocol, theirs.protocol);
            assert_eq!(ours.formats, theirs.formats);
            assert_eq!(ours.mid(), theirs.mid());
            if theirs.is_data() {
                assert_eq!(ours.port, 9);
                assert!(ours.has(&Attribute::Setup(peerloom::sdp::Setup::Active)));
                assert!(ours.has(&Attribute::SctpPort(5000)));
                assert!(ours.has(&Attribute::MaxMessageSize(262_144)));
            } else {
                assert_eq!(ours.port, 0);
                assert_eq!(ours.direction(), Direction::Inactive);
                let transport =
                    |one: &Attribute| one.ice_ufrag().is_some() || one.setup().is_some();
                assert!(!ours.attributes.iter().any(transport), "{name}");
            }
        }
        // RFC 9143 §7.3: the rejected sections left the group, and the tag moved on.
        let data = offer.media.iter().filter(|media| media.is_data());
        let expected: Vec<_> = data.map(|media| media.mid().unwrap().clone()).collect();
        let groups: Vec<_> = parsed.bundles().collect();
        if has_data(&offer) {
            assert_eq!(groups.len(), 1, "{name}");
            assert_eq!(*groups[0].mids, *expected, "{name}");
        } else {
            assert!(groups.is_empty(), "{name}");
        }

        let applied = ours.set_local(&answer).unwrap();
        assert_eq!(applied.signaling, Some(SignalingState::Stable));
        assert_eq!(applied.transport.is_some(), has_data(&offer), "{name}");
        assert_eq!(ours.transport().is_some(), has_data(&offer), "{name}");
        assert!(
            ours.transceivers()
                .iter()
                .all(|transceiver| transceiver.stopped)
        );
    }
}

/// Chromium writes the transport into every section, Firefox its fingerprint into the session.
#[test]
fn the_transport_of_the_data_section_is_found() {
    for (name, ufrag, pwd, digest_end, max) in [
        (
            "chromium-156.sdp",
            "Ff6p",
            "C3r5eSLoTQVksWJInxrRcfdd",
            "40:91",
            262_144,
        ),
        (
            "firefox-153.sdp",
            "4e5ca6a9",
            "13d1d5bde632547b83831bf705c6a540",
            "64:53",
            1_073_741_823,
        ),
    ] {
        let mut ours = negotiation();
        let _ = ours
            .set_remote(&SessionDescription::offer(capture(name)))
            .unwrap();
        let answer = ours.create_answer(&credentials()).unwrap();
        let applied = ours.set_local(&answer).unwrap();
        assert_eq!(applied.gather.unwrap().credentials, credentials());
        let transport = applied.transport.unwrap();
        assert_eq!(
            transport.remote_credentials,
            Credentials::new(ufrag, pwd).unwrap()
        );
        assert!(transport.fingerprints[0].to_string().ends_with(digest_end));
        assert_eq!(transport.remote_max_message_size, Some(max));
        assert_eq!(transport.remote_sctp_port, 5000);
        assert_eq!(transport.dtls_role, Role::Client);
        assert_eq!(transport.ice_role, peerloom_ice::Role::Controlled);
        assert!(transport.remote_trickle && !transport.remote_lite && !transport.ice_restart);
    }
}

/// Audio and video are kept with what was offered.
#[test]
fn transceivers_of_a_browser() {
    let mut ours = negotiation();
    let _ = ours
        .set_remote(&SessionDescription::offer(capture("chromium-156.sdp")))
        .unwrap();
    let [audio, video] = ours.transceivers() else {
        panic!("{:?}", ours.transceivers())
    };
    assert_eq!(
        (audio.m_line_index, audio.kind),
        (0, TransceiverKind::Audio)
    );
    assert_eq!(
        (video.m_line_index, video.kind),
        (1, TransceiverKind::Video)
    );
    assert_eq!(audio.mid.as_deref(), Some("0"));
    assert_eq!(audio.direction, Direction::Sendrecv);
    assert!(!audio.stopped);
    let opus = &audio.codecs[0];
    assert_eq!(
        (opus.payload_type, &*opus.name, opus.clock_rate),
        (111, "opus", 48_000)
    );
    assert_eq!(opus.channels, Some(2));
    assert_eq!(
        opus.parameters.as_deref(),
        Some("minptime=10;useinbandfec=1")
    );
    assert_eq!(opus.feedback, ["transport-cc"]);
    assert_eq!(video.codecs.len(), 23);

    let mut ours = negotiation();
    let recvonly = capture("firefox-153-recvonly.sdp");
    let _ = ours
        .set_remote(&SessionDescription::offer(recvonly))
        .unwrap();
    let sendonly = |one: &peerloom::Transceiver| one.direction == Direction::Sendonly;
    assert!(ours.transceivers().iter().all(sendonly), "seen from here");
}

/// A browser's answer to the browser's offer, with us in the offerer's place, as far as it goes:
/// it uses sections that an offer of ours never has.
#[test]
fn an_answer_that_uses_what_was_not_offered() {
    let mut ours = negotiation();
    ours.want_data();
    let offer = ours.create_offer(&credentials()).unwrap();
    let _ = ours.set_local(&offer).unwrap();
    for name in ["chromium-156-avd-answer.sdp", "firefox-153-avd-answer.sdp"] {
        let error = ours
            .set_remote(&SessionDescription::answer(capture(name)))
            .unwrap_err();
        assert_eq!(error.to_string(), "the answer has 3 m-sections, expected 1");
        assert_eq!(ours.signaling_state(), SignalingState::HaveLocalOffer);
    }
    // The data-only captures are offers; with their roles decided they are as good as answers.
    for name in ["chromium-156-data.sdp", "firefox-153-data.sdp"] {
        let mut ours = negotiation();
        ours.want_data();
        let offer = ours.create_offer(&credentials()).unwrap();
        let _ = ours.set_local(&offer).unwrap();
        let answer = capture(name).replace("setup:actpass", "setup:active");
        let applied = ours
            .set_remote(&SessionDescription::answer(answer))
            .unwrap();
        let transport = applied.transport.unwrap();
        assert_eq!(transport.dtls_role, Role::Server);
        assert_eq!(transport.ice_role, peerloom_ice::Role::Controlling);
    }
}

/// Our offer has the lines of Chromium's, in its order.
#[test]
fn our_offer_looks_like_a_browsers() {
    let mut ours = negotiation();
    ours.want_data();
    let offer = ours.create_offer(&credentials()).unwrap();
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| {
            // About RTP, which we do not offer.
            !line.starts_with("a=extmap-allow-mixed") && !line.starts_with("a=msid-semantic")
        });
        lines
            .map(|line| line.split([':', ' ']).next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&offer.sdp), names(&capture("chromium-156-data.sdp")));
    let parsed = Description::parse(&offer.sdp).unwrap();
    assert_eq!(parsed.origin.session_id, 0x3fff_ffff_ffff_ffff);
    assert!(parsed.media[0].is_data());
    assert!(
        matches!(&parsed.media[0].formats, Formats::Other(text) if *text == "webrtc-datachannel")
    );
}
