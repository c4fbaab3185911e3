//! ERROR (RFC 9260 §3.3.10).

use super::DecodeError;
use super::cause::{self, Cause};
use super::tlv::Writer;

/// A report that ends nothing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ErrorChunk<'a> {
    /// What happened.
    pub causes: Vec<Cause<'a>>,
}

impl<'a> ErrorChunk<'a> {
    pub(super) fn decode(value: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self {
            causes: cause::decode_list(value)?,
        })
    }

    pub(super) fn value_len(&self) -> usize {
        cause::list_len(&self.causes)
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        cause::encode_list(&self.causes, out);
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> ErrorChunk<'static> {
        ErrorChunk {
            causes: self.causes.into_iter().map(Cause::into_owned).collect(),
        }
    }
}
