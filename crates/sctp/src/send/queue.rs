//! Messages from `send` until their last fragment is acknowledged, in a queue a stream.
//!
//! A message holds no sequence number of any kind until its first fragment is cut.

use bytes::Bytes;

use crate::serial::{Fsn, Mid, Ppid, StreamId, Tsn};

use super::outstanding::Moment;
use super::scheduler::{Schedule, Scheduler};
use super::slab::{NONE, Slab};

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) payload: Bytes,
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
    streams: Streams,
    scheduler: Scheduler,
    unsent_bytes: usize,
    held_bytes: usize,
    /// No queued message at the head of its stream expires before.
    next_expiry: Option<Moment>,
    /// Streams marked for [`SendQueue::drain_then_reset`] that have become empty.
    drained: Vec<StreamId>,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    head: u32,
    tail: u32,
    next_ordered: Mid,
    next_unordered: Mid,
    resetting: bool,
    buffered: usize,
}

const IDLE: Stream = Stream {
    head: NONE,
    tail: NONE,
    next_ordered: Mid(0),
    next_unordered: Mid(0),
    resetting: false,
    buffered: 0,
};

impl SendQueue {
    pub(crate) fn new() -> Self {
        Self {
            messages: Slab::new(),
            streams: Streams::default(),
            scheduler: Scheduler::round_robin(),
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
            payload,
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
            next: NONE,
        });
        let state = self.streams.get_mut(stream);
        state.buffered += len;
        self.unsent_bytes += len;
        self.held_bytes += len;
        let tail = std::mem::replace(&mut state.tail, key);
        if tail == NONE {
            state.head = key;
            self.scheduler.activate(stream);
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

    /// The message to cut from.
    pub(crate) fn current(&self) -> Option<(u32, &Message)> {
        let stream = self.scheduler.current()?;
        let key = self.streams.get(stream)?.head;
        Some((key, self.messages.get(key)?))
    }

    /// Cuts `len` bytes from the current message for `tsn`; with the first ones it gets its MID.
    /// Returns the TSN of the fragment before.
    pub(crate) fn cut(&mut self, key: u32, len: usize, tsn: Tsn) -> Option<Tsn> {
        let message = self.messages.get_mut(key)?;
        let stream = self.streams.get_mut(message.stream);
        if message.cut == 0 {
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
        if !message.is_queued() {
            self.current_ended();
        }
        before
    }

    /// The current message leaves its stream's queue.
    fn current_ended(&mut self) {
        let Some(stream) = self.scheduler.current() else {
            return;
        };
        let more = self.unlink_head(stream);
        self.scheduler.message_ended(more);
    }

    /// Takes the first message off a stream's queue; whether another follows.
    fn unlink_head(&mut self, stream: StreamId) -> bool {
        let state = self.streams.get_mut(stream);
        let next = self.messages.get(state.head).map_or(NONE, |m| m.next);
        state.head = next;
        if next == NONE {
            state.tail = NONE;
            if state.resetting {
                self.drained.push(stream);
            }
            return false;
        }
        if let Some(limit) = self.messages.get(next).map(|m| m.limit) {
            self.note_expiry(limit);
        }
        true
    }

    /// The first TSN of the message left the outstanding ring, where `next` follows. With the last
    /// one the message is gone, and what is left of it is returned to be freed.
    pub(crate) fn release_tsn(&mut self, key: u32, next: Option<Tsn>) -> Option<Bytes> {
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
    /// being cut: then it is the current one, and leaves the queue.
    pub(crate) fn abandon(&mut self, key: u32) -> Option<usize> {
        let message = self.messages.get_mut(key)?;
        let was_queued = message.is_queued();
        message.abandoned = true;
        if !was_queued {
            return None;
        }
        let rest = message.payload.len() - message.cut as usize;
        let stream = message.stream;
        self.streams.get_mut(stream).buffered -= rest;
        self.unsent_bytes -= rest;
        self.current_ended();
        Some(rest)
    }

    /// Removes messages at the heads of their streams that expired before anything of them was
    /// sent, at most once per expiry. A message behind another is looked at when its turn comes.
    /// The current message is left alone once it is being cut; [`super::Sender`] abandons it.
    pub(crate) fn expire(&mut self, now: Moment, mut gone: impl FnMut(StreamId, Bytes)) {
        if self.next_expiry.is_none_or(|at| now < at) {
            return;
        }
        let active: Vec<StreamId> = self.scheduler.active().collect();
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

    /// Removes the current message, nothing of which was sent.
    pub(crate) fn remove_current(&mut self) -> Option<Message> {
        self.remove_head(self.scheduler.current()?)
    }

    /// Removes a stream's first message, nothing of which was sent.
    fn remove_head(&mut self, stream: StreamId) -> Option<Message> {
        let key = self.streams.get(stream)?.head;
        let more = self.unlink_head(stream);
        if self.scheduler.current() == Some(stream) {
            self.scheduler.message_ended(more);
        } else if !more {
            self.scheduler.deactivate(stream);
        }
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
        mut gone: impl FnMut(StreamId, Bytes),
    ) {
        let beyond: Vec<StreamId> = self.scheduler.active().filter(|s| s.0 >= first).collect();
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
    pub(crate) fn clear(&mut self, mut gone: impl FnMut(StreamId, usize, Bytes)) {
        for message in self.messages.drain() {
            let unsent = if message.abandoned {
                0
            } else {
                message.payload.len() - message.cut as usize
            };
            gone(message.stream, unsent, message.payload);
        }
        self.streams = Streams::default();
        self.scheduler.clear();
        self.unsent_bytes = 0;
        self.held_bytes = 0;
        self.next_expiry = None;
        self.drained.clear();
    }
}

/// Stream state by id, in pages that appear when a stream of theirs is first used: the id is known
/// to be ours, so its size is our own doing.
#[derive(Debug, Default)]
struct Streams {
    pages: Vec<Option<Box<[Stream; PAGE]>>>,
}

const PAGE: usize = 64;

impl Streams {
    fn get(&self, stream: StreamId) -> Option<&Stream> {
        let id = usize::from(stream.0);
        self.pages.get(id / PAGE)?.as_ref()?.get(id % PAGE)
    }

    fn get_mut(&mut self, stream: StreamId) -> &mut Stream {
        let id = usize::from(stream.0);
        if self.pages.len() <= id / PAGE {
            self.pages.resize_with(id / PAGE + 1, || None);
        }
        &mut self.pages[id / PAGE].get_or_insert_with(|| Box::new([IDLE; PAGE]))[id % PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut SendQueue, stream: u16, len: usize, limit: Limit) {
        queue.push(StreamId(stream), Ppid(0), vec![0; len].into(), true, limit);
    }

    fn cut_all(queue: &mut SendQueue) -> Vec<(u16, u32, usize)> {
        let mut tsn = Tsn(0);
        let mut cuts = Vec::new();
        while let Some((key, message)) = queue.current() {
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
        let mut queue = SendQueue::new();
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

    /// Expired messages take no sequence numbers, wherever they stood.
    #[test]
    fn expired_messages_leave_no_gap() {
        let mut queue = SendQueue::new();
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
        let mut queue = SendQueue::new();
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
        let mut queue = SendQueue::new();
        push(&mut queue, 1, 25, Limit::Retransmits(0));
        push(&mut queue, 1, 5, Limit::None);
        let (key, _) = queue.current().unwrap();
        queue.cut(key, 10, Tsn(0));
        assert_eq!(queue.abandon(key), Some(15));
        queue.add_tsn(key);
        assert_eq!(queue.buffered(StreamId(1)), 5);
        assert_eq!(cut_all(&mut queue), [(1, 1, 5)]);
        assert_eq!(queue.release_tsn(key, None), None);
        assert_eq!(queue.release_tsn(key, None).map(|b| b.len()), Some(25));
    }
}
