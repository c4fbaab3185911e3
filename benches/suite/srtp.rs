//! `srtp_encrypt`, `srtp_decrypt`, `srtp_fan_out`: one RTP packet in each iteration, which is so many
//! bytes long before protection. Beside them `webrtc-srtp`, and `ring` with nothing but the cipher.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use peerloom_srtp::{
    Leg, MasterKey, Profile, Receiver, ReceiverConfig, Sender, SenderConfig, TAILROOM, fan_out,
};
use ring::aead;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

pub(crate) fn benches(criterion: &mut Criterion) {
    encrypt(criterion);
    decrypt(criterion);
    fan(criterion);
}

fn encrypt(criterion: &mut Criterion) {
    let mut group = crate::short(criterion, "srtp_encrypt");
    for (size, profile) in cases() {
        group.throughput(Throughput::Bytes(size as u64));
        let name = |who: &str| BenchmarkId::new(format!("{profile:?}/{size}"), who);
        group.bench_function(name("peerloom"), |b| {
            let mut sender = sender(profile);
            let (mut buffer, mut sequence) = (packet(size), 0);
            // What is sealed does not matter: the last packet will do as plaintext of the next.
            b.iter(|| {
                number(&mut buffer, &mut sequence);
                sender
                    .seal_rtp(black_box(&mut buffer))
                    .map(|sealed| sealed.len())
            });
        });
        group.bench_function(name("webrtc-srtp"), |b| {
            let mut context = context(profile);
            let (mut buffer, mut sequence) = (packet(size), 0);
            b.iter(|| {
                number(&mut buffer, &mut sequence);
                context.encrypt_rtp(black_box(&buffer[..size]))
            });
        });
        if let Some(key) = raw(profile) {
            group.bench_function(name("ring"), |b| {
                let mut buffer = packet(size);
                b.iter(|| raw_seal(&key, black_box(&mut buffer), size));
            });
        }
    }
    group.finish();
}

fn decrypt(criterion: &mut Criterion) {
    let mut group = crate::short(criterion, "srtp_decrypt");
    for (size, profile) in cases() {
        group.throughput(Throughput::Bytes(size as u64));
        let name = |who: &str| BenchmarkId::new(format!("{profile:?}/{size}"), who);
        group.bench_function(name("peerloom"), |b| {
            let (mut sealed, mut receiver) = (Sealed::new(profile, size), receiver(profile));
            b.iter_custom(|packets| {
                crate::bursts(
                    packets,
                    || sealed.burst(),
                    |packet| {
                        let opened = receiver.open_rtp(black_box(packet));
                        assert!(opened.is_ok(), "every packet has to open");
                    },
                )
            });
        });
        group.bench_function(name("webrtc-srtp"), |b| {
            let (mut sealed, mut context) = (Sealed::new(profile, size), context(profile));
            b.iter_custom(|packets| {
                crate::bursts(
                    packets,
                    || sealed.burst(),
                    |packet| {
                        let opened = context.decrypt_rtp(black_box(packet));
                        assert!(opened.is_ok(), "every packet has to open");
                    },
                )
            });
        });
        if let Some(key) = raw(profile) {
            group.bench_function(name("ring"), |b| {
                let burst = || {
                    let mut buffer = packet(size);
                    raw_seal(&key, &mut buffer, size);
                    vec![buffer; BURST]
                };
                b.iter_custom(|packets| {
                    crate::bursts(packets, burst, |packet| {
                        assert!(raw_open(&key, black_box(packet), size));
                    })
                });
            });
        }
    }
    group.finish();
}

/// One payload of 1,200 bytes for 200 receivers, with headers and keys of their own; the time is that
/// of one packet, its copy included.
fn fan(criterion: &mut Criterion) {
    let mut group = crate::short(criterion, "srtp_fan_out");
    for profile in Profile::ALL {
        group.bench_function(format!("{profile:?}/{RECEIVERS}"), |b| {
            let mut senders: Vec<_> = (0..RECEIVERS).map(|_| sender(profile)).collect();
            let (mut header, mut sequence) = (packet(HEADER), 0);
            header.truncate(HEADER);
            let payload = [0x55; 1_200];
            let stride = HEADER + payload.len() + TAILROOM;
            let mut batch = vec![0; stride * RECEIVERS];
            b.iter_custom(|packets| {
                let rounds = packets.div_ceil(RECEIVERS as u64);
                let began = std::time::Instant::now();
                for _ in 0..rounds {
                    number(&mut header, &mut sequence);
                    let legs = senders.iter_mut().zip(batch.chunks_mut(stride));
                    let legs = legs.map(|(sender, buffer)| Leg {
                        sender,
                        header: &header,
                        buffer,
                    });
                    let sealed = fan_out(black_box(&payload), legs).filter(Result::is_ok);
                    assert_eq!(sealed.count(), RECEIVERS);
                }
                let done = rounds * RECEIVERS as u64;
                began.elapsed().mul_f64(packets as f64 / done as f64)
            });
        });
    }
    group.finish();
}

/// Sealed packets, for whoever opens them.
struct Sealed {
    sender: Sender,
    packet: Vec<u8>,
    sequence: u16,
}

impl Sealed {
    fn new(profile: Profile, size: usize) -> Self {
        Self {
            sender: sender(profile),
            packet: packet(size),
            sequence: 0,
        }
    }

    fn burst(&mut self) -> Vec<Vec<u8>> {
        let mut next = || {
            number(&mut self.packet, &mut self.sequence);
            let mut packet = self.packet.clone();
            let sealed = self.sender.seal_rtp(&mut packet);
            let len = sealed.expect("the numbers last").len();
            packet.truncate(len);
            packet
        };
        (0..BURST).map(|_| next()).collect()
    }
}

fn cases() -> impl Iterator<Item = (usize, Profile)> {
    let profiles = |size| Profile::ALL.map(|profile| (size, profile));
    SIZES.into_iter().flat_map(profiles)
}

fn sender(profile: Profile) -> Sender {
    Sender::new(&master(profile), SenderConfig::default())
}

fn receiver(profile: Profile) -> Receiver {
    Receiver::new(&master(profile), ReceiverConfig::default())
}

fn master(profile: Profile) -> MasterKey {
    let (key, salt) = (&KEY[..profile.key_len()], &SALT[..profile.salt_len()]);
    MasterKey::new(profile, key, salt).expect("lengths of the profile")
}

fn context(profile: Profile) -> Context {
    let theirs = match profile {
        Profile::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Profile::Aes128CmSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let (key, salt) = (&KEY[..profile.key_len()], &SALT[..profile.salt_len()]);
    Context::new(key, salt, theirs, None, None).expect("lengths of the profile")
}

/// The cipher alone; there is none to compare AES-CM with.
fn raw(profile: Profile) -> Option<aead::LessSafeKey> {
    let algorithm = match profile {
        Profile::AeadAes128Gcm => &aead::AES_128_GCM,
        Profile::AeadAes256Gcm => &aead::AES_256_GCM,
        Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 => return None,
    };
    let key = aead::UnboundKey::new(algorithm, &KEY[..profile.key_len()]);
    Some(aead::LessSafeKey::new(key.expect("lengths of the profile")))
}

fn raw_seal(key: &aead::LessSafeKey, buffer: &mut [u8], size: usize) {
    let (header, payload) = buffer.split_at_mut(HEADER);
    let (payload, rest) = payload.split_at_mut(size - HEADER);
    let nonce = aead::Nonce::assume_unique_for_key([1; 12]);
    let tag = key
        .seal_in_place_separate_tag(nonce, aead::Aad::from(header), payload)
        .expect("not too long");
    rest[..tag.as_ref().len()].copy_from_slice(tag.as_ref());
}

fn raw_open(key: &aead::LessSafeKey, buffer: &mut [u8], size: usize) -> bool {
    let (header, payload) = buffer.split_at_mut(HEADER);
    let nonce = aead::Nonce::assume_unique_for_key([1; 12]);
    let sealed = &mut payload[..size - HEADER + key.algorithm().tag_len()];
    key.open_in_place(nonce, aead::Aad::from(header), sealed)
        .is_ok()
}

/// A packet of `size` bytes, and room for its protection.
fn packet(size: usize) -> Vec<u8> {
    let mut packet = vec![0x55; size + TAILROOM];
    packet[..HEADER].copy_from_slice(&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 42]);
    packet
}

fn number(packet: &mut [u8], sequence: &mut u16) {
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    *sequence = sequence.wrapping_add(1);
}

const SIZES: [usize; 2] = [1_200, 100];
const HEADER: usize = 12;
const RECEIVERS: usize = 200;
const BURST: usize = 64;
const KEY: [u8; 32] = [0x42; 32];
const SALT: [u8; 14] = [0x17; 14];
