//! Any media and repair packets; whatever is repaired is an RTP packet of the stream. And what our
//! encoder protects comes back.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peerloom_rtp::fec::{FecDecoder, FlexFecEncoder};
use peerloom_rtp::rtx::RtxPacket;
use peerloom_rtp::{Limits, RtpHeader, RtpPacket, RtpWriter, SequenceNumber, Ssrc};

#[derive(Arbitrary, Debug)]
enum Call {
    Media {
        sequence: u16,
        payload: Vec<u8>,
    },
    AnyMedia(Vec<u8>),
    Repair(Vec<u8>),
    Protect {
        first: u16,
        payloads: Vec<Vec<u8>>,
        lost: u8,
    },
}

const MEDIA: Ssrc = Ssrc(0x3030_3030);

fuzz_target!(|input: (bool, Vec<Call>)| {
    let limits = Limits::default();
    let mut decoder = match input.0 {
        true => FecDecoder::flexfec_03(MEDIA, &limits),
        false => FecDecoder::ulpfec(MEDIA, &limits),
    };
    let mut out = Vec::new();
    for call in input.1 {
        match call {
            Call::Media { sequence, payload } => {
                let bytes = packet(sequence, &payload);
                decoder.media(&RtpPacket::parse(&bytes).unwrap());
            }
            Call::AnyMedia(bytes) => {
                if let Ok(packet) = RtpPacket::parse(&bytes) {
                    decoder.media(&packet);
                    if let Ok(Some(rtx)) = RtxPacket::parse(packet) {
                        rtx.restore(MEDIA, 1, &mut vec![0; bytes.len()])
                            .expect("it is shorter");
                    }
                }
            }
            Call::Repair(payload) => drop(decoder.repair(&payload)),
            Call::Protect {
                first,
                payloads,
                lost,
            } => protect(first, &payloads, lost.into()),
        }
        while let Some(sequence) = decoder.poll(&mut out) {
            let packet = RtpPacket::parse(&out).expect("only packets are repaired");
            assert_eq!((packet.ssrc(), packet.sequence()), (MEDIA, sequence));
        }
    }
});

fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = RtpHeader {
        sequence: SequenceNumber(sequence),
        ssrc: MEDIA,
        ..RtpHeader::default()
    };
    let mut bytes = vec![0; payload.len() + 12];
    RtpWriter::new(&mut bytes, &header)
        .unwrap()
        .payload(payload)
        .unwrap();
    bytes
}

fn protect(first: u16, payloads: &[Vec<u8>], lost: usize) {
    let payloads = &payloads[..payloads.len().min(109)];
    let numbered = payloads.iter().enumerate();
    let packets: Vec<_> = numbered
        .map(|(at, payload)| packet(first.wrapping_add(at as u16), payload))
        .collect();
    let views = packets.iter().map(|bytes| RtpPacket::parse(bytes).unwrap());
    let mut repair = vec![0; 40 + payloads.iter().map(Vec::len).max().unwrap_or(0)];
    let Ok(len) = FlexFecEncoder::encode(views.clone(), &mut repair) else {
        return;
    };
    let mut decoder = FecDecoder::flexfec_03(MEDIA, &Limits::default());
    let lost = lost % packets.len();
    views
        .enumerate()
        .filter(|(at, _)| *at != lost)
        .for_each(|(_, view)| decoder.media(&view));
    decoder.repair(&repair[..len]).unwrap();
    let mut out = Vec::new();
    decoder.poll(&mut out).expect("one packet is missing");
    assert_eq!(out, packets[lost]);
}
