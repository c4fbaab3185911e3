//! How long a flow at full speed stalls when ICE restarts under it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use futures_channel::mpsc;
use futures_util::StreamExt as _;
use peerloom::{
    DataChannel, DataChannelOptions, Negotiator, PeerConnection, Politeness, SignalingState,
};
use peerloom_benches::Result;
use peerloom_benches::figures::round;
use peerloom_benches::loopback::Pair;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Restarts ICE from either end in turn while one end sends as fast as it can, and reports the
/// longest time without a message.
#[derive(Clone, Debug, Parser)]
#[command(name = "restarts")]
struct Options {
    /// How many restarts.
    #[arg(long, default_value_t = 20)]
    restarts: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 16_000)]
    size: usize,
    /// Exit with 1 when a stall is longer than two round-trip times and 100 ms, or a message is
    /// lost.
    #[arg(long)]
    check: bool,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

/// Before the first restart and after the last one: how long the flow stalls by itself.
const STEADY: Duration = Duration::from_secs(1);

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let options = Options::parse();
    let pair = Pair::new(DataChannelOptions::default()).await?;
    let mut tasks = JoinSet::new();
    negotiate(&pair, &mut tasks)?;

    let stop = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn(send(pair.at_a.clone(), options.size, stop.clone()));
    let receiving = tokio::spawn(receive(pair.at_b.clone()));
    sleep(STEADY).await;
    let mut restarts = Vec::new();
    for round in 0..options.restarts {
        let began = Instant::now();
        restart(&pair, [&pair.a, &pair.b][round % 2]).await?;
        restarts.push((began, Instant::now()));
    }
    sleep(STEADY).await;
    let rtt = pair.a.stats().await?.internals.sctp.srtt;
    stop.store(true, Ordering::Relaxed);
    let sent = sending.await??;
    let Received { messages, gaps } = receiving.await?;

    // A gap belongs to a restart when it overlaps it.
    let within = |(from, to): &(Instant, Instant)| {
        restarts
            .iter()
            .any(|(began, ended)| from <= ended && to >= began)
    };
    let longest = |during: bool| {
        let of_kind = gaps.iter().filter(|gap| within(gap) == during);
        let gap = of_kind.map(|(from, to)| *to - *from).max();
        gap.unwrap_or_default()
    };
    let (stall, steady) = (longest(true), longest(false));
    let slowest = restarts.iter().map(|(began, ended)| *ended - *began).max();
    let bound = 2 * rtt + Duration::from_millis(100);
    let ms = |time: Duration| round(time.as_secs_f64() * 1e3);
    let figures = json!({
        "restarts": options.restarts,
        "sent": sent,
        "lost": sent - messages,
        "rtt_ms": ms(rtt),
        "longest_stall_ms": ms(stall),
        "longest_gap_without_restart_ms": ms(steady),
        "slowest_restart_ms": ms(slowest.unwrap_or_default()),
        "bound_ms": ms(bound),
    });
    if options.json {
        println!("{figures}");
    } else {
        println!("{figures:#}");
    }
    if options.check && (stall > bound || sent != messages) {
        return Err(format!("stalled for {stall:?}; the goal is {bound:?}").into());
    }
    Ok(())
}

/// Signalling in memory.
fn negotiate(pair: &Pair, tasks: &mut JoinSet<()>) -> Result<()> {
    let (to_b, for_b) = mpsc::channel(8);
    let (to_a, for_a) = mpsc::channel(8);
    for (peer, politeness, sink, source) in [
        (&pair.a, Politeness::Polite, to_b, for_a),
        (&pair.b, Politeness::Impolite, to_a, for_b),
    ] {
        let mut negotiator = Negotiator::new(peer, politeness)?;
        tasks.spawn(async move {
            let _ = negotiator.run(sink, source.map(Ok::<_, Infallible>)).await;
        });
    }
    Ok(())
}

/// Done when both ends have selected a new pair.
async fn restart(pair: &Pair, from: &PeerConnection) -> Result<()> {
    let before = (selections(&pair.a).await?, selections(&pair.b).await?);
    from.restart_ice()?;
    while selections(&pair.a).await? == before.0
        || selections(&pair.b).await? == before.1
        || from.signaling_state() != SignalingState::Stable
    {
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn selections(peer: &PeerConnection) -> Result<u64> {
    Ok(peer.stats().await?.internals.ice.selected_changes)
}

async fn send(channel: DataChannel, size: usize, stop: Arc<AtomicBool>) -> Result<u64> {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        channel.send(vec![0; size]).await?;
        sent += 1;
    }
    channel.close();
    Ok(sent)
}

struct Received {
    messages: u64,
    /// Times without a message, from a millisecond on.
    gaps: Vec<(Instant, Instant)>,
}

async fn receive(channel: DataChannel) -> Received {
    let (mut messages, mut gaps) = (0, Vec::new());
    let mut last = Instant::now();
    while channel.recv().await.is_some() {
        let now = Instant::now();
        if now - last >= Duration::from_millis(1) {
            gaps.push((last, now));
        }
        last = now;
        messages += 1;
    }
    Received { messages, gaps }
}
