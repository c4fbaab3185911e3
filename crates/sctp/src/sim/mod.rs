//! A network on virtual time, for the tests of this crate and of others (feature `sim`).
//!
//! Nothing here reads a clock: a test takes one [`std::time::Instant`] as the base of its time and
//! adds durations to it. Everything random comes from a seed, so that a failing run can be repeated
//! by its number.
//!
//! [`Link`] carries opaque datagrams one way; two of them, [`Duplex`], connect two ends of anything;
//! [`Pair`] puts endpoints there, associations or others, and moves them. A [`Bottleneck`] is one path
//! that several pairs share.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use peerloom_sctp::sim::{Link, LinkConfig};
//! # fn base() -> Instant { #[allow(clippy::disallowed_methods)] Instant::now() }
//!
//! let start = base();
//! let mut link = Link::new(LinkConfig { delay: Duration::from_millis(20), ..LinkConfig::default() }, 1);
//! link.send(start, b"hello");
//! assert_eq!(link.poll_timeout(), Some(start + Duration::from_millis(20)));
//! assert_eq!(link.receive(start), None);
//! assert_eq!(link.receive(start + Duration::from_millis(20)).as_deref(), Some(&b"hello"[..]));
//! ```

mod bottleneck;
mod conditions;
mod duplex;
mod link;
mod pair;
mod receive;

pub use bottleneck::Bottleneck;
pub use conditions::{Blackout, LinkConfig, Loss, MtuHole, Reorder};
pub use duplex::{Duplex, Side};
pub use link::{Link, LinkStats};
pub use pair::{Endpoint, Host, Pair};
pub use receive::ReceiveHalf;
