//! What the peer sends: DCEP, messages, and messages on streams that have no channel.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use peerloom_sctp::{ReceivedMessage, StreamId};

use super::{ChannelKey, MessageKind, Session, SessionEvent, StreamUse};
use crate::channel::{Channel, ChannelOptions, Origin, Partial, Phase};
use crate::dcep::{DcepMessage, Open};
use crate::early::Arrival;
use crate::error::Violation;
use crate::ppid::Content;

/// A message as it belongs to a channel.
struct Delivery {
    kind: MessageKind,
    payload: Bytes,
    cost: usize,
}

impl Session {
    pub(super) fn on_message(&mut self, now: Instant, message: ReceivedMessage) {
        let stream = message.stream;
        let key = match self.streams.usage(stream.0) {
            StreamUse::Free => None,
            StreamUse::Channel(slot) => self.channels.key_at(slot),
            StreamUse::Retired => {
                self.stats.drops.refused_stream += 1;
                self.association.release(now, message.cost);
                return;
            }
        };
        let content = Content::from_ppid(message.ppid);
        match key.and_then(|key| self.channels.channel(key)) {
            Some(channel) => {
                if let Phase::Closing(closing) = &channel.phase
                    && closing.incoming
                {
                    // The next use of a stream of which we do not know yet that our half is reset.
                    self.hold(now, message);
                    return;
                }
            }
            None if content == Content::Dcep => {}
            None if self.limits.early_hold.is_zero() => {
                self.association.release(now, message.cost);
                self.violation(now, stream, Violation::UnknownStream);
                return;
            }
            None => {
                self.hold(now, message);
                return;
            }
        }
        let ReceivedMessage { payload, cost, .. } = message;
        let (kind, payload, is_last) = match content {
            Content::Dcep => {
                self.association.release(now, cost);
                self.on_dcep(now, stream, &payload);
                return;
            }
            Content::Unknown => {
                self.stats.drops.unknown_ppid += 1;
                self.association.release(now, cost);
                return;
            }
            Content::Message(kind) => (kind, payload, true),
            Content::Empty(kind) => (kind, Bytes::new(), true),
            Content::Partial(kind) => (kind, payload, false),
        };
        let Some(key) = key else { return };
        self.on_user_message(
            now,
            key,
            Delivery {
                kind,
                payload,
                cost,
            },
            is_last,
        );
    }

    /// Delivers what was held for a stream, now that it has a channel or another chance of one.
    pub(super) fn replay_early(&mut self, now: Instant, stream: StreamId) {
        for arrival in self.early.take(stream) {
            match arrival {
                Arrival::Message(message) => self.on_message(now, message),
                Arrival::Reset => self.on_incoming_reset(now, stream),
            }
        }
    }

    /// Resets the streams whose messages were held for too long.
    pub(super) fn expire_early(&mut self, now: Instant) {
        while let Some(held) = self.early.pop_expired(now) {
            let stream = held.stream;
            let mut arrivals = vec![held.what];
            arrivals.extend(self.early.take(stream));
            if self.key_of(stream).is_some() {
                // Our half is still being reset. It takes as long as it takes.
                for arrival in arrivals {
                    if let Err(arrival) = self.early.hold(now, stream, arrival) {
                        self.drop_arrivals(now, vec![arrival]);
                    }
                }
            } else {
                self.drop_arrivals(now, arrivals);
                self.violation(now, stream, Violation::UnknownStream);
            }
        }
    }

    pub(super) fn drop_arrivals(&mut self, now: Instant, arrivals: Vec<Arrival>) {
        let cost = arrivals.iter().map(Arrival::cost).sum();
        self.association.release(now, cost);
    }

    fn hold(&mut self, now: Instant, message: ReceivedMessage) {
        let stream = message.stream;
        let Err(arrival) = self.early.hold(now, stream, Arrival::Message(message)) else {
            return;
        };
        let mut arrivals = self.early.take(stream);
        arrivals.push(arrival);
        self.drop_arrivals(now, arrivals);
        self.violation(now, stream, Violation::UnknownStream);
    }

    fn on_user_message(
        &mut self,
        now: Instant,
        key: ChannelKey,
        delivery: Delivery,
        is_last: bool,
    ) {
        let Some(channel) = self.channels.channel_mut(key) else {
            return;
        };
        if !channel.is_visible() {
            self.stats.drops.refused_stream += 1;
            self.association.release(now, delivery.cost);
            return;
        }
        let Some(stream) = channel.stream else { return };
        if let Phase::Opening = channel.phase {
            // As good as an ACK, which the message may have overtaken (RFC 8832 §6).
            channel.phase = Phase::Open;
            self.events.push_back(SessionEvent::Opened(key));
        }
        let earlier = channel
            .partial
            .as_ref()
            .map_or(0, |partial| partial.payload.len());
        if earlier + delivery.payload.len() > self.max_message_size {
            self.association.release(now, delivery.cost);
            self.violation(now, stream, Violation::MessageTooLarge);
            return;
        }
        if !is_last {
            self.on_partial(now, key, stream, delivery);
            return;
        }
        let delivery = match channel.partial.take() {
            None => delivery,
            Some(partial) => self.join(now, *partial, delivery),
        };
        let Delivery {
            kind,
            payload,
            cost,
        } = delivery;
        let Some(channel) = self.channels.channel_mut(key) else {
            return;
        };
        channel.counters.messages_received += 1;
        channel.counters.bytes_received += payload.len() as u64;
        self.events.push_back(SessionEvent::Message {
            key,
            kind,
            payload,
            cost,
        });
    }

    /// The last part of a message arrived.
    fn join(&mut self, now: Instant, partial: Partial, last: Delivery) -> Delivery {
        let Partial {
            kind,
            mut payload,
            cost,
        } = partial;
        self.partial_cost -= cost;
        if kind != last.kind {
            self.stats.drops.unfinished_message += 1;
            self.association.release(now, cost);
            return last;
        }
        payload.extend_from_slice(&last.payload);
        Delivery {
            kind,
            payload: payload.freeze(),
            cost: cost + last.cost,
        }
    }

    /// A part other than the last (RFC 8831 §6.6, deprecated). The parts keep their share of the
    /// receive window until the message is taken.
    fn on_partial(&mut self, now: Instant, key: ChannelKey, stream: StreamId, part: Delivery) {
        let Some(channel) = self.channels.channel_mut(key) else {
            return;
        };
        if self.partial_cost + part.cost > self.max_partial_cost {
            self.association.release(now, part.cost);
            self.violation(now, stream, Violation::PartialTooLarge);
            return;
        }
        if let Some(stale) = channel.partial.take_if(|partial| partial.kind != part.kind) {
            self.partial_cost -= stale.cost;
            self.stats.drops.unfinished_message += 1;
            self.association.release(now, stale.cost);
        }
        let partial = channel.partial.get_or_insert_with(|| {
            Box::new(Partial {
                kind: part.kind,
                payload: BytesMut::new(),
                cost: 0,
            })
        });
        partial.payload.extend_from_slice(&part.payload);
        partial.cost += part.cost;
        self.partial_cost += part.cost;
    }

    fn on_dcep(&mut self, now: Instant, stream: StreamId, message: &[u8]) {
        match DcepMessage::decode(message) {
            Ok(DcepMessage::Open(open)) => {
                if let Err(violation) = self.on_open(now, stream, open) {
                    // Held messages of the stream will not find their channel.
                    let held = self.early.take(stream);
                    self.drop_arrivals(now, held);
                    self.violation(now, stream, violation);
                }
            }
            Ok(DcepMessage::Ack) => self.on_ack(now, stream),
            Err(_) => self.violation(now, stream, Violation::MalformedDcep),
        }
    }

    fn on_open(&mut self, now: Instant, stream: StreamId, open: Open<'_>) -> Result<(), Violation> {
        if self.key_of(stream).is_some() {
            return Err(Violation::OpenOnUsedStream);
        }
        if self.role.is_some_and(|role| role.picks(stream.0)) {
            return Err(Violation::WrongParity);
        }
        let name_bytes = open.label.len() + open.protocol.len();
        if open.label.len().max(open.protocol.len()) > self.limits.name_length
            || self.incoming_name_bytes + name_bytes > self.limits.name_bytes
        {
            return Err(Violation::NameTooLong);
        }
        if self.incoming >= self.limits.incoming_channels
            || self.channels.len() >= self.limits.channels
        {
            return Err(Violation::TooManyChannels);
        }

        let ordered = open.channel_type.is_ordered();
        let reliability = open.reliability();
        let mut channel = Channel::new(Origin::Incoming, ordered, reliability);
        channel.priority = open.priority;
        channel.name_bytes = u32::try_from(name_bytes).unwrap_or(u32::MAX);
        let key = self.channels.insert(channel);
        self.bind(key, stream);
        self.incoming += 1;
        self.incoming_name_bytes += name_bytes;
        self.stats.channels_accepted += 1;
        let options = Box::new(ChannelOptions {
            label: open.label.to_owned(),
            protocol: open.protocol.to_owned(),
            ordered,
            reliability,
            priority: open.priority,
            negotiated: None,
        });
        self.events.push_back(SessionEvent::Incoming {
            key,
            options,
            id: stream.0,
        });
        if !self.acks.is_empty() || !self.send_ack(now, key) {
            self.acks.push_back(key);
        }
        self.replay_early(now, stream);
        Ok(())
    }

    fn on_ack(&mut self, now: Instant, stream: StreamId) {
        let channel = self
            .key_of(stream)
            .and_then(|key| Some((key, self.channels.channel_mut(key)?)));
        match channel {
            Some((key, channel)) if channel.awaiting_ack => {
                channel.awaiting_ack = false;
                if let Phase::Opening = channel.phase {
                    self.open_is_complete(now, key);
                }
            }
            Some(_) | None => self.violation(now, stream, Violation::UnexpectedAck),
        }
    }
}
