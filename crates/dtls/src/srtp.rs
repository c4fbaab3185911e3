//! SRTP keys from the handshake (RFC 5764, RFC 7714).

use std::fmt;

use crate::role::Role;

/// An SRTP protection profile of `use_srtp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// `SRTP_AES128_CM_HMAC_SHA1_80` (1): everyone has it.
    Aes128CmSha1_80,
    /// `SRTP_AES128_CM_HMAC_SHA1_32` (2): a short tag, for audio only; not offered by default.
    Aes128CmSha1_32,
    /// `SRTP_AEAD_AES_128_GCM` (7): the fastest.
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM` (8).
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// What is offered by default, the preferred first.
    pub const DEFAULT: [Self; 3] = [
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::Aes128CmSha1_80,
    ];

    /// The number in the TLS registry.
    pub fn id(self) -> u16 {
        match self {
            Self::Aes128CmSha1_80 => 1,
            Self::Aes128CmSha1_32 => 2,
            Self::AeadAes128Gcm => 7,
            Self::AeadAes256Gcm => 8,
        }
    }

    /// The name in IANA's registry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128CmSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
            Self::Aes128CmSha1_32 => "SRTP_AES128_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        }
    }

    /// Bytes of a master key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    pub fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes of keying material for both directions: 60, 56 or 88.
    pub fn keying_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }
}

/// The SRTP keys of both directions.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKeying {
    /// The negotiated profile.
    pub profile: SrtpProfile,
    /// What the exporter gave (RFC 5764 section 4.2): client key, server key, client salt, server
    /// salt.
    pub material: Vec<u8>,
    pub(crate) role: Role,
}

impl SrtpKeying {
    /// What we protect with.
    pub fn local(&self) -> SrtpKeys<'_> {
        self.keys(self.role)
    }

    /// What the peer protects with.
    pub fn remote(&self) -> SrtpKeys<'_> {
        self.keys(self.role.peer())
    }

    fn keys(&self, role: Role) -> SrtpKeys<'_> {
        let (key_len, salt_len) = (self.profile.key_len(), self.profile.salt_len());
        let (keys, salts) = self.material.split_at(2 * key_len);
        let (first_key, second_key) = keys.split_at(key_len);
        let (first_salt, second_salt) = salts.split_at(salt_len);
        match role {
            Role::Client => SrtpKeys {
                key: first_key,
                salt: first_salt,
            },
            Role::Server => SrtpKeys {
                key: second_key,
                salt: second_salt,
            },
        }
    }
}

impl fmt::Debug for SrtpKeying {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKeying")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// One direction's master key and salt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SrtpKeys<'a> {
    /// The master key.
    pub key: &'a [u8],
    /// The master salt.
    pub salt: &'a [u8],
}

impl fmt::Debug for SrtpKeys<'_> {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of RFC 5764 section 4.1.2 and RFC 7714 section 12, and the order of section 4.2.
    #[test]
    fn lengths_and_order() {
        assert_eq!(SrtpProfile::Aes128CmSha1_80.keying_len(), 60);
        assert_eq!(SrtpProfile::AeadAes128Gcm.keying_len(), 56);
        assert_eq!(SrtpProfile::AeadAes256Gcm.keying_len(), 88);
        let profile = SrtpProfile::AeadAes128Gcm;
        let material: Vec<u8> = (0..56).collect();
        let keying = SrtpKeying {
            profile,
            material,
            role: Role::Server,
        };
        assert_eq!(keying.remote().key, (0..16).collect::<Vec<u8>>());
        assert_eq!(keying.local().key, (16..32).collect::<Vec<u8>>());
        assert_eq!(keying.remote().salt, (32..44).collect::<Vec<u8>>());
        assert_eq!(keying.local().salt, (44..56).collect::<Vec<u8>>());
    }
}
