//! From the session's events, taken inside the lock, to channels and applications, outside it.

use std::sync::Arc;

use peerloom_datachannel::{ChannelCloseReason, CloseReason, MessageKind, SessionEvent};

use super::driver::Driver;
use super::inbox::Received;
use super::shared::{Guarded, Shared};
use crate::channel::Channel;
use crate::data_channel::DataChannelOptions;
use crate::error::Reason;
use crate::event::Queued;
use crate::message::Message;

/// A session event with its channel looked up.
#[derive(Debug)]
pub(super) enum ChannelEvent {
    Opened {
        channel: Arc<Channel>,
        id: Option<u16>,
    },
    Incoming(Arc<Channel>),
    Message {
        channel: Arc<Channel>,
        kind: MessageKind,
        payload: bytes::Bytes,
        cost: usize,
    },
    Closing(Arc<Channel>),
    Closed {
        channel: Arc<Channel>,
        reason: ChannelCloseReason,
    },
    SessionClosed(CloseReason),
}

impl Guarded {
    /// Takes every event of the session. Runs inside the lock, so it only looks channels up.
    pub(super) fn collect_events(&mut self, events: &mut Vec<ChannelEvent>, shared: &Arc<Shared>) {
        while let Some(event) = self.session.poll_event() {
            let event = match event {
                SessionEvent::Connected => continue,
                // Messages may be sent as soon as there is an id: they follow the OPEN in order
                // (RFC 8832 §6), so waiting for its ACK would cost a round trip for nothing.
                SessionEvent::Assigned { key, id } => {
                    self.channels.get(&key).map(|channel| ChannelEvent::Opened {
                        channel: channel.clone(),
                        id: Some(id),
                    })
                }
                SessionEvent::Opened(key) => {
                    let id = self.session.id(key);
                    self.channels.get(&key).map(|channel| ChannelEvent::Opened {
                        channel: channel.clone(),
                        id,
                    })
                }
                SessionEvent::Incoming { key, options, id } => {
                    let own = DataChannelOptions {
                        ordered: options.ordered,
                        reliability: options.reliability,
                        protocol: options.protocol,
                        negotiated: None,
                        priority: options.priority,
                    };
                    let channel = Arc::new(Channel::new(key, Some(id), options.label, own, shared));
                    self.channels.insert(key, channel.clone());
                    Some(ChannelEvent::Incoming(channel))
                }
                SessionEvent::Message {
                    key,
                    kind,
                    payload,
                    cost,
                } => match self.channels.get(&key) {
                    Some(channel) => Some(ChannelEvent::Message {
                        channel: channel.clone(),
                        kind,
                        payload,
                        cost,
                    }),
                    None => {
                        shared.taken(cost);
                        None
                    }
                },
                SessionEvent::Closing(key) => {
                    self.channels.get(&key).cloned().map(ChannelEvent::Closing)
                }
                SessionEvent::Closed { key, reason } => self
                    .channels
                    .remove(&key)
                    .map(|channel| ChannelEvent::Closed { channel, reason }),
                SessionEvent::SessionClosed(reason) => Some(ChannelEvent::SessionClosed(reason)),
            };
            events.extend(event);
        }
    }
}

impl Driver {
    /// Hands the collected events on: messages to inboxes, one append and one wake-up for each run
    /// of messages of one channel.
    pub(super) fn dispatch_events(&mut self) -> Result<(), Reason> {
        if self.events.is_empty() {
            return Ok(());
        }
        let mut events = std::mem::take(&mut self.events);
        // Whose messages lie in `self.burst`.
        let mut current: Option<Arc<Channel>> = None;
        let (mut ended, mut delivered) = (None, false);
        for event in events.drain(..) {
            let continues = matches!(
                (&event, &current),
                (ChannelEvent::Message { channel, .. }, Some(current))
                    if Arc::ptr_eq(current, channel)
            );
            if !continues {
                // Messages stay ahead of a close that follows them.
                self.flush(current.take());
            }
            match event {
                ChannelEvent::Message {
                    channel,
                    kind,
                    payload,
                    cost,
                } => {
                    delivered = true;
                    let message = message(kind, payload);
                    self.burst.push_back(Received { message, cost });
                    current = Some(channel);
                }
                ChannelEvent::Opened { channel, id } => channel.open(id),
                ChannelEvent::Incoming(channel) => {
                    channel.open(None);
                    self.shared.events.push(Queued::Channel(channel));
                }
                ChannelEvent::Closing(channel) => {
                    channel.closed_by_peer();
                    channel.begin_closing();
                }
                ChannelEvent::Closed { channel, reason } => {
                    let ours = [ChannelCloseReason::Local, ChannelCloseReason::Unanswered];
                    if !ours.contains(&reason) {
                        channel.closed_by_peer();
                    }
                    channel.closed_because(reason);
                    channel.close(None);
                }
                ChannelEvent::SessionClosed(reason) => ended = Some(reason),
            }
        }
        self.flush(current.take());
        self.delivered |= delivered;
        self.events = events;
        ended.map_or(Ok(()), |reason| Err(session_ended(reason)))
    }

    fn flush(&mut self, channel: Option<Arc<Channel>>) {
        if let Some(channel) = channel {
            channel.inbox.append(&mut self.burst);
        }
    }
}

/// Text that is not UTF-8 is delivered with replacement characters, as browsers do.
fn message(kind: MessageKind, payload: bytes::Bytes) -> Message {
    match kind {
        MessageKind::Binary => Message::Binary(payload),
        MessageKind::Text => Message::Text(
            String::from_utf8(payload.into())
                .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
        ),
    }
}

/// An orderly end is the other end's close, whichever form it takes.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else ends an association is reported as it is"
)]
fn session_ended(reason: CloseReason) -> Reason {
    match reason {
        CloseReason::Shutdown => Reason::Remote,
        CloseReason::PeerAbort(cause) if matches!(cause.code, None | Some(USER_INITIATED)) => {
            Reason::Remote
        }
        other => Reason::Sctp(other),
    }
}

/// The cause of an ABORT by the application (RFC 9260 §3.3.10.12).
const USER_INITIATED: u16 = 12;
