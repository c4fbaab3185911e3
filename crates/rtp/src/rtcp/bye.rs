//! Goodbye (RFC 3550 §6.6).

use super::entries;
use crate::wire::{Reader, Writer};
use crate::{DecodeError, Ssrc, WriteError};

/// BYE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goodbye<'a> {
    ssrcs: &'a [[u8; 4]],
    /// Why, unchecked text.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Goodbye<'a> {
    pub(super) fn decode(count: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let ssrcs = entries(reader.take(usize::from(count) * 4)?, "BYE")?;
        let reason = if reader.is_empty() {
            None
        } else {
            let len = reader.u8()?;
            Some(reader.take(len.into())?)
        };
        Ok(Self { ssrcs, reason })
    }

    /// The sources that leave, at most 31.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'a> {
        self.ssrcs
            .iter()
            .map(|ssrc| Ssrc(u32::from_be_bytes(*ssrc)))
    }
}

pub(super) fn encode_reason(out: &mut Writer<'_>, reason: &[u8]) -> Result<(), WriteError> {
    let len = u8::try_from(reason.len()).map_err(|_| WriteError::TooLarge {
        what: "BYE reason",
        value: reason.len(),
        max: 255,
    })?;
    out.u8(len)?;
    out.bytes(reason)?;
    let len = reason.len() + 1;
    out.zeros(len.next_multiple_of(4) - len)
}
