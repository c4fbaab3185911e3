//! H.264 (RFC 6184), packetization mode 1: single NAL units, STAP-A, FU-A. Frames are access units
//! in Annex B.

use super::nal_units::{Syntax, UnitDepacketizer, UnitPacketizer};
use super::{Depacketizer, FrameStart, PacketInfo, PacketizeError, Packetizer, PayloadSink};
use crate::wire::BitReader;
use crate::{DecodeError, Limits};

/// Access units to payloads. Parameter sets are remembered and put before key frames that come
/// without; access unit delimiters and filler data are left out.
#[derive(Clone, Debug)]
pub struct H264Packetizer(UnitPacketizer<H264>);

impl H264Packetizer {
    /// Nothing remembered.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(UnitPacketizer::new(limits))
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
        self.0.packetize(frame, max_payload, sink)
    }
}

/// Payloads to access units in Annex B. Parameter sets are remembered and put before a key frame
/// that comes without, so that a decoder can begin there.
#[derive(Clone, Debug)]
pub struct H264Depacketizer(UnitDepacketizer<H264>);

impl H264Depacketizer {
    /// Nothing remembered.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(UnitDepacketizer::new(limits))
    }
}

impl Depacketizer for H264Depacketizer {
    fn inspect(&self, payload: &[u8]) -> Result<PacketInfo, DecodeError> {
        UnitDepacketizer::<H264>::inspect(payload)
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

/// The headers of RFC 6184.
#[derive(Clone, Copy, Debug)]
struct H264;

impl Syntax for H264 {
    const HEADER: usize = 1;
    const PARAMETER_SETS: &'static [u8] = &[SPS, PPS];
    const SPS: u8 = SPS;
    /// STAP-A.
    const AGGREGATION: u8 = 24;
    /// FU-A.
    const FRAGMENT: u8 = 28;

    fn kind(unit: &[u8]) -> u8 {
        unit.first().map_or(0, |head| head & 0x1f)
    }

    fn is_single(kind: u8) -> bool {
        matches!(kind, 1..=23)
    }

    fn is_left_out(kind: u8) -> bool {
        matches!(kind, DELIMITER | FILLER)
    }

    fn is_key(kind: u8) -> bool {
        kind == IDR
    }

    /// `nal_ref_idc` is 0.
    fn is_discardable(unit: &[u8]) -> bool {
        unit.first().is_some_and(|head| head & 0x60 == 0)
    }

    /// H.264 §7.4.1.2.3.
    fn starts_with(kind: u8, content: &[u8]) -> FrameStart {
        match kind {
            DELIMITER | SPS => FrameStart::Likely,
            // first_mb_in_slice is 0: a single one bit.
            SLICE if content.first().is_some_and(|byte| byte & 0x80 != 0) => FrameStart::Likely,
            _ => FrameStart::Unknown,
        }
    }

    fn temporal(_payload: &[u8]) -> Result<u8, DecodeError> {
        Ok(0)
    }

    /// The first Exp-Golomb code, in an SPS after profile and level (§7.3.2).
    fn parameter_set_id(unit: &[u8]) -> Option<u32> {
        let skip = match Self::kind(unit) {
            SPS => 4,
            PPS => 1,
            _ => return None,
        };
        BitReader::new(unit.get(skip..)?).exp_golomb().ok()
    }

    /// The forbidden bit of any, the highest importance of all (§5.7).
    fn aggregation_header(units: &[&[u8]]) -> [u8; 2] {
        let heads = units.iter().filter_map(|unit| unit.first());
        let forbidden = heads.clone().fold(0, |bits, head| bits | head & 0x80);
        let importance = heads.map(|head| head & 0x60).max().unwrap_or(0);
        [forbidden | importance | Self::AGGREGATION, 0]
    }

    fn fragment_header(unit: &[u8]) -> [u8; 2] {
        let head = unit.first().map_or(0, |head| head & 0xe0);
        [head | Self::FRAGMENT, 0]
    }

    fn fragmented_header(payload_header: &[u8], kind: u8) -> [u8; 2] {
        let head = payload_header.first().map_or(0, |head| head & 0xe0);
        [head | kind & 0x1f, 0]
    }
}

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;

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
        let mut none = |_: super::super::PayloadParts<'_>| panic!("there is nothing to send");
        assert!(
            H264Packetizer::new(&Limits::default())
                .packetize(&[1, 2], &(), 100, &mut none)
                .is_err()
        );
    }
}
