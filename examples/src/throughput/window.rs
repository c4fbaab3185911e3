//! The measuring window: a second of warm-up, then some seconds that count.

use std::time::{Duration, Instant};

use super::meter::{Counts, Meter};
use crate::host;

/// What is not measured: slow start, page faults, the first scheduling of everything.
pub const WARM_UP: Duration = Duration::from_secs(1);

/// How often the window looks whether something was delivered.
const RESOLUTION: Duration = Duration::from_millis(5);

/// A time without a delivery that is counted.
const STALL: Duration = Duration::from_millis(200);

/// How often the live line is told.
const TELL: Duration = Duration::from_millis(100);

/// The figures of one window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// Its length in seconds.
    pub secs: f64,
    /// Application bytes received in it.
    pub bytes: u64,
    /// Messages received in it.
    pub messages: u64,
    /// Messages accepted for sending in it.
    pub sent: u64,
    /// CPU time of the process in it, in seconds.
    pub cpu_s: Option<f64>,
    /// The longest time with nothing delivered.
    pub max_stall: Duration,
    /// How often nothing was delivered for 200 ms.
    pub stalls: u64,
    /// Datagrams dropped at this process's sockets in it.
    pub drops: u64,
    /// The same since the process began.
    pub drops_total: u64,
}

/// What the live line shows.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Of the warm-up and the window together, from 0 to 1.
    pub done: f64,
    /// 10^6 bytes a second just now.
    pub mb_per_s: f64,
}

/// A window that is open; [`Open::sample`] it until it gives the result.
#[derive(Debug)]
pub struct Open {
    length: Duration,
    began: Instant,
    cpu: Option<f64>,
    drops: u64,
    at_start: Counts,
    last: u64,
    last_at: Instant,
    stalled: bool,
    max_stall: Duration,
    stalls: u64,
}

impl Open {
    /// Opens a window of `length` now.
    pub fn new(meter: &Meter, length: Duration) -> Self {
        let at_start = meter.counts();
        let now = Instant::now();
        Self {
            length,
            began: now,
            cpu: host::cpu_secs(),
            drops: host::udp_drops(),
            last: at_start.messages,
            at_start,
            last_at: now,
            stalled: false,
            max_stall: Duration::ZERO,
            stalls: 0,
        }
    }

    /// Looks at the meter. The result once the time is over, else how long to wait before the next
    /// look.
    pub fn sample(&mut self, meter: &Meter) -> Result<Window, Duration> {
        let now = Instant::now();
        let counts = meter.counts();
        if counts.messages == self.last {
            let idle = now - self.last_at;
            self.max_stall = self.max_stall.max(idle);
            if !self.stalled && idle > STALL {
                self.stalled = true;
                self.stalls += 1;
            }
        } else {
            self.last = counts.messages;
            self.last_at = now;
            self.stalled = false;
        }
        let left = self.length.saturating_sub(now - self.began);
        if !left.is_zero() {
            return Err(left.min(RESOLUTION));
        }
        let drops = host::udp_drops();
        Ok(Window {
            secs: (now - self.began).as_secs_f64(),
            bytes: counts.bytes - self.at_start.bytes,
            messages: counts.messages - self.at_start.messages,
            sent: counts.sent - self.at_start.sent,
            cpu_s: host::cpu_secs()
                .zip(self.cpu)
                .map(|(end, start)| end - start),
            max_stall: self.max_stall,
            stalls: self.stalls,
            drops: drops.saturating_sub(self.drops),
            drops_total: drops,
        })
    }
}

/// Warm-up and window, on a thread that is none of the runtime's: the measuring must not wait for
/// what it measures.
pub fn measure(meter: &Meter, length: Duration, live: &mut dyn FnMut(Progress)) -> Window {
    let mut ticker = Ticker::new(WARM_UP + length);
    let warm = Instant::now() + WARM_UP;
    while Instant::now() < warm {
        std::thread::sleep(TELL.min(warm.saturating_duration_since(Instant::now())));
        ticker.tick(meter, live);
    }
    let mut open = Open::new(meter, length);
    loop {
        match open.sample(meter) {
            Ok(window) => return window,
            Err(wait) => std::thread::sleep(wait),
        }
        ticker.tick(meter, live);
    }
}

/// Tells the live line now and then.
#[derive(Debug)]
pub struct Ticker {
    began: Instant,
    whole: Duration,
    last: Instant,
    bytes: u64,
}

impl Ticker {
    /// For a measurement that takes `whole`.
    pub fn new(whole: Duration) -> Self {
        let now = Instant::now();
        Self {
            began: now,
            whole,
            last: now,
            bytes: 0,
        }
    }

    /// Tells `live` if the last time is long enough ago.
    pub fn tick(&mut self, meter: &Meter, live: &mut dyn FnMut(Progress)) {
        let now = Instant::now();
        let since = now - self.last;
        if since < TELL {
            return;
        }
        let bytes = meter.counts().bytes;
        live(Progress {
            done: ((now - self.began).as_secs_f64() / self.whole.as_secs_f64()).min(1.0),
            mb_per_s: (bytes - self.bytes) as f64 / since.as_secs_f64() / 1e6,
        });
        self.last = now;
        self.bytes = bytes;
    }
}
