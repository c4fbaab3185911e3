//! A sender, a network that nobody should trust, and a receiver.
//!
//! `cargo run -p peerloom-srtp --example protect`

use std::error::Error;

use peerloom_srtp::{
    Cryptex, Leg, OpenError, Profile, ReceiverConfig, Role, SenderConfig, SessionKeys, TAILROOM,
    fan_out,
};

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // What both ends get from the DTLS handshake, under the label "EXTRACTOR-dtls_srtp".
    let profile = Profile::AeadAes128Gcm;
    let exported: Vec<u8> = (0..profile.keying_material_len() as u8).collect();
    let keys = SessionKeys::from_keying_material(profile, &exported)?;

    // Both ends have `a=cryptex` in their descriptions: header extensions and CSRCs are hidden too.
    let sending = SenderConfig {
        cryptex: true,
        ..SenderConfig::default()
    };
    let receiving = ReceiverConfig {
        cryptex: Cryptex::Allowed,
        ..ReceiverConfig::default()
    };
    let mut sender = keys.sender(Role::Client, sending);
    let mut receiver = keys.receiver(Role::Server, receiving);

    // A packet with an audio level in its extension, and TAILROOM bytes behind it.
    let packet = [
        0x90, 111, 0x12, 0x34, 0, 0, 3, 192, 0, 0, 0, 42, // header
        0xbe, 0xde, 0, 1, 0x10, 0xb0, 0, 0, // extension
        b'v', b'o', b'i', b'c', b'e',
    ];
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + TAILROOM, 0);
    let sealed = sender.seal_rtp(&mut buffer)?.to_vec();
    println!("{:3} bytes {packet:02x?}", packet.len());
    println!("{:3} bytes {sealed:02x?}", sealed.len());

    // Somebody changes a byte on the way: dropped, and nothing else happens.
    let mut forged = sealed.clone();
    forged[22] ^= 1;
    assert_eq!(receiver.open_rtp(&mut forged), Err(OpenError::NotAuthentic));
    // The packet itself opens, once.
    assert_eq!(receiver.open_rtp(&mut sealed.clone())?, packet);
    assert_eq!(
        receiver.open_rtp(&mut sealed.clone()),
        Err(OpenError::Replayed)
    );
    println!("opened; {:?}", receiver.stats());

    // The same payload for three receivers, each with keys of its own, into one buffer.
    let mut senders = Vec::new();
    for receiver in 0..3 {
        let keys = SessionKeys::from_keying_material(profile, &[receiver; 56])?;
        senders.push(keys.sender(Role::Server, SenderConfig::default()));
    }
    let (header, payload) = packet.split_at(20);
    let stride = packet.len() + TAILROOM;
    let mut batch = vec![0; stride * senders.len()];
    let legs = senders.iter_mut().zip(batch.chunks_mut(stride));
    let legs = legs.map(|(sender, buffer)| Leg {
        sender,
        header,
        buffer,
    });
    for sealed in fan_out(payload, legs) {
        println!("fan-out {:02x?}", &sealed?[header.len()..]);
    }
    Ok(())
}
