//! The session: one association and its channels.

mod close;
mod open;
mod receive;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use peerloom_sctp::{
    Association, Budget, CloseReason, Event, OutgoingMessage, Packet, PacketBatch, Scheduler,
    StreamId, StreamScheduler,
};

use crate::channel::{Channel, ChannelState, MessageOptions, Phase};
use crate::closing::Closings;
use crate::config::SessionConfig;
use crate::early::Early;
use crate::error::{OpenError, SendError};
use crate::event::SessionEvent;
use crate::limits::Limits;
use crate::ppid::{self, MessageKind};
use crate::slab::{ChannelKey, Slab};
use crate::stats::{ChannelStats, Stats};
use crate::streams::{IdPool, Role, StreamTable, StreamUse};

/// All data channels of one connection, and the association they share.
///
/// Every verb may be called at any time and leaves a consistent state. After any of them that takes
/// the time, ask [`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event) and
/// [`poll_timeout`](Self::poll_timeout) again.
#[derive(Debug)]
pub struct Session {
    association: Association,
    limits: Limits,
    /// Largest message we accept, bytes.
    max_message_size: usize,
    role: Option<Role>,
    link: Link,
    channels: Slab<Channel>,
    streams: StreamTable,
    /// Known with the role.
    ids: Option<IdPool>,
    /// In-band channels whose OPEN is not sent, oldest first, and how many of the keys are alive.
    waiting: VecDeque<ChannelKey>,
    waiting_alive: usize,
    /// Incoming channels whose ACK found no room in the association.
    acks: VecDeque<ChannelKey>,
    early: Early,
    closings: Closings,
    partial_cost: usize,
    max_partial_cost: usize,
    incoming: usize,
    incoming_name_bytes: usize,
    refused: usize,
    events: VecDeque<SessionEvent>,
    stats: Stats,
}

#[derive(Debug)]
enum Link {
    Connecting,
    Connected {
        /// Ids below this number exist in both directions.
        streams: u16,
    },
    Closed(CloseReason),
}

impl Session {
    /// A session that waits: channels can be opened, nothing is sent before
    /// [`connect`](Self::connect) or the peer's first packet.
    ///
    /// `seed` is for the association's tags, cookie key and jitter: 32 bytes of a CSPRNG.
    #[must_use]
    pub fn new(config: SessionConfig, seed: [u8; 32], now: Instant) -> Self {
        // What the window is at first; it may never be more.
        let receive_window = config
            .association
            .receive_window
            .min(config.association.initial_receive_window);
        let early = Early::new(&config.limits, receive_window);
        let max_partial_cost = config.limits.partial_bytes.min(receive_window / 2);
        let mut association_limits = config.association_limits;
        // The association has to reassemble what this layer then refuses: a message over our limit
        // costs the peer a channel, not the association; and an OPEN may be longer than a message.
        association_limits.receive_message = association_limits
            .receive_message
            .max(config.max_message_size.saturating_add(OVERSIZE_MARGIN))
            .max(2 * config.limits.name_length + OVERSIZE_MARGIN);
        Self {
            association: Association::new(config.association, association_limits, seed, now),
            limits: config.limits,
            max_message_size: config.max_message_size,
            role: None,
            link: Link::Connecting,
            channels: Slab::new(),
            streams: StreamTable::new(),
            ids: None,
            waiting: VecDeque::new(),
            waiting_alive: 0,
            acks: VecDeque::new(),
            early,
            closings: Closings::default(),
            partial_cost: 0,
            max_partial_cost,
            incoming: 0,
            incoming_name_bytes: 0,
            refused: 0,
            events: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Says which ids are ours, as soon as the DTLS role is known. Channels that wait for an id get
    /// one when the association is established too. The role of a connection does not change:
    /// later calls have no effect.
    pub fn set_role(&mut self, now: Instant, role: Role) {
        if self.role.is_some() {
            return;
        }
        self.role = Some(role);
        let mut ids = IdPool::new(role);
        for key in self.channels.keys() {
            if let Some(stream) = self
                .channels
                .channel(key)
                .and_then(|channel| channel.stream)
            {
                ids.set_used(stream.0, true);
            }
        }
        self.ids = Some(ids);
        self.advance(now);
    }

    /// The largest message the peer accepts, in bytes (`a=max-message-size`; `usize::MAX` if it
    /// said 0, no limit).
    pub fn set_remote_max_message_size(&mut self, bytes: usize) {
        self.association.set_max_message_size(bytes);
    }

    /// Starts the association. In WebRTC both ends do.
    pub fn connect(&mut self, now: Instant) {
        self.association.connect(now);
        self.pump(now);
    }

    /// Queues a message on a channel.
    ///
    /// Possible from [`SessionEvent::Assigned`] on, or [`SessionEvent::Opened`] of a negotiated
    /// channel. Before the peer answered the OPEN, messages of unordered channels go ordered
    /// (RFC 8832 §6). Text is not checked: hand in UTF-8. An empty message takes one byte of the
    /// send buffer, as it does on the wire.
    ///
    /// # Errors
    /// As [`SendError`] says; nothing changed.
    pub fn send(
        &mut self,
        now: Instant,
        key: ChannelKey,
        kind: MessageKind,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.send_with(now, key, kind, payload, MessageOptions::default())
    }

    /// [`send`](Self::send) for a message that is delivered otherwise than its channel says: SCTP
    /// carries both per message.
    ///
    /// # Errors
    /// As [`SendError`] says; nothing changed.
    pub fn send_with(
        &mut self,
        now: Instant,
        key: ChannelKey,
        kind: MessageKind,
        payload: Bytes,
        options: MessageOptions,
    ) -> Result<(), SendError> {
        let channel = self.channels.channel_mut(key).ok_or(SendError::Closed)?;
        let ordered = match channel.phase {
            Phase::Waiting { .. } => return Err(SendError::NotOpen),
            Phase::Closing(_) => return Err(SendError::Closed),
            Phase::Opening => true,
            Phase::Open => options.ordered.unwrap_or(channel.ordered),
        };
        let stream = channel.stream.ok_or(SendError::NotOpen)?;
        let len = payload.len();
        let ppid = ppid::ppid(kind, payload.is_empty());
        let payload = if len == 0 {
            Bytes::from_static(ppid::EMPTY)
        } else {
            payload
        };
        let reliability = options.reliability.unwrap_or(channel.reliability);
        let message = OutgoingMessage {
            stream,
            ppid,
            payload,
            ordered,
            reliability,
        };
        self.association.send(now, message).map_err(send_error)?;
        channel.counters.messages_sent += 1;
        channel.counters.bytes_sent += len as u64;
        Ok(())
    }

    /// Another priority for what we send on the channel. It starts as what the OPEN said, or the
    /// options; the peer is not told. Of no effect on a channel that is closed.
    pub fn set_priority(&mut self, key: ChannelKey, priority: u16) {
        if let Some(channel) = self.channels.channel_mut(key) {
            channel.priority = priority;
            if let Some(stream) = channel.stream {
                self.association.set_priority(stream, priority);
            }
        }
    }

    /// The priority of what we send on the channel; `None` once it is closed.
    #[must_use]
    pub fn priority(&self, key: ChannelKey) -> Option<u16> {
        self.channels.channel(key).map(|channel| channel.priority)
    }

    /// The order in which channels send; see [`Association::set_scheduler`].
    pub fn set_scheduler(&mut self, scheduler: Scheduler) {
        self.association.set_scheduler(scheduler);
    }

    /// One of the application's own; see [`Association::set_custom_scheduler`].
    pub fn set_custom_scheduler(&mut self, scheduler: Box<dyn StreamScheduler>) {
        self.association.set_custom_scheduler(scheduler);
    }

    /// Whether the send queue has room for a message of `len` bytes. If it has,
    /// [`send`](Self::send) does not answer [`SendError::QueueFull`].
    #[must_use]
    pub fn has_room(&self, len: usize) -> bool {
        self.association.has_room(len.max(ppid::EMPTY.len()))
    }

    /// Gives memory back that queues have grown by and do not use: for a connection that has been
    /// quiet for a while. Nothing else changes.
    pub fn shrink(&mut self) {
        self.association.shrink();
        self.events.shrink_to_fit();
        self.waiting.shrink_to_fit();
        self.acks.shrink_to_fit();
    }

    /// Processes a packet from the peer.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        self.association.handle_packet(now, packet);
        self.pump(now);
    }

    /// Processes what is due at `now`. Call it at [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.expire_early(now);
        self.expire_closing(now);
        self.pump(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.association.poll_timeout(),
            self.early.deadline(),
            self.closings.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Plans packets; see [`Association::poll_transmit`]. Call
    /// [`drain_unqueued`](Self::drain_unqueued) once with each batch.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        batch: &mut PacketBatch,
        budget: Budget,
    ) -> usize {
        let planned = self.association.poll_transmit(now, batch, budget);
        self.pump(now);
        planned
    }

    /// Reports bytes of messages that left the send queue in a gather, by channel: first
    /// transmission or abandonment. The bytes of our own OPEN and ACK are not among them.
    pub fn drain_unqueued(&mut self, batch: &PacketBatch, mut f: impl FnMut(ChannelKey, usize)) {
        for &(stream, bytes) in batch.unqueued() {
            let Some(key) = self.key_of(stream) else {
                continue;
            };
            let Some(channel) = self.channels.channel_mut(key) else {
                continue;
            };
            // DCEP goes first on its stream, so its bytes are the first to leave.
            let control = u32::try_from(bytes)
                .unwrap_or(u32::MAX)
                .min(channel.control_unsent);
            channel.control_unsent -= control;
            let bytes = bytes - control as usize;
            if bytes > 0 && channel.is_visible() {
                f(key, bytes);
            }
        }
    }

    /// The next event. Ask until there is none.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// The application took messages worth `bytes` (the sum of their `cost`), of channels that
    /// may be closed by now.
    pub fn release(&mut self, now: Instant, bytes: usize) {
        self.association.release(now, bytes);
        self.pump(now);
    }

    /// Ends the association once everything queued is acknowledged. Channels close with it.
    pub fn shutdown(&mut self, now: Instant) {
        self.association.shutdown(now);
        self.pump(now);
    }

    /// Ends the association at once.
    pub fn abort(&mut self, now: Instant, reason: &str) {
        self.association.abort(now, reason);
        self.pump(now);
    }

    /// The path works again after silence; see [`Association::path_resumed`].
    pub fn path_resumed(&mut self, now: Instant) {
        self.association.path_resumed(now);
        self.pump(now);
    }

    /// A new packet size in bytes; see [`Association::set_max_packet_size`].
    pub fn set_max_packet_size(&mut self, bytes: usize) {
        self.association.set_max_packet_size(bytes);
    }

    /// Another receive window in bytes; see [`Association::set_receive_window`]. The shares of
    /// messages that wait for a channel or for their last part stay what they were.
    pub fn set_receive_window(&mut self, bytes: usize) {
        self.association.set_receive_window(bytes);
    }

    /// Another limit of bytes held for sending; see [`Association::set_send_queue_limit`].
    pub fn set_send_queue_limit(&mut self, bytes: usize) {
        self.association.set_send_queue_limit(bytes);
    }

    /// The round-trip time a layer below measured; see [`Association::suggest_rtt`].
    pub fn suggest_rtt(&mut self, rtt: std::time::Duration) {
        self.association.suggest_rtt(rtt);
    }

    /// The stream id of a channel; `None` before it is known and after the channel is closed.
    #[must_use]
    pub fn id(&self, key: ChannelKey) -> Option<u16> {
        Some(self.channels.channel(key)?.stream?.0)
    }

    /// Where the channel is in its life; `None` once it is closed.
    #[must_use]
    pub fn channel_state(&self, key: ChannelKey) -> Option<ChannelState> {
        self.channels.channel(key).map(Channel::state)
    }

    /// Bytes queued on the channel's stream and not sent, our OPEN or ACK among them.
    #[must_use]
    pub fn buffered_amount(&self, key: ChannelKey) -> usize {
        let stream = self
            .channels
            .channel(key)
            .and_then(|channel| channel.stream);
        stream.map_or(0, |stream| self.association.buffered_amount(stream))
    }

    /// Counters of a channel; `None` once it is closed.
    #[must_use]
    pub fn channel_stats(&self, key: ChannelKey) -> Option<ChannelStats> {
        self.channels.channel(key).map(Channel::stats)
    }

    /// Counters of the session.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Channels alive, closing ones and streams being reset included.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// What ended the session, if it ended.
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match &self.link {
            Link::Connecting | Link::Connected { .. } => None,
            Link::Closed(reason) => Some(reason),
        }
    }

    /// The association, for its statistics.
    #[must_use]
    pub fn association(&self) -> &Association {
        &self.association
    }

    /// Takes what the association has to tell, and goes on with what waited for it.
    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.association.poll_event() {
            self.on_event(now, event);
        }
        self.advance(now);
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected {
                outbound_streams,
                inbound_streams,
                ..
            } => {
                self.on_connected(now, outbound_streams.min(inbound_streams));
            }
            Event::Restarted => self.on_restarted(now),
            Event::Message(message) => self.on_message(now, message),
            Event::IncomingReset { streams } => {
                if streams.is_empty() {
                    for key in self.channels.keys() {
                        if let Some(stream) = self.stream_of(key) {
                            self.on_incoming_reset(now, stream);
                        }
                    }
                }
                for stream in streams {
                    self.on_incoming_reset(now, stream);
                }
            }
            Event::OutgoingResetDone { streams, result } => {
                for stream in streams {
                    self.on_outgoing_reset(now, stream, result);
                }
            }
            Event::Abandoned { stream, messages } => {
                if let Some(key) = self.key_of(stream)
                    && let Some(channel) = self.channels.channel_mut(key)
                {
                    channel.counters.messages_abandoned += messages as u64;
                }
            }
            Event::Closed(reason) => self.on_closed(now, reason),
            // `#[non_exhaustive]`: what a later association reports is not for us.
            _ => {}
        }
    }

    fn streams(&self) -> Option<u16> {
        match self.link {
            Link::Connected { streams } => Some(streams),
            Link::Connecting | Link::Closed(_) => None,
        }
    }

    fn key_of(&self, stream: StreamId) -> Option<ChannelKey> {
        match self.streams.usage(stream.0) {
            StreamUse::Channel(slot) => self.channels.key_at(slot),
            StreamUse::Free | StreamUse::Retired => None,
        }
    }

    fn stream_of(&self, key: ChannelKey) -> Option<StreamId> {
        self.channels.channel(key)?.stream
    }
}

fn send_error(error: peerloom_sctp::SendError) -> SendError {
    use peerloom_sctp::SendError as E;
    match error {
        E::TooLarge { len, max } => SendError::TooLarge { len, max },
        E::QueueFull { len, queued, limit } => SendError::QueueFull { len, queued, limit },
        E::ShuttingDown | E::Closed(_) => SendError::SessionClosed,
        E::Resetting { .. } | E::NoSuchStream { .. } => SendError::Closed,
        // Never empty here; and what a later association invents is no room of some kind.
        E::Empty | _ => SendError::NotOpen,
    }
}

/// Bytes of a message over our limit that the association still takes, so that the violation is
/// one of a channel. A DCEP header fits too.
const OVERSIZE_MARGIN: usize = 1 << 10;
