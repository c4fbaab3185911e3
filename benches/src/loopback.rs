//! Two connections in one process, over real loopback UDP, with everything a user gets.

use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom::{
    ConnectionState, DataChannel, DataChannelOptions, Event, IceConnectionState, PeerConnection,
};
use tokio::time::timeout;

use crate::Result;

/// A connected pair and the channel that `a` opened.
#[derive(Debug)]
pub struct Pair {
    /// The end that offered.
    pub a: PeerConnection,
    /// The end that answered.
    pub b: PeerConnection,
    /// The channel at `a`.
    pub at_a: DataChannel,
    /// The channel at `b`.
    pub at_b: DataChannel,
    /// How long that took.
    pub phases: Phases,
}

/// How long each part of connecting took. Each phase ends when *both* ends have passed it, as their
/// events say, and the next begins there, so they add up to `open` but for a rest: making and
/// applying the descriptions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    /// Sockets and certificates of both ends; not part of `open`.
    pub build: Duration,
    /// From `set_local_description` to gathering complete, both ends one after the other.
    pub gather: Duration,
    /// From the answer applied to ICE connected. What the answering end had done by then is not
    /// seen.
    pub check: Duration,
    /// From there to the connection state "connected": DTLS established.
    pub dtls: Duration,
    /// From there to the channel open at both ends: the SCTP handshake and DCEP.
    pub sctp: Duration,
    /// From creating the offer to the channel open at both ends.
    pub open: Duration,
}

impl Pair {
    /// Builds and connects two ends.
    ///
    /// # Errors
    /// If they do not connect within 60 s.
    pub async fn new(options: DataChannelOptions) -> Result<Self> {
        let began = Instant::now();
        let ends = (end().await?, end().await?);
        let build = began.elapsed();
        let mut pair = Self::connect(ends, options).await?;
        pair.phases.build = build;
        Ok(pair)
    }

    /// Connects two ends that were built.
    ///
    /// # Errors
    /// If they do not connect within 60 s.
    pub async fn connect(
        ends: (PeerConnection, PeerConnection),
        options: DataChannelOptions,
    ) -> Result<Self> {
        timeout(PATIENCE, Self::connecting(ends, options))
            .await
            .map_err(|_| format!("not connected within {PATIENCE:?}"))?
    }

    async fn connecting(
        (a, b): (PeerConnection, PeerConnection),
        options: DataChannelOptions,
    ) -> Result<Self> {
        let began = Instant::now();
        let at_a = a.create_data_channel("bench", options)?;
        let mut gather = Duration::ZERO;
        let describing = async {
            let offer = a.create_offer().await?;
            let offer = describe(&a, offer, &mut gather).await?;
            b.set_remote_description(offer).await?;
            let answer = b.create_answer().await?;
            let answer = describe(&b, answer, &mut gather).await?;
            a.set_remote_description(answer).await?;
            Ok::<_, crate::Error>(Instant::now())
        };
        let opening = async {
            at_a.opened().await?;
            Ok::<_, crate::Error>(Instant::now())
        };
        let (described, from_a, from_b, opened) = tokio::try_join!(
            describing,
            milestones(&a, false),
            milestones(&b, true),
            opening
        )?;
        let at_b = from_b.channel.ok_or("no channel came")?;
        let checked = from_a.ice.max(from_b.ice);
        let established = from_a.connected.max(from_b.connected);
        let open = opened.max(from_b.last);
        let phases = Phases {
            build: Duration::ZERO,
            gather,
            check: checked.saturating_duration_since(described),
            dtls: established.saturating_duration_since(checked.max(described)),
            sctp: open.saturating_duration_since(established),
            open: open - began,
        };
        Ok(Self {
            a,
            b,
            at_a,
            at_b,
            phases,
        })
    }

    /// Sends `messages` messages made by `make` from `a` to `b`, from a task of its own, and returns
    /// how long it took until all had arrived.
    ///
    /// # Errors
    /// If the connection ends.
    pub async fn transfer(
        &self,
        messages: u64,
        mut make: impl FnMut() -> Bytes + Send + 'static,
    ) -> Result<Duration> {
        let (sender, receiver) = (self.at_a.clone(), self.at_b.clone());
        let began = Instant::now();
        let sending = tokio::spawn(async move {
            for _ in 0..messages {
                sender.send(make()).await?;
            }
            Ok::<_, crate::Error>(())
        });
        let receiving = tokio::spawn(async move {
            for _ in 0..messages {
                receiver.recv().await.ok_or("the channel closed")?;
            }
            Ok::<_, crate::Error>(began.elapsed())
        });
        sending.await??;
        receiving.await?
    }

    /// Closes both ends and waits until nothing of them runs any more.
    pub async fn close(self) {
        tokio::join!(self.a.close(), self.b.close());
    }
}

/// One end, not connected yet.
///
/// # Errors
/// If it cannot be built.
pub async fn end() -> Result<PeerConnection> {
    Ok(PeerConnection::builder().loopback(true).build().await?)
}

/// When an end passed what.
struct Milestones {
    ice: Instant,
    connected: Instant,
    channel: Option<DataChannel>,
    last: Instant,
}

/// Reads events until the end is connected and, if it `accepts`, has the channel.
async fn milestones(connection: &PeerConnection, accepts: bool) -> Result<Milestones> {
    let (mut ice, mut connected, mut channel) = (None, None, None);
    while let Some(event) = connection.next_event().await {
        let now = Instant::now();
        if let Event::IceConnectionState(
            IceConnectionState::Connected | IceConnectionState::Completed,
        ) = event
        {
            ice.get_or_insert(now);
        } else if let Event::ConnectionState(ConnectionState::Connected) = event {
            connected = Some(now);
        } else if let Event::DataChannel(incoming) = event {
            channel = Some(incoming);
        }
        if let (Some(ice), Some(connected)) = (ice, connected)
            && channel.is_some() == accepts
        {
            return Ok(Milestones {
                ice,
                connected,
                channel,
                last: now,
            });
        }
    }
    Err(format!("the connection ended: {}", connection.closed().await).into())
}

async fn describe(
    connection: &PeerConnection,
    description: peerloom::SessionDescription,
    gather: &mut Duration,
) -> Result<peerloom::SessionDescription> {
    let began = Instant::now();
    connection.set_local_description(description).await?;
    connection.gathering_complete().await;
    *gather += began.elapsed();
    connection
        .local_description()
        .ok_or_else(|| "the connection closed while gathering".into())
}

/// 256 at once on two slow cores still take far less.
const PATIENCE: Duration = Duration::from_secs(60);
