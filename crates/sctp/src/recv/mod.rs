//! The receiving half of an association: which TSNs came, when to say so, and what messages they
//! make.
//!
//! [`Inbound`] is all that the association sees. Within, `tracker` keeps the numbers, `ack` the
//! moment of the next SACK, and `reassembly` (DATA) or `interleaved` (I-DATA) the fragments, with
//! `buffer` below them. Complete messages go through `delivery`, with `streams` and `arena`.

mod ack;
mod arena;
mod buffer;
mod delivery;
mod interleaved;
mod reassembly;
mod streams;
mod tracker;
mod window;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use self::ack::{AckState, PacketSummary, Step};
use self::delivery::{Delivery, MESSAGE_OVERHEAD};
use self::interleaved::Interleaved;
use self::reassembly::Reassembly;
use self::tracker::{Arrival, Tracker};
use self::window::Tuning;
use crate::event::ReceivedMessage;
use crate::serial::{StreamId, Tsn};
use crate::wire::{Cause, Data, DataFlags, ForwardTsn, IData, IForwardTsn, Sack};

/// What received data may cost, and how it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveLimits {
    /// Bytes held for the application, overhead included, before the peer has to stop.
    pub(crate) window: usize,
    /// What that may grow to.
    pub(crate) max_window: usize,
    /// Largest message in bytes. It may exceed the window: what has come of a message in order
    /// counts for at most a quarter of it.
    pub(crate) max_message_size: usize,
    /// I-DATA was negotiated (RFC 8260): DATA and FORWARD-TSN are violations, and the other way
    /// round.
    pub(crate) interleaving: bool,
    /// Incomplete messages at a time, if they can be interleaved.
    pub(crate) incomplete_messages: usize,
    /// Streams the peer may send on.
    pub(crate) streams: u16,
    /// Longest time an acknowledgement is held back.
    pub(crate) ack_delay: Duration,
    /// Bytes of a full packet, for the silly-window rule.
    pub(crate) packet_size: usize,
}

/// A default for [`ReceiveLimits::ack_delay`]. RFC 9260 §6.2 allows 200 ms (and at most 500), but
/// every peer's RTO and tail probe wait for it, and a second packet that would share the SACK
/// comes within a few milliseconds or not at all.
pub(crate) const ACK_DELAY: Duration = Duration::from_millis(20);

/// What became of a DATA chunk that is no violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It is part of a message now.
    Accepted,
    /// It came before.
    Duplicate,
    /// Its TSN is further ahead than a SACK can name.
    OutOfWindow,
    /// The window is full; the peer has to send it again.
    NoRoom,
    /// Its stream does not exist: acknowledged, dropped, and to be answered with an ERROR of cause
    /// Invalid Stream Identifier (RFC 9260 §6.5).
    InvalidStream,
}

/// What ends the association with an ABORT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// DATA without user data (§6.2).
    NoUserData(Tsn),
    /// B and E bits, streams or numbers of fragments do not make messages (§6.9).
    Fragments(Tsn),
    /// A message exceeds [`ReceiveLimits::max_message_size`].
    MessageTooLarge(StreamId),
    /// DATA or FORWARD-TSN although I-DATA was negotiated, or the other way round (RFC 8260 §2.2.1).
    Mixed,
    /// More messages are begun and not completed than there is room for, so that none of them can
    /// ever be completed.
    TooManyIncomplete,
}

impl Violation {
    /// The cause of the ABORT.
    pub(crate) fn cause(self) -> Cause<'static> {
        let text = match self {
            Self::NoUserData(tsn) => return Cause::NoUserData(tsn),
            Self::Fragments(tsn) => format!("wrong sequence of fragments at TSN {tsn}"),
            Self::MessageTooLarge(stream) => format!("message too large on stream {}", stream.0),
            Self::Mixed => "DATA and I-DATA are not mixed".to_owned(),
            Self::TooManyIncomplete => return Cause::OutOfResource,
        };
        Cause::ProtocolViolation(text.into_bytes().into())
    }
}

/// Drops by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiveDrops {
    /// DATA that came before.
    pub(crate) duplicates: u64,
    /// DATA and FORWARD-TSN further ahead than a SACK can name.
    pub(crate) out_of_window: u64,
    /// DATA for which the window had no room.
    pub(crate) no_room: u64,
    /// DATA on a stream that does not exist.
    pub(crate) invalid_stream: u64,
    /// Parts of messages given up by FORWARD-TSN or a stream reset, messages whose SSN had passed.
    pub(crate) skipped: u64,
}

/// The receiving half of an association.
///
/// After every packet, whatever it held, call [`Inbound::on_packet_end`]; then, before a gather and
/// after [`Inbound::poll_timeout`], [`Inbound::poll_sack`].
#[derive(Debug)]
pub(crate) struct Inbound {
    limits: ReceiveLimits,
    tuning: Tuning,
    tracker: Tracker,
    ack: AckState,
    fragments: Fragments,
    delivery: Delivery,
    /// Cost of messages that were handed out and not yet released.
    delivered: usize,
    /// What the last SACK said, or our INIT or INIT-ACK.
    advertised: usize,
    packet: PacketSummary,
    drops: ReceiveDrops,
}

/// Incomplete messages, as the kind of chunk that was negotiated makes them.
#[derive(Debug)]
enum Fragments {
    Data(Reassembly),
    IData(Interleaved),
}

impl Inbound {
    /// `initial_tsn` is the peer's.
    pub(crate) fn new(limits: ReceiveLimits, initial_tsn: Tsn) -> Self {
        Self {
            tracker: Tracker::new(initial_tsn),
            ack: AckState::new(limits.ack_delay),
            fragments: if limits.interleaving {
                Fragments::IData(Interleaved::new(limits.incomplete_messages))
            } else {
                Fragments::Data(Reassembly::default())
            },
            delivery: Delivery::new(limits.window, limits.max_message_size),
            delivered: 0,
            advertised: limits.window,
            tuning: Tuning::default(),
            packet: PacketSummary::default(),
            drops: ReceiveDrops::default(),
            limits,
        }
    }

    /// The peer restarted (RFC 9260 §5.2.4.1): forgets all but what the application still holds,
    /// messages that wait in [`Inbound::poll_message`] included.
    pub(crate) fn restart(&mut self, limits: ReceiveLimits, initial_tsn: Tsn) {
        let (delivered, drops) = (self.delivered, self.drops());
        *self = Self {
            delivered,
            drops,
            ..Self::new(limits, initial_tsn)
        };
    }

    /// A DATA chunk. Messages it completes are in [`Inbound::poll_message`] at once.
    ///
    /// # Errors
    /// The [`Violation`] that ends the association.
    #[inline]
    pub(crate) fn on_data(&mut self, data: &Data<'_>) -> Result<Disposition, Violation> {
        if self.limits.interleaving {
            return Err(Violation::Mixed);
        }
        let arrival = self.arrive(data.tsn, data.flags, data.payload)?;
        let room = match arrival {
            Arrival::InOrder => self.has_room_in_order(data.payload.len()),
            // What fills a gap lets the rest go, and may use more than what is new.
            Arrival::InGap => self.counted() < self.limits.window / 2 * 3,
            Arrival::Ahead => self.counted() < self.limits.window / 4 * 5,
            Arrival::Duplicate | Arrival::OutOfWindow => return Ok(self.refuse(data.tsn, arrival)),
        };
        if !room {
            return Ok(self.no_room());
        }
        let Fragments::Data(reassembly) = &mut self.fragments else {
            return Err(Violation::Mixed);
        };
        let out = &mut self.delivery;
        let position = self.tracker.position_of(data.tsn);
        self.tracker.record(data.tsn);
        let valid = data.stream.0 < self.limits.streams;
        if arrival == Arrival::InOrder {
            if valid {
                reassembly.insert_in_order(position, data, out)?;
            }
            reassembly.settle(self.tracker.position(), data, out)?;
        } else if valid {
            reassembly.insert_ahead(position, data, out)?;
        }
        Ok(self.taken(valid))
    }

    /// An I-DATA chunk, as [`Inbound::on_data`].
    ///
    /// # Errors
    /// The [`Violation`] that ends the association.
    #[inline]
    pub(crate) fn on_i_data(&mut self, data: &IData<'_>) -> Result<Disposition, Violation> {
        if !self.limits.interleaving {
            return Err(Violation::Mixed);
        }
        let arrival = self.arrive(data.tsn, data.flags, data.payload)?;
        if let Arrival::Duplicate | Arrival::OutOfWindow = arrival {
            return Ok(self.refuse(data.tsn, arrival));
        }
        let valid = data.stream.0 < self.limits.streams;
        if valid
            && self.held() + data.payload.len() + MESSAGE_OVERHEAD > self.limits.window
            && !self.has_room_beside(data, arrival)?
        {
            return Ok(self.no_room());
        }
        let Fragments::IData(interleaved) = &mut self.fragments else {
            return Err(Violation::Mixed);
        };
        self.tracker.record(data.tsn);
        if valid {
            interleaved.insert(data, &mut self.delivery)?;
        }
        Ok(self.taken(valid))
    }

    /// What every chunk with user data goes through first.
    #[inline]
    fn arrive(&mut self, tsn: Tsn, flags: DataFlags, payload: &[u8]) -> Result<Arrival, Violation> {
        self.packet.data = true;
        self.packet.urgent |= flags.is_immediate();
        self.packet.gap |= self.tracker.has_gaps();
        if payload.is_empty() {
            return Err(Violation::NoUserData(tsn));
        }
        self.tuning.on_data(payload.len());
        Ok(self.tracker.classify(tsn))
    }

    fn refuse(&mut self, tsn: Tsn, arrival: Arrival) -> Disposition {
        self.packet.urgent = true;
        if arrival == Arrival::Duplicate {
            self.tracker.record_duplicate(tsn);
            self.drops.duplicates += 1;
            Disposition::Duplicate
        } else {
            self.drops.out_of_window += 1;
            Disposition::OutOfWindow
        }
    }

    fn no_room(&mut self) -> Disposition {
        // RFC 9260 §6.2: the peer learns at once that the window is closed.
        self.drops.no_room += 1;
        self.packet.urgent = true;
        Disposition::NoRoom
    }

    #[inline]
    fn taken(&mut self, valid: bool) -> Disposition {
        if valid {
            Disposition::Accepted
        } else {
            self.drops.invalid_stream += 1;
            Disposition::InvalidStream
        }
    }

    /// A FORWARD-TSN (RFC 3758 §3.6).
    ///
    /// # Errors
    /// The [`Violation`] that ends the association.
    pub(crate) fn on_forward_tsn(&mut self, forward: &ForwardTsn) -> Result<(), Violation> {
        let up_to = self.tracker.position_of(forward.new_cumulative_tsn);
        let moved = self.move_to(forward.new_cumulative_tsn);
        match &mut self.fragments {
            Fragments::IData(_) => return Err(Violation::Mixed),
            Fragments::Data(reassembly) if moved => {
                let (cumulative, streams) = (self.tracker.position(), self.limits.streams);
                reassembly.forward(forward, up_to, cumulative, streams, &mut self.delivery)?;
            }
            Fragments::Data(_) => {}
        }
        Ok(())
    }

    /// An I-FORWARD-TSN (RFC 8260 §2.3.2).
    ///
    /// # Errors
    /// The [`Violation`] that ends the association.
    pub(crate) fn on_i_forward_tsn(&mut self, forward: &IForwardTsn) -> Result<(), Violation> {
        let moved = self.move_to(forward.new_cumulative_tsn);
        match &mut self.fragments {
            Fragments::Data(_) => return Err(Violation::Mixed),
            Fragments::IData(interleaved) if moved => {
                interleaved.forward(forward, self.limits.streams, &mut self.delivery);
            }
            Fragments::IData(_) => {}
        }
        Ok(())
    }

    /// The peer moves the cumulative TSN. False if it is there already, or cannot go so far.
    fn move_to(&mut self, tsn: Tsn) -> bool {
        // Old or new, it is answered at once: the answer to an earlier one may be lost.
        self.packet.urgent = true;
        let moved = self.tracker.forward(tsn);
        if !moved && tsn.is_newer_than(self.tracker.cumulative()) {
            self.drops.out_of_window += 1;
        }
        moved
    }

    /// All chunks of a packet were handled: decides about a SACK.
    #[inline]
    pub(crate) fn on_packet_end(&mut self, now: Instant) {
        let mut packet = std::mem::take(&mut self.packet);
        if !packet.data && !packet.urgent {
            return;
        }
        packet.gap |= packet.data && self.tracker.has_gaps();
        self.ack.on_packet(
            now,
            packet,
            self.tracker.cumulative(),
            self.tracker.highest(),
        );
    }

    /// A SACK that is due, as a chunk of at most `max_len` bytes. Call until `None`: each goes into
    /// a packet of its own, the last one possibly in front of data.
    pub(crate) fn poll_sack(&mut self, now: Instant, max_len: usize) -> Option<Sack> {
        if !self.ack.is_due(now) {
            return None;
        }
        while let Some(step) = self.ack.take_step() {
            if let Some(sack) = self.step_sack(step, max_len) {
                return Some(sack);
            }
        }
        Some(self.full_sack(max_len))
    }

    /// A SACK that need not be due, if there is anything to acknowledge: for a packet that carries
    /// data anyway. Call [`Inbound::poll_sack`] first.
    pub(crate) fn bundle_sack(&mut self, max_len: usize) -> Option<Sack> {
        self.ack.is_pending().then(|| self.full_sack(max_len))
    }

    /// The SACK of the latest state, whether or not anything is to be acknowledged: beside a
    /// SHUTDOWN (§9.2).
    pub(crate) fn full_sack(&mut self, max_len: usize) -> Sack {
        let max = max_len.saturating_sub(SACK_HEADER_LEN) / 4;
        let gaps = if self.tracker.has_gaps() {
            self.tracker.gaps(max)
        } else {
            Default::default()
        };
        let duplicates = self.tracker.take_duplicates(max - gaps.len());
        self.ack.on_sack();
        let a_rwnd = self.a_rwnd();
        self.advertised = a_rwnd as usize;
        Sack {
            cumulative_tsn: self.tracker.cumulative(),
            a_rwnd,
            gaps,
            duplicates,
        }
    }

    /// When a held-back SACK becomes due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.ack.deadline()
    }

    /// The next complete message. Its cost counts until it is released.
    #[inline]
    pub(crate) fn poll_message(&mut self) -> Option<ReceivedMessage> {
        let message = self.delivery.pop()?;
        self.delivered += message.cost;
        Some(message)
    }

    /// Gives memory back that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.delivery.shrink();
        self.tracker.shrink();
    }

    /// The application took messages of this cost. May make a window update due, and the window
    /// larger: `rtt` is the path's round trip, if known.
    pub(crate) fn release(&mut self, now: Instant, cost: usize, rtt: Option<Duration>) {
        self.delivered = self.delivered.saturating_sub(cost);
        if self.limits.window < self.limits.max_window
            && let Some(wanted) = self.tuning.on_taken(now, cost, rtt)
            && wanted > self.limits.window
        {
            self.resize(wanted.min(self.limits.max_window));
        }
        self.consider_window_update();
    }

    /// Another window, and the most that it may grow to. May make a window update due.
    pub(crate) fn set_window(&mut self, bytes: usize, max: usize) {
        self.limits.max_window = max;
        self.resize(bytes);
        self.consider_window_update();
    }

    fn resize(&mut self, window: usize) {
        self.limits.window = window;
        self.delivery.set_window(window);
    }

    fn consider_window_update(&mut self) {
        let (window, open) = (self.limits.window, self.a_rwnd() as usize);
        let two_packets = (2 * self.limits.packet_size).min(window / 2);
        // The silly-window rule. As long as the peer knows of room for two packets it sends, and
        // hears of more by the SACKs for them; a closed window it has to be told about. Beyond, an
        // update is worth a packet only if it changes what the peer can do.
        let reopened = self.advertised < two_packets && open >= two_packets;
        let widened =
            self.advertised < window / 2 && open.saturating_sub(self.advertised) >= window / 4;
        if reopened || widened {
            self.ack.on_window_update();
        }
    }

    /// Bytes the peer may still send, as the next SACK says.
    pub(crate) fn a_rwnd(&self) -> u32 {
        let free = self.limits.window.saturating_sub(self.counted());
        let free = self.delivery.payload_in(free);
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    /// The largest that [`Inbound::a_rwnd`] can be for now.
    pub(crate) fn window(&self) -> usize {
        self.limits.window
    }

    /// Everything up to here has been received or skipped.
    pub(crate) fn cumulative_tsn(&self) -> Tsn {
        self.tracker.cumulative()
    }

    /// Bytes held, overhead included: incomplete messages, and those not yet released.
    pub(crate) fn held(&self) -> usize {
        self.delivered + self.delivery.held()
    }

    /// The peer's streams start again at SSN 0 (RFC 6525 §5.2.2); an empty list means all of them.
    /// Call it once everything up to the request's last TSN has been received.
    pub(crate) fn reset_streams(&mut self, streams: &[StreamId]) {
        if let Fragments::IData(interleaved) = &mut self.fragments {
            interleaved.reset_streams(streams, &mut self.delivery);
        }
        self.delivery.reset_streams(streams);
    }

    /// Counters.
    pub(crate) fn drops(&self) -> ReceiveDrops {
        ReceiveDrops {
            skipped: self.drops.skipped + self.delivery.skipped(),
            ..self.drops
        }
    }

    /// What counts against the window. A message larger than the window would close it for good,
    /// so what has come of it in order counts for at most a quarter; so do all incomplete messages
    /// together where they are interleaved, since nothing the application takes makes them less.
    #[inline]
    fn counted(&self) -> usize {
        let incomplete = match &self.fragments {
            Fragments::Data(reassembly) => reassembly.current_cost(),
            Fragments::IData(interleaved) => interleaved.charge(),
        };
        self.held() - incomplete.saturating_sub(self.limits.window / 4)
    }

    /// Data in order is progress: it is refused only if the application has enough to do, or if
    /// everything together exceeds what we ever hold.
    #[inline]
    fn has_room_in_order(&self, len: usize) -> bool {
        let window = self.limits.window;
        self.delivered + self.delivery.ready_cost() < window + window / 16
            && self.counted() + len + MESSAGE_OVERHEAD <= window * 2
    }

    /// The same for I-DATA, once there is more than a window of everything. What has come in order of
    /// one message counts for at most a quarter, whatever its size.
    fn has_room_beside(&mut self, data: &IData<'_>, arrival: Arrival) -> Result<bool, Violation> {
        let Fragments::IData(interleaved) = &self.fragments else {
            return Err(Violation::Mixed);
        };
        let window = self.limits.window;
        let one = interleaved.largest(data, &mut self.delivery);
        let taken = self.delivered + self.delivery.ready_cost();
        let held = self.delivered + self.delivery.held() - one.saturating_sub(window / 4);
        match arrival {
            Arrival::InGap => return Ok(held < window / 2 * 3),
            Arrival::Ahead => return Ok(held < window / 4 * 5),
            Arrival::InOrder | Arrival::Duplicate | Arrival::OutOfWindow => {}
        }
        if taken >= window + window / 16 {
            return Ok(false);
        }
        let needed = held + data.payload.len() + MESSAGE_OVERHEAD;
        if needed <= window * 2 || interleaved.completes(data, &mut self.delivery) {
            return Ok(true);
        }
        if needed - taken > window * 2 {
            // It is the next TSN, and whatever the application takes, there is no room for it.
            return Err(Violation::TooManyIncomplete);
        }
        Ok(false)
    }

    fn step_sack(&self, step: Step, max_len: usize) -> Option<Sack> {
        let current = self.tracker.cumulative();
        let (cumulative_tsn, gaps) = match step {
            Step::Cumulative(tsn) => (tsn, Default::default()),
            Step::Gap(highest) if highest.is_newer_than(current) => {
                let max = max_len.saturating_sub(SACK_HEADER_LEN) / 4;
                (current, self.tracker.gaps_up_to(highest, max))
            }
            Step::Gap(_) => return None,
        };
        Some(Sack {
            cumulative_tsn,
            a_rwnd: self.a_rwnd(),
            gaps,
            duplicates: Default::default(),
        })
    }
}

/// A SACK chunk without gaps and duplicates (RFC 9260 §3.3.4).
const SACK_HEADER_LEN: usize = 16;
