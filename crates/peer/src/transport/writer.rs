//! The writer: a task of its own that seals and sends what the driver has marshalled.
//!
//! It owns the sealer, so record sequence numbers are assigned in the order in which packets leave,
//! whichever lane they came by.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use bytes::Bytes;
use peerloom_dtls::{ContentType, Sealer};
use tokio::sync::mpsc;

use super::batch::BatchBuffer;
use super::lock::assert_unlocked;
use super::path::CurrentPath;
use super::socket::UdpSocket;
use crate::stats::Counters;

/// The control lane: small, rare and ahead of bulk.
#[derive(Debug)]
pub(crate) enum Control {
    /// A datagram that is complete as it is: STUN, or a flight of the DTLS handshake.
    Datagram {
        socket: Arc<UdpSocket>,
        destination: SocketAddr,
        payload: Bytes,
    },
    /// The handshake is over; records are sealed with this from now on.
    Keys(Box<Sealer>),
}

/// The bulk lane, in the order of the driver.
#[derive(Debug)]
pub(crate) enum Bulk {
    /// Encoded SCTP packets.
    Batch(BatchBuffer),
    /// The last record of the connection (RFC 5246 §7.2.1).
    CloseNotify,
}

/// Datagrams that may wait in the control lane; more are dropped by the driver, as the network
/// would drop them, and repeated by their own timers.
pub(crate) const CONTROL_LANE: usize = 64;

/// Batch buffers that circulate: one being filled, one being sent, one between them, one spare.
pub(crate) const BATCHES: usize = 4;

/// A batch's bytes as far as one sendmsg can carry them: UDP's 65,535 less the headers.
const MAX_RUN_BYTES: usize = 65_487;

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) bulk: mpsc::Receiver<Bulk>,
    pub(crate) free: mpsc::Sender<BatchBuffer>,
    pub(crate) path: Arc<CurrentPath>,
    pub(crate) counters: Arc<Counters>,
}

impl Writer {
    /// Runs until the driver has dropped both lanes and everything in them is sent.
    pub(crate) async fn run(mut self) {
        let mut sealer: Option<Box<Sealer>> = None;
        let mut warned = false;
        loop {
            tokio::select! {
                biased;
                Some(control) = self.control.recv() => match control {
                    Control::Datagram { socket, destination, payload } => {
                        let sent = socket.send(destination, &payload, payload.len()).await;
                        self.count(sent, 1);
                    }
                    Control::Keys(keys) => sealer = Some(keys),
                },
                Some(bulk) = self.bulk.recv() => match bulk {
                    Bulk::Batch(batch) => {
                        self.send_batch(sealer.as_deref_mut(), batch).await;
                        if !self.bulk.is_empty() {
                            last_in_line().await;
                        }
                        // DTLS 1.2 cannot change its keys; stopping is for the application.
                        if !warned && sealer.as_ref().is_some_and(|s| s.usage().is_over()) {
                            warned = true;
                            tracing::warn!("more data under one key than AES-GCM's limits advise");
                        }
                    }
                    Bulk::CloseNotify => self.send_close_notify(sealer.as_deref_mut()).await,
                },
                else => return,
            }
        }
    }

    async fn send_batch(&mut self, sealer: Option<&mut Sealer>, mut batch: BatchBuffer) {
        if let (Some(sealer), Some(path)) = (sealer, self.path.load()) {
            assert_unlocked("seal");
            let sealed = batch
                .records_mut()
                .try_for_each(|record| sealer.seal(ContentType::ApplicationData, record));
            if sealed.is_err() {
                // Out of sequence numbers (2^48 records): nothing can be sent any more.
                self.counters
                    .seal_refused
                    .fetch_add(batch.len() as u64, Relaxed);
                self.recycle(batch);
                return;
            }
            self.counters.batches_sent.fetch_add(1, Relaxed);
            let max_run = path
                .socket
                .burst_bytes()
                .clamp(MIN_RUN_BYTES, MAX_RUN_BYTES);
            for run in batch.runs(max_run) {
                let sent = path
                    .socket
                    .send(path.destination, run.contents, run.segment)
                    .await;
                self.count(sent, run.count);
                self.counters
                    .bytes_sent
                    .fetch_add(run.contents.len() as u64, Relaxed);
            }
        } else {
            // No path (consent lost, or not yet selected): lost, as on a cable pulled out.
            self.counters.no_path.fetch_add(batch.len() as u64, Relaxed);
        }
        self.recycle(batch);
    }

    async fn send_close_notify(&mut self, sealer: Option<&mut Sealer>) {
        let (Some(sealer), Some(path)) = (sealer, self.path.load()) else {
            return;
        };
        if let Some(record) = sealer.close_notify() {
            let sent = path
                .socket
                .send(path.destination, &record, record.len())
                .await;
            self.count(sent, 1);
        }
    }

    fn recycle(&self, batch: BatchBuffer) {
        // There is a place for every buffer; without a driver nobody needs it any more.
        let _ = self.free.try_send(batch);
    }

    fn count(&self, sent: super::socket::Sent, packets: usize) {
        self.counters
            .packets_sent
            .fetch_add(packets as u64, Relaxed);
        self.counters
            .send_calls
            .fetch_add(sent.calls as u64, Relaxed);
        self.counters
            .send_refused
            .fetch_add(sent.refused as u64, Relaxed);
    }
}

/// Lets the other tasks of this worker run first: sending a batch takes about 30 µs, and what we have
/// woken by giving its buffer back waits on this worker. Not `yield_now`, which waits until the
/// worker has nothing else to run.
async fn last_in_line() {
    let mut stepped_back = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut stepped_back, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs are not cut shorter than this by a small socket buffer.
const MIN_RUN_BYTES: usize = 16 * 1200;
