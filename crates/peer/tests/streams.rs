//! A channel as `Stream` and `Sink`, and as tokio's byte stream.

mod support;

use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FusedStream;
use futures_util::{FutureExt, SinkExt, StreamExt};
use peerloom::{
    DataChannelOptions, DataChannelState, Message, MessageOptions, Reliability, SendError,
    TextMessages,
};
use support::*;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

/// A pair whose sender may queue 64 KiB and whose receiver takes 128 KiB.
async fn narrow() -> Pair {
    narrow_pair(4 << 20, 64 << 10).await
}

/// Polls `future` until it stays pending although everything else had its turn.
async fn stays_pending<T>(future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    for _ in 0..50 {
        if future.as_mut().now_or_never().is_some() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

/// What a sink takes while nobody reads is bounded, and everything it took arrives.
#[tokio::test]
async fn a_sink_waits_for_room() {
    let Pair { at_a, at_b, .. } = narrow().await;
    let mut sink = at_a.messages();
    let mut fed = 0u32;
    loop {
        let message = Message::Binary(vec![fed as u8; 10_000].into());
        if stays_pending(sink.feed(message)).await {
            break;
        }
        fed += 1;
        assert!(
            fed < 60,
            "128 KiB of window, 64 KiB of buffer, 64 KiB beyond"
        );
    }
    assert!(fed > 15);
    let mut stream = at_b.messages();
    for number in 0..fed {
        let message = patient("message", stream.next()).await.unwrap();
        assert_eq!(message, vec![number as u8; 10_000].into());
    }
    // The message whose feeding was given up was never sent.
    patient("feed", sink.feed("last".into())).await.unwrap();
    assert_eq!(patient("last", stream.next()).await, Some("last".into()));
}

/// `poll_ready` cannot know how large the message will be: one may go over the limit.
#[tokio::test]
async fn a_message_over_the_limit_goes_when_there_is_any_room() {
    let Pair { at_a, at_b, .. } = narrow().await;
    let mut sink = at_a.messages();
    sink.feed(Message::from(vec![1; 200_000])).await.unwrap();
    assert!(at_a.try_send("behind it").is_err());
    patient("flush", async {
        let (flushed, received) = tokio::join!(SinkExt::flush(&mut sink), at_b.recv());
        flushed.unwrap();
        assert_eq!(received.map(|m| m.len()), Some(200_000));
    })
    .await;
    assert_eq!(at_a.buffered_amount(), 0);
    at_a.try_send("now").unwrap();
}

#[tokio::test]
async fn a_refused_message_leaves_the_sink_usable() {
    let a = builder().build().await.unwrap();
    let b = builder().max_message_size(1_000).build().await.unwrap();
    let Pair { at_a, at_b, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    let mut sink = at_a.messages();
    let refused = sink.send(Message::from(vec![0; 1_001])).await;
    assert!(matches!(
        refused,
        Err(SendError::MessageTooLarge {
            len: 1_001,
            max: 1_000
        })
    ));
    sink.send("small".into()).await.unwrap();
    assert_eq!(patient("message", at_b.recv()).await, Some("small".into()));
    // Nothing of the refused message holds room.
    assert_eq!(at_a.buffered_amount(), 0);
}

#[tokio::test]
async fn flushing_waits_for_the_network_and_closing_for_the_other_end() {
    let Pair { at_a, at_b, .. } = narrow().await;
    let mut sink = at_a.messages();
    for number in 0..18u8 {
        sink.feed(Message::from(vec![number; 10_000]))
            .await
            .unwrap();
    }
    assert!(
        at_a.buffered_amount() > 0,
        "the window is smaller than that"
    );
    assert!(stays_pending(SinkExt::flush(&mut sink)).await);
    let reading = async {
        let mut stream = at_b.messages();
        let mut read = 0;
        while let Some(message) = stream.next().await {
            assert_eq!(message, vec![read; 10_000].into());
            read += 1;
        }
        assert!(stream.is_terminated());
        assert_eq!(stream.next().await, None, "and stays ended");
        read
    };
    let closing = SinkExt::close(&mut sink);
    let (closed, read) = patient("close", async { tokio::join!(closing, reading) }).await;
    closed.unwrap();
    assert_eq!(read, 18);
    assert_eq!(at_a.state(), DataChannelState::Closed);
    assert_eq!(
        at_a.close_reason(),
        Some(peerloom::ChannelCloseReason::Local)
    );
    assert_eq!(
        at_b.close_reason(),
        Some(peerloom::ChannelCloseReason::Remote)
    );
    let late = sink.feed("late".into()).await;
    assert!(matches!(late, Err(SendError::ChannelClosed)));
}

/// A message wakes one of those who wait. Should that one have gone, another must get it.
#[tokio::test]
async fn a_stream_that_is_dropped_while_it_waits_passes_its_turn_on() {
    let Pair { at_a, at_b, .. } = pair().await;
    let mut streams: Vec<_> = (0..4).map(|_| at_b.messages()).collect();
    for stream in &mut streams {
        assert!(stream.next().now_or_never().is_none());
    }
    let mut last = streams.pop().unwrap();
    let mut receiving = tokio::task::JoinSet::new();
    receiving.spawn(async move { last.next().await });
    tokio::task::yield_now().await;
    at_a.send("for whoever is left").await.unwrap();
    // The first in line is told, and dropped without having looked.
    while at_a.buffered_amount() > 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(streams);
    let received = patient("message", receiving.join_all()).await;
    assert_eq!(received, [Some("for whoever is left".into())]);
}

#[tokio::test]
async fn every_write_is_messages_of_at_most_the_chosen_size_and_reads_join_them() {
    let Pair { at_a, at_b, .. } = pair().await;
    let bytes: Vec<u8> = (0..100_000u32)
        .map(|i| (i.wrapping_mul(i) >> 3) as u8)
        .collect();
    let mut writer = at_a.clone().into_stream().with_message_size(1_000);
    writer.write_all(&bytes[..2_500]).await.unwrap();
    writer.write_all(&[]).await.unwrap();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        sizes.push(patient("message", at_b.recv()).await.unwrap().len());
    }
    assert_eq!(sizes, [1_000, 1_000, 500]);
    assert_eq!(at_b.try_recv(), None, "an empty write is no message");

    let mut reader = at_b.into_stream();
    let reading = async {
        let mut read = Vec::new();
        for size in (1..).map(|n| 1 + n * 7_919 % 3_000) {
            let mut part = vec![0; size];
            match reader.read(&mut part).await.unwrap() {
                0 => return read,
                n => read.extend_from_slice(&part[..n]),
            }
        }
        read
    };
    let writing = async {
        writer.write_all(&bytes).await.unwrap();
        // Empty messages have no bytes and are not the end.
        at_a.send(Bytes::new()).await.unwrap();
        writer.write_all(b"the end").await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(at_a.state(), DataChannelState::Closed);
    };
    let (read, ()) = patient("transfer", async { tokio::join!(reading, writing) }).await;
    assert!(read[..100_000] == bytes && &read[100_000..] == b"the end");
    let late = writer.write(b"late").await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn text_is_refused_or_bytes() {
    let Pair { at_a, at_b, .. } = pair().await;
    let mut strict = at_b.clone().into_stream();
    at_a.send_text("text").await.unwrap();
    at_a.send_binary("binary").await.unwrap();
    let mut buf = [0; 16];
    let refused = patient("text", strict.read(&mut buf)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidData);
    let read = patient("binary", strict.read(&mut buf)).await.unwrap();
    assert_eq!(&buf[..read], b"binary");
    let mut lenient = at_b.into_stream().with_text(TextMessages::AsBytes);
    at_a.send_text("wörter\nlines").await.unwrap();
    let mut line = String::new();
    patient("line", lenient.read_line(&mut line)).await.unwrap();
    assert_eq!(line, "wörter\n");
}

/// Both ways at once, by tokio's split and by our own, through buffers that are smaller than what is
/// sent: neither direction waits for the other.
#[tokio::test]
async fn both_halves_go_their_own_way() {
    const LEN: usize = 1 << 20;
    let Pair { at_a, at_b, .. } = narrow().await;
    let (mut a_reads, mut a_writes) = tokio::io::split(at_a.into_stream());
    let (mut b_reads, mut b_writes) = at_b.into_stream().with_message_size(5_000).into_split();
    let both = async {
        let (x, y) = (vec![1; LEN], vec![2; LEN]);
        let (mut from_a, mut from_b) = (vec![0; LEN], vec![0; LEN]);
        let (p, q, r, s) = tokio::join!(
            a_writes.write_all(&x),
            b_writes.write_all(&y),
            a_reads.read_exact(&mut from_b),
            b_reads.read_exact(&mut from_a),
        );
        p.and(q).unwrap();
        r.and(s).unwrap();
        assert!(from_a == x && from_b == y);
    };
    patient("both ways", both).await;
}

/// The end of a file and the failure of a connection must not look the same.
#[tokio::test]
async fn a_connection_that_fails_is_an_error_and_not_the_end() {
    let (a, b) = peers().await;
    let channel = a
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let mut stream = channel.into_stream();
    // The answer names the certificate of somebody else.
    let mut answer = support::answer(&b, support::offer(&a).await).await;
    let (ours, theirs) = (
        a.local_certificate().fingerprint().to_string(),
        b.local_certificate().fingerprint().to_string(),
    );
    answer.sdp = answer.sdp.replace(&theirs, &ours);
    a.set_remote_description(answer).await.unwrap();
    let error = patient("failure", stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert!(error.to_string().contains("fingerprint"), "{error}");
    let error = stream.write_u8(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

/// Messages that may be given up are, while reliable ones on the same channel all arrive.
#[tokio::test]
async fn a_message_may_be_given_up_on_a_reliable_channel() {
    let Pair { a, at_a, at_b, .. } = narrow().await;
    let short_lived = MessageOptions {
        ordered: Some(false),
        reliability: Some(Reliability::MaxLifetime(Duration::from_millis(1))),
    };
    // The window is full, so that what follows waits.
    for number in 0..13u8 {
        at_a.send(vec![number; 10_000]).await.unwrap();
    }
    while at_a.buffered_amount() > 0 && a.stats().await.unwrap().internals.sctp.peer_rwnd > 20_000 {
        tokio::task::yield_now().await;
    }
    for number in 100..103u8 {
        at_a.send_with(vec![number; 10_000], short_lived)
            .await
            .unwrap();
        at_a.try_send_with(vec![number - 50; 100], MessageOptions::default())
            .unwrap();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut received = Vec::new();
    while received.last() != Some(&52) {
        let message = patient("message", at_b.recv()).await.unwrap();
        received.push(message.as_bytes()[0]);
    }
    let reliable: Vec<u8> = received.iter().copied().filter(|n| *n < 100).collect();
    assert_eq!(reliable, (0..13).chain(50..53).collect::<Vec<u8>>());
    let stats = a.stats().await.unwrap().internals;
    assert!(
        stats.channels[0].counters.messages_abandoned >= 2,
        "{received:?}"
    );
}

/// A sink polled by hand: room that was found is kept, and given back by the drop.
#[tokio::test]
async fn room_that_is_not_used_is_given_back() {
    let a = builder()
        .channel_send_buffer_limit(300)
        .build()
        .await
        .unwrap();
    let b = builder().build().await.unwrap();
    let Pair { at_a, .. } = pair_of(a, b, DataChannelOptions::default()).await;
    let mut sink = at_a.messages();
    for _ in 0..3 {
        let ready = std::future::poll_fn(|cx| {
            Poll::Ready(futures_util::Sink::poll_ready(Pin::new(&mut sink), cx))
        });
        assert!(matches!(ready.await, Poll::Ready(Ok(()))));
    }
    assert!(at_a.try_send(vec![0; 100]).is_err(), "129 of 300 are kept");
    drop(sink);
    at_a.try_send(vec![0; 100]).unwrap();
}
