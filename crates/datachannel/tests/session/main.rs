//! Two sessions, or a session and a peer that sends what it likes, over a link on virtual time.

mod close;
mod hostile;
mod limits;
mod messages;
mod net;
mod open;
