//! Offer and answer as a state machine: what is agreed, what is refused, and what a refusal leaves.

use peerloom::jsep::{
    Applied, CandidateUse, Limits, LocalParameters, Negotiation, NegotiationError, Operation,
    Source,
};
use peerloom::sdp::{Attribute, Description, Setup};
use peerloom::{IceCandidate, Rejection, SdpType, SessionDescription, SignalingState};
use peerloom_dtls::{Fingerprint, HashAlgorithm, Role};
use peerloom_ice::Credentials;

/// One end: its negotiation and its ICE credentials, which a restart changes.
struct Side {
    negotiation: Negotiation,
    name: char,
    generation: u32,
}

impl Side {
    fn new(name: char) -> Self {
        Self::with(name, |_| {})
    }

    fn with(name: char, change: impl FnOnce(&mut LocalParameters)) -> Self {
        let certificate = name.to_string();
        let fingerprint = Fingerprint::of(certificate.as_bytes(), HashAlgorithm::Sha256);
        let mut local = LocalParameters::new(vec![fingerprint]);
        change(&mut local);
        Self {
            negotiation: Negotiation::new(local, name.into()),
            name,
            generation: 0,
        }
    }

    fn credentials(&self) -> Credentials {
        let text = format!("{}{:03}", self.name, self.generation);
        Credentials::new(&text, &text.repeat(6)).unwrap()
    }

    fn restart(&mut self) {
        self.generation += 1;
    }

    fn offer(&mut self) -> SessionDescription {
        let offer = self.negotiation.create_offer(&self.credentials()).unwrap();
        let _ = self.negotiation.set_local(&offer).unwrap();
        offer
    }

    /// Sets the offer and answers it.
    fn answer(&mut self, offer: &SessionDescription) -> (SessionDescription, Applied) {
        let _ = self.negotiation.set_remote(offer).unwrap();
        if self.negotiation.needs_new_credentials() {
            self.restart();
        }
        let answer = self.negotiation.create_answer(&self.credentials()).unwrap();
        let applied = self.negotiation.set_local(&answer).unwrap();
        (answer, applied)
    }

    fn state(&self) -> SignalingState {
        self.negotiation.signaling_state()
    }

    /// The call fails, and nothing has changed.
    fn refuses(&mut self, description: &SessionDescription) -> NegotiationError {
        let before = format!("{:?}", self.negotiation);
        let error = self.negotiation.set_remote(description).unwrap_err();
        assert_eq!(
            format!("{:?}", self.negotiation),
            before,
            "changed by {error}"
        );
        error
    }
}

fn exchange(offerer: &mut Side, answerer: &mut Side) -> (Applied, Applied) {
    let offer = offerer.offer();
    let (answer, there) = answerer.answer(&offer);
    let here = offerer.negotiation.set_remote(&answer).unwrap();
    (here, there)
}

fn connected() -> (Side, Side) {
    let (mut a, mut b) = (Side::new('a'), Side::new('b'));
    a.negotiation.want_data();
    let _ = exchange(&mut a, &mut b);
    (a, b)
}

/// A data offer of somebody else, with these lines replaced.
fn edited(from: &str, to: &str) -> SessionDescription {
    let mut a = Side::new('a');
    a.negotiation.want_data();
    let offer = a.offer().sdp;
    assert!(offer.contains(from), "{from} not in {offer}");
    SessionDescription::offer(offer.replace(from, to))
}

fn answered(offer: &SessionDescription) -> Applied {
    Side::new('b').answer(offer).1
}

fn refused(offer: &SessionDescription) -> String {
    Side::new('b').refuses(offer).to_string()
}

const CHROMIUM: &str = include_str!("data/sdp/chromium-156.sdp");

mod agreement {
    use super::*;

    #[test]
    fn both_ends_agree() {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        a.negotiation.want_data();
        assert!(a.negotiation.needs_offer() && !b.negotiation.needs_offer());
        let (here, there) = exchange(&mut a, &mut b);
        let (here, there) = (here.transport.unwrap(), there.transport.unwrap());
        assert_eq!(
            (here.dtls_role, there.dtls_role),
            (Role::Server, Role::Client)
        );
        assert_eq!(here.ice_role, peerloom_ice::Role::Controlling);
        assert_eq!(there.ice_role, peerloom_ice::Role::Controlled);
        assert_eq!(here.local_credentials, there.remote_credentials);
        assert_eq!(there.local_credentials, here.remote_credentials);
        assert_eq!(
            here.fingerprints,
            [Fingerprint::of(b"b", HashAlgorithm::Sha256)]
        );
        assert_eq!(here.remote_max_message_size, Some(262_144));
        assert_eq!(
            (a.state(), b.state()),
            (SignalingState::Stable, SignalingState::Stable)
        );
        assert!(!a.negotiation.needs_offer());
    }

    #[test]
    fn the_answerer_may_prefer_to_be_server() {
        let mut a = Side::new('a');
        let mut b = Side::with('b', |local| local.preferred_role = Role::Server);
        a.negotiation.want_data();
        let (here, there) = exchange(&mut a, &mut b);
        assert_eq!(here.transport.unwrap().dtls_role, Role::Client);
        assert_eq!(there.transport.unwrap().dtls_role, Role::Server);
    }

    #[test]
    fn message_size_absent_zero_and_given() {
        let size = |to| {
            let offer = edited("a=max-message-size:262144\r\n", to);
            answered(&offer).transport.unwrap().remote_max_message_size
        };
        assert_eq!(
            size(""),
            Some(65_536),
            "RFC 8841: what an absent attribute means"
        );
        assert_eq!(size("a=max-message-size:0\r\n"), None, "unlimited");
        assert_eq!(size("a=max-message-size:1\r\n"), Some(1));
    }

    #[test]
    fn setup_is_decided_by_the_offer_where_it_decides() {
        let role = |setup: &str| {
            let offer = edited("a=setup:actpass\r\n", setup);
            answered(&offer).transport.unwrap().dtls_role
        };
        assert_eq!(role("a=setup:active\r\n"), Role::Server);
        assert_eq!(role("a=setup:passive\r\n"), Role::Client);
        assert_eq!(
            role(""),
            Role::Client,
            "an offer without it leaves it to us"
        );
        let error = refused(&edited("a=setup:actpass", "a=setup:holdconn"));
        assert!(
            error.contains("m-section 0") && error.contains("holdconn"),
            "{error}"
        );
    }

    #[test]
    fn setup_of_an_answer_must_decide() {
        for (setup, expected) in [
            ("a=setup:actpass\r\n", "actpass"),
            ("a=setup:holdconn\r\n", "holdconn"),
            ("", "a=setup is missing"),
        ] {
            let (mut a, mut b) = (Side::new('a'), Side::new('b'));
            a.negotiation.want_data();
            let (answer, _) = b.answer(&a.offer());
            let answer = answer.sdp.replace("a=setup:active\r\n", setup);
            let error = a.refuses(&SessionDescription::answer(answer)).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn several_fingerprints_and_unknown_hashes() {
        let md5 = format!("a=fingerprint:md5 {}", ["AB"; 16].join(":"));
        let strong = Fingerprint::of(b"a", HashAlgorithm::Sha512);
        let all = format!("{md5}\r\na=fingerprint:{strong}\r\na=fingerprint:sha-256");
        let fingerprints = answered(&edited("a=fingerprint:sha-256", &all))
            .transport
            .unwrap()
            .fingerprints;
        assert_eq!(
            fingerprints,
            [strong, Fingerprint::of(b"a", HashAlgorithm::Sha256)]
        );

        let error = refused(&edited("a=fingerprint:sha-256", "a=fingerprint:sha-1"));
        assert!(
            error.starts_with("m-section 0: a=fingerprint:sha-1: "),
            "{error}"
        );
    }

    #[test]
    fn what_the_transport_needs() {
        for attribute in ["ice-ufrag", "ice-pwd", "fingerprint"] {
            let offer = edited(&format!("a={attribute}:"), "a=nothing:");
            assert_eq!(
                refused(&offer),
                format!("m-section 0: a={attribute} is missing")
            );
        }
    }

    /// RFC 8839 §5.4, RFC 8122 §5: what a section does not say, the session says.
    #[test]
    fn attributes_of_the_session() {
        let offer = edited("x", "x").sdp;
        let (session, section) = offer.split_once("m=").unwrap();
        let is_transport = |line: &&str| {
            ["a=ice-", "a=fingerprint", "a=setup"]
                .iter()
                .any(|name| line.starts_with(name))
        };
        let moved: String = section.split_inclusive('\n').filter(is_transport).collect();
        let left: String = section
            .split_inclusive('\n')
            .filter(|line| !is_transport(line))
            .collect();
        let offer = SessionDescription::offer(format!("{session}a=ice-lite\r\n{moved}m={left}"));
        let transport = answered(&offer).transport.unwrap();
        assert_eq!(transport.remote_credentials.ufrag(), "a000");
        assert!(transport.remote_trickle && transport.remote_lite);
        assert_eq!(
            transport.ice_role,
            peerloom_ice::Role::Controlling,
            "a lite end never controls"
        );
    }

    /// draft-ietf-mmusic-sctp-sdp-20: the form before RFC 8841, answered in kind.
    #[test]
    fn the_old_data_section() {
        let offer = edited("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5001")
            .sdp
            .replace("a=sctp-port:5000", "a=sctpmap:5001 webrtc-datachannel 1024");
        let (answer, applied) = Side::new('b').answer(&SessionDescription::offer(offer));
        assert_eq!(applied.transport.unwrap().remote_sctp_port, 5001);
        assert!(
            answer.sdp.contains("m=application 9 DTLS/SCTP 5000\r\n"),
            "{}",
            answer.sdp
        );
        assert!(
            answer
                .sdp
                .contains("a=sctpmap:5000 webrtc-datachannel 65535\r\n")
        );
        assert!(!answer.sdp.contains("a=sctp-port"));

        let error = refused(&edited("a=sctp-port:5000", "a=sctp-port:0"));
        assert_eq!(error, "m-section 0: the SCTP port cannot be 0");
    }

    #[test]
    fn nothing_to_negotiate_is_an_exchange_too() {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        let (here, there) = exchange(&mut a, &mut b);
        assert_eq!((here.transport, there.transport), (None, None));
        assert!(!here.data_rejected && !there.data_rejected);
        assert!(
            a.negotiation
                .local_description(&[], true)
                .unwrap()
                .sdp
                .ends_with("t=0 0\r\n")
        );
    }
}

mod bundle {
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
}

mod answers {
    use super::*;

    fn refused_answer(change: impl FnOnce(String) -> String) -> String {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        a.negotiation.want_data();
        let (answer, _) = b.answer(&a.offer());
        a.refuses(&SessionDescription::answer(change(answer.sdp)))
            .to_string()
    }

    #[test]
    fn must_have_the_sections_of_the_offer() {
        assert_eq!(
            refused_answer(|sdp| sdp
                .replace("a=mid:0", "a=mid:1")
                .replace("BUNDLE 0", "BUNDLE 1")),
            "m-section 0: mid changed from \"0\" to \"1\""
        );
        assert_eq!(
            refused_answer(|sdp| sdp.replace("m=application", "m=audio")),
            "m-section 0: media changed from \"application\" to \"audio\""
        );
        assert_eq!(
            refused_answer(|sdp| sdp + "m=audio 9 RTP/AVP 0\r\n"),
            "the answer has 2 m-sections, expected 1"
        );
        let error = refused_answer(|sdp| sdp.replace("m=application 9", "m=application 0"));
        assert!(
            error.starts_with("BUNDLE group: answered in a group though rejected"),
            "{error}"
        );
    }

    #[test]
    fn may_reject_the_data_section() {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        a.negotiation.want_data();
        let (answer, _) = b.answer(&a.offer());
        let answer = answer.sdp.replace("m=application 9", "m=application 0");
        let answer = SessionDescription::answer(answer.replace("a=group:BUNDLE 0\r\n", ""));
        let applied = a.negotiation.set_remote(&answer).unwrap();
        assert!(applied.data_rejected);
        assert_eq!(applied.transport, None);
        assert!(
            !a.negotiation.needs_offer(),
            "it was refused; nobody asked again"
        );

        // Asked again, the m-line is used again, under a new name.
        a.negotiation.want_data();
        assert!(a.negotiation.needs_offer());
        let offer = Description::parse(&a.offer().sdp).unwrap();
        assert_eq!(offer.media.len(), 1);
        assert_eq!(offer.media[0].mid().unwrap(), "1");
    }

    #[test]
    fn must_leave_rejected_sections_alone() {
        let mut b = Side::new('b');
        let _ = b.answer(&SessionDescription::offer(CHROMIUM));
        let offer = b.offer();
        let parsed = Description::parse(&offer.sdp).unwrap();
        assert_eq!(parsed.media.len(), 3);
        assert_eq!(
            parsed
                .media
                .iter()
                .map(|media| media.port)
                .collect::<Vec<_>>(),
            [0, 0, 9]
        );
        let answer = offer.sdp.replace("m=audio 0", "m=audio 9");
        let error = b.refuses(&SessionDescription::answer(answer)).to_string();
        assert_eq!(
            error,
            "m-section 0: answered with port 9, but the offer has port 0"
        );
    }
}

mod again {
    use super::*;

    /// RFC 8842 §5.3: re-offers say actpass, and the roles stay, whoever offers.
    #[test]
    fn roles_survive_re_offers_from_either_side() {
        let (mut a, mut b) = connected();
        for round in 0..4 {
            let (here, there) = if round % 2 == 0 {
                let (there, here) = exchange(&mut b, &mut a);
                (here, there)
            } else {
                exchange(&mut a, &mut b)
            };
            let (here, there) = (here.transport.unwrap(), there.transport.unwrap());
            assert_eq!(
                (here.dtls_role, there.dtls_role),
                (Role::Server, Role::Client)
            );
            assert_eq!(here.ice_role, peerloom_ice::Role::Controlling);
            assert_eq!((here.generation, here.ice_restart), (0, false));
        }
    }

    /// RFC 9429 §5.2: the session id stays, the version grows by one with every change and only then.
    #[test]
    fn versions() {
        let origin = |description: &SessionDescription| {
            let origin = Description::parse(&description.sdp).unwrap().origin;
            (origin.session_id, origin.version)
        };
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        a.negotiation.want_data();
        let first = a.negotiation.create_offer(&a.credentials()).unwrap();
        let same = a.negotiation.create_offer(&a.credentials()).unwrap();
        assert_eq!(first, same);
        let _ = exchange(&mut a, &mut b);
        let unchanged = a.negotiation.create_offer(&a.credentials()).unwrap();
        assert_eq!(first, unchanged);
        a.restart();
        let restarted = a.negotiation.create_offer(&a.credentials()).unwrap();
        assert_eq!(origin(&restarted), (origin(&first).0, origin(&first).1 + 1));
    }

    #[test]
    fn ice_restart_by_either_side() {
        let (mut a, mut b) = connected();
        a.restart();
        let offer = a.negotiation.create_offer(&a.credentials()).unwrap();
        let gather = a.negotiation.set_local(&offer).unwrap().gather.unwrap();
        assert!(gather.restart && gather.credentials == a.credentials());

        let _ = b.negotiation.set_remote(&offer).unwrap();
        assert!(b.negotiation.needs_new_credentials());
        let error = b.negotiation.create_answer(&b.credentials()).unwrap_err();
        assert!(
            error.to_string().contains("must bring new ICE credentials"),
            "{error}"
        );
        b.restart();
        let answer = b.negotiation.create_answer(&b.credentials()).unwrap();
        let there = b.negotiation.set_local(&answer).unwrap();
        assert!(there.gather.unwrap().restart);
        let there = there.transport.unwrap();
        let here = a
            .negotiation
            .set_remote(&answer)
            .unwrap()
            .transport
            .unwrap();
        assert_eq!((here.generation, there.generation), (1, 1));
        assert!(here.ice_restart && there.ice_restart);
        assert_eq!(here.dtls_role, Role::Server);
        assert_eq!(here.remote_credentials, b.credentials());

        b.restart();
        let (there, here) = exchange(&mut b, &mut a);
        assert_eq!(there.transport.unwrap().generation, 2);
        let here = here.transport.unwrap();
        assert_eq!(
            (here.generation, here.ice_role),
            (2, peerloom_ice::Role::Controlling)
        );
    }

    #[test]
    fn what_only_a_restart_may_change() {
        let (mut a, mut b) = connected();
        let offer = a.offer().sdp;
        let error = |b: &mut Side, from: &str, to: &str| {
            assert!(offer.contains(from), "{from} not in {offer}");
            b.refuses(&SessionDescription::offer(offer.replace(from, to)))
                .to_string()
        };
        assert_eq!(
            error(&mut b, "a=ice-ufrag:a000", "a=ice-ufrag:a001"),
            "m-section 0: ice-ufrag changed without the other: not an ICE restart"
        );
        assert_eq!(
            error(&mut b, "a=ice-pwd:a000", "a=ice-pwd:a001"),
            "m-section 0: ice-pwd changed without the other: not an ICE restart"
        );
        let stranger = Fingerprint::of(b"x", HashAlgorithm::Sha256).to_string();
        let ours = Fingerprint::of(b"a", HashAlgorithm::Sha256).to_string();
        assert_eq!(
            error(&mut b, &ours, &stranger),
            "m-section 0: the fingerprints changed in a running DTLS association"
        );
        // a is the server.
        let role = error(&mut b, "a=setup:actpass", "a=setup:active");
        assert!(role.contains("running association"), "{role}");
        assert_eq!(
            error(&mut b, "a=sctp-port:5000", "a=sctp-port:5001"),
            "m-section 0: the SCTP port cannot be 5001"
        );
        // A definite setup that says what is.
        let passive = offer.replace("a=setup:actpass", "a=setup:passive");
        assert!(
            b.negotiation
                .set_remote(&SessionDescription::offer(passive))
                .is_ok()
        );
    }

    #[test]
    fn an_answer_cannot_restart_or_change_roles() {
        let (mut a, mut b) = connected();
        let offer = a.offer();
        let (answer, _) = b.answer(&offer);
        let restarted = answer.sdp.replace("b000", "b001");
        assert_eq!(
            a.refuses(&SessionDescription::answer(restarted))
                .to_string(),
            "m-section 0: the answer restarts ICE, which only an offer can"
        );
        let turned = answer.sdp.replace("a=setup:active", "a=setup:passive");
        let error = a.refuses(&SessionDescription::answer(turned));
        assert!(
            matches!(error, NegotiationError::Setup { index: 0, .. }),
            "{error}"
        );
        assert!(a.negotiation.set_remote(&answer).is_ok());

        let _ = b.negotiation.set_remote(&a.offer()).unwrap();
        b.restart();
        let error = b.negotiation.create_answer(&b.credentials()).unwrap_err();
        assert!(
            error.to_string().contains("must keep the ICE credentials"),
            "{error}"
        );
    }

    /// Data added to a session that had none: in the place of a rejected m-line, under a new name.
    #[test]
    fn data_is_added_later_and_m_lines_are_recycled() {
        let audio = include_str!("data/sdp/chromium-156-audio-red.sdp");
        let mut b = Side::new('b');
        let (answer, applied) = b.answer(&SessionDescription::offer(audio));
        assert!(applied.transport.is_none() && !applied.data_rejected);
        assert!(answer.sdp.contains("m=audio 0 "));
        assert!(!answer.sdp.contains("BUNDLE"));

        b.negotiation.want_data();
        assert!(b.negotiation.needs_offer());
        let offer = Description::parse(&b.offer().sdp).unwrap();
        assert_eq!(offer.media.len(), 1);
        assert!(offer.media[0].is_data());
        assert_eq!(offer.media[0].mid().unwrap(), "1", "0 was audio's");
    }

    /// The other side recycles an m-line that we rejected, for something of another kind.
    #[test]
    fn the_other_side_recycles() {
        let mut b = Side::new('b');
        let _ = b.answer(&SessionDescription::offer(CHROMIUM));
        let recycled = CHROMIUM
            .replace("BUNDLE 0 1 2", "BUNDLE 2 v")
            .replace("a=mid:0", "a=mid:v")
            .replace("m=audio 9", "m=video 9")
            .replace(
                "m=video 9 UDP/TLS/RTP/SAVPF 96 ",
                "m=video 0 UDP/TLS/RTP/SAVPF 96 ",
            );
        let (answer, applied) = b.answer(&SessionDescription::offer(recycled.clone()));
        assert!(applied.transport.is_some());
        let answer = Description::parse(&answer.sdp).unwrap();
        assert_eq!(answer.media[0].mid().unwrap(), "v");
        assert_eq!(b.negotiation.transceivers()[0].mid.as_deref(), Some("v"));

        // In use, or under its old name, an m-line stays what it is.
        let error = b.refuses(&SessionDescription::offer(
            recycled
                .replace("a=mid:2", "a=mid:3")
                .replace("BUNDLE 2 v", "BUNDLE 3 v"),
        ));
        assert_eq!(
            error.to_string(),
            "m-section 2: mid changed from \"2\" to \"3\""
        );
        let error = b.refuses(&SessionDescription::offer(recycled.replacen(
            "m=video 9",
            "m=audio 9",
            1,
        )));
        assert_eq!(
            error.to_string(),
            "m-section 0: media changed from \"video\" to \"audio\""
        );
        let two = recycled
            .split("m=application")
            .next()
            .unwrap()
            .replace("BUNDLE 2 v", "BUNDLE v");
        let error = b.refuses(&SessionDescription::offer(two));
        assert_eq!(error.to_string(), "the offer has 2 m-sections, expected 3");
    }

    #[test]
    fn the_other_side_ends_data() {
        let (mut a, mut b) = connected();
        let offer = a.offer().sdp.replace("m=application 9", "m=application 0");
        let offer = SessionDescription::offer(offer.replace("a=group:BUNDLE 0\r\n", ""));
        let (answer, applied) = b.answer(&offer);
        assert!(applied.data_rejected && applied.transport.is_none());
        assert!(answer.sdp.contains("m=application 0 "));
        assert_eq!(b.negotiation.transport(), None);
    }

    #[test]
    fn an_offer_has_a_limit_of_sections() {
        let limits = Limits {
            sdp: peerloom::sdp::Limits {
                sections: 0,
                ..Default::default()
            },
            ..Default::default()
        };
        let local = LocalParameters::new(vec![Fingerprint::of(b"a", HashAlgorithm::Sha256)]);
        let mut full = Negotiation::with_limits(local, limits, 1);
        full.want_data();
        let error = full
            .create_offer(&Side::new('a').credentials())
            .unwrap_err();
        assert_eq!(error, NegotiationError::Full { max: 0 });
    }
}

mod undo {
    use super::*;

    #[test]
    fn rollback_of_a_local_offer() {
        let mut a = Side::new('a');
        a.negotiation.want_data();
        let _ = a.offer();
        let applied = a
            .negotiation
            .set_local(&SessionDescription::rollback())
            .unwrap();
        assert!(applied.rolled_back);
        assert_eq!(applied.signaling, Some(SignalingState::Stable));
        assert!(a.negotiation.needs_offer(), "the wish stays");
        assert_eq!(a.negotiation.local_description(&[], false), None);

        // A restart that is taken back goes on with what was.
        let (mut a, _) = connected();
        a.restart();
        let _ = a.offer();
        let applied = a
            .negotiation
            .set_local(&SessionDescription::rollback())
            .unwrap();
        a.generation = 0;
        assert_eq!(applied.gather.unwrap().credentials, a.credentials());
        let current = a.negotiation.local_description(&[], false).unwrap();
        assert!(current.sdp.contains("a=ice-ufrag:a000"));
    }

    #[test]
    fn rollback_of_a_remote_offer_restores_transceivers() {
        let mut b = Side::new('b');
        let _ = b.answer(&SessionDescription::offer(include_str!(
            "data/sdp/firefox-153.sdp"
        )));
        let before = b.negotiation.transceivers().to_vec();
        let pending = include_str!("data/sdp/firefox-153.sdp")
            .replace("a=mid:0", "a=mid:new")
            .replace("BUNDLE 0", "BUNDLE new");
        let applied = b
            .negotiation
            .set_remote(&SessionDescription::offer(pending))
            .unwrap();
        assert!(applied.transceivers_changed);
        assert_ne!(b.negotiation.transceivers(), before);
        let applied = b
            .negotiation
            .set_remote(&SessionDescription::rollback())
            .unwrap();
        assert!(applied.transceivers_changed && applied.rolled_back);
        assert_eq!(b.negotiation.transceivers(), before);
        assert!(b.negotiation.transport().is_some());
    }

    /// W3C WebRTC §4.4.1.5: the polite side's offer is taken back by the offer that it meets.
    #[test]
    fn glare_is_ended_by_an_implicit_rollback() {
        let (mut polite, mut impolite) = (Side::new('a'), Side::new('b'));
        polite.negotiation.want_data();
        impolite.negotiation.want_data();
        let _lost = polite.offer();
        let offer = impolite.offer();
        let applied = polite.negotiation.set_remote(&offer).unwrap();
        assert!(applied.rolled_back);
        assert_eq!(applied.signaling, Some(SignalingState::HaveRemoteOffer));
        let answer = polite
            .negotiation
            .create_answer(&polite.credentials())
            .unwrap();
        let here = polite
            .negotiation
            .set_local(&answer)
            .unwrap()
            .transport
            .unwrap();
        let there = impolite
            .negotiation
            .set_remote(&answer)
            .unwrap()
            .transport
            .unwrap();
        assert_eq!(here.dtls_role, there.dtls_role.peer());
        assert!(!polite.negotiation.needs_offer());
        // Rolled back again, it is the state before both.
        let refused = impolite.refuses(&SessionDescription::rollback());
        assert!(matches!(refused, NegotiationError::WrongState { .. }));
    }

    /// An offer that cannot be taken must not cost the one that is pending.
    #[test]
    fn a_bad_offer_does_not_roll_back() {
        let mut a = Side::new('a');
        a.negotiation.want_data();
        let _ = a.offer();
        let _ = a.refuses(&edited("a=setup:actpass", "a=setup:holdconn"));
        assert_eq!(a.state(), SignalingState::HaveLocalOffer);
    }

    #[test]
    fn provisional_answers() {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        a.negotiation.want_data();
        let _ = b.negotiation.set_remote(&a.offer()).unwrap();
        let answer = b.negotiation.create_answer(&b.credentials()).unwrap();
        let provisional = SessionDescription::pranswer(answer.sdp.clone());
        let applied = b.negotiation.set_local(&provisional).unwrap();
        assert_eq!(applied.signaling, Some(SignalingState::HaveLocalPranswer));
        assert!(
            applied.transport.is_some(),
            "a provisional answer starts the transport"
        );
        let applied = a.negotiation.set_remote(&provisional).unwrap();
        assert_eq!(applied.signaling, Some(SignalingState::HaveRemotePranswer));
        assert!(applied.transport.is_some());
        assert!(
            a.negotiation
                .set_local(&SessionDescription::rollback())
                .is_err()
        );

        let applied = b.negotiation.set_local(&answer).unwrap();
        assert_eq!(applied.transport.unwrap().generation, 0);
        let applied = a.negotiation.set_remote(&answer).unwrap();
        assert!(!applied.transport.unwrap().ice_restart);
        assert_eq!(
            (a.state(), b.state()),
            (SignalingState::Stable, SignalingState::Stable)
        );
    }
}

mod local {
    use super::*;

    #[test]
    fn only_what_was_created_can_be_set() {
        let mut a = Side::new('a');
        a.negotiation.want_data();
        let offer = a.negotiation.create_offer(&a.credentials()).unwrap();
        let modified = SessionDescription::offer(offer.sdp.replace("actpass", "active"));
        let error = a.negotiation.set_local(&modified).unwrap_err();
        assert_eq!(
            error,
            NegotiationError::Modified {
                kind: SdpType::Offer
            }
        );
        let error = a
            .negotiation
            .set_local(&SessionDescription::offer("v=1"))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "offer: line 1: the version must be 0: \"1\""
        );

        // Candidates may have come in meanwhile, and nothing at all stands for the last one.
        let trickled = offer.sdp.clone() + "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n";
        assert!(
            a.negotiation
                .set_local(&SessionDescription::offer(trickled))
                .is_ok()
        );
        assert!(
            a.negotiation
                .set_local(&SessionDescription::offer(""))
                .is_ok()
        );

        let error = Side::new('b').negotiation.set_local(&offer).unwrap_err();
        assert_eq!(
            error,
            NegotiationError::Modified {
                kind: SdpType::Offer
            }
        );
    }

    /// What was created before the other side's offer came is not an answer to anything.
    #[test]
    fn a_stale_offer_cannot_be_set() {
        let (mut a, mut b) = connected();
        let stale = a.negotiation.create_offer(&a.credentials()).unwrap();
        let _ = exchange(&mut b, &mut a);
        let error = a.negotiation.set_local(&stale).unwrap_err();
        assert_eq!(
            error,
            NegotiationError::Modified {
                kind: SdpType::Offer
            }
        );
    }

    #[test]
    fn implied_descriptions() {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        a.negotiation.want_data();
        let offer = a.negotiation.create_implied(&a.credentials()).unwrap();
        assert_eq!(offer.kind, SdpType::Offer);
        let _ = b.negotiation.set_remote(&offer).unwrap();
        assert_eq!(b.negotiation.implied_kind(), SdpType::Answer);
        let answer = b.negotiation.create_implied(&b.credentials()).unwrap();
        assert_eq!(answer.kind, SdpType::Answer);
    }

    #[test]
    fn wrong_states_say_which_and_what() {
        let mut a = Side::new('a');
        let error = a.negotiation.create_answer(&a.credentials()).unwrap_err();
        assert_eq!(error.to_string(), "cannot create an answer in state stable");
        let answer = SessionDescription::answer("");
        let error = a.refuses(&answer);
        let operation = Operation::Set(Source::Remote, SdpType::Answer);
        let state = SignalingState::Stable;
        assert_eq!(error, NegotiationError::WrongState { state, operation });
        assert_eq!(
            error.to_string(),
            "cannot set a remote answer in state stable"
        );
        let error = a.negotiation.set_local(&answer).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot set a local answer in state stable"
        );
        a.negotiation.close();
        let error = a.negotiation.create_offer(&a.credentials()).unwrap_err();
        assert_eq!(error.to_string(), "cannot create an offer in state closed");
    }

    /// RFC 8839 §4.2.1.2, and what browsers show in `localDescription`.
    #[test]
    fn candidates_in_the_local_description() {
        let mut a = Side::new('a');
        a.negotiation.want_data();
        let _ = a.offer();
        let candidate = |text: &str| IceCandidate {
            candidate: format!("candidate:{text}"),
            username_fragment: Some("a000".into()),
            ..IceCandidate::default()
        };
        let none = a.negotiation.local_description(&[], false).unwrap().sdp;
        assert!(none.contains("m=application 9 ") && !none.contains("candidate"));
        let mut stale = candidate("9 1 udp 1 203.0.113.9 9999 typ relay raddr 0.0.0.0 rport 9");
        stale.username_fragment = Some("old0".into());
        let host = candidate("1 1 udp 2122260223 192.0.2.1 5001 typ host");
        let reflexive =
            candidate("2 1 udp 1686052607 203.0.113.1 5002 typ srflx raddr 192.0.2.1 rport 5001");
        let six = candidate("3 1 udp 2122262783 2001:db8::1 5003 typ host");
        let all = [stale, six, host, reflexive];
        let text = a.negotiation.local_description(&all, true).unwrap().sdp;
        assert!(text.contains("m=application 5002 "), "{text}");
        assert!(
            text.contains("c=IN IP4 203.0.113.1\r\na=candidate:3 "),
            "{text}"
        );
        assert_eq!(text.matches("a=candidate:").count(), 3);
        assert!(text.contains("a=end-of-candidates\r\n"));
        let parsed = Description::parse(&text).unwrap();
        assert!(parsed.media[0].has(&Attribute::Setup(Setup::ActPass)));
    }

    #[test]
    fn local_candidates_name_their_section() {
        let mut b = Side::new('b');
        assert_eq!(b.negotiation.local_end_of_candidates(), None);
        let _ = b.answer(&SessionDescription::offer(CHROMIUM));
        let candidate: peerloom_ice::Candidate =
            "candidate:1 1 udp 2122260223 192.0.2.1 5001 typ host"
                .parse()
                .unwrap();
        let json =
            serde_json::to_value(b.negotiation.local_candidate(&candidate).unwrap()).unwrap();
        assert_eq!(json["sdpMid"], "2");
        assert_eq!(json["sdpMLineIndex"], 2);
        assert_eq!(json["usernameFragment"], "b000");
        assert_eq!(
            json["candidate"],
            "candidate:1 1 udp 2122260223 192.0.2.1 5001 typ host"
        );
        assert!(
            b.negotiation
                .local_end_of_candidates()
                .unwrap()
                .is_end_of_candidates()
        );
    }
}

mod candidates {
    use super::*;

    const HOST: &str = "candidate:1 1 udp 2122260223 192.0.2.1 5001 typ host";

    fn candidate(mid: &str) -> IceCandidate {
        IceCandidate {
            candidate: HOST.into(),
            sdp_mid: Some(mid.into()),
            ..IceCandidate::default()
        }
    }

    #[test]
    fn are_held_until_the_answer() {
        let mut b = Side::new('b');
        // Before anything: the signalling may overtake the offer.
        let early = IceCandidate {
            username_fragment: Some("Ff6p".into()),
            ..candidate("2")
        };
        assert_eq!(b.negotiation.add_candidate(&early), Ok(CandidateUse::Held));
        let _ = b
            .negotiation
            .set_remote(&SessionDescription::offer(CHROMIUM))
            .unwrap();
        assert_eq!(
            b.negotiation.add_candidate(&candidate("2")),
            Ok(CandidateUse::Held)
        );
        let end = IceCandidate {
            candidate: String::new(),
            ..candidate("2")
        };
        assert_eq!(b.negotiation.add_candidate(&end), Ok(CandidateUse::Held));
        let answer = b.negotiation.create_answer(&b.credentials()).unwrap();
        let applied = b.negotiation.set_local(&answer).unwrap();
        assert_eq!(applied.candidates, [early, candidate("2")]);
        assert!(applied.end_of_candidates);
        assert_eq!(
            b.negotiation.add_candidate(&candidate("2")),
            Ok(CandidateUse::Now)
        );
        assert_eq!(b.negotiation.add_candidate(&end), Ok(CandidateUse::Now));
    }

    #[test]
    fn overtake_the_answer() {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        a.negotiation.want_data();
        let (answer, _) = b.answer(&a.offer());
        let early = IceCandidate {
            username_fragment: Some("b000".into()),
            ..candidate("0")
        };
        assert_eq!(a.negotiation.add_candidate(&early), Ok(CandidateUse::Held));
        let applied = a.negotiation.set_remote(&answer).unwrap();
        assert_eq!(applied.candidates, [early]);

        // The same in a restart, where there is an older generation.
        a.restart();
        let (answer, _) = b.answer(&a.offer());
        let early = IceCandidate {
            username_fragment: Some("b001".into()),
            ..candidate("0")
        };
        assert_eq!(a.negotiation.add_candidate(&early), Ok(CandidateUse::Held));
        let old = IceCandidate {
            username_fragment: Some("b000".into()),
            ..candidate("0")
        };
        assert_eq!(a.negotiation.add_candidate(&old), Ok(CandidateUse::Now));
        let applied = a.negotiation.set_remote(&answer).unwrap();
        assert_eq!(applied.candidates, [early]);
    }

    #[test]
    fn in_the_description_count_for_their_section() {
        let with = |sections: &[&str]| {
            let mut offer = CHROMIUM.to_owned();
            for mid in sections {
                let line = format!("a=mid:{mid}\r\n");
                offer = offer.replace(&line, &format!("{line}a={HOST} ufrag {mid}xxx\r\n"));
            }
            answered(&SessionDescription::offer(offer)).candidates
        };
        let mids = |candidates: Vec<IceCandidate>| -> Vec<_> {
            candidates
                .into_iter()
                .map(|candidate| candidate.sdp_mid.unwrap())
                .collect()
        };
        // A balanced offerer: each section has a port of its own, and the others' will close.
        assert_eq!(mids(with(&["0", "1", "2"])), ["2"]);
        // A max-bundle one: the tagged section has the one transport.
        assert_eq!(mids(with(&["0"])), ["0"]);
        let candidates = with(&["2"]);
        assert_eq!(candidates[0].sdp_m_line_index, Some(2));
        assert_eq!(candidates[0].username_fragment.as_deref(), Some("Ff6p"));
    }

    #[test]
    fn of_other_sections() {
        let mut b = Side::new('b');
        let _ = b.answer(&SessionDescription::offer(CHROMIUM));
        // Of the same group, and the data section has none of its own (yet).
        assert_eq!(
            b.negotiation.add_candidate(&candidate("0")),
            Ok(CandidateUse::Now)
        );
        let end = IceCandidate {
            candidate: String::new(),
            ..candidate("0")
        };
        assert_eq!(b.negotiation.add_candidate(&end), Ok(CandidateUse::Ignored));

        let mut b = Side::new('b');
        let apart = CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE 0 2");
        let _ = b.answer(&SessionDescription::offer(apart));
        assert_eq!(
            b.negotiation.add_candidate(&candidate("1")),
            Ok(CandidateUse::Ignored)
        );

        // Nothing is accepted: nothing is of use.
        let mut b = Side::new('b');
        let _ = b.answer(&SessionDescription::offer(include_str!(
            "data/sdp/chromium-156-recvonly.sdp"
        )));
        assert_eq!(
            b.negotiation.add_candidate(&candidate("0")),
            Ok(CandidateUse::Ignored)
        );
    }

    #[test]
    fn by_index_where_there_is_no_mid() {
        let (mut a, _) = connected();
        let mut one = candidate("0");
        one.sdp_mid = None;
        one.sdp_m_line_index = Some(0);
        assert_eq!(a.negotiation.add_candidate(&one), Ok(CandidateUse::Now));
        // The end of all sections names none.
        assert_eq!(
            a.negotiation.add_candidate(&IceCandidate::default()),
            Ok(CandidateUse::Now)
        );
    }

    #[test]
    fn that_fit_nowhere() {
        let (mut a, _) = connected();
        let mut error = |candidate: &IceCandidate| {
            let before = format!("{:?}", a.negotiation);
            let error = a
                .negotiation
                .add_candidate(candidate)
                .unwrap_err()
                .to_string();
            assert_eq!(format!("{:?}", a.negotiation), before);
            error
        };
        assert_eq!(
            error(&candidate("7")),
            "the candidate is for the m-section \"7\", which the description has not"
        );
        let index = IceCandidate {
            sdp_mid: None,
            sdp_m_line_index: Some(1),
            ..candidate("")
        };
        assert!(error(&index).contains("\"1\""));
        let nowhere = IceCandidate {
            sdp_mid: None,
            ..candidate("")
        };
        assert_eq!(
            error(&nowhere),
            "the candidate has neither sdpMid nor sdpMLineIndex"
        );
        let stale = IceCandidate {
            username_fragment: Some("zzzz".into()),
            ..candidate("0")
        };
        assert_eq!(
            error(&stale),
            "the candidate is of the ICE generation \"zzzz\", which is not described"
        );
        let inside = IceCandidate {
            candidate: format!("{HOST} ufrag yyyy"),
            ..candidate("0")
        };
        assert!(error(&inside).contains("\"yyyy\""));
        for text in ["candidate:1\r\na=setup:active", "candidate:\0"] {
            let injected = IceCandidate {
                candidate: text.into(),
                ..candidate("0")
            };
            assert!(error(&injected).starts_with("not a candidate: "));
        }
        let long = IceCandidate {
            candidate: "x".repeat(2000),
            ..candidate("0")
        };
        assert!(error(&long).len() < 120, "a long value is shortened");
        let long = IceCandidate {
            sdp_mid: Some("x".repeat(2000)),
            ..candidate("0")
        };
        assert!(error(&long).starts_with("not a candidate"));
    }

    /// Neither candidates that wait nor those in a description are a way to fill memory.
    #[test]
    fn are_bounded_and_counted() {
        let mut b = Side::new('b');
        for _ in 0..1000 {
            let _ = b.negotiation.add_candidate(&candidate("0")).unwrap();
        }
        assert_eq!(b.negotiation.dropped().candidates_over_limit, 744);
        let many = format!("a={HOST}\r\n").repeat(1000);
        let offer = edited("a=mid:0\r\n", &format!("a=mid:0\r\n{many}"));
        let (_, applied) = b.answer(&offer);
        assert_eq!(applied.candidates.len(), 256 + 256);
        assert_eq!(b.negotiation.dropped().candidates_over_limit, 744 + 744);

        // Held for an offer that is taken back.
        let (mut a, mut b) = connected();
        a.restart();
        let _ = b.negotiation.set_remote(&a.offer()).unwrap();
        assert_eq!(
            b.negotiation.add_candidate(&candidate("0")),
            Ok(CandidateUse::Held)
        );
        let _ = b
            .negotiation
            .set_remote(&SessionDescription::rollback())
            .unwrap();
        assert_eq!(b.negotiation.dropped().candidates_unclaimed, 1);
    }
}
