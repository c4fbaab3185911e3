//! What happens to a connection, as a stream: nothing is lost because nobody looked yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::channel::Channel;
use crate::data_channel::{DataChannel, DataChannelState};
use crate::jsep::SignalingState;
use crate::signaling::IceCandidate;

/// Something that happened to a connection, from
/// [`PeerConnection::next_event`](crate::PeerConnection::next_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A local candidate was gathered and should go to the other end; `None` when there are no more
    /// (W3C WebRTC `icecandidate`).
    IceCandidate(Option<IceCandidate>),
    /// W3C WebRTC `icegatheringstatechange`.
    IceGatheringState(IceGatheringState),
    /// W3C WebRTC `iceconnectionstatechange`.
    IceConnectionState(IceConnectionState),
    /// W3C WebRTC `connectionstatechange`.
    ConnectionState(ConnectionState),
    /// W3C WebRTC `signalingstatechange`.
    SignalingState(SignalingState),
    /// An offer is needed: a data channel where there is no data section yet, an ICE restart
    /// (W3C WebRTC §4.7.3 `negotiationneeded`). Once for each need, and only in `stable`.
    NegotiationNeeded,
    /// The audio and video sections changed, see
    /// [`PeerConnection::transceivers`](crate::PeerConnection::transceivers).
    TransceiversChanged,
    /// The other end opened a channel (W3C WebRTC `datachannel`). Messages that came with it wait
    /// in it.
    DataChannel(DataChannel),
}

/// The state of the whole transport (W3C WebRTC §4.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionState {
    /// Nothing has started.
    New,
    /// ICE or DTLS is on its way.
    Connecting,
    /// ICE has a working pair and DTLS is established.
    Connected,
    /// ICE has lost contact and may find it again.
    Disconnected,
    /// ICE or DTLS has failed.
    Failed,
    /// The connection was closed.
    Closed,
}

/// The state of the ICE transport (W3C WebRTC §5.6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceConnectionState {
    /// Waiting for remote candidates.
    New,
    /// Checks are under way.
    Checking,
    /// A usable pair was found.
    Connected,
    /// All checks are done and a pair is selected.
    Completed,
    /// Contact is lost and may come back.
    Disconnected,
    /// Every pair has failed, or contact was lost for good.
    Failed,
    /// The agent has ended.
    Closed,
}

/// The state of gathering candidates (W3C WebRTC §5.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceGatheringState {
    /// Gathering begins with the first local description.
    New,
    /// Candidates are being gathered.
    Gathering,
    /// All candidates are known.
    Complete,
}

/// An event as the driver queues it. It holds no handle: a queued channel must not keep the
/// connection alive.
#[derive(Debug)]
pub(crate) enum Queued {
    Plain(Event),
    Channel(Arc<Channel>),
}

/// Events that wait for the application. Bounded: candidates by the ICE limits (a restart takes
/// those before it out), states by replacing an unread one of its kind, channels by the channel limit
/// (a channel beyond it is refused) and, once closed, by the receive window: one that has nothing to
/// read any more is forgotten.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    inner: Mutex<Inner>,
    queued: Notify,
    /// For the negotiator: something in its lane.
    signalled: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Queued>,
    /// The length at which channels that are over are looked for.
    forget_at: usize,
    /// What a negotiator takes care of, while there is one.
    signals: VecDeque<Event>,
    has_negotiator: bool,
    ended: bool,
}

impl EventQueue {
    pub(crate) fn push(&self, event: Queued) {
        {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if inner.ended {
                return;
            }
            match event {
                Queued::Plain(event) if inner.has_negotiator && is_signal(&event) => {
                    // One offer answers every need that came before it.
                    let needed = |event: &Event| matches!(event, Event::NegotiationNeeded);
                    if !needed(&event) || !inner.signals.iter().any(needed) {
                        inner.signals.push_back(event);
                    }
                    self.signalled.notify_one();
                    return;
                }
                Queued::Plain(_) | Queued::Channel(_) => {}
            }
            let queued = inner.events.len();
            if queued >= inner.forget_at.max(MAX_STATES) {
                inner.events.retain(|queued| !is_over(queued));
                // The next pass over the queue is worth it once it has doubled.
                inner.forget_at = 2 * inner.events.len();
            }
            if queued >= MAX_STATES && matches!(event, Queued::Plain(_)) {
                inner.events.retain(|queued| !replaces(&event, queued));
            }
            inner.events.push_back(event);
        }
        self.queued.notify_one();
    }

    /// Takes out the candidates that nobody read: those of another section or generation.
    pub(crate) fn discard_candidates(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let of_candidate = |event: &Event| matches!(event, Event::IceCandidate(_));
        inner
            .events
            .retain(|queued| !matches!(queued, Queued::Plain(event) if of_candidate(event)));
        inner.signals.retain(|event| !of_candidate(event));
    }

    /// From now on candidates and the need of an offer go to [`next_signal`](Self::next_signal),
    /// those that wait already included. False if they do already.
    pub(crate) fn attach_negotiator(&self) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut inner.has_negotiator, true) {
            return false;
        }
        for queued in std::mem::take(&mut inner.events) {
            match queued {
                Queued::Plain(event) if is_signal(&event) => inner.signals.push_back(event),
                Queued::Plain(_) | Queued::Channel(_) => inner.events.push_back(queued),
            }
        }
        true
    }

    /// The application takes care of signalling again.
    pub(crate) fn detach_negotiator(&self) {
        {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.has_negotiator = false;
            let signals = std::mem::take(&mut inner.signals);
            inner.events.extend(signals.into_iter().map(Queued::Plain));
        }
        self.queued.notify_one();
    }

    /// The next event for the negotiator, `None` after the end. Cancel-safe.
    pub(crate) async fn next_signal(&self) -> Option<Event> {
        loop {
            let signalled = self.signalled.notified();
            {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                let event = inner.signals.pop_front();
                if event.is_some() || inner.ended {
                    return event;
                }
            }
            signalled.await;
        }
    }

    /// No more events will come; those that are here can still be taken.
    pub(crate) fn end(&self) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .ended = true;
        self.queued.notify_waiters();
        self.queued.notify_one();
        self.signalled.notify_one();
    }

    /// The next event, `None` after the last. Cancel-safe.
    pub(crate) async fn pop(&self) -> Option<Queued> {
        loop {
            let queued = self.queued.notified();
            {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                let event = inner.events.pop_front();
                if event.is_some() || inner.ended {
                    // Another reader may wait for what is left.
                    self.queued.notify_one();
                    return event;
                }
            }
            queued.await;
        }
    }
}

/// What signalling has to act on.
fn is_signal(event: &Event) -> bool {
    matches!(event, Event::IceCandidate(_) | Event::NegotiationNeeded)
}

/// Whether it is a channel that nobody can do anything with: closed, and nothing to read.
fn is_over(queued: &Queued) -> bool {
    match queued {
        Queued::Plain(_) => false,
        Queued::Channel(channel) => {
            channel.state() == DataChannelState::Closed && channel.inbox.is_empty()
        }
    }
}

/// Whether `new` makes an unread `old` state event stale.
fn replaces(new: &Queued, old: &Queued) -> bool {
    let (Queued::Plain(new), Queued::Plain(old)) = (new, old) else {
        return false;
    };
    match old {
        Event::IceGatheringState(_)
        | Event::IceConnectionState(_)
        | Event::ConnectionState(_)
        | Event::SignalingState(_)
        | Event::NegotiationNeeded
        | Event::TransceiversChanged => std::mem::discriminant(new) == std::mem::discriminant(old),
        Event::IceCandidate(_) | Event::DataChannel(_) => false,
    }
}

/// Unread events from which on a state replaces an older one of its kind.
const MAX_STATES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn state(s: ConnectionState) -> Queued {
        Queued::Plain(Event::ConnectionState(s))
    }

    #[tokio::test]
    async fn events_wait_for_a_late_reader_and_end_after_the_last() {
        let queue = EventQueue::default();
        queue.push(state(ConnectionState::Connecting));
        queue.push(state(ConnectionState::Closed));
        queue.end();
        queue.push(state(ConnectionState::New));
        for wanted in [ConnectionState::Connecting, ConnectionState::Closed] {
            let Some(Queued::Plain(Event::ConnectionState(got))) = queue.pop().await else {
                panic!("no state")
            };
            assert_eq!(got, wanted);
        }
        assert!(queue.pop().await.is_none());
    }

    /// A connection that flaps for days with nobody reading must not grow.
    #[tokio::test]
    async fn unread_states_are_bounded() {
        let queue = EventQueue::default();
        queue.push(Queued::Plain(Event::IceCandidate(None)));
        for _ in 0..10_000 {
            queue.push(state(ConnectionState::Disconnected));
            queue.push(state(ConnectionState::Connected));
        }
        assert!(queue.inner.lock().unwrap().events.len() <= MAX_STATES + 1);
        let first = queue.pop().await;
        assert!(matches!(
            first,
            Some(Queued::Plain(Event::IceCandidate(None)))
        ));
    }
}
