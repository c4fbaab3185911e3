//! Counters.

use crate::channel::ChannelState;
use crate::error::Violation;

/// A snapshot taken by [`Session::stats`](crate::Session::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Channels opened by this end, negotiated ones included.
    pub channels_opened: u64,
    /// Channels opened by the peer.
    pub channels_accepted: u64,
    /// Channels closed, by whom ever.
    pub channels_closed: u64,
    /// What was dropped or refused, by reason.
    pub drops: Drops,
}

/// What a peer sent that was dropped or refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// [`Violation::MalformedDcep`].
    pub malformed_dcep: u64,
    /// [`Violation::OpenOnUsedStream`].
    pub open_on_used_stream: u64,
    /// [`Violation::WrongParity`].
    pub wrong_parity: u64,
    /// [`Violation::NameTooLong`].
    pub name_too_long: u64,
    /// [`Violation::TooManyChannels`].
    pub too_many_channels: u64,
    /// [`Violation::UnexpectedAck`].
    pub unexpected_ack: u64,
    /// [`Violation::UnknownStream`]: messages.
    pub unknown_stream: u64,
    /// [`Violation::MessageTooLarge`].
    pub message_too_large: u64,
    /// [`Violation::PartialTooLarge`].
    pub partial_too_large: u64,
    /// Messages with a PPID that is not WebRTC's; the channel lives on.
    pub unknown_ppid: u64,
    /// Unfinished messages with deprecated PPIDs whose end never came.
    pub unfinished_message: u64,
    /// Messages on a stream that is being reset because of an earlier violation.
    pub refused_stream: u64,
    /// Violations left without a reset because
    /// [`Limits::refused_streams`](crate::Limits::refused_streams) was reached.
    pub unanswered: u64,
}

/// A snapshot taken by [`Session::channel_stats`](crate::Session::channel_stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Stream id, once known.
    pub id: Option<u16>,
    /// The state.
    pub state: ChannelState,
    /// Messages accepted by [`Session::send`](crate::Session::send).
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages delivered.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Messages sent and given up, as the channel's reliability allows.
    pub messages_abandoned: u64,
}

impl Drops {
    pub(crate) fn count(&mut self, violation: Violation) {
        let counter = match violation {
            Violation::MalformedDcep => &mut self.malformed_dcep,
            Violation::OpenOnUsedStream => &mut self.open_on_used_stream,
            Violation::WrongParity => &mut self.wrong_parity,
            Violation::NameTooLong => &mut self.name_too_long,
            Violation::TooManyChannels => &mut self.too_many_channels,
            Violation::UnexpectedAck => &mut self.unexpected_ack,
            Violation::UnknownStream => &mut self.unknown_stream,
            Violation::MessageTooLarge => &mut self.message_too_large,
            Violation::PartialTooLarge => &mut self.partial_too_large,
        };
        *counter += 1;
    }
}
