//! Figures of a connection: the W3C's, and those that only this implementation has.

mod internals;
mod report;
pub mod w3c;

use serde::{Serialize, Serializer};

pub use internals::*;
pub(crate) use report::report;

/// A snapshot from [`PeerConnection::stats`](crate::PeerConnection::stats) (W3C WebRTC
/// `RTCStatsReport`). Counters never reset.
///
/// It serialises as the W3C's objects by their id, what `Object.fromEntries(await pc.getStats())` is
/// in a browser. `docs/stats.md` says for every member of the dictionaries where it comes from.
///
/// ```
/// # use peerloom::{DataChannelOptions, PeerConnection};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (a, b) = (
/// #     PeerConnection::builder().loopback(true).build().await?,
/// #     PeerConnection::builder().loopback(true).build().await?,
/// # );
/// # let channel = a.create_data_channel("x", DataChannelOptions::default())?;
/// # a.set_local_description(a.create_offer().await?).await?;
/// # a.gathering_complete().await;
/// # b.set_remote_description(a.local_description().ok_or("")?).await?;
/// # b.set_local_description(b.create_answer().await?).await?;
/// # b.gathering_complete().await;
/// # a.set_remote_description(b.local_description().ok_or("")?).await?;
/// channel.send("hello").await?;
/// a.connected().await?;
/// let report = a.stats().await?;
/// let pair = report.selected_pair().ok_or("connected without a pair")?;
/// assert_eq!(report.transport.selected_candidate_pair_id.as_ref(), Some(&pair.id));
/// println!("{}", serde_json::to_string_pretty(&report)?);
/// println!("cwnd {} bytes", report.internals.sctp.cwnd);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StatsReport {
    /// The connection.
    pub peer_connection: w3c::PeerConnectionStats,
    /// Its transport: one for everything (BUNDLE).
    pub transport: w3c::TransportStats,
    /// Pairs of candidates of the current generation, and the one in use.
    pub candidate_pairs: Vec<w3c::CandidatePairStats>,
    /// Candidates of this end.
    pub local_candidates: Vec<w3c::CandidateStats>,
    /// Candidates of the other end.
    pub remote_candidates: Vec<w3c::CandidateStats>,
    /// Our certificate, and the other end's once it is known.
    pub certificates: Vec<w3c::CertificateStats>,
    /// Data channels from their creation until they are closed.
    pub data_channels: Vec<w3c::DataChannelStats>,
    /// What the W3C has no names for.
    pub internals: Internals,
}

impl StatsReport {
    /// All objects of the W3C's.
    pub fn entries(&self) -> impl Iterator<Item = w3c::Entry<'_>> {
        use w3c::Entry;
        [
            Entry::PeerConnection(&self.peer_connection),
            Entry::Transport(&self.transport),
        ]
        .into_iter()
        .chain(self.candidate_pairs.iter().map(Entry::CandidatePair))
        .chain(self.local_candidates.iter().map(Entry::LocalCandidate))
        .chain(self.remote_candidates.iter().map(Entry::RemoteCandidate))
        .chain(self.certificates.iter().map(Entry::Certificate))
        .chain(self.data_channels.iter().map(Entry::DataChannel))
    }

    /// The pair that data is sent on.
    pub fn selected_pair(&self) -> Option<&w3c::CandidatePairStats> {
        let id = self.transport.selected_candidate_pair_id.as_ref()?;
        self.candidate_pairs.iter().find(|pair| pair.id == *id)
    }
}

impl Serialize for StatsReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries().map(|entry| (entry.id(), entry)))
    }
}
