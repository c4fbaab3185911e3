//! `datachannel/send/SIZE/{memory,loopback}`: messages from handing in to handing out. Every message
//! is a fresh allocation of the application's, as in earnest.

use std::time::Instant;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use peerloom::DataChannelOptions;
use peerloom_benches::{loopback, memory};
use peerloom_datachannel::ChannelOptions;

const SIZES: [usize; 4] = [64, 1_024, 16_384, 65_536];

pub(crate) fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    for size in SIZES {
        let mut group = crate::group(criterion, "datachannel/send");
        group.throughput(Throughput::Bytes(size as u64));
        let body = vec![7; size];
        group.bench_function(BenchmarkId::new(size.to_string(), "memory"), |b| {
            let mut pair = memory::Pair::connect(ChannelOptions::default()).expect("connects");
            b.iter_custom(|messages| {
                let began = Instant::now();
                pair.transfer(messages, || Bytes::copy_from_slice(&body))
                    .expect("arrives");
                began.elapsed()
            });
        });
        group.bench_function(BenchmarkId::new(size.to_string(), "loopback"), |b| {
            let pair = runtime.block_on(loopback::Pair::new(DataChannelOptions::default()));
            let pair = pair.expect("connects");
            b.iter_custom(|messages| {
                let body = body.clone();
                let make = move || Bytes::copy_from_slice(&body);
                runtime
                    .block_on(pair.transfer(messages, make))
                    .expect("arrives")
            });
            runtime.block_on(pair.close());
        });
        group.finish();
    }
}
