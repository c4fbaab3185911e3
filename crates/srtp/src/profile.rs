//! Protection profiles (RFC 5764 section 4.1.2, RFC 7714 section 12).

use crate::error::KeyError;

/// How packets are protected, as negotiated by `use_srtp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `SRTP_AES128_CM_HMAC_SHA1_80` (1): every implementation has it.
    Aes128CmSha1_80,
    /// `SRTP_AES128_CM_HMAC_SHA1_32` (2): a tag of 4 bytes on RTP, 10 on RTCP.
    Aes128CmSha1_32,
    /// `SRTP_AEAD_AES_128_GCM` (7): the fastest.
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM` (8).
    AeadAes256Gcm,
}

impl Profile {
    /// Every profile, the one to prefer first.
    pub const ALL: [Self; 4] = [
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::Aes128CmSha1_80,
        Self::Aes128CmSha1_32,
    ];

    /// The number in the TLS registry.
    pub const fn id(self) -> u16 {
        match self {
            Self::Aes128CmSha1_80 => 1,
            Self::Aes128CmSha1_32 => 2,
            Self::AeadAes128Gcm => 7,
            Self::AeadAes256Gcm => 8,
        }
    }

    /// Bytes of a master key, and of a session encryption key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt, and of a session salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes that sealing adds to an RTP packet (without the 4 that Cryptex may insert).
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 => 10,
            Self::Aes128CmSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Bytes of the tag of an RTCP packet; sealing adds 4 more, the index.
    pub const fn rtcp_tag_len(self) -> usize {
        match self {
            // RFC 5764 section 4.1.2: the short tag is for RTP only.
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => 10,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Bytes of keying material for both directions: 60, 56 or 88.
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }
}

impl TryFrom<u16> for Profile {
    type Error = KeyError;

    /// From the number in the TLS registry; [`KeyError::UnknownProfile`] for any other.
    fn try_from(id: u16) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.id() == id)
            .ok_or(KeyError::UnknownProfile(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wrong length here would cut the exporter's output at the wrong places.
    #[test]
    fn lengths_are_those_of_the_registries() {
        let lengths = Profile::ALL.map(|p| (p.id(), p.keying_material_len(), p.rtp_tag_len()));
        assert_eq!(lengths, [(7, 56, 16), (8, 88, 16), (1, 60, 10), (2, 60, 4)]);
        for profile in Profile::ALL {
            assert_eq!(Profile::try_from(profile.id()), Ok(profile));
        }
        assert_eq!(Profile::try_from(5), Err(KeyError::UnknownProfile(5)));
    }
}
