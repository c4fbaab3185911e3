//! The record on the wire (RFC 6347 section 4.1).

/// Bytes before the plaintext of a record: the header (13) and the explicit nonce (8, RFC 5288).
pub const HEADROOM: usize = HEADER_LEN + EXPLICIT_NONCE_LEN;
/// Bytes behind the plaintext of a record: the AES-GCM tag.
pub const TAILROOM: usize = TAG_LEN;
/// What a sealed record is longer than its plaintext, in bytes.
pub const OVERHEAD: usize = HEADROOM + TAILROOM;
/// The longest plaintext of a record, in bytes (RFC 5246 section 6.2.1).
pub const MAX_PLAINTEXT: usize = 1 << 14;

pub(crate) const HEADER_LEN: usize = 13;
pub(crate) const EXPLICIT_NONCE_LEN: usize = 8;
pub(crate) const TAG_LEN: usize = 16;
/// DTLS 1.2, as the one's complement of 1.2.
pub(crate) const VERSION: [u8; 2] = [0xfe, 0xfd];
/// DTLS 1.0: still in the header of a first ClientHello and of a HelloVerifyRequest.
pub(crate) const VERSION_1_0: [u8; 2] = [0xfe, 0xff];
/// Record numbers are 48 bits.
pub(crate) const MAX_SEQUENCE: u64 = (1 << 48) - 1;
/// Epoch and number are one 64-bit number on the wire; ours is always epoch 1.
pub(crate) const EPOCH_ONE: u64 = 1 << 48;

/// What a record carries (RFC 5246 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ContentType {
    /// The following records of this direction use the next epoch's keys.
    ChangeCipherSpec = 20,
    /// A closure or an error.
    Alert = 21,
    /// Key agreement.
    Handshake = 22,
    /// Data: SCTP packets in WebRTC.
    ApplicationData = 23,
}

impl ContentType {
    pub(crate) fn from_wire(value: u8) -> Option<Self> {
        match value {
            20 => Some(Self::ChangeCipherSpec),
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            23 => Some(Self::ApplicationData),
            _ => None,
        }
    }
}

/// Splits a datagram into its records, each with its header, to be opened in place. Ends at the
/// first one that is cut short; a whole record is at least a header and no longer than it says.
pub fn records(datagram: &mut [u8]) -> Records<'_> {
    Records { rest: datagram }
}

/// The records of one datagram. See [`records`].
#[derive(Debug)]
pub struct Records<'a> {
    rest: &'a mut [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a mut [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        let len = Header::parse(rest)?.record_len();
        let (record, rest) = rest.split_at_mut_checked(len)?;
        self.rest = rest;
        Some(record)
    }
}

/// A record that borrows the datagram, for the parts that only read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRef<'a> {
    pub(crate) header: Header,
    pub(crate) body: &'a [u8],
    pub(crate) raw: &'a [u8],
}

/// Like [`records`], without writing. The second value is what was left at the end.
pub(crate) fn split(datagram: &[u8]) -> impl Iterator<Item = Result<RecordRef<'_>, Cut>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = Header::parse(rest).and_then(|header| {
            let (raw, tail) = rest.split_at_checked(header.record_len())?;
            rest = tail;
            Some(RecordRef {
                header,
                body: &raw[HEADER_LEN..],
                raw,
            })
        });
        if record.is_none() {
            rest = &[];
        }
        Some(record.ok_or(Cut))
    })
}

/// The end of a datagram is not a whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut;

/// The 13 bytes before every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) content_type: u8,
    pub(crate) version: [u8; 2],
    pub(crate) epoch: u16,
    /// 48 bits.
    pub(crate) sequence: u64,
    /// Bytes behind the header.
    pub(crate) length: u16,
}

impl Header {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let [content_type, v0, v1, n @ .., l0, l1] = *header;
        let number = u64::from_be_bytes(n);
        Some(Self {
            content_type,
            version: [v0, v1],
            epoch: (number >> 48) as u16,
            sequence: number & MAX_SEQUENCE,
            length: u16::from_be_bytes([l0, l1]),
        })
    }

    pub(crate) fn encode(self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let number = (u64::from(self.epoch) << 48) | (self.sequence & MAX_SEQUENCE);
        out[0] = self.content_type;
        out[1..3].copy_from_slice(&self.version);
        out[3..11].copy_from_slice(&number.to_be_bytes());
        out[11..13].copy_from_slice(&self.length.to_be_bytes());
        out
    }

    fn record_len(self) -> usize {
        HEADER_LEN + usize::from(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header is the one place where wire order is written down; both directions must agree.
    #[test]
    fn header_round_trip() {
        let wire = [22, 0xfe, 0xfd, 0, 1, 1, 2, 3, 4, 5, 6, 0, 7];
        let header = Header::parse(&wire).unwrap();
        assert_eq!(header.epoch, 1);
        assert_eq!(header.sequence, 0x0102_0304_0506);
        assert_eq!(header.length, 7);
        assert_eq!(header.encode(), wire);
    }

    /// A datagram cut at any byte yields the whole records before the cut and nothing else.
    #[test]
    fn truncation_table() {
        let mut datagram = Vec::new();
        for length in [0u16, 3, 1] {
            let header = Header {
                content_type: 23,
                version: VERSION,
                epoch: 1,
                sequence: 9,
                length,
            };
            datagram.extend_from_slice(&header.encode());
            datagram.extend(std::iter::repeat_n(7, usize::from(length)));
        }
        for cut in 0..=datagram.len() {
            let whole = [13, 29, 43].iter().filter(|end| **end <= cut).count();
            assert_eq!(records(&mut datagram[..cut]).count(), whole, "cut at {cut}");
            assert_eq!(split(&datagram[..cut]).filter(Result::is_ok).count(), whole);
        }
    }
}
