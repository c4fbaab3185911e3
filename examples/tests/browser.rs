//! The `browser` example against a real, headless Chromium.
//!
//! `cargo test -p peerloom-examples --features browser-tests --test browser -- --nocapture`; with
//! `PEERLOOM_SWEEP_SECS=10` each rate of the sweep takes ten seconds instead of two.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod harness;

use harness::Page;
use serde_json::{Value, json};

/// Messages a second at which the report that started this project saw existing stacks fail.
const RATES: [u32; 7] = [10, 20, 25, 40, 50, 100, 200];

/// The size of its messages.
const SIZE: usize = 65_535;

/// What the native end may keep waiting in one channel, its default.
const SEND_BUFFER_LIMIT: u64 = 4 << 20;

/// The longest time without a message at full speed, in milliseconds.
const LONGEST_STALL: f64 = 200.0;

/// Every kind of message that RFC 8831 §6.6 tells apart, and the largest that both ends accept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echoes_text_bytes_empty_messages_and_256_kib() {
    let page = Page::open().await;
    page.connect(json!({})).await;
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
    page.close().await;
}

/// A browser that offers leaves the choice to us, and one that answers is always the client: both
/// our roles must work, and each must agree on a profile for media to come (RFC 5764).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connects_in_both_dtls_roles_and_reports_an_srtp_profile() {
    let page = Page::open().await;
    for (options, role) in [
        (json!({ "offerer": "page", "setup": "active" }), "client"),
        (json!({ "offerer": "page", "setup": "passive" }), "server"),
        (json!({ "offerer": "native" }), "server"),
    ] {
        let connected = page.connect(options.clone()).await;
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
    page.close().await;
}

/// A page that also offers media gets its data channels; the BUNDLE tag has moved on to them
/// (RFC 9143 §7.3.3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_and_video_are_rejected_and_data_works() {
    let page = Page::open().await;
    page.connect(json!({ "media": true })).await;
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
    // Chromium stops a transceiver whose m-section was rejected, and lists it no more.
    let left = page
        .run("return peerloom.transceivers.length", Value::Null)
        .await;
    assert_eq!(left, 0);
    assert_eq!(
        page.run("return peerloom.echo(a)", json!("hello")).await,
        "hello"
    );
    page.close().await;
}

/// The rate sweep that started this project: whatever the rate, everything sent arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_at_every_rate() {
    let page = Page::open().await;
    page.connect(json!({})).await;
    for rate in RATES {
        let result = download(&page, Some(rate)).await;
        let sent = result["sent"]["count"].as_u64().unwrap();
        assert!(
            sent + 2 >= (f64::from(rate) * sweep_secs()) as u64,
            "{rate}/s: {result}"
        );
        println!(
            "{rate:>4} messages/s: {} of {sent} arrived, {:.1} MB/s, longest pause {:.0} ms",
            result["received"],
            result["MBps"].as_f64().unwrap(),
            result["maxStallMs"].as_f64().unwrap(),
        );
    }
    page.close().await;
}

/// With no pause between sends, existing stacks overrun the browser's receive buffer and stand
/// still for seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_speed_loses_nothing_and_never_stalls() {
    let page = Page::open().await;
    page.connect(json!({})).await;
    let result = download(&page, None).await;
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
    page.close().await;
}

/// What the page says to someone whose other end is gone, or who asks for nonsense.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_reach_the_page() {
    let page = Page::open().await;
    let error = page
        .attempt("return peerloom.echo(a)", json!("hello"))
        .await
        .unwrap_err();
    assert_eq!(error, "not connected");
    page.connect(json!({})).await;
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
         await fetch('/api/connections/1', { method: 'DELETE' });
         return waiting.then(() => { throw new Error('it went on') }, () => null);",
        Value::Null,
    )
    .await;
    page.close().await;
}

/// Lets the native end send and checks that all of it arrived, undamaged and in order.
async fn download(page: &Page, rate: Option<u32>) -> Value {
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
