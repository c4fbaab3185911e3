//! The ciphers of one direction, and what they do to an RTP packet (RFC 3711 section 3.1, RFC 7714
//! section 8). RTCP is in `rtcp.rs`.

use crate::aes_cm::AesCm;
use crate::cryptex::Region;
use crate::gcm::{GCM_TAG, Gcm};
use crate::key_derivation::{DerivedKeys, MasterKey};
use crate::profile::Profile;

/// Session keys of RTP and RTCP in one direction.
pub(crate) struct Context {
    pub(crate) profile: Profile,
    pub(crate) rtp: Cipher,
    pub(crate) rtcp: Cipher,
}

/// In line, not boxed: one cache miss less a packet where many contexts take turns.
pub(crate) enum Cipher {
    Gcm(Gcm),
    AesCm(AesCm),
}

impl Context {
    pub(crate) fn new(master: &MasterKey) -> Self {
        Self {
            profile: master.profile(),
            rtp: Cipher::new(&master.rtp()),
            rtcp: Cipher::new(&master.rtcp()),
        }
    }

    /// Seals the RTP packet in `buffer[..len]`, and returns its new length. There must be room for the
    /// tag.
    #[inline]
    pub(crate) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        len: usize,
        region: Region,
        ssrc: u32,
        index: u64,
    ) -> usize {
        let (packet, rest) = buffer.split_at_mut(len);
        region.gather(packet);
        let (clear, payload) = packet.split_at_mut(region.clear);
        match &self.rtp {
            Cipher::Gcm(gcm) => {
                let tag = gcm.seal(ssrc, index, clear, payload);
                region.scatter(packet);
                rest[..GCM_TAG].copy_from_slice(&tag);
                len + GCM_TAG
            }
            Cipher::AesCm(aes_cm) => {
                aes_cm.apply(ssrc, index, payload);
                region.scatter(packet);
                let tag = aes_cm.authenticate(packet).tag(&rollover_bytes(index));
                let tag_len = self.profile.rtp_tag_len();
                rest[..tag_len].copy_from_slice(&tag[..tag_len]);
                len + tag_len
            }
        }
    }

    /// Opens an RTP packet, which must be as long as region and tag at least, with the first index that
    /// authenticates it. Otherwise the packet is lost.
    #[inline]
    pub(crate) fn open_rtp(
        &self,
        packet: &mut [u8],
        region: Region,
        ssrc: u32,
        indices: &[u64],
    ) -> Option<u64> {
        let (packet, tag) = packet.split_at_mut(packet.len() - self.profile.rtp_tag_len());
        match &self.rtp {
            Cipher::Gcm(gcm) => {
                region.gather(packet);
                let (clear, payload) = packet.split_at_mut(region.clear);
                let tag = *tag.first_chunk()?;
                let index = match *indices {
                    [index] => gcm.open(ssrc, index, clear, payload, tag).then_some(index),
                    _ => open_with_any(gcm, ssrc, indices, clear, payload, tag),
                }?;
                region.scatter(packet);
                Some(index)
            }
            Cipher::AesCm(aes_cm) => {
                let authentication = aes_cm.authenticate(packet);
                let index = indices
                    .iter()
                    .copied()
                    .find(|&index| authentication.clone().matches(&rollover_bytes(index), tag))?;
                region.gather(packet);
                aes_cm.apply(ssrc, index, &mut packet[region.clear..]);
                region.scatter(packet);
                Some(index)
            }
        }
    }
}

impl Cipher {
    pub(crate) fn new(keys: &DerivedKeys) -> Self {
        match keys.profile {
            Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 => Self::AesCm(AesCm::new(keys)),
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Self::Gcm(Gcm::new(keys)),
        }
    }
}

/// A failed attempt destroys the ciphertext, so each further one needs a copy. Longer packets than
/// `SPARE` get one attempt: media packets are not that long.
#[cold]
fn open_with_any(
    gcm: &Gcm,
    ssrc: u32,
    indices: &[u64],
    clear: &[u8],
    payload: &mut [u8],
    tag: [u8; GCM_TAG],
) -> Option<u64> {
    let mut spare = [0; SPARE];
    let Some(spare) = spare.get_mut(..payload.len()) else {
        let &index = indices.first()?;
        return gcm.open(ssrc, index, clear, payload, tag).then_some(index);
    };
    spare.copy_from_slice(payload);
    indices.iter().copied().find(|&index| {
        payload.copy_from_slice(spare);
        gcm.open(ssrc, index, clear, payload, tag)
    })
}

/// AES-CM authenticates the rollover counter without sending it (RFC 3711 section 4.2).
fn rollover_bytes(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

const SPARE: usize = 2_048;
