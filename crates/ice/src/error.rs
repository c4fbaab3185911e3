//! Decode noise ([`Ignored`]) and call errors. The agent has no terminal error of its own:
//! [`State::Failed`](crate::State) ends in a restart or with the connection.

use crate::event::LocalId;
use std::net::SocketAddr;
use thiserror::Error;

/// Why a datagram had no effect. Noise: counted in [`Stats`](crate::Stats), never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[repr(u8)]
#[non_exhaustive]
pub enum Ignored {
    /// No STUN header: too short, wrong first bits or magic cookie.
    #[error("not STUN")]
    NotStun,
    /// Longer than [`Limits::datagram`](crate::Limits).
    #[error("longer than a check may be")]
    TooLarge,
    /// Lengths do not add up, or too many attributes.
    #[error("malformed STUN message")]
    Malformed,
    /// A method other than Binding, or an indication.
    #[error("not a Binding request or response")]
    UnknownMethod,
    /// A socket the agent was not told about.
    #[error("received on an unknown socket")]
    UnknownLocal,
    /// A source that cannot be dialled: port 0, multicast, unspecified.
    #[error("unusable source address")]
    UnusableSource,
    /// The user name is missing or is not for us.
    #[error("unknown user name")]
    UnknownUsername,
    /// MESSAGE-INTEGRITY is missing or wrong.
    #[error("wrong message integrity")]
    BadIntegrity,
    /// FINGERPRINT is wrong.
    #[error("wrong fingerprint")]
    BadFingerprint,
    /// An attribute that ICE demands is missing, malformed or sent twice.
    #[error("missing or malformed attribute")]
    BadAttribute,
    /// A comprehension-required attribute is not known.
    #[error("unknown comprehension-required attribute")]
    UnknownAttribute,
    /// A response to nothing we have asked this address.
    #[error("unknown transaction")]
    UnknownTransaction,
    /// Refused by the [`AddressPolicy`](crate::AddressPolicy), or a
    /// [`TransportPolicy`](crate::TransportPolicy) that uses no such socket.
    #[error("refused by policy")]
    NotAllowed,
    /// The request was authentic, but a cap of [`Limits`](crate::Limits) is reached.
    #[error("a limit is reached")]
    LimitReached,
    /// Consent has run out: nothing but a restart helps (RFC 7675 §5.1).
    #[error("consent has run out")]
    NoConsent,
    /// The agent is closed.
    #[error("agent is closed")]
    Closed,
}

impl Ignored {
    /// Number of reasons, for the counters.
    pub(crate) const COUNT: usize = Self::ALL.len();
    /// Every reason, in the order of the counters.
    pub(crate) const ALL: [Self; 16] = [
        Self::NotStun,
        Self::TooLarge,
        Self::Malformed,
        Self::UnknownMethod,
        Self::UnknownLocal,
        Self::UnusableSource,
        Self::UnknownUsername,
        Self::BadIntegrity,
        Self::BadFingerprint,
        Self::BadAttribute,
        Self::UnknownAttribute,
        Self::UnknownTransaction,
        Self::NotAllowed,
        Self::LimitReached,
        Self::NoConsent,
        Self::Closed,
    ];
}

/// Why a local address was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LocalAddressError {
    /// Unspecified, multicast or port 0: the remote could not dial it.
    #[error("{0} cannot be a candidate: unspecified, multicast or port 0")]
    Unusable(SocketAddr),
    /// The id is in use.
    #[error("{0:?} is in use")]
    Duplicate(LocalId),
    /// [`Limits::local_addresses`](crate::Limits).
    #[error("already {max} local addresses")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

/// Why a remote candidate was not taken. Harmless: other candidates work on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// A name (mDNS): resolve it and add the candidate with its address.
    #[error("candidate address {0} is not resolved")]
    Unresolved(String),
    /// Unspecified, multicast, broadcast, IPv4-mapped or port 0.
    #[error("{0} is never dialled")]
    Unusable(SocketAddr),
    /// The [`AddressPolicy`](crate::AddressPolicy) does not allow it.
    #[error("{0} is not allowed by the address policy")]
    NotAllowed(SocketAddr),
    /// TCP, or something else that is not UDP.
    #[error("candidate transport is not UDP")]
    NotUdp,
    /// A component other than 1 (RTCP is multiplexed).
    #[error("component {0} is not used")]
    Component(u16),
    /// It belongs to another generation (RFC 8838 §11).
    #[error("candidate is of ufrag {0}, which is not the remote's")]
    OtherGeneration(String),
    /// [`Limits::remote_candidates`](crate::Limits).
    #[error("already {max} remote candidates")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// [`Agent::end_of_remote_candidates`](crate::Agent::end_of_remote_candidates) was called.
    #[error("the remote had announced its last candidate")]
    AfterEnd,
}

/// Why credentials were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// RFC 8839 §5.4: 4 to 256 characters.
    #[error("ice-ufrag has {len} characters, not 4 to 256")]
    UfragLength {
        /// Characters found.
        len: usize,
    },
    /// RFC 8839 §5.4: 22 to 256 characters.
    #[error("ice-pwd has {len} characters, not 22 to 256")]
    PwdLength {
        /// Characters found.
        len: usize,
    },
    /// Only letters, digits, `+` and `/` are allowed.
    #[error("ice-ufrag or ice-pwd contains {0:?}")]
    Character(char),
    /// The remote's credentials change with a restart only.
    #[error("remote credentials changed without an ICE restart")]
    Changed,
}

/// Why a candidate line was not understood (RFC 8839 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseCandidateError {
    /// Longer than 4 KiB.
    #[error("candidate line is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// A field is missing or ill-formed.
    #[error("bad or missing {0}")]
    Field(&'static str),
}
