//! From the master secret to every key (RFC 5246 sections 5 and 6.3, RFC 5705).

use std::fmt;

use ring::hmac;

use crate::opener::Opener;
use crate::role::Role;
use crate::sealer::Sealer;
use crate::srtp::{SrtpKeying, SrtpProfile};

/// What a finished DTLS 1.2 handshake leaves: the master secret and both randoms. The cipher suites
/// are those with AES-128-GCM and SHA-256.
#[derive(Clone)]
pub struct KeySchedule {
    client_random: [u8; 32],
    server_random: [u8; 32],
    master: hmac::Key,
}

impl KeySchedule {
    /// From the values of a handshake or of a key log.
    pub fn new(master_secret: &[u8], client_random: [u8; 32], server_random: [u8; 32]) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, master_secret);
        Self {
            client_random,
            server_random,
            master,
        }
    }

    /// Seals what `role` sends, with record numbers from `first_sequence` on. Two sealers of one
    /// role and overlapping numbers would reuse nonces.
    pub fn sealer(&self, role: Role, first_sequence: u64) -> Sealer {
        let (key, iv) = self.write_key(role);
        Sealer::new(&key, iv, first_sequence)
    }

    /// Opens what `role` receives.
    pub fn opener(&self, role: Role) -> Opener {
        let (key, iv) = self.write_key(role.peer());
        Opener::new(&key, iv, role)
    }

    /// Exported keying material without a context (RFC 5705 section 4).
    pub fn export(&self, label: &str, out: &mut [u8]) {
        self.prf(label, &[&self.client_random, &self.server_random], out);
    }

    /// The SRTP keys (RFC 5764 section 4.2) as seen by `role`.
    pub fn srtp(&self, profile: SrtpProfile, role: Role) -> SrtpKeying {
        let mut material = vec![0; profile.keying_len()];
        self.export("EXTRACTOR-dtls_srtp", &mut material);
        SrtpKeying {
            profile,
            material,
            role,
        }
    }

    /// `verify_data` of the Finished that `sender` sends (RFC 5246 section 7.4.9).
    pub(crate) fn verify_data(&self, sender: Role, transcript_hash: &[u8]) -> [u8; 12] {
        let label = match sender {
            Role::Client => "client finished",
            Role::Server => "server finished",
        };
        let mut out = [0; 12];
        self.prf(label, &[transcript_hash], &mut out);
        out
    }

    pub(crate) fn client_random(&self) -> &[u8; 32] {
        &self.client_random
    }

    /// The key block of an AEAD suite has no MAC keys: both keys, then both implicit nonces
    /// (RFC 5288 section 3).
    fn write_key(&self, sender: Role) -> ([u8; KEY_LEN], [u8; IV_LEN]) {
        let mut block = [0; 2 * (KEY_LEN + IV_LEN)];
        self.prf(
            "key expansion",
            &[&self.server_random, &self.client_random],
            &mut block,
        );
        let second = usize::from(sender == Role::Server);
        let (mut key, mut iv) = ([0; KEY_LEN], [0; IV_LEN]);
        key.copy_from_slice(&block[second * KEY_LEN..][..KEY_LEN]);
        iv.copy_from_slice(&block[2 * KEY_LEN + second * IV_LEN..][..IV_LEN]);
        (key, iv)
    }

    /// PRF with P_SHA256 (RFC 5246 section 5).
    fn prf(&self, label: &str, seed: &[&[u8]], out: &mut [u8]) {
        let sign = |a: Option<&hmac::Tag>, with_seed: bool| {
            let mut context = hmac::Context::with_key(&self.master);
            if let Some(a) = a {
                context.update(a.as_ref());
            }
            if with_seed {
                context.update(label.as_bytes());
                seed.iter().for_each(|part| context.update(part));
            }
            context.sign()
        };
        let mut a = sign(None, true);
        for chunk in out.chunks_mut(32) {
            chunk.copy_from_slice(&sign(Some(&a), true).as_ref()[..chunk.len()]);
            a = sign(Some(&a), false);
        }
    }
}

impl fmt::Debug for KeySchedule {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySchedule").finish_non_exhaustive()
    }
}

const KEY_LEN: usize = 16;
const IV_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// The P_SHA256 test vector of the IETF TLS list (the one every stack uses).
    #[test]
    fn prf_vector() {
        let secret = hex("9bbe436ba940f017b17652849a71db35");
        let schedule = KeySchedule::new(&secret, [0; 32], [0; 32]);
        let mut out = [0; 100];
        schedule.prf(
            "test label",
            &[&hex("a0ba9f936cda311827a6f796ffd5198c")],
            &mut out,
        );
        let expected = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a\
                        6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab\
                        4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701\
                        87347b66";
        assert_eq!(out.to_vec(), hex(expected));
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .bytes()
            .map(|c| (c as char).to_digit(16).unwrap() as u8)
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }
}
