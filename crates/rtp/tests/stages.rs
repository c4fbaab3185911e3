//! What the stages add to the pieces: which packets go on, and as what; and the chain's time.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use peerloom_rtp::extension::{ExtensionKind, ExtensionMap};
use peerloom_rtp::fec::{FecDecoder, FlexFecEncoder};
use peerloom_rtp::receive::PacketOrigin;
use peerloom_rtp::send::{Pacer, PacerConfig, Priority, TransportHistory};
use peerloom_rtp::stage::{
    Chain, End, FecStage, NumberStage, Outgoing, PacerStage, Received, RtxStage, Sink, Stamped,
};
use peerloom_rtp::{Limits, RtpHeader, RtpPacket, RtpWriter, SequenceNumber, Ssrc, rtx};

#[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
fn base() -> Instant {
    Instant::now()
}

fn packet(ssrc: Ssrc, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = RtpHeader {
        payload_type: 96,
        sequence: SequenceNumber(sequence),
        ssrc,
        ..RtpHeader::default()
    };
    let mut buffer = vec![0; 100];
    let mut writer = RtpWriter::new(&mut buffer, &header).unwrap();
    writer.element(5, &[0, 0]).unwrap();
    let len = writer.payload(payload).unwrap();
    buffer.truncate(len);
    buffer
}

fn view(bytes: &[u8]) -> Received<'_> {
    Received {
        packet: RtpPacket::parse(bytes).unwrap(),
        origin: PacketOrigin::Direct,
    }
}

/// Retransmitted and repaired packets go on as the originals, byte by byte and marked as what they
/// are; neither RTX padding nor FEC goes further.
#[test]
fn restored_packets_go_on() {
    let media: Vec<_> = (1..=4)
        .map(|at| packet(MEDIA, at, &[at as u8; 9]))
        .collect();
    let mut seen = Vec::new();
    let end = End(|_now: Instant, received: Received<'_>| {
        seen.push((received.packet.bytes().to_vec(), received.origin));
    });
    let decoder = FecDecoder::flexfec_03(MEDIA, &Limits::default());
    let rtx_stage = RtxStage::new(RTX, MEDIA, 96, 1_500);
    let mut path = Chain::new(rtx_stage, Chain::new(FecStage::new(decoder, FEC), end));
    let now = base();
    path.take(now, view(&media[0]));
    path.take(now, view(&packet(RTX, 7, &[])));
    let mut buffer = [0; 100];
    let original = RtpPacket::parse(&media[1]).unwrap();
    let len = rtx::retransmit(&original, RTX, 97, SequenceNumber(8), &mut buffer).unwrap();
    path.take(now, view(&buffer[..len]));
    path.take(now, view(&media[3]));
    // Of four packets the third is missing.
    let group = media.iter().map(|bytes| RtpPacket::parse(bytes).unwrap());
    let mut repair = [0; 100];
    let len = FlexFecEncoder::encode(group, &mut repair).unwrap();
    path.take(now, view(&packet(FEC, 1, &repair[..len])));
    let expected = [
        (0, PacketOrigin::Direct),
        (1, PacketOrigin::Repaired),
        (3, PacketOrigin::Direct),
        (2, PacketOrigin::Repaired),
    ];
    assert_eq!(
        seen,
        expected.map(|(at, origin)| (media[at].clone(), origin))
    );
}

/// Packets leave when the pacer's time has come, which the chain tells, each with the next
/// transport-wide number in its element and nothing else changed; one without room is counted.
#[test]
fn paced_and_numbered() {
    let mut map = ExtensionMap::default();
    map.insert(5, ExtensionKind::TransportSequence).unwrap();
    let config = PacerConfig {
        packets: 2,
        ..PacerConfig::default()
    };
    let pacer = PacerStage::new(Pacer::new(config, 100_000));
    let history = TransportHistory::new(16, SequenceNumber(65_535));
    let number = NumberStage::new(history, &map, 100, 20);
    let mut sent = Vec::new();
    let end = End(|now: Instant, stamped: Stamped<'_>| {
        assert_eq!(stamped.buffer.len(), stamped.len + 20);
        sent.push((now, stamped.buffer[..stamped.len].to_vec()));
    });
    let mut path = Chain::new(pacer, Chain::new(number, end));
    let start = base();
    assert_eq!(path.poll_timeout(), None);
    for sequence in 1..=4 {
        let item = Outgoing {
            priority: Priority::Video,
            sequence: SequenceNumber(sequence),
            packet: packet(MEDIA, sequence, &[sequence as u8; 80]),
        };
        path.take(start, item);
    }
    // The first went at once, two wait, the fourth found no room.
    assert_eq!(path.stage.dropped, 1);
    while let Some(due) = path.poll_timeout() {
        assert!(due > start && due < start + Duration::from_millis(20));
        path.poll(due);
    }
    let stats = path.next.stage.history.stats();
    assert_eq!(stats.packets, 3);
    for (index, (at, bytes)) in sent.iter().enumerate() {
        let number = SequenceNumber(65_535).plus(index as u16);
        let mut expected = packet(MEDIA, index as u16 + 1, &[index as u8 + 1; 80]);
        let range = RtpPacket::parse(&expected).unwrap().element_range(5);
        expected[range.unwrap()].copy_from_slice(&number.0.to_be_bytes());
        assert_eq!(*bytes, expected);
        assert_eq!(*at > start, index > 0);
    }
    assert_eq!(sent.len(), 3);
}

const MEDIA: Ssrc = Ssrc(1);
const RTX: Ssrc = Ssrc(2);
const FEC: Ssrc = Ssrc(3);
