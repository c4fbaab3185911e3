//! Where each incoming stream is: the next message, and complete ones that wait for an earlier one.
//!
//! A message's *place* in its stream is its SSN or MID in a number that never wraps.

use std::collections::BTreeMap;

use crate::event::ReceivedMessage;
use crate::pages::Pages;
use crate::serial::{Mid, Ssn, StreamId};

/// All incoming streams.
#[derive(Debug, Default)]
pub(super) struct Streams(Pages<Stream>);

#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The place to deliver next. Its low bits are the SSN or the MID.
    expected: u64,
    waiting: BTreeMap<u64, ReceivedMessage>,
    unordered: Unordered,
}

/// Unordered messages have MIDs of their own, which say what belongs together and nothing else.
#[derive(Debug, Default)]
struct Unordered {
    /// The furthest place seen.
    latest: u64,
    /// Places before this one were given up by the peer.
    alive_from: u64,
}

/// What became of an ordered message.
#[derive(Debug)]
pub(super) enum Ordered {
    /// It is the next one; [`Stream::next_waiting`] has those it held up.
    Deliver(ReceivedMessage),
    /// It waits.
    Waits,
    /// Its place has passed, or is taken.
    Stale(ReceivedMessage),
}

impl Streams {
    #[inline]
    pub(super) fn stream(&mut self, id: StreamId) -> &mut Stream {
        self.0.get_mut(id)
    }

    /// Cost of all that wait.
    #[cfg(test)]
    pub(super) fn waiting_cost(&self) -> usize {
        let waiting = self.0.entries().flat_map(|(_, s)| s.waiting.values());
        waiting.map(|message| message.cost).sum()
    }

    /// Starts `id` again at number 0. Returns what waited.
    pub(super) fn reset(&mut self, id: StreamId) -> impl Iterator<Item = ReceivedMessage> + use<> {
        let stream = self.0.take(id);
        stream.into_iter().flat_map(|s| s.waiting.into_values())
    }

    /// The same for all of them.
    pub(super) fn reset_all(&mut self) -> impl Iterator<Item = ReceivedMessage> + use<> {
        self.0.take_all().flat_map(|s| s.waiting.into_values())
    }
}

impl Stream {
    /// The place of an ordered message; `None` if that has passed.
    #[inline]
    pub(super) fn place_of_ssn(&self, ssn: Ssn) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are the SSN")]
        let expected = Ssn(self.expected as u16);
        ssn.is_at_least(expected)
            .then(|| self.expected + u64::from(ssn.distance_from(expected)))
    }

    /// The same by its MID.
    #[inline]
    pub(super) fn place_of_mid(&self, mid: Mid) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are the MID")]
        let expected = Mid(self.expected as u32);
        mid.is_at_least(expected)
            .then(|| self.expected + u64::from(mid.distance_from(expected)))
    }

    /// The place of an unordered message among its like; `None` if the peer gave it up.
    #[inline]
    pub(super) fn place_of_unordered(&mut self, mid: Mid) -> Option<u64> {
        let Unordered { latest, alive_from } = &mut self.unordered;
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are the MID")]
        let newest = Mid(*latest as u32);
        if mid.is_newer_than(newest) {
            *latest += u64::from(mid.distance_from(newest));
            return Some(*latest);
        }
        let place = latest.checked_sub(u64::from(newest.distance_from(mid)))?;
        (place >= *alive_from).then_some(place)
    }

    /// Takes a complete ordered message for its place.
    #[inline]
    pub(super) fn accept(&mut self, place: u64, message: ReceivedMessage) -> Ordered {
        if place == self.expected {
            self.expected += 1;
            return Ordered::Deliver(message);
        }
        if place < self.expected {
            return Ordered::Stale(message);
        }
        match self.waiting.insert(place, message) {
            None => Ordered::Waits,
            Some(earlier) => Ordered::Stale(earlier),
        }
    }

    /// The next message that no longer waits; call until `None`.
    #[inline]
    pub(super) fn next_waiting(&mut self) -> Option<ReceivedMessage> {
        let first = self.waiting.first_entry()?;
        // A skipped place may lie behind: those before it are due as well.
        if *first.key() > self.expected {
            return None;
        }
        self.expected = self.expected.max(*first.key() + 1);
        Some(first.remove())
    }

    /// Does not wait for anything up to `place` (RFC 3758 §3.6). What came of it, and what follows,
    /// is in [`Stream::next_waiting`].
    pub(super) fn skip(&mut self, place: u64) {
        self.expected = self.expected.max(place + 1);
    }

    /// Unordered messages up to `place` do not come any more.
    pub(super) fn skip_unordered(&mut self, place: u64) {
        let alive_from = &mut self.unordered.alive_from;
        *alive_from = (*alive_from).max(place + 1);
    }
}
