//! Annex B byte streams of H.264 and H.265, a NAL unit at a time.

use std::io::{Read, Write};

use super::ContainerError;
use crate::Limits;
use crate::payload::next_start_code;

/// Reads NAL units.
#[derive(Debug)]
pub struct AnnexBReader<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Where the current unit begins, after its start code; none before the first one.
    start: Option<usize>,
    /// Up to here there is no start code.
    searched: usize,
    at_end: bool,
    max_unit: usize,
}

impl<R: Read> AnnexBReader<R> {
    /// Nothing is read yet. The reader should be buffered or read large blocks cheaply.
    #[must_use]
    pub const fn new(reader: R, limits: &Limits) -> Self {
        let max_unit = limits.container_record;
        Self {
            reader,
            buffer: Vec::new(),
            start: None,
            searched: 0,
            at_end: false,
            max_unit,
        }
    }

    /// Replaces the bytes in `unit` with the next NAL unit, without start code and trailing zeros;
    /// false at the end of the file.
    ///
    /// # Errors
    /// The reader's, or a unit that is too large.
    pub fn read(&mut self, unit: &mut Vec<u8>) -> Result<bool, ContainerError> {
        loop {
            let found = next_start_code(&self.buffer[self.searched..]).map(|at| at + self.searched);
            let end = match found {
                Some(at) => at,
                None if self.at_end => self.buffer.len(),
                None => {
                    // The last two bytes may be the beginning of a start code.
                    self.searched = self
                        .buffer
                        .len()
                        .saturating_sub(2)
                        .max(self.start.unwrap_or(0));
                    self.fill()?;
                    continue;
                }
            };
            unit.clear();
            if let Some(start) = self.start {
                let bytes = self.buffer.get(start..end).unwrap_or_default();
                let len = bytes
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |last| last + 1);
                unit.extend_from_slice(&bytes[..len]);
            }
            if found.is_some() {
                self.start = Some(end + 3);
                self.searched = end + 3;
            } else {
                (self.start, self.searched) = (None, self.buffer.len());
            }
            if !unit.is_empty() {
                return Ok(true);
            }
            if found.is_none() {
                return Ok(false);
            }
        }
    }

    fn fill(&mut self) -> Result<(), ContainerError> {
        // Here and not with every unit, so that bytes are moved once a block. Without a start code
        // so far there is nothing to keep but the last two bytes.
        let keep = self.start.unwrap_or(self.searched);
        self.buffer.drain(..keep);
        self.searched -= keep;
        self.start = self.start.map(|_| 0);
        if self.start.is_some() && self.buffer.len() > self.max_unit {
            let len = self.buffer.len();
            return Err(ContainerError::TooLarge {
                len,
                max: self.max_unit,
            });
        }
        let read = self
            .reader
            .by_ref()
            .take(BLOCK)
            .read_to_end(&mut self.buffer)?;
        self.at_end = read == 0;
        Ok(())
    }
}

/// Writes NAL units.
#[derive(Debug)]
pub struct AnnexBWriter<W> {
    writer: W,
}

impl<W: Write> AnnexBWriter<W> {
    /// Nothing is written yet.
    #[must_use]
    pub const fn new(writer: W) -> Self {
        Self { writer }
    }

    /// Writes a NAL unit with a start code of four bytes.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&mut self, unit: &[u8]) -> Result<(), ContainerError> {
        self.writer.write_all(&[0, 0, 0, 1])?;
        self.writer.write_all(unit)?;
        Ok(())
    }

    /// Writes a frame that is in Annex B already, as the depacketizers make them.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_frame(&mut self, frame: &[u8]) -> Result<(), ContainerError> {
        self.writer.write_all(frame)?;
        Ok(())
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

/// Bytes asked of the reader at once.
const BLOCK: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, so that start codes fall between two reads.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let len = buffer.len().min(5).min(self.0.len());
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>, ContainerError> {
        let mut reader = AnnexBReader::new(Trickle(bytes), limits);
        let mut unit = Vec::new();
        let mut all = Vec::new();
        while reader.read(&mut unit)? {
            all.push(unit.clone());
        }
        assert!(!reader.read(&mut unit)?);
        Ok(all)
    }

    /// Units of all sizes, across blocks; the same units as the iterator over memory finds.
    #[test]
    fn comes_back() {
        let units: Vec<Vec<u8>> = (0..200usize)
            .map(|index| (0..index * 37 + 1).map(|byte| byte as u8 | 1).collect())
            .collect();
        let mut writer = AnnexBWriter::new(vec![9, 9, 0]);
        for unit in &units {
            writer.write(unit).unwrap();
        }
        let mut bytes = writer.into_inner();
        bytes.extend([0, 0, 0]);
        assert_eq!(read(&bytes, &Limits::default()).unwrap(), units);
        assert!(crate::payload::annex_b(&bytes).eq(units.iter()));
        assert!(read(&[], &Limits::default()).unwrap().is_empty());
    }

    /// A unit without end is not kept in memory.
    #[test]
    fn too_large() {
        let limits = Limits {
            container_record: 40_000,
            ..Limits::default()
        };
        let mut bytes = vec![0, 0, 1];
        bytes.extend([7; 100_000]);
        assert!(matches!(
            read(&bytes, &limits),
            Err(ContainerError::TooLarge { .. })
        ));
        assert!(read(&bytes[3..], &limits).unwrap().is_empty());
    }
}
