//! Offers and answers: roles, media beside data, later additions, candidates that trickle.

use std::time::Duration;

use peerloom::{
    AnswerSetup, DataChannelOptions, DtlsRole, PeerConnection, SdpType, SessionDescription,
};
use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::pair::{ECHO, End, PATIENCE, Pair, serve_echo, within};

/// A browser that offers leaves the choice to us, and one that answers is always the client: both
/// our roles must work, against a ClientHello of two datagrams as against a small one, and each
/// must agree on a profile for media to come (RFC 5764).
pub(super) async fn both_dtls_roles(browser: &Browser) {
    for (from, setup, role) in [
        (End::Page, AnswerSetup::Active, DtlsRole::Client),
        (End::Page, AnswerSetup::Passive, DtlsRole::Server),
        (End::Native, AnswerSetup::Active, DtlsRole::Server),
    ] {
        let builder = PeerConnection::builder().answer_setup(setup);
        let pair = Pair::connect_with(browser, from, builder).await;
        let dtls = pair.stats().await.dtls;
        assert_eq!(dtls.role, Some(role), "{from:?} {setup:?}");
        assert!(dtls.established, "{from:?} {setup:?}");
        let profile = dtls.srtp_profile.expect("browsers offer some that we know");
        let version = pair
            .run(
                "const stats = await page.pc.getStats();
                 return [...stats.values()].find((it) => it.type === 'transport')?.tlsVersion;",
                Value::Null,
            )
            .await;
        println!("    {from:?} offers, native end is the {role:?}: {profile:?}, {version}");
        pair.close().await;
    }
}

/// Audio and video in any place of the page's offer are answered with port 0, and data works: the
/// BUNDLE tag moves on (RFC 9143 §7.3.3).
pub(super) async fn media_is_rejected_and_data_works(browser: &Browser) {
    for order in [
        &["audio", "video", "data"][..],
        &["data", "audio", "video"],
        &["audio", "data", "video", "video"],
    ] {
        let mut pair = Pair::new(browser, PeerConnection::builder()).await;
        for kind in order {
            match *kind {
                "data" => pair.create_in_page(ECHO, Value::Null).await,
                media => add_transceiver(&pair, media).await,
            }
        }
        let offer = pair.page_offer().await;
        let answer = peerloom_examples::signaling::answer(&pair.native, offer.clone())
            .await
            .unwrap();
        assert_eq!(
            sections(&answer),
            sections(&offer)
                .into_iter()
                .map(|(media, _)| (media.clone(), media != "application"))
                .collect::<Vec<_>>(),
            "{}",
            answer.sdp
        );
        let group = answer
            .sdp
            .lines()
            .find_map(|line| line.strip_prefix("a=group:BUNDLE "));
        assert_eq!(group.unwrap().split(' ').count(), 1, "{}", answer.sdp);
        assert_eq!(pair.native.transceivers().len(), order.len() - 1);
        pair.page_accepts(&answer).await;
        serve_echo(pair.channel(ECHO).await);
        pair.expect_echo("hello").await;
        pair.close().await;
    }
}

/// Offers after the first: media beside data that flows, and data where there was nothing.
pub(super) async fn data_and_media_are_added_later(browser: &Browser) {
    for from in End::BOTH {
        let pair = Pair::connect(browser, from).await;
        add_transceiver(&pair, "audio").await;
        pair.negotiate(End::Page).await;
        pair.expect_echo("audio was rejected").await;
        // The other end offers next, with the page's sections in their places.
        pair.negotiate(End::Native).await;
        pair.expect_echo("the native end offered").await;
        add_transceiver(&pair, "video").await;
        pair.negotiate(End::Page).await;
        pair.expect_echo("video was rejected").await;
        pair.close().await;
    }

    let mut pair = Pair::new(browser, PeerConnection::builder()).await;
    add_transceiver(&pair, "audio").await;
    pair.negotiate(End::Page).await;
    pair.create_in_page(ECHO, Value::Null).await;
    pair.negotiate(End::Page).await;
    serve_echo(pair.channel(ECHO).await);
    pair.expect_echo("data came after a rejected section").await;
    pair.close().await;
}

/// Descriptions go at once, candidates after them as they are found; the native end takes those
/// that come before the description that they belong to.
pub(super) async fn candidates_trickle(browser: &Browser) {
    for from in End::BOTH {
        let mut pair = Pair::new(browser, PeerConnection::builder()).await;
        let connection = pair.native.clone();
        let local = async |kind| {
            let description = SessionDescription {
                kind,
                sdp: String::new(),
            };
            connection.set_local_description(description).await.unwrap();
            connection.local_description().unwrap()
        };
        match from {
            End::Page => {
                pair.create_in_page(ECHO, Value::Null).await;
                let offer = pair.run("return page.describe(true)", Value::Null).await;
                // All of them, and their end, before the offer.
                pair.run("await page.gathered()", Value::Null).await;
                trickle(&pair).await;
                let offer = serde_json::from_value(offer).unwrap();
                connection.set_remote_description(offer).await.unwrap();
                let answer = local(SdpType::Answer).await;
                pair.page_accepts(&answer).await;
            }
            End::Native => {
                serve_echo(pair.create(ECHO, DataChannelOptions::default()));
                let offer = local(SdpType::Offer).await;
                let answer = pair.run("return page.answer(a, true)", json!(offer)).await;
                let answer = serde_json::from_value(answer).unwrap();
                connection.set_remote_description(answer).await.unwrap();
            }
        }
        within("a connection", async {
            while tokio::time::timeout(POLL, connection.connected())
                .await
                .is_err()
            {
                trickle(&pair).await;
            }
        })
        .await;
        if from == End::Page {
            serve_echo(pair.channel(ECHO).await);
        }
        pair.expect_echo("hello").await;
        assert!(PATIENCE > POLL);
        pair.close().await;
    }
}

const POLL: Duration = Duration::from_millis(20);

/// Candidates that were found go to the other end.
async fn trickle(pair: &Pair<'_>) {
    let theirs = pair.run("return page.takeCandidates()", Value::Null).await;
    for candidate in theirs.as_array().unwrap() {
        let candidate = serde_json::from_value(candidate.clone()).unwrap();
        pair.native.add_ice_candidate(candidate).await.unwrap();
    }
    for candidate in pair.take_candidates() {
        pair.run("await page.pc.addIceCandidate(a)", json!(candidate))
            .await;
    }
}

async fn add_transceiver(pair: &Pair<'_>, kind: &str) {
    pair.run("page.pc.addTransceiver(a)", json!(kind)).await;
}

/// The m-lines: what they are for, and whether their port is 0.
fn sections(description: &SessionDescription) -> Vec<(String, bool)> {
    description
        .sdp
        .lines()
        .filter_map(|line| line.strip_prefix("m="))
        .map(|line| {
            let mut words = line.split(' ');
            let media = words.next().unwrap().to_owned();
            (media, words.next() == Some("0"))
        })
        .collect()
}
