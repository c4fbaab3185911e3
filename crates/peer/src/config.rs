//! Options of a connection, with their defaults.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use peerloom_dtls::{Certificate, KeyLog, Role};
use peerloom_sctp::{CongestionControl, Scheduler, StreamScheduler};

use crate::connection::PeerConnection;
use crate::error::Error;
use crate::ice_options::IceConfig;

/// Options of a connection. Start with [`PeerConnection::builder`], end with
/// [`build`](Self::build).
///
/// ```no_run
/// # async fn example() -> Result<(), peerloom::Error> {
/// let connection = peerloom::PeerConnection::builder()
///     .stun_server("stun:stun.example.org:3478")
///     .send_buffer_limit(8 << 20)
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PeerConnectionBuilder {
    pub(crate) config: Config,
}

/// Which local addresses get a socket and become host candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bind {
    /// Every interface that is up, without loopback unless there is nothing else.
    Interfaces,
    /// Loopback alone.
    Loopback,
    /// These addresses; port 0 lets the system choose.
    Addresses(Vec<SocketAddr>),
}

/// The role in which an answer asks to do DTLS (RFC 8842 §5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerSetup {
    /// The answerer is the DTLS client, which saves a round trip. The default.
    #[default]
    Active,
    /// The answerer is the DTLS server.
    Passive,
}

impl AnswerSetup {
    pub(crate) fn role(self) -> Role {
        match self {
            AnswerSetup::Active => Role::Client,
            AnswerSetup::Passive => Role::Server,
        }
    }
}

/// Makes the application's scheduler.
pub(crate) type MakeScheduler = Arc<dyn Fn() -> Box<dyn StreamScheduler> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) certificate: Option<Certificate>,
    pub(crate) key_log: Option<Arc<dyn KeyLog>>,
    pub(crate) stun_servers: Vec<String>,
    pub(crate) bind: Bind,
    pub(crate) ice: IceConfig,
    pub(crate) answer_setup: AnswerSetup,
    pub(crate) offer_srtp: bool,
    pub(crate) zero_checksum: bool,
    pub(crate) interleaving: bool,
    pub(crate) scheduler: Scheduler,
    pub(crate) custom_scheduler: Option<MakeScheduler>,
    pub(crate) congestion_control: CongestionControl,
    pub(crate) receive_window: usize,
    pub(crate) send_buffer_limit: usize,
    pub(crate) channel_send_buffer_limit: usize,
    pub(crate) max_message_size: usize,
    pub(crate) max_channels: usize,
    pub(crate) socket_buffers: usize,
    pub(crate) segmentation_offload: bool,
    pub(crate) close_timeout: Duration,
    pub(crate) channel_close_timeout: Duration,
    pub(crate) handshake_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            certificate: None,
            key_log: None,
            stun_servers: Vec::new(),
            bind: Bind::Interfaces,
            ice: IceConfig::default(),
            answer_setup: AnswerSetup::default(),
            offer_srtp: true,
            zero_checksum: true,
            interleaving: true,
            scheduler: Scheduler::default(),
            custom_scheduler: None,
            congestion_control: CongestionControl::default(),
            receive_window: 16 << 20,
            send_buffer_limit: 4 << 20,
            channel_send_buffer_limit: 4 << 20,
            max_message_size: 256 << 10,
            max_channels: 65_535,
            socket_buffers: 4 << 20,
            segmentation_offload: true,
            close_timeout: Duration::from_secs(2),
            channel_close_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(30),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("bind", &self.bind)
            .field("ice", &self.ice)
            .field("stun_servers", &self.stun_servers)
            .field("receive_window", &self.receive_window)
            .field("send_buffer_limit", &self.send_buffer_limit)
            .finish_non_exhaustive()
    }
}

impl PeerConnectionBuilder {
    pub(crate) fn new() -> Self {
        PeerConnectionBuilder {
            config: Config::default(),
        }
    }

    /// The certificate of this end. One that is kept lets the other end know us again by its
    /// fingerprint; one for each connection tells nobody that two connections are ours.
    ///
    /// Default: a new ECDSA P-256 one, valid for 30 days, as browsers make.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.config.certificate = Some(certificate);
        self
    }

    /// Where DTLS secrets go in NSS key-log format, for a packet analyser. Whoever reads them can
    /// decrypt the connection. Default: nowhere.
    pub fn key_log(mut self, key_log: Arc<dyn KeyLog>) -> Self {
        self.config.key_log = Some(key_log);
        self
    }

    /// Adds a STUN server, `stun:host[:port]` (RFC 7064; port 3478 if left out), for
    /// server-reflexive candidates. One that does not answer holds nothing up.
    ///
    /// Default: none, since whoever is asked learns our address.
    pub fn stun_server(mut self, uri: impl Into<String>) -> Self {
        self.config.stun_servers.push(uri.into());
        self
    }

    /// Uses loopback addresses alone, for two ends on one machine. It takes the place of an earlier
    /// [`bind`](Self::bind), and `false` undoes both.
    ///
    /// Default: false: every interface but loopback, which means nothing to another machine;
    /// loopback if there is no other.
    pub fn loopback(mut self, only: bool) -> Self {
        self.config.bind = if only {
            Bind::Loopback
        } else {
            Bind::Interfaces
        };
        self
    }

    /// Binds to these addresses and no others; port 0 lets the system choose one. An address that
    /// cannot be had is an error, as it was asked for by name.
    ///
    /// Default: those of the interfaces, see [`loopback`](Self::loopback).
    pub fn bind(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.config.bind = Bind::Addresses(addresses.into_iter().collect());
        self
    }

    /// [`bind`](Self::bind) with ports chosen by the system. Default: as there.
    pub fn bind_ips(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.bind(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)))
    }

    /// The DTLS role that our answers ask for when the offer leaves the choice.
    ///
    /// Default: [`AnswerSetup::Active`], which saves a round trip (RFC 8842 §5.3).
    pub fn answer_setup(mut self, setup: AnswerSetup) -> Self {
        self.config.answer_setup = setup;
        self
    }

    /// Whether DTLS-SRTP keys are negotiated in the handshake (RFC 5764), which media need and
    /// DTLS 1.2 cannot add later. Off is for peers that fail on the extension.
    ///
    /// Default: true, so that media can be added to the connection later.
    pub fn offer_srtp(mut self, offer: bool) -> Self {
        self.config.offer_srtp = offer;
        self
    }

    /// Whether SCTP packets may go without a CRC32c between two ends that both say so (RFC 9653).
    ///
    /// Default: true: DTLS authenticates them already.
    pub fn zero_checksum(mut self, allow: bool) -> Self {
        self.config.zero_checksum = allow;
        self
    }

    /// Whether messages of different channels may be interleaved, fragment by fragment, with another
    /// end that allows it too (RFC 8260), so that a small message does not wait behind a large one.
    /// Default: true.
    pub fn interleaving(mut self, allow: bool) -> Self {
        self.config.interleaving = allow;
        self
    }

    /// In which order channels send when several have something. Default: in proportion to their
    /// [priorities](crate::DataChannel::set_priority). With an end that does not interleave, the order
    /// is one of whole messages.
    pub fn scheduler(mut self, scheduler: Scheduler) -> Self {
        self.config.scheduler = scheduler;
        self.config.custom_scheduler = None;
        self
    }

    /// An order of the application's own; `make` is called for each connection. The scheduler runs
    /// inside the connection's lock, for every fragment: [`StreamScheduler`] says what that asks of it.
    /// A panic in it ends its connection, and no other.
    ///
    /// Default: none; that of [`scheduler`](Self::scheduler).
    pub fn custom_scheduler(
        mut self,
        make: impl Fn() -> Box<dyn StreamScheduler> + Send + Sync + 'static,
    ) -> Self {
        self.config.custom_scheduler = Some(Arc::new(make));
        self
    }

    /// How what is sent adapts to the path. [`CongestionControl::Bbr`] is for paths that lose packets
    /// without being full, as radio links do, and keeps queues short.
    ///
    /// Default: [`CongestionControl::Cubic`], which shares a link with other traffic most evenly.
    pub fn congestion_control(mut self, controller: CongestionControl) -> Self {
        self.config.congestion_control = controller;
        self
    }

    /// Bytes of received messages, overhead included, that may wait for the application in all
    /// channels together, at most; the other end stops when they are used. At least 128 KiB. It also
    /// bounds what can be in flight: window / RTT is the most that can arrive in a second. The window
    /// begins with 4 MiB, or with less if this is less, and grows with what the application takes in a
    /// round trip. To change it later: [`PeerConnection::set_receive_window`].
    ///
    /// Default: 16 MiB, which carries 1 Gbit/s over 130 ms; an application that stalls costs 4 MiB,
    /// and more only after it was that fast.
    pub fn receive_window(mut self, bytes: usize) -> Self {
        self.config.receive_window = bytes;
        self
    }

    /// Bytes that may wait to be sent in all channels together, 128 bytes for each message included;
    /// `send` waits when they are used. A larger message is taken when nothing else waits,
    /// and channels with at most 64 KiB queued share a quarter more, so that they need not wait for those
    /// with megabytes. At least 1. To change it later: [`PeerConnection::set_send_buffer_limit`].
    ///
    /// Default: 4 MiB: enough that a sender which is woken late leaves no gap, little enough that a
    /// new message is not seconds behind on a slow link.
    pub fn send_buffer_limit(mut self, bytes: usize) -> Self {
        self.config.send_buffer_limit = bytes;
        self
    }

    /// Bytes that may wait to be sent in one channel, counted as in
    /// [`send_buffer_limit`](Self::send_buffer_limit). At least 1. Less than that one keeps room for
    /// other channels. To change it later: [`DataChannel::set_send_buffer_limit`] and
    /// [`PeerConnection::set_channel_send_buffer_limit`].
    ///
    /// Default: 4 MiB, no less than the connection's: one channel may use it all.
    ///
    /// [`DataChannel::set_send_buffer_limit`]: crate::DataChannel::set_send_buffer_limit
    pub fn channel_send_buffer_limit(mut self, bytes: usize) -> Self {
        self.config.channel_send_buffer_limit = bytes;
        self
    }

    /// The largest message that we accept, in bytes, told to the other end by
    /// `a=max-message-size` (RFC 8841 §6). A larger one closes its channel. A message is kept whole
    /// until it is complete, beyond the receive window if need be. At least 1.
    ///
    /// Default: 256 KiB, as Chromium.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config.max_message_size = bytes;
        self
    }

    /// How many channels may exist at once, whoever opens them; those being closed count. At least 1.
    ///
    /// Default: 65,535, one for each stream id (RFC 8832 §6). An idle one takes about 1 KiB.
    pub fn max_channels(mut self, channels: usize) -> Self {
        self.config.max_channels = channels;
        self
    }

    /// The size asked for the kernel's send and receive buffer of each socket, in bytes; 0 leaves
    /// the system's default. The system may grant less (`net.core.rmem_max`); both granted sizes
    /// are in [`SocketStats`](crate::stats::SocketStats).
    ///
    /// Default: 4 MiB, since a burst that the system's 208 KiB cannot hold is lost.
    pub fn socket_buffers(mut self, bytes: usize) -> Self {
        self.config.socket_buffers = bytes;
        self
    }

    /// Whether up to 64 datagrams are handed to the kernel in one system call where it can take them
    /// (Linux's UDP GSO, Windows's USO).
    ///
    /// Default: true. A kernel that refuses is noticed without this; off is for the rare driver that
    /// accepts them and sends something else.
    pub fn segmentation_offload(mut self, enabled: bool) -> Self {
        self.config.segmentation_offload = enabled;
        self
    }

    /// How long [`close`](PeerConnection::close) tries to deliver what was accepted before it ends the
    /// connection without.
    ///
    /// Default: 2 s: a few retransmissions on any path, and short enough to wait for at exit.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.close_timeout = timeout;
        self
    }

    /// How long a channel of which everything was sent stays
    /// [`Closing`](crate::DataChannelState::Closing) if the other end does not close its half.
    /// It is then closed as [`Unanswered`](crate::ChannelCloseReason::Unanswered); its id stays in
    /// use until the other end does. RFC 8831 §6.7 sets no time.
    ///
    /// Default: 30 s, as long as ICE waits for an other end that is silent (RFC 7675 §5.1).
    pub fn channel_close_timeout(mut self, timeout: Duration) -> Self {
        self.config.channel_close_timeout = timeout;
        self
    }

    /// How long the DTLS handshake may take, from its first datagram.
    ///
    /// Default: 30 s, as long as consent lasts without an answer.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.config.handshake_timeout = timeout;
        self
    }

    /// Binds the sockets and starts the tasks of the connection, on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error::Option`] for an option that cannot work, [`Error::Bind`] and [`Error::NoAddress`]
    /// when no socket can be had, [`Error::Certificate`].
    ///
    /// Cancel-safe: it does not wait, and a connection that nobody takes ends.
    pub async fn build(self) -> Result<PeerConnection, Error> {
        self.config.check()?;
        PeerConnection::start(self.config)
    }
}

/// A STUN server, still to be resolved.
#[derive(Clone, Debug)]
pub(crate) struct StunServer {
    pub(crate) url: String,
    /// `host:port`.
    pub(crate) address: String,
}

impl Config {
    fn check(&self) -> Result<(), Error> {
        check_receive_window(self.receive_window)?;
        at_least("send_buffer_limit", self.send_buffer_limit, 1)?;
        at_least(
            "channel_send_buffer_limit",
            self.channel_send_buffer_limit,
            1,
        )?;
        at_least("max_message_size", self.max_message_size, 1)?;
        at_least("max_channels", self.max_channels, 1)?;
        self.ice.check()?;
        if let Bind::Addresses(addresses) = &self.bind
            && addresses.is_empty()
        {
            let why = "names no address";
            return Err(Error::Option {
                option: "bind",
                value: "[]".into(),
                why,
            });
        }
        self.stun_addresses().map(|_| ())
    }

    pub(crate) fn stun_addresses(&self) -> Result<Vec<StunServer>, Error> {
        let server = |url: &String| {
            Ok(StunServer {
                url: url.clone(),
                address: stun_address(url)?,
            })
        };
        self.stun_servers.iter().map(server).collect()
    }
}

pub(crate) fn check_receive_window(bytes: usize) -> Result<(), Error> {
    at_least("receive_window", bytes, MIN_RECEIVE_WINDOW)
}

fn at_least(option: &'static str, value: usize, least: usize) -> Result<(), Error> {
    if value >= least {
        return Ok(());
    }
    Err(Error::Option {
        option,
        value: value.to_string(),
        why: "is too small to make progress",
    })
}

/// `stun:host[:port]` (RFC 7064 §3.1) as `host:port`.
fn stun_address(uri: &str) -> Result<String, Error> {
    let refuse = |why| Error::Option {
        option: "stun_server",
        value: uri.to_owned(),
        why,
    };
    let host = uri
        .strip_prefix("stun:")
        .ok_or_else(|| refuse("does not start with \"stun:\""))?;
    if host.is_empty() || host.contains(['/', '?', '@', ' ']) {
        return Err(refuse("is not of the form stun:host[:port]"));
    }
    // An IPv6 address stands in brackets; a colon after them, or after a name, is the port's.
    let after_address = host.rfind(']').map_or(host, |end| &host[end..]);
    match after_address.split_once(':') {
        None => Ok(format!("{host}:{STUN_PORT}")),
        Some((_, port)) if port.parse::<u16>().is_ok_and(|port| port != 0) => Ok(host.to_owned()),
        Some(_) => Err(refuse("has no valid port")),
    }
}

/// The port of STUN (RFC 8489 §18.6).
const STUN_PORT: u16 = 3478;

/// A browser's largest default message must fit more than once on its way through reassembly.
const MIN_RECEIVE_WINDOW: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stun_uris() {
        for (uri, address) in [
            ("stun:example.org", "example.org:3478"),
            ("stun:example.org:19302", "example.org:19302"),
            ("stun:192.0.2.1", "192.0.2.1:3478"),
            ("stun:[2001:db8::1]", "[2001:db8::1]:3478"),
            ("stun:[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        ] {
            assert_eq!(stun_address(uri).unwrap(), address);
        }
        for uri in [
            "turn:example.org",
            "stun:",
            "stun:a:b",
            "stun:a:0",
            "stun:a:70000",
            "stun:a/b",
        ] {
            let error = stun_address(uri).unwrap_err().to_string();
            assert!(error.contains(uri), "{error}");
        }
    }

    #[tokio::test]
    async fn options_that_cannot_work_are_refused_by_name() {
        let builder = PeerConnectionBuilder::new;
        for (bad, named) in [
            (builder().receive_window(100), "receive_window: 100"),
            (builder().send_buffer_limit(0), "send_buffer_limit: 0"),
            (builder().max_message_size(0), "max_message_size: 0"),
            (builder().bind([]), "bind: []"),
            (builder().port_range(0..=9), "port_range: 0..=9"),
            (
                builder()
                    .ice_lite(true)
                    .ice_transport_policy(peerloom_ice::TransportPolicy::Relay),
                "ice_transport_policy: Relay",
            ),
            (
                builder().external_ip(
                    Some([10, 0, 0, 1].into()),
                    "2001:db8::1".parse().unwrap(),
                    crate::ExternalKind::Host,
                ),
                "external_ip: 2001:db8::1",
            ),
        ] {
            let error = bad.build().await.unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
