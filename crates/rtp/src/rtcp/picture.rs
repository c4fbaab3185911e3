//! Requests for a key frame: PLI (RFC 4585 §6.3.1) and FIR (RFC 5104 §4.3.1).

use super::{entries, feedback_head};
use crate::wire::Reader;
use crate::{DecodeError, Ssrc};

/// PLI: a picture was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLossIndication {
    /// Who lost it.
    pub sender: Ssrc,
    /// The stream it belongs to.
    pub media: Ssrc,
}

/// FIR: somebody joined and needs a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullIntraRequest<'a> {
    /// Who asks.
    pub sender: Ssrc,
    /// Unused, 0.
    pub media: Ssrc,
    entries: &'a [[u8; 8]],
}

/// A stream asked for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FirEntry {
    /// The stream.
    pub ssrc: Ssrc,
    /// Counts requests: a repetition has the same number.
    pub sequence: u8,
}

impl PictureLossIndication {
    pub(super) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (sender, media) = feedback_head(&mut reader)?;
        if reader.is_empty() {
            Ok(Self { sender, media })
        } else {
            Err(DecodeError::Malformed("PLI"))
        }
    }
}

impl<'a> FullIntraRequest<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (sender, media) = feedback_head(&mut reader)?;
        Ok(Self {
            sender,
            media,
            entries: entries(reader.rest(), "FIR")?,
        })
    }

    /// The streams asked for.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = FirEntry> + Clone + use<'a> {
        self.entries
            .iter()
            .map(|[a, b, c, d, sequence, ..]| FirEntry {
                ssrc: Ssrc(u32::from_be_bytes([*a, *b, *c, *d])),
                sequence: *sequence,
            })
    }
}
