//! WebRTC data channels (RFC 8831, RFC 8832) over an SCTP association, sans-IO.
//!
//! A [`Session`] owns one [`peerloom_sctp::Association`] and its channels: it numbers them, opens
//! them in-band (DCEP) or by agreement, turns messages into SCTP messages and back, closes channels
//! by resetting their streams, and keeps what a peer does wrong on one stream away from the others.
//!
//! It is no transport and no runtime: it does no I/O, knows no clock and takes no lock. Whoever
//! owns it hands in packets and the time, takes out planned packets and encodes them. It does not
//! encrypt: packets travel in DTLS (RFC 8261). It does not check that received text is UTF-8, which
//! is better done where nobody waits.
//!
//! # Two sessions
//!
//! ```
//! use std::time::Instant;
//!
//! use peerloom_datachannel::sctp::{Budget, Packet, PacketBatch};
//! use peerloom_datachannel::{
//!     ChannelOptions, MessageKind, Role, Session, SessionConfig, SessionEvent,
//! };
//!
//! let now = Instant::now();
//! let mut client = Session::new(SessionConfig::default(), [1; 32], now);
//! let mut server = Session::new(SessionConfig::default(), [2; 32], now);
//! client.set_role(now, Role::Client);
//! server.set_role(now, Role::Server);
//!
//! let options = ChannelOptions { label: "greetings".into(), ..ChannelOptions::default() };
//! let greetings = client.open(now, options)?;
//! client.connect(now);
//! server.connect(now);
//!
//! // In place of DTLS and a network: what one end plans, the other receives.
//! fn carry(now: Instant, from: &mut Session, to: &mut Session) {
//!     let mut batch = PacketBatch::new();
//!     from.poll_transmit(now, &mut batch, Budget { packets: 16, bytes: 16 * 1160 });
//!     for index in 0..batch.len() {
//!         let mut bytes = vec![0; batch.encoded_len(index)];
//!         batch.encode(index, &mut bytes);
//!         to.handle_packet(now, &Packet::decode(&bytes).expect("we encoded it"));
//!     }
//! }
//!
//! let mut received = None;
//! while received.is_none() {
//!     carry(now, &mut client, &mut server);
//!     carry(now, &mut server, &mut client);
//!     while let Some(event) = client.poll_event() {
//!         if event == SessionEvent::Opened(greetings) {
//!             client.send(now, greetings, MessageKind::Text, "hello".into())?;
//!         }
//!     }
//!     while let Some(event) = server.poll_event() {
//!         match event {
//!             SessionEvent::Incoming { options, .. } => assert_eq!(options.label, "greetings"),
//!             SessionEvent::Message { payload, cost, .. } => {
//!                 server.release(now, cost);
//!                 received = Some(payload);
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!(received.as_deref(), Some(&b"hello"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod channel;
mod closing;
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

pub use channel::{ChannelOptions, ChannelState, DEFAULT_PRIORITY, MessageOptions};
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
