//! Waking the driver, once per sleep.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use atomic_waker::AtomicWaker;

/// Three states in one atomic: a sender wakes the driver only when it sleeps, since a wake-up
/// across cores costs more than queueing a message.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: AtomicU8,
    waker: AtomicWaker,
}

/// The driver sleeps.
const IDLE: u8 = 0;
/// It was woken, or somebody asked for another turn while it ran.
const SCHEDULED: u8 = 1;
/// It runs and nobody has asked for more since.
const RUNNING: u8 = 2;

impl Wake {
    /// There is work. Returns whether the driver slept and had to be woken.
    pub(crate) fn wake(&self) -> bool {
        let slept = self.state.swap(SCHEDULED, Ordering::AcqRel) == IDLE;
        if slept {
            self.waker.wake();
        }
        slept
    }

    /// The driver begins a turn: work announced from here on asks for another.
    pub(crate) fn begin_turn(&self) {
        self.state.store(RUNNING, Ordering::Release);
    }

    /// The driver wants to sleep. False when work came in since [`begin_turn`](Self::begin_turn);
    /// then it runs another turn.
    pub(crate) fn sleep(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        self.state
            .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake as StdWake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl StdWake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn one_wake_up_however_many_senders() {
        let (count, wake) = (Arc::new(Count::default()), Wake::default());
        let waker = Waker::from(count.clone());
        wake.begin_turn();
        assert!(wake.sleep(&waker));
        for _ in 0..100 {
            wake.wake();
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn work_during_a_turn_keeps_the_driver_awake() {
        let wake = Wake::default();
        wake.begin_turn();
        assert!(!wake.wake(), "a running driver is not woken");
        assert!(!wake.sleep(Waker::noop()), "but it may not sleep either");
        wake.begin_turn();
        assert!(wake.sleep(Waker::noop()));
    }
}
