//! Memory for small messages.
//!
//! A message that keeps its slice keeps the whole block alive. So a block holds consecutive
//! messages of *one* stream only: an application that takes a stream's messages in order, however
//! late, keeps at most one block beyond what it was charged for, and one that leaves a stream alone
//! is charged for all that its blocks hold. Blocks start at a single message and grow while the
//! stream has the floor.

use bytes::{Bytes, BytesMut};

use crate::serial::StreamId;

#[derive(Debug, Default)]
pub(super) struct Arena {
    block: BytesMut,
    stream: StreamId,
    /// Messages the next block is meant for.
    grant: usize,
}

impl Arena {
    /// A copy of `payload`.
    #[inline]
    pub(super) fn copy(&mut self, stream: StreamId, payload: &[u8]) -> Bytes {
        if payload.len() > MAX_CARVED {
            return Bytes::copy_from_slice(payload);
        }
        if self.stream != stream {
            self.stream = stream;
            self.grant = 0;
            self.block = BytesMut::new();
        }
        if self.block.capacity() < payload.len() {
            if self.grant == 0 {
                self.grant = FIRST_GRANT;
                return Bytes::copy_from_slice(payload);
            }
            // A full block goes with the last message in it.
            let size = (payload.len() * self.grant).min(MAX_BLOCK);
            self.block = BytesMut::with_capacity(size);
            self.grant = (self.grant * FIRST_GRANT).min(MAX_BLOCK);
        }
        self.block.extend_from_slice(payload);
        self.block.split().freeze()
    }
}

/// Messages above this have memory of their own.
const MAX_CARVED: usize = 2048;

/// What a single kept message can keep alive at most.
const MAX_BLOCK: usize = 16 << 10;

/// Growth of blocks.
const FIRST_GRANT: usize = 4;
