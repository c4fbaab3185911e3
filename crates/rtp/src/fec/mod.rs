//! Forward error correction: packets that are the exclusive or of others.

mod decoder;
mod flexfec;
mod ulpfec;

pub use decoder::FecDecoder;
pub use flexfec::FlexFecEncoder;

use crate::payload::RedBlock;
use crate::rtx::copy_header;
use crate::{RtpHeader, RtpPacket, WriteError};

/// What both formats say about the packets they protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Protection {
    /// Sequence number of the first bit of the mask.
    base: crate::SequenceNumber,
    /// The highest bit stands for the base, the next for the one after it.
    mask: u128,
    sum: Sum,
}

/// The exclusive or of the parts of a header that can be recovered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    /// P, X, CC; M and the payload type.
    head: [u8; 2],
    /// Bytes after the first twelve.
    length: u16,
    timestamp: u32,
}

impl Sum {
    fn add(&mut self, packet: &[u8; 12], length: usize) {
        let [a, b, _, _, t0, t1, t2, t3, ..] = *packet;
        self.head[0] ^= a;
        self.head[1] ^= b;
        self.length ^= length as u16;
        self.timestamp ^= u32::from_be_bytes([t0, t1, t2, t3]);
    }
}

/// Exclusive or of what both have; `sum` is as long as the longest.
fn xor(sum: &mut [u8], bytes: &[u8]) {
    for (sum, byte) in sum.iter_mut().zip(bytes) {
        *sum ^= byte;
    }
}

/// Writes the packet that a RED packet of a video stream stands for: ULPFEC protects packets as
/// they were before they went into RED (RFC 5109 §14.2). Returns its length.
///
/// # Errors
/// The buffer is too small.
pub fn unwrap_red(
    packet: &RtpPacket<'_>,
    block: &RedBlock<'_>,
    buffer: &mut [u8],
) -> Result<usize, WriteError> {
    let header = RtpHeader {
        payload_type: block.payload_type,
        ..packet.header()
    };
    let mut body = copy_header(packet, &header, buffer)?;
    body.payload(block.data)?;
    Ok(body.finish())
}

/// The highest bit of a mask.
const FIRST: u128 = 1 << 127;

#[cfg(test)]
mod tests;
