//! Two connections and their negotiators over a signalling path that delays, in virtual time: the
//! sockets are real, on loopback, and the clock only moves while nothing is under way.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where something is wrong, in its helpers too"
)]

mod events;
mod path;
mod schedules;
#[path = "../support/mod.rs"]
mod support;
mod trouble;

use peerloom::{Negotiator, PeerConnection, Politeness};
use tokio::task::JoinSet;

use path::{Delays, End, path};

/// Both ends with their negotiators running; the path breaks when this is dropped.
struct Negotiated {
    a: PeerConnection,
    b: PeerConnection,
    _running: JoinSet<()>,
}

impl Negotiated {
    /// `a` is polite.
    async fn new(delays: Delays) -> Self {
        let (a, b) = support::peers().await;
        let mut running = JoinSet::new();
        let (at_a, at_b) = path(delays, &mut running);
        for (peer, politeness, end) in [
            (&a, Politeness::Polite, at_a),
            (&b, Politeness::Impolite, at_b),
        ] {
            let mut negotiator = Negotiator::new(peer, politeness).unwrap();
            running.spawn(async move {
                let End { sink, source } = end;
                let end = negotiator.run(sink, source).await;
                assert!(end.is_ok(), "{politeness:?}: {end:?}");
            });
        }
        Self {
            a,
            b,
            _running: running,
        }
    }
}
