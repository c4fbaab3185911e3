//! The bytes of a message that comes in fragments.

use bytes::Bytes;

use super::Violation;
use crate::serial::StreamId;

/// Fragments that follow each other, appended.
#[derive(Debug, Default)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends a fragment of a message on `stream` that may have `max` bytes.
    #[inline]
    pub(super) fn push(
        &mut self,
        fragment: &[u8],
        max: usize,
        stream: StreamId,
    ) -> Result<(), Violation> {
        let len = self.0.len();
        let more = fragment.len();
        if more > max.saturating_sub(len) {
            return Err(Violation::MessageTooLarge(stream));
        }
        if self.0.capacity() - len < more {
            // Doubles small buffers; large ones grow by an eighth, so that a huge message costs
            // little more than its size.
            let step = if len < LARGE { len } else { len / 8 };
            self.0.reserve_exact(step.min(max - len).max(more));
        }
        self.0.extend_from_slice(fragment);
        Ok(())
    }

    /// Appends what follows.
    pub(super) fn absorb(
        &mut self,
        follower: &Self,
        max: usize,
        stream: StreamId,
    ) -> Result<(), Violation> {
        self.push(&follower.0, max, stream)
    }

    /// The memory it takes.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The message, and the memory it takes.
    pub(super) fn finish(mut self) -> (Bytes, usize) {
        let len = self.0.len();
        if self.0.capacity() > len + len / 8 {
            self.0.shrink_to_fit();
        }
        let capacity = self.0.capacity();
        (self.0.into(), capacity)
    }
}

/// Where buffers stop doubling.
const LARGE: usize = 256 << 10;
