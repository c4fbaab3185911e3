//! SCTP over one DTLS link (RFC 9260, RFC 8261) as a sans-IO state machine.

mod association;
mod config;
mod error;
mod event;
mod limits;
mod send;
mod stats;
mod timer;

pub mod batch;
mod recv;
pub mod serial;
#[cfg(feature = "sim")]
pub mod sim;
pub mod wire;

pub use association::{Association, Budget, OutgoingMessage, Reliability, State};
pub use batch::PacketBatch;
pub use config::{Config, Congestion};
pub use error::{AbortCause, CloseReason, ResetError, SendError};
pub use event::{Event, ReceivedMessage, ResetResult};
pub use limits::Limits;
pub use serial::{Ppid, Ssn, StreamId, Tsn};
pub use stats::{Drops, Retransmits, Stats};
pub use wire::{DecodeError, Packet};
