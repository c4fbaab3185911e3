//! ULPFEC (RFC 5109), level 0: read only; what old senders put into RED.

use super::{Protection, Sum};
use crate::wire::Reader;
use crate::{DecodeError, SequenceNumber};

/// Splits the payload of a repair packet, taken out of RED.
pub(super) fn decode(payload: &[u8]) -> Result<(Protection, &[u8]), DecodeError> {
    let mut reader = Reader::new(payload);
    let head: [u8; 2] = reader.array()?;
    if head[0] & 0x80 != 0 {
        return Err(DecodeError::Unsupported("ULPFEC extension"));
    }
    let base = SequenceNumber(reader.u16()?);
    let timestamp = reader.u32()?;
    let length = reader.u16()?;
    let protected = usize::from(reader.u16()?);
    // L: a mask of 48 bits and not 16 (§7.3).
    let mut mask = u128::from(reader.u16()?) << 112;
    if head[0] & 0x40 != 0 {
        mask |= u128::from(reader.u32()?) << 80;
    }
    if mask == 0 {
        return Err(DecodeError::Malformed("empty FEC mask"));
    }
    let sum = Sum {
        head,
        length,
        timestamp,
    };
    // Further levels, if any, protect less of more packets: not needed to repair with this one.
    Ok((Protection { base, mask, sum }, reader.take(protected)?))
}
