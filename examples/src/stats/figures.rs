//! What two readings of a connection's counters tell.

use std::fmt;
use std::time::Duration;

use peerloom::ConnectionState;
use peerloom::stats::Internals;
use serde::Serialize;

use crate::counters::round;

/// What happened between two readings, and how things stand at the second one.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Between the two readings.
    pub secs: f64,
    /// Of the connection.
    pub state: ConnectionState,
    /// Sent on the wire, MB a second.
    pub sent_mb_per_s: f64,
    /// Received from the wire, MB a second.
    pub received_mb_per_s: f64,
    /// The remote address of the selected pair.
    pub remote: Option<String>,
    /// Smoothed round-trip time of SCTP, in milliseconds.
    pub rtt_ms: f64,
    /// The smallest that was seen.
    pub min_rtt_ms: f64,
    /// Congestion window, in bytes.
    pub cwnd: usize,
    /// Sent and not acknowledged, in bytes.
    pub in_flight: usize,
    /// Accepted and not sent, in bytes.
    pub queued: usize,
    /// What the other end has room for, in bytes.
    pub peer_window: usize,
    /// Datagrams in one system call that sends.
    pub packets_per_send: f64,
    /// Datagrams in one system call that receives.
    pub packets_per_receive: f64,
    /// Packets repeated since the last reading, for whatever reason.
    pub retransmitted: u64,
    /// Since the beginning: repeated because later ones arrived.
    pub fast: u64,
    /// Since the beginning: repeated as a tail-loss probe.
    pub probe: u64,
    /// Since the beginning: repeated because nothing arrived.
    pub timeout: u64,
    /// Since the beginning: repeated for nothing.
    pub spurious: u64,
}

impl Figures {
    /// What happened from `before` to `after`, which is `time` later.
    #[must_use]
    pub fn between(before: &Internals, after: &Internals, time: Duration) -> Self {
        let secs = time.as_secs_f64().max(f64::EPSILON);
        let (old, new) = (&before.transport, &after.transport);
        let sctp = &after.sctp;
        let mb = |before: u64, after: u64| round((after - before) as f64 / 1e6 / secs);
        let per = |packets: u64, calls: u64| round(packets as f64 / calls.max(1) as f64);
        let ms = |time: Duration| round(time.as_secs_f64() * 1e3);
        Self {
            secs: round(secs),
            state: after.connection,
            sent_mb_per_s: mb(old.bytes_sent, new.bytes_sent),
            received_mb_per_s: mb(old.bytes_received, new.bytes_received),
            remote: after
                .ice
                .pairs
                .iter()
                .find(|pair| pair.selected)
                .map(|pair| pair.remote.to_string()),
            rtt_ms: ms(sctp.srtt),
            min_rtt_ms: ms(sctp.min_rtt),
            cwnd: sctp.cwnd,
            in_flight: sctp.bytes_in_flight,
            queued: sctp.unsent_bytes,
            peer_window: sctp.peer_rwnd,
            packets_per_send: per(
                new.packets_sent - old.packets_sent,
                new.send_calls - old.send_calls,
            ),
            packets_per_receive: per(
                new.packets_received - old.packets_received,
                new.receive_calls - old.receive_calls,
            ),
            retransmitted: sctp.retransmits.total() - before.sctp.retransmits.total(),
            fast: sctp.retransmits.fast,
            probe: sctp.retransmits.probe,
            timeout: sctp.retransmits.timeout,
            spurious: sctp.retransmits.spurious,
        }
    }
}

impl fmt::Display for Figures {
    /// A table of two columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remote = self.remote.as_deref().unwrap_or("nobody");
        let state = format!("{:?}", self.state).to_lowercase();
        writeln!(f, "{state}, with {remote}")?;
        writeln!(f, "sent            {:>12.1} MB/s", self.sent_mb_per_s)?;
        writeln!(f, "received        {:>12.1} MB/s", self.received_mb_per_s)?;
        writeln!(
            f,
            "round trip      {:>12.3} ms, at least {:.3}",
            self.rtt_ms, self.min_rtt_ms
        )?;
        writeln!(
            f,
            "cwnd            {:>12} B, {} in flight",
            self.cwnd, self.in_flight
        )?;
        writeln!(f, "queued          {:>12} B", self.queued)?;
        writeln!(f, "peer's window   {:>12} B", self.peer_window)?;
        writeln!(
            f,
            "packets a call  {:>12.1} sent, {:.1} received",
            self.packets_per_send, self.packets_per_receive
        )?;
        writeln!(f, "retransmitted   {:>12} now", self.retransmitted)?;
        write!(
            f,
            "  in all        {:>12} fast, {} probes, {} timeouts, {} spurious",
            self.fast, self.probe, self.timeout, self.spurious
        )
    }
}
