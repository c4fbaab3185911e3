//! Half of each round trip of a ping-pong.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Runtime;

use super::args::Run;
use super::link::Pair;
use super::meter::Messages;
use super::report::{Figures, Latency, Report};
use super::window::Progress;
use crate::{Result, host};

/// Round trips before those that count.
const WARM_UP: usize = 200;

/// Measures `run.rounds` round trips.
pub(crate) fn measure(
    runtime: &Runtime,
    run: &Run,
    live: &mut dyn FnMut(Progress),
) -> Result<Report> {
    live(Progress {
        done: 0.0,
        mb_per_s: 0.0,
    });
    let run = *run;
    let (mut trips, cpu) = runtime.block_on(runtime.spawn(async move {
        let pair = Pair::new(&run).await?;
        let echo = pair.receiver.clone();
        let echoing = tokio::spawn(async move {
            while let Some(message) = echo.recv().await {
                if echo.send(message).await.is_err() {
                    break;
                }
            }
        });
        let result = ping(&pair, &run).await;
        pair.close().await;
        echoing.await?;
        result
    }))??;
    live(Progress {
        done: 1.0,
        mb_per_s: 0.0,
    });
    trips.sort_unstable();
    let micros = |share: f64| {
        let index = ((trips.len() - 1) as f64 * share).round() as usize;
        trips[index].as_secs_f64() * 1e6 / 2.0
    };
    let figures = Latency {
        rounds: trips.len(),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        max_us: micros(1.0),
    };
    Ok(Report::new(&run, Figures::Latency(figures), cpu))
}

async fn ping(pair: &Pair, run: &Run) -> Result<(Vec<Duration>, Option<f64>)> {
    let message: Bytes = Messages::new(run.size).numbered(0);
    let mut trips = Vec::with_capacity(run.rounds);
    let mut cpu = None;
    for round in 0..WARM_UP + run.rounds {
        if round == WARM_UP {
            cpu = host::cpu_secs();
        }
        let began = Instant::now();
        pair.sender.send(message.clone()).await?;
        let back = pair
            .sender
            .recv()
            .await
            .ok_or("the channel closed in the middle")?;
        if back.len() != run.size {
            return Err(format!("{} bytes came back, not {}", back.len(), run.size).into());
        }
        if round >= WARM_UP {
            trips.push(began.elapsed());
        }
    }
    Ok((
        trips,
        host::cpu_secs().zip(cpu).map(|(end, start)| end - start),
    ))
}
