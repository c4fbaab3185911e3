//! A page and a native end, connected.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerloom::stats::Internals;
use peerloom::{
    ConnectionState, DataChannel, DataChannelOptions, Event, IceCandidate, Message, PeerConnection,
    PeerConnectionBuilder, SessionDescription,
};
use peerloom_examples::signaling;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::browser::Browser;
use super::wire::{self, Wire};

/// The longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Who makes the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Page,
    Native,
}

impl End {
    pub(crate) const BOTH: [End; 2] = [End::Page, End::Native];
}

/// The label of the channel that every pair begins with. The native end sends back what comes on
/// it.
pub(crate) const ECHO: &str = "echo";

pub(crate) struct Pair<'a> {
    pub(crate) browser: &'a Browser,
    pub(crate) native: PeerConnection,
    /// Channels that the page opened and nobody has asked for yet.
    waiting: Vec<DataChannel>,
    incoming: mpsc::UnboundedReceiver<DataChannel>,
    seen: Arc<Mutex<Events>>,
    wire: Option<Wire>,
}

/// What happened at the native end, channels aside.
#[derive(Default)]
struct Events {
    states: Vec<ConnectionState>,
    candidates: Vec<IceCandidate>,
}

impl<'a> Pair<'a> {
    /// Connects with one channel that echoes, offered by `from`.
    pub(crate) async fn connect(browser: &'a Browser, from: End) -> Self {
        Self::connect_with(browser, from, PeerConnection::builder()).await
    }

    pub(crate) async fn connect_with(
        browser: &'a Browser,
        from: End,
        builder: PeerConnectionBuilder,
    ) -> Self {
        let mut pair = Self::new(browser, builder).await;
        pair.begin(from).await;
        pair
    }

    async fn begin(&mut self, from: End) {
        let echo = match from {
            End::Page => {
                self.create_in_page(ECHO, Value::Null).await;
                self.negotiate(from).await;
                self.channel(ECHO).await
            }
            End::Native => {
                let echo = self.create(ECHO, DataChannelOptions::default());
                self.negotiate(from).await;
                echo
            }
        };
        serve_echo(echo);
        self.expect_echo("hello").await;
    }

    /// Both ends, not connected yet.
    pub(crate) async fn new(browser: &'a Browser, builder: PeerConnectionBuilder) -> Self {
        browser.run("page.fresh(a)", Value::Null).await;
        let native = builder.build().await.unwrap();
        let (arrived, incoming) = mpsc::unbounded_channel();
        let seen = Arc::new(Mutex::new(Events::default()));
        tokio::spawn(follow(native.clone(), arrived, seen.clone()));
        Self {
            browser,
            native,
            waiting: Vec::new(),
            incoming,
            seen,
            wire: None,
        }
    }

    /// [`connect`](Self::connect), with a [`Wire`] between the two.
    pub(crate) async fn over_wire(browser: &'a Browser, from: End) -> Self {
        let loopback = free_port().await;
        let builder = PeerConnection::builder().bind([loopback]);
        let mut pair = Self::new(browser, builder).await;
        pair.wire = Some(Wire::to(loopback).await);
        pair.begin(from).await;
        pair
    }

    /// The wire of [`over_wire`](Self::over_wire).
    pub(crate) fn wire(&self) -> &Wire {
        self.wire.as_ref().expect("the pair was connected by one")
    }

    /// Another wire for the next descriptions. What goes over the old one is lost.
    pub(crate) async fn rewire(&mut self) {
        self.wire().lose(wire::ALL);
        self.wire = Some(Wire::to(self.wire().native).await);
    }

    /// One round of offer and answer, with all candidates in the descriptions.
    pub(crate) async fn negotiate(&self, from: End) {
        match from {
            End::Page => {
                let offer = self.without_wire(self.page_offer().await);
                let answer = signaling::answer(&self.native, offer).await.unwrap();
                self.page_accepts(&self.by_wire(answer)).await;
            }
            End::Native => {
                let offer = signaling::offer(&self.native).await.unwrap();
                let answer = self.page_answer(&self.by_wire(offer)).await;
                let answer = self.without_wire(answer);
                self.native.set_remote_description(answer).await.unwrap();
            }
        }
    }

    pub(crate) async fn page_offer(&self) -> SessionDescription {
        description(self.run("return page.describe()", Value::Null).await)
    }

    pub(crate) async fn page_answer(&self, offer: &SessionDescription) -> SessionDescription {
        description(self.run("return page.answer(a)", json!(offer)).await)
    }

    pub(crate) async fn page_accepts(&self, answer: &SessionDescription) {
        self.run("await page.pc.setRemoteDescription(a)", json!(answer))
            .await;
    }

    /// Creates a channel at the native end.
    pub(crate) fn create(&self, label: &str, options: DataChannelOptions) -> DataChannel {
        self.native.create_data_channel(label, options).unwrap()
    }

    /// Creates a channel in the page.
    pub(crate) async fn create_in_page(&self, label: &str, options: Value) {
        let argument = json!({ "label": label, "options": options });
        self.run("page.create(a.label, a.options)", argument).await;
    }

    /// The native end of a channel that the page created.
    pub(crate) async fn channel(&mut self, label: &str) -> DataChannel {
        loop {
            if let Some(at) = self.waiting.iter().position(|it| it.label() == label) {
                return self.waiting.swap_remove(at);
            }
            let arrived = within(&format!("channel {label}"), self.incoming.recv()).await;
            self.waiting.push(arrived.unwrap());
        }
    }

    fn without_wire(&self, description: SessionDescription) -> SessionDescription {
        match self.wire {
            Some(_) => Wire::nowhere(description),
            None => description,
        }
    }

    fn by_wire(&self, description: SessionDescription) -> SessionDescription {
        match &self.wire {
            Some(wire) => wire.here(description),
            None => description,
        }
    }

    /// The page begins to take numbered messages; [`collected`](Self::collected) waits for "end".
    pub(crate) async fn start_collecting(&self, label: &str, size: usize) {
        let start = "window.collecting = page.collect(a.label, a.size);";
        let arguments = json!({ "label": label, "size": size });
        self.run(start, arguments).await;
    }

    /// What the page has taken.
    pub(crate) async fn collected(&self) -> Seen {
        let seen = self.run("return window.collecting", Value::Null).await;
        serde_json::from_value(seen).unwrap()
    }

    /// [`Browser::run`].
    pub(crate) async fn run(&self, body: &str, argument: Value) -> Value {
        self.browser.run(body, argument).await
    }

    /// Text goes from the page to the native end and back.
    pub(crate) async fn expect_echo(&self, text: &str) {
        let body = format!("return page.echo('{ECHO}', a)");
        match self.browser.attempt(&body, json!(text)).await {
            Ok(back) => assert_eq!(back, text),
            Err(error) => panic!("{text:?}: {error}\n{}", self.report().await),
        }
    }

    /// How things stand at both ends, for a failure's message.
    async fn report(&self) -> String {
        let page = "const { connectionState, iceConnectionState, signalingState } = page.pc;
                    const channels = Object.values(page.dc).map((it) => [it?.label, it?.readyState]);
                    const stats = [...(await page.pc.getStats()).values()].filter((it) =>
                      ['candidate-pair', 'data-channel', 'transport'].includes(it.type));
                    return { connectionState, iceConnectionState, signalingState, channels, stats };";
        let page = self.browser.attempt(page, Value::Null).await;
        let native = self.native.stats().await.map(|stats| stats.internals);
        let states = self.states();
        format!("page: {page:?}\nnative: {states:?} {native:?}")
    }

    pub(crate) async fn stats(&self) -> Internals {
        self.native.stats().await.unwrap().internals
    }

    /// The states that the native end went through.
    pub(crate) fn states(&self) -> Vec<ConnectionState> {
        self.seen.lock().unwrap().states.clone()
    }

    /// Candidates of the native end that have not been taken yet.
    pub(crate) fn take_candidates(&self) -> Vec<IceCandidate> {
        std::mem::take(&mut self.seen.lock().unwrap().candidates)
    }

    /// Ends both ends.
    pub(crate) async fn close(self) {
        self.native.close().await;
        self.run("page.pc.close()", Value::Null).await;
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other events are looked at by nobody"
)]
async fn follow(
    native: PeerConnection,
    arrived: mpsc::UnboundedSender<DataChannel>,
    seen: Arc<Mutex<Events>>,
) {
    while let Some(event) = native.next_event().await {
        let mut seen = seen.lock().unwrap();
        match event {
            // Refused only when the pair is gone.
            Event::DataChannel(channel) => drop(arrived.send(channel)),
            Event::ConnectionState(state) => seen.states.push(state),
            Event::IceCandidate(candidate) => {
                seen.candidates.push(candidate.unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// A UDP address on loopback that nobody uses.
async fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.local_addr().unwrap()
}

/// Sends back what comes until the channel closes.
pub(crate) fn serve_echo(channel: DataChannel) {
    tokio::spawn(async move {
        while let Some(message) = channel.recv().await {
            if channel.send(message).await.is_err() {
                break;
            }
        }
    });
}

/// What [`collect`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    /// Damaged.
    pub(crate) bad: u64,
    /// Not the number that comes next.
    pub(crate) gaps: u64,
    /// A smaller number than the one that comes next.
    pub(crate) backwards: u64,
    /// A number that came before.
    pub(crate) repeated: u64,
}

/// Takes numbered messages until "end".
pub(crate) async fn collect(channel: DataChannel, size: usize) -> Seen {
    let (mut seen, mut expected, mut numbers) = (Seen::default(), 0, HashSet::new());
    loop {
        match within("a message", channel.recv()).await {
            Some(Message::Binary(message)) => {
                seen.count += 1;
                match peerloom_examples::throughput::meter::sequence(&message, size) {
                    None => seen.bad += 1,
                    Some(number) => {
                        seen.gaps += u64::from(number != expected);
                        seen.backwards += u64::from(number < expected);
                        seen.repeated += u64::from(!numbers.insert(number));
                        expected = number + 1;
                    }
                }
            }
            Some(Message::Text(text)) => {
                assert_eq!(text, "end");
                return seen;
            }
            None => panic!("{} closed after {seen:?}", channel.label()),
        }
    }
}

/// The bytes that `page.bytes` makes.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + 7) as u8).collect()
}

/// Names what did not happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}

fn description(json: Value) -> SessionDescription {
    serde_json::from_value(json).unwrap()
}
