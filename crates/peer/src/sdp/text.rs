//! Text that is safe to put on a line.

use std::fmt;
use std::ops::Deref;

/// Any text without NUL, CR and LF: RFC 8866's `byte-string`, restricted to UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Box<str>);

impl Text {
    /// # Errors
    /// Where `text` holds a character that would end the line.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        match text.find(['\0', '\r', '\n']) {
            Some(at) => Err(InvalidText { at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 8866's `token`: names, media identifications, hash functions.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(Box<str>);

impl Token {
    /// # Errors
    /// Where `text` holds a character that no token has, or is empty.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        if text.is_empty() {
            return Err(InvalidText { at: 0 });
        }
        match text.bytes().position(|byte| !is_token_character(byte)) {
            Some(at) => Err(InvalidText { at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text does not fit its place in a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the byte at {at} is not allowed here")]
pub struct InvalidText {
    /// Offset of the first offending byte.
    pub at: usize,
}

macro_rules! like_str {
    ($($name:ident)*) => {$(
        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidText;

            fn try_from(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

like_str!(Text Token);

/// RFC 8866 §9, `token-char`.
fn is_token_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x27 | 0x2a | 0x2b | 0x2d | 0x2e | 0x30..=0x39 | 0x41..=0x5a | 0x5e..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mid or a stream name chosen by somebody else must not be able to add attributes.
    #[test]
    fn no_line_ends_in_text() {
        assert_eq!(Text::new("a\r\na=setup:active"), Err(InvalidText { at: 1 }));
        assert_eq!(Text::new("a\0"), Err(InvalidText { at: 1 }));
        assert_eq!(Token::new("data\n"), Err(InvalidText { at: 4 }));
        assert_eq!(Token::new("a b"), Err(InvalidText { at: 1 }));
        assert_eq!(Token::new(""), Err(InvalidText { at: 0 }));
        assert_eq!(Token::new("ümlaut"), Err(InvalidText { at: 0 }));
        assert!(Text::new("").is_ok() && Text::new("ü {x}").is_ok());
        assert!(Token::new("sdparta_0").is_ok() && Token::new("sha-256").is_ok());
    }
}
