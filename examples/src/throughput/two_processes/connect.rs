//! The end that connects: makes the offer, sends, prints what the other end reports.

use std::sync::Arc;
use std::time::Duration;

use peerloom::{DataChannelOptions, PeerConnection, SessionDescription};
use reqwest::Url;
use tokio::time::timeout;

use super::super::args::Run;
use super::super::live::{self, Line};
use super::super::meter::Meter;
use super::super::window::Progress;
use super::super::{flow, link, watchdog};
use super::{CONTROL, Control, Start};
use crate::{Error, Result, counters, signaling};

/// How long the listening process may take to answer an offer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to the process that listens at `url`, sends, and prints its report.
pub(in super::super) fn connect(url: Url, run: &Run, json: bool) -> Result<()> {
    watchdog::start(run, json);
    let runtime = super::super::runtime(run.workers)?;
    runtime.block_on(async {
        let host = url
            .host_str()
            .and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        let connection = super::connection(run, host).await?;
        let result = session(&connection, &url, run, json).await;
        connection.close().await;
        result
    })
}

async fn session(connection: &PeerConnection, url: &Url, run: &Run, json: bool) -> Result<()> {
    let control = connection.create_data_channel(CONTROL, DataChannelOptions::default())?;
    let bench = connection.create_data_channel("bench", link::options(run))?;
    let offer = signaling::offer(connection).await?;
    connection
        .set_remote_description(exchange(url, &offer).await?)
        .await?;
    timeout(signaling::CONNECT_TIMEOUT, bench.opened())
        .await
        .map_err(|_| format!("{url} answered, but no connection came about"))??;

    let start = Start {
        mode: run.mode,
        size: run.size,
        secs: run.window.as_secs_f64(),
        ordered: run.ordered,
        max_retransmits: run.max_retransmits,
        high: run.high,
        pace: run.pace,
    };
    Control::Start(start).send(&control).await?;
    let meter = Arc::new(Meter::default());
    let sending = tokio::spawn(flow::send(bench, meter.clone(), *run));
    let line = Line::new();
    line.now(&format!("sending to {url}"));
    let report = loop {
        match Control::receive(&control).await? {
            Some(Control::Progress { mb_per_s, done }) => {
                line.progress(Progress { done, mb_per_s });
            }
            Some(Control::Result { mut report, text }) => {
                if let Some(report) = report.as_object_mut() {
                    let stats = connection.stats().await?.internals;
                    report.insert("sender".to_owned(), counters::json(&stats));
                }
                break Ok(if json { report.to_string() } else { text });
            }
            Some(Control::Refused { why }) => break Err(Error::from(why)),
            Some(Control::Start(_)) => {}
            None => break Err("the other end closed before its report".into()),
        }
    };
    line.clear();
    meter.stop();
    sending.abort();
    live::print(&report?);
    Ok(())
}

/// Sends the offer and brings the answer.
async fn exchange(url: &Url, offer: &SessionDescription) -> Result<SessionDescription> {
    let target = url.join("/offer")?;
    let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build()?;
    let response = client.post(target).json(offer).send().await?;
    let status = response.status();
    if !status.is_success() {
        let why = response.text().await.unwrap_or_default();
        return Err(format!("{url} refused the offer: {status}: {}", why.trim()).into());
    }
    Ok(response.json().await?)
}
