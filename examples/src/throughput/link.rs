//! Two peers in one process, connected over loopback.

use std::time::{Duration, Instant};

use peerloom::{
    DataChannel, DataChannelOptions, Event, PeerConnection, PeerConnectionBuilder, Reliability,
};
use tokio::time::timeout;

use super::args::{Pace, Run};
use crate::{Result, signaling};

/// A connected pair; the channel goes from `a` to `b`.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The end that offered and sends.
    pub(crate) a: PeerConnection,
    /// The end that answered and receives.
    pub(crate) b: PeerConnection,
    /// The channel at `a`.
    pub(crate) sender: DataChannel,
    /// The channel at `b`.
    pub(crate) receiver: DataChannel,
}

impl Pair {
    /// Builds both ends and connects them.
    pub(crate) async fn new(run: &Run) -> Result<Self> {
        let (a, b) = (peer(run).await?, peer(run).await?);
        let (pair, _) = Self::connect(a, b, run).await?;
        Ok(pair)
    }

    /// Connects two ends. Also the time from creating the offer to the channel being open on both
    /// sides.
    pub(crate) async fn connect(
        a: PeerConnection,
        b: PeerConnection,
        run: &Run,
    ) -> Result<(Self, Duration)> {
        let opening = async {
            let began = Instant::now();
            let sender = a.create_data_channel("bench", options(run))?;
            signaling::connect(&a, &b).await?;
            sender.opened().await?;
            let receiver = incoming(&b).await?;
            receiver.opened().await?;
            Ok::<_, crate::Error>((sender, receiver, began.elapsed()))
        };
        let (sender, receiver, took) = timeout(signaling::CONNECT_TIMEOUT, opening)
            .await
            .map_err(|_| format!("not connected within {:?}", signaling::CONNECT_TIMEOUT))??;
        Ok((
            Self {
                a,
                b,
                sender,
                receiver,
            },
            took,
        ))
    }

    /// Closes both ends and waits until nothing of them runs any more.
    pub(crate) async fn close(self) {
        tokio::join!(self.a.close(), self.b.close());
    }
}

/// One end, not connected yet.
pub(crate) async fn peer(run: &Run) -> Result<PeerConnection> {
    Ok(builder(run).loopback(true).build().await?)
}

/// A connection as the options ask for.
pub(crate) fn builder(run: &Run) -> PeerConnectionBuilder {
    let room = match run.pace {
        Pace::Limit => run.high,
        // The sender stops by itself, just above `--high`.
        Pace::Events => run.high + run.size,
    };
    let mut builder = PeerConnection::builder()
        .segmentation_offload(run.gso)
        .send_buffer_limit(room)
        .channel_send_buffer_limit(room);
    if run.sockbuf > 0 {
        builder = builder.socket_buffers(run.sockbuf);
    }
    builder
}

/// The data channel that the options ask for.
pub(crate) fn options(run: &Run) -> DataChannelOptions {
    DataChannelOptions {
        ordered: run.ordered,
        reliability: run
            .max_retransmits
            .map_or(Reliability::Reliable, Reliability::MaxRetransmits),
        ..DataChannelOptions::default()
    }
}

/// The next channel that the other end opens.
pub(crate) async fn incoming(connection: &PeerConnection) -> Result<DataChannel> {
    while let Some(event) = connection.next_event().await {
        if let Event::DataChannel(channel) = event {
            return Ok(channel);
        }
    }
    Err("the connection closed before a channel came".into())
}

/// The smallest receive buffer of a connection's sockets, as the system counts it.
pub(crate) fn so_rcvbuf(stats: &peerloom::stats::Internals) -> usize {
    stats
        .sockets
        .iter()
        .map(|socket| socket.receive_buffer)
        .min()
        .unwrap_or(0)
}
