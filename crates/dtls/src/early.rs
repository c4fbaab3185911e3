//! A ClientHello that comes before the remote description: kept until there are fingerprints to
//! handshake with, one flight and no more.

use bytes::Bytes;

use crate::handshake::Handshake;
use crate::normalise::message::{Fragment, MessageType};
use crate::record::{ContentType, split};

/// The ClientHello of a peer that was faster than its answer. Feed it only from an address that
/// passed an authenticated ICE check.
#[derive(Debug, Default)]
pub struct EarlyFlight {
    datagrams: Vec<Bytes>,
    bytes: usize,
}

impl EarlyFlight {
    /// What is kept at most, in bytes. A ClientHello with a post-quantum key share has 1.5 KB.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a datagram if it belongs to a first ClientHello, is not kept already, and fits.
    /// Returns whether it was kept.
    pub fn push(&mut self, datagram: &[u8]) -> bool {
        let fits = self.bytes + datagram.len() <= Self::MAX_BYTES;
        if !fits || self.datagrams.len() == MAX_DATAGRAMS || !is_first_hello(datagram) {
            return false;
        }
        // The client repeats its flight while we wait, with new record numbers.
        let repeated = |kept: &Bytes| hello_bodies(kept).eq(hello_bodies(datagram));
        if self.datagrams.iter().any(repeated) {
            return false;
        }
        self.bytes += datagram.len();
        self.datagrams.push(Bytes::copy_from_slice(datagram));
        true
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Hands everything to the handshake and forgets it.
    pub fn replay(&mut self, now: std::time::Instant, handshake: &mut Handshake) {
        self.bytes = 0;
        for datagram in self.datagrams.drain(..) {
            handshake.handle_datagram(now, &datagram);
        }
    }
}

fn is_first_hello(datagram: &[u8]) -> bool {
    let mut records = 0;
    split(datagram).all(|record| {
        records += 1;
        record.is_ok_and(|record| {
            record.header.epoch == 0
                && record.header.content_type == ContentType::Handshake as u8
                && Fragment::parse(record.body).is_some_and(|(fragment, rest)| {
                    rest.is_empty()
                        && fragment.kind == MessageType::CLIENT_HELLO
                        && fragment.sequence == 0
                })
        })
    }) && records > 0
}

fn hello_bodies(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(datagram).flatten().map(|record| record.body)
}

/// A fragment of a ClientHello below 100 B would be odd.
const MAX_DATAGRAMS: usize = 32;
