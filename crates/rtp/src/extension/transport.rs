//! Transport-wide sequence numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2 and its
//! successor with feedback on request).

use super::{ExtensionKind, HeaderExtension, exact, put};
use crate::{DecodeError, SequenceNumber, WriteError};

/// Counts all packets of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportSequence(pub SequenceNumber);

impl HeaderExtension<'_> for TransportSequence {
    const KIND: ExtensionKind = ExtensionKind::TransportSequence;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        exact(data).map(|bytes| Self(SequenceNumber(u16::from_be_bytes(bytes))))
    }

    fn encoded_len(&self) -> usize {
        2
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        put(out, &self.0.0.to_be_bytes())
    }
}

/// Counts all packets of a transport; may ask for feedback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportSequenceV2 {
    /// The packet's number.
    pub sequence: SequenceNumber,
    /// Asks for feedback now.
    pub request: Option<FeedbackRequest>,
}

/// What feedback a packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedbackRequest {
    /// Whether arrival times are wanted.
    pub timestamps: bool,
    /// Packets up to this one to be reported, 1–32,767.
    pub count: u16,
}

impl HeaderExtension<'_> for TransportSequenceV2 {
    const KIND: ExtensionKind = ExtensionKind::TransportSequenceV2;

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let (sequence, request) = data
            .split_first_chunk::<2>()
            .ok_or(DecodeError::Truncated)?;
        let request = match request {
            [] => None,
            request => match u16::from_be_bytes(exact(request)?) {
                0 | 0x8000 => None,
                bits => Some(FeedbackRequest {
                    timestamps: bits & 0x8000 != 0,
                    count: bits & 0x7fff,
                }),
            },
        };
        Ok(Self {
            sequence: SequenceNumber(u16::from_be_bytes(*sequence)),
            request,
        })
    }

    fn encoded_len(&self) -> usize {
        if self.request.is_some() { 4 } else { 2 }
    }

    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
        let [a, b] = self.sequence.0.to_be_bytes();
        let Some(request) = self.request else {
            return put(out, &[a, b]);
        };
        if !(1..=0x7fff).contains(&request.count) {
            return Err(WriteError::Invalid("feedback request"));
        }
        let [c, d] = (u16::from(request.timestamps) << 15 | request.count).to_be_bytes();
        put(out, &[a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::comes_back;
    use super::*;

    /// Both versions on the wire.
    #[test]
    fn values() {
        let sequence = SequenceNumber(0x102);
        comes_back(&TransportSequence(sequence), &[1, 2]);
        comes_back(
            &TransportSequenceV2 {
                sequence,
                request: None,
            },
            &[1, 2],
        );
        let request = Some(FeedbackRequest {
            timestamps: true,
            count: 5,
        });
        comes_back(&TransportSequenceV2 { sequence, request }, &[1, 2, 0x80, 5]);
        let request = Some(FeedbackRequest {
            timestamps: true,
            count: 0,
        });
        assert!(
            TransportSequenceV2 { sequence, request }
                .encode(&mut [0; 4])
                .is_err()
        );
    }
}
