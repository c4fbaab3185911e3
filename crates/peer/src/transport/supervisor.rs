//! Starting a connection's tasks, and seeing them to their end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use peerloom_datachannel::{Session, SessionConfig};
use peerloom_dtls::Certificate;
use peerloom_ice::{Agent, AgentConfig, Credentials};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::batch::BatchBuffer;
use super::driver::{Driver, Lanes};
use super::dtls::DtlsTransport;
use super::ice::IceTransport;
use super::shared::Shared;
use super::socket::UdpSocket;
use super::writer::{BATCHES, CONTROL_LANE, Writer};
use crate::config::{Bind, Config};
use crate::error::{Error, Reason};
use crate::jsep::{LocalParameters, Negotiation};

/// Binds the sockets and starts the tasks: a driver, a writer, and the supervisor that owns both.
pub(crate) fn start(config: Config) -> Result<(Arc<Shared>, Negotiation, Credentials), Error> {
    let certificate = match &config.certificate {
        Some(certificate) => certificate.clone(),
        None => Certificate::generate().map_err(|error| Error::Certificate(Arc::new(error)))?,
    };
    let sockets = bind(&config)?;
    let now = tokio::time::Instant::now().into_std();
    let agent = Agent::new(AgentConfig::default(), random()?);
    let mut parameters = LocalParameters::new(vec![certificate.fingerprint()]);
    parameters.max_message_size = config.max_message_size as u64;
    parameters.preferred_role = config.answer_setup.role();
    let credentials = agent.local_credentials().clone();
    let negotiation = Negotiation::new(parameters, u64::from_le_bytes(random()?));

    let session = Session::new(session_config(&config), random()?, now);
    let shared = Arc::new(Shared::new(session, &config));
    let (control_sender, control) = mpsc::channel(CONTROL_LANE);
    // A place for every buffer, the goodbye's and the close_notify.
    let (bulk_sender, bulk) = mpsc::channel(BATCHES + 2);
    let (free, returned) = mpsc::channel(BATCHES + 1);
    let writer = Writer {
        control,
        bulk,
        free,
        path: shared.path.clone(),
        counters: shared.counters.clone(),
    };
    let driver = Driver::new(
        shared.clone(),
        IceTransport::new(agent, sockets, config.stun_addresses()?),
        DtlsTransport::new(certificate, &config),
        Lanes {
            control: control_sender,
            bulk: bulk_sender,
            returned,
            free: (0..BATCHES).map(|_| BatchBuffer::default()).collect(),
        },
        &config,
    );
    let span = tracing::debug_span!("connection", ufrag = credentials.ufrag());
    #[expect(
        clippy::disallowed_methods,
        reason = "the supervisor owns the JoinSet that every other task lives in"
    )]
    tokio::spawn(supervise(driver, writer, shared.clone()).instrument(span));
    Ok((shared, negotiation, credentials))
}

enum Ended {
    Driver(Reason),
    Writer,
}

/// Runs both tasks to their end, then records why and wakes every waiter.
async fn supervise(driver: Driver, writer: Writer, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    let here = tracing::Span::current();
    tasks.spawn(async { Ended::Driver(driver.await) }.instrument(here.clone()));
    tasks.spawn(
        async {
            writer.run().await;
            Ended::Writer
        }
        .instrument(here),
    );
    let reason = match tasks.join_next().await {
        Some(Ok(Ended::Driver(reason))) => reason,
        Some(Ok(Ended::Writer)) | None => Reason::Task("the writer ended first".into()),
        Some(Err(error)) => Reason::Task(error.to_string()),
    };
    // The driver has dropped the lanes: the writer sends what is in them and ends. A socket that
    // takes nothing must not keep it.
    let _ = tokio::time::timeout(WRITER_GRACE, tasks.join_next()).await;
    tasks.shutdown().await;
    shared.end(reason);
    shared.done.send_replace(true);
}

fn session_config(config: &Config) -> SessionConfig {
    let mut session = SessionConfig::default();
    session.association.receive_window = config.receive_window;
    session.association.zero_checksum = config.zero_checksum;
    session.max_message_size = config.max_message_size;
    session.association_limits.receive_message = config.max_message_size;
    session.association_limits.send_queue = config
        .send_buffer_limit
        .saturating_mul(2)
        .saturating_add(session.association_limits.send_queue);
    session.limits.channels = config.max_channels;
    session
}

fn bind(config: &Config) -> Result<Vec<Arc<UdpSocket>>, Error> {
    let (addresses, all_needed) = match &config.bind {
        Bind::Addresses(addresses) => (addresses.clone(), true),
        Bind::Loopback => (vec![(Ipv4Addr::LOCALHOST, 0).into()], true),
        Bind::Interfaces => (interfaces()?, false),
    };
    let mut sockets = Vec::new();
    let mut refused = None;
    for address in addresses {
        match UdpSocket::bind(address, config.socket_buffers) {
            Ok(socket) => sockets.push(Arc::new(socket)),
            Err(source) => {
                let error = Error::Bind {
                    address,
                    source: Arc::new(source),
                };
                if all_needed {
                    return Err(error);
                }
                tracing::debug!(%error, "interface left out");
                refused = Some(error);
            }
        }
    }
    match refused {
        Some(error) if sockets.is_empty() => Err(error),
        Some(_) | None => Ok(sockets),
    }
}

/// An address of every interface that is up. Loopback only if there is nothing else: to another
/// machine it means nothing. Link-local IPv6 is left out, since a peer cannot name the interface.
fn interfaces() -> Result<Vec<SocketAddr>, Error> {
    let found = if_addrs::get_if_addrs().map_err(|error| Error::NoAddress(error.to_string()))?;
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
    };
    let (loopback, others): (Vec<IpAddr>, Vec<IpAddr>) = found
        .into_iter()
        .map(|interface| interface.ip())
        .filter(usable)
        .partition(IpAddr::is_loopback);
    let mut chosen = if others.is_empty() { loopback } else { others };
    if chosen.is_empty() {
        return Err(Error::NoAddress("no interface is up".into()));
    }
    chosen.sort();
    chosen.dedup();
    chosen.truncate(MAX_SOCKETS);
    Ok(chosen
        .into_iter()
        .map(|ip| SocketAddr::new(ip, 0))
        .collect())
}

/// Bytes of the system's CSPRNG.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Closed(Reason::Task("the system gives no random numbers".into())))?;
    Ok(bytes)
}

/// Interfaces that get a socket; a machine with hundreds of virtual ones would flood the checks.
const MAX_SOCKETS: usize = 32;

/// How long the writer may take to send what is left when the connection ends.
const WRITER_GRACE: Duration = Duration::from_millis(500);
