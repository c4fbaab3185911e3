//! What `webrtc-srtp` makes opens here, and the other way round.

mod common;

use common::{key_and_salt, master, rtcp, rtp, with_tailroom};
use peerloom_srtp::{Profile, Receiver, Sender};
use webrtc_srtp::context::Context;
use webrtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use webrtc_srtp::protection_profile::ProtectionProfile;

fn theirs(profile: Profile) -> Context {
    let (key, salt) = key_and_salt(profile);
    let profile = match profile {
        Profile::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Profile::Aes128CmSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let (rtp, rtcp) = (srtp_replay_protection(64), srtcp_replay_protection(64));
    Context::new(&key, &salt, profile, Some(rtp), Some(rtcp)).expect("lengths of the profile")
}

/// Sequence numbers of two streams in turns, one across two rollovers.
fn packets() -> impl Iterator<Item = Vec<u8>> {
    let long = (65_000..197_000u32).step_by(97).map(|at| at as u16);
    long.enumerate().flat_map(|(at, sequence)| {
        let payload: Vec<u8> = (0..at % 50).map(|byte| (byte * at) as u8).collect();
        [
            rtp(0xfeed, sequence, &payload),
            rtp(0xbeef, at as u16, b"other"),
        ]
    })
}

/// Both make the same bytes of the same packets, and each opens the other's, across rollovers.
#[test]
fn rtp_both_ways_across_rollovers() {
    for profile in Profile::ALL {
        let (mut our_sender, mut our_receiver) = pair(profile);
        let (mut their_sender, mut their_receiver) = (theirs(profile), theirs(profile));
        for packet in packets() {
            let mut ours = with_tailroom(&packet);
            let ours = our_sender.seal_rtp(&mut ours).unwrap();
            let mut theirs = their_sender.encrypt_rtp(&packet).unwrap().to_vec();
            assert_eq!(ours, theirs);
            assert_eq!(their_receiver.decrypt_rtp(ours).unwrap(), packet);
            assert_eq!(our_receiver.open_rtp(&mut theirs).unwrap(), packet);
        }
        assert_eq!(our_receiver.rollover(0xfeed), Some(3));
        assert_eq!(our_receiver.stats().recovered, 0);
    }
}

/// The same for RTCP; their first index is 1, ours 0.
#[test]
fn rtcp_both_ways() {
    for profile in Profile::ALL {
        let (mut our_sender, mut our_receiver) = pair(profile);
        let (mut their_sender, mut their_receiver) = (theirs(profile), theirs(profile));
        for seed in 0..=255 {
            let packet = rtcp(0xfeed, seed);
            let mut ours = with_tailroom(&packet);
            let ours = our_sender.seal_rtcp(&mut ours).unwrap();
            assert_eq!(their_receiver.decrypt_rtcp(ours).unwrap(), packet);
            let mut theirs = their_sender.encrypt_rtcp(&packet).unwrap().to_vec();
            assert_eq!(our_receiver.open_rtcp(&mut theirs).unwrap(), packet);
        }
    }
}

fn pair(profile: Profile) -> (Sender, Receiver) {
    let keys = master(profile);
    (
        Sender::new(&keys, Default::default()),
        Receiver::new(&keys, Default::default()),
    )
}
