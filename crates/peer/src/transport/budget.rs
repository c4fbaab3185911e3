//! How much an application may have queued: the send buffer's limit.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Mutex, Notify};

/// Bytes in use against a limit. Whoever finds no room waits in line; nothing is dropped.
///
/// A message larger than the whole limit is let in when nothing else is queued, so that every
/// message the peer accepts can be sent.
#[derive(Debug)]
pub(crate) struct SendBudget {
    limit: AtomicUsize,
    used: AtomicUsize,
    /// The waiter at the head of the line is woken once `used` is down to this.
    wake_at: AtomicUsize,
    waiting: AtomicUsize,
    line: Mutex<()>,
    room: Notify,
    closed: AtomicBool,
}

/// The budget's owner is gone: there will never be room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetClosed;

impl SendBudget {
    pub(crate) fn new(limit: usize) -> Self {
        SendBudget {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            wake_at: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            line: Mutex::new(()),
            room: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire)
    }

    /// Another limit, for those who wait too.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::SeqCst);
        self.room.notify_one();
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Takes `bytes` if there is room and nobody waits.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        self.waiting.load(Ordering::Acquire) == 0 && self.take_if_room(bytes)
    }

    /// Takes `bytes`, waiting in line for room. Cancel-safe: a dropped wait has taken nothing.
    pub(crate) async fn take(&self, bytes: usize) -> Result<(), BudgetClosed> {
        if self.try_take(bytes) {
            return Ok(());
        }
        let _waiting = Waiting::enter(&self.waiting);
        let _head = self.line.lock().await;
        // Much has to come free before a waiter is woken, so that one wake-up moves many messages,
        // but not so much that filling it keeps a worker busy for long. A large message may need
        // more.
        loop {
            let room = self.room.notified();
            let limit = self.limit();
            let wake_at = (limit / 2).max(limit.saturating_sub(step(bytes)));
            let wake_at = wake_at.min(limit.saturating_sub(bytes));
            self.wake_at.store(wake_at, Ordering::SeqCst);
            if self.closed.load(Ordering::Acquire) {
                return Err(BudgetClosed);
            }
            if self.used.load(Ordering::SeqCst) <= wake_at && self.take_if_room(bytes) {
                return Ok(());
            }
            room.await;
        }
    }

    /// Takes `bytes` for one that has little queued, if need be of the reserve, and past those who wait:
    /// a few small messages do not queue up behind megabytes of another channel.
    pub(crate) fn try_take_reserve(&self, bytes: usize) -> bool {
        let limit = self.limit();
        self.take_up_to(limit + limit / RESERVE, bytes)
    }

    /// Takes `bytes` whatever is there: the rest of a message whose size was not known when it found
    /// room.
    pub(crate) fn take_beyond(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Gives `bytes` back.
    pub(crate) fn give(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::SeqCst);
        debug_assert!(before >= bytes, "gave back {bytes} of {before}");
        if self.waiting.load(Ordering::SeqCst) > 0
            && before - bytes <= self.wake_at.load(Ordering::SeqCst)
        {
            self.room.notify_one();
        }
    }

    /// Wakes everybody who waits, for good.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.room.notify_one();
    }

    fn take_if_room(&self, bytes: usize) -> bool {
        self.take_up_to(self.limit(), bytes)
    }

    fn take_up_to(&self, limit: usize, bytes: usize) -> bool {
        self.used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                let after = used.checked_add(bytes)?;
                (used == 0 || after <= limit).then_some(after)
            })
            .is_ok()
    }
}

/// The reserve is this part of the limit, on top of it.
const RESERVE: usize = 4;

/// Counts a waiter for as long as it waits, dropped or not.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What comes free before a waiter with a message of `bytes` is woken: about 80 µs of making messages
/// that are copied once. Filling half of a large buffer with large ones at once kept a worker busy for
/// 300 µs, for which acknowledgements waited.
fn step(bytes: usize) -> usize {
    if bytes > LARGE { STEP } else { 4 * STEP }
}

const STEP: usize = 128 << 10;

/// Messages above this take fresh memory each, which costs more than copying them.
const LARGE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_message_above_the_limit_goes_alone() {
        let budget = SendBudget::new(100);
        assert!(budget.try_take(500));
        assert!(!budget.try_take(1));
        budget.give(500);
        assert!(budget.try_take(100));
        assert!(!budget.try_take(1));
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_are_served_in_order_and_a_dropped_one_takes_nothing() {
        let budget = Arc::new(SendBudget::new(100));
        assert!(budget.try_take(100));
        let dropped = tokio::time::timeout(Duration::from_millis(1), budget.take(10)).await;
        assert!(dropped.is_err());
        let mut waiters = tokio::task::JoinSet::new();
        for size in [60, 1] {
            let budget = budget.clone();
            waiters.spawn(async move { budget.take(size).await.map(|()| size) });
            tokio::task::yield_now().await;
        }
        assert!(!budget.try_take(0), "nobody overtakes the line");
        budget.give(60);
        assert_eq!(
            waiters.join_next().await.map(|r| r.ok()),
            Some(Some(Ok(60)))
        );
        budget.give(60);
        assert_eq!(waiters.join_next().await.map(|r| r.ok()), Some(Some(Ok(1))));
        assert_eq!(budget.used(), 41);
    }

    /// A limit changed at run time holds at once, for whoever waits already.
    #[tokio::test]
    async fn a_raised_limit_lets_a_waiter_in() {
        let budget = Arc::new(SendBudget::new(100));
        assert!(budget.try_take(100));
        let mut waiters = tokio::task::JoinSet::new();
        let waiter = budget.clone();
        waiters.spawn(async move { waiter.take(50).await });
        tokio::task::yield_now().await;
        budget.set_limit(110);
        tokio::task::yield_now().await;
        assert!(waiters.try_join_next().is_none(), "still no room");
        budget.set_limit(300);
        assert_eq!(waiters.join_all().await, [Ok(())]);
        budget.set_limit(10);
        budget.give(145);
        assert!(!budget.try_take(6), "the lower limit holds for what is new");
        assert!(budget.try_take(5));
    }

    /// A waiter that is woken for each byte costs a wake-up a message; one that is woken late gets
    /// so much room at once that filling it keeps others waiting.
    #[tokio::test]
    async fn a_waiter_is_woken_for_a_step() {
        for (message, step) in [(1, 4 * STEP), (LARGE + 1, STEP)] {
            let limit = 16 * STEP;
            let budget = Arc::new(SendBudget::new(limit));
            assert!(budget.try_take(limit));
            let mut waiter = tokio::task::JoinSet::new();
            waiter.spawn({
                let budget = budget.clone();
                async move { budget.take(message).await }
            });
            tokio::task::yield_now().await;
            budget.give(step - 1);
            tokio::task::yield_now().await;
            assert!(waiter.try_join_next().is_none(), "{message} B");
            budget.give(1);
            assert_eq!(waiter.join_all().await, [Ok(())]);
        }
    }

    #[tokio::test]
    async fn closing_wakes_every_waiter() {
        let budget = Arc::new(SendBudget::new(1));
        assert!(budget.try_take(1));
        let mut waiters = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let budget = budget.clone();
            waiters.spawn(async move { budget.take(1).await });
        }
        tokio::task::yield_now().await;
        budget.close();
        assert_eq!(waiters.join_all().await, [Err(BudgetClosed); 3]);
    }
}
