//! What the system says about this process: CPU time, memory, datagrams lost at its sockets.
//!
//! All of it is read from `/proc`; elsewhere than on Linux the answer is `None` or zero.

use std::collections::HashSet;
use std::fs;

/// `/proc/self/stat` counts in these, fixed at 100 a second for user space (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

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

/// The most memory the process has had resident, in KiB.
#[must_use]
pub fn peak_rss_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Datagrams dropped so far at this process's own UDP sockets because a receive buffer was full.
#[must_use]
pub fn udp_drops() -> u64 {
    let own = socket_inodes();
    ["/proc/net/udp", "/proc/net/udp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(|line| drops_of(line, &own))
                .sum::<u64>()
        })
        .sum()
}

/// The drop count of a line of `/proc/net/udp`, if the socket is one of ours.
fn drops_of(line: &str, own: &HashSet<String>) -> Option<u64> {
    let mut columns = line.split_ascii_whitespace();
    let inode = columns.nth(9)?;
    if !own.contains(inode) {
        return None;
    }
    columns.nth(2)?.parse().ok()
}

fn socket_inodes() -> HashSet<String> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return HashSet::new();
    };
    entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|target| {
            let target = target.to_str()?;
            let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// A field miscounted would report some other figure of the process without anyone noticing.
    #[test]
    fn proc_says_something_plausible() {
        let before = cpu_secs().unwrap();
        assert!((0.0..3_600.0).contains(&before));
        assert!((500..100_000_000).contains(&peak_rss_kb().unwrap()));
    }

    /// The drop column is the one the throughput table relies on to tell loss from slowness.
    #[test]
    fn counts_datagrams_that_overran_a_receive_buffer() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = udp_drops();
        for _ in 0..4_000 {
            sender
                .send_to(&[0; 8_192], receiver.local_addr().unwrap())
                .unwrap();
        }
        assert!(udp_drops() > before);
    }
}
