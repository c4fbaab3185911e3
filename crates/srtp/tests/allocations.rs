//! Nothing is allocated per packet.

mod common;

use common::{master, rtcp, rtp, with_tailroom};
use peerloom_srtp::{
    Cryptex, Leg, Profile, Receiver, ReceiverConfig, Sender, SenderConfig, TAILROOM, fan_out,
};

/// 10,000 packets of two streams sealed and opened, RTCP between them, Cryptex and a fan-out: no
/// allocation after the first packets. An allocation here is one for every packet of every call.
#[test]
fn none_over_ten_thousand_packets() {
    for profile in Profile::ALL {
        let keys = master(profile);
        let config = SenderConfig {
            cryptex: true,
            ..SenderConfig::default()
        };
        let mut sender = Sender::new(&keys, config);
        let config = ReceiverConfig {
            cryptex: Cryptex::Allowed,
            ..ReceiverConfig::default()
        };
        let mut receiver = Receiver::new(&keys, config);
        let mut packet = with_tailroom(&rtp(1, 0, &[0x55; 1_000]));
        let report = rtcp(1, 7);
        let (header, payload) = (rtp(9, 0, &[]), [0x66; 400]);
        let mut legs: Vec<_> = (0..3)
            .map(|_| Sender::new(&keys, SenderConfig::default()))
            .collect();
        let stride = header.len() + payload.len() + TAILROOM;
        let mut batch = vec![0; stride * legs.len()];

        let mut round = |sequence: u16, header: &mut [u8]| {
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[11] = (sequence % 2) as u8;
            let sealed = sender.seal_rtp(&mut packet).unwrap();
            receiver.open_rtp(sealed).unwrap();
            // A forgery, and a replay.
            receiver.open_rtp(&mut packet).unwrap_err();
            if sequence.is_multiple_of(16) {
                let mut buffer = [0; 32 + TAILROOM];
                buffer[..32].copy_from_slice(&report);
                let sealed = sender.seal_rtcp(&mut buffer).unwrap();
                receiver.open_rtcp(sealed).unwrap();
            }
            header[2..4].copy_from_slice(&sequence.to_be_bytes());
            let legs = legs.iter_mut().zip(batch.chunks_mut(stride));
            let legs = legs.map(|(sender, buffer)| Leg {
                sender,
                header,
                buffer,
            });
            assert!(fan_out(&payload, legs).all(|sealed| sealed.is_ok()));
        };
        let mut header = header;
        for sequence in 0..2 {
            round(sequence, &mut header);
        }
        let counted = allocation_counter::measure(|| {
            for sequence in 2..10_002 {
                round(sequence, &mut header);
            }
        });
        assert_eq!(counted.count_total, 0, "{profile:?}");
        assert_eq!(receiver.stats().rtp, 10_002);
    }
}
