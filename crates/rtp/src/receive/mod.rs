//! What a receiver keeps for each stream, and for the transport: order and delay, requests for what
//! is missing, reports and feedback on what came.
//!
//! The pieces are told the time and do not know of each other: packets are handed from one to the
//! next by whoever owns them. All are of fixed size after construction.

mod delay;
mod feedback;
mod jitter;
mod key_frame;
mod nack;
mod report;
mod round_trip;
mod stats;

pub use feedback::{FeedbackConfig, TransportFeedbackBuilder};
pub use jitter::{
    Buffered, JitterBuffer, JitterConfig, JitterStats, PacketOrigin, ReleaseMode, Released,
};
pub use key_frame::KeyFrameRequests;
pub use nack::{NackConfig, NackGenerator, NackStats};
pub use report::{Reception, ReceptionStats};
pub use round_trip::{NtpClock, RoundTrip};
pub use stats::{InboundStats, RemoteOutboundStats};

#[cfg(test)]
pub(crate) mod testing {
    use std::time::Instant;

    /// The base of a test's virtual time.
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    pub(crate) fn base() -> Instant {
        Instant::now()
    }
}
