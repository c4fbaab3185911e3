use super::*;

/// Without the lines of the transport.
fn bare(section: &str) -> String {
    let kept = section.split_inclusive('\n').filter(|line| {
        !["a=ice-", "a=fingerprint", "a=setup"]
            .iter()
            .any(|name| line.starts_with(name))
    });
    kept.collect()
}

fn sections(offer: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = offer
        .match_indices("\r\nm=")
        .map(|(at, _)| at + 2)
        .collect();
    starts.insert(0, 0);
    starts.push(offer.len());
    starts
        .windows(2)
        .map(|pair| &offer[pair[0]..pair[1]])
        .collect()
}

/// RFC 9143 §7.1.3 and RFC 9429's max-bundle: only the tagged section has the transport, the
/// others are bundle-only with port 0. We reject the tagged one, and still use its transport.
#[test]
fn bundle_only_data_behind_rejected_audio() {
    let [session, audio, video, data] = sections(CHROMIUM)[..] else {
        panic!()
    };
    let only = |section: &str| bare(section).replacen(" 9 ", " 0 ", 1) + "a=bundle-only\r\n";
    let offer = format!("{session}{audio}{}{}", only(video), only(data));
    let (answer, applied) = Side::new('b').answer(&SessionDescription::offer(offer));
    assert_eq!(
        applied.transport.unwrap().remote_credentials.ufrag(),
        "Ff6p"
    );
    assert!(
        answer.sdp.contains("a=group:BUNDLE 2\r\n"),
        "{}",
        answer.sdp
    );
    assert!(answer.sdp.contains("m=application 9 UDP/DTLS/SCTP"));
}

/// A section with port 0 that is not in a group is rejected, whatever else it says.
#[test]
fn bundle_only_without_a_bundle() {
    let offer = edited("m=application 9", "m=application 0").sdp;
    let offer = offer.replace("a=group:BUNDLE 0\r\n", "") + "a=bundle-only\r\n";
    let (answer, applied) = Side::new('b').answer(&SessionDescription::offer(offer));
    assert_eq!(applied.transport, None);
    assert!(answer.sdp.contains("m=application 0 "));
}

/// In later offers only the tagged section repeats the transport.
#[test]
fn the_tagged_section_speaks_for_the_others() {
    let [session, audio, video, data] = sections(CHROMIUM)[..] else {
        panic!()
    };
    let session = session.replace("BUNDLE 0 1 2", "BUNDLE 1 2 0");
    let offer = format!("{session}{}{video}{}", bare(audio), bare(data));
    let applied = answered(&SessionDescription::offer(offer));
    assert_eq!(
        applied.transport.unwrap().remote_credentials.ufrag(),
        "Ff6p"
    );
    // Not the first section: it lacks the transport and has not the tag.
    let session = session.replace("BUNDLE 1 2 0", "BUNDLE 0 2 1");
    let offer = format!("{session}{}{video}{}", bare(audio), bare(data));
    let error = refused(&SessionDescription::offer(offer));
    assert_eq!(error, "m-section 2: a=ice-ufrag is missing");
}

/// Each rejected section says why.
#[test]
fn reasons_of_rejection() {
    let [session, audio, video, data] = sections(CHROMIUM)[..] else {
        panic!()
    };
    let mut b = Side::new('b');
    let mut reasons = |session: &str, audio: &str, video: &str| {
        let offer = SessionDescription::offer(format!("{session}{audio}{video}{data}"));
        let _ = b.negotiation.set_remote(&offer).unwrap();
        let transceivers = b.negotiation.transceivers().iter();
        transceivers
            .map(|transceiver| transceiver.rejection)
            .collect::<Vec<_>>()
    };
    use Rejection::{NoMedia, NoRtcpMux, NotBundled, Offered, Protocol};
    assert_eq!(reasons(session, audio, video), [NoMedia, NoMedia]);
    let no_mux = audio.replace("a=rtcp-mux\r\n", "");
    assert_eq!(reasons(session, &no_mux, video), [NoRtcpMux, NoMedia]);
    let group = session.replace("BUNDLE 0 1 2", "BUNDLE 0 2");
    assert_eq!(reasons(&group, audio, video), [NoMedia, NotBundled]);
    let udptl = video.replace("UDP/TLS/RTP/SAVPF", "udptl");
    assert_eq!(reasons(session, audio, &udptl), [NoMedia, Protocol]);
    let zero = audio.replacen(" 9 ", " 0 ", 1);
    assert_eq!(reasons(session, &zero, video), [Offered, NoMedia]);
}

/// No group, but one section that we accept: there is nothing to bundle.
#[test]
fn data_without_a_group_is_answered_without_one() {
    let offer = edited("a=group:BUNDLE 0\r\n", "");
    let (answer, applied) = Side::new('b').answer(&offer);
    assert!(applied.transport.is_some());
    assert!(!answer.sdp.contains("BUNDLE"));
}

/// Peers from before RFC 5888 name their sections by order.
#[test]
fn sections_without_mids() {
    let offer = edited("a=group:BUNDLE 0\r\n", "")
        .sdp
        .replace("a=mid:0\r\n", "");
    let (answer, applied) = Side::new('b').answer(&SessionDescription::offer(offer));
    assert!(applied.transport.is_some());
    assert!(!answer.sdp.contains("a=mid"));
}

#[test]
fn impossible_groups() {
    let error = |session: &str| refused(&edited("a=group:BUNDLE 0", session));
    assert_eq!(
        error("a=group:BUNDLE 0 1"),
        "BUNDLE group: there is no such m-section: \"1\""
    );
    assert_eq!(
        error("a=group:BUNDLE 0\r\na=group:BUNDLE 0"),
        "BUNDLE group: this m-section is named twice: \"0\""
    );
    let twice = CHROMIUM
        .replace("a=mid:1", "a=mid:0")
        .replace("BUNDLE 0 1 2", "BUNDLE 0 2");
    assert_eq!(
        refused(&SessionDescription::offer(twice)),
        "m-section 1: the mid \"0\" is taken by another"
    );
}

/// A second data section is not a second association.
#[test]
fn one_data_section_is_accepted() {
    let offer = edited("a=group:BUNDLE 0", "a=group:BUNDLE 0 x").sdp;
    let section = sections(&offer)[1].replace("a=mid:0", "a=mid:x");
    let (answer, applied) =
        Side::new('b').answer(&SessionDescription::offer(offer.clone() + &section));
    assert!(applied.transport.is_some());
    let answer = Description::parse(&answer.sdp).unwrap();
    assert_eq!((answer.media[0].port, answer.media[1].port), (9, 0));
    assert_eq!(answer.bundles().next().unwrap().mids.len(), 1);
}
