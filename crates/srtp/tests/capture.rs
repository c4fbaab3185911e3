//! Firefox's own SRTP and SRTCP, with keys from its key log.

mod common;

use std::collections::HashMap;

use common::{hex, pcap, with_tailroom};
use peerloom_srtp::{Profile, Role, SessionKeys};
use ring::hmac;

/// Every packet of the capture opens, once, and seals to the same bytes again: what we put on the wire
/// is what a browser puts there.
#[test]
fn firefox_media_opens_and_seals_to_the_same_bytes() {
    let datagrams = pcap(include_bytes!("data/firefox-153-media-dtls12-keyed.pcap"));
    let keylog = include_str!("data/firefox-153-media-dtls12-keyed.keylog");
    let mut logged = HashMap::new();
    for line in keylog
        .lines()
        .filter(|line| line.starts_with("CLIENT_RANDOM "))
    {
        let mut words = line.split(' ').skip(1).map(hex);
        logged.insert(words.next().unwrap(), words.next().unwrap());
    }

    let hello = |kind| {
        datagrams
            .iter()
            .filter_map(move |(port, record)| Some((*port, hello_random(record, kind)?)))
    };
    let (client_port, client_random) = hello(CLIENT_HELLO).next_back().unwrap();
    let (_, server_random) = hello(SERVER_HELLO).next_back().unwrap();
    let profile = Profile::AeadAes128Gcm;
    let material = export(&logged[&client_random], &client_random, &server_random);
    let keys = SessionKeys::from_keying_material(profile, &material).unwrap();

    let (mut rtp, mut rtcp) = (0, 0);
    let mut receivers =
        [Role::Client, Role::Server].map(|role| keys.receiver(role, Default::default()));
    let mut senders =
        [Role::Client, Role::Server].map(|role| keys.sender(role, Default::default()));
    let mut first_rtcp_index = [None; 2];
    for (port, packet) in &datagrams {
        if !(128..=191).contains(&packet[0]) {
            continue;
        }
        let from = usize::from(*port != client_port);
        let receiver = &mut receivers[1 - from];
        let mut copy = packet.clone();
        // RFC 5761 section 4.
        if (64..96).contains(&(packet[1] & 0x7f)) {
            rtcp += 1;
            let plain = receiver.open_rtcp(&mut copy).unwrap().to_vec();
            assert_eq!(plain.len() % 4, 0);
            let index = packet
                .last_chunk()
                .map(|word| u32::from_be_bytes(*word) & !(1 << 31));
            first_rtcp_index[from] = first_rtcp_index[from].or(index);
        } else {
            rtp += 1;
            let plain = receiver.open_rtp(&mut copy).unwrap().to_vec();
            let mut buffer = with_tailroom(&plain);
            assert_eq!(senders[from].seal_rtp(&mut buffer).unwrap(), packet);
            let replayed = receiver.open_rtp(&mut packet.clone()).map(|_| ());
            assert_eq!(replayed, Err(peerloom_srtp::OpenError::Replayed));
        }
    }
    assert_eq!((rtp, rtcp), (499, 161));
    let opened = receivers.map(|receiver| receiver.stats());
    assert_eq!(opened[0].rtp + opened[1].rtp, 499);
    assert_eq!(opened[0].rtcp + opened[1].rtcp, 161);
    assert!(
        opened
            .iter()
            .all(|stats| stats.rtp > 0 && stats.recovered == 0)
    );
    assert!(
        first_rtcp_index
            .iter()
            .all(|index| matches!(index, Some(0 | 1)))
    );
}

/// The random of a hello in the first record of a datagram (RFC 6347 sections 4.1 and 4.2.2).
fn hello_random(datagram: &[u8], kind: u8) -> Option<Vec<u8>> {
    let hello = datagram.first() == Some(&22) && datagram.get(13) == Some(&kind);
    (hello && datagram[3..5] == [0, 0]).then(|| datagram[27..59].to_vec())
}

/// RFC 5705 with the PRF of TLS 1.2 (RFC 5246 section 5).
fn export(master_secret: &[u8], client_random: &[u8], server_random: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, master_secret);
    let seed = [b"EXTRACTOR-dtls_srtp", client_random, server_random].concat();
    let mut a = hmac::sign(&key, &seed);
    let mut out = Vec::new();
    while out.len() < Profile::AeadAes128Gcm.keying_material_len() {
        out.extend(hmac::sign(&key, &[a.as_ref(), &seed].concat()).as_ref());
        a = hmac::sign(&key, a.as_ref());
    }
    out.truncate(Profile::AeadAes128Gcm.keying_material_len());
    out
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
