//! Offer and answer by HTTP, with all candidates in the description: the shortest signalling there
//! is.

use peerloom::{PeerConnection, SessionDescription};
use std::time::Duration;

use crate::Result;

/// How long the other end may take to connect once it has the answer.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes an offer with all its candidates. Create the data channels first.
pub async fn offer(connection: &PeerConnection) -> Result<SessionDescription> {
    let offer = connection.create_offer().await?;
    describe(connection, offer).await
}

/// Answers an offer, with all candidates.
pub async fn answer(
    connection: &PeerConnection,
    offer: SessionDescription,
) -> Result<SessionDescription> {
    connection.set_remote_description(offer).await?;
    let answer = connection.create_answer().await?;
    describe(connection, answer).await
}

/// Connects two peers of one process with each other.
pub async fn connect(a: &PeerConnection, b: &PeerConnection) -> Result<()> {
    let answer = answer(b, offer(a).await?).await?;
    a.set_remote_description(answer).await?;
    Ok(())
}

async fn describe(
    connection: &PeerConnection,
    description: SessionDescription,
) -> Result<SessionDescription> {
    connection.set_local_description(description).await?;
    connection.gathering_complete().await;
    connection
        .local_description()
        .ok_or_else(|| "the connection closed while gathering".into())
}
