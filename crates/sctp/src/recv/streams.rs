//! Where each incoming stream is: the next SSN, and complete messages that wait for an earlier one.

use std::collections::BTreeMap;

use crate::event::ReceivedMessage;
use crate::serial::{Ssn, StreamId};

/// All incoming streams, in pages that exist once a stream of theirs was used: an id costs no
/// search, and an unused one almost nothing.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pages: Vec<Option<Box<[Stream; PAGE]>>>,
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The next SSN to deliver is its low half; the rest makes the waiting ones sortable.
    expected: u64,
    waiting: BTreeMap<u64, ReceivedMessage>,
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
        let (page, slot) = (usize::from(id.0) / PAGE, usize::from(id.0) % PAGE);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        &mut self.pages[page].get_or_insert_with(Box::default)[slot]
    }

    /// Cost of all that wait.
    #[cfg(test)]
    pub(super) fn waiting_cost(&self) -> usize {
        let streams = self.pages.iter().flatten().flat_map(|page| page.iter());
        streams
            .flat_map(|stream| stream.waiting.values())
            .map(|message| message.cost)
            .sum()
    }

    /// Starts `id` again at SSN 0. Returns what waited.
    pub(super) fn reset(&mut self, id: StreamId) -> impl Iterator<Item = ReceivedMessage> + use<> {
        let slot = usize::from(id.0) % PAGE;
        let page = self
            .pages
            .get_mut(usize::from(id.0) / PAGE)
            .and_then(Option::as_mut);
        page.map(|page| std::mem::take(&mut page[slot]))
            .into_iter()
            .flat_map(|stream| stream.waiting.into_values())
    }

    /// The same for all of them.
    pub(super) fn reset_all(&mut self) -> impl Iterator<Item = ReceivedMessage> + use<> {
        std::mem::take(&mut self.pages)
            .into_iter()
            .flatten()
            .flat_map(|page| *page)
            .flat_map(|stream| stream.waiting.into_values())
    }
}

impl Stream {
    #[inline]
    pub(super) fn accept(&mut self, ssn: Ssn, message: ReceivedMessage) -> Ordered {
        let ahead = ssn.distance_from(self.expected_ssn());
        if ahead == 0 {
            self.expected += 1;
            return Ordered::Deliver(message);
        }
        if !ssn.is_newer_than(self.expected_ssn()) {
            return Ordered::Stale(message);
        }
        match self
            .waiting
            .insert(self.expected + u64::from(ahead), message)
        {
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

    /// Does not wait for anything up to `ssn` (RFC 3758 §3.6). What came of it, and what follows,
    /// is in [`Stream::next_waiting`].
    pub(super) fn skip(&mut self, ssn: Ssn) {
        if ssn.is_at_least(self.expected_ssn()) {
            self.expected += u64::from(ssn.distance_from(self.expected_ssn())) + 1;
        }
    }

    fn expected_ssn(&self) -> Ssn {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is the SSN")]
        Ssn(self.expected as u16)
    }
}

/// Streams per page; a page is 1 KiB.
const PAGE: usize = 32;
