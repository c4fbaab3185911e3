//! What a sender keeps for each stream, and for the transport: numbers and clock, packets to send
//! again, reports, pace, and what was sent when.
//!
//! The pieces are told the time and do not know of each other. All are bounded, and
//! allocate nothing in steady state.

mod allocation;
mod bandwidth;
mod history;
mod pacer;
mod packetizer;
mod probe;
mod rate;
mod report;
mod transport;

pub use allocation::{StreamDemand, allocate};
pub use bandwidth::{BandwidthEstimator, EstimatorConfig};
pub use history::{HistoryConfig, HistoryStats, Refusal, RetransmissionHistory};
pub use pacer::{Paced, Pacer, PacerConfig, PacerFull, Priority};
pub use packetizer::{StreamConfig, StreamPacketizer};
pub use probe::Probe;
pub use report::{OutboundStats, SenderReports};
pub use transport::{PacketFate, TransportHistory, TransportHistoryStats};
