//! Several pairs whose packets share one path.

use std::time::{Duration, Instant};

use super::pair::{BURST, Endpoint};
use super::{Duplex, Host, Link, Side};

/// Pairs of endpoints, all A sides at one end of a path and all B sides at the other.
///
/// ```
/// use std::time::{Duration, Instant};
/// use peerloom_sctp::sim::{Bottleneck, Duplex, Host, LinkConfig};
/// use peerloom_sctp::{Association, Config, Limits};
/// # fn base() -> Instant { #[allow(clippy::disallowed_methods)] Instant::now() }
///
/// let start = base();
/// let host = |seed| Host::new(Association::new(Config::webrtc(), Limits::default(), [seed; 32], start));
/// let link = LinkConfig { rate: Some(10_000_000), ..LinkConfig::with_rtt(Duration::from_millis(40)) };
/// let pairs = vec![(host(1), host(2)), (host(3), host(4))];
/// let mut shared = Bottleneck::new(pairs, Duplex::new(&link, 1), start);
/// for (a, _) in &mut shared.pairs {
///     a.association.connect(start);
/// }
/// shared.run_for(Duration::from_secs(1), |_| ());
/// assert!(shared.pairs.iter().all(|(a, _)| a.association.stats().data_received == 0));
/// assert!(shared.pairs.iter().all(|(a, _)| a.association.stats().packets_sent > 0));
/// ```
#[derive(Debug)]
pub struct Bottleneck<A = Host, B = Host> {
    /// The pairs.
    pub pairs: Vec<(A, B)>,
    path: Duplex,
    now: Instant,
    /// A datagram with its pair's number in front.
    tagged: Vec<u8>,
}

impl<A: Endpoint, B: Endpoint> Bottleneck<A, B> {
    /// At most 65,536 pairs. The path's datagrams are two bytes longer than those of the pairs,
    /// which its overhead is reduced by.
    pub fn new(pairs: Vec<(A, B)>, mut path: Duplex, start: Instant) -> Self {
        for side in [Side::A, Side::B] {
            let link = path.from_mut(side);
            let mut config = link.config().clone();
            config.overhead = config.overhead.saturating_sub(TAG);
            config.mtu = config.mtu.saturating_add(TAG);
            link.set_config(config);
        }
        Self {
            pairs,
            path,
            now: start,
            tagged: Vec::new(),
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What one direction went through.
    pub fn link(&self, from: Side) -> &Link {
        self.path.from(from)
    }

    /// Lets this much time pass, and calls `each` at every event, before anything is sent.
    pub fn run_for(&mut self, duration: Duration, mut each: impl FnMut(&mut Self)) {
        let end = self.now + duration;
        loop {
            each(self);
            self.transmit();
            match self.poll_timeout() {
                Some(next) if next <= end => self.advance_to(next),
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
    }

    fn transmit(&mut self) {
        let Self {
            pairs,
            path,
            now,
            tagged,
        } = self;
        let mut put = |side, index: usize, datagram: &[u8]| {
            tagged.clear();
            tagged.extend_from_slice(&(index as u16).to_be_bytes());
            tagged.extend_from_slice(datagram);
            path.send(*now, side, tagged);
        };
        for (index, (a, b)) in pairs.iter_mut().enumerate() {
            a.transmit(*now, &mut |datagram| put(Side::A, index, datagram));
            b.transmit(*now, &mut |datagram| put(Side::B, index, datagram));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let ends = self
            .pairs
            .iter()
            .flat_map(|(a, b)| [a.poll_timeout(), b.poll_timeout()]);
        ends.flatten().chain(self.path.poll_timeout()).min()
    }

    fn advance_to(&mut self, next: Instant) {
        self.now = self.now.max(next);
        let now = self.now;
        for side in [Side::A, Side::B] {
            for _ in 0..BURST {
                let Some(datagram) = self.path.receive(now, side) else {
                    break;
                };
                let Some((tag, datagram)) = datagram.split_at_checked(TAG) else {
                    continue;
                };
                let index = usize::from(u16::from_be_bytes([tag[0], tag[1]]));
                let Some((a, b)) = self.pairs.get_mut(index) else {
                    // The path damaged the number.
                    continue;
                };
                let datagrams = [datagram.to_vec()];
                match side {
                    Side::A => a.handle_datagrams(now, &datagrams),
                    Side::B => b.handle_datagrams(now, &datagrams),
                }
            }
        }
        for (a, b) in &mut self.pairs {
            if a.poll_timeout().is_some_and(|at| at <= now) {
                a.handle_timeout(now);
            }
            if b.poll_timeout().is_some_and(|at| at <= now) {
                b.handle_timeout(now);
            }
        }
    }
}

/// Bytes of a pair's number.
const TAG: usize = 2;
