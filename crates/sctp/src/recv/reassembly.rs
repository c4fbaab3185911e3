//! DATA to messages (RFC 9260 §6.9).
//!
//! Fragments of a message have consecutive TSNs, so they are collected in *runs*: consecutive TSNs
//! of one message in one buffer. The run that ends at the cumulative TSN is at hand without a
//! search; appending to it is one copy. Runs behind a gap lie in a map by their first TSN, and join
//! when the gap closes.
//!
//! A violation of the rules shows at the latest when the cumulative TSN passes a run that is not
//! complete: whatever would have completed it has come, and was something else.

use std::collections::BTreeMap;

use super::Violation;
use super::buffer::Buffer;
use super::delivery::{Delivery, Label, Order};
use crate::serial::{Ppid, Ssn, StreamId};
use crate::wire::{Data, ForwardTsn};

/// Fragments of one association. Positions are TSNs that never wrap.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// The incomplete message up to the cumulative TSN.
    current: Option<Run>,
    /// Incomplete messages behind a gap, by their first position.
    runs: BTreeMap<u64, Run>,
    /// The rest of a message that FORWARD-TSN cut in two may still come.
    skipping: bool,
}

impl Reassembly {
    /// Takes the fragment after the cumulative TSN; [`Reassembly::settle`] follows.
    #[inline]
    pub(super) fn insert_in_order(
        &mut self,
        position: u64,
        data: &Data<'_>,
        out: &mut Delivery,
    ) -> Result<(), Violation> {
        if let Some(run) = &mut self.current {
            let charged = run.charge();
            run.append(position, data, out.max_message_size)?;
            out.recharge(charged, run.charge());
            if !run.end {
                return self.join_next(position, data, out);
            }
            let run = self.current.take().expect("matched above");
            finish(run, out);
            Ok(())
        } else if !data.flags.is_begin() {
            if !self.skipping {
                return Err(Violation::Fragments(data.tsn));
            }
            out.skip();
            Ok(())
        } else {
            self.skipping = false;
            if data.flags.is_end() {
                return finish_whole(data, out);
            }
            self.current = Some(Run::start(position, data, out)?);
            self.join_next(position, data, out)
        }
    }

    /// Takes a fragment behind a gap.
    pub(super) fn insert_ahead(
        &mut self,
        position: u64,
        data: &Data<'_>,
        out: &mut Delivery,
    ) -> Result<(), Violation> {
        let before = self.runs.range_mut(..position).next_back();
        if let Some((&first, run)) = before.filter(|(_, run)| run.next == position && !run.end) {
            let charged = run.charge();
            run.append(position, data, out.max_message_size)?;
            out.recharge(charged, run.charge());
            return self.join(first, position, data, out);
        }
        if data.flags.is_begin() && data.flags.is_end() {
            self.check_follower(position, data)?;
            return finish_whole(data, out);
        }
        self.runs.insert(position, Run::start(position, data, out)?);
        self.join(position, position, data, out)
    }

    /// The cumulative TSN moved to `cumulative`: what ends there is the current message.
    #[inline]
    pub(super) fn settle(
        &mut self,
        cumulative: u64,
        data: &Data<'_>,
        out: &mut Delivery,
    ) -> Result<(), Violation> {
        if !self.runs.is_empty() {
            self.settle_runs(cumulative, out)
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
        out: &mut Delivery,
    ) -> Result<(), Violation> {
        if let Some(run) = self.current.take() {
            out.give_up(run.charge());
        }
        while let Some(first) = self
            .runs
            .first_entry()
            .filter(|first| *first.key() <= up_to)
        {
            out.give_up(first.remove().charge());
        }
        self.skipping = true;
        for skipped in forward
            .skipped
            .iter()
            .filter(|skipped| skipped.stream.0 < streams)
        {
            let stream = out.streams.stream(skipped.stream);
            if let Some(place) = stream.place_of_ssn(skipped.ssn) {
                stream.skip(place);
            }
            out.deliver_waiting(skipped.stream);
        }
        self.settle_runs(cumulative, out)
            .map_err(|()| Violation::Fragments(forward.new_cumulative_tsn))
    }

    /// Cost of the message that the cumulative TSN is in.
    #[inline]
    pub(super) fn current_cost(&self) -> usize {
        self.current.as_ref().map_or(0, Run::charge)
    }

    /// Cost of everything here.
    #[cfg(test)]
    pub(super) fn charge(&self) -> usize {
        let runs = self.runs.values().chain(&self.current);
        runs.map(Run::charge).sum()
    }

    /// Joins the current run with one that starts behind `position`, its last.
    #[inline]
    fn join_next(
        &mut self,
        position: u64,
        data: &Data<'_>,
        out: &mut Delivery,
    ) -> Result<(), Violation> {
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
        run.absorb(&follower, data, out.max_message_size)?;
        out.recharge(charged, run.charge());
        if run.end {
            let run = self.current.take().expect("borrowed above");
            finish(run, out);
        }
        Ok(())
    }

    /// The same for the run that starts at `first`.
    fn join(
        &mut self,
        first: u64,
        position: u64,
        data: &Data<'_>,
        out: &mut Delivery,
    ) -> Result<(), Violation> {
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
            run.absorb(&follower, data, out.max_message_size)?;
            out.recharge(charged, run.charge());
        }
        if run.begin && run.end {
            let run = self.runs.remove(&first).expect("borrowed above");
            finish(run, out);
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

    fn settle_runs(&mut self, cumulative: u64, out: &mut Delivery) -> Result<(), ()> {
        while let Some(first) = self
            .runs
            .first_entry()
            .filter(|first| *first.key() <= cumulative)
        {
            let run = first.remove();
            if self.skipping && !run.begin {
                out.give_up(run.charge());
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
}

#[inline]
fn finish_whole(data: &Data<'_>, out: &mut Delivery) -> Result<(), Violation> {
    let order = order(data.stream, data.flags.is_unordered(), data.ssn, out);
    let label = Label {
        stream: data.stream,
        ppid: data.ppid,
        order,
    };
    out.finish_whole(label, data.payload)
}

fn finish(run: Run, out: &mut Delivery) {
    let label = Label {
        stream: run.stream,
        ppid: run.ppid,
        order: order(run.stream, run.unordered, run.ssn, out),
    };
    let charge = run.charge();
    out.finish(label, run.buffer, charge);
}

#[inline]
fn order(stream: StreamId, unordered: bool, ssn: Ssn, out: &mut Delivery) -> Order {
    if unordered {
        return Order::Unordered;
    }
    let place = out.streams.stream(stream).place_of_ssn(ssn);
    place.map_or(Order::Stale, Order::Place)
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
    buffer: Buffer,
}

impl Run {
    fn start(position: u64, data: &Data<'_>, out: &mut Delivery) -> Result<Self, Violation> {
        let begin = data.flags.is_begin();
        let mut run = Self {
            next: position,
            stream: data.stream,
            ssn: data.ssn,
            ppid: data.ppid,
            unordered: data.flags.is_unordered(),
            begin,
            end: false,
            buffer: out.buffer(begin, data.payload.len()),
        };
        run.push(data, out.max_message_size)?;
        out.recharge(0, run.charge());
        Ok(run)
    }

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
        self.buffer.push(data.payload, max, self.stream)?;
        self.next += 1;
        self.end = data.flags.is_end();
        Ok(())
    }

    /// Appends the run that follows; `data` is the fragment that closed the gap.
    fn absorb(&mut self, follower: &Run, data: &Data<'_>, max: usize) -> Result<(), Violation> {
        let continues = !self.end
            && !follower.begin
            && self.stream == follower.stream
            && self.unordered == follower.unordered
            && (self.unordered || self.ssn == follower.ssn);
        if !continues {
            return Err(Violation::Fragments(data.tsn));
        }
        self.buffer.absorb(&follower.buffer, max, self.stream)?;
        self.next = follower.next;
        self.end = follower.end;
        Ok(())
    }

    /// What it costs while it is incomplete.
    #[inline]
    fn charge(&self) -> usize {
        self.buffer.capacity() + RUN_OVERHEAD
    }
}

/// What a run takes beside its buffer: a node of a sparsely filled map and the buffer's header.
pub(super) const RUN_OVERHEAD: usize = 256;
