//! Reassembly of I-DATA (RFC 8260 §2).

use super::*;
use crate::serial::{Fsn, Mid};
use crate::wire::{IData, IForwardTsn, SkippedMessage};

fn limits() -> ReceiveLimits {
    ReceiveLimits {
        interleaving: true,
        ..super::limits()
    }
}

fn inbound(initial: u32) -> Inbound {
    Inbound::new(limits(), Tsn(initial))
}

/// A fragment of message `mid` on stream 1.
fn fragment(tsn: u32, mid: u32, fsn: u32, flags: DataFlags, payload: &[u8]) -> IData<'_> {
    IData {
        tsn: Tsn(tsn),
        stream: StreamId(1),
        mid: Mid(mid),
        ppid: Ppid(if fsn == 0 { mid } else { 0 }),
        fsn: Fsn(fsn),
        flags,
        payload,
    }
}

const B: DataFlags = DataFlags::BEGIN;
const M: DataFlags = DataFlags::NONE;
const E: DataFlags = DataFlags::END;
const U: DataFlags = DataFlags::UNORDERED;
const WHOLE: DataFlags = DataFlags::WHOLE;

fn payloads(inbound: &mut Inbound) -> Vec<Vec<u8>> {
    let messages = std::iter::from_fn(|| inbound.poll_message());
    messages.map(|m| m.payload.to_vec()).collect()
}

fn forward(tsn: u32, skipped: &[(u16, bool, u32)]) -> IForwardTsn {
    IForwardTsn {
        new_cumulative_tsn: Tsn(tsn),
        skipped: skipped
            .iter()
            .map(|&(stream, unordered, mid)| SkippedMessage {
                stream: StreamId(stream),
                unordered,
                mid: Mid(mid),
            })
            .collect(),
    }
}

/// Messages of the model: stream, ordered, lengths of fragments.
type Model = Vec<(u16, bool, Vec<usize>)>;

#[derive(Clone, Debug)]
struct Fragment {
    tsn: Tsn,
    message: usize,
    stream: StreamId,
    mid: Mid,
    fsn: Fsn,
    flags: DataFlags,
    payload: Vec<u8>,
}

impl Fragment {
    fn data(&self) -> IData<'_> {
        let first = self.fsn == Fsn(0);
        IData {
            tsn: self.tsn,
            stream: self.stream,
            mid: self.mid,
            ppid: Ppid(if first { self.message as u32 } else { 0 }),
            fsn: self.fsn,
            flags: self.flags,
            payload: &self.payload,
        }
    }
}

/// Cuts messages into fragments and interleaves them: `turns` says of which message begun the next
/// one is, and any message may begin at any time.
fn fragments(initial: u32, messages: &Model, mut turns: u64) -> Vec<Fragment> {
    let mut mids: BTreeMap<(u16, bool), Mid> = BTreeMap::new();
    let mut rest: Vec<Vec<Fragment>> = Vec::new();
    for (message, (stream, ordered, lengths)) in messages.iter().enumerate() {
        let mid = mids.entry((*stream, *ordered)).or_insert(Mid(0));
        let count = lengths.len();
        let cut = |(index, len): (usize, &usize)| Fragment {
            tsn: Tsn(0),
            message,
            stream: StreamId(*stream),
            mid: *mid,
            fsn: Fsn(index as u32),
            flags: [(index == 0, B), (index + 1 == count, E), (!ordered, U)]
                .into_iter()
                .filter(|(set, _)| *set)
                .fold(M, |flags, (_, flag)| flags.with(flag)),
            payload: vec![(message + index) as u8; *len],
        };
        rest.push(lengths.iter().enumerate().map(cut).rev().collect());
        *mid = mid.next();
    }
    let mut tsn = Tsn(initial);
    let mut fragments = Vec::new();
    while rest.iter().any(|message| !message.is_empty()) {
        turns = turns
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Near the front: a sender works on a few messages at a time.
        let open: Vec<usize> = (0..rest.len()).filter(|&i| !rest[i].is_empty()).collect();
        let pick = open[(turns >> 33) as usize % open.len().min(5)];
        if let Some(mut fragment) = rest[pick].pop() {
            fragment.tsn = tsn;
            tsn = tsn.next();
            fragments.push(fragment);
        }
    }
    fragments
}

fn messages() -> impl Strategy<Value = Model> {
    let lengths = prop_oneof![
        3 => vec(1usize..300, 1..2),
        2 => vec(1usize..1200, 2..12),
        1 => vec(1000usize..1100, 20..40),
    ];
    vec((0u16..4, any::<bool>(), lengths), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However fragments are interleaved, reordered and repeated, every message comes exactly once,
    /// whole, as soon as it can, and the account returns to zero.
    #[test]
    fn any_order_makes_the_same_messages(
        initial in prop_oneof![Just(1u32), Just(u32::MAX - 20)],
        messages in messages(),
        turns in any::<u64>(),
        order in prop_oneof![Just(None), any::<u64>().prop_map(Some)],
        depth in 1usize..200,
    ) {
        let fragments = fragments(initial, &messages, turns);
        let arrivals = disturbed(fragments.len(), order, depth);
        let mut inbound = inbound(initial);
        let mut missing: Vec<usize> = messages.iter().map(|(.., lengths)| lengths.len()).collect();
        let mut seen = BTreeSet::new();
        let mut delivered = BTreeSet::new();
        for index in arrivals {
            let fragment = &fragments[index];
            let expected =
                if seen.insert(index) { Disposition::Accepted } else { Disposition::Duplicate };
            prop_assert_eq!(inbound.on_i_data(&fragment.data()), Ok(expected));
            if expected == Disposition::Accepted {
                missing[fragment.message] -= 1;
            }
            inbound.check();
            while let Some(message) = inbound.poll_message() {
                let number = message.ppid.0 as usize;
                prop_assert!(delivered.insert(number), "message {} twice", number);
                let (stream, ordered, _) = &messages[number];
                prop_assert_eq!((message.stream.0, message.ordered), (*stream, *ordered));
                let mut parts: Vec<_> = fragments.iter().filter(|f| f.message == number).collect();
                parts.sort_by_key(|f| f.fsn.0);
                let whole: Vec<u8> = parts.iter().flat_map(|f| f.payload.clone()).collect();
                prop_assert_eq!(&message.payload[..], &whole[..]);
                inbound.release(base(), message.cost, None);
            }
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
        chunks in vec(
            (0u32..60, 0u8..16, 0u16..3, 0u32..6, prop_oneof![9 => 1u32..6, 1 => any::<u32>()], 1usize..3000),
            1..300,
        ),
        forwards in vec((0u32..80, 0u16..3, any::<bool>(), prop_oneof![0u32..6, any::<u32>()]), 0..6),
    ) {
        let limits = ReceiveLimits { window: 20_000, max_message_size: 30_000, ..limits() };
        let mut inbound = Inbound::new(limits, Tsn(1));
        let payload = vec![7; 3000];
        let every = chunks.len() / (forwards.len() + 1) + 1;
        for (index, (tsn, flags, stream, mid, fsn, len)) in chunks.into_iter().enumerate() {
            let flags = [E, B, U].into_iter().filter(|&f| u8::from(f) & flags != 0).fold(M, DataFlags::with);
            let result = inbound.on_i_data(&IData {
                tsn: inbound.cumulative_tsn().plus(tsn).minus(2),
                stream: StreamId(stream),
                mid: Mid(mid.wrapping_sub(3)),
                ppid: Ppid(0),
                fsn: Fsn(if flags.is_begin() { 0 } else { fsn }),
                flags,
                payload: &payload[..len],
            });
            if result.is_err() {
                break;
            }
            if let Some(&(tsn, stream, unordered, mid)) = forwards.get(index / every).filter(|_| index % every == 0) {
                let tsn = inbound.cumulative_tsn().plus(tsn);
                inbound.on_i_forward_tsn(&forward(tsn.0, &[(stream, unordered, mid)])).unwrap();
            }
            inbound.check();
            prop_assert!(inbound.held() <= 2 * 20_000 + 30_000 + 8192, "{}", inbound.held());
        }
    }
}

/// RFC 8260 §2.2.3: a message in one chunk goes past one whose fragments still come.
#[test]
fn a_small_message_overtakes_a_large_one() {
    let mut inbound = inbound(1);
    let small = |tsn, mid| IData {
        stream: StreamId(2),
        ..fragment(tsn, mid, 0, WHOLE, b"s")
    };
    for chunk in [
        fragment(1, 0, 0, B, b"l"),
        small(2, 0),
        fragment(3, 0, 1, M, b"a"),
        small(4, 1),
        fragment(5, 0, 2, E, b"r"),
    ] {
        inbound.on_i_data(&chunk).unwrap();
    }
    assert_eq!(
        payloads(&mut inbound),
        [b"s".to_vec(), b"s".to_vec(), b"lar".to_vec()]
    );
}

/// §2.1: ordered and unordered messages of a stream are counted apart.
#[test]
fn the_same_mid_ordered_and_unordered() {
    let mut inbound = inbound(1);
    for chunk in [
        fragment(1, 0, 0, B, b"o"),
        fragment(2, 0, 0, B.with(U), b"u"),
        fragment(3, 0, 1, E.with(U), b"U"),
        fragment(4, 0, 1, E, b"O"),
    ] {
        inbound.on_i_data(&chunk).unwrap();
    }
    assert_eq!(payloads(&mut inbound), [b"uU", b"oO"]);
}

/// MIDs wrap: what comes after 2^32 - 1 is 0, for messages that wait and for fragments.
#[test]
fn mids_wrap() {
    for unordered in [M, U] {
        let mut inbound = inbound(1);
        let last = u32::MAX - 2;
        // Nobody waits for 4 Gi messages: the peer gave up all before.
        for (step, up_to) in [(1, 1 << 30), (2, 1 << 31), (3, 3 << 30), (4, last)] {
            inbound
                .on_i_forward_tsn(&forward(step, &[(1, unordered == U, up_to)]))
                .unwrap();
        }
        let mut tsn = 5;
        for base in [0, 2, 4] {
            let mids = [1, 0].map(|n| last.wrapping_add(1 + base + n));
            for (mid, fsn, flags, payload) in [
                (mids[0], 1, E, b"b"),
                (mids[1], 1, E, b"d"),
                (mids[0], 0, B, b"a"),
                (mids[1], 0, B, b"c"),
            ] {
                let chunk = fragment(tsn, mid, fsn, flags.with(unordered), payload);
                assert_eq!(inbound.on_i_data(&chunk), Ok(Disposition::Accepted));
                tsn += 1;
            }
            let expected = if unordered == U {
                [b"ab", b"cd"]
            } else {
                [b"cd", b"ab"]
            };
            assert_eq!(payloads(&mut inbound), expected, "at {mids:?}");
        }
        inbound.check();
    }
}

/// A fragment number that comes twice, goes beyond the last or begins anew is no fragment of the
/// message, and numbers that would wrap belong to no message we take.
#[test]
fn wrong_fragment_numbers_are_violations() {
    let fails = |fragments: &[(u32, DataFlags)]| {
        let mut inbound = inbound(1);
        let mut tsn = 0;
        fragments.iter().any(|&(fsn, flags)| {
            tsn += 1;
            inbound
                .on_i_data(&fragment(tsn, 0, fsn, flags, b"x"))
                .is_err()
        })
    };
    assert!(fails(&[(0, B), (0, B)]), "two beginnings");
    assert!(fails(&[(0, B), (1, M), (1, M)]), "one twice");
    assert!(fails(&[(2, M), (2, M)]), "one twice behind a gap");
    assert!(
        fails(&[(2, M), (3, M), (2, M)]),
        "inside a run behind a gap"
    );
    assert!(fails(&[(2, E), (3, M)]), "beyond the last");
    assert!(fails(&[(3, M), (2, E)]), "the last before one that came");
    assert!(fails(&[(2, E), (3, E)]), "two ends");
    assert!(fails(&[(0, M)]), "number 0 without a beginning");
    assert!(fails(&[(0, B), (0, WHOLE)]), "whole, and begun before");
    assert!(fails(&[(1 << 31, M)]), "half way to the wrap");
    assert!(fails(&[(u32::MAX, E)]), "before the wrap");
    assert!(!fails(&[(4, M), (2, M), (3, M), (0, B), (5, E), (1, M)]));
}

/// §2.2.1: never mixed. Either way round the association ends with a cause.
#[test]
fn data_and_i_data_are_not_mixed() {
    let mut interleaved = inbound(1);
    assert_eq!(interleaved.on_data(&whole(1, b"x")), Err(Violation::Mixed));
    let old = ForwardTsn {
        new_cumulative_tsn: Tsn(3),
        skipped: Default::default(),
    };
    assert_eq!(interleaved.on_forward_tsn(&old), Err(Violation::Mixed));
    let mut plain = Inbound::new(super::limits(), Tsn(1));
    let chunk = fragment(1, 0, 0, WHOLE, b"x");
    assert_eq!(plain.on_i_data(&chunk), Err(Violation::Mixed));
    assert_eq!(
        plain.on_i_forward_tsn(&forward(3, &[])),
        Err(Violation::Mixed)
    );
    assert!(matches!(
        Violation::Mixed.cause(),
        Cause::ProtocolViolation(_)
    ));
}

/// §2.3.2: a skipped message is not waited for, whatever has come of it; what comes of it later is
/// dropped; complete ones behind it are delivered.
#[test]
fn i_forward_tsn_skips() {
    for unordered in [M, U] {
        let mut inbound = inbound(1);
        let part =
            |tsn, mid, fsn, flags: DataFlags| fragment(tsn, mid, fsn, flags.with(unordered), b"x");
        for chunk in [
            part(1, 0, 0, B),
            part(3, 0, 2, M),
            part(4, 1, 0, WHOLE),
            part(5, 2, 0, B),
        ] {
            inbound.on_i_data(&chunk).unwrap();
        }
        let ready = payloads(&mut inbound).len();
        assert_eq!(ready, usize::from(unordered == U));
        inbound
            .on_i_forward_tsn(&forward(3, &[(1, unordered == U, 0)]))
            .unwrap();
        inbound.check();
        assert_eq!(inbound.cumulative_tsn(), Tsn(5));
        assert_eq!(payloads(&mut inbound).len(), 1 - ready);
        // The rest of the skipped one, which was under way.
        inbound.on_i_data(&part(6, 0, 3, E)).unwrap();
        inbound.on_i_data(&part(7, 2, 1, E)).unwrap();
        assert_eq!(payloads(&mut inbound), [b"xx"]);
        assert_eq!(
            (inbound.drops().skipped, inbound.cumulative_tsn()),
            (2, Tsn(7))
        );
        while inbound.held() > 0 {
            let held = inbound.held();
            inbound.release(base(), held, None);
        }
        inbound.check();
    }
}

/// The list may name what does not exist, twice and backwards; an old one changes nothing.
#[test]
fn i_forward_tsn_of_nonsense() {
    let mut inbound = inbound(1);
    inbound.on_i_data(&fragment(1, 0, 0, B, b"x")).unwrap();
    let skipped = [
        (1, false, 5),
        (1, false, 3),
        (99, true, 7),
        (100, false, 1),
        (65_535, true, 1),
    ];
    inbound.on_i_forward_tsn(&forward(4, &skipped)).unwrap();
    inbound
        .on_i_forward_tsn(&forward(3, &[(1, false, 100)]))
        .unwrap();
    inbound
        .on_i_forward_tsn(&forward(70_000, &[(1, false, 100)]))
        .unwrap();
    inbound.on_i_data(&fragment(5, 6, 0, WHOLE, b"y")).unwrap();
    assert_eq!(payloads(&mut inbound), [b"y"]);
    assert_eq!(inbound.drops().out_of_window, 1);
    inbound.check();
}

/// RFC 6525 §5.2.2: after a reset MID 0 is the next again, in both orders, and nothing is left of
/// what was begun.
#[test]
fn a_reset_starts_over() {
    for all in [false, true] {
        let mut inbound = inbound(1);
        for chunk in [
            fragment(1, 0, 0, WHOLE, b"a"),
            fragment(2, 9, 0, B.with(U), b"b"),
            fragment(3, 1, 0, B, b"c"),
        ] {
            inbound.on_i_data(&chunk).unwrap();
        }
        assert_eq!(payloads(&mut inbound), [b"a"]);
        let delivered = inbound.delivered;
        inbound.release(base(), delivered, None);
        inbound.reset_streams(if all { &[] } else { &[StreamId(1)] });
        assert_eq!(inbound.held(), 0);
        inbound.on_i_data(&fragment(4, 0, 0, WHOLE, b"d")).unwrap();
        inbound
            .on_i_data(&fragment(5, 0, 0, WHOLE.with(U), b"e"))
            .unwrap();
        assert_eq!(payloads(&mut inbound), [b"d", b"e"]);
    }
}

/// Messages begun and never completed: by number and by bytes the end is an ABORT that says so, not
/// a window that stays closed.
#[test]
fn messages_never_completed_are_bounded() {
    for (count, len) in [(1000, 1), (1 << 20, 1000)] {
        let mut inbound = inbound(1);
        let payload = vec![1; len];
        let mut begun = 0;
        let error = loop {
            let chunk = fragment(1 + begun, begun, 0, B.with(U), &payload);
            match inbound.on_i_data(&chunk) {
                Ok(disposition) => assert_eq!(disposition, Disposition::Accepted),
                Err(error) => break error,
            }
            begun += 1;
            assert!(inbound.held() <= 2 * WINDOW);
            // The peer is not told to stop: that would be the end of all messages.
            assert!(inbound.a_rwnd() as usize >= WINDOW / 2);
        };
        assert_eq!(error, Violation::TooManyIncomplete);
        assert_eq!(error.cause(), Cause::OutOfResource);
        assert!(begun <= count, "{begun}");
        inbound.check();
    }
}

/// At the limit, what completes a message is still let in, and makes room.
#[test]
fn a_full_window_does_not_lock_out_what_completes_a_message() {
    let mut inbound = inbound(1);
    let payload = vec![1; 100_000];
    let full = 2 * WINDOW as u32 / 100_256;
    for mid in 0..full {
        inbound
            .on_i_data(&fragment(1 + mid, mid, 0, B, &payload))
            .unwrap();
    }
    let rest = vec![1; 100_000];
    let last = fragment(1 + full, 0, 1, E, &rest);
    assert_eq!(inbound.on_i_data(&last), Ok(Disposition::Accepted));
    assert_eq!(payloads(&mut inbound)[0].len(), 200_000);
    inbound.check();
}

/// A message larger than the window is taken, beside others.
#[test]
fn a_message_larger_than_the_window() {
    let limits = ReceiveLimits {
        window: 64 << 10,
        max_message_size: 16 << 20,
        ..limits()
    };
    let mut inbound = Inbound::new(limits, Tsn(1));
    let count = (16 << 20) / 1024 - 1;
    let mut tsn = 0;
    let mut give = |inbound: &mut Inbound, stream, mid, fsn, flags| {
        tsn += 1;
        let chunk = IData {
            stream: StreamId(stream),
            ..fragment(tsn, mid, fsn, flags, &[1; 1024])
        };
        assert_eq!(inbound.on_i_data(&chunk), Ok(Disposition::Accepted));
    };
    for index in 0..=count {
        let flags = match index {
            0 => B,
            _ if index == count => E,
            _ => M,
        };
        give(&mut inbound, 1, 0, index, flags);
        if index == count {
            break;
        }
        if index % 2 == 0 {
            give(&mut inbound, 2, index / 2, 0, B);
        } else {
            give(&mut inbound, 2, index / 2, 1, E);
            let message = inbound.poll_message().unwrap();
            assert_eq!(message.payload.len(), 2048);
            inbound.release(base(), message.cost, None);
        }
        assert!(inbound.a_rwnd() > 40 << 10);
        assert!(inbound.held() <= (16 << 20) * 12 / 10);
    }
    assert_eq!(inbound.poll_message().unwrap().payload.len(), 16 << 20);
}

/// What the reports of other stacks call a memory bomb, as for DATA.
#[test]
fn floods_are_bounded() {
    let unread = |n| fragment(n, n, 0, WHOLE.with(U), b"x");
    let waiting = |n| fragment(n, n + 1, 0, WHOLE, b"x");
    let holes = |n| fragment(n * 2, n, 0, B, b"x");
    let middles = |n| fragment(n, 0, n * 2, M, b"x");
    let streams = |n| IData {
        stream: StreamId((n % 100) as u16),
        ..fragment(n, n, 0, B.with(U), b"x")
    };
    let floods: [&dyn Fn(u32) -> IData<'static>; 5] =
        [&unread, &waiting, &holes, &middles, &streams];
    for flood in floods {
        let mut inbound = inbound(1);
        for n in 1..65_000 {
            if inbound.on_i_data(&flood(n)).is_err() {
                break;
            }
            inbound.on_packet_end(base());
        }
        assert!(inbound.held() <= 2 * WINDOW, "{}", inbound.held());
        inbound.check();
    }
}

/// Over the limit the association ends, however the fragments come.
#[test]
fn a_message_over_the_limit() {
    for first in [0, 1] {
        let mut inbound = inbound(1);
        let mut n = 0;
        let error = loop {
            let fsn = first + n;
            let flags = if fsn == 0 { B } else { M };
            n += 1;
            if let Err(error) = inbound.on_i_data(&fragment(n, 0, fsn, flags, &[0; 1024])) {
                break error;
            }
        };
        assert_eq!((error, n), (Violation::MessageTooLarge(StreamId(1)), 257));
    }
}

/// Fragments in order cost one copy each: a message of one sender that does not interleave grows in
/// one buffer, which the next one gets at once.
#[test]
fn in_order_appends_to_one_buffer() {
    let mut inbound = inbound(1);
    let mut tsn = 0;
    for mid in 0..3 {
        let mut buffers = BTreeSet::new();
        for fsn in 0..60 {
            tsn += 1;
            let flags = match fsn {
                0 => B,
                59 => E,
                _ => M,
            };
            inbound
                .on_i_data(&fragment(tsn, mid, fsn, flags, &[1; 1100]))
                .unwrap();
            if let Fragments::IData(interleaved) = &inbound.fragments {
                buffers.insert(interleaved.charge());
            }
        }
        assert_eq!(payloads(&mut inbound), [vec![1; 66_000]]);
        if mid > 0 {
            // Its capacity stays, and then it is gone.
            assert_eq!(buffers.len(), 2, "{buffers:?}");
        }
    }
}
