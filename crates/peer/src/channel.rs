//! A data channel as connection and application share it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use peerloom_datachannel::ChannelKey;
use tokio::sync::Notify;

use crate::data_channel::{ChannelCloseReason, DataChannelOptions, DataChannelState};
use crate::error::Reason;
use crate::transport::budget::SendBudget;
use crate::transport::inbox::Inbox;
use crate::transport::shared::Shared;

/// What the handles of one channel and the driver share.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) key: ChannelKey,
    /// Counts the channels of the connection.
    pub(crate) number: u64,
    shared: Weak<Shared>,
    pub(crate) label: String,
    pub(crate) options: DataChannelOptions,
    /// What we send by, and whether the driver knows.
    priority: AtomicU16,
    priority_queued: AtomicBool,
    /// The stream id, or more than `u16::MAX` while unknown.
    pub(crate) id: AtomicU32,
    state: AtomicU8,
    pub(crate) inbox: Inbox,
    pub(crate) budget: SendBudget,
    /// Of messages that have their room and have not left the send queue.
    pub(crate) queued_bytes: AtomicUsize,
    pub(crate) queued_messages: AtomicUsize,
    pub(crate) low_threshold: AtomicUsize,
    pub(crate) low: Notify,
    pub(crate) changed: Notify,
    closed_by_peer: AtomicBool,
    /// A message that was accepted could not be sent: the channel closed first.
    pub(crate) lost: AtomicBool,
    close_reason: OnceLock<ChannelCloseReason>,
    /// Why the connection under it ended, if that is what closed it.
    reason: OnceLock<Reason>,
}

impl Channel {
    pub(crate) fn new(
        key: ChannelKey,
        id: Option<u16>,
        label: String,
        options: DataChannelOptions,
        shared: &Arc<Shared>,
    ) -> Self {
        Channel {
            key,
            number: shared.channels.fetch_add(1, Ordering::Relaxed),
            shared: Arc::downgrade(shared),
            label,
            priority: AtomicU16::new(options.priority),
            priority_queued: AtomicBool::new(false),
            options,
            id: AtomicU32::new(id.map_or(u32::MAX, u32::from)),
            state: AtomicU8::new(DataChannelState::Connecting as u8),
            inbox: Inbox::default(),
            budget: SendBudget::new(shared.channel_send_buffer_limit()),
            queued_bytes: AtomicUsize::new(0),
            queued_messages: AtomicUsize::new(0),
            low_threshold: AtomicUsize::new(0),
            low: Notify::new(),
            changed: Notify::new(),
            closed_by_peer: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            close_reason: OnceLock::new(),
            reason: OnceLock::new(),
        }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn state(&self) -> DataChannelState {
        DataChannelState::from_u8(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn priority(&self) -> u16 {
        self.priority.load(Ordering::Acquire)
    }

    /// Changes the priority; true if the driver is to be told, once for any number of changes.
    pub(crate) fn set_priority(&self, priority: u16) -> bool {
        self.priority.store(priority, Ordering::SeqCst);
        !self.priority_queued.swap(true, Ordering::SeqCst)
    }

    /// The priority, for the session; whoever changes it from here on tells the driver again.
    pub(crate) fn take_priority(&self) -> u16 {
        self.priority_queued.store(false, Ordering::SeqCst);
        self.priority.load(Ordering::SeqCst)
    }

    /// The other end, or our OPEN's acknowledgement, made it usable.
    pub(crate) fn open(&self, id: Option<u16>) {
        if let Some(id) = id {
            self.id.store(u32::from(id), Ordering::Release);
        }
        self.advance(DataChannelState::Open);
    }

    /// Closing begins, from here or from the other end. False if it had begun before.
    pub(crate) fn begin_closing(&self) -> bool {
        self.advance(DataChannelState::Closing)
    }

    pub(crate) fn closed_by_peer(&self) {
        self.closed_by_peer.store(true, Ordering::Release);
    }

    /// What closed it, as the session says, before [`close`](Self::close).
    pub(crate) fn closed_because(&self, reason: ChannelCloseReason) {
        let _ = self.close_reason.set(reason);
    }

    pub(crate) fn close_reason(&self) -> Option<ChannelCloseReason> {
        self.close_reason.get().copied()
    }

    /// Closed for good: every waiter wakes, and gets `reason` if the connection has ended.
    pub(crate) fn close(&self, reason: Option<&Reason>) {
        if let Some(reason) = reason {
            let _ = self.reason.set(reason.clone());
        }
        self.advance(DataChannelState::Closed);
        self.inbox.end();
        self.budget.close();
        self.low.notify_waiters();
    }

    /// `bytes` of its messages have left the send queue. Returns what that gives back to the send
    /// buffers. Fragments leave one by one, so the overhead goes back in proportion; the last bytes
    /// take all of it along.
    pub(crate) fn unqueued(&self, bytes: usize) -> usize {
        let before = self.queued_bytes.fetch_sub(bytes, Ordering::SeqCst);
        let queued = self.queued_messages.load(Ordering::SeqCst) as u64;
        let share = (queued * bytes as u64)
            .checked_div(before as u64)
            .unwrap_or(queued) as usize;
        self.queued_messages.fetch_sub(share, Ordering::SeqCst);
        let given = bytes + share * MESSAGE_OVERHEAD;
        self.budget.give(given);
        if before - bytes <= self.low_threshold.load(Ordering::SeqCst) {
            self.low.notify_waiters();
        }
        given
    }

    /// Bytes that wait to be sent.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::SeqCst)
    }

    /// States only move forward.
    fn advance(&self, state: DataChannelState) -> bool {
        let before = self.state.fetch_max(state as u8, Ordering::AcqRel);
        if before >= state as u8 {
            return false;
        }
        if let Some(shared) = self.shared.upgrade() {
            // W3C webrtc-stats §8.11: closed are those that were open.
            if state == DataChannelState::Open {
                shared.channels_opened.fetch_add(1, Ordering::Relaxed);
            } else if before == DataChannelState::Open as u8 {
                shared.channels_closed.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.changed.notify_waiters();
        true
    }

    /// Why it closed.
    pub(crate) fn reason(&self) -> Reason {
        let other = if self.closed_by_peer.load(Ordering::Acquire) {
            Reason::Remote
        } else {
            Reason::Local
        };
        self.reason.get().cloned().unwrap_or(other)
    }
}

impl Drop for Channel {
    /// What nobody will take any more gives its part of the receive window back.
    fn drop(&mut self) {
        let unread: usize = std::iter::from_fn(|| self.inbox.try_pop())
            .map(|r| r.cost)
            .sum();
        if unread > 0
            && let Some(shared) = self.shared.upgrade()
        {
            shared.taken(unread);
        }
    }
}

/// Bytes of a message as SCTP carries it: an empty one travels as one byte (RFC 8831 §6.6).
pub(crate) fn wire_len(len: usize) -> usize {
    len.max(1)
}

/// What a message takes of the send buffers: its bytes and what keeping it costs, so that small
/// messages cannot hold many times the limit.
pub(crate) fn charge(len: usize) -> usize {
    wire_len(len) + MESSAGE_OVERHEAD
}

/// The queue entry, the reference-counted buffer's header and the allocator's rounding.
const MESSAGE_OVERHEAD: usize = 128;
