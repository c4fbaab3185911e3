//! Answers to our checks (RFC 8445 §7.2.5) and queries (§5.1.1.2).

use crate::address::is_dialable;
use crate::agent::Agent;
use crate::candidate::CandidateKind;
use crate::check::Sent;
use crate::checklist::{Checklist, PairId};
use crate::error::Ignored;
use crate::event::{Event, LocalId, Role};
use crate::generation::Failure;
use crate::stats::PairState;
use crate::stun::{Response, TransactionId, Unverified};
use std::net::SocketAddr;
use std::time::Instant;

impl Agent {
    pub(crate) fn response(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        message: &Unverified<'_>,
    ) -> Result<(), Ignored> {
        // Symmetric by construction (RFC 8445 §7.2.5.2.1): an answer is looked for where the
        // question went.
        let find = |list: &Checklist| {
            let id = list.find(local, source)?;
            Some((
                id,
                list.pair(id).outstanding.find(now, message.transaction)?,
            ))
        };
        if let Some((id, sent)) = find(&self.current.list) {
            let remote = self
                .current
                .remote
                .as_ref()
                .ok_or(Ignored::UnknownTransaction)?;
            let response = message.response(Some(remote.credentials.pwd()))?;
            self.current.list.pair_mut(id).outstanding.remove(sent.id);
            self.answered(now, id, sent, response);
            return Ok(());
        }
        let previous = self.previous.as_ref().map(|p| &p.generation);
        if let Some((id, sent)) = previous.and_then(|p| find(&p.list)) {
            return self.answered_previous(now, id, sent, message);
        }
        if self
            .gathering
            .expects(now, local, source, message.transaction)
        {
            let response = message.response(None)?;
            self.server_answered(now, local, source, message.transaction, response);
            return Ok(());
        }
        Err(Ignored::UnknownTransaction)
    }

    fn answered(&mut self, now: Instant, id: PairId, sent: Sent, response: Response) {
        let selected = self.current.selected.as_ref().is_some_and(|s| s.pair == id);
        match response {
            Response::Success { mapped } => {
                let pair = self.current.list.pair_mut(id);
                pair.measured(now.saturating_duration_since(sent.at));
                pair.authenticated = true;
                pair.last_answer = Some(now);
                pair.mapped = Some(mapped);
                pair.state = PairState::Succeeded;
                pair.backoff.stop();
                let local = pair.local;
                let kind = CandidateKind::PeerReflexive;
                let ufrag = self.current.local.ufrag();
                // Not signalled: the remote knows it already (RFC 8445 §7.2.5.3.1).
                self.locals
                    .reflexive_candidate(local, kind, mapped, None, ufrag);
                self.current.list.unfreeze(id);
                if selected {
                    self.consented(now);
                }
                self.valid(
                    now,
                    id,
                    sent.use_candidate && sent.role == Role::Controlling,
                );
            }
            Response::RoleConflict => {
                // Not if the switch was made since the request left.
                if sent.role == self.role {
                    self.switch_role(now);
                }
                self.current.list.trigger(now, id);
            }
            // RFC 7675 §5.2: consent is withdrawn at once.
            Response::Error { code: 403 } if selected => self.current.fail(Failure::Consent),
            Response::Error { .. } => {
                if !selected {
                    let pair = self.current.list.pair_mut(id);
                    pair.state = PairState::Failed;
                    pair.backoff.stop();
                }
            }
        }
    }

    fn answered_previous(
        &mut self,
        now: Instant,
        id: PairId,
        sent: Sent,
        message: &Unverified<'_>,
    ) -> Result<(), Ignored> {
        let previous = self.previous.as_mut().map(|p| &mut p.generation);
        let previous = previous.ok_or(Ignored::UnknownTransaction)?;
        let remote = previous
            .remote
            .as_ref()
            .ok_or(Ignored::UnknownTransaction)?;
        let response = message.response(Some(remote.credentials.pwd()))?;
        let pair = previous.list.pair_mut(id);
        pair.outstanding.remove(sent.id);
        if matches!(response, Response::Success { .. }) {
            pair.measured(now.saturating_duration_since(sent.at));
        }
        let selected = previous.selected.as_ref().is_some_and(|s| s.pair == id);
        if selected && self.current.selected.is_none() {
            match response {
                Response::Success { .. } => self.consented(now),
                Response::Error { code: 403 } => previous.fail(Failure::Consent),
                Response::RoleConflict | Response::Error { .. } => {}
            }
        }
        Ok(())
    }

    fn server_answered(
        &mut self,
        now: Instant,
        local: LocalId,
        server: SocketAddr,
        id: TransactionId,
        response: Response,
    ) {
        let mapped = match response {
            Response::Success { mapped } if is_dialable(mapped) => Some(mapped),
            Response::Success { .. } | Response::RoleConflict | Response::Error { .. } => None,
        };
        self.gathering
            .answered(now, local, server, id, mapped.is_some(), &self.config);
        if let Some(mapped) = mapped {
            let kind = CandidateKind::ServerReflexive;
            let ufrag = self.current.local.ufrag();
            let server = self.gathering.server(server);
            let new = self
                .locals
                .reflexive_candidate(local, kind, mapped, server, ufrag);
            self.events.extend(new.map(Event::LocalCandidate));
        }
    }
}
