//! The Data Channel Establishment Protocol: DATA_CHANNEL_OPEN and DATA_CHANNEL_ACK
//! (RFC 8832 §5).

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use peerloom_sctp::Reliability;

/// A DCEP message, borrowing its label and protocol from the SCTP message it was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DcepMessage<'a> {
    /// DATA_CHANNEL_OPEN (RFC 8832 §5.1).
    Open(Open<'a>),
    /// DATA_CHANNEL_ACK (RFC 8832 §5.2).
    Ack,
}

/// DATA_CHANNEL_OPEN (RFC 8832 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// Ordered or not, and the kind of reliability.
    pub channel_type: ChannelType,
    /// Relative priority (RFC 8831 §6.4); 256 is normal.
    pub priority: u16,
    /// Retransmissions or milliseconds, as the channel type says; ignored by reliable channels.
    pub reliability_parameter: u32,
    /// The channel's name. May be empty, need not be unique.
    pub label: &'a str,
    /// The subprotocol, from the WebSocket registry. May be empty.
    pub protocol: &'a str,
}

/// The channel types of RFC 8832 §5.1, named as the RFC names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelType {
    /// 0x00: ordered, reliable.
    Reliable,
    /// 0x80: unordered, reliable.
    ReliableUnordered,
    /// 0x01: ordered, the parameter is the number of retransmissions.
    PartialReliableRexmit,
    /// 0x81: unordered, the parameter is the number of retransmissions.
    PartialReliableRexmitUnordered,
    /// 0x02: ordered, the parameter is the lifetime in milliseconds.
    PartialReliableTimed,
    /// 0x82: unordered, the parameter is the lifetime in milliseconds.
    PartialReliableTimedUnordered,
}

/// Why a message with PPID 50 is not a DCEP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends inside a field.
    #[error("DCEP message of {len} bytes where {needed} are needed")]
    Truncated {
        /// Bytes the fields seen so far ask for.
        needed: usize,
        /// Bytes the message has.
        len: usize,
    },
    /// Bytes follow the last field.
    #[error("{extra} bytes after the end of a DCEP message")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// The message type is neither 0x02 nor 0x03.
    #[error("DCEP message type {0:#04x}")]
    UnknownMessageType(u8),
    /// The channel type is unassigned or reserved.
    #[error("DCEP channel type {0:#04x}")]
    UnknownChannelType(u8),
    /// Label or protocol is not UTF-8.
    #[error("DCEP label or protocol is not UTF-8")]
    InvalidUtf8,
}

impl<'a> DcepMessage<'a> {
    /// Decodes one SCTP message of PPID 50.
    ///
    /// # Errors
    /// See [`DecodeError`]; every byte of the message has to belong to a field.
    pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut rest = message;
        let truncated = |needed| DecodeError::Truncated {
            needed,
            len: message.len(),
        };
        match rest.try_get_u8().map_err(|_| truncated(1))? {
            MESSAGE_TYPE_OPEN => Open::decode(message).map(Self::Open),
            MESSAGE_TYPE_ACK if rest.is_empty() => Ok(Self::Ack),
            MESSAGE_TYPE_ACK => Err(DecodeError::TrailingBytes { extra: rest.len() }),
            other => Err(DecodeError::UnknownMessageType(other)),
        }
    }

    /// Length of the encoded message in bytes.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Open(open) => open.encoded_len(),
            Self::Ack => ACK.len(),
        }
    }

    /// The message as the payload of an SCTP message of PPID 50.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Open(open) => open.encode(),
            Self::Ack => Bytes::from_static(ACK),
        }
    }
}

impl<'a> Open<'a> {
    /// The OPEN for a channel; the type and the parameter follow from `ordered` and
    /// `reliability`. Lifetimes are rounded up to whole milliseconds and saturate at `u32::MAX`.
    ///
    /// `label` and `protocol` are at most [`MAX_NAME_LEN`] bytes each.
    pub fn new(
        ordered: bool,
        reliability: Reliability,
        priority: u16,
        label: &'a str,
        protocol: &'a str,
    ) -> Self {
        let (channel_type, reliability_parameter) = match (reliability, ordered) {
            (Reliability::Reliable, true) => (ChannelType::Reliable, 0),
            (Reliability::Reliable, false) => (ChannelType::ReliableUnordered, 0),
            (Reliability::MaxRetransmits(n), true) => {
                (ChannelType::PartialReliableRexmit, u32::from(n))
            }
            (Reliability::MaxRetransmits(n), false) => {
                (ChannelType::PartialReliableRexmitUnordered, u32::from(n))
            }
            (Reliability::MaxLifetime(t), true) => (ChannelType::PartialReliableTimed, millis(t)),
            (Reliability::MaxLifetime(t), false) => {
                (ChannelType::PartialReliableTimedUnordered, millis(t))
            }
        };
        Self {
            channel_type,
            priority,
            reliability_parameter,
            label,
            protocol,
        }
    }

    /// The reliability the peer asks for. More than 65,535 retransmissions are 65,535: no
    /// association lives through that many.
    pub fn reliability(&self) -> Reliability {
        match self.channel_type {
            ChannelType::Reliable | ChannelType::ReliableUnordered => Reliability::Reliable,
            ChannelType::PartialReliableRexmit | ChannelType::PartialReliableRexmitUnordered => {
                Reliability::MaxRetransmits(
                    u16::try_from(self.reliability_parameter).unwrap_or(u16::MAX),
                )
            }
            ChannelType::PartialReliableTimed | ChannelType::PartialReliableTimedUnordered => {
                Reliability::MaxLifetime(Duration::from_millis(self.reliability_parameter.into()))
            }
        }
    }

    /// Length of the encoded message in bytes.
    pub fn encoded_len(&self) -> usize {
        OPEN_HEADER_LEN + self.label.len() + self.protocol.len()
    }

    fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let len = message.len();
        let truncated = |needed| DecodeError::Truncated { needed, len };
        let (mut header, names) = message
            .split_at_checked(OPEN_HEADER_LEN)
            .ok_or(truncated(OPEN_HEADER_LEN))?;
        let header_end = |_| truncated(OPEN_HEADER_LEN);
        header.try_get_u8().map_err(header_end)?; // the message type
        let channel_type = header.try_get_u8().map_err(header_end)?;
        let channel_type = ChannelType::from_wire(channel_type)
            .ok_or(DecodeError::UnknownChannelType(channel_type))?;
        let priority = header.try_get_u16().map_err(header_end)?;
        let reliability_parameter = header.try_get_u32().map_err(header_end)?;
        let label_len = usize::from(header.try_get_u16().map_err(header_end)?);
        let protocol_len = usize::from(header.try_get_u16().map_err(header_end)?);

        let needed = OPEN_HEADER_LEN + label_len + protocol_len;
        let (label, rest) = names.split_at_checked(label_len).ok_or(truncated(needed))?;
        let (protocol, extra) = rest
            .split_at_checked(protocol_len)
            .ok_or(truncated(needed))?;
        if !extra.is_empty() {
            return Err(DecodeError::TrailingBytes { extra: extra.len() });
        }
        let utf8 = |name| std::str::from_utf8(name).map_err(|_| DecodeError::InvalidUtf8);
        Ok(Self {
            channel_type,
            priority,
            reliability_parameter,
            label: utf8(label)?,
            protocol: utf8(protocol)?,
        })
    }

    fn encode(&self) -> Bytes {
        let (label, protocol) = (self.label.as_bytes(), self.protocol.as_bytes());
        debug_assert!(label.len() <= MAX_NAME_LEN && protocol.len() <= MAX_NAME_LEN);
        let mut out = BytesMut::with_capacity(self.encoded_len());
        out.put_u8(MESSAGE_TYPE_OPEN);
        out.put_u8(self.channel_type.to_wire());
        out.put_u16(self.priority);
        out.put_u32(self.reliability_parameter);
        out.put_u16(u16::try_from(label.len()).unwrap_or(u16::MAX));
        out.put_u16(u16::try_from(protocol.len()).unwrap_or(u16::MAX));
        out.put_slice(label);
        out.put_slice(protocol);
        out.freeze()
    }
}

impl ChannelType {
    /// Whether messages of this type of channel arrive in the order in which they were sent.
    pub fn is_ordered(self) -> bool {
        self.to_wire() & UNORDERED == 0
    }

    fn from_wire(value: u8) -> Option<Self> {
        Some(match value {
            0x00 => Self::Reliable,
            0x80 => Self::ReliableUnordered,
            0x01 => Self::PartialReliableRexmit,
            0x81 => Self::PartialReliableRexmitUnordered,
            0x02 => Self::PartialReliableTimed,
            0x82 => Self::PartialReliableTimedUnordered,
            _ => return None,
        })
    }

    fn to_wire(self) -> u8 {
        match self {
            Self::Reliable => 0x00,
            Self::ReliableUnordered => UNORDERED,
            Self::PartialReliableRexmit => 0x01,
            Self::PartialReliableRexmitUnordered => 0x01 | UNORDERED,
            Self::PartialReliableTimed => 0x02,
            Self::PartialReliableTimedUnordered => 0x02 | UNORDERED,
        }
    }
}

fn millis(lifetime: Duration) -> u32 {
    // Rounded up, or a lifetime of 500 µs would mean "never send".
    u32::try_from(lifetime.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// Longest label or protocol that fits the 16-bit length field, bytes.
pub const MAX_NAME_LEN: usize = u16::MAX as usize;

const MESSAGE_TYPE_ACK: u8 = 0x02;
const MESSAGE_TYPE_OPEN: u8 = 0x03;
const ACK: &[u8] = &[MESSAGE_TYPE_ACK];
/// The high bit of the channel type (RFC 8832 §8.2.2).
const UNORDERED: u8 = 0x80;
/// Type, channel type, priority, reliability parameter, two lengths.
const OPEN_HEADER_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Chromium 156, from a capture: label "lifetime", protocol "p", unordered, 500 ms.
    const CHROMIUM_OPEN: &[u8] = b"\x03\x82\x01\x00\x00\x00\x01\xf4\x00\x08\x00\x01lifetimep";

    #[test]
    fn an_open_of_chromium_decodes_and_encodes_to_the_same_bytes() {
        let message = DcepMessage::decode(CHROMIUM_OPEN).unwrap();
        let DcepMessage::Open(open) = message else {
            panic!("{message:?}")
        };
        assert_eq!(
            open.channel_type,
            ChannelType::PartialReliableTimedUnordered
        );
        assert_eq!(
            open.reliability(),
            Reliability::MaxLifetime(Duration::from_millis(500))
        );
        assert_eq!(
            (open.priority, open.label, open.protocol),
            (256, "lifetime", "p")
        );
        assert_eq!(message.encode(), CHROMIUM_OPEN);
    }

    #[test]
    fn every_truncation_says_how_much_is_missing() {
        for len in 0..CHROMIUM_OPEN.len() {
            let needed = match len {
                0 => 1,
                1..12 => 12,
                _ => CHROMIUM_OPEN.len(),
            };
            assert_eq!(
                DcepMessage::decode(&CHROMIUM_OPEN[..len]),
                Err(DecodeError::Truncated { needed, len }),
            );
        }
    }

    #[test]
    fn bytes_after_the_last_field_are_refused() {
        let mut long = CHROMIUM_OPEN.to_vec();
        long.extend_from_slice(b"xy");
        assert_eq!(
            DcepMessage::decode(&long),
            Err(DecodeError::TrailingBytes { extra: 2 })
        );
        assert_eq!(
            DcepMessage::decode(&[2, 0]),
            Err(DecodeError::TrailingBytes { extra: 1 })
        );
    }

    #[test]
    fn reserved_and_unassigned_types_are_refused_by_name() {
        for message_type in [0x00, 0x01, 0x04, 0xff] {
            assert_eq!(
                DcepMessage::decode(&[message_type]),
                Err(DecodeError::UnknownMessageType(message_type)),
            );
        }
        for channel_type in (0..=u8::MAX).filter(|t| t & 0x7f > 2) {
            let mut open = CHROMIUM_OPEN.to_vec();
            open[1] = channel_type;
            assert_eq!(
                DcepMessage::decode(&open),
                Err(DecodeError::UnknownChannelType(channel_type)),
            );
        }
    }

    #[test]
    fn a_label_or_protocol_that_is_not_utf8_is_refused() {
        for broken in [12, CHROMIUM_OPEN.len() - 1] {
            let mut open = CHROMIUM_OPEN.to_vec();
            open[broken] = 0xff;
            assert_eq!(DcepMessage::decode(&open), Err(DecodeError::InvalidUtf8));
        }
        // A character split between label and protocol is valid in neither.
        let split = b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\xc3\xa9";
        assert_eq!(DcepMessage::decode(split), Err(DecodeError::InvalidUtf8));
    }

    #[test]
    fn lifetimes_round_up_and_saturate() {
        let parameter = |lifetime| {
            Open::new(true, Reliability::MaxLifetime(lifetime), 0, "", "").reliability_parameter
        };
        assert_eq!(parameter(Duration::ZERO), 0);
        assert_eq!(parameter(Duration::from_micros(500)), 1);
        assert_eq!(parameter(Duration::from_millis(65_535)), 65_535);
        assert_eq!(parameter(Duration::MAX), u32::MAX);
    }

    #[test]
    fn more_retransmissions_than_we_can_count_are_clamped() {
        let open = Open {
            channel_type: ChannelType::PartialReliableRexmit,
            priority: 0,
            reliability_parameter: 65_536,
            label: "",
            protocol: "",
        };
        assert_eq!(open.reliability(), Reliability::MaxRetransmits(u16::MAX));
    }

    proptest! {
        #[test]
        fn any_open_survives_the_wire(
            ordered: bool,
            kind in 0..3,
            parameter: u16,
            priority: u16,
            label in ".{0,40}",
            protocol in ".{0,40}",
        ) {
            let reliability = match kind {
                0 => Reliability::Reliable,
                1 => Reliability::MaxRetransmits(parameter),
                _ => Reliability::MaxLifetime(Duration::from_millis(parameter.into())),
            };
            let open = Open::new(ordered, reliability, priority, &label, &protocol);
            prop_assert_eq!(open.channel_type.is_ordered(), ordered);
            prop_assert_eq!(open.reliability(), reliability);
            let message = DcepMessage::Open(open);
            let bytes = message.encode();
            prop_assert_eq!(bytes.len(), message.encoded_len());
            prop_assert_eq!(DcepMessage::decode(&bytes), Ok(message));
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            // Half of the random messages get a plausible header, or none would decode.
            if bytes.len() >= 12 && bytes[0] & 1 == 0 {
                let names = bytes.len() - 12;
                bytes[0] = 3;
                bytes[1] &= 0x82;
                bytes[8..12].copy_from_slice(&[0, (names / 2) as u8, 0, (names - names / 2) as u8]);
                bytes[12..].iter_mut().for_each(|b| *b &= 0x7f);
            }
            if let Ok(message) = DcepMessage::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
