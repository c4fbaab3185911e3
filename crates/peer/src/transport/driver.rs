//! The driver: the one task that receives, runs the timers and gathers.
//!
//! It owns the ICE agent and the opening half of DTLS, shares the session with the handles through
//! the session lock, and hands encoded packets to the writer. It is a future with poll functions
//! rather than a loop of awaits, so that one turn does everything that is due under one clock
//! reading and one wake-up.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use peerloom_datachannel::Session;
use peerloom_ice::Candidate;
use peerloom_sctp::wire::Checksum;
use peerloom_sctp::{Packet, PacketBatch};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use super::batch::BatchBuffer;
use super::closing::Closing;
use super::described::Described;
use super::dtls::DtlsTransport;
use super::ice::IceTransport;
use super::inbox::Received;
use super::lock::Purpose;
use super::shared::{Outgoing, Shared};
use super::writer::{Bulk, Control};
use crate::channel::Channel;
use crate::error::Reason;
use crate::event::{ConnectionState, IceConnectionState};
use crate::stats::{Internals, count};

/// What signalling asks of the transports.
#[derive(Debug)]
pub(crate) enum Command {
    /// A description was set.
    Described(Box<Described>),
    /// A trickled candidate.
    Candidate(Candidate),
    /// No more remote candidates.
    EndOfCandidates,
    /// A snapshot.
    Stats(oneshot::Sender<(Instant, Internals)>),
    /// Deliver what was accepted, then end.
    Close,
}

pub(crate) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) ice: IceTransport,
    pub(super) dtls: DtlsTransport,
    pub(super) close_timeout: Duration,
    /// Whether received packets may lack a CRC32c: what we announce.
    pub(super) checksum: Checksum,

    pub(super) control: mpsc::Sender<Control>,
    pub(super) bulk: mpsc::Sender<Bulk>,
    pub(super) returned: mpsc::Receiver<BatchBuffer>,
    /// Batch buffers at hand; with one free, gathering is permitted.
    pub(super) free: Vec<BatchBuffer>,
    /// Keys that the writer's lane had no place for yet.
    pub(super) pending_control: VecDeque<Control>,

    /// Empty between bursts; its memory is used again.
    pub(super) packets: Vec<Packet<'static>>,
    pub(super) burst: VecDeque<Received>,
    pub(super) batch: PacketBatch,
    /// Taken from the shared queue, not yet in the session.
    pub(super) pending: VecDeque<Outgoing>,
    pub(super) scratch: Vec<Outgoing>,
    pub(super) unqueued: Vec<(Arc<Channel>, usize)>,
    pub(super) events: Vec<super::session_event::ChannelEvent>,

    /// When the last batch was planned, while the memory for batches is there.
    pub(super) last_batch: Option<Instant>,
    /// Since the last turn: messages were handed to the application, in so many packets.
    pub(super) delivered: bool,
    pub(super) packets_ingested: usize,
    /// The last turn let others run first.
    yielded: bool,
    /// Packets received and planned since the runtime last polled us.
    pub(super) share: usize,
    /// The last receive call returned many datagrams, each by itself.
    pub(super) single: bool,
    /// The last poll ended because its share was done, not because there was nothing to do.
    pub(super) busy: bool,
    timer: Pin<Box<Sleep>>,
    /// What the timer is armed for.
    armed: Option<Instant>,
    pub(super) closing: Option<Closing>,
}

/// What a turn ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// There may be more to do at once.
    Again,
    /// The same, after others had their turn.
    Yield,
    /// Nothing is left to do.
    Sleep,
}

/// Lanes and buffers that connect a driver with its writer.
pub(crate) struct Lanes {
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) bulk: mpsc::Sender<Bulk>,
    pub(crate) returned: mpsc::Receiver<BatchBuffer>,
    pub(crate) free: Vec<BatchBuffer>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        ice: IceTransport,
        dtls: DtlsTransport,
        lanes: Lanes,
        config: &crate::config::Config,
    ) -> Self {
        let Lanes {
            control,
            bulk,
            returned,
            free,
        } = lanes;
        Driver {
            shared,
            ice,
            dtls,
            close_timeout: config.close_timeout,
            checksum: if config.zero_checksum {
                Checksum::Zero
            } else {
                Checksum::Crc32c
            },
            control,
            bulk,
            returned,
            free,
            pending_control: VecDeque::new(),
            packets: Vec::new(),
            burst: VecDeque::new(),
            batch: PacketBatch::new(),
            pending: VecDeque::new(),
            scratch: Vec::new(),
            unqueued: Vec::new(),
            events: Vec::new(),
            last_batch: None,
            delivered: false,
            packets_ingested: 0,
            yielded: false,
            share: 0,
            single: false,
            busy: false,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed: None,
            closing: None,
        }
    }

    /// One turn.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Next, Reason> {
        count(&self.shared.counters.turns);
        let now = tokio::time::Instant::now().into_std();
        self.run_commands(now)?;
        let mut more = self.receive(cx, now)?;
        if self.may_be_answered() {
            return Ok(Next::Yield);
        }
        self.ice.poll(cx, now);
        self.handle_ice_events(now)?;
        self.poll_dtls(cx, now)?;
        if self.timer_is_due(cx, now) {
            self.handle_timeout(now)?;
        }
        more |= self.gather(cx, now)?;
        self.send_control(now);
        self.end_if_done(now)?;
        Ok(if more { Next::Again } else { Next::Sleep })
    }

    /// Whether a message has just arrived alone. The application that it wakes may answer at once;
    /// its answer and our SACK then share a packet. So others run first, once.
    fn may_be_answered(&mut self) -> bool {
        let alone = std::mem::take(&mut self.delivered) && self.packets_ingested <= ALONE;
        self.packets_ingested = 0;
        self.yielded = alone && !self.yielded && self.pending.is_empty();
        self.yielded
    }

    fn run_commands(&mut self, now: Instant) -> Result<(), Reason> {
        for command in self.shared.take_commands() {
            match command {
                Command::Described(described) => self.describe(now, *described)?,
                Command::Candidate(candidate) => self.ice.add_remote_candidate(now, candidate),
                Command::EndOfCandidates => self.ice.end_of_remote_candidates(now),
                Command::Stats(answer) => {
                    if let Ok(internals) = self.stats() {
                        // Whoever asked may have stopped waiting.
                        let _ = answer.send((now, internals));
                    }
                }
                Command::Close => {
                    let deadline = now + self.close_timeout;
                    self.closing.get_or_insert(Closing { deadline });
                }
            }
        }
        Ok(())
    }

    /// The next moment at which something is due, whichever part it belongs to.
    fn next_deadline(&self) -> Result<Option<Instant>, Reason> {
        let session = self
            .shared
            .session
            .with(Purpose::Timeout, |guarded| guarded.session.poll_timeout())?;
        let closing = self.closing.as_ref().map(|closing| closing.deadline);
        Ok([
            session,
            self.ice.agent.poll_timeout(),
            self.dtls.poll_timeout(),
            closing,
        ]
        .into_iter()
        .flatten()
        .min())
    }

    /// Arms the timer for the next deadline. It is moved only when it would fire too late: firing
    /// early costs one turn, moving it costs a turn of the runtime's timer wheel each time.
    fn arm(&mut self, cx: &mut Context<'_>) -> Result<(), Reason> {
        let Some(deadline) = self.next_deadline()? else {
            return Ok(());
        };
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.timer
                .as_mut()
                .reset(tokio::time::Instant::from_std(deadline));
            self.armed = Some(deadline);
            // Registers the waker, and asks for another turn if the deadline is already past.
            if self.timer.as_mut().poll(cx).is_ready() {
                self.armed = None;
                cx.waker().wake_by_ref();
            }
        }
        Ok(())
    }

    /// Whether a deadline may have passed.
    fn timer_is_due(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(armed) = self.armed else { return true };
        if now < armed {
            return false;
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.armed = None;
        }
        true
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Reason> {
        if self.ice.agent.poll_timeout().is_some_and(|at| at <= now) {
            self.ice.agent.handle_timeout(now);
            self.handle_ice_events(now)?;
        }
        self.dtls.handle_timeout(now);
        self.trim(now)?;
        self.with_session(|session| {
            if session.poll_timeout().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
            }
        })
    }

    /// Gives the memory of batches and bursts back once the connection is quiet. The checks of ICE
    /// bring us here every few seconds.
    fn trim(&mut self, now: Instant) -> Result<(), Reason> {
        if self
            .last_batch
            .is_none_or(|at| now.saturating_duration_since(at) < QUIET)
        {
            return Ok(());
        }
        self.last_batch = None;
        while let Ok(buffer) = self.returned.try_recv() {
            self.free.push(buffer);
        }
        self.free.fill_with(BatchBuffer::default);
        self.batch = PacketBatch::new();
        self.packets = Vec::new();
        self.burst = VecDeque::new();
        self.scratch = Vec::new();
        self.unqueued = Vec::new();
        self.events = Vec::new();
        self.pending.shrink_to_fit();
        self.shared.shrink();
        let channels: Vec<_> = self.shared.session.with(Purpose::Control, |guarded| {
            guarded.session.shrink();
            guarded.channels.values().cloned().collect()
        })?;
        channels.iter().for_each(|channel| channel.inbox.shrink());
        Ok(())
    }

    /// Runs `f` on the session and passes on what came of it.
    pub(super) fn with_session(&mut self, f: impl FnOnce(&mut Session)) -> Result<(), Reason> {
        let (shared, events) = (&self.shared, &mut self.events);
        shared.session.with(Purpose::Control, |guarded| {
            f(&mut guarded.session);
            guarded.collect_events(events, shared);
        })?;
        self.dispatch_events()
    }

    /// The W3C's connection state from those of ICE and DTLS (W3C WebRTC §4.3.3).
    pub(super) fn update_connection_state(&self) {
        let state = match *self.shared.states.ice.borrow() {
            IceConnectionState::New => ConnectionState::New,
            IceConnectionState::Checking => ConnectionState::Connecting,
            IceConnectionState::Connected | IceConnectionState::Completed => {
                if self.dtls.is_established() {
                    ConnectionState::Connected
                } else {
                    ConnectionState::Connecting
                }
            }
            IceConnectionState::Disconnected => ConnectionState::Disconnected,
            IceConnectionState::Failed => ConnectionState::Failed,
            IceConnectionState::Closed => ConnectionState::Closed,
        };
        self.shared.set_connection_state(state);
    }

    /// Hands what waits for the writer's control lane over, as far as it has places.
    pub(super) fn send_control(&mut self, now: Instant) {
        while let Some(control) = self.pending_control.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(control)) = self.control.try_send(control) {
                self.pending_control.push_front(control);
                break;
            }
        }
        while let Some(transmit) = self.ice.agent.poll_transmit(now) {
            if let Some(socket) = self.ice.socket(transmit.local) {
                self.send_datagram(Control::Datagram {
                    socket,
                    destination: transmit.destination,
                    payload: transmit.payload,
                });
            }
        }
    }

    /// One datagram to the control lane; a full lane drops it, as the network would.
    pub(super) fn send_datagram(&mut self, datagram: Control) {
        if self.control.try_send(datagram).is_err() {
            count(&self.shared.counters.control_lane_full);
        }
    }

    fn stats(&self) -> Result<Internals, Reason> {
        let (sctp, data_channels, channels) = self
            .shared
            .session
            .with(Purpose::Stats, |guarded| guarded.stats())?;
        Ok(Internals {
            connection: *self.shared.states.connection.borrow(),
            transport: self.shared.counters.snapshot(),
            sockets: self
                .ice
                .sockets
                .iter()
                .map(|socket| socket.stats())
                .collect(),
            ice: self.ice.agent.stats(),
            dtls: self.dtls.stats(),
            sctp,
            data_channels,
            channels,
            #[cfg(feature = "lock-stats")]
            lock: self.shared.session.times(),
            #[cfg(feature = "lock-stats")]
            applied: self.shared.session.applied(),
        })
    }
}

impl Future for Driver {
    type Output = Reason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reason> {
        let this = self.get_mut();
        this.share = 0;
        for _ in 0..TURNS {
            this.shared.wake.begin_turn();
            match this.turn(cx) {
                Ok(Next::Again) if this.share >= SHARE => break,
                Ok(Next::Again) => continue,
                Ok(Next::Sleep) => {}
                Ok(Next::Yield) => {
                    this.busy = false;
                    // Not the waker: that would have another worker take us at once. This has the
                    // worker run what it has, look at its sockets, and come back.
                    let _ = std::pin::pin!(tokio::task::yield_now()).poll(cx);
                    return Poll::Pending;
                }
                Err(reason) => {
                    this.say_goodbye(&reason);
                    return Poll::Ready(reason);
                }
            }
            if let Err(reason) = this.arm(cx) {
                return Poll::Ready(reason);
            }
            if this.shared.wake.sleep(cx.waker()) {
                this.busy = false;
                return Poll::Pending;
            }
        }
        // Others want to run too, and we are the last in the line.
        this.busy = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// Without a batch for so long, a connection is quiet.
const QUIET: Duration = Duration::from_secs(2);

/// Packets of a message that came alone.
const ALONE: usize = 2;

/// Packets in and out before the runtime may run something else: about 30 µs. What runs longer makes
/// every other task of this worker wait, the driver at the other end of a transfer among them, and
/// keeps the worker from looking at its sockets.
pub(super) const SHARE: usize = super::gather::BUDGET.packets;

/// Turns before the runtime may run something else, however little each of them did.
const TURNS: usize = 16;
