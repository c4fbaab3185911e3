//! A recorded DTLS 1.2 connection between two Firefoxes with its key log: another implementation's
//! records open with our keys, and ours come out byte for byte the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{capture, parse};
use peerloom_dtls::{
    ContentType, HEADROOM, KeySchedule, Opened, Role, SrtpProfile, TAILROOM, records,
};

const PCAP: &[u8] = include_bytes!("data/firefox-153-data-dtls12-keyed.pcap");
const KEY_LOG: &str = include_str!("data/firefox-153-data-dtls12-keyed.keylog");

/// Keys from the NSS line and the ServerHello open every record of both directions.
#[test]
fn opens_and_reseals_the_records_of_a_browser() {
    let datagrams = capture(PCAP);
    let keys = keys(&datagrams);
    let client = client_port(&datagrams);
    for role in [Role::Client, Role::Server] {
        let mut opener = keys.opener(role.peer());
        let mut sealer = keys.sealer(role, 0);
        let (mut data, mut closed) = (0, 0);
        for (port, datagram) in &datagrams {
            if (*port == client) != (role == Role::Client) || !(20..64).contains(&datagram[0]) {
                continue;
            }
            for record in records(&mut datagram.clone()) {
                if record[3..5] != [0, 1] {
                    continue;
                }
                let sealed = record.to_vec();
                let kind = match opener.open(record) {
                    Opened::ApplicationData(packet) => {
                        // SCTP between ports 5000.
                        assert_eq!(packet[..4], [0x13, 0x88, 0x13, 0x88]);
                        data += 1;
                        ContentType::ApplicationData
                    }
                    Opened::CloseNotify => {
                        closed += 1;
                        ContentType::Alert
                    }
                    // The Finished, which our opener sees for the first time here.
                    Opened::RepeatLastFlight | Opened::Ignored(_) => ContentType::Handshake,
                    other => panic!("{other:?}"),
                };
                // NSS counts as we do, so sealing the plaintext again gives the same bytes.
                let mut again = sealed.clone();
                let end = again.len() - TAILROOM;
                let opened = record[HEADROOM..end].to_vec();
                again[HEADROOM..end].copy_from_slice(&opened);
                sealer.seal(kind, &mut again).unwrap();
                assert_eq!(again, sealed);
            }
        }
        assert!(data >= 15, "{data}");
        assert_eq!(closed, 1);
        assert_eq!(opener.usage().forged, 0);
    }
}

/// The SRTP keys of the same schedule have the profile's lengths and differ by direction.
#[test]
fn exports_srtp_keys() {
    let keys = keys(&capture(PCAP));
    let srtp = keys.srtp(SrtpProfile::AeadAes128Gcm, Role::Client);
    assert_eq!(srtp.material.len(), 56);
    assert_ne!(srtp.local(), srtp.remote());
    assert_eq!(
        srtp.local(),
        keys.srtp(SrtpProfile::AeadAes128Gcm, Role::Server).remote()
    );
}

fn keys(datagrams: &[(u16, Vec<u8>)]) -> KeySchedule {
    let line = KEY_LOG
        .lines()
        .find(|line| line.starts_with("CLIENT_RANDOM"))
        .unwrap();
    let mut words = line.split(' ').skip(1).map(hex);
    let (client_random, master_secret) = (words.next().unwrap(), words.next().unwrap());
    let server_hello = datagrams
        .iter()
        .flat_map(|(_, datagram)| parse(datagram))
        .find(|record| record.kind == 22 && record.epoch == 0 && record.body[0] == 2)
        .unwrap();
    let server_random = server_hello.body[12 + 2..][..32].try_into().unwrap();
    KeySchedule::new(
        &master_secret,
        client_random.try_into().unwrap(),
        server_random,
    )
}

/// Who sent the ClientHello.
fn client_port(datagrams: &[(u16, Vec<u8>)]) -> u16 {
    datagrams
        .iter()
        .find(|(_, datagram)| datagram[0] == 22)
        .unwrap()
        .0
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .bytes()
        .map(|c| char::from(c).to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
