//! RTCP (RFC 3550 §6 and its feedback profiles): iteration over borrowed views, and a writer.
//!
//! Reduced-size packets (RFC 5506) are accepted everywhere: nothing demands that a datagram begins
//! with a report.

mod app;
mod bye;
mod congestion;
mod nack;
mod picture;
mod remb;
mod report;
mod sdes;
mod transport;
mod write;
mod xr;

pub use app::App;
pub use bye::Goodbye;
pub use congestion::{CongestionFeedback, CongestionReports, CongestionStream, Ecn, PacketReport};
pub use nack::{Nack, NackItem};
pub use picture::{FirEntry, FullIntraRequest, PictureLossIndication};
pub use remb::Remb;
pub use report::{ReceiverReport, ReportBlock, SenderInfo, SenderReport};
pub use sdes::{SdesChunk, SdesItem, SourceDescription};
pub use transport::{PacketArrival, StatusChunk, TransportFeedback};
pub use write::RtcpWriter;
pub use xr::{Dlrr, Dlrrs, ExtendedReport, XrBlock};

use crate::wire::Reader;
use crate::{DecodeError, Limits, Ssrc};

/// One RTCP packet. Everything in it has been validated; its iterators cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtcpPacket<'a> {
    /// SR, type 200.
    SenderReport(SenderReport<'a>),
    /// RR, type 201.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES, type 202.
    SourceDescription(SourceDescription<'a>),
    /// BYE, type 203.
    Goodbye(Goodbye<'a>),
    /// APP, type 204.
    App(App<'a>),
    /// Generic NACK, type 205 format 1.
    Nack(Nack<'a>),
    /// RFC 8888, type 205 format 11.
    CongestionFeedback(CongestionFeedback<'a>),
    /// Transport-wide feedback, type 205 format 15.
    TransportFeedback(TransportFeedback<'a>),
    /// PLI, type 206 format 1.
    PictureLossIndication(PictureLossIndication),
    /// FIR, type 206 format 4.
    FullIntraRequest(FullIntraRequest<'a>),
    /// REMB, type 206 format 15.
    Remb(Remb<'a>),
    /// XR, type 207.
    ExtendedReport(ExtendedReport<'a>),
    /// Anything else, as it is.
    Unknown(UnknownPacket<'a>),
}

/// A packet of a type or format that is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPacket<'a> {
    /// The five bits after version and padding: a count, subtype or format.
    pub format: u8,
    /// Packet type.
    pub packet_type: u8,
    /// Everything after the first four bytes, without padding.
    pub body: &'a [u8],
}

impl<'a> RtcpPacket<'a> {
    fn decode(packet_type: u8, format: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match (packet_type, format) {
            (SENDER_REPORT, _) => Self::SenderReport(SenderReport::decode(format, body)?),
            (RECEIVER_REPORT, _) => Self::ReceiverReport(ReceiverReport::decode(format, body)?),
            (SOURCE_DESCRIPTION, _) => {
                Self::SourceDescription(SourceDescription::decode(format, body)?)
            }
            (GOODBYE, _) => Self::Goodbye(Goodbye::decode(format, body)?),
            (APP, _) => Self::App(App::decode(format, body)?),
            (TRANSPORT_FEEDBACK, FMT_NACK) => Self::Nack(Nack::decode(body)?),
            (TRANSPORT_FEEDBACK, FMT_CONGESTION) => {
                Self::CongestionFeedback(CongestionFeedback::decode(body)?)
            }
            (TRANSPORT_FEEDBACK, FMT_TRANSPORT_WIDE) => {
                Self::TransportFeedback(TransportFeedback::decode(body)?)
            }
            (PAYLOAD_FEEDBACK, FMT_PLI) => {
                Self::PictureLossIndication(PictureLossIndication::decode(body)?)
            }
            (PAYLOAD_FEEDBACK, FMT_FIR) => Self::FullIntraRequest(FullIntraRequest::decode(body)?),
            // Format 15 is "application layer feedback": REMB announces itself by name.
            (PAYLOAD_FEEDBACK, FMT_AFB) if Remb::is_remb(body) => Self::Remb(Remb::decode(body)?),
            (EXTENDED_REPORT, _) => Self::ExtendedReport(ExtendedReport::decode(body)?),
            _ => Self::Unknown(UnknownPacket {
                format,
                packet_type,
                body,
            }),
        })
    }

    /// Packet statuses that walking through it would visit beyond what its bytes pay for.
    fn statuses(&self) -> usize {
        match self {
            Self::TransportFeedback(feedback) => feedback.status_count().into(),
            Self::SenderReport(_)
            | Self::ReceiverReport(_)
            | Self::SourceDescription(_)
            | Self::Goodbye(_)
            | Self::App(_)
            | Self::Nack(_)
            | Self::CongestionFeedback(_)
            | Self::PictureLossIndication(_)
            | Self::FullIntraRequest(_)
            | Self::Remb(_)
            | Self::ExtendedReport(_)
            | Self::Unknown(_) => 0,
        }
    }
}

/// The packets of one datagram. A packet with a bad body is an error and the next one follows; bad
/// framing or a limit ends the iteration with an error.
#[derive(Clone, Debug)]
pub struct Compound<'a> {
    rest: &'a [u8],
    packets_left: usize,
    statuses_left: usize,
    padding: u8,
}

impl<'a> Compound<'a> {
    /// Iterates `datagram`, within [`Limits::rtcp_packets`] and [`Limits::feedback_statuses`].
    #[must_use]
    pub const fn new(datagram: &'a [u8], limits: &Limits) -> Self {
        Self {
            rest: datagram,
            packets_left: limits.rtcp_packets,
            statuses_left: limits.feedback_statuses,
            padding: 0,
        }
    }

    /// Bytes of padding of the last packet, once it has been iterated.
    #[must_use]
    pub const fn padding_len(&self) -> u8 {
        self.padding
    }

    /// Splits off the next packet's type, format and body.
    fn frame(&mut self) -> Result<(u8, u8, &'a [u8]), DecodeError> {
        let mut reader = Reader::new(self.rest);
        let [flags, packet_type, l0, l1] = reader.array()?;
        if flags >> 6 != VERSION {
            return Err(DecodeError::Version);
        }
        let mut body = reader.take(usize::from(u16::from_be_bytes([l0, l1])) * 4)?;
        self.rest = reader.rest();
        if flags & PADDING != 0 {
            // §6.4.1: only the last packet is padded, by a multiple of four.
            self.padding = *body.last().ok_or(DecodeError::Padding)?;
            let len = body
                .len()
                .checked_sub(self.padding.into())
                .ok_or(DecodeError::Padding)?;
            if self.padding == 0 || !self.padding.is_multiple_of(4) || !self.rest.is_empty() {
                return Err(DecodeError::Padding);
            }
            body = &body[..len];
        }
        Ok((packet_type, flags & FORMAT, body))
    }

    fn end(&mut self, error: DecodeError) -> Option<Result<RtcpPacket<'a>, DecodeError>> {
        self.rest = &[];
        Some(Err(error))
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<RtcpPacket<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(left) = self.packets_left.checked_sub(1) else {
            return self.end(DecodeError::TooMany("RTCP packets"));
        };
        self.packets_left = left;
        let (packet_type, format, body) = match self.frame() {
            Ok(frame) => frame,
            Err(error) => return self.end(error),
        };
        let packet = match RtcpPacket::decode(packet_type, format, body) {
            Ok(packet) => packet,
            Err(error) => return Some(Err(error)),
        };
        match self.statuses_left.checked_sub(packet.statuses()) {
            Some(left) => self.statuses_left = left,
            None => return self.end(DecodeError::TooMany("packet statuses")),
        }
        Some(Ok(packet))
    }
}

/// The two SSRCs at the head of every feedback packet (RFC 4585 §6.1).
fn feedback_head(reader: &mut Reader<'_>) -> Result<(Ssrc, Ssrc), DecodeError> {
    Ok((Ssrc(reader.u32()?), Ssrc(reader.u32()?)))
}

/// A list of `N`-byte entries; `what` is left over otherwise.
fn entries<'a, const N: usize>(
    bytes: &'a [u8],
    what: &'static str,
) -> Result<&'a [[u8; N]], DecodeError> {
    match bytes.as_chunks::<N>() {
        (entries, []) => Ok(entries),
        _ => Err(DecodeError::Malformed(what)),
    }
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const FORMAT: u8 = 0x1f;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const APP: u8 = 204;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const EXTENDED_REPORT: u8 = 207;

const FMT_NACK: u8 = 1;
const FMT_CONGESTION: u8 = 11;
const FMT_TRANSPORT_WIDE: u8 = 15;
const FMT_PLI: u8 = 1;
const FMT_FIR: u8 = 4;
const FMT_AFB: u8 = 15;

#[cfg(test)]
mod tests;
