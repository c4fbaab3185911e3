//! Ends of channels and connections.

use peerloom::{DataChannelOptions, Message, PeerConnection, Reason};
use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::pair::{End, Pair, within};

/// More than fits into one flight.
const QUEUED: usize = 60;

const SIZE: usize = 50_000;

/// Whoever closes a channel, what was accepted before arrives, then the other end sees the close
/// (RFC 8831 §6.7), and the stream ids can be used again.
pub(super) async fn a_channel_from_either_end(browser: &Browser) {
    let mut pair = Pair::connect(browser, End::Page).await;
    for round in 0..3 {
        let label = format!("page’s {round}");
        pair.create_in_page(&label, Value::Null).await;
        pair.run(
            "const { dc } = await page.channel(a.label);
             for (let i = 0; i < a.count; i++) dc.send(page.bytes(a.size));
             dc.close();",
            json!({ "label": label, "count": QUEUED, "size": SIZE }),
        )
        .await;
        let channel = pair.channel(&label).await;
        for number in 0..QUEUED {
            let got = within("a message", channel.recv()).await;
            assert_eq!(got.map(|it| it.len()), Some(SIZE), "{label}: {number}");
        }
        assert_eq!(within("the end", channel.recv()).await, None, "{label}");
        within("the close", channel.closed()).await;
        pair.run("await page.closed(a)", json!(label)).await;

        let label = format!("native’s {round}");
        let channel = pair.create(&label, DataChannelOptions::default());
        for _ in 0..QUEUED {
            channel.send(vec![1; SIZE]).await.unwrap();
        }
        channel.close();
        let count = pair
            .run(
                "const channel = await page.channel(a);
                 await page.closed(a);
                 return channel.queue.length;",
                json!(label),
            )
            .await;
        assert_eq!(count, QUEUED, "{label}");
        within("the close", channel.closed()).await;
    }
    pair.expect_echo("the connection lives").await;
    let channels = pair.stats().await.data_channels;
    assert_eq!(channels.channels_closed, 6, "{channels:?}");
    pair.close().await;
}

/// Whoever closes the connection, the other end is told and does not have to find out by silence;
/// what the native end accepted is delivered first.
pub(super) async fn the_connection_from_either_end(browser: &Browser) {
    for from in End::BOTH {
        let pair = Pair::connect(browser, from).await;
        pair.run("page.pc.close()", Value::Null).await;
        let reason = within("the end", pair.native.closed()).await;
        assert!(matches!(reason, Reason::Remote), "{reason}");

        let pair = Pair::connect(browser, from).await;
        let channel = pair.create("last words", DataChannelOptions::default());
        pair.run("await page.channel('last words')", Value::Null)
            .await;
        for _ in 0..QUEUED {
            channel.send(vec![1; SIZE]).await.unwrap();
        }
        within("the close", pair.native.close()).await;
        let count = pair
            .run(
                "await page.closed('last words');
                 await page.closed('echo');
                 return (await page.channel('last words')).queue.length;",
                Value::Null,
            )
            .await;
        assert_eq!(count, QUEUED);
        pair.close().await;
    }
}

/// A page that is reloaded says nothing to its application; its old connection must end all the
/// same, and the new page connects while it does.
pub(super) async fn a_reloaded_page_connects_again(browser: &Browser) {
    let url = browser.url().await;
    let old = Pair::connect(browser, End::Page).await;
    let channel = old.create("old", DataChannelOptions::default());
    browser.goto(&url).await;
    let new = Pair::connect_with(browser, End::Page, PeerConnection::builder()).await;
    let reason = within("the old connection's end", old.native.closed()).await;
    assert!(matches!(reason, Reason::Remote), "{reason}");
    assert_eq!(channel.recv().await, None::<Message>);
    new.expect_echo("the new one lives").await;
    new.close().await;
}
