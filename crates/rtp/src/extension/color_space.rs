//! Color space and HDR metadata.

use super::{ExtensionKind, HeaderExtension, put};
use crate::wire::{Reader, Writer};
use crate::{DecodeError, WriteError};

/// How to interpret the samples. The numbers are those of ITU-T H.273; they are passed on unchecked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ColorSpace {
    /// Color primaries.
    pub primaries: u8,
    /// Transfer characteristics.
    pub transfer: u8,
    /// Matrix coefficients.
    pub matrix: u8,
    /// 0 unknown, 1 limited, 2 full, 3 derived.
    pub range: u8,
    /// Horizontal chroma siting: 0 unspecified, 1 collocated, 2 half.
    pub chroma_horizontal: u8,
    /// Vertical chroma siting, as the horizontal one.
    pub chroma_vertical: u8,
    /// Present for HDR.
    pub hdr: Option<HdrMetadata>,
}

/// A point of the CIE 1931 diagram, in 1/50,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chromaticity {
    /// Horizontal coordinate.
    pub x: u16,
    /// Vertical coordinate.
    pub y: u16,
}

/// Mastering display (SMPTE ST 2086) and content light levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HdrMetadata {
    /// Highest luminance of the mastering display, in cd/m².
    pub luminance_max: u16,
    /// Lowest luminance of the mastering display, in 1/10,000 cd/m².
    pub luminance_min: u16,
    /// Red, green, blue, white point.
    pub chromaticities: [Chromaticity; 4],
    /// Maximum content light level, in cd/m².
    pub max_content_light: u16,
    /// Maximum frame-average light level, in cd/m².
    pub max_frame_average_light: u16,
}

impl HeaderExtension<'_> for ColorSpace {
    const KIND: ExtensionKind = ExtensionKind::ColorSpace;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let [primaries, transfer, matrix, siting] = reader.array()?;
        let hdr = if reader.is_empty() {
            None
        } else {
            Some(HdrMetadata::decode(&mut reader)?)
        };
        if !reader.is_empty() {
            return Err(DecodeError::Malformed("length of a header extension"));
        }
        Ok(Self {
            primaries,
            transfer,
            matrix,
            range: siting >> 4 & 3,
            chroma_horizontal: siting >> 2 & 3,
            chroma_vertical: siting & 3,
            hdr,
        })
    }

    fn encoded_len(&self) -> usize {
        if self.hdr.is_some() { 28 } else { 4 }
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        let siting = [self.range, self.chroma_horizontal, self.chroma_vertical];
        if siting.iter().any(|value| *value > 3) {
            return Err(WriteError::Invalid("range or chroma siting over two bits"));
        }
        let [range, horizontal, vertical] = siting;
        let mut bytes = [0; 28];
        let mut writer = Writer::new(&mut bytes);
        let siting = range << 4 | horizontal << 2 | vertical;
        writer.bytes(&[self.primaries, self.transfer, self.matrix, siting])?;
        if let Some(hdr) = &self.hdr {
            hdr.encode(&mut writer)?;
        }
        put(out, writer.written())
    }
}

impl HdrMetadata {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut hdr = Self {
            luminance_max: reader.u16()?,
            luminance_min: reader.u16()?,
            ..Self::default()
        };
        for point in &mut hdr.chromaticities {
            *point = Chromaticity {
                x: reader.u16()?,
                y: reader.u16()?,
            };
        }
        hdr.max_content_light = reader.u16()?;
        hdr.max_frame_average_light = reader.u16()?;
        Ok(hdr)
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), WriteError> {
        writer.u16(self.luminance_max)?;
        writer.u16(self.luminance_min)?;
        for point in self.chromaticities {
            writer.u16(point.x)?;
            writer.u16(point.y)?;
        }
        writer.u16(self.max_content_light)?;
        writer.u16(self.max_frame_average_light)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::comes_back;
    use super::*;

    /// With and without HDR metadata.
    #[test]
    fn values() {
        let plain = ColorSpace {
            primaries: 9,
            transfer: 16,
            matrix: 9,
            range: 2,
            chroma_horizontal: 1,
            chroma_vertical: 2,
            hdr: None,
        };
        comes_back(&plain, &[9, 16, 9, 0b10_0110]);
        let mut chromaticities = [Chromaticity::default(); 4];
        chromaticities[3] = Chromaticity { x: 0x708, y: 0x90a };
        let hdr = HdrMetadata {
            luminance_max: 0x102,
            luminance_min: 0x304,
            chromaticities,
            max_content_light: 0xb0c,
            max_frame_average_light: 0xd0e,
        };
        let mut expected = vec![9, 16, 9, 0b10_0110, 1, 2, 3, 4];
        expected.extend([0; 12]);
        expected.extend([7, 8, 9, 10, 11, 12, 13, 14]);
        comes_back(
            &ColorSpace {
                hdr: Some(hdr),
                ..plain
            },
            &expected,
        );
        assert!(ColorSpace::decode(&[0; 29]).is_err());
        assert!(
            ColorSpace { range: 4, ..plain }
                .encode(&mut [0; 4])
                .is_err()
        );
    }
}
