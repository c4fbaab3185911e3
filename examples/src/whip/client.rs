//! The offering end.

use peerloom::{
    DataChannel, DataChannelOptions, Event, IceCandidate, PeerConnection, SessionDescription,
};
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, LOCATION};
use reqwest::{StatusCode, Url};

use super::fragment;
use crate::Result;

/// A session at a server: a connection with one channel, whose messages come back.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    session: Url,
    connection: PeerConnection,
    channel: DataChannel,
}

impl Client {
    /// Offers to the server at `url` (`http://HOST/whip`) and connects. Candidates follow the offer
    /// as they are found.
    ///
    /// # Errors
    /// With the server's words when it refuses, and when the connection fails.
    pub async fn connect(url: &str) -> Result<Self> {
        let url: Url = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let connection = PeerConnection::builder().build().await?;
        let channel = connection.create_data_channel("whip", DataChannelOptions::default())?;
        connection.set_local_description(None).await?;
        let offer = connection.local_description().ok_or("no offer was made")?;

        let http = reqwest::Client::new();
        let response = http
            .post(url.clone())
            .header(CONTENT_TYPE, "application/sdp")
            .body(offer.sdp.clone())
            .send()
            .await
            .map_err(|error| format!("{url}: {error}"))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.text().await?;
        if status != StatusCode::CREATED {
            return Err(format!("{url}: {status}: {}", body.trim()).into());
        }
        let session = url.join(&text(&headers, LOCATION)?)?;
        let client = Self {
            http,
            session,
            connection,
            channel,
        };
        let answer = SessionDescription::answer(body);
        client.connection.set_remote_description(answer).await?;
        client.trickle(&offer, &text(&headers, ETAG)?).await?;
        client.connection.connected().await?;
        Ok(client)
    }

    /// Sends a message and waits for it to come back.
    ///
    /// # Errors
    /// When the channel closes first.
    pub async fn echo(&self, message: &str) -> Result<String> {
        self.channel.send(message).await?;
        let back = self.channel.recv().await.ok_or("the channel has closed")?;
        Ok(back.as_text().unwrap_or_default().to_owned())
    }

    /// Ends the session at the server, and the connection.
    ///
    /// # Errors
    /// When the server has ended it before.
    pub async fn end(self) -> Result<()> {
        let ended = self.http.delete(self.session.clone()).send().await?;
        self.connection.close().await;
        ended.error_for_status()?;
        Ok(())
    }

    async fn trickle(&self, offer: &SessionDescription, tag: &str) -> Result<()> {
        loop {
            let candidate = match self.connection.next_event().await {
                Some(Event::IceCandidate(candidate)) => candidate,
                Some(_) => continue,
                None => return Err("the connection has ended".into()),
            };
            let last = candidate.is_none();
            let candidate: IceCandidate = candidate.unwrap_or_default();
            self.http
                .patch(self.session.clone())
                .header(CONTENT_TYPE, fragment::TYPE)
                .header(IF_MATCH, tag)
                .body(fragment::write(offer, &[candidate]))
                .send()
                .await?
                .error_for_status()?;
            if last {
                return Ok(());
            }
        }
    }
}

fn text(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Result<String> {
    let value = headers.get(&name);
    let value = value.ok_or_else(|| format!("the answer has no {name}"))?;
    Ok(value.to_str()?.to_owned())
}
