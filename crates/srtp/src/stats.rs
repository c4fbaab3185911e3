//! Counters.

use crate::error::{Malformed, OpenError};

/// What a [`Sender`](crate::Sender) has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SenderStats {
    /// RTP packets sealed.
    pub rtp: u64,
    /// RTCP packets sealed.
    pub rtcp: u64,
    /// Packets refused, of either kind.
    pub refused: u64,
    /// Streams moved out of the table to make room for others.
    pub evicted: u64,
}

/// What a [`Receiver`](crate::Receiver) has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiverStats {
    /// RTP packets opened.
    pub rtp: u64,
    /// RTCP packets opened.
    pub rtcp: u64,
    /// Of `rtp`, those that needed another rollover counter than the likeliest one.
    pub recovered: u64,
    /// Streams forgotten to make room for others, of either kind.
    pub evicted: u64,
    /// Packets dropped, by reason.
    pub drops: Drops,
}

/// Packets dropped, by [`OpenError`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// [`Malformed::Truncated`].
    pub truncated: u64,
    /// [`Malformed::TooLong`].
    pub too_long: u64,
    /// [`Malformed::Version`].
    pub version: u64,
    /// [`OpenError::Replayed`].
    pub replayed: u64,
    /// [`OpenError::TooOld`].
    pub too_old: u64,
    /// [`OpenError::NotAuthentic`].
    pub not_authentic: u64,
    /// [`OpenError::Unencrypted`].
    pub unencrypted: u64,
    /// [`OpenError::CryptexUnexpected`].
    pub cryptex_unexpected: u64,
    /// [`OpenError::CryptexMissing`].
    pub cryptex_missing: u64,
    /// [`OpenError::Exhausted`].
    pub exhausted: u64,
}

impl Drops {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self {
            truncated,
            too_long,
            version,
            replayed,
            too_old,
            not_authentic,
            unencrypted,
            cryptex_unexpected,
            cryptex_missing,
            exhausted,
        } = self;
        truncated
            + too_long
            + version
            + replayed
            + too_old
            + not_authentic
            + unencrypted
            + cryptex_unexpected
            + cryptex_missing
            + exhausted
    }

    pub(crate) fn count(&mut self, reason: OpenError) {
        *match reason {
            OpenError::Malformed(Malformed::Truncated) => &mut self.truncated,
            OpenError::Malformed(Malformed::TooLong) => &mut self.too_long,
            OpenError::Malformed(Malformed::Version) => &mut self.version,
            OpenError::Replayed => &mut self.replayed,
            OpenError::TooOld => &mut self.too_old,
            OpenError::NotAuthentic => &mut self.not_authentic,
            OpenError::Unencrypted => &mut self.unencrypted,
            OpenError::CryptexUnexpected => &mut self.cryptex_unexpected,
            OpenError::CryptexMissing => &mut self.cryptex_missing,
            OpenError::Exhausted => &mut self.exhausted,
        } += 1;
    }
}
