//! Allocations in the steady state, counted by the global allocator: `alloc` and `realloc` calls of
//! the whole process, every thread.
//!
//! Goals: in bulk at most 1 for each message beyond the application's own and none for each packet,
//! which follows; for messages of 64 bytes at most 2 for each message.
//!
//! The application's own is the buffer of a fresh message. A message that is a clone of one `Bytes`
//! costs the application nothing; both ways are measured.
//!
//! To see the places, `--features dhat`: see docs/performance.md.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use peerloom::DataChannelOptions;
use peerloom_benches::{Result, loopback, memory};
use peerloom_datachannel::ChannelOptions;

#[cfg(not(feature = "dhat"))]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

#[cfg(feature = "dhat")]
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// How the application makes a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    /// A clone of one `Bytes`: no allocation of its own.
    Shared,
    /// A `Vec` for each, turned into `Bytes`: one allocation of its own.
    Fresh,
}

impl Source {
    fn make(self, size: usize) -> impl FnMut() -> Bytes + Send + 'static {
        let body = vec![7; size];
        let shared = Bytes::copy_from_slice(&body);
        // The first clone of a `Bytes` that was a `Vec` allocates the count of its references.
        let _counted = shared.clone();
        move || match self {
            Source::Shared => shared.clone(),
            Source::Fresh => Bytes::from(body.clone()),
        }
    }

    fn own(self) -> f64 {
        match self {
            Source::Shared => 0.0,
            Source::Fresh => 1.0,
        }
    }
}

/// Two sessions in memory: SCTP and data channels with their codec, no tasks and no sockets.
#[test]
fn sessions_in_memory() {
    let _alone = alone();
    for case in MEMORY {
        let label = case.label("memory");
        if !chosen(&label) {
            continue;
        }
        let mut pair = memory::Pair::connect(ChannelOptions::default()).unwrap();
        let mut make = case.source.make(case.size);
        pair.transfer(WARM_UP, &mut make).unwrap();
        let count = counted(|| pair.transfer(MESSAGES, &mut make)).unwrap();
        case.check(&label, count);
    }
}

/// Two connections over loopback with everything, tokio's own allocations included.
#[test]
fn connections_over_loopback() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for case in LOOPBACK {
        let label = case.label("loopback");
        if !chosen(&label) {
            continue;
        }
        let pair = runtime.block_on(loopback::Pair::new(DataChannelOptions::default()));
        let pair = pair.unwrap();
        let transfer = |count| runtime.block_on(pair.transfer(count, case.source.make(case.size)));
        transfer(WARM_UP).unwrap();
        let count = counted(|| transfer(MESSAGES)).unwrap();
        case.check(&label, count);
        runtime.block_on(pair.close());
    }
}

/// What is measured, and how many allocations each message has beyond the application's own.
#[derive(Clone, Copy, Debug)]
struct Case {
    size: usize,
    source: Source,
    /// How many there should be.
    goal: f64,
    /// How many there may be.
    bound: f64,
}

impl Case {
    /// `memory-64-fresh` and so on.
    fn label(&self, link: &str) -> String {
        format!("{link}-{}-{:?}", self.size, self.source).to_lowercase()
    }

    fn check(&self, label: &str, count: usize) {
        let beyond = count as f64 / MESSAGES as f64 - self.source.own();
        let missed = if beyond > self.goal + NOISE {
            ", MISSED"
        } else {
            ""
        };
        println!(
            "{label}: {beyond:.3} for each message, goal {}{missed}",
            self.goal
        );
        if cfg!(not(feature = "dhat")) {
            let (bound, message) = (self.bound + NOISE, "more allocations than there may be");
            assert!(
                beyond <= bound,
                "{label}: {message}: {beyond:.3} > {bound:.3}"
            );
        }
    }
}

/// Whether `ONLY` names this measurement, or nothing.
fn chosen(label: &str) -> bool {
    std::env::var("ONLY").is_ok_and(|only| only == label) || std::env::var_os("ONLY").is_none()
}

#[cfg(not(feature = "dhat"))]
fn counted<T>(f: impl FnOnce() -> Result<T>) -> Result<usize> {
    let region = stats_alloc::Region::new(ALLOCATOR);
    f()?;
    let change = region.change();
    Ok(change.allocations + change.reallocations)
}

/// Writes `dhat-heap.json`; the last measurement wins, so choose one with `ONLY`.
#[cfg(feature = "dhat")]
fn counted<T>(f: impl FnOnce() -> Result<T>) -> Result<usize> {
    let profiler = dhat::Profiler::builder().trim_backtraces(Some(24)).build();
    f()?;
    let blocks = dhat::HeapStats::get().total_blocks;
    drop(profiler);
    Ok(usize::try_from(blocks)?)
}

/// The counts are of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn case(size: usize, source: Source, goal: f64, bound: f64) -> Case {
    Case {
        size,
        source,
        goal,
        bound,
    }
}

/// As counted: the receiver's message.
const MEMORY: [Case; 8] = [
    case(65_535, Source::Shared, 1.0, 1.0),
    case(65_535, Source::Fresh, 1.0, 1.0),
    case(16_384, Source::Shared, 1.0, 1.0),
    case(16_384, Source::Fresh, 1.0, 1.0),
    case(1_024, Source::Shared, 1.0, 1.0),
    case(1_024, Source::Fresh, 1.0, 1.0),
    case(64, Source::Shared, 2.0, 1.1),
    case(64, Source::Fresh, 2.0, 1.1),
];

/// As above. Of small messages more may be on their way at once than there are counts of references
/// that circulate (`PayloadPool`); how many is the scheduler's choice, so there is room above what is
/// seen.
const LOOPBACK: [Case; 8] = [
    case(65_535, Source::Shared, 1.0, 1.1),
    case(65_535, Source::Fresh, 1.0, 1.1),
    case(16_384, Source::Shared, 1.0, 1.1),
    case(16_384, Source::Fresh, 1.0, 1.1),
    case(1_024, Source::Shared, 1.0, 1.5),
    case(1_024, Source::Fresh, 1.0, 1.5),
    case(64, Source::Shared, 2.0, 1.5),
    case(64, Source::Fresh, 2.0, 1.5),
];

/// Queues that double once more, the harness that prints, ICE's checks: not of any message.
const NOISE: f64 = 0.02;

const WARM_UP: u64 = 4_000;
const MESSAGES: u64 = 4_000;
