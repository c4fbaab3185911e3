//! Planning packets: what is sent again first, then new fragments, cut to fill the packet.

use std::time::Instant;

use crate::batch::{DataPlan, Numbering, PacketBatch};
use crate::serial::{Ssn, Tsn};
use crate::wire::{DataFlags, HEADER_LEN};

use super::Sender;
use super::congestion::Controller;
use super::outstanding::{Fragment, Loss, Moment};
use super::queue::{Limit, Message};

/// Why a packet holds no more DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// There is no more.
    Drained,
    /// The congestion window, the peer's window or the number of TSNs does not allow more.
    Window,
    /// The next chunk does not fit.
    Full,
}

impl Sender {
    /// Whether [`Self::fill`] would put new data into a packet.
    pub(crate) fn can_send_new(&self) -> bool {
        self.queue.unsent_bytes() > 0
            && !self.outstanding.has_lost()
            && self.pacer.held_until().is_none()
            && (self.outstanding.flight_payload() == 0
                || self.peer_rwnd() > super::data_room(self.packet_size)
                    && self.outstanding.flight_bytes() < self.congestion.window())
    }

    /// Fills the open packet with DATA. Pads it if more data follows in another packet.
    pub(crate) fn fill(&mut self, now: Instant, batch: &mut PacketBatch) {
        let moment = self.moment(now);
        self.expire_queued(moment);
        if !self.is_paced_in(moment) {
            return;
        }
        let before = batch.open_len();
        let idle = self.outstanding.is_empty();
        let probing = self.recovery.probe.pending;
        let mut stop = self.fill_lost(moment, batch);
        if stop == Stop::Drained {
            stop = self.fill_new(moment, batch);
        }
        if stop == Stop::Drained && self.congestion.wants_rate() {
            self.delivery.on_limited(self.outstanding.flight_bytes());
        }
        if batch.open_len() > before {
            self.note_sent(moment, idle, batch.open_len() - before);
        }
        if probing && batch.open_len() == before && self.newest_waits_for_room(batch) {
            return;
        }
        if probing {
            let repeated = if batch.open_len() == before {
                self.repeat_newest(moment, batch)
            } else {
                None
            };
            self.recovery.probe.on_sent(self.last_tsn(), repeated);
            if batch.open_len() > before {
                // The probe stands for the timeout; that one starts over (RFC 8985 §7.3).
                self.update_t3(now, true);
            }
        } else if batch.open_len() > before {
            self.update_t3(now, false);
            self.schedule_probe(moment);
        }
        if stop == Stop::Full && self.padding && batch.open_len() > before {
            // Segments of equal length travel in one system call (GSO).
            batch.pad_packet_to(batch.open_len() + batch.remaining());
        }
    }

    /// Whether the pacer lets a packet go, if there is one for it. A probe does not wait.
    fn is_paced_in(&mut self, now: Moment) -> bool {
        if !self.pacer.is_on() || self.recovery.probe.pending {
            return true;
        }
        let wanted = self.outstanding.has_lost() || self.queue.unsent_bytes() > 0;
        let open = self.outstanding.flight_bytes() < self.congestion.window();
        !wanted || !open || self.pacer.may_send(now)
    }

    /// Chunks to be sent again, with their boundaries of the first time.
    fn fill_lost(&mut self, now: Moment, batch: &mut PacketBatch) -> Stop {
        let mut sent = false;
        let stop = loop {
            let Some(tsn) = self.outstanding.first_lost() else {
                break Stop::Drained;
            };
            let Some(entry) = self.outstanding.get(tsn).copied() else {
                break Stop::Drained;
            };
            let may_be_sent = self
                .queue
                .get(entry.message)
                .is_some_and(|m| m.may_be_sent(now, entry.sends));
            if !may_be_sent {
                self.abandon_message(entry.message, now);
                continue;
            }
            if entry.wire_len() > batch.remaining() {
                break Stop::Full;
            }
            let forced = self.recovery.force_packet || self.recovery.probe.pending;
            if self.outstanding.flight_bytes() >= self.congestion.window() && !forced {
                break Stop::Window;
            }
            // A closed window takes one chunk at a time (RFC 9260 §6.1 rule A).
            let closed = self.peer_rwnd() == 0;
            if closed && self.outstanding.flight_payload() > 0 {
                break Stop::Window;
            }
            match entry.loss {
                Loss::None | Loss::Fast => self.counters.retransmits.fast += 1,
                Loss::Timeout | Loss::WindowProbe => self.counters.retransmits.timeout += 1,
            }
            self.outstanding.resend(
                tsn,
                now,
                if closed {
                    Loss::WindowProbe
                } else {
                    Loss::None
                },
            );
            self.recovery.on_retransmitted(tsn);
            let last = !self.outstanding.has_lost() && self.queue.unsent_bytes() == 0;
            self.plan(tsn, last || self.closes(0), batch);
            sent = true;
        };
        if sent {
            self.recovery.force_packet = false;
        }
        stop
    }

    /// New fragments.
    fn fill_new(&mut self, now: Moment, batch: &mut PacketBatch) -> Stop {
        loop {
            let Some(key) = self.queue.current() else {
                return Stop::Drained;
            };
            let Some(message) = self.queue.get(key) else {
                return Stop::Drained;
            };
            if !message.may_be_sent(now, 0) {
                if message.cut > 0 {
                    self.abandon_message(key, now);
                } else {
                    let stream = message.stream;
                    if let Some(message) = self.queue.remove_head(stream) {
                        self.abandon_unsent(stream, message.payload);
                    }
                }
                continue;
            }
            let window_open = self.outstanding.flight_bytes() < self.congestion.window()
                || self.recovery.probe.pending;
            if !window_open || self.outstanding.len() >= self.max_outstanding {
                return Stop::Window;
            }
            let header = self.outstanding.header();
            let room = batch.remaining().saturating_sub(header);
            let whole = super::data_room(self.packet_size).saturating_sub(header);
            let Some(mut len) = fragment_len(message, room, whole, self.padding) else {
                return Stop::Full;
            };
            let mut kind = Loss::None;
            let rwnd = self.peer_rwnd();
            if len > rwnd {
                // RFC 9260 §6.1 rule A: not more than the peer can take, but always one chunk,
                // without which a lost window update would be the end.
                if self.outstanding.flight_payload() > 0 {
                    return Stop::Window;
                }
                if rwnd > 0 {
                    len = rwnd;
                } else {
                    kind = Loss::WindowProbe;
                }
            }
            let fragment = Fragment {
                message: key,
                offset: message.cut,
                fsn: message.next_fsn,
                len: len as u16,
            };
            let stream = message.stream;
            let tsn = self.outstanding.push(now, fragment, kind);
            if let Some(before) = self.queue.cut(key, len, tsn) {
                self.outstanding.link(before, tsn);
            }
            batch.note_unqueued(stream, len);
            let drained = self.queue.unsent_bytes() == 0;
            self.plan(
                tsn,
                drained || self.closes(super::data_room(self.packet_size)),
                batch,
            );
        }
    }

    /// The tail-loss probe without new data: the last chunk once more (RFC 8985 §7.3).
    fn repeat_newest(&mut self, now: Moment, batch: &mut PacketBatch) -> Option<Tsn> {
        let (tsn, entry) = self.outstanding.newest_in_flight()?;
        let may_be_sent = self
            .queue
            .get(entry.message)
            .is_some_and(|m| m.may_be_sent(now, entry.sends));
        if !may_be_sent {
            // It may not be repeated, so it is over: the FORWARD-TSN is the probe.
            self.abandon_message(entry.message, now);
            return None;
        }
        if entry.wire_len() > batch.remaining() {
            return None;
        }
        self.outstanding.resend(tsn, now, entry.loss);
        self.counters.retransmits.probe += 1;
        self.plan(tsn, true, batch);
        Some(tsn)
    }

    /// The packet holds something else, and the next one will have room for a probe.
    fn newest_waits_for_room(&self, batch: &PacketBatch) -> bool {
        batch.open_len() > HEADER_LEN
            && self
                .outstanding
                .newest_in_flight()
                .is_some_and(|(_, entry)| entry.wire_len() > batch.remaining())
    }

    /// Whether what is in flight now closes a window, so that nothing will follow. A peer's window
    /// of less than a packet counts as closed: waiting for more avoids small fragments, which is the
    /// sender's half of the silly-window rule.
    ///
    /// With many packets in flight acknowledgements come anyway, the next one opens the window, and
    /// asking for one at each gather would keep the peer from stretching them.
    fn closes(&self, room: usize) -> bool {
        self.outstanding.len() < ACKNOWLEDGED_ANYWAY
            && (self.outstanding.flight_bytes() >= self.congestion.window()
                || self.peer_rwnd() <= room
                || self.outstanding.len() >= self.max_outstanding)
    }

    /// Puts an outstanding chunk into the open packet.
    fn plan(&mut self, tsn: Tsn, immediate: bool, batch: &mut PacketBatch) {
        let Some(entry) = self.outstanding.get(tsn) else {
            return;
        };
        let Some(message) = self.queue.get(entry.message) else {
            return;
        };
        let mut flags = DataFlags::NONE;
        if entry.offset == 0 {
            flags = flags.with(DataFlags::BEGIN);
        }
        if entry.offset as usize + usize::from(entry.len) == message.payload.len() {
            flags = flags.with(DataFlags::END);
        }
        if !message.ordered {
            flags = flags.with(DataFlags::UNORDERED);
        }
        if immediate {
            // RFC 7053: nothing follows that would make the peer acknowledge soon.
            flags = flags.with(DataFlags::IMMEDIATE);
        }
        let index = batch.message(&message.payload, entry.offset == 0);
        let numbering = if self.interleaving {
            Numbering::IData {
                mid: message.mid,
                fsn: entry.fsn,
            }
        } else {
            let ssn = if message.ordered { message.mid.0 } else { 0 };
            #[expect(clippy::cast_possible_truncation, reason = "the low half is the SSN")]
            Numbering::Data(Ssn(ssn as u16))
        };
        batch.push_data(DataPlan {
            tsn,
            stream: message.stream,
            numbering,
            ppid: message.ppid,
            flags,
            message: index,
            offset: entry.offset,
            len: entry.len,
        });
        self.counters.data_sent += 1;
        self.counters.data_bytes_sent += u64::from(entry.len);
    }
}

/// How much of a message goes into `room` bytes, where an empty packet has room for `whole`; `None` if
/// the next packet is the better place.
fn fragment_len(message: &Message, room: usize, whole: usize, padding: bool) -> Option<usize> {
    let rest = message.payload.len() - message.cut as usize;
    if rest <= room {
        return Some(rest);
    }
    if room >= whole {
        return Some(room);
    }
    // A message that is not sent again until it arrives is better not exposed to two losses.
    let fragile = message.limit != Limit::None && rest <= whole;
    // Without PAD, only data can fill the packet; that of a message that is in pieces anyway.
    let smallest = if padding || rest <= whole {
        SMALLEST_HEAD
    } else {
        4
    };
    (room >= smallest && !fragile).then_some(room)
}

/// Twice the packets after which a receiver like ours acknowledges at the latest.
const ACKNOWLEDGED_ANYWAY: usize = 16;

/// A fragment costs a header of sixteen or twenty bytes here, and bookkeeping at both ends; below
/// this, the rest of a packet is padded instead.
const SMALLEST_HEAD: usize = 64;
