//! The peer's Finished, checked by us in both roles: the engine's server does not look at it
//! (RFC 5246 section 7.4.9).

use crate::error::HandshakeError;
use crate::key_schedule::KeySchedule;
use crate::normalise::message::{HEADER_LEN, MessageType};
use crate::opener::Opener;
use crate::record::ContentType;
use crate::role::Role;
use crate::transcript::Transcript;

/// The length of a sealed Finished behind its record header: explicit nonce, message, tag.
pub(crate) const SEALED_LEN: usize = 8 + PLAIN_LEN + 16;

/// Finds the peer's Finished among the records that could be it (forged ones do not open), compares
/// it with the handshake as we saw it, and leaves its number in the opener's replay window.
///
/// `ours` is our own sealed Finished; it belongs to what the server's Finished covers.
pub(crate) fn verify(
    schedule: &KeySchedule,
    role: Role,
    opener: &mut Opener,
    candidates: &mut [Vec<u8>],
    ours: Option<&[u8]>,
    transcript: &Transcript,
) -> Result<(), HandshakeError> {
    let mut ours = match role {
        Role::Client => ours.map(<[u8]>::to_vec),
        Role::Server => None,
    };
    let ours = match &mut ours {
        Some(record) => {
            // What the peer's opener would see.
            let mut mirror = schedule.opener(role.peer());
            let (_, _, message) = mirror
                .authenticate(record)
                .map_err(|_| HandshakeError::FinishedMismatch)?;
            &*message
        }
        None => &[],
    };
    let expected = schedule.verify_data(role.peer(), transcript.hash(ours).as_ref());
    let found = candidates
        .iter_mut()
        .find_map(|record| opener.authenticate(record).ok());
    match found {
        Some((kind, _, message))
            if kind == ContentType::Handshake as u8
                && message.len() == PLAIN_LEN
                && message[0] == MessageType::FINISHED
                && equal_in_constant_time(&message[HEADER_LEN..], &expected) =>
        {
            Ok(())
        }
        _ => Err(HandshakeError::FinishedMismatch),
    }
}

/// Both have the same length.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}

/// Message header and `verify_data`.
const PLAIN_LEN: usize = HEADER_LEN + 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalise::message::whole_header;
    use crate::record::{HEADROOM, TAILROOM, split};

    /// Both Finished of a recorded handshake between two Firefoxes verify over the messages as
    /// recorded, and not over any other.
    #[test]
    fn finished_of_a_browser() {
        let (keys, transcript, [client, server]) = recorded();
        for (role, theirs, ours) in [
            (Role::Server, &client, &server),
            (Role::Client, &server, &client),
        ] {
            let check = |transcript: &Transcript, mut candidates: Vec<Vec<u8>>| {
                let mut opener = keys.opener(role);
                verify(
                    &keys,
                    role,
                    &mut opener,
                    &mut candidates,
                    Some(ours),
                    transcript,
                )
            };
            assert_eq!(check(&transcript, vec![theirs.clone()]), Ok(()));
            let mut forged = theirs.clone();
            forged[40] ^= 1;
            assert_eq!(
                check(&transcript, vec![forged.clone(), theirs.clone()]),
                Ok(())
            );
            let refused = Err(HandshakeError::FinishedMismatch);
            assert_eq!(check(&transcript, vec![forged]), refused);
            assert_eq!(check(&transcript, vec![]), refused);
            assert_eq!(check(&transcript, vec![ours.clone()]), refused);
            assert_eq!(check(&Transcript::default(), vec![theirs.clone()]), refused);
            let mut longer = recorded().1;
            longer.push(&[0]);
            assert_eq!(check(&longer, vec![theirs.clone()]), refused);
        }
    }

    /// Fact: the engine's server takes any authentic Finished. A client with the right keys that
    /// saw another handshake (or sends something else) is refused.
    #[test]
    fn content_is_checked_and_not_only_the_tag() {
        let keys = KeySchedule::new(&[3; 48], [1; 32], [2; 32]);
        let mut transcript = Transcript::default();
        transcript.push(b"messages");
        let right = keys.verify_data(Role::Client, transcript.hash(&[]).as_ref());
        let mut wrong = right;
        wrong[11] ^= 0x80;
        let check = |kind, message: &[u8]| {
            let mut record = vec![0; HEADROOM];
            record.extend_from_slice(message);
            record.extend([0; TAILROOM]);
            keys.sealer(Role::Client, 0)
                .seal(kind, &mut record)
                .unwrap();
            let mut opener = keys.opener(Role::Server);
            verify(
                &keys,
                Role::Server,
                &mut opener,
                &mut [record],
                None,
                &transcript,
            )
        };
        let message = |kind, data: &[u8]| [&whole_header(kind, 5, data.len())[..], data].concat();
        let finished = message(MessageType::FINISHED, &right);
        assert_eq!(check(ContentType::Handshake, &finished), Ok(()));
        let refused = Err(HandshakeError::FinishedMismatch);
        assert_eq!(
            check(
                ContentType::Handshake,
                &message(MessageType::FINISHED, &wrong)
            ),
            refused
        );
        assert_eq!(check(ContentType::Handshake, &message(0, &right)), refused);
        assert_eq!(check(ContentType::ApplicationData, &finished), refused);
        assert_eq!(check(ContentType::Handshake, &finished[..23]), refused);
        assert_eq!(
            check(ContentType::Handshake, &message(MessageType::FINISHED, b"")),
            refused
        );
        let other = keys.verify_data(Role::Server, transcript.hash(&[]).as_ref());
        assert_eq!(
            check(
                ContentType::Handshake,
                &message(MessageType::FINISHED, &other)
            ),
            refused
        );
    }

    /// Keys, clear-text messages and the sealed Finished of client and server.
    fn recorded() -> (KeySchedule, Transcript, [Vec<u8>; 2]) {
        let pcap = include_bytes!("../tests/data/firefox-153-data-dtls12-keyed.pcap");
        let key_log = include_str!("../tests/data/firefox-153-data-dtls12-keyed.keylog");
        let line = key_log
            .lines()
            .find(|line| line.starts_with("CLIENT_RANDOM"))
            .unwrap();
        let hex = |text: &str| -> Vec<u8> {
            let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
            text.as_bytes()
                .chunks(2)
                .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
                .collect()
        };
        let mut words = line.split(' ').skip(1).map(hex);
        let client_random = words.next().unwrap().try_into().unwrap();
        let master_secret = words.next().unwrap();

        let (mut transcript, mut finished, mut server_random) =
            (Transcript::default(), vec![], None);
        let mut at = 24;
        while at < pcap.len() {
            let len = u32::from_le_bytes(pcap[at + 8..at + 12].try_into().unwrap()) as usize;
            // Ethernet, IPv4 without options, UDP.
            let datagram = &pcap[at + 16 + 14 + 20 + 8..at + 16 + len];
            at += 16 + len;
            if datagram[0] < 20 {
                continue;
            }
            for record in split(datagram)
                .flatten()
                .filter(|record| record.header.content_type == 22)
            {
                if record.header.epoch == 1 {
                    finished.push(record.raw.to_vec());
                    continue;
                }
                transcript.push(record.body);
                if record.body[0] == MessageType::SERVER_HELLO {
                    server_random = record.body[HEADER_LEN + 2..][..32].try_into().ok();
                }
            }
        }
        let keys = KeySchedule::new(&master_secret, client_random, server_random.unwrap());
        (keys, transcript, finished.try_into().unwrap())
    }
}
