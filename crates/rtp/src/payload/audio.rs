//! Formats in which a payload is a frame: Opus (RFC 7587), G.711 and G.722 (RFC 3551 §4.5).

use super::{
    Depacketizer, FrameStart, PacketInfo, PacketizeError, Packetizer, PayloadParts, PayloadSink,
};
use crate::DecodeError;

/// One frame, one payload; both ways.
#[derive(Clone, Copy, Debug, Default)]
pub struct WholeFrame;

impl Packetizer for WholeFrame {
    /// Whether the frame begins a talkspurt: the marker bit of audio (RFC 3551 §4.1).
    type FrameInfo = bool;

    fn packetize<S: PayloadSink>(
        &mut self,
        frame: &[u8],
        info: &bool,
        max_payload: usize,
        sink: &mut S,
    ) -> Result<(), PacketizeError> {
        if frame.is_empty() {
            return Err(DecodeError::Truncated.into());
        }
        if frame.len() > max_payload {
            return Err(PacketizeError::PayloadSize {
                needed: frame.len(),
                max: max_payload,
            });
        }
        sink.payload(PayloadParts {
            parts: &[frame],
            marker: *info,
        });
        Ok(())
    }
}

impl Depacketizer for WholeFrame {
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        if payload.is_empty() {
            return Err(DecodeError::Truncated);
        }
        Ok(PacketInfo {
            start: FrameStart::Yes,
            ends_frame: true,
            key_frame: true,
            ..PacketInfo::default()
        })
    }

    fn append(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        frame.extend_from_slice(payload);
        Ok(())
    }
}

/// Ticks of the RTP clock in a payload of G.711 or G.722: one a byte in both, since a byte of
/// G.722 holds two samples while its clock runs at half the sampling rate, by an old mistake
/// (RFC 3551 §4.5.2).
#[must_use]
pub const fn pcm_ticks(payload: &[u8]) -> usize {
    payload.len()
}

/// PCMU and PCMA.
pub const G711_CLOCK_RATE: u32 = 8000;
/// G722: 8 kHz for audio sampled at 16 kHz (RFC 3551 §4.5.2).
pub const G722_CLOCK_RATE: u32 = 8000;

#[cfg(test)]
mod tests {
    use super::super::testing::{frame, payloads};
    use super::*;

    /// A frame is a payload; one that does not fit is refused and not cut.
    #[test]
    fn whole_frames() {
        let sent = payloads(&mut WholeFrame, &[1, 2, 3], &true, 3);
        assert_eq!(sent, [(vec![1, 2, 3], true)]);
        assert_eq!(frame(&mut WholeFrame, &sent), Ok(vec![1, 2, 3]));
        let mut none = |_: PayloadParts<'_>| panic!("nothing fits");
        let error = WholeFrame.packetize(&[0; 4], &false, 3, &mut none);
        assert_eq!(
            error,
            Err(PacketizeError::PayloadSize { needed: 4, max: 3 })
        );
        assert!(WholeFrame.packetize(&[], &false, 3, &mut none).is_err());
        assert!(WholeFrame.inspect(&[]).is_err());
        assert_eq!(pcm_ticks(&[0; 160]), 160);
    }
}
