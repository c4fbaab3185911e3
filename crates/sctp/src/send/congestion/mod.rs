//! How much may be in flight, and how fast it leaves (RFC 9260 §7.2), behind one seam.
//!
//! Which chunks are lost is decided in `recovery`; a controller only learns of it. What every
//! controller gets is the same [`Acked`], once for each SACK.

mod newreno;

use std::fmt::Debug;

use crate::config::CongestionControl;

use super::outstanding::Moment;
use newreno::NewReno;

/// What one acknowledgement told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acked {
    /// Bytes newly acknowledged.
    pub(crate) bytes: usize,
    /// The most bytes that were in flight in the last round trip.
    pub(crate) peak: usize,
    /// Loss recovery is under way, or began with this SACK.
    pub(crate) in_recovery: bool,
}

/// A congestion controller. Called with the association locked: O(1), no I/O.
pub(crate) trait Controller: Debug {
    /// cwnd in bytes of DATA chunks.
    fn window(&self) -> usize;
    fn ssthresh(&self) -> usize;
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
}

impl Congestion {
    pub(crate) fn new(kind: CongestionControl, packet_size: usize) -> Self {
        match kind {
            CongestionControl::NewReno => Self::NewReno(NewReno::new(packet_size)),
        }
    }
}

/// Whichever it is.
macro_rules! active {
    ($self:ident, $controller:ident => $call:expr) => {
        match $self {
            Congestion::NewReno($controller) => $call,
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

/// As RFC 6928 has it for TCP and dcSCTP for WebRTC. RFC 9260 §7.2.1 allows about four.
const INITIAL_PACKETS: usize = 10;
/// §7.2.3.
const MIN_PACKETS: usize = 4;
