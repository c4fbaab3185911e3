//! Bytes from the network: RTP and RTCP, every profile. None opens, and none leaves anything behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_srtp::{Cryptex, MasterKey, Profile, Receiver, ReceiverConfig};

fuzz_target!(|data: &[u8]| {
    for profile in Profile::ALL {
        let (key, salt) = ([1; 32], [2; 14]);
        let keys = MasterKey::new(
            profile,
            &key[..profile.key_len()],
            &salt[..profile.salt_len()],
        )
        .expect("lengths of the profile");
        for cryptex in [Cryptex::Off, Cryptex::Required] {
            let config = ReceiverConfig {
                cryptex,
                unencrypted_rtcp: true,
                ..ReceiverConfig::default()
            };
            let mut receiver = Receiver::new(&keys, config);
            assert!(receiver.open_rtp(&mut data.to_vec()).is_err() || profile.rtp_tag_len() == 4);
            assert!(receiver.open_rtcp(&mut data.to_vec()).is_err());
            if profile.rtp_tag_len() > 4 {
                assert_eq!(receiver.streams(), (0, 0));
                assert_eq!(receiver.stats().drops.total(), 2);
            }
        }
    }
});
