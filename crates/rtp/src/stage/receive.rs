//! The receiver's pieces as stages: feedback sees every packet as it came, what stands behind RTX and
//! FEC sees what they restored too.

use std::time::Instant;

use super::{Sink, Stage, Timed};
use crate::extension::{ExtensionKind, ExtensionMap, HeaderExtension, TransportSequence};
use crate::fec::FecDecoder;
use crate::payload::Depacketizer;
use crate::receive::{
    Buffered, JitterBuffer, NackGenerator, PacketOrigin, Reception, Released,
    TransportFeedbackBuilder,
};
use crate::rtx::RtxPacket;
use crate::{AssembledFrame, FrameAssembler, Inserted, MediaPacket, RtpPacket, Ssrc};

/// A packet on its way through the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'p> {
    /// The packet.
    pub packet: RtpPacket<'p>,
    /// Which way it came.
    pub origin: PacketOrigin,
}

/// Notes transport-wide numbers, which all streams of a transport share: it stands in front of the
/// lookup of a stream's chain. Every packet goes on.
#[derive(Debug)]
pub struct FeedbackStage {
    /// To be asked for feedback packets.
    pub builder: TransportFeedbackBuilder,
    id: Option<u8>,
}

impl FeedbackStage {
    /// With the id that `map` has for the number; without one it does nothing.
    #[must_use]
    pub fn new(builder: TransportFeedbackBuilder, map: &ExtensionMap) -> Self {
        let id = map.id(ExtensionKind::TransportSequence);
        Self { builder, id }
    }
}

impl<'p, N: Sink<Received<'p>>> Stage<Received<'p>, N> for FeedbackStage {
    #[inline]
    fn handle(&mut self, now: Instant, received: Received<'p>, next: &mut N) {
        let data = self.id.and_then(|id| received.packet.element(id));
        if let Some(Ok(TransportSequence(number))) = data.map(TransportSequence::decode) {
            self.builder.on_packet(now, number);
        }
        next.take(now, received);
    }
}

impl<N> Timed<N> for FeedbackStage {}

/// Turns retransmissions (RFC 4588) into the originals; padding on their stream goes no further.
#[derive(Debug)]
pub struct RtxStage {
    rtx: Ssrc,
    media: Ssrc,
    payload_type: u8,
    buffer: Box<[u8]>,
}

impl RtxStage {
    /// Packets of `rtx` become packets of `media` with this payload type. Longer ones than
    /// `max_packet` bytes are dropped.
    #[must_use]
    pub fn new(rtx: Ssrc, media: Ssrc, payload_type: u8, max_packet: usize) -> Self {
        Self {
            rtx,
            media,
            payload_type,
            buffer: vec![0; max_packet].into(),
        }
    }
}

impl<'p, N> Stage<Received<'p>, N> for RtxStage
where
    N: for<'b> Sink<Received<'b>>,
{
    fn handle(&mut self, now: Instant, received: Received<'p>, next: &mut N) {
        if received.packet.ssrc() != self.rtx {
            return next.take(now, received);
        }
        let Ok(Some(rtx)) = RtxPacket::parse(received.packet) else {
            return;
        };
        let restored = rtx.restore(self.media, self.payload_type, &mut self.buffer);
        let bytes = restored.ok().and_then(|len| self.buffer.get(..len));
        if let Some(Ok(packet)) = bytes.map(RtpPacket::parse) {
            let origin = PacketOrigin::Repaired;
            next.take(now, Received { packet, origin });
        }
    }
}

impl<N> Timed<N> for RtxStage {}

/// Repairs packets from FEC, which goes no further.
#[derive(Debug)]
pub struct FecStage {
    decoder: FecDecoder,
    fec: Ssrc,
    packet: Vec<u8>,
}

impl FecStage {
    /// Repair packets come under the SSRC `fec`.
    #[must_use]
    pub const fn new(decoder: FecDecoder, fec: Ssrc) -> Self {
        Self {
            decoder,
            fec,
            packet: Vec::new(),
        }
    }
}

impl<'p, N> Stage<Received<'p>, N> for FecStage
where
    N: for<'b> Sink<Received<'b>>,
{
    fn handle(&mut self, now: Instant, received: Received<'p>, next: &mut N) {
        if received.packet.ssrc() == self.fec {
            // What is no repair packet repairs nothing.
            let _ = self.decoder.repair(received.packet.payload());
        } else {
            self.decoder.media(&received.packet);
            next.take(now, received);
        }
        while self.decoder.poll(&mut self.packet).is_some() {
            if let Ok(packet) = RtpPacket::parse(&self.packet) {
                let origin = PacketOrigin::Repaired;
                next.take(now, Received { packet, origin });
            }
        }
    }
}

impl<N> Timed<N> for FecStage {}

/// Counts what came as it was sent. Stray packets go no further.
impl<'p, N: Sink<Received<'p>>> Stage<Received<'p>, N> for Reception {
    #[inline]
    fn handle(&mut self, now: Instant, received: Received<'p>, next: &mut N) {
        let is_stray = match received.origin {
            PacketOrigin::Direct => !self.on_packet(now, &received.packet),
            PacketOrigin::Repaired => false,
        };
        if !is_stray {
            next.take(now, received);
        }
    }
}

impl<N> Timed<N> for Reception {}

/// Notes gaps; its owner asks it for requests, which are sent and not handed on.
impl<'p, N: Sink<Received<'p>>> Stage<Received<'p>, N> for NackGenerator {
    #[inline]
    fn handle(&mut self, now: Instant, received: Received<'p>, next: &mut N) {
        self.on_packet(now, received.packet.sequence());
        next.take(now, received);
    }
}

impl<N> Timed<N> for NackGenerator {}

/// Copies payloads into a [`JitterBuffer`] and hands on what it releases.
#[derive(Debug)]
pub struct BufferStage<P, F> {
    /// The buffer.
    pub buffer: JitterBuffer<P>,
    copy: F,
}

impl<P: AsRef<[u8]>, F: FnMut(&[u8]) -> P> BufferStage<P, F> {
    /// `copy` makes a payload of its own of a borrowed one, in memory of a pool for example.
    pub const fn new(buffer: JitterBuffer<P>, copy: F) -> Self {
        Self { buffer, copy }
    }
}

impl<'p, P, F, N> Stage<Received<'p>, N> for BufferStage<P, F>
where
    P: AsRef<[u8]>,
    F: FnMut(&[u8]) -> P,
    N: Sink<Released<P>>,
{
    fn handle(&mut self, now: Instant, received: Received<'p>, next: &mut N) {
        let packet = MediaPacket {
            sequence: received.packet.sequence(),
            timestamp: received.packet.timestamp(),
            marker: received.packet.marker(),
            payload: (self.copy)(received.packet.payload()),
        };
        if let Buffered::Full(packet) = self.buffer.insert(now, packet, received.origin) {
            self.poll(now, next);
            // Now there is room, and what came of it is counted.
            let _ = self.buffer.insert(now, packet, received.origin);
        }
        self.poll(now, next);
    }
}

impl<P: AsRef<[u8]>, F, N: Sink<Released<P>>> Timed<N> for BufferStage<P, F> {
    fn poll(&mut self, now: Instant, next: &mut N) {
        while let Some(released) = self.buffer.poll(now) {
            next.take(now, released);
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.buffer.poll_timeout()
    }
}

/// Puts frames together behind a [`BufferStage`].
#[derive(Debug)]
pub struct FrameStage<D, P> {
    /// The assembler.
    pub assembler: FrameAssembler<D, P>,
    frame: Vec<u8>,
}

/// A frame, or what is left of it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'f> {
    /// What is known about it.
    pub report: AssembledFrame,
    /// Its bytes; of use as [`AssembledFrame::status`] says.
    pub bytes: &'f [u8],
}

impl<D: Depacketizer, P: AsRef<[u8]>> FrameStage<D, P> {
    /// Nothing assembled yet. The memory for a frame grows to the largest one.
    #[must_use]
    pub const fn new(assembler: FrameAssembler<D, P>) -> Self {
        Self {
            assembler,
            frame: Vec::new(),
        }
    }

    fn hand_on(&mut self, now: Instant, next: &mut impl for<'f> Sink<Frame<'f>>) {
        while let Some(report) = self.assembler.poll(&mut self.frame) {
            let bytes = &self.frame[..];
            next.take(now, Frame { report, bytes });
        }
    }
}

impl<D, P, N> Stage<Released<P>, N> for FrameStage<D, P>
where
    D: Depacketizer,
    P: AsRef<[u8]>,
    N: for<'f> Sink<Frame<'f>>,
{
    fn handle(&mut self, now: Instant, released: Released<P>, next: &mut N) {
        // What is lost shows in the number of the packet behind it.
        let Released::Packet(packet) = released else {
            return;
        };
        let sequence = packet.sequence;
        if let Inserted::Full(packet) = self.assembler.insert(packet) {
            self.hand_on(now, next);
            // Now there is room, and a place that is not filled counts as lost.
            let _ = self.assembler.insert(packet);
        }
        self.assembler.give_up_before(sequence);
        self.hand_on(now, next);
    }
}

impl<D, P, N> Timed<N> for FrameStage<D, P> {}
