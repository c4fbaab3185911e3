//! One end: a task that owns the association, its socket and what it sends or counts.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peerloom_sctp::{
    Association, Budget, Config, Event, Limits, OutgoingMessage, Packet, PacketBatch, Ppid,
    Reliability, StreamId,
};
use serde_json::{Value, json};

use super::udp::{Received, Socket};
use crate::Result;
use crate::throughput::args::Run;
use crate::throughput::meter::{Flow, Messages, Meter};

/// An SCTP packet is the whole UDP payload here.
const PACKET_SIZE: usize = 1_200;

/// Bytes of one `sendmsg`: what GSO can cut up, 54 packets.
const BATCH_BYTES: usize = 54 * PACKET_SIZE;

/// How often an idle end looks whether the measurement is over.
const LOOK: Duration = Duration::from_millis(50);

/// The data channel's PPID for bytes, though nobody looks at it.
const BINARY: Ppid = Ppid(53);

/// What an end does.
#[derive(Debug)]
pub(super) enum Part {
    /// Sends as long as less than `high` bytes wait.
    Send {
        messages: Messages,
        next: u64,
        run: Run,
    },
    /// Counts messages of `size` bytes.
    Receive { size: usize, flow: Flow },
}

/// One end of the association.
#[derive(Debug)]
pub(super) struct End {
    socket: Socket,
    remote: SocketAddr,
    association: Association,
    part: Part,
    meter: Arc<Meter>,
    connected: bool,
    batch: PacketBatch,
    /// Planned packets of `batch` not sent yet, from this one on.
    unsent: usize,
    /// The packets of one send, back to back.
    out: Vec<u8>,
    sends: u64,
    packets: u64,
}

/// How far [`End::transmit`] came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    /// Everything that may be sent now.
    All,
    /// A turn's worth; there may be more.
    Some,
    /// The socket is full.
    Blocked,
}

impl Part {
    pub(super) fn send(run: &Run) -> Self {
        Self::Send {
            messages: Messages::new(run.size),
            next: 0,
            run: *run,
        }
    }

    pub(super) fn receive(run: &Run) -> Self {
        Self::Receive {
            size: run.size,
            flow: Flow::default(),
        }
    }
}

impl End {
    pub(super) fn new(socket: Socket, remote: SocketAddr, part: Part, meter: Arc<Meter>) -> Self {
        let config = Config {
            max_packet_size: PACKET_SIZE,
            ..Config::default()
        };
        let now = Instant::now();
        let mut association = Association::new(config, Limits::default(), rand::random(), now);
        association.connect(now);
        Self {
            socket,
            remote,
            association,
            part,
            meter,
            connected: false,
            batch: PacketBatch::new(),
            unsent: 0,
            out: vec![0; BATCH_BYTES],
            sends: 0,
            packets: 0,
        }
    }

    pub(super) fn so_rcvbuf(&self) -> io::Result<usize> {
        self.socket.so_rcvbuf()
    }

    /// Runs until the measurement is over; then the counters.
    pub(super) async fn run(mut self) -> Result<Value> {
        let mut received = Received::new();
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        while !self.meter.stopped() {
            let now = Instant::now();
            self.association.handle_timeout(now);
            self.queue(now)?;
            let sent = self.transmit(now)?;

            let deadline = self
                .association
                .poll_timeout()
                .unwrap_or(now + LOOK)
                .min(now + LOOK);
            // The timer is only moved to be earlier: one that fires too early costs a turn, one
            // that is set anew in every turn costs more.
            if alarm.is_elapsed() || alarm.deadline() > deadline.into() {
                alarm.as_mut().reset(deadline.into());
            }
            tokio::select! {
                biased;
                result = self.socket.receive(&mut received) => {
                    result?;
                    self.ingest(&received)?;
                }
                result = self.socket.writable(), if sent == Sent::Blocked => result?,
                () = tokio::task::yield_now(), if sent == Sent::Some => {}
                () = &mut alarm => {}
            }
        }
        Ok(self.counters())
    }

    /// Hands over what arrived.
    fn ingest(&mut self, received: &Received) -> Result<()> {
        let now = Instant::now();
        for datagram in received.datagrams(self.remote) {
            if let Ok(packet) = Packet::decode(datagram) {
                self.association.handle_packet(now, &packet);
            }
        }
        while let Some(event) = self.association.poll_event() {
            match event {
                Event::Connected { .. } => self.connected = true,
                Event::Message(message) => {
                    if let Part::Receive { size, flow } = &mut self.part {
                        self.meter.received(flow, &message.payload, *size);
                    }
                    self.association.release(now, message.cost);
                }
                Event::Closed(reason) => return Err(reason.to_string().into()),
                // What else happens shows in the counts.
                Event::Restarted | Event::Abandoned { .. } | _ => {}
            }
        }
        Ok(())
    }

    /// Queues messages while there is room.
    fn queue(&mut self, now: Instant) -> Result<()> {
        let Part::Send {
            messages,
            next,
            run,
        } = &mut self.part
        else {
            return Ok(());
        };
        let before = *next;
        while self.connected
            && self.association.total_buffered() + run.size <= run.high.max(run.size)
        {
            let message = OutgoingMessage {
                stream: StreamId(0),
                ppid: BINARY,
                payload: messages.numbered(*next),
                ordered: run.ordered,
                reliability: run
                    .max_retransmits
                    .map_or(Reliability::Reliable, Reliability::MaxRetransmits),
            };
            self.association.send(now, message)?;
            *next += 1;
            if *next - before == QUEUE_AT_ONCE {
                break;
            }
        }
        self.meter.sent(*next - before);
        Ok(())
    }

    /// Sends a few batches of what may be sent.
    fn transmit(&mut self, now: Instant) -> Result<Sent> {
        for _ in 0..BATCHES_PER_TURN {
            if self.unsent == self.batch.len() {
                let budget = Budget {
                    packets: self.socket.segments().min(BATCH_BYTES / PACKET_SIZE),
                    bytes: BATCH_BYTES,
                };
                self.batch.clear();
                self.unsent = 0;
                if self.association.poll_transmit(now, &mut self.batch, budget) == 0 {
                    return Ok(Sent::All);
                }
            }
            while self.unsent < self.batch.len() {
                let (len, segment, packets) = self.encode_run();
                match self.socket.try_send(self.remote, &self.out[..len], segment) {
                    Ok(()) => {
                        self.unsent += packets;
                        self.sends += 1;
                        self.packets += packets as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Ok(Sent::Blocked);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(Sent::Some)
    }

    /// Writes packets of equal length, and one shorter one, back to back into `out`: the bytes,
    /// the length of each, how many.
    fn encode_run(&mut self) -> (usize, usize, usize) {
        let segment = self.batch.encoded_len(self.unsent);
        let (mut len, mut packets) = (0, 0);
        while self.unsent + packets < self.batch.len() {
            let next = self.batch.encoded_len(self.unsent + packets);
            if next > segment || len + next > self.out.len() {
                break;
            }
            len += self
                .batch
                .encode(self.unsent + packets, &mut self.out[len..]);
            packets += 1;
            if next < segment {
                break;
            }
        }
        (len, segment, packets)
    }

    fn counters(&self) -> Value {
        let packets_per_send = self.packets as f64 / self.sends.max(1) as f64;
        json!({
            "packets_sent": self.packets,
            "packets_per_send": crate::counters::round(packets_per_send),
        })
    }
}

/// Messages queued between two looks at the socket, so that small ones do not keep it waiting.
const QUEUE_AT_ONCE: u64 = 4_096;

/// Batches sent between two looks at the socket, so that acknowledgements are seen in time.
const BATCHES_PER_TURN: usize = 4;
