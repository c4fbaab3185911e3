//! Writing RTCP into a buffer of the caller.

use super::{
    APP, App, Dlrr, EXTENDED_REPORT, FMT_AFB, FMT_CONGESTION, FMT_FIR, FMT_NACK, FMT_PLI,
    FMT_TRANSPORT_WIDE, FORMAT, FirEntry, GOODBYE, NackItem, PADDING, PAYLOAD_FEEDBACK,
    PacketArrival, PacketReport, RECEIVER_REPORT, ReportBlock, RtcpPacket, SENDER_REPORT,
    SOURCE_DESCRIPTION, SdesItem, SenderInfo, TRANSPORT_FEEDBACK, UnknownPacket, VERSION, XrBlock,
    bye, congestion, remb, sdes, transport, xr,
};
use crate::wire::Writer;
use crate::{SequenceNumber, Ssrc, WriteError};

/// Writes packets one behind the other. A packet that does not fit leaves no trace; those before
/// it stand.
#[derive(Debug)]
pub struct RtcpWriter<'b> {
    out: Writer<'b>,
    /// Where the last packet starts.
    last: Option<usize>,
}

impl<'b> RtcpWriter<'b> {
    /// Starts a datagram in `buffer`.
    #[must_use]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            out: Writer::new(buffer),
            last: None,
        }
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.out.len() == 0
    }

    /// Bytes that still fit.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.out.remaining()
    }

    /// SR with at most 31 blocks.
    ///
    /// # Errors
    /// No room, or too many blocks.
    pub fn sender_report(
        &mut self,
        ssrc: Ssrc,
        info: &SenderInfo,
        blocks: impl IntoIterator<Item = ReportBlock>,
    ) -> Result<(), WriteError> {
        self.report(ssrc, Some(info), blocks, &[])
    }

    /// RR with at most 31 blocks.
    ///
    /// # Errors
    /// No room, or too many blocks.
    pub fn receiver_report(
        &mut self,
        ssrc: Ssrc,
        blocks: impl IntoIterator<Item = ReportBlock>,
    ) -> Result<(), WriteError> {
        self.report(ssrc, None, blocks, &[])
    }

    /// SDES with at most 31 chunks.
    ///
    /// # Errors
    /// No room, too many chunks, or an item over 255 bytes.
    pub fn source_description<'i, I: IntoIterator<Item = SdesItem<'i>>>(
        &mut self,
        chunks: impl IntoIterator<Item = (Ssrc, I)>,
    ) -> Result<(), WriteError> {
        self.frame(SOURCE_DESCRIPTION, |out| {
            let mut count = 0;
            for (ssrc, items) in chunks {
                sdes::encode_chunk(out, ssrc, items)?;
                count += 1;
            }
            counted("SDES chunks", count)
        })
    }

    /// SDES with the one item that is mandatory.
    ///
    /// # Errors
    /// No room, or a name over 255 bytes.
    pub fn cname(&mut self, ssrc: Ssrc, cname: &[u8]) -> Result<(), WriteError> {
        let item = SdesItem {
            kind: SdesItem::CNAME,
            value: cname,
        };
        self.source_description([(ssrc, [item])])
    }

    /// BYE for at most 31 sources.
    ///
    /// # Errors
    /// No room, too many sources, or a reason over 255 bytes.
    pub fn goodbye(
        &mut self,
        ssrcs: impl IntoIterator<Item = Ssrc>,
        reason: Option<&[u8]>,
    ) -> Result<(), WriteError> {
        self.frame(GOODBYE, |out| {
            let count = write_ssrcs(out, ssrcs)?;
            if let Some(reason) = reason {
                bye::encode_reason(out, reason)?;
            }
            counted("BYE SSRCs", count)
        })
    }

    /// APP.
    ///
    /// # Errors
    /// No room, data that is no multiple of four bytes, or a subtype over 31.
    pub fn app(&mut self, app: &App<'_>) -> Result<(), WriteError> {
        self.frame(APP, |out| {
            out.u32(app.ssrc.0)?;
            out.bytes(&app.name)?;
            out.bytes(app.data)?;
            counted("APP subtype", app.subtype.into())
        })
    }

    /// Generic NACK for packets in ascending order.
    ///
    /// # Errors
    /// No room.
    pub fn nack(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        lost: impl IntoIterator<Item = SequenceNumber>,
    ) -> Result<(), WriteError> {
        self.nack_items(sender, media, NackItem::group(lost))
    }

    /// Generic NACK, item by item.
    ///
    /// # Errors
    /// No room.
    pub fn nack_items(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        items: impl IntoIterator<Item = NackItem>,
    ) -> Result<(), WriteError> {
        self.feedback(TRANSPORT_FEEDBACK, FMT_NACK, sender, media, |out| {
            items.into_iter().try_for_each(|item| item.encode(out))
        })
    }

    /// RFC 8888 feedback: streams with the first sequence number and one report for each packet
    /// from there on.
    ///
    /// # Errors
    /// No room, or over 16,384 reports for a stream.
    pub fn congestion_feedback<R: IntoIterator<Item = Option<PacketReport>>>(
        &mut self,
        sender: Ssrc,
        streams: impl IntoIterator<Item = (Ssrc, SequenceNumber, R)>,
        timestamp: u32,
    ) -> Result<(), WriteError> {
        self.frame(TRANSPORT_FEEDBACK, |out| {
            out.u32(sender.0)?;
            for (ssrc, base, reports) in streams {
                congestion::encode_stream(out, ssrc, base, reports)?;
            }
            out.u32(timestamp)?;
            Ok(FMT_CONGESTION)
        })
    }

    /// Transport-wide feedback on consecutive packets. The iterator is walked three times.
    ///
    /// # Errors
    /// No room, no packet, packets out of order, or arrivals more than 8 s apart.
    pub fn transport_feedback(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        feedback_count: u8,
        packets: impl Iterator<Item = PacketArrival> + Clone,
    ) -> Result<(), WriteError> {
        self.frame(TRANSPORT_FEEDBACK, |out| {
            transport::encode(out, sender, media, feedback_count, packets)?;
            Ok(FMT_TRANSPORT_WIDE)
        })
    }

    /// PLI.
    ///
    /// # Errors
    /// No room.
    pub fn picture_loss(&mut self, sender: Ssrc, media: Ssrc) -> Result<(), WriteError> {
        self.feedback(PAYLOAD_FEEDBACK, FMT_PLI, sender, media, |_| Ok(()))
    }

    /// FIR.
    ///
    /// # Errors
    /// No room.
    pub fn full_intra_request(
        &mut self,
        sender: Ssrc,
        entries: impl IntoIterator<Item = FirEntry>,
    ) -> Result<(), WriteError> {
        // RFC 5104 §4.3.1.2: the media SSRC is unused and 0.
        self.feedback(PAYLOAD_FEEDBACK, FMT_FIR, sender, Ssrc(0), |out| {
            entries.into_iter().try_for_each(|entry| {
                out.u32(entry.ssrc.0)?;
                out.bytes(&[entry.sequence, 0, 0, 0])
            })
        })
    }

    /// REMB for at most 255 streams; the rate, in bit/s, is rounded down to 18 bits.
    ///
    /// # Errors
    /// No room, or too many streams.
    pub fn remb(
        &mut self,
        sender: Ssrc,
        bitrate: u64,
        ssrcs: impl IntoIterator<Item = Ssrc>,
    ) -> Result<(), WriteError> {
        self.frame(PAYLOAD_FEEDBACK, |out| {
            remb::encode(out, sender, bitrate, ssrcs)?;
            Ok(FMT_AFB)
        })
    }

    /// XR with any blocks.
    ///
    /// # Errors
    /// No room.
    pub fn extended_report<'x>(
        &mut self,
        ssrc: Ssrc,
        blocks: impl IntoIterator<Item = XrBlock<'x>>,
    ) -> Result<(), WriteError> {
        self.frame(EXTENDED_REPORT, |out| {
            out.u32(ssrc.0)?;
            blocks.into_iter().try_for_each(|block| block.encode(out))?;
            Ok(0)
        })
    }

    /// XR with a DLRR block.
    ///
    /// # Errors
    /// No room.
    pub fn dlrr(
        &mut self,
        ssrc: Ssrc,
        list: impl IntoIterator<Item = Dlrr>,
    ) -> Result<(), WriteError> {
        self.frame(EXTENDED_REPORT, |out| {
            out.u32(ssrc.0)?;
            xr::encode_dlrr(out, list)?;
            Ok(0)
        })
    }

    /// A packet of any type, as it is.
    ///
    /// # Errors
    /// No room, a body that is no multiple of four bytes, or a format over 31.
    pub fn unknown(&mut self, packet: &UnknownPacket<'_>) -> Result<(), WriteError> {
        self.frame(packet.packet_type, |out| {
            out.bytes(packet.body)?;
            counted("RTCP format", packet.format.into())
        })
    }

    /// A packet that was read. What its parts say is written anew; reserved bits become zero.
    ///
    /// # Errors
    /// No room.
    pub fn packet(&mut self, packet: &RtcpPacket<'_>) -> Result<(), WriteError> {
        match packet {
            RtcpPacket::SenderReport(report) => self.report(
                report.ssrc,
                Some(&report.info),
                report.blocks(),
                report.extension,
            ),
            RtcpPacket::ReceiverReport(report) => {
                self.report(report.ssrc, None, report.blocks(), report.extension)
            }
            RtcpPacket::SourceDescription(sdes) => {
                self.source_description(sdes.chunks().map(|chunk| (chunk.ssrc, chunk.items())))
            }
            RtcpPacket::Goodbye(bye) => self.goodbye(bye.ssrcs(), bye.reason),
            RtcpPacket::App(app) => self.app(app),
            RtcpPacket::Nack(nack) => self.nack_items(nack.sender, nack.media, nack.items()),
            RtcpPacket::CongestionFeedback(feedback) => {
                let streams = feedback.streams();
                let streams =
                    streams.map(|stream| (stream.ssrc, stream.base, stream.reports.iter()));
                self.congestion_feedback(feedback.sender, streams, feedback.timestamp)
            }
            RtcpPacket::TransportFeedback(feedback) => self.frame(TRANSPORT_FEEDBACK, |out| {
                feedback.encode(out)?;
                Ok(FMT_TRANSPORT_WIDE)
            }),
            RtcpPacket::PictureLossIndication(pli) => self.picture_loss(pli.sender, pli.media),
            RtcpPacket::FullIntraRequest(fir) => self.full_intra_request(fir.sender, fir.entries()),
            RtcpPacket::Remb(remb) => self.remb(remb.sender, remb.bitrate, remb.ssrcs()),
            RtcpPacket::ExtendedReport(report) => {
                self.extended_report(report.ssrc, report.blocks())
            }
            RtcpPacket::Unknown(unknown) => self.unknown(unknown),
        }
    }

    /// Ends the datagram; returns its length.
    #[must_use]
    pub fn finish(self) -> usize {
        self.out.len()
    }

    /// Ends the datagram with `len` bytes of padding on the last packet; returns its length.
    ///
    /// # Errors
    /// No room, no packet, or `len` no multiple of four.
    pub fn padding(mut self, len: u8) -> Result<usize, WriteError> {
        let Some(last) = self.last else {
            return Err(WriteError::Invalid("padding without a packet"));
        };
        if len > 0 {
            if !len.is_multiple_of(4) {
                return Err(WriteError::Invalid(
                    "RTCP padding that is no multiple of four",
                ));
            }
            self.out.zeros(usize::from(len) - 1)?;
            self.out.u8(len)?;
            let words = words(self.out.len() - last)?;
            let written = self.out.written();
            written[last] |= PADDING;
            written[last + 2..last + 4].copy_from_slice(&words);
        }
        Ok(self.finish())
    }

    fn report(
        &mut self,
        ssrc: Ssrc,
        info: Option<&SenderInfo>,
        blocks: impl IntoIterator<Item = ReportBlock>,
        extension: &[u8],
    ) -> Result<(), WriteError> {
        let kind = if info.is_some() {
            SENDER_REPORT
        } else {
            RECEIVER_REPORT
        };
        self.frame(kind, |out| {
            out.u32(ssrc.0)?;
            if let Some(info) = info {
                info.encode(out)?;
            }
            let mut count = 0;
            for block in blocks {
                block.encode(out)?;
                count += 1;
            }
            out.bytes(extension)?;
            counted("report blocks", count)
        })
    }

    fn feedback(
        &mut self,
        packet_type: u8,
        format: u8,
        sender: Ssrc,
        media: Ssrc,
        write: impl FnOnce(&mut Writer<'b>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.frame(packet_type, |out| {
            out.u32(sender.0)?;
            out.u32(media.0)?;
            write(out)?;
            Ok(format)
        })
    }

    /// Writes a packet around a body; the body's writer returns the count or format.
    fn frame(
        &mut self,
        packet_type: u8,
        write: impl FnOnce(&mut Writer<'b>) -> Result<u8, WriteError>,
    ) -> Result<(), WriteError> {
        let start = self.out.len();
        let result = framed(&mut self.out, start, packet_type, write);
        match result {
            Ok(()) => self.last = Some(start),
            Err(_) => self.out.truncate(start),
        }
        result
    }
}

fn framed<'b>(
    out: &mut Writer<'b>,
    start: usize,
    packet_type: u8,
    write: impl FnOnce(&mut Writer<'b>) -> Result<u8, WriteError>,
) -> Result<(), WriteError> {
    out.zeros(4)?;
    let format = write(out)?;
    let words = words(out.len() - start)?;
    let head = [VERSION << 6 | format, packet_type, words[0], words[1]];
    out.written()[start..start + 4].copy_from_slice(&head);
    Ok(())
}

/// The length field of a packet of `len` bytes.
fn words(len: usize) -> Result<[u8; 2], WriteError> {
    if !len.is_multiple_of(4) {
        return Err(WriteError::Invalid(
            "an RTCP packet is a multiple of four bytes",
        ));
    }
    let max = usize::from(u16::MAX) * 4;
    u16::try_from(len / 4 - 1)
        .map(u16::to_be_bytes)
        .map_err(|_| WriteError::TooLarge {
            what: "RTCP packet",
            value: len,
            max,
        })
}

/// The five bits of a count.
fn counted(what: &'static str, count: usize) -> Result<u8, WriteError> {
    if count > FORMAT.into() {
        return Err(WriteError::TooLarge {
            what,
            value: count,
            max: FORMAT.into(),
        });
    }
    Ok(count as u8)
}

fn write_ssrcs(
    out: &mut Writer<'_>,
    ssrcs: impl IntoIterator<Item = Ssrc>,
) -> Result<usize, WriteError> {
    let mut count = 0;
    for ssrc in ssrcs {
        out.u32(ssrc.0)?;
        count += 1;
    }
    Ok(count)
}
