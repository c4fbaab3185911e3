//! Datagrams sent: answers, checks on the selected pair, nominations, and, one per Ta, checks and
//! STUN queries to addresses that have not answered yet (RFC 8445 §6.1.4.2, §14.2).

use crate::agent::Agent;
use crate::candidate::CandidateKind;
use crate::check::Sent;
use crate::checklist::PairId;
use crate::config::MIN_RTO;
use crate::event::{Role, Transmit};
use crate::generation::Generation;
use crate::local::Locals;
use crate::stats::PairState;
use crate::stun::{self, Check, TransactionId};
use std::time::Instant;

impl Agent {
    pub(crate) fn transmit(&mut self, now: Instant) -> Option<Transmit> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        if self.next_send.is_none_or(|at| at > now) {
            return None;
        }
        self.nomination_check(now)
            .or_else(|| self.consent_check(now))
            .or_else(|| self.paced(now))
    }

    /// When [`transmit`](Self::transmit) has something to send, answers aside.
    pub(crate) fn send_deadline(&self) -> Option<Instant> {
        if self.config.lite {
            return None;
        }
        let consent = self.watched().and_then(|g| g.selected.as_ref());
        let consent = consent.map(|s| s.consent.next_check());
        let nomination = self
            .current
            .nominating
            .as_ref()
            .and_then(|n| n.backoff.next());
        let checks = self
            .current
            .remote
            .is_some()
            .then(|| self.current.list.next_due())
            .flatten();
        let paced = [checks, self.gathering.next_query()]
            .into_iter()
            .flatten()
            .min();
        let paced = paced.map(|at| self.paced_until.map_or(at, |until| at.max(until)));
        [consent, nomination, paced].into_iter().flatten().min()
    }

    /// A check with USE-CANDIDATE. The pair has answered before, so it need not wait for the
    /// pacer: connecting takes round trips, not timers.
    fn nomination_check(&mut self, now: Instant) -> Option<Transmit> {
        let nominating = self
            .current
            .nominating
            .as_mut()
            .filter(|n| n.backoff.is_due(now))?;
        let id = nominating.pair;
        let rtt = self.current.list.pair(id).rtt;
        let rto = rtt.map_or(self.config.initial_rto, |rtt| (rtt * 3 / 2).max(MIN_RTO));
        nominating.backoff.sent(now, rto, self.config.max_rto);
        Some(self.check(now, id, true))
    }

    /// A consent or liveness check. It repeats the nomination, for a remote that sees us at a new
    /// address has a new pair to nominate.
    fn consent_check(&mut self, now: Instant) -> Option<Transmit> {
        let config = &self.config;
        if let Some(selected) = self.current.selected.as_mut() {
            if !selected.consent.is_due(now) {
                return None;
            }
            selected.consent.sent(now, config, &mut self.rng);
            if let Some(challenge) = &self.current.challenge {
                selected.consent.probe(now + challenge.pace);
            }
            let (id, nominated) = (selected.pair, selected.nominated);
            self.current
                .list
                .pair_mut(id)
                .counters
                .consent_requests_sent += 1;
            return Some(self.check(now, id, nominated && self.role == Role::Controlling));
        }
        let generation = &mut self.previous.as_mut()?.generation;
        let selected = generation
            .selected
            .as_mut()
            .filter(|s| s.consent.is_due(now))?;
        selected.consent.sent(now, config, &mut self.rng);
        let (id, role) = (selected.pair, self.role);
        let nominate = selected.nominated && role == Role::Controlling;
        generation.list.pair_mut(id).counters.consent_requests_sent += 1;
        let id_and_role = (TransactionId::random(&mut self.rng), role, self.tie_breaker);
        encode(generation, &self.locals, now, id, nominate, id_and_role)
    }

    fn paced(&mut self, now: Instant) -> Option<Transmit> {
        if self.paced_until.is_some_and(|until| until > now) {
            return None;
        }
        let next = self
            .current
            .remote
            .is_some()
            .then(|| self.current.list.next(now))
            .flatten();
        let transmit = match next {
            Some(id) => Some(self.connectivity_check(now, id)),
            None => self.query(now),
        };
        if transmit.is_some() {
            self.paced_until = Some(now + self.config.pacing);
        }
        transmit
    }

    fn connectivity_check(&mut self, now: Instant, id: PairId) -> Transmit {
        // RFC 8445 §14.3, with a lower floor.
        let rto = self
            .config
            .initial_rto
            .max(self.config.pacing * self.current.list.active());
        let pair = self.current.list.pair_mut(id);
        if pair.state != PairState::Succeeded {
            pair.state = PairState::InProgress;
            pair.first_sent.get_or_insert(now);
            pair.backoff.sent(now, rto, self.config.max_rto);
            let kind = self.current.candidates[pair.remote].candidate.kind;
            if kind == CandidateKind::PeerReflexive && pair.backoff.attempts() >= DISCOVERED {
                pair.state = PairState::Failed;
                pair.backoff.stop();
            }
        }
        self.check(now, id, false)
    }

    fn query(&mut self, now: Instant) -> Option<Transmit> {
        let (local, server) = self.gathering.next(now)?;
        let id = TransactionId::random(&mut self.rng);
        self.gathering.sent(now, local, server, id, &self.config);
        Some(Transmit {
            local,
            destination: server,
            payload: stun::encode_server_request(id),
        })
    }

    fn check(&mut self, now: Instant, id: PairId, use_candidate: bool) -> Transmit {
        let transaction = TransactionId::random(&mut self.rng);
        let with = (transaction, self.role, self.tie_breaker);
        encode(
            &mut self.current,
            &self.locals,
            now,
            id,
            use_candidate,
            with,
        )
        .expect("pairs are checked only once the remote's credentials are known")
    }
}

fn encode(
    generation: &mut Generation,
    locals: &Locals,
    now: Instant,
    id: PairId,
    use_candidate: bool,
    (transaction, role, tie_breaker): (TransactionId, Role, u64),
) -> Option<Transmit> {
    let remote = generation.remote.as_ref()?;
    let pair = generation.list.pair_mut(id);
    // A base that is gone takes its pairs along, so the fallback is never sent.
    let priority = locals.base(pair.local).map_or(1, Locals::check_priority);
    pair.counters.requests_sent += 1;
    pair.outstanding.push(Sent {
        id: transaction,
        at: now,
        role,
        use_candidate,
    });
    let payload = stun::encode_check(&Check {
        transaction,
        username: &remote.username,
        pwd: remote.credentials.pwd(),
        priority,
        role,
        tie_breaker,
        use_candidate,
    });
    Some(Transmit {
        local: pair.local,
        destination: pair.destination,
        payload,
    })
}

/// Checks that one check from an unknown address is worth. The remote checks again if it is there;
/// who replays a check from a victim's address gets no more than this out of it.
const DISCOVERED: u32 = 6;
