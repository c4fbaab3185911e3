//! Parse ∘ serialise is the identity, both ways round.

use peerloom_rtp::{RtpHeader, RtpPacket, RtpWriter, SequenceNumber, Ssrc, Timestamp, WriteError};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Value {
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    csrcs: Vec<u32>,
    elements: Vec<(u8, Vec<u8>)>,
    payload: Vec<u8>,
    padding: u8,
}

fn values() -> impl Strategy<Value = Value> {
    let element = prop_oneof![
        4 => (1u8..15, prop::collection::vec(any::<u8>(), 1..17)),
        1 => (1u8..=255, prop::collection::vec(any::<u8>(), 0..256)),
    ];
    let head = (
        any::<bool>(),
        0u8..128,
        any::<u16>(),
        any::<u32>(),
        any::<u32>(),
    );
    let lists = (
        prop::collection::vec(any::<u32>(), 0..16),
        prop::collection::vec(element, 0..6),
        prop::collection::vec(any::<u8>(), 0..100),
        any::<u8>(),
    );
    (head, lists).prop_map(|(head, lists)| {
        let (marker, payload_type, sequence, timestamp, ssrc) = head;
        let (csrcs, elements, payload, padding) = lists;
        Value {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            csrcs,
            elements,
            payload,
            padding,
        }
    })
}

fn write(value: &Value, buffer: &mut [u8]) -> Result<usize, WriteError> {
    let csrcs: Vec<Ssrc> = value.csrcs.iter().map(|csrc| Ssrc(*csrc)).collect();
    let header = RtpHeader {
        marker: value.marker,
        payload_type: value.payload_type,
        sequence: SequenceNumber(value.sequence),
        timestamp: Timestamp(value.timestamp),
        ssrc: Ssrc(value.ssrc),
        csrcs: &csrcs,
    };
    let mut writer = RtpWriter::new(buffer, &header)?;
    for (id, data) in &value.elements {
        writer.element(*id, data)?;
    }
    let mut body = writer.body()?;
    body.payload(&value.payload)?;
    body.padding(value.padding)
}

proptest! {
    /// Whatever can be written is read as what it was.
    #[test]
    fn written_packets_are_read(value in values()) {
        let mut buffer = vec![0xaa; 4000];
        let len = write(&value, &mut buffer).unwrap();
        let packet = RtpPacket::parse(&buffer[..len]).unwrap();
        prop_assert_eq!(packet.marker(), value.marker);
        prop_assert_eq!(packet.payload_type(), value.payload_type);
        prop_assert_eq!(packet.sequence().0, value.sequence);
        prop_assert_eq!(packet.timestamp().0, value.timestamp);
        prop_assert_eq!(packet.ssrc().0, value.ssrc);
        prop_assert_eq!(packet.csrcs().map(|csrc| csrc.0).collect::<Vec<_>>(), value.csrcs.clone());
        let elements: Vec<_> = packet.elements().map(|(id, data)| (id, data.to_vec())).collect();
        prop_assert_eq!(elements, value.elements.clone());
        prop_assert_eq!(packet.payload(), &value.payload[..]);
        prop_assert_eq!(packet.padding_len(), value.padding);
        prop_assert_eq!(packet.bytes().len(), len);
        for short in [0, len / 2, len - 1] {
            prop_assert!(write(&value, &mut buffer[..short]).is_err());
        }
    }

    /// Whatever is read is written with the same bytes, padding apart, which is written as zeros.
    #[test]
    fn read_packets_are_written(mut bytes in prop::collection::vec(any::<u8>(), 12..200)) {
        bytes[0] = 0x80 | bytes[0] & 0x3f;
        if bytes.len() > 40 {
            // Else nearly every random length is out of range.
            let at = 14 + usize::from(bytes[0] & 0xf) * 4;
            if let Some(length) = bytes.get_mut(at..at + 2) {
                length.copy_from_slice(&[0, 2]);
            }
        }
        if let Ok(packet) = RtpPacket::parse(&bytes) {
            let csrcs: Vec<Ssrc> = packet.csrcs().collect();
            let header = RtpHeader { csrcs: &csrcs, ..packet.header() };
            let mut buffer = vec![0xaa; 300];
            let writer = RtpWriter::new(&mut buffer, &header).unwrap();
            let mut body = match packet.raw_extension() {
                Some((profile, data)) => writer.raw_extension(profile, data).unwrap(),
                None => writer.body().unwrap(),
            };
            body.payload(packet.payload()).unwrap();
            let len = body.padding(packet.padding_len()).unwrap();
            prop_assert_eq!(len, bytes.len());
            let unpadded = len - usize::from(packet.padding_len());
            prop_assert_eq!(&buffer[..unpadded], &bytes[..unpadded]);
        }
    }
}
