//! Two associations over a bad link, into which a stranger puts packets of his own, some with the
//! right verification tag. Nothing panics, and nothing runs away.
#![no_main]

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peerloom_sctp::StreamId;
use peerloom_sctp::sim::{Endpoint, LinkConfig, Pair, Side};

#[derive(Arbitrary, Debug)]
enum Op {
    Send {
        from_a: bool,
        stream: u8,
        len: u16,
    },
    Reset {
        from_a: bool,
        stream: u8,
    },
    Run {
        ms: u8,
    },
    /// Chunks behind a right common header.
    Forge {
        to_a: bool,
        own_tag: bool,
        chunks: Vec<u8>,
    },
    Restart,
    Shutdown {
        from_a: bool,
    },
}

fuzz_target!(|input: (u64, Vec<Op>)| {
    let (seed, ops) = input;
    let mut pair = Pair::of_associations(&LinkConfig::adverse(seed), seed, Instant::now());
    pair.connect();
    let mut tags = [0; 2];
    for op in ops.into_iter().take(64) {
        let side = |a| if a { Side::A } else { Side::B };
        match op {
            Op::Send {
                from_a,
                stream,
                len,
            } => {
                let _ = pair.send(side(from_a), stream.into(), &vec![1; len.into()]);
            }
            Op::Reset { from_a, stream } => {
                let now = pair.now();
                let association = &mut pair.host(side(from_a)).association;
                let _ = association.reset_streams(now, &[StreamId(stream.into())]);
            }
            Op::Run { ms } => pair.run_for(Duration::from_millis(ms.into())),
            Op::Forge {
                to_a,
                own_tag,
                chunks,
            } => {
                let now = pair.now();
                // What the end sends next shows the tag of the other one.
                let mut seen = None;
                pair.host(side(!to_a)).transmit(now, &mut |datagram| {
                    seen = datagram
                        .get(4..8)
                        .map(|tag| tag.try_into().expect("four bytes"));
                });
                let index = usize::from(to_a);
                if let Some(tag) = seen.map(u32::from_be_bytes).filter(|tag| *tag != 0) {
                    tags[index] = tag;
                }
                let tag: u32 = if own_tag { tags[index] } else { 0 };
                let mut packet = vec![0x13, 0x88, 0x13, 0x88];
                packet.extend(tag.to_be_bytes());
                packet.extend([0; 4]);
                packet.extend(chunks);
                let crc = crc32c::crc32c(&packet);
                packet[8..12].copy_from_slice(&crc.to_le_bytes());
                pair.host(side(to_a)).handle_datagrams(now, &[packet]);
            }
            Op::Restart => pair.connect(),
            Op::Shutdown { from_a } => {
                let now = pair.now();
                pair.host(side(from_a)).association.shutdown(now);
            }
        }
    }
    pair.run_for(Duration::from_secs(2));
});
