//! Binding requests and responses (RFC 8489, RFC 8445 §7.1). The only file that knows the `stun`
//! crate, and it uses its codec alone: transaction ids are ours.
//!
//! That codec allocates a dozen times per message, so a stranger's datagram never reaches it: the
//! header, the lengths and the user name are checked here first, and the transaction by the
//! caller.

use crate::error::Ignored;
use crate::event::Role;
use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use stun::attributes::{
    ATTR_ERROR_CODE, ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING,
    ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME,
    ATTR_XORMAPPED_ADDRESS, AttrType, RawAttribute,
};
use stun::error_code::{CODE_ROLE_CONFLICT, ErrorCodeAttribute};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, MessageType, Setter,
};
use stun::xoraddr::XorMappedAddress;

/// Whether a datagram is STUN by its first bits, cookie and length (RFC 7983): for a demultiplexer.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= 20 && datagram[0] & 0xc0 == 0 && datagram[4..8] == MAGIC_COOKIE
}

/// The user name fragment that a Binding request is addressed to: tells connections on a shared
/// port apart. Nothing is authenticated; no allocation.
pub fn local_ufrag(datagram: &[u8]) -> Option<&[u8]> {
    let message = Unverified::new(datagram, usize::MAX).ok()?;
    (message.class == Class::Request)
        .then(|| message.username().ok())
        .flatten()
        .map(|(u, _)| u)
}

/// 96 random bits that tie a response to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransactionId([u8; 12]);

/// Class of a Binding message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Success,
    Error,
}

/// A datagram whose header and lengths are sound; nothing in it is authenticated yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unverified<'a> {
    pub(crate) class: Class,
    pub(crate) transaction: TransactionId,
    datagram: &'a [u8],
}

/// An authentic check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) priority: u32,
    /// The sender's role.
    pub(crate) role: Role,
    pub(crate) tie_breaker: u64,
    pub(crate) use_candidate: bool,
}

/// An authentic response, or one of a STUN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Response {
    Success { mapped: SocketAddr },
    RoleConflict,
    Error { code: u16 },
}

/// What goes into a check of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check<'a> {
    pub(crate) transaction: TransactionId,
    /// `remote:local`.
    pub(crate) username: &'a str,
    /// The remote's.
    pub(crate) pwd: &'a str,
    pub(crate) priority: u32,
    pub(crate) role: Role,
    pub(crate) tie_breaker: u64,
    pub(crate) use_candidate: bool,
}

impl TransactionId {
    pub(crate) fn random(rng: &mut StdRng) -> Self {
        Self(rng.random())
    }
}

impl<'a> Unverified<'a> {
    /// Checks header, lengths and the chain of attributes. No allocation, and at most
    /// [`MAX_ATTRIBUTES`] steps.
    pub(crate) fn new(datagram: &'a [u8], max: usize) -> Result<Self, Ignored> {
        let (header, mut attributes) = datagram.split_at_checked(20).ok_or(Ignored::NotStun)?;
        // RFC 8489 §5: two zero bits, then the cookie.
        if header[0] & 0xc0 != 0 || header[4..8] != MAGIC_COOKIE {
            return Err(Ignored::NotStun);
        }
        if datagram.len() > max {
            return Err(Ignored::TooLarge);
        }
        let class = match u16::from_be_bytes([header[0], header[1]]) {
            0x0001 => Class::Request,
            0x0101 => Class::Success,
            0x0111 => Class::Error,
            _ => return Err(Ignored::UnknownMethod),
        };
        if usize::from(u16::from_be_bytes([header[2], header[3]])) != attributes.len() {
            return Err(Ignored::Malformed);
        }
        let mut count = 0;
        while !attributes.is_empty() {
            let (_, _, rest) = split_attribute(attributes).ok_or(Ignored::Malformed)?;
            attributes = rest;
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(Ignored::Malformed);
            }
        }
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&header[8..20]);
        Ok(Self {
            class,
            transaction: TransactionId(transaction),
            datagram,
        })
    }

    /// The halves of USERNAME: the receiver's fragment, then the sender's.
    pub(crate) fn username(&self) -> Result<(&'a [u8], &'a [u8]), Ignored> {
        let mut attributes = self.datagram.get(20..).unwrap_or_default();
        while let Some((kind, value, rest)) = split_attribute(attributes) {
            if kind == ATTR_USERNAME.0 {
                let colon = value.iter().position(|b| *b == b':');
                let (ours, theirs) = value.split_at(colon.ok_or(Ignored::UnknownUsername)?);
                return Ok((ours, &theirs[1..]));
            }
            attributes = rest;
        }
        Err(Ignored::UnknownUsername)
    }

    pub(crate) fn len(&self) -> usize {
        self.datagram.len()
    }

    /// Authenticates a request with our password.
    pub(crate) fn request(&self, pwd: &str) -> Result<Request, Ignored> {
        let message = self.decode()?;
        let attributes = authenticate(message, Some(pwd))?;
        let attributes = attributes.as_slice();

        let controlling = find(attributes, ATTR_ICE_CONTROLLING);
        let (role, tie_breaker) = match (controlling, find(attributes, ATTR_ICE_CONTROLLED)) {
            (Some(value), None) => (Role::Controlling, value),
            (None, Some(value)) => (Role::Controlled, value),
            (Some(_), Some(_)) | (None, None) => return Err(Ignored::BadAttribute),
        };
        let tie_breaker = tie_breaker.try_into().map_err(|_| Ignored::BadAttribute)?;
        let priority = find(attributes, ATTR_PRIORITY).ok_or(Ignored::BadAttribute)?;
        let priority = priority.try_into().map_err(|_| Ignored::BadAttribute)?;
        Ok(Request {
            priority: u32::from_be_bytes(priority),
            role,
            tie_breaker: u64::from_be_bytes(tie_breaker),
            use_candidate: find(attributes, ATTR_USE_CANDIDATE).is_some(),
        })
    }

    /// Reads a response: to a check, authenticated with the remote's password, or, without a
    /// password, of a STUN server, which has only the transaction id to show.
    pub(crate) fn response(&self, pwd: Option<&str>) -> Result<Response, Ignored> {
        let mut message = self.decode()?;
        let attributes = authenticate(message.clone(), pwd)?;
        // Only what is authenticated is read from here on.
        message.attributes.0 = attributes;
        match self.class {
            Class::Success => {
                let mut address = XorMappedAddress::default();
                // The codec accepts an IPv6 family with four bytes and gives a wrong address.
                let len = find(&message.attributes.0, ATTR_XORMAPPED_ADDRESS).map(<[u8]>::len);
                address
                    .get_from(&message)
                    .map_err(|_| Ignored::BadAttribute)?;
                if len != Some(if address.ip.is_ipv4() { 8 } else { 20 }) {
                    return Err(Ignored::BadAttribute);
                }
                Ok(Response::Success {
                    mapped: SocketAddr::new(address.ip, address.port),
                })
            }
            Class::Error => {
                let mut error = ErrorCodeAttribute::default();
                error
                    .get_from(&message)
                    .map_err(|_| Ignored::BadAttribute)?;
                if error.code == CODE_ROLE_CONFLICT {
                    Ok(Response::RoleConflict)
                } else {
                    Ok(Response::Error { code: error.code.0 })
                }
            }
            Class::Request => Err(Ignored::UnknownMethod),
        }
    }

    fn decode(&self) -> Result<Message, Ignored> {
        let mut message = Message::new();
        message
            .unmarshal_binary(self.datagram)
            .map_err(|_| Ignored::Malformed)?;
        Ok(message)
    }
}

/// Checks FINGERPRINT, if there, and MESSAGE-INTEGRITY, and gives the attributes that the latter
/// covers: what stands behind it anyone on the path may have added (RFC 8489 §14.5), and a
/// USE-CANDIDATE there must not nominate.
fn authenticate(mut message: Message, pwd: Option<&str>) -> Result<Vec<RawAttribute>, Ignored> {
    let count = |kind| {
        message
            .attributes
            .0
            .iter()
            .filter(|a| a.typ == kind)
            .count()
    };
    let fingerprints = count(ATTR_FINGERPRINT);
    let integrities = count(ATTR_MESSAGE_INTEGRITY);
    if fingerprints > 0 {
        // The codec takes the first and assumes that it is the last attribute.
        let last = message
            .attributes
            .0
            .last()
            .is_some_and(|a| a.typ == ATTR_FINGERPRINT);
        if fingerprints > 1 || !last || FINGERPRINT.check(&message).is_err() {
            return Err(Ignored::BadFingerprint);
        }
    }
    if let Some(pwd) = pwd {
        let key = MessageIntegrity::new_short_term_integrity(pwd.to_owned());
        if integrities != 1 || key.check(&mut message).is_err() {
            return Err(Ignored::BadIntegrity);
        }
    }
    let mut attributes = message.attributes.0;
    if let Some(end) = attributes
        .iter()
        .position(|a| a.typ == ATTR_MESSAGE_INTEGRITY)
    {
        attributes.truncate(end);
    }
    // A server's response may carry what RFC 3489 had; a peer's must not (RFC 8489 §6.3).
    let unknown = |a: &RawAttribute| a.typ.required() && !KNOWN.contains(&a.typ.0);
    if pwd.is_some() && attributes.iter().any(unknown) {
        return Err(Ignored::UnknownAttribute);
    }
    Ok(attributes)
}

/// A connectivity, consent or liveness check.
pub(crate) fn encode_check(check: &Check<'_>) -> Bytes {
    let mut message = message(BINDING_REQUEST, check.transaction);
    message.add(ATTR_USERNAME, check.username.as_bytes());
    message.add(ATTR_PRIORITY, &check.priority.to_be_bytes());
    let role = match check.role {
        Role::Controlling => ATTR_ICE_CONTROLLING,
        Role::Controlled => ATTR_ICE_CONTROLLED,
    };
    message.add(role, &check.tie_breaker.to_be_bytes());
    if check.use_candidate {
        message.add(ATTR_USE_CANDIDATE, &[]);
    }
    seal(message, Some(check.pwd))
}

/// The answer to an authentic check, with our password.
pub(crate) fn encode_success(id: TransactionId, mapped: SocketAddr, pwd: &str) -> Bytes {
    let mut message = message(BINDING_SUCCESS, id);
    let address = XorMappedAddress {
        ip: mapped.ip(),
        port: mapped.port(),
    };
    address
        .add_to(&mut message)
        .expect("XOR-MAPPED-ADDRESS has no length limit");
    seal(message, Some(pwd))
}

/// The answer to an authentic check that claims our role.
pub(crate) fn encode_role_conflict(id: TransactionId, pwd: &str) -> Bytes {
    let mut message = message(BINDING_ERROR, id);
    // No reason phrase: the answer stays shorter than the question.
    let error = ErrorCodeAttribute {
        code: CODE_ROLE_CONFLICT,
        reason: Vec::new(),
    };
    error
        .add_to(&mut message)
        .expect("an empty reason is short enough");
    seal(message, Some(pwd))
}

/// A request to a STUN server.
pub(crate) fn encode_server_request(id: TransactionId) -> Bytes {
    seal(message(BINDING_REQUEST, id), None)
}

fn message(kind: MessageType, id: TransactionId) -> Message {
    let mut message = Message::new();
    message.typ = kind;
    message.transaction_id.0 = id.0;
    message.write_header();
    message
}

fn seal(mut message: Message, pwd: Option<&str>) -> Bytes {
    if let Some(pwd) = pwd {
        let key = MessageIntegrity::new_short_term_integrity(pwd.to_owned());
        key.add_to(&mut message)
            .expect("FINGERPRINT is added after it");
    }
    FINGERPRINT
        .add_to(&mut message)
        .expect("adding FINGERPRINT cannot fail");
    Bytes::from(message.raw)
}

fn find(attributes: &[RawAttribute], kind: AttrType) -> Option<&[u8]> {
    attributes
        .iter()
        .find(|a| a.typ == kind)
        .map(|a| a.value.as_slice())
}

/// Type, value and what follows the padding.
fn split_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(4)?;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let (value, _) = rest.split_at_checked(len)?;
    let (_, rest) = rest.split_at_checked(len.next_multiple_of(4))?;
    Some((u16::from_be_bytes([header[0], header[1]]), value, rest))
}

const MAGIC_COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
/// Browsers send nine; each costs the codec an allocation.
const MAX_ATTRIBUTES: usize = 24;
/// Comprehension-required attributes that a check or its response may carry.
const KNOWN: [u16; 6] = [
    ATTR_USERNAME.0,
    ATTR_MESSAGE_INTEGRITY.0,
    ATTR_ERROR_CODE.0,
    ATTR_XORMAPPED_ADDRESS.0,
    ATTR_PRIORITY.0,
    ATTR_USE_CANDIDATE.0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const PWD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
    /// RFC 5769 §2.1, §2.2, §2.3: a request with spaces as padding, IPv4 and IPv6 responses.
    const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420\
        636c69656e74002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800\
        149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
    const RESPONSE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f\
        7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c\
        96";
    const RESPONSE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f\
        7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c2\
        75bfe3ed4180280004c8fb0b4c";

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_ascii_whitespace().collect();
        let byte = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    fn unverified(bytes: &[u8]) -> Unverified<'_> {
        Unverified::new(bytes, 1280).unwrap()
    }

    /// Protects interoperability at the level of bytes: what the RFC's authors computed verifies.
    #[test]
    fn rfc_5769_vectors() {
        let request = hex(REQUEST);
        let message = unverified(&request);
        assert_eq!(message.username(), Ok((&b"evtj"[..], &b"h6vY"[..])));
        assert_eq!(local_ufrag(&request), Some(&b"evtj"[..]));
        let expected = Request {
            priority: 0x6e00_01ff,
            role: Role::Controlled,
            tie_breaker: 0x932f_f9b1_5126_3b36,
            use_candidate: false,
        };
        assert_eq!(message.request(PWD), Ok(expected));
        assert_eq!(
            message.request("VOkJxbRl1RmTxUk/WvJxBu"),
            Err(Ignored::BadIntegrity)
        );

        let response = hex(RESPONSE_V4);
        let mapped = "192.0.2.1:32853".parse().unwrap();
        let response = unverified(&response);
        assert_eq!(response.class, Class::Success);
        assert_eq!(response.transaction, message.transaction);
        assert_eq!(
            response.response(Some(PWD)),
            Ok(Response::Success { mapped })
        );

        let mapped = "[2001:db8:1234:5678:11:2233:4455:6677]:32853"
            .parse()
            .unwrap();
        let response = hex(RESPONSE_V6);
        let response = unverified(&response).response(Some(PWD));
        assert_eq!(response, Ok(Response::Success { mapped }));
    }

    /// Protects interoperability with browsers: every message of three real sessions has the
    /// form that is demanded, up to the integrity (their passwords were not recorded), DTLS in
    /// STUN included.
    #[test]
    fn browsers_messages_are_understood() {
        let captures = [
            include_str!("../tests/data/stun-chromium-156.hex"),
            include_str!("../tests/data/stun-chromium-156-dtls-in-stun.hex"),
            include_str!("../tests/data/stun-firefox-153.hex"),
        ];
        for line in captures.iter().flat_map(|c| c.lines()) {
            let bytes = hex(line);
            assert!(is_stun(&bytes));
            let message = unverified(&bytes);
            let result = match message.class {
                Class::Request => {
                    assert!(local_ufrag(&bytes).is_some_and(|u| u.len() >= 4));
                    message.request(PWD).map(|_| ())
                }
                Class::Success | Class::Error => message.response(Some(PWD)).map(|_| ()),
            };
            // The fingerprint is right, or the error would be another.
            assert_eq!(result, Err(Ignored::BadIntegrity), "{line}");
            if message.class == Class::Success {
                assert!(matches!(
                    message.response(None),
                    Ok(Response::Success { .. })
                ));
            }
        }
    }

    /// What we send is what we read, for both roles, families and kinds of answer.
    #[test]
    fn own_messages_round_trip() {
        let mut rng = StdRng::seed_from_u64(1);
        for (role, use_candidate) in [(Role::Controlling, true), (Role::Controlled, false)] {
            let transaction = TransactionId::random(&mut rng);
            let check = Check {
                transaction,
                username: "abcd:efgh",
                pwd: PWD,
                priority: 7,
                role,
                tie_breaker: u64::MAX - 1,
                use_candidate,
            };
            let bytes = encode_check(&check);
            let message = unverified(&bytes);
            let expected = Request {
                priority: 7,
                role,
                tie_breaker: u64::MAX - 1,
                use_candidate,
            };
            assert_eq!(message.request(PWD), Ok(expected));
            assert_eq!(message.transaction, transaction);
            for mapped in ["192.0.2.1:1", "[2001:db8::1]:65535"] {
                let mapped = mapped.parse().unwrap();
                let bytes = encode_success(transaction, mapped, PWD);
                let response = unverified(&bytes).response(Some(PWD));
                assert_eq!(response, Ok(Response::Success { mapped }));
            }
            let bytes = encode_role_conflict(transaction, PWD);
            let response = unverified(&bytes).response(Some(PWD));
            assert_eq!(response, Ok(Response::RoleConflict));
        }
    }

    /// The codec reads an IPv4 address with an IPv6 family as some other address.
    #[test]
    fn mapped_address_of_the_wrong_length_is_refused() {
        for (family, len) in [(1, 16), (2, 4), (2, 15), (3, 4), (1, 0)] {
            let mut message = message(BINDING_SUCCESS, TransactionId([1; 12]));
            let value = [&[0, family, 1, 1][..], &[1; 16][..len]].concat();
            message.add(ATTR_XORMAPPED_ADDRESS, &value);
            let bytes = seal(message, Some(PWD));
            let response = unverified(&bytes).response(Some(PWD));
            assert_eq!(response, Err(Ignored::BadAttribute), "{family} {len}");
        }
    }

    /// An integrity of another length than 20 must neither pass nor panic.
    #[test]
    fn integrity_of_any_length_does_not_panic() {
        for len in 0..64 {
            let mut message = message(BINDING_REQUEST, TransactionId([1; 12]));
            message.add(ATTR_MESSAGE_INTEGRITY, &vec![0; len]);
            message.add(ATTR_USERNAME, b"a:b");
            let result = unverified(&message.raw).request(PWD);
            assert_eq!(result, Err(Ignored::BadIntegrity));
        }
    }
}
