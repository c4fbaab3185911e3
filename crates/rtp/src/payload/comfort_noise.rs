//! Comfort noise (RFC 3389).

use crate::wire::Writer;
use crate::{DecodeError, WriteError};

/// A description of background noise, sent in place of silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComfortNoise<'a> {
    /// Level in −dBov, 0–127.
    pub level: u8,
    /// Quantized reflection coefficients of the spectrum, none or more (§3.2); those that a
    /// receiver does not use it ignores.
    pub spectrum: &'a [u8],
}

impl<'a> ComfortNoise<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// Empty.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let (level, spectrum) = payload.split_first().ok_or(DecodeError::Truncated)?;
        // §3.1: the most significant bit is unused and 0.
        Ok(Self {
            level: level & 0x7f,
            spectrum,
        })
    }

    /// Writes a payload; returns its length.
    ///
    /// # Errors
    /// No room, or a level over 127.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        if self.level > 127 {
            let value = self.level.into();
            return Err(WriteError::TooLarge {
                what: "noise level",
                value,
                max: 127,
            });
        }
        let mut out = Writer::new(out);
        out.u8(self.level)?;
        out.bytes(self.spectrum)?;
        Ok(out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With and without a spectrum.
    #[test]
    fn comes_back() {
        for spectrum in [&[][..], &[1, 2, 3]] {
            let noise = ComfortNoise {
                level: 70,
                spectrum,
            };
            let mut out = [0; 8];
            let len = noise.encode(&mut out).unwrap();
            assert_eq!(ComfortNoise::decode(&out[..len]), Ok(noise));
            assert!(noise.encode(&mut out[..len - 1]).is_err());
        }
        assert!(ComfortNoise::decode(&[]).is_err());
        assert!(
            ComfortNoise {
                level: 128,
                spectrum: &[]
            }
            .encode(&mut [0; 2])
            .is_err()
        );
    }
}
