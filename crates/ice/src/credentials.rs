//! User name fragment and password (RFC 8839 §5.4).

use crate::error::CredentialsError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt;

/// `ice-ufrag` and `ice-pwd` of one agent and generation.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    ufrag: String,
    pwd: String,
}

impl Credentials {
    /// Credentials as read from a description.
    ///
    /// # Errors
    ///
    /// When length or characters are not those of RFC 8839 §5.4.
    pub fn new(ufrag: &str, pwd: &str) -> Result<Self, CredentialsError> {
        if !(4..=MAX_LEN).contains(&ufrag.len()) {
            return Err(CredentialsError::UfragLength { len: ufrag.len() });
        }
        if !(22..=MAX_LEN).contains(&pwd.len()) {
            return Err(CredentialsError::PwdLength { len: pwd.len() });
        }
        let bad = ufrag.chars().chain(pwd.chars()).find(|c| !is_ice_char(*c));
        if let Some(c) = bad {
            return Err(CredentialsError::Character(c));
        }
        Ok(Self {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
        })
    }

    /// New random credentials. `seed` is 32 bytes of a CSPRNG.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self::random(&mut StdRng::from_seed(seed))
    }

    /// The user name fragment.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password.
    pub fn pwd(&self) -> &str {
        &self.pwd
    }

    pub(crate) fn random(rng: &mut StdRng) -> Self {
        Self {
            ufrag: random_text(rng, UFRAG_LEN),
            pwd: random_text(rng, PWD_LEN),
        }
    }
}

/// The password stays out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

fn random_text(rng: &mut StdRng, len: usize) -> String {
    (0..len)
        .map(|_| char::from(ICE_CHARS[rng.random_range(0..ICE_CHARS.len())]))
        .collect()
}

fn is_ice_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '+' || c == '/'
}

const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const MAX_LEN: usize = 256;
/// 48 bits; the RFC wants 24 at least. Also tells connections on a shared port apart.
const UFRAG_LEN: usize = 8;
/// 144 bits; the RFC wants 128 at least.
const PWD_LEN: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Protects the signalling: what we generate must be accepted by any RFC 8839 parser.
    #[test]
    fn random_credentials_are_valid_and_differ() {
        let mut rng = StdRng::from_seed([7; 32]);
        let (a, b) = (Credentials::random(&mut rng), Credentials::random(&mut rng));
        assert_ne!(a, b);
        assert_eq!(Credentials::new(a.ufrag(), a.pwd()).unwrap(), a);
    }

    /// Protects the description from CR/LF and colon injection through credentials, and says why.
    #[test]
    fn refuses_what_rfc_8839_refuses() {
        let pwd = "0123456789012345678901";
        let error = |u: &str, p: &str| Credentials::new(u, p).unwrap_err();
        assert_eq!(error("abc", pwd), CredentialsError::UfragLength { len: 3 });
        assert_eq!(
            error("abcd", "short"),
            CredentialsError::PwdLength { len: 5 }
        );
        assert_eq!(error("ab:d", pwd), CredentialsError::Character(':'));
        assert_eq!(error("ab\rd", pwd), CredentialsError::Character('\r'));
        assert_eq!(
            error(&"a".repeat(257), pwd),
            CredentialsError::UfragLength { len: 257 }
        );
    }

    /// A password in a log is a session in the open.
    #[test]
    fn debug_hides_the_password() {
        let c = Credentials::new("abcd", "0123456789012345678901").unwrap();
        assert!(!format!("{c:?}").contains("0123456789"));
    }
}
