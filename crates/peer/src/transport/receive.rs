//! Receiving: from the sockets through demultiplexing and DTLS to the session.
//!
//! Buffers never leave the turn: every record is opened in place, every packet decoded into
//! borrowed views, and the payload is copied once, into its message.

use std::cell::RefCell;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Instant;

use peerloom_ice::LocalId;
use peerloom_sctp::Packet;
use quinn_udp::RecvMeta;

use super::demux::Class;
use super::driver::Driver;
use super::lock::{Purpose, assert_unlocked};
use crate::error::Reason;
use crate::stats::count;

/// Buffers of one thread, shared by all connections that it drives: an idle connection holds none.
struct ReceiveBuffers {
    bytes: Vec<u8>,
    meta: [RecvMeta; SLOTS],
}

thread_local! {
    static BUFFERS: RefCell<ReceiveBuffers> = RefCell::new(ReceiveBuffers {
        bytes: Vec::new(),
        meta: [RecvMeta::default(); SLOTS],
    });
}

impl Driver {
    /// Reads what the sockets have, within a bound. True if there may be more.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, Reason> {
        BUFFERS.with_borrow_mut(|buffers| {
            if buffers.bytes.is_empty() {
                buffers.bytes = vec![0; SLOTS * SLOT_BYTES];
            }
            let mut more = false;
            for index in 0..self.ice.sockets.len() {
                more |= self.receive_from(cx, now, index, buffers)?;
            }
            Ok(more)
        })
    }

    fn receive_from(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        index: usize,
        buffers: &mut ReceiveBuffers,
    ) -> Result<bool, Reason> {
        if self.ice.is_deaf(index) {
            return Ok(false);
        }
        let socket = self.ice.sockets[index].clone();
        let local = self.ice.local_id(index);
        let ReceiveBuffers { bytes, meta } = buffers;
        let filled = {
            let mut slots = bytes.chunks_exact_mut(SLOT_BYTES).map(IoSliceMut::new);
            let mut slices: [IoSliceMut<'_>; SLOTS] =
                std::array::from_fn(|_| slots.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
            let slots = if self.single { SLOTS } else { RUNS };
            match socket.poll_receive(cx, &mut slices[..slots], meta, self.busy) {
                Poll::Ready(Ok(filled)) => filled,
                Poll::Ready(Err(error)) => return self.ice.receive_failed(now, index, error),
                Poll::Pending => {
                    self.ice.receive_worked(index);
                    return Ok(false);
                }
            }
        };
        self.ice.receive_worked(index);
        count(&self.shared.counters.receive_calls);
        let single = |meta: &RecvMeta| meta.len <= meta.stride;
        self.single = filled >= RUNS && meta[..filled].iter().all(single);
        for (slot, meta) in bytes.chunks_exact_mut(SLOT_BYTES).zip(&meta[..filled]) {
            let run = &mut slot[..meta.len];
            self.shared
                .counters
                .bytes_received
                .fetch_add(run.len() as u64, Relaxed);
            self.share += run.len().div_ceil(meta.stride.max(1));
            self.ingest(now, local, meta.addr, run, meta.stride)?;
            #[cfg(feature = "lock-stats")]
            self.record_applied(meta);
        }
        Ok(true)
    }

    /// The kernel stamps what it receives with the time of day.
    #[cfg(feature = "lock-stats")]
    fn record_applied(&self, meta: &RecvMeta) {
        #[expect(
            clippy::disallowed_methods,
            reason = "to compare with the kernel's stamp"
        )]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        if let (Some(received), Ok(now)) = (meta.timestamp, now) {
            self.shared
                .session
                .record_applied(now.saturating_sub(received));
        }
    }

    /// One GRO run: datagrams of `stride` bytes from one source, of any mix of classes.
    fn ingest(
        &mut self,
        now: Instant,
        local: LocalId,
        source: SocketAddr,
        run: &mut [u8],
        stride: usize,
    ) -> Result<(), Reason> {
        let mut packets = emptied(std::mem::take(&mut self.packets));
        let mut datagrams = 0;
        let (mut records, mut record_bytes) = (0, 0);
        for datagram in run.chunks_mut(stride.max(1)) {
            datagrams += 1;
            match Class::of(datagram) {
                Class::Stun => {
                    // What is ignored is counted by the agent.
                    let _ = self.ice.agent.handle_datagram(now, local, source, datagram);
                }
                Class::Dtls if !self.ice.agent.is_validated(local, source) => {
                    count(&self.shared.counters.unvalidated_source);
                }
                Class::Dtls => {
                    records += 1;
                    record_bytes += datagram.len() as u64;
                    self.handle_dtls(now, local, source, datagram, &mut packets)?;
                }
                Class::Media => count(&self.shared.counters.media),
                Class::Unknown => count(&self.shared.counters.unknown_class),
            }
        }
        self.shared
            .counters
            .packets_received
            .fetch_add(datagrams, Relaxed);
        if !packets.is_empty() {
            self.ice
                .agent
                .note_received(now, local, source, records, record_bytes);
            self.handle_packets(now, &packets)?;
        }
        self.packets = emptied(packets);
        Ok(())
    }

    /// One lock hold for the burst.
    pub(super) fn handle_packets(
        &mut self,
        now: Instant,
        packets: &[Packet<'_>],
    ) -> Result<(), Reason> {
        count(&self.shared.counters.bursts_received);
        self.packets_ingested += packets.len();
        let (shared, events) = (&self.shared, &mut self.events);
        shared.session.with(Purpose::Ingest, |guarded| {
            let released = shared.drain_taken();
            if released > 0 {
                guarded.session.release(now, released);
            }
            for packet in packets {
                guarded.session.handle_packet(now, packet);
            }
            shared.watch_window(guarded);
            guarded.collect_events(events, shared);
        })?;
        self.dispatch_events()
    }

    /// Decodes one opened record.
    pub(super) fn decode<'a>(&self, plaintext: &'a [u8], packets: &mut Vec<Packet<'a>>) {
        assert_unlocked("decode");
        match Packet::decode_with(plaintext, self.checksum) {
            Ok(packet) => packets.push(packet),
            Err(_) => count(&self.shared.counters.sctp_malformed),
        }
    }
}

/// The vector's memory for packets that borrow from somewhere else: collecting in place keeps it.
#[expect(
    clippy::unnecessary_filter_map,
    reason = "before and after are different types: the lifetime changes"
)]
fn emptied<'a>(packets: Vec<Packet<'_>>) -> Vec<Packet<'a>> {
    packets.into_iter().filter_map(|_| None).collect()
}

/// Buffers for a receive call that may return GRO runs. Each fills one; more in a turn is not faster
/// and makes others wait.
const RUNS: usize = 2;

/// Buffers for a receive call that returns single datagrams, as without GRO: about one share.
const SLOTS: usize = 32;

/// The largest GRO run. The buffers behind the first few are touched only as far as datagrams fill
/// them.
const SLOT_BYTES: usize = 1 << 16;
