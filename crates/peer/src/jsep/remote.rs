//! What a remote description says, and whether it can: m-sections, BUNDLE, and the transport of the
//! data section.

use std::collections::BTreeMap;

use peerloom_dtls::{Fingerprint, Setup};

use super::session::{Purpose, Section, Session};
use super::{Credentials, NegotiationError, Transport};
use crate::sdp::{Attribute, Description, Formats, Media, Protocol, Token, shown};
use crate::{SdpType, Transceiver};

/// The transport of a remote data section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteTransport {
    /// Index of the data section.
    pub(super) section: usize,
    /// Sections of its BUNDLE group, itself included: their candidates are its candidates.
    pub(super) group: Vec<usize>,
    pub(super) credentials: Credentials,
    pub(super) lite: bool,
    pub(super) trickle: bool,
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) setup: Setup,
    pub(super) sctp_port: u16,
    /// `None`: unlimited.
    pub(super) max_message_size: Option<u64>,
}

/// Takes an offer into a session whose exchange it begins.
pub(super) fn offered(
    session: &mut Session,
    description: &Description,
) -> Result<(), NegotiationError> {
    let media = &description.media;
    let groups = Groups::of(description)?;
    if media.len() < session.sections.len() {
        return Err(NegotiationError::SectionCount {
            kind: SdpType::Offer,
            found: media.len(),
            expected: session.sections.len(),
        });
    }
    for (index, (section, media)) in session.sections.iter().zip(media).enumerate() {
        unchanged(index, section, media)?;
    }
    // Port 0 rejects, unless the section lives in its group only (RFC 9143 §6).
    let usable = |index: usize| {
        let media = &media[index];
        media.port != 0 || (media.has(&Attribute::BundleOnly) && groups.of[index].is_some())
    };
    let data = match session.data_section() {
        Some((index, _)) => Some(index).filter(|&index| usable(index)),
        None => (0..media.len()).find(|&index| media[index].is_data() && usable(index)),
    };
    let remote = match data {
        Some(index) => {
            let remote = RemoteTransport::of(description, &groups, index, SdpType::Offer)?;
            if let Some(agreed) = &session.agreed {
                remote.continues(agreed, true)?;
            }
            Some(remote)
        }
        None => None,
    };

    let bundled = |index: usize| data.is_none_or(|data| groups.same(data, index));
    session.transceivers = (0..media.len())
        .filter_map(|index| Transceiver::offered(index, &media[index], bundled(index)))
        .collect();
    session.sections = media
        .iter()
        .enumerate()
        .map(|(index, media)| {
            let purpose = if Some(index) == data {
                Purpose::Data
            } else {
                Purpose::Rejected
            };
            Section::of(media, groups.of[index].is_some(), purpose)
        })
        .collect();
    session.remote = remote;
    Ok(())
}

/// Takes an answer into the session whose offer it answers.
pub(super) fn answered(
    session: &mut Session,
    kind: SdpType,
    description: &Description,
) -> Result<(), NegotiationError> {
    let media = &description.media;
    let groups = Groups::of(description)?;
    if media.len() != session.sections.len() {
        return Err(NegotiationError::SectionCount {
            kind,
            found: media.len(),
            expected: session.sections.len(),
        });
    }
    for (index, (section, media)) in session.sections.iter().zip(media).enumerate() {
        if media.kind != section.kind {
            return Err(changed(
                index,
                "media",
                &section.kind.to_string(),
                &media.kind.to_string(),
            ));
        }
        // An answerer that knows no mids finds its sections by their order.
        if let (Some(offered), Some(mid)) = (&section.mid, media.mid())
            && offered != mid
        {
            return Err(changed(index, "mid", offered, mid));
        }
        if section.purpose == Purpose::Rejected && media.port != 0 {
            return Err(NegotiationError::NotOffered {
                index,
                port: media.port,
            });
        }
        let offered = section.is_data() && section.bundled;
        if groups.of[index].is_some() && (media.port == 0 || !offered) {
            let mid = shown(media.mid().map_or("", |mid| mid));
            // RFC 9143 §7.3.3: a rejected section leaves its group.
            let why = "answered in a group though rejected or not offered in it";
            return Err(NegotiationError::Bundle { why, mid });
        }
    }
    let remote = match session.data_section() {
        Some((index, _)) if media[index].port != 0 => {
            let remote = RemoteTransport::of(description, &groups, index, kind)?;
            if let Some(agreed) = &session.agreed {
                let restart = session.local_credentials.as_ref() != Some(&agreed.local_credentials);
                remote.continues(agreed, restart)?;
            }
            Some(remote)
        }
        Some((index, _)) => {
            if kind == SdpType::Answer {
                session.sections[index].purpose = Purpose::Rejected;
            }
            None
        }
        None => None,
    };
    session.remote = remote;
    Ok(())
}

impl RemoteTransport {
    fn of(
        description: &Description,
        groups: &Groups,
        index: usize,
        kind: SdpType,
    ) -> Result<Self, NegotiationError> {
        let section = &description.media[index];
        // RFC 9143 §7.1.3: within a group, the attributes of the transport stand in the tagged
        // section. A first offer repeats them in each, and where the answer moves the tag on, what
        // stands there counts. The session's are the default of all (RFC 8839 §5.4, RFC 8122 §5).
        let tagged = groups.tag(index).unwrap_or(index);
        let places: [&[Attribute]; 3] = [
            &section.attributes,
            &description.media[tagged].attributes,
            &description.attributes,
        ];
        let missing = |attribute| NegotiationError::Missing { index, attribute };
        let setup = places
            .iter()
            .find_map(|place| place.iter().find_map(Attribute::setup));
        Ok(Self {
            section: index,
            group: groups.members(index),
            credentials: places
                .iter()
                .find_map(|place| credentials(place))
                .unwrap_or(Err("ice-ufrag"))
                .map_err(missing)?,
            lite: description.attributes.contains(&Attribute::IceLite),
            trickle: places.iter().any(|place| place.iter().any(has_trickle)),
            fingerprints: fingerprints(&places, index)?,
            setup: match (setup, kind) {
                (Some(&setup), _) => setup,
                // Offers without it are from before RFC 5763; they leave it to us as well.
                (None, SdpType::Offer) => Setup::ActPass,
                (None, SdpType::Pranswer | SdpType::Answer | SdpType::Rollback) => {
                    return Err(missing("setup"));
                }
            },
            sctp_port: match sctp_port(section) {
                0 => return Err(NegotiationError::SctpPort { index, port: 0 }),
                port => port,
            },
            max_message_size: match section
                .attributes
                .iter()
                .find_map(Attribute::max_message_size)
            {
                None => Some(DEFAULT_MAX_MESSAGE_SIZE),
                Some(0) => None,
                Some(&size) => Some(size),
            },
        })
    }

    /// Whether it can follow on what is in effect.
    fn continues(&self, agreed: &Transport, restart: bool) -> Result<(), NegotiationError> {
        let index = self.section;
        let before = &agreed.remote_credentials;
        match (
            before.ufrag() != self.credentials.ufrag(),
            before.pwd() != self.credentials.pwd(),
        ) {
            (true, false) => {
                return Err(NegotiationError::HalfRestart {
                    index,
                    changed: "ice-ufrag",
                });
            }
            (false, true) => {
                return Err(NegotiationError::HalfRestart {
                    index,
                    changed: "ice-pwd",
                });
            }
            (true, true) if !restart => return Err(NegotiationError::RestartInAnswer { index }),
            (true, true) | (false, false) => {}
        }
        // Another hash of the same certificate may join or leave, but not all change.
        if !self
            .fingerprints
            .iter()
            .any(|ours| agreed.fingerprints.contains(ours))
        {
            return Err(NegotiationError::FingerprintChanged { index });
        }
        if self.sctp_port != agreed.remote_sctp_port {
            return Err(NegotiationError::SctpPort {
                index,
                port: self.sctp_port,
            });
        }
        Ok(())
    }
}

/// BUNDLE groups by section.
struct Groups {
    /// The group that a section is in.
    of: Vec<Option<usize>>,
    /// Sections of each group, the tagged one first.
    sections: Vec<Vec<usize>>,
}

impl Groups {
    /// Also finds mids that are there twice.
    fn of(description: &Description) -> Result<Self, NegotiationError> {
        let mut by_mid: BTreeMap<&Token, usize> = BTreeMap::new();
        for (index, media) in description.media.iter().enumerate() {
            if let Some(mid) = media.mid()
                && by_mid.insert(mid, index).is_some()
            {
                return Err(NegotiationError::DuplicateMid {
                    index,
                    mid: shown(mid),
                });
            }
        }
        let mut groups = Self {
            of: vec![None; description.media.len()],
            sections: Vec::new(),
        };
        for group in description.bundles() {
            let mut sections = Vec::new();
            for mid in &group.mids {
                let error = |why| NegotiationError::Bundle {
                    why,
                    mid: shown(mid),
                };
                let &index = by_mid
                    .get(mid)
                    .ok_or_else(|| error("there is no such m-section"))?;
                if groups.of[index].replace(groups.sections.len()).is_some() {
                    return Err(error("this m-section is named twice"));
                }
                sections.push(index);
            }
            groups.sections.push(sections);
        }
        Ok(groups)
    }

    fn tag(&self, index: usize) -> Option<usize> {
        self.sections[self.of[index]?].first().copied()
    }

    fn members(&self, index: usize) -> Vec<usize> {
        self.of[index].map_or_else(|| vec![index], |group| self.sections[group].clone())
    }

    fn same(&self, a: usize, b: usize) -> bool {
        a == b || (self.of[a].is_some() && self.of[a] == self.of[b])
    }
}

/// An m-line in use keeps its name and kind; a rejected one can become anything under a new name
/// (RFC 9429 §5.2.2).
fn unchanged(index: usize, section: &Section, media: &Media) -> Result<(), NegotiationError> {
    let mid = media.mid();
    let renamed = section.mid.as_ref() != mid;
    if renamed && section.purpose == Purpose::Rejected {
        return Ok(());
    }
    if renamed {
        let name = |mid: Option<&Token>| mid.map_or(String::new(), ToString::to_string);
        return Err(changed(
            index,
            "mid",
            &name(section.mid.as_ref()),
            &name(mid),
        ));
    }
    if section.kind != media.kind {
        return Err(changed(
            index,
            "media",
            &section.kind.to_string(),
            &media.kind.to_string(),
        ));
    }
    Ok(())
}

fn changed(index: usize, what: &'static str, from: &str, to: &str) -> NegotiationError {
    NegotiationError::SectionChanged {
        index,
        what,
        from: shown(from),
        to: shown(to),
    }
}

/// Both from one place; the error is the one that is missing there.
fn credentials(attributes: &[Attribute]) -> Option<Result<Credentials, &'static str>> {
    let ufrag = attributes.iter().find_map(Attribute::ice_ufrag);
    let pwd = attributes.iter().find_map(Attribute::ice_pwd);
    match (ufrag, pwd) {
        (None, None) => None,
        (None, Some(_)) => Some(Err("ice-ufrag")),
        (Some(_), None) => Some(Err("ice-pwd")),
        (Some(ufrag), Some(pwd)) => {
            Some(Credentials::new(ufrag.as_str(), pwd.as_str()).map_err(|_| "ice-pwd"))
        }
    }
}

/// All of the first place that has some; those with hash functions that DTLS does not take are
/// passed over, as long as one is left.
fn fingerprints(
    places: &[&[Attribute]],
    index: usize,
) -> Result<Vec<Fingerprint>, NegotiationError> {
    let has_some = |place: &&&[Attribute]| place.iter().any(|one| one.fingerprint().is_some());
    let place = places.iter().find(has_some);
    let place = place.ok_or(NegotiationError::Missing {
        index,
        attribute: "fingerprint",
    })?;
    let mut usable = Vec::new();
    let mut refused = None;
    for fingerprint in place.iter().filter_map(Attribute::fingerprint) {
        match fingerprint.to_string().parse() {
            Ok(fingerprint) => usable.push(fingerprint),
            Err(source) => {
                let hash = shown(&fingerprint.hash);
                refused = Some(NegotiationError::Fingerprint {
                    index,
                    hash,
                    source,
                });
            }
        }
    }
    match refused {
        Some(error) if usable.is_empty() => Err(error),
        _ => Ok(usable),
    }
}

fn has_trickle(attribute: &Attribute) -> bool {
    attribute
        .ice_options()
        .is_some_and(|options| options.iter().any(|one| *one == "trickle"))
}

/// RFC 8841 §5; the old form has it in the m-line. Browsers take 5000 where it is missing.
fn sctp_port(media: &Media) -> u16 {
    let port =
        if let (Protocol::DtlsSctp, Formats::Other(formats)) = (&media.protocol, &media.formats) {
            formats.split(' ').next().and_then(|port| port.parse().ok())
        } else {
            media
                .attributes
                .iter()
                .find_map(Attribute::sctp_port)
                .copied()
        };
    port.unwrap_or(5000)
}

/// RFC 8841 §6.1.
const DEFAULT_MAX_MESSAGE_SIZE: u64 = 65_536;
