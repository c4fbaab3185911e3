//! SRTP and SRTCP (RFC 3711, RFC 7714, RFC 9335) that seal and open in place, sans-IO.
//!
//! [`SessionKeys`] come from a DTLS handshake and make a [`Sender`] for what we send and a [`Receiver`]
//! for what comes: independent of each other, so that one can live in the task that writes and the
//! other in the task that reads. Both work in the caller's buffer and allocate only when they meet a
//! new SSRC. Nothing a peer sends makes them panic, fail for good or grow without bound.
//!
//! What it is not: no sockets, no clock, no RTP parser beyond the header's length, no key exchange. No
//! MKI, no key derivation rate, no re-keying, no NULL cipher, no F8, no header encryption by RFC 6904
//! (Cryptex replaces it).
//!
//! Shortest use:
//!
//! ```
//! use peerloom_srtp::{Profile, Role, SessionKeys, TAILROOM};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exported = [7; 56];
//! // `exported`: what the DTLS exporter gave (RFC 5764 section 4.2).
//! let keys = SessionKeys::from_keying_material(Profile::AeadAes128Gcm, &exported)?;
//! let mut sender = keys.sender(Role::Client, Default::default());
//! let mut receiver = keys.receiver(Role::Server, Default::default());
//!
//! // A packet and TAILROOM bytes, sealed where it lies.
//! let packet = [0x80, 111, 0, 1, 0, 0, 3, 192, 0, 0, 0, 42, b'h', b'i'];
//! let mut buffer = [0; 14 + TAILROOM];
//! buffer[..14].copy_from_slice(&packet);
//! let sealed = sender.seal_rtp(&mut buffer)?;
//! assert_eq!(sealed.len(), 14 + 16);
//!
//! assert_eq!(receiver.open_rtp(sealed)?, packet);
//! # Ok(()) }
//! ```

mod aes_cm;
mod config;
mod context;
mod cryptex;
mod error;
mod fan_out;
mod gcm;
mod header;
mod key_derivation;
mod profile;
mod receiver;
mod replay;
mod rollover;
mod rtcp;
mod sender;
mod ssrc_table;
mod stats;
mod stream;
#[cfg(test)]
mod testing;

pub use config::{Limits, ReceiverConfig, SenderConfig};
pub use cryptex::Cryptex;
pub use error::{KeyError, Malformed, OpenError, SealError};
pub use fan_out::{Leg, fan_out};
pub use key_derivation::{MasterKey, Role, SessionKeys};
pub use profile::Profile;
pub use receiver::Receiver;
pub use sender::{Sender, TAILROOM};
pub use stats::{Drops, ReceiverStats, SenderStats};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
