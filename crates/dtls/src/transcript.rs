//! The handshake messages of both directions in unfragmented form, for the Finished (RFC 6347
//! section 4.2.6).

use ring::digest::{self, Digest};

use crate::normalise::message::MessageType;

/// All messages so far but the first ClientHello and the HelloVerifyRequest.
#[derive(Debug, Default)]
pub(crate) struct Transcript(Vec<u8>);

impl Transcript {
    /// Adds a message with its header, whose fragment is the whole message.
    pub(crate) fn push(&mut self, message: &[u8]) {
        if message.first() == Some(&MessageType::HELLO_VERIFY_REQUEST) {
            // Neither it nor the ClientHello before it counts (RFC 6347 section 4.2.1).
            self.0.clear();
        } else {
            self.0.extend_from_slice(message);
        }
    }

    /// The hash of it, and of `last` behind it.
    pub(crate) fn hash(&self, last: &[u8]) -> Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.0);
        context.update(last);
        context.finish()
    }
}
