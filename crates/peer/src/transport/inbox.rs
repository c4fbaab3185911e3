//! Where a channel's received messages wait for the application.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

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
    /// Shared with the [`Turn`]s of those who wait by polling.
    arrived: Arc<Notify>,
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

    /// Gives memory back that the queues do not use.
    pub(crate) fn shrink(&self) {
        lock(&self.taken).shrink_to_fit();
        lock(&self.arriving).shrink_to_fit();
    }

    /// No more messages will come. Those that are here can still be taken.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    /// Whether no message is here.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.taken).is_empty() && lock(&self.arriving).is_empty()
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

    /// [`pop`](Self::pop) for those who poll; `turn` is theirs and keeps their place in the line.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<Option<Received>> {
        if !turn.is_waiting
            && let Some(received) = self.try_pop()
        {
            return Poll::Ready(Some(received));
        }
        loop {
            let arrived = turn.wait(&self.arrived);
            let ended = self.ended.load(Ordering::Acquire);
            let received = self.try_pop();
            if received.is_some() || ended {
                turn.leave(&self.arrived);
                self.arrived.notify_one();
                return Poll::Ready(received);
            }
            if arrived.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            turn.is_waiting = false;
        }
    }
}

/// A place among those who wait for an [`Inbox`] by polling. Dropped or left, it passes a wake-up
/// that it was given on to the next.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Allocated once.
    notified: Option<Pin<Box<OwnedNotified>>>,
    is_waiting: bool,
}

impl Turn {
    fn wait(&mut self, arrived: &Arc<Notify>) -> &mut Pin<Box<OwnedNotified>> {
        if !self.is_waiting {
            self.renew(arrived);
            self.is_waiting = true;
        }
        self.notified
            .get_or_insert_with(|| Box::pin(arrived.clone().notified_owned()))
    }

    fn leave(&mut self, arrived: &Arc<Notify>) {
        self.renew(arrived);
        self.is_waiting = false;
    }

    fn renew(&mut self, arrived: &Arc<Notify>) {
        if let Some(notified) = &mut self.notified {
            notified.set(arrived.clone().notified_owned());
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
