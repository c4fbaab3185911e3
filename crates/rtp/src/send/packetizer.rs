//! Gives the payloads of frames their place in a stream: sequence numbers and timestamps.

use std::time::Duration;

use crate::payload::{PacketizeError, Packetizer, PayloadParts};
use crate::{RtpHeader, SequenceNumber, Ssrc, Timestamp};

/// One outgoing stream: a [`Packetizer`] with numbers and a clock.
#[derive(Debug)]
pub struct StreamPacketizer<P> {
    packetizer: P,
    config: StreamConfig,
    next: SequenceNumber,
}

/// What the packets of a stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Synchronization source.
    pub ssrc: Ssrc,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Of the timestamps, in Hz.
    pub clock_rate: u32,
    /// Of the first packet; random, but below 2^15: a receiver of SRTP would take the loss of the
    /// first packets before a wrap for none (RFC 3711 §3.3.1).
    pub first_sequence: SequenceNumber,
    /// The timestamp of media time zero; random (RFC 3550 §5.1).
    pub first_timestamp: Timestamp,
    /// Largest payload, in bytes.
    pub max_payload: usize,
}

impl<P: Packetizer> StreamPacketizer<P> {
    /// A stream that has sent nothing.
    #[must_use]
    pub const fn new(packetizer: P, config: StreamConfig) -> Self {
        Self {
            packetizer,
            next: config.first_sequence,
            config,
        }
    }

    /// Cuts a frame captured at `media_time`, which counts from any moment the caller chose, into
    /// payloads; each goes to `sink` with the header for its packet. Returns their number.
    ///
    /// # Errors
    /// As [`Packetizer::packetize`]. No sequence number is used up then; payloads already given to
    /// the sink are to be thrown away.
    pub fn packetize(
        &mut self,
        media_time: Duration,
        frame: &[u8],
        info: &P::FrameInfo,
        mut sink: impl FnMut(&RtpHeader<'_>, PayloadParts<'_>),
    ) -> Result<u16, PacketizeError> {
        let mut header = RtpHeader {
            marker: false,
            payload_type: self.config.payload_type,
            sequence: self.next,
            timestamp: self.timestamp(media_time),
            ssrc: self.config.ssrc,
            csrcs: &[],
        };
        let max = self.config.max_payload;
        self.packetizer
            .packetize(frame, info, max, &mut |payload: PayloadParts<'_>| {
                header.marker = payload.marker;
                sink(&header, payload);
                header.sequence = header.sequence.next();
            })?;
        let packets = header.sequence.distance_from(self.next);
        self.next = header.sequence;
        Ok(packets)
    }

    /// The timestamp of a moment.
    #[must_use]
    pub const fn timestamp(&self, media_time: Duration) -> Timestamp {
        let ticks = media_time.as_nanos() * self.config.clock_rate as u128 / 1_000_000_000;
        self.config.first_timestamp.plus(ticks as u32)
    }

    /// The number of the next packet.
    #[must_use]
    pub const fn next_sequence(&self) -> SequenceNumber {
        self.next
    }

    /// Takes the next number for a packet made elsewhere, such as padding.
    pub const fn take_sequence(&mut self) -> SequenceNumber {
        let sequence = self.next;
        self.next = sequence.next();
        sequence
    }

    /// Changes the largest payload, in bytes.
    pub const fn set_max_payload(&mut self, max: usize) {
        self.config.max_payload = max;
    }

    /// The format's packetizer.
    pub const fn packetizer_mut(&mut self) -> &mut P {
        &mut self.packetizer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{Vp8FrameInfo, Vp8Packetizer};

    /// Numbers and timestamps go on over their wraps; a frame that fails uses none up.
    #[test]
    fn numbers_and_clock() {
        let config = StreamConfig {
            ssrc: Ssrc(1),
            payload_type: 96,
            clock_rate: 90_000,
            first_sequence: SequenceNumber(65_534),
            first_timestamp: Timestamp(u32::MAX),
            max_payload: 1000,
        };
        let mut stream = StreamPacketizer::new(Vp8Packetizer::new(None), config);
        let mut seen = Vec::new();
        let info = Vp8FrameInfo::default();
        for frame in 0..2u64 {
            let time = Duration::from_millis(frame * 20);
            let count = stream.packetize(time, &[1; 1500], &info, |header, payload| {
                assert_eq!(header.marker, payload.marker);
                seen.push((header.sequence.0, header.timestamp.0, header.marker));
            });
            assert_eq!(count, Ok(2));
        }
        let expected = [
            (65_534, u32::MAX, false),
            (65_535, u32::MAX, true),
            (0, 1799, false),
            (1, 1799, true),
        ];
        assert_eq!(seen, expected);
        stream.set_max_payload(1);
        let failed = stream.packetize(Duration::ZERO, &[1; 10], &info, |_, _| {});
        assert!(failed.is_err());
        assert_eq!(stream.next_sequence(), SequenceNumber(2));
        // A day is more ticks than a timestamp has.
        let day = stream.timestamp(Duration::from_secs(86_400));
        assert_eq!(day.0, (86_400u64 * 90_000 - 1) as u32);
    }
}
