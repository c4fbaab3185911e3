//! Futures that are dropped at any await: no message lost or doubled, no room lost, no lock stuck.
//!
//! Each operation is polled a few times, by a seeded number, dropped, and tried again.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::pin::pin;
use std::task::Poll;

use futures_util::{SinkExt, StreamExt};
use peerloom::{DataChannel, DataChannelOptions, Event, Message, PeerConnection};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A small generator; the seed is in the name of the failing test's message.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What `future` answers within `polls` polls, with everything else running between them; otherwise
/// it is dropped.
async fn within<T>(polls: u64, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(value) = polled {
            return Some(value);
        }
        tokio::task::yield_now().await;
    }
    None
}

const MESSAGES: u32 = 1_500;

fn numbered(number: u32) -> Vec<u8> {
    let mut message = vec![0; 4 + (number as usize * 7_919) % 4_000];
    message[..4].copy_from_slice(&number.to_be_bytes());
    message
}

/// Receives all messages by `receive` and checks that each came once and in its place.
async fn expect_all<R>(seed: u64, mut receive: impl FnMut(u64) -> R)
where
    R: Future<Output = Option<Option<Message>>>,
{
    let mut dice = Dice(seed);
    for number in 0..MESSAGES {
        let message = loop {
            let polls = dice.below(4);
            if let Some(message) = receive(polls).await {
                break message.expect("the channel is open");
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(message.into_bytes(), numbered(number), "seed {seed}");
    }
}

/// All room came back: both limits can be filled to the brim again.
async fn assert_no_room_is_lost(channel: &DataChannel, connection: &PeerConnection) {
    patient("low", channel.buffered_amount_low()).await;
    assert_eq!(channel.buffered_amount(), 0);
    let whole = 20 << 10;
    let permit = patient("room", channel.reserve(whole - 128)).await.unwrap();
    assert!(
        channel.try_send([0].as_slice()).is_err(),
        "the channel's limit"
    );
    drop(permit);
    channel.set_send_buffer_limit(1 << 20);
    let whole = connection.send_buffer_limit();
    drop(patient("room", channel.reserve(whole - 128)).await.unwrap());
}

#[tokio::test]
async fn send_and_recv() {
    for seed in [3, 1_234_567] {
        let Pair { a, at_a, at_b, .. } = narrow_pair(40 << 10, 20 << 10).await;
        let mut dice = Dice(seed + 1);
        let sending = async {
            for number in 0..MESSAGES {
                loop {
                    let polls = dice.below(3);
                    // By turns: send, a permit, a permit that is given back.
                    let sent = match number % 3 {
                        0 => within(polls, at_a.send(numbered(number))).await,
                        _ => match within(polls, at_a.reserve(4_004)).await {
                            Some(permit) if dice.below(2) == 0 => {
                                drop(permit);
                                None
                            }
                            Some(permit) => Some(permit.unwrap().send(numbered(number))),
                            None => None,
                        },
                    };
                    if let Some(sent) = sent {
                        sent.unwrap();
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        };
        let receiving = expect_all(seed, |polls| within(polls, at_b.recv()));
        patient("transfer", async { tokio::join!(sending, receiving) }).await;
        assert_eq!(at_b.try_recv(), None, "none doubled");
        assert_no_room_is_lost(&at_a, &a).await;
    }
}

#[tokio::test]
async fn stream_and_sink() {
    for seed in [5, 7_654_321] {
        let Pair { a, at_a, at_b, .. } = narrow_pair(40 << 10, 20 << 10).await;
        let mut dice = Dice(seed + 1);
        let sending = async {
            let mut sink = at_a.messages();
            for number in 0..MESSAGES {
                // `feed` takes the message with its first poll and gives it to `start_send` once there
                // is room: dropped before, it is gone, so it is made anew.
                loop {
                    let polls = dice.below(3);
                    if let Some(sent) = within(polls, sink.feed(numbered(number).into())).await {
                        sent.unwrap();
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                if dice.below(50) == 0 {
                    // A flush that is given up has no effect.
                    within(dice.below(4), sink.flush()).await;
                }
            }
        };
        let stream = tokio::sync::Mutex::new(at_b.messages());
        let receiving = expect_all(seed, |polls| {
            let stream = &stream;
            async move { within(polls, stream.lock().await.next()).await }
        });
        patient("transfer", async { tokio::join!(sending, receiving) }).await;
        assert_no_room_is_lost(&at_a, &a).await;
    }
}

#[tokio::test]
async fn byte_stream() {
    const LEN: usize = 2_000_000;
    for seed in [11, 13] {
        let Pair { a, at_a, at_b, .. } = narrow_pair(40 << 10, 20 << 10).await;
        let bytes: Vec<u8> = (0..LEN as u32).map(|i| (i ^ (i >> 8)) as u8).collect();
        let mut dice = Dice(seed + 1);
        let writing = async {
            let mut writer = at_a.clone().into_stream().with_message_size(3_000);
            let mut written = 0;
            while written < LEN {
                let end = LEN.min(written + 1 + dice.below(9_000) as usize);
                let polls = dice.below(3);
                if let Some(n) = within(polls, writer.write(&bytes[written..end])).await {
                    written += n.unwrap();
                } else {
                    tokio::task::yield_now().await;
                }
            }
        };
        let mut dice = Dice(seed);
        let reading = async {
            let mut reader = at_b.into_stream();
            let mut read = Vec::new();
            let mut part = vec![0; 5_000];
            while read.len() < LEN {
                let (polls, size) = (dice.below(3), 1 + dice.below(5_000) as usize);
                if let Some(n) = within(polls, reader.read(&mut part[..size])).await {
                    read.extend_from_slice(&part[..n.unwrap()]);
                } else {
                    tokio::task::yield_now().await;
                }
            }
            assert!(read == bytes, "seed {seed}");
        };
        patient("transfer", async { tokio::join!(writing, reading) }).await;
        assert_no_room_is_lost(&at_a, &a).await;
    }
}

/// Waiting for a state any number of times and giving up changes nothing, and every wait that follows
/// still ends.
#[tokio::test]
async fn waits_for_states() {
    let (a, b) = peers().await;
    let at_a = a
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    async fn give_up_all(connection: &PeerConnection, channel: &DataChannel) {
        for polls in 0..3 {
            within(polls, connection.connected()).await;
            within(polls, connection.closed()).await;
            within(polls, connection.gathering_complete()).await;
            within(polls, connection.stats()).await;
            within(polls, channel.opened()).await;
            within(polls, channel.closed()).await;
            within(polls, channel.buffered_amount_low()).await;
            within(polls, channel.recv()).await;
            within(polls, channel.reserve(1)).await;
        }
    }
    give_up_all(&a, &at_a).await;
    let mut events = 0;
    let signalling = async {
        signal(&a, &b).await;
        patient("open", at_a.opened()).await.unwrap();
    };
    let counting = async {
        // Events are taken by the poll that returns them.
        loop {
            match within(2, b.next_event()).await {
                Some(Some(Event::DataChannel(channel))) => return channel,
                Some(Some(_)) => events += 1,
                Some(None) => panic!("ended"),
                None => tokio::task::yield_now().await,
            }
        }
    };
    let ((), at_b) = patient("signalling", async { tokio::join!(signalling, counting) }).await;
    assert!(events > 2, "{events}");
    give_up_all(&a, &at_a).await;
    give_up_all(&b, &at_b).await;
    at_a.send("through").await.unwrap();
    assert_eq!(patient("recv", at_b.recv()).await, Some("through".into()));
    a.stats().await.unwrap();
    // A close that is given up goes on by itself.
    within(1, a.close()).await;
    patient("closed", a.closed()).await;
    patient("closed", b.closed()).await;
    patient("closed", at_b.closed()).await;
}

/// Signalling calls do what they do with their first poll or not at all.
#[tokio::test]
async fn signalling_calls() {
    let (a, b) = peers().await;
    let at_a = a
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    for polls in 0..2 {
        within(polls, a.create_offer()).await;
    }
    let offer = a.create_offer().await.unwrap();
    within(0, a.set_local_description(offer.clone())).await;
    a.set_local_description(offer).await.unwrap();
    within(0, b.set_remote_description(a.local_description().unwrap())).await;
    a.gathering_complete().await;
    b.set_remote_description(a.local_description().unwrap())
        .await
        .unwrap();
    for polls in 0..2 {
        within(polls, b.create_answer()).await;
    }
    b.set_local_description(b.create_answer().await.unwrap())
        .await
        .unwrap();
    b.gathering_complete().await;
    a.set_remote_description(b.local_description().unwrap())
        .await
        .unwrap();
    patient("open", at_a.opened()).await.unwrap();
}

/// What a dropped future does has to be written where it is looked for.
#[test]
fn every_public_future_says_what_dropping_it_does() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut futures = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let mut docs = String::new();
            for line in source.lines().map(str::trim) {
                if let Some(doc) = line.strip_prefix("///") {
                    docs.push_str(doc);
                } else if line.starts_with("pub async fn ") {
                    futures += 1;
                    assert!(docs.contains("ancel-safe"), "{}: {line}", path.display());
                } else if !line.starts_with('#') {
                    docs.clear();
                }
            }
        }
    }
    assert!(futures > 20, "{futures}");
}
