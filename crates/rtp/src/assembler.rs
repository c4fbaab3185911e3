//! Frames from packets that arrive late, twice, out of order or not at all.
//!
//! The assembler knows no time: whoever does calls [`FrameAssembler::give_up_before`] when a
//! missing packet is not worth waiting for any longer.

mod references;

use crate::payload::{Depacketizer, FrameStart, PacketInfo};
use crate::{DecodeError, Limits, SequenceNumber, SequenceUnwrapper, Timestamp};
use references::References;

/// Puts packets of one stream in order and makes frames of them. `P` holds a payload: `Bytes`, a
/// `Vec`, or a buffer from a pool. Nothing is allocated after construction.
#[derive(Debug)]
pub struct FrameAssembler<D, P> {
    depacketizer: D,
    unwrapper: SequenceUnwrapper,
    /// Packets from `head` on, by number modulo the length, which is a power of two.
    slots: Box<[Option<Slot<P>>]>,
    /// The oldest packet that has not been consumed.
    head: u64,
    /// Everything in `head..scan` is present and of one frame that is not finished.
    scan: u64,
    /// One behind the newest packet received.
    end: u64,
    /// Missing packets before this one are not waited for.
    give_up: u64,
    /// The head has to move here to make room, at the cost of packets that are there.
    overflow: u64,
    bytes: usize,
    max_bytes: usize,
    state: State,
    references: References,
}

/// What is known about the frame at the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No packet has been received yet.
    Empty,
    /// The head begins a frame.
    Anchored,
    /// What came before the head was lost: `missing` packets, of frames not seen at all.
    Lost { missing: u32 },
    /// The head belongs to a frame of which a part is lost.
    Discarding(Discard),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Discard {
    timestamp: Timestamp,
    first: SequenceNumber,
    packets: u32,
    missing: u32,
    /// Whether no other frame can have lost a packet in the same gap.
    is_confined: bool,
    /// Whether the packet before the head is missing.
    is_after_gap: bool,
    info: PacketInfo,
}

#[derive(Clone, Debug)]
struct Slot<P> {
    timestamp: Timestamp,
    ends_frame: bool,
    /// None for a payload that is no part of any frame: padding.
    info: Option<PacketInfo>,
    payload: P,
}

/// One packet for the assembler.
#[derive(Clone, Debug)]
pub struct MediaPacket<P> {
    /// Sequence number; for RTX the original one.
    pub sequence: SequenceNumber,
    /// Timestamp.
    pub timestamp: Timestamp,
    /// Marker bit.
    pub marker: bool,
    /// The payload without padding.
    pub payload: P,
}

/// What became of a packet.
#[derive(Debug)]
#[non_exhaustive]
pub enum Inserted<P> {
    /// Taken.
    Stored,
    /// Already there.
    Duplicate,
    /// Older than what has been consumed or given up.
    TooOld,
    /// Not a payload of the format. Its place counts as lost.
    Malformed(DecodeError),
    /// No room. The oldest gap has been given up: poll until there is nothing more and insert the
    /// packet again; then there is room.
    Full(MediaPacket<P>),
}

/// A frame, or what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssembledFrame {
    /// Whether the frame's bytes are there and of use.
    pub status: FrameStatus,
    /// None if not a single packet of the frame was received.
    pub timestamp: Option<Timestamp>,
    /// Sequence number of the first packet consumed with this frame.
    pub first: SequenceNumber,
    /// Packets received.
    pub packets: u32,
    /// Packets that were given up.
    pub missing: u32,
    /// Whether it can be decoded without any other frame.
    pub key_frame: bool,
    /// Highest spatial layer in it.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// Whether no other frame refers to this one.
    pub discardable: bool,
}

/// Whether a frame's bytes are there and of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameStatus {
    /// All there, and so is what it refers to.
    Complete,
    /// All there, but it refers to something that was lost, as far as the payload format says. A
    /// key frame ends this; ask for one.
    Undecodable,
    /// Packets were given up; there are no bytes.
    Incomplete,
    /// All packets are there and make no frame; there are no bytes.
    Malformed,
}

impl<D: Depacketizer, P: AsRef<[u8]>> FrameAssembler<D, P> {
    /// Empty, with room for [`Limits::assembler_packets`] and [`Limits::assembler_bytes`].
    #[must_use]
    pub fn new(depacketizer: D, limits: &Limits) -> Self {
        let capacity = limits
            .assembler_packets
            .clamp(2, MAX_PACKETS)
            .next_power_of_two();
        Self {
            depacketizer,
            unwrapper: SequenceUnwrapper::new(),
            slots: std::iter::repeat_with(|| None).take(capacity).collect(),
            head: 0,
            scan: 0,
            end: 0,
            give_up: 0,
            overflow: 0,
            bytes: 0,
            max_bytes: limits.assembler_bytes,
            state: State::Empty,
            references: References::default(),
        }
    }

    /// Takes a packet. Call [`Self::poll`] afterwards.
    pub fn insert(&mut self, packet: MediaPacket<P>) -> Inserted<P> {
        let MediaPacket {
            sequence,
            timestamp,
            marker,
            payload,
        } = packet;
        let number = self.unwrapper.peek(sequence);
        let size = payload.as_ref().len();
        if self.state == State::Empty {
            (self.head, self.scan, self.end, self.give_up) = (number, number, number, 0);
            self.state = State::Lost { missing: 0 };
        } else if number < self.head && !self.extend_back(number) {
            return Inserted::TooOld;
        }
        if number < self.end && self.slot(number).is_some() {
            return Inserted::Duplicate;
        }
        let info = match payload.as_ref() {
            // Padding to probe the path; it has its own place in the sequence.
            [] => None,
            payload => match self.depacketizer.inspect(payload) {
                Ok(info) => Some(info),
                Err(error) => return Inserted::Malformed(error),
            },
        };
        let capacity = self.slots.len() as u64;
        if self.head == self.end {
            self.jump((number + 1).saturating_sub(capacity));
        }
        if size > self.max_bytes {
            return Inserted::Malformed(DecodeError::TooMany("bytes"));
        }
        let make_room = if self.bytes + size > self.max_bytes {
            // Everything that is not a whole frame by now.
            self.end
        } else if number - self.head >= capacity {
            number + 1 - capacity
        } else {
            0
        };
        if make_room > 0 {
            self.give_up = self.give_up.max(make_room);
            self.overflow = self.overflow.max(make_room);
            return Inserted::Full(MediaPacket {
                sequence,
                timestamp,
                marker,
                payload,
            });
        }
        self.unwrapper.unwrap(sequence);
        self.bytes += size;
        self.end = self.end.max(number + 1);
        let ends_frame = info.is_none_or(|info| info.ends_frame || marker);
        *self.slot(number) = Some(Slot {
            timestamp,
            ends_frame,
            info,
            payload,
        });
        Inserted::Stored
    }

    /// The next frame in order, or what is left of one; its bytes replace those in `frame`. None
    /// when a packet is missing that has not been given up, or there is no more.
    pub fn poll(&mut self, frame: &mut Vec<u8>) -> Option<AssembledFrame> {
        loop {
            match self.state {
                State::Empty => return None,
                State::Discarding(discard) => {
                    if let Some(report) = self.discard(discard)? {
                        return Some(report);
                    }
                }
                State::Anchored | State::Lost { .. } => {
                    if let Some(report) = self.advance(frame)? {
                        return Some(report);
                    }
                }
            }
        }
    }

    /// Stops waiting for missing packets before `sequence`. Call [`Self::poll`] afterwards.
    pub fn give_up_before(&mut self, sequence: SequenceNumber) {
        if self.state != State::Empty {
            self.give_up = self
                .give_up
                .max(self.unwrapper.peek(sequence).min(self.end));
        }
    }

    /// Stops waiting for anything that is missing now, as at the end of a stream.
    pub fn give_up_all(&mut self) {
        self.give_up = self.end;
    }

    /// Forgets everything, as for a sender that began anew with other numbers.
    pub fn reset(&mut self) {
        self.slots.fill_with(|| None);
        self.unwrapper = SequenceUnwrapper::new();
        self.bytes = 0;
        self.overflow = 0;
        self.state = State::Empty;
        self.references = References::default();
    }

    /// From the oldest packet held to the newest, in sequence numbers.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.end - self.head
    }

    /// Bytes of payload held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest packet that is waited for: the next one, if none is missing.
    #[must_use]
    pub fn waiting_for(&self) -> Option<SequenceNumber> {
        (self.state != State::Empty).then_some(SequenceNumber(self.scan as u16))
    }

    /// The frame's first packets may arrive after later ones: as long as nothing was consumed, the
    /// head moves back.
    fn extend_back(&mut self, number: u64) -> bool {
        let is_untouched = self.state == (State::Lost { missing: 0 }) && self.give_up == 0;
        let fits = self.end - number <= self.slots.len() as u64;
        if is_untouched && fits {
            (self.head, self.scan) = (number, number);
        }
        is_untouched && fits
    }

    /// Gives up everything before `number` while nothing is held.
    fn jump(&mut self, number: u64) {
        let Some(gap) = number.checked_sub(self.head) else {
            return;
        };
        let gap = u32::try_from(gap).unwrap_or(u32::MAX);
        (self.head, self.scan, self.end) = (number, number, number);
        match &mut self.state {
            _ if gap == 0 => {}
            State::Empty => {}
            state @ State::Anchored => *state = State::Lost { missing: gap },
            State::Lost { missing } => *missing = missing.saturating_add(gap),
            State::Discarding(discard) => {
                discard.missing = discard.missing.saturating_add(gap);
                discard.is_after_gap = true;
            }
        }
    }

    /// One step with a head that may begin a frame. `Some(None)` is progress without a report.
    fn advance(&mut self, frame: &mut Vec<u8>) -> Option<Option<AssembledFrame>> {
        if self.scan == self.end {
            return self.meet_gap().map(|()| None);
        }
        let (head, scan) = (self.head, self.scan);
        let Some(slot) = self.peek(scan) else {
            return self.meet_gap().map(|()| None);
        };
        let (timestamp, ends_frame, info) = (slot.timestamp, slot.ends_frame, slot.info);
        if scan > head {
            let first = self.peek(head)?.timestamp;
            // A new timestamp, or padding, ends a frame whose marker is not set.
            if timestamp != first || info.is_none() {
                return Some(Some(self.deliver(frame)));
            }
        } else if let Some(info) = info {
            if let State::Lost { missing } = self.state
                && matches!(info.start, FrameStart::Unknown | FrameStart::No)
            {
                self.start_discarding(missing, info);
                return Some(None);
            }
            if let Some(report) = self.report_lost() {
                return Some(Some(report));
            }
        } else {
            // Padding between frames: what follows begins a frame, if what came before ended one.
            self.consume();
            self.scan = self.head;
            return Some(None);
        }
        self.scan += 1;
        Some(ends_frame.then(|| self.deliver(frame)))
    }

    /// The packet at `scan` is missing or still to come. None while it is waited for.
    fn meet_gap(&mut self) -> Option<()> {
        if self.scan > self.head {
            let is_given_up = self.scan < self.give_up.min(self.end);
            if !is_given_up && self.head >= self.overflow {
                return None;
            }
            let info = self
                .peek(self.head)
                .and_then(|slot| slot.info)
                .unwrap_or_default();
            self.start_discarding(0, info);
            return Some(());
        }
        if self.scan >= self.give_up.min(self.end) {
            return None;
        }
        let lost = self.skip_missing();
        let before = if let State::Lost { missing } = self.state {
            missing
        } else {
            0
        };
        self.state = State::Lost {
            missing: before.saturating_add(lost),
        };
        Some(())
    }

    fn start_discarding(&mut self, missing: u32, info: PacketInfo) {
        let timestamp = self
            .peek(self.head)
            .map(|slot| slot.timestamp)
            .unwrap_or_default();
        self.state = State::Discarding(Discard {
            timestamp,
            first: SequenceNumber(self.head as u16),
            packets: 0,
            missing,
            is_confined: self.state == State::Anchored,
            is_after_gap: false,
            info,
        });
    }

    /// One step through a frame that is lost. `Some(None)` is progress without a report.
    fn discard(&mut self, mut discard: Discard) -> Option<Option<AssembledFrame>> {
        self.scan = self.head;
        if self.head == self.end {
            return None;
        }
        let Some(slot) = self.peek(self.head) else {
            if self.head >= self.give_up {
                return None;
            }
            discard.missing = discard.missing.saturating_add(self.skip_missing());
            discard.is_after_gap = true;
            self.state = State::Discarding(discard);
            return Some(None);
        };
        let is_same = slot.timestamp == discard.timestamp && slot.info.is_some();
        let ends_frame = slot.ends_frame;
        if is_same {
            discard.packets += 1;
            discard.is_after_gap = false;
            discard.info.discardable &= slot.info.is_some_and(|info| info.discardable);
            self.consume();
            self.scan = self.head;
            if !ends_frame {
                self.state = State::Discarding(discard);
                return Some(None);
            }
        }
        // The gap before another frame may have eaten into it.
        let is_anchored = !discard.is_after_gap;
        discard.is_confined &= is_anchored;
        self.state = if is_anchored {
            State::Anchored
        } else {
            State::Lost { missing: 0 }
        };
        Some(Some(self.incomplete(discard)))
    }

    fn incomplete(&mut self, discard: Discard) -> AssembledFrame {
        if !(discard.is_confined && discard.info.discardable) {
            self.references.lose();
        }
        AssembledFrame {
            status: FrameStatus::Incomplete,
            timestamp: Some(discard.timestamp),
            first: discard.first,
            packets: discard.packets,
            missing: discard.missing,
            key_frame: false,
            spatial: discard.info.spatial,
            temporal: discard.info.temporal,
            discardable: discard.info.discardable,
        }
    }

    /// Frames that vanished as a whole before the one at the head, reported once. What was before
    /// the very first packet is nobody's loss.
    fn report_lost(&mut self) -> Option<AssembledFrame> {
        let State::Lost { missing } = self.state else {
            return None;
        };
        self.state = State::Anchored;
        if missing == 0 {
            return None;
        }
        self.references.lose();
        Some(AssembledFrame {
            status: FrameStatus::Incomplete,
            timestamp: None,
            first: SequenceNumber((self.head as u16).wrapping_sub(missing as u16)),
            packets: 0,
            missing,
            key_frame: false,
            spatial: 0,
            temporal: 0,
            discardable: false,
        })
    }

    /// Makes a frame of `head..scan`.
    fn deliver(&mut self, frame: &mut Vec<u8>) -> AssembledFrame {
        frame.clear();
        let first = SequenceNumber(self.head as u16);
        let mut report = AssembledFrame {
            status: FrameStatus::Complete,
            timestamp: None,
            first,
            packets: (self.scan - self.head) as u32,
            missing: 0,
            key_frame: false,
            spatial: 0,
            temporal: 0,
            discardable: true,
        };
        let mut base_layer = None;
        let mut result = Ok(());
        self.depacketizer.begin();
        while self.head < self.scan {
            let Some(slot) = self.consume() else { continue };
            let info = slot.info.unwrap_or_default();
            report.timestamp = Some(slot.timestamp);
            report.key_frame |= info.key_frame;
            report.spatial = report.spatial.max(info.spatial);
            report.temporal = report.temporal.max(info.temporal);
            report.discardable &= info.discardable;
            base_layer = base_layer.or(info.base_layer);
            result = result.and_then(|()| self.depacketizer.append(slot.payload.as_ref(), frame));
        }
        result = result.and_then(|()| self.depacketizer.finish(frame));
        self.state = State::Anchored;
        report.status = match result {
            Ok(()) => self.references.follow(&report, base_layer),
            Err(_) => {
                frame.clear();
                self.references.lose();
                FrameStatus::Malformed
            }
        };
        report
    }

    /// Takes the packet at the head.
    fn consume(&mut self) -> Option<Slot<P>> {
        let slot = self.slot(self.head).take();
        self.head += 1;
        if let Some(slot) = &slot {
            self.bytes -= slot.payload.as_ref().len();
        }
        slot
    }

    /// Moves the head over what is missing and given up; says how many.
    fn skip_missing(&mut self) -> u32 {
        let start = self.head;
        let stop = self.give_up.min(self.end);
        while self.head < stop && self.peek(self.head).is_none() {
            self.head += 1;
        }
        self.scan = self.head;
        (self.head - start) as u32
    }

    fn peek(&self, number: u64) -> Option<&Slot<P>> {
        self.slots[number as usize & (self.slots.len() - 1)].as_ref()
    }

    fn slot(&mut self, number: u64) -> &mut Option<Slot<P>> {
        let mask = self.slots.len() - 1;
        &mut self.slots[number as usize & mask]
    }
}

/// Half the sequence numbers: more could not be told apart.
const MAX_PACKETS: usize = 1 << 15;

#[cfg(test)]
mod tests;
