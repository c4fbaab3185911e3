//! Values of the attributes that describe ICE, DTLS and SCTP.

use std::fmt;

use super::{InvalidText, Text, Token};

/// User name fragment or password, in `ice-char` (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IceText(Box<str>);

impl IceText {
    /// # Errors
    /// Where `text` holds something other than letters, digits, `+` and `/`.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        match text.bytes().position(|byte| !allowed(byte)) {
            Some(at) => Err(InvalidText { at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IceText {
    /// Without the text: it may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceText({} bytes)", self.0.len())
    }
}

/// `a=fingerprint` (RFC 8122 §5): the hash of the certificate that its sender will show.
///
/// Any hash function is kept; which ones count is for DTLS to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// `sha-256` and the like, as sent; compared without regard to case.
    pub hash: Token,
    /// The hash value.
    pub digest: Box<[u8]>,
}

impl Fingerprint {
    /// Reads `sha-256 AB:CD:…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hash, hex) = text.split_once(' ')?;
        let hex = hex.trim_ascii();
        // Two digits each, a colon between: n bytes take 3n - 1 characters.
        if !hex.is_ascii() || hex.len() % 3 != 2 {
            return None;
        }
        let mut digest = Vec::with_capacity(hex.len().div_ceil(3));
        for byte in hex.split(':') {
            // Not `from_str_radix` alone: it takes a sign.
            if byte.len() != 2 || !byte.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            digest.push(u8::from_str_radix(byte, 16).ok()?);
        }
        Some(Self {
            hash: Token::new(hash).ok()?,
            digest: digest.into(),
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash)?;
        for (i, byte) in self.digest.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

/// `a=sctpmap` of the old form (draft-ietf-mmusic-sctp-sdp up to 20): `5000 webrtc-datachannel 1024`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SctpMap {
    /// SCTP port, also the format of the m-line.
    pub port: u16,
    /// `webrtc-datachannel`, and possibly the number of streams.
    pub rest: Text,
}

impl SctpMap {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (port, rest) = text.split_once(' ')?;
        Some(Self {
            port: number(port)?,
            rest: Text::new(rest).ok()?,
        })
    }

    /// What the association carries.
    pub fn protocol(&self) -> &str {
        self.rest.split(' ').next().unwrap_or("")
    }
}

impl fmt::Display for SctpMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.port, self.rest)
    }
}

/// Digits only: `str::parse` would also take a sign.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_pairs_of_digits_with_colons_between() {
        let fingerprint = Fingerprint::parse("sha-256 0a:fF:10").unwrap();
        assert_eq!(*fingerprint.digest, [0x0a, 0xff, 0x10]);
        assert_eq!(fingerprint.to_string(), "sha-256 0A:FF:10");
        for bad in [
            "",
            "sha-256",
            "sha-256 ",
            "sha-256 0",
            "sha-256 00:",
            "sha-256 :00",
            "sha-256 000:0",
            "sha-256 +1:00",
            "sha-256 00:0g",
            "sha 256 00:00",
            "sha-256 00 00",
            "sha-256 é0",
            " 00:00",
        ] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ice_text_is_ice_characters() {
        assert!(IceText::new("jG37").is_ok() && IceText::new("a+/Z").is_ok());
        assert_eq!(IceText::new("a b"), Err(InvalidText { at: 1 }));
        assert!(!format!("{:?}", IceText::new("secret")).contains("secret"));
    }

    #[test]
    fn numbers_have_no_sign() {
        assert_eq!(number::<u16>("65535"), Some(65535));
        for bad in ["", "+1", "-1", "65536", "1 ", "1.0"] {
            assert_eq!(number::<u16>(bad), None, "{bad:?}");
        }
    }
}
