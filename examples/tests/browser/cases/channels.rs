//! Many channels, and the options of one.

use std::time::Duration;

use peerloom::{DataChannelOptions, Message, Reliability};
use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::pair::{End, Pair, serve_echo, within};

const MANY: usize = 100;

/// The ends take ids of different parity (RFC 8832 §6): from both at once, none collides, and a
/// message on each comes back on the same.
pub(super) async fn a_hundred_from_each_end(browser: &Browser) {
    let mut pair = Pair::connect(browser, End::Page).await;
    pair.run(
        "for (let i = 0; i < a; i++) page.create(`page ${i}`);",
        json!(MANY),
    )
    .await;
    for i in 0..MANY {
        serve_echo(pair.create(&format!("native {i}"), DataChannelOptions::default()));
    }
    for i in 0..MANY {
        serve_echo(pair.channel(&format!("page {i}")).await);
    }
    let ids = pair
        .run(
            "const ids = [];
             await Promise.all(Array.from({ length: 2 * a }, async (_, i) => {
               const label = `${i % 2 ? 'page' : 'native'} ${i >> 1}`;
               const back = await page.echo(label, label);
               if (back !== label) throw new Error(`${label}: ${back}`);
               ids.push(page.dc[label].id);
             }));
             return ids;",
            json!(MANY),
        )
        .await;
    let ids: std::collections::BTreeSet<u64> = ids
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), 2 * MANY, "{ids:?}");
    pair.close().await;
}

/// What one end asks of a channel is what the other end sees: DATA_CHANNEL_OPEN, RFC 8832 §5.1.
pub(super) async fn parameters_arrive(browser: &Browser) {
    let mut pair = Pair::connect(browser, End::Page).await;
    let times = Reliability::MaxRetransmits(3);
    let life = Reliability::MaxLifetime(Duration::from_millis(500));
    for (number, (ordered, reliability)) in [
        (true, Reliability::Reliable),
        (false, Reliability::Reliable),
        (true, times),
        (false, times),
        (true, life),
        (false, life),
        (false, Reliability::MaxRetransmits(0)),
    ]
    .into_iter()
    .enumerate()
    {
        let (retransmits, lifetime) = match reliability {
            Reliability::Reliable => (Value::Null, Value::Null),
            Reliability::MaxRetransmits(times) => (json!(times), Value::Null),
            Reliability::MaxLifetime(life) => (Value::Null, json!(life.as_millis() as u64)),
        };
        let wanted = json!({
            "ordered": ordered, "maxRetransmits": retransmits, "maxPacketLifeTime": lifetime,
            "protocol": "prötocol", "negotiated": false,
        });

        let label = format!("page’s {number}");
        let mut options = wanted.clone();
        // A member that is null counts as 0.
        options
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        pair.create_in_page(&label, options).await;
        let channel = pair.channel(&label).await;
        assert_eq!(
            (channel.ordered(), channel.reliability(), channel.protocol()),
            (ordered, reliability, "prötocol"),
            "{label}"
        );
        serve_echo(channel);
        let back = pair.run("return page.echo(a, 'x')", json!(label)).await;
        assert_eq!(back, "x", "{label}");

        let label = format!("native’s {number}");
        let options = DataChannelOptions {
            ordered,
            reliability,
            protocol: "prötocol".into(),
            ..DataChannelOptions::default()
        };
        serve_echo(pair.create(&label, options));
        let seen = pair
            .run(
                "const { dc } = await page.channel(a);
                 const { ordered, maxRetransmits, maxPacketLifeTime, protocol, negotiated } = dc;
                 return { ordered, maxRetransmits, maxPacketLifeTime, protocol, negotiated };",
                json!(label),
            )
            .await;
        assert_eq!(seen, wanted, "{label}");
        let back = pair.run("return page.echo(a, 'x')", json!(label)).await;
        assert_eq!(back, "x", "{label}");
    }
    pair.close().await;
}

/// Channels that both applications create with one id, without an OPEN.
pub(super) async fn negotiated_by_the_applications(browser: &Browser) {
    let pair = Pair::connect(browser, End::Native).await;
    for id in [7, 1000] {
        let options = DataChannelOptions {
            negotiated: Some(id),
            ..DataChannelOptions::default()
        };
        let channel = pair.create("agreed", options);
        pair.create_in_page("agreed", json!({ "negotiated": true, "id": id }))
            .await;
        channel.send("from here").await.unwrap();
        let body = "await page.send('agreed', 'from there'); return page.next('agreed')";
        assert_eq!(pair.run(body, Value::Null).await, "from here");
        assert_eq!(
            within("a message", channel.recv()).await,
            Some(Message::from("from there"))
        );
    }
    pair.close().await;
}
