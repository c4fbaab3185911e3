//! A thousand bad links: every reliable message arrives once, whole and in order.
//!
//! A failure prints its seed; `SCTP_SEED=n cargo test -p peerloom-sctp --test seeds` runs that one
//! alone, `SCTP_SEEDS=from..to` a range.

mod common;

use std::time::Duration;

use common::{End, Pair, origin, payload};
use peerloom_sctp::sim::{LinkConfig, Side};
use peerloom_sctp::{Config, CongestionControl, Reliability, StreamId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What one side sends: reliable messages on a few streams, ordered and not, and some that may be
/// given up in between, which must not disturb the others.
struct Plan {
    ordered: Vec<Vec<(u64, usize)>>,
    unordered: Vec<(u64, usize)>,
}

const CONTROLLERS: [CongestionControl; 3] = [
    CongestionControl::NewReno,
    CongestionControl::Cubic,
    CongestionControl::Bbr,
];
const STREAMS: usize = 3;
const UNORDERED: u16 = 100;
const FRAGILE: u16 = 101;

fn send(rng: &mut StdRng, end: &mut End, now: std::time::Instant) -> Plan {
    let mut plan = Plan {
        ordered: vec![Vec::new(); STREAMS],
        unordered: Vec::new(),
    };
    let count = rng.random_range(10..40);
    for tag in 0..count {
        let len = match rng.random_range(0..4) {
            0 => rng.random_range(1..100),
            1 => rng.random_range(100..1500),
            2 => rng.random_range(1500..5000),
            _ => rng.random_range(1..12_000),
        };
        match rng.random_range(0..6) {
            0 => {
                plan.unordered.push((tag, len));
                end.send_with(
                    now,
                    UNORDERED,
                    payload(tag, len),
                    false,
                    Reliability::Reliable,
                );
            }
            1 => {
                let reliability = if rng.random_bool(0.5) {
                    Reliability::MaxRetransmits(rng.random_range(0..2))
                } else {
                    Reliability::MaxLifetime(Duration::from_millis(rng.random_range(0..300)))
                };
                let ordered = rng.random_bool(0.5);
                end.send_with(now, FRAGILE, payload(tag, len), ordered, reliability);
            }
            _ => {
                let stream = rng.random_range(0..STREAMS);
                plan.ordered[stream].push((tag, len));
                end.send_with(
                    now,
                    stream as u16,
                    payload(tag, len),
                    true,
                    Reliability::Reliable,
                );
            }
        }
    }
    plan
}

fn check(plan: &Plan, end: &End, seed: u64) {
    let on = |stream: u16| {
        end.messages
            .iter()
            .filter(move |m| m.stream == StreamId(stream))
    };
    for (stream, sent) in plan.ordered.iter().enumerate() {
        let got: Vec<_> = on(stream as u16).map(|m| m.payload.clone()).collect();
        let sent: Vec<_> = sent.iter().map(|&(tag, len)| payload(tag, len)).collect();
        assert!(got == sent, "seed {seed}: stream {stream}");
    }
    let mut got: Vec<_> = on(UNORDERED).map(|m| m.payload.clone()).collect();
    let mut sent: Vec<_> = plan
        .unordered
        .iter()
        .map(|&(tag, len)| payload(tag, len))
        .collect();
    got.sort();
    sent.sort();
    assert!(got == sent, "seed {seed}: unordered");
    assert!(
        on(FRAGILE).all(|m| m.payload == payload(find_tag(&m.payload), m.payload.len())),
        "seed {seed}: a message that may be lost may not be damaged"
    );
}

/// [`payload`] begins with 31 × its tag.
fn find_tag(bytes: &[u8]) -> u64 {
    (0..256)
        .find(|tag| (tag * 31) as u8 == bytes[0])
        .expect("31 is odd")
}

#[expect(clippy::print_stdout, reason = "a failure says how to repeat it")]
fn run(seed: u64) {
    let result = std::panic::catch_unwind(|| {
        let mut rng = StdRng::seed_from_u64(seed);
        // I-DATA, which both ends have to want, on most links.
        let mut config = |chance| Config {
            interleaving: rng.random_bool(chance),
            congestion_control: CONTROLLERS[rng.random_range(0..CONTROLLERS.len())],
            ..Config::webrtc()
        };
        let now = origin();
        let a = End::new(config(0.9), seed * 2, now);
        let b = End::new(config(0.8), seed * 2 + 1, now);
        let mut pair = Pair::of(a, b, now, &LinkConfig::adverse(seed), seed);
        pair.a.association.connect(pair.now);
        if rng.random_bool(0.8) {
            pair.b.association.connect(pair.now);
        }
        let from_a = send(&mut rng, pair.end(Side::A), now);
        let from_b = send(&mut rng, pair.end(Side::B), now);
        // A burst of losses is counted in datagrams, and few are sent while it lasts.
        let done = pair.run_until(Duration::from_secs(3600), |p| {
            [&p.a, &p.b].iter().all(|end| {
                let stats = end.association.stats();
                stats.unsent_bytes == 0 && stats.outstanding == 0 && stats.data_sent > 0
            })
        });
        assert!(
            done,
            "seed {seed}: no progress: {:#?} {:#?}",
            pair.a.association, pair.b.association
        );
        check(&from_a, &pair.b, seed);
        check(&from_b, &pair.a, seed);
        for end in [&pair.a, &pair.b] {
            assert_eq!(
                end.association.stats().receive_buffered,
                0,
                "seed {seed}: nothing is left behind"
            );
        }
        pair.elapsed()
    });
    if let Err(panic) = result {
        println!("replay: SCTP_SEED={seed} cargo test -p peerloom-sctp --test seeds");
        std::panic::resume_unwind(panic);
    }
}

/// The promise of a reliable channel on up to 30 % loss with duplication, reordering and
/// corruption.
#[test]
fn reliable_messages_survive_a_thousand_links() {
    let number = |text: &str| text.parse().expect("a number");
    if let Ok(seed) = std::env::var("SCTP_SEED") {
        return run(number(&seed));
    }
    let range = std::env::var("SCTP_SEEDS").ok().map_or(0..1000, |range| {
        let (from, to) = range.split_once("..").expect("from..to");
        number(from)..number(to)
    });
    range.for_each(run);
}
