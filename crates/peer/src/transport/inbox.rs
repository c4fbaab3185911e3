//! Where a channel's received messages wait for the application.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::message::Message;

/// A message and what it costs of the receive window until the application takes it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message: Message,
    pub(crate) cost: usize,
}

/// Two leaf queues: the driver fills one with a whole burst at a time, the application empties the
/// other and swaps them when it runs dry. Bounded by the receive window: what lies here is counted
/// in a_rwnd, so when it is full the peer stops sending.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    arriving: Mutex<VecDeque<Received>>,
    taken: Mutex<VecDeque<Received>>,
    arrived: Notify,
    ended: AtomicBool,
}

impl Inbox {
    /// Adds a burst, leaving `burst` empty, and wakes one receiver.
    pub(crate) fn append(&self, burst: &mut VecDeque<Received>) {
        {
            let mut arriving = lock(&self.arriving);
            if arriving.is_empty() {
                std::mem::swap(&mut *arriving, burst);
            } else {
                arriving.append(burst);
            }
        }
        self.arrived.notify_one();
    }

    /// No more messages will come. Those that are here can still be taken.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    /// The next message, if one is here.
    pub(crate) fn try_pop(&self) -> Option<Received> {
        let mut taken = lock(&self.taken);
        if taken.is_empty() {
            std::mem::swap(&mut *taken, &mut *lock(&self.arriving));
        }
        taken.pop_front()
    }

    /// The next message; `None` once [`end`](Self::end) was called and everything is taken.
    /// Cancel-safe: a message is taken only by the poll that returns it.
    pub(crate) async fn pop(&self) -> Option<Received> {
        if let Some(received) = self.try_pop() {
            return Some(received);
        }
        loop {
            let arrived = self.arrived.notified();
            // Read before the queue: whatever arrived before the end is seen below.
            let ended = self.ended.load(Ordering::Acquire);
            if let Some(received) = self.try_pop() {
                // One wake-up is spent per burst; pass it on to the next waiting receiver.
                self.arrived.notify_one();
                return Some(received);
            }
            if ended {
                self.arrived.notify_one();
                return None;
            }
            arrived.await;
        }
    }
}

fn lock(queue: &Mutex<VecDeque<Received>>) -> std::sync::MutexGuard<'_, VecDeque<Received>> {
    // Nothing between lock and unlock can panic; were it poisoned, the queue would still be whole.
    queue
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn burst(n: usize) -> VecDeque<Received> {
        (0..n)
            .map(|i| Received {
                message: Message::from(i.to_string()),
                cost: i,
            })
            .collect()
    }

    #[tokio::test]
    async fn messages_before_the_end_are_delivered_after_it() {
        let inbox = Inbox::default();
        inbox.append(&mut burst(2));
        inbox.end();
        assert_eq!(inbox.pop().await.map(|r| r.cost), Some(0));
        assert_eq!(inbox.pop().await.map(|r| r.cost), Some(1));
        assert!(inbox.pop().await.is_none());
        assert!(inbox.pop().await.is_none(), "and stays ended");
    }

    /// One wake-up per burst must still serve every waiting receiver.
    #[tokio::test]
    async fn a_burst_reaches_all_waiting_receivers() {
        let inbox = Arc::new(Inbox::default());
        let mut receivers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let inbox = inbox.clone();
            receivers.spawn(async move { inbox.pop().await.map(|r| r.cost) });
        }
        tokio::task::yield_now().await;
        inbox.append(&mut burst(4));
        let mut got = receivers.join_all().await;
        got.sort();
        assert_eq!(got, [Some(0), Some(1), Some(2), Some(3)]);
    }
}
