//! Offers and answers as text (RFC 9429 §5.2 and §5.3), in the form that browsers write.

use std::sync::Arc;

use peerloom_dtls::Setup;

use super::session::{Purpose, Section};
use super::{Created, Credentials, Negotiation};
use crate::sdp::{
    Attribute, Description, Direction, Fingerprint, Formats, Group, IceText, Line, Media, Origin,
    Protocol, SctpMap, Text, Token,
};
use crate::{SdpType, SessionDescription};

impl Negotiation {
    /// Writes a description of these sections and keeps it to be set.
    pub(super) fn create(
        &mut self,
        kind: SdpType,
        sections: Vec<Section>,
        credentials: &Credentials,
        setup: Option<Setup>,
    ) -> SessionDescription {
        let description = self.describe(&sections, credentials, setup);
        let text = description.to_string();
        self.last = Some(description.clone());
        self.created = Some(Created {
            kind,
            text: text.clone(),
            description: Arc::new(description),
            sections,
            credentials: credentials.clone(),
            setup,
        });
        SessionDescription { kind, sdp: text }
    }

    fn describe(
        &self,
        sections: &[Section],
        credentials: &Credentials,
        setup: Option<Setup>,
    ) -> Description {
        let mut attributes = Vec::new();
        if self.local.lite {
            attributes.push(Attribute::IceLite);
        }
        let bundled = |section: &&Section| section.is_data() && section.bundled;
        let mids: Vec<Token> = sections
            .iter()
            .filter(bundled)
            .filter_map(|section| section.mid.clone())
            .collect();
        if !mids.is_empty() {
            attributes.push(Attribute::Group(Group::bundle(mids)));
        }
        let media = sections
            .iter()
            .map(|section| match section.purpose {
                Purpose::Data => self.data(section, credentials, setup),
                Purpose::Rejected => rejected(section),
            })
            .collect();
        let version = self
            .last
            .as_ref()
            .map_or(FIRST_VERSION, |last| last.origin.version);
        let mut description = Description {
            origin: Origin {
                username: text("-"),
                session_id: self.session_id,
                version,
                address: text("IN IP4 127.0.0.1"),
            },
            name: text("-"),
            lines: vec![Line {
                letter: 't',
                value: text("0 0"),
            }],
            attributes,
            media,
        };
        // RFC 9429 §5.2.2: one more with every change, the same without one.
        if self.last.as_ref().is_some_and(|last| *last != description) {
            description.origin.version += 1;
        }
        description
    }

    fn data(&self, section: &Section, credentials: &Credentials, setup: Option<Setup>) -> Media {
        let mut attributes = vec![
            Attribute::IceUfrag(ice_text(credentials.ufrag())),
            Attribute::IcePwd(ice_text(credentials.pwd())),
        ];
        // RFC 8445 §10: `ice2` is what this version of ICE is called, with regular nomination.
        let trickle = self.local.trickle.then(|| token("trickle"));
        let options = trickle.into_iter().chain([token("ice2")]);
        attributes.push(Attribute::IceOptions(options.collect()));
        attributes.extend(self.local.fingerprints.iter().map(fingerprint));
        attributes.extend(setup.map(Attribute::Setup));
        attributes.extend(section.mid.clone().map(Attribute::Mid));
        // The form before RFC 8841 is answered in kind: its port is the format of the m-line.
        let old = section.protocol == Protocol::DtlsSctp;
        let port = self.local.sctp_port;
        attributes.push(if old {
            Attribute::SctpMap(SctpMap {
                port,
                rest: text("webrtc-datachannel 65535"),
            })
        } else {
            Attribute::SctpPort(port)
        });
        attributes.push(Attribute::MaxMessageSize(self.local.max_message_size));
        let formats = if old {
            Formats::Other(text(&port.to_string()))
        } else {
            section.formats.clone()
        };
        // RFC 8840 §4.1.1: port 9 until there are candidates.
        Media {
            formats,
            ..media(section, 9, attributes)
        }
    }
}

/// As in RFC 9429 §5.3.1: the m-line of the offer with port 0, and no transport.
fn rejected(section: &Section) -> Media {
    let mut attributes = vec![Attribute::Direction(Direction::Inactive)];
    attributes.extend(section.mid.clone().map(Attribute::Mid));
    media(section, 0, attributes)
}

fn media(section: &Section, port: u16, attributes: Vec<Attribute>) -> Media {
    Media {
        kind: section.kind.clone(),
        port,
        port_count: None,
        protocol: section.protocol.clone(),
        formats: section.formats.clone(),
        lines: vec![Line {
            letter: 'c',
            value: text("IN IP4 0.0.0.0"),
        }],
        attributes,
    }
}

fn fingerprint(fingerprint: &peerloom_dtls::Fingerprint) -> Attribute {
    Attribute::Fingerprint(Fingerprint {
        hash: token(&fingerprint.algorithm().to_string()),
        digest: fingerprint.bytes().into(),
    })
}

fn text(text: &str) -> Text {
    Text::new(text).expect("without line ends: a constant or a number")
}

fn token(text: &str) -> Token {
    Token::new(text).expect("a constant that is a token")
}

fn ice_text(text: &str) -> IceText {
    IceText::new(text).expect("credentials hold ice-chars only")
}

/// Chromium's.
const FIRST_VERSION: u64 = 2;
