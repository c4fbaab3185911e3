//! What an Opus packet says of itself (RFC 6716 §3.1). As payload it is a [`super::WholeFrame`].

use std::time::Duration;

use crate::DecodeError;
use crate::wire::Reader;

/// The table of contents of an Opus packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpusToc {
    /// Which codec inside Opus.
    pub mode: OpusMode,
    /// Audio bandwidth.
    pub bandwidth: OpusBandwidth,
    /// Whether it is stereo.
    pub stereo: bool,
    /// Samples at 48 kHz, which is always the RTP clock, in one frame.
    pub frame_samples: u16,
    /// Frames in the packet, 1–48.
    pub frames: u8,
}

/// Which codec inside Opus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpusMode {
    /// Speech.
    Silk,
    /// Both.
    Hybrid,
    /// Music.
    Celt,
}

/// Audio bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpusBandwidth {
    /// 4 kHz.
    Narrow,
    /// 6 kHz.
    Medium,
    /// 8 kHz.
    Wide,
    /// 12 kHz.
    SuperWide,
    /// 20 kHz.
    Full,
}

impl OpusToc {
    /// Reads the first bytes of a packet.
    ///
    /// # Errors
    /// Empty, no frames, or longer than 120 ms (RFC 6716 §3.4).
    pub fn parse(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let toc = reader.u8()?;
        let config = toc >> 3;
        // Table 2 of §3.1.
        let (mode, bandwidth, frame_samples) = match config {
            0..=11 => {
                let bandwidths = [
                    OpusBandwidth::Narrow,
                    OpusBandwidth::Medium,
                    OpusBandwidth::Wide,
                ];
                let samples = [480, 960, 1920, 2880];
                let bandwidth = bandwidths[usize::from(config / 4)];
                (OpusMode::Silk, bandwidth, samples[usize::from(config % 4)])
            }
            12..=15 => {
                let bandwidths = [OpusBandwidth::SuperWide, OpusBandwidth::Full];
                let bandwidth = bandwidths[usize::from((config - 12) / 2)];
                (
                    OpusMode::Hybrid,
                    bandwidth,
                    [480, 960][usize::from(config % 2)],
                )
            }
            _ => {
                let bandwidths = [
                    OpusBandwidth::Narrow,
                    OpusBandwidth::Wide,
                    OpusBandwidth::SuperWide,
                    OpusBandwidth::Full,
                ];
                let bandwidth = bandwidths[usize::from((config - 16) / 4)];
                (
                    OpusMode::Celt,
                    bandwidth,
                    [120, 240, 480, 960][usize::from(config % 4)],
                )
            }
        };
        let frames = match toc & 3 {
            0 => 1,
            1 | 2 => 2,
            _ => reader.u8()? & 0x3f,
        };
        let samples = u32::from(frame_samples) * u32::from(frames);
        if frames == 0 || samples > MAX_SAMPLES {
            return Err(DecodeError::Malformed("Opus frame count"));
        }
        Ok(Self {
            mode,
            bandwidth,
            stereo: toc & 4 != 0,
            frame_samples,
            frames,
        })
    }

    /// Samples in the packet at 48 kHz: what the RTP timestamp advances by.
    #[must_use]
    pub const fn samples(&self) -> u32 {
        self.frame_samples as u32 * self.frames as u32
    }

    /// Duration of the packet.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        // 48 samples are a millisecond.
        Duration::from_micros(self.samples() as u64 * 1000 / 48)
    }
}

/// 120 ms at 48 kHz.
const MAX_SAMPLES: u32 = 5760;

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of RFC 6716 table 2 and all four frame count codes.
    #[test]
    fn table_of_contents() {
        let toc = |packet: &[u8]| OpusToc::parse(packet).unwrap();
        let hybrid = toc(&[15 << 3 | 4]);
        assert_eq!(hybrid.mode, OpusMode::Hybrid);
        assert_eq!(hybrid.bandwidth, OpusBandwidth::Full);
        assert!(hybrid.stereo);
        assert_eq!(hybrid.duration(), Duration::from_millis(20));
        assert_eq!(toc(&[3 << 3]).duration(), Duration::from_millis(60));
        assert_eq!(toc(&[31 << 3 | 1]).samples(), 1920);
        assert_eq!(toc(&[16 << 3 | 3, 48]).samples(), 5760);
        assert_eq!(toc(&[16 << 3]).duration(), Duration::from_micros(2500));
        for bad in [
            &[][..],
            &[3],
            &[3, 0],
            &[31 << 3 | 3, 7],
            &[16 << 3 | 3, 49],
        ] {
            assert!(OpusToc::parse(bad).is_err(), "{bad:?}");
        }
    }
}
