//! Counters and gauges of one association.

use std::time::Duration;

use crate::config::CongestionControl;

/// A snapshot taken by [`crate::Association::stats`]. Counters never reset, not by a restart either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The congestion controller.
    pub congestion_control: CongestionControl,
    /// Bytes a second at which packets leave; zero if they are not paced.
    pub pacing_rate: u64,
    /// Congestion window in bytes of DATA chunks, headers included.
    pub cwnd: usize,
    /// Slow-start threshold in bytes.
    pub ssthresh: usize,
    /// What the peer can still take, in bytes of user data: its last a_rwnd less what is in flight.
    pub peer_rwnd: usize,
    /// Our advertised receive window in bytes.
    pub local_rwnd: usize,
    /// What that is when the application has taken everything. It grows up to
    /// [`Config::receive_window`](crate::Config::receive_window).
    pub receive_window: usize,
    /// Bytes received and not yet released, the overhead of messages included.
    pub receive_buffered: usize,
    /// Smoothed round-trip time; zero before the first measurement.
    pub srtt: Duration,
    /// Its variation.
    pub rttvar: Duration,
    /// Shortest round trip of the last minutes; zero before the first measurement.
    pub min_rtt: Duration,
    /// Retransmission timeout before back-off.
    pub rto: Duration,
    /// Bytes of DATA chunks believed to be in the network.
    pub bytes_in_flight: usize,
    /// TSNs not yet acknowledged.
    pub outstanding: usize,
    /// Bytes of messages accepted but not yet given a TSN.
    pub unsent_bytes: usize,
    /// Packets received, dropped ones included.
    pub packets_received: u64,
    /// Packets planned for sending.
    pub packets_sent: u64,
    /// Chunks received.
    pub chunks_received: u64,
    /// Chunks planned for sending.
    pub chunks_sent: u64,
    /// DATA chunks received, duplicates included.
    pub data_received: u64,
    /// DATA chunks planned, retransmissions included.
    pub data_sent: u64,
    /// Bytes of user data planned, retransmissions included.
    pub data_bytes_sent: u64,
    /// SACKs received.
    pub sacks_received: u64,
    /// SACKs sent.
    pub sacks_sent: u64,
    /// FORWARD-TSNs sent.
    pub forward_tsns_sent: u64,
    /// Messages accepted for sending.
    pub messages_sent: u64,
    /// Messages delivered.
    pub messages_received: u64,
    /// Messages abandoned (RFC 3758).
    pub messages_abandoned: u64,
    /// DATA chunks retransmitted, by what declared them lost.
    pub retransmits: Retransmits,
    /// Messages are interleaved (RFC 8260): both ends agreed.
    pub interleaving: bool,
    /// We send packets with a checksum of zero (RFC 9653): both ends agreed.
    pub zero_checksum_sending: bool,
    /// What was dropped, by reason.
    pub drops: Drops,
}

/// DATA chunks sent again, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retransmits {
    /// Reported missing: by time order (RACK) or by three later SACKs.
    pub fast: u64,
    /// As tail-loss probes.
    pub probe: u64,
    /// After T3-rtx expired.
    pub timeout: u64,
    /// Of all of them, those the peer reported as duplicates.
    pub spurious: u64,
}

impl Retransmits {
    /// All retransmitted DATA chunks.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.fast + self.probe + self.timeout
    }
}

/// Packets, chunks and answers that were dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// Packets with a verification tag other than ours (RFC 9260 §8.5).
    pub verification_tag: u64,
    /// Packets for other ports.
    pub ports: u64,
    /// Packets that belong to no association (§8.4).
    pub out_of_the_blue: u64,
    /// Cookies whose signature is not ours.
    pub forged_cookie: u64,
    /// Cookies past their life.
    pub stale_cookie: u64,
    /// Chunks that make no sense in the current state.
    pub unexpected_chunk: u64,
    /// Chunks of unknown type.
    pub unknown_chunk: u64,
    /// Chunks whose content is malformed.
    pub malformed_chunk: u64,
    /// SACKs older than one already processed.
    pub old_sack: u64,
    /// SACKs that acknowledge what was never sent.
    pub lying_sack: u64,
    /// DATA or FORWARD-TSN already received.
    pub duplicate_tsn: u64,
    /// DATA or FORWARD-TSN beyond what can be tracked.
    pub tsn_out_of_window: u64,
    /// DATA for which the receive window had no room.
    pub no_window: u64,
    /// DATA for streams that do not exist.
    pub invalid_stream: u64,
    /// Fragments of messages that the peer gave up, or whose turn had passed.
    pub skipped: u64,
    /// HEARTBEAT-ACKs that answer nothing we sent.
    pub heartbeat_ack: u64,
    /// RE-CONFIG parameters out of sequence or malformed.
    pub reconfig: u64,
    /// Answers and echoes beyond [`crate::Limits`].
    pub control_limit: u64,
    /// Events beyond [`crate::Limits::events`].
    pub event_limit: u64,
}
