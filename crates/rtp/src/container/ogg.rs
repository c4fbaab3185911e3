//! Opus in Ogg (RFC 3533, RFC 7845): one stream of a channel mapping that WebRTC uses.

use std::io::{Read, Write};

use super::{ContainerError, read_exact, read_exact_or_end, read_record};
use crate::payload::OpusToc;
use crate::{DecodeError, Limits};

/// The identification header (RFC 7845 §5.1), channel mapping family 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// 1 or 2.
    pub channels: u8,
    /// Samples at 48 kHz to throw away at the beginning.
    pub pre_skip: u16,
    /// Sampling rate of the original, in Hz; for information.
    pub sample_rate: u32,
    /// To be applied when decoding, in 1/256 dB.
    pub gain: i16,
}

impl OpusHead {
    /// What a WebRTC stream is: stereo at 48 kHz, nothing to skip.
    #[must_use]
    pub const fn webrtc() -> Self {
        Self {
            channels: 2,
            pre_skip: 0,
            sample_rate: 48_000,
            gain: 0,
        }
    }

    fn encode(&self) -> [u8; 19] {
        let mut bytes = [0; 19];
        bytes[..8].copy_from_slice(HEAD);
        bytes[8] = 1;
        bytes[9] = self.channels;
        bytes[10..12].copy_from_slice(&self.pre_skip.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.sample_rate.to_le_bytes());
        bytes[16..18].copy_from_slice(&self.gain.to_le_bytes());
        bytes
    }

    fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let bytes = packet.first_chunk::<19>().ok_or(DecodeError::Truncated)?;
        if bytes[..8] != *HEAD {
            return Err(DecodeError::Malformed("OpusHead"));
        }
        // §5.1: the high four bits are the major version.
        if bytes[8] & 0xf0 != 0 {
            return Err(DecodeError::Version);
        }
        if bytes[18] != 0 {
            return Err(DecodeError::Unsupported("Opus channel mapping"));
        }
        Ok(Self {
            channels: bytes[9],
            pre_skip: u16::from_le_bytes([bytes[10], bytes[11]]),
            sample_rate: u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]),
            gain: i16::from_le_bytes([bytes[16], bytes[17]]),
        })
    }
}

/// Writes Opus packets, one to a page, so that nothing written is ever waited for.
#[derive(Debug)]
pub struct OggOpusWriter<W> {
    writer: W,
    serial: u32,
    page: u32,
    granule: u64,
    buffer: Vec<u8>,
}

impl<W: Write> OggOpusWriter<W> {
    /// Writes both header pages. `serial` tells streams of one file apart.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(writer: W, head: &OpusHead, serial: u32) -> Result<Self, ContainerError> {
        let granule = 0;
        let mut ogg = Self {
            writer,
            serial,
            page: 0,
            granule,
            buffer: Vec::new(),
        };
        ogg.page(&head.encode(), BEGINNING, 0)?;
        // Vendor string and no comments (§5.2).
        let mut tags = TAGS.to_vec();
        tags.extend_from_slice(&(VENDOR.len() as u32).to_le_bytes());
        tags.extend_from_slice(VENDOR);
        tags.extend_from_slice(&[0; 4]);
        ogg.page(&tags, 0, 0)?;
        ogg.granule = head.pre_skip.into();
        Ok(ogg)
    }

    /// Writes an Opus packet, as it is in an RTP payload.
    ///
    /// # Errors
    /// The writer's, not an Opus packet, or one too long for a page.
    pub fn write(&mut self, packet: &[u8]) -> Result<(), ContainerError> {
        let granule = self.granule + u64::from(OpusToc::parse(packet)?.samples());
        self.page(packet, 0, granule)?;
        self.granule = granule;
        Ok(())
    }

    /// Accounts for `samples` at 48 kHz that are missing.
    pub const fn skip(&mut self, samples: u32) {
        self.granule += samples as u64;
    }

    /// Ends the stream and gives the writer back.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> Result<W, ContainerError> {
        self.page(&[], END, self.granule)?;
        Ok(self.writer)
    }

    fn page(&mut self, packet: &[u8], flags: u8, granule: u64) -> Result<(), ContainerError> {
        // An empty page with the end flag has no packet; a packet ends with a lace below 255.
        let laces = if flags & END != 0 {
            0
        } else {
            packet.len() / 255 + 1
        };
        let Ok(count) = u8::try_from(laces) else {
            return Err(ContainerError::TooLarge {
                len: packet.len(),
                max: 255 * 255 - 1,
            });
        };
        let page = &mut self.buffer;
        page.clear();
        page.extend_from_slice(CAPTURE);
        page.extend_from_slice(&[0, flags]);
        page.extend_from_slice(&granule.to_le_bytes());
        page.extend_from_slice(&self.serial.to_le_bytes());
        page.extend_from_slice(&self.page.to_le_bytes());
        page.extend_from_slice(&[0, 0, 0, 0, count]);
        for lace in 0..laces {
            page.push(if lace + 1 < laces {
                255
            } else {
                (packet.len() % 255) as u8
            });
        }
        page.extend_from_slice(packet);
        let crc = crc(0, page).to_le_bytes();
        page[22..26].copy_from_slice(&crc);
        self.writer.write_all(page)?;
        self.page = self.page.wrapping_add(1);
        Ok(())
    }
}

/// Reads Opus packets.
#[derive(Debug)]
pub struct OggOpusReader<R> {
    reader: R,
    head: OpusHead,
    serial: u32,
    /// The current page's lacing values that have not been used, and where its content goes on.
    laces: Vec<u8>,
    lace: usize,
    content: Vec<u8>,
    at: usize,
    max_packet: usize,
}

impl<R: Read> OggOpusReader<R> {
    /// Reads both headers.
    ///
    /// # Errors
    /// Not Opus in Ogg.
    pub fn new(reader: R, limits: &Limits) -> Result<Self, ContainerError> {
        let mut ogg = Self {
            reader,
            head: OpusHead::webrtc(),
            serial: 0,
            laces: Vec::new(),
            lace: 0,
            content: Vec::new(),
            at: 0,
            max_packet: limits.container_record,
        };
        let mut packet = Vec::new();
        if !ogg.page(true)? || !ogg.read(&mut packet)? {
            return Err(DecodeError::Truncated.into());
        }
        ogg.head = OpusHead::decode(&packet)?;
        if !ogg.read(&mut packet)? || !packet.starts_with(TAGS) {
            return Err(DecodeError::Malformed("OpusTags").into());
        }
        Ok(ogg)
    }

    /// The identification header.
    #[must_use]
    pub const fn head(&self) -> &OpusHead {
        &self.head
    }

    /// Replaces the bytes in `packet` with the next Opus packet; false at the end of the file.
    ///
    /// # Errors
    /// A page that is damaged, or a packet that is cut off or too large.
    pub fn read(&mut self, packet: &mut Vec<u8>) -> Result<bool, ContainerError> {
        packet.clear();
        let mut is_open = false;
        loop {
            let Some(lace) = self.laces.get(self.lace).copied() else {
                if self.page(false)? {
                    continue;
                }
                return if is_open {
                    Err(DecodeError::Truncated.into())
                } else {
                    Ok(false)
                };
            };
            let end = self.at + usize::from(lace);
            let part = self
                .content
                .get(self.at..end)
                .ok_or(DecodeError::Truncated)?;
            if packet.len() + part.len() > self.max_packet {
                let len = packet.len() + part.len();
                return Err(ContainerError::TooLarge {
                    len,
                    max: self.max_packet,
                });
            }
            packet.extend_from_slice(part);
            self.at = end;
            self.lace += 1;
            is_open = lace == 255;
            if !is_open {
                return Ok(true);
            }
        }
    }

    /// Reads the stream's next page; false at the end of the file. The first page says which
    /// stream it is; pages of others are skipped.
    fn page(&mut self, is_first: bool) -> Result<bool, ContainerError> {
        loop {
            let mut header = [0; 27];
            if !read_exact_or_end(&mut self.reader, &mut header)? {
                return Ok(false);
            }
            if header[..4] != *CAPTURE {
                return Err(DecodeError::Malformed("Ogg capture pattern").into());
            }
            if header[4] != 0 {
                return Err(DecodeError::Version.into());
            }
            let mut laces = [0; 255];
            let laces = &mut laces[..usize::from(header[26])];
            read_exact(&mut self.reader, laces)?;
            let len = laces.iter().map(|lace| usize::from(*lace)).sum();
            read_record(&mut self.reader, len, 255 * 255, &mut self.content)?;
            let expected = u32::from_le_bytes([header[22], header[23], header[24], header[25]]);
            header[22..26].fill(0);
            if crc(crc(crc(0, &header), laces), &self.content) != expected {
                return Err(DecodeError::Malformed("Ogg checksum").into());
            }
            let serial = u32::from_le_bytes([header[14], header[15], header[16], header[17]]);
            if is_first {
                self.serial = serial;
            }
            self.at = 0;
            self.lace = 0;
            self.laces.clear();
            if serial == self.serial {
                self.laces.extend_from_slice(laces);
                return Ok(true);
            }
        }
    }
}

/// CRC-32 with the polynomial 0x04c11db7, not reflected, beginning with 0 (RFC 3533 §6).
fn crc(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        crc << 8 ^ CRC_TABLE[usize::from((crc >> 24) as u8 ^ byte)]
    })
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value >> 31 == 1 {
                value << 1 ^ 0x04c1_1db7
            } else {
                value << 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

const CAPTURE: &[u8; 4] = b"OggS";
const HEAD: &[u8; 8] = b"OpusHead";
const TAGS: &[u8] = b"OpusTags";
const VENDOR: &[u8] = b"peerloom";
const BEGINNING: u8 = 2;
const END: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn packets() -> Vec<Vec<u8>> {
        [2, 254, 255, 256, 510, 1000]
            .map(|len| (0..len).map(|byte| (byte as u8) & !3).collect())
            .into()
    }

    fn file() -> Vec<u8> {
        let mut writer = OggOpusWriter::new(Vec::new(), &OpusHead::webrtc(), 7).unwrap();
        for packet in packets() {
            writer.write(&packet).unwrap();
        }
        assert!(writer.write(&[]).is_err());
        assert!(matches!(
            writer.write(&[0; 65_025]),
            Err(ContainerError::TooLarge { .. })
        ));
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ContainerError> {
        let mut reader = OggOpusReader::new(bytes, &Limits::default())?;
        assert_eq!(*reader.head(), OpusHead::webrtc());
        let mut packet = Vec::new();
        let mut all = Vec::new();
        while reader.read(&mut packet)? {
            all.push(packet.clone());
        }
        Ok(all)
    }

    /// The check value of CRC-32/MPEG-2's polynomial with a zero start, from its catalogue entry.
    #[test]
    fn checksum() {
        assert_eq!(crc(0, b"123456789"), 0x89a1_897f);
    }

    /// Packets of every lacing, among them multiples of 255, come back.
    #[test]
    fn comes_back() {
        assert_eq!(read(&file()).unwrap(), packets());
    }

    /// A flipped bit anywhere, or a cut within a page, is noticed.
    #[test]
    fn damage() {
        let bytes = file();
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(read(&damaged).is_err(), "{at}");
        }
        // Whole are the file without its last page, and so on down to the headers.
        let whole = (0..bytes.len())
            .filter(|len| read(&bytes[..*len]).is_ok())
            .count();
        assert_eq!(whole, packets().len() + 1);
    }
}
