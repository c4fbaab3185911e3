//! Values of the attributes that describe RTP streams (RFC 8866 §6, RFC 4585, 5576, 8285, 8830, 8851).

use std::fmt;

use super::transport::number;
use super::{Text, Token};

/// Who sends (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both.
    #[default]
    Sendrecv,
    /// The describing side only.
    Sendonly,
    /// The other side only.
    Recvonly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// Reads the name of the attribute.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "sendrecv" => Self::Sendrecv,
            "sendonly" => Self::Sendonly,
            "recvonly" => Self::Recvonly,
            "inactive" => Self::Inactive,
            _ => return None,
        })
    }

    /// The same, seen from the other side.
    pub fn reversed(self) -> Self {
        match self {
            Self::Sendonly => Self::Recvonly,
            Self::Recvonly => Self::Sendonly,
            Self::Sendrecv | Self::Inactive => self,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sendrecv => "sendrecv",
            Self::Sendonly => "sendonly",
            Self::Recvonly => "recvonly",
            Self::Inactive => "inactive",
        })
    }
}

/// `a=rtpmap` (RFC 8866 §6.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RtpMap {
    /// 0 to 127.
    pub payload_type: u8,
    /// Name of the codec, compared without regard to case.
    pub encoding: Token,
    /// Hz.
    pub clock_rate: u32,
    /// Number of audio channels, where given.
    pub parameters: Option<Token>,
}

impl RtpMap {
    pub(super) fn parse(payload_type: u8, text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let (encoding, clock_rate) = (parts.next()?, parts.next()?);
        Some(Self {
            payload_type,
            encoding: Token::new(encoding).ok()?,
            clock_rate: number(clock_rate)?,
            parameters: parts.next().map(Token::new).transpose().ok()?,
        })
    }
}

impl fmt::Display for RtpMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}/{}",
            self.payload_type, self.encoding, self.clock_rate
        )?;
        self.parameters
            .as_ref()
            .map_or(Ok(()), |parameters| write!(f, "/{parameters}"))
    }
}

/// `a=fmtp` of an RTP section (RFC 8866 §6.15).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fmtp {
    /// 0 to 127.
    pub payload_type: u8,
    /// In the codec's own syntax, mostly `name=value;…`.
    pub parameters: Text,
}

/// `a=rtcp-fb` (RFC 4585 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RtcpFb {
    /// 0 to 127; `None` for `*`, every payload type.
    pub payload_type: Option<u8>,
    /// `nack pli` and the like.
    pub feedback: Text,
}

impl fmt::Display for RtcpFb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload_type {
            Some(payload_type) => write!(f, "{payload_type} {}", self.feedback),
            None => write!(f, "* {}", self.feedback),
        }
    }
}

/// `a=extmap` (RFC 8285 §8).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExtMap {
    /// 1 to 14 in one-byte headers, to 255 in two-byte ones, 4096 to 4351 while being negotiated.
    pub id: u16,
    /// Where it differs from the section's.
    pub direction: Option<Direction>,
    /// What the extension is.
    pub uri: Text,
    /// In the extension's own syntax.
    pub attributes: Option<Text>,
}

impl ExtMap {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.split_once(' ')?;
        let (id, direction) = match id.split_once('/') {
            Some((id, direction)) => (id, Some(Direction::parse(direction)?)),
            None => (id, None),
        };
        let (uri, attributes) = match rest.split_once(' ') {
            Some((uri, attributes)) => (uri, Some(Text::new(attributes).ok()?)),
            None => (rest, None),
        };
        if uri.is_empty() {
            return None;
        }
        Some(Self {
            id: number(id)?,
            direction,
            uri: Text::new(uri).ok()?,
            attributes,
        })
    }
}

impl fmt::Display for ExtMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if let Some(direction) = self.direction {
            write!(f, "/{direction}")?;
        }
        write!(f, " {}", self.uri)?;
        self.attributes
            .as_ref()
            .map_or(Ok(()), |attributes| write!(f, " {attributes}"))
    }
}

/// `a=msid` (RFC 8830 §2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Msid {
    /// Media stream; `-` for none. Firefox puts braces around it, which no token has.
    pub stream: Text,
    /// Track within it.
    pub track: Option<Text>,
}

impl Msid {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (stream, track) = match text.split_once(' ') {
            Some((stream, track)) => (stream, Some(Text::new(track).ok()?)),
            None => (text, None),
        };
        if stream.is_empty() {
            return None;
        }
        Some(Self {
            stream: Text::new(stream).ok()?,
            track,
        })
    }
}

impl fmt::Display for Msid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stream)?;
        self.track
            .as_ref()
            .map_or(Ok(()), |track| write!(f, " {track}"))
    }
}

/// `a=ssrc` (RFC 5576 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ssrc {
    /// Synchronisation source.
    pub id: u32,
    /// `cname:…` and the like.
    pub attribute: Text,
}

impl Ssrc {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, attribute) = text.split_once(' ')?;
        Some(Self {
            id: number(id)?,
            attribute: Text::new(attribute).ok()?,
        })
    }
}

/// `a=ssrc-group` (RFC 5576 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SsrcGroup {
    /// `FID` (retransmission), `FEC-FR`, `SIM`.
    pub semantics: Token,
    /// The members, in order.
    pub ssrcs: Box<[u32]>,
}

impl SsrcGroup {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split_ascii_whitespace();
        let semantics = Token::new(parts.next()?).ok()?;
        Some(Self {
            semantics,
            ssrcs: parts.map(number).collect::<Option<_>>()?,
        })
    }
}

impl fmt::Display for SsrcGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.semantics)?;
        self.ssrcs.iter().try_for_each(|ssrc| write!(f, " {ssrc}"))
    }
}

/// `a=rid` (RFC 8851 §4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rid {
    /// Names the encoding in `a=simulcast` and in packets.
    pub id: Token,
    /// From the describing side.
    pub direction: RidDirection,
    /// `pt=…;max-width=…` and the like.
    pub restrictions: Option<Text>,
}

/// Direction of a [`Rid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RidDirection {
    /// The describing side sends it.
    Send,
    /// The describing side receives it.
    Recv,
}

impl Rid {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let id = Token::new(parts.next()?).ok()?;
        let direction = match parts.next()? {
            "send" => RidDirection::Send,
            "recv" => RidDirection::Recv,
            _ => return None,
        };
        Some(Self {
            id,
            direction,
            restrictions: parts.next().map(Text::new).transpose().ok()?,
        })
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            RidDirection::Send => "send",
            RidDirection::Recv => "recv",
        };
        write!(f, "{} {direction}", self.id)?;
        self.restrictions
            .as_ref()
            .map_or(Ok(()), |restrictions| write!(f, " {restrictions}"))
    }
}
