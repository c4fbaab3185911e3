//! The controller of RFC 9260 §7.2, counting bytes.

use super::{Acked, Controller, INITIAL_PACKETS, MIN_PACKETS, window_rate};
use crate::send::outstanding::Moment;

/// Slow start and additive increase, counting bytes: an acknowledgement of fifty packets opens the
/// window as far as fifty of one, so the peer may acknowledge as rarely as it likes.
#[derive(Debug)]
pub(crate) struct NewReno {
    cwnd: usize,
    ssthresh: usize,
    /// partial_bytes_acked.
    partial: usize,
    packet: usize,
    /// cwnd and ssthresh before the last reduction.
    before: Option<(usize, usize)>,
}

impl NewReno {
    pub(crate) fn new(packet: usize) -> Self {
        Self {
            cwnd: INITIAL_PACKETS * packet,
            ssthresh: usize::MAX,
            partial: 0,
            packet,
            before: None,
        }
    }

    fn halve(&mut self) {
        self.before = Some((self.cwnd, self.ssthresh));
        self.ssthresh = (self.cwnd / 2).max(MIN_PACKETS * self.packet);
        self.partial = 0;
    }
}

impl Controller for NewReno {
    fn window(&self) -> usize {
        self.cwnd
    }

    fn ssthresh(&self) -> usize {
        self.ssthresh
    }

    fn pacing_rate(&self, srtt: u64) -> u64 {
        window_rate(self.cwnd, srtt, self.cwnd <= self.ssthresh)
    }

    fn on_acked(&mut self, acked: &Acked) {
        if acked.in_recovery {
            return;
        }
        if self.cwnd <= self.ssthresh {
            // §7.2.1: only while the window is used. Half of it counts as used, because the window
            // doubles in the round trip that the peak was measured in.
            if acked.peak.saturating_mul(2) >= self.cwnd {
                let room = self.ssthresh - self.cwnd;
                self.cwnd += acked.bytes.min(room.max(self.packet));
            }
            return;
        }
        // §7.2.2.
        self.partial += acked.bytes;
        if self.partial >= self.cwnd {
            if acked.peak + self.packet > self.cwnd {
                self.partial -= self.cwnd;
                self.cwnd += self.packet;
            } else {
                self.partial = self.cwnd;
            }
        }
    }

    fn on_loss(&mut self, _now: Moment) {
        self.halve();
        self.cwnd = self.ssthresh;
    }

    fn on_timeout(&mut self, _now: Moment) {
        self.halve();
        self.cwnd = self.packet;
    }

    fn undo(&mut self) {
        if let Some((cwnd, ssthresh)) = self.before.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = ssthresh;
        }
    }

    fn on_idle(&mut self, rtos: u32) {
        let floor = INITIAL_PACKETS * self.packet;
        if self.cwnd > floor {
            self.ssthresh = self.ssthresh.max(self.cwnd);
            self.cwnd = (self.cwnd >> rtos.min(31)).max(floor);
            self.before = None;
        }
    }

    fn on_path_resumed(&mut self) {
        self.cwnd = self.cwnd.max(INITIAL_PACKETS * self.packet);
        self.before = None;
    }

    fn set_packet_size(&mut self, bytes: usize) {
        self.packet = bytes;
        self.cwnd = self.cwnd.max(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1000;

    fn acked(bytes: usize, peak: usize) -> Acked {
        Acked {
            bytes,
            peak,
            ..Acked::default()
        }
    }

    /// One acknowledgement for the whole window doubles it, as many small ones would.
    #[test]
    fn slow_start_counts_bytes() {
        let mut one = NewReno::new(PACKET);
        one.on_acked(&acked(10_000, 10_000));
        let mut many = NewReno::new(PACKET);
        for left in (1..=10).rev() {
            many.on_acked(&acked(PACKET, left * PACKET + 10_000));
        }
        assert_eq!((one.window(), many.window()), (20_000, 20_000));
    }

    /// §7.2.1: an application that sends little does not collect a large window for later.
    #[test]
    fn an_unused_window_does_not_grow() {
        let mut cc = NewReno::new(PACKET);
        for _ in 0..100 {
            cc.on_acked(&acked(PACKET, PACKET));
        }
        assert_eq!(cc.window(), 10_000);
        cc.on_loss(Moment(0));
        for _ in 0..100 {
            cc.on_acked(&acked(PACKET, PACKET));
        }
        assert!(cc.window() <= 6_000, "{}", cc.window());
    }

    /// §7.2.1: what was known before a silence is half as good after each RTO of it, and slow start
    /// finds the way back.
    #[test]
    fn an_idle_window_shrinks() {
        let mut cc = NewReno::new(PACKET);
        cc.on_acked(&acked(10_000, 10_000));
        cc.on_acked(&acked(20_000, 20_000));
        cc.on_loss(Moment(0));
        cc.on_idle(1);
        assert_eq!((cc.window(), cc.ssthresh()), (10_000, 20_000));
        cc.on_idle(40);
        assert_eq!(cc.window(), 10_000, "not below the initial window");
    }

    /// §7.2.2: one packet per round trip; §7.2.3: halved on loss, one packet after a timeout.
    #[test]
    fn avoidance_loss_and_timeout() {
        let mut cc = NewReno::new(PACKET);
        cc.on_acked(&acked(10_000, 10_000));
        cc.on_loss(Moment(0));
        assert_eq!((cc.window(), cc.ssthresh()), (10_000, 10_000));
        cc.on_acked(&acked(5_000, 10_000));
        cc.on_acked(&acked(5_000, 10_000));
        assert_eq!(cc.window(), 11_000);
        cc.on_timeout(Moment(0));
        assert_eq!((cc.window(), cc.ssthresh()), (1_000, 5_500));
        cc.undo();
        assert_eq!(cc.window(), 11_000);
    }
}
