//! How much may be in flight (RFC 9260 §7.2), behind a seam for other controllers.
//!
//! Which chunks are lost is decided in `recovery`; a controller only learns of it.

use crate::config;
use std::fmt::Debug;

/// What one acknowledgement told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acked {
    /// Bytes newly acknowledged.
    pub(crate) bytes: usize,
    /// The most bytes that were in flight in the last round trip.
    pub(crate) in_flight: usize,
}

/// A congestion controller. Called with the association locked: O(1), no I/O.
pub(crate) trait CongestionControl: Debug {
    /// cwnd in bytes of DATA chunks.
    fn window(&self) -> usize;
    fn ssthresh(&self) -> usize;
    /// Outside of loss recovery, something was newly acknowledged.
    fn on_acked(&mut self, acked: Acked);
    /// Loss recovery begins (§7.2.4).
    fn on_loss(&mut self);
    /// T3-rtx expired for the first time in a row (§7.2.3).
    fn on_timeout(&mut self);
    /// The losses since the last `on_loss` or `on_timeout` were none.
    fn undo(&mut self);
    /// The path works again after silence: what was known of it is old.
    fn on_path_resumed(&mut self);
    fn set_packet_size(&mut self, bytes: usize);
}

/// The closed set of controllers; an enum so that the hot path has no virtual calls.
#[derive(Debug)]
pub(crate) enum Controller {
    NewReno(NewReno),
}

impl Controller {
    pub(crate) fn new(kind: config::Congestion, packet_size: usize) -> Self {
        match kind {
            config::Congestion::NewReno => Self::NewReno(NewReno::new(packet_size)),
        }
    }

    fn inner(&self) -> &impl CongestionControl {
        match self {
            Self::NewReno(c) => c,
        }
    }

    fn inner_mut(&mut self) -> &mut impl CongestionControl {
        match self {
            Self::NewReno(c) => c,
        }
    }
}

impl CongestionControl for Controller {
    fn window(&self) -> usize {
        self.inner().window()
    }
    fn ssthresh(&self) -> usize {
        self.inner().ssthresh()
    }
    fn on_acked(&mut self, acked: Acked) {
        self.inner_mut().on_acked(acked);
    }
    fn on_loss(&mut self) {
        self.inner_mut().on_loss();
    }
    fn on_timeout(&mut self) {
        self.inner_mut().on_timeout();
    }
    fn undo(&mut self) {
        self.inner_mut().undo();
    }
    fn on_path_resumed(&mut self) {
        self.inner_mut().on_path_resumed();
    }
    fn set_packet_size(&mut self, bytes: usize) {
        self.inner_mut().set_packet_size(bytes);
    }
}

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

impl CongestionControl for NewReno {
    fn window(&self) -> usize {
        self.cwnd
    }

    fn ssthresh(&self) -> usize {
        self.ssthresh
    }

    fn on_acked(&mut self, acked: Acked) {
        if self.cwnd <= self.ssthresh {
            // §7.2.1: only while the window is used. Half of it counts as used, because the window
            // doubles in the round trip that the peak was measured in.
            if acked.in_flight.saturating_mul(2) >= self.cwnd {
                let room = self.ssthresh - self.cwnd;
                self.cwnd += acked.bytes.min(room.max(self.packet));
            }
            return;
        }
        // §7.2.2.
        self.partial += acked.bytes;
        if self.partial >= self.cwnd {
            if acked.in_flight + self.packet > self.cwnd {
                self.partial -= self.cwnd;
                self.cwnd += self.packet;
            } else {
                self.partial = self.cwnd;
            }
        }
    }

    fn on_loss(&mut self) {
        self.halve();
        self.cwnd = self.ssthresh;
    }

    fn on_timeout(&mut self) {
        self.halve();
        self.cwnd = self.packet;
    }

    fn undo(&mut self) {
        if let Some((cwnd, ssthresh)) = self.before.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = ssthresh;
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

/// As RFC 6928 has it for TCP and dcSCTP for WebRTC. RFC 9260 §7.2.1 allows about four.
const INITIAL_PACKETS: usize = 10;
/// §7.2.3.
const MIN_PACKETS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1000;

    fn acked(bytes: usize, in_flight: usize) -> Acked {
        Acked { bytes, in_flight }
    }

    /// One acknowledgement for the whole window doubles it, as many small ones would.
    #[test]
    fn slow_start_counts_bytes() {
        let mut one = NewReno::new(PACKET);
        one.on_acked(acked(10_000, 10_000));
        let mut many = NewReno::new(PACKET);
        for left in (1..=10).rev() {
            many.on_acked(acked(PACKET, left * PACKET + 10_000));
        }
        assert_eq!((one.window(), many.window()), (20_000, 20_000));
    }

    /// §7.2.1: an application that sends little does not collect a large window for later.
    #[test]
    fn an_unused_window_does_not_grow() {
        let mut cc = NewReno::new(PACKET);
        for _ in 0..100 {
            cc.on_acked(acked(PACKET, PACKET));
        }
        assert_eq!(cc.window(), 10_000);
        cc.on_loss();
        for _ in 0..100 {
            cc.on_acked(acked(PACKET, PACKET));
        }
        assert!(cc.window() <= 6_000, "{}", cc.window());
    }

    /// §7.2.2: one packet per round trip; §7.2.3: halved on loss, one packet after a timeout.
    #[test]
    fn avoidance_loss_and_timeout() {
        let mut cc = NewReno::new(PACKET);
        cc.on_acked(acked(10_000, 10_000));
        cc.on_loss();
        assert_eq!((cc.window(), cc.ssthresh()), (10_000, 10_000));
        cc.on_acked(acked(5_000, 10_000));
        cc.on_acked(acked(5_000, 10_000));
        assert_eq!(cc.window(), 11_000);
        cc.on_timeout();
        assert_eq!((cc.window(), cc.ssthresh()), (1_000, 5_500));
        cc.undo();
        assert_eq!(cc.window(), 11_000);
    }
}
