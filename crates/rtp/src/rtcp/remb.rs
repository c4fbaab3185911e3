//! Receiver estimated maximum bit rate (draft-alvestrand-rmcat-remb-03 §2.2).

use super::{entries, feedback_head};
use crate::wire::{Reader, Writer};
use crate::{DecodeError, Ssrc, WriteError};

/// REMB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender: Ssrc,
    /// Total for the streams named, in bit/s; 18 significant bits.
    pub bitrate: u64,
    ssrcs: &'a [[u8; 4]],
}

impl<'a> Remb<'a> {
    pub(super) fn is_remb(body: &[u8]) -> bool {
        body.get(8..12) == Some(NAME)
    }

    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (sender, _media) = feedback_head(&mut reader)?;
        reader.take(NAME.len())?;
        let count = reader.u8()?;
        let rate = reader.u24()?;
        let (exponent, mantissa) = (rate >> 18, u64::from(rate & MAX_MANTISSA as u32));
        let bitrate = mantissa << exponent;
        if bitrate >> exponent != mantissa {
            return Err(DecodeError::Malformed("REMB bit rate over 64 bits"));
        }
        let ssrcs = entries(reader.rest(), "REMB")?;
        if ssrcs.len() != usize::from(count) {
            return Err(DecodeError::Malformed("REMB count"));
        }
        Ok(Self {
            sender,
            bitrate,
            ssrcs,
        })
    }

    /// The streams that the rate is for, at most 255.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'a> {
        self.ssrcs
            .iter()
            .map(|ssrc| Ssrc(u32::from_be_bytes(*ssrc)))
    }
}

pub(super) fn encode(
    out: &mut Writer<'_>,
    sender: Ssrc,
    bitrate: u64,
    ssrcs: impl IntoIterator<Item = Ssrc>,
) -> Result<(), WriteError> {
    out.u32(sender.0)?;
    out.u32(0)?;
    out.bytes(NAME)?;
    let count_at = out.len();
    out.u8(0)?;
    // The smallest exponent that fits; the rate is rounded down, never promised too high.
    let exponent = 46 - (bitrate | MAX_MANTISSA).leading_zeros();
    out.u24(exponent << 18 | (bitrate >> exponent) as u32)?;
    let mut count = 0usize;
    for ssrc in ssrcs {
        out.u32(ssrc.0)?;
        count += 1;
    }
    let max = 255;
    out.written()[count_at] = u8::try_from(count).map_err(|_| WriteError::TooLarge {
        what: "REMB SSRCs",
        value: count,
        max,
    })?;
    Ok(())
}

const NAME: &[u8] = b"REMB";
const MAX_MANTISSA: u64 = (1 << 18) - 1;
