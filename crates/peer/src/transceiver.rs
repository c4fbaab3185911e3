//! Transceivers: what is known of each audio and video m-section.
//!
//! Media is not carried yet, so every one is answered with port 0. They are kept all the same:
//! re-offers name them by their place, a rollback has to restore them, and they show an
//! application what it was offered.

use std::fmt;

use crate::sdp::{Attribute, Direction, Formats, Media, MediaKind, Protocol, RtcpFb, Token};

/// An audio or video m-section and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transceiver {
    /// Media identification; `None` where the other side gave none.
    pub mid: Option<Token>,
    /// Which m-section, counted from 0.
    pub m_line_index: usize,
    /// Audio or video.
    pub kind: TransceiverKind,
    /// As last offered, seen from this side.
    pub direction: Direction,
    /// Its m-section has been rejected; the m-line may be used for something else.
    pub stopped: bool,
    /// Why it is answered with port 0.
    pub rejection: Rejection,
    /// As last offered, in the order of preference.
    pub codecs: Vec<Codec>,
    /// `a=rtcp-fb:*`: for every one of them.
    pub feedback: Vec<String>,
}

impl Transceiver {
    /// `None` for sections that are neither audio nor video.
    pub(crate) fn offered(m_line_index: usize, media: &Media, bundled: bool) -> Option<Self> {
        let kind = TransceiverKind::of(&media.kind)?;
        let rejection = if !media.protocol.is_rtp() {
            Rejection::Protocol
        } else if media.port == 0 && !media.has(&Attribute::BundleOnly) {
            Rejection::Offered
        } else if !media.has(&Attribute::RtcpMux) {
            Rejection::NoRtcpMux
        } else if !bundled {
            Rejection::NotBundled
        } else {
            Rejection::NoMedia
        };
        Some(Self {
            mid: media.mid().cloned(),
            m_line_index,
            kind,
            direction: media.direction().reversed(),
            stopped: rejection == Rejection::Offered,
            rejection,
            codecs: Codec::of(media),
            feedback: media
                .attributes
                .iter()
                .filter_map(feedback_for_all)
                .collect(),
        })
    }
}

/// What a transceiver carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransceiverKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl TransceiverKind {
    /// `None` for data and whatever else there is.
    pub(crate) fn of(kind: &MediaKind) -> Option<Self> {
        match kind {
            MediaKind::Audio => Some(Self::Audio),
            MediaKind::Video => Some(Self::Video),
            MediaKind::Application | MediaKind::Other(_) => None,
        }
    }
}

/// Why an m-section is answered with port 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Audio and video are not carried.
    #[error("audio and video are not carried")]
    NoMedia,
    /// The offer itself has port 0.
    #[error("the offer itself has port 0")]
    Offered,
    /// `a=rtcp-mux` is missing: RTCP on a port of its own is not supported (RFC 9429 §4.1.1).
    #[error("a=rtcp-mux is missing")]
    NoRtcpMux,
    /// It is not in the BUNDLE group of the data section: there is one transport (max-bundle).
    #[error("not in the BUNDLE group of the transport")]
    NotBundled,
    /// It is not over RTP.
    #[error("not over RTP")]
    Protocol,
}

/// One payload type of an m-section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// 0 to 127.
    pub payload_type: u8,
    /// `opus`, `VP8`, `rtx`; empty for a static payload type that the section does not map.
    pub name: String,
    /// Hz; 0 where the name is empty.
    pub clock_rate: u32,
    /// Audio channels, where given.
    pub channels: Option<u8>,
    /// `a=fmtp`.
    pub parameters: Option<String>,
    /// `a=rtcp-fb` of this payload type.
    pub feedback: Vec<String>,
}

impl Codec {
    /// One look at each attribute, whatever their number: they find their codec by a table.
    fn of(media: &Media) -> Vec<Self> {
        let (Protocol::Rtp(_), Formats::Rtp(payload_types)) = (&media.protocol, &media.formats)
        else {
            return Vec::new();
        };
        let mut codecs: Vec<Self> = Vec::new();
        let mut places = [None; 128];
        for &payload_type in payload_types {
            let place = &mut places[usize::from(payload_type & 0x7f)];
            if place.is_none() {
                *place = Some(codecs.len());
                codecs.push(Self::unmapped(payload_type));
            }
        }
        for attribute in &media.attributes {
            let payload_type = match_payload_type(attribute);
            let place = payload_type.and_then(|number| places[usize::from(number & 0x7f)]);
            if let Some(place) = place {
                codecs[place].describe(attribute);
            }
        }
        codecs
    }

    fn unmapped(payload_type: u8) -> Self {
        Self {
            payload_type,
            name: String::new(),
            clock_rate: 0,
            channels: None,
            parameters: None,
            feedback: Vec::new(),
        }
    }

    /// Of several attributes of one kind, the first counts.
    fn describe(&mut self, attribute: &Attribute) {
        if let Attribute::RtpMap(map) = attribute
            && self.name.is_empty()
        {
            self.name = map.encoding.to_string();
            self.clock_rate = map.clock_rate;
            self.channels = map
                .parameters
                .as_ref()
                .and_then(|channels| channels.parse().ok());
        } else if let Attribute::Fmtp(fmtp) = attribute
            && self.parameters.is_none()
        {
            self.parameters = Some(fmtp.parameters.to_string());
        } else if let Attribute::RtcpFb(feedback) = attribute {
            self.feedback.push(feedback.feedback.to_string());
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.payload_type, self.name, self.clock_rate)
    }
}

fn match_payload_type(attribute: &Attribute) -> Option<u8> {
    if let Attribute::RtpMap(map) = attribute {
        Some(map.payload_type)
    } else if let Attribute::Fmtp(fmtp) = attribute {
        Some(fmtp.payload_type)
    } else if let Attribute::RtcpFb(feedback) = attribute {
        feedback.payload_type
    } else {
        None
    }
}

fn feedback_for_all(attribute: &Attribute) -> Option<String> {
    if let Attribute::RtcpFb(RtcpFb {
        payload_type: None,
        feedback,
    }) = attribute
    {
        Some(feedback.to_string())
    } else {
        None
    }
}
