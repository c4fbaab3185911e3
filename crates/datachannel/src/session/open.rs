//! Opening channels from this end (RFC 8832 §6), and what the association's start means to them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom_sctp::{OutgoingMessage, Reliability, SendError as AssociationError, StreamId};

use super::{ChannelKey, Link, OpenError, Session, SessionEvent, StreamUse};
use crate::channel::{Channel, ChannelOptions, Origin, Phase};
use crate::dcep::{DcepMessage, MAX_NAME_LEN, Open};
use crate::error::ChannelCloseReason;
use crate::ppid;
use crate::streams::RESERVED_ID;

impl Session {
    /// Opens a channel, before or after the association is established.
    ///
    /// An in-band channel gets its id and sends its OPEN when the association is established, the
    /// role is known and there is room ([`SessionEvent::Assigned`]), in the order of these calls.
    ///
    /// # Errors
    /// As [`OpenError`] says; nothing changed.
    pub fn open(&mut self, now: Instant, options: ChannelOptions) -> Result<ChannelKey, OpenError> {
        if let Link::Closed(reason) = &self.link {
            return Err(OpenError::Closed(reason.clone()));
        }
        check_options(&options)?;
        if self.channels.len() >= self.limits.channels {
            return Err(OpenError::TooManyChannels {
                max: self.limits.channels,
            });
        }
        match options.negotiated {
            Some(id) => self.open_negotiated(now, id, &options),
            None => self.open_in_band(now, &options),
        }
    }

    fn open_negotiated(
        &mut self,
        now: Instant,
        id: u16,
        options: &ChannelOptions,
    ) -> Result<ChannelKey, OpenError> {
        let end = self.streams().unwrap_or(RESERVED_ID);
        if id >= end {
            return Err(OpenError::IdOutOfRange {
                id,
                max: end.saturating_sub(1),
            });
        }
        match self.streams.usage(id) {
            StreamUse::Free => {}
            StreamUse::Channel(_) | StreamUse::Retired => return Err(OpenError::IdInUse { id }),
        }
        let mut channel = Channel::new(Origin::Negotiated, options.ordered, options.reliability);
        channel.priority = options.priority;
        channel.phase = Phase::Waiting { open: Bytes::new() };
        let key = self.channels.insert(channel);
        self.bind(key, StreamId(id));
        self.stats.channels_opened += 1;
        if self.streams().is_some() {
            self.open_is_complete(now, key);
        }
        Ok(key)
    }

    fn open_in_band(
        &mut self,
        now: Instant,
        options: &ChannelOptions,
    ) -> Result<ChannelKey, OpenError> {
        if let (Some(streams), Some(ids)) = (self.streams(), &self.ids)
            && ids.lowest_free(streams).is_none()
        {
            return Err(OpenError::NoIdLeft { streams });
        }
        let open = DcepMessage::Open(Open::new(
            options.ordered,
            options.reliability,
            options.priority,
            &options.label,
            &options.protocol,
        ));
        let mut channel = Channel::new(Origin::Local, options.ordered, options.reliability);
        channel.priority = options.priority;
        channel.phase = Phase::Waiting {
            open: open.encode(),
        };
        let key = self.channels.insert(channel);
        self.waiting.push_back(key);
        self.waiting_alive += 1;
        self.stats.channels_opened += 1;
        self.advance(now);
        Ok(key)
    }

    pub(super) fn on_connected(&mut self, now: Instant, streams: u16) {
        self.link = Link::Connected { streams };
        self.events.push_back(SessionEvent::Connected);
        // Once in a session's life, so a pass over all channels is affordable.
        for key in self.channels.keys() {
            match self.stream_of(key) {
                None => {}
                Some(stream) if stream.0 < streams => self.open_is_complete(now, key),
                Some(_) => self.remove(now, key, ChannelCloseReason::NoIdLeft),
            }
        }
    }

    /// A negotiated channel has an association, or an in-band one an answer.
    pub(super) fn open_is_complete(&mut self, now: Instant, key: ChannelKey) {
        let Some(channel) = self.channels.channel_mut(key) else {
            return;
        };
        channel.phase = Phase::Open;
        let stream = channel.stream;
        self.events.push_back(SessionEvent::Opened(key));
        if let Some(stream) = stream {
            self.replay_early(now, stream);
        }
    }

    /// Sends the ACKs and OPENs that wait, as far as there are ids and room in the association.
    /// Constant effort when nothing can be sent.
    pub(super) fn advance(&mut self, now: Instant) {
        let Some(streams) = self.streams() else {
            return;
        };
        while let Some(key) = self.acks.pop_front() {
            if !self.send_ack(now, key) {
                self.acks.push_front(key);
                return;
            }
        }
        while let Some(key) = self.waiting.pop_front() {
            if !self.send_open(now, key, streams) {
                self.waiting.push_front(key);
                return;
            }
        }
    }

    /// `false` if it has to wait.
    pub(super) fn send_ack(&mut self, now: Instant, key: ChannelKey) -> bool {
        let Some(channel) = self.channels.channel_mut(key) else {
            return true;
        };
        let (Phase::Open, Some(stream)) = (&channel.phase, channel.stream) else {
            return true;
        };
        let ack = DcepMessage::Ack.encode();
        let len = ack.len() as u32;
        match self.association.send(now, dcep(stream, ack)) {
            Ok(()) => {
                channel.control_unsent += len;
                true
            }
            Err(AssociationError::QueueFull { .. }) => false,
            // The association is ending and its end will close the channel.
            Err(_) => true,
        }
    }

    /// `false` if it has to wait.
    fn send_open(&mut self, now: Instant, key: ChannelKey, streams: u16) -> bool {
        let Some(channel) = self.channels.channel_mut(key) else {
            return true;
        };
        let Phase::Waiting { open } = &channel.phase else {
            return true;
        };
        let Some(ids) = &self.ids else { return false };
        let Some(id) = ids.lowest_free(streams) else {
            self.remove(now, key, ChannelCloseReason::NoIdLeft);
            return true;
        };
        let open = open.clone();
        let len = open.len() as u32;
        match self.association.send(now, dcep(StreamId(id), open)) {
            Ok(()) => {}
            Err(AssociationError::TooLarge { .. }) => {
                self.remove(now, key, ChannelCloseReason::NameTooLong);
                return true;
            }
            // Room comes back, or the association's end will close the channel.
            Err(_) => return false,
        }
        channel.phase = Phase::Opening;
        channel.awaiting_ack = true;
        channel.control_unsent += len;
        self.waiting_alive -= 1;
        self.bind(key, StreamId(id));
        self.events.push_back(SessionEvent::Assigned { key, id });
        // What was held for the stream was not meant for this channel.
        let held = self.early.take(StreamId(id));
        self.stats.drops.unknown_stream += held.len() as u64;
        self.drop_arrivals(now, held);
        true
    }

    /// Gives the channel its stream.
    pub(super) fn bind(&mut self, key: ChannelKey, stream: StreamId) {
        if let Some(channel) = self.channels.channel_mut(key) {
            channel.stream = Some(stream);
            self.association.set_priority(stream, channel.priority);
        }
        self.streams
            .set(stream.0, StreamUse::Channel(key.index() as u32));
        if let Some(ids) = &mut self.ids {
            ids.set_used(stream.0, true);
        }
    }
}

fn check_options(options: &ChannelOptions) -> Result<(), OpenError> {
    for (field, name) in [("label", &options.label), ("protocol", &options.protocol)] {
        if name.len() > MAX_NAME_LEN {
            return Err(OpenError::NameTooLong {
                field,
                len: name.len(),
                max: MAX_NAME_LEN,
            });
        }
    }
    if let Reliability::MaxLifetime(lifetime) = options.reliability
        && lifetime > MAX_LIFETIME
    {
        return Err(OpenError::LifetimeTooLong {
            lifetime,
            max: MAX_LIFETIME,
        });
    }
    Ok(())
}

/// DCEP messages are ordered and reliable on every channel (RFC 8832 §6).
fn dcep(stream: StreamId, payload: Bytes) -> OutgoingMessage {
    OutgoingMessage {
        stream,
        ppid: ppid::DCEP,
        payload,
        ordered: true,
        reliability: Reliability::Reliable,
    }
}

/// What the reliability parameter of an OPEN can carry.
const MAX_LIFETIME: Duration = Duration::from_millis(u32::MAX as u64);
