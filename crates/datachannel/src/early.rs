//! Messages for streams that have no channel yet.
//!
//! They are legitimate in two cases: the application at this end opens a negotiated channel later
//! than its peer; or a stream is used again by the peer, which knows that both directions are
//! reset, while the answer that tells us so was lost (RFC 6525 §5.2.7).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use peerloom_sctp::{ReceivedMessage, StreamId};

use crate::limits::Limits;

/// A queue in order of arrival. It is short ([`Limits::early_messages`]) and nearly always empty,
/// so that looking for a stream in it is a constant effort.
#[derive(Debug)]
pub(crate) struct Early {
    held: VecDeque<Held>,
    cost: usize,
    max_messages: usize,
    max_cost: usize,
    hold: Duration,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) stream: StreamId,
    pub(crate) what: Arrival,
    deadline: Instant,
}

#[derive(Debug)]
pub(crate) enum Arrival {
    Message(ReceivedMessage),
    Reset,
}

impl Early {
    pub(crate) fn new(limits: &Limits, receive_window: usize) -> Self {
        Self {
            held: VecDeque::new(),
            cost: 0,
            max_messages: limits.early_messages,
            // Held messages keep the window closed; a quarter leaves it usable for the others.
            max_cost: limits.early_bytes.min(receive_window / 4),
            hold: limits.early_hold.max(MIN_HOLD),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        // All are held equally long, so the first to come is the first to expire.
        self.held.front().map(|held| held.deadline)
    }

    /// Gives `what` back if there is no room.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        stream: StreamId,
        what: Arrival,
    ) -> Result<(), Arrival> {
        let cost = what.cost();
        if self.held.len() >= self.max_messages || self.cost + cost > self.max_cost {
            return Err(what);
        }
        self.cost += cost;
        self.held.push_back(Held {
            stream,
            what,
            deadline: now + self.hold,
        });
        Ok(())
    }

    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Held> {
        if self.deadline()? > now {
            return None;
        }
        let held = self.held.pop_front()?;
        self.cost -= held.what.cost();
        Some(held)
    }

    /// Everything held for `stream`, in order of arrival.
    pub(crate) fn take(&mut self, stream: StreamId) -> Vec<Arrival> {
        if !self.held.iter().any(|held| held.stream == stream) {
            return Vec::new();
        }
        let (taken, kept): (VecDeque<_>, VecDeque<_>) =
            self.held.drain(..).partition(|held| held.stream == stream);
        self.held = kept;
        let taken: Vec<_> = taken.into_iter().map(|held| held.what).collect();
        self.cost -= taken.iter().map(Arrival::cost).sum::<usize>();
        taken
    }

    /// Forgets everything; returns the receive window it held.
    pub(crate) fn clear(&mut self) -> usize {
        self.held.clear();
        std::mem::take(&mut self.cost)
    }
}

impl Arrival {
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Message(message) => message.cost,
            Self::Reset => 0,
        }
    }
}

/// The second use of a stream waits for the answer to our reset whatever the limits say.
const MIN_HOLD: Duration = Duration::from_secs(1);
