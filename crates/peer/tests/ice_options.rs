//! The options of the ICE agent: each shows in what the other end sees.

#![expect(
    clippy::disallowed_methods,
    reason = "a server of the test lives as long as its runtime"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use peerloom::{
    AddressPolicy, DataChannelOptions, Event, ExternalKind, IceCandidate, IceConnectionState,
    PeerConnection, PeerConnectionBuilder, Reason, TransportPolicy,
};
use peerloom_ice::{Ignored, Role};
use support::*;

/// The description of an offer with all candidates.
async fn offer(builder: PeerConnectionBuilder) -> (PeerConnection, String) {
    let peer = builder.build().await.unwrap();
    peer.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    peer.set_local_description(peer.create_offer().await.unwrap())
        .await
        .unwrap();
    patient("gathering", peer.gathering_complete()).await;
    let sdp = peer.local_description().unwrap().sdp;
    (peer, sdp)
}

fn candidates(sdp: &str) -> Vec<&str> {
    sdp.lines()
        .filter(|line| line.starts_with("a=candidate:"))
        .collect()
}

/// Lite against full, as offerer and as answerer: announced, controlled, and data flows.
#[tokio::test]
async fn a_lite_end_connects_to_a_full_one() {
    for lite_offers in [true, false] {
        let lite = builder().ice_lite(true).build().await.unwrap();
        let full = builder().build().await.unwrap();
        let (a, b) = if lite_offers {
            (lite.clone(), full)
        } else {
            (full, lite.clone())
        };
        let pair = pair_of(a, b, DataChannelOptions::default()).await;
        pair.at_a.send("over lite").await.unwrap();
        assert!(patient("message", pair.at_b.recv()).await.is_some());
        let sdp = lite.local_description().unwrap().sdp;
        let session = sdp.split("m=").next().unwrap();
        assert!(session.contains("\r\na=ice-lite\r\n"), "{sdp}");
        let stats = lite.stats().await.unwrap().internals.ice;
        assert_eq!(stats.role, Role::Controlled);
        assert!(stats.pairs.iter().all(|p| p.requests_sent == 0));
    }
}

/// `relay` gives nothing away while there are no relays.
#[tokio::test]
async fn the_relay_policy_gives_out_no_candidate() {
    let relay = builder().ice_transport_policy(TransportPolicy::Relay);
    let (a, sdp) = offer(relay).await;
    assert!(candidates(&sdp).is_empty(), "{sdp}");
    assert!(sdp.contains("a=end-of-candidates"), "{sdp}");
    let b = builder().build().await.unwrap();
    signal(&a, &b).await;
    let sent = |stats: peerloom::StatsReport| stats.internals.transport.packets_sent;
    assert_eq!(sent(a.stats().await.unwrap()), 0);
}

#[tokio::test]
async fn an_external_address_is_in_the_description() {
    let local = "127.0.0.1".parse().unwrap();
    let outer = "198.51.100.1".parse().unwrap();
    let elsewhere = Some("127.0.0.9".parse().unwrap());
    let (_a, sdp) = offer(
        builder()
            .external_ip(
                elsewhere,
                "203.0.113.1".parse().unwrap(),
                ExternalKind::Host,
            )
            .external_ip(Some(local), outer, ExternalKind::Host),
    )
    .await;
    let lines = candidates(&sdp);
    assert_eq!(lines.len(), 1, "{sdp}");
    assert!(
        lines[0].contains(" 198.51.100.1 ") && lines[0].contains("typ host"),
        "{sdp}"
    );
    assert!(!sdp.contains("a=candidate:1 1 udp 2130706431 127.0.0.1"));
    let reflexive = builder().external_ip(None, outer, ExternalKind::ServerReflexive);
    let (_b, sdp) = offer(reflexive).await;
    let lines = candidates(&sdp);
    assert_eq!(lines.len(), 2, "{sdp}");
    assert!(lines[1].contains("typ srflx raddr 127.0.0.1"), "{sdp}");
}

/// A STUN server that sees everybody at `mapped`, and its URL.
async fn stun_server(mapped: [u8; 4]) -> String {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("stun:{}", socket.local_addr().unwrap());
    tokio::spawn(async move {
        let mut request = [0; 100];
        while let Ok((_, from)) = socket.recv_from(&mut request).await {
            // Binding success, 12 bytes, cookie, transaction; XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
            let cookie = [0x21, 0x12, 0xa4, 0x42];
            let port = (from.port() ^ 0x2112).to_be_bytes();
            let address = std::array::from_fn::<u8, 4, _>(|i| mapped[i] ^ cookie[i]);
            let answer = [
                &[1, 1, 0, 12][..],
                &cookie,
                &request[8..20],
                &[0, 0x20, 0, 8, 0, 1],
                &port,
                &address,
            ];
            socket.send_to(&answer.concat(), from).await.unwrap();
        }
    });
    url
}

/// Every server is asked, one that does not exist holds the others up no longer than its bound, and
/// the statistics name the server of each candidate as the builder was given it.
#[tokio::test]
async fn several_stun_servers_are_asked() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("stun:{}", silent.local_addr().unwrap());
    let (first, second) = (
        stun_server([198, 51, 100, 1]).await,
        stun_server([198, 51, 100, 2]).await,
    );
    let asking = builder()
        .stun_server(silent)
        .stun_server(first.clone())
        .stun_server(second.clone());
    let (a, sdp) = offer(asking).await;
    assert_eq!(candidates(&sdp).len(), 3, "{sdp}");
    let stats = a.stats().await.unwrap().internals.ice;
    for (ip, url) in [("198.51.100.1", first), ("198.51.100.2", second)] {
        let from = stats
            .local_candidates
            .iter()
            .find(|c| c.url.as_deref() == Some(&url));
        assert_eq!(from.unwrap().candidate.address.to_string(), ip);
    }
}

/// Loopback beside the others, when asked for.
#[tokio::test]
async fn loopback_is_included_when_asked_for() {
    let (_a, sdp) = offer(PeerConnection::builder().include_loopback(true)).await;
    assert!(sdp.contains(" 127.0.0.1 "), "{sdp}");
}

#[tokio::test]
async fn ports_of_candidates_come_from_the_range() {
    let (_a, sdp) = offer(builder().port_range(40_000..=45_000)).await;
    let line = candidates(&sdp)[0];
    let port: u16 = line.split(' ').nth(5).unwrap().parse().unwrap();
    assert!((40_000..=45_000).contains(&port), "{line}");
}

#[tokio::test]
async fn the_interface_filter_is_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let none = PeerConnection::builder().interface_filter(move |_| {
        count.fetch_add(1, Relaxed);
        false
    });
    assert!(none.build().await.is_err());
    assert!(asked.load(Relaxed) > 0);
}

struct Refuses;

impl AddressPolicy for Refuses {
    fn allows_remote(&self, _: SocketAddr) -> bool {
        false
    }
}

/// What the policy refuses is neither dialled nor answered.
#[tokio::test]
async fn the_address_policy_decides_about_remotes() {
    let a = builder().address_policy(Refuses).build().await.unwrap();
    let b = builder().build().await.unwrap();
    a.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    signal(&a, &b).await;
    patient("refusal", async {
        while a
            .stats()
            .await
            .unwrap()
            .internals
            .ice
            .ignored
            .of(Ignored::NotAllowed)
            == 0
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(a.stats().await.unwrap().internals.transport.packets_sent, 0);
}

struct Panics;

impl AddressPolicy for Panics {
    #[expect(clippy::panic, reason = "what the test is about")]
    fn allows_remote(&self, _: SocketAddr) -> bool {
        panic!("a policy of the application");
    }
}

/// A policy that panics ends its connection, and no other.
#[tokio::test]
async fn a_policy_that_panics_ends_its_connection_alone() {
    let a = builder().address_policy(Panics).build().await.unwrap();
    let b = builder().build().await.unwrap();
    a.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    a.set_local_description(a.create_offer().await.unwrap())
        .await
        .unwrap();
    let answer = support::answer(&b, a.local_description().unwrap()).await;
    a.set_remote_description(answer).await.unwrap();
    assert!(matches!(patient("end", a.closed()).await, Reason::Task(_)));
    assert!(b.stats().await.is_ok());
}

/// End-of-candidates both ways: ours as an event and in the description, theirs reaches the agent,
/// which takes no candidate afterwards.
#[tokio::test]
async fn the_end_of_candidates_goes_both_ways() {
    let (a, sdp) = offer(builder()).await;
    assert!(sdp.contains("\r\na=end-of-candidates\r\n"), "{sdp}");
    let ended = patient("event", async {
        loop {
            if let Some(Event::IceCandidate(None)) = a.next_event().await {
                return true;
            }
        }
    });
    assert!(ended.await);
    let b = builder().build().await.unwrap();
    let mut described = a.local_description().unwrap();
    described.sdp = described
        .sdp
        .lines()
        .filter(|line| !line.starts_with("a=candidate") && !line.starts_with("a=end-of"))
        .flat_map(|line| [line, "\r\n"])
        .collect();
    b.set_remote_description(described).await.unwrap();
    b.set_local_description(b.create_answer().await.unwrap())
        .await
        .unwrap();
    b.add_ice_candidate(IceCandidate::default()).await.unwrap();
    let late = "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host";
    b.add_ice_candidate(IceCandidate {
        candidate: late.into(),
        sdp_mid: Some("0".into()),
        ..IceCandidate::default()
    })
    .await
    .unwrap();
    let stats = b.stats().await.unwrap().internals.ice;
    assert_eq!(stats.remote_candidates, []);
    assert_eq!(b.ice_connection_state(), IceConnectionState::Checking);
}
