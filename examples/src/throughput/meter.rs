//! The messages of a measurement, and the receiver's count of them.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;

/// Shared by the sender, the receiver and whoever measures.
///
/// The order of the receiver's counts means nothing to each other: relaxed throughout.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    messages: AtomicU64,
    bad: AtomicU64,
    gaps: AtomicU64,
    /// Messages up to the highest sequence number seen, of all flows.
    top: AtomicU64,
    sent: AtomicU64,
    low_events: AtomicU64,
    stop: AtomicBool,
}

/// Where one flow's receiver is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// The sequence number that would come next in order.
    next: u64,
    /// One more than the highest sequence number seen.
    top: u64,
}

/// A reading of a [`Meter`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Application bytes received.
    pub bytes: u64,
    /// Messages received.
    pub messages: u64,
    /// Messages with a wrong length, or whose two sequence numbers differ.
    pub bad: u64,
    /// Messages that did not follow the one before (an error on an ordered, reliable channel).
    pub gaps: u64,
    /// Messages up to the highest sequence number received, of all flows.
    pub top: u64,
    /// Messages accepted for sending.
    pub sent: u64,
    /// How often the sender was told that the queue is low again.
    pub low_events: u64,
}

impl Meter {
    /// Counts a message of `flow` that should be `size` bytes long.
    pub fn received(&self, flow: &mut Flow, message: &[u8], size: usize) {
        match sequence(message, size) {
            Some(number) => {
                if number != flow.next {
                    self.gaps.fetch_add(1, Relaxed);
                }
                flow.next = number + 1;
                if flow.next > flow.top {
                    self.top.fetch_add(flow.next - flow.top, Relaxed);
                    flow.top = flow.next;
                }
            }
            None => {
                self.bad.fetch_add(1, Relaxed);
            }
        }
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(message.len() as u64, Relaxed);
    }

    /// Notes that a connection has accepted so many messages more.
    pub fn sent(&self, messages: u64) {
        self.sent.fetch_add(messages, Relaxed);
    }

    /// Notes that the queue ran low and the sender goes on.
    pub fn low_event(&self) {
        self.low_events.fetch_add(1, Relaxed);
    }

    /// Tells the sender that the measurement is over.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Whether the measurement is over.
    pub fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// All counts as they are now.
    pub fn counts(&self) -> Counts {
        Counts {
            bytes: self.bytes.load(Relaxed),
            messages: self.messages.load(Relaxed),
            bad: self.bad.load(Relaxed),
            gaps: self.gaps.load(Relaxed),
            top: self.top.load(Relaxed),
            sent: self.sent.load(Relaxed),
            low_events: self.low_events.load(Relaxed),
        }
    }
}

impl Counts {
    /// The share of messages that never came, in percent, against the highest number that did.
    pub fn lost_percent(&self) -> f64 {
        if self.top == 0 {
            return 0.0;
        }
        (100.0 * (1.0 - self.messages as f64 / self.top as f64)).max(0.0)
    }
}

/// Makes messages as an application would: one allocation and one copy each.
#[derive(Clone, Debug)]
pub struct Messages {
    template: Vec<u8>,
}

impl Messages {
    /// Messages of `size` bytes, at least 8.
    pub fn new(size: usize) -> Self {
        assert!(
            size >= NUMBER,
            "a message holds its number: {size} < {NUMBER} bytes"
        );
        Self {
            template: (0..size).map(|i| (i * 31 + 7) as u8).collect(),
        }
    }

    /// A new message. Its number stands first and, where there is room, last, so that a receiver
    /// notices both reordering and a badly reassembled message.
    pub fn numbered(&self, number: u64) -> Bytes {
        let mut message = self.template.clone();
        let number = number.to_le_bytes();
        let len = message.len();
        message[..NUMBER].copy_from_slice(&number);
        if len >= 2 * NUMBER {
            message[len - NUMBER..].copy_from_slice(&number);
        }
        Bytes::from(message)
    }
}

/// The number of a message, or nothing if its length or its second number is wrong.
pub fn sequence(message: &[u8], size: usize) -> Option<u64> {
    let first = message.first_chunk::<NUMBER>()?;
    let whole = message.len() == size
        && (size < 2 * NUMBER || message.last_chunk::<NUMBER>() == Some(first));
    whole.then(|| u64::from_le_bytes(*first))
}

const NUMBER: usize = size_of::<u64>();

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this a stack that mixes up two messages could pass for correct.
    #[test]
    fn damage_is_counted() {
        let (meter, mut flow) = (Meter::default(), Flow::default());
        let messages = Messages::new(100);
        meter.received(&mut flow, &messages.numbered(0), 100);
        meter.received(&mut flow, &messages.numbered(1), 100);
        let mut mixed = messages.numbered(2).to_vec();
        mixed[92] ^= 1;
        meter.received(&mut flow, &mixed, 100);
        meter.received(&mut flow, &messages.numbered(2)[..99], 100);
        meter.received(&mut flow, &[], 100);
        let counts = meter.counts();
        assert_eq!((counts.messages, counts.bad, counts.gaps), (5, 3, 0));
    }

    #[test]
    fn holes_and_repeats_are_gaps() {
        let (meter, mut flow) = (Meter::default(), Flow::default());
        let messages = Messages::new(8);
        for number in [0, 1, 3, 3, 4] {
            meter.received(&mut flow, &messages.numbered(number), 8);
        }
        assert_eq!(meter.counts().gaps, 2);
        assert_eq!(meter.counts().top, 5);
        assert!(meter.counts().lost_percent() < f64::EPSILON);
    }

    /// Two connections measured at once: neither's numbers are gaps of the other.
    #[test]
    fn flows_are_counted_together_and_ordered_apart() {
        let (meter, mut flows) = (Meter::default(), [Flow::default(); 2]);
        let messages = Messages::new(8);
        for number in 0..10 {
            for flow in &mut flows {
                meter.received(flow, &messages.numbered(number), 8);
            }
        }
        let counts = meter.counts();
        assert_eq!((counts.messages, counts.gaps, counts.top), (20, 0, 20));
    }
}
