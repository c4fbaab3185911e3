//! HEARTBEAT and HEARTBEAT-ACK (RFC 9260 §3.3.5, §3.3.6): one layout, two chunk types.

use std::borrow::Cow;

use super::tlv::{self, TLV_HEADER, Writer};
use super::{DecodeError, param::param_type};

/// The body of a HEARTBEAT, which its receiver returns as it is in a HEARTBEAT-ACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// The value of the Heartbeat Info parameter, opaque to anyone but its sender.
    pub info: Cow<'a, [u8]>,
}

impl<'a> Heartbeat<'a> {
    pub(super) fn decode(kind: u8, mut value: &'a [u8]) -> Result<Self, DecodeError> {
        match tlv::next(&mut value) {
            Ok(Some((param_type::HEARTBEAT_INFO, info))) => Ok(Self { info: info.into() }),
            Ok(_) => Err(DecodeError::MissingParam { chunk_type: kind }),
            Err(param_type) => Err(DecodeError::ParamLength { param_type }),
        }
    }

    pub(super) fn value_len(&self) -> usize {
        TLV_HEADER + self.info.len()
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        out.tlv(param_type::HEARTBEAT_INFO, self.info.len());
        out.slice(&self.info);
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> Heartbeat<'static> {
        Heartbeat {
            info: self.info.into_owned().into(),
        }
    }
}
