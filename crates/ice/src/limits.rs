//! What a peer, or a careless caller, can make the agent keep.

/// Caps of one [`Agent`](crate::Agent). What exceeds one is refused or dropped, and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sockets of ours. Default 32: every interface of a well-connected host.
    pub local_addresses: usize,
    /// STUN servers. Default 8; each costs one request per socket.
    pub stun_servers: usize,
    /// Signalled and discovered candidates of the remote. Default 100.
    pub remote_candidates: usize,
    /// Pairs (RFC 8445 §6.1.2.5 recommends 100, the default). When full, an authenticated check
    /// from a new address takes the place of the least promising pair.
    pub pairs: usize,
    /// Addresses of authenticated checks kept until the remote's credentials are known.
    /// Default 16.
    pub early_checks: usize,
    /// Answers that wait to be sent. Default 64; a driver that polls after every burst of
    /// datagrams needs no more.
    pub answers: usize,
    /// Bytes of the largest STUN datagram looked at. Default 1280: browsers stay below 200, and
    /// nothing larger than an IPv6 minimum MTU is a check.
    pub datagram: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            local_addresses: 32,
            stun_servers: 8,
            remote_candidates: 100,
            pairs: 100,
            early_checks: 16,
            answers: 64,
            datagram: 1280,
        }
    }
}
