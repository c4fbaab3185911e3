//! INIT and INIT-ACK (RFC 9260 §3.3.2, §3.3.3): one layout, two chunk types.

use super::param::{self, Param};
use super::tlv::{Reader, Writer};
use super::{DecodeError, chunk::chunk_type};
use crate::serial::Tsn;

/// The body of an INIT or INIT-ACK. Values that the RFC forbids (a tag or a number of streams of
/// zero, an a_rwnd below 1500) are decoded: the association answers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init<'a> {
    /// The verification tag that the receiver of this chunk puts into its packets.
    pub initiate_tag: u32,
    /// Receive window in bytes.
    pub a_rwnd: u32,
    /// Streams the sender wants to send on.
    pub outbound_streams: u16,
    /// Streams the sender accepts.
    pub inbound_streams: u16,
    /// The TSN of the sender's first DATA.
    pub initial_tsn: Tsn,
    /// Variable parameters in the order of the wire. Those behind an unknown one that stops the
    /// processing (§3.2.1) are left out.
    pub params: Vec<Param<'a>>,
}

impl<'a> Init<'a> {
    pub(super) fn decode(kind: u8, value: &'a [u8]) -> Result<Self, DecodeError> {
        let mut value = Reader::new(value);
        let mut init = (|| {
            Some(Self {
                initiate_tag: value.u32()?,
                a_rwnd: value.u32()?,
                outbound_streams: value.u16()?,
                inbound_streams: value.u16()?,
                initial_tsn: Tsn(value.u32()?),
                params: Vec::new(),
            })
        })()
        .ok_or(DecodeError::ChunkLength { chunk_type: kind })?;
        init.params = param::decode_list(value.rest())?;
        Ok(init)
    }

    pub(super) fn value_len(&self) -> usize {
        16 + param::list_len(&self.params)
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        out.u32(self.initiate_tag);
        out.u32(self.a_rwnd);
        out.u16(self.outbound_streams);
        out.u16(self.inbound_streams);
        out.u32(self.initial_tsn.0);
        param::encode_list(&self.params, out);
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> Init<'static> {
        Init {
            initiate_tag: self.initiate_tag,
            a_rwnd: self.a_rwnd,
            outbound_streams: self.outbound_streams,
            inbound_streams: self.inbound_streams,
            initial_tsn: self.initial_tsn,
            params: self.params.into_iter().map(Param::into_owned).collect(),
        }
    }

    /// Whether the sender names `chunk_type` among the extensions it supports (RFC 5061 §4.2.7).
    #[must_use]
    pub fn supports(&self, chunk_type: u8) -> bool {
        self.params.iter().any(
            |param| matches!(param, Param::SupportedExtensions(types) if types.contains(&chunk_type)),
        )
    }

    /// Whether the sender accepts FORWARD-TSN (RFC 3758 §3.3.1).
    #[must_use]
    pub fn supports_forward_tsn(&self) -> bool {
        self.params
            .iter()
            .any(|param| matches!(param, Param::ForwardTsnSupported))
            || self.supports(chunk_type::FORWARD_TSN)
    }

    /// The State Cookie, which every INIT-ACK carries.
    #[must_use]
    pub fn state_cookie(&self) -> Option<&[u8]> {
        self.params.iter().find_map(|param| {
            if let Param::StateCookie(cookie) = param {
                Some(cookie.as_ref())
            } else {
                None
            }
        })
    }

    /// Every parameter that has to be reported to the sender as
    /// unrecognized (§3.2.1), as the bytes that an Unrecognized Parameter holds.
    pub fn unrecognized(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.params.iter().filter_map(|param| {
            if let Param::Unknown(unknown) = param {
                unknown.action().reports().then(|| unknown.to_bytes())
            } else {
                None
            }
        })
    }
}
