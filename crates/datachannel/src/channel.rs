//! One data channel: what it was asked to be, and where it is in its life.

use bytes::{Bytes, BytesMut};
use peerloom_sctp::{Reliability, StreamId};

use crate::error::ChannelCloseReason;
use crate::ppid::MessageKind;
use crate::stats::ChannelStats;

/// What a channel is asked to be, or, for a channel the peer opened, what the peer asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelOptions {
    /// The channel's name; may be empty, need not be unique.
    pub label: String,
    /// The subprotocol; may be empty.
    pub protocol: String,
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// When the sender gives a message up. Each end of an in-band channel uses the same.
    pub reliability: Reliability,
    /// Relative priority (RFC 8831 §6.4), carried to the peer: with the default scheduler the share of
    /// the channel when several have something to send. 128, 256, 512 and 1024 are below normal,
    /// normal, high and extra high.
    pub priority: u16,
    /// The stream id both applications agreed on (RFC 8832 is not used), or `None` to open the
    /// channel in-band.
    pub negotiated: Option<u16>,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            label: String::new(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            priority: DEFAULT_PRIORITY,
            negotiated: None,
        }
    }
}

/// How one message is delivered, where that differs from its channel.
///
/// Of reliability only the sender knows, of order each DATA chunk tells (RFC 9260 §3.3.1, the U
/// bit), so the peer needs no notice of either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageOptions {
    /// Whether it arrives after the ordered messages sent before it. `None`: as the channel.
    pub ordered: Option<bool>,
    /// When it is given up. `None`: as the channel.
    pub reliability: Option<Reliability>,
}

/// `RTCDataChannelState`. A closed channel has no state: its key is no longer known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelState {
    /// Not usable yet, or opened in-band and not acknowledged. In the second case messages can
    /// already be sent, see [`Session::send`](crate::Session::send).
    Connecting,
    /// Both ends know the channel.
    Open,
    /// Being closed; what was queued before is still delivered.
    Closing,
}

#[derive(Debug)]
pub(crate) struct Channel {
    /// Known from the start for negotiated and incoming channels.
    pub(crate) stream: Option<StreamId>,
    pub(crate) phase: Phase,
    pub(crate) origin: Origin,
    pub(crate) ordered: bool,
    pub(crate) reliability: Reliability,
    pub(crate) priority: u16,
    /// Our OPEN was not answered with an ACK yet. The channel may be open all the same: any
    /// message of the peer shows that it knows the channel (RFC 8832 §6).
    pub(crate) awaiting_ack: bool,
    /// Bytes of our OPEN or ACK the association has not sent yet.
    pub(crate) control_unsent: u32,
    /// Bytes of label and protocol, for [`Limits::name_bytes`](crate::Limits::name_bytes).
    pub(crate) name_bytes: u32,
    /// Parts of a message sent with a deprecated PPID.
    pub(crate) partial: Option<Box<Partial>>,
    pub(crate) counters: Counters,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// Waits for the association, for an id, or for room to send `open` (empty if negotiated).
    Waiting {
        open: Bytes,
    },
    /// OPEN is on its way; the peer has not been heard of.
    Opening,
    Open,
    Closing(Closing),
}

/// RFC 8831 §6.7: a channel is closed when both of its streams are reset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    /// Our stream is reset.
    pub(crate) outgoing: bool,
    /// The peer's stream is reset.
    pub(crate) incoming: bool,
    pub(crate) reason: ChannelCloseReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Local,
    Negotiated,
    Incoming,
    /// Never a channel for the application: a stream we reset because of what the peer sent on
    /// it. It occupies the id until both directions are reset.
    Refused,
    /// Was a channel. It occupies the id until the peer has reset its half.
    Unanswered,
}

#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) kind: MessageKind,
    pub(crate) payload: BytesMut,
    /// Receive window held by the parts.
    pub(crate) cost: usize,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) messages_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) messages_abandoned: u64,
}

impl Channel {
    pub(crate) fn new(origin: Origin, ordered: bool, reliability: Reliability) -> Self {
        Self {
            stream: None,
            phase: Phase::Open,
            origin,
            ordered,
            reliability,
            priority: DEFAULT_PRIORITY,
            awaiting_ack: false,
            control_unsent: 0,
            name_bytes: 0,
            partial: None,
            counters: Counters::default(),
        }
    }

    /// Whether the application knows of it.
    pub(crate) fn is_visible(&self) -> bool {
        !matches!(self.origin, Origin::Refused | Origin::Unanswered)
    }

    pub(crate) fn state(&self) -> ChannelState {
        match self.phase {
            Phase::Waiting { .. } | Phase::Opening => ChannelState::Connecting,
            Phase::Open => ChannelState::Open,
            Phase::Closing(_) => ChannelState::Closing,
        }
    }

    pub(crate) fn stats(&self) -> ChannelStats {
        ChannelStats {
            id: self.stream.map(|stream| stream.0),
            state: self.state(),
            messages_sent: self.counters.messages_sent,
            bytes_sent: self.counters.bytes_sent,
            messages_received: self.counters.messages_received,
            bytes_received: self.counters.bytes_received,
            messages_abandoned: self.counters.messages_abandoned,
        }
    }
}

/// Normal priority (RFC 8831 §6.4).
pub const DEFAULT_PRIORITY: u16 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_channel_stays_far_below_a_kibibyte() {
        assert!(
            size_of::<Channel>() <= 192,
            "{} bytes",
            size_of::<Channel>()
        );
    }
}
