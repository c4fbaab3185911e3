//! Payloads as queue, outstanding ring and batches share them.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// A message's bytes with a count of references that is used again.
///
/// Cloning a `Bytes` made from a `Vec` allocates such a count, once for each message, and the last
/// clone frees it, mostly on another thread. Here the counts circulate: [`PayloadPool`] hands one
/// out with each message, the batch that drops the message gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload(Arc<Bytes>);

impl Payload {
    /// Whether both are the same message.
    #[inline]
    pub(crate) fn is(&self, other: &Payload) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Payload {
    type Target = Bytes;

    #[inline]
    fn deref(&self) -> &Bytes {
        &self.0
    }
}

/// Counts without a message.
#[derive(Debug, Default)]
pub(crate) struct PayloadPool(Vec<Arc<Bytes>>);

impl PayloadPool {
    /// A message that can be shared.
    pub(crate) fn share(&mut self, bytes: Bytes) -> Payload {
        let mut count = self.0.pop().unwrap_or_default();
        match Arc::get_mut(&mut count) {
            Some(empty) => *empty = bytes,
            // Not reached: only counts that nobody shares are taken back.
            None => count = Arc::new(bytes),
        }
        Payload(count)
    }

    /// Drops a message that is no longer needed. Its count is kept, if nobody else has the message
    /// and there is room.
    pub(crate) fn retire(&mut self, payload: Payload) {
        let Payload(mut count) = payload;
        if self.0.len() < MAX_SPARE
            && let Some(bytes) = Arc::get_mut(&mut count)
        {
            *bytes = Bytes::new();
            self.0.push(count);
        }
    }

    /// Takes over the spare counts of another pool.
    pub(crate) fn refill_from(&mut self, other: &mut PayloadPool) {
        if self.0.is_empty() {
            std::mem::swap(&mut self.0, &mut other.0);
        } else {
            let room = MAX_SPARE.saturating_sub(self.0.len());
            self.0
                .extend(other.0.drain(other.0.len().saturating_sub(room)..));
        }
    }

    /// Gives its memory back.
    pub(crate) fn shrink(&mut self) {
        self.0 = Vec::new();
    }
}

/// More messages of 1 KiB than one batch of acknowledgements frees. 56 KiB, given back when the
/// connection is quiet.
const MAX_SPARE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A count taken back too early would put another message's bytes into a packet.
    #[test]
    fn a_message_that_is_still_shared_keeps_its_count() {
        let (mut pool, mut other) = (PayloadPool::default(), PayloadPool::default());
        let first = pool.share(Bytes::from_static(b"first"));
        let in_a_batch = first.clone();
        other.retire(first);
        pool.refill_from(&mut other);
        let second = pool.share(Bytes::from_static(b"second"));
        assert_eq!(
            (&in_a_batch[..], &second[..]),
            (&b"first"[..], &b"second"[..])
        );
        assert!(!in_a_batch.is(&second));
    }

    #[test]
    fn counts_are_used_again_and_bytes_are_not_kept() {
        let (mut pool, mut other) = (PayloadPool::default(), PayloadPool::default());
        let message = Bytes::from(vec![7; 100]);
        let payload = pool.share(message.clone());
        let count = Arc::as_ptr(&payload.0);
        other.retire(payload);
        assert!(message.is_unique(), "the bytes are freed at once");
        pool.refill_from(&mut other);
        assert_eq!(Arc::as_ptr(&pool.share(message).0), count);
    }

    /// A burst of many small messages must not leave its counts behind.
    #[test]
    fn spare_counts_are_bounded() {
        let (mut pool, mut other) = (PayloadPool::default(), PayloadPool::default());
        for _ in 0..3 {
            let many: Vec<_> = (0..2 * MAX_SPARE)
                .map(|_| pool.share(Bytes::from_static(b"m")))
                .collect();
            many.into_iter().for_each(|payload| other.retire(payload));
            pool.refill_from(&mut other);
            assert!(pool.0.len() <= MAX_SPARE && other.0.len() <= MAX_SPARE);
        }
    }
}
