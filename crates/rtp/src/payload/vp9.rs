//! VP9 with SVC (RFC 9628).

use smallvec::SmallVec;

use super::{
    BaseLayer, Depacketizer, FrameStart, PacketInfo, PacketizeError, Packetizer, PayloadParts,
    PayloadSink, even_parts, room,
};
use crate::wire::{Reader, Writer};
use crate::{DecodeError, WriteError};

/// The payload descriptor (§4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vp9Descriptor {
    /// P: refers to earlier pictures.
    pub inter_picture: bool,
    /// B: begins a layer frame.
    pub begins_frame: bool,
    /// E: ends a layer frame.
    pub ends_frame: bool,
    /// Z: no higher spatial layer refers to it.
    pub not_for_upper_layers: bool,
    /// F: references are listed and not taken from the picture group.
    pub flexible: bool,
    /// Running number of the picture.
    pub picture_id: Option<u16>,
    /// Whether the picture id has 15 bits and not 7.
    pub long_picture_id: bool,
    /// Layer indices.
    pub layer: Option<Vp9Layer>,
    /// TL0PICIDX, with layer indices and without `flexible`.
    pub base_layer_index: u8,
    /// P_DIFF: the pictures referred to, as differences, 1–127; at most three.
    pub references: SmallVec<[u8; 3]>,
    /// What the layers look like; with key frames.
    pub structure: Option<Box<Vp9ScalabilityStructure>>,
}

/// Layer indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vp9Layer {
    /// TID, 0–7.
    pub temporal: u8,
    /// U: from here on higher temporal layers may be switched to.
    pub switching_up: bool,
    /// SID, 0–7.
    pub spatial: u8,
    /// D: refers to the spatial layer below in the same picture.
    pub inter_layer: bool,
}

/// Scalability structure (§4.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vp9ScalabilityStructure {
    /// Spatial layers, 1–8.
    pub spatial_layers: u8,
    /// Width and height in pixels for each spatial layer, or empty.
    pub resolutions: SmallVec<[(u16, u16); 4]>,
    /// Pictures of a group, in order, when one is given; may be empty.
    pub picture_group: Option<SmallVec<[Vp9PictureGroupEntry; 8]>>,
}

/// One picture of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vp9PictureGroupEntry {
    /// Temporal layer, 0–7.
    pub temporal: u8,
    /// Higher temporal layers may be switched to.
    pub switching_up: bool,
    /// Pictures referred to, as differences; at most three.
    pub references: SmallVec<[u8; 3]>,
}

impl Vp9Descriptor {
    /// Splits a payload into its descriptor and the content.
    ///
    /// # Errors
    /// Cut short, no content, or fields that contradict each other.
    pub fn parse(payload: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let mut reader = Reader::new(payload);
        let first = reader.u8()?;
        let mut descriptor = Self {
            inter_picture: first & 0x40 != 0,
            begins_frame: first & 0x08 != 0,
            ends_frame: first & 0x04 != 0,
            not_for_upper_layers: first & 0x01 != 0,
            flexible: first & 0x10 != 0,
            ..Self::default()
        };
        if first & 0x80 != 0 {
            let high = reader.u8()?;
            descriptor.long_picture_id = high & 0x80 != 0;
            descriptor.picture_id = Some(if descriptor.long_picture_id {
                u16::from(high & 0x7f) << 8 | u16::from(reader.u8()?)
            } else {
                high.into()
            });
        }
        if first & 0x20 != 0 {
            let byte = reader.u8()?;
            descriptor.layer = Some(Vp9Layer {
                temporal: byte >> 5,
                switching_up: byte & 0x10 != 0,
                spatial: byte >> 1 & 7,
                inter_layer: byte & 1 != 0,
            });
            if !descriptor.flexible {
                descriptor.base_layer_index = reader.u8()?;
            }
        }
        if descriptor.flexible && descriptor.inter_picture {
            loop {
                let byte = reader.u8()?;
                if descriptor.references.len() == MAX_REFERENCES {
                    return Err(DecodeError::TooMany("VP9 references"));
                }
                descriptor.references.push(byte >> 1);
                if byte & 1 == 0 {
                    break;
                }
            }
        }
        if first & 0x02 != 0 {
            descriptor.structure = Some(Box::new(Vp9ScalabilityStructure::decode(&mut reader)?));
        }
        if reader.is_empty() {
            return Err(DecodeError::Truncated);
        }
        Ok((descriptor, reader.rest()))
    }

    /// Writes the descriptor; returns its length.
    ///
    /// # Errors
    /// No room, or a field out of range.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        self.check()?;
        let mut out = Writer::new(out);
        out.u8(u8::from(self.picture_id.is_some()) << 7
            | u8::from(self.inter_picture) << 6
            | u8::from(self.layer.is_some()) << 5
            | u8::from(self.flexible) << 4
            | u8::from(self.begins_frame) << 3
            | u8::from(self.ends_frame) << 2
            | u8::from(self.structure.is_some()) << 1
            | u8::from(self.not_for_upper_layers))?;
        match self.picture_id {
            Some(id) if self.long_picture_id => out.u16(0x8000 | id)?,
            Some(id) => out.u8(id as u8)?,
            None => {}
        }
        if let Some(layer) = self.layer {
            out.u8(layer.temporal << 5
                | u8::from(layer.switching_up) << 4
                | layer.spatial << 1
                | u8::from(layer.inter_layer))?;
            if !self.flexible {
                out.u8(self.base_layer_index)?;
            }
        }
        for (index, reference) in self.references.iter().enumerate() {
            out.u8(reference << 1 | u8::from(index + 1 < self.references.len()))?;
        }
        if let Some(structure) = &self.structure {
            structure.encode(&mut out)?;
        }
        Ok(out.len())
    }

    fn check(&self) -> Result<(), WriteError> {
        let picture_id_max = if self.long_picture_id { 0x7fff } else { 0x7f };
        let listed = self.flexible && self.inter_picture;
        let sound = self.picture_id.is_none_or(|id| id <= picture_id_max)
            && self
                .layer
                .is_none_or(|layer| layer.temporal < 8 && layer.spatial < 8)
            && self.references.len() <= MAX_REFERENCES
            && self.references.iter().all(|reference| *reference < 128)
            && listed != self.references.is_empty()
            && self
                .structure
                .as_ref()
                .is_none_or(|structure| structure.is_sound());
        if sound {
            Ok(())
        } else {
            Err(WriteError::Invalid("VP9 descriptor"))
        }
    }

    /// Whether the payload can be the first of a picture, all spatial layers together.
    fn picture_start(&self) -> FrameStart {
        if !self.begins_frame {
            return FrameStart::No;
        }
        match self.layer {
            None => FrameStart::Yes,
            Some(layer) if layer.spatial == 0 => FrameStart::Yes,
            // Lower layers may have been switched off, or lost.
            Some(layer) if !layer.inter_layer => FrameStart::Unknown,
            Some(_) => FrameStart::No,
        }
    }
}

impl Vp9ScalabilityStructure {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = reader.u8()?;
        let mut structure = Self {
            spatial_layers: (first >> 5) + 1,
            ..Self::default()
        };
        if first & 0x10 != 0 {
            for _ in 0..structure.spatial_layers {
                structure.resolutions.push((reader.u16()?, reader.u16()?));
            }
        }
        if first & 0x08 != 0 {
            let mut group = SmallVec::new();
            for _ in 0..reader.u8()? {
                let byte = reader.u8()?;
                let references = reader.take(usize::from(byte >> 2 & 3))?.into();
                group.push(Vp9PictureGroupEntry {
                    temporal: byte >> 5,
                    switching_up: byte & 0x10 != 0,
                    references,
                });
            }
            structure.picture_group = Some(group);
        }
        Ok(structure)
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), WriteError> {
        out.u8((self.spatial_layers - 1) << 5
            | u8::from(!self.resolutions.is_empty()) << 4
            | u8::from(self.picture_group.is_some()) << 3)?;
        for (width, height) in &self.resolutions {
            out.u16(*width)?;
            out.u16(*height)?;
        }
        if let Some(group) = &self.picture_group {
            out.u8(group.len() as u8)?;
            for picture in group {
                out.u8(picture.temporal << 5
                    | u8::from(picture.switching_up) << 4
                    | (picture.references.len() as u8) << 2)?;
                out.bytes(&picture.references)?;
            }
        }
        Ok(())
    }

    fn is_sound(&self) -> bool {
        (1..=8).contains(&self.spatial_layers)
            && (self.resolutions.is_empty()
                || self.resolutions.len() == usize::from(self.spatial_layers))
            && self.picture_group.as_ref().is_none_or(|group| {
                group.len() <= 255
                    && group.iter().all(|picture| {
                        picture.temporal < 8 && picture.references.len() <= MAX_REFERENCES
                    })
            })
    }
}

/// What the encoder knows about a layer frame. One is packetized at a time, lowest spatial layer
/// first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vp9FrameInfo {
    /// As in the descriptor; `begins_frame`, `ends_frame`, `picture_id` and `long_picture_id` are
    /// the packetizer's. A structure goes with the first payload only.
    pub descriptor: Vp9Descriptor,
    /// Whether it is the last layer frame of its picture.
    pub ends_picture: bool,
}

/// Layer frames to payloads, with picture ids of 15 bits counted up.
#[derive(Clone, Copy, Debug)]
pub struct Vp9Packetizer {
    picture_id: u16,
}

impl Vp9Packetizer {
    /// The first picture has this id, modulo 2^15.
    #[must_use]
    pub const fn new(first_picture_id: u16) -> Self {
        Self {
            picture_id: first_picture_id & 0x7fff,
        }
    }
}

impl Packetizer for Vp9Packetizer {
    type FrameInfo = Vp9FrameInfo;

    fn packetize<S: PayloadSink>(
        &mut self,
        frame: &[u8],
        info: &Vp9FrameInfo,
        max_payload: usize,
        sink: &mut S,
    ) -> Result<(), PacketizeError> {
        if frame.is_empty() {
            return Err(DecodeError::Truncated.into());
        }
        let mut header = [0; MAX_HEADER];
        let (with, without) = self.headers(info, &mut header)?;
        // All payloads are cut for the longer header: one even size, one pass.
        let room = room(max_payload, with)?;
        let (first_header, other_header) = header[..with + without].split_at_mut(with);
        let mut is_first = true;
        for (part, last) in even_parts(frame, room) {
            let header = if is_first {
                &mut *first_header
            } else {
                &mut *other_header
            };
            header[0] = header[0] & !0x0c | u8::from(is_first) << 3 | u8::from(last) << 2;
            let marker = last && info.ends_picture;
            sink.payload(PayloadParts {
                parts: &[header, part],
                marker,
            });
            is_first = false;
        }
        if info.ends_picture {
            self.picture_id = (self.picture_id + 1) & 0x7fff;
        }
        Ok(())
    }
}

impl Vp9Packetizer {
    /// Writes the descriptor with and without its structure, one behind the other; returns both
    /// lengths.
    fn headers(
        &self,
        info: &Vp9FrameInfo,
        out: &mut [u8],
    ) -> Result<(usize, usize), PacketizeError> {
        let fail = |_| PacketizeError::Info("VP9 descriptor");
        let given = &info.descriptor;
        // Without the structure there is nothing on the heap to copy.
        let descriptor = Vp9Descriptor {
            inter_picture: given.inter_picture,
            begins_frame: false,
            ends_frame: false,
            not_for_upper_layers: given.not_for_upper_layers,
            flexible: given.flexible,
            picture_id: Some(self.picture_id),
            long_picture_id: true,
            layer: given.layer,
            base_layer_index: given.base_layer_index,
            references: given.references.clone(),
            structure: None,
        };
        let without = descriptor.encode(out).map_err(fail)?;
        let mut with = without;
        if let Some(structure) = &info.descriptor.structure {
            if !structure.is_sound() {
                return Err(PacketizeError::Info("VP9 scalability structure"));
            }
            let mut writer = Writer::new(&mut out[without..]);
            structure.encode(&mut writer).map_err(fail)?;
            with += writer.len();
        }
        let total = with + without;
        if total > out.len() {
            return Err(PacketizeError::Info("VP9 scalability structure too long"));
        }
        out.copy_within(..without, with);
        if with > without {
            out[0] |= 0x02;
        }
        Ok((with, without))
    }
}

/// Payloads to pictures: all spatial layers of one timestamp, one behind the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vp9Depacketizer;

impl Depacketizer for Vp9Depacketizer {
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        let (descriptor, _) = Vp9Descriptor::parse(payload)?;
        let start = descriptor.picture_start();
        let layer = descriptor.layer.unwrap_or_default();
        Ok(PacketInfo {
            start,
            ends_frame: false,
            key_frame: start == FrameStart::Yes && !descriptor.inter_picture,
            discardable: false,
            spatial: layer.spatial,
            temporal: layer.temporal,
            base_layer: descriptor
                .layer
                .filter(|_| !descriptor.flexible)
                .map(|layer| BaseLayer {
                    index: descriptor.base_layer_index,
                    layer_sync: layer.switching_up && layer.temporal > 0,
                }),
        })
    }

    fn append(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        let (_, content) = Vp9Descriptor::parse(payload)?;
        frame.extend_from_slice(content);
        Ok(())
    }
}

/// P_DIFF is repeated at most three times (§4.2), R of a picture group has two bits.
const MAX_REFERENCES: usize = 3;
/// Twice the plain fields, eight resolutions, and a picture group of up to 60 with room to spare.
const MAX_HEADER: usize = 320;

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::super::testing::{content, frame, payloads};
    use super::*;

    fn structure() -> Vp9ScalabilityStructure {
        let picture = |temporal, references: &[u8]| Vp9PictureGroupEntry {
            temporal,
            switching_up: temporal > 0,
            references: references.into(),
        };
        Vp9ScalabilityStructure {
            spatial_layers: 2,
            resolutions: smallvec![(320, 180), (640, 360)],
            picture_group: Some(smallvec![
                picture(0, &[2]),
                picture(1, &[1, 2, 3]),
                picture(2, &[])
            ]),
        }
    }

    fn layer(spatial: u8) -> Vp9Layer {
        Vp9Layer {
            temporal: 1,
            switching_up: true,
            spatial,
            inter_layer: spatial > 0,
        }
    }

    /// Flexible and not, with and without each optional part; cut anywhere it is an error.
    #[test]
    fn descriptors() {
        for bits in 0..64u8 {
            let flexible = bits & 1 != 0;
            let inter_picture = bits & 2 != 0;
            let with_layer = bits & 8 != 0;
            let descriptor = Vp9Descriptor {
                inter_picture,
                begins_frame: true,
                ends_frame: !flexible,
                not_for_upper_layers: bits & 4 != 0,
                flexible,
                picture_id: (bits & 4 != 0).then_some(77),
                long_picture_id: bits & 36 == 36,
                layer: with_layer.then_some(layer(1)),
                base_layer_index: if with_layer && !flexible { 9 } else { 0 },
                references: if flexible && inter_picture {
                    smallvec![1, 127, 3]
                } else {
                    smallvec![]
                },
                structure: (bits & 16 != 0).then(|| Box::new(structure())),
            };
            let mut bytes = [0xaa; 60];
            let len = descriptor.encode(&mut bytes).unwrap();
            let (parsed, rest) = Vp9Descriptor::parse(&bytes[..=len]).unwrap();
            assert_eq!((&parsed, rest.len()), (&descriptor, 1));
            for short in 0..=len {
                assert!(Vp9Descriptor::parse(&bytes[..short]).is_err());
                assert_eq!(
                    descriptor.encode(&mut [0; 60][..short]).is_err(),
                    short < len
                );
            }
        }
        let four = [0x50, 3, 3, 3, 2, 0];
        assert_eq!(
            Vp9Descriptor::parse(&four),
            Err(DecodeError::TooMany("VP9 references"))
        );
    }

    /// Two spatial layers make one picture: one marker, one picture id, the structure once.
    #[test]
    fn pictures() {
        let mut packetizer = Vp9Packetizer::new(0x7fff);
        for picture_id in [0x7fff, 0] {
            let mut sent = Vec::new();
            let mut expected = Vec::new();
            for spatial in 0..2 {
                let bytes = content(300 + usize::from(spatial) * 500, spatial);
                let info = Vp9FrameInfo {
                    descriptor: Vp9Descriptor {
                        layer: Some(layer(spatial)),
                        structure: (spatial == 0).then(|| Box::new(structure())),
                        ..Vp9Descriptor::default()
                    },
                    ends_picture: spatial == 1,
                };
                sent.extend(payloads(&mut packetizer, &bytes, &info, 150));
                expected.extend(bytes);
            }
            assert_eq!(sent.iter().filter(|(_, marker)| *marker).count(), 1);
            assert_eq!(frame(&mut Vp9Depacketizer, &sent), Ok(expected));
            let starts: Vec<_> = sent
                .iter()
                .map(|(payload, _)| Vp9Depacketizer.inspect(payload).unwrap())
                .collect();
            assert_eq!(starts[0].start, FrameStart::Yes);
            assert!(starts[0].key_frame);
            assert!(starts[1..].iter().all(|info| info.start == FrameStart::No));
            for (index, (payload, _)) in sent.iter().enumerate() {
                let (descriptor, _) = Vp9Descriptor::parse(payload).unwrap();
                assert_eq!(descriptor.picture_id, Some(picture_id));
                assert_eq!(descriptor.structure.is_some(), index == 0);
            }
        }
    }
}
