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
