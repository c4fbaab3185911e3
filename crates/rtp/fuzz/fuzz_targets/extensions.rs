//! Whatever value decodes encodes, to something that decodes to the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_rtp::extension::{
    AbsoluteCaptureTime, AbsoluteSendTime, AudioLevel, ColorSpace, CsrcAudioLevels,
    HeaderExtension, Mid, PlayoutDelay, RepairedRid, Rid, TransmissionOffset, TransportSequence,
    TransportSequenceV2, VideoContentType, VideoLayersAllocation, VideoOrientation, VideoTiming,
};

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let mut buffer = vec![0; data.len() * 2 + 64];
    match kind % 17 {
        0 => check::<AbsoluteCaptureTime>(data, &mut buffer),
        1 => check::<AbsoluteSendTime>(data, &mut buffer),
        2 => check::<AudioLevel>(data, &mut buffer),
        3 => check::<ColorSpace>(data, &mut buffer),
        4 => check::<CsrcAudioLevels>(data, &mut buffer),
        5 => check::<Mid<'_>>(data, &mut buffer),
        6 => check::<PlayoutDelay>(data, &mut buffer),
        7 => check::<RepairedRid<'_>>(data, &mut buffer),
        8 => check::<Rid<'_>>(data, &mut buffer),
        9 => check::<TransmissionOffset>(data, &mut buffer),
        10 => check::<TransportSequence>(data, &mut buffer),
        11 => check::<TransportSequenceV2>(data, &mut buffer),
        12 => check::<VideoContentType>(data, &mut buffer),
        13 => check::<VideoOrientation>(data, &mut buffer),
        14 => check::<VideoTiming>(data, &mut buffer),
        _ => check::<VideoLayersAllocation>(data, &mut buffer),
    }
});

fn check<'a, E: HeaderExtension<'a> + PartialEq + std::fmt::Debug>(
    data: &'a [u8],
    buffer: &'a mut [u8],
) {
    let Ok(value) = E::decode(data) else { return };
    let len = value.encoded_len();
    value
        .encode(&mut buffer[..len])
        .expect("what was decoded encodes");
    assert_eq!(E::decode(&buffer[..len]), Ok(value));
}
