//! A browser's VP8 from a capture → an IVF file → packets → loss → frames → an IVF file.
//!
//! `cargo run -p peerloom-rtp --example ivf_roundtrip -- [capture.pcap] [loss in percent] [out.ivf]`
//!
//! Frames that lost no packet come out as they went in.

use std::error::Error;
use std::fs;
use std::io::Cursor;

use peerloom_rtp::container::{IvfHeader, IvfReader, IvfWriter};
use peerloom_rtp::payload::{
    Packetizer, PayloadParts, Vp8Depacketizer, Vp8FrameInfo, Vp8Packetizer,
};
use peerloom_rtp::rtx::RtxPacket;
use peerloom_rtp::{
    FrameAssembler, FrameStatus, Limits, MediaPacket, RtpHeader, RtpPacket, RtpWriter,
    SequenceNumber, Ssrc, Timestamp, TimestampUnwrapper, WriteError, is_rtcp,
};

/// What happened on the way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Frames in the first file.
    pub(crate) frames: usize,
    /// Packets they made.
    pub(crate) packets: usize,
    /// Packets lost.
    pub(crate) lost: usize,
    /// Frames in the second file.
    pub(crate) complete: usize,
    /// Frames that lost a packet.
    pub(crate) incomplete: usize,
}

/// Payload types of VP8 and its RTX in the captures of Chromium and Firefox.
const PAYLOAD_TYPES: [(u8, u8); 2] = [(96, 97), (120, 124)];

#[expect(clippy::print_stdout, reason = "a program for the command line")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let default = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/chromium-156-rtp-plain.pcap"
    );
    let capture = fs::read(arguments.next().unwrap_or(default.into()))?;
    let loss = arguments.next().map_or(Ok(5), |percent| percent.parse())?;
    let first = ivf_from_capture(&capture)?;
    let (second, summary) = roundtrip(&first, loss)?;
    println!("{summary:#?}");
    if let Some(path) = arguments.next() {
        fs::write(path, second)?;
    }
    Ok(())
}

/// The video in a capture (pcap, LINKTYPE_RAW, IPv4) as an IVF file.
pub(crate) fn ivf_from_capture(capture: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut assembler = FrameAssembler::new(Vp8Depacketizer, &Limits::default());
    for datagram in datagrams(capture) {
        if is_rtcp(datagram) {
            continue;
        }
        let packet = RtpPacket::parse(datagram)?;
        let kind = packet.payload_type();
        let (sequence, payload) = if PAYLOAD_TYPES.iter().any(|(vp8, _)| *vp8 == kind) {
            (packet.sequence(), packet.payload())
        } else if PAYLOAD_TYPES.iter().any(|(_, rtx)| *rtx == kind) {
            match RtxPacket::parse(packet)? {
                Some(rtx) => (rtx.original, rtx.payload),
                None => continue,
            }
        } else {
            continue;
        };
        let (timestamp, marker) = (packet.timestamp(), packet.marker());
        assembler.insert(MediaPacket {
            sequence,
            timestamp,
            marker,
            payload: payload.to_vec(),
        });
    }
    assembler.give_up_all();
    let (file, _) = write_ivf(&mut assembler, IvfHeader::video(*b"VP80", 640, 480))?;
    Ok(file)
}

/// Sends an IVF file over a path that loses `loss` percent; returns what arrives, as IVF.
pub(crate) fn roundtrip(file: &[u8], loss: u32) -> Result<(Vec<u8>, Summary), Box<dyn Error>> {
    let limits = Limits::default();
    let mut reader = IvfReader::new(file, &limits)?;
    let mut packetizer = Vp8Packetizer::new(Some(0));
    let mut assembler = FrameAssembler::new(Vp8Depacketizer, &limits);
    let mut summary = Summary::default();
    let mut sequence = SequenceNumber(65_000);
    let mut buffer = [0; 1200];
    let mut frame = Vec::new();
    let mut dice = 1u32;
    while let Some(timestamp) = reader.read(&mut frame)? {
        summary.frames += 1;
        let mut result: Result<(), WriteError> = Ok(());
        let mut send = |payload: PayloadParts<'_>| {
            let header = RtpHeader {
                marker: payload.marker,
                payload_type: 96,
                sequence,
                timestamp: Timestamp(timestamp as u32),
                ssrc: Ssrc(1),
                csrcs: &[],
            };
            sequence = sequence.next();
            summary.packets += 1;
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if (dice >> 16) % 100 < loss {
                summary.lost += 1;
                return;
            }
            match write_packet(&mut buffer, &header, payload) {
                Ok(len) => {
                    if let Ok(packet) = RtpPacket::parse(&buffer[..len]) {
                        assembler.insert(MediaPacket {
                            sequence: packet.sequence(),
                            timestamp: packet.timestamp(),
                            marker: packet.marker(),
                            payload: packet.payload().to_vec(),
                        });
                    }
                }
                Err(error) => result = Err(error),
            }
        };
        packetizer.packetize(&frame, &Vp8FrameInfo::default(), 1100, &mut send)?;
        result?;
    }
    assembler.give_up_all();
    let (second, [complete, incomplete]) = write_ivf(&mut assembler, *reader.header())?;
    (summary.complete, summary.incomplete) = (complete, incomplete);
    Ok((second, summary))
}

fn write_packet(
    buffer: &mut [u8],
    header: &RtpHeader<'_>,
    payload: PayloadParts<'_>,
) -> Result<usize, WriteError> {
    let mut body = RtpWriter::new(buffer, header)?.body()?;
    payload.write(&mut body)?;
    Ok(body.finish())
}

/// Writes all whole frames, also those that cannot be decoded any more; counts them and the rest.
fn write_ivf(
    assembler: &mut FrameAssembler<Vp8Depacketizer, Vec<u8>>,
    header: IvfHeader,
) -> Result<(Vec<u8>, [usize; 2]), Box<dyn Error>> {
    let mut writer = IvfWriter::new(Cursor::new(Vec::new()), header)?;
    let mut clock = TimestampUnwrapper::new();
    let mut first = None;
    let mut counts = [0, 0];
    let mut frame = Vec::new();
    while let Some(report) = assembler.poll(&mut frame) {
        match (report.status, report.timestamp) {
            (FrameStatus::Complete | FrameStatus::Undecodable, Some(timestamp)) => {
                let timestamp = clock.unwrap(timestamp);
                let first = *first.get_or_insert(timestamp);
                writer.write(timestamp - first, &frame)?;
                counts[0] += 1;
            }
            _ => counts[1] += 1,
        }
    }
    Ok((writer.finish()?.into_inner(), counts))
}

/// UDP payloads of a capture.
fn datagrams(capture: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = capture.get(24..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (header, tail) = rest.split_first_chunk::<16>()?;
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let (packet, tail) = tail.split_at_checked(len)?;
        rest = tail;
        packet.get(28..)
    })
}
