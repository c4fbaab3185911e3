//! Certificate fingerprints (RFC 8122 section 5).

use std::fmt;
use std::str::FromStr;

use ring::digest;

/// The hash of a certificate's DER form, as `a=fingerprint` carries it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    algorithm: HashAlgorithm,
    bytes: Vec<u8>,
}

impl Fingerprint {
    /// The fingerprint of a certificate in DER form.
    pub fn of(certificate: &[u8], algorithm: HashAlgorithm) -> Self {
        let hash = digest::digest(algorithm.ring(), certificate);
        Self {
            algorithm,
            bytes: hash.as_ref().to_vec(),
        }
    }

    /// The hash function.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The hash.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Checks a certificate against the fingerprints of a description: those of the strongest hash
/// function among them decide, and one of these must match (RFC 8122 section 5).
/// The error is the certificate's own fingerprint.
pub(crate) fn check(expected: &[Fingerprint], certificate: &[u8]) -> Result<(), Fingerprint> {
    let strongest = expected
        .iter()
        .map(|fingerprint| fingerprint.algorithm)
        .max();
    let actual = Fingerprint::of(certificate, strongest.unwrap_or(HashAlgorithm::Sha256));
    if expected.contains(&actual) {
        Ok(())
    } else {
        Err(actual)
    }
}

impl fmt::Display for Fingerprint {
    /// `sha-256 4A:AD:…`, the value of `a=fingerprint`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.algorithm)?;
        for (index, byte) in self.bytes.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(value: &str) -> Result<Self, FingerprintError> {
        let (name, hex) = value
            .trim()
            .split_once(' ')
            .ok_or(FingerprintError::Malformed)?;
        let algorithm: HashAlgorithm = name.parse()?;
        let mut bytes = Vec::with_capacity(algorithm.len());
        for pair in hex.trim_start().split(':') {
            if pair.len() != 2 || bytes.len() == algorithm.len() {
                return Err(FingerprintError::Malformed);
            }
            // `from_str_radix` would take a sign.
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(FingerprintError::Malformed);
            }
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| FingerprintError::Malformed)?);
        }
        if bytes.len() != algorithm.len() {
            return Err(FingerprintError::Malformed);
        }
        Ok(Self { algorithm, bytes })
    }
}

/// A hash function, in rising order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// `sha-256`: what everyone sends.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl HashAlgorithm {
    fn ring(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn len(self) -> usize {
        self.ring().output_len()
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        })
    }
}

impl FromStr for HashAlgorithm {
    type Err = FingerprintError;

    fn from_str(name: &str) -> Result<Self, FingerprintError> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.to_string().eq_ignore_ascii_case(name))
            .ok_or(FingerprintError::UnsupportedHash)
    }
}

/// A fingerprint that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// A hash function that is not taken: `sha-1` and `md5` no longer prove anything.
    #[error("hash function of the fingerprint is not sha-256, sha-384 or sha-512")]
    UnsupportedHash,
    /// Not `HASH XX:XX:…` with the hash's number of bytes.
    #[error("malformed fingerprint")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "sha-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:\
                        B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";

    /// SHA-256 of "abc" (FIPS 180-2), in the form of `a=fingerprint`, in either case.
    #[test]
    fn known_value_both_ways() {
        let fingerprint = Fingerprint::of(b"abc", HashAlgorithm::Sha256);
        assert_eq!(fingerprint.to_string(), TEXT);
        assert_eq!(TEXT.parse(), Ok(fingerprint.clone()));
        assert_eq!(TEXT.to_lowercase().parse(), Ok(fingerprint));
    }

    /// Weak hashes and every malformed form are refused.
    #[test]
    fn refuses() {
        assert_eq!(
            "sha-1 00".parse::<Fingerprint>(),
            Err(FingerprintError::UnsupportedHash)
        );
        for bad in [
            "",
            "sha-256",
            "sha-256 ",
            "sha-256 00",
            "sha-256 +1:00",
            &format!("{TEXT}:00"),
        ] {
            assert_eq!(
                bad.parse::<Fingerprint>(),
                Err(FingerprintError::Malformed),
                "{bad:?}"
            );
        }
        for cut in 0..TEXT.len() {
            assert!(TEXT[..cut].parse::<Fingerprint>().is_err(), "cut at {cut}");
        }
    }

    /// A weaker matching fingerprint does not outvote a stronger one that does not match.
    #[test]
    fn strongest_hash_decides() {
        let weak = Fingerprint::of(b"real", HashAlgorithm::Sha256);
        let strong = Fingerprint::of(b"real", HashAlgorithm::Sha512);
        let other = Fingerprint::of(b"other", HashAlgorithm::Sha512);
        assert_eq!(check(&[weak.clone(), strong.clone()], b"real"), Ok(()));
        assert_eq!(check(&[other.clone(), strong.clone()], b"real"), Ok(()));
        assert_eq!(check(&[weak, other], b"real"), Err(strong));
        assert!(check(&[], b"real").is_err());
    }
}
