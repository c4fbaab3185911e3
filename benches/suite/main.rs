//! The criterion suite: `cargo bench -p peerloom-benches -- FILTER`.
//!
//! Short on purpose: all of it in three to four minutes. Figures that are compared come from
//! `benches/compare`, which runs two revisions in turn.

mod datachannel;
mod dtls;
mod ice;
mod packet;
mod payload;
mod receive;
mod sctp;
mod srtp;

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};

criterion_group!(
    suite,
    datachannel::benches,
    sctp::benches,
    dtls::benches,
    ice::benches,
    packet::benches,
    payload::benches,
    receive::benches,
    srtp::benches
);
criterion_main!(suite);

/// A group with the suite's times.
fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        // Equal samples: a transfer of few messages is mostly its beginning.
        .sampling_mode(SamplingMode::Flat);
    group
}

/// As [`group`], for what takes nanoseconds and is measured beside others: shorter, and many samples.
fn short<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(700))
        .sample_size(50)
        .sampling_mode(SamplingMode::Flat);
    group
}

/// Times `handle` over `iterations` of what `prepare` makes, a burst at a time, the making left out.
fn bursts<T>(
    iterations: u64,
    mut prepare: impl FnMut() -> Vec<T>,
    mut handle: impl FnMut(&mut T),
) -> Duration {
    let (mut taken, mut done) = (Duration::ZERO, 0);
    while done < iterations {
        let mut burst = prepare();
        let began = Instant::now();
        burst.iter_mut().for_each(&mut handle);
        taken += began.elapsed();
        done += burst.len() as u64;
    }
    taken.mul_f64(iterations as f64 / done as f64)
}
