//! AV1 (the Alliance's RTP specification): OBU aggregation. Frames are temporal units in the low
//! overhead format, every OBU with its size.

use super::{
    Depacketizer, FrameStart, PacketInfo, PacketizeError, Packetizer, PayloadParts, PayloadSink,
};
use crate::DecodeError;
use crate::wire::{Reader, leb128, leb128_len};

/// One OBU of a temporal unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Obu<'a> {
    /// Header without the size flag, and the extension if there is one.
    head: [u8; 2],
    head_len: usize,
    body: &'a [u8],
}

impl<'a> Obu<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let first = reader.u8()?;
        if first & FORBIDDEN != 0 {
            return Err(DecodeError::Malformed("OBU forbidden bit"));
        }
        let mut head = [first & !HAS_SIZE, 0];
        let mut head_len = 1;
        if first & EXTENSION != 0 {
            head[1] = reader.u8()?;
            head_len = 2;
        }
        let body = if first & HAS_SIZE != 0 {
            let len = usize::try_from(reader.leb128()?).map_err(|_| DecodeError::Truncated)?;
            reader.take(len)?
        } else {
            let rest = reader.rest();
            reader.take(rest.len())?
        };
        Ok(Self {
            head,
            head_len,
            body,
        })
    }

    const fn kind(&self) -> u8 {
        self.head[0] >> 3 & 0xf
    }

    fn len(&self) -> usize {
        self.head_len + self.body.len()
    }

    /// Splits off the first `len` bytes.
    fn split(self, len: usize) -> (Self, Self) {
        let head_len = self.head_len.min(len);
        let (body, rest) = self.body.split_at(len - head_len);
        let first = Self {
            head_len,
            body,
            ..self
        };
        let rest_head = if head_len == self.head_len {
            0
        } else {
            self.head_len - head_len
        };
        let head = if rest_head == 0 {
            [0; 2]
        } else {
            [self.head[head_len], 0]
        };
        (
            first,
            Self {
                head,
                head_len: rest_head,
                body: rest,
            },
        )
    }
}

/// The OBUs of a temporal unit in the low overhead format, as `(type, content)`; ends early, with
/// an error, at what is none. Only the last one may be without a size.
pub fn obus(unit: &[u8]) -> Obus<'_> {
    Obus {
        reader: Reader::new(unit),
    }
}

/// Iterates the OBUs of a temporal unit, see [`obus`].
#[derive(Clone, Debug)]
pub struct Obus<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<(u8, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.obu()?.map(|obu| (obu.kind(), obu.body)))
    }
}

impl<'a> Obus<'a> {
    fn obu(&mut self) -> Option<Result<Obu<'a>, DecodeError>> {
        if self.reader.is_empty() {
            return None;
        }
        let obu = Obu::read(&mut self.reader);
        if obu.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(obu)
    }

    /// The next OBU that is sent: temporal delimiters, tile lists and padding are not (§5).
    fn sent(&mut self) -> Result<Option<Obu<'a>>, DecodeError> {
        loop {
            match self.obu().transpose()? {
                Some(obu) if matches!(obu.kind(), DELIMITER | TILE_LIST | PADDING) => {}
                other => return Ok(other),
            }
        }
    }
}

/// Temporal units to payloads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Av1Packetizer;

impl Packetizer for Av1Packetizer {
    type FrameInfo = ();

    fn packetize<S: PayloadSink>(
        &mut self,
        frame: &[u8],
        (): &(),
        max_payload: usize,
        sink: &mut S,
    ) -> Result<(), PacketizeError> {
        // Header, and one element of at least an OBU header and a byte.
        if max_payload < 4 {
            return Err(PacketizeError::PayloadSize {
                needed: 4,
                max: max_payload,
            });
        }
        let mut obus = obus(frame);
        let mut next = obus.sent()?;
        // N: the first payload of a coded video sequence, which its sequence header begins.
        let new_sequence = next.is_some_and(|obu| obu.kind() == SEQUENCE_HEADER);
        let mut packet = Elements::new(if new_sequence { NEW_SEQUENCE } else { 0 });
        if next.is_none() {
            return Err(DecodeError::Malformed("no OBU").into());
        }
        while let Some(mut obu) = next {
            next = obus.sent()?;
            loop {
                let room = packet.room(max_payload);
                // Not a stump of an element where a packet of its own does better; but a sequence
                // header takes the beginning of its frame along, so that the loss of either shows.
                let stump = if packet.flags & NEW_SEQUENCE != 0 {
                    1
                } else {
                    MIN_FRAGMENT
                };
                if room < obu.len().min(stump).min(max_payload - 1) {
                    packet.emit(false, false, sink);
                } else if obu.len() <= room {
                    packet.push(obu);
                    break;
                } else {
                    let (part, rest) = obu.split(room);
                    packet.push(part);
                    packet.emit(true, false, sink);
                    obu = rest;
                }
            }
        }
        packet.emit(false, true, sink);
        Ok(())
    }
}

/// A payload in the making.
struct Elements<'a> {
    flags: u8,
    elements: [Obu<'a>; MAX_ELEMENTS],
    count: usize,
}

impl<'a> Elements<'a> {
    const fn new(flags: u8) -> Self {
        let none = Obu {
            head: [0; 2],
            head_len: 0,
            body: &[],
        };
        Self {
            flags,
            elements: [none; MAX_ELEMENTS],
            count: 0,
        }
    }

    /// Bytes of another element that would fit. The last element has no length; a new one makes
    /// the one before it grow by its length.
    fn room(&self, max: usize) -> usize {
        if self.count == MAX_ELEMENTS {
            return 0;
        }
        let lengths = self.elements[..self.count].iter().map(Obu::len);
        let used: usize = lengths.map(|len| leb128_len(len as u64) + len).sum();
        max.saturating_sub(1 + used)
    }

    fn push(&mut self, element: Obu<'a>) {
        self.elements[self.count] = element;
        self.count += 1;
    }

    /// Sends what there is; the next payload begins with the rest of the last element if
    /// `continues`.
    fn emit<S: PayloadSink>(&mut self, continues: bool, marker: bool, sink: &mut S) {
        let flags = self.flags | if continues { CONTINUES } else { 0 };
        let header = [flags | (self.count as u8) << 4];
        let mut lengths = [[0; 10]; MAX_ELEMENTS];
        let mut parts: [&[u8]; 1 + 3 * MAX_ELEMENTS] = [&[]; 1 + 3 * MAX_ELEMENTS];
        parts[0] = &header;
        for (element, length) in self.elements.iter().zip(&mut lengths) {
            *length = leb128(element.len() as u64);
        }
        for (index, element) in self.elements[..self.count].iter().enumerate() {
            if index + 1 < self.count {
                parts[1 + index * 3] = &lengths[index][..leb128_len(element.len() as u64)];
            }
            parts[2 + index * 3] = &element.head[..element.head_len];
            parts[3 + index * 3] = element.body;
        }
        sink.payload(PayloadParts {
            parts: &parts[..=self.count * 3],
            marker,
        });
        *self = Self::new(if continues { CONTINUED } else { 0 });
    }
}

/// Payloads to temporal units, without temporal delimiter unless asked for.
#[derive(Clone, Debug, Default)]
pub struct Av1Depacketizer {
    /// The OBU that the next payload continues; kept for its memory otherwise.
    fragment: Vec<u8>,
    is_open: bool,
    delimiter: bool,
}

impl Av1Depacketizer {
    /// Temporal units without delimiter.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            fragment: Vec::new(),
            is_open: false,
            delimiter: false,
        }
    }

    /// Temporal units that begin with a temporal delimiter, as files and some decoders want.
    #[must_use]
    pub const fn with_delimiter() -> Self {
        Self {
            fragment: Vec::new(),
            is_open: false,
            delimiter: true,
        }
    }
}

impl Depacketizer for Av1Depacketizer {
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        let (flags, mut elements) = elements(payload)?;
        let mut info = PacketInfo {
            key_frame: flags & NEW_SEQUENCE != 0,
            start: FrameStart::No,
            ..PacketInfo::default()
        };
        if flags & CONTINUED != 0 {
            return if info.key_frame {
                Err(DecodeError::Malformed("N and Z"))
            } else {
                Ok(info)
            };
        }
        let first = elements.next().transpose()?.ok_or(DecodeError::Truncated)?;
        let [head, rest @ ..] = first else {
            return Err(DecodeError::Malformed("empty OBU"));
        };
        if head & EXTENSION != 0
            && let Some(extension) = rest.first()
        {
            info.temporal = extension >> 5;
            info.spatial = extension >> 3 & 3;
        }
        info.start = match head >> 3 & 0xf {
            _ if info.key_frame => FrameStart::Yes,
            // What a temporal unit begins with, if it is not a key frame's (AV1 §7.5).
            FRAME | FRAME_HEADER if info.spatial == 0 => FrameStart::Likely,
            _ => FrameStart::Unknown,
        };
        Ok(info)
    }

    fn begin(&mut self) {
        self.fragment.clear();
        self.is_open = false;
    }

    fn append(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        let (flags, mut elements) = elements(payload)?;
        if self.delimiter && frame.is_empty() {
            frame.extend_from_slice(&[DELIMITER << 3 | HAS_SIZE, 0]);
        }
        if (flags & CONTINUED != 0) != self.is_open {
            return Err(DecodeError::Malformed("OBU fragment"));
        }
        let mut next = elements.next().transpose()?;
        while let Some(element) = next {
            next = elements.next().transpose()?;
            let is_fragment = next.is_none() && flags & CONTINUES != 0;
            if self.is_open || is_fragment {
                self.fragment.extend_from_slice(element);
                self.is_open = is_fragment;
                if !is_fragment {
                    write_obu(&self.fragment, frame)?;
                    self.fragment.clear();
                }
            } else {
                write_obu(element, frame)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        if self.is_open {
            Err(DecodeError::Truncated)
        } else {
            Ok(())
        }
    }
}

/// Writes an OBU with its size.
fn write_obu(element: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError> {
    let obu = Obu::read(&mut Reader::new(element))?;
    // §5: receivers ignore what should not have been sent.
    if matches!(obu.kind(), DELIMITER | TILE_LIST) {
        return Ok(());
    }
    let size = obu.body.len() as u64;
    frame.push(obu.head[0] | HAS_SIZE);
    frame.extend_from_slice(&obu.head[1..obu.head_len]);
    frame.extend_from_slice(&leb128(size)[..leb128_len(size)]);
    frame.extend_from_slice(obu.body);
    Ok(())
}

/// The aggregation header's flags and the elements (§4.4).
fn elements(
    payload: &[u8],
) -> Result<(u8, impl Iterator<Item = Result<&[u8], DecodeError>>), DecodeError> {
    let (flags, content) = payload.split_first().ok_or(DecodeError::Truncated)?;
    if content.is_empty() {
        return Err(DecodeError::Truncated);
    }
    let count = *flags >> 4 & 3;
    let mut left = count;
    let mut reader = Reader::new(content);
    let elements = std::iter::from_fn(move || {
        if reader.is_empty() {
            // With a count, fewer elements than promised are an error.
            return (std::mem::take(&mut left) > 0).then_some(Err(DecodeError::Truncated));
        }
        let element = if count > 0 && left <= 1 {
            left = 0;
            let rest = reader.rest();
            reader.take(rest.len())
        } else {
            left = left.saturating_sub(1);
            let len = reader
                .leb128()
                .map(|len| usize::try_from(len).unwrap_or(usize::MAX));
            len.and_then(|len| reader.take(len))
        };
        if element.is_err() {
            (reader, left) = (Reader::new(&[]), 0);
        }
        Some(element)
    });
    Ok((*flags, elements))
}

const FORBIDDEN: u8 = 0x80;
const EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

const SEQUENCE_HEADER: u8 = 1;
const DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// Z, Y and N of the aggregation header.
const CONTINUED: u8 = 0x80;
const CONTINUES: u8 = 0x40;
const NEW_SEQUENCE: u8 = 0x08;
/// W counts up to three; more would need lengths on all.
const MAX_ELEMENTS: usize = 3;
/// An OBU is not begun in a packet that has less room for it.
const MIN_FRAGMENT: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::testing::{content, frame, payloads};
    use super::*;

    fn obu(kind: u8, extension: Option<u8>, len: usize) -> Vec<u8> {
        let flag = if extension.is_some() { EXTENSION } else { 0 };
        let mut bytes = vec![kind << 3 | flag | HAS_SIZE];
        bytes.extend(extension);
        bytes.extend_from_slice(&leb128(len as u64)[..leb128_len(len as u64)]);
        bytes.extend(content(len, kind));
        bytes
    }

    /// Temporal units of one to many OBUs, at many payload sizes; the delimiter is not sent.
    #[test]
    fn temporal_units() {
        let delimiter = obu(DELIMITER, None, 0);
        let units = [
            [obu(SEQUENCE_HEADER, None, 10), obu(FRAME, None, 1500)].concat(),
            obu(FRAME, None, 1),
            [
                obu(FRAME_HEADER, Some(0x28), 20),
                obu(4, Some(0x28), 300),
                obu(4, Some(0x28), 129),
            ]
            .concat(),
            (0..9)
                .flat_map(|index| obu(FRAME, Some(index << 3), 40))
                .collect(),
        ];
        let mut plain = Av1Depacketizer::new();
        let mut delimited = Av1Depacketizer::with_delimiter();
        for unit in &units {
            let with_delimiter = [&delimiter[..], unit].concat();
            for max in [4, 5, 20, 100, 127, 128, 129, 130, 131, 1200, 5000] {
                let sent = payloads(&mut Av1Packetizer, &with_delimiter, &(), max);
                assert_eq!(frame(&mut plain, &sent).as_ref(), Ok(unit), "{max}");
                assert_eq!(
                    frame(&mut delimited, &sent).as_ref(),
                    Ok(&with_delimiter),
                    "{max}"
                );
                assert!(
                    sent[1..]
                        .iter()
                        .all(|(payload, _)| payload[0] & NEW_SEQUENCE == 0)
                );
            }
        }
        let sent = payloads(&mut Av1Packetizer, &units[0], &(), 1200);
        assert_eq!(sent.len(), 2);
        let info = plain.inspect(&sent[0].0).unwrap();
        assert_eq!((info.start, info.key_frame), (FrameStart::Yes, true));
        assert_eq!(plain.inspect(&sent[1].0).unwrap().start, FrameStart::No);
        let info = plain
            .inspect(&payloads(&mut Av1Packetizer, &units[2], &(), 100)[0].0)
            .unwrap();
        assert_eq!((info.temporal, info.spatial), (1, 1));
        assert_eq!(obus(&units[3]).count(), 9);
    }

    /// Other senders put lengths on all elements, or sizes inside.
    #[test]
    fn other_layouts() {
        let mut receiver = Av1Depacketizer::new();
        let all_lengths = vec![0x08, 3, 1 << 3, 7, 8, 2, 6 << 3, 9];
        let sizes_inside = vec![0x28, 4, 1 << 3 | HAS_SIZE, 2, 7, 8, 6 << 3 | HAS_SIZE, 1, 9];
        let expected = vec![1 << 3 | HAS_SIZE, 2, 7, 8, 6 << 3 | HAS_SIZE, 1, 9];
        for payload in [all_lengths, sizes_inside] {
            assert_eq!(
                frame(&mut receiver, &[(payload, true)]).as_ref(),
                Ok(&expected)
            );
        }
    }

    /// Payloads that cannot be, alone or one after the other.
    #[test]
    fn malformed() {
        let mut receiver = Av1Depacketizer::new();
        for bad in [
            &[][..],
            &[0x10],
            &[0x88, 1],
            &[0, 0],
            &[0, 9, 1],
            &[0x20, 9, 1],
        ] {
            assert!(receiver.inspect(bad).is_err(), "{bad:?}");
        }
        let first = (vec![0x50, 6 << 3, 1], false);
        let second = (vec![0x90, 2], true);
        let both = [first.clone(), second.clone()];
        assert_eq!(
            frame(&mut receiver, &both),
            Ok(vec![6 << 3 | HAS_SIZE, 2, 1, 2])
        );
        for bad in [
            vec![first.clone()],
            vec![second],
            vec![first.clone(), first],
            vec![(vec![0x30, 1, 8], true)],
        ] {
            assert!(frame(&mut receiver, &bad).is_err());
        }
        let mut none = |_: PayloadParts<'_>| panic!("there is nothing to send");
        assert!(
            Av1Packetizer
                .packetize(&[0x12, 0], &(), 100, &mut none)
                .is_err()
        );
    }
}
