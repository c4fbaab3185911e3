//! Paths that fail, other ends that talk nonsense, connections that end, contact that is lost.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_channel::mpsc;
use futures_util::{FutureExt as _, Sink, SinkExt as _, StreamExt as _, stream};
use peerloom::{
    AlreadyNegotiated, ConnectionState, DataChannelOptions, Event, IceCandidate, Negotiator,
    NegotiatorError, PeerConnection, Politeness, Reason, SdpType, SessionDescription, Signal,
    SignalingState, SignallingEnd,
};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::Negotiated;
use super::path::{Delays, End, path};
use super::support::{self, patient};

const SLOW: Delays = Delays { seed: 1, up_to: 30 };

fn offer(sdp: &str) -> Signal {
    Signal::Description(SessionDescription::offer(sdp))
}

fn said(signals: Vec<Signal>) -> stream::Iter<std::vec::IntoIter<Result<Signal, Infallible>>> {
    stream::iter(signals.into_iter().map(Ok).collect::<Vec<_>>())
}

async fn peer() -> PeerConnection {
    support::builder().build().await.unwrap()
}

/// Both ends offer at once, a channel is added later, and either end restarts.
#[tokio::test(start_paused = true)]
async fn channels_and_restarts_are_all_an_application_does() {
    let Negotiated { a, b, .. } = &Negotiated::new(SLOW).await;
    for (from, to) in [(a, b), (b, a), (a, b)] {
        let channel = from
            .create_data_channel("x", DataChannelOptions::default())
            .unwrap();
        channel.send("hello").await.unwrap();
        let incoming = support::incoming(to).await;
        assert!(patient("message", incoming.recv()).await.is_some());
        from.restart_ice().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_offer_ends_the_run_and_the_next_one_goes_on() {
    let (a, b) = support::peers().await;
    let mut negotiator = Negotiator::new(&a, Politeness::Impolite).unwrap();
    let refused = negotiator
        .run(
            futures_util::sink::drain(),
            said(vec![offer("v=0\r\nnonsense")]),
        )
        .await;
    let Err(NegotiatorError::Refused { kind, error }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(kind, SdpType::Offer);
    assert!(error.to_string().contains("line 2"), "{error}");
    assert_eq!(a.signaling_state(), SignalingState::Stable);

    let mut tasks = JoinSet::new();
    let (at_a, at_b) = path(SLOW, &mut tasks);
    let mut other = Negotiator::new(&b, Politeness::Polite).unwrap();
    tasks.spawn(async move {
        let _ = negotiator.run(at_a.sink, at_a.source).await;
    });
    tasks.spawn(async move {
        let _ = other.run(at_b.sink, at_b.source).await;
    });
    let channel = b
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    patient("open", channel.opened()).await.unwrap();
}

/// Candidates that cannot be used, and answers to nothing, cost a count each.
#[tokio::test(start_paused = true)]
async fn noise_is_counted_and_passed_over() {
    let a = peer().await;
    let mut negotiator = Negotiator::new(&a, Politeness::Impolite).unwrap();
    let nowhere = IceCandidate {
        candidate: "candidate:1 1 udp 1 192.0.2.1 1 typ host".into(),
        ..IceCandidate::default()
    };
    let mut noise = vec![Signal::Candidate(Some(nowhere)); 5_000];
    noise.push(Signal::Description(SessionDescription::answer("v=0\r\n")));
    let end = negotiator
        .run(futures_util::sink::drain(), said(noise))
        .await;
    assert!(matches!(end, Ok(SignallingEnd::Source)), "{end:?}");
    let stats = negotiator.stats();
    assert_eq!((stats.candidates_refused, stats.stale_answers), (5_000, 1));
}

#[tokio::test(start_paused = true)]
async fn a_negotiator_ends_with_its_connection_and_does_not_hold_it() {
    let a = peer().await;
    let mut negotiator = Negotiator::new(&a, Politeness::Polite).unwrap();
    let mut tasks = JoinSet::new();
    let (End { sink, source }, _other) = path(SLOW, &mut tasks);
    let running = async move { negotiator.run(sink, source).await };
    drop(a);
    let end = patient("end", running).await;
    assert!(
        matches!(end, Ok(SignallingEnd::Connection(Reason::Dropped))),
        "{end:?}"
    );
}

/// One negotiator at a time; without one, its events are the application's again.
#[tokio::test(start_paused = true)]
async fn events_come_to_the_negotiator_while_there_is_one() {
    let a = peer().await;
    let negotiator = Negotiator::new(&a, Politeness::Polite).unwrap();
    assert_eq!(
        Negotiator::new(&a, Politeness::Polite).unwrap_err(),
        AlreadyNegotiated
    );
    a.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    assert!(a.next_event().now_or_never().is_none());
    drop(negotiator);
    assert!(matches!(
        a.next_event().now_or_never(),
        Some(Some(Event::NegotiationNeeded))
    ));
}

/// A sink that fails, and one that takes nothing.
struct Broken {
    fails: bool,
}

impl Sink<Signal> for Broken {
    type Error = &'static str;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.fails {
            Poll::Ready(Err("broken"))
        } else {
            Poll::Pending
        }
    }

    fn start_send(self: Pin<&mut Self>, _: Signal) -> Result<(), &'static str> {
        Err("never ready")
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_path_are_returned() {
    let a = peer().await;
    a.create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    let mut negotiator = Negotiator::new(&a, Politeness::Polite).unwrap();
    let silent = || stream::pending::<Result<Signal, &str>>();
    let sent = negotiator.run(Broken { fails: true }, silent()).await;
    assert!(
        matches!(sent, Err(NegotiatorError::Send("broken"))),
        "{sent:?}"
    );
    let failing = stream::iter([Err::<Signal, _>("cut")]);
    let received = negotiator.run(Broken { fails: false }, failing).await;
    assert!(
        matches!(received, Err(NegotiatorError::Receive("cut"))),
        "{received:?}"
    );
    // What no path took is said on the next.
    let (sink, mut said) = mpsc::channel(8);
    let _ = negotiator.run(sink, silent()).now_or_never();
    assert!(matches!(said.next().await, Some(Signal::Description(_))));
}

/// An other end that offers on and on and reads no answer must not make us keep them all.
#[tokio::test(start_paused = true)]
async fn answers_that_nobody_takes_are_bounded() {
    let a = peer().await;
    let mut negotiator = Negotiator::new(&a, Politeness::Polite).unwrap();
    let data = include_str!("../data/sdp/chromium-156-data.sdp");
    let offers = said(vec![offer(data); 1_000]);
    let end = negotiator.run(Broken { fails: false }, offers).await;
    assert!(
        matches!(end, Err(NegotiatorError::Backlog { max: 64 })),
        "{end:?}"
    );
    assert!(negotiator.stats().answers <= 65);
}

/// Contact is lost until ICE has given up; with it back, the negotiator's restart finds it, and
/// data goes on where it stopped.
#[tokio::test(start_paused = true)]
async fn a_transport_that_failed_is_restarted() {
    let (a, b) = support::peers().await;
    let mut tasks = JoinSet::new();
    let wire = Arc::new(AtomicBool::new(true));
    let mut proxies = Proxies {
        wire: wire.clone(),
        known: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let (from_a, mut at_proxy_a) = mpsc::channel::<Signal>(64);
    let (from_b, mut at_proxy_b) = mpsc::channel::<Signal>(64);
    let (mut to_a, for_a) = mpsc::channel::<Signal>(64);
    let (mut to_b, for_b) = mpsc::channel::<Signal>(64);
    for (peer, politeness, sink, source) in [
        (&a, Politeness::Polite, from_a, for_a),
        (&b, Politeness::Impolite, from_b, for_b),
    ] {
        let mut negotiator = Negotiator::new(peer, politeness).unwrap();
        tasks.spawn(async move {
            let _ = negotiator.run(sink, source.map(Ok::<_, Infallible>)).await;
        });
    }
    tasks.spawn(async move {
        loop {
            let (signal, to) = tokio::select! {
                Some(signal) = at_proxy_a.next() => (signal, &mut to_b),
                Some(signal) = at_proxy_b.next() => (signal, &mut to_a),
                else => return,
            };
            if to.send(proxies.behind(signal).await).await.is_err() {
                return;
            }
        }
    });
    let at_a = a
        .create_data_channel("x", DataChannelOptions::default())
        .unwrap();
    at_a.send("before").await.unwrap();
    let at_b = support::incoming(&b).await;
    assert!(patient("message", at_b.recv()).await.is_some());

    wire.store(false, Ordering::SeqCst);
    // An event, not the state now: the restart follows at once.
    let failed = |event| matches!(event, Event::ConnectionState(ConnectionState::Failed));
    while !failed(a.next_event().await.unwrap()) {}
    at_a.send("meanwhile").await.unwrap();
    wire.store(true, Ordering::SeqCst);
    let message = tokio::time::timeout(std::time::Duration::from_secs(120), at_b.recv()).await;
    assert_eq!(message.unwrap().unwrap().as_text(), Some("meanwhile"));
}

/// Addresses in front of the real ones, and a wire that can be cut. Each end sees the other's
/// candidates at a socket of ours.
struct Proxies {
    wire: Arc<AtomicBool>,
    /// Real port to the port of its proxy.
    known: HashMap<u16, u16>,
    tasks: JoinSet<()>,
}

impl Proxies {
    /// The signal with every candidate's port replaced.
    async fn behind(&mut self, signal: Signal) -> Signal {
        const HOST: &str = "127.0.0.1 ";
        let json = serde_json::to_string(&signal).unwrap();
        let mut out = String::new();
        let mut rest = json.as_str();
        while let Some((part, after)) = rest.split_once(" typ host") {
            rest = after;
            let at = part.rfind(HOST).unwrap() + HOST.len();
            let real: u16 = part[at..].parse().unwrap();
            let proxy = self.of(real).await;
            out += &format!("{}{proxy} typ host", &part[..at]);
        }
        serde_json::from_str(&(out + rest)).unwrap()
    }

    /// Whoever sends to the proxy is answered from it, by a socket of its own for each sender.
    async fn of(&mut self, real: u16) -> u16 {
        if let Some(proxy) = self.known.get(&real) {
            return *proxy;
        }
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let port = socket.local_addr().unwrap().port();
        self.known.insert(real, port);
        let wire = self.wire.clone();
        self.tasks.spawn(async move {
            let target: SocketAddr = ([127, 0, 0, 1], real).into();
            let mut senders: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
            let mut buffer = vec![0; 65_536];
            let mut backwards = JoinSet::new();
            loop {
                let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
                let own = match senders.entry(from) {
                    Entry::Occupied(own) => own.into_mut(),
                    Entry::Vacant(place) => {
                        let own = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                        backwards.spawn(forward(own.clone(), socket.clone(), from, wire.clone()));
                        place.insert(own)
                    }
                };
                if wire.load(Ordering::SeqCst) {
                    let _ = own.send_to(&buffer[..len], target).await;
                }
            }
        });
        port
    }
}

/// What comes to `own` leaves from `front`.
async fn forward(
    own: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    to: SocketAddr,
    wire: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, _) = own.recv_from(&mut buffer).await.unwrap();
        if wire.load(Ordering::SeqCst) {
            let _ = front.send_to(&buffer[..len], to).await;
        }
    }
}
