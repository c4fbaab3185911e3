//! Type, length, value: the frame of chunks, parameters and causes, and the cursor that writes it.

use super::DecodeError;

/// Splits the first parameter or cause off `rest`: its type and its value. `None` at the end.
///
/// The padding of the last one may be missing, since the length of the chunk around it does not
/// count it (RFC 9260 §3.2). The error names the type.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<(u16, &'a [u8])>, u16> {
    if rest.is_empty() {
        return Ok(None);
    }
    let Some((&[t0, t1, l0, l1], after)) = rest.split_first_chunk::<4>() else {
        return Err(0);
    };
    let kind = u16::from_be_bytes([t0, t1]);
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let value_len = length.checked_sub(TLV_HEADER).ok_or(kind)?;
    let value = after.get(..value_len).ok_or(kind)?;
    *rest = after.get(padded(value_len)..).unwrap_or_default();
    Ok(Some((kind, value)))
}

/// `len` rounded up to the four-byte boundary on which everything starts.
#[inline]
pub(crate) const fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// Type and length of a parameter or cause; chunk type, flags and length of a chunk.
pub(super) const TLV_HEADER: usize = 4;

/// Reads big-endian fields off the front of a slice.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// `Some(())` if nothing is left over.
    pub(super) fn end(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// Writes big-endian fields to the front of a buffer that is long enough: every `encode` states
/// its length beforehand by `encoded_len`, and panics if the caller's buffer is shorter.
pub(crate) struct Writer<'b> {
    out: &'b mut [u8],
    at: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(out: &'b mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn slice(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.slice(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.slice(&value.to_be_bytes());
    }

    pub(super) fn zeros(&mut self, len: usize) {
        self.out[self.at..self.at + len].fill(0);
        self.at += len;
    }

    /// Zeros up to the next four-byte boundary of what this writer wrote.
    #[inline]
    pub(super) fn pad(&mut self) {
        self.zeros(padded(self.at) - self.at);
    }

    /// Type and length of a parameter or cause with `value_len` bytes behind them.
    pub(super) fn tlv(&mut self, kind: u16, value_len: usize) {
        self.u16(kind);
        self.u16(wire_len(value_len));
    }

    /// Header of a chunk with `value_len` bytes behind it.
    pub(super) fn chunk(&mut self, chunk_type: u8, flags: u8, value_len: usize) {
        self.slice(&[chunk_type, flags]);
        self.u16(wire_len(value_len));
    }
}

/// The length field for `value_len` bytes of value.
fn wire_len(value_len: usize) -> u16 {
    u16::try_from(TLV_HEADER + value_len)
        .expect("an element is built from what fits one packet, which is shorter than 64 KiB")
}

/// Number of list elements that a decoder keeps; a longer list is no honest peer's.
pub(super) fn bounded(count: usize, max: usize) -> Result<(), DecodeError> {
    if count < max {
        Ok(())
    } else {
        Err(DecodeError::TooMany)
    }
}
