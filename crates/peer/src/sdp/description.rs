//! Whole descriptions.

use std::fmt;
use std::str::FromStr;

use super::transport::number;
use super::{Attribute, Group, Limits, Media, ParseError, ParseErrorKind, Text};

/// A session description.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Description {
    /// `o=`.
    pub origin: Origin,
    /// `s=`.
    pub name: Text,
    /// `i= u= e= p= c= b= t= r= z= k=`, in order.
    pub lines: Vec<Line>,
    /// `a=` of the session, in order.
    pub attributes: Vec<Attribute>,
    /// The m-sections.
    pub media: Vec<Media>,
}

impl Description {
    /// Reads a description within the default [`Limits`].
    ///
    /// # Errors
    /// The first line that is not SDP, or that says something impossible.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &Limits::default())
    }

    /// Reads a description.
    ///
    /// # Errors
    /// The first line that is not SDP, that says something impossible or that exceeds a limit.
    pub fn parse_with(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        super::parse::description(text, limits)
    }

    /// BUNDLE groups (RFC 9143), in order.
    pub fn bundles(&self) -> impl Iterator<Item = &Group> {
        self.attributes
            .iter()
            .filter_map(Attribute::group)
            .filter(|group| group.is_bundle())
    }
}

impl FromStr for Description {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=0\r\n{}\r\ns={}\r\n", self.origin, self.name)?;
        self.lines
            .iter()
            .try_for_each(|line| write!(f, "{line}\r\n"))?;
        self.attributes
            .iter()
            .try_for_each(|attribute| write!(f, "a={attribute}\r\n"))?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

/// `o=` (RFC 8866 §5.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `-` for none; Firefox puts its version here.
    pub username: Text,
    /// The same in all descriptions of a session.
    pub session_id: u64,
    /// Grows with every changed description.
    pub version: u64,
    /// `IN IP4 127.0.0.1`: network type, address type, address.
    pub address: Text,
}

impl Origin {
    /// Reads what stands behind `o=`.
    pub(super) fn parse(text: &str) -> Result<Self, ParseErrorKind> {
        let mut parts = text.splitn(4, ' ');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let origin = (|| {
            Some(Self {
                username: Text::new(next()?).ok()?,
                session_id: number(next()?)?,
                version: number(next()?)?,
                address: Text::new(next()?).ok()?,
            })
        })();
        origin.ok_or(ParseErrorKind::Origin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "o={} {} {} {}",
            self.username, self.session_id, self.version, self.address
        )
    }
}

/// A line that WebRTC has no use for, kept as it came: `t=0 0`, `c=IN IP4 0.0.0.0`, `b=AS:30`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// The letter before the equals sign.
    pub letter: char,
    /// What stands behind it.
    pub value: Text,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.letter, self.value)
    }
}
