//! Writing a packet into a buffer of the caller.

use super::{CSRC_COUNT, EXTENSION, ElementForm, MARKER, PADDING, VERSION};
use crate::extension::{ExtensionMap, HeaderExtension};
use crate::wire::Writer;
use crate::{SequenceNumber, Ssrc, Timestamp, WriteError};

/// The plain fields of a packet to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpHeader<'a> {
    /// The marker bit; its meaning is the payload format's.
    pub marker: bool,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: SequenceNumber,
    /// Timestamp, in units of the payload's clock rate.
    pub timestamp: Timestamp,
    /// Synchronization source.
    pub ssrc: Ssrc,
    /// Contributing sources, at most 15.
    pub csrcs: &'a [Ssrc],
}

/// Writes one packet front to back: header, extension elements, payload, padding. Nothing is
/// allocated. Elements are written in the one-byte form until one does not fit it; then all are in
/// the two-byte form (which needs `extmap-allow-mixed`, RFC 8285 §4.1.2).
#[derive(Debug)]
pub struct RtpWriter<'b> {
    out: Writer<'b>,
    /// Where the extension's four bytes of header are, once there is one.
    extension: Option<usize>,
    form: ElementForm,
}

impl<'b> RtpWriter<'b> {
    /// Starts a packet in `buffer`.
    ///
    /// # Errors
    /// The buffer is too small, or a field of the header out of range.
    #[inline]
    pub fn new(buffer: &'b mut [u8], header: &RtpHeader<'_>) -> Result<Self, WriteError> {
        if header.payload_type > 127 {
            return Err(too_large("payload type", header.payload_type.into(), 127));
        }
        let csrcs = header.csrcs.len();
        if csrcs > CSRC_COUNT.into() {
            return Err(too_large("CSRCs", csrcs, CSRC_COUNT.into()));
        }
        let mut fixed = [0; 12];
        fixed[0] = VERSION << 6 | csrcs as u8;
        fixed[1] = header.payload_type | if header.marker { MARKER } else { 0 };
        fixed[2..4].copy_from_slice(&header.sequence.0.to_be_bytes());
        fixed[4..8].copy_from_slice(&header.timestamp.0.to_be_bytes());
        fixed[8..12].copy_from_slice(&header.ssrc.0.to_be_bytes());
        let mut out = Writer::new(buffer);
        out.bytes(&fixed)?;
        for csrc in header.csrcs {
            out.u32(csrc.0)?;
        }
        Ok(Self {
            out,
            extension: None,
            form: ElementForm::OneByte,
        })
    }

    /// Uses the two-byte form even where the one-byte form would do.
    ///
    /// # Errors
    /// The buffer is too small for elements already written.
    pub fn two_byte(mut self) -> Result<Self, WriteError> {
        self.upgrade()?;
        Ok(self)
    }

    /// Adds a typed extension if the map has an id for it; says whether it had.
    ///
    /// # Errors
    /// The buffer is too small, or the value does not fit an element.
    pub fn extension<'v, E: HeaderExtension<'v>>(
        &mut self,
        map: &ExtensionMap,
        value: &E,
    ) -> Result<bool, WriteError> {
        let Some(id) = map.id(E::KIND) else {
            return Ok(false);
        };
        value.encode(self.element_mut(id, value.encoded_len())?)?;
        Ok(true)
    }

    /// Adds an element.
    ///
    /// # Errors
    /// The buffer is too small, the id 0, or the data longer than 255 bytes.
    #[inline]
    pub fn element(&mut self, id: u8, data: &[u8]) -> Result<(), WriteError> {
        self.element_mut(id, data.len())?.copy_from_slice(data);
        Ok(())
    }

    /// Adds an element whose `len` bytes the caller fills.
    ///
    /// # Errors
    /// As [`Self::element`].
    #[inline]
    pub fn element_mut(&mut self, id: u8, len: usize) -> Result<&mut [u8], WriteError> {
        if !ElementForm::TwoByte.fits(id, len) {
            return Err(if id == 0 {
                WriteError::Invalid("element id 0 is padding")
            } else {
                too_large("element", len, 255)
            });
        }
        if !self.form.fits(id, len) {
            self.upgrade()?;
        }
        if self.extension.is_none() {
            self.extension = Some(self.out.len());
            self.out.zeros(4)?;
        }
        match self.form {
            ElementForm::OneByte => self.out.u8(id << 4 | (len - 1) as u8)?,
            ElementForm::TwoByte => self.out.bytes(&[id, len as u8])?,
        }
        self.out.reserve(len)
    }

    /// Writes an extension as it is: any profile, any content, `data` a multiple of four bytes.
    /// Instead of elements, not beside them.
    ///
    /// # Errors
    /// The buffer is too small, there is an extension already, or `data` has an odd length.
    pub fn raw_extension(mut self, profile: u16, data: &[u8]) -> Result<RtpBody<'b>, WriteError> {
        if self.extension.is_some() || !data.len().is_multiple_of(4) {
            return Err(WriteError::Invalid("raw extension"));
        }
        let words = words(data.len())?;
        self.out.written()[0] |= EXTENSION;
        self.out.u16(profile)?;
        self.out.u16(words)?;
        self.out.bytes(data)?;
        Ok(RtpBody { out: self.out })
    }

    /// Ends the header; what follows is the payload.
    ///
    /// # Errors
    /// The buffer is too small, or the elements exceed 65,535 words.
    #[inline]
    pub fn body(mut self) -> Result<RtpBody<'b>, WriteError> {
        if let Some(start) = self.extension {
            let len = self.out.len() - start - 4;
            self.out.zeros(len.next_multiple_of(4) - len)?;
            let words = words(self.out.len() - start - 4)?.to_be_bytes();
            let profile = self.form.profile().to_be_bytes();
            let written = self.out.written();
            written[0] |= EXTENSION;
            written[start..start + 2].copy_from_slice(&profile);
            written[start + 2..start + 4].copy_from_slice(&words);
        }
        Ok(RtpBody { out: self.out })
    }

    /// Ends the header and writes the payload; returns the packet's length. Short for
    /// [`Self::body`], [`RtpBody::payload`] and [`RtpBody::finish`].
    ///
    /// # Errors
    /// The buffer is too small.
    #[inline]
    pub fn payload(self, payload: &[u8]) -> Result<usize, WriteError> {
        let mut body = self.body()?;
        body.payload(payload)?;
        Ok(body.finish())
    }

    /// Rewrites the one-byte elements written so far, one byte longer each.
    fn upgrade(&mut self) -> Result<(), WriteError> {
        if let (Some(start), ElementForm::OneByte) = (self.extension, self.form) {
            let mut at = start + 4;
            while at < self.out.len() {
                self.out.zeros(1)?;
                let written = self.out.written();
                let end = written.len();
                written.copy_within(at + 1..end - 1, at + 2);
                let [id, len] = [written[at] >> 4, (written[at] & 0xf) + 1];
                written[at] = id;
                written[at + 1] = len;
                at += 2 + usize::from(len);
            }
        }
        self.form = ElementForm::TwoByte;
        Ok(())
    }
}

/// The second half of [`RtpWriter`]: payload and padding.
#[derive(Debug)]
pub struct RtpBody<'b> {
    out: Writer<'b>,
}

impl<'b> RtpBody<'b> {
    /// Bytes that still fit.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.out.remaining()
    }

    /// Appends to the payload.
    ///
    /// # Errors
    /// The buffer is too small.
    #[inline]
    pub fn payload(&mut self, part: &[u8]) -> Result<&mut Self, WriteError> {
        self.out.bytes(part)?;
        Ok(self)
    }

    /// Appends `len` bytes to the payload, which the caller fills.
    ///
    /// # Errors
    /// The buffer is too small.
    pub fn payload_mut(&mut self, len: usize) -> Result<&mut [u8], WriteError> {
        self.out.reserve(len)
    }

    /// Ends the packet with `len` bytes of padding, the count itself included; returns the
    /// packet's length. Zero is no padding.
    ///
    /// # Errors
    /// The buffer is too small.
    pub fn padding(mut self, len: u8) -> Result<usize, WriteError> {
        if len > 0 {
            self.out.zeros(usize::from(len) - 1)?;
            self.out.u8(len)?;
            self.out.written()[0] |= PADDING;
        }
        Ok(self.finish())
    }

    /// The packet's length.
    #[must_use]
    #[inline]
    pub fn finish(self) -> usize {
        self.out.len()
    }
}

fn words(len: usize) -> Result<u16, WriteError> {
    u16::try_from(len / 4).map_err(|_| too_large("extension", len, 65_535 * 4))
}

const fn too_large(what: &'static str, value: usize, max: usize) -> WriteError {
    WriteError::TooLarge { what, value, max }
}

#[cfg(test)]
mod tests {
    use super::super::RtpPacket;
    use super::*;

    fn header() -> RtpHeader<'static> {
        RtpHeader {
            marker: true,
            payload_type: 111,
            sequence: SequenceNumber(65_535),
            timestamp: Timestamp(7),
            ssrc: Ssrc(9),
            csrcs: &[Ssrc(1), Ssrc(2)],
        }
    }

    /// Everything written is read again, whatever forces the two-byte form and when.
    #[test]
    fn elements_in_both_forms() {
        let long = [5; 20];
        let cases: [&[(u8, &[u8])]; 5] = [
            &[(1, &[1]), (14, &[2; 16])],
            &[(1, &[1]), (2, &[2, 2]), (15, &[3])],
            &[(1, &[1]), (3, &[]), (4, &[4, 4, 4])],
            &[(2, &long), (1, &[1])],
            &[(1, &[0]), (2, &[0, 0]), (3, &[0, 0, 0]), (4, &long)],
        ];
        for elements in cases {
            let mut buffer = [0xaa; 200];
            let mut writer = RtpWriter::new(&mut buffer, &header()).unwrap();
            for (id, data) in elements {
                writer.element(*id, data).unwrap();
            }
            let len = writer.payload(b"payload").unwrap();
            let packet = RtpPacket::parse(&buffer[..len]).unwrap();
            assert_eq!(packet.elements().collect::<Vec<_>>(), *elements);
            assert_eq!(packet.payload(), b"payload");
            assert_eq!(packet.csrcs().collect::<Vec<_>>(), header().csrcs);
            assert_eq!(
                RtpHeader {
                    csrcs: header().csrcs,
                    ..packet.header()
                },
                header()
            );
        }
    }

    /// Whatever does not fit is an error, at every length of the buffer.
    #[test]
    fn short_buffers() {
        let write = |buffer: &mut [u8]| -> Result<usize, WriteError> {
            let mut writer = RtpWriter::new(buffer, &header())?;
            writer.element(1, &[1, 2, 3])?;
            writer.element(20, &[1])?;
            let mut body = writer.body()?;
            body.payload(&[1, 2])?.payload(&[3])?;
            body.padding(5)
        };
        let mut buffer = [0; 100];
        let len = write(&mut buffer).unwrap();
        assert_eq!(RtpPacket::parse(&buffer[..len]).unwrap().padding_len(), 5);
        for short in 0..len {
            assert!(write(&mut buffer[..short]).is_err(), "{short}");
        }
    }

    /// Values the header has no bits for are refused and not truncated.
    #[test]
    fn out_of_range() {
        let mut buffer = [0; 200];
        let bad_type = RtpHeader {
            payload_type: 128,
            ..header()
        };
        assert!(RtpWriter::new(&mut buffer, &bad_type).is_err());
        let csrcs = [Ssrc(0); 16];
        let bad_csrcs = RtpHeader {
            csrcs: &csrcs,
            ..header()
        };
        assert!(RtpWriter::new(&mut buffer, &bad_csrcs).is_err());
        let mut writer = RtpWriter::new(&mut buffer, &header()).unwrap();
        assert!(writer.element(0, &[1]).is_err());
        assert!(writer.element(1, &[0; 256]).is_err());
    }
}
