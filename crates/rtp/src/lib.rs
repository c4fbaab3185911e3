//! RTP, RTCP, payload formats and media feedback (RFC 3550 and its family), sans-IO.

mod error;
mod limits;
mod wire;

pub mod extension;
pub mod packet;
pub mod rtcp;
pub mod sequence;

pub use error::{DecodeError, WriteError};
pub use limits::Limits;
pub use packet::{RtpHeader, RtpPacket, RtpWriter, is_rtcp};
pub use sequence::{SequenceNumber, SequenceUnwrapper, Ssrc, Timestamp, TimestampUnwrapper};
