//! RFC 9335: the vectors of its appendix A, and what is refused.

mod common;

use common::{hex, master, rtp, with_tailroom};
use peerloom_srtp::{
    Cryptex, MasterKey, OpenError, Profile, Receiver, ReceiverConfig, Sender, SenderConfig,
};

fn cryptex_sender(keys: &MasterKey) -> Sender {
    let config = SenderConfig {
        cryptex: true,
        ..SenderConfig::default()
    };
    Sender::new(keys, config)
}

fn receiver(keys: &MasterKey, cryptex: Cryptex) -> Receiver {
    let config = ReceiverConfig {
        cryptex,
        ..ReceiverConfig::default()
    };
    Receiver::new(keys, config)
}

/// Appendix A.1 (AES-CTR) and A.2 (AES-GCM): every packet, sealed and opened.
#[test]
fn rfc_9335_appendix_a() {
    let payload = "abababababababababababababababab";
    // Header of the packet, what becomes of it, and the sealed rest.
    let aes_cm = [
        (
            "900f1235decafbadcafebabebede000151000200",
            "900f1235decafbadcafebabec0de0001",
            "eb92365251c3e036f8de27e9c27ee3e0b4651d9fbc4218a70244522f34a5",
        ),
        (
            "900f1236decafbadcafebabe1000000105020002",
            "900f1236decafbadcafebabec2de0001",
            "4ed9cc4e6a712b3096c5ca77339d4204ce0d77396cab69585fbce38194a5",
        ),
        (
            "920f1238decafbadcafebabe0001e2400000b26ebede000151000200",
            "920f1238decafbadcafebabe8bb6e12b5cff16ddc0de0001",
            "92838c8c09e58393e1de3a9a74734d6745671338c3acf11da2df8423bee0",
        ),
        (
            "920f1239decafbadcafebabe0001e2400000b26e1000000105020002",
            "920f1239decafbadcafebabef70e513eb90b9b25c2de0001",
            "bbed4848faa644665f3d7f34125914e9f4d0ae923c6f479b95a0f7b53133",
        ),
        (
            "920f123adecafbadcafebabe0001e2400000b26ebede0000",
            "920f123adecafbadcafebabe7130b6abfe2ab0e3c0de0000",
            "e3d9f64b25c9e74cb4cf8e43fb92e3781c2c0ceab6b3a499a14c",
        ),
        (
            "920f123bdecafbadcafebabe0001e2400000b26e10000000",
            "920f123bdecafbadcafebabecbf24c124330e1c8c2de0000",
            "599dd45bc9d687b603e8b59d771fd38e88b170e0cd31e125eabe",
        ),
    ];
    let gcm = [
        (
            "900f1235decafbadcafebabebede000151000200",
            "900f1235decafbadcafebabec0de0001",
            "39972dc9572c4d99e8fc355de743fb2e94f9d8ff54e72f4193bbc5c74ffab0fa9fa0fbeb",
        ),
        (
            "900f1236decafbadcafebabe1000000105020002",
            "900f1236decafbadcafebabec2de0001",
            "bb75a4c545cd1f413bdb7daa2b1e3263de313667c963249081b35a65f5cb6c88b394235f",
        ),
        (
            "920f1238decafbadcafebabe0001e2400000b26ebede000151000200",
            "920f1238decafbadcafebabe63bbccc4a7f695c4c0de0001",
            "8ad7c71fac70a80c92866b4c6ba98546ef913586e95ffaaffe956885bb0647a8bc094ac8",
        ),
        (
            "920f1239decafbadcafebabe0001e2400000b26e1000000105020002",
            "920f1239decafbadcafebabe3680524f8d312b00c2de0001",
            "c78d120038422bc111a7187a18246f980c059cc6bc9df8b626394eca344e4b05d80fea83",
        ),
        (
            "920f123adecafbadcafebabe0001e2400000b26ebede0000",
            "920f123adecafbadcafebabe15b6bb4337906fffc0de0000",
            "b7b964537a2b03ab7ba5389ce93317126b5d974df30c6884dcb651c5e120c1da",
        ),
        (
            "920f123bdecafbadcafebabe0001e2400000b26e10000000",
            "920f123bdecafbadcafebabedcb38c9e48bf95f4c2de0000",
            "61ee432cf920317076613258d3ce4236c06ac429681ad08413512dc98b5207d8",
        ),
    ];
    let aes_cm_keys = MasterKey::new(
        Profile::Aes128CmSha1_80,
        &hex("e1f97a0d3e018be0d64fa32c06de4139"),
        &hex("0ec675ad498afeebb6960b3aabe6"),
    );
    let gcm_keys = MasterKey::new(
        Profile::AeadAes128Gcm,
        &hex("000102030405060708090a0b0c0d0e0f"),
        &hex("a0a1a2a3a4a5a6a7a8a9aaab"),
    );
    for (keys, vectors) in [(aes_cm_keys.unwrap(), aes_cm), (gcm_keys.unwrap(), gcm)] {
        let mut sender = cryptex_sender(&keys);
        let mut receiver = receiver(&keys, Cryptex::Required);
        for (header, sealed_header, sealed_rest) in vectors {
            let packet = hex(&format!("{header}{payload}"));
            let expected = hex(&format!("{sealed_header}{sealed_rest}"));
            let mut buffer = with_tailroom(&packet);
            let sealed = sender.seal_rtp(&mut buffer).unwrap();
            assert_eq!(sealed, expected, "{header}");
            assert_eq!(receiver.open_rtp(sealed).unwrap(), packet, "{header}");
        }
    }
}

/// CSRCs without an extension get an empty one, which says that they are encrypted (section 5.2). It
/// is as the vector's whose packet has it from the start.
#[test]
fn csrcs_alone_get_an_empty_extension() {
    let packet = "820f123adecafbadcafebabe0001e2400000b26eabababababababababababababababab";
    let opened = "920f123adecafbadcafebabe0001e2400000b26ebede0000abababababababababababababababab";
    for profile in Profile::ALL {
        let keys = master(profile);
        let mut sender = cryptex_sender(&keys);
        let mut buffer = with_tailroom(&hex(packet));
        let sealed = sender.seal_rtp(&mut buffer).unwrap();
        assert_eq!(sealed.len(), 40 + profile.rtp_tag_len());
        assert_ne!(sealed[12..20], hex(packet)[12..20], "CSRCs are hidden");
        let plain = receiver(&keys, Cryptex::Required)
            .open_rtp(sealed)
            .unwrap()
            .to_vec();
        assert_eq!(plain, hex(opened));
    }
}

/// What was not negotiated is dropped, not misread; what is required is not waived.
#[test]
fn modes() {
    for profile in Profile::ALL {
        let keys = master(profile);
        let hidden = rtp(1, 1, b"hidden");
        let mut bare = rtp(1, 2, b"nothing to hide");
        bare[0] = 0x80;
        bare.drain(12..28);
        let mut csrcs = rtp(1, 3, b"csrcs");
        csrcs[0] = 0x82;
        csrcs.drain(20..28);
        for (cryptex, packet, mode, expected) in [
            (
                true,
                &hidden,
                Cryptex::Off,
                Err(OpenError::CryptexUnexpected),
            ),
            (true, &hidden, Cryptex::Allowed, Ok(())),
            (false, &hidden, Cryptex::Allowed, Ok(())),
            (
                false,
                &hidden,
                Cryptex::Required,
                Err(OpenError::CryptexMissing),
            ),
            (
                false,
                &csrcs,
                Cryptex::Required,
                Err(OpenError::CryptexMissing),
            ),
            (false, &csrcs, Cryptex::Off, Ok(())),
            (true, &bare, Cryptex::Off, Ok(())),
            (true, &bare, Cryptex::Required, Ok(())),
        ] {
            let config = SenderConfig {
                cryptex,
                ..SenderConfig::default()
            };
            let mut buffer = with_tailroom(packet);
            let mut sender = Sender::new(&keys, config);
            let sealed = sender.seal_rtp(&mut buffer).unwrap();
            let opened = receiver(&keys, mode).open_rtp(sealed).map(|plain| {
                assert_eq!(plain, packet);
            });
            assert_eq!(opened, expected, "{cryptex} {mode:?}");
        }
    }
}
