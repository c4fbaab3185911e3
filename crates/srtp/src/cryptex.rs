//! Completely encrypted header extensions and CSRCs (RFC 9335).

use crate::error::{OpenError, SealError};
use crate::header::{EXTENSION_HEADER, FIXED_HEADER, HAS_EXTENSION, RtpHeader};

/// What a [`Receiver`](crate::Receiver) does with Cryptex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cryptex {
    /// Not negotiated: packets that use it are dropped.
    #[default]
    Off,
    /// Packets may use it.
    Allowed,
    /// Packets with an extension or CSRCs must use it.
    Required,
}

/// Which bytes of an RTP packet are encrypted: everything behind `clear`, once the CSRCs were moved
/// out of the clear part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// Bytes in front that are authenticated but not encrypted.
    pub(crate) clear: usize,
    /// Bytes of CSRCs to be encrypted, which lie between fixed header and extension header.
    csrc_len: usize,
}

impl Region {
    /// Only the payload (RFC 3711 section 3.1).
    pub(crate) fn payload(header: &RtpHeader) -> Self {
        Self {
            clear: header.len,
            csrc_len: 0,
        }
    }

    fn cryptex(header: &RtpHeader) -> Self {
        Self {
            clear: FIXED_HEADER + EXTENSION_HEADER,
            csrc_len: header.csrc_len,
        }
    }

    /// Moves the CSRCs behind the extension header, so that clear and encrypted bytes are each in one
    /// piece (RFC 9335 section 6.2).
    #[inline]
    pub(crate) fn gather(self, packet: &mut [u8]) {
        if self.csrc_len > 0 {
            packet[FIXED_HEADER..self.clear + self.csrc_len].rotate_right(EXTENSION_HEADER);
        }
    }

    /// Moves them back.
    #[inline]
    pub(crate) fn scatter(self, packet: &mut [u8]) {
        if self.csrc_len > 0 {
            packet[FIXED_HEADER..self.clear + self.csrc_len].rotate_left(EXTENSION_HEADER);
        }
    }
}

/// Whether a packet can be sealed with Cryptex, without changing it.
pub(crate) fn check(header: &RtpHeader) -> Result<(), SealError> {
    match header.extension {
        None | Some(ONE_BYTE | TWO_BYTE) => Ok(()),
        Some(profile) => Err(SealError::CryptexExtension { profile }),
    }
}

/// Marks a checked packet of `len` bytes as encrypted, or leaves it when it has nothing to hide. A
/// packet with CSRCs and no extension gets an empty one (RFC 9335 section 5.2), for which there must
/// be room. Returns the packet's length.
pub(crate) fn mark(buffer: &mut [u8], len: usize, header: &RtpHeader) -> (Region, usize) {
    let (tag, len) = match header.extension {
        Some(TWO_BYTE) => (CRYPTEX_TWO_BYTE, len),
        Some(_) => (CRYPTEX_ONE_BYTE, len),
        None if header.csrc_len == 0 => return (Region::payload(header), len),
        None => {
            buffer.copy_within(header.len..len, header.len + EXTENSION_HEADER);
            buffer[header.len..header.len + EXTENSION_HEADER].fill(0);
            buffer[0] |= HAS_EXTENSION;
            (CRYPTEX_ONE_BYTE, len + EXTENSION_HEADER)
        }
    };
    let at = FIXED_HEADER + header.csrc_len;
    buffer[at..at + 2].copy_from_slice(&tag.to_be_bytes());
    (Region::cryptex(header), len)
}

/// What of a received packet is encrypted.
#[inline]
pub(crate) fn received(header: &RtpHeader, mode: Cryptex) -> Result<Region, OpenError> {
    match (header.extension, mode) {
        (Some(CRYPTEX_ONE_BYTE | CRYPTEX_TWO_BYTE), Cryptex::Off) => {
            Err(OpenError::CryptexUnexpected)
        }
        (Some(CRYPTEX_ONE_BYTE | CRYPTEX_TWO_BYTE), Cryptex::Allowed | Cryptex::Required) => {
            Ok(Region::cryptex(header))
        }
        (Some(_), Cryptex::Required) => Err(OpenError::CryptexMissing),
        (None, Cryptex::Required) if header.csrc_len > 0 => Err(OpenError::CryptexMissing),
        (Some(_) | None, Cryptex::Off | Cryptex::Allowed | Cryptex::Required) => {
            Ok(Region::payload(header))
        }
    }
}

/// Gives the extension of an opened packet its RFC 8285 name back.
#[inline]
pub(crate) fn unmark(packet: &mut [u8], header: &RtpHeader) {
    let name = match header.extension {
        Some(CRYPTEX_ONE_BYTE) => ONE_BYTE,
        Some(CRYPTEX_TWO_BYTE) => TWO_BYTE,
        Some(_) | None => return,
    };
    let at = FIXED_HEADER + header.csrc_len;
    packet[at..at + 2].copy_from_slice(&name.to_be_bytes());
}

/// RFC 8285 section 4.2.
const ONE_BYTE: u16 = 0xbede;
/// RFC 8285 section 4.3, with no application bits: Cryptex has no room for them.
const TWO_BYTE: u16 = 0x1000;
/// RFC 9335 section 5.1.
const CRYPTEX_ONE_BYTE: u16 = 0xc0de;
const CRYPTEX_TWO_BYTE: u16 = 0xc2de;
