//! RTP packets (RFC 3550 §5): a view that borrows, and a writer into a given buffer.

mod element;
mod write;

pub use element::{ElementForm, Elements};
pub use write::{RtpBody, RtpHeader, RtpWriter};

use std::ops::Range;

use crate::extension::{ExtensionMap, HeaderExtension};
use crate::wire::Reader;
use crate::{DecodeError, SequenceNumber, Ssrc, Timestamp};

/// A validated view of one packet. Parsing looks at the header once; every accessor is O(1) and
/// cannot fail. Header extension elements are looked at when they are iterated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    bytes: &'a [u8],
    csrcs: &'a [u8],
    extension: &'a [u8],
    payload: &'a [u8],
    timestamp: Timestamp,
    ssrc: Ssrc,
    sequence: SequenceNumber,
    profile: u16,
    flags: u8,
    kind: u8,
    padding: u8,
}

impl<'a> RtpPacket<'a> {
    /// Checks `bytes`, one whole RTP packet without its SRTP trailer.
    ///
    /// # Errors
    /// Not version 2, cut short, or padding that claims zero bytes or more than there are (the
    /// count includes itself, RFC 3550 §5.1; this is CVE-2025-49140 elsewhere).
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, rest) = bytes
            .split_first_chunk::<12>()
            .ok_or(DecodeError::Truncated)?;
        let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *header;
        if flags >> 6 != VERSION {
            return Err(DecodeError::Version);
        }
        let csrc_len = usize::from(flags & CSRC_COUNT) * 4;
        let (csrcs, mut payload) = rest
            .split_at_checked(csrc_len)
            .ok_or(DecodeError::Truncated)?;
        let mut profile = 0;
        let mut extension: &[u8] = &[];
        if flags & EXTENSION != 0 {
            let (&[p0, p1, l0, l1], rest) = payload
                .split_first_chunk::<4>()
                .ok_or(DecodeError::Truncated)?;
            let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
            (extension, payload) = rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
            profile = u16::from_be_bytes([p0, p1]);
        }
        let mut padding = 0;
        if flags & PADDING != 0 {
            padding = *payload.last().ok_or(DecodeError::Padding)?;
            let len = payload.len().checked_sub(usize::from(padding));
            payload = match len {
                Some(len) if padding != 0 => &payload[..len],
                _ => return Err(DecodeError::Padding),
            };
        }
        Ok(Self {
            bytes,
            csrcs,
            extension,
            payload,
            timestamp: Timestamp(u32::from_be_bytes([t0, t1, t2, t3])),
            ssrc: Ssrc(u32::from_be_bytes([i0, i1, i2, i3])),
            sequence: SequenceNumber(u16::from_be_bytes([s0, s1])),
            profile,
            flags,
            kind,
            padding,
        })
    }

    /// The whole packet.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The marker bit; its meaning is the payload format's.
    #[must_use]
    pub const fn marker(&self) -> bool {
        self.kind & MARKER != 0
    }

    /// Payload type, 0–127.
    #[must_use]
    pub const fn payload_type(&self) -> u8 {
        self.kind & !MARKER
    }

    /// Sequence number.
    #[must_use]
    pub const fn sequence(&self) -> SequenceNumber {
        self.sequence
    }

    /// Timestamp, in units of the payload's clock rate.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Synchronization source.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Contributing sources, at most 15.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'a> {
        self.csrcs
            .as_chunks::<4>()
            .0
            .iter()
            .map(|csrc| Ssrc(u32::from_be_bytes(*csrc)))
    }

    /// The payload without padding.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of padding, the count itself included; 0 without the P bit.
    #[must_use]
    pub const fn padding_len(&self) -> u8 {
        self.padding
    }

    /// Bytes before the payload.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.bytes.len() - self.payload.len() - usize::from(self.padding)
    }

    /// The extension's "defined by profile" field and its raw data, a multiple of four bytes.
    #[must_use]
    pub fn raw_extension(&self) -> Option<(u16, &'a [u8])> {
        (self.flags & EXTENSION != 0).then_some((self.profile, self.extension))
    }

    /// Header extension elements (RFC 8285) as `(id, data)`, in order. Empty for another profile.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        Elements::new(self.profile, self.extension)
    }

    /// Data of the first element with this id.
    #[must_use]
    pub fn element(&self, id: u8) -> Option<&'a [u8]> {
        self.elements()
            .find(|(found, _)| *found == id)
            .map(|(_, data)| data)
    }

    /// Where the data of the first element with this id stands in [`Self::bytes`], to be written anew
    /// in a buffer that has a copy.
    #[must_use]
    pub fn element_range(&self, id: u8) -> Option<Range<usize>> {
        let end = self.header_len();
        let mut elements = self.elements();
        while let Some((found, data)) = elements.next() {
            if found == id {
                let end = end - elements.remaining();
                return Some(end - data.len()..end);
            }
        }
        None
    }

    /// The typed value of an extension, if it was negotiated, is present and is well-formed. For
    /// several values iterate [`Self::elements`] once instead.
    #[must_use]
    pub fn extension<E: HeaderExtension<'a>>(&self, map: &ExtensionMap) -> Option<E> {
        E::decode(self.element(map.id(E::KIND)?)?).ok()
    }

    /// The header's plain fields, to write another packet like this one. CSRCs are not included.
    #[must_use]
    pub fn header(&self) -> RtpHeader<'static> {
        RtpHeader {
            marker: self.marker(),
            payload_type: self.payload_type(),
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            csrcs: &[],
        }
    }
}

/// Whether a datagram that is RTP or RTCP is RTCP: payload types 64–95 (RFC 5761 §4).
#[must_use]
pub fn is_rtcp(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    matches!((reader.u8(), reader.u8()), (Ok(_), Ok(kind)) if (64..=95).contains(&(kind & 0x7f)))
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const CSRC_COUNT: u8 = 0x0f;
const MARKER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 16] = [
        0x80, 0xe0, 0x12, 0x34, 0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4,
    ];

    /// The plainest packet, field by field.
    #[test]
    fn fields() {
        let packet = RtpPacket::parse(&PLAIN).unwrap();
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), 96);
        assert_eq!(packet.sequence(), SequenceNumber(0x1234));
        assert_eq!(packet.timestamp(), Timestamp(1));
        assert_eq!(packet.ssrc(), Ssrc(0xdead_beef));
        assert_eq!(packet.payload(), [1, 2, 3, 4]);
        assert_eq!(packet.header_len(), 12);
        assert_eq!(packet.raw_extension(), None);
        assert_eq!(packet.csrcs().len(), 0);
    }

    /// CVE-2025-49140: a padding length of zero, or beyond the payload, is an error and no panic.
    #[test]
    fn padding_out_of_range() {
        let mut bytes = PLAIN;
        bytes[0] |= PADDING;
        for (last, expected) in [
            (0, None),
            (1, Some(3)),
            (4, Some(0)),
            (5, None),
            (255, None),
        ] {
            bytes[15] = last;
            let payload = RtpPacket::parse(&bytes).map(|packet| packet.payload().len());
            assert_eq!(payload, expected.ok_or(DecodeError::Padding));
        }
        assert_eq!(RtpPacket::parse(&bytes[..12]), Err(DecodeError::Padding));
    }

    /// Whatever is cut off a header with all its parts is noticed; in the payload nothing is
    /// missed.
    #[test]
    fn truncation() {
        let mut bytes = vec![0x92, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 5]);
        bytes.extend([0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
        bytes.extend([9, 9]);
        for len in 0..bytes.len() {
            let parsed = RtpPacket::parse(&bytes[..len]);
            assert_eq!(parsed.is_ok(), len >= 28, "{len}");
        }
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [Ssrc(4), Ssrc(5)]);
        assert_eq!(packet.element(1), Some(&[7][..]));
        assert_eq!(packet.element_range(1), Some(25..26));
        assert_eq!(packet.element_range(2), None);
        assert_eq!(RtpPacket::parse(&[0x40; 12]), Err(DecodeError::Version));
    }
}
