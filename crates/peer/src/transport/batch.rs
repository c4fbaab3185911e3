//! Batches of encoded packets on their way from the driver to the writer.

use peerloom_dtls::{HEADROOM, TAILROOM};
use peerloom_sctp::PacketBatch;

use super::lock::assert_unlocked;

/// Packets encoded back to back, each with room around it for its record: once sealed in place,
/// the bytes are what goes on the wire. A few of these circulate per connection; having one free is
/// the permission to gather.
#[derive(Debug, Default)]
pub(crate) struct BatchBuffer {
    /// Initialised once and reused; `used` says how much of it counts.
    bytes: Vec<u8>,
    used: usize,
    /// Record lengths on the wire, head- and tailroom included.
    records: Vec<usize>,
}

impl BatchBuffer {
    /// Encodes every packet of `batch`, replacing what was here.
    pub(crate) fn encode(&mut self, batch: &PacketBatch) {
        assert_unlocked("encode");
        self.used = 0;
        self.records.clear();
        for i in 0..batch.len() {
            let packet = batch.encoded_len(i);
            let record = HEADROOM + packet + TAILROOM;
            let end = self.used + record;
            if self.bytes.len() < end {
                self.bytes.resize(end.max(MIN_BYTES), 0);
            }
            let start = self.used + HEADROOM;
            batch.encode(i, &mut self.bytes[start..start + packet]);
            self.records.push(record);
            self.used = end;
        }
    }

    /// How many packets it holds.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes of all records on the wire.
    pub(crate) fn bytes(&self) -> usize {
        self.used
    }

    /// Each record's bytes in turn, for sealing in place.
    pub(crate) fn records_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let mut rest = &mut self.bytes[..self.used];
        self.records.iter().map(move |&len| {
            let (record, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            record
        })
    }

    /// The records as runs of equal segments, only the last of each shorter, each at most
    /// `max_bytes` (and at least one record) long: what one system call can send.
    pub(crate) fn runs(&self, max_bytes: usize) -> impl Iterator<Item = Run<'_>> {
        let mut rest = &self.bytes[..self.used];
        let mut records = self.records.as_slice();
        std::iter::from_fn(move || {
            let segment = *records.first()?;
            let mut count = 1;
            let mut len = segment;
            while let Some(&next) = records.get(count) {
                if next > segment || len + next > max_bytes {
                    break;
                }
                count += 1;
                len += next;
                if next < segment {
                    break;
                }
            }
            records = &records[count..];
            let (contents, after) = rest.split_at(len);
            rest = after;
            Some(Run {
                contents,
                segment,
                count,
            })
        })
    }
}

/// Equal segments that leave in one system call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    pub(crate) contents: &'a [u8],
    pub(crate) segment: usize,
    pub(crate) count: usize,
}

/// Room for one full packet, so that a quiet connection allocates once.
const MIN_BYTES: usize = 1280;

#[cfg(test)]
mod tests {
    use super::*;

    fn with_records(records: &[usize]) -> BatchBuffer {
        let used = records.iter().sum();
        BatchBuffer {
            bytes: vec![0; used],
            used,
            records: records.to_vec(),
        }
    }

    fn counts(records: &[usize], max_bytes: usize) -> Vec<(usize, usize)> {
        with_records(records)
            .runs(max_bytes)
            .map(|r| (r.segment, r.count))
            .collect()
    }

    #[test]
    fn a_run_ends_with_a_shorter_segment_or_before_a_longer_one() {
        assert_eq!(counts(&[100, 100, 100], 65_000), [(100, 3)]);
        assert_eq!(counts(&[100, 100, 60, 100], 65_000), [(100, 3), (100, 1)]);
        assert_eq!(counts(&[60, 100, 100], 65_000), [(60, 1), (100, 2)]);
        assert_eq!(counts(&[], 65_000), []);
    }

    #[test]
    fn a_run_stays_below_the_limit_but_never_stalls() {
        assert_eq!(counts(&[100; 5], 250), [(100, 2), (100, 2), (100, 1)]);
        assert_eq!(counts(&[100; 2], 10), [(100, 1), (100, 1)]);
    }
}
