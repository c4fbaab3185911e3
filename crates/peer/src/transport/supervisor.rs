//! Starting a connection's tasks, and seeing them to their end.

use std::sync::Arc;
use std::time::Duration;

use peerloom_datachannel::{Session, SessionConfig};
use peerloom_dtls::Certificate;
use peerloom_ice::{Agent, Credentials};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::batch::BatchBuffer;
use super::driver::{Driver, Lanes};
use super::dtls::DtlsTransport;
use super::ice::IceTransport;
use super::interfaces::bind;
use super::shared::{Shared, send_queue_limit};
use super::socket::UdpSocket;
use super::writer::{BATCHES, CONTROL_LANE, Writer};
use crate::config::Config;
use crate::error::{Error, Reason};
use crate::jsep::{LocalParameters, Negotiation};

/// Binds the sockets and starts the tasks: a driver, a writer, and the supervisor that owns both.
pub(crate) fn start(config: Config) -> Result<(Arc<Shared>, Negotiation, Credentials), Error> {
    let sockets = bind(&config)?;
    start_on(config, sockets)
}

fn start_on(
    config: Config,
    sockets: Vec<Arc<UdpSocket>>,
) -> Result<(Arc<Shared>, Negotiation, Credentials), Error> {
    let certificate = match &config.certificate {
        Some(certificate) => certificate.clone(),
        None => Certificate::generate().map_err(|error| Error::Certificate(Arc::new(error)))?,
    };
    let now = tokio::time::Instant::now().into_std();
    let mut agent = Agent::new(config.ice.agent(), random()?);
    if let Some(policy) = &config.ice.address_policy {
        agent.set_address_policy(policy.clone());
    }
    let mut parameters = LocalParameters::new(vec![certificate.fingerprint()]);
    parameters.max_message_size = config.max_message_size as u64;
    parameters.preferred_role = config.answer_setup.role();
    parameters.lite = config.ice.lite;
    let credentials = agent.local_credentials().clone();
    let negotiation = Negotiation::new(parameters, u64::from_le_bytes(random()?));

    let mut session = Session::new(session_config(&config), random()?, now);
    if let Some(make) = &config.custom_scheduler {
        session.set_custom_scheduler(make());
    }
    let shared = Arc::new(Shared::new(session, certificate.clone(), &config));
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
        IceTransport::new(agent, sockets, config.stun_addresses()?, config.ice.clone()),
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
    session.association.congestion_control = config.congestion_control;
    session.association.zero_checksum = config.zero_checksum;
    session.association.interleaving = config.interleaving;
    session.association.scheduler = config.scheduler;
    session.max_message_size = config.max_message_size;
    session.association_limits.receive_message = config.max_message_size;
    session.association_limits.send_queue = send_queue_limit(config.send_buffer_limit);
    session.limits.channels = config.max_channels;
    session.limits.close_timeout = config.channel_close_timeout;
    session
}

/// Bytes of the system's CSPRNG.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Closed(Reason::Task("the system gives no random numbers".into())))?;
    Ok(bytes)
}

/// How long the writer may take to send what is left when the connection ends.
const WRITER_GRACE: Duration = Duration::from_millis(500);

// `UdpSocket::broken` is a Unix descriptor of the wrong kind.
#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::shared::Handle;

    async fn ended(sockets: Vec<Arc<UdpSocket>>) -> Option<Reason> {
        let (shared, ..) = start_on(Config::default(), sockets).unwrap();
        let mut done = shared.done.subscribe();
        let wait = done.wait_for(|done| *done);
        let ended = tokio::time::timeout(Duration::from_millis(500), wait).await;
        let reason = shared.reason();
        drop(Handle { shared });
        ended.ok().and(reason)
    }

    /// Protects a core from a driver that polls a socket which can never receive again, and the
    /// application from not being told.
    #[tokio::test]
    async fn a_socket_that_fails_for_good_ends_the_connection() {
        let reason = ended(vec![Arc::new(UdpSocket::broken().unwrap())]).await;
        assert!(matches!(reason, Some(Reason::Socket(_))), "{reason:?}");
    }

    /// One of several is left out: the others may still lead somewhere.
    #[tokio::test]
    async fn one_that_works_is_enough() {
        let works = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 0, true).unwrap();
        let sockets = vec![Arc::new(UdpSocket::broken().unwrap()), Arc::new(works)];
        assert!(ended(sockets).await.is_none());
    }
}
