//! Bulk over simulated paths, on virtual time: what `goodput_grid` measures.
//!
//! A run depends on nothing but its options: the same seed gives the same figure on any machine.

pub mod fairness;
pub mod plot;
pub mod transfer;

use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom_sctp::sim::{Host, LinkConfig};
use peerloom_sctp::{
    Association, Config, CongestionControl, Limits, OutgoingMessage, Ppid, Reliability, SendError,
    StreamId,
};

/// The controllers, by the names they have in tables and options.
pub const CONTROLLERS: [(&str, CongestionControl); 3] = [
    ("newreno", CongestionControl::NewReno),
    ("cubic", CongestionControl::Cubic),
    ("bbr", CongestionControl::Bbr),
];

/// How much both ends allow to be on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// As configured if nobody says anything.
    Default,
    /// So many bytes.
    Bytes(usize),
}

/// One end of a path with this round trip.
fn host(
    controller: CongestionControl,
    window: Window,
    rtt: Duration,
    seed: u64,
    start: Instant,
) -> Host {
    let mut config = Config {
        congestion_control: controller,
        ..Config::webrtc()
    };
    let mut limits = Limits::default();
    if let Window::Bytes(bytes) = window {
        config.receive_window = bytes;
        limits.send_queue = limits.send_queue.max(bytes + QUEUED);
    }
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut association = Association::new(config, limits, bytes, start);
    // As ICE does.
    association.suggest_rtt(rtt);
    Host::new(association)
}

/// Keeps the send queue from running empty.
fn top_up(host: &mut Host, now: Instant, message: &Bytes) {
    while host.association.total_buffered() < QUEUED {
        let outgoing = OutgoingMessage {
            stream: StreamId(0),
            ppid: Ppid(53),
            payload: message.clone(),
            ordered: true,
            reliability: Reliability::Reliable,
        };
        match host.association.send(now, outgoing) {
            Ok(()) => {}
            // What is in flight fills the rest of the limit.
            Err(SendError::QueueFull { .. }) => return,
            Err(error) => {
                debug_assert!(false, "{error}");
                return;
            }
        }
    }
}

/// Bytes of user data that arrived since the last call.
fn take(host: &mut Host) -> u64 {
    host.messages
        .drain(..)
        .map(|m| m.payload.len() as u64)
        .sum()
}

/// The path of `rate` bits a second both ways, with a queue for `queue` of time in front.
#[must_use]
pub fn path(rate: u64, rtt: Duration, queue: Duration) -> LinkConfig {
    let bytes = (rate as f64 / 8.0 * queue.as_secs_f64()) as usize;
    LinkConfig {
        rate: Some(rate),
        queue: bytes.max(SHORTEST_QUEUE),
        ..LinkConfig::with_rtt(rtt)
    }
}

/// The share of a link's rate that user data can have: packets of 1,160 bytes with 1,132 of it, and
/// 28 bytes of UDP and IPv4 around.
pub const PAYLOAD_SHARE: f64 = 1132.0 / 1188.0;

/// Virtual time needs a base.
#[must_use]
pub fn origin() -> Instant {
    Instant::now()
}

/// Bytes that wait to be sent at all times.
const QUEUED: usize = 1 << 20;
/// Bytes of a message: small, so that counting whole ones is exact enough at a low rate.
const MESSAGE: usize = 16 << 10;
/// Ten packets.
const SHORTEST_QUEUE: usize = 12_000;
