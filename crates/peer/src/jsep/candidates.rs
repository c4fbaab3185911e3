//! Candidates: those in descriptions, those that come one by one, and those that come too early.

use super::remote::RemoteTransport;
use super::session::Kept;
use super::{Applied, CandidateUse, Negotiation, NegotiationError};
use crate::IceCandidate;
use crate::sdp::{Attribute, Description, Line, Text, Token, shown};

impl Negotiation {
    /// Takes a candidate of the other side: which m-section and ICE generation it belongs to, and
    /// whether that is in effect. One that comes before any description is held for it.
    ///
    /// # Errors
    /// When it names no m-section, one that there is not, or another generation than the described
    /// ones; when it cannot be a candidate.
    pub fn add_candidate(
        &mut self,
        candidate: &IceCandidate,
    ) -> Result<CandidateUse, NegotiationError> {
        let target = self.target(candidate)?;
        if target == CandidateUse::Held {
            if self.held.len() >= self.limits.candidates {
                self.dropped.candidates_over_limit += 1;
                return Ok(CandidateUse::Ignored);
            }
            self.held.push(candidate.clone());
        }
        Ok(target)
    }

    /// A local candidate in the form that goes to the other side; `None` while no local description
    /// has a transport.
    pub fn local_candidate(&self, candidate: &peerloom_ice::Candidate) -> Option<IceCandidate> {
        self.of_local_section(candidate.to_string())
    }

    /// The mark behind the last local candidate.
    pub fn local_end_of_candidates(&self) -> Option<IceCandidate> {
        self.of_local_section(String::new())
    }

    fn of_local_section(&self, candidate: String) -> Option<IceCandidate> {
        self.session.local()?;
        let (index, section) = self.session.data_section()?;
        let credentials = self.session.local_credentials.as_ref()?;
        Some(IceCandidate {
            candidate,
            sdp_mid: section.mid.as_ref().map(ToString::to_string),
            sdp_m_line_index: u16::try_from(index).ok(),
            username_fragment: Some(credentials.ufrag().to_owned()),
        })
    }

    fn target(&self, candidate: &IceCandidate) -> Result<CandidateUse, NegotiationError> {
        let text = &candidate.candidate;
        let names = [&candidate.sdp_mid, &candidate.username_fragment];
        let long = names
            .into_iter()
            .flatten()
            .any(|name| name.len() > NAME_LEN);
        if long || text.len() > CANDIDATE_LEN || Text::new(text).is_err() {
            return Err(NegotiationError::CandidateText { value: shown(text) });
        }
        let named = candidate.sdp_mid.is_some() || candidate.sdp_m_line_index.is_some();
        if !named && !candidate.is_end_of_candidates() {
            return Err(NegotiationError::CandidateWithoutSection);
        }
        let Some(Kept { description, .. }) = self.session.remote_description() else {
            return Ok(CandidateUse::Held);
        };
        let section = if named {
            Some(section_of(candidate, description)?)
        } else {
            None
        };
        let Some(remote) = &self.session.remote else {
            // The description has no transport of ours at all.
            return Ok(CandidateUse::Ignored);
        };
        // In a pending offer's generation, or in the one in effect?
        let agreed = self
            .session
            .agreed
            .as_ref()
            .map(|agreed| &agreed.remote_credentials);
        let pending = agreed != Some(&remote.credentials);
        let in_effect = match ufrag_of(candidate) {
            None => !pending,
            Some(ufrag) if agreed.is_some_and(|agreed| agreed.ufrag() == ufrag) => true,
            Some(ufrag) if remote.credentials.ufrag() == ufrag => !pending,
            // The answer that describes it is still on its way.
            Some(_) if self.is_offering() => return Ok(CandidateUse::Held),
            Some(ufrag) => {
                return Err(NegotiationError::CandidateGeneration {
                    ufrag: shown(ufrag),
                });
            }
        };
        if !claims(remote, description, section, candidate) {
            Ok(CandidateUse::Ignored)
        } else if in_effect {
            Ok(CandidateUse::Now)
        } else {
            Ok(CandidateUse::Held)
        }
    }

    /// The candidates that an answer makes due.
    pub(super) fn take_candidates(&mut self, applied: &mut Applied) {
        let Some(Kept { description, .. }) = self.session.remote_description() else {
            return;
        };
        let Some(remote) = &self.session.remote else {
            return;
        };
        let mut over = 0;
        for candidate in described(remote, description) {
            if applied.candidates.len() < self.limits.candidates {
                applied.candidates.push(candidate);
            } else {
                over += 1;
            }
        }
        applied.end_of_candidates = description.attributes.contains(&Attribute::EndOfCandidates)
            || description.media[remote.section].has(&Attribute::EndOfCandidates);

        let mut unclaimed = 0;
        for candidate in std::mem::take(&mut self.held) {
            match self.target(&candidate) {
                Ok(CandidateUse::Now) if candidate.is_end_of_candidates() => {
                    applied.end_of_candidates = true;
                }
                Ok(CandidateUse::Now) => applied.candidates.push(candidate),
                Ok(CandidateUse::Held | CandidateUse::Ignored) | Err(_) => unclaimed += 1,
            }
        }
        self.dropped.candidates_over_limit += over;
        self.dropped.candidates_unclaimed += unclaimed;
    }
}

/// Puts local candidates into the section at `index` and, as browsers do, the default one into its
/// `m=` and `c=` (RFC 8839 §4.2.1.2).
pub(super) fn add_local(
    description: &mut Description,
    index: usize,
    candidates: &[IceCandidate],
    complete: bool,
) {
    let Some(media) = description
        .media
        .get_mut(index)
        .filter(|media| media.port != 0)
    else {
        return;
    };
    let ufrag = media.attributes.iter().find_map(Attribute::ice_ufrag);
    let ufrag = ufrag.map(|ufrag| ufrag.as_str().to_owned());
    let mut lines = Vec::with_capacity(candidates.len() + usize::from(complete));
    for candidate in candidates {
        let theirs = candidate.username_fragment.as_ref();
        if theirs.is_some() && theirs != ufrag.as_ref() {
            continue;
        }
        let value = candidate
            .candidate
            .strip_prefix("candidate:")
            .map(Text::new);
        if let Some(Ok(value)) = value {
            lines.push(Attribute::Candidate(value));
        }
    }
    let default = lines
        .iter()
        .filter_map(default_address)
        .max_by_key(|(rank, _, _)| *rank);
    if let Some((_, port, line)) = default {
        media.port = port;
        media.lines.retain(|line| line.letter != 'c');
        media.lines.push(line);
    }
    if complete {
        lines.push(Attribute::EndOfCandidates);
    }
    media.attributes.splice(0..0, lines);
}

/// Takes out what [`add_local`] and an application's own trickle may have added.
pub(super) fn strip(description: &mut Description) {
    for media in &mut description.media {
        media.attributes.retain(|attribute| {
            !matches!(
                attribute,
                Attribute::Candidate(_) | Attribute::EndOfCandidates
            )
        });
    }
}

/// Rank, port and `c=` of a UDP candidate with an address. Relayed before reflexive before host:
/// that is where a peer without ICE would reach us; IPv4 before IPv6.
fn default_address(attribute: &Attribute) -> Option<((u8, bool), u16, Line)> {
    let mut parts = attribute.candidate()?.split(' ').skip(2);
    let (protocol, _priority) = (parts.next()?, parts.next()?);
    let (address, port) = (parts.next()?, parts.next()?.parse().ok()?);
    let kind = parts.nth(1)?;
    let address: std::net::IpAddr = address.parse().ok()?;
    if !protocol.eq_ignore_ascii_case("udp") || port == 0 {
        return None;
    }
    let rank = match kind {
        "relay" => 2,
        "srflx" => 1,
        _ => 0,
    };
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let value = Text::new(&format!("IN {family} {address}")).ok()?;
    Some(((rank, address.is_ipv4()), port, Line { letter: 'c', value }))
}

/// W3C WebRTC §4.4.1.9: the mid counts, the index only without it.
fn section_of(
    candidate: &IceCandidate,
    description: &Description,
) -> Result<usize, NegotiationError> {
    let mut media = description.media.iter();
    match (&candidate.sdp_mid, candidate.sdp_m_line_index) {
        (Some(mid), _) => media
            .position(|media| media.mid().map(Token::as_str) == Some(mid))
            .ok_or_else(|| NegotiationError::CandidateSection {
                section: shown(mid),
            }),
        (None, Some(index)) if usize::from(index) < media.len() => Ok(usize::from(index)),
        (None, index) => {
            let section = index
                .map_or(String::new(), |index| index.to_string())
                .into();
            Err(NegotiationError::CandidateSection { section })
        }
    }
}

/// The member, or else the extension of the candidate itself (RFC 8838 §11).
fn ufrag_of(candidate: &IceCandidate) -> Option<&str> {
    candidate.username_fragment.as_deref().or_else(|| {
        // Extensions are pairs behind `… typ host`.
        let mut parts = candidate.candidate.split(' ').skip(6);
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            if name == "ufrag" {
                return Some(value);
            }
        }
        None
    })
}

/// Whether a candidate for `section` leads to our transport.
///
/// An offerer that gathers for each m-section (`balanced`) has another port for each, and closes
/// those that our answer rejects; one that gathers for its tagged section alone (`max-bundle`) has
/// only that section's. Nothing in the offer tells them apart, so candidates of the other sections
/// of the group count as well, until the data section turns out to have its own. A check to a port
/// that is closed fails, no more.
fn claims(
    remote: &RemoteTransport,
    description: &Description,
    section: Option<usize>,
    candidate: &IceCandidate,
) -> bool {
    let Some(section) = section else { return true };
    if section == remote.section {
        return true;
    }
    // The end of another section's candidates is not the end of ours.
    !candidate.is_end_of_candidates()
        && remote.group.contains(&section)
        && !has_candidates(description, remote.section)
}

fn has_candidates(description: &Description, section: usize) -> bool {
    let mut attributes = description.media[section].attributes.iter();
    attributes.any(|attribute| attribute.candidate().is_some())
}

/// Candidates within the description: the data section's own, or else those of its group.
fn described<'a>(
    remote: &'a RemoteTransport,
    description: &'a Description,
) -> impl Iterator<Item = IceCandidate> + 'a {
    let own = has_candidates(description, remote.section);
    let sections = remote.group.iter().copied();
    let sections = sections.filter(move |&section| !own || section == remote.section);
    sections.flat_map(move |section| {
        let media = &description.media[section];
        let candidates = media.attributes.iter().filter_map(Attribute::candidate);
        candidates.map(move |text| IceCandidate {
            candidate: format!("candidate:{text}"),
            sdp_mid: media.mid().map(ToString::to_string),
            sdp_m_line_index: u16::try_from(section).ok(),
            username_fragment: Some(remote.credentials.ufrag().to_owned()),
        })
    })
}

/// Far more than any candidate has: five addresses and names.
const CANDIDATE_LEN: usize = 1024;
/// Longest `ice-ufrag` (RFC 8839 §5.4).
const NAME_LEN: usize = 256;
