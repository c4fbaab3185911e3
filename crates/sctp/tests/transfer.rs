//! Data in both directions over links that lose nothing.

mod common;

use std::time::Duration;

use common::{Pair, ms, payload};
use peerloom_sctp::sim::LinkConfig;
use peerloom_sctp::{Ppid, StreamId};

fn rtt40() -> LinkConfig {
    LinkConfig::with_rtt(ms(40))
}

/// The least the crate is for: messages of every size arrive once, whole and in order, both ways.
#[test]
fn messages_arrive_both_ways() {
    let mut pair = Pair::connected(&rtt40(), 1);
    let sizes = [
        1, 2, 3, 4, 63, 64, 1000, 1131, 1132, 1133, 1144, 1145, 4000, 65_535, 262_144,
    ];
    for (index, &len) in sizes.iter().enumerate() {
        let now = pair.now;
        pair.a.send(now, 7, payload(index as u64, len));
        pair.b.send(now, 9, payload(index as u64 + 100, len));
    }
    assert!(pair.run_until(Duration::from_secs(20), |p| {
        p.a.messages.len() == sizes.len() && p.b.messages.len() == sizes.len()
    }));
    for (index, &len) in sizes.iter().enumerate() {
        let (to_a, to_b) = (&pair.a.messages[index], &pair.b.messages[index]);
        assert_eq!(
            (to_b.stream, to_b.ppid, to_b.ordered),
            (StreamId(7), Ppid(51), true)
        );
        assert_eq!(to_b.payload, payload(index as u64, len));
        assert_eq!(to_a.payload, payload(index as u64 + 100, len));
    }
    pair.run_to_idle();
    let stats = pair.a.association.stats();
    assert_eq!(stats.retransmits.total(), 0, "{stats:?}");
    assert_eq!(
        (stats.bytes_in_flight, stats.unsent_bytes, stats.outstanding),
        (0, 0, 0)
    );
}
