//! What the system says about this process, from `/proc`; elsewhere than on Linux `None`.

use std::fs;

/// Memory of the process that is resident now, in KiB.
#[must_use]
pub fn rss_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// CPU time of the threads that are alive, in seconds, exact to far below the 10 ms of
/// `/proc/self/stat`.
#[must_use]
pub fn cpu_secs() -> Option<f64> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        let file = thread.ok()?.path().join("schedstat");
        let running = fs::read_to_string(file).ok()?;
        nanos += running
            .split_ascii_whitespace()
            .next()?
            .parse::<u64>()
            .ok()?;
    }
    Some(nanos as f64 / 1e9)
}
