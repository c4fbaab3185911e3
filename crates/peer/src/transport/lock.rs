//! The one lock of the data path, reached only through a closure.
//!
//! The guard has no name outside [`SessionLock::with`], so it cannot cross an await, an encode or a
//! system call. A debug build counts, per thread, how deep it is inside `with`;
//! [`assert_unlocked`] stands at every place that encodes, seals, opens, decodes or does I/O.

use std::sync::{Mutex, PoisonError};

use crate::error::Reason;

/// Why the lock is taken. With the feature `lock-stats` hold and wait times are kept for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Handling the packets of one receive burst.
    Ingest,
    /// Queueing what the application sent and planning a batch of packets.
    Gather,
    /// Opening or closing a channel, connecting, changing a limit.
    Control,
    /// Timers.
    Timeout,
    /// A snapshot for statistics.
    Stats,
}

/// A value behind the session lock.
#[derive(Debug)]
pub(crate) struct SessionLock<T> {
    inner: Mutex<T>,
    #[cfg(feature = "lock-stats")]
    times: times::Times,
}

impl<T> SessionLock<T> {
    pub(crate) fn new(value: T) -> Self {
        SessionLock {
            inner: Mutex::new(value),
            #[cfg(feature = "lock-stats")]
            times: times::Times::default(),
        }
    }

    /// Runs `f` on the session. A poisoned lock is a terminal error of the connection.
    pub(crate) fn with<R>(
        &self,
        purpose: Purpose,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Reason> {
        #[cfg(feature = "lock-stats")]
        let asked = tokio::time::Instant::now();
        #[cfg(not(feature = "lock-stats"))]
        let _ = purpose;
        assert_unlocked("the session lock itself");
        let mut guard = self.inner.lock().map_err(|_| Reason::Poisoned)?;
        #[cfg(feature = "lock-stats")]
        let taken = tokio::time::Instant::now();
        let result = {
            let _inside = depth::Inside::enter();
            f(&mut guard)
        };
        drop(guard);
        #[cfg(feature = "lock-stats")]
        self.times.record(purpose, taken - asked, taken.elapsed());
        Ok(result)
    }

    /// The same at the end of the connection, where a panic may have been what ended it: for what is
    /// sound whatever the session is.
    pub(crate) fn at_the_end<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        assert_unlocked("the session lock itself");
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let _inside = depth::Inside::enter();
        f(&mut guard)
    }

    /// A burst was applied so long after the kernel had received its first datagram.
    #[cfg(feature = "lock-stats")]
    pub(crate) fn record_applied(&self, after: std::time::Duration) {
        self.times.record_applied(after);
    }

    /// How long received datagrams waited until they were applied.
    #[cfg(feature = "lock-stats")]
    pub(crate) fn applied(&self) -> crate::stats::AppliedTimes {
        self.times.applied()
    }

    /// Hold and wait times so far.
    #[cfg(feature = "lock-stats")]
    pub(crate) fn times(&self) -> Vec<crate::stats::LockTimes> {
        self.times.snapshot()
    }
}

/// Debug builds: this thread must not be inside [`SessionLock::with`] here.
#[inline]
#[track_caller]
pub(crate) fn assert_unlocked(what: &str) {
    debug_assert!(depth::is_outside(), "{what} inside the session lock");
    let _ = what;
}

#[cfg(debug_assertions)]
mod depth {
    use std::cell::Cell;

    thread_local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) struct Inside;

    impl Inside {
        pub(super) fn enter() -> Self {
            DEPTH.with(|d| d.set(d.get() + 1));
            Inside
        }
    }

    impl Drop for Inside {
        fn drop(&mut self) {
            DEPTH.with(|d| d.set(d.get() - 1));
        }
    }

    pub(super) fn is_outside() -> bool {
        DEPTH.with(|d| d.get() == 0)
    }
}

#[cfg(not(debug_assertions))]
mod depth {
    pub(super) struct Inside;

    impl Inside {
        #[inline]
        pub(super) fn enter() -> Self {
            Inside
        }
    }

    pub(super) fn is_outside() -> bool {
        true
    }
}

#[cfg(feature = "lock-stats")]
mod times {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    use super::Purpose;
    use crate::stats::{AppliedTimes, LockTimes};

    const PURPOSES: [Purpose; 5] = [
        Purpose::Ingest,
        Purpose::Gather,
        Purpose::Control,
        Purpose::Timeout,
        Purpose::Stats,
    ];
    /// Four steps for each power of two of nanoseconds: a quarter of an octave is close enough.
    const BUCKETS: usize = 160;

    #[derive(Debug)]
    struct Histogram {
        counts: [AtomicU64; BUCKETS],
        max_ns: AtomicU64,
    }

    impl Default for Histogram {
        fn default() -> Self {
            Histogram {
                counts: [const { AtomicU64::new(0) }; BUCKETS],
                max_ns: AtomicU64::new(0),
            }
        }
    }

    impl Histogram {
        fn record(&self, time: Duration) {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.counts[bucket(ns)].fetch_add(1, Relaxed);
            self.max_ns.fetch_max(ns, Relaxed);
        }

        fn count(&self) -> u64 {
            self.counts.iter().map(|c| c.load(Relaxed)).sum()
        }

        /// The upper bound of the bucket that holds the quantile.
        fn quantile(&self, q: f64) -> Duration {
            let wanted = (self.count() as f64 * q).ceil() as u64;
            let mut seen = 0;
            for (i, c) in self.counts.iter().enumerate() {
                seen += c.load(Relaxed);
                if seen >= wanted.max(1) {
                    return Duration::from_nanos(upper_bound(i).min(self.max_ns.load(Relaxed)));
                }
            }
            Duration::ZERO
        }
    }

    fn bucket(ns: u64) -> usize {
        if ns < 4 {
            return ns as usize;
        }
        let octave = ns.ilog2() as usize;
        let quarter = ((ns >> (octave - 2)) & 3) as usize;
        ((octave - 1) * 4 + quarter).min(BUCKETS - 1)
    }

    fn upper_bound(bucket: usize) -> u64 {
        if bucket < 4 {
            return bucket as u64;
        }
        let (octave, quarter) = (bucket / 4 + 1, (bucket % 4) as u64);
        ((5 + quarter) << (octave - 2)) - 1
    }

    #[derive(Debug, Default)]
    pub(super) struct Times {
        wait: [Histogram; PURPOSES.len()],
        hold: [Histogram; PURPOSES.len()],
        applied: Histogram,
    }

    impl Times {
        pub(super) fn record(&self, purpose: Purpose, wait: Duration, hold: Duration) {
            self.wait[purpose as usize].record(wait);
            self.hold[purpose as usize].record(hold);
        }

        pub(super) fn record_applied(&self, after: Duration) {
            self.applied.record(after);
        }

        pub(super) fn applied(&self) -> AppliedTimes {
            AppliedTimes {
                count: self.applied.count(),
                p50: self.applied.quantile(0.5),
                p99: self.applied.quantile(0.99),
                max: Duration::from_nanos(self.applied.max_ns.load(Relaxed)),
            }
        }

        pub(super) fn snapshot(&self) -> Vec<LockTimes> {
            PURPOSES
                .into_iter()
                .filter(|p| self.hold[*p as usize].count() > 0)
                .map(|purpose| {
                    let (wait, hold) = (&self.wait[purpose as usize], &self.hold[purpose as usize]);
                    LockTimes {
                        purpose: format!("{purpose:?}").to_lowercase(),
                        count: hold.count(),
                        hold_p50: hold.quantile(0.5),
                        hold_p99: hold.quantile(0.99),
                        hold_max: Duration::from_nanos(hold.max_ns.load(Relaxed)),
                        wait_p99: wait.quantile(0.99),
                        wait_max: Duration::from_nanos(wait.max_ns.load(Relaxed)),
                    }
                })
                .collect()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Deleted, a wrong bucket bound would let p99 understate the hold time.
        #[test]
        fn buckets_contain_their_values() {
            for ns in (0..5_000u64).chain([1 << 20, (1 << 20) + 12_345, 1 << 33]) {
                let b = bucket(ns);
                assert!(upper_bound(b) >= ns, "{ns} in bucket {b}");
                assert!(
                    b == 0 || upper_bound(b - 1) < ns,
                    "{ns} above bucket {}",
                    b - 1
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The guard that keeps encoding, sealing and I/O out of the lock must be able to fail.
    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "encode inside the session lock")]
    fn work_inside_the_lock_is_caught() {
        let _ = SessionLock::new(()).with(Purpose::Control, |()| assert_unlocked("encode"));
    }

    #[test]
    fn a_panic_inside_is_a_terminal_error_afterwards() {
        let lock = SessionLock::new(());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = lock.with(Purpose::Control, |()| panic!("policy"));
        }));
        assert!(panicked.is_err());
        assert!(matches!(
            lock.with(Purpose::Stats, |()| ()),
            Err(Reason::Poisoned)
        ));
        assert_unlocked("a later call");
    }
}
