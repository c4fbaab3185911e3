//! WebRTC data channels (RFC 8831, RFC 8832) over an SCTP association, sans-IO.

mod channel;
mod config;
mod dcep;
mod early;
mod error;
mod event;
mod limits;
mod ppid;
mod session;
mod slab;
mod stats;
mod streams;

pub use channel::{ChannelOptions, ChannelState, DEFAULT_PRIORITY};
pub use config::SessionConfig;
pub use dcep::{ChannelType, DcepMessage, DecodeError, MAX_NAME_LEN, Open};
pub use error::{ChannelCloseReason, OpenError, SendError, Violation};
pub use event::SessionEvent;
pub use limits::Limits;
pub use peerloom_sctp as sctp;
pub use peerloom_sctp::{CloseReason, Reliability};
pub use ppid::MessageKind;
pub use session::Session;
pub use slab::ChannelKey;
pub use stats::{ChannelStats, Drops, Stats};
pub use streams::Role;
