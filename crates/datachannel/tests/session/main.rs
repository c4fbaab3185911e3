//! Two sessions, or a session and a peer that sends what it likes, over a link on virtual time.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests stop the test, and look for one kind of event"
)]

mod adverse;
mod close;
mod hostile;
mod limits;
mod messages;
mod net;
mod open;
