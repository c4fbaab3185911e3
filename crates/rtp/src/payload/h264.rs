//! H.264 (RFC 6184), packetization mode 1: single NAL units, STAP-A, FU-A. Frames are access units
//! in Annex B.

use super::nal::{Group, ParameterSets, START_CODE, annex_b};
use super::{
    Depacketizer, FrameStart, PacketInfo, PacketizeError, Packetizer, PayloadParts, PayloadSink,
    even_parts, room,
};
use crate::wire::{BitReader, Reader};
use crate::{DecodeError, Limits};

/// Access units to payloads. Parameter sets are remembered and put before key frames that come
/// without; access unit delimiters and filler data are left out.
#[derive(Clone, Debug)]
pub struct H264Packetizer {
    sets: ParameterSets,
}

impl H264Packetizer {
    /// Nothing remembered.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            sets: ParameterSets::new(limits.parameter_set),
        }
    }
}

impl Packetizer for H264Packetizer {
    type FrameInfo = ();

    fn packetize<S: PayloadSink>(
        &mut self,
        frame: &[u8],
        (): &(),
        max_payload: usize,
        sink: &mut S,
    ) -> Result<(), PacketizeError> {
        let kept = annex_b(frame).filter(|unit| !matches!(kind(unit), DELIMITER | FILLER));
        let (mut is_key, mut has_sps) = (false, false);
        for unit in kept.clone() {
            remember(&mut self.sets, unit);
            is_key |= kind(unit) == IDR;
            has_sps |= kind(unit) == SPS;
        }
        let add = usize::from(is_key && !has_sps);
        let sets = self.sets.of_kind(SPS).chain(self.sets.of_kind(PPS));
        let mut units = sets.filter(|_| add == 1).chain(kept).peekable();
        if units.peek().is_none() {
            return Err(DecodeError::Malformed("no NAL unit").into());
        }
        let mut group = Group::new();
        while let Some(unit) = units.next() {
            let last = units.peek().is_none();
            if group.take(unit, 1, max_payload) {
                if last {
                    aggregate(&group, true, sink);
                }
                continue;
            }
            if !group.units().is_empty() {
                aggregate(&group, false, sink);
                group.clear();
            }
            if unit.len() > max_payload {
                fragment(unit, max_payload, last, sink)?;
            } else if last || !group.take(unit, 1, max_payload) {
                sink.payload(PayloadParts {
                    parts: &[unit],
                    marker: last,
                });
            }
        }
        Ok(())
    }
}

/// A NAL unit alone, or STAP-A (§5.7.1).
fn aggregate<S: PayloadSink>(group: &Group<'_>, marker: bool, sink: &mut S) {
    let heads = group.units().iter().map(|unit| unit[0]);
    // The forbidden bit of any, the highest importance of all (§5.7).
    let forbidden = heads.clone().fold(0, |bits, head| bits | head & 0x80);
    let importance = heads.map(|head| head & 0x60).max().unwrap_or(0);
    let header = [forbidden | importance | STAP_A];
    group.parts(&header, |parts| {
        sink.payload(PayloadParts { parts, marker })
    });
}

/// FU-A (§5.8).
fn fragment<S: PayloadSink>(
    unit: &[u8],
    max: usize,
    last_unit: bool,
    sink: &mut S,
) -> Result<(), PacketizeError> {
    let room = room(max, 2)?;
    let indicator = unit[0] & 0xe0 | FU_A;
    let mut start = FU_START;
    for (part, last) in even_parts(&unit[1..], room) {
        let end = if last { FU_END } else { 0 };
        let header = [indicator, start | end | kind(unit)];
        sink.payload(PayloadParts {
            parts: &[&header, part],
            marker: last && last_unit,
        });
        start = 0;
    }
    Ok(())
}

/// Payloads to access units in Annex B. Parameter sets are remembered and put before a key frame
/// that comes without, so that a decoder can begin there.
#[derive(Clone, Debug)]
pub struct H264Depacketizer {
    sets: ParameterSets,
    /// Where the NAL unit that is being put together begins in the frame.
    fragment: Option<usize>,
    has_sps: bool,
}

impl H264Depacketizer {
    /// Nothing remembered.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            sets: ParameterSets::new(limits.parameter_set),
            fragment: None,
            has_sps: false,
        }
    }

    fn unit(&mut self, unit: &[u8], frame: &mut Vec<u8>) {
        self.before(kind(unit), frame);
        remember(&mut self.sets, unit);
        frame.extend_from_slice(&START_CODE);
        frame.extend_from_slice(unit);
    }

    /// What has to stand before a unit of this kind.
    fn before(&mut self, kind: u8, frame: &mut Vec<u8>) {
        self.has_sps |= kind == SPS;
        if kind == IDR && !self.has_sps {
            for set in self.sets.of_kind(SPS).chain(self.sets.of_kind(PPS)) {
                frame.extend_from_slice(&START_CODE);
                frame.extend_from_slice(set);
            }
            self.has_sps = true;
        }
    }
}

impl Depacketizer for H264Depacketizer {
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        let first = *payload.first().ok_or(DecodeError::Truncated)?;
        let mut info = PacketInfo {
            discardable: first & 0x60 == 0,
            ..PacketInfo::default()
        };
        match first & 0x1f {
            STAP_A => {
                let mut units = stap_a(payload)?;
                if let Some(unit) = units.clone().next() {
                    info.start = starts_with(kind(unit), &unit[1..]);
                }
                info.key_frame = units.any(|unit| kind(unit) == IDR);
            }
            FU_A => {
                let (head, flags, content) = fu_a(payload)?;
                info.key_frame = head & 0x1f == IDR;
                info.start = match flags & FU_START {
                    0 => FrameStart::No,
                    _ => starts_with(head & 0x1f, content),
                };
            }
            kind @ 1..=23 => {
                info.key_frame = kind == IDR;
                info.start = starts_with(kind, &payload[1..]);
            }
            _ => return Err(DecodeError::Unsupported("H.264 packet type")),
        }
        Ok(info)
    }

    fn begin(&mut self) {
        self.fragment = None;
        self.has_sps = false;
    }

    fn append(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        let first = *payload.first().ok_or(DecodeError::Truncated)?;
        if self.fragment.is_some() && first & 0x1f != FU_A {
            return Err(DecodeError::Malformed("NAL unit within a fragmented one"));
        }
        match first & 0x1f {
            STAP_A => {
                for unit in stap_a(payload)? {
                    self.unit(unit, frame);
                }
            }
            FU_A => {
                let (head, flags, content) = fu_a(payload)?;
                if (flags & FU_START != 0) != self.fragment.is_none() {
                    return Err(DecodeError::Malformed("FU-A start"));
                }
                if self.fragment.is_none() {
                    self.before(head & 0x1f, frame);
                    frame.extend_from_slice(&START_CODE);
                    self.fragment = Some(frame.len());
                    frame.push(head);
                }
                frame.extend_from_slice(content);
                if flags & FU_END != 0
                    && let Some(unit) = self.fragment.take().and_then(|at| frame.get(at..))
                {
                    remember(&mut self.sets, unit);
                }
            }
            1..=23 => self.unit(payload, frame),
            _ => return Err(DecodeError::Unsupported("H.264 packet type")),
        }
        Ok(())
    }

    fn finish(&mut self, _frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        match self.fragment.take() {
            None => Ok(()),
            Some(_) => Err(DecodeError::Truncated),
        }
    }
}

/// Whether a NAL unit that begins with `content` begins an access unit (H.264 §7.4.1.2.3), as far
/// as it says. An IDR slice does not count: its parameter sets stand before it.
fn starts_with(kind: u8, content: &[u8]) -> FrameStart {
    match kind {
        DELIMITER | SPS => FrameStart::Likely,
        // first_mb_in_slice is 0: a single one bit.
        SLICE if content.first().is_some_and(|byte| byte & 0x80 != 0) => FrameStart::Likely,
        _ => FrameStart::Unknown,
    }
}

/// The units of a STAP-A, all of them checked.
fn stap_a(payload: &[u8]) -> Result<impl Iterator<Item = &[u8]> + Clone, DecodeError> {
    let next = |reader: &mut Reader<'_>| {
        let len = reader.u16()?;
        if len == 0 {
            return Err(DecodeError::Malformed("empty NAL unit"));
        }
        Ok(len)
    };
    let content = payload.get(1..).unwrap_or_default();
    let mut check = Reader::new(content);
    while !check.is_empty() {
        let len = next(&mut check)?;
        check.take(len.into())?;
    }
    let mut reader = Reader::new(content);
    Ok(std::iter::from_fn(move || {
        let len = reader.u16().ok()?;
        reader.take(len.into()).ok()
    }))
}

/// The NAL unit's header, the flags and the content of an FU-A.
fn fu_a(payload: &[u8]) -> Result<(u8, u8, &[u8]), DecodeError> {
    let (&[indicator, header], content) = payload
        .split_first_chunk::<2>()
        .ok_or(DecodeError::Truncated)?;
    if header & (FU_START | FU_END) == FU_START | FU_END && content.is_empty() {
        return Err(DecodeError::Truncated);
    }
    Ok((indicator & 0xe0 | header & 0x1f, header & 0xc0, content))
}

fn remember(sets: &mut ParameterSets, unit: &[u8]) {
    // The id is the first Exp-Golomb code, in an SPS after profile and level (§7.3.2).
    let skip = match kind(unit) {
        SPS => 4,
        PPS => 1,
        _ => return,
    };
    let id = unit
        .get(skip..)
        .map(|rest| BitReader::new(rest).exp_golomb());
    if let Some(Ok(id)) = id {
        sets.remember(kind(unit), id, unit);
    }
}

/// `nal_unit_type`; 0, which is unspecified, for an empty unit.
fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |head| head & 0x1f)
}

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::super::testing::{content, frame, payloads};
    use super::*;

    fn units(units: &[&[u8]]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&START_CODE[..], unit].concat())
            .collect()
    }

    fn slice(head: u8, len: usize) -> Vec<u8> {
        let mut unit = content(len, head);
        unit[0] = head;
        unit[1] |= 0x80;
        unit
    }

    const TEST_SPS: &[u8] = &[0x67, 0x42, 0, 0x1f, 0x80];
    const TEST_PPS: &[u8] = &[0x68, 0xce, 0x3c];

    /// Small units share a payload, large ones are fragmented, all come back in order.
    #[test]
    fn access_units() {
        let limits = Limits::default();
        let mut sender = H264Packetizer::new(&limits);
        let mut receiver = H264Depacketizer::new(&limits);
        let idr = slice(0x65, 900);
        let key = units(&[TEST_SPS, TEST_PPS, &idr]);
        for max in [50, 100, 899, 900, 901, 2000] {
            let sent = payloads(&mut sender, &key, &(), max);
            assert_eq!(frame(&mut receiver, &sent), Ok(key.clone()), "{max}");
            let info = receiver.inspect(&sent[0].0).unwrap();
            assert_eq!(info.start, FrameStart::Likely);
            assert!(
                sent.iter()
                    .any(|(payload, _)| receiver.inspect(payload).unwrap().key_frame)
            );
        }
        assert_eq!(payloads(&mut sender, &key, &(), 920).len(), 1);
        assert_eq!(payloads(&mut sender, &key, &(), 900).len(), 2);
        let many: Vec<_> = (0..30).map(|index| slice(0x41, 3 + index)).collect();
        let many: Vec<_> = many.iter().map(Vec::as_slice).collect();
        let delta = units(&many);
        for max in [3, 10, 40, 1000] {
            let sent = payloads(&mut sender, &delta, &(), max);
            assert_eq!(frame(&mut receiver, &sent), Ok(delta.clone()), "{max}");
            assert!(!receiver.inspect(&sent[0].0).unwrap().key_frame);
        }
    }

    /// A key frame without parameter sets gets the latest; one with its own keeps those.
    #[test]
    fn parameter_sets_are_remembered() {
        let limits = Limits::default();
        let idr = slice(0x65, 20);
        let bare = units(&[&idr]);
        let full = units(&[TEST_SPS, TEST_PPS, &idr]);
        let mut sender = H264Packetizer::new(&limits);
        assert_eq!(payloads(&mut sender, &bare, &(), 1000).len(), 1);
        payloads(&mut sender, &full, &(), 1000);
        let sent = payloads(&mut sender, &bare, &(), 1000);
        assert_eq!(
            frame(&mut H264Depacketizer::new(&limits), &sent),
            Ok(full.clone())
        );

        let mut receiver = H264Depacketizer::new(&limits);
        frame(&mut receiver, &sent).unwrap();
        for max in [10, 1000] {
            let bare_sent = payloads(&mut H264Packetizer::new(&limits), &bare, &(), max);
            assert_eq!(frame(&mut receiver, &bare_sent), Ok(full.clone()));
        }
        let delimited = units(&[&[9, 0xf0], TEST_SPS, TEST_PPS, &idr, &[12, 0xff]]);
        let sent = payloads(&mut sender, &delimited, &(), 1000);
        assert_eq!(frame(&mut receiver, &sent), Ok(full));
    }

    /// Payloads that cannot be, alone or one after the other.
    #[test]
    fn malformed() {
        let mut receiver = H264Depacketizer::new(&Limits::default());
        for bad in [
            &[][..],
            &[24, 0],
            &[24, 0, 0],
            &[24, 0, 2, 1],
            &[28],
            &[28, 0xc5],
            &[25, 1],
            &[0, 1],
        ] {
            assert!(receiver.inspect(bad).is_err(), "{bad:?}");
        }
        let start = (vec![0x7c, 0x85, 1], false);
        let middle = (vec![0x7c, 0x05, 2], false);
        let end = (vec![0x7c, 0x45, 3], false);
        let ok = [start.clone(), middle.clone(), end.clone()];
        assert_eq!(frame(&mut receiver, &ok), Ok(units(&[&[0x65, 1, 2, 3]])));
        for bad in [
            &ok[..2],
            &ok[1..],
            &[start.clone(), ok[0].clone()],
            &[start, (vec![0x65, 1], true)],
        ] {
            assert!(frame(&mut receiver, bad).is_err());
        }
        let mut none = |_: PayloadParts<'_>| panic!("there is nothing to send");
        assert!(
            H264Packetizer::new(&Limits::default())
                .packetize(&[1, 2], &(), 100, &mut none)
                .is_err()
        );
    }
}
