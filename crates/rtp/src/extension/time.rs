//! Times: absolute send time, transmission offset (RFC 5450), absolute capture time.

use std::time::Duration;

use super::{ExtensionKind, HeaderExtension, exact, put};
use crate::{DecodeError, WriteError};

/// When the packet left, in 2^-18 s modulo 64 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbsoluteSendTime(pub u32);

impl AbsoluteSendTime {
    /// From a time since any epoch that both ends of a difference share.
    #[must_use]
    pub const fn from_duration(since_epoch: Duration) -> Self {
        let fraction = ((since_epoch.subsec_nanos() as u64) << 18) / 1_000_000_000;
        Self(((since_epoch.as_secs() << 18 | fraction) & 0xff_ffff) as u32)
    }

    /// Time since the last multiple of 64 s of the sender's epoch.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_nanos((self.0 as u64 * 1_000_000_000) >> 18)
    }

    /// Signed units of 2^-18 s from `earlier` to this, by the shorter way round.
    #[must_use]
    pub const fn offset_from(self, earlier: Self) -> i32 {
        // Sign extension from 24 bits.
        (self.0.wrapping_sub(earlier.0) << 8) as i32 >> 8
    }
}

impl HeaderExtension<'_> for AbsoluteSendTime {
    const KIND: ExtensionKind = ExtensionKind::AbsoluteSendTime;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [a, b, c] = exact(data)?;
        Ok(Self(u32::from_be_bytes([0, a, b, c])))
    }

    fn encoded_len(&self) -> usize {
        3
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        put(out, &self.0.to_be_bytes()[1..])
    }
}

/// From the packet's timestamp to when it was sent, in units of the clock rate, 24 bits signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransmissionOffset(pub i32);

impl HeaderExtension<'_> for TransmissionOffset {
    const KIND: ExtensionKind = ExtensionKind::TransmissionOffset;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [a, b, c] = exact(data)?;
        Ok(Self(i32::from_be_bytes([a, b, c, 0]) >> 8))
    }

    fn encoded_len(&self) -> usize {
        3
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        if self.0 << 8 >> 8 != self.0 {
            return Err(WriteError::Invalid("transmission offset over 24 bits"));
        }
        put(out, &self.0.to_be_bytes()[1..])
    }
}

/// When the first sample in the packet was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbsoluteCaptureTime {
    /// NTP timestamp of the capturing clock, 2^-32 s.
    pub timestamp: u64,
    /// From the capturing clock to the sender's, 2^-32 s.
    pub clock_offset: Option<i64>,
}

impl HeaderExtension<'_> for AbsoluteCaptureTime {
    const KIND: ExtensionKind = ExtensionKind::AbsoluteCaptureTime;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let (timestamp, offset) = data
            .split_first_chunk::<8>()
            .ok_or(DecodeError::Truncated)?;
        let clock_offset = match offset {
            [] => None,
            offset => Some(i64::from_be_bytes(exact(offset)?)),
        };
        Ok(Self {
            timestamp: u64::from_be_bytes(*timestamp),
            clock_offset,
        })
    }

    fn encoded_len(&self) -> usize {
        if self.clock_offset.is_some() { 16 } else { 8 }
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&self.clock_offset.unwrap_or(0).to_be_bytes());
        put(out, &bytes[..self.encoded_len()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::comes_back;
    use super::*;

    /// Wire form of all three, signs included.
    #[test]
    fn values() {
        comes_back(&AbsoluteSendTime(0x01_0203), &[1, 2, 3]);
        comes_back(&TransmissionOffset(-2), &[0xff, 0xff, 0xfe]);
        comes_back(
            &AbsoluteCaptureTime {
                timestamp: 1,
                clock_offset: None,
            },
            &[0, 0, 0, 0, 0, 0, 0, 1],
        );
        let both = AbsoluteCaptureTime {
            timestamp: u64::MAX,
            clock_offset: Some(-1),
        };
        comes_back(&both, &[0xff; 16]);
        assert!(TransmissionOffset(1 << 23).encode(&mut [0; 3]).is_err());
        assert!(AbsoluteCaptureTime::decode(&[0; 9]).is_err());
    }

    /// The difference over the wrap at 64 s is what delay estimation lives on.
    #[test]
    fn send_time_wraps() {
        let before = AbsoluteSendTime::from_duration(Duration::from_millis(63_990));
        let after = AbsoluteSendTime::from_duration(Duration::from_millis(64_010));
        let ms = f64::from(after.offset_from(before)) / 262.144;
        assert!((ms - 20.0).abs() < 0.01, "{ms}");
        assert!(before.offset_from(after) < 0);
        assert_eq!(AbsoluteSendTime(1 << 18).duration(), Duration::from_secs(1));
    }
}
