//! The transport of one connection: sockets, ICE, DTLS, and the tasks that drive them.

mod batch;
pub(crate) mod budget;
mod closing;
mod demux;
pub(crate) mod described;
pub(crate) mod driver;
pub(crate) mod dtls;
mod gather;
pub(crate) mod ice;
pub(crate) mod inbox;
mod interfaces;
pub(crate) mod local_candidates;
pub(crate) mod lock;
pub(crate) mod mdns;
mod path;
mod receive;
mod session_event;
pub(crate) mod shared;
mod socket;
pub(crate) mod supervisor;
mod wake;
mod writer;
