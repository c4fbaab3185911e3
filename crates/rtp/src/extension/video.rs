//! Small extensions of video: playout delay, orientation, content type, timing.

use std::time::Duration;

use super::{ExtensionKind, HeaderExtension, exact, put};
use crate::{DecodeError, WriteError};

/// Bounds of the delay between capture and rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlayoutDelay {
    /// Lower bound, in 10 ms, at most 4,095.
    pub min: u16,
    /// Upper bound, in 10 ms, at most 4,095.
    pub max: u16,
}

impl PlayoutDelay {
    /// Both bounds as durations.
    #[must_use]
    pub const fn bounds(self) -> (Duration, Duration) {
        (
            Duration::from_millis(self.min as u64 * 10),
            Duration::from_millis(self.max as u64 * 10),
        )
    }
}

impl HeaderExtension<'_> for PlayoutDelay {
    const KIND: ExtensionKind = ExtensionKind::PlayoutDelay;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [a, b, c] = exact(data)?;
        let min = u16::from(a) << 4 | u16::from(b) >> 4;
        let max = u16::from(b & 0xf) << 8 | u16::from(c);
        if min > max {
            return Err(DecodeError::Malformed(
                "playout delay: minimum over maximum",
            ));
        }
        Ok(Self { min, max })
    }

    fn encoded_len(&self) -> usize {
        3
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        if self.max > 0xfff {
            return Err(WriteError::TooLarge {
                what: "playout delay",
                value: self.max.into(),
                max: 0xfff,
            });
        }
        if self.min > self.max {
            return Err(WriteError::Invalid("playout delay: minimum over maximum"));
        }
        let [min, max] = [self.min, self.max];
        put(
            out,
            &[(min >> 4) as u8, (min << 4 | max >> 8) as u8, max as u8],
        )
    }
}

/// Clockwise rotation that the receiver has to apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// None.
    #[default]
    Deg0,
    /// 90°.
    Deg90,
    /// 180°.
    Deg180,
    /// 270°.
    Deg270,
}

/// How the camera was held (3GPP TS 26.114 §7.4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VideoOrientation {
    /// Whether it is the camera at the back.
    pub back_camera: bool,
    /// Whether to flip horizontally.
    pub flip: bool,
    /// Rotation to apply.
    pub rotation: Rotation,
}

impl HeaderExtension<'_> for VideoOrientation {
    const KIND: ExtensionKind = ExtensionKind::VideoOrientation;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [byte] = exact(data)?;
        let rotation = match byte & 3 {
            0 => Rotation::Deg0,
            1 => Rotation::Deg90,
            2 => Rotation::Deg180,
            _ => Rotation::Deg270,
        };
        Ok(Self {
            back_camera: byte & 8 != 0,
            flip: byte & 4 != 0,
            rotation,
        })
    }

    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        let byte = u8::from(self.back_camera) << 3 | u8::from(self.flip) << 2 | self.rotation as u8;
        put(out, &[byte])
    }
}

/// What the video shows: bit 0 says screen, the others are the sender's experiments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VideoContentType(pub u8);

impl VideoContentType {
    /// A camera, or nothing known.
    pub const UNSPECIFIED: Self = Self(0);
    /// A screen.
    pub const SCREENSHARE: Self = Self(1);

    /// Whether it is a screen.
    #[must_use]
    pub const fn is_screenshare(self) -> bool {
        self.0 & 1 != 0
    }
}

impl HeaderExtension<'_> for VideoContentType {
    const KIND: ExtensionKind = ExtensionKind::VideoContentType;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        exact(data).map(|[byte]| Self(byte))
    }

    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        put(out, &[self.0])
    }
}

/// Where a frame spent its time; all in ms since its capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VideoTiming {
    /// Bit 0: sent by a timer; bit 1: sent because of the frame's size.
    pub flags: u8,
    /// Encoding began.
    pub encode_start: u16,
    /// Encoding ended.
    pub encode_finish: u16,
    /// Packetization ended.
    pub packetization_finish: u16,
    /// The last packet left the pacer.
    pub pacer_exit: u16,
    /// For a middlebox.
    pub network: u16,
    /// For another middlebox.
    pub network2: u16,
}

impl HeaderExtension<'_> for VideoTiming {
    const KIND: ExtensionKind = ExtensionKind::VideoTiming;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [flags, times @ ..]: [u8; 13] = exact(data)?;
        let time = |index: usize| u16::from_be_bytes([times[index * 2], times[index * 2 + 1]]);
        Ok(Self {
            flags,
            encode_start: time(0),
            encode_finish: time(1),
            packetization_finish: time(2),
            pacer_exit: time(3),
            network: time(4),
            network2: time(5),
        })
    }

    fn encoded_len(&self) -> usize {
        13
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        let times = [
            self.encode_start,
            self.encode_finish,
            self.packetization_finish,
            self.pacer_exit,
            self.network,
            self.network2,
        ];
        let mut bytes = [self.flags; 13];
        for (slot, time) in bytes[1..].chunks_exact_mut(2).zip(times) {
            slot.copy_from_slice(&time.to_be_bytes());
        }
        put(out, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::comes_back;
    use super::*;

    /// All four on the wire.
    #[test]
    fn values() {
        comes_back(
            &PlayoutDelay {
                min: 0x123,
                max: 0x456,
            },
            &[0x12, 0x34, 0x56],
        );
        comes_back(
            &VideoOrientation {
                back_camera: true,
                flip: false,
                rotation: Rotation::Deg270,
            },
            &[0x0b],
        );
        comes_back(&VideoContentType::SCREENSHARE, &[1]);
        let timing = VideoTiming {
            flags: 2,
            encode_start: 1,
            encode_finish: 2,
            packetization_finish: 3,
            pacer_exit: 4,
            network: 5,
            network2: 0x607,
        };
        comes_back(&timing, &[2, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 6, 7]);
    }

    /// Bounds that contradict each other are noise, not a delay.
    #[test]
    fn playout_delay_bounds() {
        assert!(PlayoutDelay::decode(&[0x45, 0x61, 0x23]).is_err());
        assert!(PlayoutDelay { min: 2, max: 1 }.encode(&mut [0; 3]).is_err());
        assert!(
            PlayoutDelay {
                min: 2,
                max: 0x1000
            }
            .encode(&mut [0; 3])
            .is_err()
        );
    }
}
