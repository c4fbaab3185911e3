//! What a negotiator can answer.

use crate::error::Error;
use crate::signaling::SdpType;

/// Why [`Negotiator::run`](super::Negotiator::run) stopped. The connection goes on, and `run` can be called again.
///
/// `S` is the sink's error and `R` the source's.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiatorError<S, R> {
    /// The sink failed; what was handed to it may be lost.
    #[error("cannot send on the signalling path: {0}")]
    Send(S),
    /// The source failed.
    #[error("cannot receive from the signalling path: {0}")]
    Receive(R),
    /// A description of the other end, or our answer to it, is impossible. Nothing has changed.
    #[error("the other end's {kind} cannot be used: {error}")]
    Refused {
        /// What came.
        kind: SdpType,
        /// What is wrong with it.
        #[source]
        error: Error,
    },
    /// Our offer could not be made.
    #[error("cannot offer: {0}")]
    Offer(#[source] Error),
    /// The sink takes nothing while the other end goes on asking.
    #[error("{max} signals wait for a signalling path that takes none")]
    Backlog {
        /// How many are kept.
        max: usize,
    },
}

/// There is a negotiator already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection has a negotiator already")]
pub struct AlreadyNegotiated;
