//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

use super::feedback_head;
use crate::wire::{Reader, Writer};
use crate::{DecodeError, SequenceNumber, Ssrc, WriteError};

/// Which packets of the transport arrived, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// Who received them.
    pub sender: Ssrc,
    /// One of the streams on the transport.
    pub media: Ssrc,
    /// The first packet reported on.
    pub base: SequenceNumber,
    count: u16,
    reference: i32,
    /// Counts feedback packets.
    pub feedback_count: u8,
    chunks: &'a [[u8; 2]],
    /// What follows the chunks: the deltas, and up to three zero bytes.
    deltas: &'a [u8],
}

/// One packet's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketArrival {
    /// Its transport-wide number.
    pub sequence: SequenceNumber,
    /// When it arrived, in 250 µs of the receiver's clock, which wraps every 2^32 of them; none
    /// if it did not.
    pub arrival: Option<i64>,
}

/// How statuses are packed (§3.1.3, §3.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusChunk {
    /// The same for all of `length` packets.
    RunLength {
        /// 0 lost, 1 small delta, 2 large delta.
        symbol: u8,
        /// Packets, at most 8,191.
        length: u16,
    },
    /// One bit for each of 14 packets.
    OneBit(u16),
    /// Two bits for each of 7 packets.
    TwoBit(u16),
}

impl<'a> TransportFeedback<'a> {
    /// Validates in time linear in the bytes, however many packets they stand for.
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (sender, media) = feedback_head(&mut reader)?;
        let base = SequenceNumber(reader.u16()?);
        let count = reader.u16()?;
        let time = reader.u24()?;
        let feedback_count = reader.u8()?;
        let start = reader.rest();
        let (mut left, mut delta_bytes) = (count, 0);
        let mut chunks = 0;
        while left > 0 {
            let chunk = StatusChunk::from_bits(reader.u16()?);
            delta_bytes += chunk.delta_bytes(left)?;
            left -= chunk.len().min(left);
            chunks += 1;
        }
        let deltas = reader.rest();
        if deltas.len() < delta_bytes {
            return Err(DecodeError::Truncated);
        }
        let chunks = start
            .as_chunks::<2>()
            .0
            .get(..chunks)
            .ok_or(DecodeError::Truncated)?;
        // Sign extension from 24 bits.
        let reference = (time << 8) as i32 >> 8;
        Ok(Self {
            sender,
            media,
            base,
            count,
            reference,
            feedback_count,
            chunks,
            deltas,
        })
    }

    /// Packets reported on.
    #[must_use]
    pub const fn status_count(&self) -> u16 {
        self.count
    }

    /// The receiver's clock that the first delta is relative to, in 250 µs.
    #[must_use]
    pub const fn reference(&self) -> i64 {
        self.reference as i64 * TICKS_PER_REFERENCE
    }

    /// Chunks as they are on the wire.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = StatusChunk> + Clone + use<'a> {
        self.chunks
            .iter()
            .map(|chunk| StatusChunk::from_bits(u16::from_be_bytes(*chunk)))
    }

    /// Every packet reported on, in order; [`Self::status_count`] of them.
    pub fn packets(&self) -> impl Iterator<Item = PacketArrival> + Clone + use<'a> {
        let symbols = self.chunks().flat_map(StatusChunk::symbols);
        let mut deltas = Reader::new(self.deltas);
        let mut clock = self.reference();
        let mut sequence = self.base;
        symbols.take(self.count.into()).map(move |symbol| {
            // Validation made sure of the deltas' length.
            let delta = match symbol {
                SMALL => deltas.u8().ok().map(i64::from),
                LARGE => deltas.u16().ok().map(|delta| i64::from(delta as i16)),
                _ => None,
            };
            clock += delta.unwrap_or(0);
            let packet = PacketArrival {
                sequence,
                arrival: delta.map(|_| clock),
            };
            sequence = sequence.next();
            packet
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<(), WriteError> {
        encode_head(out, self.sender, self.media, self.base, self.count)?;
        out.u24(self.reference as u32 & 0xff_ffff)?;
        out.u8(self.feedback_count)?;
        for chunk in self.chunks() {
            out.u16(chunk.to_bits())?;
        }
        out.bytes(self.deltas)
    }
}

/// Writes feedback on consecutive packets.
pub(super) fn encode(
    out: &mut Writer<'_>,
    sender: Ssrc,
    media: Ssrc,
    feedback_count: u8,
    packets: impl Iterator<Item = PacketArrival> + Clone,
) -> Result<(), WriteError> {
    let start = out.len();
    let base = packets
        .clone()
        .next()
        .ok_or(WriteError::Invalid("feedback on no packet"))?
        .sequence;
    let first = packets
        .clone()
        .find_map(|packet| packet.arrival)
        .unwrap_or(0);
    let reference = first.div_euclid(TICKS_PER_REFERENCE);
    encode_head(out, sender, media, base, 0)?;
    out.u24(reference as u32 & 0xff_ffff)?;
    out.u8(feedback_count)?;

    let mut clock = reference * TICKS_PER_REFERENCE;
    let mut count = 0usize;
    let mut open = OpenChunk::default();
    for packet in packets.clone() {
        if packet.sequence != base.plus(count as u16) {
            return Err(WriteError::Invalid("feedback on packets out of order"));
        }
        count += 1;
        let symbol = match packet.arrival {
            None => LOST,
            Some(arrival) => symbol_of(step(&mut clock, arrival)?),
        };
        if !open.fits(symbol) {
            out.u16(open.emit().to_bits())?;
        }
        open.push(symbol);
    }
    while open.len > 0 {
        out.u16(open.emit_last().to_bits())?;
    }
    let max = usize::from(u16::MAX);
    let count = u16::try_from(count).map_err(|_| WriteError::TooLarge {
        what: "packet statuses",
        value: count,
        max,
    })?;

    let mut clock = reference * TICKS_PER_REFERENCE;
    for arrival in packets.filter_map(|packet| packet.arrival) {
        let delta = step(&mut clock, arrival)?;
        match symbol_of(delta) {
            SMALL => out.u8(delta as u8)?,
            _ => out.u16(delta as u16)?,
        }
    }
    let len = out.len();
    out.zeros(len.next_multiple_of(4) - len)?;
    out.written()[start + COUNT_AT..][..2].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

fn encode_head(
    out: &mut Writer<'_>,
    sender: Ssrc,
    media: Ssrc,
    base: SequenceNumber,
    count: u16,
) -> Result<(), WriteError> {
    out.u32(sender.0)?;
    out.u32(media.0)?;
    out.u16(base.0)?;
    out.u16(count)
}

/// Moves `clock` to `arrival` and says how far.
fn step(clock: &mut i64, arrival: i64) -> Result<i16, WriteError> {
    let delta = arrival.wrapping_sub(*clock);
    *clock = arrival;
    i16::try_from(delta).map_err(|_| WriteError::Invalid("arrivals over 8 s apart"))
}

const fn symbol_of(delta: i16) -> u8 {
    if delta >= 0 && delta <= 255 {
        SMALL
    } else {
        LARGE
    }
}

impl StatusChunk {
    const fn from_bits(bits: u16) -> Self {
        match bits >> 14 {
            0 | 1 => Self::RunLength {
                symbol: (bits >> 13) as u8,
                length: bits & MAX_RUN,
            },
            2 => Self::OneBit(bits & 0x3fff),
            _ => Self::TwoBit(bits & 0x3fff),
        }
    }

    const fn to_bits(self) -> u16 {
        match self {
            Self::RunLength { symbol, length } => (symbol as u16) << 13 | length,
            Self::OneBit(bits) => 0x8000 | bits,
            Self::TwoBit(bits) => 0xc000 | bits,
        }
    }

    /// Packets that it stands for.
    const fn len(self) -> u16 {
        match self {
            Self::RunLength { length, .. } => length,
            Self::OneBit(_) => ONE_BIT,
            Self::TwoBit(_) => TWO_BIT,
        }
    }

    /// Bytes of deltas of its first `left` packets.
    fn delta_bytes(self, left: u16) -> Result<usize, DecodeError> {
        match self {
            Self::RunLength { length: 0, .. } => Err(DecodeError::Malformed("empty run")),
            Self::RunLength {
                symbol: RESERVED, ..
            } => Err(DecodeError::Malformed("status symbol")),
            Self::RunLength { symbol, length } => {
                Ok(usize::from(symbol) * usize::from(length.min(left)))
            }
            Self::OneBit(_) | Self::TwoBit(_) => {
                self.symbols()
                    .take(left.into())
                    .try_fold(0, |sum, symbol| match symbol {
                        RESERVED => Err(DecodeError::Malformed("status symbol")),
                        symbol => Ok(sum + usize::from(symbol)),
                    })
            }
        }
    }

    /// 0 lost, 1 small delta, 2 large delta; for each packet.
    fn symbols(self) -> impl Iterator<Item = u8> + Clone {
        (0..self.len()).map(move |index| match self {
            Self::RunLength { symbol, .. } => symbol,
            Self::OneBit(bits) => (bits >> (ONE_BIT - 1 - index) & 1) as u8,
            Self::TwoBit(bits) => (bits >> ((TWO_BIT - 1 - index) * 2) & 3) as u8,
        })
    }
}

/// Statuses that have not been written yet: either a run, or few enough for a vector.
#[derive(Clone, Copy, Default)]
struct OpenChunk {
    symbols: [u8; ONE_BIT as usize],
    len: u16,
    is_run: bool,
    has_large: bool,
}

impl OpenChunk {
    fn fits(&self, symbol: u8) -> bool {
        self.len < TWO_BIT
            || (self.len < ONE_BIT && !self.has_large && symbol != LARGE)
            || (self.len < MAX_RUN && self.is_run && symbol == self.symbols[0])
    }

    fn push(&mut self, symbol: u8) {
        self.is_run = self.len == 0 || (self.is_run && symbol == self.symbols[0]);
        self.has_large |= symbol == LARGE;
        if let Some(slot) = self.symbols.get_mut(usize::from(self.len)) {
            *slot = symbol;
        }
        self.len += 1;
    }

    /// Makes room, by a chunk that is full.
    fn emit(&mut self) -> StatusChunk {
        if self.is_run || self.len == ONE_BIT {
            return self.emit_last();
        }
        // More than seven without being 14 of one bit: the first seven go.
        let chunk = self.vector(TWO_BIT);
        let rest = self.symbols;
        let left = self.len - TWO_BIT;
        *self = Self::default();
        for symbol in &rest[usize::from(TWO_BIT)..usize::from(TWO_BIT + left)] {
            self.push(*symbol);
        }
        chunk
    }

    /// As much as one chunk takes.
    fn emit_last(&mut self) -> StatusChunk {
        if self.is_run {
            let chunk = StatusChunk::RunLength {
                symbol: self.symbols[0],
                length: self.len,
            };
            *self = Self::default();
            return chunk;
        }
        if self.len > TWO_BIT && self.has_large {
            return self.emit();
        }
        let chunk = self.vector(if self.len > TWO_BIT { ONE_BIT } else { TWO_BIT });
        *self = Self::default();
        chunk
    }

    fn vector(&self, capacity: u16) -> StatusChunk {
        let width = ONE_BIT / capacity;
        let mut bits = 0;
        for index in 0..capacity.min(self.len) {
            let symbol = u16::from(self.symbols[usize::from(index)]);
            bits |= symbol << ((capacity - 1 - index) * width);
        }
        if width == 1 {
            StatusChunk::OneBit(bits)
        } else {
            StatusChunk::TwoBit(bits)
        }
    }
}

const LOST: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;
const RESERVED: u8 = 3;
/// Length of a run has 13 bits.
const MAX_RUN: u16 = 0x1fff;
/// Packets in a vector of one bit each, and of two.
const ONE_BIT: u16 = 14;
const TWO_BIT: u16 = 7;
/// Where the count of statuses is in the body: it is known at the end only.
const COUNT_AT: usize = 10;
/// The reference time counts 64 ms, deltas 250 µs.
const TICKS_PER_REFERENCE: i64 = 256;
