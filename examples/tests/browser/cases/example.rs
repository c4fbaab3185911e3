//! The page of the `browser` example. `PEERLOOM_SWEEP_SECS=10` gives each rate of the sweep ten
//! seconds instead of two.

use serde_json::{Value, json};

use crate::harness::browser::{Browser, Kind};

/// Messages a second at which the report that started this project saw existing stacks fail.
const RATES: [u32; 7] = [10, 20, 25, 40, 50, 100, 200];

/// The size of its messages.
const SIZE: usize = 65_535;

/// What the native end may keep waiting in one channel, its default.
const SEND_BUFFER_LIMIT: u64 = 4 << 20;

/// The longest time without a message at full speed, in milliseconds: what a retransmission timeout
/// takes in most stacks.
const LONGEST_STALL: f64 = 1000.0;

/// Every kind of message that RFC 8831 §6.6 tells apart, and the largest that both ends accept.
pub(super) async fn echoes_text_bytes_empty_messages_and_256_kib(page: &Browser) {
    connect(page, json!({})).await;
    let wrong = page
        .run(
            "const bytes = (n) => new Uint8Array(n).map((_, i) => i * 31 + 7).buffer;
             const all = {
               text: 'hello', unicode: 'grüße ☃ 𝄞', emptyText: '', long: 'x'.repeat(100000),
               one: bytes(1), bytes: bytes(1000), emptyBytes: bytes(0), large: bytes(262144),
             };
             const wrong = [];
             for (const [name, sent] of Object.entries(all)) {
               const back = await peerloom.echo(sent);
               if (!peerloom.same(sent, back)) wrong.push(name);
             }
             return wrong;",
            Value::Null,
        )
        .await;
    assert_eq!(wrong, json!([]), "these came back changed");
    disconnect(page).await;
}

/// A browser that offers leaves the choice to us, and one that answers is always the client: both
/// our roles must work, and each must agree on a profile for media to come (RFC 5764).
pub(super) async fn connects_in_both_dtls_roles_and_reports_an_srtp_profile(page: &Browser) {
    for (options, role) in [
        (json!({ "offerer": "page", "setup": "active" }), "client"),
        (json!({ "offerer": "page", "setup": "passive" }), "server"),
        (json!({ "offerer": "native" }), "server"),
    ] {
        let connected = connect(page, options.clone()).await;
        let back = page.run("return peerloom.echo(a)", json!("hello")).await;
        assert_eq!(back, "hello", "{options}");
        let stats = page.run("return peerloom.stats()", Value::Null).await;
        assert_eq!(
            stats["dtls"],
            format!("native end is the {role}"),
            "{options}"
        );
        let profile = stats["srtp_profile"]
            .as_str()
            .unwrap_or_else(|| panic!("{options}: {stats}"));
        assert!(profile.starts_with("A"), "{options}: {profile}");
        println!(
            "{options}: {profile}, open after {} ms",
            connected["setupMs"]
        );
    }
    disconnect(page).await;
}

/// A page that also offers media gets its data channels; the BUNDLE tag has moved on to them
/// (RFC 9143 §7.3.3).
pub(super) async fn audio_and_video_are_rejected_and_data_works(page: &Browser) {
    connect(page, json!({ "media": true })).await;
    let answer = page.run("return peerloom.description", Value::Null).await;
    let answer = answer.as_str().unwrap();
    for media in ["m=audio 0 ", "m=video 0 "] {
        assert!(answer.contains(media), "{answer}");
    }
    let mids: Vec<_> = answer
        .lines()
        .find_map(|line| line.strip_prefix("a=group:BUNDLE "))
        .unwrap()
        .split(' ')
        .collect();
    assert_eq!(mids.len(), 1, "{answer}");
    if page.kind == Kind::Chromium {
        // It stops a transceiver whose m-section was rejected, and lists it no more.
        let left = "return peerloom.transceivers.length";
        assert_eq!(page.run(left, Value::Null).await, 0);
    }
    assert_eq!(
        page.run("return peerloom.echo(a)", json!("hello")).await,
        "hello"
    );
    disconnect(page).await;
}

/// The rate sweep that started this project: whatever the rate, everything sent arrives.
pub(super) async fn everything_arrives_at_every_rate(page: &Browser) {
    connect(page, json!({})).await;
    for rate in RATES {
        let result = download(page, Some(rate)).await;
        let sent = result["sent"]["count"].as_u64().unwrap();
        // A machine that is busy with something else sends fewer.
        assert!(
            sent as f64 >= f64::from(rate) * sweep_secs() / 2.0,
            "{rate}/s: {result}"
        );
        println!(
            "{rate:>4} messages/s: {} of {sent} arrived, {:.1} MB/s, longest pause {:.0} ms",
            result["received"],
            result["MBps"].as_f64().unwrap(),
            result["maxStallMs"].as_f64().unwrap(),
        );
    }
    disconnect(page).await;
}

/// With no pause between sends, existing stacks overrun the browser's receive buffer and stand
/// still for seconds.
pub(super) async fn full_speed_loses_nothing_and_never_stalls(page: &Browser) {
    connect(page, json!({})).await;
    let result = download(page, None).await;
    println!(
        "native to page: {:.1} MB/s, longest pause {:.0} ms, at most {} B queued",
        result["MBps"].as_f64().unwrap(),
        result["maxStallMs"].as_f64().unwrap(),
        result["sent"]["max_buffered"],
    );
    assert!(
        result["sent"]["max_buffered"].as_u64().unwrap() <= SEND_BUFFER_LIMIT,
        "{result}"
    );
    assert!(
        result["maxStallMs"].as_f64().unwrap() <= LONGEST_STALL,
        "{result}"
    );

    let result = page
        .run(
            "return peerloom.upload(a)",
            json!({ "size": SIZE, "secs": sweep_secs() }),
        )
        .await;
    println!(
        "page to native: {:.1} MB/s",
        result["MBps"].as_f64().unwrap()
    );
    assert_eq!(result["count"], result["sent"], "{result}");
    assert_eq!(
        (&result["bad"], &result["gaps"]),
        (&json!(0), &json!(0)),
        "{result}"
    );
    // A packet repeated because nothing came for a while is a stall, however short it was here.
    let stats = page.run("return peerloom.stats()", Value::Null).await;
    assert_eq!(stats["counters"]["retransmits"]["timeout"], 0, "{stats}");
    disconnect(page).await;
}

/// What the page says to someone whose other end is gone, or who asks for nonsense.
pub(super) async fn errors_reach_the_page(page: &Browser) {
    let error = page
        .attempt("return peerloom.echo(a)", json!("hello"))
        .await
        .unwrap_err();
    assert_eq!(error, "not connected");
    let id = connect(page, json!({})).await["id"].clone();
    let order = json!({ "size": 65_535, "secs": -1 });
    let error = page
        .attempt("return peerloom.download(a)", order)
        .await
        .unwrap_err();
    assert!(error.starts_with("-1 s"), "{error}");
    // The connection lives.
    assert_eq!(
        page.run("return peerloom.echo(a)", json!("hello")).await,
        "hello"
    );
    // The native end closes: the page notices.
    page.run(
        "const waiting = peerloom.download({ size: 65535, secs: 30, rate: 1 });
         await fetch(`/api/connections/${a}`, { method: 'DELETE' });
         return waiting.then(() => { throw new Error('it went on') }, () => null);",
        id,
    )
    .await;
    disconnect(page).await;
}

/// Connects as `window.peerloom.connect` describes.
async fn connect(page: &Browser, options: Value) -> Value {
    page.run("return peerloom.connect(a)", options).await
}

async fn disconnect(page: &Browser) {
    page.run("await peerloom.disconnect()", Value::Null).await;
}

/// Lets the native end send and checks that all of it arrived, undamaged and in order.
async fn download(page: &Browser, rate: Option<u32>) -> Value {
    let order = json!({ "size": SIZE, "secs": sweep_secs(), "rate": rate });
    let result = page.run("return peerloom.download(a)", order).await;
    assert_eq!(
        result["received"], result["sent"]["count"],
        "{rate:?}: {result}"
    );
    assert_eq!(
        (&result["bad"], &result["gaps"]),
        (&json!(0), &json!(0)),
        "{rate:?}: {result}"
    );
    result
}

/// Seconds at each rate.
fn sweep_secs() -> f64 {
    match std::env::var("PEERLOOM_SWEEP_SECS") {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("PEERLOOM_SWEEP_SECS={value}")),
        Err(_) => 2.0,
    }
}
