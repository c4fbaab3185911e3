//! What a hostile peer does to one stream stays with that stream: it is reset, the reason is
//! counted, every other channel goes on.

use std::time::Duration;

use peerloom_datachannel::{
    ChannelCloseReason, ChannelKey, ChannelState, DcepMessage, Drops, Open, Reliability,
    SessionConfig, Violation,
};

use crate::net::{Net, SECOND, labelled, negotiated};

const DCEP: u32 = 50;
const TEXT: u32 = 51;

/// A session with a channel that must not notice anything, and the peer that attacks it.
struct Attack {
    net: Net,
    bystander: ChannelKey,
}

impl Attack {
    fn new() -> Self {
        Self::with(SessionConfig::default())
    }

    fn with(config: SessionConfig) -> Self {
        let mut net = Net::with_raw_peer(config);
        let bystander = net.a.open(net.now, negotiated(1000));
        Self { net, bystander }
    }

    fn send(&mut self, stream: u16, payload: &[u8]) -> &mut Self {
        self.net.b.send_raw(self.net.now, stream, DCEP, payload);
        self
    }

    /// Lets it arrive; afterwards exactly `streams` are reset, `drops` are the reasons, and the
    /// bystander still works both ways.
    fn resets(&mut self, streams: &[u16], drops: Drops) {
        self.net.run_for(SECOND);
        assert_eq!(self.net.b.raw_resets(), streams);
        assert_eq!(self.net.a.stats().drops, drops);
        let (net, bystander) = (&mut self.net, self.bystander);
        assert_eq!(
            net.a.session().channel_state(bystander),
            Some(ChannelState::Open)
        );
        net.b.send_raw(net.now, 1000, TEXT, b"still there?");
        net.a.send(net.now, bystander, b"yes");
        net.run_for(SECOND);
        assert_eq!(net.a.messages(bystander).len(), 1);
        assert_eq!(
            net.a.held(),
            0,
            "what is dropped is given back to the window"
        );
        assert!(
            net.b
                .raw_messages()
                .iter()
                .any(|(stream, ..)| *stream == 1000)
        );
    }
}

fn open(label: &str) -> Vec<u8> {
    DcepMessage::Open(Open::new(true, Reliability::Reliable, 256, label, ""))
        .encode()
        .to_vec()
}

#[test]
fn open_on_a_stream_in_use() {
    let mut attack = Attack::new();
    attack.send(1, &open("first")).send(1, &open("second"));
    attack.net.run_for(SECOND);
    let incoming = attack.net.a.incoming();
    assert_eq!(incoming.len(), 1);
    attack.net.b.reset_raw(attack.net.now, 1);
    attack.resets(&[1], drops(|d| d.open_on_used_stream = 1));
    let reason = ChannelCloseReason::Violation(Violation::OpenOnUsedStream);
    assert_eq!(attack.net.a.closed(incoming[0].0), Some(reason));
}

#[test]
fn open_on_a_stream_of_the_wrong_parity() {
    let mut attack = Attack::new();
    attack.send(4, &open("ours to choose"));
    attack.resets(&[4], drops(|d| d.wrong_parity = 1));
    assert!(attack.net.a.incoming().is_empty());
    // We do not choose the id before the peer has reset its half too.
    let ids = |attack: &mut Attack| {
        let keys: Vec<_> = (0..3)
            .map(|_| attack.net.a.open(attack.net.now, labelled("")))
            .collect();
        keys.into_iter()
            .map(|key| attack.net.a.session().id(key).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&mut attack), [0, 2, 6]);
    attack.net.b.reset_raw(attack.net.now, 4);
    attack.net.run_for(SECOND);
    assert_eq!(ids(&mut attack), [4, 8, 10]);
}

#[test]
fn truncated_open() {
    let whole = open("truncated");
    let mut attack = Attack::new();
    let mut streams = Vec::new();
    for len in 1..whole.len() {
        let stream = 2 * len as u16 + 1;
        attack.send(stream, &whole[..len]);
        streams.push(stream);
    }
    let malformed_dcep = streams.len() as u64;
    attack.resets(&streams, drops(|d| d.malformed_dcep = malformed_dcep));
    assert!(attack.net.a.incoming().is_empty());
}

#[test]
fn open_with_a_label_of_64_kib() {
    let mut attack = Attack::new();
    attack.send(1, &open(&"x".repeat(65_535)));
    attack.resets(&[1], drops(|d| d.name_too_long = 1));
    assert!(attack.net.a.incoming().is_empty());
}

#[test]
fn open_that_claims_a_label_of_64_kib() {
    let mut bytes = open("short");
    bytes[8..10].copy_from_slice(&[0xff, 0xff]);
    let mut attack = Attack::new();
    attack
        .send(1, &bytes)
        .resets(&[1], drops(|d| d.malformed_dcep = 1));
}

#[test]
fn open_with_bad_utf8() {
    let mut bytes = open("label");
    bytes[13] = 0xff;
    let mut attack = Attack::new();
    attack
        .send(1, &bytes)
        .resets(&[1], drops(|d| d.malformed_dcep = 1));
}

#[test]
fn open_with_an_unassigned_channel_type() {
    let mut bytes = open("label");
    bytes[1] = 0x7f;
    let mut attack = Attack::new();
    attack
        .send(1, &bytes)
        .resets(&[1], drops(|d| d.malformed_dcep = 1));
}

#[test]
fn unknown_dcep_message() {
    let mut attack = Attack::new();
    attack.send(1, &[0]).send(3, &[4]).send(5, &[0xff; 100]);
    attack.resets(&[1, 3, 5], drops(|d| d.malformed_dcep = 3));
}

#[test]
fn ack_without_open() {
    let mut attack = Attack::new();
    // Nothing there; a channel of the peer's own.
    attack.send(0, &[2]).send(1, &open("x")).send(1, &[2]);
    attack.resets(&[0, 1], drops(|d| d.unexpected_ack = 2));
    let (key, ..) = attack.net.a.incoming().remove(0);
    assert_eq!(
        attack.net.a.session().channel_state(key),
        Some(ChannelState::Closing)
    );
}

#[test]
fn second_ack() {
    let mut attack = Attack::new();
    let key = attack.net.a.open(attack.net.now, labelled("x"));
    attack.send(0, &[2]).send(0, &[2]);
    attack.net.run_for(SECOND);
    assert!(attack.net.a.opened(key));
    attack.resets(&[0], drops(|d| d.unexpected_ack = 1));
}

#[test]
fn malformed_dcep_on_an_open_channel() {
    let mut attack = Attack::new();
    let key = attack.net.a.open(attack.net.now, labelled("x"));
    attack.send(0, &[2]).send(0, &[3, 0]);
    attack.net.run_for(SECOND);
    attack.net.b.reset_raw(attack.net.now, 0);
    attack.resets(&[0], drops(|d| d.malformed_dcep = 1));
    let reason = ChannelCloseReason::Violation(Violation::MalformedDcep);
    assert_eq!(attack.net.a.closed(key), Some(reason));
}

/// Messages without a channel are held for a while, in case the application opens a negotiated
/// channel a little later than its peer; then the stream is reset.
#[test]
fn data_on_an_unknown_stream_is_reset_after_a_while() {
    let mut attack = Attack::new();
    attack.net.b.send_raw(attack.net.now, 5, TEXT, b"hello?");
    attack.net.b.send_raw(attack.net.now, 5, TEXT, b"hello?");
    attack.net.run_for(4 * SECOND);
    assert!(attack.net.b.raw_resets().is_empty());
    attack.net.run_for(2 * SECOND);
    attack.resets(&[5], drops(|d| d.unknown_stream = 1));
}

/// RFC 8832 §6 to the letter, by configuration.
#[test]
fn data_on_an_unknown_stream_is_reset_at_once_without_a_hold() {
    let mut config = SessionConfig::default();
    config.limits.early_hold = Duration::ZERO;
    let mut attack = Attack::with(config);
    attack.net.b.send_raw(attack.net.now, 5, TEXT, b"hello?");
    attack.resets(&[5], drops(|d| d.unknown_stream = 1));
}

/// Held messages are bounded in number and bytes, their window is given back, and no more streams
/// are being reset at a time than the limit says.
#[test]
fn a_flood_on_unknown_streams_is_bounded() {
    let mut config = SessionConfig::default();
    config.limits.refused_streams = 10;
    let mut attack = Attack::with(config);
    for stream in (1..2001).step_by(2) {
        attack
            .net
            .b
            .send_raw(attack.net.now, stream, TEXT, &[0; 500]);
    }
    attack.net.run_for(5 * SECOND / 2);
    let stats = attack.net.a.stats();
    // 64 are held; of the others ten are refused with a reset, and the rest without.
    assert_eq!(stats.drops.unknown_stream, 1000 - 64);
    assert_eq!(stats.drops.unanswered, 1000 - 64 - 10);
    assert!(attack.net.a.session().channels() <= 11);
    attack.net.run_for(5 * SECOND);
    let stats = attack.net.a.stats().drops;
    assert_eq!(stats.unknown_stream, 1000);
    attack
        .net
        .b
        .send_raw(attack.net.now, 1000, TEXT, &[1; 200_000]);
    attack.net.run_for(2 * SECOND);
    assert_eq!(attack.net.a.messages(attack.bystander).len(), 1);
}

/// The peer closes what it never opened, while its messages are held: they are no part of the next
/// use of the stream.
#[test]
fn held_messages_do_not_outlive_a_reset_of_their_stream() {
    let mut attack = Attack::new();
    attack.net.b.send_raw(attack.net.now, 5, TEXT, b"old");
    attack.net.run_for(SECOND);
    attack.net.b.reset_raw(attack.net.now, 5);
    attack.resets(&[5], drops(|_| {}));
    let key = attack.net.a.open(attack.net.now, negotiated(5));
    attack.net.b.send_raw(attack.net.now, 5, TEXT, b"new");
    attack.net.run_for(SECOND);
    let messages = attack.net.a.messages(key);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].1, "new");
}

/// The room for held messages comes back, however often it was used up.
#[test]
fn room_for_held_messages_comes_back() {
    let mut attack = Attack::new();
    for round in 0..5u16 {
        for n in 0..64 {
            attack
                .net
                .b
                .send_raw(attack.net.now, 65 * round + n, TEXT, &[0; 500]);
        }
        attack.net.run_for(SECOND);
        assert!(attack.net.a.held() >= 64 * 500);
        assert_eq!(
            attack.net.a.stats().drops.unknown_stream,
            64 * u64::from(round)
        );
        attack.net.run_for(5 * SECOND);
        assert_eq!(attack.net.a.held(), 0);
    }
}

/// The limit of streams being reset counts those that are, not those that were.
#[test]
fn room_for_refused_streams_comes_back() {
    let mut config = SessionConfig::default();
    config.limits.refused_streams = 2;
    let mut attack = Attack::with(config);
    for round in 0..5 {
        attack
            .send(4, &open("x"))
            .send(6, &open("x"))
            .send(8, &open("x"));
        attack.net.run_for(SECOND);
        assert_eq!(attack.net.a.stats().drops.unanswered, round + 1);
        assert_eq!(attack.net.b.raw_resets().len() as u64, 2 * round + 2);
        attack.net.b.reset_raw(attack.net.now, 4);
        attack.net.b.reset_raw(attack.net.now, 6);
        attack.net.run_for(SECOND);
        assert_eq!(attack.net.a.session().channels(), 1);
    }
}

/// A stream being refused stays one refusal, however much comes on it.
#[test]
fn more_on_a_refused_stream_is_dropped() {
    let mut attack = Attack::new();
    attack.send(4, &open("wrong parity"));
    for _ in 0..50 {
        attack.net.b.send_raw(attack.net.now, 4, TEXT, &[0; 10_000]);
    }
    attack.net.run_for(SECOND);
    attack.resets(
        &[4],
        drops(|d| {
            d.wrong_parity = 1;
            d.refused_stream = 50;
        }),
    );
}

/// A reset of a stream without a channel is answered, or the peer would wait for ever.
#[test]
fn a_reset_of_an_unknown_stream_is_answered_once() {
    let mut attack = Attack::new();
    attack.net.b.reset_raw(attack.net.now, 5);
    attack.resets(&[5], drops(|_| {}));
    assert_eq!(attack.net.a.session().channels(), 1);
}

#[test]
fn messages_of_a_refused_open_are_not_delivered() {
    let mut attack = Attack::new();
    // Unordered, so they may come first; the label is too long for us.
    attack
        .net
        .b
        .send_raw_with(attack.net.now, 7, TEXT, b"early", false);
    attack.send(7, &open(&"x".repeat(20_000)));
    attack.resets(&[7], drops(|d| d.name_too_long = 1));
    assert!(attack.net.a.incoming().is_empty());
}

/// The sum of all labels is bounded too, and comes back when channels close.
#[test]
fn labels_are_bounded_in_sum() {
    let mut config = SessionConfig::default();
    config.limits.name_bytes = 10_000;
    let mut attack = Attack::with(config);
    let label = "x".repeat(4000);
    attack
        .send(1, &open(&label))
        .send(3, &open(&label))
        .send(5, &open(&label));
    attack.resets(&[5], drops(|d| d.name_too_long = 1));
    assert_eq!(attack.net.a.incoming().len(), 2);
    attack.net.b.reset_raw(attack.net.now, 1);
    attack.net.run_for(SECOND);
    attack.send(7, &open(&label));
    attack.net.run_for(SECOND);
    assert_eq!(attack.net.a.incoming().len(), 3);
}

#[test]
fn incoming_channels_are_capped() {
    let mut config = SessionConfig::default();
    config.limits.incoming_channels = 3;
    let mut attack = Attack::with(config);
    for stream in [1, 3, 5, 7, 9] {
        attack.send(stream, &open("x"));
    }
    attack.resets(&[7, 9], drops(|d| d.too_many_channels = 2));
    assert_eq!(attack.net.a.incoming().len(), 3);
    // Ours are not affected, and a closed one makes room.
    attack.net.a.open(attack.net.now, labelled("ours"));
    attack.net.b.reset_raw(attack.net.now, 1);
    attack.net.run_for(SECOND);
    attack.send(11, &open("x"));
    attack.net.run_for(SECOND);
    assert_eq!(attack.net.a.incoming().len(), 4);
}

fn drops(set: impl FnOnce(&mut Drops)) -> Drops {
    let mut drops = Drops::default();
    set(&mut drops);
    drops
}
