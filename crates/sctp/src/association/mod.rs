//! The association: one peer, one link (RFC 9260).
//!
//! This file holds the type and its public face, `dispatch` what happens to received chunks.
//! `handshake` and `cookie` are §5, `transmit` is what goes out and in which order, `shutdown` §9,
//! `heartbeat` §8.3, `reset` RFC 6525.

mod cookie;
mod dispatch;
mod handshake;
mod heartbeat;
mod reset;
mod shutdown;
mod state;
mod transmit;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::config::Config;
use crate::error::{CloseReason, ResetError, SendError};
use crate::event::Event;
use crate::limits::Limits;
use crate::recv::{ACK_DELAY, Inbound, ReceiveLimits, Violation};
use crate::send::scheduler::{Scheduler, StreamScheduler};
use crate::send::{Sender, TimerOutcome};
use crate::serial::{Ppid, StreamId, Tsn};
use crate::stats::{Drops, Stats};
use crate::timer::earlier;
use crate::wire::{Abort, Cause, Chunk, ErrorChunk, Packet};

use cookie::CookieJar;
use heartbeat::HeartbeatState;
use reset::Reconfiguration;
pub use state::State;
use state::{Peer, Phase};
pub use transmit::Budget;

/// One SCTP association.
///
/// It does no I/O and reads no clock. After every call that takes `now`, call
/// [`poll_transmit`](Self::poll_transmit) until it returns 0, [`poll_event`](Self::poll_event) until
/// it returns `None`, and re-arm one timer with [`poll_timeout`](Self::poll_timeout). Extra calls
/// do nothing, and `now` may stand still but should not go back.
pub struct Association {
    config: Config,
    limits: Limits,
    rng: StdRng,
    jar: CookieJar,
    phase: Phase,
    /// Our verification tag and first TSN; new ones after a restart.
    local_tag: u32,
    local_tsn: Tsn,
    peer: Option<Peer>,
    sender: Sender,
    inbound: Option<Inbound>,
    reconfiguration: Reconfiguration,
    heartbeat: HeartbeatState,
    /// Control chunks for the peer, bundled with anything.
    control: VecDeque<Chunk<'static>>,
    /// Packets of one chunk with a tag of their own.
    replies: VecDeque<(u32, Chunk<'static>)>,
    events: VecDeque<Event>,
    /// Transmissions in a row that nothing answered (§8.1).
    errors: u32,
    shutdown_wanted: bool,
    /// The peer gave up data during SHUTDOWN-SENT: acknowledge with another SHUTDOWN.
    shutdown_due: bool,
    closed: Option<CloseReason>,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    packets_received: u64,
    packets_sent: u64,
    chunks_received: u64,
    control_sent: u64,
    data_received: u64,
    sacks_received: u64,
    sacks_sent: u64,
    messages_sent: u64,
    messages_received: u64,
    drops: Drops,
}

/// A message handed to [`Association::send`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The stream.
    pub stream: StreamId,
    /// The payload protocol identifier, carried uninterpreted.
    pub ppid: Ppid,
    /// The user data; not empty.
    pub payload: Bytes,
    /// Whether messages of the stream arrive in the order they were sent.
    pub ordered: bool,
    /// When to give up.
    pub reliability: Reliability,
}

/// When a message is given up (RFC 3758; RFC 7496 §4). Without effect if the peer does not support
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reliability {
    /// Never.
    #[default]
    Reliable,
    /// After this many retransmissions of one of its fragments.
    MaxRetransmits(u16),
    /// This long after [`Association::send`].
    MaxLifetime(Duration),
}

impl Association {
    /// An association that waits: nothing is sent before [`connect`](Self::connect) or a peer's
    /// INIT. `seed` has to be unpredictable: the verification tag, the first TSN, the cookie's key
    /// and the nonces of heartbeats come from it.
    #[must_use]
    pub fn new(config: Config, limits: Limits, seed: [u8; 32], now: Instant) -> Self {
        let config = config.normalized();
        let mut rng = StdRng::from_seed(seed);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let local_tag = tag(&mut rng);
        let local_tsn = Tsn(rng.next_u32());
        Self {
            jar: CookieJar::new(&key, now, config.cookie_lifetime),
            phase: Phase::Idle,
            local_tag,
            local_tsn,
            peer: None,
            sender: Sender::new(&config, &limits, local_tsn, now),
            inbound: None,
            reconfiguration: Reconfiguration::default(),
            heartbeat: HeartbeatState::default(),
            control: VecDeque::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            errors: 0,
            shutdown_wanted: false,
            shutdown_due: false,
            closed: None,
            counters: Counters::default(),
            config,
            limits,
            rng,
        }
    }

    /// Processes a packet. Then transmit, take events, and re-arm the timer.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        self.counters.packets_received += 1;
        self.counters.chunks_received += packet.chunks.len() as u64;
        if packet.destination_port != self.config.local_port
            || packet.source_port != self.config.remote_port
        {
            self.counters.drops.ports += 1;
            return;
        }
        if matches!(self.phase, Phase::Ended) {
            self.handle_out_of_the_blue(packet);
            return;
        }
        for chunk in &packet.chunks {
            // Again for every chunk: a COOKIE-ECHO or an INIT-ACK at the front may set the tag
            // that the rest is checked against.
            if !self.tag_fits(packet, chunk) {
                self.counters.drops.verification_tag += 1;
                return;
            }
            if !self.handle_chunk(now, packet, chunk) {
                break;
            }
        }
        if let Some(inbound) = &mut self.inbound {
            inbound.on_packet_end(now);
            self.perform_deferred_reset();
        }
        self.proceed(now);
    }

    /// Processes expired timers. Call it when [`poll_timeout`](Self::poll_timeout) has passed; then
    /// transmit, take events, and re-arm the timer.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_handshake_timeout(now);
        self.handle_shutdown_timeout(now);
        if !self.phase.is_connected() {
            return;
        }
        if self.sender.handle_timeout(now) == TimerOutcome::Unanswered {
            self.count_error();
        }
        self.handle_heartbeat_timeout(now);
        self.handle_reset_timeout(now);
        self.proceed(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before. A held-back
    /// SACK counts: it leaves with the [`poll_transmit`](Self::poll_transmit) that follows.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut deadline = self.phase.deadline();
        if self.phase.is_connected() {
            deadline = earlier(deadline, self.sender.poll_timeout());
            deadline = earlier(
                deadline,
                self.inbound.as_ref().and_then(Inbound::poll_timeout),
            );
            deadline = earlier(deadline, self.heartbeat.deadline);
            deadline = earlier(deadline, self.reconfiguration.deadline());
        }
        deadline
    }

    /// The next event; messages are in the order they were completed.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let message = self.inbound.as_mut()?.poll_message()?;
        self.counters.messages_received += 1;
        Some(Event::Message(message))
    }

    /// Queues a message, before or after the association is established. Then transmit.
    ///
    /// # Errors
    /// [`SendError`]; the message is dropped.
    pub fn send(&mut self, now: Instant, message: OutgoingMessage) -> Result<(), SendError> {
        let OutgoingMessage {
            stream,
            ppid,
            payload,
            ordered,
            reliability,
        } = message;
        let len = payload.len();
        if let Some(reason) = &self.closed {
            return Err(SendError::Closed(reason.clone()));
        }
        let streams = self.outbound_streams();
        let queue = self.sender.queue();
        let queued = queue.held_bytes();
        match self.phase {
            Phase::Idle | Phase::CookieWait { .. } | Phase::CookieEchoed { .. }
                if self.shutdown_wanted =>
            {
                return Err(SendError::ShuttingDown);
            }
            Phase::ShutdownPending
            | Phase::ShutdownSent { .. }
            | Phase::ShutdownReceived
            | Phase::ShutdownAckSent { .. }
            | Phase::Ended => return Err(SendError::ShuttingDown),
            Phase::Idle
            | Phase::CookieWait { .. }
            | Phase::CookieEchoed { .. }
            | Phase::Established => {}
        }
        if len == 0 {
            return Err(SendError::Empty);
        }
        if len > self.config.max_message_size {
            return Err(SendError::TooLarge {
                len,
                max: self.config.max_message_size,
            });
        }
        if stream.0 >= streams {
            return Err(SendError::NoSuchStream { stream, streams });
        }
        if queue.is_resetting(stream) {
            return Err(SendError::Resetting { stream });
        }
        if !self.has_room(len) {
            let limit = self.limits.send_queue;
            return Err(SendError::QueueFull { len, queued, limit });
        }
        self.counters.messages_sent += 1;
        self.sender
            .push(now, stream, ppid, payload, ordered, reliability);
        Ok(())
    }

    /// The order in which streams send, instead of [`Config::scheduler`]. It applies from the next
    /// fragment on; without interleaving, from the next message.
    pub fn set_scheduler(&mut self, scheduler: Scheduler) {
        self.sender.queue_mut().set_scheduler(scheduler);
    }

    /// The same with an order of the application's own.
    pub fn set_custom_scheduler(&mut self, scheduler: Box<dyn StreamScheduler>) {
        self.sender.queue_mut().set_custom_scheduler(scheduler);
    }

    /// The priority of an outgoing stream (RFC 8831 §6.4), of which the scheduler decides the meaning:
    /// it is the weight of [`Scheduler::WeightedFair`] and the rank of [`Scheduler::StrictPriority`].
    /// 256 is normal, and what a stream has that nothing was set for; 0 counts as a weight of 1. It
    /// applies from the next fragment on; without interleaving, from the next message. It outlives
    /// stream resets and restarts.
    pub fn set_priority(&mut self, stream: StreamId, priority: u16) {
        self.sender.queue_mut().set_priority(stream, priority);
    }

    /// What was set with [`set_priority`](Self::set_priority), or 256.
    #[must_use]
    pub fn priority(&self, stream: StreamId) -> u16 {
        self.sender.queue().priority(stream)
    }

    /// Whether the send queue has room for a message of `len` bytes: [`Association::send`] does not
    /// answer [`SendError::QueueFull`] then.
    #[must_use]
    pub fn has_room(&self, len: usize) -> bool {
        let queue = self.sender.queue();
        let held = queue.held_bytes();
        // Were a message above the limit never taken, what waits behind it would wait for ever.
        (held == 0 || held.saturating_add(len) <= self.limits.send_queue)
            && queue.held_messages() < self.limits.send_messages
    }

    /// Bytes of messages on `stream` that have not been transmitted at all.
    #[must_use]
    pub fn buffered_amount(&self, stream: StreamId) -> usize {
        self.sender.queue().buffered(stream)
    }

    /// Bytes of messages that have not been transmitted at all.
    #[must_use]
    pub fn total_buffered(&self) -> usize {
        self.sender.queue().unsent_bytes()
    }

    /// The application took messages worth `bytes` of [`crate::ReceivedMessage::cost`]. Then
    /// transmit: a window update may be due (RFC 9260 §6.2, silly-window rule).
    pub fn release(&mut self, now: Instant, bytes: usize) {
        let rtt = self.sender.rtt.min_rtt().or(self.sender.rtt.srtt());
        if let Some(inbound) = &mut self.inbound {
            inbound.release(now, bytes, rtt);
        }
    }

    /// Gives memory back that queues have grown by and do not use: for a connection that has been
    /// quiet for a while. Nothing else changes.
    pub fn shrink(&mut self) {
        self.sender.shrink();
        if let Some(inbound) = &mut self.inbound {
            inbound.shrink();
        }
        self.control.shrink_to_fit();
        self.replies.shrink_to_fit();
        self.events.shrink_to_fit();
    }

    /// Resets outgoing streams (RFC 6525 §5.1.2): each once everything queued on it is sent, after
    /// which its next message has sequence number zero. [`Event::OutgoingResetDone`] follows. Until
    /// then nothing can be sent on it. Streams already being reset are passed over.
    ///
    /// # Errors
    /// [`ResetError`]; no stream is reset then.
    pub fn reset_streams(&mut self, now: Instant, streams: &[StreamId]) -> Result<(), ResetError> {
        if let Some(reason) = &self.closed {
            return Err(ResetError::Closed(reason.clone()));
        }
        if !matches!(self.phase, Phase::Established) {
            return Err(ResetError::NotEstablished);
        }
        if !self.peer.is_some_and(|peer| peer.reconfig) {
            return Err(ResetError::NotSupported);
        }
        let count = self.outbound_streams();
        if let Some(&stream) = streams.iter().find(|s| s.0 >= count) {
            return Err(ResetError::NoSuchStream {
                stream,
                streams: count,
            });
        }
        for &stream in streams {
            self.sender.queue_mut().drain_then_reset(stream);
        }
        self.proceed(now);
        Ok(())
    }

    /// Ends the association at once: messages not delivered are lost, the peer is told why. Then
    /// transmit.
    pub fn abort(&mut self, _now: Instant, reason: &str) {
        if self.closed.is_some() {
            return;
        }
        // Long enough for a sentence, short enough to fit any packet.
        let text = cut_text(reason, 128);
        let cause = Cause::UserInitiatedAbort(text.as_bytes().to_vec().into());
        self.send_abort(cause);
        self.end(CloseReason::LocalAbort(text.to_owned()));
    }

    /// Traffic passes again after silence, as the layers below know from an authenticated answer:
    /// back-offs are forgotten and everything that waits is sent at once. Then transmit.
    pub fn path_resumed(&mut self, now: Instant) {
        self.errors = 0;
        self.hurry_handshake(now);
        self.hurry_shutdown(now);
        if self.phase.is_connected() {
            self.sender.path_resumed(now);
            self.reconfiguration.hurry(now);
            self.schedule_heartbeat(now);
        }
    }

    /// A round-trip time measured by the layers below; used until there is a measurement of our
    /// own. Call it before [`connect`](Self::connect).
    pub fn suggest_rtt(&mut self, rtt: Duration) {
        self.sender.rtt.suggest(rtt);
    }

    /// Another packet size in bytes, within the range of [`Config::max_packet_size`]. What was
    /// already sent keeps its fragment boundaries when it is sent again, so that packets of the
    /// former size can still appear.
    pub fn set_max_packet_size(&mut self, bytes: usize) {
        self.config.max_packet_size = bytes;
        self.config = std::mem::take(&mut self.config).normalized();
        self.sender.set_packet_size(self.config.max_packet_size);
    }

    /// The largest message in bytes that the peer accepts.
    pub fn set_max_message_size(&mut self, bytes: usize) {
        self.config.max_message_size = bytes;
        self.config = std::mem::take(&mut self.config).normalized();
    }

    /// Another receive window in bytes, see [`Config::receive_window`](crate::Config). Then
    /// transmit: a wider one is told to a peer that waits for it. Of what is on its
    /// way beyond a narrower one, a part may be refused, and is sent again by the peer when there is
    /// room.
    pub fn set_receive_window(&mut self, bytes: usize) {
        self.config.receive_window = bytes;
        self.config = std::mem::take(&mut self.config).normalized();
        if let Some(inbound) = &mut self.inbound {
            let max = self.config.receive_window;
            let window = inbound.window().max(self.config.first_window());
            inbound.set_window(window.min(max), max);
        }
    }

    /// Another limit of bytes held for sending, see [`Limits::send_queue`](crate::Limits). What is
    /// held beyond a lower one is sent all the same.
    pub fn set_send_queue_limit(&mut self, bytes: usize) {
        self.limits.send_queue = bytes;
    }

    /// A snapshot of counters and gauges. O(1).
    #[must_use]
    pub fn stats(&self) -> Stats {
        let sender = &self.sender;
        let (counters, sent) = (&self.counters, &sender.counters);
        let mut drops = counters.drops;
        if let Some(received) = self.inbound.as_ref().map(Inbound::drops) {
            drops.duplicate_tsn += received.duplicates;
            drops.tsn_out_of_window += received.out_of_window;
            drops.no_window += received.no_room;
            drops.invalid_stream += received.invalid_stream;
            drops.skipped += received.skipped;
        }
        Stats {
            congestion_control: self.config.congestion_control,
            pacing_rate: sender.pacing_rate().unwrap_or_default(),
            cwnd: sender.cwnd(),
            ssthresh: sender.ssthresh(),
            peer_rwnd: sender.peer_rwnd(),
            local_rwnd: self
                .inbound
                .as_ref()
                .map_or(0, |inbound| inbound.a_rwnd() as usize),
            receive_window: self
                .inbound
                .as_ref()
                .map_or(self.config.first_window(), Inbound::window),
            receive_buffered: self.inbound.as_ref().map_or(0, Inbound::held),
            srtt: sender.rtt.srtt().unwrap_or_default(),
            rttvar: sender.rtt.rttvar().unwrap_or_default(),
            min_rtt: sender.rtt.min_rtt().unwrap_or_default(),
            rto: sender.rtt.rto(),
            bytes_in_flight: sender.bytes_in_flight(),
            outstanding: sender.outstanding_tsns(),
            unsent_bytes: sender.queue().unsent_bytes(),
            packets_received: counters.packets_received,
            packets_sent: counters.packets_sent,
            chunks_received: counters.chunks_received,
            chunks_sent: counters.control_sent + sent.data_sent,
            data_received: counters.data_received,
            data_sent: sent.data_sent,
            data_bytes_sent: sent.data_bytes_sent,
            sacks_received: counters.sacks_received,
            sacks_sent: counters.sacks_sent,
            forward_tsns_sent: sent.forward_tsns,
            messages_sent: counters.messages_sent,
            messages_received: counters.messages_received,
            messages_abandoned: sent.messages_abandoned,
            retransmits: sent.retransmits,
            interleaving: self.peer.is_some_and(|peer| peer.interleaving),
            zero_checksum_sending: self.peer.is_some_and(|peer| peer.zero_checksum),
            drops,
        }
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// What ended it, once something has.
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Streams that can be sent on; what we ask for until the peer has answered.
    fn outbound_streams(&self) -> u16 {
        let peers = self.peer.map_or(u16::MAX, |peer| peer.inbound_streams);
        self.config.outbound_streams.min(peers)
    }

    /// Streams the peer can send on.
    fn inbound_streams(&self) -> u16 {
        let peers = self.peer.map_or(u16::MAX, |peer| peer.outbound_streams);
        self.config.inbound_streams.min(peers)
    }
}

impl fmt::Debug for Association {
    /// Neither keys nor user data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association")
            .field("state", &self.state())
            .field("closed", &self.closed)
            .field("timeout", &self.poll_timeout())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// What several chapters need.
impl Association {
    /// Everything that can go on after something changed.
    fn proceed(&mut self, now: Instant) {
        let mut abandoned = self.sender.take_abandoned();
        for (stream, messages) in &mut abandoned {
            if self.events.len() < self.limits.events {
                self.events.push_back(Event::Abandoned { stream, messages });
            } else {
                self.counters.drops.event_limit += 1;
            }
        }
        drop(abandoned);
        self.proceed_with_reset(now);
        self.proceed_with_shutdown(now);
    }

    /// Adds an event behind the messages that were completed before it.
    fn push_event(&mut self, event: Event) {
        if let Some(inbound) = &mut self.inbound {
            while let Some(message) = inbound.poll_message() {
                self.counters.messages_received += 1;
                self.events.push_back(Event::Message(message));
            }
        }
        self.events.push_back(event);
    }

    /// One more transmission that nothing answered (§8.1, §8.2).
    fn count_error(&mut self) {
        self.errors = self.errors.saturating_add(1);
        if self.errors > self.config.max_retransmits && !self.config.never_fail {
            let attempts = self.errors;
            self.send_abort(Cause::ProtocolViolation(
                b"too many retransmissions"[..].into(),
            ));
            self.end(CloseReason::RetransmissionTimeout { attempts });
        }
    }

    fn abort_for(&mut self, violation: Violation) {
        self.send_abort(violation.cause());
        self.end(CloseReason::ProtocolViolation(match violation {
            Violation::NoUserData(_) => "DATA without user data",
            Violation::Fragments(_) => "fragments that make no message",
            Violation::MessageTooLarge(_) => "message larger than the limit",
            Violation::Mixed => "DATA and I-DATA in one association",
            Violation::TooManyIncomplete => "more incomplete messages than there is room for",
        }));
    }

    fn violation(&mut self, what: &'static str) {
        self.send_abort(Cause::ProtocolViolation(what.as_bytes().into()));
        self.end(CloseReason::ProtocolViolation(what));
    }

    fn queue_control(&mut self, chunk: Chunk<'static>) {
        if self.control.len() < self.limits.control_queue {
            self.control.push_back(chunk);
        } else {
            self.counters.drops.control_limit += 1;
        }
    }

    fn queue_error(&mut self, cause: Cause<'static>) {
        self.queue_control(Chunk::Error(ErrorChunk {
            causes: vec![cause],
        }));
    }

    /// A packet of one chunk with a tag of its own.
    fn queue_reply(&mut self, tag: u32, chunk: Chunk<'static>) {
        if self.replies.len() < self.limits.control_queue {
            self.replies.push_back((tag, chunk));
        } else {
            self.counters.drops.control_limit += 1;
        }
    }

    /// Tells the peer, if there is one. Goes before everything else, which has lost its meaning.
    fn send_abort(&mut self, cause: Cause<'static>) {
        self.control.clear();
        self.replies.clear();
        if let Some(peer) = self.peer {
            let abort = Abort {
                reflected_tag: false,
                causes: vec![cause],
            };
            self.replies.push_back((peer.tag, Chunk::Abort(abort)));
        }
    }

    /// The end. Answers already queued in `replies` are still sent.
    fn end(&mut self, reason: CloseReason) {
        if self.closed.is_some() {
            return;
        }
        self.phase = Phase::Ended;
        self.control.clear();
        self.sender.discard_all();
        self.push_event(Event::Closed(reason.clone()));
        self.closed = Some(reason);
    }

    fn receive_limits(&self) -> ReceiveLimits {
        ReceiveLimits {
            window: self.config.first_window(),
            max_window: self.config.receive_window,
            max_message_size: self.limits.receive_message,
            interleaving: self.peer.is_some_and(|peer| peer.interleaving),
            incomplete_messages: self.limits.incomplete_messages,
            streams: self.inbound_streams(),
            ack_delay: ACK_DELAY,
            packet_size: self.config.max_packet_size,
        }
    }
}

/// A verification tag: not zero (§5.3.1).
fn tag(rng: &mut StdRng) -> u32 {
    loop {
        let tag = rng.next_u32();
        if tag != 0 {
            return tag;
        }
    }
}

/// At most `max` bytes of `text`, not within a character.
fn cut_text(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
