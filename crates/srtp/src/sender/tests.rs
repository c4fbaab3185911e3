use super::*;
use crate::config::ReceiverConfig;
use crate::context::Cipher;
use crate::error::OpenError;
use crate::profile::Profile;
use crate::receiver::Receiver;
use crate::testing::{hex, master, session};

fn sender(config: SenderConfig) -> Sender {
    let keys = master(
        Profile::AeadAes128Gcm,
        "000102030405060708090a0b0c0d0e0f",
        "a0a1a2a3a4a5a6a7a8a9aaab",
    );
    Sender::new(&keys, config)
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x55; 20]);
    packet
}

fn with_tailroom(mut packet: Vec<u8>) -> Vec<u8> {
    packet.resize(packet.len() + TAILROOM, 0);
    packet
}

fn seal(sender: &mut Sender, ssrc: u32, sequence: u16) -> Result<Vec<u8>, SealError> {
    let mut buffer = with_tailroom(rtp(ssrc, sequence));
    sender.seal_rtp(&mut buffer).map(|sealed| sealed.to_vec())
}

/// The same session keys for RTP and RTCP, as the vectors of RFC 7714 give them.
fn context(profile: Profile, key: &str, salt: &str) -> Context {
    Context {
        profile,
        rtp: Cipher::new(&session(profile, key, salt)),
        rtcp: Cipher::new(&session(profile, key, salt)),
    }
}

/// RFC 7714 section 16 and 17 as whole packets, sealed and opened; tag-only SRTCP is opened.
#[test]
fn rfc_7714_sections_16_and_17() {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let salt = "517569642070726f2071756f";
    let rtp = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064\
        697669736120696e207061727465732074726573";
    let rtcp = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
        deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    for (profile, key, srtp, srtcp, tagged) in [
        (
            Profile::AeadAes128Gcm,
            &key[..32],
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b\
             36de3adf8833899d7f27beb16a9152cf765ee4390cce",
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b46\
             86303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
            "841dd9683dd78ec92ae58790125f62b3000005d4",
        ),
        (
            Profile::AeadAes256Gcm,
            key,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f\
             1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658\
             c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
            "91db4afbfeee5a978fab4393ed2615fe000005d4",
        ),
    ] {
        let mut sender = Sender::with_context(context(profile, key, salt), SenderConfig::default());
        let mut buffer = with_tailroom(hex(rtp));
        assert_eq!(sender.seal_rtp(&mut buffer).unwrap(), hex(srtp));
        sender.rtcp_index = 0x5d4;
        let mut buffer = with_tailroom(hex(rtcp));
        assert_eq!(sender.seal_rtcp(&mut buffer).unwrap(), hex(srtcp));

        let open = |unencrypted_rtcp, packet: Vec<u8>| {
            let config = ReceiverConfig {
                unencrypted_rtcp,
                ..ReceiverConfig::default()
            };
            let mut receiver = Receiver::with_context(context(profile, key, salt), config);
            let mut packet = packet;
            receiver.open_rtcp(&mut packet).map(|plain| plain.to_vec())
        };
        assert_eq!(open(false, hex(srtcp)), Ok(hex(rtcp)));
        let tagged = [hex(rtcp), hex(tagged)].concat();
        assert_eq!(open(true, tagged.clone()), Ok(hex(rtcp)));
        assert_eq!(open(false, tagged), Err(OpenError::Unencrypted));
    }
}

/// The same nonce for two packets gives the keys away (RFC 7714 section 10.1).
#[test]
fn a_sequence_number_is_sealed_once() {
    let mut sender = sender(SenderConfig::default());
    seal(&mut sender, 1, 100).unwrap();
    seal(&mut sender, 1, 102).unwrap();
    assert_eq!(seal(&mut sender, 1, 100), Err(SealError::Reused));
    seal(&mut sender, 1, 101).unwrap();
    seal(&mut sender, 1, 20_000).unwrap();
    assert_eq!(seal(&mut sender, 1, 103), Err(SealError::Reused));
    seal(&mut sender, 2, 100).unwrap();
    let stats = sender.stats();
    assert_eq!((stats.rtp, stats.refused), (5, 2));
}

/// Neither do streams that were pushed out of the table come back with used nonces.
#[test]
fn evicted_streams_keep_their_index() {
    let limits = Limits {
        streams: 2,
        retired: 2,
    };
    let mut sender = sender(SenderConfig {
        limits,
        ..SenderConfig::default()
    });
    seal(&mut sender, 1, 65_535).unwrap();
    let used = seal(&mut sender, 1, 0).unwrap();
    assert_eq!(sender.rollover(1), Some(1));
    seal(&mut sender, 2, 5).unwrap();
    seal(&mut sender, 3, 5).unwrap();
    assert_eq!(sender.rollover(1), Some(1));
    assert_eq!(seal(&mut sender, 1, 0), Err(SealError::Reused));
    assert_ne!(seal(&mut sender, 1, 1).unwrap(), used);
    assert_eq!(sender.rollover(1), Some(1));

    // 1 and 3 are in the table, 2 is retired: room for one more, and for those known.
    seal(&mut sender, 4, 5).unwrap();
    let refused = Err(SealError::TooManyStreams { max: 4 });
    assert_eq!(seal(&mut sender, 5, 5), refused);
    for ssrc in [2, 3, 1, 4] {
        assert_eq!(seal(&mut sender, ssrc, 6).map(|_| ()), Ok(()), "{ssrc}");
    }
    assert_eq!(seal(&mut sender, 5, 5), refused);
}

/// All 48 bits of the index are in the nonce: payloads sealed 2^32 and 2^47 packets apart share no
/// keystream.
#[test]
fn the_whole_rollover_counter_counts() {
    for profile in Profile::ALL {
        let (key, salt) = ([1; 32], [2; 14]);
        let keys = MasterKey::new(
            profile,
            &key[..profile.key_len()],
            &salt[..profile.salt_len()],
        )
        .unwrap();
        let payloads = [0, 1 << 16, 1 << 31].map(|counter| {
            let mut sender = Sender::new(&keys, SenderConfig::default());
            sender.seed_rollover(1, counter).unwrap();
            seal(&mut sender, 1, 7).unwrap()[12..32].to_vec()
        });
        assert_ne!(payloads[0], payloads[1]);
        assert_ne!(payloads[0], payloads[2]);
        assert_ne!(payloads[1], payloads[2]);
    }
}

/// Indices end instead of beginning again (RFC 3711 section 9.2).
#[test]
fn indices_are_exhausted() {
    let mut sender = sender(SenderConfig::default());
    sender.seed_rollover(1, u32::MAX).unwrap();
    seal(&mut sender, 1, 65_535).unwrap();
    assert_eq!(seal(&mut sender, 1, 0), Err(SealError::Exhausted));
    assert_eq!(sender.seed_rollover(1, 7), Err(SealError::Reused));

    sender.rtcp_index = MAX_INDEX;
    let rtcp = with_tailroom(vec![0x80, 201, 0, 1, 0, 0, 0, 1]);
    let sealed = sender
        .seal_rtcp(&mut rtcp.clone())
        .map(|sealed| sealed.to_vec());
    assert_eq!(sealed.unwrap()[24..], [0xff; 4]);
    let refused = sender
        .seal_rtcp(&mut rtcp.clone())
        .map(|sealed| sealed.to_vec());
    assert_eq!(refused, Err(SealError::Exhausted));
}

/// A refused packet is as it was, so that the caller can do something else with it.
#[test]
fn refused_packets_are_unchanged() {
    let mut sender = sender(SenderConfig {
        cryptex: true,
        ..SenderConfig::default()
    });
    let mut other = rtp(1, 1);
    other[0] |= 0x10;
    other.splice(12..12, [0x10, 0x05, 0, 0]);
    let mut short = rtp(1, 2);
    short[0] |= 0x0f;
    for (packet, error) in [
        (other, SealError::CryptexExtension { profile: 0x1005 }),
        (short, SealError::Malformed(Malformed::Truncated)),
    ] {
        let mut buffer = with_tailroom(packet.clone());
        assert_eq!(sender.seal_rtp(&mut buffer), Err(error));
        assert_eq!(buffer, with_tailroom(packet));
    }
    for len in 0..TAILROOM + 12 {
        let truncated = Err(SealError::Malformed(Malformed::Truncated));
        assert_eq!(sender.seal_rtp(&mut vec![0x80; len]), truncated);
    }
    let no_room = Err(SealError::NoRoom {
        len: 51,
        needed: 52,
    });
    assert_eq!(
        sender.seal_rtp_parts(&[0x80; 12], &[0; 20], &mut [0; 51]),
        no_room
    );
    // The packet was never counted as used.
    seal(&mut sender, 1, 1).unwrap();
}
