//! Timings and switches, with the reasons for their defaults.

use crate::event::Role;
use crate::limits::Limits;
use crate::policy::TransportPolicy;
use std::time::Duration;

/// Configuration of an [`Agent`](crate::Agent). `docs/ice.md` explains the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentConfig {
    /// The role to start with; a conflict may change it. Default controlling.
    pub role: Role,
    /// Ta (RFC 8445 §14.2): the least time between two checks to addresses that have not
    /// answered yet, and STUN server requests, of this agent. Default 5 ms, and never less.
    pub pacing: Duration,
    /// How long the first transmission of a check waits for its answer while no round trip is
    /// known. Grows by half with every attempt. Default 60 ms (the RFC says 500 ms): a lost first
    /// packet must not cost half a second, and a check is 100 bytes.
    pub initial_rto: Duration,
    /// The longest wait between two attempts of one check. Default 500 ms.
    pub max_rto: Duration,
    /// Whether we are a lite agent (RFC 8445 §2.5): controlled, with host candidates alone, it
    /// answers checks and sends none. For a host that everybody can reach, and never for both
    /// ends. Default false.
    pub lite: bool,
    /// Which of our candidates are used. Default all.
    pub transport_policy: TransportPolicy,
    /// When checks that never succeeded end in [`State::Failed`](crate::State), counted from the
    /// first thing to check. Default 39.5 s, the least of RFC 8863 §4: as long as a check by the
    /// RFC's own timers takes to fail, so that no remote is given up that is still trying.
    pub checking_timeout: Duration,
    /// How long a nomination may wait for a pair of higher priority after the first pair was
    /// found valid. Data flows in the meantime. Default 100 ms; a pair of two host candidates
    /// does not wait.
    pub nomination_delay: Duration,
    /// How long a STUN server may take before gathering goes on without it. Default 2 s.
    pub stun_timeout: Duration,
    /// How often a STUN server is asked again to keep a server-reflexive candidate alive until a
    /// pair is nominated (RFC 8445 §5.1.1.4). Default 10 s, below the 30 s of short-lived NATs.
    pub stun_keepalive: Duration,
    /// Basic period of consent checks, randomised by 0.8 to 1.2 (RFC 7675 §5.1). Default 5 s.
    pub consent_interval: Duration,
    /// Sending ends this long after the last answer (RFC 7675 §5.1). Default 30 s.
    pub consent_timeout: Duration,
    /// The longest time between two checks on the selected pair, of any kind; the next comes
    /// after 0.8 to 1 of it. Default 2.5 s.
    pub liveness_interval: Duration,
    /// The same once an answer is missing. Default 500 ms.
    pub liveness_interval_silent: Duration,
    /// Silence after which the pair counts as disconnected. Default 5 s.
    pub disconnected_after: Duration,
    /// Caps.
    pub limits: Limits,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            role: Role::Controlling,
            pacing: MIN_PACING,
            initial_rto: Duration::from_millis(60),
            max_rto: Duration::from_millis(500),
            lite: false,
            transport_policy: TransportPolicy::All,
            checking_timeout: Duration::from_millis(39_500),
            nomination_delay: Duration::from_millis(100),
            stun_timeout: Duration::from_secs(2),
            stun_keepalive: Duration::from_secs(10),
            consent_interval: Duration::from_secs(5),
            consent_timeout: Duration::from_secs(30),
            liveness_interval: Duration::from_millis(2500),
            liveness_interval_silent: Duration::from_millis(500),
            disconnected_after: Duration::from_secs(5),
            limits: Limits::default(),
        }
    }
}

impl AgentConfig {
    /// Whether server-reflexive candidates are looked for.
    pub(crate) fn asks_servers(&self) -> bool {
        !self.lite && self.transport_policy == TransportPolicy::All
    }

    /// The configuration with every value brought into the range in which timers make progress.
    pub(crate) fn sanitised(mut self) -> Self {
        self.pacing = self.pacing.max(MIN_PACING);
        self.initial_rto = self.initial_rto.max(MIN_RTO);
        self.max_rto = self.max_rto.max(self.initial_rto);
        self.stun_keepalive = self.stun_keepalive.max(Duration::from_secs(1));
        // RFC 7675 §5.1: "MUST NOT set the period between checks to less than 4 seconds".
        self.consent_interval = self.consent_interval.max(Duration::from_secs(5));
        self.liveness_interval = self.liveness_interval.max(MIN_LIVENESS);
        self.liveness_interval_silent = self.liveness_interval_silent.max(MIN_LIVENESS);
        if self.lite {
            self.role = Role::Controlled;
            // A lite agent hears the remote's consent checks only, up to 6 s apart (RFC 7675 §5.1).
            let patience = self.consent_interval * 3 / 2;
            self.disconnected_after = self.disconnected_after.max(patience);
        }
        self.limits.pairs = self.limits.pairs.max(1);
        self.limits.remote_candidates = self.limits.remote_candidates.max(1);
        self
    }
}

/// RFC 8445 §14.2: Ta is at least 5 ms.
const MIN_PACING: Duration = Duration::from_millis(5);
/// Below this a retransmission overtakes the answer on any real link.
pub(crate) const MIN_RTO: Duration = Duration::from_millis(20);
/// Keeps a mistyped configuration from flooding the peer.
const MIN_LIVENESS: Duration = Duration::from_millis(100);
