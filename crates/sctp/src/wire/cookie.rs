//! COOKIE-ECHO (RFC 9260 §3.3.11). COOKIE-ACK has no fields.

use std::borrow::Cow;

use super::tlv::Writer;

/// The State Cookie of an INIT-ACK, returned as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieEcho<'a> {
    /// The cookie, opaque to anyone but its maker.
    pub cookie: Cow<'a, [u8]>,
}

impl<'a> CookieEcho<'a> {
    pub(super) fn decode(value: &'a [u8]) -> Self {
        Self {
            cookie: value.into(),
        }
    }

    pub(super) fn value_len(&self) -> usize {
        self.cookie.len()
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        out.slice(&self.cookie);
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> CookieEcho<'static> {
        CookieEcho {
            cookie: self.cookie.into_owned().into(),
        }
    }
}
