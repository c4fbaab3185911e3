//! `a=` lines.

use std::fmt;

use super::transport::number;
use super::{
    Direction, ExtMap, Fingerprint, Fmtp, IceText, Msid, ParseErrorKind, Rid, RtcpFb, RtpMap,
    SctpMap, Setup, Ssrc, SsrcGroup, Text, Token,
};

/// One attribute, of a section or of the session.
///
/// At most 48 bytes, so that the model of a description made of the shortest possible lines stays
/// within a small multiple of its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// `group` (RFC 5888), mostly BUNDLE (RFC 9143).
    Group(Group),
    /// `mid` (RFC 5888).
    Mid(Token),
    /// `bundle-only` (RFC 9143).
    BundleOnly,

    /// `ice-ufrag` (RFC 8839), 4 to 256 characters.
    IceUfrag(IceText),
    /// `ice-pwd` (RFC 8839), 22 to 256 characters.
    IcePwd(IceText),
    /// `ice-options` (RFC 8839): `trickle`, `renomination` ….
    IceOptions(Box<[Token]>),
    /// `ice-lite` (RFC 8839).
    IceLite,
    /// `candidate` (RFC 8839), without the name of the attribute: the ICE agent reads it, and one
    /// that it cannot use must not spoil the description.
    Candidate(Text),
    /// `end-of-candidates` (RFC 8840).
    EndOfCandidates,

    /// `fingerprint` (RFC 8122).
    Fingerprint(Fingerprint),
    /// `setup` (RFC 4145).
    Setup(Setup),
    /// `tls-id` (RFC 8842).
    TlsId(Text),

    /// `sctp-port` (RFC 8841).
    SctpPort(u16),
    /// `max-message-size` (RFC 8841), bytes; 0 is unlimited.
    MaxMessageSize(u64),
    /// `sctpmap`, of the old form.
    SctpMap(SctpMap),

    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    Direction(Direction),
    /// `msid` (RFC 8830).
    Msid(Msid),
    /// `rtcp-mux` (RFC 5761).
    RtcpMux,
    /// `rtcp-mux-only` (RFC 8858).
    RtcpMuxOnly,
    /// `rtcp-rsize` (RFC 5506).
    RtcpRsize,
    /// `rtpmap`.
    RtpMap(RtpMap),
    /// `fmtp`.
    Fmtp(Fmtp),
    /// `rtcp-fb`.
    RtcpFb(RtcpFb),
    /// `extmap`.
    ExtMap(ExtMap),
    /// `extmap-allow-mixed` (RFC 8285).
    ExtMapAllowMixed,
    /// `ssrc`.
    Ssrc(Ssrc),
    /// `ssrc-group`.
    SsrcGroup(SsrcGroup),
    /// `rid`.
    Rid(Rid),

    /// Everything else, as it came.
    Other {
        /// Before the colon.
        name: Token,
        /// Behind it; `None` without a colon.
        value: Option<Text>,
    },
}

/// `a=group` (RFC 5888 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// `BUNDLE`, `LS` ….
    pub semantics: Token,
    /// Of the sections in it, in order: the first of a BUNDLE group has the tag.
    pub mids: Box<[Token]>,
}

impl Group {
    /// A BUNDLE group.
    pub fn bundle(mids: impl IntoIterator<Item = Token>) -> Self {
        Self {
            semantics: Token::new(BUNDLE).expect("a constant that is a token"),
            mids: mids.into_iter().collect(),
        }
    }

    /// Whether its sections share a transport.
    pub fn is_bundle(&self) -> bool {
        self.semantics == BUNDLE
    }

    fn parse(text: &str) -> Option<Self> {
        let (semantics, mids) = text.split_once(' ').unwrap_or((text, ""));
        Some(Self {
            semantics: Token::new(semantics).ok()?,
            mids: tokens(mids)?,
        })
    }
}

const BUNDLE: &str = "BUNDLE";

/// Where an attribute stands: RTP's are typed in RTP sections only, since elsewhere (`a=fmtp` of a
/// T.38 section, say) the same names have other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Session,
    Rtp,
    Section,
}

impl Attribute {
    /// Reads what stands behind `a=`.
    pub(super) fn parse(line: &str, place: Place) -> Result<Self, ParseErrorKind> {
        let (name, value) = match line.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (line, None),
        };
        if let Some(value) = value {
            if let Some(attribute) = valued(name, value, place)? {
                return Ok(attribute);
            }
        } else if let Some(attribute) = flag(name) {
            return Ok(attribute);
        }
        Ok(Self::Other {
            name: Token::new(name).map_err(|_| ParseErrorKind::AttributeName)?,
            value: value
                .map(Text::new)
                .transpose()
                .map_err(|_| ParseErrorKind::ControlCharacter)?,
        })
    }
}

impl fmt::Display for Attribute {
    /// Without `a=` and line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => {
                write!(f, "group:{}", group.semantics)?;
                group.mids.iter().try_for_each(|mid| write!(f, " {mid}"))
            }
            Self::Mid(mid) => write!(f, "mid:{mid}"),
            Self::BundleOnly => f.write_str("bundle-only"),
            Self::IceUfrag(ufrag) => write!(f, "ice-ufrag:{ufrag}"),
            Self::IcePwd(pwd) => write!(f, "ice-pwd:{pwd}"),
            Self::IceOptions(options) => {
                f.write_str("ice-options:")?;
                for (i, option) in options.iter().enumerate() {
                    let blank = if i == 0 { "" } else { " " };
                    write!(f, "{blank}{option}")?;
                }
                Ok(())
            }
            Self::IceLite => f.write_str("ice-lite"),
            Self::Candidate(candidate) => write!(f, "candidate:{candidate}"),
            Self::EndOfCandidates => f.write_str("end-of-candidates"),
            Self::Fingerprint(fingerprint) => write!(f, "fingerprint:{fingerprint}"),
            Self::Setup(setup) => write!(f, "setup:{setup}"),
            Self::TlsId(id) => write!(f, "tls-id:{id}"),
            Self::SctpPort(port) => write!(f, "sctp-port:{port}"),
            Self::MaxMessageSize(bytes) => write!(f, "max-message-size:{bytes}"),
            Self::SctpMap(map) => write!(f, "sctpmap:{map}"),
            Self::Direction(direction) => direction.fmt(f),
            Self::Msid(msid) => write!(f, "msid:{msid}"),
            Self::RtcpMux => f.write_str("rtcp-mux"),
            Self::RtcpMuxOnly => f.write_str("rtcp-mux-only"),
            Self::RtcpRsize => f.write_str("rtcp-rsize"),
            Self::RtpMap(map) => write!(f, "rtpmap:{map}"),
            Self::Fmtp(fmtp) => write!(f, "fmtp:{} {}", fmtp.payload_type, fmtp.parameters),
            Self::RtcpFb(feedback) => write!(f, "rtcp-fb:{feedback}"),
            Self::ExtMap(map) => write!(f, "extmap:{map}"),
            Self::ExtMapAllowMixed => f.write_str("extmap-allow-mixed"),
            Self::Ssrc(ssrc) => write!(f, "ssrc:{} {}", ssrc.id, ssrc.attribute),
            Self::SsrcGroup(group) => write!(f, "ssrc-group:{group}"),
            Self::Rid(rid) => write!(f, "rid:{rid}"),
            Self::Other {
                name,
                value: Some(value),
            } => write!(f, "{name}:{value}"),
            Self::Other { name, value: None } => write!(f, "{name}"),
        }
    }
}

/// The value of one kind of attribute, for `attributes.iter().find_map(Attribute::mid)`.
macro_rules! values {
    ($($(#[$doc:meta])* $name:ident: $variant:ident($value:ty),)*) => {
        impl Attribute {$(
            $(#[$doc])*
            pub fn $name(&self) -> Option<&$value> {
                if let Self::$variant(value) = self { Some(value) } else { None }
            }
        )*}
    };
}

values! {
    /// The group of [`Attribute::Group`].
    group: Group(Group),
    /// The name of [`Attribute::Mid`].
    mid: Mid(Token),
    /// The text of [`Attribute::IceUfrag`].
    ice_ufrag: IceUfrag(IceText),
    /// The text of [`Attribute::IcePwd`].
    ice_pwd: IcePwd(IceText),
    /// The list of [`Attribute::IceOptions`].
    ice_options: IceOptions(Box<[Token]>),
    /// The text of [`Attribute::Candidate`].
    candidate: Candidate(Text),
    /// The value of [`Attribute::Fingerprint`].
    fingerprint: Fingerprint(Fingerprint),
    /// The value of [`Attribute::Setup`].
    setup: Setup(Setup),
    /// The value of [`Attribute::SctpPort`].
    sctp_port: SctpPort(u16),
    /// The value of [`Attribute::MaxMessageSize`].
    max_message_size: MaxMessageSize(u64),
    /// The value of [`Attribute::SctpMap`].
    sctp_map: SctpMap(SctpMap),
    /// The value of [`Attribute::Direction`].
    direction: Direction(Direction),
}

fn flag(name: &str) -> Option<Attribute> {
    Some(match name {
        "bundle-only" => Attribute::BundleOnly,
        "ice-lite" => Attribute::IceLite,
        "end-of-candidates" => Attribute::EndOfCandidates,
        "rtcp-mux" => Attribute::RtcpMux,
        "rtcp-mux-only" => Attribute::RtcpMuxOnly,
        "rtcp-rsize" => Attribute::RtcpRsize,
        "extmap-allow-mixed" => Attribute::ExtMapAllowMixed,
        _ => return Direction::parse(name).map(Attribute::Direction),
    })
}

/// `None`: not a name that we give a type, here.
fn valued(name: &str, value: &str, place: Place) -> Result<Option<Attribute>, ParseErrorKind> {
    let (name, attribute) = match name {
        "group" => ("group", Group::parse(value).map(Attribute::Group)),
        "mid" => ("mid", Token::new(value).ok().map(Attribute::Mid)),
        "ice-ufrag" => ("ice-ufrag", ice_text(value, 4).map(Attribute::IceUfrag)),
        "ice-pwd" => ("ice-pwd", ice_text(value, 22).map(Attribute::IcePwd)),
        "ice-options" => ("ice-options", tokens(value).map(Attribute::IceOptions)),
        "candidate" => ("candidate", Text::new(value).ok().map(Attribute::Candidate)),
        "fingerprint" => (
            "fingerprint",
            Fingerprint::parse(value).map(Attribute::Fingerprint),
        ),
        "setup" => ("setup", value.parse().ok().map(Attribute::Setup)),
        "tls-id" => ("tls-id", Text::new(value).ok().map(Attribute::TlsId)),
        "sctp-port" => ("sctp-port", number(value).map(Attribute::SctpPort)),
        "max-message-size" => (
            "max-message-size",
            number(value).map(Attribute::MaxMessageSize),
        ),
        "sctpmap" => ("sctpmap", SctpMap::parse(value).map(Attribute::SctpMap)),
        _ if place == Place::Rtp => return rtp(name, value),
        _ => return Ok(None),
    };
    attribute.map(Some).ok_or(ParseErrorKind::Attribute(name))
}

fn rtp(name: &str, value: &str) -> Result<Option<Attribute>, ParseErrorKind> {
    let (name, attribute) = match name {
        "rtpmap" => {
            let (payload_type, rest) = split_payload_type(value)?;
            (
                "rtpmap",
                RtpMap::parse(payload_type, rest).map(Attribute::RtpMap),
            )
        }
        "fmtp" => {
            let (payload_type, rest) = split_payload_type(value)?;
            let parameters = Text::new(rest).ok();
            let fmtp = parameters.map(|parameters| Fmtp {
                payload_type,
                parameters,
            });
            ("fmtp", fmtp.map(Attribute::Fmtp))
        }
        "rtcp-fb" => {
            let (payload_type, rest) = match value.strip_prefix("* ") {
                Some(rest) => (None, rest),
                None => split_payload_type(value).map(|(number, rest)| (Some(number), rest))?,
            };
            let feedback = Text::new(rest).ok();
            let feedback = feedback.map(|feedback| RtcpFb {
                payload_type,
                feedback,
            });
            ("rtcp-fb", feedback.map(Attribute::RtcpFb))
        }
        "extmap" => ("extmap", ExtMap::parse(value).map(Attribute::ExtMap)),
        "msid" => ("msid", Msid::parse(value).map(Attribute::Msid)),
        "ssrc" => ("ssrc", Ssrc::parse(value).map(Attribute::Ssrc)),
        "ssrc-group" => (
            "ssrc-group",
            SsrcGroup::parse(value).map(Attribute::SsrcGroup),
        ),
        "rid" => ("rid", Rid::parse(value).map(Attribute::Rid)),
        _ => return Ok(None),
    };
    attribute.map(Some).ok_or(ParseErrorKind::Attribute(name))
}

fn split_payload_type(value: &str) -> Result<(u8, &str), ParseErrorKind> {
    let (payload_type, rest) = value.split_once(' ').unwrap_or((value, ""));
    Ok((
        payload_type_of(payload_type).ok_or(ParseErrorKind::PayloadType)?,
        rest,
    ))
}

/// Seven bits (RFC 3550 §5.1): the eighth is the marker on the wire, and RTCP (RFC 5761).
pub(super) fn payload_type_of(text: &str) -> Option<u8> {
    number(text).filter(|&payload_type: &u8| payload_type <= 127)
}

/// Both have at most 256 characters (RFC 8839 §5.4).
fn ice_text(text: &str, min: usize) -> Option<IceText> {
    if (min..=256).contains(&text.len()) {
        IceText::new(text).ok()
    } else {
        None
    }
}

/// Counts first: a list of one-letter tokens must not cost the slack of a growing one.
fn tokens(text: &str) -> Option<Box<[Token]>> {
    let mut tokens = Vec::with_capacity(text.split_ascii_whitespace().count());
    for token in text.split_ascii_whitespace() {
        tokens.push(Token::new(token).ok()?);
    }
    Some(tokens.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_small() {
        assert!(size_of::<Attribute>() <= 48, "{}", size_of::<Attribute>());
    }

    /// Every typed attribute comes out as it went in.
    #[test]
    fn attributes_round_trip() {
        for line in [
            "group:BUNDLE 0 1 data",
            "group:LS",
            "mid:0",
            "bundle-only",
            "ice-ufrag:jG37",
            "ice-pwd:4BmnCAID2ce8vXmy7PAXLfDW",
            "ice-options:trickle renomination",
            "ice-lite",
            "candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host",
            "end-of-candidates",
            "fingerprint:sha-256 00:FF",
            "setup:holdconn",
            "tls-id:abc3de65cddef001be82",
            "sctp-port:5000",
            "max-message-size:0",
            "sctpmap:5000 webrtc-datachannel 1024",
            "inactive",
            "msid:{8fcee408} {4b091e7d}",
            "msid:-",
            "rtcp-mux",
            "rtcp-mux-only",
            "rtcp-rsize",
            "rtpmap:9 G722/8000/1",
            "rtpmap:96 VP8/90000",
            "fmtp:111 minptime=10;useinbandfec=1",
            "rtcp-fb:* nack pli",
            "rtcp-fb:96 ccm fir",
            "extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level",
            "extmap:4 uri with attributes",
            "extmap-allow-mixed",
            "ssrc:4294967295 cname:{a}",
            "ssrc-group:FID 1 2",
            "rid:h send pt=96;max-width=1280",
            "rid:h recv",
            "simulcast:send h;m;l",
            "msid-semantic: WMS",
            "rtcp-xr:",
        ] {
            let attribute = Attribute::parse(line, Place::Rtp).unwrap();
            assert_eq!(attribute.to_string(), line);
            assert_eq!(
                Attribute::parse(&attribute.to_string(), Place::Rtp).unwrap(),
                attribute
            );
        }
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        for (line, kind) in [
            ("rtpmap:128 VP8/90000", ParseErrorKind::PayloadType),
            ("rtpmap:-1 VP8/90000", ParseErrorKind::PayloadType),
            ("fmtp:300 a=b", ParseErrorKind::PayloadType),
            ("rtcp-fb:x nack", ParseErrorKind::PayloadType),
            ("rtpmap:96 VP8", ParseErrorKind::Attribute("rtpmap")),
            ("mid:", ParseErrorKind::Attribute("mid")),
            ("mid:a b", ParseErrorKind::Attribute("mid")),
            ("ice-ufrag:abc", ParseErrorKind::Attribute("ice-ufrag")),
            ("ice-pwd:short", ParseErrorKind::Attribute("ice-pwd")),
            ("ice-ufrag:a b c d", ParseErrorKind::Attribute("ice-ufrag")),
            ("setup:both", ParseErrorKind::Attribute("setup")),
            ("sctp-port:65536", ParseErrorKind::Attribute("sctp-port")),
            (
                "max-message-size:-1",
                ParseErrorKind::Attribute("max-message-size"),
            ),
            (
                "max-message-size:18446744073709551616",
                ParseErrorKind::Attribute("max-message-size"),
            ),
            ("group:BUNDLE a\u{e9}", ParseErrorKind::Attribute("group")),
            ("", ParseErrorKind::AttributeName),
            (":x", ParseErrorKind::AttributeName),
            ("a b:x", ParseErrorKind::AttributeName),
        ] {
            assert_eq!(Attribute::parse(line, Place::Rtp), Err(kind), "{line:?}");
        }
    }

    /// Elsewhere the names of RTP's attributes mean something else, if anything.
    #[test]
    fn rtp_attributes_are_typed_in_rtp_sections_only() {
        let attribute = Attribute::parse("fmtp:webrtc-datachannel x", Place::Section).unwrap();
        assert!(matches!(attribute, Attribute::Other { .. }));
    }
}
