//! Whether the inside of a handshake message fits its length. The engine indexes into hellos and key
//! exchanges without looking, and allocates what a length field says.

use super::message::MessageType;

/// Whether a message body has the outer form that RFC 5246 section 7.4 and RFC 6347 section 4.2 give
/// it. Says nothing about the values.
pub(crate) fn is_well_formed(kind: u8, body: &[u8]) -> bool {
    let mut reader = Reader(body);
    let complete = match kind {
        MessageType::CLIENT_HELLO => client_hello(&mut reader).is_some(),
        MessageType::SERVER_HELLO => server_hello(&mut reader).is_some(),
        MessageType::HELLO_VERIFY_REQUEST => hello_verify_request(&mut reader).is_some(),
        MessageType::CERTIFICATE => certificate(&mut reader).is_some(),
        MessageType::SERVER_KEY_EXCHANGE => server_key_exchange(&mut reader).is_some(),
        MessageType::CERTIFICATE_REQUEST => certificate_request(&mut reader).is_some(),
        MessageType::SERVER_HELLO_DONE => true,
        MessageType::CERTIFICATE_VERIFY => signed(&mut reader).is_some(),
        MessageType::CLIENT_KEY_EXCHANGE => reader
            .vector(1)
            .is_some_and(|public_key| !public_key.is_empty()),
        _ => false,
    };
    complete && reader.0.is_empty()
}

/// The cookie of a ClientHello or HelloVerifyRequest that is well-formed.
pub(crate) fn cookie(kind: u8, body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    match kind {
        MessageType::CLIENT_HELLO => client_hello(&mut reader),
        MessageType::HELLO_VERIFY_REQUEST => hello_verify_request(&mut reader),
        _ => None,
    }
}

/// The first certificate of a Certificate message that is well-formed.
pub(crate) fn first_certificate(body: &[u8]) -> Option<&[u8]> {
    Reader(Reader(body).vector(3)?).vector(3)
}

fn client_hello<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.take(VERSION_AND_RANDOM)?;
    reader
        .vector(1)
        .filter(|session_id| session_id.len() <= 32)?;
    let cookie = reader.vector(1)?;
    reader.vector(2).filter(|suites| suites.len() % 2 == 0)?;
    reader.vector(1)?; // compression methods
    extensions(reader)?;
    Some(cookie)
}

fn server_hello(reader: &mut Reader<'_>) -> Option<()> {
    reader.take(VERSION_AND_RANDOM)?;
    reader
        .vector(1)
        .filter(|session_id| session_id.len() <= 32)?;
    reader.take(2 + 1)?; // cipher suite, compression method
    extensions(reader)
}

fn hello_verify_request<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.take(2)?;
    reader.vector(1)
}

fn certificate(reader: &mut Reader<'_>) -> Option<()> {
    let mut list = Reader(reader.vector(3)?);
    while !list.0.is_empty() {
        list.vector(3)?;
    }
    Some(())
}

fn server_key_exchange(reader: &mut Reader<'_>) -> Option<()> {
    // Only named curves; anything else the engine takes for a PSK hint.
    reader.take(1).filter(|kind| *kind == [3])?;
    reader.take(2)?;
    reader.vector(1)?;
    signed(reader)
}

fn certificate_request(reader: &mut Reader<'_>) -> Option<()> {
    reader.vector(1)?;
    reader.vector(2).filter(|schemes| schemes.len() % 2 == 0)?;
    reader.vector(2)?;
    Some(())
}

fn signed(reader: &mut Reader<'_>) -> Option<()> {
    reader.take(2)?;
    reader.vector(2)?;
    Some(())
}

/// May be left out altogether.
fn extensions(reader: &mut Reader<'_>) -> Option<()> {
    if reader.0.is_empty() {
        return Some(());
    }
    let mut list = Reader(reader.vector(2)?);
    while !list.0.is_empty() {
        list.take(2)?;
        list.vector(2)?;
    }
    Some(())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A vector with a length of `width` bytes in front.
    fn vector(&mut self, width: usize) -> Option<&'a [u8]> {
        let len = self
            .take(width)?
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte));
        self.take(len)
    }
}

const VERSION_AND_RANDOM: usize = 2 + 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// Well-formed bodies of every message; each cut, and each with a byte more, is refused.
    #[test]
    fn truncation_table() {
        let hello = |tail: &[u8]| [&[0xfe, 0xfd][..], &[7; 32], tail].concat();
        let extensions = [0, 9, 0, 23, 0, 0, 0xff, 1, 0, 1, 0];
        let client = [&[0, 2, 8, 9, 0, 2, 0xc0, 0x2b, 1, 0][..], &extensions].concat();
        let server = [&[0, 0xc0, 0x2b, 0][..], &extensions].concat();
        for (kind, body) in [
            (MessageType::CLIENT_HELLO, hello(&client)),
            (MessageType::SERVER_HELLO, hello(&server)),
            (MessageType::HELLO_VERIFY_REQUEST, vec![0xfe, 0xff, 2, 8, 9]),
            (MessageType::CERTIFICATE, vec![0, 0, 5, 0, 0, 2, 1, 2]),
            (
                MessageType::SERVER_KEY_EXCHANGE,
                vec![3, 0, 29, 2, 1, 2, 4, 3, 0, 2, 5, 6],
            ),
            (
                MessageType::CERTIFICATE_REQUEST,
                vec![1, 64, 0, 2, 4, 3, 0, 0],
            ),
            (MessageType::SERVER_HELLO_DONE, vec![]),
            (MessageType::CERTIFICATE_VERIFY, vec![4, 3, 0, 2, 5, 6]),
            (MessageType::CLIENT_KEY_EXCHANGE, vec![2, 1, 2]),
        ] {
            assert!(is_well_formed(kind, &body), "{kind}");
            for cut in 0..body.len() {
                // A hello may end before its extensions.
                let optional = cut + extensions.len() == body.len()
                    && matches!(kind, MessageType::CLIENT_HELLO | MessageType::SERVER_HELLO);
                assert_eq!(
                    is_well_formed(kind, &body[..cut]),
                    optional,
                    "{kind} cut at {cut}"
                );
            }
            assert!(
                !is_well_formed(kind, &[&body[..], &[0]].concat()),
                "{kind} and a byte"
            );
        }
        assert_eq!(
            cookie(MessageType::CLIENT_HELLO, &hello(&client)),
            Some(&[8, 9][..])
        );
        assert!(!is_well_formed(MessageType::CLIENT_KEY_EXCHANGE, &[0]));
        assert!(!is_well_formed(MessageType::FINISHED, &[0; 12]));
    }
}
