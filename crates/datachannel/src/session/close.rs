//! Closing channels by resetting their streams (RFC 8831 §6.7), violations that do so, and the end
//! of the association.

use std::time::Instant;

use peerloom_sctp::{CloseReason, ResetError, ResetResult, StreamId};

use super::{ChannelKey, Link, Session, SessionEvent, StreamUse};
use crate::channel::{Channel, Closing, Origin, Phase};
use crate::early::Arrival;
use crate::error::{ChannelCloseReason, Violation};

impl Session {
    /// Closes a channel: what is queued is still sent, then our stream is reset, the peer resets
    /// its own, and [`SessionEvent::Closed`] follows. No effect on a channel that is closing.
    pub fn close(&mut self, now: Instant, key: ChannelKey) {
        let Some(channel) = self.channels.channel(key) else {
            return;
        };
        match channel.phase {
            // The peer has never heard of it.
            Phase::Waiting { .. } => self.remove(now, key, ChannelCloseReason::Local),
            Phase::Opening | Phase::Open => {
                self.begin_close(now, key, ChannelCloseReason::Local, false);
            }
            Phase::Closing(_) => {}
        }
        self.pump(now);
    }

    /// The peer's stream starts again: the peer closes the channel, or answers our own reset.
    pub(super) fn on_incoming_reset(&mut self, now: Instant, stream: StreamId) {
        let Some(key) = self.key_of(stream) else {
            if self.streams.usage(stream.0) == StreamUse::Free {
                // Whatever was held for the stream belongs to a channel that is no more. The peer
                // waits for our half, or its id would stay in use for ever.
                let held = self.early.take(stream);
                self.drop_arrivals(now, held);
                self.refuse_stream(now, stream, true);
            }
            return;
        };
        let Some(channel) = self.channels.channel_mut(key) else {
            return;
        };
        match &mut channel.phase {
            Phase::Waiting { .. } => {}
            Phase::Opening => self.peer_closes(now, key, ChannelCloseReason::Refused),
            Phase::Open => self.peer_closes(now, key, ChannelCloseReason::Remote),
            Phase::Closing(closing) if closing.incoming => {
                // The peer knows that ours is done and has used the id again, and closed it again,
                // before we learnt that ours is done.
                if self.early.hold(now, stream, Arrival::Reset).is_err() {
                    self.stats.drops.unanswered += 1;
                }
            }
            Phase::Closing(closing) => {
                closing.incoming = true;
                self.finish_close(now, key);
            }
        }
    }

    pub(super) fn on_outgoing_reset(
        &mut self,
        now: Instant,
        stream: StreamId,
        result: ResetResult,
    ) {
        let Some(key) = self.key_of(stream) else {
            return;
        };
        let Some(channel) = self.channels.channel_mut(key) else {
            return;
        };
        match (&mut channel.phase, result) {
            (Phase::Waiting { .. }, _) => {}
            (_, ResetResult::Denied) => self.retire(now, key),
            (Phase::Closing(closing), ResetResult::Performed) => {
                closing.outgoing = true;
                self.finish_close(now, key);
            }
            (phase @ (Phase::Opening | Phase::Open), ResetResult::Performed) => {
                // The peer asked for it (RFC 6525 §5.2.3), which is another way to close.
                *phase = Phase::Closing(Closing {
                    outgoing: true,
                    incoming: false,
                    reason: ChannelCloseReason::Remote,
                });
                self.events.push_back(SessionEvent::Closing(key));
                self.watch_closing(now, key);
            }
        }
    }

    /// The peer broke a rule on `stream`: that stream is reset, whatever uses it, and nothing else.
    pub(super) fn violation(&mut self, now: Instant, stream: StreamId, violation: Violation) {
        self.stats.drops.count(violation);
        let Some(key) = self.key_of(stream) else {
            if self.streams.usage(stream.0) == StreamUse::Free {
                self.refuse_stream(now, stream, false);
            }
            return;
        };
        let Some(channel) = self.channels.channel(key) else {
            return;
        };
        match channel.phase {
            Phase::Opening | Phase::Open => {
                let reason = ChannelCloseReason::Violation(violation);
                self.events.push_back(SessionEvent::Closing(key));
                self.begin_close(now, key, reason, false);
            }
            Phase::Waiting { .. } | Phase::Closing(_) => {}
        }
    }

    /// Frees a channel and its id. The last thing that happens to a channel.
    pub(super) fn remove(&mut self, now: Instant, key: ChannelKey, reason: ChannelCloseReason) {
        let Some(channel) = self.channels.remove(key) else {
            return;
        };
        if let Some(stream) = channel.stream {
            self.streams.set(stream.0, StreamUse::Free);
            if let Some(ids) = &mut self.ids {
                ids.set_used(stream.0, false);
            }
        } else {
            self.waiting_alive -= 1;
            if self.waiting.len() > 2 * self.waiting_alive + MIN_WAITING {
                // Channels opened and closed before the association exists leave dead keys behind.
                self.waiting
                    .retain(|key| self.channels.channel(*key).is_some());
            }
        }
        if let Some(partial) = &channel.partial {
            self.partial_cost -= partial.cost;
            self.stats.drops.unfinished_message += 1;
            self.association.release(now, partial.cost);
        }
        match channel.origin {
            Origin::Local | Origin::Negotiated => {}
            Origin::Incoming => {
                self.incoming -= 1;
                self.incoming_name_bytes -= channel.name_bytes as usize;
            }
            Origin::Refused => self.refused -= 1,
            Origin::Unanswered => {}
        }
        if channel.is_visible() {
            if let Phase::Closing(_) = channel.phase {
                let channels = &self.channels;
                self.closings.forget(|key| channels.channel(key).is_some());
            }
            self.report_closed(key, reason);
        }
    }

    fn report_closed(&mut self, key: ChannelKey, reason: ChannelCloseReason) {
        self.stats.channels_closed += 1;
        self.events.push_back(SessionEvent::Closed { key, reason });
    }

    /// Closes what the peer has not closed in time. RFC 8831 §6.7 has no time for it; the
    /// application must not wait for ever.
    pub(super) fn expire_closing(&mut self, now: Instant) {
        loop {
            let channels = &self.channels;
            let is_alive = |key| channels.channel(key).is_some();
            let Some(key) = self.closings.pop_expired(now, is_alive) else {
                return;
            };
            let Some(stream) = self.stream_of(key) else {
                continue;
            };
            if self.association.buffered_amount(stream) > 0 {
                // What was accepted goes first, however long the peer's window takes.
                self.watch_closing(now, key);
                continue;
            }
            let Some(channel) = self.channels.channel_mut(key) else {
                continue;
            };
            match std::mem::replace(&mut channel.origin, Origin::Unanswered) {
                Origin::Incoming => {
                    self.incoming -= 1;
                    self.incoming_name_bytes -= channel.name_bytes as usize;
                }
                Origin::Local | Origin::Negotiated | Origin::Refused | Origin::Unanswered => {}
            }
            self.report_closed(key, ChannelCloseReason::Unanswered);
        }
    }

    fn watch_closing(&mut self, now: Instant, key: ChannelKey) {
        self.closings.watch(now + self.limits.close_timeout, key);
    }

    pub(super) fn on_restarted(&mut self, now: Instant) {
        // The peer lost its channels and every stream is fresh, so there is nothing to reset.
        // Channels agreed on outside the association are still agreed on.
        for key in self.channels.keys() {
            let Some(channel) = self.channels.channel_mut(key) else {
                continue;
            };
            match (channel.origin, &channel.phase) {
                (Origin::Negotiated, Phase::Open) | (_, Phase::Waiting { .. }) => {
                    channel.control_unsent = 0;
                }
                (_, Phase::Closing(closing)) => {
                    let reason = closing.reason;
                    self.remove(now, key, reason);
                }
                (_, Phase::Opening | Phase::Open) => {
                    self.remove(now, key, ChannelCloseReason::Restarted);
                }
            }
        }
        let cost = self.early.clear();
        self.association.release(now, cost);
    }

    pub(super) fn on_closed(&mut self, now: Instant, reason: CloseReason) {
        for key in self.channels.keys() {
            self.remove(now, key, ChannelCloseReason::SessionClosed);
        }
        self.early.clear();
        self.closings.clear();
        self.waiting.clear();
        self.acks.clear();
        self.link = Link::Closed(reason.clone());
        self.events.push_back(SessionEvent::SessionClosed(reason));
    }

    fn peer_closes(&mut self, now: Instant, key: ChannelKey, reason: ChannelCloseReason) {
        self.events.push_back(SessionEvent::Closing(key));
        self.begin_close(now, key, reason, true);
    }

    fn begin_close(
        &mut self,
        now: Instant,
        key: ChannelKey,
        reason: ChannelCloseReason,
        incoming: bool,
    ) {
        let Some(channel) = self.channels.channel_mut(key) else {
            return;
        };
        let Some(stream) = channel.stream else { return };
        channel.phase = Phase::Closing(Closing {
            outgoing: false,
            incoming,
            reason,
        });
        if channel.is_visible() {
            self.watch_closing(now, key);
        }
        match self.association.reset_streams(now, &[stream]) {
            // Once the association ended or is ending, its end closes the channel.
            Ok(()) | Err(ResetError::NotEstablished | ResetError::Closed(_)) => {}
            Err(_) => self.retire(now, key),
        }
    }

    fn finish_close(&mut self, now: Instant, key: ChannelKey) {
        let Some(channel) = self.channels.channel(key) else {
            return;
        };
        let Phase::Closing(closing) = channel.phase else {
            return;
        };
        if !(closing.outgoing && closing.incoming) {
            return;
        }
        let stream = channel.stream;
        self.remove(now, key, closing.reason);
        if let Some(stream) = stream {
            self.replay_early(now, stream);
        }
    }

    /// The stream cannot be reset: the channel is gone, and the id with it.
    fn retire(&mut self, now: Instant, key: ChannelKey) {
        let stream = self.stream_of(key);
        self.remove(now, key, ChannelCloseReason::ResetDenied);
        if let Some(stream) = stream {
            self.streams.set(stream.0, StreamUse::Retired);
            if let Some(ids) = &mut self.ids {
                ids.set_used(stream.0, true);
            }
            let held = self.early.take(stream);
            self.drop_arrivals(now, held);
        }
    }

    /// Resets our half of a stream that has no channel, and keeps its id out of use until both
    /// halves are reset.
    fn refuse_stream(&mut self, now: Instant, stream: StreamId, incoming: bool) {
        let exists = self.streams().is_some_and(|streams| stream.0 < streams);
        if !exists || self.refused >= self.limits.refused_streams {
            self.stats.drops.unanswered += 1;
            return;
        }
        let channel = Channel::new(Origin::Refused, true, peerloom_sctp::Reliability::Reliable);
        let key = self.channels.insert(channel);
        self.refused += 1;
        self.bind(key, stream);
        // The reason is never seen.
        self.begin_close(now, key, ChannelCloseReason::Refused, incoming);
    }
}

/// Dead keys in the queue of waiting channels that are not worth a pass over it.
const MIN_WAITING: usize = 64;
