//! What holds a TSN and is not yet cumulatively acknowledged: a ring indexed by TSN.
//!
//! Nothing here is ever scanned. Chunks in flight form a list in the order they were last sent,
//! chunks to be sent again another one in the order they were given up, and runs of gap-acked
//! chunks are skipped by the links those chunks no longer need. So a SACK costs what it newly
//! acknowledges plus its own length, however much is outstanding.

use std::collections::VecDeque;

use crate::serial::{Fsn, Tsn};
use crate::wire::padded;

/// Nanoseconds since the association was created; eight bytes where an `Instant` takes sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

/// One DATA or I-DATA chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) sent_at: Moment,
    /// Key of the message in the queue's slab.
    pub(crate) message: u32,
    /// Where in the message the fragment begins.
    pub(crate) offset: u32,
    /// Its number in the message.
    pub(crate) fsn: Fsn,
    /// The next fragment of the message, if that holds a TSN; its own TSN stands for none.
    pub(crate) sibling: Tsn,
    /// List neighbours, as TSNs; its own TSN stands for none. In a gap-acked run, `next` is a TSN
    /// up to which everything is gap-acked, exclusive.
    prev: Tsn,
    next: Tsn,
    pub(crate) len: u16,
    /// Transmissions.
    pub(crate) sends: u16,
    /// Bytes of the chunk before the user data: DATA or I-DATA.
    header: u8,
    pub(crate) state: ChunkState,
    /// In flight: what the transmission is. Lost: what declared it lost.
    pub(crate) loss: Loss,
}

// The ring of a distant fast path is 65,535 entries long and walked by every acknowledgement.
const _: () = assert!(size_of::<Entry>() <= 40);

impl Entry {
    /// Bytes of the chunk on the wire.
    pub(crate) fn wire_len(&self) -> usize {
        padded(usize::from(self.header) + usize::from(self.len))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkState {
    InFlight,
    /// To be sent again.
    Lost,
    /// Named by a gap-ack block. Kept, as the receiver may renege (RFC 9260 §6.2.1).
    Acked,
    /// Given up (RFC 3758 §3.5); to be skipped by a FORWARD-TSN.
    Abandoned,
}

/// What declared a chunk lost, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    None,
    /// RACK.
    Fast,
    /// T3-rtx, or the path came back after silence.
    Timeout,
    /// It probed a closed window; the receiver dropped it, not the network.
    WindowProbe,
}

/// What of a message a chunk holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment {
    pub(crate) message: u32,
    pub(crate) offset: u32,
    pub(crate) fsn: Fsn,
    pub(crate) len: u16,
}

#[derive(Debug, Clone, Copy, Default)]
struct List {
    ends: Option<(Tsn, Tsn)>,
    len: usize,
}

/// The ring.
#[derive(Debug)]
pub(crate) struct Outstanding {
    ring: VecDeque<Entry>,
    /// TSN of the ring's front: the cumulative TSN acknowledged, plus one.
    base: Tsn,
    in_flight: List,
    lost: List,
    flight_bytes: usize,
    flight_payload: usize,
    acked_bytes: usize,
    /// Of new chunks.
    header: u8,
}

impl Outstanding {
    /// `header`: bytes of a chunk before its user data.
    pub(crate) fn new(first: Tsn, header: u8) -> Self {
        Self {
            header,
            ring: VecDeque::new(),
            base: first,
            in_flight: List::default(),
            lost: List::default(),
            flight_bytes: 0,
            flight_payload: 0,
            acked_bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Gives memory back that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.ring.shrink_to_fit();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Lowest TSN outstanding, or the next one to be given if there is none.
    pub(crate) fn base(&self) -> Tsn {
        self.base
    }

    /// The TSN the next new chunk gets.
    pub(crate) fn next_tsn(&self) -> Tsn {
        self.base.plus(self.ring.len() as u32)
    }

    /// Bytes of DATA chunks in flight.
    pub(crate) fn flight_bytes(&self) -> usize {
        self.flight_bytes
    }

    /// Bytes of user data in flight.
    pub(crate) fn flight_payload(&self) -> usize {
        self.flight_payload
    }

    /// Bytes of DATA chunks that are gap-acked.
    pub(crate) fn acked_bytes(&self) -> usize {
        self.acked_bytes
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.lost.len > 0
    }

    pub(crate) fn get(&self, tsn: Tsn) -> Option<&Entry> {
        self.ring.get(tsn.distance_from(self.base) as usize)
    }

    fn get_mut(&mut self, tsn: Tsn) -> Option<&mut Entry> {
        self.ring.get_mut(tsn.distance_from(self.base) as usize)
    }

    /// Adds a chunk sent for the first time.
    pub(crate) fn push(&mut self, at: Moment, fragment: Fragment, loss: Loss) -> Tsn {
        let tsn = self.add(at, fragment, loss, ChunkState::InFlight);
        self.enter_flight(tsn);
        tsn
    }

    /// Adds a TSN that is never sent, for the rest of an abandoned message.
    pub(crate) fn push_abandoned(&mut self, at: Moment, fragment: Fragment) {
        self.add(at, fragment, Loss::None, ChunkState::Abandoned);
    }

    fn add(&mut self, at: Moment, fragment: Fragment, loss: Loss, state: ChunkState) -> Tsn {
        let tsn = self.next_tsn();
        self.ring.push_back(Entry {
            sent_at: at,
            message: fragment.message,
            offset: fragment.offset,
            fsn: fragment.fsn,
            sibling: tsn,
            prev: tsn,
            next: tsn,
            len: fragment.len,
            sends: u16::from(state == ChunkState::InFlight),
            header: self.header,
            state,
            loss,
        });
        tsn
    }

    /// The fragment of the same message behind `tsn`, if that is still outstanding, is `next`.
    pub(crate) fn link(&mut self, tsn: Tsn, next: Tsn) {
        if let Some(entry) = self.get_mut(tsn) {
            entry.sibling = next;
        }
    }

    /// Bytes of a new chunk before its user data.
    pub(crate) fn header(&self) -> usize {
        self.header.into()
    }

    /// The same, of chunks from now on.
    pub(crate) fn set_header(&mut self, header: u8) {
        self.header = header;
    }

    /// The chunk that is to be sent again next.
    pub(crate) fn first_lost(&self) -> Option<Tsn> {
        self.lost.ends.map(|(first, _)| first)
    }

    /// The chunk in flight that was sent longest ago.
    pub(crate) fn oldest_in_flight(&self) -> Option<(Tsn, Entry)> {
        let (first, _) = self.in_flight.ends?;
        Some((first, *self.get(first)?))
    }

    /// The chunk in flight that was sent last.
    pub(crate) fn newest_in_flight(&self) -> Option<(Tsn, Entry)> {
        let (_, last) = self.in_flight.ends?;
        Some((last, *self.get(last)?))
    }

    /// A chunk is sent again: it moves to the end of those in flight.
    pub(crate) fn resend(&mut self, tsn: Tsn, at: Moment, loss: Loss) {
        let Some(state) = self.get(tsn).map(|e| e.state) else {
            return;
        };
        match state {
            ChunkState::Lost => self.leave_lost(tsn),
            ChunkState::InFlight => self.leave_flight(tsn),
            ChunkState::Acked | ChunkState::Abandoned => return,
        }
        if let Some(entry) = self.get_mut(tsn) {
            entry.sent_at = at;
            entry.sends = entry.sends.saturating_add(1);
            entry.state = ChunkState::InFlight;
            entry.loss = loss;
        }
        self.enter_flight(tsn);
    }

    /// A chunk in flight is to be sent again.
    pub(crate) fn mark_lost(&mut self, tsn: Tsn, loss: Loss) {
        if self
            .get(tsn)
            .is_none_or(|e| e.state != ChunkState::InFlight)
        {
            return;
        }
        self.leave_flight(tsn);
        if let Some(entry) = self.get_mut(tsn) {
            entry.state = ChunkState::Lost;
            entry.loss = loss;
        }
        self.append(tsn, Which::Lost);
    }

    /// A chunk is given up.
    pub(crate) fn abandon(&mut self, tsn: Tsn) {
        let Some(state) = self.get(tsn).map(|e| e.state) else {
            return;
        };
        match state {
            ChunkState::InFlight => self.leave_flight(tsn),
            ChunkState::Lost => self.leave_lost(tsn),
            // It arrived; the cumulative acknowledgement will pass it.
            ChunkState::Acked | ChunkState::Abandoned => return,
        }
        if let Some(entry) = self.get_mut(tsn) {
            entry.state = ChunkState::Abandoned;
        }
    }

    /// Removes the front. The entry is as it was before.
    pub(crate) fn pop_front(&mut self) -> Option<(Tsn, Entry)> {
        let tsn = self.base;
        let entry = *self.ring.front()?;
        match entry.state {
            ChunkState::InFlight => self.leave_flight(tsn),
            ChunkState::Lost => self.leave_lost(tsn),
            ChunkState::Acked => self.acked_bytes -= entry.wire_len(),
            ChunkState::Abandoned => {}
        }
        self.ring.pop_front();
        self.base = tsn.next();
        Some((tsn, entry))
    }

    /// Calls `newly` for every chunk of `first..=last` that was not gap-acked before, as it was,
    /// and marks it. Abandoned ones stay so. Both ends have to be outstanding.
    pub(crate) fn gap_ack(&mut self, first: Tsn, last: Tsn, mut newly: impl FnMut(Tsn, Entry)) {
        let mut tsn = first;
        while last.is_at_least(tsn) {
            let Some(entry) = self.get(tsn).copied() else {
                return;
            };
            match entry.state {
                ChunkState::Acked => {
                    tsn = self.run_end(tsn);
                    continue;
                }
                ChunkState::InFlight => self.leave_flight(tsn),
                ChunkState::Lost => self.leave_lost(tsn),
                ChunkState::Abandoned => {
                    tsn = tsn.next();
                    continue;
                }
            }
            if let Some(entry) = self.get_mut(tsn) {
                entry.state = ChunkState::Acked;
                entry.next = tsn.next();
            }
            self.acked_bytes += entry.wire_len();
            newly(tsn, entry);
            tsn = tsn.next();
        }
    }

    /// The first TSN after `tsn` that may not be gap-acked, halving the path for the next caller.
    fn run_end(&mut self, tsn: Tsn) -> Tsn {
        let mut at = tsn;
        loop {
            let Some(next) = self
                .get(at)
                .filter(|e| e.state == ChunkState::Acked)
                .map(|e| e.next)
            else {
                return at;
            };
            let Some(after) = self
                .get(next)
                .filter(|e| e.state == ChunkState::Acked)
                .map(|e| e.next)
            else {
                return next;
            };
            if let Some(entry) = self.get_mut(at) {
                entry.next = after;
            }
            at = after;
        }
    }

    /// The receiver dropped what it had gap-acked: all of that is to be sent again. O(outstanding),
    /// and no receiver of good will comes here.
    pub(crate) fn renege(&mut self) {
        for index in 0..self.ring.len() {
            let tsn = self.base.plus(index as u32);
            if let Some(entry) = self.ring.get_mut(index)
                && entry.state == ChunkState::Acked
            {
                self.acked_bytes -= entry.wire_len();
                entry.state = ChunkState::Lost;
                entry.loss = Loss::Timeout;
                self.append(tsn, Which::Lost);
            }
        }
    }

    /// Everything in flight is lost. The list of what to send again is put in order of TSN:
    /// O(outstanding), once per timeout.
    pub(crate) fn lose_all(&mut self) {
        self.in_flight = List::default();
        self.lost = List::default();
        self.flight_bytes = 0;
        self.flight_payload = 0;
        for index in 0..self.ring.len() {
            let Some(entry) = self.ring.get_mut(index) else {
                break;
            };
            match entry.state {
                ChunkState::InFlight if entry.loss == Loss::WindowProbe => {}
                ChunkState::InFlight => entry.loss = Loss::Timeout,
                ChunkState::Lost => {}
                ChunkState::Acked | ChunkState::Abandoned => continue,
            }
            entry.state = ChunkState::Lost;
            let tsn = self.base.plus(index as u32);
            self.append(tsn, Which::Lost);
        }
    }

    fn enter_flight(&mut self, tsn: Tsn) {
        let Some(entry) = self.get(tsn) else { return };
        let (bytes, payload) = (entry.wire_len(), usize::from(entry.len));
        self.flight_bytes += bytes;
        self.flight_payload += payload;
        self.append(tsn, Which::InFlight);
    }

    fn leave_flight(&mut self, tsn: Tsn) {
        let Some(entry) = self.get(tsn) else { return };
        let (bytes, payload) = (entry.wire_len(), usize::from(entry.len));
        self.flight_bytes -= bytes;
        self.flight_payload -= payload;
        self.unlink(tsn, Which::InFlight);
    }

    fn leave_lost(&mut self, tsn: Tsn) {
        self.unlink(tsn, Which::Lost);
    }

    fn list(&mut self, which: Which) -> &mut List {
        match which {
            Which::InFlight => &mut self.in_flight,
            Which::Lost => &mut self.lost,
        }
    }

    fn append(&mut self, tsn: Tsn, which: Which) {
        let list = self.list(which);
        list.len += 1;
        let tail = list.ends.map(|(_, tail)| tail);
        list.ends = Some(match list.ends {
            Some((head, _)) => (head, tsn),
            None => (tsn, tsn),
        });
        if let Some(entry) = self.get_mut(tsn) {
            entry.next = tsn;
            entry.prev = tail.unwrap_or(tsn);
        }
        if let Some(entry) = tail.and_then(|tail| self.get_mut(tail)) {
            entry.next = tsn;
        }
    }

    fn unlink(&mut self, tsn: Tsn, which: Which) {
        let Some(&Entry { prev, next, .. }) = self.get(tsn) else {
            return;
        };
        let (before, after) = ((prev != tsn).then_some(prev), (next != tsn).then_some(next));
        if let Some(before) = before
            && let Some(entry) = self.get_mut(before)
        {
            entry.next = after.unwrap_or(before);
        }
        if let Some(after) = after
            && let Some(entry) = self.get_mut(after)
        {
            entry.prev = before.unwrap_or(after);
        }
        let list = self.list(which);
        list.len -= 1;
        list.ends = match (list.ends, before, after) {
            (Some((_, tail)), None, Some(after)) => Some((after, tail)),
            (Some((head, _)), Some(before), None) => Some((head, before)),
            (_, None, None) => None,
            (ends, Some(_), Some(_)) | (ends @ None, _, _) => ends,
        };
    }
}

#[derive(Debug, Clone, Copy)]
enum Which {
    InFlight,
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(n: u32) -> Fragment {
        Fragment {
            message: 0,
            offset: n * 100,
            fsn: Fsn(n),
            len: 100,
        }
    }

    fn filled(count: u32) -> Outstanding {
        let mut ring = Outstanding::new(Tsn(u32::MAX - 2), 16);
        for n in 0..count {
            ring.push(Moment(u64::from(n)), fragment(n), Loss::None);
        }
        ring
    }

    fn gap(ring: &mut Outstanding, first: u32, last: u32) -> Vec<u32> {
        let base = ring.base();
        let mut newly = Vec::new();
        ring.gap_ack(base.plus(first), base.plus(last), |tsn, _| {
            newly.push(tsn.distance_from(base));
        });
        newly
    }

    fn lost(ring: &Outstanding) -> Vec<u32> {
        let mut found = Vec::new();
        let mut at = ring.first_lost();
        while let Some(tsn) = at {
            found.push(tsn.distance_from(ring.base()));
            at = ring.get(tsn).map(|e| e.next).filter(|&next| next != tsn);
        }
        found
    }

    /// Only what is new is reported, whatever is repeated, across the TSN wrap.
    #[test]
    fn gap_acks_report_each_chunk_once() {
        let mut ring = filled(10);
        assert_eq!(gap(&mut ring, 2, 4), [2, 3, 4]);
        assert_eq!(gap(&mut ring, 7, 7), [7]);
        assert_eq!(gap(&mut ring, 2, 8), [5, 6, 8]);
        assert_eq!(gap(&mut ring, 1, 9), [1, 9]);
        assert_eq!(gap(&mut ring, 1, 9), [0; 0]);
        assert_eq!((ring.flight_bytes(), ring.acked_bytes()), (116, 9 * 116));
        assert_eq!(
            ring.pop_front().map(|(_, e)| e.state),
            Some(ChunkState::InFlight)
        );
        assert_eq!(ring.flight_bytes(), 0);
        while ring.pop_front().is_some() {}
        assert_eq!((ring.acked_bytes(), ring.base()), (0, Tsn(7)));
    }

    /// Repeating a block over ten thousand chunks costs links, not chunks.
    #[test]
    fn a_repeated_block_is_skipped() {
        let mut ring = filled(10_000);
        for last in 2..10_000 {
            gap(&mut ring, 1, last);
        }
        let mut steps = 0;
        let mut at = ring.base().next();
        while let Some(next) = ring.get(at).filter(|e| e.state == ChunkState::Acked) {
            at = next.next;
            steps += 1;
        }
        assert!(
            steps < 100,
            "{steps} links after the path was walked ten thousand times"
        );
    }

    /// A chunk sent again is the newest in flight, and keeps its place in the ring.
    #[test]
    fn sent_again_goes_to_the_end() {
        let mut ring = filled(4);
        let second = ring.base().next();
        ring.mark_lost(second, Loss::Fast);
        ring.mark_lost(second.next(), Loss::Fast);
        assert_eq!(lost(&ring), [1, 2]);
        assert_eq!(ring.flight_bytes(), 2 * 116);
        ring.resend(second, Moment(100), Loss::None);
        assert_eq!(lost(&ring), [2]);
        assert_eq!(
            ring.newest_in_flight().map(|(tsn, e)| (tsn, e.sends)),
            Some((second, 2))
        );
        ring.abandon(second);
        ring.abandon(second.next());
        assert_eq!((lost(&ring), ring.flight_bytes()), (vec![], 2 * 116));
        assert_eq!(
            ring.newest_in_flight().map(|(tsn, _)| tsn),
            Some(second.plus(2))
        );
    }

    /// A timeout puts everything unacknowledged in order of TSN, and reneging adds the rest.
    #[test]
    fn losing_all_and_reneging() {
        let mut ring = filled(6);
        let base = ring.base();
        ring.mark_lost(base.plus(3), Loss::Fast);
        gap(&mut ring, 4, 4);
        ring.resend(base.plus(1), Moment(50), Loss::None);
        ring.lose_all();
        assert_eq!(lost(&ring), [0, 1, 2, 3, 5]);
        assert_eq!((ring.flight_bytes(), ring.flight_payload()), (0, 0));
        ring.renege();
        assert_eq!(lost(&ring), [0, 1, 2, 3, 5, 4]);
        assert_eq!(ring.acked_bytes(), 0);
    }

    /// Random operations against a plain list: the counters, both lists and what is reported are
    /// the same after each.
    #[test]
    fn like_a_plain_list() {
        use rand::rngs::StdRng;
        use rand::{RngExt, SeedableRng};

        for seed in 0..300 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut ring = Outstanding::new(Tsn(u32::MAX - 20), 16);
            // State, when last sent or given up, in the order of TSNs.
            let mut model: VecDeque<(ChunkState, u64)> = VecDeque::new();
            for clock in 1..400_u64 {
                let base = ring.base();
                let any = rng.random_range(0..=model.len().max(1) as u32);
                let tsn = base.plus(any);
                match rng.random_range(0..8) {
                    0..3 => {
                        ring.push(Moment(clock), fragment(0), Loss::None);
                        model.push_back((ChunkState::InFlight, clock));
                    }
                    3 => {
                        ring.mark_lost(tsn, Loss::Fast);
                        if let Some(entry) = model.get_mut(any as usize)
                            && entry.0 == ChunkState::InFlight
                        {
                            *entry = (ChunkState::Lost, clock);
                        }
                    }
                    4 => {
                        let first = ring.first_lost();
                        if let Some(tsn) = first {
                            ring.resend(tsn, Moment(clock), Loss::None);
                            let index = tsn.distance_from(base) as usize;
                            model[index] = (ChunkState::InFlight, clock);
                        }
                    }
                    5 if (any as usize) < model.len() => {
                        let last = any + rng.random_range(0..model.len() as u32 - any);
                        let newly = gap(&mut ring, any, last);
                        let mut expected = Vec::new();
                        for index in any..=last {
                            let entry = &mut model[index as usize];
                            if matches!(entry.0, ChunkState::InFlight | ChunkState::Lost) {
                                entry.0 = ChunkState::Acked;
                                expected.push(index);
                            }
                        }
                        assert_eq!(newly, expected, "seed {seed}");
                    }
                    6 => {
                        ring.abandon(tsn);
                        if let Some(entry) = model.get_mut(any as usize)
                            && entry.0 != ChunkState::Acked
                        {
                            entry.0 = ChunkState::Abandoned;
                        }
                    }
                    _ => {
                        let popped = ring.pop_front().map(|(_, e)| e.state);
                        assert_eq!(popped, model.pop_front().map(|m| m.0), "seed {seed}");
                    }
                }
                let in_state = |wanted| {
                    let mut found: Vec<_> = (0..)
                        .zip(&model)
                        .filter(|(_, (state, _))| *state == wanted)
                        .map(|(index, (_, at))| (*at, index))
                        .collect();
                    found.sort_unstable();
                    found
                };
                let flying = in_state(ChunkState::InFlight);
                assert_eq!(ring.flight_bytes(), flying.len() * 116, "seed {seed}");
                assert_eq!(ring.flight_payload(), flying.len() * 100);
                assert_eq!(ring.acked_bytes(), in_state(ChunkState::Acked).len() * 116);
                let tsn = |found: Option<&(u64, u32)>| found.map(|f| ring.base().plus(f.1));
                assert_eq!(ring.oldest_in_flight().map(|f| f.0), tsn(flying.first()));
                assert_eq!(ring.newest_in_flight().map(|f| f.0), tsn(flying.last()));
                let expected: Vec<_> = in_state(ChunkState::Lost)
                    .into_iter()
                    .map(|f| f.1)
                    .collect();
                assert_eq!(lost(&ring), expected, "seed {seed}");
            }
        }
    }
}
