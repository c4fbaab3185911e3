//! Audio levels: client to mixer (RFC 6464) and mixer to client (RFC 6465).

use super::{ExtensionKind, HeaderExtension, exact, put};
use crate::{DecodeError, WriteError};

/// Level of the audio in this packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioLevel {
    /// Whether the sender believes that this is voice.
    pub voice: bool,
    /// 0 (loudest) to 127 (silence), in −dBov.
    pub level: u8,
}

impl HeaderExtension<'_> for AudioLevel {
    const KIND: ExtensionKind = ExtensionKind::AudioLevel;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [byte] = exact(data)?;
        Ok(Self {
            voice: byte & 0x80 != 0,
            level: byte & 0x7f,
        })
    }

    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        check(self.level)?;
        put(out, &[u8::from(self.voice) << 7 | self.level])
    }
}

/// Levels of the contributing sources, in the order of the CSRC list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CsrcAudioLevels {
    count: u8,
    levels: [u8; MAX_CSRCS],
}

impl CsrcAudioLevels {
    /// Levels in −dBov, 0–127, one for each CSRC.
    ///
    /// # Errors
    /// More than 15 levels, none, or a level over 127.
    pub fn new(levels: &[u8]) -> Result<Self, WriteError> {
        let max = MAX_CSRCS;
        if levels.is_empty() {
            return Err(WriteError::Invalid("no CSRC audio level"));
        }
        if levels.len() > max {
            return Err(WriteError::TooLarge {
                what: "CSRCs",
                value: levels.len(),
                max,
            });
        }
        let mut all = [0; MAX_CSRCS];
        for (slot, level) in all.iter_mut().zip(levels) {
            check(*level)?;
            *slot = *level;
        }
        Ok(Self {
            count: levels.len() as u8,
            levels: all,
        })
    }

    /// Levels in −dBov, one for each CSRC.
    #[must_use]
    pub fn levels(&self) -> &[u8] {
        &self.levels[..usize::from(self.count)]
    }
}

impl HeaderExtension<'_> for CsrcAudioLevels {
    const KIND: ExtensionKind = ExtensionKind::CsrcAudioLevels;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        if data.is_empty() {
            return Err(DecodeError::Truncated);
        }
        let mut levels = [0; MAX_CSRCS];
        let slots = levels
            .get_mut(..data.len())
            .ok_or(DecodeError::TooMany("CSRC levels"))?;
        for (slot, byte) in slots.iter_mut().zip(data) {
            // The high bit is reserved and ignored (RFC 6465 §3).
            *slot = byte & 0x7f;
        }
        Ok(Self {
            count: data.len() as u8,
            levels,
        })
    }

    fn encoded_len(&self) -> usize {
        self.count.into()
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        put(out, self.levels())
    }
}

fn check(level: u8) -> Result<(), WriteError> {
    if level > 127 {
        return Err(WriteError::TooLarge {
            what: "audio level",
            value: level.into(),
            max: 127,
        });
    }
    Ok(())
}

/// CC is a field of four bits (RFC 3550 §5.1).
const MAX_CSRCS: usize = 15;

#[cfg(test)]
mod tests {
    use super::super::testing::comes_back;
    use super::*;

    /// Both directions on the wire.
    #[test]
    fn levels() {
        comes_back(
            &AudioLevel {
                voice: true,
                level: 0x2a,
            },
            &[0xaa],
        );
        comes_back(
            &AudioLevel {
                voice: false,
                level: 127,
            },
            &[0x7f],
        );
        comes_back(&CsrcAudioLevels::new(&[1, 127]).unwrap(), &[1, 127]);
        assert!(CsrcAudioLevels::decode(&[0; 16]).is_err());
        assert!(CsrcAudioLevels::new(&[128]).is_err());
        assert!(
            AudioLevel {
                voice: true,
                level: 128
            }
            .encode(&mut [0])
            .is_err()
        );
    }
}
