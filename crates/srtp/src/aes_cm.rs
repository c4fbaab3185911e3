//! AES in counter mode with HMAC-SHA1 (RFC 3711 sections 4.1.1 and 4.2.1).

use aes::Aes128;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, StreamCipherCore};
use ctr::{CtrCore, flavors::Ctr32BE};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::key_derivation::{DerivedKeys, aes, salt_block};

/// The ciphers of one direction and kind.
pub(crate) struct AesCm {
    aes: Aes128,
    /// Salt times 2^16.
    salt: u128,
    /// Keyed; cloned for every packet.
    hmac: Hmac<Sha1>,
}

impl AesCm {
    pub(crate) fn new(keys: &DerivedKeys) -> Self {
        Self {
            aes: aes(&keys.encryption[..16]),
            salt: salt_block(&keys.salt),
            hmac: Hmac::new_from_slice(&keys.authentication)
                .expect("HMAC takes keys of any length"),
        }
    }

    /// Encrypts or decrypts the payload of the packet with this index.
    pub(crate) fn apply(&self, ssrc: u32, index: u64, payload: &mut [u8]) {
        let iv = self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        apply_keystream(&self.aes, iv, payload);
    }

    /// The authentication of a packet, to be finished with its trailing bytes.
    pub(crate) fn authenticate(&self, packet: &[u8]) -> Authentication {
        let mut hmac = self.hmac.clone();
        hmac.update(packet);
        Authentication(hmac)
    }
}

/// A packet half authenticated: the rollover counter may still be tried out.
#[derive(Clone)]
pub(crate) struct Authentication(Hmac<Sha1>);

impl Authentication {
    /// The tag, of which the left part is used.
    pub(crate) fn tag(mut self, trailer: &[u8]) -> [u8; 20] {
        self.0.update(trailer);
        self.0.finalize().into_bytes().into()
    }

    /// In constant time.
    pub(crate) fn matches(mut self, trailer: &[u8], tag: &[u8]) -> bool {
        self.0.update(trailer);
        self.0.verify_truncated_left(tag).is_ok()
    }
}

/// The low 16 bits of the counter block count blocks and begin at 0 (section 4.1.1), so a counter of
/// 32 bits never carries: packets are far shorter than 2^16 blocks.
#[inline]
pub(crate) fn apply_keystream<C>(cipher: &C, iv: u128, data: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    CtrCore::<&C, Ctr32BE>::inner_iv_init(cipher, &iv.to_be_bytes().into())
        .apply_keystream_partial(data.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use crate::testing::{hex, session};

    /// RFC 3711 appendix B.2: the beginning and the end of a segment of 2^16 - 2^8 + 2 blocks.
    #[test]
    fn rfc_3711_appendix_b_2() {
        let keys = session(
            Profile::Aes128CmSha1_80,
            "2B7E151628AED2A6ABF7158809CF4F3C",
            "F0F1F2F3F4F5F6F7F8F9FAFBFCFD",
        );
        let mut keystream = vec![0; 0xff02 * 16];
        AesCm::new(&keys).apply(0, 0, &mut keystream);
        let start = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB\
            41E95B3BB0A2E8DD477901E4FCA894C0";
        let end = "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE\
            6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(keystream[..48], hex(start));
        assert_eq!(keystream[0xfeff * 16..], hex(end));
    }
}
