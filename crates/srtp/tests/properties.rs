//! Round trips of arbitrary packets in arbitrary order.

mod common;

use common::{master, with_tailroom};
use peerloom_srtp::{Cryptex, Profile, Receiver, ReceiverConfig, Sender, SenderConfig};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Packet {
    header: Vec<u8>,
    payload: Vec<u8>,
}

fn packet() -> impl Strategy<Value = Packet> {
    let extension = prop_oneof![
        Just(None),
        (prop_oneof![Just(0xbedeu16), Just(0x1000)], 0usize..6).prop_map(Some)
    ];
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    (0usize..16, extension, payload, any::<[u8; 7]>()).prop_map(
        |(csrcs, extension, payload, noise)| {
            let mut header = vec![0x80 | csrcs as u8, noise[0], 0, 0];
            header.extend(&noise[1..5]);
            header.extend([0, 0, noise[5] & 1, noise[6] & 1]);
            header.extend((0..csrcs * 4).map(|byte| byte as u8));
            if let Some((profile, words)) = extension {
                header[0] |= 0x10;
                header.extend(profile.to_be_bytes());
                header.extend((words as u16).to_be_bytes());
                header.extend((0..words * 4).map(|byte| byte as u8 ^ 0x5a));
            }
            Packet { header, payload }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sealed opens to the same bytes, in any order within the window, exactly once.
    #[test]
    fn rtp_round_trips(
        packets in proptest::collection::vec(packet(), 1..40),
        start in any::<u16>(),
        swaps in proptest::collection::vec(any::<prop::sample::Index>(), 40),
        cryptex in any::<bool>(),
        profile in proptest::sample::select(&Profile::ALL[..]),
    ) {
        let keys = master(profile);
        let mut sender = Sender::new(&keys, SenderConfig { cryptex, ..Default::default() });
        let mut receiver = Receiver::new(&keys, ReceiverConfig { cryptex: Cryptex::Allowed, ..Default::default() });
        let mut sealed = Vec::new();
        for (at, mut packet) in packets.into_iter().enumerate() {
            let sequence = start.wrapping_add(at as u16);
            packet.header[2..4].copy_from_slice(&sequence.to_be_bytes());
            let whole = [&packet.header[..], &packet.payload].concat();
            let mut buffer = with_tailroom(&whole);
            let protected = sender.seal_rtp(&mut buffer).unwrap().to_vec();

            // CSRCs alone come out with the empty extension that Cryptex gave them.
            let mut expected = whole;
            if cryptex && expected[0] & 0x1f != 0 && expected[0] & 0x10 == 0 {
                expected[0] |= 0x10;
                let end = packet.header.len();
                expected.splice(end..end, [0xbe, 0xde, 0, 0]);
            }
            sealed.push((expected, protected));
        }
        // The first packet fixes the rollover counter, as it does on a network that is not adverse.
        for (at, with) in (1..sealed.len()).zip(swaps) {
            let with = 1 + with.index(sealed.len() - 1);
            sealed.swap(at, with);
        }
        for (plain, protected) in &sealed {
            let mut copy = protected.clone();
            prop_assert_eq!(receiver.open_rtp(&mut copy).unwrap(), &plain[..]);
            prop_assert!(receiver.open_rtp(&mut protected.clone()).is_err());
        }
    }

    /// The same for RTCP, whose index needs no guessing.
    #[test]
    fn rtcp_round_trips(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20),
        ssrc in any::<u32>(),
        profile in proptest::sample::select(&Profile::ALL[..]),
    ) {
        let keys = master(profile);
        let mut sender = Sender::new(&keys, Default::default());
        let mut receiver = Receiver::new(&keys, Default::default());
        let mut sealed = Vec::new();
        for body in bodies {
            let plain = [&[0x81, 205, 0, 0][..], &ssrc.to_be_bytes(), &body].concat();
            let mut buffer = with_tailroom(&plain);
            let protected = sender.seal_rtcp(&mut buffer).unwrap().to_vec();
            sealed.push((plain, protected));
        }
        for (plain, protected) in sealed.iter().rev() {
            let mut copy = protected.clone();
            prop_assert_eq!(receiver.open_rtcp(&mut copy).unwrap(), &plain[..]);
            prop_assert!(receiver.open_rtcp(&mut protected.clone()).is_err());
        }
    }

    /// No bytes make a receiver panic or keep anything.
    #[test]
    fn anything_may_come(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        version in any::<bool>(),
        profile in proptest::sample::select(&Profile::ALL[..]),
    ) {
        if version && let Some(first) = bytes.first_mut() {
            *first = 0x80 | *first & 0x1f;
        }
        let config = ReceiverConfig {
            cryptex: Cryptex::Allowed,
            unencrypted_rtcp: true,
            ..Default::default()
        };
        let mut receiver = Receiver::new(&master(profile), config);
        prop_assert!(receiver.open_rtp(&mut bytes.clone()).is_err());
        prop_assert!(receiver.open_rtcp(&mut bytes).is_err());
        prop_assert_eq!(receiver.streams(), (0, 0));
        prop_assert_eq!(receiver.stats().drops.total(), 2);
    }
}
