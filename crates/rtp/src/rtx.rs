//! Retransmission in a stream of its own (RFC 4588 §4).

use crate::packet::RtpBody;
use crate::wire::Reader;
use crate::{DecodeError, RtpHeader, RtpPacket, RtpWriter, SequenceNumber, Ssrc, WriteError};

/// A retransmission: the original packet but for its SSRC and payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtxPacket<'a> {
    packet: RtpPacket<'a>,
    /// OSN, the sequence number of the original.
    pub original: SequenceNumber,
    /// The original's payload.
    pub payload: &'a [u8],
}

impl<'a> RtxPacket<'a> {
    /// Reads a packet of an RTX stream. None for one without payload: browsers send padding on RTX
    /// streams to probe the path.
    ///
    /// # Errors
    /// A payload of one byte.
    pub fn parse(packet: RtpPacket<'a>) -> Result<Option<Self>, DecodeError> {
        let mut reader = Reader::new(packet.payload());
        if reader.is_empty() {
            return Ok(None);
        }
        let original = SequenceNumber(reader.u16()?);
        Ok(Some(Self {
            packet,
            original,
            payload: reader.rest(),
        }))
    }

    /// Writes the original into `buffer`; returns its length. `ssrc` and `payload_type` are those
    /// that the RTX stream is associated with. The header extension is this packet's (its
    /// repaired-rid says what rid would, its transport-wide number is its own).
    ///
    /// # Errors
    /// The buffer is too small.
    pub fn restore(
        &self,
        ssrc: Ssrc,
        payload_type: u8,
        buffer: &mut [u8],
    ) -> Result<usize, WriteError> {
        let header = RtpHeader {
            sequence: self.original,
            ssrc,
            payload_type,
            ..self.packet.header()
        };
        let mut body = copy_header(&self.packet, &header, buffer)?;
        body.payload(self.payload)?;
        Ok(body.finish())
    }
}

/// Writes a retransmission of `original` into `buffer`, with its header extension as it was;
/// returns the length. To write other extensions, start an [`RtpWriter`] and call
/// [`write_payload`].
///
/// # Errors
/// The buffer is too small.
pub fn retransmit(
    original: &RtpPacket<'_>,
    ssrc: Ssrc,
    payload_type: u8,
    sequence: SequenceNumber,
    buffer: &mut [u8],
) -> Result<usize, WriteError> {
    let header = RtpHeader {
        sequence,
        ssrc,
        payload_type,
        ..original.header()
    };
    let mut body = copy_header(original, &header, buffer)?;
    write_payload(original, &mut body)?;
    Ok(body.finish())
}

/// Writes the payload of a retransmission. Padding is not repeated.
///
/// # Errors
/// The buffer is too small.
pub fn write_payload(original: &RtpPacket<'_>, body: &mut RtpBody<'_>) -> Result<(), WriteError> {
    body.payload(&original.sequence().0.to_be_bytes())?
        .payload(original.payload())?;
    Ok(())
}

/// Writes `header` with the CSRCs and the extension of `packet`.
pub(crate) fn copy_header<'b>(
    packet: &RtpPacket<'_>,
    header: &RtpHeader<'_>,
    buffer: &'b mut [u8],
) -> Result<RtpBody<'b>, WriteError> {
    let mut csrcs = [Ssrc(0); 15];
    let count = packet.csrcs().len();
    for (slot, csrc) in csrcs.iter_mut().zip(packet.csrcs()) {
        *slot = csrc;
    }
    let header = RtpHeader {
        csrcs: &csrcs[..count],
        ..*header
    };
    let writer = RtpWriter::new(buffer, &header)?;
    match packet.raw_extension() {
        Some((profile, data)) => writer.raw_extension(profile, data),
        None => writer.body(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    /// There and back it is the original, without padding.
    #[test]
    fn comes_back() {
        let header = RtpHeader {
            marker: true,
            payload_type: 96,
            sequence: SequenceNumber(0xfffe),
            timestamp: Timestamp(9),
            ssrc: Ssrc(1),
            csrcs: &[Ssrc(7)],
        };
        let mut original = [0; 60];
        let mut writer = RtpWriter::new(&mut original, &header).unwrap();
        writer.element(3, &[1, 2]).unwrap();
        let mut body = writer.body().unwrap();
        body.payload(b"frame").unwrap();
        let len = body.finish();
        let original = &original[..len];
        let packet = RtpPacket::parse(original).unwrap();

        let mut buffer = [0; 60];
        let len = retransmit(&packet, Ssrc(2), 97, SequenceNumber(5), &mut buffer).unwrap();
        let sent = RtpPacket::parse(&buffer[..len]).unwrap();
        assert_eq!(
            (sent.ssrc(), sent.payload_type(), sent.sequence().0),
            (Ssrc(2), 97, 5)
        );
        let rtx = RtxPacket::parse(sent).unwrap().unwrap();
        assert_eq!(rtx.original, SequenceNumber(0xfffe));
        let mut restored = [0; 60];
        let len = rtx.restore(Ssrc(1), 96, &mut restored).unwrap();
        assert_eq!(&restored[..len], original);
    }

    /// Padding probes carry nothing; one byte is no sequence number.
    #[test]
    fn probes() {
        let mut buffer = [0; 40];
        let header = RtpHeader::default();
        let len = RtpWriter::new(&mut buffer, &header)
            .unwrap()
            .body()
            .unwrap()
            .padding(20)
            .unwrap();
        assert_eq!(
            RtxPacket::parse(RtpPacket::parse(&buffer[..len]).unwrap()),
            Ok(None)
        );
        let len = RtpWriter::new(&mut buffer, &header)
            .unwrap()
            .payload(&[1])
            .unwrap();
        assert!(RtxPacket::parse(RtpPacket::parse(&buffer[..len]).unwrap()).is_err());
    }
}
