//! Whose turn it is: the seam for other policies (RFC 8260 §3).

use std::collections::VecDeque;
use std::fmt::Debug;

use crate::serial::StreamId;

/// A policy. Called with the association locked: O(1), no I/O.
pub(crate) trait Schedule: Debug {
    /// A stream that had nothing to send now has.
    fn activate(&mut self, stream: StreamId);
    /// The stream to send from. The same until [`Self::message_ended`], because without interleaving the
    /// fragments of a message have consecutive TSNs (RFC 9260 §6.9).
    fn current(&self) -> Option<StreamId>;
    /// The current stream's message is completely sent, or given up; `more` if another follows.
    fn message_ended(&mut self, more: bool);
    /// A stream that is not the current one has nothing to send any more. O(streams).
    fn deactivate(&mut self, stream: StreamId);
    fn clear(&mut self);
}

/// The closed set of policies.
#[derive(Debug)]
pub(crate) enum Scheduler {
    RoundRobin(RoundRobin),
}

impl Scheduler {
    pub(crate) fn round_robin() -> Self {
        Self::RoundRobin(RoundRobin::default())
    }

    /// The streams with something to send.
    pub(crate) fn active(&self) -> impl Iterator<Item = StreamId> + '_ {
        match self {
            Self::RoundRobin(s) => s.turns.iter().copied(),
        }
    }
}

impl Schedule for Scheduler {
    fn activate(&mut self, stream: StreamId) {
        match self {
            Self::RoundRobin(s) => s.activate(stream),
        }
    }
    fn current(&self) -> Option<StreamId> {
        match self {
            Self::RoundRobin(s) => s.current(),
        }
    }
    fn message_ended(&mut self, more: bool) {
        match self {
            Self::RoundRobin(s) => s.message_ended(more),
        }
    }
    fn deactivate(&mut self, stream: StreamId) {
        match self {
            Self::RoundRobin(s) => s.deactivate(stream),
        }
    }
    fn clear(&mut self) {
        match self {
            Self::RoundRobin(s) => s.clear(),
        }
    }
}

/// One message a stream, in turn.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    turns: VecDeque<StreamId>,
}

impl Schedule for RoundRobin {
    fn activate(&mut self, stream: StreamId) {
        self.turns.push_back(stream);
    }

    fn current(&self) -> Option<StreamId> {
        self.turns.front().copied()
    }

    fn message_ended(&mut self, more: bool) {
        if let Some(stream) = self.turns.pop_front()
            && more
        {
            self.turns.push_back(stream);
        }
    }

    fn deactivate(&mut self, stream: StreamId) {
        self.turns.retain(|&s| s != stream);
    }

    fn clear(&mut self) {
        self.turns.clear();
    }
}
