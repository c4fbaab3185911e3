//! What idle connected pairs hold: heap and tasks for each peer.

use std::time::Duration;

use cap::Cap;
use clap::Parser;
use peerloom::DataChannelOptions;
use peerloom_benches::figures::round;
use peerloom_benches::loopback::Pair;
use peerloom_benches::{Error, Result, host};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// Memory and tasks of idle connected pairs, all in one process. A peer is one end.
#[derive(Clone, Debug, Parser)]
#[command(name = "idle")]
struct Options {
    /// How many pairs, each count in turn.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000")]
    pairs: Vec<usize>,
    /// Megabytes that each pair transfers before it idles: buffers have to be given back.
    #[arg(long, default_value_t = 0)]
    busy_mb: u64,
    /// Seconds of rest before the count.
    #[arg(long, default_value_t = 2.0)]
    rest: f64,
    /// Worker threads of the runtime.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Exit with 1 when a peer holds more than 96 KiB of heap or 3 tasks.
    #[arg(long)]
    check: bool,
    /// Print one JSON line instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers)
        .enable_all()
        .build()?;
    let (json, check) = (options.json, options.check);
    let (figures, worst) = runtime.block_on(runtime.spawn(measure(options)))??;
    if json {
        println!("{figures}");
    }
    if check && (worst.heap_kib > GOAL_HEAP_KIB || worst.tasks > GOAL_TASKS) {
        return Err(format!(
            "an idle peer holds {:.1} KiB and {:.2} tasks; the goal is {GOAL_HEAP_KIB} KiB and {GOAL_TASKS}",
            worst.heap_kib, worst.tasks
        )
        .into());
    }
    Ok(())
}

/// What one peer holds.
#[derive(Clone, Copy, Debug, Default)]
struct PerPeer {
    heap_kib: f64,
    rss_kib: f64,
    tasks: f64,
}

async fn measure(options: Options) -> Result<(Value, PerPeer)> {
    let say = |line: String| {
        if !options.json {
            println!("{line}");
        }
    };
    say(format!(
        "{:>6}{:>16}{:>16}{:>16}{:>26}",
        "pairs", "heap KiB/peer", "RSS KiB/peer", "tasks/peer", "CPU % of a core at rest"
    ));
    // Buffers of the threads and of the runtime are there once, however many peers there are.
    let (pairs, _) = hold(WARM_UP_PAIRS, &options).await?;
    close(pairs).await;
    settle(options.rest).await;

    let (mut rows, mut worst) = (Vec::new(), PerPeer::default());
    for &count in &options.pairs {
        let before = Usage::now();
        let (pairs, cpu) = hold(count, &options).await?;
        let held = Usage::now().since(before, count);
        let cpu_percent = cpu.map(|cpu| cpu / options.rest * 100.0);
        say(format!(
            "{count:>6}{:>16.1}{:>16.1}{:>16.2}{:>26}",
            held.heap_kib,
            held.rss_kib,
            held.tasks,
            cpu_percent.map_or("-".into(), |percent| format!("{percent:.1}")),
        ));
        rows.push(json!({
            "pairs": count,
            "heap_kib_per_peer": round(held.heap_kib),
            "rss_kib_per_peer": round(held.rss_kib),
            "tasks_per_peer": round(held.tasks),
            "cpu_percent_at_rest": cpu_percent.map(round),
        }));
        worst.heap_kib = worst.heap_kib.max(held.heap_kib);
        worst.tasks = worst.tasks.max(held.tasks);
        close(pairs).await;
        settle(options.rest).await;
        let left = Usage::now().since(before, count);
        say(format!(
            "{:>6}{:>16.1}{:>16.1}{:>16.2}",
            "closed", left.heap_kib, left.rss_kib, left.tasks
        ));
    }
    Ok((
        json!({ "bench": "idle", "busy_mb": options.busy_mb, "idle": rows }),
        worst,
    ))
}

/// Connects pairs, lets them do what they shall, and rest; also the CPU seconds of the rest.
async fn hold(count: usize, options: &Options) -> Result<(Vec<Pair>, Option<f64>)> {
    let mut pairs = Vec::with_capacity(count);
    // Not all at once: what the crowd needs at its peak is no property of an idle pair.
    while pairs.len() < count {
        let mut connecting = JoinSet::new();
        for _ in 0..AT_ONCE.min(count - pairs.len()) {
            let busy_mb = options.busy_mb;
            connecting.spawn(async move {
                let pair = Pair::new(DataChannelOptions::default()).await?;
                for size in [64, 16_384] {
                    let body = bytes::Bytes::from(vec![0; size]);
                    let messages = (busy_mb << 20) / size as u64 + 1;
                    pair.transfer(messages, move || body.clone()).await?;
                }
                Ok::<_, Error>(pair)
            });
        }
        while let Some(pair) = connecting.join_next().await {
            pairs.push(pair??);
        }
    }
    // The last delayed acknowledgements and returned buffers.
    settle(1.0).await;
    let cpu = host::cpu_secs();
    settle(options.rest).await;
    Ok((
        pairs,
        host::cpu_secs().zip(cpu).map(|(end, start)| end - start),
    ))
}

async fn close(pairs: Vec<Pair>) {
    let mut closing: JoinSet<()> = pairs.into_iter().map(Pair::close).collect();
    while closing.join_next().await.is_some() {}
}

async fn settle(secs: f64) {
    tokio::time::sleep(Duration::from_secs_f64(secs)).await;
}

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Usage {
    heap: f64,
    rss_kib: f64,
    tasks: f64,
}

impl Usage {
    fn now() -> Self {
        Self {
            heap: ALLOCATOR.allocated() as f64,
            rss_kib: host::rss_kib().unwrap_or(0) as f64,
            tasks: Handle::current().metrics().num_alive_tasks() as f64,
        }
    }

    fn since(self, before: Self, pairs: usize) -> PerPeer {
        let peers = 2.0 * pairs as f64;
        PerPeer {
            heap_kib: (self.heap - before.heap) / 1_024.0 / peers,
            rss_kib: (self.rss_kib - before.rss_kib) / peers,
            tasks: (self.tasks - before.tasks) / peers,
        }
    }
}

const GOAL_HEAP_KIB: f64 = 96.0;
const GOAL_TASKS: f64 = 3.0;
const WARM_UP_PAIRS: usize = 8;
const AT_ONCE: usize = 32;
