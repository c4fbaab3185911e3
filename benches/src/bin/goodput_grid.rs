//! Goodput of bulk over simulated paths: round trip × loss × controller, a fast link without loss,
//! and senders that share a link. Everything runs on virtual time.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use peerloom_benches::Result;
use peerloom_benches::grid::fairness::{self, Race, jain};
use peerloom_benches::grid::plot::{Chart, Plot};
use peerloom_benches::grid::transfer::{self, Cell, Outcome};
use peerloom_benches::grid::{CONTROLLERS, PAYLOAD_SHARE, Window, origin, path};
use peerloom_sctp::CongestionControl;
use serde_json::{Value, json};

/// Goodput over simulated paths, in virtual time.
#[derive(Clone, Debug, Parser)]
#[command(name = "goodput_grid")]
struct Options {
    /// The parts to run; all if none is named.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Link rate of the loss grid in Mbit/s.
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// Virtual seconds of a run; the second half counts. Fairness takes three times as long.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Round trips in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "1,20,50,100,200,300")]
    rtt: Vec<u64>,
    /// Losses in percent.
    #[arg(long, value_delimiter = ',', default_value = "0,0.1,1,5,10")]
    loss: Vec<f64>,
    /// Controllers: newreno, cubic, bbr.
    #[arg(long, value_delimiter = ',', default_value = "newreno,cubic,bbr")]
    controller: Vec<String>,
    /// What randomness comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the plots; none are written if empty.
    #[arg(long, default_value = "docs/plots")]
    plots: PathBuf,
    /// Print one JSON line instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Round trip × loss × controller.
    Loss,
    /// 1 Gbit/s without loss, with the default limits and with 96 MiB.
    Fast,
    /// Senders that share a link.
    Fairness,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let wants = |part| options.parts.is_empty() || options.parts.contains(&part);
    let program = Program {
        controllers: chosen(&options.controller)?,
        start: origin(),
        options: options.clone(),
    };
    let mut figures = serde_json::Map::new();
    if wants(Part::Loss) {
        figures.insert("loss".into(), program.loss()?);
    }
    if wants(Part::Fast) {
        figures.insert("fast".into(), program.fast()?);
    }
    if wants(Part::Fairness) {
        figures.insert("fairness".into(), program.fairness());
    }
    if options.json {
        println!("{}", Value::Object(figures));
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<(&'static str, CongestionControl)>> {
    let find = |name: &String| {
        let known = CONTROLLERS.iter().find(|(known, _)| known == name);
        known
            .copied()
            .ok_or_else(|| format!("no controller {name:?}").into())
    };
    names.iter().map(find).collect()
}

struct Program {
    controllers: Vec<(&'static str, CongestionControl)>,
    start: Instant,
    options: Options,
}

impl Program {
    fn say(&self, line: &str) {
        if !self.options.json {
            println!("{line}");
        }
    }

    /// Progress, where it does not get into the figures.
    fn progress(&self, what: &str) {
        eprint!("\r\x1b[K{what}");
        let _ = std::io::stderr().flush();
    }

    fn cell(
        &self,
        controller: CongestionControl,
        window: Window,
        rate: u64,
        rtt: u64,
        loss: f64,
    ) -> Outcome {
        let rtt = Duration::from_millis(rtt);
        let cell = Cell {
            controller,
            window,
            path: path(rate, rtt, rtt),
            rtt,
            loss,
            time: Duration::from_secs(self.options.seconds),
            seed: self.options.seed,
        };
        transfer::run(&cell, self.start)
    }

    fn write(&self, name: &str, plot: &Plot) -> Result<()> {
        if self.options.plots.as_os_str().is_empty() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.options.plots)?;
        std::fs::write(self.options.plots.join(format!("{name}.svg")), plot.svg())?;
        Ok(())
    }

    fn rtt_names(&self) -> Vec<String> {
        self.options.rtt.iter().map(ToString::to_string).collect()
    }

    fn loss(&self) -> Result<Value> {
        let rate = self.options.rate * 1_000_000;
        let bound = rate as f64 * PAYLOAD_SHARE / 1e6;
        self.say(&format!(
            "goodput in Mbit/s, link of {} Mbit/s (payload at most {bound:.1}), queue of one round trip",
            self.options.rate
        ));
        let mut rows = Vec::new();
        let mut charts = Vec::new();
        for &loss in &self.options.loss {
            let mut head = format!("\n{:<12}", format!("loss {loss} %"));
            self.options
                .rtt
                .iter()
                .for_each(|rtt| head += &format!("{:>9}", format!("{rtt} ms")));
            self.say(&head);
            let mut lines = Vec::new();
            for &(name, controller) in &self.controllers {
                let mut values = Vec::new();
                for &rtt in &self.options.rtt {
                    self.progress(&format!("loss {loss} %, {name}, {rtt} ms"));
                    let outcome = self.cell(controller, Window::Default, rate, rtt, loss / 100.0);
                    values.push(outcome.goodput / 1e6);
                    let mut row = outcome.json();
                    row["controller"] = json!(name);
                    row["rtt_ms"] = json!(rtt);
                    row["loss_percent"] = json!(loss);
                    rows.push(row);
                }
                self.progress("");
                let cells: String = values.iter().map(|value| format!("{value:>9.2}")).collect();
                self.say(&format!("{name:<12}{cells}"));
                lines.push((name.to_owned(), values));
            }
            charts.push(Chart {
                title: format!("{loss} % of the packets lost, both ways"),
                lines,
                bound,
            });
        }
        self.write(
            "goodput-loss",
            &Plot {
                title: format!("Goodput, link of {} Mbit/s", self.options.rate),
                across: ("round trip in ms".into(), self.rtt_names()),
                up: "Mbit/s".into(),
                charts,
            },
        )?;
        Ok(rows.into())
    }

    fn fast(&self) -> Result<Value> {
        let bound = FAST as f64 * PAYLOAD_SHARE / 1e6;
        self.say(&format!(
            "\ngoodput in Mbit/s, link of 1 Gbit/s (payload at most {bound:.0}), queue of one round trip, no loss"
        ));
        let mut rows = Vec::new();
        let mut charts = Vec::new();
        for (title, window) in [
            ("default limits", Window::Default),
            ("limits of 96 MiB", Window::Bytes(96 << 20)),
        ] {
            let mut head = format!("\n{title:<18}");
            self.options
                .rtt
                .iter()
                .for_each(|rtt| head += &format!("{:>9}", format!("{rtt} ms")));
            self.say(&head);
            let mut lines = Vec::new();
            for &(name, controller) in &self.controllers {
                let mut values = Vec::new();
                for &rtt in &self.options.rtt {
                    self.progress(&format!("1 Gbit/s, {title}, {name}, {rtt} ms"));
                    let outcome = self.cell(controller, window, FAST, rtt, 0.0);
                    values.push(outcome.goodput / 1e6);
                    let mut row = outcome.json();
                    row["controller"] = json!(name);
                    row["rtt_ms"] = json!(rtt);
                    row["limits"] = json!(title);
                    row["share_of_payload_rate"] =
                        json!((outcome.goodput / 1e6 / bound * 1e3).round() / 1e3);
                    rows.push(row);
                }
                self.progress("");
                let cells: String = values.iter().map(|value| format!("{value:>9.1}")).collect();
                self.say(&format!("{name:<18}{cells}"));
                lines.push((name.to_owned(), values));
            }
            charts.push(Chart {
                title: title.into(),
                lines,
                bound,
            });
        }
        self.write(
            "goodput-fast",
            &Plot {
                title: "Goodput, link of 1 Gbit/s, no loss".into(),
                across: ("round trip in ms".into(), self.rtt_names()),
                up: "Mbit/s".into(),
                charts,
            },
        )?;
        Ok(rows.into())
    }

    fn fairness(&self) -> Value {
        let rtt = Duration::from_millis(40);
        self.say(&format!(
            "\n{:<34}{:>8}  Mbit/s each; {} Mbit/s, RTT 40 ms, queue of one round trip",
            "sharing",
            "Jain",
            SHARED / 1_000_000
        ));
        let (reno, cubic) = (CongestionControl::NewReno, CongestionControl::Cubic);
        let mut races: Vec<(String, Vec<(CongestionControl, Duration)>)> = Vec::new();
        for &(name, controller) in &self.controllers {
            races.push((
                format!("4 × {name}, together"),
                vec![(controller, Duration::ZERO); 4],
            ));
            let late = |n| (controller, Duration::from_secs(5) * n);
            races.push((format!("4 × {name}, 5 s apart"), (0..4).map(late).collect()));
        }
        let mixed = [cubic, reno, cubic, reno].map(|controller| (controller, Duration::ZERO));
        races.push(("cubic beside newreno".into(), mixed[..2].to_vec()));
        races.push(("2 × (cubic beside newreno)".into(), mixed.to_vec()));
        let mut rows = Vec::new();
        for (name, flows) in races {
            self.progress(&name);
            let race = Race {
                flows,
                path: path(SHARED, rtt, rtt),
                rtt,
                time: Duration::from_secs(self.options.seconds * 3),
                seed: self.options.seed,
            };
            let rates = fairness::run(&race, self.start);
            self.progress("");
            let each: String = rates
                .iter()
                .map(|rate| format!("{:>8.2}", rate / 1e6))
                .collect();
            self.say(&format!("{name:<34}{:>8.3}{each}", jain(&rates)));
            let mbps: Vec<f64> = rates
                .iter()
                .map(|rate| (rate / 1e4).round() / 100.0)
                .collect();
            rows.push(json!({ "flows": name, "jain": jain(&rates), "mbps": mbps }));
        }
        rows.into()
    }
}

/// Bits a second.
const FAST: u64 = 1_000_000_000;
const SHARED: u64 = 40_000_000;
