//! SDES items in header extensions (RFC 7941): mid, rid, repaired rid.

use super::{ExtensionKind, HeaderExtension, put};
use crate::{DecodeError, WriteError};

macro_rules! text_extension {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name<'a>(pub &'a str);

        impl<'a> HeaderExtension<'a> for $name<'a> {
            const KIND: ExtensionKind = ExtensionKind::$name;

            fn decode(data: &'a [u8]) -> Result<Self, DecodeError> {
                token(data).map(Self)
            }

            fn encoded_len(&self) -> usize {
                self.0.len()
            }

            fn encode(&self, out: &mut [u8]) -> Result<(), WriteError> {
                if token(self.0.as_bytes()).is_err() {
                    return Err(WriteError::Invalid("an SDES item that is not a token"));
                }
                put(out, self.0.as_bytes())
            }
        }
    };
}

text_extension! {
    /// Which m-line the packet belongs to (RFC 9143 §15).
    Mid
}
text_extension! {
    /// Which encoding of a simulcast the packet belongs to (RFC 8852 §3.1).
    Rid
}
text_extension! {
    /// Which encoding an RTX packet repairs (RFC 8852 §3.2).
    RepairedRid
}

/// Both mids and rids are SDP tokens (RFC 8866 §9): visible ASCII. Nothing else gets as far as a
/// lookup.
fn token(data: &[u8]) -> Result<&str, DecodeError> {
    if data.is_empty() {
        return Err(DecodeError::Truncated);
    }
    if !data.iter().all(u8::is_ascii_graphic) {
        return Err(DecodeError::Malformed("an SDES item that is not a token"));
    }
    str::from_utf8(data).map_err(|_| DecodeError::Malformed("UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text comes back; empty, NUL and non-ASCII text do not reach a lookup.
    #[test]
    fn tokens_only() {
        assert_eq!(Mid::decode(b"0"), Ok(Mid("0")));
        assert_eq!(Rid::decode(b"hi"), Ok(Rid("hi")));
        assert_eq!(RepairedRid::decode(b""), Err(DecodeError::Truncated));
        assert!(Mid::decode(b"a\0").is_err());
        assert!(Mid::decode("ä".as_bytes()).is_err());
        let mut out = [0; 2];
        Mid("ab").encode(&mut out).unwrap();
        assert_eq!(&out, b"ab");
        assert!(Mid("a b").encode(&mut [0; 3]).is_err());
        assert!(Mid("").encode(&mut []).is_err());
    }
}
