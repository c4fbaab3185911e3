//! The sender's pieces as stages: paced, kept for retransmission, numbered.

use std::time::Instant;

use super::{Sink, Stage, Timed};
use crate::extension::{ExtensionKind, ExtensionMap};
use crate::send::{Paced, Pacer, Priority, RetransmissionHistory, TransportHistory};
use crate::{RtpPacket, SequenceNumber};

/// A packet on its way through the stages. `P` holds its bytes: `Bytes`, or a buffer of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<P> {
    /// What goes first.
    pub priority: Priority,
    /// Its sequence number.
    pub sequence: SequenceNumber,
    /// Its bytes.
    pub packet: P,
}

/// Spreads packets over time. Those for which there is no room are dropped and counted.
#[derive(Debug)]
pub struct PacerStage<P> {
    /// The pacer.
    pub pacer: Pacer<Outgoing<P>>,
    /// Packets for which there was no room: the encoder is to drop frames before that.
    pub dropped: u64,
}

impl<P> PacerStage<P> {
    /// Nothing dropped yet.
    #[must_use]
    pub const fn new(pacer: Pacer<Outgoing<P>>) -> Self {
        Self { pacer, dropped: 0 }
    }
}

impl<P, N> Stage<Outgoing<P>, N> for PacerStage<P>
where
    P: AsRef<[u8]>,
    N: Sink<Paced<Outgoing<P>>>,
{
    fn handle(&mut self, now: Instant, item: Outgoing<P>, next: &mut N) {
        let (priority, len) = (item.priority, item.packet.as_ref().len());
        self.dropped += u64::from(self.pacer.push(now, priority, len, item).is_err());
        self.poll(now, next);
    }
}

impl<P, N: Sink<Paced<Outgoing<P>>>> Timed<N> for PacerStage<P> {
    fn poll(&mut self, now: Instant, next: &mut N) {
        while let Some(paced) = self.pacer.poll(now) {
            next.take(now, paced);
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.pacer.poll_timeout()
    }
}

/// Keeps video for retransmission. Everything goes on.
#[derive(Debug)]
pub struct HistoryStage<P> {
    /// To be asked for retransmissions, which go into the pacer.
    pub history: RetransmissionHistory<P>,
}

impl<P, N> Stage<Paced<Outgoing<P>>, N> for HistoryStage<P>
where
    P: AsRef<[u8]> + Clone,
    N: Sink<Paced<Outgoing<P>>>,
{
    fn handle(&mut self, now: Instant, paced: Paced<Outgoing<P>>, next: &mut N) {
        if paced.priority == Priority::Video {
            let Outgoing {
                sequence, packet, ..
            } = &paced.item;
            self.history.insert(now, *sequence, packet.clone());
        }
        next.take(now, paced);
    }
}

impl<P, N> Timed<N> for HistoryStage<P> {}

/// Copies packets to where they are sealed, and gives them their transport-wide numbers there, in the
/// element that they have for it. It stands at the end of all streams' paths.
#[derive(Debug)]
pub struct NumberStage {
    /// To be told of feedback.
    pub history: TransportHistory,
    id: Option<u8>,
    buffer: Box<[u8]>,
    tailroom: usize,
}

/// A packet to be sealed and sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamped<'b> {
    /// The packet, and room behind it.
    pub buffer: &'b mut [u8],
    /// Bytes of the packet.
    pub len: usize,
}

impl NumberStage {
    /// With the id that `map` has for the number, and `tailroom` bytes behind each packet of at most
    /// `max_packet`; longer ones are dropped.
    #[must_use]
    pub fn new(
        history: TransportHistory,
        map: &ExtensionMap,
        max_packet: usize,
        tailroom: usize,
    ) -> Self {
        Self {
            history,
            id: map.id(ExtensionKind::TransportSequence),
            buffer: vec![0; max_packet + tailroom].into(),
            tailroom,
        }
    }
}

impl<P, N> Stage<Paced<Outgoing<P>>, N> for NumberStage
where
    P: AsRef<[u8]>,
    N: for<'b> Sink<Stamped<'b>>,
{
    fn handle(&mut self, now: Instant, paced: Paced<Outgoing<P>>, next: &mut N) {
        let packet = paced.item.packet.as_ref();
        let len = packet.len();
        let Some(buffer) = self.buffer.get_mut(..len + self.tailroom) else {
            return;
        };
        buffer[..len].copy_from_slice(packet);
        let element = self.id.and_then(|id| {
            let packet = RtpPacket::parse(packet).ok()?;
            packet.element_range(id)
        });
        if let Some([high, low]) = element.and_then(|range| buffer.get_mut(range)) {
            let number = self.history.on_sent(now, len);
            [*high, *low] = number.0.to_be_bytes();
        }
        next.take(now, Stamped { buffer, len });
    }
}

impl<N> Timed<N> for NumberStage {}
