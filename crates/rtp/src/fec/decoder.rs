//! Repairing one stream.

use super::{FIRST, Protection, flexfec, ulpfec, xor};
use crate::{DecodeError, Limits, RtpPacket, SequenceNumber, SequenceUnwrapper, Ssrc};

/// Keeps the latest packets of a stream and repairs what its repair packets can. Memory is bounded
/// by [`Limits::fec_media_packets`] and [`Limits::fec_repair_packets`] times the size of a packet,
/// and is reused.
#[derive(Debug)]
pub struct FecDecoder {
    ssrc: Ssrc,
    format: Format,
    unwrapper: SequenceUnwrapper,
    /// By number modulo the length, a power of two.
    media: Box<[Media]>,
    pub(super) repairs: Vec<Repair>,
    max_repairs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    FlexFec03,
    UlpFec,
}

#[derive(Clone, Debug, Default)]
struct Media {
    /// 0 for none: an unwrapped number is never 0.
    number: u64,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Repair {
    base: u64,
    protection: Protection,
    /// Packets of the mask that are not there.
    missing: u32,
    payload: Vec<u8>,
}

impl FecDecoder {
    /// For a stream protected by FlexFEC-03.
    #[must_use]
    pub fn flexfec_03(media: Ssrc, limits: &Limits) -> Self {
        Self::new(media, Format::FlexFec03, limits)
    }

    /// For a stream protected by ULPFEC.
    #[must_use]
    pub fn ulpfec(media: Ssrc, limits: &Limits) -> Self {
        Self::new(media, Format::UlpFec, limits)
    }

    fn new(ssrc: Ssrc, format: Format, limits: &Limits) -> Self {
        // At least twice the span of a mask: what it names must have places of its own.
        let capacity = limits
            .fec_media_packets
            .clamp(256, 1 << 14)
            .next_power_of_two();
        Self {
            ssrc,
            format,
            unwrapper: SequenceUnwrapper::new(),
            media: vec![Media::default(); capacity].into(),
            repairs: Vec::new(),
            max_repairs: limits.fec_repair_packets,
        }
    }

    /// Takes a packet of the protected stream, received or retransmitted. Others are ignored.
    pub fn media(&mut self, packet: &RtpPacket<'_>) {
        if packet.ssrc() != self.ssrc {
            return;
        }
        let number = self.unwrapper.unwrap(packet.sequence());
        let slot = self.slot_mut(number);
        // Older packets do not push out newer ones.
        if slot.number >= number {
            return;
        }
        slot.number = number;
        slot.bytes.clear();
        slot.bytes.extend_from_slice(packet.bytes());
        for repair in &mut self.repairs {
            if repair.names(number) {
                repair.missing = repair.missing.saturating_sub(1);
            }
        }
    }

    /// Takes a repair packet's payload. The oldest one kept makes room.
    ///
    /// # Errors
    /// Not a payload of the format, or one for another stream.
    pub fn repair(&mut self, payload: &[u8]) -> Result<(), DecodeError> {
        let (protection, content) = match self.format {
            Format::FlexFec03 => flexfec::decode(payload, self.ssrc)?,
            Format::UlpFec => ulpfec::decode(payload)?,
        };
        let base = match self.unwrapper.highest() {
            Some(_) => self.unwrapper.peek(protection.base),
            // The count begins here, so that media on either side of a wrap finds its place.
            None => self.unwrapper.unwrap(protection.base),
        };
        let missing = numbers(base, protection.mask)
            .filter(|number| self.slot(*number).number != *number)
            .count() as u32;
        if missing == 0 {
            return Ok(());
        }
        let mut repair = if self.repairs.len() < self.max_repairs {
            Repair {
                base,
                protection,
                missing,
                payload: Vec::new(),
            }
        } else {
            // Full: the memory of the oldest is used again.
            let oldest = (0..self.repairs.len()).min_by_key(|index| self.repairs[*index].base);
            let Some(oldest) = oldest else { return Ok(()) };
            Repair {
                base,
                protection,
                missing,
                ..self.repairs.swap_remove(oldest)
            }
        };
        repair.payload.clear();
        repair.payload.extend_from_slice(content);
        self.repairs.push(repair);
        Ok(())
    }

    /// Repairs a packet if that is possible: replaces the bytes in `packet` with the whole RTP
    /// packet and says which one it is. To be called until none is left, after every packet.
    pub fn poll(&mut self, packet: &mut Vec<u8>) -> Option<SequenceNumber> {
        loop {
            let index = self.repairs.iter().position(|repair| repair.missing <= 1)?;
            let repair = self.repairs.swap_remove(index);
            if let Some(number) = self.recover(&repair, packet)
                && let Ok(recovered) = RtpPacket::parse(packet)
            {
                // It helps to repair others.
                self.media(&recovered);
                return Some(SequenceNumber(number as u16));
            }
        }
    }

    fn recover(&self, repair: &Repair, packet: &mut Vec<u8>) -> Option<u64> {
        let mut sum = repair.protection.sum;
        packet.clear();
        packet.resize(12, 0);
        packet.extend_from_slice(&repair.payload);
        let mut lost = None;
        for number in numbers(repair.base, repair.protection.mask) {
            let slot = self.slot(number);
            if slot.number != number {
                // A packet that was there has been pushed out since: nothing can be done.
                if lost.replace(number).is_some() {
                    return None;
                }
                continue;
            }
            let (header, rest) = slot.bytes.split_first_chunk::<12>()?;
            if rest.len() > repair.payload.len() {
                return None;
            }
            sum.add(header, rest.len());
            xor(&mut packet[12..], rest);
        }
        let number = lost?;
        let length = usize::from(sum.length);
        if length > repair.payload.len() {
            return None;
        }
        packet.truncate(12 + length);
        packet[0] = 0x80 | sum.head[0] & 0x3f;
        packet[1] = sum.head[1];
        packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&sum.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.0.to_be_bytes());
        Some(number)
    }

    fn slot(&self, number: u64) -> &Media {
        &self.media[number as usize & (self.media.len() - 1)]
    }

    fn slot_mut(&mut self, number: u64) -> &mut Media {
        let mask = self.media.len() - 1;
        &mut self.media[number as usize & mask]
    }
}

impl Repair {
    fn names(&self, number: u64) -> bool {
        number
            .checked_sub(self.base)
            .is_some_and(|offset| offset < 128 && FIRST >> offset & self.protection.mask != 0)
    }
}

/// The packets that a mask names.
fn numbers(base: u64, mask: u128) -> impl Iterator<Item = u64> {
    let offsets = (0..128).filter(move |offset| FIRST >> offset & mask != 0);
    offsets.map(move |offset| base + offset)
}
