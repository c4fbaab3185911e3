//! The criterion suite: `cargo bench -p peerloom-benches -- FILTER`.
//!
//! Short on purpose: all of it in two to three minutes. Figures that are compared come from
//! `benches/compare`, which runs two revisions in turn.

mod datachannel;
mod dtls;
mod ice;
mod sctp;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};

criterion_group!(
    suite,
    datachannel::benches,
    sctp::benches,
    dtls::benches,
    ice::benches
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
