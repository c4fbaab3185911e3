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

/// User and system time of the whole process, in seconds.
#[must_use]
pub fn cpu_secs() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the command's name in parentheses and may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11);
    let user: f64 = times.next()?.parse().ok()?;
    let system: f64 = times.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// `/proc/self/stat` counts in these, fixed at 100 a second for user space (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
