//! Whatever decodes, encodes to something that decodes to the same; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_sctp::Packet;
use peerloom_sctp::wire::Checksum;

fuzz_target!(|data: &[u8]| {
    let mut datagram = data.to_vec();
    // No fuzzer finds a CRC; a zero one stands for any.
    if let Some(checksum) = datagram.get_mut(8..12) {
        checksum.fill(0);
    }
    let Ok(first) = Packet::decode_with(&datagram, Checksum::Zero) else {
        return;
    };
    let mut encoded = vec![0xaa; first.encoded_len()];
    assert_eq!(first.encode(&mut encoded), encoded.len());
    let second = Packet::decode(&encoded).expect("what was encoded decodes");
    assert_eq!(first.header(), second.header());
    // By their text: a packet borrows for one lifetime from its datagram.
    assert_eq!(
        format!("{:?}", first.chunks),
        format!("{:?}", second.chunks)
    );
    for chunk in first.chunks {
        if let Some(owned) = chunk.clone().into_owned() {
            assert_eq!(owned.encoded_len(), chunk.encoded_len());
        }
    }
});
