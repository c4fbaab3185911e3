//! Complete messages on their way out: in order within their stream (RFC 9260 §6.6), and the account
//! of what everything that is held costs.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Violation;
use super::arena::Arena;
use super::buffer::Buffer;
use super::streams::{Ordered, Streams};
use crate::event::ReceivedMessage;
use crate::serial::{Ppid, StreamId};

/// Where both kinds of reassembly hand their messages.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) max_message_size: usize,
    /// Up to here a first fragment gets room for a whole message at once.
    generous_below: usize,
    pub(super) streams: Streams,
    ready: VecDeque<ReceivedMessage>,
    ready_cost: usize,
    arena: Arena,
    /// Cost of everything: incomplete messages, those that wait for their turn, those that are
    /// ready.
    held: usize,
    mix: Mix,
    /// About the size of the last messages in several fragments.
    size_hint: usize,
    skipped: u64,
}

/// What a message is, apart from its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) stream: StreamId,
    pub(super) ppid: Ppid,
    /// Its place in its stream, if it waits for the one before; see [`super::streams::Stream`].
    pub(super) order: Order,
}

/// How a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Unordered,
    Place(u64),
    /// It was ordered, and its place has passed.
    Stale,
}

impl Delivery {
    pub(super) fn new(window: usize, max_message_size: usize) -> Self {
        Self {
            max_message_size,
            generous_below: window / 2,
            streams: Streams::default(),
            ready: VecDeque::new(),
            ready_cost: 0,
            arena: Arena::default(),
            held: 0,
            mix: Mix::default(),
            size_hint: 0,
            skipped: 0,
        }
    }

    /// Another receive window.
    pub(super) fn set_window(&mut self, window: usize) {
        self.generous_below = window / 2;
    }

    /// Gives memory back that is not in use.
    pub(super) fn shrink(&mut self) {
        self.ready.shrink_to_fit();
        self.arena = Arena::default();
    }

    /// A buffer for a message of which `len` bytes come now.
    #[inline]
    pub(super) fn buffer(&self, is_begin: bool, len: usize) -> Buffer {
        let hint = if is_begin && self.held < self.generous_below {
            self.size_hint.min(self.generous_below / 8)
        } else {
            0
        };
        Buffer::with_capacity(hint.max(len))
    }

    /// What is held for an incomplete message changed.
    #[inline]
    pub(super) fn recharge(&mut self, before: usize, after: usize) {
        self.held = self.held - before + after;
    }

    /// Something incomplete that was charged for is dropped.
    pub(super) fn give_up(&mut self, charge: usize) {
        self.held -= charge;
        self.skipped += 1;
    }

    /// A fragment or message that was not charged for is dropped.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Delivers a message that came in one piece.
    #[inline]
    pub(super) fn finish_whole(&mut self, label: Label, payload: &[u8]) -> Result<(), Violation> {
        if payload.len() > self.max_message_size {
            return Err(Violation::MessageTooLarge(label.stream));
        }
        let payload = self.arena.copy(label.stream, payload);
        let cost = payload.len() + MESSAGE_OVERHEAD;
        self.deliver(label, payload, cost);
        Ok(())
    }

    /// Delivers a message whose last fragment came. It is charged for as a message from here on.
    pub(super) fn finish(&mut self, label: Label, buffer: Buffer, charged: usize) {
        self.held -= charged;
        let len = buffer.len();
        self.size_hint = if len >= self.size_hint {
            len
        } else {
            (self.size_hint * 3 + len) / 4
        };
        let (payload, capacity) = buffer.finish();
        self.deliver(label, payload, capacity + MESSAGE_OVERHEAD);
    }

    #[inline]
    fn deliver(&mut self, label: Label, payload: Bytes, cost: usize) {
        self.mix.add(payload.len(), cost);
        self.held += cost;
        let Label {
            stream,
            ppid,
            order,
        } = label;
        let message = ReceivedMessage {
            stream,
            ppid,
            payload,
            ordered: order != Order::Unordered,
            cost,
        };
        let accepted = match order {
            Order::Unordered => return self.push_ready(message),
            Order::Place(place) => self.streams.stream(stream).accept(place, message),
            Order::Stale => Ordered::Stale(message),
        };
        match accepted {
            Ordered::Deliver(message) => {
                self.push_ready(message);
                self.deliver_waiting(stream);
            }
            Ordered::Waits => {}
            Ordered::Stale(message) => self.give_up(message.cost),
        }
    }

    /// Delivers what no longer waits.
    #[inline]
    pub(super) fn deliver_waiting(&mut self, stream: StreamId) {
        while let Some(message) = self.streams.stream(stream).next_waiting() {
            self.push_ready(message);
        }
    }

    #[inline]
    fn push_ready(&mut self, message: ReceivedMessage) {
        self.ready_cost += message.cost;
        self.ready.push_back(message);
    }

    /// Streams start again at number 0; none named means all.
    pub(super) fn reset_streams(&mut self, streams: &[StreamId]) {
        let mut lost = |message: ReceivedMessage| {
            self.held -= message.cost;
            self.skipped += 1;
        };
        if streams.is_empty() {
            self.streams.reset_all().for_each(&mut lost);
        }
        for &stream in streams {
            self.streams.reset(stream).for_each(&mut lost);
        }
    }

    /// The next complete message. Its cost is the caller's from here.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<ReceivedMessage> {
        let message = self.ready.pop_front()?;
        self.held -= message.cost;
        self.ready_cost -= message.cost;
        Some(message)
    }

    /// Cost of everything held.
    #[inline]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Cost of what [`Delivery::pop`] would return.
    #[inline]
    pub(super) fn ready_cost(&self) -> usize {
        self.ready_cost
    }

    /// How many bytes of payload `free` bytes are likely to hold, as the last messages went.
    #[inline]
    pub(super) fn payload_in(&self, free: usize) -> usize {
        self.mix.payload_in(free)
    }

    /// Fragments and messages dropped because they were skipped.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The account is the sum of what is there.
    #[cfg(test)]
    pub(super) fn check(&self, incomplete: usize) {
        let ready = self.ready.iter().map(|message| message.cost).sum::<usize>();
        assert_eq!(self.ready_cost, ready);
        assert_eq!(
            self.held,
            incomplete + ready + self.streams.waiting_cost(),
            "{incomplete} incomplete, {ready} ready"
        );
    }
}

/// How much of what the last messages cost was payload. A sender counts payload alone, so small
/// messages would overrun a window that counts what they cost.
#[derive(Debug, Default)]
struct Mix {
    payload: usize,
    cost: usize,
}

impl Mix {
    #[inline]
    fn add(&mut self, payload: usize, cost: usize) {
        self.payload += payload;
        self.cost += cost;
        if self.cost > MIX_MEMORY {
            self.payload /= 2;
            self.cost /= 2;
        }
    }

    fn payload_in(&self, free: usize) -> usize {
        if self.payload >= self.cost {
            return free;
        }
        let share = (free as u64 * self.payload as u64 / self.cost as u64) as usize;
        share.max(free / SMALLEST_SHARE)
    }
}

/// What a complete message takes beside its bytes: its entry here and in an inbox (both queues
/// double when they grow), the header of its memory, or its node in the map of those that wait.
pub(super) const MESSAGE_OVERHEAD: usize = 192;

/// The mix is that of about as many bytes.
const MIX_MEMORY: usize = 256 << 10;

/// Messages of a few bytes must not close the window for what comes after them.
const SMALLEST_SHARE: usize = 8;
