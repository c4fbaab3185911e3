//! Every example program, run as a user would run it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod program;

use std::process::{Command, Output, Stdio};

use peerloom::{DataChannelOptions, PeerConnection, SessionDescription};
use peerloom_examples::signaling;
use program::serve;
use serde_json::{Value, json};

const PAIR: &str = env!("CARGO_BIN_EXE_pair");
const THROUGHPUT: &str = env!("CARGO_BIN_EXE_throughput");
const INTERLEAVING: &str = env!("CARGO_BIN_EXE_interleaving");
const ECHO: &str = env!("CARGO_BIN_EXE_echo");
const BROWSER: &str = env!("CARGO_BIN_EXE_browser");

#[test]
fn pair_gets_its_message_back() {
    let output = run(PAIR, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("Bob got") && text.contains("Alice got"),
        "{text}"
    );
}

/// A line for each case, the first two without loss; all small messages arrived, and with interleaving
/// they overtake large ones.
#[test]
fn interleaving_prints_its_cases() {
    let plot = std::env::temp_dir().join(format!("interleaving-{}.svg", std::process::id()));
    let path = plot.to_str().unwrap();
    let output = run(INTERLEAVING, &["--json", "--secs", "1", "--plot", path]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 4, "{text}");
    for (line, (interleaving, loss)) in
        lines
            .iter()
            .zip([(true, 0.0), (false, 0.0), (true, 0.01), (false, 0.01)])
    {
        assert_eq!(
            (&line["interleaving"], &line["loss"]),
            (&json!(interleaving), &json!(loss))
        );
        assert_eq!(line["control_messages"], 100);
        for field in [
            "control_p50_ms",
            "control_p95_ms",
            "control_p99_ms",
            "base_ms",
        ] {
            // Half the round trip, and an answer within the patience of the program.
            assert!(
                (25.0..40_000.0).contains(&line[field].as_f64().unwrap()),
                "{field}: {line}"
            );
        }
        assert!(line["bulk_MBps"].as_f64().unwrap() > 0.0, "{line}");
    }
    assert!(lines[0]["control_overtook"].as_u64().unwrap() > 0, "{text}");
    let svg = std::fs::read_to_string(&plot).unwrap();
    std::fs::remove_file(&plot).unwrap();
    assert_eq!(svg.matches("<circle").count(), 400);
}

/// The page's two halves are there, and its offer is taken and answered with one candidate.
#[tokio::test]
async fn interleaving_serves_a_page() {
    let (_server, url) = serve(INTERLEAVING, &["--browser", "127.0.0.1:0"]);
    let client = reqwest::Client::new();
    for (path, needle) in [("", "page.js"), ("/page.js", "RTCPeerConnection")] {
        let text = client.get(format!("{url}{path}")).send().await.unwrap();
        assert!(text.text().await.unwrap().contains(needle));
    }
    let page = PeerConnection::builder()
        .loopback(true)
        .build()
        .await
        .unwrap();
    page.create_data_channel("offer", DataChannelOptions::default())
        .unwrap();
    page.set_local_description(page.create_offer().await.unwrap())
        .await
        .unwrap();
    page.gathering_complete().await;
    let offer = page.local_description().unwrap();
    let request = client.post(format!("{url}/api/offer")).json(&offer);
    let answer: SessionDescription = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer.sdp.matches("a=candidate:").count(), 1);
    page.set_remote_description(answer).await.unwrap();
    let (mut bulk, mut control) = (None, None);
    while bulk.is_none() || control.is_none() {
        if let Some(peerloom::Event::DataChannel(channel)) = page.next_event().await {
            let slot = if channel.label() == "bulk" {
                &mut bulk
            } else {
                &mut control
            };
            *slot = Some(channel);
        }
    }
    // What the page does: a small message says how many large ones were sent before it.
    let (bulk, control) = (bulk.unwrap(), control.unwrap());
    let (mut arrived, mut overtook) = (0, 0);
    while arrived < 3 {
        tokio::select! {
            message = bulk.recv() => {
                assert_eq!(message.unwrap().len(), 256 << 10);
                arrived += 1;
            }
            message = control.recv() => {
                let peerloom::Message::Text(sent) = message.unwrap() else {
                    panic!("the number is text")
                };
                overtook += usize::from(sent.parse::<usize>().unwrap() > arrived);
            }
        }
    }
    assert!(overtook > 0);
}

/// The fields that `benches/peers/compare` reads, and that nothing was lost.
#[test]
fn throughput_prints_the_peers_json_line() {
    let line = measure(&["--secs", "1", "--size", "65535"]);
    assert_eq!(line["stack"], "peerloom");
    assert_eq!(line["mode"], "throughput");
    assert_eq!(line["max_retransmits"], Value::Null);
    assert_nothing_wrong(&line);
    for field in [
        "cpu_s",
        "peak_rss_kb",
        "secs",
        "max_stall_ms",
        "stalls_200ms",
        "rcvbuf_drops",
        "so_rcvbuf",
    ] {
        assert!(line[field].is_number(), "{field}: {line}");
    }
}

#[test]
fn throughput_takes_small_socket_buffers_and_event_pacing() {
    // A queue so short that it fills however fast the connection is.
    let line = measure(&[
        "--secs",
        "1",
        "--sockbuf",
        "212992",
        "--pace",
        "events",
        "--high",
        "65536",
        "--low",
        "16384",
    ]);
    assert_nothing_wrong(&line);
    assert_eq!(line["so_rcvbuf"], 2 * 212_992);
    assert!(line["low_events"].as_u64().unwrap() > 0, "{line}");
}

#[test]
fn throughput_without_retransmissions_reports_loss() {
    let line = measure(&[
        "--secs",
        "1",
        "--size",
        "1200",
        "--ordered",
        "false",
        "--max-retransmits",
        "0",
    ]);
    assert!(line["MBps"].as_f64().unwrap() > 0.0, "{line}");
    assert!(
        line["lost_pct"].is_number() && line["seq_gaps"].is_null(),
        "{line}"
    );
    assert_eq!(line["bad_msgs"], 0, "{line}");
}

#[test]
fn throughput_runs_sctp_alone() {
    let line = measure(&["--secs", "1", "--size", "65535", "--layers", "sctp"]);
    assert_eq!(line["stack"], "peerloom-sctp");
    assert_nothing_wrong(&line);
}

#[test]
fn throughput_measures_latency_and_set_up() {
    let line = measure(&["--mode", "latency", "--rounds", "200"]);
    assert_eq!(line["rounds"], 200);
    assert!(
        line["p50_us"].as_f64().unwrap() <= line["p99_us"].as_f64().unwrap(),
        "{line}"
    );
    let line = measure(&["--mode", "setup", "--concurrent", "4"]);
    assert_eq!(line["concurrent_opened"], 4, "{line}");
    assert!(line["concurrent_all_open_ms"].is_number(), "{line}");
}

#[test]
fn throughput_runs_in_two_processes() {
    let (_listener, url) = serve(THROUGHPUT, &["listen", "--http", "127.0.0.1:0"]);
    let line = json_line(&run(
        THROUGHPUT,
        &["connect", &url, "--secs", "1", "--json"],
    ));
    assert_nothing_wrong(&line);
    // The listener takes one after the other.
    let line = json_line(&run(
        THROUGHPUT,
        &[
            "connect", &url, "--mode", "msgrate", "--secs", "1", "--json",
        ],
    ));
    assert_eq!(line["mode"], "msgrate");
    assert_nothing_wrong(&line);
}

/// Whoever mistypes reads which value was wrong, and a script sees 2.
#[test]
fn bad_arguments_are_named_and_exit_with_2() {
    for (program, args, named) in [
        (THROUGHPUT, &["--size", "seven"][..], "seven"),
        (
            THROUGHPUT,
            &["--layers", "sctp", "--mode", "latency"],
            "latency",
        ),
        (THROUGHPUT, &["connect", "nowhere"], "nowhere"),
        (BROWSER, &["--http", "here"], "here"),
    ] {
        let output = Command::new(program).args(args).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{program} {args:?}: {error}");
        assert!(error.contains(named), "{program} {args:?}: {error}");
    }
}

/// A peer that is not there is an error with its address, not a hang.
#[test]
fn connecting_to_nobody_fails_and_says_whom() {
    let output = Command::new(THROUGHPUT)
        .args(["connect", "http://127.0.0.1:9"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("127.0.0.1:9"), "{error}");
}

#[tokio::test]
async fn browser_serves_its_page_and_answers_a_native_peer() {
    let (_server, url) = serve(BROWSER, &["--http", "127.0.0.1:0"]);
    let client = reqwest::Client::new();
    for (path, contains) in [
        ("", "page.js"),
        ("page.js", "RTCPeerConnection"),
        ("plot.js", "canvas"),
        ("page.css", "--"),
    ] {
        let text = client
            .get(format!("{url}/{path}"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(text.contains(contains), "{path}: {text}");
    }

    let connection = PeerConnection::builder().build().await.unwrap();
    let echo = connection
        .create_data_channel("echo", DataChannelOptions::default())
        .unwrap();
    let offer = signaling::offer(&connection).await.unwrap();
    let response = client
        .post(format!("{url}/api/offer"))
        .json(&offer)
        .send()
        .await
        .unwrap();
    assert!(
        response.status().is_success(),
        "{:?}",
        response.text().await
    );
    let mut answer: Value = response.json().await.unwrap();
    let answer: SessionDescription = serde_json::from_value(answer["description"].take()).unwrap();
    connection.set_remote_description(answer).await.unwrap();
    echo.send("hello").await.unwrap();
    let back = echo.recv().await.unwrap();
    assert_eq!(back.as_text(), Some("hello"));
    connection.close().await;

    // Nonsense is refused in words, and the server lives.
    let nonsense = json!({ "type": "offer", "sdp": "v=0\r\nnonsense" });
    let response = client
        .post(format!("{url}/api/offer"))
        .json(&nonsense)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    assert!(!response.text().await.unwrap().trim().is_empty());
    let response = client
        .get(format!("{url}/api/connections/999"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
}

/// What the guide's first chapter promises, but for the browser.
#[tokio::test]
async fn echo_sends_everything_back() {
    let (_server, url) = serve(ECHO, &["127.0.0.1:0"]);
    let client = reqwest::Client::new();
    let page = client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("RTCPeerConnection"), "{page}");

    let connection = PeerConnection::builder().build().await.unwrap();
    let channel = connection
        .create_data_channel("echo", DataChannelOptions::default())
        .unwrap();
    let offer = signaling::offer(&connection).await.unwrap();
    let request = client.post(format!("{url}/offer")).json(&offer);
    let answer: SessionDescription = request.send().await.unwrap().json().await.unwrap();
    connection.set_remote_description(answer).await.unwrap();
    channel.send("hello").await.unwrap();
    assert_eq!(channel.recv().await.unwrap().as_text(), Some("hello"));
    connection.close().await;

    let nonsense = json!({ "type": "offer", "sdp": "v=0\r\nnonsense" });
    let request = client.post(format!("{url}/offer")).json(&nonsense);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(!response.text().await.unwrap().is_empty());
}

fn measure(args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.push("--json");
    json_line(&run(THROUGHPUT, &all))
}

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{program} {args:?}: {}\n{text}{error}",
        output.status
    );
    output
}

/// The one line that `--json` prints.
fn json_line(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(text).unwrap()
}

fn assert_nothing_wrong(line: &Value) {
    assert!(line["MBps"].as_f64().unwrap() > 0.0, "{line}");
    assert_eq!(line["bad_msgs"], 0, "{line}");
    assert_eq!(line["seq_gaps"], 0, "{line}");
}
