//! What the controllers, the pacer and the receive window make of a path.

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{ms, origin, seed_bytes};
use peerloom_sctp::sim::{Bottleneck, Duplex, Host, LinkConfig, Loss, Pair, Side};
use peerloom_sctp::{
    Association, Config, CongestionControl, Limits, OutgoingMessage, Ppid, Reliability, StreamId,
};

const CONTROLLERS: [CongestionControl; 3] = [
    CongestionControl::NewReno,
    CongestionControl::Cubic,
    CongestionControl::Bbr,
];
const SECOND: Duration = Duration::from_secs(1);

fn host(congestion_control: CongestionControl, rtt: Duration, seed: u64, now: Instant) -> Host {
    let config = Config {
        congestion_control,
        ..Config::webrtc()
    };
    let mut association = Association::new(config, Limits::default(), seed_bytes(seed), now);
    // As ICE does.
    association.suggest_rtt(rtt);
    Host::new(association)
}

fn pair(controller: CongestionControl, link: &LinkConfig, seed: u64) -> Pair {
    let now = origin();
    let rtt = link.delay * 2;
    let end = |salt| host(controller, rtt, seed * 2 + salt, now);
    let mut pair = Pair::new(end(0), end(1), Duplex::new(link, seed), now);
    pair.connect();
    assert!(pair.run_until_connected(60 * SECOND), "connects");
    pair
}

fn send(host: &mut Host, now: Instant, payload: &Bytes) {
    let message = OutgoingMessage {
        stream: StreamId(0),
        ppid: Ppid(53),
        payload: payload.clone(),
        ordered: true,
        reliability: Reliability::Reliable,
    };
    host.association
        .send(now, message)
        .expect("within the limits");
}

fn take(host: &mut Host) -> usize {
    host.messages.drain(..).map(|m| m.payload.len()).sum()
}

/// Always something to send for so long; what arrived, in bits a second.
fn bulk(pair: &mut Pair, time: Duration) -> f64 {
    let payload = Bytes::from(vec![0; 10_000]);
    let mut arrived = 0;
    pair.run_until(time, |pair| {
        let now = pair.now();
        while pair.a.association.total_buffered() < 500_000 {
            send(&mut pair.a, now, &payload);
        }
        arrived += take(&mut pair.b);
        false
    });
    arrived as f64 * 8.0 / time.as_secs_f64()
}

fn lossy(share: f64) -> LinkConfig {
    LinkConfig {
        rate: Some(100_000_000),
        queue: 500_000,
        loss: Loss::Random(share),
        ..LinkConfig::with_rtt(ms(40))
    }
}

/// 100 Mbit/s, RTT 40 ms: the default carries what the best of other stacks do, the model-based
/// controller ten times as much.
#[test]
fn random_loss_is_survived_by_some_and_ignored_by_others() {
    for (loss, mbps) in [(0.01, 3.4), (0.05, 1.4), (0.1, 1.1)] {
        let mut default = pair(CongestionControl::default(), &lossy(loss), 1);
        bulk(&mut default, 5 * SECOND);
        let rate = bulk(&mut default, 40 * SECOND) / 1e6;
        assert!(rate >= mbps, "{loss}: {rate}");
        let mut bbr = pair(CongestionControl::Bbr, &lossy(loss), 1);
        bulk(&mut bbr, 5 * SECOND);
        let rate = bulk(&mut bbr, 2 * SECOND) / 1e6;
        assert!(rate >= 10.0 * mbps, "{loss}: {rate}");
    }
}

/// What each of them gets of 10 Mbit/s in a minute, in Mbit/s.
fn share(controllers: &[CongestionControl]) -> Vec<f64> {
    let now = origin();
    let rtt = ms(40);
    let link = LinkConfig {
        rate: Some(10_000_000),
        queue: 50_000,
        ..LinkConfig::with_rtt(rtt)
    };
    let pairs = (0_u64..)
        .zip(controllers)
        .map(|(index, &c)| {
            (
                host(c, rtt, 2 * index, now),
                host(c, rtt, 2 * index + 1, now),
            )
        })
        .collect();
    let mut shared = Bottleneck::new(pairs, Duplex::new(&link, 1), now);
    for (a, _) in &mut shared.pairs {
        a.association.connect(now);
    }
    let payload = Bytes::from(vec![0; 10_000]);
    let mut arrived = vec![0; controllers.len()];
    shared.run_for(60 * SECOND, |shared| {
        let now = shared.now();
        for (index, (a, b)) in shared.pairs.iter_mut().enumerate() {
            while a.association.total_buffered() < 100_000 {
                send(a, now, &payload);
            }
            arrived[index] += take(b);
        }
    });
    arrived
        .into_iter()
        .map(|bytes| bytes as f64 * 8.0 / 60e6)
        .collect()
}

/// Connections of one kind share a link evenly: Jain's index is at least 0.95.
#[test]
fn connections_share_a_link() {
    for controller in CONTROLLERS {
        let rates = share(&[controller; 3]);
        let sum: f64 = rates.iter().sum();
        let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
        let jain = sum * sum / (3.0 * squares);
        assert!(jain >= 0.95 && sum > 8.5, "{controller:?}: {rates:?}");
    }
}

/// CUBIC beside RFC 9260: between half and twice its share.
#[test]
fn cubic_leaves_room_for_its_predecessor() {
    let rates = share(&[CongestionControl::Cubic, CongestionControl::NewReno]);
    let fair = (rates[0] + rates[1]) / 2.0;
    assert!((fair / 2.0..fair * 2.0).contains(&rates[0]), "{rates:?}");
}

/// A queue of eight packets is enough: what is paced does not come in bursts that overflow it.
#[test]
fn a_short_queue_is_enough() {
    let link = LinkConfig {
        rate: Some(20_000_000),
        queue_packets: 8,
        ..LinkConfig::with_rtt(ms(50))
    };
    for controller in [CongestionControl::Cubic, CongestionControl::Bbr] {
        let mut pair = pair(controller, &link, 1);
        bulk(&mut pair, 5 * SECOND);
        let before = pair.path.from(Side::A).stats();
        let rate = bulk(&mut pair, 10 * SECOND) / 1e6;
        let after = pair.path.from(Side::A).stats();
        let dropped = (after.overflowed - before.overflowed) as f64;
        assert!(rate > 16.0, "{controller:?}: {rate}");
        assert!(
            dropped < 0.01 * (after.sent - before.sent) as f64,
            "{controller:?}: {dropped}"
        );
    }
}

/// Requirements, "blackout": when the link is back and the layers below say so, all that waited
/// arrives in order, within a second and the time it takes to transfer.
#[test]
fn the_backlog_of_a_blackout_arrives() {
    for controller in CONTROLLERS {
        let link = LinkConfig {
            rate: Some(20_000_000),
            queue: 100_000,
            ..LinkConfig::with_rtt(ms(40))
        };
        let mut pair = pair(controller, &link, 1);
        bulk(&mut pair, 3 * SECOND);
        pair.path.set_down(true);
        pair.run_for(SECOND);
        take(&mut pair.b);
        let now = pair.now();
        for number in 0..250_u8 {
            send(&mut pair.a, now, &Bytes::from(vec![number; 10_000]));
        }
        pair.run_for(19 * SECOND);
        pair.path.set_down(false);
        let now = pair.now();
        pair.a.association.path_resumed(now);
        pair.b.association.path_resumed(now);
        let stats = pair.a.association.stats();
        let backlog = stats.unsent_bytes + stats.outstanding * 1132;
        let transfer = Duration::from_secs_f64(backlog as f64 * 8.0 / 20e6);
        let done = pair.run_until(SECOND + transfer, |pair| {
            let stats = pair.a.association.stats();
            stats.unsent_bytes == 0 && stats.outstanding == 0
        });
        assert!(done, "{controller:?}: {:?}", pair.a.association.stats());
        let numbers: Vec<u8> = pair.b.messages.iter().map(|m| m.payload[0]).collect();
        let last: Vec<u8> = (0..250).collect();
        assert!(numbers.ends_with(&last), "{controller:?}");
    }
}

/// Packets leave one after the other on a long path, and as the window allows on a short one.
#[test]
fn long_paths_are_paced() {
    for (rtt, paced) in [(ms(40), true), (ms(1), false)] {
        let mut pair = pair(CongestionControl::Cubic, &LinkConfig::with_rtt(rtt), 1);
        bulk(&mut pair, rtt * 6);
        let stats = pair.a.association.stats();
        assert_eq!(stats.pacing_rate > 0, paced, "{stats:?}");
        let payload = Bytes::from(vec![0; 200_000]);
        let now = pair.now();
        send(&mut pair.a, now, &payload);
        let mut largest = 0;
        let mut sent = stats.packets_sent;
        pair.run_until(rtt * 4, |pair| {
            let now_sent = pair.a.association.stats().packets_sent;
            largest = largest.max(now_sent - sent);
            sent = now_sent;
            false
        });
        // Two milliseconds' worth, one packet, and a SACK of its own.
        let burst = stats.pacing_rate as f64 * 0.002 / 1160.0 + 2.0;
        assert!(
            !paced || largest as f64 <= burst * 2.0,
            "{largest} of {burst}"
        );
    }
}

/// RFC 7661: what the application did not use says nothing about the path.
#[test]
fn an_application_that_sends_little_collects_no_window() {
    for controller in CONTROLLERS {
        let mut pair = pair(controller, &LinkConfig::with_rtt(ms(40)), 1);
        let payload = Bytes::from(vec![0; 2000]);
        for _ in 0..500 {
            let now = pair.now();
            send(&mut pair.a, now, &payload);
            pair.run_for(ms(10));
        }
        let cwnd = pair.a.association.stats().cwnd;
        assert!(cwnd <= 60_000, "{controller:?}: {cwnd}");
    }
}

/// RFC 9260 §7.2.1: a window from before a long silence is not used at once.
#[test]
fn silence_shrinks_the_window() {
    let mut pair = pair(CongestionControl::Cubic, &LinkConfig::with_rtt(ms(40)), 1);
    bulk(&mut pair, ms(400));
    assert!(
        pair.run_until(5 * SECOND, |pair| pair.a.association.stats().outstanding
            == 0)
    );
    let before = pair.a.association.stats().cwnd;
    pair.run_for(10 * SECOND);
    let now = pair.now();
    send(&mut pair.a, now, &Bytes::from(vec![0; 100]));
    pair.run_for(ms(1));
    let after = pair.a.association.stats().cwnd;
    assert!(before > 100_000 && after <= 12_000, "{before} {after}");
}

/// RFC 9438 §4.9, RFC 4015: a path that held everything back for half a second lost nothing, and the
/// window is what it was.
#[test]
fn a_delay_is_no_loss() {
    let link = LinkConfig {
        rate: Some(20_000_000),
        ..LinkConfig::with_rtt(ms(40))
    };
    let mut pair = pair(CongestionControl::Cubic, &link, 1);
    bulk(&mut pair, ms(600));
    assert!(
        pair.run_until(5 * SECOND, |pair| pair.a.association.stats().outstanding
            == 0)
    );
    let before = pair.a.association.stats();
    let mut slow = link.clone();
    slow.delay = ms(500);
    pair.path.from_mut(Side::A).set_config(slow);
    let now = pair.now();
    send(&mut pair.a, now, &Bytes::from(vec![0; 20_000]));
    pair.run_for(ms(10));
    pair.path.from_mut(Side::A).set_config(link);
    assert!(
        pair.run_until(5 * SECOND, |pair| pair.a.association.stats().outstanding
            == 0)
    );
    // The report of what came twice is in the SACK for what comes next.
    for _ in 0..3 {
        let now = pair.now();
        send(&mut pair.a, now, &Bytes::from(vec![0; 3000]));
        pair.run_for(ms(100));
    }
    let after = pair.a.association.stats();
    assert!(after.retransmits.total() > 0, "{after:?}");
    assert!(after.retransmits.spurious > 0, "{after:?}");
    assert!(after.cwnd >= before.cwnd, "{} {}", before.cwnd, after.cwnd);
}

/// The receive window grows where it is what limits, up to its own limit, and nowhere else.
#[test]
fn the_receive_window_grows_with_the_path() {
    let fast = LinkConfig {
        rate: Some(300_000_000),
        queue: 4_000_000,
        ..LinkConfig::with_rtt(ms(200))
    };
    let run = |link: &LinkConfig, limit: Option<usize>| {
        let now = origin();
        let end = |salt| {
            let mut config = Config::webrtc();
            config.initial_receive_window = 1 << 20;
            config.receive_window = limit.unwrap_or(config.receive_window);
            let mut association =
                Association::new(config, Limits::default(), seed_bytes(salt), now);
            association.suggest_rtt(link.delay * 2);
            Host::new(association)
        };
        let mut pair = Pair::new(end(1), end(2), Duplex::new(link, 1), now);
        pair.connect();
        assert!(pair.run_until_connected(SECOND));
        bulk(&mut pair, 3 * SECOND);
        pair.b.association.stats().receive_window
    };
    let grown = run(&fast, None);
    assert!(grown > 6 << 20, "{grown}");
    assert_eq!(run(&fast, Some(2 << 20)), 2 << 20);
    assert_eq!(
        run(&fast, Some(500_000)),
        500_000,
        "the limit, if that is less than the start"
    );
    let slow = LinkConfig {
        rate: Some(10_000_000),
        ..LinkConfig::with_rtt(ms(40))
    };
    assert_eq!(run(&slow, None), 1 << 20);
}
