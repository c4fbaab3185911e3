//! Partial reliability (RFC 3758): giving messages up, and telling the peer.

use std::time::Instant;

use smallvec::SmallVec;

use crate::serial::{Ssn, StreamId, Tsn};
use crate::wire::{Chunk, ForwardTsn, IForwardTsn, SkippedMessage, SkippedStream};

use super::outstanding::{ChunkState, Fragment, Moment};
use super::payload::Payload;
use super::recovery::nanos;
use super::{Sender, add};

/// The Advanced.Peer.Ack.Point and what a FORWARD-TSN up to it says.
#[derive(Debug)]
pub(crate) struct Partial {
    /// The peer understands FORWARD-TSN. Assumed until the handshake tells.
    pub(crate) enabled: bool,
    /// Everything up to here is acknowledged or given up.
    point: Tsn,
    /// The latest message skipped, per stream and kind of order, sorted by both. With FORWARD-TSN
    /// ordered ones only.
    skipped: Vec<SkippedMessage>,
    due: bool,
    sent_at: Option<Moment>,
}

impl Partial {
    pub(crate) fn new(first: Tsn) -> Self {
        Self {
            enabled: true,
            point: first.previous(),
            skipped: Vec::new(),
            due: false,
            sent_at: None,
        }
    }

    /// The FORWARD-TSN may not have arrived.
    pub(crate) fn resend(&mut self) {
        self.due = true;
    }

    fn skip(&mut self, skipped: SkippedMessage) {
        let key = |s: &SkippedMessage| (s.stream, s.unordered);
        match self.skipped.binary_search_by_key(&key(&skipped), key) {
            Ok(found) => self.skipped[found].mid = skipped.mid,
            Err(place) => self.skipped.insert(place, skipped),
        }
    }
}

impl Sender {
    /// Gives up a message nothing of which was sent, and which no one will miss therefore.
    pub(super) fn abandon_unsent(&mut self, stream: StreamId, payload: Payload) {
        add(&mut self.unqueued, stream, payload.len());
        add(&mut self.abandoned, stream, 1);
        self.counters.messages_abandoned += 1;
        self.retired.push(payload);
    }

    /// Gives a message up: all of its fragments, and a TSN for those that have none yet, so that
    /// the peer learns that the rest will not come.
    pub(super) fn abandon_message(&mut self, key: u32, now: Moment) {
        let Some(message) = self.queue.get(key) else {
            return;
        };
        let (stream, known) = (message.stream, message.abandoned);
        let rest = Fragment {
            message: key,
            offset: message.cut,
            fsn: message.next_fsn,
            len: 0,
        };
        let mut at = message.first_tsn;
        while let Some(tsn) = at {
            self.outstanding.abandon(tsn);
            let sibling = self.outstanding.get(tsn).map(|entry| entry.sibling);
            at = sibling.filter(|&next| next != tsn);
        }
        if known {
            return;
        }
        if let Some(unsent) = self.queue.abandon(key) {
            add(&mut self.unqueued, stream, unsent);
            self.queue.add_tsn(key);
            self.outstanding.push_abandoned(now, rest);
        }
        add(&mut self.abandoned, stream, 1);
        self.counters.messages_abandoned += 1;
        self.advance();
    }

    /// Moves the Advanced.Peer.Ack.Point over what is given up (RFC 3758 §3.5 C1, C2).
    pub(super) fn advance(&mut self) {
        let acked = self.outstanding.base().previous();
        let partial = &mut self.partial;
        if acked.is_at_least(partial.point) {
            partial.point = acked;
            partial.skipped.clear();
            partial.due = false;
            partial.sent_at = None;
        }
        while let Some(entry) = self.outstanding.get(partial.point.next())
            && entry.state == ChunkState::Abandoned
            && partial.skipped.len() < max_skipped(self.interleaving)
        {
            partial.point = partial.point.next();
            partial.due = true;
            if let Some(message) = self.queue.get(entry.message)
                && (message.ordered || self.interleaving)
            {
                partial.skip(SkippedMessage {
                    stream: message.stream,
                    unordered: !message.ordered,
                    mid: message.mid,
                });
            }
        }
    }

    /// A SACK came that is still below the point (RFC 3758 §3.5 C3): say it again, once a round
    /// trip.
    pub(super) fn remind(&mut self, now: Moment) {
        let round_trip = self.rtt.srtt().map_or(0, nanos);
        if self
            .partial
            .sent_at
            .is_some_and(|at| at.0 + round_trip <= now.0)
        {
            self.partial.due = true;
        }
    }

    /// Whether [`Self::take_forward_tsn`] has one.
    pub(crate) fn forward_tsn_due(&self) -> bool {
        self.partial.due && self.partial.point.is_at_least(self.outstanding.base())
    }

    /// The FORWARD-TSN or I-FORWARD-TSN to be sent.
    pub(crate) fn take_forward_tsn(&mut self, now: Instant, room: usize) -> Option<Chunk<'static>> {
        if !self.forward_tsn_due() {
            return None;
        }
        let chunk = self.forward_tsn();
        if room < chunk.encoded_len() {
            return None;
        }
        let moment = self.moment(now);
        self.partial.due = false;
        self.partial.sent_at = Some(moment);
        self.counters.forward_tsns += 1;
        // F4: T3-rtx runs as for DATA.
        self.update_t3(now, false);
        self.schedule_probe(moment);
        Some(chunk)
    }

    fn forward_tsn(&self) -> Chunk<'static> {
        let Partial { point, skipped, .. } = &self.partial;
        if self.interleaving {
            return Chunk::IForwardTsn(IForwardTsn {
                new_cumulative_tsn: *point,
                skipped: SmallVec::from_slice(skipped),
            });
        }
        let ordered = |message: &SkippedMessage| SkippedStream {
            stream: message.stream,
            #[expect(clippy::cast_possible_truncation, reason = "the low half is the SSN")]
            ssn: Ssn(message.mid.0 as u16),
        };
        Chunk::ForwardTsn(ForwardTsn {
            new_cumulative_tsn: *point,
            skipped: skipped.iter().map(ordered).collect(),
        })
    }
}

/// What fits the smallest packet of this stack; the rest follows with the next one (C2).
const fn max_skipped(interleaving: bool) -> usize {
    if interleaving { 25 } else { 50 }
}
