//! DCEP as browsers send it: the OPENs and ACKs in captures of Chromium and Firefox.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests stop the test"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use peerloom_datachannel::sctp::{Packet, wire::Chunk};
use peerloom_datachannel::{DcepMessage, Open, Reliability};

#[test]
fn the_opens_of_chromium_decode() {
    // Chromium's default priority is 256, and it numbers channels in the order of their creation.
    let pcap = include_bytes!("data/chromium-156-sctp-plain.pcap");
    assert_opens(pcap, 256, [1, 3, 5, 7, 9]);
}

#[test]
fn the_opens_of_firefox_decode() {
    let pcap = include_bytes!("data/firefox-153-sctp-plain.pcap");
    assert_opens(pcap, 0, [5, 3, 1, 9, 7]);
}

fn assert_opens(pcap: &[u8], priority: u16, streams: [u16; 5]) {
    let channels = [
        (true, Reliability::Reliable, "reliable", ""),
        (false, Reliability::Reliable, "unordered", ""),
        (true, Reliability::MaxRetransmits(2), "rexmit", ""),
        (
            false,
            Reliability::MaxLifetime(Duration::from_millis(500)),
            "lifetime",
            "p",
        ),
        (true, Reliability::Reliable, "prio", ""),
    ];
    let messages = dcep_messages(pcap);
    assert_eq!(messages.len(), 5);
    for (stream, (ordered, reliability, label, protocol)) in streams.into_iter().zip(channels) {
        let [open, ack] = &messages[&stream][..] else {
            panic!("{messages:?}")
        };
        let expected = Open::new(ordered, reliability, priority, label, protocol);
        assert_eq!(DcepMessage::decode(open), Ok(DcepMessage::Open(expected)));
        assert_eq!(DcepMessage::Open(expected).encode(), open);
        assert_eq!(DcepMessage::decode(ack), Ok(DcepMessage::Ack));
    }
}

/// The payloads with PPID 50, by stream, in order, without retransmissions.
fn dcep_messages(pcap: &[u8]) -> BTreeMap<u16, Vec<Vec<u8>>> {
    let mut messages: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
    let mut rest = &pcap[24..];
    while let Some((header, after)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let (packet, next) = after.split_at(len);
        rest = next;
        for chunk in Packet::decode(packet).unwrap().chunks {
            if let Chunk::Data(data) = chunk
                && data.ppid.0 == 50
            {
                let payload = data.payload.to_vec();
                let of_stream = messages.entry(data.stream.0).or_default();
                if !of_stream.contains(&payload) {
                    of_stream.push(payload);
                }
            }
        }
    }
    messages
}
