//! The little of RTP and RTCP headers that protection needs (RFC 3550 sections 5.1, 5.3.1 and 6.1).

use crate::error::Malformed;

/// Where an RTP packet's header ends, and what it is protected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    /// Bytes of fixed header, CSRCs and extension.
    pub(crate) len: usize,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// Bytes of CSRCs.
    pub(crate) csrc_len: usize,
    /// The extension's "defined by profile" field.
    pub(crate) extension: Option<u16>,
}

impl RtpHeader {
    /// Checks every length, in constant time.
    #[inline]
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        let Some((fixed, rest)) = packet.split_first_chunk::<FIXED_HEADER>() else {
            return Err(Malformed::Truncated);
        };
        if packet.len() > MAX_PACKET {
            return Err(Malformed::TooLong);
        }
        if fixed[0] >> 6 != VERSION {
            return Err(Malformed::Version);
        }
        let csrc_len = 4 * usize::from(fixed[0] & 0x0f);
        let (mut len, mut extension) = (FIXED_HEADER + csrc_len, None);
        if fixed[0] & HAS_EXTENSION != 0 {
            let Some(word) = rest.get(csrc_len..).and_then(<[u8]>::first_chunk::<4>) else {
                return Err(Malformed::Truncated);
            };
            extension = Some(u16::from_be_bytes([word[0], word[1]]));
            len += EXTENSION_HEADER + 4 * usize::from(u16::from_be_bytes([word[2], word[3]]));
        }
        if len > packet.len() {
            return Err(Malformed::Truncated);
        }
        Ok(Self {
            len,
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            csrc_len,
            extension,
        })
    }
}

/// The sender's SSRC of the first packet in a compound RTCP packet.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Malformed> {
    let Some(header) = packet.first_chunk::<RTCP_HEADER>() else {
        return Err(Malformed::Truncated);
    };
    if packet.len() > MAX_PACKET {
        return Err(Malformed::TooLong);
    }
    if header[0] >> 6 != VERSION {
        return Err(Malformed::Version);
    }
    Ok(u32::from_be_bytes([
        header[4], header[5], header[6], header[7],
    ]))
}

/// Bytes of the fixed RTP header.
pub(crate) const FIXED_HEADER: usize = 12;
/// Bytes of an extension's profile and length fields.
pub(crate) const EXTENSION_HEADER: usize = 4;
/// The X bit in the first byte.
pub(crate) const HAS_EXTENSION: u8 = 0x10;
/// Bytes of an RTCP packet that stay in the clear (RFC 3711 section 3.4).
pub(crate) const RTCP_HEADER: usize = 8;
/// The longest UDP payload; also keeps AES-CM far from its 2^16 blocks per packet.
const MAX_PACKET: usize = 65_535;
const VERSION: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let mut packet = vec![0x92, 0x60, 0x12, 0x34, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe];
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
        packet
    }

    /// Ciphertext starts where the header says; one byte off and nothing interoperates.
    #[test]
    fn header_length_counts_csrcs_and_extension() {
        let header = RtpHeader::parse(&packet()).unwrap();
        let expected = RtpHeader {
            len: 32,
            ssrc: 0xcafe_babe,
            sequence: 0x1234,
            csrc_len: 8,
            extension: Some(0xbede),
        };
        assert_eq!(header, expected);
    }

    /// Every cut inside the header is refused, and so are other versions and giants.
    #[test]
    fn malformed_headers_are_refused() {
        for len in 0..32 {
            let cut = RtpHeader::parse(&packet()[..len]);
            assert_eq!(cut, Err(Malformed::Truncated), "{len}");
        }
        let mut other = packet();
        other[0] = 0x52;
        assert_eq!(RtpHeader::parse(&other), Err(Malformed::Version));
        let mut giant = packet();
        giant.resize(MAX_PACKET + 1, 0);
        assert_eq!(RtpHeader::parse(&giant), Err(Malformed::TooLong));
        assert_eq!(rtcp_ssrc(&giant), Err(Malformed::TooLong));
        assert_eq!(rtcp_ssrc(&[0x80; 7]), Err(Malformed::Truncated));
        assert_eq!(rtcp_ssrc(&[0x40; 8]), Err(Malformed::Version));
    }
}
