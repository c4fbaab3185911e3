//! Handshake messages and their fragments (RFC 6347 section 4.2.2).

/// The header of a handshake message, in bytes.
pub(crate) const HEADER_LEN: usize = 12;

/// The numbers of handshake messages, as they are on the wire.
pub(crate) struct MessageType;

impl MessageType {
    pub(crate) const CLIENT_HELLO: u8 = 1;
    pub(crate) const SERVER_HELLO: u8 = 2;
    pub(crate) const HELLO_VERIFY_REQUEST: u8 = 3;
    pub(crate) const CERTIFICATE: u8 = 11;
    pub(crate) const SERVER_KEY_EXCHANGE: u8 = 12;
    pub(crate) const CERTIFICATE_REQUEST: u8 = 13;
    pub(crate) const SERVER_HELLO_DONE: u8 = 14;
    pub(crate) const CERTIFICATE_VERIFY: u8 = 15;
    pub(crate) const CLIENT_KEY_EXCHANGE: u8 = 16;
    pub(crate) const FINISHED: u8 = 20;

    pub(crate) fn name(kind: u8) -> &'static str {
        match kind {
            Self::CLIENT_HELLO => "ClientHello",
            Self::SERVER_HELLO => "ServerHello",
            Self::HELLO_VERIFY_REQUEST => "HelloVerifyRequest",
            Self::CERTIFICATE => "Certificate",
            Self::SERVER_KEY_EXCHANGE => "ServerKeyExchange",
            Self::CERTIFICATE_REQUEST => "CertificateRequest",
            Self::SERVER_HELLO_DONE => "ServerHelloDone",
            Self::CERTIFICATE_VERIFY => "CertificateVerify",
            Self::CLIENT_KEY_EXCHANGE => "ClientKeyExchange",
            Self::FINISHED => "Finished",
            _ => "unknown message",
        }
    }
}

/// One fragment, which may be the whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub(crate) kind: u8,
    /// Of the whole message.
    pub(crate) length: usize,
    /// The message's number, not the record's.
    pub(crate) sequence: u16,
    pub(crate) offset: usize,
    pub(crate) data: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// The first fragment of a record's body, and the rest: several may share a record.
    pub(crate) fn parse(body: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = body.split_first_chunk::<HEADER_LEN>()?;
        let [kind, l0, l1, l2, s0, s1, o0, o1, o2, f0, f1, f2] = *header;
        let u24 = |a, b, c| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let (data, rest) = rest.split_at_checked(u24(f0, f1, f2))?;
        let fragment = Self {
            kind,
            length: u24(l0, l1, l2),
            sequence: u16::from_be_bytes([s0, s1]),
            offset: u24(o0, o1, o2),
            data,
        };
        Some((fragment, rest))
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.offset == 0 && self.data.len() == self.length
    }

    /// Inside its message, and not empty unless the message is.
    pub(crate) fn fits(&self) -> bool {
        self.offset + self.data.len() <= self.length && (!self.data.is_empty() || self.length == 0)
    }
}

/// The header of an unfragmented message.
pub(crate) fn whole_header(kind: u8, sequence: u16, length: usize) -> [u8; HEADER_LEN] {
    let [.., l0, l1, l2] = (length as u32).to_be_bytes();
    let [s0, s1] = sequence.to_be_bytes();
    [kind, l0, l1, l2, s0, s1, 0, 0, 0, l0, l1, l2]
}
