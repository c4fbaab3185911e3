//! Fragments to messages (RFC 9260 §6.9).
//!
//! Fragments of a message have consecutive TSNs, so they are collected in *runs*: consecutive TSNs
//! of one message in one buffer. The run that ends at the cumulative TSN is at hand without a
//! search; appending to it is one copy. Runs behind a gap lie in a map by their first TSN, and join
//! when the gap closes.
//!
//! A violation of the rules shows at the latest when the cumulative TSN passes a run that is not
//! complete: whatever would have completed it has come, and was something else.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::Violation;
use super::arena::Arena;
use super::streams::{Ordered, Streams};
use crate::event::ReceivedMessage;
use crate::serial::{Ppid, Ssn, StreamId};
use crate::wire::{Data, ForwardTsn};

/// Fragments and messages of one association. Positions are TSNs that never wrap.
#[derive(Debug)]
pub(super) struct Reassembly {
    max_message_size: usize,
    /// Up to here a first fragment gets room for a whole message at once.
    generous_below: usize,
    /// The incomplete message up to the cumulative TSN.
    current: Option<Run>,
    /// Incomplete messages behind a gap, by their first position.
    runs: BTreeMap<u64, Run>,
    streams: Streams,
    ready: VecDeque<ReceivedMessage>,
    ready_cost: usize,
    arena: Arena,
    /// Cost of everything here: runs, messages that wait for their turn, messages that are ready.
    held: usize,
    mix: Mix,
    /// About the size of the last messages in several fragments.
    size_hint: usize,
    /// The rest of a message that FORWARD-TSN cut in two may still come.
    skipping: bool,
    skipped: u64,
}

impl Reassembly {
    pub(super) fn new(window: usize, max_message_size: usize) -> Self {
        Self {
            max_message_size,
            generous_below: window / 2,
            current: None,
            runs: BTreeMap::new(),
            streams: Streams::default(),
            ready: VecDeque::new(),
            ready_cost: 0,
            arena: Arena::default(),
            held: 0,
            mix: Mix::default(),
            size_hint: 0,
            skipping: false,
            skipped: 0,
        }
    }

    /// Another receive window.
    pub(super) fn set_window(&mut self, window: usize) {
        self.generous_below = window / 2;
    }

    /// Takes the fragment after the cumulative TSN; [`Reassembly::settle`] follows.
    #[inline]
    pub(super) fn insert_in_order(
        &mut self,
        position: u64,
        data: &Data<'_>,
    ) -> Result<(), Violation> {
        if let Some(run) = &mut self.current {
            let charged = run.charge();
            run.append(position, data, self.max_message_size)?;
            self.held = self.held - charged + run.charge();
            if !run.end {
                return self.join_next(position, data);
            }
            let run = self.current.take().expect("matched above");
            self.finish(run)
        } else if !data.flags.is_begin() {
            if !self.skipping {
                return Err(Violation::Fragments(data.tsn));
            }
            self.skipped += 1;
            Ok(())
        } else {
            self.skipping = false;
            if data.flags.is_end() {
                return self.finish_whole(data);
            }
            let run = self.start_run(position, data)?;
            self.current = Some(run);
            self.join_next(position, data)
        }
    }

    /// Takes a fragment behind a gap.
    pub(super) fn insert_ahead(&mut self, position: u64, data: &Data<'_>) -> Result<(), Violation> {
        let before = self.runs.range_mut(..position).next_back();
        if let Some((&first, run)) = before.filter(|(_, run)| run.next == position && !run.end) {
            let charged = run.charge();
            run.append(position, data, self.max_message_size)?;
            self.held = self.held - charged + run.charge();
            return self.join(first, position, data);
        }
        if data.flags.is_begin() && data.flags.is_end() {
            self.check_follower(position, data)?;
            return self.finish_whole(data);
        }
        let run = self.start_run(position, data)?;
        self.runs.insert(position, run);
        self.join(position, position, data)
    }

    /// The cumulative TSN moved to `cumulative`: what ends there is the current message.
    #[inline]
    pub(super) fn settle(&mut self, cumulative: u64, data: &Data<'_>) -> Result<(), Violation> {
        if !self.runs.is_empty() {
            self.settle_runs(cumulative)
                .map_err(|()| Violation::Fragments(data.tsn))?;
        }
        match &self.current {
            Some(run) if run.next != cumulative + 1 => Err(Violation::Fragments(data.tsn)),
            _ => Ok(()),
        }
    }

    /// Everything up to `up_to` is given up unless it is complete, and the cumulative TSN moved to
    /// `cumulative` (RFC 3758 §3.6).
    pub(super) fn forward(
        &mut self,
        forward: &ForwardTsn,
        up_to: u64,
        cumulative: u64,
        streams: u16,
    ) -> Result<(), Violation> {
        if let Some(run) = self.current.take() {
            self.give_up(&run);
        }
        while let Some(first) = self
            .runs
            .first_entry()
            .filter(|first| *first.key() <= up_to)
        {
            let run = first.remove();
            self.give_up(&run);
        }
        self.skipping = true;
        for skipped in forward
            .skipped
            .iter()
            .filter(|skipped| skipped.stream.0 < streams)
        {
            self.streams.stream(skipped.stream).skip(skipped.ssn);
            self.deliver_waiting(skipped.stream);
        }
        self.settle_runs(cumulative)
            .map_err(|()| Violation::Fragments(forward.new_cumulative_tsn))
    }

    /// Streams start again at SSN 0; none named means all.
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

    /// Cost of what [`Reassembly::pop`] would return.
    #[inline]
    pub(super) fn ready_cost(&self) -> usize {
        self.ready_cost
    }

    /// Cost of the message that the cumulative TSN is in.
    #[inline]
    pub(super) fn current_cost(&self) -> usize {
        self.current.as_ref().map_or(0, Run::charge)
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
    pub(super) fn check(&self) {
        let runs = self
            .runs
            .values()
            .chain(&self.current)
            .map(Run::charge)
            .sum::<usize>();
        let ready = self.ready.iter().map(|message| message.cost).sum::<usize>();
        assert_eq!(self.ready_cost, ready);
        assert_eq!(self.held, runs + ready + self.streams.waiting_cost());
    }

    fn start_run(&mut self, position: u64, data: &Data<'_>) -> Result<Run, Violation> {
        let generous = data.flags.is_begin() && self.held < self.generous_below;
        let hint = if generous {
            self.size_hint.min(self.generous_below / 8)
        } else {
            0
        };
        let mut run = Run {
            next: position,
            stream: data.stream,
            ssn: data.ssn,
            ppid: data.ppid,
            unordered: data.flags.is_unordered(),
            begin: data.flags.is_begin(),
            end: false,
            buffer: Vec::with_capacity(hint.max(data.payload.len())),
        };
        run.push(data, self.max_message_size)?;
        self.held += run.charge();
        Ok(run)
    }

    /// Joins the current run with one that starts behind `position`, its last.
    #[inline]
    fn join_next(&mut self, position: u64, data: &Data<'_>) -> Result<(), Violation> {
        if self.runs.is_empty() {
            return Ok(());
        }
        let Some(follower) = self.runs.remove(&(position + 1)) else {
            return Ok(());
        };
        let run = self
            .current
            .as_mut()
            .expect("the caller just appended to it");
        let charged = run.charge() + follower.charge();
        run.absorb(follower, data, self.max_message_size)?;
        self.held = self.held - charged + run.charge();
        if run.end {
            let run = self.current.take().expect("borrowed above");
            return self.finish(run);
        }
        Ok(())
    }

    /// The same for the run that starts at `first`.
    fn join(&mut self, first: u64, position: u64, data: &Data<'_>) -> Result<(), Violation> {
        self.check_follower(position, data)?;
        let follower = if data.flags.is_end() {
            None
        } else {
            self.runs.remove(&(position + 1))
        };
        let Some(run) = self.runs.get_mut(&first) else {
            return Ok(());
        };
        if let Some(follower) = follower {
            let charged = run.charge() + follower.charge();
            run.absorb(follower, data, self.max_message_size)?;
            self.held = self.held - charged + run.charge();
        }
        if run.begin && run.end {
            let run = self.runs.remove(&first).expect("borrowed above");
            return self.finish(run);
        }
        Ok(())
    }

    /// What starts behind a last fragment starts a message.
    fn check_follower(&self, position: u64, data: &Data<'_>) -> Result<(), Violation> {
        match self.runs.get(&(position + 1)) {
            Some(follower) if data.flags.is_end() != follower.begin => {
                Err(Violation::Fragments(data.tsn))
            }
            _ => Ok(()),
        }
    }

    fn settle_runs(&mut self, cumulative: u64) -> Result<(), ()> {
        while let Some(first) = self
            .runs
            .first_entry()
            .filter(|first| *first.key() <= cumulative)
        {
            let run = first.remove();
            if self.skipping && !run.begin {
                self.give_up(&run);
                continue;
            }
            self.skipping = false;
            if !run.begin || run.next != cumulative + 1 || self.current.is_some() {
                return Err(());
            }
            self.current = Some(run);
        }
        Ok(())
    }

    fn give_up(&mut self, run: &Run) {
        self.held -= run.charge();
        self.skipped += 1;
    }

    #[inline]
    fn finish_whole(&mut self, data: &Data<'_>) -> Result<(), Violation> {
        if data.payload.len() > self.max_message_size {
            return Err(Violation::MessageTooLarge(data.stream));
        }
        let payload = self.arena.copy(data.stream, data.payload);
        let cost = payload.len() + MESSAGE_OVERHEAD;
        self.mix.add(payload.len(), cost);
        self.held += cost;
        self.deliver(
            data.ssn,
            ReceivedMessage {
                stream: data.stream,
                ppid: data.ppid,
                payload,
                ordered: !data.flags.is_unordered(),
                cost,
            },
        );
        Ok(())
    }

    fn finish(&mut self, mut run: Run) -> Result<(), Violation> {
        let len = run.buffer.len();
        self.held -= run.charge();
        self.size_hint = if len >= self.size_hint {
            len
        } else {
            (self.size_hint * 3 + len) / 4
        };
        if run.buffer.capacity() > len + len / 8 {
            run.buffer.shrink_to_fit();
        }
        let cost = run.buffer.capacity() + MESSAGE_OVERHEAD;
        self.mix.add(len, cost);
        self.held += cost;
        self.deliver(
            run.ssn,
            ReceivedMessage {
                stream: run.stream,
                ppid: run.ppid,
                payload: Bytes::from(run.buffer),
                ordered: !run.unordered,
                cost,
            },
        );
        Ok(())
    }

    #[inline]
    fn deliver(&mut self, ssn: Ssn, message: ReceivedMessage) {
        if !message.ordered {
            self.push_ready(message);
            return;
        }
        let stream = message.stream;
        match self.streams.stream(stream).accept(ssn, message) {
            Ordered::Deliver(message) => {
                self.push_ready(message);
                self.deliver_waiting(stream);
            }
            Ordered::Waits => {}
            Ordered::Stale(message) => {
                self.held -= message.cost;
                self.skipped += 1;
            }
        }
    }

    #[inline]
    fn deliver_waiting(&mut self, stream: StreamId) {
        while let Some(message) = self.streams.stream(stream).next_waiting() {
            self.push_ready(message);
        }
    }

    #[inline]
    fn push_ready(&mut self, message: ReceivedMessage) {
        self.ready_cost += message.cost;
        self.ready.push_back(message);
    }
}

/// Consecutive fragments of one message.
#[derive(Debug)]
struct Run {
    /// The position after the last.
    next: u64,
    stream: StreamId,
    ssn: Ssn,
    ppid: Ppid,
    unordered: bool,
    /// It has the first fragment.
    begin: bool,
    /// It has the last one.
    end: bool,
    buffer: Vec<u8>,
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

/// The mix is that of about as many bytes.
const MIX_MEMORY: usize = 256 << 10;

/// Messages of a few bytes must not close the window for what comes after them.
const SMALLEST_SHARE: usize = 8;

impl Run {
    /// Appends the fragment at `position`, which is the next one.
    #[inline]
    fn append(&mut self, position: u64, data: &Data<'_>, max: usize) -> Result<(), Violation> {
        let continues = self.next == position
            && !data.flags.is_begin()
            && self.stream == data.stream
            && self.unordered == data.flags.is_unordered()
            && (self.unordered || self.ssn == data.ssn);
        if !continues {
            return Err(Violation::Fragments(data.tsn));
        }
        self.push(data, max)
    }

    #[inline]
    fn push(&mut self, data: &Data<'_>, max: usize) -> Result<(), Violation> {
        self.reserve(data.payload.len(), max)?;
        self.buffer.extend_from_slice(data.payload);
        self.next += 1;
        self.end = data.flags.is_end();
        Ok(())
    }

    /// Appends the run that follows; `data` is the fragment that closed the gap.
    fn absorb(&mut self, follower: Run, data: &Data<'_>, max: usize) -> Result<(), Violation> {
        let continues = !self.end
            && !follower.begin
            && self.stream == follower.stream
            && self.unordered == follower.unordered
            && (self.unordered || self.ssn == follower.ssn);
        if !continues {
            return Err(Violation::Fragments(data.tsn));
        }
        self.reserve(follower.buffer.len(), max)?;
        self.buffer.extend_from_slice(&follower.buffer);
        self.next = follower.next;
        self.end = follower.end;
        Ok(())
    }

    /// Doubles small buffers; large ones grow by an eighth, so that a huge message costs little
    /// more than its size.
    #[inline]
    fn reserve(&mut self, more: usize, max: usize) -> Result<(), Violation> {
        let len = self.buffer.len();
        if more > max.saturating_sub(len) {
            return Err(Violation::MessageTooLarge(self.stream));
        }
        if self.buffer.capacity() - len < more {
            let step = if len < LARGE { len } else { len / 8 };
            self.buffer.reserve_exact(step.min(max - len).max(more));
        }
        Ok(())
    }

    /// What it costs while it is incomplete.
    #[inline]
    fn charge(&self) -> usize {
        self.buffer.capacity() + RUN_OVERHEAD
    }
}

/// What a complete message takes beside its bytes: its entry here and in an inbox (both queues
/// double when they grow), the header of its memory, or its node in the map of those that wait.
pub(super) const MESSAGE_OVERHEAD: usize = 192;

/// What a run takes beside its buffer: a node of a sparsely filled map and the buffer's header.
const RUN_OVERHEAD: usize = 256;

/// Where buffers stop doubling.
const LARGE: usize = 256 << 10;
