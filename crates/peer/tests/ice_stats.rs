//! What the statistics say about the pair in use.

mod support;

use support::*;

/// Protects the figures of the selected pair: they grow with the data, at both ends.
#[tokio::test]
async fn the_selected_pair_counts_the_data() {
    let Pair { a, b, at_a, at_b } = pair().await;
    let message = vec![7; 100_000];
    at_a.send(message.clone()).await.unwrap();
    assert_eq!(patient("message", at_b.recv()).await, Some(message.into()));
    let selected =
        |stats: peerloom::StatsReport| stats.internals.ice.pairs.into_iter().find(|p| p.selected);
    let from = selected(a.stats().await.unwrap()).unwrap();
    let to = selected(b.stats().await.unwrap()).unwrap();
    assert!(from.bytes_sent >= 100_000, "{from:?}");
    assert!(to.bytes_received >= 100_000, "{to:?}");
    assert!(from.packets_sent >= 84 && to.packets_received >= 84);
    assert!(to.packets_sent > 0 && from.packets_received > 0, "SACKs");
    assert!(from.last_packet_sent.is_some() && to.last_packet_received.is_some());
}
