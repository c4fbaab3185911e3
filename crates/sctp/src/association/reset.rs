//! Stream reset (RFC 6525).

use std::time::Instant;

use smallvec::SmallVec;

use crate::event::{Event, ResetResult};
use crate::recv::Inbound;
use crate::serial::{ReconfigSeq, StreamId, Tsn};
use crate::timer::Timer;
use crate::wire::{Chunk, Reconfig, ReconfigParam, ReconfigResult};

use super::Association;
use super::state::Phase;

/// Both directions of re-configuration.
#[derive(Debug, Default)]
pub(super) struct Reconfiguration {
    /// The number of our next request.
    next_request: ReconfigSeq,
    outgoing: Option<OutgoingRequest>,
    /// The number of the peer's next request.
    expected: ReconfigSeq,
    /// The answer to the peer's last request.
    last_answer: Option<ReconfigResult>,
    deferred: Option<Deferred>,
    /// An incoming reset request that our next outgoing one answers.
    answering: Option<ReconfigSeq>,
}

/// Our request, of which there is one at a time (§5.1.1).
#[derive(Debug)]
struct OutgoingRequest {
    request: ReconfigSeq,
    response: ReconfigSeq,
    last_tsn: Tsn,
    streams: Vec<StreamId>,
    timer: Timer,
    /// It is to be sent (again).
    due: bool,
    /// The peer said that it is working on it, so that silence is no error.
    in_progress: bool,
}

impl OutgoingRequest {
    /// At most.
    fn encoded_len(&self) -> usize {
        REQUEST_LEN + self.streams.len() * STREAM_LEN
    }
}

/// A reset of the peer's streams that waits for data sent before it (§5.2.2 E2).
#[derive(Debug)]
struct Deferred {
    request: ReconfigSeq,
    last_tsn: Tsn,
    streams: SmallVec<[StreamId; 4]>,
}

impl Reconfiguration {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.outgoing
            .as_ref()
            .map(|outgoing| outgoing.timer.deadline)
    }

    /// The path works again.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.timer = Timer {
                deadline: now,
                attempts: 0,
            };
        }
    }
}

/// Our streams.
impl Association {
    /// Numbers start with the first TSNs (§4.1).
    pub(super) fn reset_reconfiguration(&mut self, peer_tsn: Tsn) {
        self.reconfiguration = Reconfiguration {
            next_request: ReconfigSeq(self.local_tsn.0),
            expected: ReconfigSeq(peer_tsn.0),
            ..Reconfiguration::default()
        };
    }

    /// Sends the next request once streams are ready for it: all data of theirs has a TSN.
    pub(super) fn proceed_with_reset(&mut self, now: Instant) {
        if self.reconfiguration.outgoing.is_some()
            || !self.sender.queue().has_drained()
            || !self.phase.may_send_data()
        {
            return;
        }
        // Each request takes a round trip and there is one at a time (§5.1.1), so it names as many
        // streams as a packet holds: closing 30,000 channels takes 55 round trips, not 500.
        let room = self.config.max_packet_size - crate::wire::HEADER_LEN - REQUEST_LEN;
        let streams = self.sender.queue_mut().take_drained(room / STREAM_LEN);
        let reconfiguration = &mut self.reconfiguration;
        let request = reconfiguration.next_request;
        reconfiguration.next_request = request.next();
        reconfiguration.outgoing = Some(OutgoingRequest {
            request,
            // §4.1: the request that is answered, or the last one seen.
            response: reconfiguration
                .answering
                .take()
                .unwrap_or(reconfiguration.expected.previous()),
            last_tsn: self.sender.last_tsn(),
            streams,
            timer: Timer::start(now, self.sender.rtt.rto()),
            due: true,
            in_progress: false,
        });
    }

    /// The packet that our request needs, if it is to be sent. A repeated request has to stay what it
    /// was, so it goes as large as before even if packets have become smaller since.
    pub(super) fn reset_request_packet(&self) -> usize {
        self.reconfiguration
            .outgoing
            .as_ref()
            .filter(|outgoing| outgoing.due)
            .map_or(0, |outgoing| {
                crate::wire::HEADER_LEN + outgoing.encoded_len()
            })
    }

    /// The RE-CONFIG of our request, if it is to be sent.
    pub(super) fn take_reset_request(&mut self, room: usize) -> Option<Chunk<'static>> {
        let outgoing = self
            .reconfiguration
            .outgoing
            .as_mut()
            .filter(|outgoing| outgoing.due)?;
        if room < outgoing.encoded_len() {
            return None;
        }
        outgoing.due = false;
        Some(Chunk::Reconfig(Reconfig::one(
            ReconfigParam::OutgoingReset {
                request: outgoing.request,
                response: outgoing.response,
                last_tsn: outgoing.last_tsn,
                streams: SmallVec::from_slice(&outgoing.streams),
            },
        )))
    }

    pub(super) fn handle_reset_timeout(&mut self, now: Instant) {
        let rto = self.sender.rtt.rto();
        let max = self.config.t3_max;
        let Some(outgoing) = &mut self.reconfiguration.outgoing else {
            return;
        };
        if !outgoing.timer.is_due(now) {
            return;
        }
        outgoing.due = true;
        if outgoing.in_progress {
            // Asked again at the same pace until the peer is done.
            outgoing.timer = Timer::start(now, rto);
            outgoing.in_progress = false;
        } else {
            outgoing.timer.back_off(now, rto, max);
            self.count_error();
        }
    }

    /// §5.2.7.
    fn handle_response(&mut self, now: Instant, response: ReconfigSeq, result: ReconfigResult) {
        let expected = self
            .reconfiguration
            .outgoing
            .as_mut()
            .filter(|outgoing| outgoing.request == response);
        let Some(outgoing) = expected else {
            self.counters.drops.reconfig += 1;
            return;
        };
        self.errors = 0;
        let performed = match result {
            ReconfigResult::NothingToDo | ReconfigResult::Performed => true,
            ReconfigResult::InProgress | ReconfigResult::AlreadyInProgress => {
                outgoing.in_progress = true;
                outgoing.timer = Timer::start(now, self.sender.rtt.rto());
                return;
            }
            ReconfigResult::Denied
            | ReconfigResult::WrongSsn
            | ReconfigResult::BadSequenceNumber
            | ReconfigResult::Unknown(_) => false,
        };
        let Some(outgoing) = self.reconfiguration.outgoing.take() else {
            return;
        };
        for &stream in &outgoing.streams {
            self.sender.queue_mut().reset_done(stream, performed);
        }
        let result = if performed {
            ResetResult::Performed
        } else {
            ResetResult::Denied
        };
        self.push_event(Event::OutgoingResetDone {
            streams: outgoing.streams,
            result,
        });
    }
}

/// The peer's streams.
impl Association {
    pub(super) fn handle_reconfig(&mut self, now: Instant, reconfig: &Reconfig<'_>) {
        if !self.phase.is_connected() || !self.config.stream_reset {
            self.counters.drops.unexpected_chunk += 1;
            return;
        }
        for param in &reconfig.params {
            match param {
                ReconfigParam::Response {
                    response, result, ..
                } => {
                    self.handle_response(now, *response, *result);
                }
                ReconfigParam::OutgoingReset {
                    request,
                    last_tsn,
                    streams,
                    ..
                } => {
                    self.handle_request(*request, |association| {
                        association.reset_incoming(*request, *last_tsn, streams)
                    });
                }
                ReconfigParam::IncomingReset { request, streams } => {
                    self.handle_request(*request, |association| {
                        association.reset_on_request(*request, streams)
                    });
                }
                // §5.2.4 to §5.2.6: a data channel has no use for them, and they may be denied.
                ReconfigParam::SsnTsnReset { request }
                | ReconfigParam::AddOutgoingStreams { request, .. }
                | ReconfigParam::AddIncomingStreams { request, .. } => {
                    self.handle_request(*request, |_| ReconfigResult::Denied);
                }
                ReconfigParam::Unknown(_) => self.counters.drops.reconfig += 1,
            }
        }
    }

    /// §5.2.1: requests come in sequence, and a repeated one gets the former answer, unless that
    /// was to ask again.
    fn handle_request(
        &mut self,
        request: ReconfigSeq,
        perform: impl FnOnce(&mut Self) -> ReconfigResult,
    ) {
        let reconfiguration = &mut self.reconfiguration;
        let repeated = request.next() == reconfiguration.expected;
        let result = match reconfiguration.last_answer {
            Some(result) if repeated && result != ReconfigResult::InProgress => result,
            None if repeated => ReconfigResult::BadSequenceNumber,
            _ if repeated || request == reconfiguration.expected => {
                reconfiguration.expected = request.next();
                let result = perform(self);
                self.reconfiguration.last_answer = Some(result);
                result
            }
            _ => {
                self.counters.drops.reconfig += 1;
                ReconfigResult::BadSequenceNumber
            }
        };
        self.answer(request, result);
    }

    fn answer(&mut self, response: ReconfigSeq, result: ReconfigResult) {
        // A flood of the same request is worth one answer.
        let chunk = Chunk::Reconfig(Reconfig::one(ReconfigParam::Response {
            response,
            result,
            next_tsns: None,
        }));
        if !self.control.contains(&chunk) {
            self.queue_control(chunk);
        }
    }

    /// §5.2.2.
    fn reset_incoming(
        &mut self,
        request: ReconfigSeq,
        last_tsn: Tsn,
        streams: &[StreamId],
    ) -> ReconfigResult {
        let count = self.inbound_streams();
        if streams.iter().any(|stream| stream.0 >= count) {
            return ReconfigResult::WrongSsn;
        }
        let Some(cumulative) = self.inbound.as_ref().map(Inbound::cumulative_tsn) else {
            return ReconfigResult::Denied;
        };
        if last_tsn.is_newer_than(cumulative) || self.events.len() >= self.limits.events {
            self.reconfiguration.deferred = Some(Deferred {
                request,
                last_tsn,
                streams: SmallVec::from_slice(streams),
            });
            return ReconfigResult::InProgress;
        }
        self.perform_reset(streams);
        ReconfigResult::Performed
    }

    /// The data that a deferred reset waited for may be there. The peer is told without being
    /// asked, so that it need not wait for its timer.
    pub(super) fn perform_deferred_reset(&mut self) {
        let Some(inbound) = &self.inbound else { return };
        let cumulative = inbound.cumulative_tsn();
        let ready = |deferred: &Deferred| !deferred.last_tsn.is_newer_than(cumulative);
        if self.events.len() >= self.limits.events
            || !self.reconfiguration.deferred.as_ref().is_some_and(ready)
        {
            return;
        }
        if let Some(deferred) = self.reconfiguration.deferred.take() {
            self.perform_reset(&deferred.streams);
            self.reconfiguration.last_answer = Some(ReconfigResult::Performed);
            self.answer(deferred.request, ReconfigResult::Performed);
        }
    }

    fn perform_reset(&mut self, streams: &[StreamId]) {
        self.reconfiguration.deferred = None;
        if let Some(inbound) = &mut self.inbound {
            inbound.reset_streams(streams);
        }
        self.push_event(Event::IncomingReset {
            streams: streams.to_vec(),
        });
    }

    /// §5.2.3: the peer wants us to reset streams of ours.
    fn reset_on_request(&mut self, request: ReconfigSeq, streams: &[StreamId]) -> ReconfigResult {
        let count = self.outbound_streams();
        if streams.iter().any(|stream| stream.0 >= count) {
            return ReconfigResult::WrongSsn;
        }
        if !matches!(self.phase, Phase::Established) || streams.is_empty() {
            // "All of them" would end every conversation at the word of one side.
            return ReconfigResult::Denied;
        }
        let mut some = false;
        for &stream in streams {
            if !self.sender.queue().is_resetting(stream) {
                self.sender.queue_mut().drain_then_reset(stream);
                some = true;
            }
        }
        if !some {
            return ReconfigResult::NothingToDo;
        }
        self.reconfiguration.answering = Some(request);
        ReconfigResult::Performed
    }
}

/// Chunk and parameter headers, three numbers, and padding.
const REQUEST_LEN: usize = 24;
/// A stream's number.
const STREAM_LEN: usize = 2;
