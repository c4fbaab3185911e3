//! Loss, reordering and silence: what is sent again, when, and how often.

mod common;

use std::time::Duration;

use common::{End, Pair, ms, origin, payload, user_data};
use peerloom_sctp::sim::{LinkConfig, Loss, Reorder, Side};
use peerloom_sctp::{Config, CongestionControl, Event, Packet, Reliability, State};

const CONTROLLERS: [CongestionControl; 3] = [
    CongestionControl::NewReno,
    CongestionControl::Cubic,
    CongestionControl::Bbr,
];

fn rtt40() -> LinkConfig {
    LinkConfig::with_rtt(ms(40))
}

/// TSNs of user data in a recorded packet.
fn tsns(bytes: &[u8]) -> Vec<u32> {
    let packet = Packet::decode(bytes).expect("our own");
    let chunks = packet.chunks.iter().filter_map(user_data);
    chunks.map(|(tsn, ..)| tsn.0).collect()
}

/// A connected pair with a measured round trip and an open window.
fn warm() -> Pair {
    let mut pair = Pair::connected(&rtt40(), 1);
    pair.a.send(pair.now, 1, payload(0, 200_000));
    pair.run_to_idle();
    pair.run_for(ms(300));
    pair.a.messages.clear();
    pair.b.messages.clear();
    pair
}

/// Sends `len` bytes of which the packets of `lost` (counted from 0) vanish; how long after the
/// first packet they are all delivered, and how many DATA chunks were sent again.
fn repair(len: usize, lost: impl Fn(usize) -> bool) -> (Duration, u64) {
    let mut pair = warm();
    let before = pair.a.association.stats().retransmits.total();
    let now = pair.now;
    pair.a.send(now, 1, payload(1, len));
    for (index, packet) in pair.a.transmit(now).iter().enumerate() {
        if !lost(index) {
            pair.link.send(now, Side::A, packet);
        }
    }
    assert!(pair.run_until(Duration::from_secs(5), |p| p.b.messages.len() == 1));
    let took = pair.now - now;
    pair.run_to_idle();
    (
        took,
        pair.a.association.stats().retransmits.total() - before,
    )
}

/// RFC 9260 §7.2.4: a hole in the middle is filled after one round trip, before any timer.
#[test]
fn a_hole_is_repaired_after_one_round_trip() {
    let (took, again) = repair(11_000, |index| index == 3);
    assert!(took <= ms(20 + 40 + 10) && again == 1, "{took:?} {again}");
}

/// Requirements, "tail loss": the probe leaves within 2 × SRTT + 50 ms, all is repaired within
/// 4 × RTT + 50 ms, by the probe and RACK, not by T3.
#[test]
fn a_lost_tail_is_repaired_by_a_probe() {
    for first_lost in 0..10 {
        let (took, again) = repair(11_000, |index| index >= first_lost);
        assert!(took <= ms(4 * 40 + 50), "from {first_lost}: {took:?}");
        assert!(again <= 11, "from {first_lost}: {again}");
    }
}

/// The probe's moment.
#[test]
fn the_probe_leaves_in_time() {
    let mut pair = warm();
    let now = pair.now;
    pair.a.send(now, 1, payload(1, 500));
    let lost = pair.a.transmit(now);
    assert_eq!(lost.len(), 1);
    pair.record();
    assert!(pair.run_until(
        Duration::from_secs(5),
        |p| p.a.association.stats().retransmits.probe > 0
    ));
    let left = pair.now - now;
    assert!(ms(80) <= left && left <= ms(2 * 40 + 50), "{left:?}");
    pair.run_to_idle();
    assert_eq!(pair.a.association.stats().retransmits.timeout, 0);
}

/// RFC 8985 §7.3: a probe carries new data if there is some.
#[test]
fn a_probe_prefers_new_data() {
    let mut pair = warm();
    let now = pair.now;
    pair.a.send(now, 1, payload(1, 500));
    let sent = pair.a.transmit(now);
    pair.record();
    pair.run_until(ms(70), |_| false);
    pair.a.send(pair.now, 1, payload(2, 500));
    assert_eq!(
        pair.a.transmit(pair.now).len(),
        1,
        "the window is open, it leaves at once"
    );
    let _ = sent;
    assert!(pair.run_until(Duration::from_secs(1), |p| p.b.messages.len() == 2));
    assert_eq!(pair.a.association.stats().retransmits.timeout, 0);
}

/// Requirements: spurious retransmissions under reordering are at most 1 % of 20,000 packets.
#[test]
fn reordering_is_not_loss() {
    let mut worst = 0.0_f64;
    for seed in 0..4 {
        let reorder = Reorder {
            probability: 0.25,
            depth: 50,
            ..Reorder::default()
        };
        let link = LinkConfig {
            reorder: Some(reorder),
            ..rtt40()
        };
        let config = Config {
            receive_window: 512 << 10,
            ..Config::default()
        };
        let mut pair = Pair::with_config(config, &link, seed);
        pair.connect();
        for tag in 0..450 {
            pair.a.send(pair.now, 1, payload(tag, 50_000));
        }
        assert!(pair.run_until(Duration::from_secs(600), |p| p.b.messages.len() == 450));
        let stats = pair.a.association.stats();
        assert!(stats.packets_sent >= 19_800, "{}", stats.packets_sent);
        let share = stats.retransmits.total() as f64 / stats.data_sent as f64;
        println!(
            "seed {seed}: {share} {:?} in {:?}, cwnd {}",
            stats.retransmits,
            pair.elapsed(),
            stats.cwnd
        );
        worst = worst.max(share);
    }
    assert!(worst <= 0.01, "{worst}");
}

/// Loss costs only what was lost: with random loss, few chunks are sent again in vain.
#[test]
fn random_loss_is_repaired_without_waste() {
    let link = LinkConfig {
        loss: Loss::Random(0.02),
        rate: Some(20_000_000),
        ..rtt40()
    };
    let mut pair = Pair::connected(&link, 7);
    for tag in 0..200 {
        pair.a.send(pair.now, 1, payload(tag, 50_000));
    }
    assert!(pair.run_until(Duration::from_secs(600), |p| p.b.messages.len() == 200));
    let stats = pair.a.association.stats();
    let lost = pair.link.from(Side::A).stats();
    println!("{:?} in {:?}; {lost:?}", stats.retransmits, pair.elapsed());
    assert!(
        stats.retransmits.spurious * 100 <= stats.data_sent,
        "{:?}",
        stats.retransmits
    );
    assert_eq!(stats.retransmits.timeout, 0, "{:?}", stats.retransmits);
}

/// §6.3.3 E2: T3-rtx doubles up to its cap, and nothing but it sends during a blackout.
#[test]
fn t3_backs_off_up_to_its_cap() {
    let mut pair = Pair::with_config(Config::webrtc(), &rtt40(), 1);
    pair.connect();
    pair.a.send(pair.now, 1, payload(0, 100));
    pair.run_to_idle();
    pair.link.set_down(true);
    pair.record();
    let start = pair.now - pair.start;
    pair.a.send(pair.now, 1, payload(1, 100));
    pair.run_for(Duration::from_secs(20));
    let log = pair.log.take().unwrap();
    let moments: Vec<_> = log
        .iter()
        .filter(|(_, side, bytes)| *side == Side::A && !tsns(bytes).is_empty())
        .map(|(at, ..)| *at - start)
        .collect();
    let gaps: Vec<_> = moments.windows(2).map(|w| w[1] - w[0]).collect();
    // The probe, then RTO, 2 × RTO and so on, at most two seconds.
    assert!(gaps[0] <= ms(130), "{gaps:?}");
    assert_eq!(gaps[1], ms(400), "{gaps:?}");
    assert_eq!(gaps[2], ms(800), "{gaps:?}");
    assert!(gaps[4..].iter().all(|&gap| gap == ms(2000)), "{gaps:?}");
    assert_eq!(
        pair.a.association.state(),
        State::Established,
        "no counter ends it"
    );
}

/// §8.1: on its own, an association gives up after Association.Max.Retrans.
#[test]
fn without_an_answer_an_association_ends() {
    let mut pair = Pair::connected(&rtt40(), 1);
    pair.link.set_down(true);
    pair.a.send(pair.now, 1, payload(1, 100));
    pair.run_for(Duration::from_secs(600));
    assert!(
        pair.a.has_event(|e| matches!(
            e,
            Event::Closed(peerloom_sctp::CloseReason::RetransmissionTimeout { .. })
        )),
        "{:?}",
        pair.a.events
    );
}

/// Requirements, "blackout": everything that waits leaves as soon as the path is known to be back.
#[test]
fn the_backlog_leaves_at_once_when_the_path_is_back() {
    for seconds in [5, 25] {
        let mut pair = Pair::with_config(Config::webrtc(), &rtt40(), 1);
        pair.connect();
        pair.a.send(pair.now, 1, payload(0, 100_000));
        pair.run_to_idle();
        pair.b.messages.clear();
        pair.link.set_down(true);
        for tag in 0..10 {
            pair.a.send(pair.now, 1, payload(tag, 20_000));
        }
        pair.run_for(Duration::from_secs(seconds));
        pair.link.set_down(false);
        let now = pair.now;
        pair.a.association.path_resumed(now);
        pair.b.association.path_resumed(now);
        assert!(
            pair.run_until(ms(100), |p| !p.b.messages.is_empty()),
            "after {seconds} s"
        );
        assert!(
            pair.run_until(ms(700), |p| p.b.messages.len() == 10),
            "after {seconds} s"
        );
    }
}

/// A resumed path with nothing missing is no reason to send anything.
#[test]
fn an_idle_path_resumes_silently() {
    let mut pair = warm();
    pair.record();
    pair.a.association.path_resumed(pair.now);
    pair.transmit();
    assert_eq!(pair.log.as_ref().map(Vec::len), Some(0));
}

/// The channel that never sends again recovers after a loss: what was given up is skipped.
#[test]
fn unordered_without_retransmissions_goes_on_after_loss() {
    let link = LinkConfig {
        loss: Loss::Random(0.1),
        rate: Some(50_000_000),
        ..rtt40()
    };
    let mut pair = Pair::connected(&link, 3);
    let mut sent = 0_u64;
    while sent < 3000 {
        for _ in 0..20 {
            pair.a.send_with(
                pair.now,
                1,
                payload(sent, 1000),
                false,
                Reliability::MaxRetransmits(0),
            );
            sent += 1;
        }
        pair.run_for(ms(10));
    }
    pair.run_to_idle();
    let stats = pair.a.association.stats();
    let share = pair.b.messages.len() as f64 / sent as f64;
    println!("{share} {stats:?}");
    assert_eq!(stats.retransmits.total(), 0);
    assert!((0.85..0.95).contains(&share), "{share}");
    // One that was given up may have arrived all the same.
    assert!(stats.messages_abandoned as usize + pair.b.messages.len() >= sent as usize);
}

/// RFC 9260 §6.1 rule B and the design: the first flight is ten packets, and all leave at once.
#[test]
fn the_initial_window_is_ten_packets() {
    let now = origin();
    let config = Config::default();
    let (a, b) = (End::new(config.clone(), 1, now), End::new(config, 2, now));
    let mut pair = Pair::of(a, b, now, &rtt40(), 1);
    pair.connect();
    pair.run_for(ms(100));
    pair.a.send(pair.now, 1, payload(1, 100_000));
    let packets = pair.a.transmit(pair.now);
    assert_eq!(packets.len(), 10);
    // One run of equal segments.
    assert!(packets.iter().all(|p| p.len() == 1160));
    let last = Packet::decode(&packets[9]).unwrap();
    let (_, flags, _) = last.chunks.last().and_then(user_data).unwrap();
    assert!(flags.is_immediate(), "RFC 7053: the window closes with it");
    let first = Packet::decode(&packets[0]).unwrap();
    let (_, flags, _) = first.chunks.last().and_then(user_data).unwrap();
    assert!(!flags.is_immediate());
}

/// DATA that left with a lost COOKIE-ECHO leaves with the next one, and the wait for that is no
/// sign of congestion.
#[test]
fn a_lost_cookie_echo_takes_its_data_along() {
    let mut pair = Pair::new(&rtt40(), 1);
    pair.a.send(pair.now, 1, payload(1, 5000));
    pair.a.association.connect(pair.now);
    pair.run_for(ms(39));
    pair.now += ms(1);
    let now = pair.now;
    let init_ack = pair.link.receive(now, Side::A).expect("INIT-ACK");
    pair.a.receive(now, &init_ack);
    assert_eq!(pair.a.transmit(now).len(), 1, "COOKIE-ECHO and DATA, lost");
    assert!(pair.run_until(Duration::from_secs(5), |p| p.b.messages.len() == 1));
    pair.run_to_idle();
    let stats = pair.a.association.stats();
    assert!(stats.cwnd >= 10 * 1148, "{}", stats.cwnd);
}

/// Smaller packets from now on; what is sent again keeps its boundaries.
#[test]
fn packets_can_become_smaller() {
    let mut pair = warm();
    let now = pair.now;
    pair.a.send(now, 1, payload(1, 5000));
    assert!(
        pair.a.transmit(now).iter().any(|p| p.len() == 1160),
        "and all are lost"
    );
    pair.a.association.set_max_packet_size(600);
    pair.a.send(now, 1, payload(2, 5000));
    let packets = pair.a.transmit(now);
    assert!(packets.iter().all(|p| p.len() <= 600));
    for packet in packets {
        pair.link.send(now, Side::A, &packet);
    }
    pair.record();
    assert!(pair.run_until(Duration::from_secs(5), |p| p.b.messages.len() == 2));
    let log = pair.log.take().unwrap();
    let largest = log.iter().map(|(_, _, bytes)| bytes.len()).max();
    assert_eq!(largest, Some(1160));
}

/// RFC 9260 §6.1: no more TSNs in flight than a SACK can name, or a limit below that.
#[test]
fn outstanding_tsns_are_limited() {
    let now = origin();
    let limits = peerloom_sctp::Limits {
        outstanding: 100,
        ..Default::default()
    };
    let a = End::with_limits(Config::default(), limits, 1, now);
    let b = End::new(Config::default(), 2, now);
    let mut pair = Pair::of(a, b, now, &rtt40(), 1);
    pair.connect();
    for tag in 0..5000 {
        pair.a.send(pair.now, 1, payload(tag, 1));
    }
    let mut most = 0;
    assert!(pair.run_until(Duration::from_secs(30), |p| {
        most = most.max(p.a.association.stats().outstanding);
        p.b.messages.len() == 5000
    }));
    assert_eq!(most, 100);
}

/// RFC 3758 §3.5: a FORWARD-TSN that is lost at the end of everything is repeated like a probe.
#[test]
fn a_lost_forward_tsn_is_repeated() {
    let mut pair = warm();
    let now = pair.now;
    pair.a.send_with(
        now,
        1,
        payload(1, 100),
        true,
        Reliability::MaxRetransmits(0),
    );
    assert_eq!(pair.a.transmit(now).len(), 1, "lost");
    pair.link.set_down(true);
    assert!(pair.run_until(ms(200), |p| p.a.association.stats().forward_tsns_sent == 1));
    pair.run_for(ms(1));
    pair.link.set_down(false);
    assert!(pair.run_until(ms(400), |p| p.a.association.stats().outstanding == 0));
}

/// A SACK costs what it newly acknowledges: with 60,000 TSNs outstanding and a hole at the front,
/// twenty thousand SACKs are a matter of milliseconds, not of minutes.
#[test]
fn sacks_over_a_long_gap_are_cheap() {
    let now = origin();
    let mut end = End::new(Config::default(), 1, now);
    let mut raw = common::Raw::connect(&mut end, now);
    raw.our_tag = common::Raw::TAG;
    let mut at = now;
    let mut acked = raw.their_tsn.wrapping_sub(1);
    // A window that takes 60,000 small chunks.
    let rwnd = 1 << 30;
    while end.association.stats().cwnd < 3 << 20 {
        for _ in 0..20 {
            end.send(at, 1, payload(1, 200_000));
        }
        loop {
            raw.take_data(&mut end, at);
            let outstanding = end.association.stats().outstanding;
            if outstanding == 0 {
                break;
            }
            // Too short a path to be paced.
            at += ms(1);
            acked = acked.wrapping_add(outstanding as u32);
            raw.give(&mut end, at, raw.sack(acked, rwnd, &[]));
        }
    }
    for tag in 0..60_000 {
        end.send(at, 1, payload(tag, 16));
    }
    raw.take_data(&mut end, at);
    assert_eq!(end.association.stats().outstanding, 60_000);
    // Too soon for anything to be lost by time; the hole is.
    for last in (3..60_000).step_by(3) {
        raw.give(&mut end, at + ms(1), raw.sack(acked, rwnd, &[(2, last)]));
    }
    let stats = end.association.stats();
    assert_eq!(
        stats.sacks_received - stats.drops.lying_sack,
        stats.sacks_received
    );
    assert!(stats.bytes_in_flight <= 32 * 3, "{stats:?}");
}

/// Requirements: a slow link with a second of buffer is used to 80 % at least, overflow by slow start
/// included, and no timeout is needed.
#[test]
fn a_slow_link_with_a_large_buffer_is_used() {
    for controller in CONTROLLERS {
        a_slow_link_is_used_by(controller);
    }
}

fn a_slow_link_is_used_by(congestion_control: CongestionControl) {
    let config = Config {
        congestion_control,
        ..Config::default()
    };
    let link = LinkConfig {
        rate: Some(1_000_000),
        queue: 125_000,
        ..rtt40()
    };
    let mut pair = Pair::with_config(config, &link, 1);
    pair.connect();
    for tag in 0..200 {
        pair.a.send(pair.now, 1, payload(tag, 50_000));
    }
    pair.run_for(Duration::from_secs(60));
    let delivered = pair.b.messages.len() * 50_000;
    let stats = pair.a.association.stats();
    assert!(delivered >= 60 * 125_000 * 8 / 10, "{delivered}: {stats:?}");
    assert_eq!(stats.retransmits.timeout, 0, "{:?}", stats.retransmits);
}

/// The same for short buffers and longer paths, where the window has to grow back after each loss.
#[test]
fn links_are_used() {
    for (rate, queue, rtt, share) in [
        (10_000_000, 50_000, 40, 80),
        (50_000_000, 250_000, 40, 80),
        (5_000_000, 100_000, 200, 70),
    ] {
        let link = LinkConfig {
            rate: Some(rate),
            queue,
            ..LinkConfig::with_rtt(ms(rtt))
        };
        let mut pair = Pair::connected(&link, 1);
        let seconds = if rate > 20_000_000 { 10 } else { 30 };
        let whole = rate as usize / 8 * seconds;
        for tag in 0..(whole / 50_000) as u64 {
            pair.a.send(pair.now, 1, payload(tag, 50_000));
        }
        pair.run_for(Duration::from_secs(seconds as u64));
        let used = pair.b.messages.len() * 50_000 * 100 / whole;
        let stats = pair.a.association.stats();
        assert!(used >= share, "{used} % of {rate} bit/s: {stats:?}");
    }
}

/// A peer that was only slow makes a probe go out; its report that this was needless keeps the
/// congestion window, as does nothing else.
#[test]
fn a_needless_probe_costs_nothing() {
    let mut pair = warm();
    let window = pair.a.association.stats().cwnd;
    let now = pair.now;
    pair.a.send(now, 1, payload(1, 20_000));
    let late = pair.a.transmit(now);
    // Everything arrives before the probe does, but seventy milliseconds late.
    pair.run_for(ms(90));
    assert_eq!(pair.a.association.stats().retransmits.probe, 1);
    for packet in &late {
        pair.b.receive(pair.now, packet);
    }
    for tag in 0..10 {
        pair.run_for(ms(60));
        pair.a.send(pair.now, 1, payload(tag, 3000));
    }
    pair.run_to_idle();
    let stats = pair.a.association.stats();
    assert_eq!(
        (stats.retransmits.total(), stats.retransmits.spurious),
        (1, 1),
        "{stats:?}"
    );
    assert!(stats.cwnd >= window, "{} {window}", stats.cwnd);
}
