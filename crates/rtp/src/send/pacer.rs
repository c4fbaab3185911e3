//! Spreads packets over time, so that a frame does not fill the queues of the path at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Holds packets until the rate allows for them, the most important first. `T` stands for a packet.
/// One per transport. Its queues keep the room that they once needed.
#[derive(Debug)]
pub struct Pacer<T> {
    config: PacerConfig,
    queues: [VecDeque<Queued<T>>; Priority::ALL.len()],
    /// Bits per second.
    rate: u64,
    /// When the next packet may go.
    ready: Option<Instant>,
    bytes: usize,
}

#[derive(Debug)]
struct Queued<T> {
    item: T,
    len: usize,
    since: Instant,
}

/// What goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Not held up, but counted: later packets make up for it.
    Audio,
    /// Somebody is waiting for it.
    Retransmission,
    /// Video.
    Video,
    /// FEC.
    Repair,
    /// To probe the path.
    Padding,
}

impl Priority {
    const ALL: [Self; 5] = [
        Self::Audio,
        Self::Retransmission,
        Self::Video,
        Self::Repair,
        Self::Padding,
    ];
}

/// What a [`Pacer`] holds, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacerConfig {
    /// Packets of one priority held.
    pub packets: usize,
    /// Bytes held.
    pub bytes: usize,
    /// What may go at once after a pause, and how early a packet may go: timers are not exact.
    pub burst: Duration,
    /// The rate is exceeded so that what waits is gone after about this time.
    pub max_wait: Duration,
}

impl Default for PacerConfig {
    fn default() -> Self {
        Self {
            packets: 1024,
            bytes: 4 << 20,
            burst: Duration::from_millis(5),
            max_wait: Duration::from_secs(2),
        }
    }
}

/// There is no room for a packet, which is handed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pacer holds {bytes} bytes already")]
pub struct PacerFull<T> {
    /// The packet.
    pub item: T,
    /// Bytes held.
    pub bytes: usize,
}

/// A packet to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paced<T> {
    /// The packet.
    pub item: T,
    /// Its priority.
    pub priority: Priority,
    /// How long it was held.
    pub waited: Duration,
}

impl<T> Pacer<T> {
    /// Empty; `rate` in bit/s.
    #[must_use]
    pub fn new(config: PacerConfig, rate: u64) -> Self {
        Self {
            queues: std::array::from_fn(|_| VecDeque::new()),
            rate: rate.max(MIN_RATE),
            ready: None,
            bytes: 0,
            config,
        }
    }

    /// Sets the rate, in bit/s, from the next packet on.
    pub fn set_rate(&mut self, rate: u64) {
        self.rate = rate.max(MIN_RATE);
    }

    /// Takes a packet of `len` bytes.
    ///
    /// # Errors
    /// No room: frames have to be dropped before they are encoded.
    pub fn push(
        &mut self,
        now: Instant,
        priority: Priority,
        len: usize,
        item: T,
    ) -> Result<(), PacerFull<T>> {
        let bytes = self.bytes;
        let queue = &mut self.queues[priority as usize];
        if queue.len() >= self.config.packets || bytes + len > self.config.bytes {
            return Err(PacerFull { item, bytes });
        }
        self.bytes += len;
        queue.push_back(Queued {
            item,
            len,
            since: now,
        });
        Ok(())
    }

    /// The next packet that may go. Call it until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Paced<T>> {
        let priority = self.next()?;
        if priority != Priority::Audio && self.ready.is_some_and(|ready| ready > now) {
            return None;
        }
        let rate = self.effective_rate();
        let queued = self.queues[priority as usize].pop_front()?;
        self.bytes -= queued.len;
        // What was not sent during a pause is not saved up beyond the burst.
        let earliest = now.checked_sub(self.config.burst).unwrap_or(now);
        let from = self.ready.map_or(earliest, |ready| ready.max(earliest));
        let nanos = (queued.len as u64).saturating_mul(8_000_000_000) / rate;
        // Audio beyond the rate must not keep the others waiting for ever.
        let ready = from + Duration::from_nanos(nanos);
        self.ready = Some(ready.min(now + self.config.max_wait));
        Some(Paced {
            item: queued.item,
            priority,
            waited: now.saturating_duration_since(queued.since),
        })
    }

    /// When to call [`Self::poll`] again; it may be in the past. None if nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let priority = self.next()?;
        let since = self.queues[priority as usize].front()?.since;
        let ready = self.ready.filter(|_| priority != Priority::Audio);
        Some(ready.map_or(since, |ready| ready.max(since)))
    }

    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next().is_none()
    }

    fn next(&self) -> Option<Priority> {
        Priority::ALL
            .into_iter()
            .find(|priority| !self.queues[*priority as usize].is_empty())
    }

    fn effective_rate(&self) -> u64 {
        let max_wait = self.config.max_wait.as_millis().max(1) as u64;
        self.rate.max(self.bytes as u64 * 8_000 / max_wait)
    }
}

/// bit/s; a rate of zero would hold packets for ever.
const MIN_RATE: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::super::super::receive::testing::base;
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// At 1 Mbit/s a packet of 1,250 bytes goes every 10 ms, whatever was saved up before.
    #[test]
    fn rate() {
        let start = base();
        let mut pacer = Pacer::new(PacerConfig::default(), 1_000_000);
        for round in 0..2 {
            let begin = start + Duration::from_secs(round * 10);
            for index in 0..20 {
                pacer.push(begin, Priority::Video, 1250, index).unwrap();
            }
            let (mut now, mut sent) = (begin, Vec::new());
            while let Some(at) = pacer.poll_timeout() {
                now = now.max(at);
                while let Some(paced) = pacer.poll(now) {
                    assert_eq!(paced.waited, now - begin);
                    sent.push((now - begin, paced.item));
                }
            }
            assert_eq!(sent.len(), 20);
            assert_eq!(sent[0], (ms(0), 0));
            assert!(sent.iter().map(|(_, item)| *item).eq(0..20));
            assert_eq!(sent[19].0, ms(185));
            assert!(pacer.is_empty());
        }
    }

    /// Audio does not wait for anything; a retransmission goes before video, video before FEC.
    #[test]
    fn priorities() {
        let start = base();
        let mut pacer = Pacer::new(PacerConfig::default(), 1_000_000);
        for priority in Priority::ALL.into_iter().rev() {
            pacer.push(start, priority, 10_000, priority).unwrap();
        }
        assert_eq!(pacer.poll(start).unwrap().item, Priority::Audio);
        assert_eq!(pacer.poll(start), None);
        pacer
            .push(start, Priority::Audio, 100, Priority::Audio)
            .unwrap();
        assert_eq!(pacer.poll_timeout(), Some(start));
        assert_eq!(pacer.poll(start).unwrap().item, Priority::Audio);
        let mut order = Vec::new();
        while let Some(now) = pacer.poll_timeout() {
            order.push(pacer.poll(now).unwrap().item);
        }
        assert_eq!(order, Priority::ALL[1..]);
    }

    /// More audio than the rate allows for leaves something to the others.
    #[test]
    fn no_starvation() {
        let start = base();
        let mut pacer = Pacer::new(PacerConfig::default(), 10_000);
        pacer.push(start, Priority::Video, 1000, 0).unwrap();
        pacer.push(start, Priority::Video, 1000, 0).unwrap();
        for at in 0..50 {
            let now = start + ms(at * 20);
            pacer.push(now, Priority::Audio, 1000, 0).unwrap();
            assert_eq!(pacer.poll(now).unwrap().priority, Priority::Audio);
        }
        let next = pacer.poll_timeout().unwrap();
        assert!(next <= start + ms(980 + 2000));
        assert_eq!(pacer.poll(next).unwrap().priority, Priority::Video);
    }

    /// Neither time nor bytes nor number grow: what does not fit comes back, and a queue that the
    /// rate could not empty is gone in time.
    #[test]
    fn bounded() {
        let start = base();
        let mut pacer = Pacer::new(PacerConfig::default(), 0);
        let mut pushed = 0;
        while pacer.push(start, Priority::Video, 1200, pushed).is_ok() {
            pushed += 1;
        }
        assert_eq!(pushed, 1024);
        let mut now = start;
        // The rate falls with the queue: an exponential decay, halved every 1.4 s.
        while pacer.bytes() > 1024 * 1200 / 8 {
            now = pacer.poll_timeout().unwrap().max(now);
            pacer.poll(now);
        }
        assert!(now - start < ms(4500), "{:?}", now - start);
    }
}
