//! I-DATA to messages (RFC 8260 §2.2).
//!
//! A fragment names its message and its place in it, so TSNs say nothing here. A message has one
//! buffer to which fragments in order are appended; those behind a missing one are kept in runs of
//! their own and join when it comes. One message is at hand without a search: the only one if the
//! sender does not interleave, else about the largest.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Violation;
use super::buffer::Buffer;
use super::delivery::{Delivery, Label, Order};
use super::reassembly::RUN_OVERHEAD;
use crate::serial::{Mid, Ppid, StreamId};
use crate::wire::{IData, IForwardTsn};

/// Incomplete messages of one association.
#[derive(Debug)]
pub(super) struct Interleaved {
    current: Option<(Key, Partial)>,
    others: BTreeMap<Key, Partial>,
    /// Cost of all of them.
    charge: usize,
    max_partials: usize,
}

/// A message. In the order of places, so that what is skipped is a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stream: StreamId,
    unordered: bool,
    /// See [`super::streams`].
    place: u64,
    mid: u32,
}

/// What has come of a message.
#[derive(Debug)]
struct Partial {
    /// Of the first fragment.
    ppid: Ppid,
    /// From the first fragment on.
    front: Run,
    /// Behind a missing fragment, by the number of their first.
    behind: BTreeMap<u32, Run>,
    /// Number of the last fragment, once that has come.
    last: Option<u32>,
    len: usize,
    charge: usize,
}

/// Consecutive fragments.
#[derive(Debug)]
struct Run {
    /// The number after the last.
    next: u32,
    buffer: Buffer,
}

impl Interleaved {
    pub(super) fn new(max_partials: usize) -> Self {
        Self {
            current: None,
            others: BTreeMap::new(),
            charge: 0,
            max_partials,
        }
    }

    /// Takes a fragment that did not come before.
    #[inline]
    pub(super) fn insert(&mut self, data: &IData<'_>, out: &mut Delivery) -> Result<(), Violation> {
        if let Some((key, partial)) = &mut self.current
            && key.is_of(data)
        {
            let before = partial.charge;
            let done = partial.insert(data, out.max_message_size)?;
            self.charge = self.charge - before + partial.charge;
            out.recharge(before, partial.charge);
            if done {
                let (key, partial) = self.current.take().expect("matched above");
                self.finish(key, partial, out);
            }
            return Ok(());
        }
        let Some(key) = Key::of(data, out) else {
            out.skip();
            return Ok(());
        };
        if data.flags.is_begin() && data.flags.is_end() {
            return out.finish_whole(key.label(data.ppid), data.payload);
        }
        self.insert_other(key, data, out)
    }

    fn insert_other(
        &mut self,
        key: Key,
        data: &IData<'_>,
        out: &mut Delivery,
    ) -> Result<(), Violation> {
        if let Some(partial) = self.others.get_mut(&key) {
            let before = partial.charge;
            let done = partial.insert(data, out.max_message_size)?;
            self.charge = self.charge - before + partial.charge;
            out.recharge(before, partial.charge);
            let larger = self.current.as_ref().map_or(0, |(_, p)| p.charge) < partial.charge / 2;
            if (done || larger)
                && let Some(partial) = self.others.remove(&key)
            {
                if done {
                    self.finish(key, partial, out);
                } else if let Some((key, smaller)) = self.current.replace((key, partial)) {
                    self.others.insert(key, smaller);
                }
            }
            return Ok(());
        }
        if self.others.len() + usize::from(self.current.is_some()) >= self.max_partials {
            return Err(Violation::TooManyIncomplete);
        }
        let mut partial = Partial::new(data, out);
        // Not complete: that would be a message in one fragment.
        partial.insert(data, out.max_message_size)?;
        self.charge += partial.charge;
        out.recharge(0, partial.charge);
        if self.current.is_none() {
            self.current = Some((key, partial));
        } else {
            self.others.insert(key, partial);
        }
        Ok(())
    }

    fn finish(&mut self, key: Key, partial: Partial, out: &mut Delivery) {
        self.charge -= partial.charge;
        let label = key.label(partial.ppid);
        out.finish(label, partial.front.buffer, partial.charge);
    }

    /// Messages that are given up (RFC 8260 §2.3.2).
    pub(super) fn forward(&mut self, forward: &IForwardTsn, streams: u16, out: &mut Delivery) {
        for skipped in forward.skipped.iter().filter(|s| s.stream.0 < streams) {
            let stream = out.streams.stream(skipped.stream);
            let place = if skipped.unordered {
                stream.place_of_unordered(skipped.mid)
            } else {
                stream.place_of_mid(skipped.mid)
            };
            let Some(place) = place else { continue };
            if skipped.unordered {
                stream.skip_unordered(place);
            } else {
                stream.skip(place);
            }
            self.drop_range(Key::up_to(skipped.stream, skipped.unordered, place), out);
            out.deliver_waiting(skipped.stream);
        }
    }

    /// Streams start again at MID 0; none named means all.
    pub(super) fn reset_streams(&mut self, streams: &[StreamId], out: &mut Delivery) {
        if streams.is_empty() {
            self.drop_range(Key::all(StreamId(0), StreamId(u16::MAX)), out);
        }
        for &stream in streams {
            self.drop_range(Key::all(stream, stream), out);
        }
    }

    fn drop_range(&mut self, range: RangeInclusive<Key>, out: &mut Delivery) {
        if let Some((_, partial)) = self.current.take_if(|(key, _)| range.contains(key)) {
            self.charge -= partial.charge;
            out.give_up(partial.charge);
        }
        while let Some((&key, _)) = self.others.range(range.clone()).next() {
            if let Some(partial) = self.others.remove(&key) {
                self.charge -= partial.charge;
                out.give_up(partial.charge);
            }
        }
    }

    /// Cost of everything here.
    #[inline]
    pub(super) fn charge(&self) -> usize {
        self.charge
    }

    /// Cost of what has come in order of the message that this is a fragment of, or of the one at
    /// hand if that is larger.
    pub(super) fn largest(&self, data: &IData<'_>, out: &mut Delivery) -> usize {
        let own = self.find(data, out);
        let at_hand = self.current.as_ref().map(|(_, partial)| partial);
        let both = own.into_iter().chain(at_hand);
        both.map(|p| p.front.charge()).max().unwrap_or(0)
    }

    /// Whether this fragment is the one that its message lacks.
    pub(super) fn completes(&self, data: &IData<'_>, out: &mut Delivery) -> bool {
        self.find(data, out).is_some_and(|p| p.lacks_only(data))
    }

    fn find(&self, data: &IData<'_>, out: &mut Delivery) -> Option<&Partial> {
        match &self.current {
            Some((key, partial)) if key.is_of(data) => Some(partial),
            _ => self.others.get(&Key::of(data, out)?),
        }
    }

    /// The account is the sum of what is there.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let current = self.current.iter().map(|(_, partial)| partial);
        let mut sum = 0;
        for partial in current.chain(self.others.values()) {
            let behind = partial.behind.values().map(Run::charge).sum::<usize>();
            assert_eq!(partial.charge, partial.front.charge() + behind);
            let bytes = partial.behind.values().map(|r| r.buffer.len());
            assert_eq!(
                partial.len,
                partial.front.buffer.len() + bytes.sum::<usize>()
            );
            sum += partial.charge;
        }
        assert_eq!(self.charge, sum);
    }
}

impl Key {
    /// `None` if its message has been delivered or given up.
    #[inline]
    fn of(data: &IData<'_>, out: &mut Delivery) -> Option<Self> {
        let stream = out.streams.stream(data.stream);
        let unordered = data.flags.is_unordered();
        let place = if unordered {
            stream.place_of_unordered(data.mid)?
        } else {
            stream.place_of_mid(data.mid)?
        };
        Some(Self {
            stream: data.stream,
            unordered,
            place,
            mid: data.mid.0,
        })
    }

    #[inline]
    fn is_of(&self, data: &IData<'_>) -> bool {
        Mid(self.mid) == data.mid
            && self.stream == data.stream
            && self.unordered == data.flags.is_unordered()
    }

    fn label(&self, ppid: Ppid) -> Label {
        let order = if self.unordered {
            Order::Unordered
        } else {
            Order::Place(self.place)
        };
        Label {
            stream: self.stream,
            ppid,
            order,
        }
    }

    fn up_to(stream: StreamId, unordered: bool, place: u64) -> RangeInclusive<Self> {
        let key = |place, mid| Self {
            stream,
            unordered,
            place,
            mid,
        };
        key(0, 0)..=key(place, u32::MAX)
    }

    fn all(first: StreamId, last: StreamId) -> RangeInclusive<Self> {
        *Self::up_to(first, false, 0).start()..=*Self::up_to(last, true, u64::MAX).end()
    }
}

impl Run {
    fn charge(&self) -> usize {
        self.buffer.capacity() + RUN_OVERHEAD
    }
}

impl Partial {
    fn new(data: &IData<'_>, out: &Delivery) -> Self {
        let (begin, len) = (data.flags.is_begin(), data.payload.len());
        let buffer = if begin {
            out.buffer(begin, len)
        } else {
            Buffer::default()
        };
        Self {
            ppid: Ppid(0),
            charge: buffer.capacity() + RUN_OVERHEAD,
            front: Run { next: 0, buffer },
            behind: BTreeMap::new(),
            last: None,
            len: 0,
        }
    }

    /// Takes a fragment; whether the message is complete.
    #[inline]
    fn insert(&mut self, data: &IData<'_>, max: usize) -> Result<bool, Violation> {
        let fsn = data.fsn.0;
        let wrong = Violation::Fragments(data.tsn);
        // More fragments than the largest message has bytes; so a number never wraps.
        if fsn >= MAX_FSN || self.last.is_some_and(|last| fsn > last) {
            return Err(wrong);
        }
        if data.payload.len() > max.saturating_sub(self.len) {
            return Err(Violation::MessageTooLarge(data.stream));
        }
        if data.flags.is_end() {
            let beyond = self.behind.last_key_value().map_or(0, |(_, run)| run.next);
            if self.last.is_some() || fsn < beyond {
                return Err(wrong);
            }
            self.last = Some(fsn);
        }
        if fsn != self.front.next {
            // Less: it came before, in a chunk of another TSN. The first one only is number 0.
            if fsn < self.front.next || data.flags.is_begin() {
                return Err(wrong);
            }
            self.insert_behind(data, max)?;
            return Ok(false);
        }
        if data.flags.is_begin() != (fsn == 0) {
            return Err(wrong);
        }
        if fsn == 0 {
            self.ppid = data.ppid;
        }
        let before = self.front.buffer.capacity();
        self.front.buffer.push(data.payload, max, data.stream)?;
        self.front.next += 1;
        self.len += data.payload.len();
        if let Some(follower) = self.behind.remove(&self.front.next) {
            self.charge -= follower.charge();
            self.front
                .buffer
                .absorb(&follower.buffer, max, data.stream)?;
            self.front.next = follower.next;
        }
        self.charge = self.charge - before + self.front.buffer.capacity();
        Ok(self.last.is_some_and(|last| self.front.next > last))
    }

    fn insert_behind(&mut self, data: &IData<'_>, max: usize) -> Result<(), Violation> {
        let fsn = data.fsn.0;
        let wrong = Violation::Fragments(data.tsn);
        let follower = self.behind.remove(&(fsn + 1));
        let before = self.behind.range_mut(..=fsn).next_back();
        let run = match before {
            Some((_, run)) if run.next > fsn => return Err(wrong),
            Some((_, run)) if run.next == fsn => {
                self.charge -= run.charge();
                run
            }
            _ => self.behind.entry(fsn).or_insert_with(|| Run {
                next: fsn,
                buffer: Buffer::default(),
            }),
        };
        run.buffer.push(data.payload, max, data.stream)?;
        run.next += 1;
        if let Some(follower) = follower {
            self.charge -= follower.charge();
            run.buffer.absorb(&follower.buffer, max, data.stream)?;
            run.next = follower.next;
        }
        self.charge += run.charge();
        self.len += data.payload.len();
        Ok(())
    }

    fn lacks_only(&self, data: &IData<'_>) -> bool {
        let fsn = data.fsn.0;
        let last = if data.flags.is_end() {
            Some(fsn)
        } else {
            self.last
        };
        fsn == self.front.next
            && match self.behind.first_key_value() {
                None => last == Some(fsn),
                Some((&first, run)) => first == fsn + 1 && last == Some(run.next - 1),
            }
    }
}

/// Honest numbers stay below: a message is shorter, and no fragment is empty.
const MAX_FSN: u32 = 1 << 31;
