//! Every option of the builder: what it does, and that it is plugged in.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerloom::{
    Certificate, ChannelCloseReason, CongestionControl, DataChannelOptions, KeyLog, PeerConnection,
    Reason, TrySendErrorKind,
};
use support::*;

/// Each option, and the test that fails when the option is unplugged, by file.
const COVERED: &[(&str, &str, &str)] = &[
    (
        "answer_setup",
        "lifecycle.rs",
        "the_answer_chooses_the_dtls_role",
    ),
    (
        "bind",
        "options.rs",
        "sockets_are_where_they_were_asked_for",
    ),
    (
        "bind_ips",
        "options.rs",
        "sockets_are_where_they_were_asked_for",
    ),
    (
        "certificate",
        "options.rs",
        "the_certificate_is_the_one_that_is_shown",
    ),
    (
        "channel_close_timeout",
        "options.rs",
        "an_unanswered_channel_closes_in_time",
    ),
    (
        "channel_send_buffer_limit",
        "options.rs",
        "each_buffer_has_its_limit",
    ),
    (
        "close_timeout",
        "options.rs",
        "closing_delivers_for_so_long_and_no_longer",
    ),
    (
        "congestion_control",
        "options.rs",
        "the_controller_is_the_one_that_was_asked_for",
    ),
    (
        "handshake_timeout",
        "options.rs",
        "a_handshake_takes_no_longer_than_it_may",
    ),
    ("key_log", "options.rs", "secrets_go_to_the_key_log"),
    (
        "loopback",
        "options.rs",
        "sockets_are_where_they_were_asked_for",
    ),
    (
        "max_channels",
        "options.rs",
        "channels_are_limited_whoever_opens_them",
    ),
    (
        "max_message_size",
        "data_channels.rs",
        "a_message_over_the_other_ends_limit_is_refused_with_numbers_and_the_channel_lives",
    ),
    ("offer_srtp", "options.rs", "srtp_keys_can_be_left_out"),
    (
        "receive_window",
        "options.rs",
        "the_window_is_as_wide_as_it_was_asked_to_be",
    ),
    (
        "send_buffer_limit",
        "options.rs",
        "each_buffer_has_its_limit",
    ),
    (
        "socket_buffers",
        "options.rs",
        "kernel_buffers_are_asked_for",
    ),
    (
        "stun_server",
        "stats.rs",
        "what_is_documented_as_filled_is_filled_and_nothing_else",
    ),
    (
        "zero_checksum",
        "data_channels.rs",
        "checksums_go_only_when_both_ends_allow_it",
    ),
    (
        "address_policy",
        "ice_options.rs",
        "the_address_policy_decides_about_remotes",
    ),
    (
        "external_ip",
        "ice_options.rs",
        "an_external_address_is_in_the_description",
    ),
    (
        "ice_lite",
        "ice_options.rs",
        "a_lite_end_connects_to_a_full_one",
    ),
    (
        "ice_transport_policy",
        "ice_options.rs",
        "the_relay_policy_gives_out_no_candidate",
    ),
    (
        "include_loopback",
        "ice_options.rs",
        "loopback_is_included_when_asked_for",
    ),
    (
        "interface_filter",
        "ice_options.rs",
        "the_interface_filter_is_asked",
    ),
    ("mdns", "../src/transport/mdns.rs", "look_ups_are_bounded"),
    (
        "port_range",
        "ice_options.rs",
        "ports_of_candidates_come_from_the_range",
    ),
    (
        "custom_scheduler",
        "scheduling.rs",
        "an_applications_own_scheduler",
    ),
    (
        "interleaving",
        "scheduling.rs",
        "messages_are_interleaved_when_both_ends_allow_it",
    ),
    ("scheduler", "scheduling.rs", "the_scheduler_can_be_chosen"),
    (
        "segmentation_offload",
        "options.rs",
        "offload_can_be_left_unused",
    ),
];

/// A new option without a row above, or without a word on its default, is a mistake of the change
/// that brings it.
#[test]
fn every_option_is_documented_and_has_a_test() {
    let options = builder_options();
    let covered: BTreeSet<&str> = COVERED.iter().map(|(option, ..)| *option).collect();
    let names: BTreeSet<&str> = options.keys().map(String::as_str).collect();
    assert_eq!(names, covered);
    for (option, docs) in &options {
        assert!(
            docs.contains("Default: "),
            "{option} names no default: {docs}"
        );
    }
    for (option, file, test) in COVERED {
        let source = std::fs::read_to_string(root().join("tests").join(file)).unwrap();
        assert!(
            source.contains(&format!("fn {test}(")),
            "{file} has no {test}"
        );
        assert!(
            source.contains(&format!(".{option}(")),
            "{file} has no {option}"
        );
    }
}

/// The builder's methods and their documentation, from the source text.
fn builder_options() -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    for file in sources(&root().join("src")) {
        let text = std::fs::read_to_string(file).unwrap();
        let blocks = text.split("\nimpl PeerConnectionBuilder {\n").skip(1);
        for block in blocks.map(|block| block.split("\n}\n").next().unwrap()) {
            let mut docs = String::new();
            for line in block.lines().map(str::trim) {
                if let Some(doc) = line.strip_prefix("///") {
                    docs.push_str(doc);
                } else if let Some(method) = line.strip_prefix("pub fn ") {
                    let name = method.split(['(', '<']).next().unwrap();
                    options.insert(name.to_owned(), std::mem::take(&mut docs));
                } else if !line.starts_with('#') {
                    docs.clear();
                }
            }
        }
    }
    options
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The addresses of the host candidates.
async fn addresses(connection: &PeerConnection) -> Vec<SocketAddr> {
    connection
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let offer = connection.create_offer().await.unwrap();
    connection.set_local_description(offer).await.unwrap();
    patient("gathering", connection.gathering_complete()).await;
    let candidates = connection.stats().await.unwrap().local_candidates;
    candidates
        .iter()
        .map(|c| SocketAddr::new(c.address.parse().unwrap(), c.port))
        .collect()
}

#[tokio::test]
async fn sockets_are_where_they_were_asked_for() {
    let loopback = PeerConnection::builder().loopback(true);
    let found = addresses(&loopback.build().await.unwrap()).await;
    assert!(!found.is_empty() && found.iter().all(|a| a.ip().is_loopback()));

    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let bound = PeerConnection::builder().bind([address]);
    assert_eq!(addresses(&bound.build().await.unwrap()).await, [address]);

    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let bound = PeerConnection::builder().bind_ips([ip]);
    let found = addresses(&bound.build().await.unwrap()).await;
    assert!(
        matches!(found[..], [a] if a.ip() == ip && a.port() != 0),
        "{found:?}"
    );

    // Every interface but loopback, if there is one.
    let everywhere = PeerConnection::builder().loopback(true).loopback(false);
    let found = addresses(&everywhere.build().await.unwrap()).await;
    let others = found.iter().any(|a| !a.ip().is_loopback());
    assert!(
        !others || found.iter().all(|a| !a.ip().is_loopback()),
        "{found:?}"
    );
}

#[tokio::test]
async fn the_certificate_is_the_one_that_is_shown() {
    let validity = Duration::from_secs(3_600);
    let certificate = Certificate::generate_valid_for(validity).unwrap();
    let a = builder()
        .certificate(certificate.clone())
        .build()
        .await
        .unwrap();
    let b = builder().build().await.unwrap();
    assert_eq!(b.remote_certificate(), None);
    let Pair { a, b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    assert_eq!(a.local_certificate(), certificate);
    assert_eq!(a.local_certificate().expires(), certificate.expires());
    let shown = b.remote_certificate().unwrap();
    assert_eq!(shown.der(), certificate.der());
    assert_eq!(shown.fingerprint(), certificate.fingerprint());
    let of_b = a.remote_certificate().unwrap();
    assert_eq!(of_b.der(), b.local_certificate().der());
    // Its own, valid for about 30 days.
    assert!(b.local_certificate().expires() > certificate.expires() + 20 * 24 * validity);
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl KeyLog for Lines {
    fn log(&self, label: &str, _: &[u8; 32], secret: &[u8]) {
        assert_eq!(secret.len(), 48);
        self.0.lock().unwrap().push(label.to_owned());
    }
}

#[tokio::test]
async fn secrets_go_to_the_key_log() {
    let lines = Arc::new(Lines::default());
    let a = builder().key_log(lines.clone()).build().await.unwrap();
    let b = builder().build().await.unwrap();
    let _pair = pair_of(a, b, DataChannelOptions::default()).await;
    assert_eq!(*lines.0.lock().unwrap(), ["CLIENT_RANDOM"]);
}

#[tokio::test]
async fn srtp_keys_can_be_left_out() {
    for (offered, negotiated) in [(true, true), (false, false)] {
        let a = builder().offer_srtp(offered).build().await.unwrap();
        let b = builder().offer_srtp(offered).build().await.unwrap();
        let Pair { a, .. } = pair_of(a, b, DataChannelOptions::default()).await;
        let profile = a.stats().await.unwrap().internals.dtls.srtp_profile;
        assert_eq!(profile.is_some(), negotiated);
    }
}

#[tokio::test]
async fn the_window_is_as_wide_as_it_was_asked_to_be() {
    let a = builder().receive_window(300_000).build().await.unwrap();
    let b = builder().build().await.unwrap();
    let Pair { a, b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    let window = |connection: PeerConnection| async move {
        connection.stats().await.unwrap().internals.sctp.local_rwnd
    };
    // What it says of it is a share for the overhead of messages as small as those that came, down to
    // an eighth.
    let (narrow, default) = (window(a).await, window(b).await);
    assert!((300_000 / 8..=300_000).contains(&narrow), "{narrow}");
    assert!((4 << 17..=4 << 20).contains(&default), "{default}");
}

/// Fills what can be queued and says which limit refused the next message.
async fn limit_of(channel: &peerloom::DataChannel) -> usize {
    patient("full", async {
        loop {
            match channel.try_send(vec![0; 1_000]).map_err(|error| error.kind) {
                Ok(()) => {}
                Err(TrySendErrorKind::Full { limit, .. }) => return limit,
                Err(other) => panic!("{other}"),
            }
        }
    })
    .await
}

#[tokio::test]
async fn each_buffer_has_its_limit() {
    let of_channel = builder().channel_send_buffer_limit(30_000);
    let of_all = builder().send_buffer_limit(20_000);
    let (a, b) = (of_channel.build().await, of_all.build().await);
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(b.send_buffer_limit(), 20_000);
    let Pair { a, b, at_a, at_b } = pair_of(a, b, DataChannelOptions::default()).await;
    assert_eq!(limit_of(&at_a).await, 30_000);
    assert_eq!(limit_of(&at_b).await, 20_000);
    // Of channels from outside too.
    b.create_data_channel("from outside", DataChannelOptions::default())
        .unwrap();
    assert_eq!(incoming(&a).await.send_buffer_limit(), 30_000);
}

#[tokio::test]
async fn channels_are_limited_whoever_opens_them() {
    let (a, b) = peers().await;
    let limited = builder().max_channels(2).build().await.unwrap();
    drop(b);
    let channels: Vec<_> = (0..3)
        .map(|n| {
            a.create_data_channel(n.to_string(), DataChannelOptions::default())
                .unwrap()
        })
        .collect();
    signal(&a, &limited).await;
    patient("refusal", channels[2].closed()).await;
    assert_eq!(
        channels[2].close_reason(),
        Some(ChannelCloseReason::Refused)
    );
    patient("open", channels[0].opened()).await.unwrap();
    let refused = limited.create_data_channel("one more", DataChannelOptions::default());
    assert_eq!(refused.unwrap_err().to_string(), "2 channels are open");
}

#[tokio::test]
async fn kernel_buffers_are_asked_for() {
    let sizes = |bytes: usize| async move {
        let connection = builder().socket_buffers(bytes).build().await.unwrap();
        let socket = connection.stats().await.unwrap().internals.sockets[0];
        (socket.send_buffer, socket.receive_buffer)
    };
    let (small, large) = (sizes(16 << 10).await, sizes(128 << 10).await);
    assert!(
        small.0 < large.0 && small.1 < large.1,
        "{small:?} {large:?}"
    );
}

#[tokio::test]
async fn offload_can_be_left_unused() {
    let without = builder().segmentation_offload(false).build().await.unwrap();
    let socket = without.stats().await.unwrap().internals.sockets[0];
    assert_eq!(socket.max_gso_segments, 1);
    let with = builder().build().await.unwrap();
    let socket = with.stats().await.unwrap().internals.sockets[0];
    assert!(socket.max_gso_segments > 1 || cfg!(peerloom_no_offload) || !cfg!(target_os = "linux"));
}

/// A receiver that does not read holds up the delivery of what was accepted.
#[tokio::test]
async fn closing_delivers_for_so_long_and_no_longer() {
    for seconds in [1, 5] {
        let a = builder().close_timeout(Duration::from_secs(seconds));
        let b = builder().receive_window(128 << 10);
        let (a, b) = (a.build().await.unwrap(), b.build().await.unwrap());
        let Pair { a, b, at_a, at_b } = pair_of(a, b, DataChannelOptions::default()).await;
        for number in 0..40u8 {
            at_a.send(vec![number; 10_000]).await.unwrap();
        }
        // From here on time is what the timers say.
        tokio::time::pause();
        let begun = tokio::time::Instant::now();
        patient("close", a.close()).await;
        assert_eq!(begun.elapsed().as_secs(), seconds);
        tokio::time::resume();
        // What came in time is whole; the rest is not pretended to have come.
        let mut read = 0;
        while let Some(message) = patient("message", at_b.recv()).await {
            assert_eq!(message, vec![read; 10_000].into());
            read += 1;
        }
        assert!((10..40).contains(&read), "{read}");
        assert!(matches!(
            patient("closed", b.closed()).await,
            Reason::Remote
        ));
    }
}

/// An other end that cannot close its half: it has more to say than we listen to.
#[tokio::test]
async fn an_unanswered_channel_closes_in_time() {
    for seconds in [3, 12] {
        let a = builder()
            .receive_window(128 << 10)
            .channel_close_timeout(Duration::from_secs(seconds));
        let (a, b) = (a.build().await.unwrap(), builder().build().await.unwrap());
        let Pair { a, at_a, at_b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
        for _ in 0..40 {
            at_b.send(vec![1; 10_000]).await.unwrap();
        }
        let held = || async { a.stats().await.unwrap().internals.sctp.receive_buffered };
        while held().await < 100 << 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::pause();
        let begun = tokio::time::Instant::now();
        at_a.close();
        patient("closed", at_a.closed()).await;
        assert_eq!(begun.elapsed().as_secs(), seconds);
        assert_eq!(at_a.close_reason(), Some(ChannelCloseReason::Unanswered));
        tokio::time::resume();
        // What had arrived can still be read, and the connection goes on.
        assert!(at_a.recv().await.is_some());
        assert!(
            a.create_data_channel("y", DataChannelOptions::default())
                .is_ok()
        );
    }
}

/// Two ends that both mean to be the client: each ignores what the other sends.
#[tokio::test]
async fn a_handshake_takes_no_longer_than_it_may() {
    let timeout = Duration::from_millis(700);
    let a = builder().handshake_timeout(timeout).build().await.unwrap();
    let b = builder().build().await.unwrap();
    a.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let mut answer = support::answer(&b, support::offer(&a).await).await;
    answer.sdp = answer.sdp.replace("a=setup:active", "a=setup:passive");
    a.set_remote_description(answer).await.unwrap();
    let reason = patient("failure", a.closed()).await;
    let Reason::Dtls(error) = &reason else {
        panic!("{reason}")
    };
    assert!(error.to_string().contains("ClientHello"), "{error}");
}

/// Each end has its own; the other does not hear of it.
#[tokio::test]
async fn the_controller_is_the_one_that_was_asked_for() {
    let a = builder().build().await.unwrap();
    let b = builder()
        .congestion_control(CongestionControl::Bbr)
        .build()
        .await
        .unwrap();
    let pair = pair_of(a, b, DataChannelOptions::default()).await;
    for (end, controller) in [
        (&pair.a, CongestionControl::Cubic),
        (&pair.b, CongestionControl::Bbr),
    ] {
        let stats = end.stats().await.unwrap();
        assert_eq!(stats.internals.sctp.congestion_control, controller);
    }
}
