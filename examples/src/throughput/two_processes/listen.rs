//! The end that listens: takes offers, receives, measures.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use peerloom::{DataChannel, Event, PeerConnection, SessionDescription};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::super::args::{Cli, Layers, Run};
use super::super::meter::Meter;
use super::super::report::{Figures, Flow, Report};
use super::super::window::{Open, Ticker, WARM_UP};
use super::super::{flow, link, live};
use super::{CONTROL, Control, Start};
use crate::{Result, counters, signaling};

/// The longest window that a stranger may ask for.
const LONGEST: f64 = 3_600.0;

/// How long the other end may take from one step to the next.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves until the process is ended.
pub(in super::super) fn listen(http: SocketAddr) -> Result<()> {
    let runtime = super::super::runtime(2)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(http)
            .await
            .map_err(|error| format!("cannot listen on {http}: {error}"))?;
        let address = listener.local_addr()?;
        live::print(&format!("listening on http://{address}"));
        let app = Router::new()
            .route(
                "/",
                get(|| async { "peerloom throughput: POST an offer to /offer\n" }),
            )
            .route("/offer", post(offer))
            .with_state(address.ip());
        axum::serve(listener, app).await?;
        Ok(())
    })
}

async fn offer(
    State(host): State<IpAddr>,
    Json(offer): Json<SessionDescription>,
) -> Result<Json<SessionDescription>, (StatusCode, String)> {
    let run = defaults();
    let answering = async {
        let connection = super::connection(&run, Some(host)).await?;
        let answer = signaling::answer(&connection, offer).await?;
        Ok::<_, crate::Error>((connection, answer))
    };
    let (connection, answer) = answering
        .await
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    tokio::spawn(async move {
        if let Err(error) = serve(&connection, &run).await {
            live::error(&error);
        }
        connection.close().await;
    });
    Ok(Json(answer))
}

/// One peer, from its channels to its report.
async fn serve(connection: &PeerConnection, defaults: &Run) -> Result<()> {
    let (control, bench) = timeout(signaling::CONNECT_TIMEOUT, channels(connection))
        .await
        .map_err(|_| "the peer that sent an offer did not connect")??;
    let start = match timeout(PATIENCE, Control::receive(&control)).await?? {
        Some(Control::Start(start)) => start,
        other => return Err(format!("the peer did not say what it sends, but {other:?}").into()),
    };
    let run = match accept(&start, defaults) {
        Ok(run) => run,
        Err(why) => {
            Control::Refused { why: why.clone() }.send(&control).await?;
            return Err(why.into());
        }
    };
    let meter = Arc::new(Meter::default());
    let receiving = tokio::spawn(flow::receive(bench, meter.clone(), run.size));
    let report = measure(connection, &control, &meter, &run).await?;
    live::print(&report.to_string());
    let result = Control::Result {
        report: serde_json::to_value(&report)?,
        text: report.to_string(),
    };
    result.send(&control).await?;
    // The connecting end closes once it has the report.
    let _ = timeout(PATIENCE, connection.closed()).await;
    connection.close().await;
    receiving.await?;
    Ok(())
}

/// Warm-up and window, telling the other end how it goes.
async fn measure(
    connection: &PeerConnection,
    control: &DataChannel,
    meter: &Meter,
    run: &Run,
) -> Result<Report> {
    let mut ticker = Ticker::new(WARM_UP + run.window);
    let mut progress = None;
    tokio::time::sleep(WARM_UP).await;
    let mut open = Open::new(meter, run.window);
    let window = loop {
        match open.sample(meter) {
            Ok(window) => break window,
            Err(wait) => tokio::time::sleep(wait).await,
        }
        ticker.tick(meter, &mut |now| progress = Some(now));
        if let Some(now) = progress.take() {
            Control::Progress {
                mb_per_s: now.mb_per_s,
                done: now.done,
            }
            .send(control)
            .await?;
        }
    };
    let whole = meter.counts();
    let stats = connection.stats().await?.internals;
    let flow = Flow::new(run, &window, &whole, link::so_rcvbuf(&stats));
    Ok(
        Report::new(run, Figures::Flow(flow), window.cpu_s)
            .with("receiver", counters::json(&stats)),
    )
}

async fn channels(connection: &PeerConnection) -> Result<(DataChannel, DataChannel)> {
    let (mut control, mut bench) = (None, None);
    while let Some(event) = connection.next_event().await {
        if let Event::DataChannel(channel) = event {
            if channel.label() == CONTROL {
                control = Some(channel);
            } else {
                bench = Some(channel);
            }
        }
        if let (Some(_), Some(_)) = (&control, &bench) {
            break;
        }
    }
    control
        .zip(bench)
        .ok_or_else(|| "the connection closed before its channels came".into())
}

/// What the peer announces, if it makes sense: it is a stranger's word.
fn accept(start: &Start, defaults: &Run) -> Result<Run, String> {
    if !start.mode.windowed() {
        return Err(format!(
            "two processes have no --mode {}",
            start.mode.name()
        ));
    }
    if start.size < 8 {
        return Err(format!("messages of {} bytes hold no number", start.size));
    }
    if !(start.secs > 0.0 && start.secs <= LONGEST) {
        return Err(format!("{} s is no window", start.secs));
    }
    Ok(Run {
        mode: start.mode,
        size: start.size,
        window: Duration::from_secs_f64(start.secs),
        ordered: start.ordered,
        max_retransmits: start.max_retransmits,
        high: start.high,
        pace: start.pace,
        layers: Layers::All,
        ..*defaults
    })
}

fn defaults() -> Run {
    let cli = Cli::checked(["throughput"]).expect("no arguments at all are correct");
    cli.options.run()
}
