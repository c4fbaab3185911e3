//! UDP sockets: many equal datagrams a system call both ways, with the fall-back when the kernel
//! or the network card refuses.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket as TokioSocket;

use super::lock::assert_unlocked;
use crate::stats::SocketStats;

/// One bound UDP socket.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    io: TokioSocket,
    state: UdpSocketState,
    offload: bool,
    local: SocketAddr,
    send_buffer: usize,
    receive_buffer: usize,
}

/// What came of sending a run of equal segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// System calls made.
    pub(crate) calls: usize,
    /// Segments that the kernel refused; SCTP sees them as lost.
    pub(crate) refused: usize,
}

impl UdpSocket {
    /// Binds to `address` and enlarges both kernel buffers towards `buffer` bytes (0 leaves the
    /// system's default). The system may grant less; [`stats`](Self::stats) reports what it granted.
    /// Without `offload`, each datagram is sent by a system call of its own.
    pub(crate) fn bind(address: SocketAddr, buffer: usize, offload: bool) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if buffer > 0 {
            // Refused or capped sizes are no reason to fail: the granted ones are reported.
            let _ = socket.set_recv_buffer_size(buffer);
            let _ = socket.set_send_buffer_size(buffer);
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let (send_buffer, receive_buffer) =
            (socket.send_buffer_size()?, socket.recv_buffer_size()?);
        let io = TokioSocket::from_std(socket.into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        Ok(UdpSocket {
            local: io.local_addr()?,
            io,
            state,
            offload,
            send_buffer,
            receive_buffer,
        })
    }

    /// One that can never receive: a TCP socket without a connection.
    #[cfg(all(test, unix))]
    pub(crate) fn broken() -> io::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&any.into())?;
        let fd = std::os::fd::OwnedFd::from(socket);
        let io = TokioSocket::from_std(fd.into())?;
        Ok(UdpSocket {
            local: io.local_addr()?,
            state: UdpSocketState::new(UdpSockRef::from(&io))?,
            io,
            offload: true,
            send_buffer: 0,
            receive_buffer: 0,
        })
    }

    /// The address it is bound to.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sizes of the kernel buffers, as the system counts them, and what it can offload.
    pub(crate) fn stats(&self) -> SocketStats {
        SocketStats {
            local_address: self.local,
            send_buffer: self.send_buffer,
            receive_buffer: self.receive_buffer,
            kernel_drops: kernel_drops(self.local),
            max_gso_segments: self.max_segments(),
            gro_segments: if PORTABLE {
                1
            } else {
                self.state.gro_segments()
            },
        }
    }

    /// How many equal segments one system call can send at the moment.
    pub(crate) fn max_segments(&self) -> usize {
        if PORTABLE || !self.offload {
            1
        } else {
            self.state.max_gso_segments().max(1)
        }
    }

    /// A quarter of the send buffer: more at once and the kernel refuses or drops the rest of a
    /// burst. The kernel reports, and charges, about twice the payload.
    pub(crate) fn burst_bytes(&self) -> usize {
        self.send_buffer.min(self.receive_buffer) / 4
    }

    /// Receives into `buffers`, one GRO run of datagrams from one source in each; returns how many
    /// buffers were filled.
    ///
    /// The runtime asks the system which sockets are readable when a worker has nothing else to run,
    /// and otherwise once in 61 polls. Who is `busy` does not wait for that and asks the socket.
    pub(crate) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
        busy: bool,
    ) -> Poll<io::Result<usize>> {
        assert_unlocked("a receive");
        loop {
            if self.io.poll_recv_ready(cx)?.is_pending() {
                if !busy || PORTABLE {
                    return Poll::Pending;
                }
                return match self.state.recv(UdpSockRef::from(&self.io), buffers, meta) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                    received => Poll::Ready(received),
                };
            }
            let received = if PORTABLE {
                self.receive_each(buffers, meta)
            } else {
                self.io.try_io(Interest::READABLE, || {
                    self.state.recv(UdpSockRef::from(&self.io), buffers, meta)
                })
            };
            match received {
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Receives one datagram a system call, one into each buffer.
    fn receive_each(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        for (filled, (buffer, meta)) in buffers.iter_mut().zip(meta).enumerate() {
            match self.io.try_recv_from(buffer) {
                Ok((len, source)) => {
                    *meta = RecvMeta::default();
                    (meta.addr, meta.len, meta.stride) = (source, len, len);
                }
                Err(e) if filled == 0 => return Err(e),
                // What came before counts; an error that lasts comes again.
                Err(_) => return Ok(filled),
            }
        }
        Ok(buffers.len())
    }

    /// Sends `contents` as datagrams of `segment` bytes (only the last may be shorter), in as few
    /// system calls as the socket allows, waiting while its buffer is full.
    ///
    /// An error is about one destination or one moment (unreachable, refused, no memory), so it is
    /// counted and the datagrams are lost, as the network would lose them. Not cancel-safe: a
    /// dropped future may have sent a part.
    pub(crate) async fn send(
        &self,
        destination: SocketAddr,
        contents: &[u8],
        segment: usize,
    ) -> Sent {
        assert_unlocked("a send");
        let mut sent = Sent::default();
        let mut rest = contents;
        while !rest.is_empty() {
            let at_once = (self.max_segments() * segment).min(rest.len());
            let (run, after) = rest.split_at(at_once);
            match self.send_run(destination, run, segment).await {
                Ok(()) => {}
                // quinn-udp has set the limit to one segment after a failed offload, without
                // sending: this run goes again, one by one.
                Err(_) if run.len() > segment && self.max_segments() == 1 => {
                    sent.calls += 1;
                    continue;
                }
                Err(e) => {
                    tracing::debug!(%destination, error = %e, "datagrams refused by the kernel");
                    sent.refused += run.len().div_ceil(segment);
                }
            }
            sent.calls += 1;
            rest = after;
        }
        sent
    }

    async fn send_run(
        &self,
        destination: SocketAddr,
        run: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination,
            ecn: None,
            contents: run,
            segment_size: (run.len() > segment).then_some(segment),
            src_ip: None,
        };
        // The common case first: a socket that takes it needs no readiness check.
        self.io
            .async_io(Interest::WRITABLE, || {
                self.state.try_send(UdpSockRef::from(&self.io), &transmit)
            })
            .await
    }
}

/// Whether an error of a receive is about an earlier datagram or about this moment: ICMP, which
/// anyone can forge, an interface that is down, a lack of memory. It says nothing about the socket.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::PermissionDenied
            | Kind::TimedOut
            | Kind::OutOfMemory
            | Kind::Interrupted
    ) || error.raw_os_error() == Some(EMSGSIZE)
}

/// Has no name in [`io::ErrorKind`].
const EMSGSIZE: i32 = if cfg!(windows) {
    10_040
} else if cfg!(any(target_os = "linux", target_os = "android")) {
    90
} else {
    40
};

/// What the kernel has dropped at this process's socket bound to `local`, as Linux tells it.
fn kernel_drops(local: SocketAddr) -> Option<u64> {
    let (table, address) = match local.ip() {
        IpAddr::V4(ip) => ("udp", format!("{:08X}", u32::from_ne_bytes(ip.octets()))),
        IpAddr::V6(ip) => {
            let words = ip.octets();
            let words = words
                .as_chunks()
                .0
                .iter()
                .map(|word| u32::from_ne_bytes(*word));
            ("udp6", words.map(|word| format!("{word:08X}")).collect())
        }
    };
    let wanted = format!("{address}:{:04X}", local.port());
    let sockets = std::fs::read_to_string(format!("/proc/self/net/{table}")).ok()?;
    let line = sockets
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(&wanted))?;
    line.split_whitespace().last()?.parse().ok()
}

/// Built with `--cfg peerloom_no_offload`: one datagram a system call both ways, as on a system
/// without offloads, so that this path is tested where they exist.
const PORTABLE: bool = cfg!(peerloom_no_offload);

#[cfg(test)]
mod tests {
    use super::*;

    async fn receive(socket: &UdpSocket, datagrams: usize) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while got.len() < datagrams {
            let mut meta = [RecvMeta::default()];
            let mut slices = [IoSliceMut::new(&mut buffer)];
            std::future::poll_fn(|cx| socket.poll_receive(cx, &mut slices, &mut meta, false))
                .await
                .unwrap();
            got.extend(
                buffer[..meta[0].len]
                    .chunks(meta[0].stride)
                    .map(<[u8]>::to_vec),
            );
        }
        got
    }

    /// Offloads must never change what arrives.
    #[tokio::test]
    async fn a_run_arrives_as_the_same_datagrams() {
        let a = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 0, true).unwrap();
        let b = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 1 << 20, true).unwrap();
        let contents: Vec<u8> = (0..130 * 100 + 37).map(|i| (i / 100) as u8).collect();
        let sent = a.send(b.local(), &contents, 100).await;
        assert_eq!(sent.refused, 0);
        let got = receive(&b, 131).await;
        assert_eq!(got.concat(), contents);
        assert!(got[..130].iter().all(|d| d.len() == 100));
        assert_eq!(got[130].len(), 37);
    }

    /// Switched off, the option must reach the system calls.
    #[tokio::test]
    async fn without_offload_each_datagram_has_a_system_call() {
        let b = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 1 << 20, true).unwrap();
        for (offload, calls) in [(true, 1), (false, 20)] {
            if offload && b.max_segments() == 1 {
                continue;
            }
            let a = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 0, offload).unwrap();
            let sent = a.send(b.local(), &[7; 20 * 100], 100).await;
            assert_eq!(sent, Sent { calls, refused: 0 }, "offload {offload}");
            assert_eq!(receive(&b, 20).await.concat(), [7; 20 * 100]);
        }
    }

    #[tokio::test]
    async fn refused_datagrams_are_counted_and_the_socket_lives() {
        let a = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 0, true).unwrap();
        let b = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 0, true).unwrap();
        // A datagram larger than UDP can carry.
        let sent = a.send(b.local(), &vec![0; 70_000], 70_000).await;
        assert_eq!(sent.refused, 1);
        assert_eq!(
            a.send(b.local(), b"still there", 11).await,
            Sent {
                calls: 1,
                refused: 0
            }
        );
        assert_eq!(receive(&b, 1).await, [b"still there"]);
    }

    /// Overruns have to show: a figure that stays zero would hide them.
    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn the_kernels_drops_are_reported() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(b) = UdpSocket::bind(address.parse().unwrap(), 1, true) else {
                continue;
            };
            let a = UdpSocket::bind(address.parse().unwrap(), 0, true).unwrap();
            assert_eq!(b.stats().kernel_drops, Some(0), "{address}");
            for _ in 0..100 {
                a.send(b.local(), &[0; 1000], 1000).await;
            }
            assert!(b.stats().kernel_drops > Some(0), "{address}");
        }
    }

    /// Protects a connection from forged ICMP, and from an interface that is down for a while.
    #[test]
    fn what_is_transient_and_what_is_not() {
        let of = |kind: io::ErrorKind| is_transient(&kind.into());
        assert!(of(io::ErrorKind::ConnectionRefused) && of(io::ErrorKind::ConnectionReset));
        assert!(of(io::ErrorKind::NetworkUnreachable) && of(io::ErrorKind::HostUnreachable));
        assert!(of(io::ErrorKind::Interrupted));
        assert!(is_transient(&io::Error::from_raw_os_error(EMSGSIZE)));
        assert!(!of(io::ErrorKind::NotConnected) && !of(io::ErrorKind::InvalidInput));
        #[cfg(unix)]
        assert!(!is_transient(&io::Error::from_raw_os_error(9)), "EBADF");
    }

    #[tokio::test]
    async fn granted_buffer_sizes_are_reported() {
        let enlarged = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 1 << 20, true).unwrap();
        let default = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 0, true).unwrap();
        assert!(enlarged.stats().receive_buffer > default.stats().receive_buffer);
        assert!(enlarged.stats().send_buffer > default.stats().send_buffer);
    }
}
