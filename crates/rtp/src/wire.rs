//! Cursors over bytes and bits; none of them panics on any input.

use crate::{DecodeError, WriteError};

/// Reads big-endian fields from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u24(&mut self) -> Result<u32, DecodeError> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Unsigned LEB128 of at most eight bytes (AV1 §4.10.5).
    pub(crate) fn leb128(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for index in 0..8 {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << (index * 7);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed("LEB128 longer than eight bytes"))
    }
}

/// Bytes that `value` takes as LEB128.
pub(crate) const fn leb128_len(value: u64) -> usize {
    if value == 0 {
        return 1;
    }
    (64 - value.leading_zeros() as usize).div_ceil(7)
}

/// `value` as LEB128; the first `leb128_len(value)` bytes count.
pub(crate) fn leb128(mut value: u64) -> [u8; 10] {
    let mut out = [0; 10];
    for byte in &mut out {
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    out
}

/// Appends big-endian fields to a slice.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn remaining(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// What has been written.
    pub(crate) fn written(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }

    /// Gives up everything after `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The next `len` bytes, to be filled by the caller.
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<&mut [u8], WriteError> {
        let available = self.remaining();
        if len > available {
            return Err(WriteError::BufferTooSmall {
                needed: len,
                available,
            });
        }
        let start = self.len;
        self.len += len;
        Ok(&mut self.buffer[start..self.len])
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.reserve(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    #[inline]
    pub(crate) fn zeros(&mut self, len: usize) -> Result<(), WriteError> {
        self.reserve(len)?.fill(0);
        Ok(())
    }

    pub(crate) fn u8(&mut self, value: u8) -> Result<(), WriteError> {
        self.bytes(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> Result<(), WriteError> {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u24(&mut self, value: u32) -> Result<(), WriteError> {
        let [_, a, b, c] = value.to_be_bytes();
        self.bytes(&[a, b, c])
    }

    pub(crate) fn u32(&mut self, value: u32) -> Result<(), WriteError> {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> Result<(), WriteError> {
        self.bytes(&value.to_be_bytes())
    }
}

/// Reads bits, most significant first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn bit(&mut self) -> Result<bool, DecodeError> {
        let byte = self
            .bytes
            .get(self.position / 8)
            .ok_or(DecodeError::Truncated)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// `count` ≤ 32 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Result<u32, DecodeError> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// A value below `bound`, in as few bits as it takes: `ns(n)` of AV1 §4.10.7.
    pub(crate) fn non_symmetric(&mut self, bound: u32) -> Result<u32, DecodeError> {
        let width = 32 - bound.leading_zeros();
        let short = (1u32 << width) - bound;
        let value = self.bits(width.saturating_sub(1))?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1) + u32::from(self.bit()?) - short)
    }

    /// Unsigned Exp-Golomb code (H.264 §9.1).
    pub(crate) fn exp_golomb(&mut self) -> Result<u32, DecodeError> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(DecodeError::Malformed("Exp-Golomb code"));
            }
        }
        Ok((1u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// Whether only zero bits are left.
    pub(crate) fn rest_is_zero(mut self) -> bool {
        loop {
            match self.bit() {
                Ok(false) => {}
                Ok(true) => return false,
                Err(_) => return true,
            }
        }
    }
}

/// Writes bits, most significant first, into a zeroed or unzeroed slice.
#[derive(Debug)]
pub(crate) struct BitWriter<'b> {
    buffer: &'b mut [u8],
    position: usize,
}

impl<'b> BitWriter<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        buffer.fill(0);
        Self {
            buffer,
            position: 0,
        }
    }

    /// The lowest `count` ≤ 32 bits of `value`.
    pub(crate) fn bits(&mut self, value: u32, count: u32) -> Result<(), WriteError> {
        let available = self.buffer.len() * 8 - self.position;
        if count as usize > available {
            return Err(WriteError::BufferTooSmall {
                needed: (self.position + count as usize).div_ceil(8),
                available: self.buffer.len(),
            });
        }
        for shift in (0..count).rev() {
            let bit = (value >> shift & 1) as u8;
            self.buffer[self.position / 8] |= bit << (7 - self.position % 8);
            self.position += 1;
        }
        Ok(())
    }

    pub(crate) fn bit(&mut self, value: bool) -> Result<(), WriteError> {
        self.bits(u32::from(value), 1)
    }

    /// `ns(bound)` of AV1 §4.10.7; `value` < `bound`.
    pub(crate) fn non_symmetric(&mut self, value: u32, bound: u32) -> Result<(), WriteError> {
        let width = 32 - bound.leading_zeros();
        let short = (1u32 << width) - bound;
        if value < short {
            self.bits(value, width.saturating_sub(1))
        } else {
            self.bits(value + short, width)
        }
    }
}

/// Bits that `ns(bound)` takes for `value`.
pub(crate) const fn non_symmetric_bits(value: u32, bound: u32) -> usize {
    let width = 32 - bound.leading_zeros();
    let short = (1u32 << width) - bound;
    if value < short {
        width.saturating_sub(1) as usize
    } else {
        width as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ns(n)` is the one code of the dependency descriptor that is easy to get wrong at powers of
    /// two and at one.
    #[test]
    fn non_symmetric_codes_come_back() {
        for bound in 1..=40 {
            for value in 0..bound {
                let mut bytes = [0; 2];
                let mut writer = BitWriter::new(&mut bytes);
                writer.non_symmetric(value, bound).unwrap();
                assert_eq!(writer.position, non_symmetric_bits(value, bound));
                assert_eq!(BitReader::new(&bytes).non_symmetric(bound), Ok(value));
            }
        }
    }

    /// Every length of LEB128, and one too long.
    #[test]
    fn leb128_comes_back() {
        for shift in 0..56 {
            let value = (1u64 << shift) | 1;
            let bytes = leb128(value);
            let mut reader = Reader::new(&bytes[..leb128_len(value)]);
            assert_eq!(reader.leb128(), Ok(value));
            assert!(reader.is_empty());
        }
        assert!(Reader::new(&[0xff; 9]).leb128().is_err());
        assert_eq!(leb128_len(0), 1);
    }
}
