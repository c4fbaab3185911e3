//! ABORT (RFC 9260 §3.3.7).

use super::cause::{self, Cause};
use super::tlv::Writer;
use super::{DecodeError, chunk::FLAG_T};

/// The end of an association, at once.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Abort<'a> {
    /// T-bit: the packet carries the verification tag of the packet that it
    /// answers, because the sender has no association (§8.5.1).
    pub reflected_tag: bool,
    /// Why.
    pub causes: Vec<Cause<'a>>,
}

impl<'a> Abort<'a> {
    pub(super) fn decode(flags: u8, value: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self {
            reflected_tag: flags & FLAG_T != 0,
            causes: cause::decode_list(value)?,
        })
    }

    pub(super) fn flags(&self) -> u8 {
        if self.reflected_tag { FLAG_T } else { 0 }
    }

    pub(super) fn value_len(&self) -> usize {
        cause::list_len(&self.causes)
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        cause::encode_list(&self.causes, out);
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> Abort<'static> {
        Abort {
            reflected_tag: self.reflected_tag,
            causes: self.causes.into_iter().map(Cause::into_owned).collect(),
        }
    }
}
