//! How a session is set up.

use crate::limits::Limits;

/// Parameters of a [`Session`](crate::Session).
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The association below. Its `max_message_size` is what the *peer* accepts
    /// (`a=max-message-size` of the remote description).
    pub association: peerloom_sctp::Config,
    /// Caps of the association below.
    pub association_limits: peerloom_sctp::Limits,
    /// Caps of this layer.
    pub limits: Limits,
    /// Largest message in bytes that *we* accept, as announced by our `a=max-message-size`. A
    /// channel on which the peer exceeds it is closed.
    pub max_message_size: usize,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            association: peerloom_sctp::Config::webrtc(),
            association_limits: peerloom_sctp::Limits::default(),
            limits: Limits::default(),
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
        }
    }
}

/// What Chromium announces.
const DEFAULT_MAX_MESSAGE_SIZE: usize = 256 << 10;
