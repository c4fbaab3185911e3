//! Keys and bytes for the tests of this crate.

use crate::key_derivation::{AUTH_KEY, DerivedKeys, MAX_KEY, MasterKey, SALT};
use crate::profile::Profile;

/// Bytes from hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn master(profile: Profile, key: &str, salt: &str) -> MasterKey {
    MasterKey::new(profile, &hex(key), &hex(salt)).unwrap()
}

/// Session keys as some vectors give them, without derivation.
pub(crate) fn session(profile: Profile, key: &str, salt: &str) -> DerivedKeys {
    let mut keys = DerivedKeys {
        profile,
        encryption: [0; MAX_KEY],
        authentication: [0; AUTH_KEY],
        salt: [0; SALT],
    };
    let (key, salt) = (hex(key), hex(salt));
    keys.encryption[..key.len()].copy_from_slice(&key);
    keys.salt[..salt.len()].copy_from_slice(&salt);
    keys
}
