//! What the two ends of one association may choose (RFC 9260 §16).

use std::time::Duration;

use crate::send::scheduler::Scheduler;

/// Parameters of one association. Plain data: take [`Config::default`] (an association on its own)
/// or [`Config::webrtc`] (one below ICE and DTLS) and change what you need.
///
/// Values outside their stated range are brought into it by [`crate::Association::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Our SCTP port. WebRTC uses 5000 on both sides (RFC 8841).
    pub local_port: u16,
    /// The peer's SCTP port.
    pub remote_port: u16,
    /// Largest SCTP packet in bytes, common header included; 256 to 65,532. A multiple of four
    /// keeps every full packet equally long. 1160 fits a UDP payload of 1200 bytes below DTLS 1.2.
    pub max_packet_size: usize,
    /// Bytes of received data held for the application before the peer has to stop, at most: the
    /// largest a_rwnd that is ever advertised. The window grows to it from
    /// [`Self::initial_receive_window`] with what the application takes in a round trip.
    pub receive_window: usize,
    /// The window at first, if [`Self::receive_window`] is not less.
    pub initial_receive_window: usize,
    /// Largest message in bytes that [`crate::Association::send`] accepts: what the peer announced.
    pub max_message_size: usize,
    /// Outgoing streams we ask for.
    pub outbound_streams: u16,
    /// Incoming streams we accept.
    pub inbound_streams: u16,
    /// RTO before the first measurement (RTO.Initial).
    pub rto_initial: Duration,
    /// Lower bound of the RTO. It has to exceed the peer's delayed acknowledgement, 200 ms.
    pub rto_min: Duration,
    /// Upper bound of the RTO and of every back-off without a bound of its own.
    pub rto_max: Duration,
    /// Upper bound of the backed-off T1-init and T1-cookie timers, unless the RTO itself is longer.
    pub t1_max: Duration,
    /// Upper bound of the backed-off T3-rtx timer, unless the RTO itself is longer. Lower than `rto_max`, it bounds how long data
    /// waits after a blackout ends without [`crate::Association::path_resumed`].
    pub t3_max: Duration,
    /// Interval of HEARTBEATs on an idle path, to which the RTO and jitter are added (§8.3).
    /// `None` sends none.
    pub heartbeat_interval: Option<Duration>,
    /// Unanswered INITs or COOKIE-ECHOs after which connecting fails (Max.Init.Retransmits).
    pub max_init_retransmits: u32,
    /// Consecutive unanswered transmissions after which the association ends
    /// (Association.Max.Retrans).
    pub max_retransmits: u32,
    /// No retransmission counter ends the association: a layer above decides when the path is gone.
    pub never_fail: bool,
    /// How long a State Cookie is good for (Valid.Cookie.Life).
    pub cookie_lifetime: Duration,
    /// Which congestion controller runs.
    pub congestion_control: CongestionControl,
    /// Offer and use partial reliability (RFC 3758).
    pub partial_reliability: bool,
    /// Offer and use stream reconfiguration (RFC 6525).
    pub stream_reset: bool,
    /// Offer and use message interleaving (RFC 8260): I-DATA instead of DATA, so that a small message
    /// does not wait behind a large one.
    pub interleaving: bool,
    /// In which order streams send. Another one can be set while the association lives:
    /// [`crate::Association::set_scheduler`].
    pub scheduler: Scheduler,
    /// Accept a checksum of zero, and send one to a peer that accepts it (RFC 9653): inside DTLS,
    /// which authenticates every packet anyway, the CRC32c only costs time. Whoever decodes the
    /// packets has to say so too, see [`crate::wire::Checksum::Zero`].
    pub zero_checksum: bool,
}

/// The congestion controllers that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CongestionControl {
    /// RFC 9260 §7.2, counting bytes.
    NewReno,
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406): the window grows with time, not with round trips.
    #[default]
    Cubic,
    /// A model of the path's bandwidth and round trip after BBR (draft-ietf-ccwg-bbr), for paths
    /// that lose packets without being full, and for queues to stay short.
    Bbr,
}

impl Default for Config {
    /// The RFC's values where they do not cost throughput: RTO.Min is 400 ms instead of one second,
    /// which still exceeds the longest delayed acknowledgement by an RTT.
    fn default() -> Self {
        Self {
            local_port: 5000,
            remote_port: 5000,
            max_packet_size: 1160,
            receive_window: 16 << 20,
            initial_receive_window: 4 << 20,
            max_message_size: 256 << 10,
            outbound_streams: u16::MAX,
            inbound_streams: u16::MAX,
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(400),
            rto_max: Duration::from_secs(60),
            t1_max: Duration::from_secs(60),
            t3_max: Duration::from_secs(60),
            heartbeat_interval: Some(Duration::from_secs(30)),
            max_init_retransmits: 8,
            max_retransmits: 10,
            never_fail: false,
            cookie_lifetime: Duration::from_secs(60),
            congestion_control: CongestionControl::default(),
            partial_reliability: true,
            stream_reset: true,
            interleaving: true,
            scheduler: Scheduler::WeightedFair,
            zero_checksum: false,
        }
    }
}

impl Config {
    /// Below ICE and DTLS: ICE alone decides whether the path is alive, so no counter ends the
    /// association, back-offs stay short (ICE stops all traffic to a path that is gone), and the first
    /// RTO is 500 ms.
    #[must_use]
    pub fn webrtc() -> Self {
        Self {
            rto_initial: Duration::from_millis(500),
            rto_max: Duration::from_secs(10),
            t1_max: Duration::from_millis(500),
            t3_max: Duration::from_secs(2),
            never_fail: true,
            ..Self::default()
        }
    }

    /// The receive window at first.
    pub(crate) fn first_window(&self) -> usize {
        self.initial_receive_window.min(self.receive_window)
    }

    /// The same with every value inside its range.
    pub(crate) fn normalized(mut self) -> Self {
        self.max_packet_size = self.max_packet_size.clamp(MIN_PACKET_SIZE, MAX_PACKET_SIZE);
        self.receive_window = self
            .receive_window
            .clamp(MIN_RECEIVE_WINDOW, u32::MAX as usize / 2);
        self.initial_receive_window = self.initial_receive_window.max(MIN_RECEIVE_WINDOW);
        self.max_message_size = self.max_message_size.min(u32::MAX as usize / 2);
        self.outbound_streams = self.outbound_streams.max(1);
        self.inbound_streams = self.inbound_streams.max(1);
        self.rto_min = self.rto_min.clamp(Duration::from_millis(1), LONGEST);
        self.rto_max = self.rto_max.clamp(self.rto_min, LONGEST);
        self.heartbeat_interval = self
            .heartbeat_interval
            .map(|interval| interval.min(LONGEST));
        self.t1_max = self.t1_max.min(self.rto_max);
        self.t3_max = self.t3_max.clamp(self.rto_min, self.rto_max);
        self.rto_initial = self.rto_initial.clamp(self.rto_min, self.rto_max);
        self
    }
}

/// No timer is longer: sums of a few of them are far from any overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Smallest packet: an INIT-ACK with our cookie has to fit.
pub(crate) const MIN_PACKET_SIZE: usize = 256;
/// The length field of a chunk is 16 bits wide.
pub(crate) const MAX_PACKET_SIZE: usize = 65_532;
/// RFC 9260 §3.3.2: an a_rwnd below 1500 in an INIT is not allowed.
const MIN_RECEIVE_WINDOW: usize = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    /// No value a caller can choose makes arithmetic overflow later, or a state impossible.
    #[test]
    fn extremes_are_brought_into_range() {
        let least = Config {
            max_packet_size: 0,
            receive_window: 0,
            outbound_streams: 0,
            inbound_streams: 0,
            rto_initial: Duration::ZERO,
            rto_min: Duration::ZERO,
            rto_max: Duration::ZERO,
            t1_max: Duration::ZERO,
            t3_max: Duration::ZERO,
            ..Config::default()
        }
        .normalized();
        assert_eq!(least.max_packet_size, MIN_PACKET_SIZE);
        assert_eq!(least.receive_window, 1500);
        assert_eq!((least.outbound_streams, least.inbound_streams), (1, 1));
        assert!(least.rto_min > Duration::ZERO && least.rto_max >= least.rto_min);
        let most = Config {
            max_packet_size: usize::MAX,
            receive_window: usize::MAX,
            max_message_size: usize::MAX,
            rto_initial: Duration::MAX,
            rto_min: Duration::MAX,
            rto_max: Duration::MAX,
            t3_max: Duration::MAX,
            heartbeat_interval: Some(Duration::MAX),
            ..Config::default()
        }
        .normalized();
        assert_eq!(most.max_packet_size, MAX_PACKET_SIZE);
        assert_eq!(
            (most.rto_max, most.t3_max, most.rto_initial),
            (LONGEST, LONGEST, LONGEST)
        );
        assert_eq!(most.heartbeat_interval, Some(LONGEST));
    }
}
