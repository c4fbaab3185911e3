//! What stands between the network and the engine, in both directions: the engine sees only whole
//! handshake messages, one a record, and the network only what back-off and bounds let through.

pub(crate) mod inward;
pub(crate) mod message;
pub(crate) mod outward;
mod reassembly;
mod shape;
