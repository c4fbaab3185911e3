//! Files that hold media, read and written as streams. Nothing here opens a file.

mod annex_b;
mod ivf;
mod ogg;
mod rtpdump;

pub use annex_b::{AnnexBReader, AnnexBWriter};
pub use ivf::{IvfHeader, IvfReader, IvfWriter};
pub use ogg::{OggOpusReader, OggOpusWriter, OpusHead};
pub use rtpdump::{RtpDumpReader, RtpDumpRecord, RtpDumpWriter};

use std::io::{self, Read};

use crate::DecodeError;

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The reader or writer below failed.
    #[error("I/O")]
    Io(#[from] io::Error),
    /// Not a file of this format, or one that is cut off.
    #[error("container: {0}")]
    Decode(#[from] DecodeError),
    /// A frame or packet larger than the format or [`crate::Limits::container_record`] allows.
    #[error("record of {len} bytes, at most {max} allowed")]
    TooLarge {
        /// The size.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// Fills `buffer`; false if the file ends before its first byte.
fn read_exact_or_end(reader: &mut impl Read, buffer: &mut [u8]) -> Result<bool, ContainerError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(DecodeError::Truncated.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Fills `buffer`, all of it.
fn read_exact(reader: &mut impl Read, buffer: &mut [u8]) -> Result<(), ContainerError> {
    if buffer.is_empty() || read_exact_or_end(reader, buffer)? {
        Ok(())
    } else {
        Err(DecodeError::Truncated.into())
    }
}

/// Replaces the bytes in `record` with the next `len`. Memory grows with what is really there, not
/// with what a length field claims.
fn read_record(
    reader: &mut impl Read,
    len: usize,
    max: usize,
    record: &mut Vec<u8>,
) -> Result<(), ContainerError> {
    if len > max {
        return Err(ContainerError::TooLarge { len, max });
    }
    record.clear();
    let read = reader.take(len as u64).read_to_end(record)?;
    if read < len {
        Err(DecodeError::Truncated.into())
    } else {
        Ok(())
    }
}
