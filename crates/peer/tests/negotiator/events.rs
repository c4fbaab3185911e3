//! What the connection itself tells of offer and answer, without a negotiator.

use futures_util::FutureExt as _;
use peerloom::{
    DataChannelOptions, DataChannelState, Event, IceGatheringState, PeerConnection, Reason,
    SendError, SessionDescription, SignalingState,
};

use super::support::{self, patient, signal};

/// Offers that W3C WebRTC §4.7.3 asks for, of the events that wait.
fn needs(peer: &PeerConnection) -> usize {
    let waiting = std::iter::from_fn(|| peer.next_event().now_or_never().flatten());
    waiting
        .filter(|event| matches!(event, Event::NegotiationNeeded))
        .count()
}

fn open(peer: &PeerConnection) -> peerloom::DataChannel {
    peer.create_data_channel("x", DataChannelOptions::default())
        .unwrap()
}

async fn rollback(peer: &PeerConnection) {
    let rollback = SessionDescription::rollback();
    peer.set_local_description(rollback).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_offer_is_asked_for_once_for_each_need_and_in_stable_only() {
    let (a, b) = support::peers().await;
    a.restart_ice().unwrap();
    assert_eq!(needs(&a), 0, "there is nothing to restart");
    for _ in 0..3 {
        open(&a);
    }
    assert_eq!(needs(&a), 1);
    signal(&a, &b).await;
    assert_eq!((needs(&a), needs(&b)), (0, 0), "the exchange answered it");

    a.restart_ice().unwrap();
    a.restart_ice().unwrap();
    assert_eq!(needs(&a), 1);
    a.set_local_description(None).await.unwrap();
    a.restart_ice().unwrap();
    assert_eq!(needs(&a), 0, "not while an exchange is under way");
    rollback(&a).await;
    assert_eq!(needs(&a), 1, "the wish outlives its offer");

    // The other end's restart replaces the credentials as well.
    b.restart_ice().unwrap();
    assert_eq!(needs(&b), 1);
    signal(&b, &a).await;
    assert_eq!((needs(&a), needs(&b)), (0, 0));

    // Asked for in the middle of an exchange: of the next one.
    a.set_local_description(None).await.unwrap();
    a.restart_ice().unwrap();
    b.set_remote_description(a.local_description().unwrap())
        .await
        .unwrap();
    b.set_local_description(None).await.unwrap();
    a.set_remote_description(b.local_description().unwrap())
        .await
        .unwrap();
    assert_eq!(a.signaling_state(), SignalingState::Stable);
    assert_eq!(needs(&a), 1);
}

/// An offer that restarts ICE is taken back; the other end's, which does not, is answered with the
/// credentials in effect. Data flows all the time.
#[tokio::test(start_paused = true)]
async fn a_restart_that_is_taken_back_leaves_what_was() {
    let support::Pair { a, b, at_a, at_b } = support::pair().await;
    let ufrag = |peer: &PeerConnection| {
        let sdp = peer.local_description().unwrap().sdp;
        let line = sdp.lines().find(|line| line.starts_with("a=ice-ufrag"));
        line.unwrap().to_owned()
    };
    let before = ufrag(&a);
    a.restart_ice().unwrap();
    a.set_local_description(None).await.unwrap();
    assert_ne!(ufrag(&a), before);
    let _ = needs(&a);
    // Glare: a is polite.
    b.set_local_description(None).await.unwrap();
    a.set_remote_description(b.local_description().unwrap())
        .await
        .unwrap();
    a.set_local_description(None).await.unwrap();
    b.set_remote_description(a.local_description().unwrap())
        .await
        .unwrap();
    assert_eq!(ufrag(&a), before);
    assert_eq!(needs(&a), 1, "the restart is still wanted");
    for i in 0..100u8 {
        at_a.send(vec![i; 1000]).await.unwrap();
        let message = patient("message", at_b.recv()).await.unwrap();
        assert_eq!(message.into_bytes()[0], i);
    }
    // Consent goes on: half a minute without it would end the connection.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    at_b.send("still there").await.unwrap();
    assert!(patient("message", at_a.recv()).await.is_some());
}

/// The m-section that candidates were found for is gone with its offer: they are told again for the
/// one that took its place.
#[tokio::test(start_paused = true)]
async fn candidates_of_an_offer_taken_back_belong_to_the_answer() {
    let a = support::builder().build().await.unwrap();
    open(&a);
    a.set_local_description(None).await.unwrap();
    a.gathering_complete().await;
    let offer = include_str!("../data/sdp/chromium-156.sdp");
    a.set_remote_description(SessionDescription::offer(offer))
        .await
        .unwrap();
    a.set_local_description(None).await.unwrap();
    let (mut candidates, mut ends) = (0, 0);
    while ends == 0 {
        let event = patient("candidate", a.next_event()).await.unwrap();
        if let Event::IceCandidate(Some(candidate)) = &event
            && candidate.sdp_mid.as_deref() == Some("2")
        {
            assert_eq!(candidate.sdp_m_line_index, Some(2));
            candidates += 1;
        }
        ends += i32::from(matches!(event, Event::IceCandidate(None)) && candidates > 0);
    }
    assert!(a.local_description().unwrap().sdp.contains("a=candidate"));
}

/// Audio alone needs no transport; the data that is added later does.
#[tokio::test(start_paused = true)]
async fn data_added_after_audio_was_rejected_gathers() {
    let b = support::builder().build().await.unwrap();
    let audio = include_str!("../data/sdp/chromium-156-audio-red.sdp");
    b.set_remote_description(SessionDescription::offer(audio))
        .await
        .unwrap();
    b.set_local_description(None).await.unwrap();
    assert_eq!(b.ice_gathering_state(), IceGatheringState::New);
    assert_eq!(needs(&b), 0);
    open(&b);
    assert_eq!(needs(&b), 1);
    b.set_local_description(None).await.unwrap();
    patient("candidates", b.gathering_complete()).await;
    assert!(b.local_description().unwrap().sdp.contains("a=candidate"));
}

/// A description with its data section rejected.
fn without_data(description: SessionDescription) -> SessionDescription {
    let lines = description.sdp.split_inclusive('\n');
    let sdp: String = lines
        .filter(|line| !line.starts_with("a=group:"))
        .map(|line| match line.strip_prefix("m=application ") {
            Some(rest) => format!("m=application 0 {}", rest.split_once(' ').unwrap().1),
            None => line.to_owned(),
        })
        .collect();
    SessionDescription { sdp, ..description }
}

#[tokio::test(start_paused = true)]
async fn data_rejected_by_the_answer_closes_its_channels_and_can_be_offered_again() {
    let (a, b) = support::peers().await;
    let channel = open(&a);
    a.set_local_description(None).await.unwrap();
    let offer = a.local_description().unwrap();
    b.set_remote_description(offer).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    a.set_remote_description(without_data(answer))
        .await
        .unwrap();
    patient("closed", channel.closed()).await;
    assert_eq!(channel.state(), DataChannelState::Closed);
    let error = channel.opened().await.unwrap_err().to_string();
    assert!(error.contains("rejected"), "{error}");
    assert!(channel.send("x").await.is_err());
    assert_eq!(needs(&a), 1, "only what was asked for before");

    let b = support::builder().build().await.unwrap();
    let again = open(&a);
    assert_eq!(needs(&a), 1);
    signal(&a, &b).await;
    patient("opened", again.opened()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn data_rejected_while_it_runs_ends_the_connection_and_says_so() {
    let support::Pair { a, b, at_a, .. } = support::pair().await;
    let offer = without_data(b.create_offer().await.unwrap());
    a.set_remote_description(offer).await.unwrap();
    a.set_local_description(None).await.unwrap();
    assert!(matches!(
        patient("closed", a.closed()).await,
        Reason::DataRejected
    ));
    assert!(matches!(
        at_a.send("x").await,
        Err(SendError::ConnectionClosed(Reason::DataRejected))
    ));
    assert!(matches!(
        patient("closed", b.closed()).await,
        Reason::Remote
    ));
}

#[tokio::test(start_paused = true)]
async fn transceivers_come_and_go_with_an_event() {
    let b = support::builder().build().await.unwrap();
    let changes = |peer: &PeerConnection| {
        let waiting = std::iter::from_fn(|| peer.next_event().now_or_never().flatten());
        waiting
            .filter(|event| matches!(event, Event::TransceiversChanged))
            .count()
    };
    let offer = include_str!("../data/sdp/firefox-153.sdp");
    b.set_remote_description(SessionDescription::offer(offer))
        .await
        .unwrap();
    assert_eq!((changes(&b), b.transceivers().len()), (1, 2));
    b.set_remote_description(SessionDescription::rollback())
        .await
        .unwrap();
    assert_eq!((changes(&b), b.transceivers().len()), (1, 0));
    b.set_remote_description(SessionDescription::offer(offer))
        .await
        .unwrap();
    assert_eq!(changes(&b), 1);
    b.set_local_description(None).await.unwrap();
    assert_eq!(changes(&b), 1, "they are stopped now");
    assert!(b.transceivers().iter().all(|one| one.stopped));
}
