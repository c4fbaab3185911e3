//! Until when a closing channel waits for the peer.

use std::collections::VecDeque;
use std::time::Instant;

use crate::slab::ChannelKey;

/// Closing channels in the order in which they started to wait. All wait equally long, so the first
/// is the first to expire.
///
/// Never much longer than there are closing channels, see [`forget`](Self::forget).
#[derive(Debug, Default)]
pub(crate) struct Closings {
    waiting: VecDeque<(Instant, ChannelKey)>,
    /// Those of `waiting` that are still closing.
    alive: usize,
}

impl Closings {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(deadline, _)| *deadline)
    }

    pub(crate) fn watch(&mut self, deadline: Instant, key: ChannelKey) {
        self.waiting.push_back((deadline, key));
        self.alive += 1;
    }

    /// A channel that was closing is closed; `is_alive` knows the others.
    pub(crate) fn forget(&mut self, is_alive: impl Fn(ChannelKey) -> bool) {
        self.alive = self.alive.saturating_sub(1);
        while self.waiting.front().is_some_and(|(_, key)| !is_alive(*key)) {
            self.waiting.pop_front();
        }
        // Behind a channel that is never answered dead ones would pile up.
        if self.waiting.len() > 2 * self.alive + MIN_WAITING {
            self.waiting.retain(|(_, key)| is_alive(*key));
        }
    }

    /// The next channel whose time is over.
    pub(crate) fn pop_expired(
        &mut self,
        now: Instant,
        is_alive: impl Fn(ChannelKey) -> bool,
    ) -> Option<ChannelKey> {
        while self.deadline()? <= now {
            let (_, key) = self.waiting.pop_front()?;
            if is_alive(key) {
                self.alive = self.alive.saturating_sub(1);
                return Some(key);
            }
        }
        None
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Dead keys that are not worth a pass over the queue.
const MIN_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::slab::Slab;

    /// One channel whose peer never answers must not make every later one stay.
    #[test]
    fn the_queue_is_as_long_as_there_are_closing_channels() {
        #[expect(clippy::disallowed_methods, reason = "any moment will do")]
        let now = Instant::now();
        let mut alive = Slab::new();
        let mut closings = Closings::default();
        let unanswered = alive.insert(());
        closings.watch(now + Duration::from_secs(30), unanswered);
        for round in 0..10_000 {
            let key = alive.insert(());
            closings.watch(
                now + Duration::from_secs(30) + Duration::from_millis(round),
                key,
            );
            alive.remove(key);
            closings.forget(|key| alive.channel(key).is_some());
            assert!(closings.waiting.len() <= MIN_WAITING + 4);
        }
        let later = now + Duration::from_secs(300);
        assert_eq!(closings.pop_expired(now, |_| true), None);
        let is_alive = |key| alive.channel(key).is_some();
        assert_eq!(closings.pop_expired(later, is_alive), Some(unanswered));
        assert_eq!(closings.pop_expired(later, is_alive), None);
        assert_eq!(closings.deadline(), None);
    }
}
