//! SCTP over one DTLS link (RFC 9260, RFC 8261) as a sans-IO state machine.
//!
//! An [`Association`] is told what arrived and what time it is; it says what to send, what happened,
//! and when it wants to be called again. It does no I/O, starts no task and reads no clock, so it
//! runs under any runtime, and in tests on virtual time.
//!
//! It has reliable and partially reliable (RFC 3758), ordered and unordered messages on up to 65,535
//! streams, message interleaving and stream schedulers (RFC 8260), stream reset (RFC 6525), the I-bit
//! (RFC 7053), padding (RFC 4820), and loss detection by time with tail-loss probes (RFC 8985).
//!
//! It is not an SCTP for the kernel's place: one link, so no multi-homing and no path MTU discovery
//! of its own. Data channels (DCEP) are the business of `peerloom-datachannel`.
//!
//! # How a packet flows
//!
//! In: [`Packet::decode`] checks and splits a datagram, without the association, so that it can be
//! done outside of whatever lock protects that; [`Association::handle_packet`] takes the result.
//!
//! Out: [`Association::poll_transmit`] plans packets as values into a [`PacketBatch`], which is
//! cheap; then, without the lock, [`PacketBatch::encode`] writes each, and [`PacketBatch::clear`]
//! frees the messages that were acknowledged.
//!
//! # The shortest use
//!
//! Two associations over a link in memory; both connect, as in WebRTC.
//!
//! ```
//! use std::time::Instant;
//! use peerloom_sctp::{
//!     Association, Budget, Config, Event, Limits, OutgoingMessage, Packet, PacketBatch, Ppid,
//!     Reliability, StreamId,
//! };
//!
//! /// Carries everything that `from` has to send over to `to`.
//! fn carry(now: Instant, from: &mut Association, to: &mut Association, batch: &mut PacketBatch) {
//!     while from.poll_transmit(now, batch, Budget { packets: 16, bytes: 65_536 }) > 0 {
//!         for index in 0..batch.len() {
//!             let mut datagram = vec![0; batch.encoded_len(index)];
//!             batch.encode(index, &mut datagram);
//!             to.handle_packet(now, &Packet::decode(&datagram).expect("nothing damages it"));
//!         }
//!         batch.clear();
//!     }
//! }
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! // The seeds come from a CSPRNG in earnest.
//! let mut alice = Association::new(Config::webrtc(), Limits::default(), [1; 32], now);
//! let mut bob = Association::new(Config::webrtc(), Limits::default(), [2; 32], now);
//! alice.connect(now);
//! bob.connect(now);
//! alice.send(now, OutgoingMessage {
//!     stream: StreamId(0),
//!     ppid: Ppid(51),
//!     payload: "hello".into(),
//!     ordered: true,
//!     reliability: Reliability::Reliable,
//! })?;
//!
//! let mut batch = PacketBatch::new();
//! let message = 'arrived: loop {
//!     carry(now, &mut alice, &mut bob, &mut batch);
//!     carry(now, &mut bob, &mut alice, &mut batch);
//!     // On a real link: sleep until the earlier poll_timeout(), then handle_timeout().
//!     while let Some(event) = bob.poll_event() {
//!         if let Event::Message(message) = event {
//!             bob.release(now, message.cost);
//!             break 'arrived message;
//!         }
//!     }
//! };
//! assert_eq!(&message.payload[..], b"hello");
//! # Ok::<(), peerloom_sctp::SendError>(())
//! ```

mod association;
mod config;
mod error;
mod event;
mod limits;
mod pages;
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
pub use config::{Config, CongestionControl};
pub use error::{AbortCause, CloseReason, ResetError, SendError};
pub use event::{Event, ReceivedMessage, ResetResult};
pub use limits::Limits;
pub use send::scheduler::{NextMessage, Scheduler, StreamScheduler};
pub use serial::{Ppid, Ssn, StreamId, Tsn};
pub use stats::{Drops, Retransmits, Stats};
pub use wire::{DecodeError, Packet};
