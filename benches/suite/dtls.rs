//! `dtls/{seal,open}`: the record layer after a real handshake, one record in each iteration.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use peerloom_dtls::{
    Certificate, Config, Connected, ContentType, HEADROOM, Handshake, Opened, Role, TAILROOM,
};

/// Bytes of plaintext: a full SCTP packet and one with a small message.
const SIZES: [usize; 2] = [1_200, 100];

pub(crate) fn benches(criterion: &mut Criterion) {
    let (client, server) = handshake();
    let (mut sealer, mut opener) = (client.sealer, server.opener);
    let mut group = crate::group(criterion, "dtls");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let record = vec![0_u8; HEADROOM + size + TAILROOM];
        group.bench_function(BenchmarkId::new("seal", size), |b| {
            let mut record = record.clone();
            // What is sealed does not matter: the last record will do as plaintext of the next.
            b.iter(|| sealer.seal(ContentType::ApplicationData, &mut record));
        });
        group.bench_function(BenchmarkId::new("open", size), |b| {
            let mut burst = vec![record.clone(); BURST];
            b.iter_custom(|records| {
                let (mut taken, mut done) = (Duration::ZERO, 0);
                while done < records {
                    for record in &mut burst {
                        sealer
                            .seal(ContentType::ApplicationData, record)
                            .expect("the numbers last");
                    }
                    let began = Instant::now();
                    for record in &mut burst {
                        let opened = opener.open(record);
                        debug_assert!(matches!(opened, Opened::ApplicationData(_)));
                    }
                    taken += began.elapsed();
                    done += BURST as u64;
                }
                assert_eq!(opener.drops().total(), 0, "every record has to open");
                taken.mul_f64(records as f64 / done as f64)
            });
        });
    }
    group.finish();
}

fn handshake() -> (Connected, Connected) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let now = Instant::now();
        let ours = Certificate::generate().expect("a certificate can be made");
        let theirs = Certificate::generate().expect("a certificate can be made");
        let prints = (ours.fingerprint(), theirs.fingerprint());
        let client = Config::new(ours, Role::Client, vec![prints.1]);
        let server = Config::new(theirs, Role::Server, vec![prints.0]);
        let mut client = Handshake::new(client, now).expect("the configuration is whole");
        let mut server = Handshake::new(server, now).expect("the configuration is whole");
        let (mut a, mut b) = (None, None);
        poll_fn(|cx| {
            loop {
                if a.is_none()
                    && let Poll::Ready(done) = client.poll(cx, now)
                {
                    a = Some(done);
                }
                if b.is_none()
                    && let Poll::Ready(done) = server.poll(cx, now)
                {
                    b = Some(done);
                }
                let mut moved = false;
                while let Some(datagram) = client.poll_transmit() {
                    server.handle_datagram(now, &datagram);
                    moved = true;
                }
                while let Some(datagram) = server.poll_transmit() {
                    client.handle_datagram(now, &datagram);
                    moved = true;
                }
                match (a.is_some() && b.is_some(), moved) {
                    (true, _) => return Poll::Ready(()),
                    (false, true) => {}
                    (false, false) => return Poll::Pending,
                }
            }
        })
        .await;
        let connected = |end: Option<Result<Connected, _>>| end.and_then(Result::ok);
        let both = connected(a).zip(connected(b));
        both.expect("nothing is lost in memory")
    })
}

const BURST: usize = 54;
