//! A connection's counters as JSON: those that explain a figure.

use peerloom::stats::Internals;
use serde_json::{Value, json};

/// What the sending or receiving of `stats` took, from the connection's beginning.
#[must_use]
pub fn json(stats: &Internals) -> Value {
    let transport = &stats.transport;
    let sctp = &stats.sctp;
    let mut counters = json!({
        "packets_per_send": per(transport.packets_sent, transport.send_calls),
        "packets_per_receive": per(transport.packets_received, transport.receive_calls),
        "packets_per_burst": per(transport.packets_received, transport.bursts_received),
        "wakes_per_batch": per(transport.wakes, transport.batches_sent),
        "wakes_per_mb": per_mb(stats, transport.wakes),
        "turns_per_mb": per_mb(stats, transport.turns),
        "sacks_per_mb": per_mb(stats, sctp.sacks_sent + sctp.sacks_received),
        "retransmits": {
            "fast": sctp.retransmits.fast,
            "probe": sctp.retransmits.probe,
            "timeout": sctp.retransmits.timeout,
            "spurious": sctp.retransmits.spurious,
        },
        // What a receiver that is overrun drops, and what came twice.
        "drops": {
            "no_window": sctp.drops.no_window,
            "tsn_out_of_window": sctp.drops.tsn_out_of_window,
            "duplicate_tsn": sctp.drops.duplicate_tsn,
        },
        "cwnd": sctp.cwnd,
        // Not set before the first loss.
        "ssthresh": (sctp.ssthresh < usize::MAX / 2).then_some(sctp.ssthresh),
        "peer_rwnd": sctp.peer_rwnd,
        "local_rwnd": sctp.local_rwnd,
        "in_flight": sctp.bytes_in_flight,
        "srtt_us": sctp.srtt.as_micros() as u64,
        "rto_ms": sctp.rto.as_millis() as u64,
        "so_rcvbuf": stats.sockets.iter().map(|socket| socket.receive_buffer).min(),
        "so_sndbuf": stats.sockets.iter().map(|socket| socket.send_buffer).min(),
    });
    lock_times(stats, &mut counters);
    counters
}

/// The session lock's hold and wait times, in microseconds, by purpose.
#[cfg(feature = "lock-stats")]
fn lock_times(stats: &Internals, counters: &mut Value) {
    let micros = |time: std::time::Duration| round(time.as_secs_f64() * 1e6);
    let purposes: serde_json::Map<String, Value> = stats
        .lock
        .iter()
        .map(|lock| {
            let times = json!({
                "count": lock.count,
                "hold_p50_us": micros(lock.hold_p50),
                "hold_p99_us": micros(lock.hold_p99),
                "hold_max_us": micros(lock.hold_max),
                "wait_p99_us": micros(lock.wait_p99),
                "wait_max_us": micros(lock.wait_max),
            });
            (lock.purpose.to_string(), times)
        })
        .collect();
    counters["lock"] = Value::Object(purposes);
    let applied = &stats.applied;
    counters["applied"] = json!({
        "count": applied.count,
        "p50_us": micros(applied.p50),
        "p99_us": micros(applied.p99),
        "max_us": micros(applied.max),
    });
}

#[cfg(not(feature = "lock-stats"))]
fn lock_times(_: &Internals, _: &mut Value) {}

/// To three decimals: more says nothing.
#[must_use]
pub fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn per(count: u64, of: u64) -> f64 {
    round(count as f64 / of.max(1) as f64)
}

fn per_mb(stats: &Internals, count: u64) -> f64 {
    let bytes = stats
        .transport
        .bytes_sent
        .max(stats.transport.bytes_received);
    round(count as f64 / (bytes as f64 / 1e6).max(1.0))
}
