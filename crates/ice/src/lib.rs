//! ICE (RFC 8445) as a sans-IO agent: trickle (RFC 8838), consent (RFC 7675), liveness checks.
//!
//! An [`Agent`] finds a pair of addresses over which two peers reach each other, and watches it.
//! It opens no socket, reads no clock and starts no task: it is handed datagrams, the time and a
//! seed, and hands back datagrams, events and a deadline.
//!
//! What it is not: a TURN client, a resolver of names (STUN servers and mDNS candidates are
//! resolved by the caller), or an ICE-TCP implementation. One component only (rtcp-mux).
//!
//! # The verbs
//!
//! | verb | call it |
//! |---|---|
//! | [`Agent::handle_datagram`] | for every STUN datagram that a socket received |
//! | [`Agent::handle_timeout`] | when the time given by `poll_timeout` has come |
//! | [`Agent::poll_transmit`] | after every other call, until it gives `None` |
//! | [`Agent::poll_event`] | after every other call, until it gives `None` |
//! | [`Agent::poll_timeout`] | after the two above, to arm the timer |
//!
//! An extra call of any of them is a no-op; every call leaves a consistent state.
//!
//! # Shortest use
//!
//! ```
//! use peerloom_ice::{Agent, AgentConfig, Event, LocalId, Role, State};
//! use std::time::Instant;
//!
//! # #[expect(clippy::disallowed_methods, reason = "the example has no shell that tells the time")]
//! let now = Instant::now();
//! let address = |port| ([127, 0, 0, 1], port).into();
//! let mut a = Agent::new(AgentConfig::default(), [1; 32]);
//! let mut b = Agent::new(AgentConfig::default(), [2; 32]);
//! a.set_role(Role::Controlling);
//! b.set_role(Role::Controlled);
//! a.add_local_address(now, LocalId(0), address(1000))?;
//! b.add_local_address(now, LocalId(0), address(2000))?;
//!
//! // The signalling: credentials and candidates cross.
//! a.set_remote_credentials(now, b.local_credentials().clone())?;
//! b.set_remote_credentials(now, a.local_credentials().clone())?;
//! while let Some(event) = b.poll_event() {
//!     if let Event::LocalCandidate(candidate) = event {
//!         a.add_remote_candidate(now, candidate.to_string().parse()?)?;
//!     }
//! }
//!
//! // The network: datagrams cross. `b` finds `a` by its first check (peer-reflexive).
//! loop {
//!     let mut idle = true;
//!     while let Some(t) = a.poll_transmit(now) {
//!         b.handle_datagram(now, LocalId(0), address(1000), &t.payload)?;
//!         idle = false;
//!     }
//!     while let Some(t) = b.poll_transmit(now) {
//!         a.handle_datagram(now, LocalId(0), address(2000), &t.payload)?;
//!         idle = false;
//!     }
//!     if idle {
//!         break;
//!     }
//! }
//! assert_eq!(a.state(), State::Completed);
//! assert!(b.selected().is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod agent;
mod candidate;
mod check;
mod checklist;
mod config;
mod consent;
mod credentials;
mod error;
mod event;
mod gathering;
mod generation;
mod incoming;
mod limits;
mod local;
mod nomination;
mod outgoing;
mod policy;
mod response;
mod signalling;
mod stats;
mod stun;

pub use agent::Agent;
pub use candidate::{Address, Candidate, CandidateKind, Protocol, TcpType};
pub use config::AgentConfig;
pub use credentials::Credentials;
pub use error::{
    CandidateError, CredentialsError, Ignored, LocalAddressError, ParseCandidateError,
};
pub use event::{Event, LocalId, Role, SelectedPair, State, Transmit};
pub use limits::Limits;
pub use local::ExternalAddress;
pub use policy::{AddressPolicy, TransportPolicy};
pub use stats::{CandidateId, CandidateStats, Carried, IgnoredCounts, PairState, PairStats, Stats};
pub use stun::{is_stun, local_ufrag};
