use super::super::testing::base;
use super::*;
use crate::Timestamp;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn packet(sequence: u16, timestamp: u32) -> MediaPacket<Vec<u8>> {
    MediaPacket {
        sequence: SequenceNumber(sequence),
        timestamp: Timestamp(timestamp),
        marker: false,
        payload: vec![1; 100],
    }
}

fn insert(buffer: &mut JitterBuffer<Vec<u8>>, now: Instant, sequence: u16, timestamp: u32) -> bool {
    let packet = packet(sequence, timestamp);
    matches!(
        buffer.insert(now, packet, PacketOrigin::Direct),
        Buffered::Stored
    )
}

/// Sequence numbers released; a gap as a negative count.
fn release(buffer: &mut JitterBuffer<Vec<u8>>, now: Instant) -> Vec<i64> {
    std::iter::from_fn(|| buffer.poll(now))
        .map(|released| match released {
            Released::Packet(packet) => i64::from(packet.sequence.0),
            Released::Lost { count, .. } => -(count as i64),
        })
        .collect()
}

/// Order over the wrap, duplicates, an earlier packet in front of the first, and a gap that is
/// waited for as long as recovery may take.
#[test]
fn in_order() {
    let start = base();
    let mut buffer = JitterBuffer::new(JitterConfig::VIDEO, &Limits::default());
    buffer.set_recovery(ms(100));
    assert!(insert(&mut buffer, start, 65_535, 0));
    assert!(insert(&mut buffer, start, 65_534, 0));
    assert!(!insert(&mut buffer, start, 65_534, 0));
    assert!(insert(&mut buffer, start, 1, 0));
    assert_eq!(release(&mut buffer, start), [65_534, 65_535]);
    assert_eq!(buffer.poll_timeout(), Some(start + ms(100)));
    assert!(insert(&mut buffer, start + ms(50), 0, 0));
    assert_eq!(release(&mut buffer, start + ms(50)), [0, 1]);
    assert!(insert(&mut buffer, start + ms(60), 5, 0));
    assert!(insert(&mut buffer, start + ms(61), 3, 0));
    assert_eq!(release(&mut buffer, start + ms(160)), [0i64; 0]);
    assert_eq!(release(&mut buffer, start + ms(161)), [-1, 3, -1, 5]);
    assert!(!insert(&mut buffer, start + ms(170), 4, 0));
    let stats = buffer.stats();
    assert_eq!((stats.discarded, stats.duplicates, stats.lost), (1, 1, 2));
    assert_eq!(stats.emitted, 6);
}

/// Paced packets come out evenly, however unevenly they came, and a lost one is not waited for
/// beyond the moment it would be played.
#[test]
fn paced() {
    let start = base();
    let config = JitterConfig {
        min_delay: ms(60),
        ..JitterConfig::OPUS
    };
    let mut buffer = JitterBuffer::new(config, &Limits::default());
    let mut events: Vec<(u64, u16)> = (0..100u16)
        .filter(|index| index % 10 != 9)
        .map(|index| (u64::from(index) * 20 + u64::from(index % 3) * 20, index))
        .collect();
    events.sort_unstable();
    let mut released = Vec::new();
    let mut next = 0;
    for at in 0..2500 {
        while let Some((_, index)) = events.get(next).filter(|(due, _)| *due == at) {
            insert(&mut buffer, start + ms(at), *index, u32::from(*index) * 960);
            next += 1;
        }
        for number in release(&mut buffer, start + ms(at)) {
            released.push((at, number));
        }
    }
    let packets: Vec<_> = released.iter().filter(|(_, number)| *number >= 0).collect();
    assert_eq!(packets.len(), 90);
    for (at, number) in packets {
        assert_eq!(*at, *number as u64 * 20 + 60, "{number}");
    }
}

/// Neither number nor bytes nor time grow beyond the limits, and after polling there is room.
#[test]
fn bounded() {
    let start = base();
    let limits = Limits {
        assembler_packets: 64,
        assembler_bytes: 2_000,
        ..Limits::default()
    };
    let mut buffer = JitterBuffer::new(JitterConfig::VIDEO, &limits);
    buffer.set_recovery(Duration::from_secs(3600));
    let mut sequence = 0u16;
    for step in (0..5_000u32).map(|step| step % 90 + 1) {
        sequence = sequence.wrapping_add(step as u16);
        let mut result = buffer.insert(start, packet(sequence, 0), PacketOrigin::Direct);
        if let Buffered::Full(packet) = result {
            release(&mut buffer, start);
            result = buffer.insert(start, packet, PacketOrigin::Direct);
        }
        assert!(matches!(result, Buffered::Stored));
        assert!(buffer.span() <= 64 && buffer.bytes() <= 2_000);
    }
    release(&mut buffer, start + Duration::from_secs(2));
    assert_eq!((buffer.span(), buffer.bytes()), (0, 0));
    let mut large = packet(sequence, 0);
    large.payload = vec![0; 2_001];
    let result = buffer.insert(start, large, PacketOrigin::Direct);
    assert!(matches!(result, Buffered::TooLarge));
}

/// A packet that is both too far ahead and too large has room after one round of polling. (Found
/// by fuzzing.)
#[test]
fn too_far_and_too_large() {
    let start = base();
    let limits = Limits {
        assembler_packets: 64,
        assembler_bytes: 250,
        ..Limits::default()
    };
    let mut buffer = JitterBuffer::new(JitterConfig::OPUS, &limits);
    assert!(insert(&mut buffer, start, 0, 0));
    assert!(insert(&mut buffer, start, 60, 0));
    let result = buffer.insert(start, packet(64, 0), PacketOrigin::Direct);
    let Buffered::Full(packet) = result else {
        panic!("{result:?}");
    };
    assert_eq!(release(&mut buffer, start), [0, -59, 60]);
    let result = buffer.insert(start, packet, PacketOrigin::Direct);
    assert!(matches!(result, Buffered::Stored));
}
