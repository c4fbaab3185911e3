//! Packets that somebody made to hurt.

mod common;

use common::{master, rtcp, rtp, with_tailroom};
use peerloom_srtp::{Cryptex, Malformed, OpenError, Profile, Receiver, ReceiverConfig, Sender};

fn receiver(profile: Profile) -> Receiver {
    let config = ReceiverConfig {
        cryptex: Cryptex::Allowed,
        unencrypted_rtcp: true,
        ..ReceiverConfig::default()
    };
    Receiver::new(&master(profile), config)
}

/// CVE-2021-41105 ended calls with forged SRTP. Every bit of tags and headers, for payloads of every
/// length up to 64 and around block boundaries: dropped, and the real packet still opens.
#[test]
fn forged_tags_at_every_length() {
    for profile in Profile::ALL {
        let mut sender = Sender::new(&master(profile), Default::default());
        let mut receiver = receiver(profile);
        for (sequence, len) in (0..64)
            .chain([127, 128, 129, 1_183, 1_184, 1_185])
            .enumerate()
        {
            let packet = rtp(1, sequence as u16, &vec![0x77; len]);
            let mut sealed = with_tailroom(&packet);
            let sealed = sender.seal_rtp(&mut sealed).unwrap().to_vec();
            let tag = sealed.len() - profile.rtp_tag_len();
            for byte in (tag..sealed.len()).chain([1, 4, 13, 25]) {
                let mut forged = sealed.clone();
                forged[byte] ^= 1 << (byte % 8);
                let refused = receiver.open_rtp(&mut forged).map(|_| ());
                assert_eq!(refused, Err(OpenError::NotAuthentic), "{len} {byte}");
            }
            assert_eq!(receiver.open_rtp(&mut sealed.clone()).unwrap(), packet);

            let mut report = rtcp(1, len as u8);
            report.extend(vec![0x33; len / 4 * 4]);
            let mut sealed = with_tailroom(&report);
            let sealed = sender.seal_rtcp(&mut sealed).unwrap().to_vec();
            for byte in report.len()..sealed.len() {
                let mut forged = sealed.clone();
                forged[byte] ^= 1 << (byte % 8);
                assert!(receiver.open_rtcp(&mut forged).is_err(), "{len} {byte}");
            }
            assert_eq!(receiver.open_rtcp(&mut sealed.clone()).unwrap(), report);
        }
        let stats = receiver.stats();
        assert_eq!(
            (stats.rtp, stats.rtcp, receiver.streams()),
            (70, 70, (1, 1))
        );
    }
}

/// Cut anywhere, grown, or with lengths that lie: an error, never a panic.
#[test]
fn truncation_at_every_length() {
    for profile in Profile::ALL {
        let mut sender = Sender::new(&master(profile), Default::default());
        let mut receiver = receiver(profile);
        let mut buffer = with_tailroom(&rtp(1, 1, &[0x77; 40]));
        let sealed = sender.seal_rtp(&mut buffer).unwrap().to_vec();
        for len in 0..sealed.len() {
            let refused = receiver.open_rtp(&mut sealed[..len].to_vec()).map(|_| ());
            let expected = if len < 28 + profile.rtp_tag_len() {
                OpenError::Malformed(Malformed::Truncated)
            } else {
                OpenError::NotAuthentic
            };
            assert_eq!(refused, Err(expected), "{len}");
        }
        let mut buffer = with_tailroom(&rtcp(1, 1));
        let report = sender.seal_rtcp(&mut buffer).unwrap().to_vec();
        for len in 0..report.len() {
            let refused = receiver.open_rtcp(&mut report[..len].to_vec()).map(|_| ());
            let expected = if len < 8 + 4 + profile.rtcp_tag_len() {
                OpenError::Malformed(Malformed::Truncated)
            } else {
                OpenError::NotAuthentic
            };
            assert_eq!(refused, Err(expected), "{len}");
        }
        for byte in 0..=255 {
            for at in [0, 22, 23] {
                let mut lie = sealed.clone();
                lie[at] = byte;
                let _ = receiver.open_rtp(&mut lie);
            }
        }
        assert_eq!(receiver.streams().1, 0);
        let mut giant = sealed.clone();
        giant.resize(70_000, 0);
        let refused = receiver.open_rtp(&mut giant).map(|_| ());
        assert_eq!(refused, Err(OpenError::Malformed(Malformed::TooLong)));
    }
}

/// A packet too long for a second try costs its own recovery, nothing else.
#[test]
fn giants_in_doubt_get_one_try() {
    for profile in Profile::ALL {
        let mut sender = Sender::new(&master(profile), Default::default());
        let mut receiver = receiver(profile);
        let giant = rtp(1, 1, &[0x44; 60_000]);
        let mut sealed = with_tailroom(&giant);
        let sealed = sender.seal_rtp(&mut sealed).unwrap();
        assert_eq!(receiver.open_rtp(sealed).unwrap(), giant);
    }
}
