//! Connections from their first to their last task.

mod support;

use peerloom::{
    ConnectionState, DataChannelOptions, DataChannelState, Error, Event, IceCandidate, Message,
    PeerConnection, Reason, SendError, SessionDescription,
};
use support::*;

/// Tasks alive on this runtime, once those that are ending have ended.
async fn tasks_down_to(wanted: usize) -> usize {
    let metrics = tokio::runtime::Handle::current().metrics();
    for _ in 0..200 {
        if metrics.num_alive_tasks() <= wanted {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    metrics.num_alive_tasks()
}

#[tokio::test]
async fn close_delivers_tells_the_other_end_and_leaves_nothing_behind() {
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let Pair { a, b, at_a, at_b } = pair().await;
    for i in 0..200u8 {
        at_a.send(vec![i; 5_000]).await.unwrap();
    }
    patient("close", a.close()).await;
    assert_eq!(a.connection_state(), ConnectionState::Closed);
    for i in 0..200u8 {
        assert_eq!(
            patient("message", at_b.recv()).await,
            Some(vec![i; 5_000].into()),
            "{i}"
        );
    }
    assert_eq!(patient("end", at_b.recv()).await, None);
    assert!(matches!(
        patient("closed", b.closed()).await,
        Reason::Remote
    ));
    assert_eq!(at_a.state(), DataChannelState::Closed);
    assert!(matches!(
        at_a.send("late").await,
        Err(SendError::ConnectionClosed(Reason::Local))
    ));
    assert!(matches!(
        at_b.send("late").await,
        Err(SendError::ConnectionClosed(Reason::Remote))
    ));
    assert!(matches!(
        a.create_offer().await,
        Err(Error::Closed(Reason::Local))
    ));
    assert_eq!(tasks_down_to(before).await, before, "every task has ended");
}

#[tokio::test]
async fn dropping_the_last_handle_ends_both_ends() {
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let Pair { a, b, at_a, at_b } = pair().await;
    drop(a);
    at_b.send("the channel keeps it alive").await.unwrap();
    assert!(patient("message", at_a.recv()).await.is_some());
    drop(at_a);
    assert!(matches!(
        patient("closed", b.closed()).await,
        Reason::Remote
    ));
    drop((b, at_b));
    assert_eq!(tasks_down_to(before).await, before);
}

/// An unread incoming channel lies in the event queue; it must not keep the connection alive.
#[tokio::test]
async fn a_channel_that_nobody_took_is_no_handle() {
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let (a, b) = peers().await;
    let at_a = a
        .create_data_channel("unseen", DataChannelOptions::default())
        .unwrap();
    signal(&a, &b).await;
    at_a.send("hello").await.unwrap();
    patient("connected", b.connected()).await.unwrap();
    drop(b);
    assert!(matches!(
        patient("closed", a.closed()).await,
        Reason::Remote
    ));
    drop((a, at_a));
    assert_eq!(tasks_down_to(before).await, before);
}

#[tokio::test]
async fn closing_before_connecting_wakes_every_waiter() {
    let (a, _b) = peers().await;
    let channel = a
        .create_data_channel("never", DataChannelOptions::default())
        .unwrap();
    let mut waiters = tokio::task::JoinSet::new();
    let (c, d, e, f) = (channel.clone(), channel.clone(), a.clone(), a.clone());
    waiters.spawn(async move { matches!(c.send("x").await, Err(SendError::ConnectionClosed(_))) });
    waiters.spawn(async move { d.recv().await.is_none() });
    waiters.spawn(async move { matches!(e.connected().await, Err(Error::Closed(Reason::Local))) });
    waiters.spawn(async move {
        f.gathering_complete().await;
        true
    });
    let g = a.clone();
    waiters.spawn(async move {
        while g.next_event().await.is_some() {}
        true
    });
    tokio::task::yield_now().await;
    patient("close", a.close()).await;
    assert_eq!(patient("waiters", waiters.join_all()).await, [true; 5]);
}

#[tokio::test]
async fn a_wrong_fingerprint_fails_both_ends_and_says_why() {
    let (a, b) = peers().await;
    let channel = a
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let mut offer = support::offer(&a).await;
    let other = builder().build().await.unwrap();
    other
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let foreign = other.create_offer().await.unwrap();
    let line = |sdp: &str| {
        sdp.lines()
            .find(|line| line.starts_with("a=fingerprint:"))
            .unwrap()
            .to_owned()
    };
    offer.sdp = offer.sdp.replace(&line(&offer.sdp), &line(&foreign.sdp));
    let answer = support::answer(&b, offer).await;
    a.set_remote_description(answer).await.unwrap();
    let why = patient("failure", b.closed()).await;
    assert!(matches!(why, Reason::Dtls(_)), "{why}");
    assert!(why.to_string().contains("fingerprint"), "{why}");
    assert_eq!(b.connection_state(), ConnectionState::Failed);
    assert!(matches!(
        b.connected().await,
        Err(Error::Closed(Reason::Dtls(_)))
    ));
    assert_ne!(a.connection_state(), ConnectionState::Connected);
    assert_ne!(channel.state(), DataChannelState::Open);
}

#[tokio::test]
async fn bad_descriptions_and_candidates_are_refused_and_nothing_changes() {
    let (a, b) = peers().await;
    a.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let error = b
        .set_remote_description(SessionDescription::offer("v=0\r\nnonsense"))
        .await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("nonsense") || error.contains("line 2"),
        "{error}"
    );
    let error = b.create_answer().await.unwrap_err();
    assert!(matches!(error, Error::Negotiation(_)));
    signal(&a, &b).await;
    patient("connected", a.connected()).await.unwrap();
    let bad = IceCandidate {
        candidate: "candidate:1 1 udp x 127.0.0.1 9 typ host".into(),
        sdp_mid: Some("0".into()),
        ..IceCandidate::default()
    };
    let error = a.add_ice_candidate(bad).await.unwrap_err().to_string();
    assert!(error.contains("candidate:1 1 udp x"), "{error}");
    assert_eq!(a.connection_state(), ConnectionState::Connected);
}

/// Trickle: descriptions without candidates, candidates as they come, in the browser's JSON form.
#[tokio::test]
async fn trickled_candidates_connect() {
    let (a, b) = peers().await;
    let at_a = a
        .create_data_channel("trickle", DataChannelOptions::default())
        .unwrap();
    let over_the_wire = |description: SessionDescription| -> SessionDescription {
        serde_json::from_str(&serde_json::to_string(&description).unwrap()).unwrap()
    };
    let offer = a.create_offer().await.unwrap();
    assert!(!offer.sdp.contains("a=candidate"));
    b.set_remote_description(over_the_wire(offer.clone()))
        .await
        .unwrap();
    a.set_local_description(offer).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    a.set_remote_description(over_the_wire(answer.clone()))
        .await
        .unwrap();
    b.set_local_description(answer).await.unwrap();
    async fn trickle(from: PeerConnection, to: PeerConnection) -> usize {
        let mut candidates = 0;
        while let Some(event) = from.next_event().await {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "only candidates are passed on"
            )]
            match event {
                Event::IceCandidate(Some(candidate)) => {
                    let json = serde_json::to_string(&candidate).unwrap();
                    assert!(json.contains("sdpMLineIndex"), "{json}");
                    to.add_ice_candidate(serde_json::from_str(&json).unwrap())
                        .await
                        .unwrap();
                    candidates += 1;
                }
                Event::IceCandidate(None) => return candidates,
                _ => {}
            }
        }
        candidates
    }
    let (from_a, from_b) = patient("trickle", async {
        tokio::join!(trickle(a.clone(), b.clone()), trickle(b.clone(), a.clone()))
    })
    .await;
    assert!(from_a > 0 && from_b > 0);
    at_a.send("through").await.unwrap();
    assert_eq!(
        patient("message", incoming(&b).await.recv()).await,
        Some(Message::from("through"))
    );
}

/// Both ends must agree on who is DTLS client whichever way the answer chooses.
#[tokio::test]
async fn the_answer_chooses_the_dtls_role() {
    use peerloom::AnswerSetup;
    for (setup, line) in [
        (AnswerSetup::Active, "a=setup:active"),
        (AnswerSetup::Passive, "a=setup:passive"),
    ] {
        let a = builder().build().await.unwrap();
        let b = builder().answer_setup(setup).build().await.unwrap();
        let Pair { a, b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
        assert!(b.local_description().unwrap().sdp.contains(line));
        let (a, b) = (
            a.stats().await.unwrap().internals.dtls,
            b.stats().await.unwrap().internals.dtls,
        );
        assert_ne!(a.role, b.role);
        assert!(
            a.srtp_profile.is_some(),
            "SRTP keys are there for later media"
        );
        assert_eq!(a.srtp_profile, b.srtp_profile);
    }
}

#[tokio::test]
async fn a_dead_stun_server_holds_nothing_up() {
    // A bound socket that never answers.
    let dead = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("stun:{}", dead.local_addr().unwrap());
    let a = builder().stun_server(uri).build().await.unwrap();
    let b = builder().build().await.unwrap();
    let at_a = a
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let offer = a.create_offer().await.unwrap();
    a.set_local_description(offer).await.unwrap();
    // The host candidate comes at once; nobody waits for gathering to complete.
    let candidate = patient("candidate", async {
        loop {
            if let Some(Event::IceCandidate(Some(candidate))) = a.next_event().await {
                return candidate;
            }
        }
    })
    .await;
    b.set_remote_description(a.local_description().unwrap())
        .await
        .unwrap();
    b.add_ice_candidate(candidate).await.unwrap();
    b.set_local_description(b.create_answer().await.unwrap())
        .await
        .unwrap();
    b.gathering_complete().await;
    a.set_remote_description(b.local_description().unwrap())
        .await
        .unwrap();
    patient("open", at_a.opened()).await.unwrap();
    assert_ne!(
        a.ice_gathering_state(),
        peerloom::IceGatheringState::Complete
    );
    patient("complete", a.gathering_complete()).await;
}

/// A panic of the data path's own code ends one connection and is reported; here: none happens, and
/// thirty connections side by side do not disturb each other.
#[tokio::test]
async fn thirty_pairs_at_once_all_connect() {
    let mut pairs = tokio::task::JoinSet::new();
    for _ in 0..30 {
        pairs.spawn(async {
            let Pair { a, at_a, at_b, .. } = pair().await;
            at_a.send("ping").await.unwrap();
            let got = patient("message", at_b.recv()).await;
            patient("close", a.close()).await;
            got
        });
    }
    for got in patient("pairs", pairs.join_all()).await {
        assert_eq!(got, Some(Message::from("ping")));
    }
}

/// An ICE restart in mid-transfer, from either end: the same channels, nothing lost.
#[tokio::test]
async fn an_ice_restart_loses_nothing() {
    let Pair { a, b, at_a, at_b } = pair().await;
    let sender = at_a.clone();
    let mut sending = tokio::task::JoinSet::new();
    sending.spawn(async move {
        for i in 0..4_000u32 {
            let mut message = vec![0; 20_000];
            message[..4].copy_from_slice(&i.to_be_bytes());
            sender.send(message).await.unwrap();
        }
    });
    let restarts = async {
        for (from, to) in [(&a, &b), (&b, &a)] {
            let ufrag = |sdp: &str| {
                sdp.lines()
                    .find(|l| l.starts_with("a=ice-ufrag"))
                    .unwrap()
                    .to_owned()
            };
            let before = ufrag(&from.local_description().unwrap().sdp);
            from.restart_ice().unwrap();
            signal(from, to).await;
            assert_ne!(ufrag(&from.local_description().unwrap().sdp), before);
            patient("connected", from.connected()).await.unwrap();
        }
    };
    let receiving = async {
        for i in 0..4_000u32 {
            let message = patient("message", at_b.recv()).await.unwrap().into_bytes();
            assert_eq!(message[..4], i.to_be_bytes());
        }
    };
    tokio::join!(restarts, receiving);
    assert!(a.stats().await.unwrap().internals.ice.selected_changes >= 1);
}

/// Described by an empty text: the connection makes the offer or answer that is due.
#[tokio::test]
async fn an_empty_local_description_is_made_here() {
    let (a, b) = peers().await;
    let at_a = a
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    a.set_local_description(SessionDescription::offer(""))
        .await
        .unwrap();
    a.gathering_complete().await;
    b.set_remote_description(a.local_description().unwrap())
        .await
        .unwrap();
    b.set_local_description(SessionDescription::answer(""))
        .await
        .unwrap();
    b.gathering_complete().await;
    a.set_remote_description(b.local_description().unwrap())
        .await
        .unwrap();
    patient("open", at_a.opened()).await.unwrap();
}

/// An answer that rejects every section has no candidates to wait for.
#[tokio::test]
async fn nothing_is_gathered_for_an_answer_that_rejects_everything() {
    let audio = include_str!("data/sdp/chromium-156-audio-red.sdp");
    let connection = PeerConnection::builder()
        .loopback(true)
        .build()
        .await
        .unwrap();
    connection
        .set_remote_description(SessionDescription::offer(audio))
        .await
        .unwrap();
    let answer = connection.create_answer().await.unwrap();
    connection.set_local_description(answer).await.unwrap();
    patient("gathering", connection.gathering_complete()).await;
    connection.close().await;
}
