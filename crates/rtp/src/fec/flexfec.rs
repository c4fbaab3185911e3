//! FlexFEC, draft-ietf-payload-flexible-fec-scheme-03, with flexible masks for one stream: what
//! browsers send as `flexfec-03`.

use super::{FIRST, Protection, Sum, xor};
use crate::wire::{Reader, Writer};
use crate::{DecodeError, RtpPacket, SequenceNumber, Ssrc, WriteError};

/// Makes repair packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlexFecEncoder;

impl FlexFecEncoder {
    /// Writes the payload of a packet that repairs any one of `packets` into `out`; returns its
    /// length. They are whole RTP packets of one stream, in ascending order, no more than 109 from
    /// first to last. The iterator is walked twice.
    ///
    /// # Errors
    /// No room, no packet, or packets that do not go together.
    pub fn encode<'p>(
        packets: impl Iterator<Item = RtpPacket<'p>> + Clone,
        out: &mut [u8],
    ) -> Result<usize, WriteError> {
        let first = packets
            .clone()
            .next()
            .ok_or(WriteError::Invalid("FEC for no packet"))?;
        let (ssrc, base) = (first.ssrc(), first.sequence());
        let mut sum = Sum::default();
        let mut mask = 0;
        let mut longest = 0;
        for packet in packets.clone() {
            let offset = u32::from(packet.sequence().distance_from(base));
            if packet.ssrc() != ssrc || offset >= MAX_SPAN || FIRST >> offset & mask != 0 {
                return Err(WriteError::Invalid("packets that no mask can name"));
            }
            mask |= FIRST >> offset;
            if let Some((header, rest)) = packet.bytes().split_first_chunk::<12>() {
                sum.add(header, rest.len());
                longest = longest.max(rest.len());
            }
        }
        let mut out = Writer::new(out);
        // The version's two bits are R and F here, both 0.
        out.bytes(&[sum.head[0] & 0x3f, sum.head[1]])?;
        out.u16(sum.length)?;
        out.u32(sum.timestamp)?;
        out.bytes(&[1, 0, 0, 0])?;
        out.u32(ssrc.0)?;
        out.u16(base.0)?;
        write_mask(mask, &mut out)?;
        let payload = out.reserve(longest)?;
        payload.fill(0);
        for packet in packets {
            xor(payload, packet.bytes().get(12..).unwrap_or_default());
        }
        Ok(out.len())
    }
}

/// Splits the payload of a repair packet.
pub(super) fn decode(payload: &[u8], media: Ssrc) -> Result<(Protection, &[u8]), DecodeError> {
    let mut reader = Reader::new(payload);
    let head: [u8; 2] = reader.array()?;
    if head[0] & 0xc0 != 0 {
        return Err(DecodeError::Unsupported(
            "FlexFEC retransmission or fixed mask",
        ));
    }
    let length = reader.u16()?;
    let timestamp = reader.u32()?;
    if reader.u32()? >> 24 != 1 {
        return Err(DecodeError::Unsupported("FlexFEC for several streams"));
    }
    if Ssrc(reader.u32()?) != media {
        return Err(DecodeError::Malformed("FEC for another stream"));
    }
    let base = SequenceNumber(reader.u16()?);
    let mask = read_mask(&mut reader)?;
    let sum = Sum {
        head,
        length,
        timestamp,
    };
    Ok((Protection { base, mask, sum }, reader.rest()))
}

/// 15, 31 and 63 bits, each part behind a bit that says that it is the last.
fn read_mask(reader: &mut Reader<'_>) -> Result<u128, DecodeError> {
    let part = reader.u16()?;
    let mut mask = u128::from(part & 0x7fff) << 113;
    if part >> 15 == 0 {
        let part = reader.u32()?;
        mask |= u128::from(part & 0x7fff_ffff) << 82;
        if part >> 31 == 0 {
            let part = reader.u64()?;
            mask |= u128::from(part & !(1 << 63)) << 19;
            if part >> 63 == 0 {
                return Err(DecodeError::Malformed("FlexFEC mask without end"));
            }
        }
    }
    if mask == 0 {
        Err(DecodeError::Malformed("empty FEC mask"))
    } else {
        Ok(mask)
    }
}

fn write_mask(mask: u128, out: &mut Writer<'_>) -> Result<(), WriteError> {
    let bits = 128 - mask.trailing_zeros();
    let last = |is_last: bool| u64::from(is_last);
    out.u16((mask >> 113) as u16 | (last(bits <= 15) << 15) as u16)?;
    if bits > 15 {
        out.u32((mask >> 82) as u32 & 0x7fff_ffff | (last(bits <= 46) << 31) as u32)?;
    }
    if bits > 46 {
        out.u64((mask >> 19) as u64 & !(1 << 63) | 1 << 63)?;
    }
    Ok(())
}

/// Bits of all three parts of a mask.
const MAX_SPAN: u32 = 109;
