//! How long a connection takes: one after the other, then many at once.

use std::time::{Duration, Instant};

use peerloom::PeerConnection;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::args::Run;
use super::link::{self, Pair};
use super::report::{Figures, Report, Setup};
use super::window::Progress;
use crate::counters::round;
use crate::{Result, host};

/// Connections one after the other.
const ONE_BY_ONE: usize = 20;

/// Measures single connections, then `run.concurrent` from a common start.
pub(crate) fn measure(
    runtime: &Runtime,
    run: &Run,
    live: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let began = host::cpu_secs();
    let (mut builds, mut opens) = (Vec::new(), Vec::new());
    for done in 0..ONE_BY_ONE {
        live(Progress {
            done: done as f64 / (ONE_BY_ONE + 1) as f64,
            mb_per_s: 0.0,
        });
        let run = *run;
        let (build, open) = runtime.block_on(runtime.spawn(async move { one(&run).await }))??;
        builds.push(millis(build));
        opens.push(millis(open));
    }
    let at_once = *run;
    let crowd = runtime.block_on(runtime.spawn(async move { many(&at_once).await }))??;
    live(Progress {
        done: 1.0,
        mb_per_s: 0.0,
    });
    let all = (crowd.opened.len() == run.concurrent).then(|| round(greatest(&crowd.opened)));
    let figures = Setup {
        n: opens.len(),
        setup_ms_min: opens.iter().copied().fold(f64::INFINITY, f64::min),
        setup_ms_max: greatest(&opens),
        setup_ms_median: median(opens),
        build_ms_median: median(builds),
        concurrent: run.concurrent,
        concurrent_opened: crowd.opened.len(),
        concurrent_build_ms: millis(crowd.build),
        concurrent_all_open_ms: all,
        concurrent_median_ms: median(crowd.opened),
        concurrent_cpu_s: crowd.cpu_s.map(round),
    };
    let cpu = host::cpu_secs().zip(began).map(|(end, start)| end - start);
    let report = Report::new(run, Figures::Setup(figures), cpu);
    Ok(match crowd.error {
        Some(error) => report.with("concurrent_error", error),
        None => report,
    })
}

/// The time to build both ends, and the time to connect them.
async fn one(run: &Run) -> Result<(Duration, Duration)> {
    let began = Instant::now();
    let (a, b) = (link::peer(run).await?, link::peer(run).await?);
    let build = began.elapsed();
    let (pair, open) = Pair::connect(a, b, run).await?;
    pair.close().await;
    Ok((build, open))
}

struct Crowd {
    build: Duration,
    /// Milliseconds from the common start, of those that opened.
    opened: Vec<f64>,
    cpu_s: Option<f64>,
    /// Why the first of the others did not.
    error: Option<String>,
}

async fn many(run: &Run) -> Result<Crowd> {
    let began = Instant::now();
    let mut ends: Vec<(PeerConnection, PeerConnection)> = Vec::with_capacity(run.concurrent);
    for _ in 0..run.concurrent {
        ends.push((link::peer(run).await?, link::peer(run).await?));
    }
    let build = began.elapsed();

    let cpu = host::cpu_secs();
    let start = Instant::now();
    let mut connecting = JoinSet::new();
    for (a, b) in ends {
        let run = *run;
        connecting.spawn(async move {
            let (pair, _) = Pair::connect(a, b, &run).await?;
            Ok::<_, crate::Error>((pair, start.elapsed()))
        });
    }
    let (mut opened, mut pairs, mut error) = (Vec::new(), Vec::new(), None);
    while let Some(done) = connecting.join_next().await {
        match done? {
            Ok((pair, took)) => {
                opened.push(millis(took));
                pairs.push(pair);
            }
            Err(why) => error = error.or(Some(why.to_string())),
        }
    }
    let cpu_s = host::cpu_secs().zip(cpu).map(|(end, start)| end - start);
    let mut closing: JoinSet<()> = pairs.into_iter().map(Pair::close).collect();
    while closing.join_next().await.is_some() {}
    Ok(Crowd {
        build,
        opened,
        cpu_s,
        error,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => (values[(n - 1) / 2] + values[n / 2]) / 2.0,
    }
}

fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
