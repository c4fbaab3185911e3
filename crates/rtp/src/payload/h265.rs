//! H.265 (RFC 7798) without decoding order numbers: single NAL units, aggregation packets,
//! fragmentation units. Frames are access units in Annex B.

use super::nal_units::{Syntax, UnitDepacketizer, UnitPacketizer};
use super::{Depacketizer, FrameStart, PacketInfo, PacketizeError, Packetizer, PayloadSink};
use crate::wire::BitReader;
use crate::{DecodeError, Limits};

/// Access units to payloads. Parameter sets are remembered and put before key frames that come
/// without; access unit delimiters and filler data are left out.
#[derive(Clone, Debug)]
pub struct H265Packetizer(UnitPacketizer<H265>);

impl H265Packetizer {
    /// Nothing remembered.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(UnitPacketizer::new(limits))
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
        self.0.packetize(frame, max_payload, sink)
    }
}

/// Payloads to access units in Annex B. Parameter sets are remembered and put before a key frame
/// that comes without, so that a decoder can begin there.
#[derive(Clone, Debug)]
pub struct H265Depacketizer(UnitDepacketizer<H265>);

impl H265Depacketizer {
    /// Nothing remembered.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(UnitDepacketizer::new(limits))
    }
}

impl Depacketizer for H265Depacketizer {
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        UnitDepacketizer::<H265>::inspect(payload)
    }

    fn begin(&mut self) {
        self.0.begin();
    }

    fn append(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.0.append(payload, frame)
    }

    fn finish(&mut self, _frame: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.0.finish()
    }
}

/// The headers of RFC 7798.
#[derive(Clone, Copy, Debug)]
struct H265;

impl Syntax for H265 {
    const HEADER: usize = 2;
    const PARAMETER_SETS: &'static [u8] = &[VPS, SPS, PPS];
    const SPS: u8 = SPS;
    const AGGREGATION: u8 = 48;
    const FRAGMENT: u8 = 49;

    fn kind(unit: &[u8]) -> u8 {
        unit.first().map_or(0, |head| head >> 1 & 0x3f)
    }

    fn is_single(kind: u8) -> bool {
        matches!(kind, 0..=47)
    }

    fn is_left_out(kind: u8) -> bool {
        matches!(kind, DELIMITER | FILLER)
    }

    /// Intra random access points: BLA, IDR, CRA (H.265 table 7-1).
    fn is_key(kind: u8) -> bool {
        matches!(kind, 16..=23)
    }

    /// Sub-layer non-reference pictures: the even ones (H.265 table 7-1).
    fn is_discardable(unit: &[u8]) -> bool {
        let kind = Self::kind(unit);
        kind < 16 && kind.is_multiple_of(2)
    }

    /// H.265 §7.4.2.4.4.
    fn starts_with(kind: u8, content: &[u8]) -> FrameStart {
        match kind {
            DELIMITER | VPS => FrameStart::Likely,
            // first_slice_segment_in_pic_flag.
            0..16 if content.first().is_some_and(|byte| byte & 0x80 != 0) => FrameStart::Likely,
            _ => FrameStart::Unknown,
        }
    }

    fn temporal(payload: &[u8]) -> Result<u8, DecodeError> {
        let second = payload.get(1).ok_or(DecodeError::Truncated)?;
        (second & 7)
            .checked_sub(1)
            .ok_or(DecodeError::Malformed("temporal id"))
    }

    fn parameter_set_id(unit: &[u8]) -> Option<u32> {
        match Self::kind(unit) {
            // vps_video_parameter_set_id: the first four bits (H.265 §7.3.2.1).
            VPS => unit.get(2).map(|byte| u32::from(byte >> 4)),
            // The id of an SPS stands behind profile and level of variable length (§7.3.2.2): the
            // first of them is enough, encoders for real-time use have one.
            SPS => Some(0),
            PPS => BitReader::new(unit.get(2..)?).exp_golomb().ok(),
            _ => None,
        }
    }

    /// The forbidden bit of any, the lowest layer and temporal id of all.
    fn aggregation_header(units: &[&[u8]]) -> [u8; 2] {
        let mut forbidden = 0;
        let (mut layer, mut temporal) = (0x3f, 7);
        for unit in units {
            let &[first, second, ..] = *unit else {
                continue;
            };
            forbidden |= first & 0x80;
            layer = layer.min((first & 1) << 5 | second >> 3);
            temporal = temporal.min(second & 7);
        }
        [
            forbidden | Self::AGGREGATION << 1 | layer >> 5,
            layer << 3 | temporal,
        ]
    }

    fn fragment_header(unit: &[u8]) -> [u8; 2] {
        with_kind(unit, Self::FRAGMENT)
    }

    fn fragmented_header(payload_header: &[u8], kind: u8) -> [u8; 2] {
        with_kind(payload_header, kind)
    }
}

/// The header of `unit`, of another kind.
fn with_kind(unit: &[u8], kind: u8) -> [u8; 2] {
    let [first, second] = unit.first_chunk().copied().unwrap_or_default();
    [first & 0x81 | kind << 1, second]
}

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const FILLER: u8 = 38;

#[cfg(test)]
mod tests {
    use super::super::nal::START_CODE;
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
        let aggregation = H265::AGGREGATION << 1;
        let fragment = H265::FRAGMENT << 1;
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
