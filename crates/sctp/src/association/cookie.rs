//! The State Cookie (RFC 9260 §5.1.3): everything an association needs, signed, so that nothing is
//! kept before its return.

use std::time::{Duration, Instant};

use ring::hmac;

use crate::serial::Tsn;

use super::state::Peer;

/// What a cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    /// Since the association object was created.
    pub(super) made_at: Duration,
    pub(super) local_tag: u32,
    pub(super) local_tsn: Tsn,
    pub(super) peer: Peer,
    /// The tags of the association that existed when it was made (§5.2.2), or zeros.
    pub(super) local_tie_tag: u32,
    pub(super) peer_tie_tag: u32,
}

/// Makes and checks cookies.
#[derive(Debug)]
pub(super) struct CookieJar {
    key: hmac::Key,
    epoch: Instant,
    life: Duration,
}

/// Why a cookie is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CookieError {
    /// Not ours.
    Forged,
    /// Ours, but past its life by so much.
    Stale(Cookie, Duration),
}

impl CookieJar {
    pub(super) fn new(key: &[u8; 32], epoch: Instant, life: Duration) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            epoch,
            life,
        }
    }

    /// The time to put into a cookie.
    pub(super) fn time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }

    pub(super) fn seal(&self, cookie: &Cookie) -> Vec<u8> {
        let peer = &cookie.peer;
        let mut bytes = Vec::with_capacity(LEN);
        let nanos = u64::try_from(cookie.made_at.as_nanos()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&nanos.to_be_bytes());
        for field in [
            cookie.local_tag,
            cookie.local_tsn.0,
            cookie.local_tie_tag,
            cookie.peer_tie_tag,
            peer.tag,
            peer.initial_tsn.0,
            peer.a_rwnd,
        ] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        bytes.extend_from_slice(&peer.outbound_streams.to_be_bytes());
        bytes.extend_from_slice(&peer.inbound_streams.to_be_bytes());
        bytes.push(u8::from(peer.forward_tsn));
        bytes.push(u8::from(peer.reconfig));
        bytes.push(u8::from(peer.pad));
        bytes.push(u8::from(peer.interleaving));
        bytes.push(u8::from(peer.zero_checksum));
        let tag = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        bytes
    }

    /// Checks the signature before anything else is looked at, then the age.
    pub(super) fn open(&self, now: Instant, bytes: &[u8]) -> Result<Cookie, CookieError> {
        let (body, tag) = bytes.split_at_checked(BODY).ok_or(CookieError::Forged)?;
        hmac::verify(&self.key, body, tag).map_err(|_| CookieError::Forged)?;
        let cookie = read(body).ok_or(CookieError::Forged)?;
        let by = self
            .time(now)
            .saturating_sub(cookie.made_at)
            .saturating_sub(self.life);
        if by.is_zero() {
            Ok(cookie)
        } else {
            Err(CookieError::Stale(cookie, by))
        }
    }
}

fn read(mut body: &[u8]) -> Option<Cookie> {
    fn take<const N: usize>(body: &mut &[u8]) -> Option<[u8; N]> {
        let (head, rest) = body.split_first_chunk::<N>()?;
        *body = rest;
        Some(*head)
    }
    let body = &mut body;
    let made_at = Duration::from_nanos(u64::from_be_bytes(take(body)?));
    let mut word = || take(body).map(u32::from_be_bytes);
    let (local_tag, local_tsn) = (word()?, Tsn(word()?));
    let (local_tie_tag, peer_tie_tag) = (word()?, word()?);
    let (tag, initial_tsn, a_rwnd) = (word()?, Tsn(word()?), word()?);
    let outbound_streams = u16::from_be_bytes(take(body)?);
    let inbound_streams = u16::from_be_bytes(take(body)?);
    let [forward_tsn, reconfig, pad, interleaving, zero_checksum] =
        take(body)?.map(|flag: u8| flag != 0);
    let peer = Peer {
        tag,
        initial_tsn,
        a_rwnd,
        outbound_streams,
        inbound_streams,
        forward_tsn,
        reconfig,
        pad,
        interleaving,
        zero_checksum,
    };
    Some(Cookie {
        made_at,
        local_tag,
        local_tsn,
        peer,
        local_tie_tag,
        peer_tie_tag,
    })
}

const BODY: usize = 8 + 7 * 4 + 2 * 2 + 5;
const LEN: usize = BODY + 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn jar() -> (CookieJar, Instant) {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary origin of virtual time"
        )]
        let epoch = Instant::now();
        (
            CookieJar::new(&[7; 32], epoch, Duration::from_secs(60)),
            epoch,
        )
    }

    fn cookie() -> Cookie {
        Cookie {
            made_at: Duration::from_millis(1500),
            local_tag: 1,
            local_tsn: Tsn(2),
            peer: Peer {
                tag: 3,
                initial_tsn: Tsn(4),
                a_rwnd: 5,
                outbound_streams: 6,
                inbound_streams: 7,
                forward_tsn: true,
                reconfig: false,
                pad: true,
                interleaving: true,
                zero_checksum: true,
            },
            local_tie_tag: 8,
            peer_tie_tag: 9,
        }
    }

    /// What comes back is what was put in, until it expires.
    #[test]
    fn round_trip_and_expiry() {
        let (jar, epoch) = jar();
        let bytes = jar.seal(&cookie());
        assert_eq!(bytes.len(), LEN);
        let at = |millis| epoch + Duration::from_millis(millis);
        assert_eq!(jar.open(at(61_500), &bytes), Ok(cookie()));
        let late = Err(CookieError::Stale(cookie(), Duration::from_millis(1)));
        assert_eq!(jar.open(at(61_501), &bytes), late);
    }

    /// GHSA-p7x2-g5cq-fhmq: a cookie that was not signed by us, or cut, or changed in one bit.
    #[test]
    fn forged_cookies_are_told_apart() {
        let (jar, epoch) = jar();
        let bytes = jar.seal(&cookie());
        for len in 0..bytes.len() {
            assert_eq!(
                jar.open(epoch, &bytes[..len]),
                Err(CookieError::Forged),
                "{len}"
            );
        }
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            assert_eq!(jar.open(epoch, &bytes), Err(CookieError::Forged), "{index}");
        }
        let other = CookieJar::new(&[8; 32], epoch, Duration::from_secs(60));
        assert_eq!(other.open(epoch, &bytes), Err(CookieError::Forged));
    }
}
