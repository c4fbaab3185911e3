//! Our sockets and candidates (RFC 8445 §5.1).

use crate::candidate::{Address, Candidate, CandidateKind, priority};
use crate::event::LocalId;
use crate::gathering::StunServer;
use crate::stats::CandidateId;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The outer address of a socket behind a 1:1 NAT, as in a cloud: known without a STUN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExternalAddress {
    /// The host candidate has this address in place of the socket's, which nobody learns. For a
    /// host whose inner address is of no use to anyone.
    Host(SocketAddr),
    /// A server-reflexive candidate with this address, beside the host candidate.
    ServerReflexive(SocketAddr),
}

impl ExternalAddress {
    /// The address.
    pub fn address(self) -> SocketAddr {
        match self {
            Self::Host(address) | Self::ServerReflexive(address) => address,
        }
    }
}

/// A socket of ours: the base of its candidates.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) id: LocalId,
    pub(crate) address: SocketAddr,
    pub(crate) external: Option<ExternalAddress>,
    pub(crate) preference: u16,
    pub(crate) foundation: String,
}

impl Base {
    /// What the remote may know of it.
    fn advertised(&self) -> SocketAddr {
        match self.external {
            Some(ExternalAddress::Host(address)) => address,
            Some(ExternalAddress::ServerReflexive(_)) | None => self.address,
        }
    }
}

/// A candidate of ours.
#[derive(Debug)]
pub(crate) struct LocalCandidate {
    pub(crate) id: CandidateId,
    pub(crate) base: LocalId,
    /// The STUN server that it came from.
    pub(crate) url: Option<Arc<str>>,
    pub(crate) candidate: Candidate,
}

/// Everything local.
#[derive(Debug, Default)]
pub(crate) struct Locals {
    bases: Vec<Base>,
    candidates: Vec<LocalCandidate>,
    foundations: Vec<(CandidateKind, IpAddr, Option<IpAddr>)>,
    /// Bases ever added, so that no two share a preference.
    added: u16,
    /// Candidates ever added.
    named: u64,
}

impl Locals {
    pub(crate) fn bases(&self) -> &[Base] {
        &self.bases
    }

    pub(crate) fn base(&self, id: LocalId) -> Option<&Base> {
        self.bases.iter().find(|b| b.id == id)
    }

    pub(crate) fn candidates(&self) -> &[LocalCandidate] {
        &self.candidates
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = (LocalId, SocketAddr)> + '_ {
        self.bases.iter().map(|b| (b.id, b.address))
    }

    /// The local preference of the next base, unless the policy knows better.
    pub(crate) fn suggested_preference(&self, address: SocketAddr) -> u16 {
        let link_local = match address.ip() {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        // In the order of the caller, who knows the interfaces; link-local only when nothing
        // else works (RFC 8421 §3 leaves the rest to policy).
        (if link_local { 0x3fff } else { 0xffff }) - self.added.min(0x3ffe)
    }

    pub(crate) fn add(
        &mut self,
        id: LocalId,
        address: SocketAddr,
        external: Option<ExternalAddress>,
        preference: u16,
    ) {
        self.added = self.added.saturating_add(1);
        let foundation = self.foundation(CandidateKind::Host, address.ip(), None);
        self.bases.push(Base {
            id,
            address,
            external,
            preference,
            foundation,
        });
    }

    pub(crate) fn remove(&mut self, id: LocalId) {
        self.bases.retain(|b| b.id != id);
        self.candidates.retain(|c| c.base != id);
    }

    /// Forgets the candidates, for a new generation.
    pub(crate) fn clear_candidates(&mut self) {
        self.candidates.clear();
    }

    /// The candidates of a base that need nobody's answer: host, and what is configured of its NAT.
    pub(crate) fn own_candidates(&mut self, id: LocalId, ufrag: &str) -> Vec<Candidate> {
        let Some(base) = self.base(id) else {
            return Vec::new();
        };
        let kind = CandidateKind::Host;
        let address = base.advertised();
        let mut host = Candidate::udp(kind, address, priority(kind, base.preference));
        host.foundation.clone_from(&base.foundation);
        host.ufrag = Some(ufrag.to_owned());
        let external = base.external;
        self.push(id, host.clone(), None);
        let mut candidates = vec![host];
        if let Some(ExternalAddress::ServerReflexive(mapped)) = external {
            let kind = CandidateKind::ServerReflexive;
            candidates.extend(self.reflexive_candidate(id, kind, mapped, None, ufrag));
        }
        candidates
    }

    /// A mapped address seen by a STUN server or the remote. `None` if it is known: then it is
    /// redundant (RFC 8445 §5.1.3), or too many were claimed.
    pub(crate) fn reflexive_candidate(
        &mut self,
        id: LocalId,
        kind: CandidateKind,
        mapped: SocketAddr,
        server: Option<&StunServer>,
        ufrag: &str,
    ) -> Option<Candidate> {
        if self.find(id, mapped).is_some() || self.candidates.len() >= MAX_CANDIDATES {
            return None;
        }
        let base = self.base(id)?;
        let (address, preference) = (base.address, base.preference);
        let related = base.advertised();
        let mut candidate = Candidate::udp(kind, mapped, priority(kind, preference));
        candidate.foundation = self.foundation(kind, address.ip(), server.map(|s| s.address.ip()));
        candidate.related = Some((Address::Ip(related.ip()), related.port()));
        candidate.ufrag = Some(ufrag.to_owned());
        self.push(id, candidate.clone(), server.map(|s| s.url.clone()));
        Some(candidate)
    }

    /// The candidate of a base with this address.
    pub(crate) fn find(&self, id: LocalId, mapped: SocketAddr) -> Option<&LocalCandidate> {
        self.candidates.iter().find(|c| {
            let candidate = &c.candidate;
            c.base == id
                && candidate.port == mapped.port()
                && candidate.address == Address::Ip(mapped.ip())
        })
    }

    /// The candidate that stands for a pair of this base: the one that the remote has seen, else
    /// the first.
    pub(crate) fn of_pair(
        &self,
        id: LocalId,
        mapped: Option<SocketAddr>,
    ) -> Option<&LocalCandidate> {
        mapped
            .and_then(|mapped| self.find(id, mapped))
            .or_else(|| self.candidates.iter().find(|c| c.base == id))
    }

    fn push(&mut self, base: LocalId, candidate: Candidate, url: Option<Arc<str>>) {
        self.named += 1;
        self.candidates.push(LocalCandidate {
            id: CandidateId(self.named),
            base,
            url,
            candidate,
        });
    }

    /// PRIORITY of a check from this base: what a candidate found by it would have
    /// (RFC 8445 §7.1.1).
    pub(crate) fn check_priority(base: &Base) -> u32 {
        priority(CandidateKind::PeerReflexive, base.preference)
    }

    /// Equal for equal kind, base address and server (RFC 8445 §5.1.1.3). A running number tells
    /// nothing about the addresses.
    fn foundation(&mut self, kind: CandidateKind, ip: IpAddr, server: Option<IpAddr>) -> String {
        let key = (kind, ip, server);
        let known = self.foundations.iter().position(|f| *f == key);
        let index = known.unwrap_or_else(|| {
            self.foundations.push(key);
            self.foundations.len() - 1
        });
        (index + 1).to_string()
    }
}

/// A STUN server or remote that reports a new mapped address with every answer must not make this
/// grow; a symmetric NAT in front of every socket stays far below.
const MAX_CANDIDATES: usize = 200;
