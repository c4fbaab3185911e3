//! Messages of every kind and size.

use peerloom::{Message, PeerConnection, SendError};
use serde_json::{Value, json};

use crate::harness::browser::{Browser, Kind};
use crate::harness::pair::{ECHO, End, Pair, bytes, within};

/// What both browsers and we announce by default, or more (RFC 8841 §6).
const LARGE: usize = 256 << 10;

/// What Firefox can be sent beyond it.
const HUGE: usize = 16 << 20;

/// And what it sends. Of 16 MiB it sends nothing, to another page neither.
const HUGE_FROM_FIREFOX: usize = 8 << 20;

/// Every kind of message that RFC 8831 §6.6 tells apart arrives as what it was sent as, from
/// either offerer.
pub(super) async fn every_kind_comes_back(browser: &Browser) {
    for from in End::BOTH {
        let mut pair = Pair::connect(browser, from).await;
        let wrong = pair
            .run(
                "const all = {
                   text: 'hello', unicode: 'grüße ☃ 𝄞', emptyText: '', long: 'x'.repeat(100000),
                   one: page.bytes(1).buffer, bytes: page.bytes(1000).buffer,
                   emptyBytes: page.bytes(0).buffer, large: page.bytes(262144).buffer,
                 };
                 const wrong = [];
                 for (const [name, sent] of Object.entries(all)) {
                   if (!page.same(sent, await page.echo('echo', sent))) wrong.push(name);
                 }
                 return wrong;",
                Value::Null,
            )
            .await;
        assert_eq!(wrong, json!([]), "from {from:?}: these came back changed");

        // The native end sees what the page sent, not only the page what it sent itself.
        pair.create_in_page("kinds", Value::Null).await;
        pair.run(
            "for (const data of ['grüße', '', page.bytes(262144), page.bytes(0)]) {
               await page.send('kinds', data);
             }",
            Value::Null,
        )
        .await;
        let kinds = pair.channel("kinds").await;
        for wanted in [
            Message::from("grüße"),
            Message::from(""),
            Message::from(bytes(LARGE)),
            Message::from(bytes(0)),
        ] {
            let got = within("a message", kinds.recv()).await.unwrap();
            assert!(got == wanted, "from {from:?}: {} B wanted", wanted.len());
        }
        pair.close().await;
    }
}

/// Messages far beyond the default limit and the receive window, announced by
/// `a=max-message-size`.
pub(super) async fn huge_messages_both_ways(browser: &Browser) {
    let builder = PeerConnection::builder().max_message_size(HUGE);
    let mut pair = Pair::connect_with(browser, End::Page, builder).await;
    pair.create_in_page("huge", Value::Null).await;
    pair.run(
        "await page.send('huge', page.bytes(a))",
        json!(HUGE_FROM_FIREFOX),
    )
    .await;
    let huge = pair.channel("huge").await;
    let got = within("the huge message", huge.recv()).await.unwrap();
    assert!(got == Message::from(bytes(HUGE_FROM_FIREFOX)));
    huge.send(bytes(HUGE)).await.unwrap();
    let same = "return page.same(await page.next('huge'), page.bytes(a))";
    assert_eq!(pair.run(same, json!(HUGE)).await, true);
    pair.expect_echo("and another").await;
    pair.close().await;
}

/// Neither end sends what the other said it would not take, and says so at once.
pub(super) async fn too_large_is_refused_and_the_channel_lives(browser: &Browser) {
    let mut pair = Pair::connect(browser, End::Page).await;
    let error = browser
        .attempt("await page.send('echo', page.bytes(a))", json!(LARGE + 1))
        .await
        .unwrap_err();
    assert!(!error.contains("waited"), "{error}");
    pair.expect_echo("the channel lives").await;

    pair.create_in_page("down", Value::Null).await;
    let down = pair.channel("down").await;
    let announced = pair.run("return page.pc.sctp.maxMessageSize", Value::Null);
    assert_eq!(announced.await, LARGE, "what the page thinks it may send");
    let limit = match browser.kind {
        Kind::Chromium => LARGE,
        // 1 GiB: more than anyone wants to allocate here.
        Kind::Firefox => return pair.close().await,
    };
    let error = down.send(bytes(limit + 1)).await.unwrap_err();
    assert!(
        matches!(error, SendError::MessageTooLarge { len, max } if (len, max) == (limit + 1, limit)),
        "{error}"
    );
    down.send(bytes(limit)).await.unwrap();
    let same = "return page.same(await page.next('down'), page.bytes(a))";
    assert_eq!(pair.run(same, json!(limit)).await, true, "{ECHO}");
    pair.close().await;
}
