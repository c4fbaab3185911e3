//! SCTP alone: packets of `peerloom-sctp` as UDP payload, no ICE, no DTLS, no data channel.
//!
//! It is also the shortest example of driving the sans-IO association: one task owns it, so there
//! is no lock at all.

mod end;
mod udp;

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::args::Run;
use super::meter::Meter;
use super::report::{Figures, Flow, Report};
use super::window::{self, Progress};
use crate::Result;
use end::{End, Part};
use udp::Socket;

/// Measures one flow between two associations.
pub(crate) fn measure(
    runtime: &Runtime,
    run: &Run,
    live: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let meter = Arc::new(Meter::default());
    let (sender, receiver) = runtime.block_on(async {
        let (a, b) = (Socket::bind(run.sockbuf)?, Socket::bind(run.sockbuf)?);
        let (to_a, to_b) = (a.local_addr()?, b.local_addr()?);
        Ok::<_, crate::Error>((
            End::new(a, to_b, Part::send(run), meter.clone()),
            End::new(b, to_a, Part::receive(run), meter.clone()),
        ))
    })?;
    let so_rcvbuf = receiver.so_rcvbuf()?;
    let sending = runtime.spawn(sender.run());
    let receiving = runtime.spawn(receiver.run());
    let window = window::measure(&meter, run.window, live);
    let whole = meter.counts();
    meter.stop();
    let (sending, receiving) = runtime.block_on(async { tokio::try_join!(sending, receiving) })?;
    let (sender, receiver) = (sending?, receiving?);
    let flow = Flow::new(run, &window, &whole, so_rcvbuf);
    Ok(Report::new(run, Figures::Flow(flow), window.cpu_s)
        .with("sctp_only", true)
        .with("sender", sender)
        .with("receiver", receiver))
}
