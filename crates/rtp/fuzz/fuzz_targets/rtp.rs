//! Whatever parses is written again with the same bytes (padding apart, which becomes zeros), and
//! element by element with the same meaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_rtp::{RtpHeader, RtpPacket, RtpWriter, Ssrc, is_rtcp};

fuzz_target!(|data: &[u8]| {
    let _ = is_rtcp(data);
    let Ok(packet) = RtpPacket::parse(data) else {
        return;
    };
    let csrcs: Vec<Ssrc> = packet.csrcs().collect();
    let header = RtpHeader {
        csrcs: &csrcs,
        ..packet.header()
    };
    let mut buffer = vec![0xaa; data.len() * 2 + 1024];
    let writer = RtpWriter::new(&mut buffer, &header).unwrap();
    let mut body = match packet.raw_extension() {
        Some((profile, data)) => writer.raw_extension(profile, data).unwrap(),
        None => writer.body().unwrap(),
    };
    body.payload(packet.payload()).unwrap();
    let len = body.padding(packet.padding_len()).unwrap();
    assert_eq!(len, data.len());
    let unpadded = len - usize::from(packet.padding_len());
    assert_eq!(&buffer[..unpadded], &data[..unpadded]);

    let mut writer = RtpWriter::new(&mut buffer, &header).unwrap();
    for (id, data) in packet.elements() {
        if writer.element(id, data).is_err() {
            return;
        }
    }
    // Twice the elements' headers may exceed what the length field can say.
    let Ok(len) = writer.payload(packet.payload()) else {
        return;
    };
    let again = RtpPacket::parse(&buffer[..len]).unwrap();
    assert!(again.elements().eq(packet.elements()));
    assert_eq!(again.payload(), packet.payload());
});
