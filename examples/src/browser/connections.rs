//! The native ends of all pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerloom::{
    AnswerSetup, DataChannelOptions, Event, PeerConnection, PeerConnectionBuilder,
    SessionDescription,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Setup, channels};
use crate::{counters, signaling};

/// Pages that may be connected at once.
const MOST: usize = 64;

/// A connection that has not come about by then is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// All connections, by the number that their pages know. A handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    connections: HashMap<u64, PeerConnection>,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no such connection, or no more.
    Unknown(u64),
    /// There are as many as there may be.
    TooMany(usize),
    /// The connection said no.
    Peer(crate::Error),
}

impl Connections {
    /// Answers a page's offer.
    pub(super) async fn answer(
        &self,
        offer: SessionDescription,
        setup: Setup,
    ) -> Result<(u64, SessionDescription), Refusal> {
        let setup = match setup {
            Setup::Active => AnswerSetup::Active,
            Setup::Passive => AnswerSetup::Passive,
        };
        let connection = build(PeerConnection::builder().answer_setup(setup)).await?;
        let answer = match signaling::answer(&connection, offer).await {
            Ok(answer) => answer,
            Err(error) => {
                connection.close().await;
                return Err(Refusal::Peer(error));
            }
        };
        Ok((self.serve(connection, Vec::new())?, answer))
    }

    /// Offers the two channels to a page.
    pub(super) async fn offer(&self) -> Result<(u64, SessionDescription), Refusal> {
        let connection = build(PeerConnection::builder()).await?;
        let ours = [channels::ECHO, channels::FLOW]
            .into_iter()
            .map(|label| connection.create_data_channel(label, DataChannelOptions::default()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Refusal::Peer(error.into()))?;
        let offer = signaling::offer(&connection).await.map_err(Refusal::Peer)?;
        Ok((self.serve(connection, ours)?, offer))
    }

    /// Takes a page's answer to our offer.
    pub(super) async fn answered(
        &self,
        id: u64,
        answer: SessionDescription,
    ) -> Result<(), Refusal> {
        let connection = self.find(id)?;
        connection
            .set_remote_description(answer)
            .await
            .map_err(|error| Refusal::Peer(error.into()))
    }

    /// What the native end says about itself.
    pub(super) async fn stats(&self, id: u64) -> Result<Value, Refusal> {
        let stats = self
            .find(id)?
            .stats()
            .await
            .map_err(|error| Refusal::Peer(error.into()))?
            .internals;
        let role = stats
            .dtls
            .role
            .map(|role| format!("{role:?}").to_lowercase());
        Ok(json!({
            "state": stats.connection,
            "dtls": role.map(|role| format!("native end is the {role}")),
            "established": stats.dtls.established,
            "srtp_profile": stats.dtls.srtp_profile.map(|profile| format!("{profile:?}")),
            "counters": counters::json(&stats),
        }))
    }

    /// Closes a connection.
    pub(super) async fn close(&self, id: u64) -> Result<(), Refusal> {
        let connection = self.find(id)?;
        connection.close().await;
        Ok(())
    }

    /// Serves a connection until it ends; its number.
    fn serve(
        &self,
        connection: PeerConnection,
        ours: Vec<peerloom::DataChannel>,
    ) -> Result<u64, Refusal> {
        let id = {
            let mut table = self.table();
            if table.connections.len() >= MOST {
                return Err(Refusal::TooMany(MOST));
            }
            table.last += 1;
            let id = table.last;
            table.connections.insert(id, connection.clone());
            id
        };
        let all = self.clone();
        tokio::spawn(async move {
            let mut serving: JoinSet<()> = ours.into_iter().map(channels::serve).collect();
            let connected = tokio::time::timeout(PATIENCE, connection.connected()).await;
            if connected.is_ok_and(|result| result.is_ok()) {
                while let Some(event) = connection.next_event().await {
                    if let Event::DataChannel(channel) = event {
                        serving.spawn(channels::serve(channel));
                    }
                }
            }
            connection.close().await;
            all.table().connections.remove(&id);
            while serving.join_next().await.is_some() {}
        });
        Ok(id)
    }

    fn find(&self, id: u64) -> Result<PeerConnection, Refusal> {
        self.table()
            .connections
            .get(&id)
            .cloned()
            .ok_or(Refusal::Unknown(id))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn build(builder: PeerConnectionBuilder) -> Result<PeerConnection, Refusal> {
    builder
        .build()
        .await
        .map_err(|error| Refusal::Peer(error.into()))
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Unknown(id) => write!(f, "there is no connection {id} (any more)"),
            Refusal::TooMany(most) => write!(f, "{most} pages are connected, no more are taken"),
            Refusal::Peer(error) => write!(f, "{error}"),
        }
    }
}
