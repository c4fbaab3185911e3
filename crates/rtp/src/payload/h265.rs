//! H.265 (RFC 7798) without decoding order numbers: single NAL units, aggregation packets,
//! fragmentation units. Frames are access units in Annex B.

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
pub struct H265Packetizer {
    sets: ParameterSets,
}

impl H265Packetizer {
    /// Nothing remembered.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            sets: ParameterSets::new(limits.parameter_set),
        }
    }
}

impl Packetizer for H265Packetizer {
    type FrameInfo = ();

    fn packetize<S: PayloadSink>(
        &mut self,
        frame: &[u8],
        (): &(),
        max_payload: usize,
        sink: &mut S,
    ) -> Result<(), PacketizeError> {
        // A header is two bytes long; shorter units cannot be.
        let kept = annex_b(frame)
            .filter(|unit| unit.len() >= 2 && !matches!(kind(unit), DELIMITER | FILLER));
        let (mut is_key, mut has_sps) = (false, false);
        for unit in kept.clone() {
            remember(&mut self.sets, unit);
            is_key |= is_irap(kind(unit));
            has_sps |= kind(unit) == SPS;
        }
        let add = is_key && !has_sps;
        let sets = self
            .sets
            .of_kind(VPS)
            .chain(self.sets.of_kind(SPS))
            .chain(self.sets.of_kind(PPS));
        let mut units = sets.filter(|_| add).chain(kept).peekable();
        if units.peek().is_none() {
            return Err(DecodeError::Malformed("no NAL unit").into());
        }
        let mut group = Group::new();
        while let Some(unit) = units.next() {
            let last = units.peek().is_none();
            if group.take(unit, 2, max_payload) {
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
            } else if last || !group.take(unit, 2, max_payload) {
                sink.payload(PayloadParts {
                    parts: &[unit],
                    marker: last,
                });
            }
        }
        Ok(())
    }
}

/// A NAL unit alone, or an aggregation packet (§4.4.2).
fn aggregate<S: PayloadSink>(group: &Group<'_>, marker: bool, sink: &mut S) {
    // The forbidden bit of any, the lowest layer and temporal id of all.
    let mut forbidden = 0;
    let (mut layer, mut temporal) = (0x3f, 7);
    for unit in group.units() {
        forbidden |= unit[0] & 0x80;
        layer = layer.min((unit[0] & 1) << 5 | unit[1] >> 3);
        temporal = temporal.min(unit[1] & 7);
    }
    let header = [
        forbidden | AGGREGATION << 1 | layer >> 5,
        layer << 3 | temporal,
    ];
    group.parts(&header, |parts| {
        sink.payload(PayloadParts { parts, marker })
    });
}

/// Fragmentation units (§4.4.3).
fn fragment<S: PayloadSink>(
    unit: &[u8],
    max: usize,
    last_unit: bool,
    sink: &mut S,
) -> Result<(), PacketizeError> {
    let room = room(max, 3)?;
    let head = [unit[0] & 0x81 | FRAGMENT << 1, unit[1]];
    let mut start = FU_START;
    for (part, last) in even_parts(&unit[2..], room) {
        let end = if last { FU_END } else { 0 };
        let header = [head[0], head[1], start | end | kind(unit)];
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
pub struct H265Depacketizer {
    sets: ParameterSets,
    /// Where the NAL unit that is being put together begins in the frame.
    fragment: Option<usize>,
    has_sps: bool,
}

impl H265Depacketizer {
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
        if is_irap(kind) && !self.has_sps {
            for kind in [VPS, SPS, PPS] {
                for set in self.sets.of_kind(kind) {
                    frame.extend_from_slice(&START_CODE);
                    frame.extend_from_slice(set);
                }
            }
            self.has_sps = true;
        }
    }
}

impl Depacketizer for H265Depacketizer {
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        let (head, content) = payload
            .split_first_chunk::<2>()
            .ok_or(DecodeError::Truncated)?;
        let temporal = (head[1] & 7)
            .checked_sub(1)
            .ok_or(DecodeError::Malformed("temporal id"))?;
        let mut info = PacketInfo {
            temporal,
            ..PacketInfo::default()
        };
        match head[0] >> 1 & 0x3f {
            AGGREGATION => {
                let mut units = aggregated(content)?;
                if let Some(unit) = units.clone().next() {
                    info.start = starts_with(kind(unit), &unit[2..]);
                }
                info.discardable = units.clone().all(|unit| is_discardable(kind(unit)));
                info.key_frame = units.any(|unit| is_irap(kind(unit)));
            }
            FRAGMENT => {
                let (_, flags, content) = fragmented(payload)?;
                let kind = payload[2] & 0x3f;
                info.key_frame = is_irap(kind);
                info.discardable = is_discardable(kind);
                info.start = match flags & FU_START {
                    0 => FrameStart::No,
                    _ => starts_with(kind, content),
                };
            }
            kind @ 0..=47 => {
                info.key_frame = is_irap(kind);
                info.discardable = is_discardable(kind);
                info.start = starts_with(kind, content);
            }
            _ => return Err(DecodeError::Unsupported("H.265 packet type")),
        }
        Ok(info)
    }

    fn begin(&mut self) {
        self.fragment = None;
        self.has_sps = false;
    }

    fn append(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        let (head, content) = payload
            .split_first_chunk::<2>()
            .ok_or(DecodeError::Truncated)?;
        let kind = head[0] >> 1 & 0x3f;
        if self.fragment.is_some() && kind != FRAGMENT {
            return Err(DecodeError::Malformed("NAL unit within a fragmented one"));
        }
        match kind {
            AGGREGATION => {
                for unit in aggregated(content)? {
                    self.unit(unit, frame);
                }
            }
            FRAGMENT => {
                let (head, flags, content) = fragmented(payload)?;
                if (flags & FU_START != 0) != self.fragment.is_none() {
                    return Err(DecodeError::Malformed("fragmentation unit start"));
                }
                if self.fragment.is_none() {
                    self.before(head[0] >> 1 & 0x3f, frame);
                    frame.extend_from_slice(&START_CODE);
                    self.fragment = Some(frame.len());
                    frame.extend_from_slice(&head);
                }
                frame.extend_from_slice(content);
                if flags & FU_END != 0
                    && let Some(unit) = self.fragment.take().and_then(|at| frame.get(at..))
                {
                    remember(&mut self.sets, unit);
                }
            }
            0..=47 => self.unit(payload, frame),
            _ => return Err(DecodeError::Unsupported("H.265 packet type")),
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

/// Whether a NAL unit that goes on with `content` begins an access unit (H.265 §7.4.2.4.4), as far
/// as it says. A key frame's slice does not count: its parameter sets stand before it.
fn starts_with(kind: u8, content: &[u8]) -> FrameStart {
    match kind {
        DELIMITER | VPS => FrameStart::Likely,
        // first_slice_segment_in_pic_flag.
        0..16 if content.first().is_some_and(|byte| byte & 0x80 != 0) => FrameStart::Likely,
        _ => FrameStart::Unknown,
    }
}

/// The units of an aggregation packet, all of them checked.
fn aggregated(content: &[u8]) -> Result<impl Iterator<Item = &[u8]> + Clone, DecodeError> {
    let mut check = Reader::new(content);
    while !check.is_empty() {
        let len = usize::from(check.u16()?);
        if len < 2 {
            return Err(DecodeError::Malformed("NAL unit without a header"));
        }
        check.take(len)?;
    }
    let mut reader = Reader::new(content);
    Ok(std::iter::from_fn(move || {
        let len = reader.u16().ok()?;
        reader.take(len.into()).ok()
    }))
}

/// The NAL unit's header, the flags and the content of a fragmentation unit.
fn fragmented(payload: &[u8]) -> Result<([u8; 2], u8, &[u8]), DecodeError> {
    let (&[a, b, header], content) = payload
        .split_first_chunk::<3>()
        .ok_or(DecodeError::Truncated)?;
    Ok(([a & 0x81 | (header & 0x3f) << 1, b], header & 0xc0, content))
}

fn remember(sets: &mut ParameterSets, unit: &[u8]) {
    let id = match kind(unit) {
        // vps_video_parameter_set_id: the first four bits (H.265 §7.3.2.1).
        VPS => unit.get(2).map(|byte| u32::from(byte >> 4)),
        // The id of an SPS stands behind profile and level of variable length (§7.3.2.2): the
        // first of them is enough, encoders for real-time use have one.
        SPS => Some(0),
        PPS => unit
            .get(2..)
            .and_then(|rest| BitReader::new(rest).exp_golomb().ok()),
        _ => return,
    };
    if let Some(id) = id {
        sets.remember(kind(unit), id, unit);
    }
}

/// `nal_unit_type`.
fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |head| head >> 1 & 0x3f)
}

/// Intra random access points: BLA, IDR, CRA (H.265 table 7-1).
const fn is_irap(kind: u8) -> bool {
    matches!(kind, 16..=23)
}

/// Sub-layer non-reference pictures: the even ones (H.265 table 7-1).
const fn is_discardable(kind: u8) -> bool {
    kind < 16 && kind.is_multiple_of(2)
}

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const FILLER: u8 = 38;
const AGGREGATION: u8 = 48;
const FRAGMENT: u8 = 49;
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

    fn unit(kind: u8, len: usize) -> Vec<u8> {
        let mut unit = content(len, kind);
        unit[0] = kind << 1;
        unit[1] = 1;
        unit[2] |= 0x80;
        unit
    }

    /// Small units share a payload, large ones are fragmented, all come back in order.
    #[test]
    fn access_units() {
        let limits = Limits::default();
        let mut sender = H265Packetizer::new(&limits);
        let mut receiver = H265Depacketizer::new(&limits);
        let sets = [unit(VPS, 20), unit(SPS, 30), unit(PPS, 7)];
        let idr = unit(19, 900);
        let key = units(&[&sets[0], &sets[1], &sets[2], &idr]);
        for max in [40, 100, 899, 900, 901, 2000] {
            let sent = payloads(&mut sender, &key, &(), max);
            assert_eq!(frame(&mut receiver, &sent), Ok(key.clone()), "{max}");
            assert_eq!(
                receiver.inspect(&sent[0].0).unwrap().start,
                FrameStart::Likely
            );
            assert!(
                sent.iter()
                    .any(|(payload, _)| receiver.inspect(payload).unwrap().key_frame)
            );
        }
        let bare = payloads(&mut H265Packetizer::new(&limits), &units(&[&idr]), &(), 100);
        assert_eq!(frame(&mut receiver, &bare), Ok(key.clone()));
        assert_eq!(
            frame(
                &mut receiver,
                &payloads(&mut sender, &units(&[&idr]), &(), 100)
            ),
            Ok(key)
        );

        let delta = units(&[&unit(1, 50), &unit(0, 3), &unit(1, 200)]);
        for max in [4, 10, 60, 1000] {
            let sent = payloads(&mut sender, &delta, &(), max);
            assert_eq!(frame(&mut receiver, &sent), Ok(delta.clone()), "{max}");
        }
    }

    /// Payloads that cannot be, alone or one after the other.
    #[test]
    fn malformed() {
        let mut receiver = H265Depacketizer::new(&Limits::default());
        let aggregation = AGGREGATION << 1;
        let fragment = FRAGMENT << 1;
        for bad in [
            &[][..],
            &[2],
            &[2, 0],
            &[aggregation, 1, 0],
            &[aggregation, 1, 0, 1, 5],
            &[aggregation, 1, 0, 3, 5, 5],
            &[fragment, 1],
            &[50 << 1, 1, 0],
        ] {
            assert!(receiver.inspect(bad).is_err(), "{bad:?}");
        }
        let start = (vec![fragment, 1, 0x80 | 19, 1], false);
        let end = (vec![fragment, 1, 0x40 | 19, 2], true);
        assert_eq!(
            frame(&mut receiver, &[start.clone(), end.clone()]),
            Ok(units(&[&[38, 1, 1, 2]]))
        );
        for bad in [vec![start.clone()], vec![end], vec![start.clone(), start]] {
            assert!(frame(&mut receiver, &bad).is_err());
        }
    }
}
