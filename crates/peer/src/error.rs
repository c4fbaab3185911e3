//! What can go wrong, in two kinds: what ended the connection, and what a call can act on.
//!
//! Noise from the network is a third kind that never gets here: it is dropped and counted in
//! [`Internals`](crate::stats::Internals).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::message::Message;

/// Why a connection ended. Stored once and given to every later call.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// [`PeerConnection::close`](crate::PeerConnection::close) was called here.
    #[error("closed here")]
    Local,
    /// The last handle was dropped.
    #[error("the last handle of the connection was dropped")]
    Dropped,
    /// The data section of the descriptions was rejected (port 0), so there are no data channels.
    #[error("the data section was rejected")]
    DataRejected,
    /// The other end closed: a DTLS close_notify or an SCTP ABORT by its user.
    #[error("closed by the other end")]
    Remote,
    /// Every socket has failed for good; this is what the last one said.
    #[error("no socket receives any more: {0}")]
    Socket(Arc<io::Error>),
    /// ICE found no way to the other end, or lost it and its consent (RFC 7675).
    #[error("ICE failed: {0}")]
    Ice(String),
    /// The DTLS handshake failed.
    #[error("DTLS handshake failed: {0}")]
    Dtls(Arc<peerloom_dtls::HandshakeError>),
    /// The other end sent a fatal DTLS alert (RFC 5246 §7.2).
    #[error("fatal DTLS alert from the other end: {0}")]
    DtlsAlert(peerloom_dtls::AlertDescription),
    /// The SCTP association ended.
    #[error("SCTP association ended: {0}")]
    Sctp(peerloom_sctp::CloseReason),
    /// A policy of the application panicked inside the session lock.
    #[error("a panic inside the session lock poisoned it")]
    Poisoned,
    /// A task of the connection panicked or was ended by the runtime.
    #[error("a task of the connection ended unexpectedly: {0}")]
    Task(String),
}

impl Reason {
    /// Whether something went wrong, as opposed to either end closing.
    pub fn is_failure(&self) -> bool {
        !matches!(
            self,
            Reason::Local | Reason::Dropped | Reason::DataRejected | Reason::Remote
        )
    }
}

/// What a call on a connection can answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection has ended; nothing more can be done with it.
    #[error("the connection has ended: {0}")]
    Closed(#[source] Reason),
    /// No socket could be bound.
    #[error("cannot bind a UDP socket to {address}")]
    Bind {
        /// The address that was asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no usable network address to bind to.
    #[error("no usable network address: {0}")]
    NoAddress(String),
    /// An option of the builder has a value that cannot work.
    #[error("option {option}: {value} {why}")]
    Option {
        /// The builder's method.
        option: &'static str,
        /// The value it was given.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A session description or a call that does not fit the signalling state.
    #[error(transparent)]
    Negotiation(Arc<crate::jsep::NegotiationError>),
    /// A candidate that cannot be used.
    #[error("ICE candidate {candidate:?}: {why}")]
    Candidate {
        /// The candidate as it was given, cut after 200 bytes.
        candidate: String,
        /// What is wrong with it.
        why: String,
    },
    /// A data channel that cannot be opened.
    #[error(transparent)]
    Open(Arc<peerloom_datachannel::OpenError>),
    /// A certificate that cannot be made or read.
    #[error(transparent)]
    Certificate(Arc<peerloom_dtls::CertificateError>),
    /// More commands wait than the connection keeps; try again when it has caught up.
    #[error("more than {max} commands wait for the connection")]
    Busy {
        /// How many it keeps.
        max: usize,
    },
    /// It took longer than it may.
    #[error("not done within {0:?}")]
    Timeout(Duration),
}

/// What [`DataChannel::send`](crate::DataChannel::send) can answer. Waiting for room is no error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The message is larger than the other end accepts (`a=max-message-size`, RFC 8841 §6), or
    /// than the permit was reserved for. Nothing was sent and the channel lives.
    #[error("message of {len} bytes, at most {max} can be sent")]
    MessageTooLarge {
        /// Bytes in the message.
        len: usize,
        /// Bytes that would have been accepted.
        max: usize,
    },
    /// The channel is closing or closed.
    #[error("the data channel is closed")]
    ChannelClosed,
    /// The connection has ended.
    #[error("the connection has ended: {0}")]
    ConnectionClosed(#[source] Reason),
}

/// Why [`DataChannel::try_send`](crate::DataChannel::try_send) did not take a message.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendErrorKind {
    /// The channel's or the connection's send buffer has no room for it now.
    #[error("the send buffer has no room for {len} bytes: {buffered} of {limit} are in use")]
    Full {
        /// Bytes in the message.
        len: usize,
        /// Bytes in use in the fuller of the two buffers, an overhead for each message included.
        buffered: usize,
        /// The limit of that buffer.
        limit: usize,
    },
    /// The channel is not open yet.
    #[error("the data channel is not open yet")]
    NotOpen,
    /// It will never be sent.
    #[error(transparent)]
    Failed(#[from] SendError),
}

/// A message that [`DataChannel::try_send`](crate::DataChannel::try_send) did not take, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct TrySendError {
    /// The message, unchanged.
    pub message: Message,
    /// Why it was not taken.
    #[source]
    pub kind: TrySendErrorKind,
}
