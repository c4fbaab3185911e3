//! A UDP socket that sends and receives datagrams by the batch (`sendmsg` with GSO, `recvmmsg`
//! with GRO).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::Result;

/// Socket buffers unless `--sockbuf` says otherwise: what fills a socket while its task waits for
/// a core.
const SOCKET_BUFFER: usize = 4 << 20;

/// With GRO one buffer holds as many datagrams as an IP packet could.
const RECEIVE_BUFFER: usize = 1 << 16;

/// Receive buffers per system call; more are never full.
const RECEIVE_BUFFERS: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };

/// A socket on loopback.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
}

/// What one receive filled.
#[derive(Debug)]
pub(super) struct Received {
    buffers: Vec<Vec<u8>>,
    meta: [RecvMeta; RECEIVE_BUFFERS],
    filled: usize,
}

impl Socket {
    /// Binds a free port; buffers of `size` bytes, or large ones for 0.
    pub(super) fn bind(size: usize) -> Result<Self> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        let state = UdpSocketState::new((&socket).into())?;
        let size = if size == 0 { SOCKET_BUFFER } else { size };
        state.set_send_buffer_size((&socket).into(), size)?;
        state.set_recv_buffer_size((&socket).into(), size)?;
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
        })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// The receive buffer's size as the system counts it.
    pub(super) fn so_rcvbuf(&self) -> io::Result<usize> {
        self.state.recv_buffer_size((&self.io).into())
    }

    /// How many datagrams one send may carry.
    pub(super) fn segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Receives at least one buffer.
    pub(super) async fn receive(&self, into: &mut Received) -> io::Result<()> {
        self.io
            .async_io(Interest::READABLE, || self.receive_now(into))
            .await
    }

    /// Sends `contents` as datagrams of `segment` bytes, the last of which may be shorter.
    pub(super) fn try_send(
        &self,
        destination: SocketAddr,
        contents: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || {
            let transmit = Transmit {
                destination,
                ecn: None,
                contents,
                segment_size: (contents.len() > segment).then_some(segment),
                src_ip: None,
            };
            self.state.try_send((&self.io).into(), &transmit)
        })
    }

    fn receive_now(&self, into: &mut Received) -> io::Result<()> {
        let mut buffers = into.buffers.iter_mut();
        let mut slices: [IoSliceMut<'_>; RECEIVE_BUFFERS] = std::array::from_fn(|_| {
            IoSliceMut::new(buffers.next().expect("one buffer for each slice"))
        });
        into.filled = self
            .state
            .recv((&self.io).into(), &mut slices, &mut into.meta)?;
        Ok(())
    }
}

impl Received {
    pub(super) fn new() -> Self {
        Self {
            buffers: vec![vec![0; RECEIVE_BUFFER]; RECEIVE_BUFFERS],
            meta: [RecvMeta::default(); RECEIVE_BUFFERS],
            filled: 0,
        }
    }

    /// The datagrams that came from `source`.
    pub(super) fn datagrams(&self, source: SocketAddr) -> impl Iterator<Item = &[u8]> {
        self.buffers
            .iter()
            .zip(&self.meta)
            .take(self.filled)
            .filter(move |(_, meta)| meta.addr == source && meta.stride > 0)
            .flat_map(|(buffer, meta)| buffer[..meta.len].chunks(meta.stride))
    }
}
