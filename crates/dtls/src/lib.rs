//! DTLS for WebRTC: a handshake engine behind an adapter, and a record layer that seals in place.
//!
//! The handshake is done by an engine (`webrtc-dtls`, DTLS 1.2) that never sees raw network bytes:
//! [`Handshake`] normalises what goes in and comes out, drives repeats and deadlines, checks the
//! peer's certificate fingerprint and Finished, and then takes the keys over. From there on every
//! record is sealed by a [`Sealer`] and opened by an [`Opener`], in place and without allocation.
//!
//! What it is not: a TLS library. There is no DTLS 1.3, no resumption, no renegotiation, no
//! certificate chain validation (WebRTC authenticates by fingerprint, RFC 8827 section 5.6.4), no
//! socket and no task of its own. The engine spawns two tasks that live only during the handshake,
//! so [`Handshake::poll`] must be called inside a tokio runtime.
//!
//! Shortest use: both ends in one task.
//!
//! ```
//! use std::future::poll_fn;
//! use std::task::Poll;
//! use peerloom_dtls::{Certificate, Config, ContentType, Handshake, Opened, Role, HEADROOM, TAILROOM};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let (ours, theirs) = (Certificate::generate()?, Certificate::generate()?);
//! let now = tokio::time::Instant::now().into_std();
//! let mut client = Handshake::new(Config::new(ours.clone(), Role::Client, vec![theirs.fingerprint()]), now)?;
//! let mut server = Handshake::new(Config::new(theirs, Role::Server, vec![ours.fingerprint()]), now)?;
//!
//! let (mut a, mut b) = (None, None);
//! poll_fn(|cx| loop {
//!     if a.is_none() && let Poll::Ready(done) = client.poll(cx, now) { a = Some(done); }
//!     if b.is_none() && let Poll::Ready(done) = server.poll(cx, now) { b = Some(done); }
//!     let mut moved = false;
//!     while let Some(datagram) = client.poll_transmit() { server.handle_datagram(now, &datagram); moved = true; }
//!     while let Some(datagram) = server.poll_transmit() { client.handle_datagram(now, &datagram); moved = true; }
//!     if a.is_some() && b.is_some() { return Poll::Ready(()); }
//!     if !moved { return Poll::Pending; }
//! }).await;
//! let (mut a, mut b) = (a.unwrap()?, b.unwrap()?);
//!
//! // A record is HEADROOM ‖ plaintext ‖ TAILROOM, sealed where it lies.
//! let mut record = [0; HEADROOM + 5 + TAILROOM];
//! record[HEADROOM..HEADROOM + 5].copy_from_slice(b"hello");
//! a.sealer.seal(ContentType::ApplicationData, &mut record)?;
//! assert!(matches!(b.opener.open(&mut record), Opened::ApplicationData(data) if data == b"hello"));
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alert;
mod certificate;
mod cipher_suite;
mod config;
mod der;
mod early;
mod engine;
mod error;
mod fingerprint;
mod finished;
mod handshake;
mod key_schedule;
mod keylog;
mod last_flight;
mod limits;
mod normalise;
mod opener;
mod record;
mod replay;
mod role;
mod sealer;
mod srtp;
mod stats;
mod transcript;

pub use alert::AlertDescription;
pub use certificate::{Certificate, CertificateError, KeyKind};
pub use cipher_suite::CipherSuite;
pub use config::Config;
pub use early::EarlyFlight;
pub use error::{ConfigError, HandshakeError, Waiting};
pub use fingerprint::{Fingerprint, FingerprintError, HashAlgorithm};
pub use handshake::{Connected, Handshake};
pub use key_schedule::KeySchedule;
pub use keylog::{KeyLog, KeyLogLines};
pub use limits::Limits;
pub use opener::{Opened, Opener};
pub use record::{ContentType, HEADROOM, MAX_PLAINTEXT, OVERHEAD, Records, TAILROOM, records};
pub use role::{Role, Setup, SetupError, Side};
pub use sealer::{CLOSE_NOTIFY_LEN, SealError, Sealer};
pub use srtp::{SrtpKeying, SrtpKeys, SrtpProfile};
pub use stats::{DropReason, Drops, Usage};
