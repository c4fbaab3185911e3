//! What the handles, the driver and the writer of one connection share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use peerloom_datachannel::{ChannelKey, MessageKind, MessageOptions, Session, sctp};
use peerloom_dtls::Certificate;
use tokio::sync::{Notify, watch};

use super::budget::SendBudget;
use super::driver::Command;
use super::local_candidates::{Gathering, LocalCandidates};
use super::lock::{Purpose, SessionLock};
use super::path::CurrentPath;
use super::wake::Wake;
use crate::certificate::RemoteCertificate;
use crate::channel::Channel;
use crate::config::Config;
use crate::error::{Error, Reason};
use crate::event::{ConnectionState, Event, EventQueue, IceConnectionState, Queued};
use crate::stats::{ChannelStats, Counters};

/// Behind the session lock: the data-channel session, which owns the SCTP association, and the
/// channels by key.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) session: Session,
    pub(crate) channels: HashMap<ChannelKey, Arc<Channel>>,
}

/// Something for the driver to pass to the session at its next gathering.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Message {
        channel: Arc<Channel>,
        kind: MessageKind,
        payload: Bytes,
        options: MessageOptions,
    },
    /// At most one of a channel.
    Priority(Arc<Channel>),
    Close(Arc<Channel>),
}

/// States as applications watch them.
#[derive(Debug)]
pub(crate) struct States {
    pub(crate) connection: watch::Sender<ConnectionState>,
    pub(crate) ice: watch::Sender<IceConnectionState>,
    pub(crate) gathering: watch::Sender<Gathering>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) session: SessionLock<Guarded>,
    /// Messages on their way to the session. A leaf queue, so that a sender waits for no more than
    /// a push; bounded by the send budgets.
    outgoing: Mutex<Vec<Outgoing>>,
    /// Commands for the driver; bounded by [`MAX_COMMANDS`].
    commands: Mutex<Vec<Command>>,
    commands_taken: Notify,
    pub(crate) wake: Wake,
    /// Unsent bytes of all channels.
    pub(crate) budget: SendBudget,
    receive_window: AtomicUsize,
    /// What new channels get.
    channel_send_buffer_limit: AtomicUsize,
    pub(crate) candidates: LocalCandidates,
    /// Receive-window bytes that the application has taken and the session does not know of yet.
    taken: AtomicUsize,
    /// From how many of those on the driver is woken; set by the driver, see
    /// [`Driver`](super::driver::Driver).
    pub(crate) wake_taken: AtomicUsize,
    remote_max_message_size: AtomicUsize,
    pub(crate) events: EventQueue,
    pub(crate) states: States,
    pub(crate) path: Arc<CurrentPath>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) certificate: Certificate,
    /// Known with the end of the handshake.
    pub(crate) remote_certificate: OnceLock<RemoteCertificate>,
    /// Channels so far; numbers them.
    pub(crate) channels: AtomicU64,
    /// Channels that have been open, and of these those that are open no more.
    pub(crate) channels_opened: AtomicU64,
    pub(crate) channels_closed: AtomicU64,
    /// The last handle is gone.
    abandoned: AtomicBool,
    reason: OnceLock<Reason>,
    /// True once every task has ended and every socket is closed.
    pub(crate) done: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(session: Session, certificate: Certificate, config: &Config) -> Self {
        Shared {
            session: SessionLock::new(Guarded {
                session,
                channels: HashMap::new(),
            }),
            outgoing: Mutex::default(),
            commands: Mutex::default(),
            commands_taken: Notify::new(),
            wake: Wake::default(),
            budget: SendBudget::new(config.send_buffer_limit),
            receive_window: AtomicUsize::new(config.receive_window),
            channel_send_buffer_limit: AtomicUsize::new(config.channel_send_buffer_limit),
            candidates: LocalCandidates::default(),
            taken: AtomicUsize::new(0),
            wake_taken: AtomicUsize::new(usize::MAX),
            remote_max_message_size: AtomicUsize::new(usize::MAX),
            events: EventQueue::default(),
            states: States {
                connection: watch::Sender::new(ConnectionState::New),
                ice: watch::Sender::new(IceConnectionState::New),
                gathering: watch::Sender::new(Gathering::default()),
            },
            path: Arc::default(),
            counters: Arc::default(),
            certificate,
            remote_certificate: OnceLock::new(),
            channels: AtomicU64::new(0),
            channels_opened: AtomicU64::new(0),
            channels_closed: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
            reason: OnceLock::new(),
            done: watch::Sender::new(false),
        }
    }

    /// Queues something for the session and wakes the driver if it sleeps.
    pub(crate) fn queue(&self, item: Outgoing) {
        lock(&self.outgoing).push(item);
        self.wake();
    }

    /// Takes everything that waits for the session, leaving `empty` in its place.
    pub(crate) fn take_outgoing(&self, empty: &mut Vec<Outgoing>) {
        std::mem::swap(empty, &mut *lock(&self.outgoing));
    }

    /// Gives memory back that the queue to the session does not use.
    pub(crate) fn shrink(&self) {
        lock(&self.outgoing).shrink_to_fit();
    }

    /// Gives the driver a command.
    pub(crate) fn command(&self, command: Command) -> Result<(), Error> {
        self.ready_for_command()?;
        self.push_command(command);
        Ok(())
    }

    /// Whether a command would be taken now: asked before a change that must not fail half-way.
    pub(crate) fn ready_for_command(&self) -> Result<(), Error> {
        if let Some(reason) = self.reason() {
            return Err(Error::Closed(reason));
        }
        if lock(&self.commands).len() >= MAX_COMMANDS {
            return Err(Error::Busy { max: MAX_COMMANDS });
        }
        Ok(())
    }

    /// Gives the driver a command after [`ready_for_command`](Self::ready_for_command): callers
    /// that passed it at the same time exceed the bound by one each.
    pub(crate) fn push_command(&self, command: Command) {
        lock(&self.commands).push(command);
        self.wake();
    }

    /// Waits until the driver has caught up, so that a description and its answer are taken.
    /// Cancel-safe.
    pub(crate) async fn room_for_commands(&self) {
        loop {
            let taken = self.commands_taken.notified();
            if lock(&self.commands).len() < MAX_COMMANDS / 2 {
                return;
            }
            taken.await;
        }
    }

    pub(crate) fn take_commands(&self) -> Vec<Command> {
        let commands = std::mem::take(&mut *lock(&self.commands));
        if !commands.is_empty() {
            self.commands_taken.notify_waiters();
        }
        commands
    }

    /// The application took messages that cost `bytes` of the receive window.
    pub(crate) fn taken(&self, bytes: usize) {
        let total = self.taken.fetch_add(bytes, Ordering::AcqRel) + bytes;
        if total >= self.wake_taken.load(Relaxed) {
            self.wake();
        }
    }

    /// What was taken since the last call.
    pub(crate) fn drain_taken(&self) -> usize {
        if self.taken.load(Relaxed) == 0 {
            0
        } else {
            self.taken.swap(0, Ordering::AcqRel)
        }
    }

    pub(crate) fn remote_max_message_size(&self) -> usize {
        self.remote_max_message_size.load(Relaxed)
    }

    pub(crate) fn set_remote_max_message_size(&self, bytes: usize) {
        self.remote_max_message_size.store(bytes, Relaxed);
    }

    /// Whether the last handle was dropped.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Whether nothing waits for the session.
    pub(crate) fn is_outgoing_empty(&self) -> bool {
        lock(&self.outgoing).is_empty()
    }

    /// Decides from which amount on the driver is woken for bytes that the application has taken:
    /// two packets while less than half of the window is open, a quarter of the window otherwise
    /// (silly-window avoidance, RFC 9260 §6.2, without a wake-up for each message).
    pub(crate) fn watch_window(&self, guarded: &Guarded) {
        let stats = guarded.session.association().stats();
        let (window, held) = (stats.receive_window, stats.receive_buffered);
        let open = window.saturating_sub(held);
        let wake_at = if open < window / 2 {
            2 * 1160
        } else {
            window / 4
        };
        self.wake_taken.store(wake_at, Relaxed);
    }

    pub(crate) fn receive_window(&self) -> usize {
        self.receive_window.load(Relaxed)
    }

    /// Another receive window, for the session and for the driver's wake-ups.
    pub(crate) fn set_receive_window(&self, bytes: usize) -> Result<(), Error> {
        self.alive()?;
        self.session
            .with(Purpose::Control, |guarded| {
                self.receive_window.store(bytes, Relaxed);
                guarded.session.set_receive_window(bytes);
                self.watch_window(guarded);
            })
            .map_err(Error::Closed)?;
        // A peer that waits is told.
        self.wake();
        Ok(())
    }

    /// Another limit of unsent bytes in all channels.
    pub(crate) fn set_send_buffer_limit(&self, bytes: usize) -> Result<(), Error> {
        self.alive()?;
        self.session
            .with(Purpose::Control, |guarded| {
                guarded
                    .session
                    .set_send_queue_limit(send_queue_limit(bytes));
            })
            .map_err(Error::Closed)?;
        self.budget.set_limit(bytes);
        Ok(())
    }

    pub(crate) fn channel_send_buffer_limit(&self) -> usize {
        self.channel_send_buffer_limit.load(Relaxed)
    }

    pub(crate) fn set_channel_send_buffer_limit(&self, bytes: usize) {
        self.channel_send_buffer_limit.store(bytes, Relaxed);
    }

    pub(crate) fn set_ice_state(&self, state: IceConnectionState) {
        change(&self.states.ice, state, || {
            self.events
                .push(Queued::Plain(Event::IceConnectionState(state)));
        });
    }

    pub(crate) fn set_connection_state(&self, state: ConnectionState) {
        change(&self.states.connection, state, || {
            self.events
                .push(Queued::Plain(Event::ConnectionState(state)));
        });
    }

    fn alive(&self) -> Result<(), Error> {
        self.reason()
            .map_or(Ok(()), |reason| Err(Error::Closed(reason)))
    }

    /// Why the connection ended, if it has.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.reason.get().cloned()
    }

    /// Why the connection ended, or failed without having ended.
    pub(crate) fn failure(&self) -> Reason {
        self.reason()
            .unwrap_or_else(|| Reason::Ice("no pair of addresses works".into()))
    }

    /// Records why the connection ends (the first reason stays) and wakes every waiter.
    pub(crate) fn end(&self, reason: Reason) {
        let reason = self.reason.get_or_init(|| reason);
        self.path.publish(None);
        self.budget.close();
        // All that wait have to hear of it, also after a panic inside the lock.
        let channels = self
            .session
            .at_the_end(|guarded| std::mem::take(&mut guarded.channels));
        for channel in channels.values() {
            channel.close(Some(reason));
        }
        for item in std::mem::take(&mut *lock(&self.outgoing)) {
            match item {
                Outgoing::Message { channel, .. } | Outgoing::Close(channel) => {
                    channel.close(Some(reason));
                }
                Outgoing::Priority(_) => {}
            }
        }
        lock(&self.commands).clear();
        let state = if reason.is_failure() {
            tracing::warn!(%reason, "connection failed");
            ConnectionState::Failed
        } else {
            ConnectionState::Closed
        };
        self.set_ice_state(IceConnectionState::Closed);
        self.set_connection_state(state);
        self.events.end();
    }

    /// Wakes the driver if it sleeps.
    pub(crate) fn wake(&self) {
        if self.wake.wake() {
            self.counters.wakes.fetch_add(1, Relaxed);
        }
    }
}

impl Guarded {
    /// Counters of association, session and channels.
    pub(crate) fn stats(&self) -> (sctp::Stats, peerloom_datachannel::Stats, Vec<ChannelStats>) {
        let channels = self
            .channels
            .values()
            .filter_map(|channel| {
                Some(ChannelStats {
                    number: channel.number,
                    label: channel.label().to_owned(),
                    protocol: channel.options.protocol.clone(),
                    state: channel.state(),
                    buffered_amount: channel.queued_bytes(),
                    counters: self.session.channel_stats(channel.key)?,
                })
            })
            .collect();
        (
            self.session.association().stats(),
            self.session.stats(),
            channels,
        )
    }
}

/// Keeps a connection alive: when the last one is dropped, the driver ends the connection. Tasks
/// and queues hold [`Shared`] alone, so there is no cycle.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Release);
        self.shared.wake();
    }
}

/// Sets a watched state, and reports it if it is a new one.
pub(super) fn change<T: PartialEq + Copy>(
    watched: &watch::Sender<T>,
    state: T,
    report: impl FnOnce(),
) {
    if watched.send_if_modified(|now| std::mem::replace(now, state) != state) {
        report();
    }
}

fn lock<T>(queue: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    // Nothing between lock and unlock can panic; were it poisoned, the queue would still be whole.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the association may hold for a send buffer of `bytes`: messages in flight too, and enough
/// beyond that it never refuses what the budgets let in.
pub(crate) fn send_queue_limit(bytes: usize) -> usize {
    bytes
        .saturating_mul(2)
        .saturating_add(sctp::Limits::default().send_queue)
}

/// Commands come from signalling, a few per connection; a trickle of candidates is the largest
/// burst.
const MAX_COMMANDS: usize = 256;
