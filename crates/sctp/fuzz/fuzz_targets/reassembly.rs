//! The receiving half under any sequence of DATA or I-DATA, FORWARD-TSN or I-FORWARD-TSN, resets and an application that takes
//! messages or not. Nothing panics; what it holds is bounded; once everything is taken and skipped
//! it holds nothing; SACKs fit and are in order.
#![no_main]

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use peerloom_sctp::serial::{Fsn, Mid};
use peerloom_sctp::sim::ReceiveHalf;
use peerloom_sctp::wire::{
    Data, DataFlags, ForwardTsn, IData, IForwardTsn, SkippedMessage, SkippedStream,
};
use peerloom_sctp::{Ppid, Ssn, StreamId, Tsn};

#[derive(Arbitrary, Debug)]
enum Op {
    Data {
        ahead: u8,
        far: bool,
        flags: u8,
        stream: u8,
        ssn: u8,
        fsn: u8,
        len: u16,
    },
    Forward {
        ahead: u16,
        stream: u8,
        ssn: u8,
    },
    Reset {
        stream: Option<u8>,
    },
    Take {
        count: u8,
    },
    Wait {
        ms: u8,
    },
}

const WINDOW: usize = 20_000;
const MAX_MESSAGE: usize = 30_000;

fuzz_target!(|input: (u32, bool, Vec<Op>)| {
    let (initial, interleaving, ops) = input;
    let mut now = Instant::now();
    let mut half = if interleaving {
        ReceiveHalf::interleaved(WINDOW, MAX_MESSAGE, 8, Tsn(initial))
    } else {
        ReceiveHalf::new(WINDOW, MAX_MESSAGE, 8, Tsn(initial))
    };
    let payload = [7; 3000];
    for op in ops {
        let cumulative = half.cumulative_tsn();
        let result = match op {
            Op::Data {
                ahead,
                far,
                flags,
                stream,
                ssn,
                fsn,
                len,
            } => {
                let ahead = u32::from(ahead) * if far { 256 } else { 1 };
                let mut known = DataFlags::NONE;
                let all = [
                    DataFlags::END,
                    DataFlags::BEGIN,
                    DataFlags::UNORDERED,
                    DataFlags::IMMEDIATE,
                ];
                for flag in all {
                    if u8::from(flag) & flags != 0 {
                        known = known.with(flag);
                    }
                }
                let payload = &payload[..usize::from(len) % (payload.len() + 1)];
                if interleaving {
                    let begin = known.is_begin();
                    let data = IData {
                        tsn: cumulative.plus(ahead).minus(2),
                        stream: StreamId(u16::from(stream % 9)),
                        // Around the wrap.
                        mid: Mid(u32::from(ssn).wrapping_sub(16)),
                        ppid: Ppid(53),
                        fsn: Fsn(if begin { 0 } else { fsn.into() }),
                        flags: known,
                        payload,
                    };
                    half.i_packet(now, &data).map(|_| ())
                } else {
                    let data = Data {
                        tsn: cumulative.plus(ahead).minus(2),
                        stream: StreamId(u16::from(stream % 9)),
                        ssn: Ssn(u16::from(ssn)),
                        ppid: Ppid(53),
                        flags: known,
                        payload,
                    };
                    half.packet(now, &[data]).map(|_| ())
                }
            }
            Op::Forward { ahead, stream, ssn } if interleaving => {
                let skipped = SkippedMessage {
                    stream: StreamId(stream.into()),
                    unordered: ssn % 2 == 0,
                    mid: Mid(u32::from(ssn / 2).wrapping_sub(16)),
                };
                let new_cumulative_tsn = cumulative.plus(ahead.into()).minus(2);
                half.i_forward(
                    now,
                    &IForwardTsn {
                        new_cumulative_tsn,
                        skipped: [skipped][..].into(),
                    },
                )
            }
            Op::Forward { ahead, stream, ssn } => {
                let skipped = SkippedStream {
                    stream: StreamId(stream.into()),
                    ssn: Ssn(ssn.into()),
                };
                let new_cumulative_tsn = cumulative.plus(ahead.into()).minus(2);
                half.forward(
                    now,
                    &ForwardTsn {
                        new_cumulative_tsn,
                        skipped: [skipped][..].into(),
                    },
                )
            }
            Op::Reset { stream } => {
                half.reset_streams(stream.map(|id| StreamId(id.into())).as_slice());
                Ok(())
            }
            Op::Take { count } => {
                for _ in 0..count {
                    let Some(message) = half.poll_message() else {
                        break;
                    };
                    assert!(!message.payload.is_empty() && message.payload.len() <= MAX_MESSAGE);
                    half.release(now, message.cost);
                }
                Ok(())
            }
            Op::Wait { ms } => {
                now += Duration::from_millis(ms.into());
                Ok(())
            }
        };
        if result.is_err() {
            return;
        }
        while let Some(sack) = half.poll_sack(now, 400) {
            assert!(16 + 4 * (sack.gaps.len() + sack.duplicates.len()) <= 400);
            assert!(
                sack.gaps
                    .iter()
                    .all(|gap| gap.start <= gap.end && gap.start > 1)
            );
            assert!(
                sack.gaps
                    .windows(2)
                    .all(|pair| pair[0].end + 1 < pair[1].start)
            );
        }
        assert!(
            half.held() <= 2 * WINDOW + MAX_MESSAGE + 8192,
            "{}",
            half.held()
        );
    }
    // Everything outstanding is given up, everything complete is taken.
    let last = half.cumulative_tsn().plus(65_535);
    let forward = ForwardTsn {
        new_cumulative_tsn: last,
        skipped: [][..].into(),
    };
    let i_forward = IForwardTsn {
        new_cumulative_tsn: last,
        skipped: [][..].into(),
    };
    let over = if interleaving {
        half.i_forward(now, &i_forward)
    } else {
        half.forward(now, &forward)
    };
    if over.is_ok() {
        half.reset_streams(&[]);
        while let Some(message) = half.poll_message() {
            half.release(now, message.cost);
        }
        assert_eq!(half.held(), 0);
    }
});
