//! What the application decides: which candidates are used, and in which order.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Which of our candidates are used (W3C `RTCIceTransportPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportPolicy {
    /// Every kind.
    #[default]
    All,
    /// Relayed ones alone, so that the remote does not learn our addresses. There is no TURN client
    /// yet: no candidate is given out, no STUN server asked, no check sent or answered.
    Relay,
}

/// Decides about single addresses. Called by the agent, synchronously, while it handles candidates
/// and checks: an implementation must return at once. The defaults allow everything.
///
/// ```
/// # use std::net::SocketAddr;
/// /// Talks to private addresses only, and prefers IPv4.
/// struct Intranet;
///
/// impl peerloom_ice::AddressPolicy for Intranet {
///     fn allows_remote(&self, remote: SocketAddr) -> bool {
///         matches!(remote, SocketAddr::V4(v4) if v4.ip().is_private())
///     }
///     fn local_preference(&self, local: SocketAddr, suggested: u16) -> u16 {
///         if local.is_ipv4() { suggested } else { suggested / 2 }
///     }
/// }
/// ```
pub trait AddressPolicy: Send + Sync {
    /// Whether a remote address may be dialled and answered: asked for signalled candidates, and
    /// for the sources of checks that belong to none.
    fn allows_remote(&self, remote: SocketAddr) -> bool {
        let _ = remote;
        true
    }

    /// The local preference of a socket of ours (RFC 8445 §5.1.2.1), which decides between
    /// candidates of one type, and so between pairs. Larger is better. `suggested` follows the
    /// order in which addresses were added, link-local ones last. No two should get the same.
    fn local_preference(&self, local: SocketAddr, suggested: u16) -> u16 {
        let _ = local;
        suggested
    }
}

/// The policy of an agent.
#[derive(Clone)]
pub(crate) struct Policy(pub(crate) Arc<dyn AddressPolicy>);

impl Default for Policy {
    fn default() -> Self {
        struct AllowAll;
        impl AddressPolicy for AllowAll {}
        Self(Arc::new(AllowAll))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").finish_non_exhaustive()
    }
}
