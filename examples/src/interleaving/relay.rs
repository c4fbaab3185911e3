//! A slow line in this process: a UDP relay between two peers with a rate, a delay, a drop-tail queue
//! and random loss, each way.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use peerloom::SessionDescription;
use rand::RngExt as _;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Result;

/// What the line does to datagrams, the same both ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Bits per second, headers of IP and UDP included.
    pub(super) rate: u64,
    /// One way.
    pub(super) delay: Duration,
    /// Datagrams that wait for the rate at most; what comes on top is dropped.
    pub(super) queue: usize,
    /// The share of datagrams that are lost.
    pub(super) loss: f64,
}

/// A line between two peers. Each is told that the other one is at the relay's address. Dropping it
/// cuts the line.
#[derive(Debug)]
pub(super) struct Relay {
    ends: [End; 2],
    _tasks: JoinSet<()>,
}

/// A peer as the relay sees it.
#[derive(Clone, Debug)]
struct End {
    socket: Arc<UdpSocket>,
    /// Where it is: from its description, or from the first datagram.
    peer: Arc<OnceLock<SocketAddr>>,
}

impl Relay {
    /// A line whose ends nobody has joined yet.
    pub(super) async fn new(line: Line) -> io::Result<Self> {
        let ends = [End::new().await?, End::new().await?];
        let mut tasks = JoinSet::new();
        for (from, to) in [(0, 1), (1, 0)] {
            tasks.spawn(carry(line, ends[from].clone(), ends[to].clone()));
        }
        Ok(Self {
            ends,
            _tasks: tasks,
        })
    }

    /// The description of the peer at one end as the peer at the other is to see it: its host
    /// candidate is the relay's.
    pub(super) fn through(
        &self,
        end: usize,
        described: SessionDescription,
    ) -> Result<SessionDescription> {
        let relayed = self.ends[1 - end].socket.local_addr()?;
        let mut lines = Vec::new();
        for line in described.sdp.lines() {
            let Some(candidate) = line.strip_prefix("a=candidate:") else {
                lines.push(line.to_owned());
                continue;
            };
            // RFC 8839 §5.1: foundation, component, transport, priority, address, port, "typ", ...
            let mut words: Vec<_> = candidate.split(' ').map(str::to_owned).collect();
            let (Some(ip), Some(port)) = (words.get(4), words.get(5)) else {
                return Err(format!("no candidate: {line}").into());
            };
            let address = SocketAddr::new(ip.parse()?, port.parse()?);
            if !address.is_ipv4() || self.ends[end].peer.set(address).is_err() {
                // One way to the other end is enough, and none may lead past the relay.
                continue;
            }
            words[4] = relayed.ip().to_string();
            words[5] = relayed.port().to_string();
            lines.push(format!("a=candidate:{}", words.join(" ")));
        }
        Ok(SessionDescription {
            sdp: lines.join("\r\n") + "\r\n",
            ..described
        })
    }
}

impl End {
    async fn new() -> io::Result<Self> {
        Ok(Self {
            socket: Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?),
            peer: Arc::default(),
        })
    }
}

/// Carries datagrams one way.
async fn carry(line: Line, from: End, to: End) {
    let mut buffer = vec![0; 65_536];
    // When each datagram has left the queue; and what is on the way.
    let mut queue: VecDeque<Instant> = VecDeque::new();
    let mut flying: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    loop {
        let due = flying.front().map(|(at, _)| *at);
        let landing = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = landing => {
                let now = Instant::now();
                while flying.front().is_some_and(|(at, _)| *at <= now) {
                    let Some((_, datagram)) = flying.pop_front() else { break };
                    if let Some(peer) = to.peer.get() {
                        // A peer that is gone loses what was for it.
                        let _ = to.socket.send_to(&datagram, peer).await;
                    }
                }
            }
            received = from.socket.recv_from(&mut buffer) => {
                let Ok((len, source)) = received else { continue };
                from.peer.get_or_init(|| source);
                let now = Instant::now();
                while queue.front().is_some_and(|left| *left <= now) {
                    queue.pop_front();
                }
                if queue.len() >= line.queue || rand::rng().random_bool(line.loss) {
                    continue;
                }
                let bits = (len + UDP_HEADERS) as u64 * 8;
                let takes = Duration::from_nanos(bits * 1_000_000_000 / line.rate);
                let left = queue.back().copied().unwrap_or(now) + takes;
                queue.push_back(left);
                flying.push_back((left + line.delay, buffer[..len].to_vec()));
            }
        }
    }
}

/// IPv4 and UDP.
const UDP_HEADERS: usize = 28;
