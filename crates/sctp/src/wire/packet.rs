//! The packet: common header, checksum, chunks (RFC 9260 §3.1, §6.8, §6.10).

use smallvec::SmallVec;

use super::DecodeError;
use super::chunk::Chunk;
use super::tlv::{TLV_HEADER, Writer};

/// A packet, borrowing from the datagram it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The receiver's tag: zero for an INIT, reflected under a T-bit, else what the receiver put
    /// into its own INIT or INIT-ACK. The association checks it.
    pub verification_tag: u32,
    /// The chunks in the order of the wire, at least one. They end with an unknown one that stops
    /// the processing (§3.2), whatever followed.
    pub chunks: SmallVec<[Chunk<'a>; 3]>,
    /// Bytes of the whole datagram.
    pub len: usize,
}

/// The common header without its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHeader {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The receiver's tag.
    pub verification_tag: u32,
}

/// What protects a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Checksum {
    /// CRC32c (§6.8).
    #[default]
    Crc32c,
    /// Nothing but the DTLS record around it: the field is zero (RFC 9653). On receipt, a zero is
    /// accepted beside a correct CRC32c; only after announcing it in INIT or INIT-ACK.
    Zero,
}

/// Bytes of the common header.
pub const HEADER_LEN: usize = 12;

impl<'a> Packet<'a> {
    /// Decodes a datagram with a CRC32c.
    ///
    /// Takes time linear in the length, allocates nothing for a packet of up to three DATA and
    /// SACK chunks (of up to 8 gaps and 4 duplicates) and at most 16 times the length otherwise.
    ///
    /// # Errors
    /// [`DecodeError`] if anything about the datagram is wrong; drop it and go on.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with(datagram, Checksum::Crc32c)
    }

    /// [`Packet::decode`] where a zero checksum may be acceptable.
    ///
    /// # Errors
    /// As [`Packet::decode`].
    pub fn decode_with(datagram: &'a [u8], checksum: Checksum) -> Result<Self, DecodeError> {
        let short = DecodeError::TooShort(datagram.len());
        let (header, mut rest) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(short)?;
        let (chunk_header, behind) = rest.split_first_chunk::<TLV_HEADER>().ok_or(short)?;
        let &[s0, s1, d0, d1, v0, v1, v2, v3, c0, c1, c2, c3] = header;
        // §6.8: the CRC is transmitted in the byte order in which CRC32c hardware leaves it.
        let found = u32::from_le_bytes([c0, c1, c2, c3]);
        if !(found == 0 && checksum == Checksum::Zero) && found != crc(header, chunk_header, behind)
        {
            return Err(DecodeError::Checksum);
        }
        let mut chunks = SmallVec::new();
        let mut alone = None;
        let mut small = 0;
        while !rest.is_empty() {
            let chunk = Chunk::decode(&mut rest)?;
            // By what the chunk is worth, not by the datagram's length: bytes that are left out do
            // not make room for more.
            small += usize::from(chunk.encoded_len() < SMALLEST_DATA);
            if small > MAX_SMALL {
                return Err(DecodeError::TooMany);
            }
            alone = alone.or(chunk.alone());
            let stops = matches!(&chunk, Chunk::Unknown(unknown) if unknown.action().stops());
            if chunks.len() == chunks.inline_size() {
                // Many small messages: most likely more like this one, in one allocation.
                chunks.reserve(2 + rest.len() / chunk.encoded_len().max(SMALLEST_DATA));
            }
            chunks.push(chunk);
            if stops {
                break;
            }
        }
        match alone {
            Some(chunk_type) if chunks.len() > 1 => Err(DecodeError::Bundled { chunk_type }),
            _ => Ok(Self {
                source_port: u16::from_be_bytes([s0, s1]),
                destination_port: u16::from_be_bytes([d0, d1]),
                verification_tag: u32::from_be_bytes([v0, v1, v2, v3]),
                chunks,
                len: datagram.len(),
            }),
        }
    }

    /// The common header.
    #[must_use]
    pub fn header(&self) -> PacketHeader {
        PacketHeader {
            source_port: self.source_port,
            destination_port: self.destination_port,
            verification_tag: self.verification_tag,
        }
    }

    /// Bytes that [`Packet::encode`] writes. [`Packet::len`], what came, can differ: padding may
    /// have been missing, and chunks left out.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.chunks.iter().map(Chunk::encoded_len).sum::<usize>()
    }

    /// Writes the packet with its CRC32c and returns [`Packet::encoded_len`]. For tests and single
    /// packets; an association's packets are written by [`crate::PacketBatch::encode`].
    ///
    /// # Panics
    /// If `out` is shorter than that.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let out = &mut out[..self.encoded_len()];
        let mut writer = Writer::new(out);
        encode_header(self.header(), &mut writer);
        for chunk in &self.chunks {
            chunk.write(&mut writer);
        }
        write_checksum(out);
        out.len()
    }
}

/// Writes the common header with a checksum of zero.
#[inline]
pub(crate) fn encode_header(header: PacketHeader, out: &mut Writer<'_>) {
    let mut bytes = [0; HEADER_LEN];
    bytes[0..2].copy_from_slice(&header.source_port.to_be_bytes());
    bytes[2..4].copy_from_slice(&header.destination_port.to_be_bytes());
    bytes[4..8].copy_from_slice(&header.verification_tag.to_be_bytes());
    out.slice(&bytes);
}

/// Fills in the CRC32c of a whole packet whose checksum field is zero.
#[inline]
pub(crate) fn write_checksum(packet: &mut [u8]) {
    let crc = crc32c::crc32c(packet);
    packet[8..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
}

/// CRC32c as if the checksum field were zero, without touching the packet.
#[inline]
fn crc(header: &[u8; HEADER_LEN], chunk_header: &[u8; TLV_HEADER], behind: &[u8]) -> u32 {
    // Sixteen bytes, not twelve: what remains keeps the alignment of the datagram.
    let mut front = [0; HEADER_LEN + TLV_HEADER];
    front[..8].copy_from_slice(&header[..8]);
    front[HEADER_LEN..].copy_from_slice(chunk_header);
    crc32c::crc32c_append(crc32c::crc32c(&front), behind)
}

/// A DATA chunk of one byte. Honest packets hold at most so many chunks, and a few control chunks
/// before them.
const SMALLEST_DATA: usize = 20;

/// Chunks shorter than any DATA chunk in one packet; an honest peer sends two or three.
const MAX_SMALL: usize = 8;
