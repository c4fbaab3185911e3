//! Whatever parses is written, parses again, and is then written with the same bytes. Walking
//! through it is bounded by the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_rtp::Limits;
use peerloom_rtp::rtcp::{Compound, RtcpPacket, RtcpWriter};

fuzz_target!(|data: &[u8]| {
    let Some(once) = rewrite(data) else { return };
    let twice = rewrite(&once).expect("what was written parses");
    assert_eq!(once, twice);
});

fn rewrite(data: &[u8]) -> Option<Vec<u8>> {
    let limits = Limits::default();
    let mut buffer = vec![0; data.len() + 1024];
    let mut writer = RtcpWriter::new(&mut buffer);
    let mut packets = Compound::new(data, &limits);
    let mut statuses = 0;
    let mut all = true;
    for packet in &mut packets {
        let Ok(packet) = packet else {
            all = false;
            continue;
        };
        match packet {
            RtcpPacket::Nack(nack) => assert!(nack.lost().count() <= data.len() * 17 / 4),
            RtcpPacket::TransportFeedback(feedback) => statuses += feedback.packets().count(),
            RtcpPacket::CongestionFeedback(feedback) => {
                let packets: usize = feedback
                    .streams()
                    .map(|stream| stream.packets().count())
                    .sum();
                assert!(packets <= data.len() / 2);
            }
            RtcpPacket::SourceDescription(sdes) => {
                assert!(sdes.chunks().filter_map(|chunk| chunk.cname()).count() <= 31);
            }
            _ => {}
        }
        writer
            .packet(&packet)
            .expect("there is room for what was read");
    }
    assert!(statuses <= limits.feedback_statuses);
    let padding = packets.padding_len();
    if !all {
        return None;
    }
    let len = writer.padding(padding).ok()?;
    buffer.truncate(len);
    Some(buffer)
}
