//! One SSRC's rollover counter and replay window.

use crate::replay::ReplayWindow;
use crate::rollover::Rollover;

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) rollover: Rollover,
    pub(crate) replay: ReplayWindow,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            rollover: Rollover::default(),
            replay: ReplayWindow::new(),
        }
    }

    /// A stream of which only the highest index is still known: everything up to it counts as used.
    pub(crate) fn resumed(highest: u64) -> Self {
        Self {
            rollover: Rollover::at(highest),
            replay: ReplayWindow::used_up_to(highest),
        }
    }

    /// Both move on to an index that is authenticated, or about to be used.
    #[inline]
    pub(crate) fn accept(&mut self, index: u64) {
        self.rollover.accept(index);
        self.replay.mark(index);
    }
}
