//! What a channel and a message are asked to be, and the states of a channel.

pub use peerloom_datachannel::{ChannelCloseReason, MessageOptions};
pub use peerloom_sctp::Reliability;
use serde::{Deserialize, Serialize};

/// How a channel delivers, for
/// [`PeerConnection::create_data_channel`](crate::PeerConnection::create_data_channel)
/// (W3C WebRTC `RTCDataChannelInit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChannelOptions {
    /// Messages arrive in the order in which they were sent. Default: true.
    pub ordered: bool,
    /// How hard lost messages are repeated. Default: until they arrive.
    pub reliability: Reliability,
    /// The application's subprotocol, at most 65,535 bytes. Default: empty.
    pub protocol: String,
    /// The stream id, when both ends create the channel themselves and no OPEN is sent
    /// (0 to 65,534). Default: `None`, the id is chosen and the other end is told.
    pub negotiated: Option<u16>,
    /// The priority carried in the OPEN message (RFC 8831 §6.4: 128 below normal, 256 normal,
    /// 512 high, 1024 extra high), by which both ends send until they
    /// [change it](crate::DataChannel::set_priority). Default: 256.
    pub priority: u16,
}

impl Default for DataChannelOptions {
    fn default() -> Self {
        DataChannelOptions {
            ordered: true,
            reliability: Reliability::Reliable,
            protocol: String::new(),
            negotiated: None,
            priority: 256,
        }
    }
}

/// The state of a channel (W3C WebRTC §6.2 `readyState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataChannelState {
    /// Not usable yet; `send` waits.
    Connecting,
    /// Messages can be sent and received.
    Open,
    /// No more messages can be sent; those accepted are still on their way.
    Closing,
    /// Closed at both ends.
    Closed,
}

impl DataChannelState {
    pub(crate) fn from_u8(state: u8) -> Self {
        match state {
            0 => DataChannelState::Connecting,
            1 => DataChannelState::Open,
            2 => DataChannelState::Closing,
            _ => DataChannelState::Closed,
        }
    }
}
