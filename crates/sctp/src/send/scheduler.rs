//! Whose turn it is (RFC 8260 §3).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fmt::Debug;

use crate::pages::Pages;
use crate::serial::StreamId;

/// The order in which streams with something to send take turns (RFC 8260 §3). With interleaving a
/// turn is a fragment, else a message: its fragments have consecutive TSNs then (RFC 9260 §6.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Scheduler {
    /// Bytes in proportion to the streams' priorities (RFC 8260 §3.6; RFC 8831 §6.4). A stream that
    /// was quiet goes first, but saves nothing up. The default.
    #[default]
    WeightedFair,
    /// One after the other (RFC 8260 §3.2).
    RoundRobin,
    /// The stream of the highest priority; one after the other among those of the same (§3.4). A
    /// stream waits as long as one of higher priority has anything to send.
    StrictPriority,
    /// The message that was sent first (§3.1). One does not overtake another.
    FirstCome,
}

/// An application's own order, for [`crate::Association::set_scheduler`].
///
/// It is called for every fragment, by whoever drives the association and inside any lock around it:
/// constant time, no waiting, and no allocation once it has seen its streams. A panic passes through
/// the association, which is of no use after that.
pub trait StreamScheduler: Debug + Send {
    /// `stream` has this to send next; `None` if nothing. Called when that changes other than by
    /// [`sent`](Self::sent): a stream that was quiet has a message, its priority changed, its message
    /// was given up. Streams nothing is said of have nothing to send.
    fn update(&mut self, stream: StreamId, next: Option<NextMessage>);

    /// The stream to send from, one of those that have something. Asked again until it is sent from,
    /// or [`update`](Self::update) is called. If it names another stream, or none, nothing is sent until
    /// something changes.
    fn next(&mut self) -> Option<StreamId>;

    /// `bytes` of user data left `stream`, which now has `next` to send: a fragment, or, without
    /// interleaving, a whole message.
    fn sent(&mut self, stream: StreamId, bytes: usize, next: Option<NextMessage>);
}

/// What a stream has to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextMessage {
    /// The message's place in the order of all [`crate::Association::send`].
    pub order: u64,
    /// Bytes of it that were not sent.
    pub remaining: usize,
    /// The stream's priority, [`crate::Association::set_priority`].
    pub priority: u16,
}

impl NextMessage {
    pub(crate) fn new(order: u64, remaining: usize, priority: u16) -> Self {
        Self {
            order,
            remaining,
            priority,
        }
    }
}

/// RFC 8831 §6.4: normal.
pub(crate) const DEFAULT_PRIORITY: u16 = 256;

/// The standard's orders: each gives streams a key, and the smallest is next.
///
/// The heap keeps entries that are out of date until they come up, so that no change costs a search.
#[derive(Debug)]
pub(crate) struct Keyed {
    order: Scheduler,
    heap: BinaryHeap<Reverse<(u64, StreamId)>>,
    streams: Pages<Entry>,
    active: usize,
    /// Turns given.
    turns: u64,
    /// The virtual time of weighted fairness: where the last fragment began.
    clock: u64,
}

#[derive(Debug, Default)]
struct Entry {
    active: bool,
    /// The heap's entry with another key is out of date.
    key: u64,
    priority: u16,
}

impl Keyed {
    pub(crate) fn new(order: Scheduler) -> Self {
        Self {
            order,
            heap: BinaryHeap::new(),
            streams: Pages::default(),
            active: 0,
            turns: 0,
            clock: 0,
        }
    }

    fn push(&mut self, key: u64, stream: StreamId) {
        if self.heap.len() > 2 * self.active + SPARE {
            let streams = &self.streams;
            self.heap
                .retain(|&Reverse((key, stream))| is_valid(streams, key, stream));
        }
        self.heap.push(Reverse((key, stream)));
    }

    /// One after the other.
    fn turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// The higher priority has the lower key; of the same, one after the other.
    fn ranked_turn(&mut self, priority: u16) -> u64 {
        u64::from(u16::MAX - priority) << 48 | self.turn()
    }
}

fn is_valid(streams: &Pages<Entry>, key: u64, stream: StreamId) -> bool {
    let entry = streams.get(stream);
    entry.is_some_and(|entry| entry.active && entry.key == key)
}

impl StreamScheduler for Keyed {
    fn update(&mut self, stream: StreamId, next: Option<NextMessage>) {
        let entry = self.streams.get_mut(stream);
        let was_active = std::mem::replace(&mut entry.active, next.is_some());
        let Some(next) = next else {
            self.active -= usize::from(was_active);
            return;
        };
        let former = std::mem::replace(&mut entry.priority, next.priority);
        let (key, changed) = (entry.key, former != next.priority);
        if was_active && !changed && self.order != Scheduler::FirstCome {
            return;
        }
        let key = match self.order {
            Scheduler::FirstCome => next.order,
            Scheduler::StrictPriority => self.ranked_turn(next.priority),
            Scheduler::RoundRobin if was_active => key,
            Scheduler::RoundRobin => self.turn(),
            // What it got before a pause counts, but not that it was quiet; and what it got with
            // another weight counts as with this one.
            Scheduler::WeightedFair => {
                let ahead = u128::from(key.saturating_sub(self.clock));
                let scaled = ahead * u128::from(former) / u128::from(next.priority.max(1));
                self.clock + u64::try_from(scaled).unwrap_or(u64::MAX / 2)
            }
        };
        self.active += usize::from(!was_active);
        self.streams.get_mut(stream).key = key;
        self.push(key, stream);
    }

    fn next(&mut self) -> Option<StreamId> {
        while let Some(&Reverse((key, stream))) = self.heap.peek() {
            if is_valid(&self.streams, key, stream) {
                return Some(stream);
            }
            self.heap.pop();
        }
        None
    }

    fn sent(&mut self, stream: StreamId, bytes: usize, next: Option<NextMessage>) {
        let entry = self.streams.get_mut(stream);
        let (former, priority) = (entry.key, entry.priority);
        let key = match self.order {
            Scheduler::WeightedFair => {
                self.clock = self.clock.max(former);
                let weight = u64::from(priority.max(1));
                former + (bytes as u64 * UNIT / weight).max(1)
            }
            Scheduler::RoundRobin => self.turn(),
            Scheduler::StrictPriority => self.ranked_turn(priority),
            Scheduler::FirstCome => next.map_or(former, |next| next.order),
        };
        let entry = self.streams.get_mut(stream);
        entry.key = key;
        let was_active = std::mem::replace(&mut entry.active, next.is_some());
        self.active = self.active + usize::from(next.is_some()) - usize::from(was_active);
        let at_front = self.heap.peek() == Some(&Reverse((former, stream)));
        match (next.is_some(), at_front) {
            (true, true) => {
                if let Some(mut front) = self.heap.peek_mut() {
                    *front = Reverse((key, stream));
                }
            }
            (true, false) => self.push(key, stream),
            (false, true) => {
                if let Some(front) = self.heap.peek_mut() {
                    PeekMut::pop(front);
                }
            }
            (false, false) => {}
        }
    }
}

/// Virtual time of a byte at weight 1: fine enough for a fragment of a few bytes at the highest weight,
/// and far from any wrap at the lowest.
const UNIT: u64 = 1 << 12;

/// Entries out of date that are not worth tidying up.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Streams with endless messages of `len`, by priority, and how many bytes each got of `total`.
    fn shares(order: Scheduler, streams: &[(u16, usize)], total: usize) -> Vec<usize> {
        let mut scheduler = Keyed::new(order);
        let next = |stream: usize| Some(NextMessage::new(0, usize::MAX, streams[stream].0));
        for stream in 0..streams.len() {
            scheduler.update(StreamId(stream as u16), next(stream));
        }
        let mut sent = vec![0; streams.len()];
        while sent.iter().sum::<usize>() < total {
            let stream = scheduler.next().expect("all have something");
            let index = usize::from(stream.0);
            sent[index] += streams[index].1;
            scheduler.sent(stream, streams[index].1, next(index));
        }
        sent
    }

    /// RFC 8831 §6.4: in proportion to the priority, whatever the size of fragments.
    #[test]
    fn weighted_fair_shares_bytes() {
        let streams = [(1024, 1100), (512, 64), (256, 1100), (128, 3)];
        let sent = shares(Scheduler::WeightedFair, &streams, 15_000_000);
        for (bytes, ideal) in sent
            .iter()
            .zip([8_000_000, 4_000_000, 2_000_000, 1_000_000])
        {
            assert!(bytes.abs_diff(ideal) < ideal / 100, "{sent:?}");
        }
        // The extremes: a priority of 0 counts as 1.
        let sent = shares(
            Scheduler::WeightedFair,
            &[(0, 100), (u16::MAX, 100)],
            65_536_000,
        );
        assert!((900..1100).contains(&sent[0]), "{sent:?}");
    }

    #[test]
    fn round_robin_shares_turns() {
        let streams = [(1024, 100), (1, 100), (256, 50)];
        let sent = shares(Scheduler::RoundRobin, &streams, 250_000);
        assert_eq!(sent, [100_000, 100_000, 50_000]);
    }

    /// The lower class gets nothing while the higher has something; within a class turns are taken.
    #[test]
    fn strict_priority() {
        let streams = [(256, 10), (512, 10), (512, 10), (1, 10)];
        let sent = shares(Scheduler::StrictPriority, &streams, 1000);
        assert_eq!(sent, [0, 500, 500, 0]);
    }

    /// The oldest message of all heads is next, and stays so until it is sent.
    #[test]
    fn first_come() {
        let mut scheduler = Keyed::new(Scheduler::FirstCome);
        let at = |order| Some(NextMessage::new(order, 100, 256));
        scheduler.update(StreamId(9), at(0));
        scheduler.update(StreamId(1), at(1));
        assert_eq!(scheduler.next(), Some(StreamId(9)));
        scheduler.sent(StreamId(9), 50, at(0));
        assert_eq!(scheduler.next(), Some(StreamId(9)));
        scheduler.sent(StreamId(9), 50, at(2));
        assert_eq!(scheduler.next(), Some(StreamId(1)));
        // Given up; what follows it came last.
        scheduler.update(StreamId(1), at(3));
        assert_eq!(scheduler.next(), Some(StreamId(9)));
        scheduler.sent(StreamId(9), 100, None);
        assert_eq!(scheduler.next(), Some(StreamId(1)));
        scheduler.update(StreamId(1), None);
        assert_eq!(scheduler.next(), None);
    }

    /// A stream that sends now and then goes first each time, but cannot save up: one that always
    /// comes back as soon as it is empty gets its share and no more.
    #[test]
    fn a_pause_is_neither_punished_nor_rewarded() {
        let mut scheduler = Keyed::new(Scheduler::WeightedFair);
        let (bulk, other) = (StreamId(1), StreamId(2));
        let next = Some(NextMessage::new(0, 1000, 256));
        scheduler.update(bulk, next);
        for _ in 0..1000 {
            assert_eq!(scheduler.next(), Some(bulk));
            scheduler.sent(bulk, 1000, next);
        }
        let mut sent = [0_u32; 2];
        for _ in 0..1000 {
            scheduler.update(other, next);
            let first = scheduler.next().expect("two have something");
            sent[usize::from(first == other)] += 1;
            scheduler.sent(first, 1000, (first == bulk).then_some(next).flatten());
        }
        assert!(sent[0].abs_diff(sent[1]) <= 2, "{sent:?}");
    }

    /// The weight is that of the moment: no memory of the former one.
    #[test]
    fn a_priority_takes_effect_at_once() {
        for (order, raised, expected) in [
            (Scheduler::WeightedFair, 1024, 50),
            (Scheduler::WeightedFair, u16::MAX, 98),
            (Scheduler::StrictPriority, 1024, 50),
            (Scheduler::StrictPriority, 1025, 100),
        ] {
            let mut scheduler = Keyed::new(order);
            let next = |priority| Some(NextMessage::new(0, 1000, priority));
            let mut priorities = [1024, 1];
            for (stream, &priority) in (0..).zip(&priorities) {
                scheduler.update(StreamId(stream), next(priority));
            }
            let mut sent = [0_u32; 2];
            for step in 0..200 {
                if step == 100 {
                    assert!(sent[0] >= 99, "{sent:?}");
                    priorities = [1024, raised];
                    for (stream, &priority) in (0..).zip(&priorities) {
                        scheduler.update(StreamId(stream), next(priority));
                    }
                    sent = [0_u32; 2];
                }
                let stream = scheduler.next().expect("both have something");
                sent[usize::from(stream.0)] += 1;
                scheduler.sent(stream, 1000, next(priorities[usize::from(stream.0)]));
            }
            assert!(sent[1].abs_diff(expected) <= 1, "{order:?}: {sent:?}");
        }
    }

    /// Entries out of date do not pile up, and a full heap is not allocated again.
    #[test]
    fn the_heap_stays_as_large_as_its_streams() {
        let mut scheduler = Keyed::new(Scheduler::RoundRobin);
        let next = Some(NextMessage::new(0, 10, 256));
        for round in 0..10_000_u16 {
            let stream = StreamId(round % 10);
            scheduler.update(stream, None);
            scheduler.update(stream, next);
            scheduler.sent(StreamId((round + 5) % 10), 10, next);
        }
        assert!(scheduler.heap.len() <= 2 * 10 + SPARE + 1);
        assert_eq!(scheduler.active, 10);
    }
}
