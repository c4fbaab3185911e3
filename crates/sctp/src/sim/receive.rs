//! The receiving half of an association alone, for fuzzing it without a handshake around it.

use std::time::Instant;

use crate::ReceivedMessage;
use crate::recv::{ACK_DELAY, Disposition, Inbound, ReceiveLimits};
use crate::serial::{StreamId, Tsn};
use crate::wire::{Cause, Data, ForwardTsn, IData, IForwardTsn, Sack};

/// Fragments in, messages and SACKs out.
#[derive(Debug)]
pub struct ReceiveHalf(Inbound);

impl ReceiveHalf {
    /// With a receive window and a largest message in bytes, a number of streams, and the peer's
    /// first TSN; for DATA.
    #[must_use]
    pub fn new(window: usize, max_message_size: usize, streams: u16, initial_tsn: Tsn) -> Self {
        Self::of(window, max_message_size, streams, initial_tsn, false)
    }

    /// The same for I-DATA.
    #[must_use]
    pub fn interleaved(
        window: usize,
        max_message_size: usize,
        streams: u16,
        initial_tsn: Tsn,
    ) -> Self {
        Self::of(window, max_message_size, streams, initial_tsn, true)
    }

    fn of(
        window: usize,
        max_message_size: usize,
        streams: u16,
        initial_tsn: Tsn,
        interleaving: bool,
    ) -> Self {
        let limits = ReceiveLimits {
            window,
            max_window: window,
            max_message_size,
            interleaving,
            incomplete_messages: 1000,
            streams,
            ack_delay: ACK_DELAY,
            packet_size: 1160,
        };
        Self(Inbound::new(limits, initial_tsn))
    }

    /// A packet with these chunks. Returns how many of them became part of a message.
    ///
    /// # Errors
    /// The cause of the ABORT that ends the association.
    pub fn packet(&mut self, now: Instant, chunks: &[Data<'_>]) -> Result<usize, Cause<'static>> {
        let mut accepted = 0;
        for data in chunks {
            let disposition = self
                .0
                .on_data(data)
                .map_err(|violation| violation.cause())?;
            accepted += usize::from(disposition == Disposition::Accepted);
        }
        self.0.on_packet_end(now);
        Ok(accepted)
    }

    /// A packet with this I-DATA chunk. Returns whether it became part of a message.
    ///
    /// # Errors
    /// The cause of the ABORT that ends the association.
    pub fn i_packet(&mut self, now: Instant, data: &IData<'_>) -> Result<bool, Cause<'static>> {
        let disposition = self
            .0
            .on_i_data(data)
            .map_err(|violation| violation.cause())?;
        self.0.on_packet_end(now);
        Ok(disposition == Disposition::Accepted)
    }

    /// A packet with an I-FORWARD-TSN.
    ///
    /// # Errors
    /// The cause of the ABORT that ends the association.
    pub fn i_forward(&mut self, now: Instant, forward: &IForwardTsn) -> Result<(), Cause<'static>> {
        self.0
            .on_i_forward_tsn(forward)
            .map_err(|violation| violation.cause())?;
        self.0.on_packet_end(now);
        Ok(())
    }

    /// A packet with a FORWARD-TSN.
    ///
    /// # Errors
    /// The cause of the ABORT that ends the association.
    pub fn forward(&mut self, now: Instant, forward: &ForwardTsn) -> Result<(), Cause<'static>> {
        self.0
            .on_forward_tsn(forward)
            .map_err(|violation| violation.cause())?;
        self.0.on_packet_end(now);
        Ok(())
    }

    /// The peer resets these of its streams; none means all.
    pub fn reset_streams(&mut self, streams: &[StreamId]) {
        self.0.reset_streams(streams);
    }

    /// The next SACK that is due, of at most `max_len` bytes.
    pub fn poll_sack(&mut self, now: Instant, max_len: usize) -> Option<Sack> {
        self.0.poll_sack(now, max_len)
    }

    /// When the next one is due at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    /// The next message.
    pub fn poll_message(&mut self) -> Option<ReceivedMessage> {
        self.0.poll_message()
    }

    /// The application took messages of this cost.
    pub fn release(&mut self, now: Instant, cost: usize) {
        self.0.release(now, cost, None);
    }

    /// Bytes held, overhead included.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held()
    }

    /// Everything up to here has come.
    #[must_use]
    pub fn cumulative_tsn(&self) -> Tsn {
        self.0.cumulative_tsn()
    }
}
