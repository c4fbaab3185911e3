//! Sealing records in place (RFC 6347 section 4.1, RFC 5288).

use std::fmt;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::alert::{ALERT_LEN, AlertDescription, LEVEL_FATAL, LEVEL_WARNING};
use crate::record::{
    ContentType, EPOCH_ONE, EXPLICIT_NONCE_LEN, HEADER_LEN, HEADROOM, MAX_PLAINTEXT, MAX_SEQUENCE,
    OVERHEAD, TAG_LEN, VERSION,
};
use crate::stats::Usage;

/// The length of a sealed close_notify, in bytes.
pub const CLOSE_NOTIFY_LEN: usize = OVERHEAD + ALERT_LEN;

/// Seals what we send. Has one owner: the task that writes to the socket, because the record number
/// is assigned here and must follow the order on the wire as closely as it can.
pub struct Sealer {
    key: LessSafeKey,
    iv: [u8; 4],
    /// Epoch 1 and the next record number, as they are on the wire.
    next: u64,
    /// The last one that may be used.
    last: u64,
    usage: Usage,
    closed: bool,
}

impl Sealer {
    pub(crate) fn new(key: &[u8; 16], iv: [u8; 4], first_sequence: u64) -> Self {
        Self {
            key: less_safe_key(key),
            iv,
            next: EPOCH_ONE | first_sequence,
            last: EPOCH_ONE | MAX_SEQUENCE,
            usage: Usage::default(),
            closed: false,
        }
    }

    /// Seals one record in place: `record` is [`HEADROOM`] ‖ plaintext ‖
    /// [`TAILROOM`](crate::TAILROOM), and all of it is the datagram's content afterwards. Allocates nothing.
    ///
    /// # Errors
    /// The record keeps its plaintext and no number is used up.
    pub fn seal(&mut self, content: ContentType, record: &mut [u8]) -> Result<(), SealError> {
        let Some(plaintext) = record.len().checked_sub(OVERHEAD) else {
            return Err(SealError::TooShort { len: record.len() });
        };
        if plaintext > MAX_PLAINTEXT {
            return Err(SealError::TooLong { len: plaintext });
        }
        if self.closed {
            return Err(SealError::Closed);
        }
        if self.next > self.last {
            return Err(SealError::Exhausted);
        }
        // Epoch ‖ number is unique under the key, so it is the explicit nonce too (RFC 5288
        // section 3); random nonces would repeat after 2^32 records.
        let number = self.next.to_be_bytes();
        let [n0, n1, n2, n3, n4, n5, n6, n7] = number;
        let [i0, i1, i2, i3] = self.iv;
        let nonce = [i0, i1, i2, i3, n0, n1, n2, n3, n4, n5, n6, n7];
        let [v0, v1] = VERSION;
        // Both fit: MAX_PLAINTEXT is 2^14.
        let [l0, l1] = (plaintext as u16).to_be_bytes();
        let [r0, r1] = ((EXPLICIT_NONCE_LEN + plaintext + TAG_LEN) as u16).to_be_bytes();
        let kind = content as u8;
        let aad = [n0, n1, n2, n3, n4, n5, n6, n7, kind, v0, v1, l0, l1];
        let header = [kind, v0, v1, n0, n1, n2, n3, n4, n5, n6, n7, r0, r1];

        let (head, body) = record.split_at_mut(HEADROOM);
        let (body, tail) = body.split_at_mut(plaintext);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
            .expect("AES-GCM takes any plaintext below 2^36 bytes");
        head[..HEADER_LEN].copy_from_slice(&header);
        head[HEADER_LEN..].copy_from_slice(&number);
        tail.copy_from_slice(tag.as_ref());
        self.next += 1;
        self.usage.records += 1;
        self.usage.bytes += plaintext as u64;
        Ok(())
    }

    /// Seals records that lie back to back, `segment` bytes each with their [`HEADROOM`] and
    /// [`TAILROOM`](crate::TAILROOM); only the last may be shorter, as in a GSO batch.
    ///
    /// # Errors
    /// Those of [`seal`](Self::seal); the records before the failing one are sealed.
    pub fn seal_batch(
        &mut self,
        content: ContentType,
        batch: &mut [u8],
        segment: usize,
    ) -> Result<(), SealError> {
        if segment == 0 {
            return Err(SealError::TooShort { len: 0 });
        }
        batch
            .chunks_mut(segment)
            .try_for_each(|record| self.seal(content, record))
    }

    /// The close_notify, once: we send it to close, or answer the peer's with it. Nothing can be
    /// sealed afterwards (RFC 5246 section 7.2.1).
    pub fn close_notify(&mut self) -> Option<[u8; CLOSE_NOTIFY_LEN]> {
        let record = self.alert(LEVEL_WARNING, AlertDescription::CLOSE_NOTIFY)?;
        self.closed = true;
        Some(record)
    }

    pub(crate) fn fatal_alert(
        &mut self,
        description: AlertDescription,
    ) -> Option<[u8; CLOSE_NOTIFY_LEN]> {
        let record = self.alert(LEVEL_FATAL, description)?;
        self.closed = true;
        Some(record)
    }

    /// How much the key was used.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The number of the next record.
    pub fn next_sequence(&self) -> u64 {
        self.next & MAX_SEQUENCE
    }

    /// Ends the numbers before an explicit nonce that the engine used up at random under this key.
    /// One in 65,536 has our epoch in front; its number is then so far away that the bound costs
    /// nothing, but uniqueness stays a fact instead of a probability.
    pub(crate) fn stop_before_nonce(&mut self, nonce: [u8; EXPLICIT_NONCE_LEN]) {
        let nonce = u64::from_be_bytes(nonce);
        if nonce >= self.next {
            self.last = self.last.min(nonce - 1);
        }
    }

    fn alert(
        &mut self,
        level: u8,
        description: AlertDescription,
    ) -> Option<[u8; CLOSE_NOTIFY_LEN]> {
        let mut record = [0; CLOSE_NOTIFY_LEN];
        record[HEADROOM..HEADROOM + ALERT_LEN].copy_from_slice(&[level, description.0]);
        self.seal(ContentType::Alert, &mut record).ok()?;
        Some(record)
    }
}

impl fmt::Debug for Sealer {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("next_sequence", &self.next_sequence())
            .field("usage", &self.usage)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// A record that was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Less than head- and tailroom.
    #[error("record of {len} bytes has no room for its {OVERHEAD} bytes of overhead")]
    TooShort {
        /// The whole length.
        len: usize,
    },
    /// More plaintext than a record may have.
    #[error("plaintext of {len} bytes is longer than {MAX_PLAINTEXT}")]
    TooLong {
        /// The plaintext's length.
        len: usize,
    },
    /// All 2^48 record numbers are used; DTLS 1.2 cannot change keys.
    #[error("record numbers are used up")]
    Exhausted,
    /// close_notify was sent.
    #[error("closed")]
    Closed,
}

pub(crate) fn less_safe_key(key: &[u8; 16]) -> LessSafeKey {
    let key = UnboundKey::new(&AES_128_GCM, key).expect("16 bytes are an AES-128 key");
    LessSafeKey::new(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An explicit nonce that the engine drew at random under our key is never counted up to.
    #[test]
    fn stops_before_a_foreign_nonce() {
        let mut sealer = Sealer::new(&[1; 16], [2; 4], 10);
        // Other epochs, and numbers behind us, cannot come up.
        for harmless in [0, 9, EPOCH_ONE | 9, 2 << 48, u64::MAX] {
            sealer.stop_before_nonce(harmless.to_be_bytes());
            assert_eq!(sealer.last, EPOCH_ONE | MAX_SEQUENCE);
        }
        sealer.stop_before_nonce((EPOCH_ONE | 12).to_be_bytes());
        let mut record = [0; OVERHEAD];
        assert_eq!(
            sealer.seal(ContentType::ApplicationData, &mut record),
            Ok(())
        );
        assert_eq!(
            sealer.seal(ContentType::ApplicationData, &mut record),
            Ok(())
        );
        let third = sealer.seal(ContentType::ApplicationData, &mut record);
        assert_eq!(third, Err(SealError::Exhausted));
    }
}
