//! VP8 (RFC 7741).

use super::{
    BaseLayer, Depacketizer, FrameStart, PacketInfo, PacketizeError, Packetizer, PayloadParts,
    PayloadSink, even_parts, room,
};
use crate::wire::{Reader, Writer};
use crate::{DecodeError, WriteError};

/// The payload descriptor (§4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vp8Descriptor {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S: the payload begins a partition.
    pub partition_start: bool,
    /// Index of the partition, 0–15 on read and 0–7 by the standard.
    pub partition: u8,
    /// Running number of the frame.
    pub picture_id: Option<u16>,
    /// Whether the picture id has 15 bits and not 7.
    pub long_picture_id: bool,
    /// TL0PICIDX: running number of the base-layer frame.
    pub base_layer_index: Option<u8>,
    /// Temporal layer and whether the frame depends on the base layer only.
    pub temporal: Option<Vp8TemporalLayer>,
    /// KEYIDX: running number of the key frame, 5 bits.
    pub key_index: Option<u8>,
}

/// TID and Y.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vp8TemporalLayer {
    /// Temporal layer, 0–3.
    pub id: u8,
    /// Y: the frame needs nothing above the base layer.
    pub layer_sync: bool,
}

impl Vp8Descriptor {
    /// Splits a payload into its descriptor and the content.
    ///
    /// # Errors
    /// Cut short, or no content.
    pub fn parse(payload: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let mut reader = Reader::new(payload);
        let first = reader.u8()?;
        let mut descriptor = Self {
            non_reference: first & 0x20 != 0,
            partition_start: first & 0x10 != 0,
            partition: first & 0x0f,
            ..Self::default()
        };
        if first & 0x80 != 0 {
            let extension = reader.u8()?;
            if extension & 0x80 != 0 {
                let high = reader.u8()?;
                descriptor.long_picture_id = high & 0x80 != 0;
                descriptor.picture_id = Some(if descriptor.long_picture_id {
                    u16::from(high & 0x7f) << 8 | u16::from(reader.u8()?)
                } else {
                    high.into()
                });
            }
            if extension & 0x40 != 0 {
                descriptor.base_layer_index = Some(reader.u8()?);
            }
            if extension & 0x30 != 0 {
                let byte = reader.u8()?;
                if extension & 0x20 != 0 {
                    let layer_sync = byte & 0x20 != 0;
                    descriptor.temporal = Some(Vp8TemporalLayer {
                        id: byte >> 6,
                        layer_sync,
                    });
                }
                if extension & 0x10 != 0 {
                    descriptor.key_index = Some(byte & 0x1f);
                }
            }
        }
        if reader.is_empty() {
            return Err(DecodeError::Truncated);
        }
        Ok((descriptor, reader.rest()))
    }

    /// Writes the descriptor; returns its length, at most 6.
    ///
    /// # Errors
    /// No room, or a field out of range.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        let picture_id_max = if self.long_picture_id { 0x7fff } else { 0x7f };
        if self.partition > 15
            || self.picture_id.is_some_and(|id| id > picture_id_max)
            || self.temporal.is_some_and(|layer| layer.id > 3)
            || self.key_index.is_some_and(|index| index > 31)
        {
            return Err(WriteError::Invalid("VP8 descriptor"));
        }
        let extension = u8::from(self.picture_id.is_some()) << 7
            | u8::from(self.base_layer_index.is_some()) << 6
            | u8::from(self.temporal.is_some()) << 5
            | u8::from(self.key_index.is_some()) << 4;
        let mut out = Writer::new(out);
        out.u8(u8::from(extension != 0) << 7
            | u8::from(self.non_reference) << 5
            | u8::from(self.partition_start) << 4
            | self.partition)?;
        if extension != 0 {
            out.u8(extension)?;
        }
        match self.picture_id {
            Some(id) if self.long_picture_id => out.u16(0x8000 | id)?,
            Some(id) => out.u8(id as u8)?,
            None => {}
        }
        if let Some(index) = self.base_layer_index {
            out.u8(index)?;
        }
        if self.temporal.is_some() || self.key_index.is_some() {
            let layer = self.temporal.unwrap_or_default();
            let key = self.key_index.unwrap_or(0);
            out.u8(layer.id << 6 | u8::from(layer.layer_sync) << 5 | key)?;
        }
        Ok(out.len())
    }

    /// Whether the payload is the first of its frame.
    #[must_use]
    pub const fn begins_frame(&self) -> bool {
        self.partition_start && self.partition == 0
    }
}

/// What the encoder knows about a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vp8FrameInfo {
    /// No other frame refers to this one.
    pub non_reference: bool,
    /// TL0PICIDX.
    pub base_layer_index: Option<u8>,
    /// Temporal layer.
    pub temporal: Option<Vp8TemporalLayer>,
}

/// Frames to payloads, with picture ids of 15 bits counted up.
#[derive(Clone, Copy, Debug)]
pub struct Vp8Packetizer {
    picture_id: Option<u16>,
}

impl Vp8Packetizer {
    /// The first frame has this picture id, modulo 2^15; without one there are none.
    #[must_use]
    pub const fn new(first_picture_id: Option<u16>) -> Self {
        Self {
            picture_id: first_picture_id,
        }
    }
}

impl Packetizer for Vp8Packetizer {
    type FrameInfo = Vp8FrameInfo;

    fn packetize<S: PayloadSink>(
        &mut self,
        frame: &[u8],
        info: &Vp8FrameInfo,
        max_payload: usize,
        sink: &mut S,
    ) -> Result<(), PacketizeError> {
        if frame.is_empty() {
            return Err(DecodeError::Truncated.into());
        }
        let mut descriptor = Vp8Descriptor {
            non_reference: info.non_reference,
            partition_start: true,
            partition: 0,
            picture_id: self.picture_id.map(|id| id & 0x7fff),
            long_picture_id: true,
            base_layer_index: info.base_layer_index,
            temporal: info.temporal,
            key_index: None,
        };
        let mut header = [0; 6];
        let encode = |descriptor: &Vp8Descriptor, header: &mut [u8; 6]| {
            descriptor
                .encode(header)
                .map_err(|_| PacketizeError::Info("temporal layer over 3"))
        };
        let len = encode(&descriptor, &mut header)?;
        let room = room(max_payload, len)?;
        for (part, last) in even_parts(frame, room) {
            encode(&descriptor, &mut header)?;
            sink.payload(PayloadParts {
                parts: &[&header[..len], part],
                marker: last,
            });
            // Partition boundaries are not looked up: what follows is "of partition 0" (§4.2
            // allows it, and browsers do the same).
            descriptor.partition_start = false;
        }
        self.picture_id = self.picture_id.map(|id| id.wrapping_add(1));
        Ok(())
    }
}

/// Payloads to frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vp8Depacketizer;

impl Depacketizer for Vp8Depacketizer {
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        let (descriptor, content) = Vp8Descriptor::parse(payload)?;
        let starts = descriptor.begins_frame();
        let layer = descriptor.temporal.unwrap_or_default();
        Ok(PacketInfo {
            start: if starts {
                FrameStart::Yes
            } else {
                FrameStart::No
            },
            ends_frame: false,
            // P of the frame header, inverted: 0 for a key frame (RFC 6386 §9.1).
            key_frame: starts && content.first().is_some_and(|byte| byte & 1 == 0),
            discardable: descriptor.non_reference,
            spatial: 0,
            temporal: layer.id,
            base_layer: descriptor.base_layer_index.map(|index| BaseLayer {
                index,
                layer_sync: layer.layer_sync,
            }),
        })
    }

    fn append(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        let (_, content) = Vp8Descriptor::parse(payload)?;
        frame.extend_from_slice(content);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{content, frame, payloads};
    use super::*;

    /// Every combination of optional fields comes back, and is an error cut anywhere.
    #[test]
    fn descriptors() {
        for bits in 0..32u8 {
            let descriptor = Vp8Descriptor {
                non_reference: bits & 1 != 0,
                partition_start: bits & 1 == 0,
                partition: 5,
                picture_id: (bits & 2 != 0).then_some(100),
                long_picture_id: bits & 6 == 6,
                base_layer_index: (bits & 8 != 0).then_some(255),
                temporal: (bits & 16 != 0).then_some(Vp8TemporalLayer {
                    id: 2,
                    layer_sync: true,
                }),
                key_index: (bits & 4 != 0).then_some(31),
            };
            let mut bytes = [0xaa; 7];
            let len = descriptor.encode(&mut bytes).unwrap();
            assert_eq!(
                Vp8Descriptor::parse(&bytes[..=len]),
                Ok((descriptor, &bytes[len..=len]))
            );
            for short in 0..=len {
                assert!(Vp8Descriptor::parse(&bytes[..short]).is_err());
                assert_eq!(
                    descriptor.encode(&mut [0; 7][..short]).is_err(),
                    short < len
                );
            }
        }
    }

    /// Frames of one byte up to many packets, cut evenly; the picture id goes on over its wrap.
    #[test]
    fn frames() {
        let mut packetizer = Vp8Packetizer::new(Some(0x7fff));
        for (len, packets) in [(1, 1), (96, 1), (97, 2), (1000, 11)] {
            let bytes = content(len, 0);
            let info = Vp8FrameInfo::default();
            let sent = payloads(&mut packetizer, &bytes, &info, 100);
            assert_eq!(sent.len(), packets);
            assert_eq!(frame(&mut Vp8Depacketizer, &sent), Ok(bytes));
            let info = Vp8Depacketizer.inspect(&sent[0].0).unwrap();
            assert_eq!(info.start, FrameStart::Yes);
            assert!(!info.key_frame);
        }
        let (last, _) = Vp8Descriptor::parse(
            &payloads(&mut packetizer, &[0], &Vp8FrameInfo::default(), 9)[0].0,
        )
        .map(|(descriptor, rest)| (descriptor, rest.len()))
        .unwrap();
        assert_eq!(last.picture_id, Some(3));
    }
}
