//! CUBIC (RFC 9438) with HyStart++ (RFC 9406), in bytes.

use super::hystart::{CSS_GROWTH_DIVISOR, Growth, HyStart};
use super::{Acked, Controller, INITIAL_PACKETS, MIN_PACKETS, window_rate};
use crate::send::outstanding::Moment;

/// The window grows with the time since the last reduction, so that long paths get theirs back as
/// fast as short ones, and never slower than RFC 9260's would.
#[derive(Debug)]
pub(crate) struct Cubic {
    /// In bytes; fractions add up.
    cwnd: f64,
    /// The same in whole bytes, which every packet asks for.
    window: usize,
    ssthresh: f64,
    packet: f64,
    /// Only in the first slow start: later ones end at a known ssthresh.
    hystart: Option<HyStart>,
    /// W_max.
    last_max: f64,
    /// cwnd_prior.
    prior: f64,
    epoch: Option<Epoch>,
    before: Option<Saved>,
}

/// A stretch of congestion avoidance (§4.2).
#[derive(Debug, Clone, Copy)]
struct Epoch {
    began: Moment,
    /// Seconds until the window is where it was.
    k: f64,
    /// W_est, the window of the Reno-friendly region (§4.3).
    estimate: f64,
    /// The last SACK.
    last: Moment,
}

/// What a reduction changed.
#[derive(Debug, Clone, Copy)]
struct Saved {
    cwnd: f64,
    ssthresh: f64,
    last_max: f64,
    /// cwnd_prior.
    prior: f64,
    epoch: Option<Epoch>,
}

impl Cubic {
    pub(crate) fn new(packet: usize) -> Self {
        Self {
            cwnd: (INITIAL_PACKETS * packet) as f64,
            window: INITIAL_PACKETS * packet,
            ssthresh: f64::INFINITY,
            packet: packet as f64,
            hystart: Some(HyStart::new()),
            last_max: 0.0,
            prior: 0.0,
            epoch: None,
            before: None,
        }
    }

    fn set_window(&mut self, bytes: f64) {
        self.cwnd = bytes;
        self.window = bytes as usize;
    }

    fn slow_start(&mut self, acked: &Acked) {
        let growth = match &mut self.hystart {
            Some(hystart) => hystart.on_acked(acked.rtt, acked.round),
            None => Growth::Exponential,
        };
        // RFC 9260 §7.2.1: only while the window is used. Half of it counts as used, because the
        // window doubles in the round trip that the peak was measured in.
        if growth != Growth::Done && (acked.peak as f64) * 2.0 < self.cwnd {
            return;
        }
        let bytes = match growth {
            Growth::Exponential => acked.bytes,
            Growth::Conservative => acked.bytes / CSS_GROWTH_DIVISOR,
            Growth::Done => {
                self.ssthresh = self.cwnd;
                self.hystart = None;
                return;
            }
        };
        let room = (self.ssthresh - self.cwnd).max(self.packet);
        self.cwnd += (bytes as f64).min(room);
    }

    /// §4.2 to §4.5.
    fn avoid_congestion(&mut self, acked: &Acked) {
        let mut epoch = self.epoch.unwrap_or_else(|| self.begin_epoch(acked.now));
        if acked.peak as f64 + self.packet <= self.cwnd {
            // §5.8: time in which the window was not what limits does not count.
            epoch.began.0 += acked.now.0.saturating_sub(epoch.last.0);
            epoch.last = acked.now;
            self.epoch = Some(epoch);
            return;
        }
        epoch.last = acked.now;
        let seconds = acked.now.0.saturating_sub(epoch.began.0) as f64 / 1e9;
        let cubic = |at: f64| C * self.packet * (at - epoch.k).powi(3) + self.last_max;
        let share = acked.bytes as f64 / self.cwnd;
        let alpha = if epoch.estimate < self.prior {
            ALPHA
        } else {
            1.0
        };
        epoch.estimate += alpha * self.packet * share;
        if cubic(seconds) < epoch.estimate {
            self.cwnd = self.cwnd.max(epoch.estimate);
        } else {
            let target = cubic(seconds + acked.srtt as f64 / 1e9);
            let target = target.clamp(self.cwnd, self.cwnd * 1.5);
            self.cwnd += (target - self.cwnd) * share;
        }
        self.epoch = Some(epoch);
    }

    fn begin_epoch(&mut self, now: Moment) -> Epoch {
        let missing = self.last_max - self.cwnd;
        if missing <= 0.0 {
            self.last_max = self.cwnd;
        }
        Epoch {
            began: now,
            k: (missing.max(0.0) / self.packet / C).cbrt(),
            estimate: self.cwnd,
            last: now,
        }
    }

    /// §4.6, §4.7.
    fn reduce(&mut self) {
        self.before = Some(Saved {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            last_max: self.last_max,
            prior: self.prior,
            epoch: self.epoch,
        });
        self.last_max = if self.cwnd < self.last_max {
            self.cwnd * (1.0 + BETA) / 2.0
        } else {
            self.cwnd
        };
        self.prior = self.cwnd;
        self.ssthresh = (self.cwnd * BETA).max(MIN_PACKETS as f64 * self.packet);
        self.hystart = None;
        self.epoch = None;
    }
}

impl Controller for Cubic {
    fn window(&self) -> usize {
        self.window
    }

    fn ssthresh(&self) -> usize {
        // Infinity becomes the largest number.
        self.ssthresh as usize
    }

    fn pacing_rate(&self, srtt: u64) -> u64 {
        let exponential = self.cwnd < self.ssthresh
            && !self.hystart.as_ref().is_some_and(HyStart::is_conservative);
        window_rate(self.window, srtt, exponential)
    }

    fn on_acked(&mut self, acked: &Acked) {
        if self.cwnd >= self.ssthresh {
            // In recovery, too: where a packet is lost in each round trip there is nothing else.
            self.avoid_congestion(acked);
        } else if !acked.in_recovery {
            self.slow_start(acked);
        }
        self.window = self.cwnd as usize;
    }

    fn on_loss(&mut self, _now: Moment) {
        self.reduce();
        self.set_window(self.ssthresh);
    }

    fn on_timeout(&mut self, _now: Moment) {
        self.reduce();
        self.set_window(self.packet);
    }

    /// §4.9.
    fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            self.set_window(self.cwnd.max(before.cwnd));
            self.ssthresh = before.ssthresh;
            self.last_max = before.last_max;
            self.prior = before.prior;
            self.epoch = before.epoch;
        }
    }

    fn on_idle(&mut self, rtos: u32) {
        let floor = INITIAL_PACKETS as f64 * self.packet;
        // §5.8: the time of silence is not time to grow in.
        self.epoch = None;
        if self.cwnd > floor {
            self.ssthresh = if self.ssthresh.is_finite() {
                self.ssthresh.max(self.cwnd)
            } else {
                self.cwnd
            };
            self.set_window((self.cwnd / 2_f64.powi(rtos.min(64) as i32)).max(floor));
            self.before = None;
        }
    }

    fn on_path_resumed(&mut self) {
        self.set_window(self.cwnd.max(INITIAL_PACKETS as f64 * self.packet));
        self.before = None;
    }

    fn set_packet_size(&mut self, bytes: usize) {
        self.packet = bytes as f64;
        self.set_window(self.cwnd.max(self.packet));
    }
}

/// §4.6: the share of the window that is left after a loss.
const BETA: f64 = 0.7;
/// §5: packets per second cubed.
const C: f64 = 0.4;
/// §4.3 has 0.53, with which CUBIC gets on average as much as a Reno that halves. Where losses are
/// random and the window small, this carries a fifth more, and beside RFC 9260's controller it is
/// still far from twice a fair share.
const ALPHA: f64 = 0.75;

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1000;
    const RTT: u64 = 100_000_000;

    fn acked(now: u64, bytes: usize, peak: usize) -> Acked {
        Acked {
            now: Moment(now),
            bytes,
            peak,
            in_recovery: false,
            rtt: Some(RTT),
            srtt: RTT,
            round: false,
            ..Acked::default()
        }
    }

    /// A window of this many packets after a loss.
    fn after_loss(packets: usize) -> Cubic {
        let mut cc = Cubic::new(PACKET);
        cc.set_window((packets * PACKET) as f64);
        cc.on_loss(Moment(0));
        cc
    }

    /// §4.2: concave up to the window before, after K seconds, then convex.
    #[test]
    fn the_window_is_back_after_k() {
        let mut cc = after_loss(1000);
        assert_eq!(cc.window(), 700_000);
        // K = cbrt(300 / 0.4) = 9.09 s.
        let mut at_half = 0;
        for round in 0..90 {
            let bytes = cc.window();
            cc.on_acked(&acked(round * RTT, bytes, bytes));
            if round == 45 {
                at_half = cc.window();
            }
        }
        assert!((950_000..970_000).contains(&at_half), "{at_half}");
        assert!(
            (995_000..1_002_000).contains(&cc.window()),
            "{}",
            cc.window()
        );
    }

    /// §4.3: a small window on a short path grows as RFC 9260's does.
    #[test]
    fn small_windows_grow_like_reno() {
        let mut cc = after_loss(20);
        for round in 0..30 {
            let bytes = cc.window();
            cc.on_acked(&acked(round * 1_000_000, bytes, bytes));
        }
        let grown = cc.window() - 14_000;
        assert!((26_000..30_000).contains(&grown), "{grown}");
    }

    /// §4.7: a second loss below the last maximum leaves room for others.
    #[test]
    fn fast_convergence() {
        let mut cc = after_loss(1000);
        cc.on_loss(Moment(1));
        assert_eq!(cc.last_max, 700_000.0 * 0.85);
    }

    /// §4.9: everything is as it was; once.
    #[test]
    fn a_spurious_loss_is_undone() {
        let mut cc = after_loss(1000);
        cc.undo();
        assert_eq!(cc.window(), 1_000_000);
        assert!(cc.ssthresh.is_infinite());
        cc.on_loss(Moment(0));
        cc.on_timeout(Moment(1));
        assert_eq!(cc.window(), PACKET);
        cc.undo();
        cc.undo();
        assert_eq!(cc.window(), 700_000);
    }

    /// §5.8: neither an unused window nor silence lets it grow.
    #[test]
    fn an_unused_window_does_not_grow() {
        let mut cc = after_loss(1000);
        for round in 0..1000 {
            cc.on_acked(&acked(round * RTT, PACKET, PACKET));
        }
        assert_eq!(cc.window(), 700_000);
        cc.on_acked(&acked(1000 * RTT, 700_000, 700_000));
        assert!(cc.window() < 760_000, "{}", cc.window());
        cc.on_idle(2);
        assert!(cc.window() < 200_000 && cc.ssthresh() >= 700_000, "{cc:?}");
    }
}
