//! Master keys, and the session keys made from them (RFC 3711 section 4.3, RFC 5764 section 4.2).

use std::fmt;

use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};
use aes::{Aes128, Aes256};

use crate::aes_cm::apply_keystream;
use crate::config::{ReceiverConfig, SenderConfig};
use crate::error::KeyError;
use crate::profile::Profile;
use crate::receiver::Receiver;
use crate::sender::Sender;

/// The keys of both directions, from a DTLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeys {
    /// What the DTLS client protects with.
    pub client: MasterKey,
    /// What the DTLS server protects with.
    pub server: MasterKey,
}

impl SessionKeys {
    /// From what the exporter gave under `EXTRACTOR-dtls_srtp`: client key, server key, client salt,
    /// server salt (RFC 5764 section 4.2). [`KeyError::Length`] unless it has
    /// [`Profile::keying_material_len`] bytes.
    pub fn from_keying_material(profile: Profile, material: &[u8]) -> Result<Self, KeyError> {
        check_len(material, profile.keying_material_len())?;
        let (keys, salts) = material.split_at(2 * profile.key_len());
        let (client_key, server_key) = keys.split_at(profile.key_len());
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        Ok(Self {
            client: MasterKey::new(profile, client_key, client_salt)?,
            server: MasterKey::new(profile, server_key, server_salt)?,
        })
    }

    /// Seals what the end with this DTLS role sends. Make one only: two senders with the same keys
    /// would use nonces twice.
    pub fn sender(&self, role: Role, config: SenderConfig) -> Sender {
        Sender::new(self.of(role), config)
    }

    /// Opens what the end with this DTLS role receives.
    pub fn receiver(&self, role: Role, config: ReceiverConfig) -> Receiver {
        match role {
            Role::Client => Receiver::new(&self.server, config),
            Role::Server => Receiver::new(&self.client, config),
        }
    }

    fn of(&self, role: Role) -> &MasterKey {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }
}

/// Our role in the DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that sent the ClientHello.
    Client,
    /// The other one.
    Server,
}

/// One direction's master key and salt.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    profile: Profile,
    key: [u8; MAX_KEY],
    salt: [u8; SALT],
}

impl MasterKey {
    /// [`KeyError::Length`] unless key and salt are as long as the profile says.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        check_len(key, profile.key_len())?;
        check_len(salt, profile.salt_len())?;
        // RFC 7714 section 11: a salt of 96 bits is the left part of the 112 the PRF takes.
        let mut master = Self {
            profile,
            key: [0; MAX_KEY],
            salt: [0; SALT],
        };
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }

    /// The profile these keys are for.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn rtp(&self) -> DerivedKeys {
        self.derive(0)
    }

    pub(crate) fn rtcp(&self) -> DerivedKeys {
        self.derive(3)
    }

    /// The three labels of RTP begin at 0, those of RTCP at 3 (section 4.3.1).
    fn derive(&self, first_label: u8) -> DerivedKeys {
        let mut keys = DerivedKeys {
            profile: self.profile,
            encryption: [0; MAX_KEY],
            authentication: [0; AUTH_KEY],
            salt: [0; SALT],
        };
        let key_len = self.profile.key_len();
        self.prf(first_label, &mut keys.encryption[..key_len]);
        self.prf(first_label + 1, &mut keys.authentication);
        self.prf(first_label + 2, &mut keys.salt[..self.profile.salt_len()]);
        keys
    }

    /// AES in counter mode, with the master key's length (section 4.3.3, RFC 6188 section 3). The key
    /// derivation rate is 0 in DTLS-SRTP, so the label is all there is to mix in.
    fn prf(&self, label: u8, out: &mut [u8]) {
        let x = salt_block(&self.salt) ^ (u128::from(label) << 64);
        match self.profile {
            Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 | Profile::AeadAes128Gcm => {
                apply_keystream(&aes::<Aes128>(&self.key[..16]), x, out);
            }
            Profile::AeadAes256Gcm => apply_keystream(&aes::<Aes256>(&self.key), x, out),
        }
    }
}

impl fmt::Debug for MasterKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// The session keys of RTP or of RTCP in one direction.
pub(crate) struct DerivedKeys {
    pub(crate) profile: Profile,
    /// [`Profile::key_len`] bytes of it.
    pub(crate) encryption: [u8; MAX_KEY],
    /// Not used by GCM.
    pub(crate) authentication: [u8; AUTH_KEY],
    /// [`Profile::salt_len`] bytes of it.
    pub(crate) salt: [u8; SALT],
}

/// A block cipher from a key whose length is known to fit.
pub(crate) fn aes<C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
    key: &[u8],
) -> C {
    C::new_from_slice(key).expect("callers cut the key to the cipher's length")
}

/// 112 bits of salt, times 2^16 (section 4.1.1).
pub(crate) fn salt_block(salt: &[u8; SALT]) -> u128 {
    let mut block = [0; 16];
    block[..SALT].copy_from_slice(salt);
    u128::from_be_bytes(block)
}

fn check_len(data: &[u8], expected: usize) -> Result<(), KeyError> {
    if data.len() == expected {
        Ok(())
    } else {
        Err(KeyError::Length {
            len: data.len(),
            expected,
        })
    }
}

pub(crate) const MAX_KEY: usize = 32;
/// Bytes of an HMAC-SHA1 key (section 5.2).
pub(crate) const AUTH_KEY: usize = 20;
/// Bytes of an AES-CM salt; GCM uses 12 of them.
pub(crate) const SALT: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hex, master};

    /// RFC 3711 appendix B.3: session key, salt, and 94 bytes of authentication key, of which 20 count.
    #[test]
    fn rfc_3711_appendix_b_3() {
        let master = master(
            Profile::Aes128CmSha1_80,
            "E1F97A0D3E018BE0D64FA32C06DE4139",
            "0EC675AD498AFEEBB6960B3AABE6",
        );
        let keys = master.rtp();
        assert_eq!(
            keys.encryption[..16],
            hex("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(keys.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        let mut long = [0; 94];
        master.prf(1, &mut long);
        let expected = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE\
            E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25\
            6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2";
        assert_eq!(long[..], hex(expected));
        assert_eq!(keys.authentication[..], long[..20]);
    }

    /// RFC 9335 appendix A.2 gives session keys of AEAD_AES_128_GCM: where a short salt goes.
    #[test]
    fn rfc_9335_appendix_a_2_session_keys() {
        let keys = master(
            Profile::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "a0a1a2a3a4a5a6a7a8a9aaab",
        )
        .rtp();
        assert_eq!(
            keys.encryption[..16],
            hex("077c6143cb221bc355ff23d5f984a16e")
        );
        assert_eq!(keys.salt[..12], hex("9af3e95364ebac9c99c5a7c4"));
    }

    /// The layout of RFC 5764 section 4.2, and who uses which half.
    #[test]
    fn keying_material_is_cut_in_order() {
        let material: Vec<u8> = (0..88).collect();
        let keys = SessionKeys::from_keying_material(Profile::AeadAes256Gcm, &material).unwrap();
        assert_eq!(keys.client.key[..], material[..32]);
        assert_eq!(keys.server.key[..], material[32..64]);
        assert_eq!(keys.client.salt[..12], material[64..76]);
        assert_eq!(keys.server.salt[..12], material[76..]);
        assert!(
            !format!("{keys:?}").contains("31"),
            "keys must not be printed"
        );
        for len in [0, 87, 89] {
            let wrong = vec![0; len];
            assert_eq!(
                SessionKeys::from_keying_material(Profile::AeadAes256Gcm, &wrong),
                Err(KeyError::Length { len, expected: 88 })
            );
        }
    }
}
