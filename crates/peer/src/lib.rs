//! An async WebRTC peer-connection stack for tokio.
//!
//! A [`PeerConnection`] opens [`DataChannel`]s to another one or to a browser, over ICE, DTLS and
//! SCTP. Signalling, the exchange of [`SessionDescription`]s and [`IceCandidate`]s, is the
//! application's: both are serde types in the browser's JSON form. A [`Negotiator`] does the whole
//! exchange over any path that the application has.
//!
//! It is built for throughput under load: the state machines never write bytes and never wait, the
//! one lock of the data path is held neither while packets are marshalled nor during I/O, and a
//! writer task of its own seals and sends batches with one system call each. Every queue is
//! bounded: [`DataChannel::send`] waits for room.
//!
//! What it is not: a signalling server, a TURN server, or a media engine. Audio and video sections
//! of an offer are answered with port 0.
//!
//! ```
//! use peerloom::{DataChannelOptions, Event, Message, PeerConnection};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (a, b) = (
//!     PeerConnection::builder().loopback(true).build().await?,
//!     PeerConnection::builder().loopback(true).build().await?,
//! );
//! let channel = a.create_data_channel("greeting", DataChannelOptions::default())?;
//!
//! // Signalling: here both ends are at hand.
//! a.set_local_description(a.create_offer().await?).await?;
//! a.gathering_complete().await;
//! b.set_remote_description(a.local_description().ok_or("no offer")?).await?;
//! b.set_local_description(b.create_answer().await?).await?;
//! b.gathering_complete().await;
//! a.set_remote_description(b.local_description().ok_or("no answer")?).await?;
//!
//! channel.send("hello").await?;
//! let echo = loop {
//!     match b.next_event().await {
//!         Some(Event::DataChannel(channel)) => break channel,
//!         Some(_) => {}
//!         None => return Err("no channel".into()),
//!     }
//! };
//! assert_eq!(echo.recv().await, Some(Message::from("hello")));
//! a.close().await;
//! # Ok(()) }
//! ```

mod certificate;
mod channel;
mod config;
mod connection;
mod data_channel;
mod error;
mod event;
mod ice_options;
pub mod jsep;
mod limits;
mod message;
mod negotiator;
mod offer_answer;
pub mod sdp;
mod signaling;
pub mod stats;
mod transceiver;
mod transport;

pub use certificate::RemoteCertificate;
pub use config::{AnswerSetup, PeerConnectionBuilder};
pub use connection::PeerConnection;
pub use data_channel::{
    ByteReader, ByteStream, ByteWriter, ChannelCloseReason, DataChannel, DataChannelOptions,
    DataChannelState, MessageOptions, Messages, Permit, Reliability, TextMessages,
};
pub use error::{Error, Reason, SendError, TrySendError, TrySendErrorKind};
pub use event::{ConnectionState, Event, IceConnectionState, IceGatheringState};
pub use ice_options::{ExternalKind, NetworkInterface};
pub use jsep::{NegotiationError, SignalingState};
pub use message::Message;
pub use negotiator::{
    AlreadyNegotiated, Negotiator, NegotiatorError, NegotiatorStats, Politeness, Signal,
    SignallingEnd,
};
pub use peerloom_dtls::{
    Certificate, Fingerprint, HashAlgorithm, KeyLog, KeyLogLines, Role as DtlsRole, SrtpProfile,
};
pub use peerloom_ice::{AddressPolicy, TransportPolicy};
pub use peerloom_sctp::{CongestionControl, NextMessage, Scheduler, StreamId, StreamScheduler};
pub use signaling::{IceCandidate, SdpType, SessionDescription};
pub use stats::StatsReport;
pub use transceiver::{Codec, Rejection, Transceiver, TransceiverKind};
