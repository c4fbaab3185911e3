//! Latency and message rate of a pair over loopback: half round trips one after the other, one-way
//! latency at a fixed rate, and the rate without a limit.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use peerloom::DataChannelOptions;
use peerloom_benches::figures::{Times, round};
use peerloom_benches::loopback::Pair;
use peerloom_benches::{Error, Result};
use serde_json::{Value, json};

/// Latency and message rate of two peers in one process, over real loopback UDP.
#[derive(Clone, Debug, Parser)]
#[command(name = "latency")]
struct Options {
    /// Message sizes of the ping-pong, in bytes.
    #[arg(long, value_delimiter = ',', default_value = "64,1024,16384")]
    sizes: Vec<usize>,
    /// Round trips of the ping-pong that count, for each size.
    #[arg(long, default_value_t = 20_000)]
    rounds: u64,
    /// Fixed rates, in messages of 1,024 bytes a second; the latency counts from when a message was
    /// due, so a stall is charged to all that it delayed.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    rates: Vec<u64>,
    /// Message sizes of the unlimited rate, in bytes.
    #[arg(long, value_delimiter = ',', default_value = "64,1024")]
    flood: Vec<usize>,
    /// Length of each fixed or unlimited rate, in seconds.
    #[arg(long, default_value_t = 2.0)]
    secs: f64,
    /// Worker threads of the runtime.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Print one JSON line instead of text.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers)
        .enable_all()
        .build()?;
    let json = options.json;
    // On a worker: the thread of `block_on` would add a hop to every message.
    let figures = runtime.block_on(runtime.spawn(measure(options)))??;
    if json {
        println!("{figures}");
    }
    Ok(())
}

async fn measure(options: Options) -> Result<Value> {
    let say = |line: String| {
        if !options.json {
            println!("{line}");
        }
    };
    let window = Duration::from_secs_f64(options.secs);
    say(format!("{:<34}{}", "", Times::HEAD));
    let mut ping = serde_json::Map::new();
    for &size in &options.sizes {
        let times = ping_pong(size, options.rounds).await?;
        say(format!(
            "{:<34}{}",
            format!("half round trip, {size} B"),
            times.row()
        ));
        ping.insert(size.to_string(), times.json());
    }
    let mut paced = serde_json::Map::new();
    for &rate in &options.rates {
        let times = at_rate(rate, window).await?;
        say(format!(
            "{:<34}{}",
            format!("one way, 1024 B, {rate}/s"),
            times.row()
        ));
        paced.insert(rate.to_string(), times.json());
    }
    let mut flood = serde_json::Map::new();
    for &size in &options.flood {
        let rate = unlimited(size, window).await?;
        say(format!(
            "{:<34}{rate:>11.0} messages/s",
            format!("without a limit, {size} B")
        ));
        flood.insert(size.to_string(), json!({ "msgs_per_s": rate.round() }));
    }
    Ok(json!({
        "bench": "latency",
        "workers": options.workers,
        "half_round_trip": ping,
        "one_way_at_rate": paced,
        "unlimited": flood,
        "secs": round(options.secs),
    }))
}

async fn ping_pong(size: usize, rounds: u64) -> Result<Times> {
    let pair = Pair::new(DataChannelOptions::default()).await?;
    let echo = pair.at_b.clone();
    let echoing = tokio::spawn(async move {
        while let Some(message) = echo.recv().await {
            if echo.send(message).await.is_err() {
                break;
            }
        }
    });
    let message = Bytes::from(vec![1; size]);
    let mut times = Times::new()?;
    for round in 0..WARM_UP + rounds {
        let began = Instant::now();
        pair.at_a.send(message.clone()).await?;
        pair.at_a.recv().await.ok_or("the channel closed")?;
        if round >= WARM_UP {
            times.record(began.elapsed() / 2);
        }
    }
    pair.close().await;
    echoing.await?;
    Ok(times)
}

/// One-way latency of messages that are due at fixed times, whatever became of those before. They
/// are sent from a thread of its own: a task that waits for exact times would keep a worker busy.
async fn at_rate(rate: u64, window: Duration) -> Result<Times> {
    let pair = Pair::new(DataChannelOptions::default()).await?;
    let (sender, receiver) = (pair.at_a.clone(), pair.at_b.clone());
    let warm_up = rate.min(WARM_UP);
    let total = (window.as_secs_f64() * rate as f64) as u64 + warm_up;
    let epoch = Instant::now();
    let runtime = tokio::runtime::Handle::current();
    let sending = std::thread::spawn(move || {
        let mut body = vec![0; 1_024];
        let mut woken = Duration::ZERO;
        for message in 1..=total {
            let due = Duration::from_secs_f64(message as f64 / rate as f64);
            let early = due.saturating_sub(epoch.elapsed());
            if !early.is_zero() {
                std::thread::sleep(early);
                woken = epoch.elapsed();
            }
            // That the thread overslept is not the stack's fault; that `send` held it up is.
            let nanos = u64::try_from(due.max(woken).as_nanos())?;
            body[..8].copy_from_slice(&nanos.to_be_bytes());
            let message = Bytes::copy_from_slice(&body);
            if let Err(full) = sender.try_send(message) {
                runtime.block_on(sender.send(full.message))?;
            }
        }
        Ok::<_, Error>(())
    });
    let mut times = Times::new()?;
    for message in 0..total {
        let body = receiver.recv().await.ok_or("the channel closed")?;
        let stamp = body.as_bytes().first_chunk::<8>().ok_or("cut short")?;
        let due = Duration::from_nanos(u64::from_be_bytes(*stamp));
        if message >= warm_up {
            times.record(epoch.elapsed().saturating_sub(due));
        }
    }
    sending
        .join()
        .map_err(|_| "the sending thread panicked")??;
    pair.close().await;
    Ok(times)
}

/// Messages a second that arrive when the sender never waits but for room.
async fn unlimited(size: usize, window: Duration) -> Result<f64> {
    let pair = Pair::new(DataChannelOptions::default()).await?;
    let (sender, receiver) = (pair.at_a.clone(), pair.at_b.clone());
    let sending = tokio::spawn(async move {
        let body = vec![1; size];
        while sender.send(Bytes::copy_from_slice(&body)).await.is_ok() {}
    });
    let warm = Instant::now() + window / 4;
    while Instant::now() < warm {
        receiver.recv().await.ok_or("the channel closed")?;
    }
    let (began, mut received) = (Instant::now(), 0_u64);
    while began.elapsed() < window {
        // The clock is asked once for many messages: asking costs as much as taking one.
        for _ in 0..256 {
            receiver.recv().await.ok_or("the channel closed")?;
            received += 1;
        }
    }
    let rate = received as f64 / began.elapsed().as_secs_f64();
    // A sender that waits for room ends with its connection.
    pair.close().await;
    sending.await?;
    Ok(rate)
}

/// Messages before those that count.
const WARM_UP: u64 = 500;
