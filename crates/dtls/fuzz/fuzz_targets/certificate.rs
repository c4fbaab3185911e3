//! The texts that come from outside: fingerprints and `a=setup` of a description, PEM of a file, and
//! a peer's certificate in DER, wrapped in PEM.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_dtls::{Certificate, Fingerprint, Setup};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(fingerprint) = text.parse::<Fingerprint>() {
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
        let _ = text.parse::<Setup>();
        let _ = Certificate::from_pem(text);
    }
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n");
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
    for group in data.chunks(3) {
        let bits = group
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for index in 0..4 {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let sextet = bits >> (18 - 6 * index) & 0x3f;
            pem.push(if index > group.len() {
                '='
            } else {
                alphabet[sextet as usize].into()
            });
        }
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    assert!(
        Certificate::from_pem(&pem).is_err(),
        "that key belongs to nothing"
    );
});
