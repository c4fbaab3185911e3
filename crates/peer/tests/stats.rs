//! The W3C's statistics: what `docs/stats.md` says of each member is what a live connection shows.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use peerloom::stats::StatsReport;
use peerloom::{DataChannelOptions, DataChannelState, PeerConnection};
use serde_json::Value;
use support::*;
use tokio::net::UdpSocket;

/// The members of each dictionary (W3C webrtc-stats, `RTCStats` included), by `type`.
const DICTIONARIES: [(&[&str], &str); 6] = [
    (
        &["peer-connection"],
        "id timestamp type dataChannelsOpened dataChannelsClosed",
    ),
    (
        &["transport"],
        "id timestamp type packetsSent packetsReceived bytesSent bytesReceived iceRole \
         iceLocalUsernameFragment dtlsState iceState selectedCandidatePairId localCertificateId \
         remoteCertificateId tlsVersion dtlsCipher dtlsRole srtpCipher \
         selectedCandidatePairChanges ccfbMessagesSent ccfbMessagesReceived",
    ),
    (
        &["candidate-pair"],
        "id timestamp type transportId localCandidateId remoteCandidateId state nominated \
         packetsSent packetsReceived bytesSent bytesReceived lastPacketSentTimestamp \
         lastPacketReceivedTimestamp totalRoundTripTime currentRoundTripTime \
         availableOutgoingBitrate availableIncomingBitrate requestsReceived requestsSent \
         responsesReceived responsesSent consentRequestsSent packetsDiscardedOnSend \
         bytesDiscardedOnSend",
    ),
    (
        &["local-candidate", "remote-candidate"],
        "id timestamp type transportId address port protocol candidateType priority url \
         relayProtocol foundation relatedAddress relatedPort usernameFragment tcpType",
    ),
    (
        &["certificate"],
        "id timestamp type fingerprint fingerprintAlgorithm base64Certificate issuerCertificateId",
    ),
    (
        &["data-channel"],
        "id timestamp type label protocol dataChannelIdentifier state messagesSent bytesSent \
         messagesReceived bytesReceived",
    ),
];

/// Rows `| member | filled or not | … |` of the tables in the docs, by dictionary.
fn documented() -> BTreeMap<String, BTreeMap<String, String>> {
    let page = include_str!("../../../docs/stats.md");
    let mut tables = BTreeMap::<_, BTreeMap<_, _>>::new();
    let mut dictionary = String::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            dictionary = title.split('`').nth(1).unwrap_or_default().to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", member, status, _, ""] = cells[..]
            && let Some(member) = member.strip_prefix('`').and_then(|m| m.strip_suffix('`'))
        {
            let table = tables.entry(dictionary.clone()).or_default();
            let before = table.insert(member.to_owned(), status.to_owned());
            assert_eq!(before, None, "{dictionary}.{member} has two rows");
        }
    }
    tables
}

/// A STUN server that sees everybody at an address that is not theirs, so that there are
/// server-reflexive candidates on loopback too.
async fn stun_server() -> (String, tokio::task::JoinHandle<()>) {
    const MAPPED: SocketAddr = SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7)),
        4_000,
    );
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("stun:{}", socket.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "a server of the test's")]
    let serving = tokio::spawn(async move {
        let mut request = [0; 1_500];
        while let Ok((len, from)) = socket.recv_from(&mut request).await {
            if len < 20 {
                continue;
            }
            // RFC 8489 §5, §14.2: a success response with XOR-MAPPED-ADDRESS.
            let mut response = vec![0x01, 0x01, 0, 12];
            response.extend_from_slice(&request[4..20]);
            response.extend_from_slice(&[0x00, 0x20, 0, 8, 0, 1]);
            response.extend_from_slice(&(MAPPED.port() ^ 0x2112).to_be_bytes());
            let cookie = [0x21, 0x12, 0xa4, 0x42];
            response.extend([203, 0, 113, 7].iter().zip(cookie).map(|(a, b)| a ^ b));
            let _ = socket.send_to(&response, from).await;
        }
    });
    (url, serving)
}

/// Two ends that have found each other, carried data both ways for a while, and closed a channel.
async fn lived() -> (Pair, tokio::task::JoinHandle<()>) {
    let (url, server) = stun_server().await;
    let a = builder().stun_server(&url).build().await.unwrap();
    let b = builder().stun_server(&url).build().await.unwrap();
    let options = DataChannelOptions {
        protocol: "proto".into(),
        ..DataChannelOptions::default()
    };
    // Not id 0, which would look like nothing.
    let first = a
        .create_data_channel("short", DataChannelOptions::default())
        .unwrap();
    let mut pair = pair_of(a, b, options).await;
    let other = incoming(&pair.b).await;
    // The first one to come is the first that was created.
    let other = std::mem::replace(&mut pair.at_b, other);
    assert_eq!((other.label(), pair.at_b.label()), ("short", "test"));
    first.close();
    other.close();
    patient("closed", first.closed()).await;
    for _ in 0..20 {
        pair.at_a.send(vec![7; 5_000]).await.unwrap();
        pair.at_b.send("answer").await.unwrap();
        patient("message", pair.at_a.recv()).await.unwrap();
        patient("message", pair.at_b.recv()).await.unwrap();
    }
    // Until each end has had a check for consent answered.
    patient("consent", async {
        loop {
            let reports = [pair.a.stats().await.unwrap(), pair.b.stats().await.unwrap()];
            let checked = |report: &StatsReport| {
                report.selected_pair().is_some_and(|pair| {
                    pair.consent_requests_sent > 0 && pair.requests_received > 0
                })
            };
            if reports.iter().all(checked) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    (pair, server)
}

async fn json(connection: &PeerConnection) -> Vec<Value> {
    let report = serde_json::to_value(connection.stats().await.unwrap()).unwrap();
    let by_id = report.as_object().unwrap();
    for (id, entry) in by_id {
        assert_eq!(entry["id"], **id);
    }
    by_id.values().cloned().collect()
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty() || value == "new" || value == "unknown",
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Without this, the page, the code and the W3C would drift apart.
#[tokio::test]
async fn what_is_documented_as_filled_is_filled_and_nothing_else() {
    let documented = documented();
    let (Pair { a, b, .. }, server) = lived().await;
    let entries: Vec<Value> = [json(&a).await, json(&b).await].concat();
    server.abort();
    for (types, members) in DICTIONARIES {
        let table = &documented[types[0]];
        let members: BTreeSet<&str> = members.split_whitespace().collect();
        let rows: BTreeSet<&str> = table.keys().map(String::as_str).collect();
        assert_eq!(rows, members, "the table of {types:?}");
        let ours: Vec<&Value> = entries
            .iter()
            .filter(|entry| types.contains(&entry["type"].as_str().unwrap()))
            .collect();
        for kind in types {
            assert!(ours.iter().any(|entry| entry["type"] == **kind), "{kind}");
        }
        for (member, status) in table {
            let shown = ours.iter().filter(|entry| entry.get(member).is_some());
            let shown: Vec<&&Value> = shown.collect();
            match status.as_str() {
                "filled" => {
                    assert_eq!(
                        shown.len(),
                        ours.len(),
                        "{types:?}.{member} in every object"
                    );
                    assert!(
                        shown.iter().any(|entry| !is_default(&entry[member])),
                        "{types:?}.{member}: {shown:?}"
                    );
                }
                "sometimes" => assert!(
                    shown.iter().any(|entry| !is_default(&entry[member])),
                    "{types:?}.{member}: {ours:?}"
                ),
                "not here" | "no" => assert!(shown.is_empty(), "{types:?}.{member}: {shown:?}"),
                other => panic!("{types:?}.{member}: status {other:?}"),
            }
        }
        for entry in &ours {
            for member in entry.as_object().unwrap().keys() {
                assert!(members.contains(member.as_str()), "{types:?}.{member}");
            }
        }
    }
}

/// Figures that can be known are right, and what points at an object points at one that is there.
#[tokio::test]
async fn the_figures_are_those_of_the_connection() {
    let (Pair { a, b, at_a, at_b }, server) = lived().await;
    let (of_a, of_b) = (a.stats().await.unwrap(), b.stats().await.unwrap());
    server.abort();
    for (report, other) in [(&of_a, &of_b), (&of_b, &of_a)] {
        let ids: Vec<&str> = report.entries().map(|entry| entry.id()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        let transport = &report.transport;
        let pair = report.selected_pair().unwrap();
        for id in [
            &pair.transport_id,
            &pair.local_candidate_id,
            &pair.remote_candidate_id,
            &transport.local_certificate_id,
            transport.remote_certificate_id.as_ref().unwrap(),
        ] {
            assert!(ids.contains(&id.as_str()), "{id} of {ids:?}");
        }
        assert!(pair.nominated);
        assert!(pair.bytes_sent > 0 && pair.bytes_sent <= transport.bytes_sent);
        assert!(pair.packets_received <= transport.packets_received);
        assert!(pair.last_packet_sent_timestamp.unwrap() <= pair.timestamp);
        assert!(pair.last_packet_received_timestamp.unwrap() > pair.timestamp - 60_000.0);
        assert!(pair.current_round_trip_time.unwrap() < 1.0);
        let (ours, theirs) = (&report.certificates[0], &report.certificates[1]);
        assert_eq!(ours.fingerprint, other.certificates[1].fingerprint);
        assert_eq!(
            theirs.base64_certificate,
            other.certificates[0].base64_certificate
        );
        assert_ne!(transport.ice_role, other.transport.ice_role);
        assert_ne!(transport.dtls_role, other.transport.dtls_role);
        assert_eq!(transport.srtp_cipher, other.transport.srtp_cipher);
        assert_eq!(report.peer_connection.data_channels_opened, 2);
        assert_eq!(report.peer_connection.data_channels_closed, 1);
    }
    let sdp = a.local_description().unwrap().sdp;
    let fingerprint = &of_a.certificates[0].fingerprint;
    assert!(
        sdp.contains(&format!("a=fingerprint:sha-256 {fingerprint}")),
        "{sdp}"
    );
    let ufrag = &of_a.transport.ice_local_username_fragment;
    assert!(sdp.contains(&format!("a=ice-ufrag:{ufrag}")), "{sdp}");
    assert_eq!(of_a.transport.tls_version.as_deref(), Some("FEFD"));
    assert_eq!(
        of_a.transport.dtls_cipher.as_deref(),
        Some("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
    );
    let [channel] = &of_a.data_channels[..] else {
        panic!("{:?}", of_a.data_channels)
    };
    assert_eq!(channel.label, "test");
    assert_eq!(channel.protocol, "proto");
    assert_eq!(channel.state, DataChannelState::Open);
    assert_eq!(channel.data_channel_identifier, at_a.id());
    assert_eq!((channel.messages_sent, channel.bytes_sent), (20, 100_000));
    assert_eq!(
        (channel.messages_received, channel.bytes_received),
        (20, 120)
    );
    // The same channel has the same name in every report.
    at_b.send("more").await.unwrap();
    patient("message", at_a.recv()).await.unwrap();
    let again = a.stats().await.unwrap();
    assert_eq!(again.data_channels[0].id, channel.id);
    assert_eq!(again.data_channels[0].messages_received, 21);
    assert!(again.transport.timestamp >= of_a.transport.timestamp);
}

/// A report can be had before there is anything to report.
#[tokio::test]
async fn a_connection_that_has_not_begun_has_a_report() {
    let a = builder().build().await.unwrap();
    a.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let report = a.stats().await.unwrap();
    let json = serde_json::to_value(&report).unwrap();
    let transport = &json[&report.transport.id];
    assert_eq!(transport["dtlsState"], "new");
    assert_eq!(transport["iceState"], "new");
    assert_eq!(transport["dtlsRole"], "unknown");
    assert_eq!(transport.get("selectedCandidatePairId"), None);
    assert_eq!(report.certificates.len(), 1);
    assert_eq!(json[&report.data_channels[0].id]["state"], "connecting");
    assert_eq!(report.peer_connection.data_channels_opened, 0);
}
