//! Two peers at the ends of a line: large messages back to back on one channel, small ones on another.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peerloom::{DataChannel, DataChannelOptions, Event, PeerConnection, Scheduler};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::relay::{Line, Relay};
use crate::Result;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    pub(super) interleaving: bool,
    pub(super) scheduler: Scheduler,
    /// Bytes of a large message; `None` for none of them.
    pub(super) bulk: Option<usize>,
    /// Between small messages of [`CONTROL_LEN`] bytes.
    pub(super) interval: Duration,
    pub(super) warm_up: Duration,
    pub(super) time: Duration,
}

/// What arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Of each small message, in the order they were sent: when, and how long it took.
    pub(super) control: Vec<(Duration, Duration)>,
    /// Bytes of large messages within the time.
    pub(super) bulk_bytes: usize,
    /// Small messages that arrived before a large one that had been sent earlier.
    pub(super) overtook: usize,
}

/// Bytes of a small message.
pub(super) const CONTROL_LEN: usize = 64;

/// Runs the traffic over a line of its own.
pub(super) async fn measure(line: Line, traffic: Traffic) -> Result<Measured> {
    let relay = Relay::new(line).await?;
    let (a, b) = (connection(&traffic).await?, connection(&traffic).await?);
    let bulk = a.create_data_channel("bulk", DataChannelOptions::default())?;
    let control = a.create_data_channel("control", DataChannelOptions::default())?;
    connect(&relay, &a, &b).await?;
    let (mut bulk_in, mut control_in) = (None, None);
    while bulk_in.is_none() || control_in.is_none() {
        match b.next_event().await {
            Some(Event::DataChannel(channel)) if channel.label() == "bulk" => {
                bulk_in = Some(channel);
            }
            Some(Event::DataChannel(channel)) => control_in = Some(channel),
            Some(_) => {}
            None => return Err(b.closed().await.to_string().into()),
        }
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    let bulk_sent = Arc::new(AtomicUsize::new(0));
    if let Some(len) = traffic.bulk {
        tasks.spawn(send_bulk(bulk, len, bulk_sent.clone()));
    }
    let arrived = Arc::new(Mutex::new(Vec::new()));
    if let Some(channel) = bulk_in {
        tasks.spawn(receive_bulk(channel, arrived.clone()));
    }
    tokio::time::sleep(traffic.warm_up).await;
    let times = exchange(&control, control_in, &traffic, &bulk_sent).await;
    tasks.abort_all();
    a.close().await;
    b.close().await;
    let times = times?;
    let from = start + traffic.warm_up;
    let arrived = arrived.lock().map_err(|_| "a task panicked")?;
    let within = |(at, _): &&(Instant, usize)| (from..from + traffic.time).contains(at);
    Ok(Measured {
        control: times
            .iter()
            .map(|t| (t.sent - from, t.arrived - t.sent))
            .collect(),
        bulk_bytes: arrived.iter().filter(within).map(|(_, len)| len).sum(),
        overtook: times.iter().filter(|t| t.overtook(&arrived)).count(),
    })
}

async fn connection(traffic: &Traffic) -> Result<PeerConnection> {
    let builder = PeerConnection::builder()
        .bind_ips([Ipv4Addr::LOCALHOST.into()])
        .interleaving(traffic.interleaving)
        .scheduler(traffic.scheduler);
    Ok(builder.build().await?)
}

/// Offer and answer, each as the relay shows it.
async fn connect(relay: &Relay, a: &PeerConnection, b: &PeerConnection) -> Result<()> {
    a.set_local_description(a.create_offer().await?).await?;
    a.gathering_complete().await;
    let offer = a.local_description().ok_or("no offer")?;
    b.set_remote_description(relay.through(0, offer)?).await?;
    b.set_local_description(b.create_answer().await?).await?;
    b.gathering_complete().await;
    let answer = b.local_description().ok_or("no answer")?;
    a.set_remote_description(relay.through(1, answer)?).await?;
    Ok(())
}

async fn send_bulk(channel: DataChannel, len: usize, sent: Arc<AtomicUsize>) {
    let message = Bytes::from(vec![7; len]);
    while channel.send(message.clone()).await.is_ok() {
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

async fn receive_bulk(channel: DataChannel, arrived: Arc<Mutex<Vec<(Instant, usize)>>>) {
    while let Some(message) = channel.recv().await {
        if let Ok(mut arrived) = arrived.lock() {
            arrived.push((Instant::now(), message.len()));
        }
    }
}

/// One small message.
struct Timed {
    sent: Instant,
    arrived: Instant,
    /// Large messages handed over before it.
    behind: usize,
}

impl Timed {
    /// Whether one of the large messages handed over before it came after it.
    fn overtook(&self, bulk: &[(Instant, usize)]) -> bool {
        let last = self.behind.checked_sub(1);
        last.is_some_and(|last| bulk.get(last).is_none_or(|&(at, _)| self.arrived < at))
    }
}

/// Sends small messages at their interval for the time, and waits until all have arrived.
async fn exchange(
    control: &DataChannel,
    control_in: Option<DataChannel>,
    traffic: &Traffic,
    bulk_sent: &AtomicUsize,
) -> Result<Vec<Timed>> {
    let control_in = control_in.ok_or("no channel")?;
    let count = (traffic.time.as_nanos() / traffic.interval.as_nanos()) as usize;
    let receive = async {
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            control_in
                .recv()
                .await
                .ok_or("the control channel closed")?;
            times.push(Instant::now());
        }
        Ok::<_, crate::Error>(times)
    };
    let send = async {
        let mut ticks = tokio::time::interval(traffic.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            ticks.tick().await;
            times.push((Instant::now(), bulk_sent.load(Ordering::Relaxed)));
            control.send(vec![1; CONTROL_LEN]).await?;
        }
        Ok::<_, crate::Error>(times)
    };
    let both = async { tokio::try_join!(send, receive) };
    let (sent, arrived) = tokio::time::timeout(traffic.time + PATIENCE, both)
        .await
        .map_err(|_| format!("control messages did not arrive within {PATIENCE:?}"))??;
    let times = sent.into_iter().zip(arrived);
    Ok(times
        .map(|((sent, behind), arrived)| Timed {
            sent,
            arrived,
            behind,
        })
        .collect())
}

/// For what is under way when the last one is sent.
const PATIENCE: Duration = Duration::from_secs(30);
