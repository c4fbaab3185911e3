//! Video layers allocation, version 00: bit rates and sizes of the layers a sender sends.

use smallvec::SmallVec;

use super::{ExtensionKind, HeaderExtension, put};
use crate::wire::{Reader, Writer, leb128, leb128_len};
use crate::{DecodeError, WriteError};

/// All layers of all streams of one source. No layers means that nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VideoLayersAllocation {
    /// Index of the stream that carries this, 0–3.
    pub stream: u8,
    /// Number of streams (of a simulcast), 1–4.
    pub streams: u8,
    /// Active spatial layers, by stream and spatial id.
    pub layers: SmallVec<[LayerAllocation; 4]>,
}

/// One active spatial layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayerAllocation {
    /// Index of the stream, below `streams`.
    pub stream: u8,
    /// Spatial id, 0–3.
    pub spatial: u8,
    /// Target rate for each temporal layer, in kbit/s, the lower ones included; 1–4 of them.
    pub target_kbps: SmallVec<[u32; 4]>,
    /// Size and rate; given for all layers or for none.
    pub video: Option<LayerVideo>,
}

/// What a layer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerVideo {
    /// Width in pixels, 1–65,536.
    pub width: u32,
    /// Height in pixels, 1–65,536.
    pub height: u32,
    /// Highest frame rate, in frames per second.
    pub max_fps: u8,
}

impl HeaderExtension<'_> for VideoLayersAllocation {
    const KIND: ExtensionKind = ExtensionKind::VideoLayersAllocation;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let first = reader.u8()?;
        let streams = (first >> 4 & 3) + 1;
        let mut allocation = Self {
            stream: first >> 6,
            streams,
            layers: SmallVec::new(),
        };
        if first == 0 && reader.is_empty() {
            return Ok(allocation);
        }
        let masks = decode_masks(&mut reader, first & 0xf, streams)?;
        for (stream, mask) in masks.iter().enumerate() {
            for spatial in (0..4).filter(|spatial| mask >> spatial & 1 == 1) {
                allocation.layers.push(LayerAllocation {
                    stream: stream as u8,
                    spatial,
                    target_kbps: SmallVec::new(),
                    video: None,
                });
            }
        }
        let counts = reader.take(allocation.layers.len().div_ceil(4))?;
        for (index, layer) in allocation.layers.iter_mut().enumerate() {
            let count = (counts[index / 4] >> (6 - index % 4 * 2) & 3) + 1;
            for _ in 0..count {
                let rate = reader.leb128()?;
                let rate = u32::try_from(rate).map_err(|_| DecodeError::Malformed("bit rate"))?;
                layer.target_kbps.push(rate);
            }
        }
        if !reader.is_empty() {
            for layer in &mut allocation.layers {
                layer.video = Some(LayerVideo {
                    width: u32::from(reader.u16()?) + 1,
                    height: u32::from(reader.u16()?) + 1,
                    max_fps: reader.u8()?,
                });
            }
        }
        if !reader.is_empty() {
            return Err(DecodeError::Malformed("length of a header extension"));
        }
        Ok(allocation)
    }

    fn encoded_len(&self) -> usize {
        if self.is_plain_nothing() {
            return 1;
        }
        let masks = if self.shared_mask().is_some() {
            0
        } else {
            self.mask_bytes()
        };
        let rates = self.layers.iter().flat_map(|layer| &layer.target_kbps);
        let rates: usize = rates.map(|rate| leb128_len(u64::from(*rate))).sum();
        let video = self
            .layers
            .iter()
            .filter(|layer| layer.video.is_some())
            .count()
            * 5;
        1 + masks + self.layers.len().div_ceil(4) + rates + video
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        self.check()?;
        if self.is_plain_nothing() {
            return put(out, &[0]);
        }
        let mut writer = Writer::new(out);
        let shared = self.shared_mask();
        writer.u8(self.stream << 6 | (self.streams - 1) << 4 | shared.unwrap_or(0))?;
        if shared.is_none() {
            let masks = self.masks();
            writer.u8(masks[0] << 4 | masks[1])?;
            if self.mask_bytes() == 2 {
                writer.u8(masks[2] << 4 | masks[3])?;
            }
        }
        for four in self.layers.chunks(4) {
            let mut byte = 0;
            for (index, layer) in four.iter().enumerate() {
                byte |= (layer.target_kbps.len() as u8 - 1) << (6 - index * 2);
            }
            writer.u8(byte)?;
        }
        for rate in self.layers.iter().flat_map(|layer| &layer.target_kbps) {
            let rate = u64::from(*rate);
            writer.bytes(&leb128(rate)[..leb128_len(rate)])?;
        }
        for video in self.layers.iter().filter_map(|layer| layer.video) {
            writer.u16((video.width - 1) as u16)?;
            writer.u16((video.height - 1) as u16)?;
            writer.u8(video.max_fps)?;
        }
        Ok(())
    }
}

impl VideoLayersAllocation {
    fn check(&self) -> Result<(), WriteError> {
        let shape = self.stream < 4 && (1..=4).contains(&self.streams);
        let mut order = self
            .layers
            .iter()
            .map(|layer| (layer.stream, layer.spatial));
        let with_video = self
            .layers
            .iter()
            .filter(|layer| layer.video.is_some())
            .count();
        let sound = shape
            && order.clone().is_sorted_by(|a, b| a < b)
            && order.all(|(stream, spatial)| stream < self.streams && spatial < 4)
            && (with_video == 0 || with_video == self.layers.len())
            && self.layers.iter().all(|layer| {
                (1..=4).contains(&layer.target_kbps.len())
                    && layer.video.is_none_or(|video| {
                        (1..=65_536).contains(&video.width) && (1..=65_536).contains(&video.height)
                    })
            });
        if sound {
            Ok(())
        } else {
            Err(WriteError::Invalid("video layers allocation"))
        }
    }

    /// The one-byte form for "nothing is sent".
    fn is_plain_nothing(&self) -> bool {
        self.layers.is_empty() && self.stream == 0 && self.streams == 1
    }

    fn masks(&self) -> [u8; 4] {
        let mut masks = [0; 4];
        for layer in &self.layers {
            masks[usize::from(layer.stream & 3)] |= 1 << (layer.spatial & 3);
        }
        masks
    }

    /// The mask that all streams have, unless it is empty: zero means "not shared".
    fn shared_mask(&self) -> Option<u8> {
        let masks = self.masks();
        let same = masks
            .iter()
            .take(self.streams.into())
            .all(|mask| *mask == masks[0]);
        (same && masks[0] != 0).then_some(masks[0])
    }

    const fn mask_bytes(&self) -> usize {
        if self.streams > 2 { 2 } else { 1 }
    }
}

fn decode_masks(reader: &mut Reader<'_>, shared: u8, streams: u8) -> Result<[u8; 4], DecodeError> {
    let mut masks = [0; 4];
    let used = &mut masks[..usize::from(streams)];
    if shared != 0 {
        used.fill(shared);
        return Ok(masks);
    }
    for pair in used.chunks_mut(2) {
        let byte = reader.u8()?;
        for (mask, nibble) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
            *mask = nibble;
        }
    }
    Ok(masks)
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::super::testing::comes_back;
    use super::*;

    fn layer(stream: u8, spatial: u8, rates: &[u32], video: Option<LayerVideo>) -> LayerAllocation {
        LayerAllocation {
            stream,
            spatial,
            target_kbps: rates.into(),
            video,
        }
    }

    /// Shared masks, separate masks, sizes, and nothing at all.
    #[test]
    fn values() {
        let video = Some(LayerVideo {
            width: 640,
            height: 360,
            max_fps: 30,
        });
        let svc = VideoLayersAllocation {
            stream: 0,
            streams: 1,
            layers: smallvec![layer(0, 0, &[50, 100], video), layer(0, 1, &[300], video)],
        };
        let sizes = [2, 127, 1, 103, 30, 2, 127, 1, 103, 30];
        let mut expected = vec![0b0000_0011, 0b0100_0000, 50, 100, 0xac, 2];
        expected.extend(sizes);
        let mut bytes = vec![0; svc.encoded_len()];
        svc.encode(&mut bytes).unwrap();
        assert_eq!(bytes, expected);
        assert_eq!(VideoLayersAllocation::decode(&bytes), Ok(svc));

        let simulcast = VideoLayersAllocation {
            stream: 2,
            streams: 3,
            layers: smallvec![layer(0, 0, &[1], None), layer(2, 1, &[2, 3, 4], None)],
        };
        comes_back(
            &simulcast,
            &[0b1010_0000, 0x10, 0x20, 0b0010_0000, 1, 2, 3, 4],
        );
        comes_back(
            &VideoLayersAllocation {
                stream: 0,
                streams: 1,
                layers: smallvec![],
            },
            &[0],
        );
        let none = VideoLayersAllocation {
            stream: 1,
            streams: 2,
            layers: smallvec![],
        };
        comes_back(&none, &[0b0101_0000, 0]);
    }

    /// What the fields cannot say is refused.
    #[test]
    fn unsound_values() {
        let sound = VideoLayersAllocation {
            stream: 0,
            streams: 1,
            layers: smallvec![layer(0, 0, &[1], None)],
        };
        let mut changed = [sound.clone(), sound.clone(), sound.clone(), sound];
        changed[0].layers[0].stream = 1;
        changed[1].layers[0].target_kbps.clear();
        changed[2].streams = 5;
        changed[3].layers[0].video = Some(LayerVideo {
            width: 0,
            height: 1,
            max_fps: 0,
        });
        for value in changed {
            assert!(value.encode(&mut [0; 50]).is_err());
        }
    }
}
