//! Application-defined packets (RFC 3550 §6.7).

use crate::wire::Reader;
use crate::{DecodeError, Ssrc};

/// APP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App<'a> {
    /// 0–31, the application's.
    pub subtype: u8,
    /// Who sent it.
    pub ssrc: Ssrc,
    /// Four ASCII characters.
    pub name: [u8; 4],
    /// A multiple of four bytes.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn decode(subtype: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let ssrc = Ssrc(reader.u32()?);
        Ok(Self {
            subtype,
            ssrc,
            name: reader.array()?,
            data: reader.rest(),
        })
    }
}
