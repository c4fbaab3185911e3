//! rtpdump: RTP and RTCP packets with the time they came, the format of the `rtptools`.

use std::io::{BufRead, Read, Write};
use std::net::SocketAddrV4;
use std::time::Duration;

use super::{ContainerError, read_exact, read_exact_or_end, read_record};
use crate::DecodeError;

/// What precedes each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpDumpRecord {
    /// Since the recording began; whole milliseconds.
    pub offset: Duration,
    /// Whether it is RTCP.
    pub is_rtcp: bool,
}

/// Reads packets.
#[derive(Debug)]
pub struct RtpDumpReader<R> {
    reader: R,
    source: SocketAddrV4,
    start: Duration,
}

impl<R: BufRead> RtpDumpReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Not an rtpdump file.
    pub fn new(mut reader: R) -> Result<Self, ContainerError> {
        let mut line = Vec::new();
        reader
            .by_ref()
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)?;
        if !line.starts_with(MAGIC) || !line.ends_with(b"\n") {
            return Err(DecodeError::Malformed("rtpdump signature").into());
        }
        let mut header = [0; 16];
        read_exact(&mut reader, &mut header)?;
        let [s0, s1, s2, s3, u0, u1, u2, u3, a, b, c, d, p0, p1, _, _] = header;
        let seconds = u32::from_be_bytes([s0, s1, s2, s3]);
        let micros = u32::from_be_bytes([u0, u1, u2, u3]);
        let start = Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into());
        let source = SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([p0, p1]));
        Ok(Self {
            reader,
            source,
            start,
        })
    }

    /// Who sent the packets.
    #[must_use]
    pub const fn source(&self) -> SocketAddrV4 {
        self.source
    }

    /// When the recording began, since 1970.
    #[must_use]
    pub const fn start(&self) -> Duration {
        self.start
    }

    /// Replaces the bytes in `packet` with the next packet; none at the end of the file.
    ///
    /// # Errors
    /// The file is cut off.
    pub fn read(&mut self, packet: &mut Vec<u8>) -> Result<Option<RtpDumpRecord>, ContainerError> {
        let mut header = [0; RECORD];
        if !read_exact_or_end(&mut self.reader, &mut header)? {
            return Ok(None);
        }
        let [l0, l1, p0, p1, t0, t1, t2, t3] = header;
        let len = usize::from(u16::from_be_bytes([l0, l1])).checked_sub(RECORD);
        let len = len.ok_or(DecodeError::Malformed("rtpdump record length"))?;
        read_record(&mut self.reader, len, MAX_PACKET, packet)?;
        let offset = Duration::from_millis(u32::from_be_bytes([t0, t1, t2, t3]).into());
        // The length before the recording cut it is 0 for RTCP.
        Ok(Some(RtpDumpRecord {
            offset,
            is_rtcp: [p0, p1] == [0, 0],
        }))
    }
}

/// Writes packets.
#[derive(Debug)]
pub struct RtpDumpWriter<W> {
    writer: W,
}

impl<W: Write> RtpDumpWriter<W> {
    /// Writes the header; `start` is when the recording begins, since 1970.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(
        mut writer: W,
        source: SocketAddrV4,
        start: Duration,
    ) -> Result<Self, ContainerError> {
        writer.write_all(MAGIC)?;
        writeln!(writer, " {}/{}", source.ip(), source.port())?;
        let mut header = [0; 16];
        // The format's seconds end in 2106.
        let seconds = u32::try_from(start.as_secs()).unwrap_or(u32::MAX);
        header[..4].copy_from_slice(&seconds.to_be_bytes());
        header[4..8].copy_from_slice(&start.subsec_micros().to_be_bytes());
        header[8..12].copy_from_slice(&source.ip().octets());
        header[12..14].copy_from_slice(&source.port().to_be_bytes());
        writer.write_all(&header)?;
        Ok(Self { writer })
    }

    /// Writes a packet.
    ///
    /// # Errors
    /// The writer's, or a packet over 65,527 bytes.
    pub fn write(&mut self, record: RtpDumpRecord, packet: &[u8]) -> Result<(), ContainerError> {
        if packet.len() > MAX_PACKET {
            return Err(ContainerError::TooLarge {
                len: packet.len(),
                max: MAX_PACKET,
            });
        }
        let len = packet.len() as u16;
        let millis = u32::try_from(record.offset.as_millis()).unwrap_or(u32::MAX);
        self.writer
            .write_all(&(len + RECORD as u16).to_be_bytes())?;
        self.writer
            .write_all(&(if record.is_rtcp { 0 } else { len }).to_be_bytes())?;
        self.writer.write_all(&millis.to_be_bytes())?;
        self.writer.write_all(packet)?;
        Ok(())
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

const MAGIC: &[u8] = b"#!rtpplay1.0";
/// The first line names an address.
const MAX_LINE: u64 = 256;
/// Bytes before each packet, counted in its 16-bit length.
const RECORD: usize = 8;
const MAX_PACKET: usize = 65_535 - RECORD;

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let start = Duration::new(1_700_000_000, 5_000);
        let source = SocketAddrV4::new([10, 0, 0, 1].into(), 5004);
        let mut writer = RtpDumpWriter::new(Vec::new(), source, start).unwrap();
        let rtp = RtpDumpRecord {
            offset: Duration::from_millis(5),
            is_rtcp: false,
        };
        let rtcp = RtpDumpRecord {
            offset: Duration::from_millis(70_000),
            is_rtcp: true,
        };
        writer.write(rtp, &[0x80; 20]).unwrap();
        writer.write(rtcp, &[0x81; 8]).unwrap();
        writer.into_inner()
    }

    fn read(bytes: &[u8]) -> Result<Vec<(RtpDumpRecord, usize)>, ContainerError> {
        let mut reader = RtpDumpReader::new(bytes)?;
        assert_eq!(reader.source().port(), 5004);
        assert_eq!(reader.start(), Duration::new(1_700_000_000, 5_000));
        let mut packet = Vec::new();
        let mut all = Vec::new();
        while let Some(record) = reader.read(&mut packet)? {
            all.push((record, packet.len()));
        }
        Ok(all)
    }

    /// Packets, kinds and times come back; cut anywhere but between packets it is an error.
    #[test]
    fn comes_back() {
        let bytes = file();
        assert!(bytes.starts_with(b"#!rtpplay1.0 10.0.0.1/5004\n"));
        let all = read(&bytes).unwrap();
        assert_eq!(
            all.iter()
                .map(|(record, len)| (record.is_rtcp, *len))
                .collect::<Vec<_>>(),
            [(false, 20), (true, 8)]
        );
        assert_eq!(all[1].0.offset, Duration::from_secs(70));
        assert_eq!(
            (0..bytes.len())
                .filter(|len| read(&bytes[..*len]).is_ok())
                .count(),
            2
        );
        assert!(RtpDumpReader::new(&[b'#'; 5000][..]).is_err());
        let mut writer = RtpDumpWriter { writer: Vec::new() };
        let record = RtpDumpRecord {
            offset: Duration::ZERO,
            is_rtcp: false,
        };
        assert!(writer.write(record, &[0; 65_528]).is_err());
    }
}
