//! SHUTDOWN and SHUTDOWN-COMPLETE (RFC 9260 §3.3.8, §3.3.13). SHUTDOWN-ACK has no fields.

use super::chunk::FLAG_T;
use super::tlv::{Reader, Writer};
use crate::serial::Tsn;

/// The sender will send no more data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// It has received everything up to here.
    pub cumulative_tsn: Tsn,
}

impl Shutdown {
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut value = Reader::new(value);
        let cumulative_tsn = Tsn(value.u32()?);
        value.end()?;
        Some(Self { cumulative_tsn })
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        out.u32(self.cumulative_tsn.0);
    }
}

/// The answer to SHUTDOWN-ACK; alone in its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ShutdownComplete {
    /// T-bit: the packet carries the verification tag of the packet that it answers, because the
    /// sender has no association (§8.5.1).
    pub reflected_tag: bool,
}

impl ShutdownComplete {
    pub(super) fn decode(flags: u8) -> Self {
        Self {
            reflected_tag: flags & FLAG_T != 0,
        }
    }

    pub(super) fn flags(self) -> u8 {
        if self.reflected_tag { FLAG_T } else { 0 }
    }
}
