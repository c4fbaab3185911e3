//! The receiving half of an association: which TSNs came, when to say so, and what messages they
//! make.
//!
//! [`Inbound`] is all that the association sees. Within, `tracker` keeps the numbers, `ack` the
//! moment of the next SACK, and `reassembly` the bytes.

use std::time::{Duration, Instant};

use crate::event::ReceivedMessage;
use crate::serial::{StreamId, Tsn};
use crate::wire::{Cause, Data, ForwardTsn, Sack};

/// What received data may cost, and how it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveLimits {
    /// Bytes held for the application, overhead included, before the peer has to stop.
    pub(crate) window: usize,
    /// Largest message in bytes.
    pub(crate) max_message_size: usize,
    /// Streams the peer may send on.
    pub(crate) streams: u16,
    /// Longest time an acknowledgement is held back.
    pub(crate) ack_delay: Duration,
    /// Bytes of a full packet, for the silly-window rule.
    pub(crate) packet_size: usize,
}

/// What became of a DATA chunk that is no violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It is part of a message now.
    Accepted,
    /// It came before.
    Duplicate,
    /// Its TSN is further ahead than a SACK can name.
    OutOfWindow,
    /// The window is full; the peer has to send it again.
    NoRoom,
    /// Its stream does not exist: acknowledged, dropped, and to be answered with an ERROR of cause
    /// Invalid Stream Identifier (RFC 9260 §6.5).
    InvalidStream,
}

/// What ends the association with an ABORT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// DATA without user data (§6.2).
    NoUserData(Tsn),
    /// B and E bits, streams or numbers of fragments do not make messages (§6.9).
    Fragments(Tsn),
    /// A message exceeds [`ReceiveLimits::max_message_size`].
    MessageTooLarge(StreamId),
}

impl Violation {
    /// The cause of the ABORT.
    pub(crate) fn cause(self) -> Cause<'static> {
        match self {
            Self::NoUserData(tsn) => Cause::NoUserData(tsn),
            Self::Fragments(tsn) => Cause::ProtocolViolation(
                format!("fragment sequence at TSN {tsn}")
                    .into_bytes()
                    .into(),
            ),
            Self::MessageTooLarge(stream) => Cause::ProtocolViolation(
                format!("message on stream {} too large", stream.0)
                    .into_bytes()
                    .into(),
            ),
        }
    }
}

/// Drops by reason. A duplicate is one as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiveDrops {
    pub(crate) duplicates: u64,
    pub(crate) out_of_window: u64,
    pub(crate) no_room: u64,
    pub(crate) invalid_stream: u64,
    /// Fragments whose message was skipped by FORWARD-TSN or a reset, or whose SSN had passed.
    pub(crate) skipped: u64,
    /// FORWARD-TSN beyond the window.
    pub(crate) forward_out_of_window: u64,
}

/// The receiving half of an association.
#[derive(Debug)]
pub(crate) struct Inbound {
    limits: ReceiveLimits,
    drops: ReceiveDrops,
}

#[expect(
    clippy::todo,
    clippy::unused_self,
    unused_variables,
    reason = "signatures first"
)]
impl Inbound {
    /// `initial_tsn` is the peer's.
    pub(crate) fn new(limits: ReceiveLimits, initial_tsn: Tsn) -> Self {
        todo!()
    }

    /// The peer restarted: forgets all but what the application still holds. `streams` as in
    /// [`ReceiveLimits::streams`].
    pub(crate) fn restart(&mut self, initial_tsn: Tsn, streams: u16) {
        todo!()
    }

    /// A DATA chunk. Messages it completes are there in [`Inbound::poll_message`] at once.
    pub(crate) fn on_data(&mut self, data: &Data<'_>) -> Result<Disposition, Violation> {
        todo!()
    }

    /// A FORWARD-TSN (RFC 3758 §3.6).
    pub(crate) fn on_forward_tsn(&mut self, forward: &ForwardTsn) {
        todo!()
    }

    /// All chunks of a packet were handled: decides about a SACK. Cheap if there was no data.
    pub(crate) fn on_packet_end(&mut self, now: Instant) {
        todo!()
    }

    /// The SACK that is due, each for a packet of its own or in front of data: call until `None`,
    /// before every gather and after [`Inbound::poll_timeout`]. At most `max_len` bytes as a chunk.
    pub(crate) fn poll_sack(&mut self, now: Instant, max_len: usize) -> Option<Sack> {
        todo!()
    }

    /// A SACK that is not due yet, if there is anything to acknowledge: for a packet with data.
    pub(crate) fn bundle_sack(&mut self, now: Instant, max_len: usize) -> Option<Sack> {
        todo!()
    }

    /// Whether [`Inbound::poll_sack`] would return one.
    pub(crate) fn sack_is_due(&self, now: Instant) -> bool {
        todo!()
    }

    /// When a held-back SACK becomes due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// The next complete message.
    pub(crate) fn poll_message(&mut self) -> Option<ReceivedMessage> {
        todo!()
    }

    /// The application took messages of this cost. May make a window update due.
    pub(crate) fn release(&mut self, cost: usize) {
        todo!()
    }

    /// Bytes the peer may still send, as the next SACK says.
    pub(crate) fn a_rwnd(&self) -> u32 {
        todo!()
    }

    /// Everything up to here has been received or skipped.
    pub(crate) fn cumulative_tsn(&self) -> Tsn {
        todo!()
    }

    /// Bytes held, overhead included: what the application has not released and what is not
    /// complete.
    pub(crate) fn held(&self) -> usize {
        todo!()
    }

    /// The peer's streams start again at SSN 0 (RFC 6525 §5.2.2); empty means all of them. Call it
    /// once everything up to the request's last TSN has been received.
    pub(crate) fn reset_streams(&mut self, streams: &[StreamId]) {
        todo!()
    }

    /// Counters.
    pub(crate) fn drops(&self) -> &ReceiveDrops {
        &self.drops
    }
}
