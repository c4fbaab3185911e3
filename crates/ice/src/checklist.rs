//! Pairs and the order of their checks (RFC 8445 §6.1.2, §6.1.4).

use crate::check::{Backoff, Outstanding};
use crate::event::{LocalId, Role};
use crate::stats::PairState;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Names a pair while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PairId(usize);

/// A socket of ours and an address of the remote. Local reflexive candidates have no pairs of
/// their own: they are sent from their base and would be pruned (RFC 8445 §6.1.2.4).
#[derive(Debug)]
pub(crate) struct Pair {
    /// For statistics: other than [`PairId`], never used again.
    pub(crate) number: u64,
    pub(crate) local: LocalId,
    pub(crate) destination: SocketAddr,
    /// Index among the remote candidates.
    pub(crate) remote: usize,
    /// Priorities of the candidates.
    pub(crate) priorities: (u32, u32),
    pub(crate) priority: u64,
    /// Both are host candidates.
    pub(crate) direct: bool,
    pub(crate) foundation: (String, String),
    pub(crate) state: PairState,
    pub(crate) backoff: Backoff,
    pub(crate) first_sent: Option<Instant>,
    pub(crate) outstanding: Outstanding,
    /// The remote has shown on this pair that it knows the credentials.
    pub(crate) authenticated: bool,
    pub(crate) last_answer: Option<Instant>,
    /// When the remote last nominated it.
    pub(crate) nominated_at: Option<Instant>,
    /// Our address as the remote sees it.
    pub(crate) mapped: Option<SocketAddr>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) total_rtt: Duration,
    pub(crate) counters: PairCounters,
}

impl Pair {
    /// A check was answered after `rtt`.
    pub(crate) fn measured(&mut self, rtt: Duration) {
        self.rtt = Some(rtt);
        self.total_rtt += rtt;
        self.counters.responses_received += 1;
    }
}

/// Counters of a pair, as in [`PairStats`](crate::PairStats).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct PairCounters {
    pub(crate) requests_sent: u64,
    pub(crate) consent_requests_sent: u64,
    pub(crate) requests_received: u64,
    pub(crate) responses_sent: u64,
    pub(crate) responses_received: u64,
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
}

/// Datagrams of a pair in one direction that are no checks.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) last: Option<Instant>,
}

impl Traffic {
    pub(crate) fn add(&mut self, now: Instant, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
        self.last = Some(now);
    }
}

/// What a new pair is made of.
#[derive(Debug)]
pub(crate) struct NewPair {
    pub(crate) number: u64,
    pub(crate) local: LocalId,
    pub(crate) destination: SocketAddr,
    pub(crate) remote: usize,
    pub(crate) priorities: (u32, u32),
    pub(crate) direct: bool,
    pub(crate) foundation: (String, String),
    /// The remote has already shown itself there.
    pub(crate) authenticated: bool,
}

/// The checklist. One component, one data stream.
#[derive(Debug, Default)]
pub(crate) struct Checklist {
    slots: Vec<Option<Pair>>,
    index: HashMap<(LocalId, SocketAddr), PairId>,
    /// With the time of the trigger.
    triggered: VecDeque<(PairId, Instant)>,
    /// First attempts and repetitions take turns, so that neither starves the other.
    repeat_next: bool,
}

impl Checklist {
    pub(crate) fn find(&self, local: LocalId, destination: SocketAddr) -> Option<PairId> {
        self.index.get(&(local, destination)).copied()
    }

    /// # Panics
    ///
    /// Never: whoever keeps an id removes it with the pair.
    pub(crate) fn pair(&self, id: PairId) -> &Pair {
        self.slots[id.0]
            .as_ref()
            .expect("ids are dropped with their pair")
    }

    pub(crate) fn pair_mut(&mut self, id: PairId) -> &mut Pair {
        self.slots[id.0]
            .as_mut()
            .expect("ids are dropped with their pair")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PairId, &Pair)> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(i, p)| Some((PairId(i), p.as_ref()?)))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (PairId, &mut Pair)> + '_ {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(i, p)| Some((PairId(i), p.as_mut()?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Adds a pair. When the list is full a less promising one has to go; `keep` says which must
    /// not. `None` when there is none.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        new: NewPair,
        role: Role,
        max: usize,
        keep: impl Fn(PairId) -> bool,
    ) -> Option<PairId> {
        let priority = pair_priority(role, new.priorities);
        if self.len() >= max {
            let victim = self.victim(priority, new.authenticated, keep)?;
            self.remove(victim);
        }
        // RFC 8445 §6.1.2.6: of pairs with one foundation, one is checked first.
        let frozen = self.iter().any(|(_, p)| {
            p.foundation == new.foundation
                && matches!(p.state, PairState::Waiting | PairState::InProgress)
        });
        let state = if frozen {
            PairState::Frozen
        } else {
            PairState::Waiting
        };
        let key = (new.local, new.destination);
        let pair = Pair {
            number: new.number,
            local: new.local,
            destination: new.destination,
            remote: new.remote,
            priorities: new.priorities,
            priority,
            direct: new.direct,
            foundation: new.foundation,
            state,
            backoff: Backoff::start(now),
            first_sent: None,
            outstanding: Outstanding::default(),
            authenticated: new.authenticated,
            last_answer: None,
            nominated_at: None,
            mapped: None,
            rtt: None,
            total_rtt: Duration::ZERO,
            counters: PairCounters::default(),
        };
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(pair);
        self.index.insert(key, PairId(slot));
        Some(PairId(slot))
    }

    pub(crate) fn remove(&mut self, id: PairId) {
        if let Some(pair) = self.slots[id.0].take() {
            self.index.remove(&(pair.local, pair.destination));
            self.triggered.retain(|(t, _)| *t != id);
        }
    }

    /// Recomputes the priorities, after a role switch or a candidate's change.
    pub(crate) fn reprioritise(&mut self, role: Role) {
        for (_, pair) in self.iter_mut() {
            pair.priority = pair_priority(role, pair.priorities);
        }
    }

    /// A triggered check (RFC 8445 §7.3.1.4): goes before all others.
    pub(crate) fn trigger(&mut self, now: Instant, id: PairId) {
        let pair = self.pair_mut(id);
        if pair.state != PairState::Succeeded {
            pair.state = PairState::Waiting;
            pair.first_sent = None;
            pair.backoff = Backoff::start(now);
        }
        if !self.triggered.iter().any(|(t, _)| *t == id) {
            self.triggered.push_back((id, now));
        }
    }

    /// The pair to check now, if any is due.
    pub(crate) fn next(&mut self, now: Instant) -> Option<PairId> {
        if let Some((id, _)) = self.triggered.pop_front() {
            return Some(id);
        }
        let due = |p: &Pair| p.backoff.is_due(now);
        let rank = |p: &Pair| (p.state != PairState::Frozen, p.priority);
        let first = self
            .iter()
            .filter(|(_, p)| matches!(p.state, PairState::Waiting | PairState::Frozen) && due(p))
            .max_by_key(|(_, p)| rank(p));
        let repeat = self
            .iter()
            .filter(|(_, p)| p.state == PairState::InProgress && due(p))
            .min_by_key(|(_, p)| p.backoff.next());
        let id = match (first, repeat) {
            (Some((first, _)), Some((repeat, _))) => {
                if self.repeat_next {
                    repeat
                } else {
                    first
                }
            }
            (Some((id, _)), None) | (None, Some((id, _))) => id,
            (None, None) => return None,
        };
        self.repeat_next = !self.repeat_next;
        Some(id)
    }

    /// When the next check is due, the pacer aside.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let triggered = self.triggered.front().map(|(_, at)| *at);
        triggered.or_else(|| self.iter().filter_map(|(_, p)| p.backoff.next()).min())
    }

    /// When the next pair is given up.
    pub(crate) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        self.iter()
            .filter(|(_, p)| p.state == PairState::InProgress)
            .filter_map(|(_, p)| Some(p.first_sent? + timeout))
            .min()
    }

    /// Pairs whose checks are under way or to come: the N of RFC 8445 §14.3.
    pub(crate) fn active(&self) -> u32 {
        self.iter()
            .filter(|(_, p)| p.backoff.next().is_some())
            .count() as u32
    }

    /// A pair has succeeded: those of the same foundation will likely do so, too.
    pub(crate) fn unfreeze(&mut self, id: PairId) {
        let foundation = self.pair(id).foundation.clone();
        for (_, pair) in self.iter_mut() {
            if pair.state == PairState::Frozen && pair.foundation == foundation {
                pair.state = PairState::Waiting;
            }
        }
    }

    /// A pair is nominated: no further checks (RFC 8445 §8.1.1).
    pub(crate) fn stop(&mut self) {
        self.triggered.clear();
        for (_, pair) in self.iter_mut() {
            pair.backoff.stop();
            if matches!(pair.state, PairState::Waiting | PairState::InProgress) {
                pair.state = PairState::Frozen;
            }
        }
    }

    /// The selected pair is silent: any other may be the way out.
    pub(crate) fn thaw(&mut self, now: Instant, selected: Option<PairId>) {
        for (id, pair) in self.iter_mut() {
            if Some(id) != selected {
                pair.state = PairState::Waiting;
                pair.first_sent = None;
                pair.backoff = Backoff::start(now);
            }
        }
    }

    /// The remote has nominated `id`: what it nominated before no longer counts.
    pub(crate) fn forget_nominations(&mut self, id: PairId) {
        for (other, pair) in self.iter_mut() {
            if other != id {
                pair.nominated_at = None;
            }
        }
    }

    /// A candidate's kind, priority or foundation has become known.
    pub(crate) fn update_remote(
        &mut self,
        remote: usize,
        priority: u32,
        foundation: &str,
        direct: bool,
        role: Role,
    ) {
        for (_, pair) in self.iter_mut().filter(|(_, p)| p.remote == remote) {
            pair.priorities.1 = priority;
            pair.foundation.1 = foundation.to_owned();
            pair.direct = direct;
        }
        self.reprioritise(role);
    }

    /// Gives up on pairs that have been silent for `timeout`.
    pub(crate) fn handle_timeout(&mut self, now: Instant, timeout: Duration) {
        for (_, pair) in self.iter_mut() {
            let over = pair.first_sent.is_some_and(|at| now >= at + timeout);
            if pair.state == PairState::InProgress && over {
                pair.state = PairState::Failed;
                pair.backoff.stop();
            }
        }
    }

    /// The best pair that works.
    pub(crate) fn best(&self, usable: impl Fn(&Pair) -> bool) -> Option<PairId> {
        self.iter()
            .filter(|(_, p)| usable(p))
            .max_by_key(|(_, p)| p.priority)
            .map(|(id, _)| id)
    }

    fn victim(
        &self,
        priority: u64,
        authenticated: bool,
        keep: impl Fn(PairId) -> bool,
    ) -> Option<PairId> {
        // A signalled candidate takes the place of a lesser one; an address that has proved
        // itself that of any other.
        self.iter()
            .filter(|(id, p)| !keep(*id) && (authenticated || p.priority < priority))
            .min_by_key(|(_, p)| (p.state == PairState::Succeeded, p.authenticated, p.priority))
            .map(|(id, _)| id)
    }
}

/// RFC 8445 §6.1.2.3, of (local, remote) candidate priorities.
fn pair_priority(role: Role, (local, remote): (u32, u32)) -> u64 {
    let (g, d) = match role {
        Role::Controlling => (local, remote),
        Role::Controlled => (remote, local),
    };
    (u64::from(g.min(d)) << 32) + 2 * u64::from(g.max(d)) + u64::from(g > d)
}
