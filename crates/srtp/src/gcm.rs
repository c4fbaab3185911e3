//! AES-GCM (RFC 7714).

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use crate::key_derivation::DerivedKeys;
use crate::profile::Profile;

/// The cipher of one direction and kind.
pub(crate) struct Gcm {
    key: LessSafeKey,
    /// 96 bits.
    salt: u128,
}

impl Gcm {
    pub(crate) fn new(keys: &DerivedKeys) -> Self {
        let algorithm = match keys.profile {
            Profile::AeadAes256Gcm => &AES_256_GCM,
            Profile::AeadAes128Gcm | Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 => {
                &AES_128_GCM
            }
        };
        let key = UnboundKey::new(algorithm, &keys.encryption[..keys.profile.key_len()])
            .expect("the profile's key has the cipher's length");
        let mut salt = [0; 16];
        salt[4..].copy_from_slice(&keys.salt[..NONCE]);
        Self {
            key: LessSafeKey::new(key),
            salt: u128::from_be_bytes(salt),
        }
    }

    /// Encrypts `payload` in place.
    #[inline]
    pub(crate) fn seal(
        &self,
        ssrc: u32,
        index: u64,
        aad: &[u8],
        payload: &mut [u8],
    ) -> [u8; GCM_TAG] {
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(aad), payload)
            .expect("a datagram is far below the 64 GiB that GCM takes");
        let mut bytes = [0; GCM_TAG];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Decrypts `payload` in place. If it is not authentic, `payload` is lost.
    #[inline]
    pub(crate) fn open(
        &self,
        ssrc: u32,
        index: u64,
        aad: &[u8],
        payload: &mut [u8],
        tag: [u8; GCM_TAG],
    ) -> bool {
        self.key
            .open_in_place_separate_tag(
                self.nonce(ssrc, index),
                Aad::from(aad),
                Tag::from(tag),
                payload,
                0..,
            )
            .is_ok()
    }

    /// SSRC and a 48-bit index, exclusive-or the salt: for RTP the index is rollover counter and
    /// sequence number (section 8.1), for RTCP 16 zero bits, a zero bit and 31 bits (section 9.1).
    #[inline]
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let nonce = self.salt ^ (u128::from(ssrc) << 48) ^ u128::from(index);
        let mut bytes = [0; NONCE];
        bytes.copy_from_slice(&nonce.to_be_bytes()[4..]);
        Nonce::assume_unique_for_key(bytes)
    }
}

/// Bytes of a tag; RFC 7714 has no shorter ones.
pub(crate) const GCM_TAG: usize = 16;
const NONCE: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hex, session};

    /// RFC 7714 section 16: both key lengths, encrypting and only tagging.
    #[test]
    fn rfc_7714_section_16() {
        let salt = "517569642070726f2071756f";
        let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let packet = hex(
            "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064\
            697669736120696e207061727465732074726573",
        );
        let index = 0xf17b;
        for (profile, key, sealed, tag, tag_only) in [
            (
                Profile::AeadAes128Gcm,
                &key[..32],
                "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833",
                "899d7f27beb16a9152cf765ee4390cce",
                "22493f82d2bce397e9d79e3b19aa4216",
            ),
            (
                Profile::AeadAes256Gcm,
                key,
                "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b",
                "7aa3db36dfffd6b0f9bb7878d7a76c13",
                "a866d5910f887463067ceefec45215d4",
            ),
        ] {
            let gcm = Gcm::new(&session(profile, key, salt));
            let (aad, plain) = packet.split_at(12);
            let mut payload = plain.to_vec();
            assert_eq!(
                gcm.seal(0x5501_a0b2, index, aad, &mut payload)[..],
                hex(tag)
            );
            assert_eq!(payload, hex(sealed));
            let tag = hex(tag).try_into().unwrap();
            assert!(gcm.open(0x5501_a0b2, index, aad, &mut payload, tag));
            assert_eq!(payload, plain);
            assert_eq!(
                gcm.seal(0x5501_a0b2, index, &packet, &mut [])[..],
                hex(tag_only)
            );
        }
    }
}
