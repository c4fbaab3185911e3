//! IVF: video frames with timestamps; what the VP8, VP9 and AV1 tools use.

use std::io::{Read, Seek, SeekFrom, Write};

use super::{ContainerError, read_exact, read_exact_or_end, read_record};
use crate::{DecodeError, Limits};

/// The file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IvfHeader {
    /// `VP80`, `VP90` or `AV01`.
    pub fourcc: [u8; 4],
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
    /// Ticks of the timestamps in `scale` seconds.
    pub rate: u32,
    /// See `rate`.
    pub scale: u32,
    /// As the writer believed; may be 0.
    pub frames: u32,
}

impl IvfHeader {
    /// A header for timestamps of the RTP clock of video, 90 kHz.
    #[must_use]
    pub const fn video(fourcc: [u8; 4], width: u16, height: u16) -> Self {
        Self {
            fourcc,
            width,
            height,
            rate: 90_000,
            scale: 1,
            frames: 0,
        }
    }

    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[6..8].copy_from_slice(&(HEADER as u16).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.fourcc);
        bytes[12..14].copy_from_slice(&self.width.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.height.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.rate.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.scale.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.frames.to_le_bytes());
        bytes
    }
}

/// Reads frames.
#[derive(Debug)]
pub struct IvfReader<R> {
    reader: R,
    header: IvfHeader,
    max_frame: usize,
}

impl<R: Read> IvfReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Not an IVF file.
    pub fn new(mut reader: R, limits: &Limits) -> Result<Self, ContainerError> {
        let mut bytes = [0; HEADER];
        read_exact(&mut reader, &mut bytes)?;
        if bytes[..4] != *MAGIC {
            return Err(DecodeError::Malformed("IVF signature").into());
        }
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        if u16_at(4) != 0 {
            return Err(DecodeError::Version.into());
        }
        let Some(more) = usize::from(u16_at(6)).checked_sub(HEADER) else {
            return Err(DecodeError::Malformed("IVF header length").into());
        };
        let header = IvfHeader {
            fourcc: [bytes[8], bytes[9], bytes[10], bytes[11]],
            width: u16_at(12),
            height: u16_at(14),
            rate: u32_at(16),
            scale: u32_at(20),
            frames: u32_at(24),
        };
        read_record(&mut reader, more, usize::from(u16::MAX), &mut Vec::new())?;
        Ok(Self {
            reader,
            header,
            max_frame: limits.container_record,
        })
    }

    /// The file header.
    #[must_use]
    pub const fn header(&self) -> &IvfHeader {
        &self.header
    }

    /// Replaces the bytes in `frame` with the next frame and returns its timestamp; none at the
    /// end of the file.
    ///
    /// # Errors
    /// The file is cut off, or the frame too large.
    pub fn read(&mut self, frame: &mut Vec<u8>) -> Result<Option<u64>, ContainerError> {
        let mut bytes = [0; 12];
        if !read_exact_or_end(&mut self.reader, &mut bytes)? {
            return Ok(None);
        }
        let [l0, l1, l2, l3, timestamp @ ..] = bytes;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        read_record(&mut self.reader, len, self.max_frame, frame)?;
        Ok(Some(u64::from_le_bytes(timestamp)))
    }
}

/// Writes frames.
#[derive(Debug)]
pub struct IvfWriter<W> {
    writer: W,
    header: IvfHeader,
}

impl<W: Write> IvfWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(mut writer: W, header: IvfHeader) -> Result<Self, ContainerError> {
        writer.write_all(&header.encode())?;
        Ok(Self {
            writer,
            header: IvfHeader {
                frames: 0,
                ..header
            },
        })
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// The writer's, or a frame over 4 GiB.
    pub fn write(&mut self, timestamp: u64, frame: &[u8]) -> Result<(), ContainerError> {
        let max = u32::MAX as usize;
        let len = u32::try_from(frame.len()).map_err(|_| ContainerError::TooLarge {
            len: frame.len(),
            max,
        })?;
        self.writer.write_all(&len.to_le_bytes())?;
        self.writer.write_all(&timestamp.to_le_bytes())?;
        self.writer.write_all(frame)?;
        self.header.frames = self.header.frames.saturating_add(1);
        Ok(())
    }

    /// Gives the writer back; the header says as many frames as it was given.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

impl<W: Write + Seek> IvfWriter<W> {
    /// Writes the number of frames into the header and gives the writer back.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> Result<W, ContainerError> {
        self.writer.seek(SeekFrom::Start(0))?;
        self.writer.write_all(&self.header.encode())?;
        self.writer.seek(SeekFrom::End(0))?;
        Ok(self.writer)
    }
}

const MAGIC: &[u8; 4] = b"DKIF";
const HEADER: usize = 32;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn file() -> Vec<u8> {
        let header = IvfHeader::video(*b"VP80", 640, 480);
        let mut writer = IvfWriter::new(Cursor::new(Vec::new()), header).unwrap();
        writer.write(0, b"one").unwrap();
        writer.write(3000, b"").unwrap();
        writer.write(u64::MAX, b"three").unwrap();
        writer.finish().unwrap().into_inner()
    }

    fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<(u64, Vec<u8>)>, ContainerError> {
        let mut reader = IvfReader::new(bytes, limits)?;
        let mut frames = Vec::new();
        let mut frame = Vec::new();
        while let Some(timestamp) = reader.read(&mut frame)? {
            frames.push((timestamp, frame.clone()));
        }
        Ok(frames)
    }

    /// Frames and header come back, the count of frames included.
    #[test]
    fn comes_back() {
        let bytes = file();
        let limits = Limits::default();
        let expected = [
            (0, b"one".to_vec()),
            (3000, vec![]),
            (u64::MAX, b"three".to_vec()),
        ];
        assert_eq!(read(&bytes, &limits).unwrap(), expected);
        let header = IvfHeader {
            frames: 3,
            ..IvfHeader::video(*b"VP80", 640, 480)
        };
        assert_eq!(
            *IvfReader::new(&bytes[..], &limits).unwrap().header(),
            header
        );
    }

    /// Cut anywhere but between frames it is an error; a length is not believed before the bytes
    /// are there.
    #[test]
    fn truncation_and_lies() {
        let mut bytes = file();
        let limits = Limits::default();
        let whole = (0..bytes.len())
            .filter(|len| read(&bytes[..*len], &limits).is_ok())
            .count();
        assert_eq!(whole, 3);
        bytes[32..36].copy_from_slice(&0xffff_ffffu32.to_le_bytes());
        assert!(matches!(
            read(&bytes, &limits),
            Err(ContainerError::TooLarge { .. })
        ));
        bytes[32..36].copy_from_slice(&0x0100_0000u32.to_le_bytes());
        assert!(matches!(
            read(&bytes, &limits),
            Err(ContainerError::Decode(_))
        ));
    }
}
