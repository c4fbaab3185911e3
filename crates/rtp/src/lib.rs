#![doc = include_str!("../README.md")]

mod assembler;
mod error;
mod limits;
mod wire;

pub mod container;
pub mod extension;
pub mod fec;
pub mod packet;
pub mod payload;
pub mod receive;
pub mod rtcp;
pub mod rtx;
pub mod send;
pub mod sequence;
pub mod stage;

pub use assembler::{AssembledFrame, FrameAssembler, FrameStatus, Inserted, MediaPacket};
pub use error::{DecodeError, WriteError};
pub use limits::Limits;
pub use packet::{RtpHeader, RtpPacket, RtpWriter, is_rtcp};
pub use sequence::{SequenceNumber, SequenceUnwrapper, Ssrc, Timestamp, TimestampUnwrapper};
