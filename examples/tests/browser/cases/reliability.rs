//! Partial reliability on a lossy wire (RFC 3758, RFC 8831 §6.6).

use std::time::Duration;

use peerloom::{DataChannel, DataChannelOptions, Reliability};
use peerloom_examples::throughput::meter::Messages;
use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::pair::{End, Pair, Seen, collect};

const COUNT: u64 = 400;

/// One packet each.
const SIZE: usize = 1000;

const END_EVERY: Duration = Duration::from_millis(20);

/// Of a thousand datagrams.
const LOSS: u32 = 100;

/// Whatever a channel promises holds at both ends: what it may lose is lost and does not hold up
/// the rest, what it may not arrives, nothing comes twice, and the order is kept where it is asked
/// for. The skipped messages are skipped by FORWARD-TSN in one direction or the other.
pub(super) async fn limited_channels_lose_only_what_they_may(browser: &Browser) {
    let pair = Pair::over_wire(browser, End::Page).await;
    for (ordered, reliability) in [
        (true, Reliability::Reliable),
        (false, Reliability::MaxRetransmits(0)),
        (true, Reliability::MaxRetransmits(0)),
        (false, Reliability::MaxLifetime(Duration::from_millis(20))),
        (true, Reliability::MaxLifetime(Duration::from_millis(20))),
    ] {
        let label = format!("{ordered} {reliability:?}");
        let options = DataChannelOptions {
            ordered,
            reliability,
            ..DataChannelOptions::default()
        };
        let channel = pair.create(&label, options);
        channel.opened().await.unwrap();
        pair.run("await page.channel(a)", json!(label)).await;

        let abandoned = pair.stats().await.sctp.messages_abandoned;
        let down = to_page(&pair, &channel, &label).await;
        let abandoned = pair.stats().await.sctp.messages_abandoned - abandoned;
        let up = to_native(&pair, &channel, &label).await;
        println!(
            "    {label}: down {}, up {} of {COUNT}",
            down.count, up.count
        );
        for seen in [down, up] {
            assert_eq!((seen.bad, seen.repeated), (0, 0), "{label}: {seen:?}");
            match reliability {
                Reliability::Reliable => assert_eq!(seen.count, COUNT, "{label}"),
                Reliability::MaxRetransmits(_) => {
                    assert!(
                        (COUNT / 2..COUNT).contains(&seen.count),
                        "{label}: {seen:?}"
                    );
                }
                // How many are late depends on the machine.
                Reliability::MaxLifetime(_) => assert!(seen.count > 0, "{label}"),
            }
            if ordered {
                assert_eq!(seen.backwards, 0, "{label}: {seen:?}");
            }
        }
        assert!(
            abandoned >= COUNT - down.count,
            "{label}: {abandoned}, {down:?}"
        );
        channel.close();
    }
    pair.expect_echo("the others live").await;
    pair.close().await;
}

async fn to_page(pair: &Pair<'_>, channel: &DataChannel, label: &str) -> Seen {
    pair.start_collecting(label, SIZE).await;
    pair.wire().lose(LOSS);
    let messages = Messages::new(SIZE);
    for number in 0..COUNT {
        channel.send(messages.numbered(number)).await.unwrap();
    }
    channel.buffered_amount_low().await;
    pair.wire().lose(0);
    // One alone may be lost like any other message: its time may be up before its turn.
    let mut ticks = tokio::time::interval(END_EVERY);
    tokio::select! {
        seen = pair.collected() => seen,
        () = async {
            loop {
                ticks.tick().await;
                channel.send("end").await.unwrap();
            }
        } => unreachable!("it goes on"),
    }
}

async fn to_native(pair: &Pair<'_>, channel: &DataChannel, label: &str) -> Seen {
    pair.wire().lose(LOSS);
    let collecting = tokio::spawn(collect(channel.clone(), SIZE));
    pair.run(
        "const { dc } = await page.channel(a.label);
         for (let i = 0; i < a.count; i++) dc.send(page.numbered(a.size, i));
         await page.drained(dc);",
        json!({ "label": label, "size": SIZE, "count": COUNT }),
    )
    .await;
    pair.wire().lose(0);
    pair.run(
        "const { dc } = await page.channel(a.label);
         window.ending = setInterval(() => dc.send('end'), a.every);",
        json!({ "label": label, "every": END_EVERY.as_millis() as u64 }),
    )
    .await;
    let seen = collecting.await.unwrap();
    pair.run("clearInterval(window.ending)", Value::Null).await;
    seen
}
