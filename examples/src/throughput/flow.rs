//! Bytes or messages a second: one end sends as fast as it may, the other counts.

use std::sync::Arc;

use peerloom::{DataChannel, TrySendError};
use tokio::runtime::Runtime;

use super::args::{Pace, Run};
use super::link::{self, Pair};
use super::meter::{Messages, Meter};
use super::report::{Figures, Flow, Report};
use super::window::{self, Progress};
use crate::{Result, counters};

/// Measures one flow.
pub(crate) fn measure(
    runtime: &Runtime,
    run: &Run,
    live: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let pair = runtime.block_on(Pair::new(run))?;
    let meter = Arc::new(Meter::default());
    let receiving = runtime.spawn(receive(pair.receiver.clone(), meter.clone(), run.size));
    let sending = runtime.spawn(send(pair.sender.clone(), meter.clone(), *run));
    let window = window::measure(&meter, run.window, live);
    meter.stop();
    let whole = meter.counts();
    let (at_a, at_b) =
        runtime.block_on(async { tokio::try_join!(pair.a.stats(), pair.b.stats()) })?;
    runtime.block_on(async {
        // A sender that waits for room is woken by the closing.
        pair.close().await;
        receiving.await?;
        // What ended the sender matters only if it was not us.
        let sent = sending.await?;
        if window.sent == 0 { sent } else { Ok(()) }
    })?;
    let flow = Flow::new(run, &window, &whole, link::so_rcvbuf(&at_b.internals));
    Ok(Report::new(run, Figures::Flow(flow), window.cpu_s)
        .with("sender", counters::json(&at_a.internals))
        .with("receiver", counters::json(&at_b.internals)))
}

/// Counts what arrives until the channel closes.
pub(crate) async fn receive(channel: DataChannel, meter: Arc<Meter>, size: usize) {
    while let Some(message) = channel.recv().await {
        meter.received(message.as_bytes(), size);
    }
}

/// Sends until told to stop.
pub(crate) async fn send(channel: DataChannel, meter: Arc<Meter>, run: Run) -> Result<()> {
    let messages = Messages::new(run.size);
    if run.pace == Pace::Events {
        channel.set_buffered_amount_low_threshold(run.low);
    }
    let mut number = 0;
    while !meter.stopped() {
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
        meter.sent(number);
    }
    Ok(())
}
