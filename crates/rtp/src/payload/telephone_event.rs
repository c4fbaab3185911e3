//! DTMF and other telephone events (RFC 4733 §2.3).

use crate::{DecodeError, WriteError};

/// The state of one event. It is sent again while the event lasts, with growing duration and the
/// timestamp of its beginning, and three times with `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TelephoneEvent {
    /// 0–9 are the digits, 10 `*`, 11 `#`, 12–15 A–D (§3.2).
    pub event: u8,
    /// Whether the event is over.
    pub end: bool,
    /// Power in −dBm0, 0–63.
    pub volume: u8,
    /// How long it has lasted, in units of the clock rate.
    pub duration: u16,
}

impl TelephoneEvent {
    /// The event for a key of a telephone.
    #[must_use]
    pub const fn from_key(key: char) -> Option<u8> {
        match key {
            '0'..='9' => Some(key as u8 - b'0'),
            '*' => Some(10),
            '#' => Some(11),
            'A'..='D' => Some(key as u8 - b'A' + 12),
            _ => None,
        }
    }

    /// The key of a telephone that makes this event.
    #[must_use]
    pub const fn key(&self) -> Option<char> {
        match self.event {
            digit @ 0..=9 => Some((b'0' + digit) as char),
            10 => Some('*'),
            11 => Some('#'),
            letter @ 12..=15 => Some((b'A' + letter - 12) as char),
            _ => None,
        }
    }

    /// Reads the first event of a payload and what follows it: an event that ends and the next
    /// one may share a packet (§2.5.1.5).
    ///
    /// # Errors
    /// Cut short.
    pub fn decode(payload: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let (event, rest) = payload
            .split_first_chunk::<4>()
            .ok_or(DecodeError::Truncated)?;
        let [event, flags, d0, d1] = *event;
        let event = Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        };
        Ok((event, rest))
    }

    /// The payload.
    ///
    /// # Errors
    /// A volume over 63.
    pub fn encode(&self) -> Result<[u8; 4], WriteError> {
        if self.volume > 63 {
            let value = self.volume.into();
            return Err(WriteError::TooLarge {
                what: "event volume",
                value,
                max: 63,
            });
        }
        let [d0, d1] = self.duration.to_be_bytes();
        Ok([self.event, u8::from(self.end) << 7 | self.volume, d0, d1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys, wire form, and two events in a packet.
    #[test]
    fn comes_back() {
        for key in "0123456789*#ABCD".chars() {
            let event = TelephoneEvent::from_key(key).unwrap();
            let sent = TelephoneEvent {
                event,
                end: true,
                volume: 10,
                duration: 800,
            };
            assert_eq!(sent.key(), Some(key));
            let bytes = sent.encode().unwrap();
            assert_eq!(bytes, [event, 0x8a, 3, 32]);
            let two = [bytes, bytes].concat();
            assert_eq!(TelephoneEvent::decode(&two), Ok((sent, &bytes[..])));
            assert!(TelephoneEvent::decode(&bytes[..3]).is_err());
        }
        assert_eq!(TelephoneEvent::from_key('x'), None);
        let loud = TelephoneEvent {
            event: 0,
            end: false,
            volume: 64,
            duration: 0,
        };
        assert!(loud.encode().is_err());
    }
}
