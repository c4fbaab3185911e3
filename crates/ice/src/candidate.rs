//! Candidates and the `candidate:` line (RFC 8839 §5.1, RFC 6544 §4.5 for TCP).

use crate::error::ParseCandidateError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A transport address of one agent, as signalled.
///
/// Parsed from, and displayed as, `candidate:…`: the value of the attribute with its name and
/// without `a=`, which is what browsers put into `RTCIceCandidate.candidate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Candidates of one kind, base address and server share it. 1 to 32 characters.
    pub foundation: String,
    /// Component, 1 with rtcp-mux.
    pub component: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Priority (RFC 8445 §5.1.2).
    pub priority: u32,
    /// Address, or a name still to be resolved.
    pub address: Address,
    /// Port.
    pub port: u16,
    /// How it was found.
    pub kind: CandidateKind,
    /// `raddr` and `rport`: the base of a reflexive candidate. For diagnosis only.
    pub related: Option<(Address, u16)>,
    /// `tcptype` of a TCP candidate.
    pub tcp_type: Option<TcpType>,
    /// `generation`, an extension of browsers.
    pub generation: Option<u32>,
    /// `ufrag` of the generation it belongs to (RFC 8838 §11).
    pub ufrag: Option<String>,
    /// Other extensions, in order.
    pub extensions: Vec<(String, String)>,
}

/// Where a candidate points.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An address.
    Ip(IpAddr),
    /// A name: mDNS (`….local`) or a domain name. The agent does not resolve it.
    Name(String),
}

/// Transport protocol of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP: parsed, never dialled.
    Tcp,
}

/// Candidate type (RFC 8445 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of the host itself.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the other agent.
    PeerReflexive,
    /// Allocated on a TURN server.
    Relayed,
}

/// `tcptype` (RFC 6544 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpType {
    /// Opens connections.
    Active,
    /// Accepts connections.
    Passive,
    /// Both at once.
    SimultaneousOpen,
}

impl Candidate {
    /// The address and port, unless the address is a name.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match &self.address {
            Address::Ip(ip) => Some(SocketAddr::new(*ip, self.port)),
            Address::Name(_) => None,
        }
    }

    /// A UDP candidate of component 1 without extensions.
    pub(crate) fn udp(kind: CandidateKind, addr: SocketAddr, priority: u32) -> Self {
        Self {
            foundation: String::from("0"),
            component: 1,
            protocol: Protocol::Udp,
            priority,
            address: Address::Ip(addr.ip()),
            port: addr.port(),
            kind,
            related: None,
            tcp_type: None,
            generation: None,
            ufrag: None,
            extensions: Vec::new(),
        }
    }
}

impl CandidateKind {
    /// Type preference (RFC 8445 §5.1.2.2).
    pub(crate) fn preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "host" => Some(Self::Host),
            "srflx" => Some(Self::ServerReflexive),
            "prflx" => Some(Self::PeerReflexive),
            "relay" => Some(Self::Relayed),
            _ => None,
        }
    }
}

/// Candidate priority (RFC 8445 §5.1.2.1), component 1.
pub(crate) fn priority(kind: CandidateKind, local_preference: u16) -> u32 {
    (kind.preference() << 24) | (u32::from(local_preference) << 8) | 255
}

impl FromStr for Candidate {
    type Err = ParseCandidateError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        if line.len() > MAX_LINE {
            return Err(ParseCandidateError::TooLong { max: MAX_LINE });
        }
        let line = line.trim();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let line = line.strip_prefix("candidate:").unwrap_or(line);
        let mut words = line.split_ascii_whitespace();

        let foundation = words
            .next()
            .filter(|f| is_foundation(f))
            .ok_or(FOUNDATION)?
            .to_owned();
        let component = number(words.next(), "component", 65_535)?;
        let protocol = match words.next().ok_or(TRANSPORT)? {
            p if p.eq_ignore_ascii_case("udp") => Protocol::Udp,
            p if p.eq_ignore_ascii_case("tcp") => Protocol::Tcp,
            _ => return Err(TRANSPORT),
        };
        let priority = number(words.next(), "priority", u32::MAX)?;
        let address = address(words.next(), "address")?;
        let port = number(words.next(), "port", 65_535)?;
        if words.next() != Some("typ") {
            return Err(ParseCandidateError::Field("typ"));
        }
        let kind = words.next().and_then(CandidateKind::parse);
        let mut candidate = Self {
            foundation,
            component: component as u16,
            protocol,
            priority,
            address,
            port: port as u16,
            kind: kind.ok_or(ParseCandidateError::Field("typ"))?,
            related: None,
            tcp_type: None,
            generation: None,
            ufrag: None,
            extensions: Vec::new(),
        };
        let mut related_address = None;
        let mut related_port = None;
        while let Some(name) = words.next() {
            let value = words
                .next()
                .ok_or(ParseCandidateError::Field("extension value"))?;
            match name {
                "raddr" => related_address = Some(self::address(Some(value), "raddr")?),
                "rport" => related_port = Some(number(Some(value), "rport", 65_535)? as u16),
                "tcptype" => candidate.tcp_type = Some(tcp_type(value)?),
                "generation" => {
                    candidate.generation = Some(number(Some(value), "generation", u32::MAX)?);
                }
                "ufrag" => candidate.ufrag = Some(value.to_owned()),
                _ => candidate
                    .extensions
                    .push((name.to_owned(), value.to_owned())),
            }
        }
        // `raddr` without `rport` says as much as neither does.
        candidate.related = related_address.zip(related_port);
        Ok(candidate)
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "candidate:{} {} {} {} {} {} typ {}",
            self.foundation,
            self.component,
            self.protocol,
            self.priority,
            self.address,
            self.port,
            self.kind
        )?;
        if let Some((address, port)) = &self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " tcptype {tcp_type}")?;
        }
        if let Some(generation) = self.generation {
            write!(f, " generation {generation}")?;
        }
        if let Some(ufrag) = &self.ufrag {
            write!(f, " ufrag {ufrag}")?;
        }
        for (name, value) in &self.extensions {
            write!(f, " {name} {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        })
    }
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        })
    }
}

fn number(word: Option<&str>, field: &'static str, max: u32) -> Result<u32, ParseCandidateError> {
    // `u32::from_str` would take "+1" as well.
    word.filter(|w| w.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|w| w.parse().ok())
        .filter(|n| *n <= max)
        .ok_or(ParseCandidateError::Field(field))
}

fn address(word: Option<&str>, field: &'static str) -> Result<Address, ParseCandidateError> {
    let word = word.ok_or(ParseCandidateError::Field(field))?;
    if let Ok(ip) = word.parse() {
        return Ok(Address::Ip(ip));
    }
    // A name: letters, digits, dots, hyphens, at most 253 (RFC 1035 §2.3.4).
    let name = word.len() <= 253
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && word.bytes().any(|b| b.is_ascii_alphabetic());
    if name {
        Ok(Address::Name(word.to_owned()))
    } else {
        Err(ParseCandidateError::Field(field))
    }
}

fn tcp_type(word: &str) -> Result<TcpType, ParseCandidateError> {
    match word {
        "active" => Ok(TcpType::Active),
        "passive" => Ok(TcpType::Passive),
        "so" => Ok(TcpType::SimultaneousOpen),
        _ => Err(ParseCandidateError::Field("tcptype")),
    }
}

fn is_foundation(word: &str) -> bool {
    (1..=32).contains(&word.len())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

const FOUNDATION: ParseCandidateError = ParseCandidateError::Field("foundation");
const TRANSPORT: ParseCandidateError = ParseCandidateError::Field("transport");
/// Longer than any line a browser writes, short enough to keep 100 of them.
const MAX_LINE: usize = 4096;
