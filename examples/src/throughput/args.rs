//! The command line. Its measuring part is that of the programs in `benches/peers`, so that the
//! same call can be made of every stack.

use std::net::SocketAddr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// Measures peerloom: two peers in one process, over real loopback UDP, full stack. Without
/// arguments it prints one table in well under a minute.
#[derive(Clone, Debug, Parser)]
#[command(name = "throughput", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// One end in a process of its own.
    #[command(subcommand)]
    pub end: Option<End>,
    /// What to measure with both ends in this process.
    #[command(flatten)]
    pub options: Options,
}

/// One of two processes.
#[derive(Clone, Debug, Subcommand)]
pub enum End {
    /// Waits for another process to connect, receives, and prints what arrived.
    Listen {
        /// Where to take offers, by HTTP. Port 0 takes a free one and prints it.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7070")]
        http: SocketAddr,
    },
    /// Connects to a listening process and sends.
    Connect {
        /// What the listening process printed, for example http://127.0.0.1:7070.
        #[arg(value_parser = http_url)]
        url: reqwest::Url,
        /// How to send.
        #[command(flatten)]
        options: Options,
    },
}

/// What to measure, and how.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What to measure; without it, all of it, as one table.
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Bytes in a message [default: 16384; msgrate 64; latency 1024].
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(8..=MAX_SIZE))]
    pub size: Option<u32>,
    /// Length of a measurement, after 1 s of warm-up [default: 5; in the table 3].
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub secs: Option<Duration>,
    /// Whether messages arrive in order.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub ordered: bool,
    /// Give a message up after this many retransmissions; without it the channel is reliable.
    #[arg(long, value_name = "K")]
    pub max_retransmits: Option<u16>,
    /// Size of the UDP socket buffers; 0 leaves what the library sets.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub sockbuf: u32,
    /// Bytes that may wait in the sender.
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub high: u32,
    /// With `--pace events`, the queue length at which sending goes on.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub low: u32,
    /// How the sender is held back: in `send` itself, or by the low-threshold event.
    #[arg(long, value_enum, default_value_t = Pace::Limit)]
    pub pace: Pace,
    /// Send so many 10^6 bytes a second instead of as many as possible; each connection.
    #[arg(long, value_name = "MB", value_parser = megabytes)]
    pub rate: Option<f64>,
    /// Connections that send at once (throughput and msgrate).
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub pairs: u16,
    /// Whether many datagrams leave in one system call (GSO).
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub gso: bool,
    /// Round trips that `--mode latency` measures.
    #[arg(long, value_name = "N", default_value_t = 5_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rounds: u32,
    /// Connections that `--mode setup` opens at once.
    #[arg(long, value_name = "N", default_value_t = 32,
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub concurrent: u16,
    /// Worker threads of the runtime.
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// The whole stack, or SCTP alone over UDP sockets (throughput and msgrate).
    #[arg(long, value_enum, default_value_t = Layers::All)]
    pub layers: Layers,
    /// Print one JSON line instead of text.
    #[arg(long)]
    pub json: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Mode {
    /// Bytes a second, with messages of 16 KiB unless said otherwise.
    Throughput,
    /// Half a round trip.
    Latency,
    /// Messages a second, with messages of 64 bytes unless said otherwise.
    MsgRate,
    /// From creating the offer to the channel being open on both sides.
    Setup,
}

/// How much of the stack takes part.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layers {
    /// ICE, DTLS, SCTP, data channel.
    All,
    /// SCTP packets as UDP payload.
    Sctp,
}

/// How the sender is held back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// `send().await` waits while `--high` bytes are queued.
    Limit,
    /// The sender stops at `--high` and goes on when the queue is down to `--low`.
    Events,
}

/// One measurement, with every default filled in.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// What is measured.
    pub mode: Mode,
    /// Bytes in a message.
    pub size: usize,
    /// Length of the window.
    pub window: Duration,
    /// Whether messages arrive in order.
    pub ordered: bool,
    /// Nothing for a reliable channel.
    pub max_retransmits: Option<u16>,
    /// 0 leaves what the library sets.
    pub sockbuf: usize,
    /// Bytes that may wait in the sender.
    pub high: usize,
    /// Where an event-paced sender goes on.
    pub low: usize,
    /// How the sender is held back.
    pub pace: Pace,
    /// Bytes a second that a sender does not exceed.
    pub rate: Option<f64>,
    /// Connections that send at once.
    pub pairs: usize,
    /// Whether many datagrams leave in one system call.
    pub gso: bool,
    /// Round trips to measure.
    pub rounds: usize,
    /// Connections to open at once.
    pub concurrent: usize,
    /// Worker threads.
    pub workers: usize,
    /// How much of the stack takes part.
    pub layers: Layers,
}

impl Cli {
    /// Reads the process's arguments; says what is wrong with them and exits with 2.
    pub fn read() -> Self {
        Self::checked(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads `args`, of which the first is the program's name.
    pub fn checked<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let cli = Self::try_parse_from(args)?;
        let options = match &cli.end {
            Some(End::Connect { options, .. }) => options,
            Some(End::Listen { .. }) | None => &cli.options,
        };
        options
            .check(cli.end.is_some())
            .map_err(|why| Self::command().error(ErrorKind::ArgumentConflict, why))?;
        Ok(cli)
    }
}

impl Options {
    /// Whether the table is asked for: nothing says what to measure.
    pub fn wants_table(&self) -> bool {
        self.mode.is_none() && self.size.is_none() && !self.json
    }

    /// The one measurement asked for.
    pub fn run(&self) -> Run {
        let mode = self.mode.unwrap_or(Mode::Throughput);
        Run {
            mode,
            size: self.size.map_or(mode.size(), |size| size as usize),
            window: self.secs.unwrap_or(Duration::from_secs(5)),
            ordered: self.ordered,
            max_retransmits: self.max_retransmits,
            sockbuf: self.sockbuf as usize,
            high: self.high as usize,
            low: self.low as usize,
            pace: self.pace,
            rate: self.rate,
            pairs: usize::from(self.pairs),
            gso: self.gso,
            rounds: self.rounds as usize,
            concurrent: usize::from(self.concurrent),
            workers: usize::from(self.workers),
            layers: self.layers,
        }
    }

    /// What clap cannot see: values that do not go together.
    fn check(&self, two_processes: bool) -> Result<(), String> {
        let mode = self.mode.unwrap_or(Mode::Throughput);
        if self.low > self.high {
            return Err(format!(
                "--low {} is more than --high {}",
                self.low, self.high
            ));
        }
        let one_connection = two_processes || self.layers == Layers::Sctp || !mode.windowed();
        if one_connection && self.pairs > 1 {
            return Err(format!(
                "--pairs {} needs --layers all, one process, and a mode that counts what arrives",
                self.pairs
            ));
        }
        if mode.windowed() {
            if two_processes && self.layers == Layers::Sctp {
                return Err("--layers sctp runs in one process only".into());
            }
            if self.layers == Layers::Sctp && (self.rate.is_some() || !self.gso) {
                return Err("--layers sctp has neither --rate nor --gso".into());
            }
            return Ok(());
        }
        if self.layers == Layers::Sctp {
            return Err(format!("--layers sctp has no --mode {}", mode.name()));
        }
        if two_processes {
            return Err(format!("two processes have no --mode {}", mode.name()));
        }
        Ok(())
    }
}

impl Mode {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Throughput => "throughput",
            Mode::Latency => "latency",
            Mode::MsgRate => "msgrate",
            Mode::Setup => "setup",
        }
    }

    /// Whether it counts what arrives within a window.
    pub fn windowed(self) -> bool {
        match self {
            Mode::Throughput | Mode::MsgRate => true,
            Mode::Latency | Mode::Setup => false,
        }
    }

    /// Bytes in a message unless said otherwise.
    fn size(self) -> usize {
        match self {
            Mode::Throughput => 16_384,
            Mode::Latency | Mode::Setup => 1_024,
            Mode::MsgRate => 64,
        }
    }
}

/// The largest message that can be asked for; the stack may still refuse it.
const MAX_SIZE: i64 = 256 << 20;

fn seconds(value: &str) -> Result<Duration, String> {
    let secs: f64 = value
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if secs > 0.0 && secs <= 3_600.0 {
        Ok(Duration::from_secs_f64(secs))
    } else {
        Err("must be more than 0 and at most 3600".into())
    }
}

fn megabytes(value: &str) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate * 1e6),
        _ => Err("must be more than 0 and at most 1000000".into()),
    }
}

fn http_url(value: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(value).map_err(|error| error.to_string())?;
    if url.scheme() == "http" && url.has_host() {
        Ok(url)
    } else {
        Err("not an http:// address".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(args: &[&str]) -> String {
        let all = std::iter::once("throughput").chain(args.iter().copied());
        let error = Cli::checked(all).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    }

    fn accepted(args: &[&str]) -> Cli {
        Cli::checked(std::iter::once("throughput").chain(args.iter().copied())).unwrap()
    }

    /// A user who mistypes must read which value was wrong.
    #[test]
    fn errors_name_the_value() {
        for (args, named) in [
            (&["--size", "7"][..], "'7'"),
            (&["--size", "x"], "'x'"),
            (&["--secs", "0"], "'0'"),
            (&["--secs", "NaN"], "'NaN'"),
            (&["--mode", "speed"], "'speed'"),
            (&["--ordered", "maybe"], "'maybe'"),
            (&["--max-retransmits", "65536"], "'65536'"),
            (&["--workers", "0"], "'0'"),
            (&["--layers", "ip"], "'ip'"),
            (&["--rate", "0"], "'0'"),
            (&["--pairs", "0"], "'0'"),
            (&["--pairs", "2", "--mode", "latency"], "--pairs 2"),
            (&["--gso", "no"], "'no'"),
            (&["--low", "9", "--high", "8"], "--low 9"),
            (&["--layers", "sctp", "--mode", "setup"], "--mode setup"),
            (&["--nonsense"], "'--nonsense'"),
            (&["listen", "--http", "here"], "'here'"),
            (&["connect", "ftp://x"], "'ftp://x'"),
            (
                &["connect", "http://127.0.0.1:1", "--mode", "latency"],
                "--mode latency",
            ),
        ] {
            let message = refused(args);
            assert!(message.contains(named), "{args:?}: {message}");
        }
    }

    /// `benches/peers/compare` makes these calls.
    #[test]
    fn takes_the_command_line_of_the_peers() {
        let line = "--mode throughput --size 1200 --secs 2 --ordered false --max-retransmits 0 \
                    --sockbuf 212992 --high 4194304 --low 1048576 --pace events --json";
        let cli = accepted(&line.split_whitespace().collect::<Vec<_>>());
        let run = cli.options.run();
        assert_eq!(
            (run.size, run.ordered, run.max_retransmits),
            (1_200, false, Some(0))
        );
        assert_eq!((run.sockbuf, run.pace), (212_992, Pace::Events));
        assert_eq!(run.window, Duration::from_secs(2));
    }

    #[test]
    fn only_an_open_question_gets_the_table() {
        assert!(accepted(&[]).options.wants_table());
        assert!(
            accepted(&["--secs", "1", "--sockbuf", "212992"])
                .options
                .wants_table()
        );
        assert!(!accepted(&["--json"]).options.wants_table());
        assert!(!accepted(&["--mode", "setup"]).options.wants_table());
    }
}
