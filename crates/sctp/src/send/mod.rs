//! The sending half of an association: messages in, planned DATA chunks out, SACKs back in.
//!
//! [`Sender`] is all that the association sees. `queue` and `scheduler` know messages, `outstanding`
//! TSNs, `recovery` what is lost, `congestion` how much may be under way and `rto` how long to
//! wait. `gather`, `sack` and `partial` are what happens to all of them together.

mod congestion;
mod delivery;
mod gather;
mod outstanding;
mod pacing;
mod partial;
pub(crate) mod payload;
mod queue;
mod recovery;
mod rto;
mod sack;
pub(crate) mod scheduler;
mod slab;

use std::time::{Duration, Instant};

use bytes::Bytes;
use payload::Payload;

use crate::batch::PacketBatch;
use crate::config::Config;
use crate::limits::Limits;
use crate::serial::{Ppid, StreamId, Tsn};
use crate::stats::Retransmits;
use crate::timer::{Timer, earlier};
use crate::wire::{DATA_HEADER_LEN, HEADER_LEN, I_DATA_HEADER_LEN};

use congestion::{Congestion, Controller};
use delivery::Delivery;
use outstanding::{Loss, Moment, Outstanding};
use pacing::Pacer;
use partial::Partial;
use queue::{Limit, SendQueue};
use recovery::{Recovery, nanos};
pub(crate) use rto::RttEstimator;

pub(crate) use sack::SackOutcome;

/// The sending half.
#[derive(Debug)]
pub(crate) struct Sender {
    epoch: Instant,
    queue: SendQueue,
    outstanding: Outstanding,
    pub(crate) rtt: RttEstimator,
    congestion: Congestion,
    delivery: Delivery,
    pacer: Pacer,
    /// A round trip ends when what was sent after this is acknowledged.
    round_began: Moment,
    /// Bytes found lost since the controller was told.
    lost_bytes: usize,
    recovery: Recovery,
    partial: Partial,
    /// T3-rtx, running while something is outstanding.
    t3: Option<Timer>,
    /// The peer's last a_rwnd.
    advertised: usize,
    /// The most that was in flight since the window was last full, and until when that counts.
    peak: Peak,
    /// When data was last put into a packet.
    last_sent: Moment,
    /// The peer was heard since T3-rtx was started.
    heard: bool,
    packet_size: usize,
    /// The peer understands PAD.
    padding: bool,
    /// Messages go out as I-DATA (RFC 8260).
    interleaving: bool,
    max_outstanding: usize,
    t3_max: Duration,
    /// Acknowledged or abandoned messages, to be freed where no one waits.
    retired: Vec<Payload>,
    /// Bytes that left the queue other than by transmission since the last gather.
    unqueued: Vec<(StreamId, usize)>,
    /// Messages given up since the owner last asked.
    abandoned: Vec<(StreamId, usize)>,
    pub(crate) counters: SendCounters,
}

/// How much of the congestion window was used within a round trip: acknowledgements arrive when part
/// of it is acknowledged already.
#[derive(Debug, Clone, Copy)]
struct Peak {
    bytes: usize,
    until: Tsn,
}

/// What [`crate::Stats`] shows of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SendCounters {
    pub(crate) data_sent: u64,
    pub(crate) data_bytes_sent: u64,
    pub(crate) messages_abandoned: u64,
    pub(crate) retransmits: Retransmits,
    pub(crate) forward_tsns: u64,
}

/// What the handshake told about the receiver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAbilities {
    pub(crate) a_rwnd: u32,
    pub(crate) forward_tsn: bool,
    pub(crate) pad: bool,
    /// I-DATA is used.
    pub(crate) interleaving: bool,
}

/// What an expired timer asks of the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimerOutcome {
    Fine,
    /// T3-rtx expired and the peer was not heard: one more error (RFC 9260 §8.1).
    Unanswered,
}

impl Sender {
    pub(crate) fn new(config: &Config, limits: &Limits, first_tsn: Tsn, now: Instant) -> Self {
        Self {
            epoch: now,
            queue: SendQueue::new(config.scheduler),
            outstanding: Outstanding::new(first_tsn, header_len(false)),
            rtt: RttEstimator::new(config.rto_initial, config.rto_min, config.rto_max),
            congestion: Congestion::new(
                config.congestion_control,
                data_room(config.max_packet_size),
                first_tsn.0,
            ),
            delivery: Delivery::new(),
            pacer: Pacer::new(),
            round_began: Moment(0),
            lost_bytes: 0,
            recovery: Recovery::new(),
            partial: Partial::new(first_tsn),
            t3: None,
            advertised: 0,
            peak: Peak {
                bytes: 0,
                until: first_tsn.previous(),
            },
            last_sent: Moment(0),
            heard: false,
            packet_size: config.max_packet_size,
            padding: false,
            interleaving: false,
            // One more may be needed for the rest of an abandoned message.
            max_outstanding: limits.outstanding.min(crate::limits::MAX_OUTSTANDING - 1),
            t3_max: config.t3_max,
            retired: Vec::new(),
            unqueued: Vec::new(),
            abandoned: Vec::new(),
            counters: SendCounters::default(),
        }
    }

    /// The handshake told what the peer takes. Messages on streams that it does not have are given
    /// up; without FORWARD-TSN all are reliable (RFC 3758 §3.3.2).
    pub(crate) fn connected(&mut self, streams: u16, peer: PeerAbilities) {
        self.advertised = peer.a_rwnd as usize;
        self.padding = peer.pad;
        self.interleaving = peer.interleaving;
        self.outstanding.set_header(header_len(peer.interleaving));
        self.queue.set_interleaving(peer.interleaving);
        self.queue.raise_window(peer.a_rwnd as usize);
        self.partial.enabled = peer.forward_tsn;
        if !peer.forward_tsn {
            self.queue.lift_limits();
        }
        let (unqueued, retired, abandoned, counters) = (
            &mut self.unqueued,
            &mut self.retired,
            &mut self.abandoned,
            &mut self.counters,
        );
        self.queue.remove_streams_from(streams, |stream, payload| {
            add(unqueued, stream, payload.len());
            add(abandoned, stream, 1);
            counters.messages_abandoned += 1;
            retired.push(payload);
        });
    }

    /// The timers of what was sent with the COOKIE-ECHO start when that is answered.
    pub(crate) fn established(&mut self, now: Instant) {
        self.update_t3(now, true);
        if self.outstanding.flight_bytes() > 0 {
            self.schedule_probe(self.moment(now));
        }
    }

    /// The peer restarted: nothing sent before means anything to it.
    pub(crate) fn restart(&mut self, config: &Config, first_tsn: Tsn) {
        self.discard_all();
        self.outstanding = Outstanding::new(first_tsn, header_len(false));
        self.congestion = Congestion::new(
            config.congestion_control,
            data_room(self.packet_size),
            first_tsn.0,
        );
        self.delivery = Delivery::new();
        self.pacer = Pacer::new();
        self.recovery = Recovery::new();
        self.peak = Peak {
            bytes: 0,
            until: first_tsn.previous(),
        };
        self.partial = Partial::new(first_tsn);
        self.t3 = None;
    }

    /// Gives memory back that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.queue.shrink();
        self.outstanding.shrink();
        self.retired.shrink_to_fit();
        self.unqueued.shrink_to_fit();
        self.abandoned.shrink_to_fit();
    }

    /// Forgets all messages.
    pub(crate) fn discard_all(&mut self) {
        let (unqueued, retired) = (&mut self.unqueued, &mut self.retired);
        self.queue.clear(|stream, unsent, payload| {
            if unsent > 0 {
                add(unqueued, stream, unsent);
            }
            retired.push(payload);
        });
        self.outstanding =
            Outstanding::new(self.outstanding.next_tsn(), header_len(self.interleaving));
        self.t3 = None;
        self.pacer.release();
        self.recovery.probe.cancel();
        self.recovery.reorder_deadline = None;
    }

    /// Queues a message.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        stream: StreamId,
        ppid: Ppid,
        payload: Bytes,
        ordered: bool,
        reliability: crate::Reliability,
    ) {
        let limit = match reliability {
            _ if !self.partial.enabled => Limit::None,
            crate::Reliability::Reliable => Limit::None,
            crate::Reliability::MaxRetransmits(count) => Limit::Retransmits(count),
            crate::Reliability::MaxLifetime(life) => {
                Limit::Expires(Moment(self.moment(now).0.saturating_add(nanos(life))))
            }
        };
        self.queue.push(stream, ppid, payload, ordered, limit);
    }

    pub(crate) fn queue(&self) -> &SendQueue {
        &self.queue
    }

    pub(crate) fn queue_mut(&mut self) -> &mut SendQueue {
        &mut self.queue
    }

    /// Everything accepted is acknowledged or given up.
    pub(crate) fn is_done(&self) -> bool {
        self.queue.unsent_bytes() == 0 && self.outstanding.is_empty()
    }

    /// The last TSN assigned.
    pub(crate) fn last_tsn(&self) -> Tsn {
        self.outstanding.next_tsn().previous()
    }

    /// Messages given up since the last call, per stream.
    pub(crate) fn take_abandoned(&mut self) -> impl Iterator<Item = (StreamId, usize)> + '_ {
        self.abandoned.drain(..)
    }

    pub(crate) fn set_packet_size(&mut self, bytes: usize) {
        self.packet_size = bytes;
        self.congestion.set_packet_size(data_room(bytes));
    }

    /// Room the next packet needs: a chunk to be sent again keeps its boundaries, even if packets
    /// have become smaller since.
    pub(crate) fn packet_size(&self) -> usize {
        let again = self
            .outstanding
            .first_lost()
            .and_then(|tsn| self.outstanding.get(tsn))
            .map_or(0, |entry| HEADER_LEN + entry.wire_len());
        self.packet_size.max(again)
    }

    /// The earliest of the timers.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let moments = [
            self.recovery.reorder_deadline,
            self.recovery.probe.deadline,
            self.queue.next_expiry(),
            self.pacer.held_until(),
        ];
        let earliest = moments.into_iter().flatten().min().map(|m| self.instant(m));
        earlier(self.t3.map(|t| t.deadline), earliest)
    }

    /// Whatever expired.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> TimerOutcome {
        let moment = self.moment(now);
        self.expire_queued(moment);
        if self
            .recovery
            .reorder_deadline
            .is_some_and(|at| at <= moment)
        {
            self.detect_losses(now);
        }
        if self.t3.is_some_and(|t3| t3.is_due(now)) {
            return self.on_t3(now);
        }
        if self.pacer.held_until().is_some_and(|at| at <= moment) {
            // The gather that follows sends, or is refused anew.
            self.pacer.release();
        }
        if self.recovery.probe.deadline.is_some_and(|at| at <= moment) {
            self.recovery.probe.deadline = None;
            self.recovery.probe.pending = self.outstanding.flight_bytes() > 0;
            if self.outstanding.flight_bytes() == 0 && !self.outstanding.has_lost() {
                // All that waits for an answer is a FORWARD-TSN.
                self.partial.resend();
            }
        }
        TimerOutcome::Fine
    }

    /// T3-rtx expired (RFC 9260 §6.3.3, §7.2.3).
    fn on_t3(&mut self, now: Instant) -> TimerOutcome {
        let rto = self.rtt.rto();
        let Some(t3) = &mut self.t3 else {
            return TimerOutcome::Fine;
        };
        let first = t3.attempts == 0;
        t3.back_off(now, rto, self.t3_max);
        let probing = self
            .outstanding
            .oldest_in_flight()
            .is_some_and(|(_, entry)| entry.loss == Loss::WindowProbe);
        let heard = std::mem::take(&mut self.heard);
        // Further expirations in a row say nothing new about the capacity of the path, and a
        // closed window says nothing about it at all.
        if first && !probing {
            self.congestion.on_timeout(self.moment(now));
        }
        self.set_pace();
        self.recovery.on_timeout();
        self.outstanding.lose_all();
        self.partial.resend();
        // §6.1 rule A: unanswered probes of a closed window do not count while SACKs come.
        if probing && heard {
            TimerOutcome::Fine
        } else {
            TimerOutcome::Unanswered
        }
    }

    /// The path works again after silence: everything in flight is sent again at once.
    pub(crate) fn path_resumed(&mut self, now: Instant) {
        let moment = self.moment(now);
        let silent = self.t3.is_some_and(|t3| t3.attempts > 0)
            || self
                .outstanding
                .oldest_in_flight()
                .is_some_and(|(_, entry)| {
                    let round_trips = self.rtt.srtt().map_or(0, |srtt| nanos(srtt) * 2);
                    entry.sent_at.0 + round_trips <= moment.0
                });
        if !silent || self.outstanding.is_empty() {
            return;
        }
        self.congestion.on_path_resumed();
        self.pacer.restart();
        self.set_pace();
        self.recovery.on_timeout();
        self.outstanding.lose_all();
        self.partial.resend();
        self.t3 = Some(Timer::start(now, self.rtt.rto()));
    }

    /// Chunks sent in a packet that may never have arrived are to be sent again.
    pub(crate) fn lose_all(&mut self) {
        self.outstanding.lose_all();
    }

    pub(crate) fn cwnd(&self) -> usize {
        self.congestion.window()
    }

    pub(crate) fn ssthresh(&self) -> usize {
        self.congestion.ssthresh()
    }

    /// What the peer can still take: its last a_rwnd less what is under way (RFC 9260 §6.2.1).
    pub(crate) fn peer_rwnd(&self) -> usize {
        self.advertised
            .saturating_sub(self.outstanding.flight_payload())
    }

    pub(crate) fn bytes_in_flight(&self) -> usize {
        self.outstanding.flight_bytes()
    }

    pub(crate) fn outstanding_tsns(&self) -> usize {
        self.outstanding.len()
    }

    /// Hands over what became of messages since the last batch.
    pub(crate) fn flush(&mut self, batch: &mut PacketBatch) {
        batch.retire_all(&mut self.retired);
        self.queue.refill(batch.spare());
        for (stream, bytes) in self.unqueued.drain(..) {
            batch.note_unqueued(stream, bytes);
        }
    }

    fn expire_queued(&mut self, now: Moment) {
        let (unqueued, retired, abandoned, counters) = (
            &mut self.unqueued,
            &mut self.retired,
            &mut self.abandoned,
            &mut self.counters,
        );
        self.queue.expire(now, |stream, payload| {
            add(unqueued, stream, payload.len());
            add(abandoned, stream, 1);
            counters.messages_abandoned += 1;
            retired.push(payload);
        });
    }

    /// RFC 8985 §7.2: not during recovery, and not while T3-rtx backs off.
    fn schedule_probe(&mut self, now: Moment) {
        if !self.recovery.in_recovery()
            && !self.outstanding.has_lost()
            && self.t3.is_none_or(|t3| t3.attempts == 0)
        {
            self.recovery
                .probe
                .schedule(now, self.rtt.srtt(), self.rtt.rttvar());
        }
    }

    /// T3-rtx runs as long as something waits for an acknowledgement (§6.3.2 R1, R2).
    fn update_t3(&mut self, now: Instant, restart: bool) {
        if self.outstanding.is_empty() {
            self.t3 = None;
        } else if restart || self.t3.is_none() {
            self.heard = false;
            self.t3 = Some(Timer::start(now, self.rtt.rto()));
        }
    }

    /// The controller's rate, on a path long enough to be paced.
    fn set_pace(&mut self) {
        let rate = Pacer::applies(self.rtt.min_rtt()).then(|| {
            let srtt = self.rtt.srtt().map_or(0, nanos);
            self.congestion.pacing_rate(srtt)
        });
        self.pacer.set_rate(rate);
    }

    /// Bytes a second at which packets leave; `None` if they are not paced.
    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        self.pacer.rate()
    }

    /// Something was sent; before, nothing was outstanding if `idle`. A window that nothing vouches
    /// for any more shrinks with each RTO of silence (§7.2.1).
    fn note_sent(&mut self, now: Moment, idle: bool, bytes: usize) {
        let last = std::mem::replace(&mut self.last_sent, now);
        let silence = now.0.saturating_sub(last.0);
        if idle && silence >= nanos(self.rtt.rto()) {
            let rtos = silence / nanos(self.rtt.rto()).max(1);
            self.congestion
                .on_idle(u32::try_from(rtos).unwrap_or(u32::MAX));
            self.set_pace();
        }
        if self.congestion.wants_rate() {
            let round_trip = self.rtt.srtt().map_or(0, nanos);
            self.delivery.on_sent(now, idle, round_trip);
        }
        self.pacer.on_sent(now, bytes);
        self.update_peak();
    }

    /// How much is in flight at most in a round trip.
    fn update_peak(&mut self) {
        let bytes = self.outstanding.flight_bytes();
        let over = self.outstanding.base().is_newer_than(self.peak.until);
        if bytes >= self.peak.bytes || over {
            self.peak = Peak {
                bytes,
                until: self.last_tsn(),
            };
        }
    }

    fn moment(&self, now: Instant) -> Moment {
        Moment(nanos(now.saturating_duration_since(self.epoch)))
    }

    fn instant(&self, moment: Moment) -> Instant {
        self.epoch + Duration::from_nanos(moment.0)
    }
}

/// Sums up per stream; the list is short, or its end is what is asked for.
fn add(list: &mut Vec<(StreamId, usize)>, stream: StreamId, amount: usize) {
    match list.iter_mut().rev().take(8).find(|(s, _)| *s == stream) {
        Some((_, sum)) => *sum += amount,
        None => list.push((stream, amount)),
    }
}

/// Bytes of a chunk before its user data.
fn header_len(interleaving: bool) -> u8 {
    let len = if interleaving {
        I_DATA_HEADER_LEN
    } else {
        DATA_HEADER_LEN
    };
    len as u8
}

/// PMDCS: bytes of DATA chunks that fit a packet.
fn data_room(packet_size: usize) -> usize {
    (packet_size - HEADER_LEN) / 4 * 4
}
