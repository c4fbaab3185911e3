//! `jitter_buffer`, `nack`, `twcc`: one packet in each iteration, 1 ms after the last; every
//! twentieth comes late, and every hundredth not at all where that is the point.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use peerloom_rtp::receive::{
    FeedbackConfig, JitterBuffer, JitterConfig, NackConfig, NackGenerator, PacketOrigin,
    TransportFeedbackBuilder,
};
use peerloom_rtp::rtcp::{Compound, RtcpPacket, RtcpWriter};
use peerloom_rtp::send::TransportHistory;
use peerloom_rtp::{Limits, MediaPacket, SequenceNumber, Ssrc, Timestamp};

pub(crate) fn benches(criterion: &mut Criterion) {
    jitter_buffer(criterion);
    nack(criterion);
    twcc(criterion);
}

fn jitter_buffer(criterion: &mut Criterion) {
    let mut group = crate::short(criterion, "jitter_buffer");
    for (name, config) in [("video", JitterConfig::VIDEO), ("opus", JitterConfig::OPUS)] {
        let payload = bytes::Bytes::from_static(&[7; 1_100]);
        group.bench_function(name, |b| {
            let mut buffer = JitterBuffer::new(config, &Limits::default());
            let mut clock = Clock::new();
            b.iter(|| {
                let (now, number) = clock.next();
                let sequence = reordered(number);
                let packet = MediaPacket {
                    sequence,
                    timestamp: Timestamp(u32::from(sequence.0) * config.clock_rate / 1_000),
                    marker: true,
                    payload: payload.clone(),
                };
                black_box(buffer.insert(now, packet, PacketOrigin::Direct));
                while let Some(released) = buffer.poll(now) {
                    black_box(released);
                }
            });
        });
    }
    group.finish();
}

fn nack(criterion: &mut Criterion) {
    let mut group = crate::short(criterion, "nack");
    for (name, is_lossy) in [("clean", false), ("lossy", true)] {
        group.bench_function(name, |b| {
            let mut generator = NackGenerator::new(NackConfig::default());
            let mut clock = Clock::new();
            let mut lost = Vec::with_capacity(512);
            b.iter(|| {
                let (now, number) = clock.next();
                if !is_lossy || !number.is_multiple_of(100) {
                    generator.on_packet(now, reordered(number));
                }
                generator.poll(now, &mut lost);
                lost.len()
            });
        });
    }
    group.finish();
}

fn twcc(criterion: &mut Criterion) {
    let mut group = crate::short(criterion, "twcc");
    // Seen and reported, a feedback packet for every 50.
    group.bench_function("build", |b| {
        let mut builder = TransportFeedbackBuilder::new(FeedbackConfig::default());
        let mut clock = Clock::new();
        let mut buffer = [0; 1_200];
        b.iter(|| {
            let (now, number) = clock.next();
            if !number.is_multiple_of(100) {
                builder.on_packet(now, reordered(number));
            }
            let mut writer = RtcpWriter::new(&mut buffer);
            builder.build(now, Ssrc(1), Ssrc(2), &mut writer)
        });
    });
    // Sent, and its fate found out from such feedback.
    group.bench_function("process", |b| {
        let mut builder = TransportFeedbackBuilder::new(FeedbackConfig::default());
        let mut history = TransportHistory::new(4_096, SequenceNumber(0));
        let (limits, mut clock) = (Limits::default(), Clock::new());
        b.iter_custom(|packets| {
            let (mut taken, mut arrived) = (Duration::ZERO, 0);
            let mut buffer = [0; 1_200];
            for _ in 0..packets {
                let (now, number) = clock.next();
                let began = Instant::now();
                let sequence = history.on_sent(now, 1_200);
                taken += began.elapsed();
                if !number.is_multiple_of(100) {
                    builder.on_packet(now, sequence);
                }
                let mut writer = RtcpWriter::new(&mut buffer);
                let built = builder.build(now, Ssrc(1), Ssrc(2), &mut writer);
                if !built.expect("the buffer is long enough") {
                    continue;
                }
                let len = writer.finish();
                let began = Instant::now();
                for packet in Compound::new(&buffer[..len], &limits).flatten() {
                    if let RtcpPacket::TransportFeedback(feedback) = packet {
                        history.on_feedback(&feedback, |fate| {
                            arrived += u64::from(fate.arrival.is_some());
                        });
                    }
                }
                taken += began.elapsed();
            }
            black_box(arrived);
            taken
        });
    });
    group.finish();
}

/// Virtual time.
struct Clock {
    now: Instant,
    number: u64,
}

impl Clock {
    fn new() -> Self {
        Self {
            now: Instant::now(),
            number: 0,
        }
    }

    fn next(&mut self) -> (Instant, u64) {
        self.now += Duration::from_millis(1);
        self.number += 1;
        (self.now, self.number)
    }
}

/// Every twentieth changes places with the one after it.
fn reordered(number: u64) -> SequenceNumber {
    let number = match number % 20 {
        0 => number + 1,
        1 => number - 1,
        _ => number,
    };
    SequenceNumber(number as u16)
}
