//! How much may be in flight, and how fast it leaves (RFC 9260 §7.2), behind one seam.
//!
//! Which chunks are lost is decided in `recovery`; a controller only learns of it. What every
//! controller gets is the same [`Acked`], once for each SACK.

mod bbr;
mod cubic;
mod hystart;
mod newreno;

use std::fmt::Debug;

use crate::config::CongestionControl;

use super::delivery::RateSample;
use super::outstanding::Moment;
use bbr::Bbr;
use cubic::Cubic;
use newreno::NewReno;

/// What one acknowledgement told. Times are in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acked {
    pub(crate) now: Moment,
    /// Bytes newly acknowledged.
    pub(crate) bytes: usize,
    /// The most bytes that were in flight in the last round trip.
    pub(crate) peak: usize,
    /// Loss recovery is under way, or began with this SACK.
    pub(crate) in_recovery: bool,
    /// Bytes still in flight.
    pub(crate) in_flight: usize,
    /// Bytes found lost since the last one.
    pub(crate) lost: usize,
    /// A measurement of the round trip, and its smoothed value.
    pub(crate) rtt: Option<u64>,
    pub(crate) srtt: u64,
    /// It acknowledges what was sent after the last one that began a round.
    pub(crate) round: bool,
    /// If [`Controller::wants_rate`].
    pub(crate) rate: Option<RateSample>,
}

/// A congestion controller. Called with the association locked: O(1), no I/O.
pub(crate) trait Controller: Debug {
    /// cwnd in bytes of DATA chunks.
    fn window(&self) -> usize;
    fn ssthresh(&self) -> usize;
    /// Bytes a second on a path that is paced.
    fn pacing_rate(&self, srtt: u64) -> u64;
    /// Whether samples of the delivery rate are of use.
    fn wants_rate(&self) -> bool {
        false
    }
    /// Something was newly acknowledged.
    fn on_acked(&mut self, acked: &Acked);
    /// Loss recovery begins (§7.2.4).
    fn on_loss(&mut self, now: Moment);
    /// T3-rtx expired for the first time in a row (§7.2.3).
    fn on_timeout(&mut self, now: Moment);
    /// The losses since the last `on_loss` or `on_timeout` were none (RFC 4015 §3.2).
    fn undo(&mut self);
    /// Nothing was in flight for so many RTOs, and something is about to be sent (§7.2.1).
    fn on_idle(&mut self, rtos: u32);
    /// The path works again after silence: what was known of it is old.
    fn on_path_resumed(&mut self);
    fn set_packet_size(&mut self, bytes: usize);
}

/// The closed set of controllers; an enum so that the hot path has no virtual calls.
#[derive(Debug)]
pub(crate) enum Congestion {
    NewReno(NewReno),
    Cubic(Cubic),
    Bbr(Box<Bbr>),
}

impl Congestion {
    /// `seed` spreads what should not happen to many connections at once.
    pub(crate) fn new(kind: CongestionControl, packet_size: usize, seed: u32) -> Self {
        match kind {
            CongestionControl::NewReno => Self::NewReno(NewReno::new(packet_size)),
            CongestionControl::Cubic => Self::Cubic(Cubic::new(packet_size)),
            CongestionControl::Bbr => Self::Bbr(Box::new(Bbr::new(packet_size, seed))),
        }
    }
}

/// Whichever it is.
macro_rules! active {
    ($self:ident, $controller:ident => $call:expr) => {
        match $self {
            Congestion::NewReno($controller) => $call,
            Congestion::Cubic($controller) => $call,
            Congestion::Bbr($controller) => $call,
        }
    };
}

impl Controller for Congestion {
    fn window(&self) -> usize {
        active!(self, c => c.window())
    }
    fn ssthresh(&self) -> usize {
        active!(self, c => c.ssthresh())
    }
    fn pacing_rate(&self, srtt: u64) -> u64 {
        active!(self, c => c.pacing_rate(srtt))
    }
    fn wants_rate(&self) -> bool {
        active!(self, c => c.wants_rate())
    }
    fn on_acked(&mut self, acked: &Acked) {
        active!(self, c => c.on_acked(acked));
    }
    fn on_loss(&mut self, now: Moment) {
        active!(self, c => c.on_loss(now));
    }
    fn on_timeout(&mut self, now: Moment) {
        active!(self, c => c.on_timeout(now));
    }
    fn undo(&mut self) {
        active!(self, c => c.undo());
    }
    fn on_idle(&mut self, rtos: u32) {
        active!(self, c => c.on_idle(rtos));
    }
    fn on_path_resumed(&mut self) {
        active!(self, c => c.on_path_resumed());
    }
    fn set_packet_size(&mut self, bytes: usize) {
        active!(self, c => c.set_packet_size(bytes));
    }
}

/// The rate that a window makes in a round trip, and a bit more, so that it is the window that
/// limits: twice as much where the window doubles in a round trip, 1.2 times elsewhere.
fn window_rate(window: usize, srtt: u64, doubling: bool) -> u64 {
    let per_second = window as u64 * 1_000_000_000 / srtt.max(1);
    if doubling {
        per_second * 2
    } else {
        per_second + per_second / 5
    }
}

#[cfg(test)]
impl Default for Acked {
    fn default() -> Self {
        Self {
            now: Moment(0),
            bytes: 0,
            peak: 0,
            in_recovery: false,
            in_flight: 0,
            lost: 0,
            rtt: None,
            srtt: 0,
            round: false,
            rate: None,
        }
    }
}

/// As RFC 6928 has it for TCP and dcSCTP for WebRTC. RFC 9260 §7.2.1 allows about four.
const INITIAL_PACKETS: usize = 10;
/// §7.2.3.
const MIN_PACKETS: usize = 4;
