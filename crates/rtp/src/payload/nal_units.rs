//! How H.264 (RFC 6184) and H.265 (RFC 7798) carry NAL units: alone, several in a payload, or one in
//! several. What differs, the headers, is a [`Syntax`].

use std::marker::PhantomData;

use super::nal::{Group, ParameterSets, START_CODE, annex_b};
use super::{FrameStart, PacketInfo, PacketizeError, PayloadParts, PayloadSink, even_parts, room};
use crate::wire::Reader;
use crate::{DecodeError, Limits};

/// Headers and numbers of one format.
pub(super) trait Syntax {
    /// Bytes of a NAL unit's header, 1 or 2; shorter units cannot be.
    const HEADER: usize;
    /// Kinds of parameter sets, in the order in which they refer to each other.
    const PARAMETER_SETS: &'static [u8];
    const SPS: u8;
    const AGGREGATION: u8;
    const FRAGMENT: u8;

    /// `nal_unit_type`.
    fn kind(unit: &[u8]) -> u8;

    /// Whether a payload of this kind is one NAL unit.
    fn is_single(kind: u8) -> bool;

    /// Whether units of this kind are not sent: delimiters and filler data.
    fn is_left_out(kind: u8) -> bool;

    /// Whether a picture of this kind can be decoded without any other.
    fn is_key(kind: u8) -> bool;

    /// Whether no other picture refers to the one of which this is a unit, or its header.
    fn is_discardable(unit: &[u8]) -> bool;

    /// Whether a unit that goes on with `content` begins an access unit, as far as it says. A key
    /// frame's slice does not count: its parameter sets stand before it.
    fn starts_with(kind: u8, content: &[u8]) -> FrameStart;

    /// The temporal layer in a payload's header.
    fn temporal(payload: &[u8]) -> Result<u8, DecodeError>;

    /// The id of a parameter set; None for other units.
    fn parameter_set_id(unit: &[u8]) -> Option<u32>;

    /// The payload header for an aggregation of these units, in the first bytes.
    fn aggregation_header(units: &[&[u8]]) -> [u8; 2];

    /// The payload header for fragments of a unit, in the first bytes.
    fn fragment_header(unit: &[u8]) -> [u8; 2];

    /// The header of the unit in fragments with this payload header, in the first bytes.
    fn fragmented_header(payload_header: &[u8], kind: u8) -> [u8; 2];
}

/// Access units in Annex B to payloads.
#[derive(Clone, Debug)]
pub(super) struct UnitPacketizer<S> {
    sets: ParameterSets,
    syntax: PhantomData<S>,
}

impl<S: Syntax> UnitPacketizer<S> {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            sets: ParameterSets::new(limits.parameter_set),
            syntax: PhantomData,
        }
    }

    pub(super) fn packetize(
        &mut self,
        frame: &[u8],
        max_payload: usize,
        sink: &mut impl PayloadSink,
    ) -> Result<(), PacketizeError> {
        let kept =
            annex_b(frame).filter(|unit| unit.len() >= S::HEADER && !S::is_left_out(S::kind(unit)));
        let (mut is_key, mut has_sps) = (false, false);
        for unit in kept.clone() {
            remember::<S>(&mut self.sets, unit);
            is_key |= S::is_key(S::kind(unit));
            has_sps |= S::kind(unit) == S::SPS;
        }
        let is_bare = is_key && !has_sps;
        let sets = known_sets::<S>(&self.sets).filter(|_| is_bare);
        let mut units = sets.chain(kept).peekable();
        if units.peek().is_none() {
            return Err(DecodeError::Malformed("no NAL unit").into());
        }
        let mut group = Group::new();
        while let Some(unit) = units.next() {
            let last = units.peek().is_none();
            if group.take(unit, S::HEADER, max_payload) {
                if last {
                    aggregate::<S>(&group, true, sink);
                }
                continue;
            }
            if !group.units().is_empty() {
                aggregate::<S>(&group, false, sink);
                group.clear();
            }
            if unit.len() > max_payload {
                fragment::<S>(unit, max_payload, last, sink)?;
            } else if last || !group.take(unit, S::HEADER, max_payload) {
                sink.payload(PayloadParts {
                    parts: &[unit],
                    marker: last,
                });
            }
        }
        Ok(())
    }
}

/// Payloads to access units in Annex B.
#[derive(Clone, Debug)]
pub(super) struct UnitDepacketizer<S> {
    sets: ParameterSets,
    /// Where the NAL unit that is being put together begins in the frame.
    fragment: Option<usize>,
    has_sps: bool,
    syntax: PhantomData<S>,
}

impl<S: Syntax> UnitDepacketizer<S> {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            sets: ParameterSets::new(limits.parameter_set),
            fragment: None,
            has_sps: false,
            syntax: PhantomData,
        }
    }

    pub(super) fn inspect(payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        let content = payload.get(S::HEADER..).ok_or(DecodeError::Truncated)?;
        let mut info = PacketInfo {
            temporal: S::temporal(payload)?,
            ..PacketInfo::default()
        };
        match S::kind(payload) {
            kind if kind == S::AGGREGATION => {
                let mut units = aggregated::<S>(payload)?;
                if let Some(unit) = units.clone().next() {
                    info.start = S::starts_with(S::kind(unit), &unit[S::HEADER..]);
                }
                info.discardable = units.clone().all(S::is_discardable);
                info.key_frame = units.any(|unit| S::is_key(S::kind(unit)));
            }
            kind if kind == S::FRAGMENT => {
                let fragment = Fragment::parse::<S>(payload)?;
                let kind = S::kind(&fragment.header);
                info.key_frame = S::is_key(kind);
                info.discardable = S::is_discardable(&fragment.header);
                info.start = if fragment.is_first {
                    S::starts_with(kind, fragment.content)
                } else {
                    FrameStart::No
                };
            }
            kind if S::is_single(kind) => {
                info.key_frame = S::is_key(kind);
                info.discardable = S::is_discardable(payload);
                info.start = S::starts_with(kind, content);
            }
            _ => return Err(DecodeError::Unsupported("NAL unit type")),
        }
        Ok(info)
    }

    pub(super) fn begin(&mut self) {
        self.fragment = None;
        self.has_sps = false;
    }

    pub(super) fn append(
        &mut self,
        payload: &[u8],
        frame: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        if payload.len() < S::HEADER {
            return Err(DecodeError::Truncated);
        }
        let kind = S::kind(payload);
        if self.fragment.is_some() && kind != S::FRAGMENT {
            return Err(DecodeError::Malformed("NAL unit within a fragmented one"));
        }
        match kind {
            kind if kind == S::AGGREGATION => {
                for unit in aggregated::<S>(payload)? {
                    self.unit(unit, frame);
                }
            }
            kind if kind == S::FRAGMENT => {
                let fragment = Fragment::parse::<S>(payload)?;
                if fragment.is_first != self.fragment.is_none() {
                    return Err(DecodeError::Malformed("start of a fragmented NAL unit"));
                }
                if fragment.is_first {
                    self.before(S::kind(&fragment.header), frame);
                    frame.extend_from_slice(&START_CODE);
                    self.fragment = Some(frame.len());
                    frame.extend_from_slice(&fragment.header[..S::HEADER]);
                }
                frame.extend_from_slice(fragment.content);
                if fragment.is_last
                    && let Some(unit) = self.fragment.take().and_then(|at| frame.get(at..))
                {
                    remember::<S>(&mut self.sets, unit);
                }
            }
            kind if S::is_single(kind) => self.unit(payload, frame),
            _ => return Err(DecodeError::Unsupported("NAL unit type")),
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        match self.fragment.take() {
            None => Ok(()),
            Some(_) => Err(DecodeError::Truncated),
        }
    }

    fn unit(&mut self, unit: &[u8], frame: &mut Vec<u8>) {
        self.before(S::kind(unit), frame);
        remember::<S>(&mut self.sets, unit);
        frame.extend_from_slice(&START_CODE);
        frame.extend_from_slice(unit);
    }

    /// What has to stand before a unit of this kind.
    fn before(&mut self, kind: u8, frame: &mut Vec<u8>) {
        self.has_sps |= kind == S::SPS;
        if S::is_key(kind) && !self.has_sps {
            for set in known_sets::<S>(&self.sets) {
                frame.extend_from_slice(&START_CODE);
                frame.extend_from_slice(set);
            }
            self.has_sps = true;
        }
    }
}

/// A part of a NAL unit (RFC 6184 §5.8, RFC 7798 §4.4.3).
struct Fragment<'a> {
    /// The unit's, in the first bytes.
    header: [u8; 2],
    is_first: bool,
    is_last: bool,
    content: &'a [u8],
}

impl<'a> Fragment<'a> {
    fn parse<S: Syntax>(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let (payload_header, rest) = payload
            .split_at_checked(S::HEADER)
            .ok_or(DecodeError::Truncated)?;
        let (&flags, content) = rest.split_first().ok_or(DecodeError::Truncated)?;
        let (is_first, is_last) = (flags & START != 0, flags & END != 0);
        if is_first && is_last && content.is_empty() {
            return Err(DecodeError::Truncated);
        }
        Ok(Self {
            header: S::fragmented_header(payload_header, flags & KIND),
            is_first,
            is_last,
            content,
        })
    }
}

/// A NAL unit alone, or an aggregation (RFC 6184 §5.7.1, RFC 7798 §4.4.2).
fn aggregate<S: Syntax>(group: &Group<'_>, marker: bool, sink: &mut impl PayloadSink) {
    let header = S::aggregation_header(group.units());
    group.parts(&header[..S::HEADER], |parts| {
        sink.payload(PayloadParts { parts, marker });
    });
}

fn fragment<S: Syntax>(
    unit: &[u8],
    max: usize,
    last_unit: bool,
    sink: &mut impl PayloadSink,
) -> Result<(), PacketizeError> {
    let room = room(max, S::HEADER + 1)?;
    let header = S::fragment_header(unit);
    let mut start = START;
    for (part, last) in even_parts(&unit[S::HEADER..], room) {
        let end = if last { END } else { 0 };
        sink.payload(PayloadParts {
            parts: &[&header[..S::HEADER], &[start | end | S::kind(unit)], part],
            marker: last && last_unit,
        });
        start = 0;
    }
    Ok(())
}

/// The units of an aggregation, all of them checked.
fn aggregated<S: Syntax>(
    payload: &[u8],
) -> Result<impl Iterator<Item = &[u8]> + Clone, DecodeError> {
    let content = payload.get(S::HEADER..).unwrap_or_default();
    let mut check = Reader::new(content);
    while !check.is_empty() {
        let len = usize::from(check.u16()?);
        if len < S::HEADER {
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

fn remember<S: Syntax>(sets: &mut ParameterSets, unit: &[u8]) {
    if let Some(id) = S::parameter_set_id(unit) {
        sets.remember(S::kind(unit), id, unit);
    }
}

fn known_sets<S: Syntax>(sets: &ParameterSets) -> impl Iterator<Item = &[u8]> + Clone {
    S::PARAMETER_SETS
        .iter()
        .flat_map(|kind| sets.of_kind(*kind))
}

const START: u8 = 0x80;
const END: u8 = 0x40;
const KIND: u8 = 0x3f;
