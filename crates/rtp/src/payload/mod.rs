//! Payload formats: frames to payloads and back.
//!
//! A [`Packetizer`] cuts a frame into payloads and hands each to a sink as slices of the frame and
//! small headers, so that nothing is copied until the packet is written. A [`Depacketizer`] reads
//! payloads; [`crate::FrameAssembler`] drives it. Both compose by generics.

mod audio;
mod av1;
mod comfort_noise;
mod h264;
mod h265;
mod nal;
mod nal_units;
mod opus;
mod red;
mod telephone_event;
mod vp8;
mod vp9;

pub use audio::{G711_CLOCK_RATE, G722_CLOCK_RATE, WholeFrame, pcm_ticks};
pub use av1::{Av1Depacketizer, Av1Packetizer, Obus, obus};
pub use comfort_noise::ComfortNoise;
pub use h264::{H264Depacketizer, H264Packetizer};
pub use h265::{H265Depacketizer, H265Packetizer};
pub use nal::annex_b;
pub(crate) use nal::next_start_code;
pub use opus::{OpusBandwidth, OpusMode, OpusToc};
pub use red::{Red, RedBlock, RedWriter};
pub use telephone_event::TelephoneEvent;
pub use vp8::{Vp8Depacketizer, Vp8Descriptor, Vp8FrameInfo, Vp8Packetizer, Vp8TemporalLayer};
pub use vp9::{
    Vp9Depacketizer, Vp9Descriptor, Vp9FrameInfo, Vp9Layer, Vp9Packetizer, Vp9PictureGroupEntry,
    Vp9ScalabilityStructure,
};

use crate::packet::RtpBody;
use crate::{DecodeError, WriteError};

/// Cuts frames into payloads.
pub trait Packetizer {
    /// What has to be known about a frame and is not in its bytes.
    type FrameInfo: ?Sized;

    /// Cuts `frame` into payloads of at most `max_payload` bytes, in order, each given to `sink`
    /// once. Nothing is allocated.
    ///
    /// # Errors
    /// The frame is not what the format says, or `max_payload` leaves no room. Payloads already
    /// given to the sink are to be thrown away then.
    fn packetize<S: PayloadSink>(
        &mut self,
        frame: &[u8],
        info: &Self::FrameInfo,
        max_payload: usize,
        sink: &mut S,
    ) -> Result<(), PacketizeError>;
}

/// Takes payloads from a [`Packetizer`]; any `FnMut(PayloadParts)` is one.
pub trait PayloadSink {
    /// Takes the next payload. The parts are valid during the call only.
    fn payload(&mut self, payload: PayloadParts<'_>);
}

impl<F: FnMut(PayloadParts<'_>)> PayloadSink for F {
    fn payload(&mut self, payload: PayloadParts<'_>) {
        self(payload);
    }
}

/// One payload in pieces.
#[derive(Clone, Copy, Debug)]
pub struct PayloadParts<'a> {
    /// The pieces in order: headers of the format and slices of the frame.
    pub parts: &'a [&'a [u8]],
    /// The marker bit that belongs on the packet.
    pub marker: bool,
}

impl PayloadParts<'_> {
    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all pieces to a packet.
    ///
    /// # Errors
    /// The buffer is too small.
    pub fn write(&self, body: &mut RtpBody<'_>) -> Result<(), WriteError> {
        self.parts
            .iter()
            .try_for_each(|part| body.payload(part).map(|_| ()))
    }

    /// Appends all pieces to a vector.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        for part in self.parts {
            out.extend_from_slice(part);
        }
    }
}

/// Why a frame was not packetized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketizeError {
    /// The payload size leaves no room for the format's headers and a byte of content, or, for
    /// formats that do not fragment, the frame is longer.
    #[error("payloads of {max} bytes are too small, {needed} needed")]
    PayloadSize {
        /// The least that would do.
        needed: usize,
        /// The limit given.
        max: usize,
    },
    /// The frame is not what the format says.
    #[error("not a frame: {0}")]
    Frame(#[from] DecodeError),
    /// A value of the frame info is out of range.
    #[error("frame info: {0}")]
    Info(&'static str),
}

/// Reads payloads back into frames.
pub trait Depacketizer {
    /// What one payload says of itself, without state.
    ///
    /// # Errors
    /// Not a payload of this format.
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError>;

    /// Begins a frame: forgets what an unfinished one left behind.
    fn begin(&mut self) {}

    /// Appends what the next payload carries of the frame. Payloads of one frame are given in
    /// order and without a gap.
    ///
    /// # Errors
    /// The payloads do not make up a frame.
    fn append(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError>;

    /// Ends the frame.
    ///
    /// # Errors
    /// Something of the frame is still to come.
    fn finish(&mut self, _frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// What one payload says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketInfo {
    /// Whether it begins a frame.
    pub start: FrameStart,
    /// Whether it ends a frame whatever the marker bit says. (Otherwise the marker bit does, or a
    /// new timestamp.)
    pub ends_frame: bool,
    /// Whether it is known to belong to a frame that can be decoded without any other.
    pub key_frame: bool,
    /// Whether no other frame refers to this one.
    pub discardable: bool,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// For formats that number their base layer: where the frame stands.
    pub base_layer: Option<BaseLayer>,
}

/// TL0PICIDX and what goes with it (RFC 7741 §4.2, RFC 9628 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseLayer {
    /// Number of the base-layer frame that this is, or that it needs.
    pub index: u8,
    /// Whether it needs no frame of a temporal layer above the base.
    pub layer_sync: bool,
}

/// Whether a payload begins a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameStart {
    /// It does.
    Yes,
    /// It does, unless the packet before it has the same timestamp.
    Likely,
    /// The payload does not say; the packet before it does.
    #[default]
    Unknown,
    /// It continues one.
    No,
}

/// `max - header` if at least one byte of content fits.
fn room(max: usize, header: usize) -> Result<usize, PacketizeError> {
    match max.checked_sub(header) {
        Some(room) if room > 0 => Ok(room),
        _ => Err(PacketizeError::PayloadSize {
            needed: header + 1,
            max,
        }),
    }
}

/// Cuts `body` into parts of at most `max` bytes that differ by at most one: packets of one frame
/// are lost or delayed alike, and none is a tiny rest. Yields the part and whether it is the last.
fn even_parts(body: &[u8], max: usize) -> impl Iterator<Item = (&[u8], bool)> {
    let mut parts_left = body.len().div_ceil(max.max(1)).max(1);
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let body = rest?;
        let (part, tail) = body.split_at(body.len().div_ceil(parts_left.max(1)));
        parts_left -= 1;
        rest = (parts_left > 0).then_some(tail);
        Some((part, rest.is_none()))
    })
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// All payloads of a frame, joined, with their marker bits.
    pub(crate) fn payloads<P: Packetizer>(
        packetizer: &mut P,
        frame: &[u8],
        info: &P::FrameInfo,
        max: usize,
    ) -> Vec<(Vec<u8>, bool)> {
        let mut all = Vec::new();
        packetizer
            .packetize(frame, info, max, &mut |payload: PayloadParts<'_>| {
                let mut joined = Vec::new();
                payload.append_to(&mut joined);
                assert!(joined.len() <= max && joined.len() == payload.len());
                all.push((joined, payload.marker));
            })
            .unwrap();
        let markers = all.iter().filter(|(_, marker)| *marker).count();
        assert!(markers <= 1 && all.iter().rev().skip(1).all(|(_, marker)| !marker));
        all
    }

    /// The frame made from all payloads.
    pub(crate) fn frame<D: Depacketizer>(
        depacketizer: &mut D,
        payloads: &[(Vec<u8>, bool)],
    ) -> Result<Vec<u8>, DecodeError> {
        let mut frame = Vec::new();
        depacketizer.begin();
        for (payload, _) in payloads {
            depacketizer.inspect(payload)?;
            depacketizer.append(payload, &mut frame)?;
        }
        depacketizer.finish(&mut frame)?;
        Ok(frame)
    }

    /// Bytes that are not all alike and contain no start code.
    pub(crate) fn content(len: usize, seed: u8) -> Vec<u8> {
        (0..len)
            .map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed) | 1)
            .collect()
    }
}
