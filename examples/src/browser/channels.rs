//! What the native end does on its channels: `flow` sends and counts on command, every other one
//! gives back what it gets.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use peerloom::{DataChannel, Message};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::Result;
use crate::throughput::meter::{Counts, Flow, Messages, Meter};

/// The label of the channel that echoes.
pub(super) const ECHO: &str = "echo";

/// The label of the channel that measures.
pub(super) const FLOW: &str = "flow";

/// The longest run that a page may ask for.
const LONGEST: f64 = 600.0;

/// The highest rate that a page may ask for; beyond it, as fast as possible is the better word.
const FASTEST: f64 = 10_000.0;

/// The smallest message that a page may ask for: it holds its number twice.
const SMALLEST: usize = 16;

/// The largest message that a page may ask for.
const LARGEST: usize = 1 << 20;

/// How often the page is told how much of its upload has arrived.
const TELL: Duration = Duration::from_millis(100);

/// What a page asks for on the flow channel.
#[derive(Debug, Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
enum Command {
    /// Send messages of `size` bytes for `secs`, `rate` a second or as fast as possible.
    Download {
        size: usize,
        secs: f64,
        rate: Option<f64>,
    },
    /// Messages of `size` bytes are going to come.
    Upload { size: usize },
    /// That was all of them.
    Uploaded { count: u64 },
    /// Stop sending.
    Stop,
}

/// What the page is told on the flow channel.
#[derive(Debug, Serialize)]
#[serde(tag = "note", rename_all = "lowercase")]
enum Note {
    /// How much of an upload has arrived.
    Progress { bytes: u64 },
    /// A download is over: what was sent, and the most that waited in the channel meanwhile.
    Sent {
        count: u64,
        bytes: u64,
        secs: f64,
        max_buffered: usize,
    },
    /// An upload is over: what arrived.
    Received {
        count: u64,
        sent: u64,
        bytes: u64,
        secs: f64,
        bad: u64,
        gaps: u64,
        max_stall_ms: f64,
    },
    /// A command that cannot be carried out.
    Error { why: String },
}

/// Serves a channel until it closes.
pub(super) async fn serve(channel: DataChannel) {
    // Whatever ends a channel here, its page sees it close.
    let _ = if channel.label() == FLOW {
        flow(&channel).await
    } else {
        echo(&channel).await
    };
    channel.close();
}

async fn echo(channel: &DataChannel) -> Result<()> {
    while let Some(message) = channel.recv().await {
        channel.send(message).await?;
    }
    Ok(())
}

async fn flow(channel: &DataChannel) -> Result<()> {
    let mut download: Option<Download> = None;
    let mut upload: Option<Upload> = None;
    let result = loop {
        let text = match channel.recv().await {
            None => break Ok(()),
            Some(Message::Binary(message)) => {
                if let Some(progress) = upload.as_mut().and_then(|u| u.received(&message)) {
                    progress.send(channel).await?;
                }
                continue;
            }
            Some(Message::Text(text)) => text,
        };
        let answer = match serde_json::from_str(&text) {
            Ok(Command::Download { size, secs, rate }) => {
                if download
                    .as_ref()
                    .is_some_and(|running| !running.task.is_finished())
                {
                    Some(Note::Error {
                        why: "a download is running already".into(),
                    })
                } else {
                    match Order::new(size, secs, rate) {
                        Ok(order) => {
                            download = Some(Download::start(order, channel.clone()));
                            None
                        }
                        Err(why) => Some(Note::Error { why }),
                    }
                }
            }
            Ok(Command::Upload { size }) => {
                upload = Some(Upload::new(size));
                None
            }
            Ok(Command::Uploaded { count }) => upload.take().map(|upload| upload.done(count)),
            Ok(Command::Stop) => {
                if let Some(running) = &download {
                    running.stop.store(true, Relaxed);
                }
                None
            }
            Err(error) => Some(Note::Error {
                why: format!("{error}: {text}"),
            }),
        };
        if let Some(answer) = answer {
            answer.send(channel).await?;
        }
    };
    if let Some(running) = download {
        // Its channel is gone: it ends by itself.
        let _ = running.task.await;
    }
    result
}

impl Note {
    async fn send(&self, channel: &DataChannel) -> Result<()> {
        channel.send(serde_json::to_string(self)?).await?;
        Ok(())
    }
}

/// A download that runs.
struct Download {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<()>>,
}

impl Download {
    fn start(order: Order, channel: DataChannel) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(order.carry_out(channel, stop.clone()));
        Self { stop, task }
    }
}

/// What a page asked for, checked.
struct Order {
    messages: Messages,
    size: usize,
    length: Duration,
    /// Between one message and the next.
    interval: Option<Duration>,
}

impl Order {
    fn new(size: usize, secs: f64, rate: Option<f64>) -> Result<Self, String> {
        if !(SMALLEST..=LARGEST).contains(&size) {
            return Err(format!(
                "messages of {size} bytes: {SMALLEST} to {LARGEST} are sent"
            ));
        }
        if !(secs > 0.0 && secs <= LONGEST) {
            return Err(format!(
                "{secs} s: more than 0 and at most {LONGEST} are sent for"
            ));
        }
        let interval = match rate {
            None => None,
            Some(rate) if rate > 0.0 && rate <= FASTEST => {
                Some(Duration::from_secs_f64(1.0 / rate))
            }
            Some(rate) => return Err(format!("{rate} messages a second: at most {FASTEST}")),
        };
        let length = Duration::from_secs_f64(secs);
        Ok(Self {
            messages: Messages::new(size),
            size,
            length,
            interval,
        })
    }

    async fn carry_out(self, channel: DataChannel, stop: Arc<AtomicBool>) -> Result<()> {
        let began = Instant::now();
        let mut ticks = self.interval.map(|interval| {
            let mut ticks = tokio::time::interval(interval);
            // A message that came late does not make the others late.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            ticks
        });
        let (mut count, mut max_buffered) = (0, 0);
        while !stop.load(Relaxed) {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            if began.elapsed() >= self.length {
                break;
            }
            channel.send(self.messages.numbered(count)).await?;
            count += 1;
            max_buffered = max_buffered.max(channel.buffered_amount());
        }
        let bytes = count * self.size as u64;
        let secs = began.elapsed().as_secs_f64();
        Note::Sent {
            count,
            bytes,
            secs,
            max_buffered,
        }
        .send(&channel)
        .await
    }
}

/// An upload that is being received.
struct Upload {
    size: usize,
    meter: Meter,
    flow: Flow,
    first: Option<Instant>,
    last: Instant,
    told: Instant,
    max_stall: Duration,
}

impl Upload {
    fn new(size: usize) -> Self {
        let now = Instant::now();
        Self {
            size,
            meter: Meter::default(),
            flow: Flow::default(),
            first: None,
            last: now,
            told: now,
            max_stall: Duration::ZERO,
        }
    }

    /// Counts a message; now and then something to tell the page.
    fn received(&mut self, message: &[u8]) -> Option<Note> {
        self.meter.received(&mut self.flow, message, self.size);
        let now = Instant::now();
        if self.first.is_some() {
            self.max_stall = self.max_stall.max(now - self.last);
        }
        self.first = self.first.or(Some(now));
        self.last = now;
        if now - self.told < TELL {
            return None;
        }
        self.told = now;
        Some(Note::Progress {
            bytes: self.meter.counts().bytes,
        })
    }

    fn done(self, sent: u64) -> Note {
        let Counts {
            bytes,
            messages,
            bad,
            gaps,
            ..
        } = self.meter.counts();
        Note::Received {
            count: messages,
            sent,
            bytes,
            secs: self
                .first
                .map_or(0.0, |first| (self.last - first).as_secs_f64()),
            bad,
            gaps,
            max_stall_ms: self.max_stall.as_secs_f64() * 1e3,
        }
    }
}
