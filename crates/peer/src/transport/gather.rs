//! Gathering: from what the application queued to encoded batches for the writer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Instant;

use peerloom_sctp::Budget;

use super::batch::BatchBuffer;
use super::driver::{Driver, SHARE};
use super::lock::Purpose;
use super::shared::{Guarded, Outgoing};
use super::writer::Bulk;
use crate::channel::{Channel, wire_len};
use crate::error::Reason;

impl Driver {
    /// Plans, encodes and hands over batches while there is something to send, a buffer free and our
    /// share not done. True if there may be more to send.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, Reason> {
        self.shared.take_outgoing(&mut self.scratch);
        self.pending.extend(self.scratch.drain(..));
        loop {
            let Some(mut buffer) = self.free_buffer(cx) else {
                return Ok(false);
            };
            let planned = self.plan(now)?;
            if planned > 0 {
                self.last_batch = Some(now);
                buffer.encode(&self.batch);
                self.batch.clear();
                self.ice.note_sent(now, buffer.len(), buffer.bytes());
                // There is a place in the lane for every buffer; refused, the writer is gone, and
                // the supervisor knows.
                let _ = self.bulk.try_send(Bulk::Batch(buffer));
            } else {
                self.batch.clear();
                self.free.push(buffer);
            }
            self.dispatch_events()?;
            for (channel, bytes) in self.unqueued.drain(..) {
                self.shared.budget.give(channel.unqueued(bytes));
            }
            if planned == 0 {
                return Ok(false);
            }
            // A SACK must not wait behind many batches: look at the sockets before the next.
            self.share += planned;
            if self.share >= SHARE {
                return Ok(true);
            }
        }
    }

    /// A free batch buffer, if the writer has returned one; otherwise it wakes us when it does.
    fn free_buffer(&mut self, cx: &mut Context<'_>) -> Option<BatchBuffer> {
        if let Some(buffer) = self.free.pop() {
            return Some(buffer);
        }
        match self.returned.poll_recv(cx) {
            Poll::Ready(buffer) => buffer,
            Poll::Pending => None,
        }
    }

    /// One lock hold: taken bytes back to the window, messages into the session, a batch planned.
    fn plan(&mut self, now: Instant) -> Result<usize, Reason> {
        let Driver {
            shared,
            batch,
            pending,
            unqueued,
            events,
            ..
        } = self;
        let released = shared.drain_taken();
        let (planned, refused) = shared.session.with(Purpose::Gather, |guarded| {
            if released > 0 {
                guarded.session.release(now, released);
                shared.watch_window(guarded);
            }
            let refused = guarded.accept(now, pending, unqueued);
            let planned = guarded.session.poll_transmit(now, batch, BUDGET);
            let Guarded { session, channels } = guarded;
            session.drain_unqueued(batch, |key, bytes| {
                if let Some(channel) = channels.get(&key) {
                    unqueued.push((channel.clone(), bytes));
                }
            });
            guarded.collect_events(events, shared);
            (planned, refused)
        })?;
        shared.counters.messages_refused.fetch_add(refused, Relaxed);
        Ok(planned)
    }
}

impl Guarded {
    /// Passes queued messages to the session, a bounded number for each lock hold. What it refuses
    /// for lack of room stays queued. Returns how many messages will never be sent.
    fn accept(
        &mut self,
        now: Instant,
        pending: &mut VecDeque<Outgoing>,
        unqueued: &mut Vec<(Arc<Channel>, usize)>,
    ) -> u64 {
        let mut refused = 0;
        for _ in 0..MESSAGES_PER_HOLD {
            // Looked at before the message is handed over: to get it back when it is refused, it would
            // have to be cloned, and cloning a `Bytes` made from a `Vec` allocates.
            if let Some(Outgoing::Message { payload, .. }) = pending.front()
                && !self.session.has_room(payload.len())
            {
                break;
            }
            match pending.pop_front() {
                Some(Outgoing::Message {
                    channel,
                    kind,
                    payload,
                    options,
                }) => {
                    let bytes = wire_len(payload.len());
                    let sent = self
                        .session
                        .send_with(now, channel.key, kind, payload, options);
                    // Refused, the channel or the session has closed since it was accepted.
                    if sent.is_err() {
                        refused += 1;
                        channel.lost.store(true, Relaxed);
                        unqueued.push((channel, bytes));
                    }
                }
                Some(Outgoing::Priority(channel)) => {
                    self.session
                        .set_priority(channel.key, channel.take_priority());
                }
                Some(Outgoing::Close(channel)) => self.session.close(now, channel.key),
                None => break,
            }
        }
        refused
    }
}

/// What one batch may hold: as many packets of 1,160 bytes and their records as one sendmsg takes.
pub(super) const BUDGET: Budget = Budget {
    packets: 54,
    bytes: 54 * 1160,
};

/// Bounds the lock hold at small messages: about 100 ns each.
const MESSAGES_PER_HOLD: usize = 256;
