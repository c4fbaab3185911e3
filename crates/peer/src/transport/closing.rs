//! How a connection ends: on request after everything accepted is delivered, with an ABORT and a
//! close_notify as its last packets.

use std::time::Instant;

use super::batch::BatchBuffer;
use super::driver::Driver;
use super::gather::BUDGET;
use super::lock::Purpose;
use super::writer::Bulk;
use crate::error::Reason;

/// Closing on request: until everything is delivered, or the deadline.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) deadline: Instant,
}

impl Driver {
    /// Ends the driver when that was asked for and what was accepted is delivered.
    pub(super) fn end_if_done(&mut self, now: Instant) -> Result<(), Reason> {
        if self.shared.is_abandoned() {
            return Err(Reason::Dropped);
        }
        let Some(closing) = &self.closing else {
            return Ok(());
        };
        let delivered = self.pending.is_empty()
            && self.shared.is_outgoing_empty()
            && self.shared.session.with(Purpose::Control, |guarded| {
                let stats = guarded.session.association().stats();
                stats.unsent_bytes == 0 && stats.outstanding == 0
            })?;
        if delivered || now >= closing.deadline || !self.dtls.is_established() {
            return Err(Reason::Local);
        }
        Ok(())
    }

    /// The last packets: an ABORT and a close_notify, unless the other end was first.
    pub(super) fn say_goodbye(&mut self, reason: &Reason) {
        if !self.dtls.is_established() || matches!(reason, Reason::Poisoned) {
            return;
        }
        let now = tokio::time::Instant::now().into_std();
        let batch = &mut self.batch;
        batch.clear();
        let planned = self.shared.session.with(Purpose::Control, |guarded| {
            guarded.session.abort(now, "closed");
            guarded.session.poll_transmit(now, batch, BUDGET)
        });
        if matches!(planned, Ok(packets) if packets > 0) {
            let mut buffer = BatchBuffer::default();
            buffer.encode(&self.batch);
            // A full lane means a writer that waits for its socket: then the close_notify has no
            // place either, and the other end finds out by consent.
            let _ = self.bulk.try_send(Bulk::Batch(buffer));
        }
        let _ = self.bulk.try_send(Bulk::CloseNotify);
    }
}
