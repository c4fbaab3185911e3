//! SRTCP (RFC 3711 section 3.4, RFC 7714 section 9): the index travels in the packet.

use crate::context::{Cipher, Context};
use crate::error::{Malformed, OpenError};
use crate::gcm::GCM_TAG;
use crate::header::RTCP_HEADER;

/// The word with the encryption flag and the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexWord(u32);

impl IndexWord {
    /// Of an encrypted packet.
    pub(crate) fn encrypted(index: u32) -> Self {
        Self(ENCRYPTED | index)
    }

    pub(crate) fn is_encrypted(self) -> bool {
        self.0 & ENCRYPTED != 0
    }

    pub(crate) fn index(self) -> u64 {
        u64::from(self.0 & !ENCRYPTED)
    }

    fn to_bytes(self) -> [u8; INDEX] {
        self.0.to_be_bytes()
    }
}

impl Context {
    /// Seals the RTCP packet in `buffer[..len]`, and returns its new length. There must be room for tag
    /// and index.
    pub(crate) fn seal_rtcp(
        &self,
        buffer: &mut [u8],
        len: usize,
        ssrc: u32,
        word: IndexWord,
    ) -> usize {
        let tag_len = self.profile.rtcp_tag_len();
        match &self.rtcp {
            // Tag, then index.
            Cipher::Gcm(gcm) => {
                let (header, rest) = buffer.split_at_mut(RTCP_HEADER);
                let (payload, rest) = rest.split_at_mut(len - RTCP_HEADER);
                let tag = gcm.seal(ssrc, word.index(), &associated(header, word), payload);
                rest[..GCM_TAG].copy_from_slice(&tag);
                rest[GCM_TAG..GCM_TAG + INDEX].copy_from_slice(&word.to_bytes());
            }
            // Index, then tag.
            Cipher::AesCm(aes_cm) => {
                aes_cm.apply(ssrc, word.index(), &mut buffer[RTCP_HEADER..len]);
                let (packet, rest) = buffer.split_at_mut(len);
                let tag = aes_cm.authenticate(packet).tag(&word.to_bytes());
                rest[..INDEX].copy_from_slice(&word.to_bytes());
                rest[INDEX..INDEX + tag_len].copy_from_slice(&tag[..tag_len]);
            }
        }
        len + INDEX + tag_len
    }

    /// Where the packet inside ends, and its index word.
    pub(crate) fn split_rtcp(&self, packet: &[u8]) -> Result<(usize, IndexWord), OpenError> {
        let len = packet
            .len()
            .checked_sub(INDEX + self.profile.rtcp_tag_len())
            .filter(|&len| len >= RTCP_HEADER)
            .ok_or(Malformed::Truncated)?;
        let at = match &self.rtcp {
            Cipher::Gcm(_) => len + GCM_TAG,
            Cipher::AesCm(_) => len,
        };
        let word = packet[at..].first_chunk().ok_or(Malformed::Truncated)?;
        Ok((len, IndexWord(u32::from_be_bytes(*word))))
    }

    /// Opens what [`Self::split_rtcp`] split. If it is not authentic, the packet is lost.
    pub(crate) fn open_rtcp(
        &self,
        packet: &mut [u8],
        len: usize,
        ssrc: u32,
        word: IndexWord,
    ) -> bool {
        let (body, trailer) = packet.split_at_mut(len);
        let index = word.index();
        match &self.rtcp {
            Cipher::Gcm(gcm) => {
                let Some(&tag) = trailer.first_chunk() else {
                    return false;
                };
                if word.is_encrypted() {
                    let (header, payload) = body.split_at_mut(RTCP_HEADER);
                    gcm.open(ssrc, index, &associated(header, word), payload, tag)
                } else {
                    // The whole packet and the index are associated data, which must be in one piece
                    // (RFC 7714 section 9.3); the tag has been read.
                    trailer[..INDEX].copy_from_slice(&word.to_bytes());
                    gcm.open(ssrc, index, &packet[..len + INDEX], &mut [], tag)
                }
            }
            Cipher::AesCm(aes_cm) => {
                let authentic = aes_cm
                    .authenticate(body)
                    .matches(&word.to_bytes(), &trailer[INDEX..]);
                if authentic && word.is_encrypted() {
                    aes_cm.apply(ssrc, index, &mut body[RTCP_HEADER..]);
                }
                authentic
            }
        }
    }
}

/// Header and index word (RFC 7714 section 9.2).
fn associated(header: &[u8], word: IndexWord) -> [u8; RTCP_HEADER + INDEX] {
    let mut associated = [0; RTCP_HEADER + INDEX];
    associated[..RTCP_HEADER].copy_from_slice(header);
    associated[RTCP_HEADER..].copy_from_slice(&word.to_bytes());
    associated
}

/// The highest index: 31 bits.
pub(crate) const MAX_INDEX: u32 = ENCRYPTED - 1;
const ENCRYPTED: u32 = 1 << 31;
/// Bytes of the index word.
const INDEX: usize = 4;
