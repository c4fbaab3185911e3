//! The example, on both captures.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../examples/ivf_roundtrip.rs"]
#[expect(dead_code, reason = "the example's main")]
mod example;

use std::path::Path;

use peerloom_rtp::Limits;
use peerloom_rtp::container::IvfReader;

fn frames(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut reader = IvfReader::new(file, &Limits::default()).unwrap();
    let mut frame = Vec::new();
    std::iter::from_fn(|| Some((reader.read(&mut frame).unwrap()?, frame.clone()))).collect()
}

/// Without loss the file is identical; with loss it is the same without the frames that lost
/// packets.
#[test]
fn identical_where_nothing_was_lost() {
    // Timestamps of VP8 in the captures, counted by another program.
    for (capture, first_frames) in [("chromium-156", 54), ("firefox-153", 57)] {
        let name = format!("tests/data/{capture}-rtp-plain.pcap");
        let capture = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let first = example::ivf_from_capture(&capture).unwrap();
        let sent = frames(&first);
        let (second, summary) = example::roundtrip(&first, 0).unwrap();
        assert_eq!(
            (summary.frames, summary.complete),
            (first_frames, first_frames)
        );
        assert!(summary.packets >= summary.frames);
        assert_eq!(second, first);

        let (second, summary) = example::roundtrip(&first, 10).unwrap();
        assert!(summary.lost > 0 && summary.complete < summary.frames);
        let received = frames(&second);
        assert_eq!(received.len(), summary.complete);
        let start = received[0].0;
        let offset = sent
            .iter()
            .find(|(_, frame)| *frame == received[0].1)
            .unwrap()
            .0;
        for (timestamp, frame) in &received {
            let at = timestamp - start + offset;
            assert!(sent.contains(&(at, frame.clone())), "{at}");
        }
    }
}
