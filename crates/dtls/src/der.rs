//! As much of X.509 as is needed: the validity and the public key of a certificate (RFC 5280).

use crate::certificate::KeyKind;

/// What is read from a certificate.
#[derive(Debug)]
pub(crate) struct CertificateView<'a> {
    /// Seconds since 1970.
    pub(crate) not_after: u64,
    pub(crate) key: KeyKind,
    /// The contents of the subjectPublicKey bit string.
    pub(crate) public_key: &'a [u8],
}

/// Reads a certificate; `None` if it does not have the shape of one.
pub(crate) fn certificate(der: &[u8]) -> Option<CertificateView<'_>> {
    let outer = Reader(der).expect(SEQUENCE)?;
    let mut tbs = Reader(Reader(outer).expect(SEQUENCE)?);
    if tbs.peek() == Some(VERSION) {
        tbs.expect(VERSION)?;
    }
    tbs.expect(INTEGER)?;
    tbs.expect(SEQUENCE)?; // signature algorithm
    tbs.expect(SEQUENCE)?; // issuer
    let mut validity = Reader(tbs.expect(SEQUENCE)?);
    validity.next()?;
    let (tag, not_after) = validity.next()?;
    tbs.expect(SEQUENCE)?; // subject
    let mut info = Reader(tbs.expect(SEQUENCE)?);
    let mut algorithm = Reader(info.expect(SEQUENCE)?);
    let oid = algorithm.expect(OID)?;
    let parameters = algorithm.next().map(|(_, value)| value);
    // The first byte counts unused bits; keys have none.
    let public_key = info.expect(BIT_STRING)?.strip_prefix(&[0])?;
    let key = match (oid, parameters) {
        (EC_PUBLIC_KEY, Some(P256)) => KeyKind::P256,
        (EC_PUBLIC_KEY, Some(P384)) => KeyKind::P384,
        (EC_PUBLIC_KEY, Some(P521)) => KeyKind::P521,
        (ED25519, _) => KeyKind::Ed25519,
        (RSA, _) => KeyKind::Rsa,
        _ => KeyKind::Other,
    };
    Some(CertificateView {
        not_after: time(tag, not_after)?,
        key,
        public_key,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Long forms up to three bytes: 16 MB, more than any datagram sequence carries.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (
                    bytes
                        .iter()
                        .fold(0, |len, byte| len << 8 | usize::from(*byte)),
                    rest,
                )
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, value)| value)
    }
}

/// UTCTime (`YYMMDDHHMMSSZ`) or GeneralizedTime (`YYYYMMDDHHMMSSZ`), as seconds since 1970.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let part = digits.get(range)?;
        Some(
            part.iter()
                .fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0')),
        )
    };
    let (year, at) = match (tag, digits.len()) {
        // RFC 5280 section 4.1.2.5.1: the years 1950 to 2049.
        (UTC_TIME, 12) => (
            number(0..2).map(|y| if y < 50 { 2000 + y } else { 1900 + y })?,
            2,
        ),
        (GENERALIZED_TIME, 14) => (number(0..4)?, 4),
        _ => return None,
    };
    let [month, day, hour, minute, second] =
        [0, 2, 4, 6, 8].map(|offset| number(at + offset..at + offset + 2));
    let (month, day) = (month?, day?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 0000-03-01 in the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    Some(((days - DAYS_TO_1970) * 24 + hour?) * 3600 + minute? * 60 + second?)
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

#[cfg(test)]
mod tests {
    use super::*;

    /// Dates around leap years and centuries, against `date -u +%s`.
    #[test]
    fn times() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "000229123456Z", Some(951_827_696)),
            (GENERALIZED_TIME, "20240229000000Z", Some(1_709_164_800)),
            (GENERALIZED_TIME, "21000301000000Z", Some(4_107_542_400)),
            (GENERALIZED_TIME, "40960101000000Z", Some(67_090_118_400)),
            (UTC_TIME, "500101000000Z", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "70010100000Z", None),
            (GENERALIZED_TIME, "2024022900000xZ", None),
        ] {
            assert_eq!(time(tag, text.as_bytes()), expected, "{text}");
        }
    }

    /// A certificate cut at any byte is refused, without a panic.
    #[test]
    fn truncation_table() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let view = certificate(&der).unwrap();
        assert_eq!(view.key, KeyKind::P256);
        assert_eq!(view.public_key, rcgen::PublicKeyData::der_bytes(&key));
        for cut in 0..der.len() {
            assert!(certificate(&der[..cut]).is_none(), "cut at {cut}");
        }
    }
}
