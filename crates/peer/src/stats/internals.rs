//! What the W3C has no names for: what a connection did, what it dropped and how well the data path
//! batches.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
#[cfg(feature = "lock-stats")]
use std::time::Duration;

use peerloom_dtls::{
    CipherSuite, Drops as DtlsDrops, Role as DtlsRole, SrtpProfile, Usage as DtlsUsage,
};

use crate::data_channel::DataChannelState;
use crate::event::ConnectionState;

/// Every part's own counters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Internals {
    /// The state of the connection.
    pub connection: ConnectionState,
    /// Datagrams, system calls and wake-ups.
    pub transport: TransportStats,
    /// Every socket, with the sizes of its kernel buffers.
    pub sockets: Vec<SocketStats>,
    /// Candidates, pairs and ignored datagrams of the ICE agent.
    pub ice: peerloom_ice::Stats,
    /// The DTLS association.
    pub dtls: DtlsStats,
    /// The SCTP association: cwnd, ssthresh, rwnd, srtt, rto, in flight, retransmissions and drops.
    pub sctp: peerloom_sctp::Stats,
    /// Channels opened, accepted, closed, and what was refused.
    pub data_channels: peerloom_datachannel::Stats,
    /// Each channel that exists.
    pub channels: Vec<ChannelStats>,
    /// Hold and wait times of the session lock per purpose.
    #[cfg(feature = "lock-stats")]
    pub lock: Vec<LockTimes>,
    /// How long received datagrams, SACKs among them, waited until they were applied.
    #[cfg(feature = "lock-stats")]
    pub applied: AppliedTimes,
}

/// Datagrams, system calls and wake-ups of a connection. They tell how well the data path batches:
/// packets per send call, and wake-ups and lock holds for each megabyte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Datagrams sent, of all kinds.
    pub packets_sent: u64,
    /// Bytes of records sent in batches.
    pub bytes_sent: u64,
    /// Batches of packets sealed and sent.
    pub batches_sent: u64,
    /// System calls that sent.
    pub send_calls: u64,
    /// Datagrams that the kernel refused; they count as lost.
    pub send_refused: u64,
    /// Packets that had no path: none is selected, or consent was lost.
    pub no_path: u64,
    /// Packets not sent because the record layer has used up its sequence numbers.
    pub seal_refused: u64,
    /// Messages accepted that were never sent: their channel closed first.
    pub messages_refused: u64,
    /// Control datagrams (STUN, handshake) dropped because the writer's lane was full.
    pub control_lane_full: u64,
    /// Datagrams received, of all kinds.
    pub packets_received: u64,
    /// Bytes of datagrams received.
    pub bytes_received: u64,
    /// System calls that received something.
    pub receive_calls: u64,
    /// How often a sleeping driver was woken by a message, a command or a reader.
    pub wakes: u64,
    /// Turns of the driver.
    pub turns: u64,
    /// Bursts of received packets handled, one lock hold each.
    pub bursts_received: u64,
    /// Datagrams dropped, by reason.
    pub dropped: DroppedDatagrams,
}

/// Datagrams dropped before they reached a protocol, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedDatagrams {
    /// Neither STUN nor DTLS nor RTP by its first byte (RFC 7983).
    pub unknown_class: u64,
    /// DTLS or RTP from an address that passed no authenticated ICE check.
    pub unvalidated_source: u64,
    /// RTP or RTCP: no media was negotiated.
    pub media: u64,
    /// DTLS that came before it could be used, beyond what is kept.
    pub early_dtls: u64,
    /// Plaintext that is no valid SCTP packet.
    pub sctp_malformed: u64,
}

/// One socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketStats {
    /// The address it is bound to.
    pub local_address: SocketAddr,
    /// SO_SNDBUF in bytes as the system reports it (Linux doubles what was asked for).
    pub send_buffer: usize,
    /// SO_RCVBUF in bytes as the system reports it.
    pub receive_buffer: usize,
    /// Equal segments that one system call can send (GSO); 1 without offload.
    pub max_gso_segments: usize,
    /// Equal segments that one buffer can receive (GRO); 1 without offload.
    pub gro_segments: usize,
    /// Datagrams that the kernel dropped because the receive buffer was full; `None` where the
    /// system does not tell.
    pub kernel_drops: Option<u64>,
}

/// The DTLS association.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DtlsStats {
    /// Which end we are, once signalling has decided.
    pub role: Option<DtlsRole>,
    /// Whether the handshake has begun and is not complete.
    pub handshaking: bool,
    /// Whether the handshake is complete and verified.
    pub established: bool,
    /// The cipher suite, once established.
    pub cipher_suite: Option<CipherSuite>,
    /// The SRTP profile that was negotiated for later media.
    pub srtp_profile: Option<SrtpProfile>,
    /// The other end's certificate, DER.
    pub remote_certificate: Option<Vec<u8>>,
    /// Records that were ignored, by reason.
    pub drops: DtlsDrops,
    /// How much the other end's key was used, against the limits of AES-GCM.
    pub received: DtlsUsage,
}

/// One data channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Counts the channels of the connection, whoever opened them.
    pub number: u64,
    /// Its label.
    pub label: String,
    /// Its subprotocol.
    pub protocol: String,
    /// Its state as the application sees it.
    pub state: DataChannelState,
    /// Bytes waiting to be sent.
    pub buffered_amount: usize,
    /// Its counters in the session.
    pub counters: peerloom_datachannel::ChannelStats,
}

/// From the kernel's receipt of a datagram to the end of the lock hold that applied it.
#[cfg(feature = "lock-stats")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedTimes {
    /// Bursts measured; none where the system gives no receive time.
    pub count: u64,
    /// Median, within a quarter of a power of two.
    pub p50: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// Hold and wait times of the session lock for one purpose.
#[cfg(feature = "lock-stats")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockTimes {
    /// What it was taken for: ingest, gather, control, timeout or stats.
    pub purpose: String,
    /// How often.
    pub count: u64,
    /// Median time held, within a quarter of a power of two.
    pub hold_p50: Duration,
    /// 99th percentile of the time held.
    pub hold_p99: Duration,
    /// The longest.
    pub hold_max: Duration,
    /// 99th percentile of the time waited for it.
    pub wait_p99: Duration,
    /// The longest.
    pub wait_max: Duration,
}

macro_rules! counters {
    ($($name:ident),* ; $($drop:ident),*) => {
        /// The counters behind [`TransportStats`], shared by driver and writer.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            $(pub(crate) $drop: AtomicU64,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> TransportStats {
                TransportStats {
                    $($name: self.$name.load(Relaxed),)*
                    dropped: DroppedDatagrams { $($drop: self.$drop.load(Relaxed),)* },
                }
            }
        }
    };
}

counters! {
    packets_sent, bytes_sent, batches_sent, send_calls, send_refused, no_path, seal_refused,
    messages_refused, control_lane_full, packets_received, bytes_received, receive_calls, wakes, turns,
    bursts_received;
    unknown_class, unvalidated_source, media, early_dtls, sctp_malformed
}

/// Adds one; counters are read only for display.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
