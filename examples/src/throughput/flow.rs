//! Bytes or messages a second: one end sends as fast as it may, the other counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use peerloom::{DataChannel, TrySendError};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::args::{Pace, Run};
use super::link::{self, Pair};
use super::meter::{self, Messages, Meter};
use super::report::{Figures, Flow, Report};
use super::window::{self, Progress};
use crate::{Result, counters};

/// Measures `run.pairs` flows at once, each over a connection of its own.
pub(crate) fn measure(
    runtime: &Runtime,
    run: &Run,
    live: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let meter = Arc::new(Meter::default());
    let mut pairs = Vec::with_capacity(run.pairs);
    for _ in 0..run.pairs {
        pairs.push(runtime.block_on(Pair::new(run))?);
    }
    let (mut receiving, mut sending) = (Vec::new(), Vec::new());
    for pair in &pairs {
        receiving.push(runtime.spawn(receive(pair.receiver.clone(), meter.clone(), run.size)));
        sending.push(runtime.spawn(send(pair.sender.clone(), meter.clone(), *run)));
    }
    let window = window::measure(&meter, run.window, live);
    meter.stop();
    let whole = meter.counts();
    let first = pairs.first().ok_or("no pair")?;
    let (at_a, at_b) =
        runtime.block_on(async { tokio::try_join!(first.a.stats(), first.b.stats()) })?;
    runtime.block_on(async {
        // A sender that waits for room is woken by the closing.
        let mut closing: JoinSet<()> = pairs.into_iter().map(Pair::close).collect();
        while closing.join_next().await.is_some() {}
        for receiving in receiving {
            receiving.await?;
        }
        for sending in sending {
            // What ended the sender matters only if it was not us.
            let sent = sending.await?;
            if window.sent == 0 {
                sent?;
            }
        }
        Ok::<_, crate::Error>(())
    })?;
    let flow = Flow::new(run, &window, &whole, link::so_rcvbuf(&at_b.internals));
    Ok(Report::new(run, Figures::Flow(flow), window.cpu_s)
        .with("sender", counters::json(&at_a.internals))
        .with("receiver", counters::json(&at_b.internals)))
}

/// Counts what arrives until the channel closes.
pub(crate) async fn receive(channel: DataChannel, meter: Arc<Meter>, size: usize) {
    let mut flow = meter::Flow::default();
    while let Some(message) = channel.recv().await {
        meter.received(&mut flow, message.as_bytes(), size);
    }
}

/// Sends until told to stop.
pub(crate) async fn send(channel: DataChannel, meter: Arc<Meter>, run: Run) -> Result<()> {
    let messages = Messages::new(run.size);
    if run.pace == Pace::Events {
        channel.set_buffered_amount_low_threshold(run.low);
    }
    let mut number = 0;
    let began = Instant::now();
    while !meter.stopped() {
        if let Some(rate) = run.rate {
            let due = began + Duration::from_secs_f64((number * run.size as u64) as f64 / rate);
            // The timer ticks in milliseconds: what is due within one goes at once.
            if due > Instant::now() + Duration::from_millis(1) {
                tokio::time::sleep_until(due.into()).await;
            }
        }
        let message = messages.numbered(number);
        match run.pace {
            Pace::Limit => channel.send(message).await?,
            Pace::Events => {
                if channel.buffered_amount() > run.high {
                    channel.buffered_amount_low().await;
                    meter.low_event();
                }
                if let Err(TrySendError { message, .. }) = channel.try_send(message) {
                    channel.send(message).await?;
                }
            }
        }
        number += 1;
        meter.sent(1);
    }
    Ok(())
}
