use super::*;
use crate::config::{Limits, SenderConfig};
use crate::profile::Profile;
use crate::sender::{Sender, TAILROOM};

fn keys(profile: Profile) -> MasterKey {
    let (key, salt) = ([3; 32], [5; 14]);
    MasterKey::new(
        profile,
        &key[..profile.key_len()],
        &salt[..profile.salt_len()],
    )
    .unwrap()
}

fn pair(profile: Profile) -> (Sender, Receiver) {
    let keys = keys(profile);
    (
        Sender::new(&keys, SenderConfig::default()),
        Receiver::new(&keys, ReceiverConfig::default()),
    )
}

fn seal(sender: &mut Sender, ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut buffer = vec![0; 40 + TAILROOM];
    buffer[0] = 0x80;
    buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
    buffer[8..12].copy_from_slice(&ssrc.to_be_bytes());
    sender.seal_rtp(&mut buffer).unwrap().to_vec()
}

fn open(receiver: &mut Receiver, packet: &[u8]) -> Result<(), OpenError> {
    receiver.open_rtp(&mut packet.to_vec()).map(|_| ())
}

/// A packet counts once, also after reordering and across a rollover; behind the window nothing does.
#[test]
fn replays_are_dropped() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        let packets: Vec<_> = (65_000..67_600u32)
            .map(|at| seal(&mut sender, 7, at as u16))
            .collect();
        for chunk in packets.chunks(8) {
            for packet in chunk.iter().rev() {
                assert_eq!(open(&mut receiver, packet), Ok(()));
                assert_eq!(open(&mut receiver, packet), Err(OpenError::Replayed));
            }
        }
        assert_eq!(
            open(&mut receiver, &packets[1_000]),
            Err(OpenError::Replayed)
        );
        assert_eq!(open(&mut receiver, &packets[0]), Err(OpenError::TooOld));
        assert_eq!(receiver.rollover(7), Some(1));
        let drops = receiver.stats().drops;
        assert_eq!((drops.replayed, drops.too_old), (2_601, 1));
        assert_eq!(drops.total(), 2_602);
    }
}

/// A stream whose beginning was lost, rollover included, still opens; so does one after a long gap.
#[test]
fn recovers_a_rollover_counter_that_is_one_off() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        seal(&mut sender, 7, 65_535);
        let first = seal(&mut sender, 7, 3);
        assert_eq!(open(&mut receiver, &first), Ok(()));
        assert_eq!(receiver.rollover(7), Some(1));

        // After a loss of 40,000, 50,000 and 60,000 packets the estimate falls behind the window, after
        // 70,000 ahead of it.
        for lost in [
            &[20_000, 40_003, 40_004][..],
            &[60_000, 9_000, 24_468],
            &[50_000, 9_000, 18_932],
            &[45_000, 5_000, 23_396],
        ] {
            let sealed: Vec<_> = lost.iter().map(|&at| seal(&mut sender, 7, at)).collect();
            assert_eq!(open(&mut receiver, &sealed[2]), Ok(()), "{lost:?}");
            assert_eq!(receiver.rollover(7), sender.rollover(7));
        }
        assert_eq!(receiver.rollover(7), Some(4));
        assert_eq!(
            receiver.stats().recovered,
            5,
            "the first, and after each gap"
        );
        assert_eq!(receiver.stats().drops.total(), 0);
    }
}

/// The counter is not sent: a receiver that joins late is told, and may be told one off.
#[test]
fn a_seeded_rollover_counter_may_be_one_off() {
    for profile in Profile::ALL {
        for (told, opens) in [(7, false), (8, true), (9, true), (10, true), (11, false)] {
            let (mut sender, mut receiver) = pair(profile);
            sender.seed_rollover(1, 9).unwrap();
            receiver.seed_rollover(1, told);
            let packet = seal(&mut sender, 1, 40_000);
            assert_eq!(open(&mut receiver, &packet).is_ok(), opens, "{told}");
            assert!(open(&mut receiver, &packet).is_err());
            if !opens {
                receiver.seed_rollover(1, 9);
                assert_eq!(open(&mut receiver, &packet), Ok(()));
            }
            assert_eq!(receiver.rollover(1), Some(9));
        }
    }
}

/// A wrong seed must neither stop a running stream nor open its packets again.
#[test]
fn seeding_a_running_stream() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        let first = seal(&mut sender, 1, 10);
        assert_eq!(open(&mut receiver, &first), Ok(()));
        receiver.seed_rollover(1, 500);
        assert_eq!(open(&mut receiver, &first), Err(OpenError::Replayed));
        assert_eq!(open(&mut receiver, &seal(&mut sender, 1, 11)), Ok(()));
        receiver.seed_rollover(1, 0);
        assert_eq!(open(&mut receiver, &first), Err(OpenError::Replayed));
    }
}

/// Anybody can send these; none may push out a stream, move a window or grow a table.
#[test]
fn forgeries_leave_no_state() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        for ssrc in 0..3 {
            open(&mut receiver, &seal(&mut sender, ssrc, 10)).unwrap();
        }
        let before = format!("{:?}", (&receiver.streams, &receiver.rtcp_streams));
        let sealed = seal(&mut sender, 0, 11);
        for ssrc in 0..5_000u32 {
            let mut forged = sealed.clone();
            forged[2..4].copy_from_slice(&(ssrc as u16).wrapping_mul(13).to_be_bytes());
            forged[8..12].copy_from_slice(&(ssrc % 1_250).to_be_bytes());
            let refused = open(&mut receiver, &forged);
            assert!(refused.is_err());
            let mut forged = sealed.clone();
            forged[1] = 200;
            forged[4..8].copy_from_slice(&ssrc.to_be_bytes());
            *forged.last_mut().unwrap() |= 1;
            assert!(receiver.open_rtcp(&mut forged).is_err());
        }
        let after = format!("{:?}", (&receiver.streams, &receiver.rtcp_streams));
        assert_eq!(before, after);
        assert_eq!(open(&mut receiver, &sealed), Ok(()));
    }
}

/// A peer with our keys can use any number of SSRCs; the table stays bounded and streams in use stay.
#[test]
fn a_flood_of_authentic_streams_stays_bounded() {
    let keys = keys(Profile::AeadAes128Gcm);
    let mut sender = Sender::new(&keys, SenderConfig::default());
    let mut receiver = Receiver::new(&keys, ReceiverConfig::default());
    let max = Limits::default().streams;
    assert_eq!(max, 1_000);
    for ssrc in 1..5_000u32 {
        open(&mut receiver, &seal(&mut sender, ssrc, 1)).unwrap();
        let mut rtcp = vec![0; 8 + TAILROOM];
        rtcp[0] = 0x80;
        rtcp[4..8].copy_from_slice(&ssrc.to_be_bytes());
        receiver
            .open_rtcp(sender.seal_rtcp(&mut rtcp).unwrap())
            .unwrap();
        if ssrc % 500 == 0 {
            open(&mut receiver, &seal(&mut sender, 0, (ssrc / 500) as u16)).unwrap();
        }
    }
    assert_eq!(receiver.streams(), (max, max));
    assert!(receiver.streams.find(0).is_some(), "in use, so it stayed");
    assert_eq!(receiver.stats().evicted, 4_000 + 3_999);
    assert_eq!(receiver.stats().drops.total(), 0);
}

/// SRTCP has its own window, over the index in the packet.
#[test]
fn rtcp_replays_are_dropped() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        let sealed: Vec<_> = (0..3_000)
            .map(|_| {
                let mut rtcp = [0; 12 + TAILROOM];
                rtcp[..8].copy_from_slice(&[0x81, 205, 0, 2, 0, 0, 0, 9]);
                sender.seal_rtcp(&mut rtcp).unwrap().to_vec()
            })
            .collect();
        for packet in sealed.iter().skip(1) {
            let mut copy = packet.clone();
            assert!(receiver.open_rtcp(&mut copy).is_ok());
            let mut copy = packet.clone();
            assert_eq!(receiver.open_rtcp(&mut copy), Err(OpenError::Replayed));
        }
        let mut copy = sealed[0].clone();
        assert_eq!(receiver.open_rtcp(&mut copy), Err(OpenError::TooOld));
    }
}
