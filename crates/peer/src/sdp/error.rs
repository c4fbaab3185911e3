//! What is wrong with a description, and on which line.

use std::fmt;

/// The text is not a session description that we read. It names the line and what stood there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1; 0 where the whole is meant.
    pub line: usize,
    /// What was expected.
    pub kind: ParseErrorKind,
    /// What was found, shortened to 64 bytes.
    pub value: Box<str>,
}

impl ParseError {
    pub(super) fn new(line: usize, kind: ParseErrorKind, value: &str) -> Self {
        Self {
            line,
            kind,
            value: shown(value),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{}", self.kind)?;
        // Debug form: control characters in it are escaped.
        if self.value.is_empty() {
            Ok(())
        } else {
            write!(f, ": {:?}", self.value)
        }
    }
}

impl std::error::Error for ParseError {}

/// What a [`ParseError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// [`Limits::description`](super::Limits::description).
    #[error("the description has {len} bytes, at most {max} are read")]
    TooLong {
        /// Bytes in the description.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// [`Limits::line`](super::Limits::line).
    #[error("the line has {len} bytes, at most {max} are read")]
    LineTooLong {
        /// Bytes in the line.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// [`Limits::sections`](super::Limits::sections).
    #[error("more than {max} m-lines")]
    TooManySections {
        /// The limit.
        max: usize,
    },
    /// NUL, or CR without LF.
    #[error("a control character that no line may hold")]
    ControlCharacter,
    /// Lines are a letter, `=` and a value.
    #[error("not of the form letter=value")]
    Line,
    /// The line is known, but not here.
    #[error("this line does not belong here")]
    Misplaced,
    /// RFC 8866 §5 asks for it.
    #[error("the line {0}= is missing")]
    Missing(char),
    /// The only version there is.
    #[error("the version must be 0")]
    Version,
    /// `o=` (RFC 8866 §5.2).
    #[error("not an origin")]
    Origin,
    /// `m=` (RFC 8866 §5.14).
    #[error("not a media description")]
    Media,
    /// RTP payload types have seven bits (RFC 3550 §5.1).
    #[error("not a payload type (0 to 127)")]
    PayloadType,
    /// An attribute whose name we know, with a value that it cannot have.
    #[error("not a value of a={0}")]
    Attribute(&'static str),
    /// The name of an attribute is a token.
    #[error("not an attribute name")]
    AttributeName,
}

/// Shortens what came from elsewhere.
pub(crate) fn shown(value: &str) -> Box<str> {
    let mut end = value.len().min(VALUE_SHOWN);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].into()
}

/// A description may be hostile: no more of a value than this, in bytes, goes into an error.
const VALUE_SHOWN: usize = 64;
