//! Messages from `send` until their last fragment is acknowledged, in a queue a stream.
//!
//! A message holds no sequence number of any kind until its first fragment is cut.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::pages::Pages;

use crate::serial::{Fsn, Mid, Ppid, StreamId, Tsn};

use super::outstanding::Moment;
use super::payload::{Payload, PayloadPool};
use super::scheduler::{DEFAULT_PRIORITY, Keyed, NextMessage, Scheduler, StreamScheduler};
use super::slab::{NONE, Slab};

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) payload: Payload,
    pub(crate) stream: StreamId,
    pub(crate) ppid: Ppid,
    pub(crate) ordered: bool,
    pub(crate) limit: Limit,
    /// Its place in the stream, once something is cut. The low half is its SSN.
    pub(crate) mid: Mid,
    /// Its first and last fragment that are in the outstanding ring; the others are linked.
    pub(crate) first_tsn: Option<Tsn>,
    pub(crate) last_tsn: Tsn,
    /// Bytes that hold a TSN.
    pub(crate) cut: u32,
    /// Number of the next fragment.
    pub(crate) next_fsn: Fsn,
    /// Its TSNs in the outstanding ring.
    pub(crate) outstanding: u32,
    pub(crate) abandoned: bool,
    /// Its place among all messages.
    order: u64,
    /// The message behind it in its stream.
    next: u32,
}

impl Message {
    /// Whether fragments are still to be cut.
    pub(crate) fn is_queued(&self) -> bool {
        !self.abandoned && (self.cut as usize) < self.payload.len()
    }

    /// Whether it may be sent (again): RFC 3758 §3.5 with the rules of RFC 7496 §4.
    pub(crate) fn may_be_sent(&self, now: Moment, sends: u16) -> bool {
        !self.abandoned
            && match self.limit {
                Limit::None => true,
                Limit::Retransmits(max) => sends <= max,
                Limit::Expires(at) => now < at,
            }
    }
}

/// When a message is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    None,
    Retransmits(u16),
    Expires(Moment),
}

/// All messages.
#[derive(Debug)]
pub(crate) struct SendQueue {
    messages: Slab<Message>,
    /// For the payloads of the next ones.
    spare: PayloadPool,
    streams: Pages<Stream>,
    /// Streams with something to send.
    active: Vec<StreamId>,
    turns: Turns,
    /// Fragments of different messages may be mixed (RFC 8260).
    interleaving: bool,
    /// Without interleaving: the stream whose message is begun.
    sending: Option<StreamId>,
    /// Bytes of all messages that are begun and not completely cut, and how many are allowed.
    begun_bytes: usize,
    begun_limit: usize,
    /// Streams whose next message is not begun because of that, first come first.
    held_back: VecDeque<StreamId>,
    pushed: u64,
    unsent_bytes: usize,
    held_bytes: usize,
    /// No queued message at the head of its stream expires before.
    next_expiry: Option<Moment>,
    /// Streams marked for [`SendQueue::drain_then_reset`] that have become empty.
    drained: Vec<StreamId>,
}

#[derive(Debug)]
struct Stream {
    head: u32,
    tail: u32,
    next_ordered: Mid,
    next_unordered: Mid,
    buffered: usize,
    /// Its place in `active`.
    place: u32,
    priority: u16,
    resetting: bool,
    held_back: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            head: NONE,
            tail: NONE,
            next_ordered: Mid(0),
            next_unordered: Mid(0),
            buffered: 0,
            place: NONE,
            priority: DEFAULT_PRIORITY,
            resetting: false,
            held_back: false,
        }
    }
}

/// One of the standard's orders, or the application's own.
#[derive(Debug)]
enum Turns {
    Standard(Keyed),
    Custom(Box<dyn StreamScheduler>),
}

impl Turns {
    #[inline]
    fn next(&mut self) -> Option<StreamId> {
        match self {
            Self::Standard(keyed) => keyed.next(),
            Self::Custom(custom) => custom.next(),
        }
    }

    #[inline]
    fn sent(&mut self, stream: StreamId, bytes: usize, next: Option<NextMessage>) {
        match self {
            Self::Standard(keyed) => keyed.sent(stream, bytes, next),
            Self::Custom(custom) => custom.sent(stream, bytes, next),
        }
    }

    fn update(&mut self, stream: StreamId, next: Option<NextMessage>) {
        match self {
            Self::Standard(keyed) => keyed.update(stream, next),
            Self::Custom(custom) => custom.update(stream, next),
        }
    }
}

impl SendQueue {
    pub(crate) fn new(scheduler: Scheduler) -> Self {
        Self {
            messages: Slab::new(),
            spare: PayloadPool::default(),
            streams: Pages::default(),
            active: Vec::new(),
            turns: Turns::Standard(Keyed::new(scheduler)),
            interleaving: false,
            sending: None,
            begun_bytes: 0,
            begun_limit: 0,
            held_back: VecDeque::new(),
            pushed: 0,
            unsent_bytes: 0,
            held_bytes: 0,
            next_expiry: None,
            drained: Vec::new(),
        }
    }

    /// Bytes without a TSN.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// Bytes of all messages, acknowledged fragments of them included.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(crate) fn held_messages(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn buffered(&self, stream: StreamId) -> usize {
        self.streams.get(stream).map_or(0, |s| s.buffered)
    }

    pub(crate) fn next_expiry(&self) -> Option<Moment> {
        self.next_expiry
    }

    pub(crate) fn get(&self, key: u32) -> Option<&Message> {
        self.messages.get(key)
    }

    /// What the payloads of messages that are gone have left.
    pub(crate) fn refill(&mut self, spare: &mut PayloadPool) {
        self.spare.refill_from(spare);
    }

    /// Gives memory back that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.messages.shrink();
        self.spare.shrink();
    }

    /// Queues a message.
    pub(crate) fn push(
        &mut self,
        stream: StreamId,
        ppid: Ppid,
        payload: Bytes,
        ordered: bool,
        limit: Limit,
    ) {
        let len = payload.len();
        let key = self.messages.insert(Message {
            payload: self.spare.share(payload),
            stream,
            ppid,
            ordered,
            limit,
            mid: Mid(0),
            first_tsn: None,
            last_tsn: Tsn(0),
            cut: 0,
            next_fsn: Fsn(0),
            outstanding: 0,
            abandoned: false,
            order: self.pushed,
            next: NONE,
        });
        self.pushed += 1;
        let state = self.streams.get_mut(stream);
        state.buffered += len;
        self.unsent_bytes += len;
        self.held_bytes += len;
        let tail = std::mem::replace(&mut state.tail, key);
        if tail == NONE {
            state.head = key;
            state.place = self.active.len() as u32;
            self.active.push(stream);
            self.update_turn(stream);
            self.note_expiry(limit);
        } else if let Some(before) = self.messages.get_mut(tail) {
            before.next = key;
        }
    }

    /// All messages are reliable. O(messages), once.
    pub(crate) fn lift_limits(&mut self) {
        self.messages.iter_mut().for_each(|m| m.limit = Limit::None);
        self.next_expiry = None;
    }

    fn note_expiry(&mut self, limit: Limit) {
        if let Limit::Expires(at) = limit {
            self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
        }
    }

    /// Another order, from now on.
    pub(crate) fn set_scheduler(&mut self, scheduler: Scheduler) {
        self.set_turns(Turns::Standard(Keyed::new(scheduler)));
    }

    /// The application's own.
    pub(crate) fn set_custom_scheduler(&mut self, scheduler: Box<dyn StreamScheduler>) {
        self.set_turns(Turns::Custom(scheduler));
    }

    fn set_turns(&mut self, turns: Turns) {
        self.turns = turns;
        for index in 0..self.active.len() {
            self.update_turn(self.active[index]);
        }
    }

    pub(crate) fn priority(&self, stream: StreamId) -> u16 {
        let state = self.streams.get(stream);
        state.map_or(DEFAULT_PRIORITY, |state| state.priority)
    }

    /// From the next fragment on, or, without interleaving, the next message.
    pub(crate) fn set_priority(&mut self, stream: StreamId, priority: u16) {
        let state = self.streams.get_mut(stream);
        state.priority = priority;
        if state.head != NONE {
            self.update_turn(stream);
        }
    }

    /// The peer takes I-DATA, or not.
    pub(crate) fn set_interleaving(&mut self, interleaving: bool) {
        self.interleaving = interleaving;
        self.sending = None;
    }

    /// The peer has a receive window of so many bytes. Messages that are begun take room there until
    /// they are complete, and if all of it were taken by beginnings, none could go on (RFC 8260 has
    /// no answer to that); so they may take half.
    pub(crate) fn raise_window(&mut self, bytes: usize) {
        self.begun_limit = self.begun_limit.max(bytes / 2);
    }

    /// What the scheduler is to know of a stream.
    fn next_message(&self, stream: StreamId) -> Option<NextMessage> {
        let state = self.streams.get(stream)?;
        let message = self.messages.get(state.head)?;
        let remaining = message.payload.len() - message.cut as usize;
        Some(NextMessage::new(message.order, remaining, state.priority))
    }

    /// Tells the scheduler what a stream has, unless that is held back.
    fn update_turn(&mut self, stream: StreamId) {
        if !self.streams.get(stream).is_some_and(|s| s.held_back) {
            let next = self.next_message(stream);
            self.turns.update(stream, next);
        }
    }

    /// The message to cut from.
    #[inline]
    pub(crate) fn current(&mut self) -> Option<u32> {
        loop {
            let stream = self.sending.or_else(|| self.turns.next())?;
            let key = self.streams.get(stream)?.head;
            let message = self.messages.get(key)?;
            if !self.interleaving || message.cut > 0 || self.may_begin(message.payload.len()) {
                return Some(key);
            }
            self.streams.get_mut(stream).held_back = true;
            self.held_back.push_back(stream);
            self.turns.update(stream, None);
        }
    }

    /// Whether there is room for the beginning of another message. A quarter of it is for smaller
    /// ones.
    fn may_begin(&self, len: usize) -> bool {
        let limit = if len <= SMALL {
            self.begun_limit
        } else {
            self.begun_limit / 4 * 3
        };
        self.begun_bytes == 0 || self.begun_bytes + len <= limit
    }

    /// A message that was begun is completely cut, or given up.
    fn ended(&mut self, len: usize) {
        self.begun_bytes -= len;
        let mut room = self.begun_limit.saturating_sub(self.begun_bytes);
        while let Some(&stream) = self.held_back.front() {
            let next = self.next_message(stream);
            // Its message may have been given up, and the stream have had its turn since.
            let state = self.streams.get_mut(stream);
            if state.held_back {
                let len = next.map_or(0, |next| next.remaining);
                if len > room && self.begun_bytes > 0 {
                    return;
                }
                room = room.saturating_sub(len);
                state.held_back = false;
                self.turns.update(stream, next);
            }
            self.held_back.pop_front();
        }
    }

    /// Cuts `len` bytes from the current message for `tsn`; with the first ones it gets its MID.
    /// Returns the TSN of the fragment before.
    pub(crate) fn cut(&mut self, key: u32, len: usize, tsn: Tsn) -> Option<Tsn> {
        let message = self.messages.get_mut(key)?;
        let (id, whole) = (message.stream, message.payload.len());
        let stream = self.streams.get_mut(id);
        if message.cut == 0 {
            self.begun_bytes += whole;
            let next = if message.ordered {
                &mut stream.next_ordered
            } else {
                &mut stream.next_unordered
            };
            message.mid = *next;
            *next = next.next();
        }
        let before = message.first_tsn.is_some().then_some(message.last_tsn);
        message.first_tsn.get_or_insert(tsn);
        message.last_tsn = tsn;
        message.next_fsn = message.next_fsn.next();
        message.cut += len as u32;
        message.outstanding += 1;
        stream.buffered -= len;
        self.unsent_bytes -= len;
        let ended = !message.is_queued();
        if ended {
            self.unlink_head(id);
        }
        if self.interleaving {
            let next = self.next_message(id);
            self.turns.sent(id, len, next);
        } else if ended {
            let next = self.next_message(id);
            self.sending = None;
            self.turns.sent(id, whole, next);
        } else {
            self.sending = Some(id);
        }
        if ended {
            self.ended(whole);
        }
        before
    }

    /// Takes the first message off a stream's queue. The scheduler is told by the caller.
    fn unlink_head(&mut self, stream: StreamId) {
        let state = self.streams.get_mut(stream);
        let next = self.messages.get(state.head).map_or(NONE, |m| m.next);
        state.head = next;
        if let Some(limit) = self.messages.get(next).map(|m| m.limit) {
            self.note_expiry(limit);
            return;
        }
        state.tail = NONE;
        if state.resetting {
            self.drained.push(stream);
        }
        let place = state.place as usize;
        self.active.swap_remove(place);
        if let Some(&moved) = self.active.get(place) {
            self.streams.get_mut(moved).place = place as u32;
        }
    }

    /// The first TSN of the message left the outstanding ring, where `next` follows. With the last
    /// one the message is gone, and what is left of it is returned to be freed.
    pub(crate) fn release_tsn(&mut self, key: u32, next: Option<Tsn>) -> Option<Payload> {
        let message = self.messages.get_mut(key)?;
        message.outstanding -= 1;
        message.first_tsn = next;
        if message.outstanding > 0 || message.is_queued() {
            return None;
        }
        let message = self.messages.remove(key)?;
        self.held_bytes -= message.payload.len();
        Some(message.payload)
    }

    /// Another TSN belongs to the message: the one that stands for the rest of it.
    pub(crate) fn add_tsn(&mut self, key: u32) {
        if let Some(message) = self.messages.get_mut(key) {
            message.outstanding += 1;
        }
    }

    /// Gives a message up that holds TSNs. Returns how many bytes of it had none, if it was still
    /// being cut: then it is the first of its stream, and leaves the queue.
    pub(crate) fn abandon(&mut self, key: u32) -> Option<usize> {
        let message = self.messages.get_mut(key)?;
        let was_queued = message.is_queued();
        message.abandoned = true;
        if !was_queued {
            return None;
        }
        let whole = message.payload.len();
        let rest = whole - message.cut as usize;
        let stream = message.stream;
        self.streams.get_mut(stream).buffered -= rest;
        self.unsent_bytes -= rest;
        self.unlink_head(stream);
        self.sending = None;
        self.update_turn(stream);
        self.ended(whole);
        Some(rest)
    }

    /// Removes messages at the heads of their streams that expired before anything of them was
    /// sent, at most once per expiry. A message behind another is looked at when its turn comes.
    /// The current message is left alone once it is being cut; [`super::Sender`] abandons it.
    pub(crate) fn expire(&mut self, now: Moment, mut gone: impl FnMut(StreamId, Payload)) {
        if self.next_expiry.is_none_or(|at| now < at) {
            return;
        }
        let active = self.active.clone();
        let mut next = None;
        for stream in active {
            while let Some(message) = self.head(stream) {
                if message.cut == 0 && !message.may_be_sent(now, 0) {
                    if let Some(message) = self.remove_head(stream) {
                        gone(stream, message.payload);
                    }
                    continue;
                }
                if let (Limit::Expires(at), 0) = (message.limit, message.cut) {
                    next = Some(next.map_or(at, |next: Moment| next.min(at)));
                }
                break;
            }
        }
        self.next_expiry = next;
    }

    fn head(&self, stream: StreamId) -> Option<&Message> {
        self.messages.get(self.streams.get(stream)?.head)
    }

    /// Removes a stream's first message, nothing of which was sent.
    pub(crate) fn remove_head(&mut self, stream: StreamId) -> Option<Message> {
        let key = self.streams.get(stream)?.head;
        self.unlink_head(stream);
        // What is behind it may begin.
        self.streams.get_mut(stream).held_back = false;
        self.update_turn(stream);
        let message = self.messages.remove(key)?;
        let len = message.payload.len();
        self.streams.get_mut(stream).buffered -= len;
        self.unsent_bytes -= len;
        self.held_bytes -= len;
        Some(message)
    }

    /// Removes all messages of streams from `first` on, nothing of which was sent: the peer agreed
    /// on fewer streams.
    pub(crate) fn remove_streams_from(
        &mut self,
        first: u16,
        mut gone: impl FnMut(StreamId, Payload),
    ) {
        let beyond = self.active.iter().copied().filter(|s| s.0 >= first);
        let beyond: Vec<StreamId> = beyond.collect();
        for stream in beyond {
            while self.head(stream).is_some_and(|message| message.cut == 0) {
                match self.remove_head(stream) {
                    Some(message) => gone(stream, message.payload),
                    None => break,
                }
            }
        }
    }

    /// No more messages are taken on the stream; it is in [`Self::take_drained`] once all are cut.
    pub(crate) fn drain_then_reset(&mut self, stream: StreamId) {
        let state = self.streams.get_mut(stream);
        if !state.resetting {
            state.resetting = true;
            if state.head == NONE {
                self.drained.push(stream);
            }
        }
    }

    pub(crate) fn is_resetting(&self, stream: StreamId) -> bool {
        self.streams.get(stream).is_some_and(|s| s.resetting)
    }

    pub(crate) fn has_drained(&self) -> bool {
        !self.drained.is_empty()
    }

    /// Up to `max` streams that are ready to be reset.
    pub(crate) fn take_drained(&mut self, max: usize) -> Vec<StreamId> {
        let rest = self.drained.split_off(self.drained.len().min(max));
        std::mem::replace(&mut self.drained, rest)
    }

    /// The stream can be used again, from number 0 if the reset was performed.
    pub(crate) fn reset_done(&mut self, stream: StreamId, performed: bool) {
        let state = self.streams.get_mut(stream);
        state.resetting = false;
        if performed {
            state.next_ordered = Mid(0);
            state.next_unordered = Mid(0);
        }
    }

    /// Forgets all messages, handing out what was queued: bytes without a TSN and payloads.
    pub(crate) fn clear(&mut self, mut gone: impl FnMut(StreamId, usize, Payload)) {
        for message in self.messages.drain() {
            let unsent = if message.abandoned {
                0
            } else {
                message.payload.len() - message.cut as usize
            };
            gone(message.stream, unsent, message.payload);
        }
        for stream in std::mem::take(&mut self.active) {
            self.turns.update(stream, None);
        }
        // The application's priorities are those of its streams, whatever becomes of messages.
        let priorities = self.streams.entries().map(|(id, s)| (id, s.priority));
        let priorities: Vec<_> = priorities.filter(|p| p.1 != DEFAULT_PRIORITY).collect();
        self.streams = Pages::default();
        for (stream, priority) in priorities {
            self.streams.get_mut(stream).priority = priority;
        }
        self.sending = None;
        self.begun_bytes = 0;
        self.held_back.clear();
        self.unsent_bytes = 0;
        self.held_bytes = 0;
        self.next_expiry = None;
        self.drained.clear();
    }
}

/// Messages up to this size, in bytes, have a share of the peer's window of their own.
const SMALL: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut SendQueue, stream: u16, len: usize, limit: Limit) {
        queue.push(StreamId(stream), Ppid(0), vec![0; len].into(), true, limit);
    }

    fn cut_all(queue: &mut SendQueue) -> Vec<(u16, u32, usize)> {
        let mut tsn = Tsn(0);
        let mut cuts = Vec::new();
        while let Some(key) = queue.current() {
            let message = queue.get(key).unwrap();
            let len = (message.payload.len() - message.cut as usize).min(10);
            let stream = message.stream.0;
            queue.cut(key, len, tsn);
            let mid = queue.get(key).map_or(Mid(0), |message| message.mid);
            cuts.push((stream, mid.0, len));
            tsn = tsn.next();
        }
        cuts
    }

    /// RFC 9260 §6.9: a message's fragments follow each other; §6.6 allows any order of streams.
    #[test]
    fn streams_take_turns_at_message_boundaries() {
        let mut queue = SendQueue::new(Scheduler::RoundRobin);
        push(&mut queue, 1, 25, Limit::None);
        push(&mut queue, 1, 5, Limit::None);
        push(&mut queue, 700, 5, Limit::None);
        assert_eq!(queue.buffered(StreamId(1)), 30);
        assert_eq!(
            cut_all(&mut queue),
            [(1, 0, 10), (1, 0, 10), (1, 0, 5), (700, 0, 5), (1, 1, 5)]
        );
        assert_eq!((queue.unsent_bytes(), queue.held_bytes()), (0, 35));
        assert_eq!(queue.release_tsn(0, None), None);
        assert_eq!(queue.release_tsn(0, None), None);
        assert_eq!(queue.release_tsn(0, None).map(|b| b.len()), Some(25));
        assert_eq!((queue.held_bytes(), queue.held_messages()), (10, 2));
    }

    fn interleaved(window: usize) -> SendQueue {
        let mut queue = SendQueue::new(Scheduler::RoundRobin);
        queue.set_interleaving(true);
        queue.raise_window(window);
        queue
    }

    /// RFC 8260 §2: with I-DATA a turn is a fragment, and messages of one stream stay in order.
    #[test]
    fn streams_take_turns_at_fragment_boundaries() {
        let mut queue = interleaved(1000);
        push(&mut queue, 1, 25, Limit::None);
        push(&mut queue, 1, 5, Limit::None);
        push(&mut queue, 700, 15, Limit::None);
        assert_eq!(
            cut_all(&mut queue),
            [
                (1, 0, 10),
                (700, 0, 10),
                (1, 0, 10),
                (700, 0, 5),
                (1, 0, 5),
                (1, 1, 5)
            ]
        );
    }

    /// Messages begun take no more than half of the peer's window, three quarters of that if they are
    /// large: those that wait are begun as others end, and one larger than that goes alone.
    #[test]
    fn what_is_begun_is_bounded() {
        let mut queue = interleaved(400_000);
        for stream in 0..5 {
            push(&mut queue, stream, 60_000, Limit::None);
        }
        push(&mut queue, 5, 1_000_000, Limit::None);
        push(&mut queue, 6, 40_000, Limit::None);
        let (mut tsn, mut most, mut ended) = (Tsn(0), 0, Vec::new());
        while let Some(key) = queue.current() {
            let message = queue.get(key).unwrap();
            let stream = message.stream;
            queue.cut(key, 1000, tsn);
            tsn = tsn.next();
            if !queue.get(key).unwrap().is_queued() {
                ended.push(stream.0);
                if ended.len() == 1 {
                    // One that fits a packet or a few goes in between.
                    push(&mut queue, 7, 16_000, Limit::None);
                }
            }
            if stream.0 != 5 {
                most = most.max(queue.begun_bytes);
            }
        }
        assert_eq!(most, 60_000 * 2 + 16_000);
        assert_eq!(ended.len(), 8);
        let place = |stream| ended.iter().position(|&s| s == stream).unwrap();
        assert!(place(7) < place(2), "{ended:?}");
        assert_eq!((queue.unsent_bytes(), queue.begun_bytes), (0, 0));
        assert!(queue.active.is_empty() && queue.held_back.is_empty());
    }

    /// A message that waits for room to begin is given up like any other.
    #[test]
    fn held_back_and_expired() {
        let mut queue = interleaved(100_000);
        push(&mut queue, 1, 30_000, Limit::None);
        push(&mut queue, 2, 30_000, Limit::Expires(Moment(5)));
        push(&mut queue, 2, 20, Limit::None);
        for tsn in 0..2 {
            let key = queue.current().unwrap();
            assert_eq!(queue.get(key).unwrap().stream, StreamId(1));
            queue.cut(key, 10, Tsn(tsn));
        }
        queue.expire(Moment(5), |_, _| {});
        assert_eq!(cut_all(&mut queue)[..2], [(1, 0, 10), (2, 0, 10)]);
        assert_eq!(queue.begun_bytes, 0);
    }

    /// Another scheduler takes over in the middle; a priority applies to the next fragment.
    #[test]
    fn the_order_changes_while_messages_are_begun() {
        let mut queue = interleaved(100_000);
        for stream in 1..4 {
            push(&mut queue, stream, 100, Limit::None);
        }
        let mut tsn = Tsn(0);
        let mut cut = |queue: &mut SendQueue| {
            let key = queue.current().unwrap();
            queue.cut(key, 10, tsn);
            tsn = tsn.next();
            queue.get(key).unwrap().stream.0
        };
        assert_eq!([(); 4].map(|()| cut(&mut queue)), [1, 2, 3, 1]);
        queue.set_scheduler(Scheduler::StrictPriority);
        queue.set_priority(StreamId(3), 300);
        assert_eq!([(); 3].map(|()| cut(&mut queue)), [3, 3, 3]);
        queue.set_priority(StreamId(2), 301);
        assert_eq!([(); 3].map(|()| cut(&mut queue)), [2, 2, 2]);
        queue.set_scheduler(Scheduler::FirstCome);
        assert_eq!(
            [(); 9].map(|()| cut(&mut queue)),
            [1, 1, 1, 1, 1, 1, 1, 1, 2]
        );
        assert_eq!(
            (queue.priority(StreamId(2)), queue.priority(StreamId(9))),
            (301, 256)
        );
    }

    /// Expired messages take no sequence numbers, wherever they stood.
    #[test]
    fn expired_messages_leave_no_gap() {
        let mut queue = SendQueue::new(Scheduler::RoundRobin);
        push(&mut queue, 1, 5, Limit::None);
        push(&mut queue, 2, 5, Limit::Expires(Moment(10)));
        push(&mut queue, 2, 6, Limit::Expires(Moment(5)));
        push(&mut queue, 2, 7, Limit::None);
        let mut gone = Vec::new();
        queue.expire(Moment(9), |s, p| gone.push((s.0, p.len())));
        assert_eq!((gone.len(), queue.next_expiry()), (0, Some(Moment(10))));
        queue.expire(Moment(10), |s, p| gone.push((s.0, p.len())));
        assert_eq!(gone, [(2, 5), (2, 6)]);
        assert_eq!(queue.next_expiry(), None);
        assert_eq!(cut_all(&mut queue), [(1, 0, 5), (2, 0, 7)]);
    }

    /// A stream to be reset is reported once its last message is cut, and starts again at zero.
    #[test]
    fn drained_streams_are_reset() {
        let mut queue = SendQueue::new(Scheduler::RoundRobin);
        push(&mut queue, 3, 15, Limit::None);
        queue.drain_then_reset(StreamId(3));
        queue.drain_then_reset(StreamId(4));
        assert_eq!(queue.take_drained(10), [StreamId(4)]);
        cut_all(&mut queue);
        assert!(queue.is_resetting(StreamId(3)));
        assert_eq!(queue.take_drained(10), [StreamId(3)]);
        queue.reset_done(StreamId(3), true);
        push(&mut queue, 3, 5, Limit::None);
        assert_eq!(cut_all(&mut queue), [(3, 0, 5)]);
    }

    /// A message given up half sent leaves the queue to the next one.
    #[test]
    fn abandoned_in_the_middle() {
        let mut queue = SendQueue::new(Scheduler::RoundRobin);
        push(&mut queue, 1, 25, Limit::Retransmits(0));
        push(&mut queue, 1, 5, Limit::None);
        let key = queue.current().unwrap();
        queue.cut(key, 10, Tsn(0));
        assert_eq!(queue.abandon(key), Some(15));
        queue.add_tsn(key);
        assert_eq!(queue.buffered(StreamId(1)), 5);
        assert_eq!(cut_all(&mut queue), [(1, 1, 5)]);
        assert_eq!(queue.release_tsn(key, None), None);
        assert_eq!(queue.release_tsn(key, None).map(|b| b.len()), Some(25));
    }
}
