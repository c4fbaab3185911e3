//! Error causes of ABORT and ERROR (RFC 9260 §3.3.10).

use std::borrow::Cow;

use smallvec::SmallVec;

use super::DecodeError;
use super::tlv::{self, Reader, TLV_HEADER, Writer, padded};
use crate::serial::{StreamId, Tsn};

/// One cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// 1: DATA on a stream that does not exist.
    InvalidStreamIdentifier(StreamId),
    /// 2: the parameter types that are missing.
    MissingMandatoryParameter(SmallVec<[u16; 4]>),
    /// 3: the cookie expired so many microseconds ago.
    StaleCookie(u32),
    /// 4: no memory for an association.
    OutOfResource,
    /// 5: the address parameter.
    UnresolvableAddress(Cow<'a, [u8]>),
    /// 6: the chunk.
    UnrecognizedChunkType(Cow<'a, [u8]>),
    /// 7: a mandatory parameter is invalid.
    InvalidMandatoryParameter,
    /// 8: the parameters, padded.
    UnrecognizedParameters(Cow<'a, [u8]>),
    /// 9: DATA without user data.
    NoUserData(Tsn),
    /// 10: COOKIE-ECHO in SHUTDOWN-ACK-SENT.
    CookieReceivedWhileShuttingDown,
    /// 11: the address parameters that are new.
    RestartWithNewAddresses(Cow<'a, [u8]>),
    /// 12: the user aborted, and may say why.
    UserInitiatedAbort(Cow<'a, [u8]>),
    /// 13: any other violation, and possibly which.
    ProtocolViolation(Cow<'a, [u8]>),
    /// Any other.
    Unknown {
        /// The cause code.
        code: u16,
        /// What follows the cause header.
        value: Cow<'a, [u8]>,
    },
}

impl<'a> Cause<'a> {
    /// The cause code.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::InvalidStreamIdentifier(_) => 1,
            Self::MissingMandatoryParameter(_) => 2,
            Self::StaleCookie(_) => 3,
            Self::OutOfResource => 4,
            Self::UnresolvableAddress(_) => 5,
            Self::UnrecognizedChunkType(_) => 6,
            Self::InvalidMandatoryParameter => 7,
            Self::UnrecognizedParameters(_) => 8,
            Self::NoUserData(_) => 9,
            Self::CookieReceivedWhileShuttingDown => 10,
            Self::RestartWithNewAddresses(_) => 11,
            Self::UserInitiatedAbort(_) => 12,
            Self::ProtocolViolation(_) => 13,
            Self::Unknown { code, .. } => *code,
        }
    }

    fn decode(code: u16, value: &'a [u8]) -> Result<Self, DecodeError> {
        let fixed = || {
            let mut value = Reader::new(value);
            Some(match code {
                1 => {
                    let stream = StreamId(value.u16()?);
                    // The two bytes behind it are reserved.
                    value.u16()?;
                    value.end()?;
                    Self::InvalidStreamIdentifier(stream)
                }
                2 => {
                    let count = usize::try_from(value.u32()?).ok()?;
                    let (types, []) = value.rest().as_chunks() else {
                        return None;
                    };
                    (types.len() == count).then_some(())?;
                    Self::MissingMandatoryParameter(
                        types
                            .iter()
                            .map(|&bytes| u16::from_be_bytes(bytes))
                            .collect(),
                    )
                }
                3 => {
                    let staleness = value.u32()?;
                    value.end()?;
                    Self::StaleCookie(staleness)
                }
                4 => {
                    value.end()?;
                    Self::OutOfResource
                }
                5 => Self::UnresolvableAddress(value.rest().into()),
                6 => Self::UnrecognizedChunkType(value.rest().into()),
                7 => {
                    value.end()?;
                    Self::InvalidMandatoryParameter
                }
                8 => Self::UnrecognizedParameters(value.rest().into()),
                9 => {
                    let tsn = Tsn(value.u32()?);
                    value.end()?;
                    Self::NoUserData(tsn)
                }
                10 => {
                    value.end()?;
                    Self::CookieReceivedWhileShuttingDown
                }
                11 => Self::RestartWithNewAddresses(value.rest().into()),
                12 => Self::UserInitiatedAbort(value.rest().into()),
                13 => Self::ProtocolViolation(value.rest().into()),
                _ => Self::Unknown {
                    code,
                    value: value.rest().into(),
                },
            })
        };
        fixed().ok_or(DecodeError::CauseLength { code })
    }

    /// Bytes with the header, without padding.
    fn len(&self) -> usize {
        TLV_HEADER
            + match self {
                Self::InvalidStreamIdentifier(_) | Self::StaleCookie(_) | Self::NoUserData(_) => 4,
                Self::MissingMandatoryParameter(types) => 4 + types.len() * 2,
                Self::OutOfResource
                | Self::InvalidMandatoryParameter
                | Self::CookieReceivedWhileShuttingDown => 0,
                Self::UnresolvableAddress(value)
                | Self::UnrecognizedChunkType(value)
                | Self::UnrecognizedParameters(value)
                | Self::RestartWithNewAddresses(value)
                | Self::UserInitiatedAbort(value)
                | Self::ProtocolViolation(value)
                | Self::Unknown { value, .. } => value.len(),
            }
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.tlv(self.code(), self.len() - TLV_HEADER);
        match self {
            Self::InvalidStreamIdentifier(stream) => {
                out.u16(stream.0);
                out.u16(0);
            }
            Self::MissingMandatoryParameter(types) => {
                out.u32(u32::try_from(types.len()).expect("fewer than fit one packet"));
                types.iter().for_each(|&kind| out.u16(kind));
            }
            Self::StaleCookie(staleness) => out.u32(*staleness),
            Self::NoUserData(tsn) => out.u32(tsn.0),
            Self::OutOfResource
            | Self::InvalidMandatoryParameter
            | Self::CookieReceivedWhileShuttingDown => {}
            Self::UnresolvableAddress(value)
            | Self::UnrecognizedChunkType(value)
            | Self::UnrecognizedParameters(value)
            | Self::RestartWithNewAddresses(value)
            | Self::UserInitiatedAbort(value)
            | Self::ProtocolViolation(value)
            | Self::Unknown { value, .. } => out.slice(value),
        }
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> Cause<'static> {
        let owned = |value: Cow<'a, [u8]>| Cow::Owned(value.into_owned());
        match self {
            Self::InvalidStreamIdentifier(stream) => Cause::InvalidStreamIdentifier(stream),
            Self::MissingMandatoryParameter(types) => Cause::MissingMandatoryParameter(types),
            Self::StaleCookie(staleness) => Cause::StaleCookie(staleness),
            Self::OutOfResource => Cause::OutOfResource,
            Self::UnresolvableAddress(value) => Cause::UnresolvableAddress(owned(value)),
            Self::UnrecognizedChunkType(value) => Cause::UnrecognizedChunkType(owned(value)),
            Self::InvalidMandatoryParameter => Cause::InvalidMandatoryParameter,
            Self::UnrecognizedParameters(value) => Cause::UnrecognizedParameters(owned(value)),
            Self::NoUserData(tsn) => Cause::NoUserData(tsn),
            Self::CookieReceivedWhileShuttingDown => Cause::CookieReceivedWhileShuttingDown,
            Self::RestartWithNewAddresses(value) => Cause::RestartWithNewAddresses(owned(value)),
            Self::UserInitiatedAbort(value) => Cause::UserInitiatedAbort(owned(value)),
            Self::ProtocolViolation(value) => Cause::ProtocolViolation(owned(value)),
            Self::Unknown { code, value } => Cause::Unknown {
                code,
                value: owned(value),
            },
        }
    }
}

/// All causes of a chunk.
pub(super) fn decode_list(mut rest: &[u8]) -> Result<Vec<Cause<'_>>, DecodeError> {
    let mut causes = Vec::new();
    while let Some((code, value)) =
        tlv::next(&mut rest).map_err(|code| DecodeError::CauseLength { code })?
    {
        tlv::bounded(causes.len(), MAX_CAUSES)?;
        causes.push(Cause::decode(code, value)?);
    }
    Ok(causes)
}

/// Encoded length of a list: padded between, not behind the last (RFC 9260 §3.2).
pub(super) fn list_len(causes: &[Cause<'_>]) -> usize {
    causes
        .iter()
        .fold(0, |len, cause| padded(len) + cause.len())
}

pub(super) fn encode_list(causes: &[Cause<'_>], out: &mut Writer<'_>) {
    for cause in causes {
        out.pad();
        cause.encode(out);
    }
}

/// There are thirteen.
const MAX_CAUSES: usize = 32;
