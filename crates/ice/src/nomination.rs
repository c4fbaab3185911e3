//! Which pair is used: selection, nomination (RFC 8445 §8), moves after the nomination.
//!
//! Data flows over the best valid pair at once, nominated or not (§12.1); the nomination follows
//! when no better pair is in sight. Afterwards the pair is kept, unless another one shows life
//! while it is silent: behind a NAT that has rebound, or on another network. Such a challenger
//! must have answered a check of ours, and the selected pair is asked first.

use crate::agent::Agent;
use crate::check::Backoff;
use crate::checklist::PairId;
use crate::consent::{Change, Consent, Heard};
use crate::event::{Event, Role};
use crate::generation::{Challenge, Failure, Generation, Nominating, Selected};
use crate::stats::PairState;
use std::time::{Duration, Instant};

impl Agent {
    /// The generation whose selected pair is in use.
    pub(crate) fn watched(&self) -> Option<&Generation> {
        let previous = self.previous.as_ref().map(|p| &p.generation);
        [Some(&self.current), previous]
            .into_iter()
            .flatten()
            .find(|g| g.selected.is_some())
    }

    fn selected_mut(&mut self) -> Option<&mut Selected> {
        let previous = self
            .previous
            .as_mut()
            .and_then(|p| p.generation.selected.as_mut());
        self.current.selected.as_mut().or(previous)
    }

    /// Something authenticated was heard on the selected pair.
    pub(crate) fn heard(&mut self, now: Instant) -> Option<Heard> {
        let heard = self.selected_mut()?.consent.heard(now);
        self.after_heard(heard);
        Some(heard)
    }

    /// A check on the selected pair was answered.
    pub(crate) fn consented(&mut self, now: Instant) {
        let previous = self
            .previous
            .as_mut()
            .and_then(|p| p.generation.selected.as_mut());
        if let Some(selected) = self.current.selected.as_mut().or(previous) {
            let heard = selected.consent.answered(now, &self.config, &mut self.rng);
            // Only an answer shows that both directions work.
            self.current.challenge = None;
            self.after_heard(heard);
        }
    }

    fn after_heard(&mut self, heard: Heard) {
        if heard.resumed {
            self.resumed();
        }
        if heard.reconnected && self.current.selected.as_ref().is_some_and(|s| s.nominated) {
            self.current.list.stop();
        }
    }

    /// A pair of the current generation works: it was answered, or, answered just before, was
    /// checked by the remote.
    pub(crate) fn valid(&mut self, now: Instant, id: PairId, our_nomination: bool) {
        self.current.first_valid.get_or_insert(now);
        if self.current.failed == Some(Failure::Timeout) {
            self.current.failed = None;
        }
        let pair = self.current.list.pair(id);
        let nominated = match self.role {
            Role::Controlling => our_nomination,
            Role::Controlled => pair.nominated_at.is_some(),
        };
        let Some(selected) = &self.current.selected else {
            return self.select(now, id, nominated);
        };
        let old = self.current.list.pair(selected.pair);
        // A remote that nominates everything means the best (RFC 5245 §8.1.1.2); one that has
        // stopped nominating the old pair means the new one.
        let moved = match (pair.nominated_at, old.nominated_at) {
            (Some(new), Some(old)) => new >= old + MOVED,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let better = pair.priority > old.priority;
        let settled = selected.nominated || self.current.nominating.is_some();
        if selected.pair == id {
            if nominated && !selected.nominated {
                self.select(now, id, true);
            }
        } else if !settled && (nominated || better) {
            self.select(now, id, nominated);
        } else if self.role == Role::Controlled && nominated && (better || moved) {
            self.select(now, id, true);
        } else if settled {
            let silent = selected.consent.is_disconnected();
            if self.role == Role::Controlling || nominated || silent {
                self.challenge(now, id);
            }
        }
    }

    /// Sends to this pair from now on.
    fn select(&mut self, now: Instant, id: PairId, nominated: bool) {
        let same = self.current.selected.as_ref().is_some_and(|s| s.pair == id);
        if same {
            if let Some(selected) = &mut self.current.selected {
                selected.nominated |= nominated;
            }
        } else {
            let last_answer = self.current.list.pair(id).last_answer.unwrap_or(now);
            let consent = Consent::new(now, last_answer, &self.config, &mut self.rng);
            // Before a nomination pairs change without a loss.
            let moved = self
                .selected_mut()
                .is_some_and(|s| s.nominated || s.consent.is_silent());
            self.current.selected = Some(Selected {
                pair: id,
                nominated,
                consent,
            });
            self.current.challenge = None;
            self.selected_changes += 1;
            self.events
                .extend(self.selected().map(|pair| Event::Selected(Box::new(pair))));
            if moved {
                self.resumed();
            }
            if let Some(previous) = &mut self.previous {
                previous.drop_at.get_or_insert(now + PREVIOUS);
            }
        }
        if nominated {
            self.current.nominating = None;
            self.current.list.stop();
            self.current.list.forget_nominations(id);
            self.gathering.stop_keepalive();
        }
    }

    /// The selected pair is to show life, or `id` takes its place.
    fn challenge(&mut self, now: Instant, id: PairId) {
        if self.current.challenge.is_some() || self.config.lite {
            return;
        }
        let Some(selected) = &mut self.current.selected else {
            return;
        };
        let rtt = self.current.list.pair(selected.pair).rtt;
        let patience = rtt.map_or(MIN_PATIENCE, |rtt| {
            (rtt * 3).clamp(MIN_PATIENCE, MAX_PATIENCE)
        });
        let until = if selected.consent.is_disconnected() {
            now
        } else {
            now + patience
        };
        selected.consent.probe(now);
        let pace = patience / 4;
        self.current.challenge = Some(Challenge {
            pair: id,
            until,
            pace,
        });
    }

    fn decide_challenge(&mut self, now: Instant) {
        let Some(challenge) = self.current.challenge.take_if(|c| c.until <= now) else {
            return;
        };
        let pair = self.current.list.pair(challenge.pair);
        // Nothing is sent to an address without a fresh answer of its own (RFC 7675 §5.1).
        let fresh = pair
            .last_answer
            .is_some_and(|at| now < at + CHALLENGER_FRESH);
        if pair.state != PairState::Succeeded || !fresh {
            return;
        }
        let nominated = self.role == Role::Controlled && pair.nominated_at.is_some();
        self.select(now, challenge.pair, nominated);
        if self.role == Role::Controlling {
            let backoff = Backoff::start(now);
            self.current.nominating = Some(Nominating {
                pair: challenge.pair,
                backoff,
            });
        }
    }

    /// The controlling agent nominates the selected pair when no better one is in sight.
    fn consider_nomination(&mut self, now: Instant) {
        if self.nomination_deadline().is_some_and(|at| at <= now)
            && let Some(selected) = &self.current.selected
        {
            let backoff = Backoff::start(now);
            self.current.nominating = Some(Nominating {
                pair: selected.pair,
                backoff,
            });
        }
    }

    /// When the nomination begins, if one is to be made.
    pub(crate) fn nomination_deadline(&self) -> Option<Instant> {
        let selected = self.current.selected.as_ref().filter(|s| !s.nominated)?;
        if self.role != Role::Controlling || self.current.nominating.is_some() {
            return None;
        }
        let valid = self.current.first_valid?;
        let pair = self.current.list.pair(selected.pair);
        let better = || {
            let open = |(_, p): (PairId, &crate::checklist::Pair)| {
                p.priority > pair.priority && p.backoff.next().is_some()
            };
            self.current.list.iter().any(open)
        };
        Some(if pair.direct || !better() {
            valid
        } else {
            valid + self.config.nomination_delay
        })
    }

    /// RFC 8445 §7.2.5.1, §7.3.1.1. The tie-breaker stays, as in every implementation met.
    pub(crate) fn switch_role(&mut self, now: Instant) {
        self.role = match self.role {
            Role::Controlling => Role::Controlled,
            Role::Controlled => Role::Controlling,
        };
        self.current.nominating = None;
        self.current.list.reprioritise(self.role);
        self.consider_nomination(now);
    }

    /// Everything that time alone, or the call just made, leads to.
    pub(crate) fn settle(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        if self.gathering.handle_timeout(now) {
            self.events.push_back(Event::GatheringComplete);
        }
        self.current
            .list
            .handle_timeout(now, self.config.checking_timeout);
        self.watch_consent(now);
        self.decide_challenge(now);
        self.consider_nomination(now);
        if self
            .previous
            .as_ref()
            .is_some_and(|p| p.drop_at.is_some_and(|at| at <= now))
        {
            self.previous = None;
        }
        if self.checking_deadline().is_some_and(|at| at <= now) {
            self.current.fail(Failure::Timeout);
        }
        self.update_state();
        self.rearm();
    }

    /// When checks that lead nowhere end.
    pub(crate) fn checking_deadline(&self) -> Option<Instant> {
        let idle = self.watched().is_none() && self.current.failed.is_none();
        Some(self.current.started.filter(|_| idle)? + self.config.checking_timeout)
    }

    fn watch_consent(&mut self, now: Instant) {
        let config = &self.config;
        if let Some(selected) = &mut self.current.selected {
            let id = selected.pair;
            match selected.consent.handle_timeout(now, config) {
                Some(Change::Expired) => self.current.fail(Failure::Consent),
                Some(Change::Disconnected) => self.current.list.thaw(now, Some(id)),
                None => {}
            }
        } else if let Some(previous) = &mut self.previous
            && let Some(selected) = &mut previous.generation.selected
            && selected.consent.handle_timeout(now, config) == Some(Change::Expired)
        {
            self.previous = None;
        }
    }

    fn resumed(&mut self) {
        if self.events.back() != Some(&Event::Resumed) {
            self.events.push_back(Event::Resumed);
        }
    }
}

/// Bounds of the time that the selected pair has to answer a challenge: three round trips, four
/// checks.
const MIN_PATIENCE: Duration = Duration::from_millis(500);
const MAX_PATIENCE: Duration = Duration::from_millis(1500);
/// So much later than the last on the selected pair, a nomination is meant.
const MOVED: Duration = Duration::from_secs(1);
/// A challenger has answered this recently, or it is none.
const CHALLENGER_FRESH: Duration = Duration::from_secs(5);
/// After a restart the remote may use the old pair for a while: packets are under way, or our
/// answer with the new credentials is. Counted from its last check there.
pub(crate) const PREVIOUS: Duration = Duration::from_secs(10);
