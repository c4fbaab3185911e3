//! The connection as the application holds it.

use std::sync::Arc;

use peerloom_datachannel::ChannelOptions;
use tokio::sync::{oneshot, watch};

use crate::channel::Channel;
use crate::config::{Config, PeerConnectionBuilder};
use crate::data_channel::{DataChannel, DataChannelOptions};
use crate::error::{Error, Reason};
use crate::event::{ConnectionState, Event, IceConnectionState, IceGatheringState, Queued};
use crate::jsep::SignalingState;
use crate::offer_answer::OfferAnswer;
use crate::signaling::{IceCandidate, SdpType, SessionDescription};
use crate::stats::{StatsReport, report};
use crate::transceiver::Transceiver;
use crate::transport::driver::Command;
use crate::transport::lock::Purpose;
use crate::transport::shared::{Handle, Shared};
use crate::transport::supervisor;

/// A WebRTC connection to one other end (W3C WebRTC `RTCPeerConnection`).
///
/// A handle: clones are the same connection. When the last handle, data channels included, is
/// dropped, the connection ends at once; [`close`](Self::close) delivers what was accepted first.
///
/// The getters neither wait nor take the lock of the data path.
#[derive(Clone, Debug)]
pub struct PeerConnection {
    handle: Arc<Handle>,
    pub(crate) offer_answer: OfferAnswer,
}

impl PeerConnection {
    /// The options of a new connection.
    pub fn builder() -> PeerConnectionBuilder {
        PeerConnectionBuilder::new()
    }

    /// A connection with default options. Needs a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// As [`PeerConnectionBuilder::build`]. Cancel-safe.
    pub async fn new() -> Result<Self, Error> {
        Self::builder().build().await
    }

    pub(crate) fn start(config: Config) -> Result<Self, Error> {
        let (shared, negotiation, credentials) = supervisor::start(config)?;
        Ok(PeerConnection {
            offer_answer: OfferAnswer::new(shared.clone(), negotiation, credentials),
            handle: Arc::new(Handle { shared }),
        })
    }

    /// Creates a data channel. It opens when the connection does; `send` waits until then.
    ///
    /// The first one, before the offer, puts a data m-section into the offer.
    ///
    /// # Errors
    /// [`Error::Open`] names the value that cannot be: an id that is taken or out of range, a label
    /// or protocol that is too long, too many channels. [`Error::Closed`] after the end.
    pub fn create_data_channel(
        &self,
        label: impl Into<String>,
        options: DataChannelOptions,
    ) -> Result<DataChannel, Error> {
        let label = label.into();
        let now = tokio::time::Instant::now().into_std();
        let shared = self.shared();
        let channel = shared
            .session
            .with(Purpose::Control, |guarded| {
                if let Some(reason) = shared.reason() {
                    return Err(Error::Closed(reason));
                }
                let key = guarded
                    .session
                    .open(
                        now,
                        ChannelOptions {
                            label: label.clone(),
                            protocol: options.protocol.clone(),
                            ordered: options.ordered,
                            reliability: options.reliability,
                            priority: options.priority,
                            negotiated: options.negotiated,
                        },
                    )
                    .map_err(|error| Error::Open(Arc::new(error)))?;
                let channel = Arc::new(Channel::new(
                    key,
                    options.negotiated,
                    label,
                    options,
                    shared,
                ));
                guarded.channels.insert(key, channel.clone());
                Ok(channel)
            })
            .map_err(Error::Closed)??;
        self.offer_answer.want_data();
        shared.wake();
        Ok(DataChannel {
            channel,
            connection: self.handle.clone(),
        })
    }

    /// Makes an offer (W3C WebRTC §4.4.2 `createOffer`). Give it to
    /// [`set_local_description`](Self::set_local_description) and send it to the other end.
    ///
    /// # Errors
    /// [`Error::Negotiation`] in a signalling state that allows no offer. Cancel-safe.
    pub async fn create_offer(&self) -> Result<SessionDescription, Error> {
        self.offer_answer.create(SdpType::Offer)
    }

    /// Makes an answer to the remote offer that is set (W3C WebRTC §4.4.2 `createAnswer`).
    ///
    /// # Errors
    /// [`Error::Negotiation`] when there is no offer to answer. Cancel-safe.
    pub async fn create_answer(&self) -> Result<SessionDescription, Error> {
        self.offer_answer.create(SdpType::Answer)
    }

    /// Makes the next offer restart ICE (W3C WebRTC `restartIce`): new credentials, new candidates,
    /// the same DTLS and SCTP; [`Event::NegotiationNeeded`] asks for that offer. Data flows on over
    /// the old pair until a new one is selected, and a connection that lost contact finds it again;
    /// nothing reliable is lost. The wish outlives an offer that is rolled back, and ends with the
    /// exchange that replaces the credentials, whoever offers. Before the first description there is
    /// nothing to restart.
    ///
    /// # Errors
    /// [`Error::Closed`] after the end.
    pub fn restart_ice(&self) -> Result<(), Error> {
        self.offer_answer.restart_ice()
    }

    /// Sets a description made by this end and starts gathering candidates. `None`, or one with an
    /// empty `sdp`, stands for the offer or answer that the signalling state asks for, which is then
    /// made here.
    ///
    /// # Errors
    /// [`Error::Negotiation`] when it does not fit the signalling state, [`Error::Busy`] when too much
    /// waits for the connection; nothing changed then. Cancel-safe.
    pub async fn set_local_description(
        &self,
        description: impl Into<Option<SessionDescription>>,
    ) -> Result<(), Error> {
        self.offer_answer.set_local(description.into())
    }

    /// Sets a description that came from the other end.
    ///
    /// # Errors
    /// [`Error::Negotiation`] names the line or the value that is wrong, [`Error::Busy`] says that too
    /// much waits for the connection; nothing changed then. Cancel-safe.
    pub async fn set_remote_description(
        &self,
        description: SessionDescription,
    ) -> Result<(), Error> {
        self.offer_answer.set_remote(&description)
    }

    /// Adds a candidate of the other end, as its signalling brings it. One with an empty
    /// `candidate` says that there are no more.
    ///
    /// # Errors
    /// [`Error::Candidate`] for one that cannot be read or belongs to no section of the remote
    /// description; [`Error::Busy`] when too many wait. Cancel-safe.
    pub async fn add_ice_candidate(&self, candidate: IceCandidate) -> Result<(), Error> {
        self.offer_answer.add_candidate(&candidate)
    }

    /// The local description with the candidates gathered so far, current or pending (W3C WebRTC
    /// `localDescription`).
    pub fn local_description(&self) -> Option<SessionDescription> {
        self.offer_answer.local_description()
    }

    /// The remote description, current or pending (W3C WebRTC `remoteDescription`).
    pub fn remote_description(&self) -> Option<SessionDescription> {
        self.offer_answer.remote_description()
    }

    /// Waits until all local candidates are known; [`local_description`](Self::local_description)
    /// then holds them all, for signalling without trickling. A STUN server that does not answer
    /// delays this by two seconds at most. Returns at once when the connection has ended, and when
    /// the local description has nothing to gather for: an answer that rejects everything.
    /// Cancel-safe.
    pub async fn gathering_complete(&self) {
        if self.offer_answer.nothing_to_gather() {
            return;
        }
        let mut gathering = self.shared().states.gathering.subscribe();
        let mut done = self.shared().done.subscribe();
        tokio::select! {
            // The senders live as long as we do.
            _ = gathering.wait_for(|reported| {
                self.shared().gathering_state(*reported) == IceGatheringState::Complete
            }) => {}
            _ = done.wait_for(|done| *done) => {}
        }
    }

    /// The next event; `None` after the end, once all were taken. Events wait for a late reader.
    /// Cancel-safe.
    pub async fn next_event(&self) -> Option<Event> {
        Some(match self.shared().events.pop().await? {
            Queued::Plain(event) => event,
            Queued::Channel(channel) => Event::DataChannel(DataChannel {
                channel,
                connection: self.handle.clone(),
            }),
        })
    }

    /// Waits until ICE and DTLS are established.
    ///
    /// # Errors
    /// [`Error::Closed`] with the reason when the connection fails or ends first. Cancel-safe.
    pub async fn connected(&self) -> Result<(), Error> {
        let mut state = self.shared().states.connection.subscribe();
        let settled = state
            .wait_for(|state| match state {
                ConnectionState::Connected | ConnectionState::Failed | ConnectionState::Closed => {
                    true
                }
                ConnectionState::New
                | ConnectionState::Connecting
                | ConnectionState::Disconnected => false,
            })
            .await;
        match settled.map(|state| *state) {
            Ok(ConnectionState::Connected) => Ok(()),
            Ok(_) | Err(_) => Err(Error::Closed(self.shared().failure())),
        }
    }

    /// Waits until the connection has ended: every task of it, every socket closed. Says why.
    /// Cancel-safe.
    pub async fn closed(&self) -> Reason {
        let mut done = self.shared().done.subscribe();
        // The sender lives as long as we do.
        let _ = done.wait_for(|done| *done).await;
        self.shared().failure()
    }

    /// Ends the connection: delivers what was accepted for sending (within
    /// [`close_timeout`](PeerConnectionBuilder::close_timeout)), tells the other end, and returns
    /// when every task has ended, every socket is closed and every waiter was woken.
    ///
    /// Cancel-safe: the closing goes on by itself.
    pub async fn close(&self) {
        // Refused only when it has ended, or ends anyway.
        let _ = self.shared().command(Command::Close);
        self.closed().await;
    }

    /// A snapshot of all figures (W3C WebRTC `getStats`).
    ///
    /// # Errors
    /// [`Error::Closed`] after the end, [`Error::Busy`] when the driver is far behind. Cancel-safe.
    pub async fn stats(&self) -> Result<StatsReport, Error> {
        let (answer, snapshot) = oneshot::channel();
        self.shared().command(Command::Stats(answer))?;
        let (now, internals) = snapshot
            .await
            .map_err(|_| Error::Closed(self.shared().failure()))?;
        Ok(report(self.shared(), internals, now))
    }

    /// The state of the whole (W3C WebRTC `connectionState`).
    pub fn connection_state(&self) -> ConnectionState {
        *self.shared().states.connection.borrow()
    }

    /// Follows [`connection_state`](Self::connection_state).
    pub fn watch_connection_state(&self) -> watch::Receiver<ConnectionState> {
        self.shared().states.connection.subscribe()
    }

    /// The state of ICE (W3C WebRTC `iceConnectionState`).
    pub fn ice_connection_state(&self) -> IceConnectionState {
        *self.shared().states.ice.borrow()
    }

    /// The state of gathering (W3C WebRTC `iceGatheringState`).
    pub fn ice_gathering_state(&self) -> IceGatheringState {
        self.offer_answer.gathering_state()
    }

    /// The state of offer and answer (W3C WebRTC `signalingState`).
    pub fn signaling_state(&self) -> SignalingState {
        self.offer_answer.signaling_state()
    }

    /// The audio and video sections of the descriptions. They are answered with port 0: this
    /// version carries no media.
    pub fn transceivers(&self) -> Vec<Transceiver> {
        self.offer_answer.transceivers()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}
