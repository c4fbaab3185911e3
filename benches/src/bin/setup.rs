//! How long connecting takes, and which part of it how long: one pair after the other, then many
//! from a common start.

use std::time::{Duration, Instant};

use clap::Parser;
use peerloom::DataChannelOptions;
use peerloom_benches::figures::{median_and_max, round};
use peerloom_benches::loopback::{self, Pair, Phases};
use peerloom_benches::{Result, host};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Set-up time of two peers in one process and its phases.
#[derive(Clone, Debug, Parser)]
#[command(name = "setup")]
struct Options {
    /// Pairs connected one after the other.
    #[arg(long, default_value_t = 30)]
    alone: usize,
    /// Pairs connected at once.
    #[arg(long, value_delimiter = ',', default_value = "32,256")]
    at_once: Vec<usize>,
    /// Worker threads of the runtime.
    #[arg(long, default_value_t = 2)]
    workers: usize,
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
    let json = options.json;
    let figures = runtime.block_on(runtime.spawn(measure(options)))??;
    if json {
        println!("{figures}");
    }
    Ok(())
}

async fn measure(options: Options) -> Result<Value> {
    if !options.json {
        let names: String = COLUMNS
            .iter()
            .map(|column| format!("{:>18}", column.0))
            .collect();
        println!("median / maximum");
        println!(
            "{:<12}{names}{:>14}{:>14}",
            "", "all open ms", "CPU ms each"
        );
    }
    let mut sections = serde_json::Map::new();
    let alone = one_by_one(options.alone).await?;
    show(&options, "alone", &alone);
    sections.insert("alone".into(), json(&alone));
    for &count in &options.at_once {
        let crowd = at_once(count).await?;
        show(&options, &format!("{count} at once"), &crowd);
        sections.insert(format!("at_once_{count}"), json(&crowd));
    }
    Ok(json!({ "bench": "setup", "workers": options.workers, "setups": sections }))
}

struct Setups {
    phases: Vec<Phases>,
    /// From the common start to the last channel open; of one after the other, all together.
    all_open: Duration,
    cpu_s: Option<f64>,
}

async fn one_by_one(count: usize) -> Result<Setups> {
    let (began, cpu) = (Instant::now(), host::cpu_secs());
    let mut phases = Vec::with_capacity(count);
    for _ in 0..count {
        let pair = Pair::new(DataChannelOptions::default()).await?;
        phases.push(pair.phases);
        pair.close().await;
    }
    Ok(Setups {
        phases,
        all_open: began.elapsed(),
        cpu_s: cpu_since(cpu),
    })
}

async fn at_once(count: usize) -> Result<Setups> {
    let mut ends = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        ends.push((
            (loopback::end().await?, loopback::end().await?),
            began.elapsed(),
        ));
    }
    let (began, cpu) = (Instant::now(), host::cpu_secs());
    let mut connecting = JoinSet::new();
    for (ends, build) in ends {
        connecting.spawn(async move {
            let mut pair = Pair::connect(ends, DataChannelOptions::default()).await?;
            pair.phases.build = build;
            Ok::<_, peerloom_benches::Error>(pair)
        });
    }
    let mut pairs = Vec::with_capacity(count);
    while let Some(pair) = connecting.join_next().await {
        pairs.push(pair??);
    }
    let setups = Setups {
        phases: pairs.iter().map(|pair| pair.phases).collect(),
        all_open: began.elapsed(),
        cpu_s: cpu_since(cpu),
    };
    let mut closing: JoinSet<()> = pairs.into_iter().map(Pair::close).collect();
    while closing.join_next().await.is_some() {}
    Ok(setups)
}

fn cpu_since(start: Option<f64>) -> Option<f64> {
    Some(host::cpu_secs()? - start?)
}

type Phase = fn(&Phases) -> Duration;

/// The columns, by name; the phases first.
const COLUMNS: [(&str, Phase); 6] = [
    ("build_ms", |phases| phases.build),
    ("gather_ms", |phases| phases.gather),
    ("check_ms", |phases| phases.check),
    ("dtls_ms", |phases| phases.dtls),
    ("sctp_ms", |phases| phases.sctp),
    ("open_ms", |phases| phases.open),
];

fn columns(setups: &Setups) -> impl Iterator<Item = (&'static str, (f64, f64))> + '_ {
    COLUMNS.iter().map(|(name, phase)| {
        let values = setups.phases.iter().map(|phases| millis(phase(phases)));
        (*name, median_and_max(values.collect()))
    })
}

fn show(options: &Options, name: &str, setups: &Setups) {
    if options.json {
        return;
    }
    let cells: String = columns(setups)
        .map(|(_, (median, max))| format!("{:>18}", format!("{median:.2} / {max:.2}")))
        .collect();
    let cpu = cpu_each(setups).map_or(String::new(), |cpu| format!("{cpu:>14.2}"));
    println!("{name:<12}{cells}{:>14.1}{cpu}", millis(setups.all_open));
}

fn json(setups: &Setups) -> Value {
    let mut value = json!({
        "pairs": setups.phases.len(),
        "all_open_ms": round(millis(setups.all_open)),
        "cpu_ms_each": cpu_each(setups).map(round),
    });
    for (name, (median, max)) in columns(setups) {
        value[name] = json!({ "median": round(median), "max": round(max) });
    }
    value
}

fn cpu_each(setups: &Setups) -> Option<f64> {
    Some(setups.cpu_s? * 1e3 / setups.phases.len() as f64)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
