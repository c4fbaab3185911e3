//! Parameters of INIT and INIT-ACK (RFC 9260 §3.3.2.1, §3.3.3.1; RFC 5061, RFC 3758, RFC 9653).

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::DecodeError;
use super::tlv::{self, TLV_HEADER, Writer, padded};
use super::unknown::UnknownParam;

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param<'a> {
    /// 5: an address of the sender. Below DTLS addresses mean nothing (RFC 8261 §6.1).
    Ipv4Address(Ipv4Addr),
    /// 6: an address of the sender.
    Ipv6Address(Ipv6Addr),
    /// 7: State Cookie; in every INIT-ACK.
    StateCookie(Cow<'a, [u8]>),
    /// 8: a parameter of the INIT that was not recognized, whole.
    Unrecognized(Cow<'a, [u8]>),
    /// 9: Cookie Preservative: the cookie's life should be so many milliseconds longer.
    CookiePreservative(u32),
    /// 11: Host Name Address. Deprecated; §5.1.2 demands an ABORT.
    HostName(Cow<'a, [u8]>),
    /// 12: Supported Address Types.
    SupportedAddressTypes(SmallVec<[u16; 4]>),
    /// 0x8001: Zero Checksum Acceptable with the error detection method (RFC 9653 §4).
    ZeroChecksumAcceptable(u32),
    /// 0x8008: Supported Extensions: chunk types (RFC 5061 §4.2.7).
    SupportedExtensions(Cow<'a, [u8]>),
    /// 0xC000: Forward-TSN-Supported (RFC 3758 §3.1).
    ForwardTsnSupported,
    /// Any other.
    Unknown(UnknownParam<'a>),
}

/// Error detection method "SCTP over DTLS" of [`Param::ZeroChecksumAcceptable`] (RFC 9653 §8).
pub const ZERO_CHECKSUM_DTLS: u32 = 1;

impl<'a> Param<'a> {
    fn decode(kind: u16, value: &'a [u8]) -> Result<Self, DecodeError> {
        let wrong = DecodeError::ParamLength { param_type: kind };
        let u32_value = || value.try_into().map(u32::from_be_bytes).map_err(|_| wrong);
        Ok(match kind {
            param_type::IPV4_ADDRESS => {
                Self::Ipv4Address(<[u8; 4]>::try_from(value).map_err(|_| wrong)?.into())
            }
            param_type::IPV6_ADDRESS => {
                Self::Ipv6Address(<[u8; 16]>::try_from(value).map_err(|_| wrong)?.into())
            }
            param_type::STATE_COOKIE => Self::StateCookie(value.into()),
            param_type::UNRECOGNIZED => Self::Unrecognized(value.into()),
            param_type::COOKIE_PRESERVATIVE => Self::CookiePreservative(u32_value()?),
            param_type::HOST_NAME => Self::HostName(value.into()),
            param_type::SUPPORTED_ADDRESS_TYPES => {
                let (types, []) = value.as_chunks() else {
                    return Err(wrong);
                };
                Self::SupportedAddressTypes(
                    types
                        .iter()
                        .map(|&bytes| u16::from_be_bytes(bytes))
                        .collect(),
                )
            }
            param_type::ZERO_CHECKSUM_ACCEPTABLE => Self::ZeroChecksumAcceptable(u32_value()?),
            param_type::SUPPORTED_EXTENSIONS => Self::SupportedExtensions(value.into()),
            param_type::FORWARD_TSN_SUPPORTED => {
                if !value.is_empty() {
                    return Err(wrong);
                }
                Self::ForwardTsnSupported
            }
            _ => Self::Unknown(UnknownParam {
                param_type: kind,
                value: value.into(),
            }),
        })
    }

    fn stops(&self) -> bool {
        matches!(self, Self::Unknown(unknown) if unknown.action().stops())
    }

    /// Bytes with the header, without padding.
    fn len(&self) -> usize {
        TLV_HEADER
            + match self {
                Self::Ipv4Address(_)
                | Self::CookiePreservative(_)
                | Self::ZeroChecksumAcceptable(_) => 4,
                Self::Ipv6Address(_) => 16,
                Self::StateCookie(value)
                | Self::Unrecognized(value)
                | Self::HostName(value)
                | Self::SupportedExtensions(value) => value.len(),
                Self::SupportedAddressTypes(types) => types.len() * 2,
                Self::ForwardTsnSupported => 0,
                Self::Unknown(unknown) => unknown.value.len(),
            }
    }

    fn encode(&self, out: &mut Writer<'_>) {
        let kind = match self {
            Self::Ipv4Address(_) => param_type::IPV4_ADDRESS,
            Self::Ipv6Address(_) => param_type::IPV6_ADDRESS,
            Self::StateCookie(_) => param_type::STATE_COOKIE,
            Self::Unrecognized(_) => param_type::UNRECOGNIZED,
            Self::CookiePreservative(_) => param_type::COOKIE_PRESERVATIVE,
            Self::HostName(_) => param_type::HOST_NAME,
            Self::SupportedAddressTypes(_) => param_type::SUPPORTED_ADDRESS_TYPES,
            Self::ZeroChecksumAcceptable(_) => param_type::ZERO_CHECKSUM_ACCEPTABLE,
            Self::SupportedExtensions(_) => param_type::SUPPORTED_EXTENSIONS,
            Self::ForwardTsnSupported => param_type::FORWARD_TSN_SUPPORTED,
            Self::Unknown(unknown) => unknown.param_type,
        };
        out.tlv(kind, self.len() - TLV_HEADER);
        match self {
            Self::Ipv4Address(address) => out.slice(&address.octets()),
            Self::Ipv6Address(address) => out.slice(&address.octets()),
            Self::CookiePreservative(value) | Self::ZeroChecksumAcceptable(value) => {
                out.u32(*value);
            }
            Self::StateCookie(value)
            | Self::Unrecognized(value)
            | Self::HostName(value)
            | Self::SupportedExtensions(value) => out.slice(value),
            Self::SupportedAddressTypes(types) => types.iter().for_each(|&kind| out.u16(kind)),
            Self::ForwardTsnSupported => {}
            Self::Unknown(unknown) => out.slice(&unknown.value),
        }
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> Param<'static> {
        let owned = |value: Cow<'a, [u8]>| Cow::Owned(value.into_owned());
        match self {
            Self::Ipv4Address(address) => Param::Ipv4Address(address),
            Self::Ipv6Address(address) => Param::Ipv6Address(address),
            Self::StateCookie(value) => Param::StateCookie(owned(value)),
            Self::Unrecognized(value) => Param::Unrecognized(owned(value)),
            Self::CookiePreservative(value) => Param::CookiePreservative(value),
            Self::HostName(value) => Param::HostName(owned(value)),
            Self::SupportedAddressTypes(types) => Param::SupportedAddressTypes(types),
            Self::ZeroChecksumAcceptable(method) => Param::ZeroChecksumAcceptable(method),
            Self::SupportedExtensions(value) => Param::SupportedExtensions(owned(value)),
            Self::ForwardTsnSupported => Param::ForwardTsnSupported,
            Self::Unknown(unknown) => Param::Unknown(unknown.into_owned()),
        }
    }
}

/// All parameters of a chunk up to one that stops the processing.
pub(super) fn decode_list(mut rest: &[u8]) -> Result<Vec<Param<'_>>, DecodeError> {
    let mut params = Vec::new();
    while let Some((kind, value)) =
        tlv::next(&mut rest).map_err(|param_type| DecodeError::ParamLength { param_type })?
    {
        tlv::bounded(params.len(), MAX_PARAMS)?;
        let param = Param::decode(kind, value)?;
        let stops = param.stops();
        params.push(param);
        if stops {
            break;
        }
    }
    Ok(params)
}

/// Encoded length of a list: padded between, not behind the last (RFC 9260 §3.2).
pub(super) fn list_len(params: &[Param<'_>]) -> usize {
    params
        .iter()
        .fold(0, |len, param| padded(len) + param.len())
}

pub(super) fn encode_list(params: &[Param<'_>], out: &mut Writer<'_>) {
    for param in params {
        out.pad();
        param.encode(out);
    }
}

pub(super) mod param_type {
    pub(in crate::wire) const HEARTBEAT_INFO: u16 = 1;
    pub(super) const IPV4_ADDRESS: u16 = 5;
    pub(super) const IPV6_ADDRESS: u16 = 6;
    pub(super) const STATE_COOKIE: u16 = 7;
    pub(super) const UNRECOGNIZED: u16 = 8;
    pub(super) const COOKIE_PRESERVATIVE: u16 = 9;
    pub(super) const HOST_NAME: u16 = 11;
    pub(super) const SUPPORTED_ADDRESS_TYPES: u16 = 12;
    pub(super) const ZERO_CHECKSUM_ACCEPTABLE: u16 = 0x8001;
    pub(super) const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    pub(super) const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
}

/// An INIT lists each kind once, and a few addresses.
const MAX_PARAMS: usize = 64;
