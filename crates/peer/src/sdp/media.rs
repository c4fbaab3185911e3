//! m-sections.

use std::fmt;

use super::attribute::payload_type_of;
use super::transport::number;
use super::{Attribute, Direction, Line, ParseErrorKind, Text, Token};

/// One m-section: its `m=` line and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Media {
    /// What it carries.
    pub kind: MediaKind,
    /// 0: rejected, or in an offer only usable as part of its BUNDLE group.
    pub port: u16,
    /// Number of ports, of which WebRTC never uses more than one.
    pub port_count: Option<u16>,
    /// Over what.
    pub protocol: Protocol,
    /// In which formats.
    pub formats: Formats,
    /// `i= c= b= k=`, in order.
    pub lines: Vec<Line>,
    /// `a=`, in order.
    pub attributes: Vec<Attribute>,
}

impl Media {
    /// `a=mid`.
    pub fn mid(&self) -> Option<&Token> {
        self.attributes.iter().find_map(Attribute::mid)
    }

    /// Who sends; `sendrecv` unless said (RFC 8866 §6.7).
    pub fn direction(&self) -> Direction {
        self.attributes
            .iter()
            .find_map(Attribute::direction)
            .copied()
            .unwrap_or_default()
    }

    /// Whether it has this attribute, for those without a value.
    pub fn has(&self, wanted: &Attribute) -> bool {
        self.attributes.contains(wanted)
    }

    /// Whether it describes a WebRTC data channel transport, in the form of RFC 8841 or the one
    /// before it.
    pub fn is_data(&self) -> bool {
        if self.kind != MediaKind::Application {
            return false;
        }
        match (&self.protocol, &self.formats) {
            (Protocol::UdpDtlsSctp | Protocol::TcpDtlsSctp, Formats::Other(formats)) => {
                formats.split(' ').any(|format| format == DATA_CHANNEL)
            }
            (Protocol::DtlsSctp, Formats::Other(_)) => {
                let mut maps = self.attributes.iter().filter_map(Attribute::sctp_map);
                maps.any(|map| map.protocol() == DATA_CHANNEL)
            }
            (
                Protocol::UdpDtlsSctp
                | Protocol::TcpDtlsSctp
                | Protocol::DtlsSctp
                | Protocol::Rtp(_)
                | Protocol::Other(_),
                _,
            ) => false,
        }
    }

    /// Reads what stands behind `m=`.
    pub(super) fn parse(text: &str) -> Result<Self, ParseErrorKind> {
        let (kind, rest) = text.split_once(' ').ok_or(ParseErrorKind::Media)?;
        let (port, rest) = rest.split_once(' ').ok_or(ParseErrorKind::Media)?;
        let (protocol, formats) = rest.split_once(' ').ok_or(ParseErrorKind::Media)?;
        let (port, port_count) = match port.split_once('/') {
            Some((port, count)) => (port, Some(number(count).ok_or(ParseErrorKind::Media)?)),
            None => (port, None),
        };
        let protocol = Protocol::parse(protocol).ok_or(ParseErrorKind::Media)?;
        Ok(Self {
            kind: MediaKind::parse(kind).ok_or(ParseErrorKind::Media)?,
            port: number(port).ok_or(ParseErrorKind::Media)?,
            port_count,
            formats: Formats::parse(formats, protocol.is_rtp())?,
            protocol,
            lines: Vec::new(),
            attributes: Vec::new(),
        })
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {}", self.kind, self.port)?;
        if let Some(count) = self.port_count {
            write!(f, "/{count}")?;
        }
        write!(f, " {} {}\r\n", self.protocol, self.formats)?;
        self.lines
            .iter()
            .try_for_each(|line| write!(f, "{line}\r\n"))?;
        self.attributes
            .iter()
            .try_for_each(|attribute| write!(f, "a={attribute}\r\n"))
    }
}

/// What an m-section carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// `audio`.
    Audio,
    /// `video`.
    Video,
    /// `application`: data channels.
    Application,
    /// Anything else.
    Other(Token),
}

impl MediaKind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "audio" => Self::Audio,
            "video" => Self::Video,
            "application" => Self::Application,
            _ => Self::Other(Token::new(text).ok()?),
        })
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
            Self::Other(kind) => kind,
        })
    }
}

/// Transport protocol of an m-section. All are over what ICE selects, whatever their name says
/// (RFC 8840 §5, RFC 9429 §5.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `UDP/DTLS/SCTP` (RFC 8841).
    UdpDtlsSctp,
    /// `TCP/DTLS/SCTP` (RFC 8841).
    TcpDtlsSctp,
    /// `DTLS/SCTP`: the form before RFC 8841, whose format is an SCTP port.
    DtlsSctp,
    /// `UDP/TLS/RTP/SAVPF` and everything else over RTP.
    Rtp(Text),
    /// Anything else.
    Other(Text),
}

impl Protocol {
    /// Whether formats are RTP payload types.
    pub fn is_rtp(&self) -> bool {
        matches!(self, Self::Rtp(_))
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "UDP/DTLS/SCTP" => Self::UdpDtlsSctp,
            "TCP/DTLS/SCTP" => Self::TcpDtlsSctp,
            "DTLS/SCTP" => Self::DtlsSctp,
            "" => return None,
            _ if text.split('/').any(|part| part == "RTP") => Self::Rtp(Text::new(text).ok()?),
            _ => Self::Other(Text::new(text).ok()?),
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UdpDtlsSctp => "UDP/DTLS/SCTP",
            Self::TcpDtlsSctp => "TCP/DTLS/SCTP",
            Self::DtlsSctp => "DTLS/SCTP",
            Self::Rtp(protocol) | Self::Other(protocol) => protocol,
        })
    }
}

/// Formats of an m-section.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Formats {
    /// RTP payload types, 0 to 127, in order of preference.
    Rtp(Box<[u8]>),
    /// Anything else.
    Other(Text),
}

impl Formats {
    fn parse(text: &str, rtp: bool) -> Result<Self, ParseErrorKind> {
        if !rtp {
            let text = Text::new(text).map_err(|_| ParseErrorKind::Media)?;
            return if text.is_empty() {
                Err(ParseErrorKind::Media)
            } else {
                Ok(Self::Other(text))
            };
        }
        let payload_types = text
            .split_ascii_whitespace()
            .map(|format| payload_type_of(format).ok_or(ParseErrorKind::PayloadType))
            .collect::<Result<Box<[u8]>, _>>()?;
        if payload_types.is_empty() {
            return Err(ParseErrorKind::Media);
        }
        Ok(Self::Rtp(payload_types))
    }
}

impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtp(payload_types) => {
                for (i, payload_type) in payload_types.iter().enumerate() {
                    let blank = if i == 0 { "" } else { " " };
                    write!(f, "{blank}{payload_type}")?;
                }
                Ok(())
            }
            Self::Other(formats) => f.write_str(formats),
        }
    }
}

/// Format of the m-line, RFC 8841 §4.4 and RFC 8864.
pub(crate) const DATA_CHANNEL: &str = "webrtc-datachannel";
