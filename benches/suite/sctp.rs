//! `sctp/…`: parts of the association and its codec, without a socket or a lock.

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use peerloom_sctp::{
    Association, Budget, Config, Event, Limits, OutgoingMessage, Packet, PacketBatch, Ppid,
    Reliability, State, StreamId,
};

pub(crate) fn benches(criterion: &mut Criterion) {
    codec(criterion);
    sack_processing(criterion);
    reassembly(criterion);
}

/// A batch of full packets, and of packets that bundle small messages: planned once, encoded and
/// decoded again and again, CRC32c included.
fn codec(criterion: &mut Criterion) {
    let mut batches = Vec::new();
    for (name, size) in [("full", 65_535), ("small", 64)] {
        let mut flow = Flow::connected();
        flow.open_window();
        flow.fill(size);
        let mut batch = PacketBatch::new();
        flow.sender.poll_transmit(flow.now, &mut batch, BUDGET);
        batches.push((name, batch));
    }
    for (name, batch) in &batches {
        let (packets, bytes) = (batch.len(), batch.total_len() as u64);
        let mut datagrams: Vec<Vec<u8>> = (0..packets)
            .map(|index| vec![0; batch.encoded_len(index)])
            .collect();
        for (index, datagram) in datagrams.iter_mut().enumerate() {
            batch.encode(index, datagram);
        }
        let mut group = crate::group(criterion, "sctp");
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(BenchmarkId::new("packet_encode", name), |b| {
            let mut out = vec![0; 2_048];
            b.iter(|| {
                (0..packets)
                    .map(|index| batch.encode(index, &mut out))
                    .sum::<usize>()
            });
        });
        group.bench_function(BenchmarkId::new("packet_decode", name), |b| {
            b.iter(|| {
                let decoded = datagrams
                    .iter()
                    .filter_map(|datagram| Packet::decode(datagram).ok());
                decoded.map(|packet| packet.chunks.len()).sum::<usize>()
            });
        });
        group.finish();
    }
}

/// What the sender does with the SACKs of a batch of 54 full packets: all arrived in order, or every
/// tenth came late. An iteration is one packet of data acknowledged, however many SACKs that takes.
fn sack_processing(criterion: &mut Criterion) {
    let mut group = crate::group(criterion, "sctp");
    group.throughput(Throughput::Elements(1));
    for (name, late) in [("cumulative", None), ("gaps", Some(10))] {
        group.bench_function(BenchmarkId::new("sack_processing", name), |b| {
            let mut flow = Flow::connected();
            flow.open_window();
            b.iter_custom(|packets| {
                let (mut taken, mut done) = (Duration::ZERO, 0);
                while done < packets {
                    flow.fill(65_535);
                    let (_, sent) = flow.send_batch(late);
                    flow.deliver();
                    taken += flow.acknowledge();
                    done += sent;
                }
                // A batch may have had more than what was asked for.
                taken.mul_f64(packets as f64 / done as f64)
            });
        });
    }
    group.finish();
}

/// What the receiver does with decoded packets until the messages are out: in order; with every
/// tenth packet late; and small messages, 12 or so to a packet. An iteration is one packet.
fn reassembly(criterion: &mut Criterion) {
    let mut group = crate::group(criterion, "sctp");
    for (name, size, late) in [
        ("in_order", 65_535, None),
        ("gaps", 65_535, Some(10)),
        ("small", 64, None),
    ] {
        group.throughput(Throughput::Bytes(1_160));
        group.bench_function(BenchmarkId::new("reassembly", name), |b| {
            let mut flow = Flow::connected();
            flow.open_window();
            b.iter_custom(|packets| {
                let (mut taken, mut done) = (Duration::ZERO, 0);
                while done < packets {
                    flow.fill(size);
                    let (time, count) = flow.send_batch(late);
                    taken += time + flow.deliver();
                    done += count;
                    flow.acknowledge();
                }
                taken.mul_f64(packets as f64 / done as f64)
            });
        });
    }
    group.finish();
}

/// Data from one association to another, step by step, on virtual time.
struct Flow {
    now: Instant,
    sender: Association,
    receiver: Association,
    batch: PacketBatch,
    datagrams: Vec<Vec<u8>>,
    bodies: Vec<(usize, Bytes)>,
}

impl Flow {
    fn connected() -> Self {
        let now = Instant::now();
        let association =
            |seed| Association::new(Config::webrtc(), Limits::default(), [seed; 32], now);
        let mut flow = Self {
            now,
            sender: association(1),
            receiver: association(2),
            batch: PacketBatch::new(),
            datagrams: vec![vec![0; 2_048]; BUDGET.packets],
            bodies: Vec::new(),
        };
        flow.sender.connect(now);
        flow.receiver.connect(now);
        while flow.sender.state() != State::Established
            || flow.receiver.state() != State::Established
        {
            flow.send_batch(None);
            flow.acknowledge();
        }
        flow.deliver();
        flow
    }

    /// Transfers until slow start has let go of a whole batch, and to the end.
    fn open_window(&mut self) {
        for _ in 0..200 {
            self.fill(65_535);
            self.step();
        }
        while self.sender.total_buffered() > 0 {
            self.step();
        }
    }

    fn step(&mut self) {
        self.send_batch(None);
        self.deliver();
        self.acknowledge();
    }

    /// Queues messages of `size` for at least one batch.
    fn fill(&mut self, size: usize) {
        let known = self.bodies.iter().position(|(len, _)| *len == size);
        let known = known.unwrap_or_else(|| {
            self.bodies.push((size, Bytes::from(vec![7; size])));
            self.bodies.len() - 1
        });
        while self.sender.total_buffered() < 2 * BUDGET.bytes {
            let message = OutgoingMessage {
                stream: StreamId(0),
                ppid: Ppid(53),
                payload: self.bodies[known].1.clone(),
                ordered: true,
                reliability: Reliability::Reliable,
            };
            self.sender
                .send(self.now, message)
                .expect("room was asked for");
        }
    }

    /// One batch to the receiver, every `late`-th packet behind the others; the time the receiver
    /// took for it, and the packets.
    fn send_batch(&mut self, late: Option<usize>) -> (Duration, u64) {
        self.now += STEP;
        let count = plan(
            &mut self.sender,
            self.now,
            &mut self.batch,
            &mut self.datagrams,
        );
        let packets: Vec<_> = self.datagrams[..count]
            .iter()
            .zip(0..self.batch.len())
            .map(|(datagram, index)| &datagram[..self.batch.encoded_len(index)])
            .map(|datagram| Packet::decode(datagram).expect("encoded here"))
            .collect();
        let is_late = |index: usize| late.is_some_and(|every| index.is_multiple_of(every));
        let began = Instant::now();
        for (_, packet) in packets
            .iter()
            .enumerate()
            .filter(|(index, _)| !is_late(*index))
        {
            self.receiver.handle_packet(self.now, packet);
        }
        for (_, packet) in packets
            .iter()
            .enumerate()
            .filter(|(index, _)| is_late(*index))
        {
            self.receiver.handle_packet(self.now, packet);
        }
        let taken = began.elapsed();
        drop(packets);
        self.batch.clear();
        (taken, count as u64)
    }

    /// Takes out the messages; the time that took.
    fn deliver(&mut self) -> Duration {
        let began = Instant::now();
        while let Some(event) = self.receiver.poll_event() {
            if let Event::Message(message) = event {
                self.receiver.release(self.now, message.cost);
            }
        }
        began.elapsed()
    }

    /// What the receiver has to say goes to the sender; the time the sender took for it.
    fn acknowledge(&mut self) -> Duration {
        self.now += STEP;
        let mut count = plan(
            &mut self.receiver,
            self.now,
            &mut self.batch,
            &mut self.datagrams,
        );
        if count == 0 {
            // The delayed acknowledgement of a last odd packet.
            if let Some(at) = self.receiver.poll_timeout() {
                self.now = self.now.max(at);
                self.receiver.handle_timeout(self.now);
                count = plan(
                    &mut self.receiver,
                    self.now,
                    &mut self.batch,
                    &mut self.datagrams,
                );
            }
        }
        let mut taken = Duration::ZERO;
        for (index, datagram) in self.datagrams[..count].iter().enumerate() {
            let datagram = &datagram[..self.batch.encoded_len(index)];
            let packet = Packet::decode(datagram).expect("encoded here");
            let began = Instant::now();
            self.sender.handle_packet(self.now, &packet);
            taken += began.elapsed();
        }
        self.batch.clear();
        while self.sender.poll_event().is_some() {}
        taken
    }
}

fn plan(
    from: &mut Association,
    now: Instant,
    batch: &mut PacketBatch,
    datagrams: &mut [Vec<u8>],
) -> usize {
    from.poll_transmit(now, batch, BUDGET);
    for (index, datagram) in datagrams.iter_mut().enumerate().take(batch.len()) {
        batch.encode(index, datagram);
    }
    batch.len()
}

/// What the driver of `peerloom` gathers at once.
const BUDGET: Budget = Budget {
    packets: 54,
    bytes: 54 * 1_160,
};

const STEP: Duration = Duration::from_micros(50);
