//! What the application chooses.

use crate::cryptex::Cryptex;

/// Options of a [`Sender`](crate::Sender).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderConfig {
    /// Encrypt header extensions and CSRCs too (RFC 9335). Only when the peer's description has
    /// `a=cryptex`.
    pub cryptex: bool,
    /// Bounds.
    pub limits: Limits,
}

/// Options of a [`Receiver`](crate::Receiver).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverConfig {
    /// What to do with header extensions and CSRCs encrypted by RFC 9335.
    pub cryptex: Cryptex,
    /// Take SRTCP packets that are authenticated but not encrypted (E flag 0). WebRTC has none.
    pub unencrypted_rtcp: bool,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds on what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// SSRCs with full state (about 300 bytes), the least recently used leaves. RTP and RTCP each.
    /// At least 1.
    pub streams: usize,
    /// SSRCs that a sender used and moved out of `streams`, whose last index it must keep (17 bytes)
    /// so that no nonce is used twice. When they are full, new SSRCs are refused.
    pub retired: usize,
}

impl Default for Limits {
    /// 1,000 streams, 65,536 retired ones.
    fn default() -> Self {
        Self {
            streams: 1_000,
            retired: 65_536,
        }
    }
}
