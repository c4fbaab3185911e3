//! Counters: what was dropped and why, and how much a key was used.

/// Why something that came in was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Not a whole record, or a length that cannot be.
    Malformed,
    /// A record of a type or version that DTLS 1.2 does not have.
    UnknownRecord,
    /// An epoch in which nothing can be expected now; epoch 0 after the handshake.
    Epoch,
    /// A handshake message that this role never receives at this point.
    Unexpected,
    /// A handshake fragment that contradicts its message, or is empty.
    Fragment,
    /// A handshake message whose inside does not fit its length.
    Message,
    /// A bound of [`Limits`](crate::Limits) was reached.
    Limit,
    /// The cookie is not the one that we gave out.
    Cookie,
    /// An alert or application record in clear text.
    ClearText,
    /// A record number that was seen already or is too old.
    Replay,
    /// The tag does not verify.
    Forged,
    /// Authentic, but nothing that is acted on: a warning, renegotiation, a repeated message.
    Pointless,
}

/// Drops by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; REASONS.len()]);

impl Drops {
    /// How often something was dropped for `reason`.
    pub fn count(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        REASONS
            .into_iter()
            .map(|reason| (reason, self.count(reason)))
    }

    /// All drops.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }
}

/// How much one direction's key was used.
///
/// DTLS 1.2 cannot change keys, so passing a limit is not an error: it is a reason to open a new
/// connection. Only the record number ends one, after 2^48 records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records sealed or opened.
    pub records: u64,
    /// Bytes of plaintext in them.
    pub bytes: u64,
    /// Records whose tag did not verify (an opener's only).
    pub forged: u64,
}

impl Usage {
    /// Plaintext per key by the strict guidance for AES-GCM, in bytes: 2^24.5 records of 2^14
    /// (RFC 8446 section 5.5), about 390 GB.
    pub const CONFIDENTIALITY_LIMIT: u64 = 389_000_000_000;
    /// Forgeries tried per key (RFC 9147 section 4.5.3).
    pub const INTEGRITY_LIMIT: u64 = 1 << 36;

    /// Whether the key was used beyond the guidance.
    pub fn is_over(&self) -> bool {
        self.bytes > Self::CONFIDENTIALITY_LIMIT || self.forged > Self::INTEGRITY_LIMIT
    }
}

const REASONS: [DropReason; 12] = [
    DropReason::Malformed,
    DropReason::UnknownRecord,
    DropReason::Epoch,
    DropReason::Unexpected,
    DropReason::Fragment,
    DropReason::Message,
    DropReason::Limit,
    DropReason::Cookie,
    DropReason::ClearText,
    DropReason::Replay,
    DropReason::Forged,
    DropReason::Pointless,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Each reason has its own counter: the table and the enum are in the same order.
    #[test]
    fn one_counter_each() {
        for (index, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }

    /// The guidance is reported when passed, not before.
    #[test]
    fn usage_over_the_guidance() {
        let mut usage = Usage {
            bytes: Usage::CONFIDENTIALITY_LIMIT,
            ..Usage::default()
        };
        assert!(!usage.is_over());
        usage.bytes += 1;
        assert!(usage.is_over());
        assert!(
            Usage {
                forged: (1 << 36) + 1,
                ..Usage::default()
            }
            .is_over()
        );
    }
}
