//! The receiving half against models of it, and against hostile peers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::serial::{Ppid, Ssn};
use crate::wire::{DataFlags, GapBlock, SkippedStream};

mod interleaving;

const WINDOW: usize = 1 << 20;

fn limits() -> ReceiveLimits {
    ReceiveLimits {
        window: WINDOW,
        max_window: WINDOW,
        max_message_size: 256 << 10,
        interleaving: false,
        incomplete_messages: 1000,
        streams: 100,
        ack_delay: ACK_DELAY,
        packet_size: 1160,
    }
}

#[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
fn base() -> Instant {
    Instant::now()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn data(tsn: u32, flags: DataFlags, payload: &[u8]) -> Data<'_> {
    Data {
        tsn: Tsn(tsn),
        stream: StreamId(1),
        ssn: Ssn(0),
        ppid: Ppid(53),
        flags,
        payload,
    }
}

impl Inbound {
    /// The account is the sum of what is there.
    fn check(&self) {
        let incomplete = match &self.fragments {
            Fragments::Data(reassembly) => reassembly.charge(),
            Fragments::IData(interleaved) => {
                interleaved.check();
                interleaved.charge()
            }
        };
        self.delivery.check(incomplete);
    }
}

/// A whole unordered message.
fn whole(tsn: u32, payload: &[u8]) -> Data<'_> {
    data(tsn, DataFlags::WHOLE.with(DataFlags::UNORDERED), payload)
}

/// The order in which `count` fragments arrive: each moved up to `depth` places, some twice.
fn disturbed(count: usize, seed: Option<u64>, depth: usize) -> Vec<usize> {
    let mut arrivals: Vec<usize> = (0..count).collect();
    if let Some(mut random) = seed {
        for at in 0..count {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let other = at + (random >> 33) as usize % depth;
            if other < arrivals.len() {
                arrivals.swap(at, other);
            }
            if random >> 60 == 0 {
                arrivals.push(arrivals[at]);
            }
        }
    }
    arrivals
}

/// One packet with one chunk.
fn packet(inbound: &mut Inbound, now: Instant, data: Data<'_>) -> Disposition {
    let disposition = inbound.on_data(&data).unwrap();
    inbound.on_packet_end(now);
    disposition
}

fn sacks(inbound: &mut Inbound, now: Instant) -> Vec<Sack> {
    std::iter::from_fn(|| inbound.poll_sack(now, 1148)).collect()
}

/// Past the first SACK, which is always immediate.
fn warmed_up(initial: u32, now: Instant) -> Inbound {
    let mut inbound = Inbound::new(limits(), Tsn(initial));
    packet(&mut inbound, now, whole(initial, b"first"));
    assert_eq!(sacks(&mut inbound, now).len(), 1);
    inbound
}

mod acknowledging {
    use super::*;

    /// §6.2: one for every second packet, a lone one after the delay.
    #[test]
    fn every_second_packet_or_after_the_delay() {
        let now = base();
        let mut inbound = warmed_up(1, now);
        packet(&mut inbound, now, whole(2, b"x"));
        assert_eq!(sacks(&mut inbound, now), []);
        assert_eq!(inbound.poll_timeout(), Some(now + ACK_DELAY));
        packet(&mut inbound, now, whole(3, b"x"));
        assert_eq!(sacks(&mut inbound, now).len(), 1);
        assert_eq!(inbound.poll_timeout(), None);
        packet(&mut inbound, now, whole(4, b"x"));
        assert_eq!(
            sacks(&mut inbound, now + ACK_DELAY)[0].cumulative_tsn,
            Tsn(4)
        );
    }

    /// A peer in slow start grows by one packet per SACK (§7.2.1): a burst must not starve it.
    #[test]
    fn a_burst_is_stepped_through_while_the_peer_ramps() {
        let now = base();
        let mut inbound = warmed_up(1, now);
        for tsn in 2..=12 {
            packet(&mut inbound, now, whole(tsn, b"x"));
        }
        let tsns: Vec<_> = sacks(&mut inbound, now)
            .iter()
            .map(|s| s.cumulative_tsn.0)
            .collect();
        assert_eq!(tsns, [3, 5, 7, 9, 12]);
    }

    /// At a steady high rate a burst has one SACK; after a gap every second packet again.
    #[test]
    fn one_per_burst_at_a_sustained_rate() {
        let mut now = base();
        let mut inbound = warmed_up(1, now);
        let mut tsn = 1;
        let mut burst = |inbound: &mut Inbound, now| {
            for _ in 0..40 {
                tsn += 1;
                packet(inbound, now, whole(tsn, b"x"));
            }
            while let Some(message) = inbound.poll_message() {
                inbound.release(base(), message.cost, None);
            }
            sacks(inbound, now).len()
        };
        for _ in 0..1000 {
            now += ms(1);
            burst(&mut inbound, now);
        }
        assert_eq!(burst(&mut inbound, now), 1);
        // Half a second of silence: the peer may start over.
        now += ms(500);
        assert_eq!(burst(&mut inbound, now), 20);
    }

    /// RFC 7053, §6.2, §6.7: at once on the I-bit, a duplicate, a gap and its filling.
    #[test]
    fn at_once_when_it_matters() {
        let now = base();
        let mut inbound = warmed_up(1, now);
        let immediate = DataFlags::WHOLE
            .with(DataFlags::UNORDERED)
            .with(DataFlags::IMMEDIATE);
        packet(&mut inbound, now, data(2, immediate, b"x"));
        assert_eq!(sacks(&mut inbound, now).len(), 1);
        assert_eq!(
            packet(&mut inbound, now, whole(2, b"x")),
            Disposition::Duplicate
        );
        assert_eq!(sacks(&mut inbound, now)[0].duplicates[..], [Tsn(2)]);
        packet(&mut inbound, now, whole(4, b"x"));
        assert_eq!(
            sacks(&mut inbound, now)[0].gaps[..],
            [GapBlock { start: 2, end: 2 }]
        );
        packet(&mut inbound, now, whole(5, b"x"));
        assert_eq!(
            sacks(&mut inbound, now)[0].gaps[..],
            [GapBlock { start: 2, end: 3 }]
        );
        packet(&mut inbound, now, whole(3, b"x"));
        let sack = &sacks(&mut inbound, now)[0];
        assert_eq!((sack.cumulative_tsn, sack.gaps.len()), (Tsn(5), 0));
    }

    /// §7.2.4: three reports make a loss, so a burst behind a gap holds three, though it is
    /// acknowledged as one.
    #[test]
    fn a_gap_in_a_burst_is_reported_three_times() {
        let now = base();
        let mut inbound = warmed_up(1, now);
        for tsn in 3..40 {
            packet(&mut inbound, now, whole(tsn, b"x"));
        }
        let ends: Vec<_> = sacks(&mut inbound, now)
            .iter()
            .map(|s| s.gaps[0].end)
            .collect();
        assert_eq!(ends, [2, 3, 4, 38]);
    }

    /// A SACK never exceeds its packet, whatever the gaps.
    #[test]
    fn a_sack_fits() {
        let now = base();
        let mut inbound = warmed_up(1, now);
        for tsn in (3..4000).step_by(2) {
            packet(&mut inbound, now, whole(tsn, b"x"));
            packet(&mut inbound, now, whole(tsn, b"x"));
        }
        let sack = inbound.full_sack(1148);
        assert_eq!(16 + 4 * (sack.gaps.len() + sack.duplicates.len()), 1148);
        assert_eq!(sack.gaps[1], GapBlock { start: 4, end: 4 });
    }

    /// The silly-window rule: a closed window reopens at two packets and not before, and a window
    /// that is wide open is not announced at every message taken.
    #[test]
    fn window_updates() {
        let now = base();
        let mut inbound = warmed_up(1, now);
        let mut messages = Vec::new();
        let mut tsn = 1;
        while inbound.a_rwnd() > 0 {
            tsn += 1;
            packet(&mut inbound, now, whole(tsn, &[0; 1000]));
        }
        messages.extend(std::iter::from_fn(|| inbound.poll_message()));
        let last = sacks(&mut inbound, now).pop().unwrap();
        assert_eq!(last.a_rwnd, 0);
        let mut released = 0;
        while !inbound.ack.is_due(now) {
            let cost = messages.pop().unwrap().cost;
            released += cost;
            inbound.release(base(), cost, None);
        }
        assert!((2320..6000).contains(&released), "{released}");
        let mut updates = sacks(&mut inbound, now).len();
        for message in messages {
            inbound.release(base(), message.cost, None);
            updates += sacks(&mut inbound, now).len();
        }
        assert!((2..=5).contains(&updates), "{updates}");
        assert_eq!(inbound.held(), 0);
        // All of it, in payload: so much of what messages of 1000 bytes cost.
        let open = WINDOW * 1000 / (1000 + 192);
        assert!(
            inbound.a_rwnd().abs_diff(open as u32) < 1000,
            "{}",
            inbound.a_rwnd()
        );
    }

    /// A peer that counts payload alone, as all do, and keeps to the window must not be refused
    /// anything, however small its messages.
    #[test]
    fn small_messages_do_not_overrun_the_window() {
        let now = base();
        let mut inbound = warmed_up(1, now);
        let mut tsn = 1;
        for _ in 0..500 {
            tsn += 1;
            packet(&mut inbound, now, whole(tsn, &[0; 64]));
        }
        for _ in 0..10 {
            let announced = inbound.a_rwnd();
            for _ in 0..announced / 64 {
                tsn += 1;
                packet(&mut inbound, now, whole(tsn, &[0; 64]));
            }
        }
        assert_eq!(inbound.drops().no_room, 0);
        assert!(inbound.held() <= WINDOW + 1000, "{}", inbound.held());
    }
}

mod tracking {
    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Receive(u32),
        Forward(u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            20 => (0u32..40).prop_map(Op::Receive),
            5 => (0u32..3000).prop_map(Op::Receive),
            1 => (0u32..70_000).prop_map(Op::Receive),
            1 => (0u32..60).prop_map(Op::Forward),
            1 => (0u32..3000).prop_map(Op::Forward),
        ]
    }

    proptest! {
        /// The ring says what a set says, across the wrap and as it grows.
        #[test]
        fn as_a_set_says(start in prop_oneof![Just(0u32), Just(u32::MAX - 50), any::<u32>()], ops in vec(op(), 1..400)) {
            let mut tracker = Tracker::new(Tsn(start));
            // Positions relative to the start; 0 is the TSN before the first.
            let mut cumulative = 0u64;
            let mut beyond = BTreeSet::new();
            let tsn = |position: u64| Tsn(start.wrapping_add(position as u32).wrapping_sub(1));
            for op in ops {
                match op {
                    Op::Receive(ahead) => {
                        let position = (cumulative + u64::from(ahead)).saturating_sub(5).max(1);
                        let expected = if position <= cumulative || beyond.contains(&position) {
                            Arrival::Duplicate
                        } else if position > cumulative + 65_535 {
                            Arrival::OutOfWindow
                        } else if position == cumulative + 1 {
                            Arrival::InOrder
                        } else if beyond.last().is_some_and(|last| *last > position) {
                            Arrival::InGap
                        } else {
                            Arrival::Ahead
                        };
                        prop_assert_eq!(tracker.classify(tsn(position)), expected);
                        if matches!(expected, Arrival::InOrder | Arrival::InGap | Arrival::Ahead) {
                            tracker.record(tsn(position));
                            beyond.insert(position);
                        }
                    }
                    Op::Forward(ahead) => {
                        let position = cumulative + u64::from(ahead);
                        prop_assert_eq!(tracker.forward(tsn(position)), ahead > 0);
                        beyond = beyond.split_off(&(position + 1));
                        cumulative = position;
                    }
                }
                while beyond.remove(&(cumulative + 1)) {
                    cumulative += 1;
                }
                prop_assert_eq!(tracker.cumulative(), tsn(cumulative));
                prop_assert_eq!(tracker.has_gaps(), !beyond.is_empty());
                let mut gaps: Vec<GapBlock> = Vec::new();
                for position in &beyond {
                    let offset = u16::try_from(position - cumulative).unwrap();
                    match gaps.last_mut() {
                        Some(gap) if gap.end + 1 == offset => gap.end = offset,
                        _ => gaps.push(GapBlock { start: offset, end: offset }),
                    }
                }
                prop_assert_eq!(&tracker.gaps(usize::MAX)[..], &gaps[..]);
                gaps.truncate(3);
                prop_assert_eq!(&tracker.gaps(3)[..], &gaps[..]);
            }
        }
    }

    /// The last TSN a gap block can name is taken, the next one is not.
    #[test]
    fn the_edge_of_the_window() {
        let mut tracker = Tracker::new(Tsn(1));
        assert_eq!(tracker.classify(Tsn(65_535)), Arrival::Ahead);
        assert_eq!(tracker.classify(Tsn(65_536)), Arrival::OutOfWindow);
        tracker.record(Tsn(65_535));
        assert_eq!(
            tracker.gaps(9)[..],
            [GapBlock {
                start: 65_535,
                end: 65_535
            }]
        );
        for tsn in 1..65_535 {
            tracker.record(Tsn(tsn));
        }
        assert_eq!(
            (tracker.cumulative(), tracker.has_gaps()),
            (Tsn(65_535), false)
        );
        assert!(!tracker.forward(Tsn(65_535 + 65_536)));
    }
}

mod reassembling {
    use super::*;

    #[derive(Clone, Debug)]
    struct Fragment {
        tsn: Tsn,
        message: usize,
        stream: StreamId,
        ssn: Ssn,
        flags: DataFlags,
        payload: Vec<u8>,
    }

    impl Fragment {
        fn data(&self) -> Data<'_> {
            let ppid = Ppid(u32::try_from(self.message).unwrap());
            let Self {
                tsn,
                stream,
                ssn,
                flags,
                ref payload,
                ..
            } = *self;
            Data {
                tsn,
                stream,
                ssn,
                ppid,
                flags,
                payload,
            }
        }
    }

    /// Messages (stream, ordered, fragment lengths) cut into fragments as a sender does.
    fn fragments(initial: u32, messages: &[(u16, bool, Vec<usize>)]) -> Vec<Fragment> {
        let mut tsn = Tsn(initial);
        let mut next_ssn: BTreeMap<u16, Ssn> = BTreeMap::new();
        let mut fragments = Vec::new();
        for (message, (stream, ordered, lengths)) in messages.iter().enumerate() {
            let ssn = next_ssn.entry(*stream).or_default();
            for (index, len) in lengths.iter().enumerate() {
                let mut flags = if *ordered {
                    DataFlags::NONE
                } else {
                    DataFlags::UNORDERED
                };
                if index == 0 {
                    flags = flags.with(DataFlags::BEGIN);
                }
                if index + 1 == lengths.len() {
                    flags = flags.with(DataFlags::END);
                }
                let payload = vec![(message + index) as u8; *len];
                let stream = StreamId(*stream);
                fragments.push(Fragment {
                    tsn,
                    message,
                    stream,
                    ssn: *ssn,
                    flags,
                    payload,
                });
                tsn = tsn.next();
            }
            if *ordered {
                *ssn = ssn.next();
            }
        }
        fragments
    }

    fn messages() -> impl Strategy<Value = Vec<(u16, bool, Vec<usize>)>> {
        let lengths = prop_oneof![
            3 => vec(1usize..300, 1..2),
            2 => vec(1usize..1200, 2..12),
            1 => vec(1000usize..1100, 20..40),
        ];
        vec((0u16..4, any::<bool>(), lengths), 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// In any order of arrival every message comes exactly once, whole, as soon as it can, and
        /// the account returns to zero.
        #[test]
        fn any_order_makes_the_same_messages(
            initial in prop_oneof![Just(1u32), Just(u32::MAX - 20)],
            messages in messages(),
            order in prop_oneof![Just(None), any::<u64>().prop_map(Some)],
            depth in 1usize..200,
        ) {
            let fragments = fragments(initial, &messages);
            let order_of_arrival = disturbed(fragments.len(), order, depth);
            let mut inbound = Inbound::new(limits(), Tsn(initial));
            let mut missing: Vec<usize> = messages.iter().map(|(.., lengths)| lengths.len()).collect();
            let mut seen = BTreeSet::new();
            let mut delivered = BTreeSet::new();
            for index in order_of_arrival {
                let fragment = &fragments[index];
                let expected =
                    if seen.insert(index) { Disposition::Accepted } else { Disposition::Duplicate };
                prop_assert_eq!(inbound.on_data(&fragment.data()), Ok(expected));
                if expected == Disposition::Accepted {
                    missing[fragment.message] -= 1;
                }
                inbound.check();
                while let Some(message) = inbound.poll_message() {
                    let number = message.ppid.0 as usize;
                    prop_assert!(delivered.insert(number), "message {} twice", number);
                    let (stream, ordered, _) = &messages[number];
                    prop_assert_eq!((message.stream.0, message.ordered), (*stream, *ordered));
                    let whole: Vec<u8> = fragments
                        .iter()
                        .filter(|fragment| fragment.message == number)
                        .flat_map(|fragment| fragment.payload.clone())
                        .collect();
                    prop_assert_eq!(&message.payload[..], &whole[..]);
                    inbound.release(base(), message.cost, None);
                }
                // An unordered one waits for nothing, an ordered one for those of its stream.
                let due = (0..messages.len()).filter(|&number| {
                    let (stream, ordered, _) = &messages[number];
                    let waits = |&other: &usize| messages[other].0 == *stream && messages[other].1;
                    missing[number] == 0
                        && (!ordered || (0..number).filter(waits).all(|other| missing[other] == 0))
                });
                prop_assert_eq!(&delivered, &due.collect::<BTreeSet<_>>());
            }
            prop_assert_eq!((inbound.held(), inbound.drops().skipped), (0, 0));
        }

        /// Whatever a peer sends: no panic, a true account, bounded memory.
        #[test]
        fn nonsense_is_bounded(
            chunks in vec((0u32..60, 0u8..16, 0u16..3, 0u16..4, 1usize..3000), 1..300),
            forwards in vec((0u32..80, 0u16..3, 0u16..6), 0..6),
        ) {
            let limits = ReceiveLimits { window: 20_000, max_window: 20_000, max_message_size: 30_000, ..limits() };
            let mut inbound = Inbound::new(limits, Tsn(1));
            let payload = vec![7; 3000];
            let every = chunks.len() / (forwards.len() + 1) + 1;
            for (index, (tsn, flags, stream, ssn, len)) in chunks.into_iter().enumerate() {
                let mut known = DataFlags::NONE;
                for flag in [DataFlags::END, DataFlags::BEGIN, DataFlags::UNORDERED] {
                    if u8::from(flag) & flags != 0 {
                        known = known.with(flag);
                    }
                }
                let result = inbound.on_data(&Data {
                    tsn: inbound.cumulative_tsn().plus(tsn).minus(2),
                    stream: StreamId(stream),
                    ssn: Ssn(ssn),
                    ppid: Ppid(0),
                    flags: known,
                    payload: &payload[..len],
                });
                if result.is_err() {
                    break;
                }
                if let Some((tsn, stream, ssn)) = forwards.get(index / every).filter(|_| index % every == 0) {
                    let skipped = [SkippedStream { stream: StreamId(*stream), ssn: Ssn(*ssn) }];
                    let new_cumulative_tsn = inbound.cumulative_tsn().plus(*tsn);
                    let forward = ForwardTsn { new_cumulative_tsn, skipped: skipped[..].into() };
                    if inbound.on_forward_tsn(&forward).is_err() {
                        break;
                    }
                }
                inbound.check();
                prop_assert!(inbound.held() <= 2 * 20_000 + 30_000 + 8192);
            }
        }
    }

    /// A stream's messages wait for the one before, those of others do not (head-of-line blocking
    /// is per stream).
    #[test]
    fn a_gap_holds_up_its_stream_only() {
        let fragments = fragments(
            1,
            &[
                (1, true, vec![10]),
                (1, true, vec![10, 10]),
                (2, true, vec![10]),
                (1, false, vec![10, 10]),
            ],
        );
        let mut inbound = Inbound::new(limits(), Tsn(1));
        for fragment in &fragments[1..] {
            inbound.on_data(&fragment.data()).unwrap();
        }
        let got: Vec<_> = std::iter::from_fn(|| inbound.poll_message())
            .map(|m| m.ppid.0)
            .collect();
        assert_eq!(got, [2, 3]);
        inbound.on_data(&fragments[0].data()).unwrap();
        let got: Vec<_> = std::iter::from_fn(|| inbound.poll_message())
            .map(|m| m.ppid.0)
            .collect();
        assert_eq!(got, [0, 1]);
    }

    /// RFC 3758 §3.6: skipped messages are not waited for, complete ones among them delivered.
    #[test]
    fn forward_tsn_skips() {
        let fragments = fragments(
            1,
            &[
                (1, true, vec![10, 10, 10]),
                (1, true, vec![10]),
                (1, true, vec![10, 10]),
                (1, true, vec![10]),
            ],
        );
        let mut inbound = Inbound::new(limits(), Tsn(1));
        for index in [0, 2, 3, 4, 6] {
            inbound.on_data(&fragments[index].data()).unwrap();
        }
        inbound.on_packet_end(base());
        // Given up: the first message, and the third with its second fragment outstanding.
        let forward = |tsn, ssn| ForwardTsn {
            new_cumulative_tsn: Tsn(tsn),
            skipped: [SkippedStream {
                stream: StreamId(1),
                ssn: Ssn(ssn),
            }][..]
                .into(),
        };
        inbound.on_forward_tsn(&forward(3, 0)).unwrap();
        assert_eq!(inbound.cumulative_tsn(), Tsn(5));
        assert_eq!(inbound.poll_message().unwrap().ppid, Ppid(1));
        assert_eq!(inbound.poll_message(), None);
        inbound.on_forward_tsn(&forward(6, 2)).unwrap();
        assert_eq!(inbound.cumulative_tsn(), Tsn(7));
        assert_eq!(inbound.poll_message().unwrap().ppid, Ppid(3));
        inbound.check();
        // Old, and beyond anything that can be in flight: nothing changes.
        inbound.on_forward_tsn(&forward(3, 9)).unwrap();
        inbound.on_forward_tsn(&forward(70_000, 9)).unwrap();
        assert_eq!(
            (inbound.cumulative_tsn(), inbound.drops().out_of_window),
            (Tsn(7), 1)
        );
    }

    /// The rest of a message that FORWARD-TSN cut in two is no violation.
    #[test]
    fn a_skipped_message_may_trickle_in() {
        let fragments = fragments(1, &[(1, true, vec![10; 4]), (1, true, vec![10])]);
        let mut inbound = Inbound::new(limits(), Tsn(1));
        let forward = ForwardTsn {
            new_cumulative_tsn: Tsn(2),
            skipped: [SkippedStream {
                stream: StreamId(1),
                ssn: Ssn(0),
            }][..]
                .into(),
        };
        inbound.on_forward_tsn(&forward).unwrap();
        for fragment in &fragments[2..] {
            assert_eq!(inbound.on_data(&fragment.data()), Ok(Disposition::Accepted));
        }
        assert_eq!(inbound.poll_message().unwrap().ppid, Ppid(1));
        assert_eq!(inbound.drops().skipped, 2);
    }

    /// RFC 6525 §5.2.2: after a reset SSN 0 is the next again.
    #[test]
    fn a_reset_starts_over() {
        let mut inbound = Inbound::new(limits(), Tsn(1));
        for (tsn, ssn) in [(1, 0), (2, 1)] {
            let chunk = Data {
                ssn: Ssn(ssn),
                ..data(tsn, DataFlags::WHOLE, b"x")
            };
            inbound.on_data(&chunk).unwrap();
        }
        inbound.reset_streams(&[StreamId(1), StreamId(99), StreamId(65_535)]);
        inbound.on_data(&data(3, DataFlags::WHOLE, b"y")).unwrap();
        assert_eq!(std::iter::from_fn(|| inbound.poll_message()).count(), 3);
        inbound.reset_streams(&[]);
        inbound.on_data(&data(4, DataFlags::WHOLE, b"z")).unwrap();
        assert_eq!(&inbound.poll_message().unwrap().payload[..], b"z");
    }

    /// SSNs wrap: what comes after 65,535 is 0, also for those that wait.
    #[test]
    fn the_stream_sequence_wraps() {
        let mut inbound = Inbound::new(limits(), Tsn(1));
        let (mut tsn, mut expected) = (0, 0);
        for ssn in (0..=65_535u16).chain(0..10) {
            tsn += 1;
            // Every pair swapped.
            let (tsn, ssn) = if tsn % 2 == 1 {
                (tsn + 1, ssn.wrapping_add(1))
            } else {
                (tsn - 1, ssn.wrapping_sub(1))
            };
            let chunk = Data {
                ssn: Ssn(ssn),
                ppid: Ppid(tsn),
                ..data(tsn, DataFlags::WHOLE, b"x")
            };
            assert_eq!(inbound.on_data(&chunk), Ok(Disposition::Accepted));
            while let Some(message) = inbound.poll_message() {
                expected += 1;
                assert_eq!(message.ppid.0, expected);
                inbound.release(base(), message.cost, None);
            }
        }
        assert_eq!(expected, tsn);
    }

    /// B and E bits that make no message end the association instead of waiting forever.
    #[test]
    fn wrong_fragment_bits_are_violations() {
        let (b, e, middle) = (DataFlags::BEGIN, DataFlags::END, DataFlags::NONE);
        let fails = |chunks: &[(u32, DataFlags)]| {
            let mut inbound = Inbound::new(limits(), Tsn(1));
            chunks
                .iter()
                .any(|&(tsn, flags)| inbound.on_data(&data(tsn, flags, b"x")).is_err())
        };
        assert!(fails(&[(1, middle)]), "no beginning");
        assert!(fails(&[(1, e)]), "no beginning");
        assert!(fails(&[(1, b), (2, b)]), "two beginnings");
        assert!(fails(&[(1, b), (2, DataFlags::WHOLE)]), "no end");
        assert!(
            fails(&[(2, b), (3, b), (1, DataFlags::WHOLE)]),
            "two beginnings behind a gap"
        );
        assert!(
            fails(&[(2, e), (3, middle), (1, b)]),
            "no beginning behind an end"
        );
        assert!(
            fails(&[(3, DataFlags::WHOLE), (2, b), (1, DataFlags::WHOLE)]),
            "no end behind a gap"
        );
        assert!(
            fails(&[(3, middle), (2, e), (1, b)]),
            "beginning missing behind an end"
        );
        assert!(!fails(&[(2, e), (1, b), (3, b), (5, e), (4, middle)]));

        let mut inbound = Inbound::new(limits(), Tsn(1));
        inbound.on_data(&data(1, b, b"x")).unwrap();
        let other = Data {
            stream: StreamId(2),
            ..data(2, e, b"x")
        };
        assert_eq!(inbound.on_data(&other), Err(Violation::Fragments(Tsn(2))));
        assert_eq!(
            Inbound::new(limits(), Tsn(1)).on_data(&data(1, b, b"")),
            Err(Violation::NoUserData(Tsn(1)))
        );
    }

    /// DATA on a stream that does not exist is acknowledged (§6.5), or the peer repeats it forever.
    #[test]
    fn a_stream_that_does_not_exist() {
        let mut inbound = Inbound::new(limits(), Tsn(1));
        let chunk = Data {
            stream: StreamId(100),
            ..whole(1, b"x")
        };
        assert_eq!(inbound.on_data(&chunk), Ok(Disposition::InvalidStream));
        assert_eq!(
            (inbound.cumulative_tsn(), inbound.poll_message()),
            (Tsn(1), None)
        );
    }
}

mod memory {
    use super::*;

    /// A message larger than the window does not close it for good.
    #[test]
    fn a_message_larger_than_the_window() {
        let limits = ReceiveLimits {
            window: 64 << 10,
            max_window: 64 << 10,
            max_message_size: 16 << 20,
            ..limits()
        };
        let mut inbound = Inbound::new(limits, Tsn(1));
        let count = (16 << 20) / 1024;
        for index in 0..count {
            let mut flags = DataFlags::NONE;
            if index == 0 {
                flags = DataFlags::BEGIN;
            }
            if index + 1 == count {
                flags = DataFlags::END;
            }
            assert!(inbound.a_rwnd() > 40 << 10);
            assert_eq!(
                inbound.on_data(&data(1 + index, flags, &[1; 1024])),
                Ok(Disposition::Accepted)
            );
            assert!(inbound.held() <= (16 << 20) * 12 / 10);
        }
        assert_eq!(inbound.poll_message().unwrap().payload.len(), 16 << 20);
    }

    /// Over the limit the association ends, however the fragments come.
    #[test]
    fn a_message_over_the_limit() {
        for gap in [false, true] {
            let mut inbound = Inbound::new(limits(), Tsn(1));
            let first = if gap { 2 } else { 1 };
            inbound
                .on_data(&data(first, DataFlags::BEGIN, &[0; 1024]))
                .unwrap();
            let mut tsn = first;
            let error = loop {
                tsn += 1;
                if let Err(error) = inbound.on_data(&data(tsn, DataFlags::NONE, &[0; 1024])) {
                    break error;
                }
            };
            assert_eq!(error, Violation::MessageTooLarge(StreamId(1)));
            assert_eq!(tsn, first + 256);
        }
    }

    /// What the reports of other stacks call a memory bomb: tiny messages unread, every second TSN
    /// missing, fragments never completed. Twice the window bounds all of them.
    #[test]
    fn floods_are_bounded() {
        let unread = |tsn| whole(tsn, b"x");
        let waiting = |tsn| Data {
            ssn: Ssn(tsn as u16),
            ..data(tsn, DataFlags::WHOLE, b"x")
        };
        let holes = |tsn| data(tsn * 2, DataFlags::BEGIN, b"x");
        let middles = |tsn| data(tsn + 1, DataFlags::NONE, b"x");
        let floods: [&dyn Fn(u32) -> Data<'static>; 4] = [&unread, &waiting, &holes, &middles];
        for flood in floods {
            let mut inbound = Inbound::new(limits(), Tsn(1));
            for tsn in 1..65_000 {
                if inbound.on_data(&flood(tsn)).is_err() {
                    break;
                }
                inbound.on_packet_end(base());
            }
            assert!(inbound.held() <= 2 * WINDOW, "{}", inbound.held());
            inbound.check();
        }
    }

    /// What is missing is let in even when the window is full of what waits for it; otherwise the
    /// association would hang.
    #[test]
    fn a_full_window_does_not_lock_out_what_is_missing() {
        let mut inbound = Inbound::new(limits(), Tsn(1));
        let mut tsn = 2;
        loop {
            let chunk = Data {
                ssn: Ssn(tsn as u16 - 1),
                ..data(tsn, DataFlags::WHOLE, &[0; 1024])
            };
            if inbound.on_data(&chunk).unwrap() == Disposition::NoRoom {
                break;
            }
            tsn += 1;
        }
        assert_eq!(inbound.a_rwnd(), 0);
        assert_eq!(
            inbound.on_data(&data(1, DataFlags::WHOLE, b"x")),
            Ok(Disposition::Accepted)
        );
        assert_eq!(
            std::iter::from_fn(|| inbound.poll_message()).count(),
            tsn as usize - 1
        );
    }

    /// A stalled reader closes the window at the window, not beyond; the peer's probes are refused
    /// with a SACK each.
    #[test]
    fn a_stalled_reader() {
        let now = base();
        let mut inbound = Inbound::new(limits(), Tsn(1));
        let mut tsn = 0;
        loop {
            tsn += 1;
            if packet(&mut inbound, now, whole(tsn, &[0; 1024])) == Disposition::NoRoom {
                break;
            }
            while inbound.poll_message().is_some() {}
        }
        assert!(inbound.held() <= WINDOW + WINDOW / 10);
        sacks(&mut inbound, now);
        assert_eq!(
            packet(&mut inbound, now, whole(tsn, &[0; 1024])),
            Disposition::NoRoom
        );
        let sack = &sacks(&mut inbound, now)[0];
        assert_eq!((sack.a_rwnd, sack.cumulative_tsn), (0, Tsn(tsn - 1)));
    }

    /// Small messages share blocks with their own stream only, so that a stream left unread keeps
    /// alive what it was charged for.
    #[test]
    fn streams_that_take_turns_share_no_memory() {
        let mut inbound = Inbound::new(limits(), Tsn(1));
        let mut kept = Vec::new();
        for tsn in 1..=200 {
            let stream = StreamId(1 + tsn as u16 % 2);
            inbound
                .on_data(&Data {
                    stream,
                    ..whole(tsn, &[1; 64])
                })
                .unwrap();
            kept.push(inbound.poll_message().unwrap().payload);
        }
        // A slice that has its memory for itself can be taken over.
        assert!(
            kept.into_iter()
                .all(|payload| payload.try_into_mut().is_ok())
        );
    }

    /// One stream in a row costs an allocation per block, not per message.
    #[test]
    fn one_stream_shares_blocks() {
        let mut inbound = Inbound::new(limits(), Tsn(1));
        let mut kept: Vec<bytes::Bytes> = Vec::new();
        for tsn in 1..=1000 {
            inbound.on_data(&whole(tsn, &[1; 64])).unwrap();
            kept.push(inbound.poll_message().unwrap().payload);
        }
        let breaks = kept
            .windows(2)
            .filter(|pair| pair[0].as_ptr().wrapping_add(64) != pair[1].as_ptr())
            .count();
        assert!(breaks <= 12, "{breaks}");
    }

    /// The application still holds what came before a restart.
    #[test]
    fn a_restart_keeps_the_account() {
        let mut inbound = Inbound::new(limits(), Tsn(1));
        inbound.on_data(&whole(1, b"x")).unwrap();
        inbound.on_data(&whole(2, b"x")).unwrap();
        let message = inbound.poll_message().unwrap();
        inbound.restart(
            ReceiveLimits {
                streams: 5,
                ..limits()
            },
            Tsn(1000),
        );
        assert_eq!(inbound.held(), message.cost);
        inbound
            .on_data(&Data {
                stream: StreamId(4),
                ..whole(1000, b"y")
            })
            .unwrap();
        assert_eq!(&inbound.poll_message().unwrap().payload[..], b"y");
        inbound.release(base(), message.cost * 2, None);
        assert_eq!(inbound.held(), 0);
    }
}
