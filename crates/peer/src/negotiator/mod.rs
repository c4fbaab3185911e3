//! Perfect negotiation (W3C WebRTC §10.7) as an object.

mod error;
mod signal;

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;

use crate::connection::PeerConnection;
use crate::error::Reason;
use crate::event::{ConnectionState, Event, IceConnectionState};
use crate::jsep::SignalingState;
use crate::offer_answer::OfferAnswer;
use crate::signaling::{IceCandidate, SdpType, SessionDescription};

pub use error::{AlreadyNegotiated, NegotiatorError};
pub use signal::Signal;

/// Keeps a connection negotiated over a signalling path: makes the offers that are needed, answers
/// those that come, passes candidates on, and settles glare, where both ends offer at once. It is
/// the "perfect negotiation" of W3C WebRTC §10.7, and speaks to a page that runs that example.
///
/// One end is [polite](Politeness::Polite) and the other is not; the signalling decides who. What
/// asks for an exchange is the connection's own API: the first data channel, and
/// [`restart_ice`](PeerConnection::restart_ice). An ICE transport that fails is restarted.
///
/// It does not keep the connection alive. While it exists, [`Event::IceCandidate`] and
/// [`Event::NegotiationNeeded`] come to it and not to [`PeerConnection::next_event`].
///
/// ```
/// use futures_util::{SinkExt, StreamExt};
/// use peerloom::{DataChannelOptions, Event, Message, Negotiator, PeerConnection, Politeness, Signal};
/// # use std::convert::Infallible;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The signalling path: a WebSocket to a server, say. Here both ends are at hand.
/// let (to_bob, for_bob) = futures_channel::mpsc::channel::<Signal>(16);
/// let (to_alice, for_alice) = futures_channel::mpsc::channel::<Signal>(16);
///
/// let alice = PeerConnection::builder().loopback(true).build().await?;
/// let bob = PeerConnection::builder().loopback(true).build().await?;
/// for (peer, politeness, sink, source) in [
///     (&alice, Politeness::Polite, to_bob, for_alice),
///     (&bob, Politeness::Impolite, to_alice, for_bob),
/// ] {
///     let mut negotiator = Negotiator::new(peer, politeness)?;
///     tokio::spawn(async move {
///         let ended = negotiator.run(sink, source.map(Ok::<_, Infallible>)).await;
///         println!("signalling has ended: {ended:?}");
///     });
/// }
///
/// // No offer, no answer, no candidate in sight: a channel is all it takes.
/// let channel = alice.create_data_channel("greeting", DataChannelOptions::default())?;
/// channel.send("hello").await?;
/// while let Some(event) = bob.next_event().await {
///     if let Event::DataChannel(channel) = event {
///         assert_eq!(channel.recv().await, Some(Message::from("hello")));
///         break;
///     }
/// }
/// # alice.close().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Negotiator {
    offer_answer: OfferAnswer,
    politeness: Politeness,
    restart_on_failure: bool,
    /// The last offer that came was ignored, and so are its candidates (W3C's `ignoreOffer`).
    ignoring: bool,
    /// On their way to the sink; at most [`BACKLOG`].
    outgoing: VecDeque<Signal>,
    /// The sink may hold some of them back.
    unflushed: bool,
    stats: NegotiatorStats,
}

/// Who gives way when both ends offer at once. Exactly one of the two has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Politeness {
    /// Takes its own offer back and answers the other one.
    Polite,
    /// Ignores the other offer and waits for the answer to its own.
    Impolite,
}

/// Why [`Negotiator::run`] returned without an error.
#[derive(Clone, Debug)]
pub enum SignallingEnd {
    /// The source has ended. The connection goes on, and can be negotiated over another path.
    Source,
    /// The connection has ended.
    Connection(Reason),
}

/// Counters since [`Negotiator::new`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatorStats {
    /// Offers made.
    pub offers: u64,
    /// Answers made.
    pub answers: u64,
    /// Offers of the other end that met one of ours.
    pub collisions: u64,
    /// Answers that came when no offer of ours was open, and were ignored.
    pub stale_answers: u64,
    /// Candidates that could not be used, those of ignored offers excepted.
    pub candidates_refused: u64,
    /// ICE restarts because the transport had failed.
    pub restarts: u64,
}

impl Negotiator {
    /// A negotiator for this connection. Nothing is negotiated before [`run`](Self::run); what the
    /// connection needed before waits for it.
    ///
    /// # Errors
    /// [`AlreadyNegotiated`] while the connection has another one.
    pub fn new(
        connection: &PeerConnection,
        politeness: Politeness,
    ) -> Result<Self, AlreadyNegotiated> {
        let offer_answer = connection.offer_answer.clone();
        if !offer_answer.shared.events.attach_negotiator() {
            return Err(AlreadyNegotiated);
        }
        Ok(Self {
            offer_answer,
            politeness,
            restart_on_failure: true,
            ignoring: false,
            outgoing: VecDeque::new(),
            unflushed: false,
            stats: NegotiatorStats::default(),
        })
    }

    /// Whether an ICE transport that fails is restarted, again for each failure. Default: true.
    pub fn restart_on_failure(mut self, restart: bool) -> Self {
        self.restart_on_failure = restart;
        self
    }

    /// Who gives way here.
    pub fn politeness(&self) -> Politeness {
        self.politeness
    }

    /// Counters.
    pub fn stats(&self) -> NegotiatorStats {
        self.stats
    }

    /// Negotiates over this path until the connection or the path ends. The path delivers in
    /// order, in either direction, as a WebSocket does.
    ///
    /// A candidate that cannot be used is counted and passed over. An answer that nobody waits for
    /// is, too.
    ///
    /// # Errors
    /// [`NegotiatorError`] for a path that fails and a description that cannot be used.
    ///
    /// Cancel-safe: what the sink has not taken yet waits here, and a source's message is handled
    /// as soon as it is taken. To go on over the same path, pass both as `&mut`; over another one,
    /// call [`replace_path`](Self::replace_path) first.
    pub async fn run<Si, St, R>(
        &mut self,
        sink: Si,
        source: St,
    ) -> Result<SignallingEnd, NegotiatorError<Si::Error, R>>
    where
        Si: Sink<Signal>,
        St: Stream<Item = Result<Signal, R>>,
    {
        let (mut sink, mut source) = (pin!(sink), pin!(source));
        let shared = self.offer_answer.shared.clone();
        let mut done = shared.done.subscribe();
        let mut ice = shared.states.ice.subscribe();
        // A negotiator that comes late hears of needs by event, and of a failure here.
        ice.mark_changed();
        loop {
            let sending = self.unflushed || !self.outgoing.is_empty();
            tokio::select! {
                biased;
                // The sender lives as long as `shared`.
                _ = done.wait_for(|done| *done) => {
                    return Ok(SignallingEnd::Connection(shared.failure()));
                }
                sent = send(sink.as_mut(), &mut self.outgoing, &mut self.unflushed), if sending => {
                    sent.map_err(NegotiatorError::Send)?;
                }
                signal = async {
                    shared.room_for_commands().await;
                    next(source.as_mut()).await
                } => match signal {
                    None => return Ok(SignallingEnd::Source),
                    Some(signal) => self.receive(signal.map_err(NegotiatorError::Receive)?)?,
                },
                // A sink that takes nothing leaves them where they are.
                Some(event) = shared.events.next_signal(), if self.outgoing.is_empty() => {
                    self.notice(event)?;
                }
                Ok(()) = ice.changed(), if self.restart_on_failure => {
                    if *ice.borrow_and_update() == IceConnectionState::Failed {
                        self.stats.restarts += 1;
                        // Refused only when the connection has ended.
                        let _ = self.offer_answer.restart_ice();
                    }
                }
            }
        }
    }

    /// The path is replaced by another, and what was on the old one may be lost; both ends call
    /// this before the next [`run`](Self::run). Takes back an offer that waits for its answer, so
    /// that it is made again. A connection that was established restarts ICE, since the two ends may
    /// have kept the credentials of different exchanges. The old path must not deliver anything any
    /// more.
    pub fn replace_path(&mut self) {
        self.outgoing.clear();
        self.unflushed = false;
        self.ignoring = false;
        // Either is refused only when the connection has ended.
        if self.offer_answer.signaling_state() == SignalingState::HaveLocalOffer {
            let rollback = SessionDescription::rollback();
            let _ = self.offer_answer.set_local(Some(rollback));
        }
        match *self.offer_answer.shared.states.connection.borrow() {
            ConnectionState::New | ConnectionState::Connecting => {}
            ConnectionState::Connected
            | ConnectionState::Disconnected
            | ConnectionState::Failed
            | ConnectionState::Closed => {
                let _ = self.offer_answer.restart_ice();
            }
        }
    }

    fn receive<S, R>(&mut self, signal: Signal) -> Result<(), NegotiatorError<S, R>> {
        let description = match signal {
            Signal::Candidate(candidate) => {
                self.receive_candidate(&candidate.unwrap_or_default());
                return Ok(());
            }
            Signal::Description(description) => description,
        };
        let kind = description.kind;
        let state = self.offer_answer.signaling_state();
        let refused = |error| NegotiatorError::Refused { kind, error };
        match kind {
            SdpType::Offer => {
                // Making an offer and setting an answer are one step here, so the state alone tells
                // what the example keeps in `makingOffer` and `isSettingRemoteAnswerPending`.
                let collision = state != SignalingState::Stable;
                self.stats.collisions += u64::from(collision);
                self.ignoring = collision && self.politeness == Politeness::Impolite;
                if self.ignoring {
                    return Ok(());
                }
                self.offer_answer
                    .set_remote(&description)
                    .map_err(refused)?;
                self.offer_answer.set_local(None).map_err(refused)?;
                self.stats.answers += 1;
                self.describe()
            }
            SdpType::Pranswer | SdpType::Answer => {
                self.ignoring = false;
                let awaited = matches!(
                    state,
                    SignalingState::HaveLocalOffer | SignalingState::HaveRemotePranswer
                );
                if !awaited {
                    self.stats.stale_answers += 1;
                    return Ok(());
                }
                self.offer_answer.set_remote(&description).map_err(refused)
            }
            SdpType::Rollback => self.offer_answer.set_remote(&description).map_err(refused),
        }
    }

    fn receive_candidate(&mut self, candidate: &IceCandidate) {
        if let Err(error) = self.offer_answer.add_candidate(candidate)
            && !self.ignoring
        {
            tracing::debug!(%error, "remote candidate not used");
            self.stats.candidates_refused += 1;
        }
    }

    fn notice<S, R>(&mut self, event: Event) -> Result<(), NegotiatorError<S, R>> {
        match event {
            Event::IceCandidate(candidate) => {
                // With its generation, the mark after the last one cannot be taken for another's.
                let candidate = candidate.or_else(|| self.offer_answer.end_of_candidates());
                self.say(Signal::Candidate(candidate))
            }
            // An exchange of the other end's may have done it meanwhile.
            Event::NegotiationNeeded if self.offer_answer.needs_offer() => {
                self.offer_answer
                    .set_local(None)
                    .map_err(NegotiatorError::Offer)?;
                self.stats.offers += 1;
                self.describe()
            }
            Event::NegotiationNeeded
            | Event::IceGatheringState(_)
            | Event::IceConnectionState(_)
            | Event::ConnectionState(_)
            | Event::SignalingState(_)
            | Event::TransceiversChanged
            | Event::DataChannel(_) => Ok(()),
        }
    }

    /// Our description, with the candidates that are known.
    fn describe<S, R>(&mut self) -> Result<(), NegotiatorError<S, R>> {
        match self.offer_answer.local_description() {
            Some(description) => self.say(Signal::Description(description)),
            None => Ok(()),
        }
    }

    fn say<S, R>(&mut self, signal: Signal) -> Result<(), NegotiatorError<S, R>> {
        if self.outgoing.len() >= BACKLOG {
            return Err(NegotiatorError::Backlog { max: BACKLOG });
        }
        self.outgoing.push_back(signal);
        Ok(())
    }
}

impl Drop for Negotiator {
    fn drop(&mut self) {
        self.offer_answer.shared.events.detach_negotiator();
    }
}

/// Hands over what waits, then flushes. A signal leaves the queue when the sink takes it.
async fn send<Si: Sink<Signal>>(
    mut sink: Pin<&mut Si>,
    outgoing: &mut VecDeque<Signal>,
    unflushed: &mut bool,
) -> Result<(), Si::Error> {
    std::future::poll_fn(|cx| {
        while !outgoing.is_empty() {
            ready!(sink.as_mut().poll_ready(cx))?;
            if let Some(signal) = outgoing.pop_front() {
                *unflushed = true;
                sink.as_mut().start_send(signal)?;
            }
        }
        ready!(sink.as_mut().poll_flush(cx))?;
        *unflushed = false;
        Poll::Ready(Ok(()))
    })
    .await
}

async fn next<St: Stream>(mut source: Pin<&mut St>) -> Option<St::Item> {
    std::future::poll_fn(|cx| source.as_mut().poll_next(cx)).await
}

/// Signals that wait for the sink. Candidates wait in the connection while anything waits here, so
/// only answers add up: to offers of another end that does not read them.
const BACKLOG: usize = 64;
