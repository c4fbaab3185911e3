//! ICE restarts (RFC 8445 §2.4): other addresses under the same DTLS and SCTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use peerloom::{ConnectionState, DataChannel, DataChannelOptions};
use peerloom_examples::throughput::meter::Messages;
use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::pair::{End, Pair, Seen, collect, within};

const SIZE: usize = 10_000;

const RESTARTS: u64 = 3;

/// Data flows both ways all the time, on the same channels, and nothing is lost, whoever restarts
/// and whoever offered first.
pub(super) async fn from_either_end_under_load(browser: &Browser) {
    for (first, restarter) in [
        (End::Page, End::Page),
        (End::Page, End::Native),
        (End::Native, End::Page),
        (End::Native, End::Native),
    ] {
        let pair = Pair::connect(browser, first).await;
        let flow = Flow::start(&pair).await;
        let before = pair.stats().await;
        for _ in 0..RESTARTS {
            let old = ufrags(&pair);
            restart(&pair, restarter).await;
            let new = ufrags(&pair);
            assert!(old.0 != new.0 && old.1 != new.1, "{old:?}, {new:?}");
            pair.expect_echo("meanwhile").await;
            within("another pair", async {
                while pair.stats().await.ice.selected_changes == before.ice.selected_changes {
                    pair.expect_echo("meanwhile").await;
                }
            })
            .await;
        }
        let (sent, received) = flow.stop(&pair).await;
        println!("    first {first:?}, restarts by {restarter:?}: {sent:?} down, {received:?} up");
        assert!(!pair.states().contains(&ConnectionState::Failed));
        assert_eq!(
            pair.stats().await.data_channels.channels_closed,
            0,
            "the channels are the same"
        );
        pair.close().await;
    }
}

/// The path breaks, both ends notice, and a restart over another path brings everything that was
/// sent meanwhile.
pub(super) async fn after_the_path_broke(browser: &Browser) {
    for restarter in End::BOTH {
        let mut pair = Pair::over_wire(browser, End::Page).await;
        let down = pair.create("down", DataChannelOptions::default());
        pair.run("await page.channel('down')", Value::Null).await;
        pair.rewire().await;
        let mut state = pair.native.watch_connection_state();
        within(
            "silence to be noticed",
            state.wait_for(|state| *state == ConnectionState::Disconnected),
        )
        .await
        .unwrap();
        down.send("sent into the dark").await.unwrap();
        pair.run("await page.send('echo', 'this too')", Value::Null)
            .await;
        restart(&pair, restarter).await;
        let body = "return [await page.next('down'), await page.next('echo')]";
        assert_eq!(
            pair.run(body, Value::Null).await,
            json!(["sent into the dark", "this too"]),
            "restart by {restarter:?}"
        );
        within("the connection", pair.native.connected())
            .await
            .unwrap();
        assert!(!pair.states().contains(&ConnectionState::Failed));
        pair.close().await;
    }
}

async fn restart(pair: &Pair<'_>, by: End) {
    match by {
        End::Page => {
            pair.run("page.pc.restartIce()", Value::Null).await;
        }
        End::Native => pair.native.restart_ice().unwrap(),
    }
    pair.negotiate(by).await;
}

/// The user name fragments of the native end and of the page.
fn ufrags(pair: &Pair<'_>) -> (String, String) {
    let of = |description: Option<peerloom::SessionDescription>| {
        let sdp = description.unwrap().sdp;
        let line = sdp
            .lines()
            .find_map(|line| line.strip_prefix("a=ice-ufrag:"));
        line.unwrap().to_owned()
    };
    (
        of(pair.native.local_description()),
        of(pair.native.remote_description()),
    )
}

/// Numbered messages both ways on one channel.
struct Flow {
    stop: Arc<AtomicBool>,
    sending: tokio::task::JoinHandle<u64>,
    collecting: tokio::task::JoinHandle<Seen>,
}

impl Flow {
    async fn start(pair: &Pair<'_>) -> Self {
        let channel = pair.create("flow", DataChannelOptions::default());
        channel.opened().await.unwrap();
        pair.start_collecting("flow", SIZE).await;
        pair.run(
            "window.more = true; window.pumping = page.pump('flow', a, () => window.more);",
            json!(SIZE),
        )
        .await;
        let stop = Arc::new(AtomicBool::new(false));
        Self {
            sending: tokio::spawn(send(channel.clone(), stop.clone())),
            collecting: tokio::spawn(collect(channel, SIZE)),
            stop,
        }
    }

    /// Ends it and checks that all of it arrived; how much that was.
    async fn stop(self, pair: &Pair<'_>) -> (u64, u64) {
        self.stop.store(true, Relaxed);
        let sent = within("the sender", self.sending).await.unwrap();
        let stop = "window.more = false; return window.pumping";
        let pumped = pair.run(stop, Value::Null).await.as_u64().unwrap();
        let all = |count| Seen {
            count,
            ..Seen::default()
        };
        assert_eq!(pair.collected().await, all(sent));
        assert_eq!(
            within("the rest", self.collecting).await.unwrap(),
            all(pumped)
        );
        (sent, pumped)
    }
}

async fn send(channel: DataChannel, stop: Arc<AtomicBool>) -> u64 {
    let messages = Messages::new(SIZE);
    let mut count = 0;
    while !stop.load(Relaxed) {
        channel.send(messages.numbered(count)).await.unwrap();
        count += 1;
    }
    channel.send("end").await.unwrap();
    count
}
