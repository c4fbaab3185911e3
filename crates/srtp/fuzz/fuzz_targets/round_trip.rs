//! Operations on a sender and a receiver over a network that loses, repeats, reorders and damages.
//! What opens is what was sealed, each packet once; no nonce is used twice.
#![no_main]

use std::collections::{HashMap, HashSet};

use libfuzzer_sys::fuzz_target;
use peerloom_srtp::{
    Cryptex, Limits, MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig, TAILROOM,
};

fuzz_target!(|data: &[u8]| {
    let [first, ops @ ..] = data else { return };
    let profile = Profile::ALL[usize::from(first % 4)];
    let (key, salt) = ([1; 32], [2; 14]);
    let keys = MasterKey::new(
        profile,
        &key[..profile.key_len()],
        &salt[..profile.salt_len()],
    )
    .expect("lengths of the profile");
    let cryptex = first & 4 != 0;
    // A sender that forgets nothing it may not, with a table small enough to be left all the time.
    let limits = Limits {
        streams: 2,
        retired: 4,
    };
    let mut sender = Sender::new(&keys, SenderConfig { cryptex, limits });
    let config = ReceiverConfig {
        cryptex: Cryptex::Allowed,
        ..ReceiverConfig::default()
    };
    let mut receiver = Receiver::new(&keys, config);

    // What is under way (RTCP or not), and what it opens to.
    let mut network: Vec<(bool, Vec<u8>)> = Vec::new();
    let mut plain_of: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let mut keystreams = HashSet::new();
    let mut opened = HashSet::new();
    for op in ops.chunks_exact(4) {
        let [kind, a, b, c] = [op[0], op[1], op[2], op[3]];
        match kind % 8 {
            // Seal RTP: SSRC, sequence number, shape.
            0..=2 => {
                let mut buffer = vec![0x80 | c & 0x13, kind, a, b, 0, 0, 0, 0, 0, 0, 0, c >> 5];
                buffer.extend([0x33; 12].iter().take(4 * usize::from(c & 3)));
                if c & 0x10 != 0 {
                    buffer.extend([0xbe, 0xde, 0, 1, 0x10, 1, 0, 0]);
                }
                buffer.extend([a, b, c, kind].repeat(4));
                let mut plain = buffer.clone();
                if cryptex && c & 0x10 == 0 && c & 3 != 0 {
                    plain[0] |= 0x10;
                    let end = plain.len() - 16;
                    plain.splice(end..end, [0xbe, 0xde, 0, 0]);
                }
                buffer.extend([0; TAILROOM]);
                if let Ok(sealed) = sender.seal_rtp(&mut buffer) {
                    let sealed = sealed.to_vec();
                    let body = sealed.len() - profile.rtp_tag_len() - 16;
                    let keystream: Vec<u8> = (sealed[body..body + 16].iter())
                        .zip(&plain[plain.len() - 16..])
                        .map(|(sealed, plain)| sealed ^ plain)
                        .collect();
                    assert!(keystreams.insert(keystream), "a nonce was used twice");
                    plain_of.insert(sealed.clone(), plain);
                    network.push((false, sealed));
                }
            }
            3 => {
                let mut buffer = vec![0x80, 201, 0, 1, 0, 0, 0, a, b, c];
                let plain = buffer.clone();
                buffer.extend([0; TAILROOM]);
                if let Ok(sealed) = sender.seal_rtcp(&mut buffer) {
                    let sealed = sealed.to_vec();
                    assert!(plain_of.insert(sealed.clone(), plain).is_none());
                    network.push((true, sealed));
                }
            }
            4..=6 if !network.is_empty() => {
                let at = (usize::from(a) << 8 | usize::from(b)) % network.len();
                let (rtcp, packet) = network[at].clone();
                let mut copy = packet.clone();
                let damaged = c > 200 && profile.rtp_tag_len() > 4;
                if damaged {
                    let at = usize::from(b) % copy.len();
                    copy[at] ^= c;
                }
                let result = if rtcp {
                    receiver.open_rtcp(&mut copy)
                } else {
                    receiver.open_rtp(&mut copy)
                };
                if let Ok(plain) = result {
                    assert!(!damaged);
                    assert_eq!(plain, plain_of[&packet]);
                    assert!(opened.insert(packet), "opened twice");
                }
            }
            _ => {
                let counter = u32::from(b) << (c % 25);
                if a & 0x80 != 0 {
                    receiver.seed_rollover(u32::from(a & 7), counter);
                } else {
                    let _ = sender.seed_rollover(u32::from(a & 7), counter);
                }
            }
        }
    }
    assert!(receiver.streams().0 <= 8);
});
