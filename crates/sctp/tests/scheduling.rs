//! Stream schedulers (RFC 8260 §3) on a link that is full, and what a small message waits for.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{End, Pair, ms, origin, payload};
use peerloom_sctp::sim::{LinkConfig, Loss, Side};
use peerloom_sctp::wire::Chunk;
use peerloom_sctp::{Config, Packet, Scheduler, StreamId};

/// A slow access line: 20 Mbit/s and a drop-tail queue of eight full packets.
fn line(rtt: u64) -> LinkConfig {
    LinkConfig {
        rate: Some(20_000_000),
        queue: 8 * (1160 + 28),
        ..LinkConfig::with_rtt(ms(rtt))
    }
}

fn pair(config: Config, link: &LinkConfig) -> Pair {
    let now = origin();
    let (a, b) = (End::new(config.clone(), 1, now), End::new(config, 2, now));
    let mut pair = Pair::of(a, b, now, link, 1);
    pair.connect();
    pair
}

fn config(scheduler: Scheduler, interleaving: bool) -> Config {
    Config {
        scheduler,
        interleaving,
        ..Config::webrtc()
    }
}

/// Keeps streams busy with messages of `len` bytes for a while, and returns how many bytes of each
/// arrived.
fn saturate(pair: &mut Pair, streams: &[u16], len: usize, time: Duration) -> Vec<usize> {
    let mut got = vec![0; streams.len()];
    let message = payload(0, len);
    pair.run_until(time, |pair| {
        for &stream in streams {
            while pair.a.association.buffered_amount(StreamId(stream)) < 2 * len {
                pair.a.send(pair.now, stream, message.clone());
            }
        }
        for message in pair.b.messages.drain(..) {
            if let Some(place) = streams
                .iter()
                .position(|&id| message.stream == StreamId(id))
            {
                got[place] += message.payload.len();
            }
        }
        false
    });
    got
}

/// In percent.
fn shares(got: &[usize]) -> Vec<f64> {
    let sum = got.iter().sum::<usize>() as f64;
    got.iter()
        .map(|&bytes| bytes as f64 / sum * 100.0)
        .collect()
}

fn assert_shares(got: &[usize], ideal: &[f64]) {
    let shares = shares(got);
    for (share, ideal) in shares.iter().zip(ideal) {
        assert!((share - ideal).abs() <= 3.0, "{shares:?}, not {ideal:?}");
    }
}

/// Weights of 4, 2 and 1 share a full link as 57, 29 and 14 %, whether fragments or messages take
/// turns, and without losing any of it.
#[test]
fn weighted_fair() {
    for interleaving in [true, false] {
        let mut pair = pair(config(Scheduler::WeightedFair, interleaving), &line(50));
        for (stream, priority) in [(1, 1024), (2, 512), (3, 256)] {
            pair.a.association.set_priority(StreamId(stream), priority);
        }
        let got = saturate(&mut pair, &[1, 2, 3], 16 << 10, Duration::from_secs(10));
        assert_shares(&got, &[57.1, 28.6, 14.3]);
    }
}

#[test]
fn round_robin() {
    for interleaving in [true, false] {
        let mut pair = pair(config(Scheduler::RoundRobin, interleaving), &line(50));
        // A priority is no weight here.
        pair.a.association.set_priority(StreamId(1), 1024);
        let got = saturate(&mut pair, &[1, 2, 3], 16 << 10, Duration::from_secs(10));
        assert_shares(&got, &[33.3, 33.3, 33.3]);
    }
}

/// While the higher class has data the lower one does not move at all; then it does.
#[test]
fn strict_priority() {
    for interleaving in [true, false] {
        let mut pair = pair(config(Scheduler::StrictPriority, interleaving), &line(50));
        pair.a.association.set_priority(StreamId(2), 512);
        for _ in 0..4 {
            pair.a.send(pair.now, 2, payload(0, 16 << 10));
        }
        let got = saturate(&mut pair, &[1, 2], 16 << 10, Duration::from_secs(10));
        assert_eq!(got[0], 0);
        assert!(got[1] > 10_000_000, "{got:?}");
        let got = saturate(&mut pair, &[1], 16 << 10, Duration::from_secs(2));
        assert!(got[0] > 2_000_000, "{got:?}");
    }
}

/// A priority that changes shows at the other end within a round trip.
#[test]
fn a_priority_takes_effect_within_a_round_trip() {
    for scheduler in [Scheduler::WeightedFair, Scheduler::StrictPriority] {
        let mut pair = pair(config(scheduler, true), &line(50));
        pair.a.association.set_priority(StreamId(1), 4096);
        saturate(&mut pair, &[1, 2], 4 << 10, Duration::from_secs(5));
        pair.a.association.set_priority(StreamId(2), 4096 * 4);
        saturate(&mut pair, &[1, 2], 4 << 10, ms(50));
        let got = saturate(&mut pair, &[1, 2], 4 << 10, ms(500));
        let strict = scheduler == Scheduler::StrictPriority;
        let lower = if strict { 0.0 } else { 20.0 };
        assert_shares(&got, &[lower, 100.0 - lower]);
    }
}

/// The messages of one stream are of one size, others of another: shares are of bytes.
#[test]
fn shares_are_of_bytes_whatever_the_sizes() {
    let mut pair = pair(config(Scheduler::WeightedFair, true), &line(50));
    let small = payload(1, 200);
    let mut got = [0, 0];
    pair.run_until(Duration::from_secs(10), |pair| {
        while pair.a.association.buffered_amount(StreamId(1)) < 20_000 {
            pair.a.send(pair.now, 1, small.clone());
        }
        while pair.a.association.buffered_amount(StreamId(2)) < 300_000 {
            pair.a.send(pair.now, 2, payload(2, 100_000));
        }
        for message in pair.b.messages.drain(..) {
            got[usize::from(message.stream.0) - 1] += message.payload.len();
        }
        false
    });
    assert_shares(&got, &[50.0, 50.0]);
}

const BULK: u16 = 1;
const CONTROL: u16 = 2;

/// What became of control messages beside bulk ones.
struct Latency {
    /// Of each control message, sorted.
    times: Vec<Duration>,
    /// Control messages sent while a bulk message was being sent that arrived after it.
    behind: usize,
    bulk_bytes: usize,
}

impl Latency {
    fn percentile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() - 1) * percent / 100]
    }
}

/// 64 bytes every 10 ms for `seconds`, beside 256 KiB back to back on each of some streams, once the
/// start is over.
fn latency(config: Config, link: &LinkConfig, bulk: &[u16], seconds: u64) -> Latency {
    let mut pair = pair(config, link);
    saturate(&mut pair, bulk, 256 << 10, Duration::from_secs(3));
    pair.record();
    let (mut sent, mut arrived) = (Vec::new(), BTreeMap::new());
    let mut completed = BTreeMap::new();
    let mut bulk_bytes = 0;
    let refill = |pair: &mut Pair| {
        for &stream in bulk {
            while pair.a.association.buffered_amount(StreamId(stream)) < 512 << 10 {
                pair.a.send(pair.now, stream, payload(0, 256 << 10));
            }
        }
    };
    for index in 0..seconds * 100 + 200 {
        if index < seconds * 100 {
            let mut message = vec![0; 64];
            message[..8].copy_from_slice(&index.to_be_bytes());
            pair.a.send(pair.now, CONTROL, message);
            sent.push(pair.elapsed());
        }
        pair.run_until(ms(10), |pair| {
            refill(pair);
            let at = pair.elapsed();
            for message in pair.b.messages.drain(..) {
                if message.stream == StreamId(CONTROL) {
                    let index = u64::from_be_bytes(message.payload[..8].try_into().expect("eight"));
                    arrived.insert(index, at);
                } else {
                    bulk_bytes += message.payload.len();
                    completed
                        .entry(message.stream)
                        .or_insert_with(Vec::new)
                        .push(at);
                }
            }
            false
        });
    }
    assert_eq!(arrived.len(), sent.len());
    // When each bulk message was being sent: the first and the last fragment's first transmission.
    let mut sending: BTreeMap<(StreamId, u32), (Duration, Duration)> = BTreeMap::new();
    for (at, side, bytes) in pair.log.take().expect("recorded") {
        for chunk in Packet::decode(&bytes).expect("our own").chunks {
            let (Side::A, Chunk::IData(data)) = (side, chunk) else {
                continue;
            };
            let entry = sending.entry((data.stream, data.mid.0)).or_insert((at, at));
            entry.1 = entry.1.max(at);
        }
    }
    // The first MID in the record is that of the message that was under way when it began.
    let behind = sent
        .iter()
        .zip(arrived.values())
        .filter(|&(&sent, &arrived)| {
            bulk.iter().any(|&stream| {
                let messages = sending.range((StreamId(stream), 0)..=(StreamId(stream), u32::MAX));
                let done = completed.get(&StreamId(stream));
                messages
                    .zip(done.into_iter().flatten())
                    .any(|((_, &(first, last)), &done)| {
                        first <= sent && sent < last && done < arrived
                    })
            })
        });
    let behind = behind.count();
    let mut times: Vec<_> = sent
        .iter()
        .zip(arrived.values())
        .map(|(&sent, &at)| at - sent)
        .collect();
    times.sort_unstable();
    Latency {
        times,
        behind,
        bulk_bytes,
    }
}

/// Head-of-line blocking, the standing complaint about data channels: beside bulk a control message
/// takes what it takes alone, and the queue of eight packets.
#[test]
fn control_is_not_delayed_by_bulk() {
    let link = line(50);
    let config = Config::webrtc();
    let base = latency(config.clone(), &link, &[], 10).percentile(50);
    let beside = latency(config, &link, &[BULK], 30);
    let (p95, p99) = (beside.percentile(95), beside.percentile(99));
    println!(
        "base {base:?}, p50 {:?}, p95 {p95:?}, p99 {p99:?}, behind {}, bulk {} MB/s",
        beside.percentile(50),
        beside.behind,
        beside.bulk_bytes as f64 / 32e6
    );
    assert!(p95 <= base + ms(5), "p95 {p95:?}, base {base:?}");
    assert!(p99 <= base + ms(10), "p99 {p99:?}, base {base:?}");
    assert_eq!(beside.behind, 0);
}

/// With losses a control message waits for its own retransmission, and bulk goes on as without it.
#[test]
fn control_at_one_percent_loss() {
    let link = LinkConfig {
        loss: Loss::Random(0.01),
        ..line(50)
    };
    let config = Config::webrtc();
    let base = latency(config.clone(), &line(50), &[], 10).percentile(50);
    let beside = latency(config.clone(), &link, &[BULK], 30);
    let p95 = beside.percentile(95);
    let mut alone = pair(config, &link);
    saturate(&mut alone, &[BULK], 256 << 10, Duration::from_secs(3));
    let alone = saturate(&mut alone, &[BULK], 256 << 10, Duration::from_secs(32))[0];
    println!(
        "base {base:?}, p95 {p95:?}, bulk {} of {alone}",
        beside.bulk_bytes
    );
    assert!(p95 <= base + ms(50) + ms(10), "p95 {p95:?}, base {base:?}");
    assert!(
        beside.bulk_bytes * 10 >= alone * 9,
        "{} of {alone}",
        beside.bulk_bytes
    );
}

/// Without I-DATA a message is begun and ended before another one: a small one waits for the rest of
/// one large one, however many others have large ones.
#[test]
fn without_interleaving_at_most_the_rest_of_one_message() {
    let mut pair = pair(config(Scheduler::WeightedFair, false), &line(50));
    let streams = [3, 4, 5];
    saturate(&mut pair, &streams, 256 << 10, Duration::from_secs(2));
    for _ in 0..50 {
        pair.record();
        pair.a.send(pair.now, CONTROL, payload(1, 64));
        let mut left = 0;
        pair.run_until(Duration::from_secs(5), |pair| {
            for &stream in &streams {
                while pair.a.association.buffered_amount(StreamId(stream)) < 512 << 10 {
                    pair.a.send(pair.now, stream, payload(0, 256 << 10));
                }
            }
            left += pair
                .b
                .messages
                .iter()
                .filter(|m| m.stream == StreamId(CONTROL))
                .count();
            pair.b.messages.clear();
            left > 0
        });
        assert_eq!(left, 1);
        let mut before = Vec::new();
        'log: for (_, side, bytes) in pair.log.take().expect("recorded") {
            for chunk in Packet::decode(&bytes).expect("our own").chunks {
                let (Side::A, Chunk::Data(data)) = (side, chunk) else {
                    continue;
                };
                if data.stream == StreamId(CONTROL) {
                    break 'log;
                }
                before.push((data.tsn.0, data.flags.is_begin()));
            }
        }
        // Retransmissions aside: what came before it begins no message.
        before.sort_unstable();
        before.dedup();
        assert!(before.iter().all(|(_, begin)| !begin), "{before:?}");
    }
}
