//! From the parts' own counters to the W3C's dictionaries.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine};
use peerloom_dtls::{Fingerprint, HashAlgorithm, Role};
use peerloom_ice as ice;

use super::{ChannelStats, Internals, StatsReport, w3c};
use crate::event::IceConnectionState;
use crate::transport::shared::Shared;

/// The report of a connection, from a snapshot that its driver took at `now`.
pub(crate) fn report(shared: &Shared, internals: Internals, now: Instant) -> StatsReport {
    let moment = Moment::new(now);
    let certificates: Vec<w3c::CertificateStats> = [
        Some(certificate("CL", shared.certificate.der(), moment)),
        internals
            .dtls
            .remote_certificate
            .as_ref()
            .map(|der| certificate("CR", der, moment)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let ice = &internals.ice;
    let candidate_pairs = ice.pairs.iter().filter_map(|p| pair(p, moment)).collect();
    let local_candidates = candidates("L", &ice.local_candidates, moment);
    let remote_candidates = candidates("R", &ice.remote_candidates, moment);
    let mut data_channels: Vec<_> = internals.channels.iter().collect();
    data_channels.sort_by_key(|channel| channel.number);
    StatsReport {
        peer_connection: w3c::PeerConnectionStats {
            id: "P".into(),
            timestamp: moment.timestamp,
            data_channels_opened: shared.channels_opened.load(Relaxed),
            data_channels_closed: shared.channels_closed.load(Relaxed),
        },
        transport: transport(shared, &internals, &certificates, moment),
        candidate_pairs,
        local_candidates,
        remote_candidates,
        certificates,
        data_channels: data_channels
            .into_iter()
            .map(|channel| data_channel(channel, moment))
            .collect(),
        internals,
    }
}

fn transport(
    shared: &Shared,
    internals: &Internals,
    certificates: &[w3c::CertificateStats],
    moment: Moment,
) -> w3c::TransportStats {
    let Internals { ice, dtls, .. } = internals;
    let ice_state = *shared.states.ice.borrow();
    let id_of = |certificate: &w3c::CertificateStats| certificate.id.clone();
    w3c::TransportStats {
        id: TRANSPORT.into(),
        timestamp: moment.timestamp,
        packets_sent: ice.carried.packets_sent,
        packets_received: ice.carried.packets_received,
        bytes_sent: ice.carried.bytes_sent,
        bytes_received: ice.carried.bytes_received,
        ice_role: match ice.role {
            ice::Role::Controlling => w3c::IceRole::Controlling,
            ice::Role::Controlled => w3c::IceRole::Controlled,
        },
        ice_local_username_fragment: ice.local_ufrag.clone(),
        dtls_state: match (dtls.established, dtls.handshaking) {
            (true, _) => w3c::DtlsState::Connected,
            (false, true) => w3c::DtlsState::Connecting,
            (false, false) => w3c::DtlsState::New,
        },
        ice_state: match ice_state {
            IceConnectionState::New => w3c::IceState::New,
            IceConnectionState::Checking => w3c::IceState::Checking,
            IceConnectionState::Connected => w3c::IceState::Connected,
            IceConnectionState::Completed => w3c::IceState::Completed,
            IceConnectionState::Disconnected => w3c::IceState::Disconnected,
            IceConnectionState::Failed => w3c::IceState::Failed,
            IceConnectionState::Closed => w3c::IceState::Closed,
        },
        selected_candidate_pair_id: ice
            .pairs
            .iter()
            .find(|pair| pair.selected && pair.local_candidate.is_some())
            .map(|pair| pair_id(pair.id)),
        local_certificate_id: certificates.first().map(id_of).unwrap_or_default(),
        remote_certificate_id: certificates.get(1).map(id_of),
        tls_version: dtls.established.then(|| DTLS_1_2.into()),
        dtls_cipher: dtls.cipher_suite.map(|suite| suite.to_string()),
        dtls_role: match dtls.role {
            Some(Role::Client) => w3c::DtlsRole::Client,
            Some(Role::Server) => w3c::DtlsRole::Server,
            None => w3c::DtlsRole::Unknown,
        },
        srtp_cipher: dtls.srtp_profile.map(|profile| profile.name().into()),
        selected_candidate_pair_changes: ice.selected_changes,
    }
}

/// A pair on a base without candidates has no object: the W3C's needs a local candidate.
fn pair(pair: &ice::PairStats, moment: Moment) -> Option<w3c::CandidatePairStats> {
    Some(w3c::CandidatePairStats {
        id: pair_id(pair.id),
        timestamp: moment.timestamp,
        transport_id: TRANSPORT.into(),
        local_candidate_id: candidate_id("L", pair.local_candidate?),
        remote_candidate_id: candidate_id("R", pair.remote_candidate),
        state: match pair.state {
            ice::PairState::Frozen => w3c::CandidatePairState::Frozen,
            ice::PairState::Waiting => w3c::CandidatePairState::Waiting,
            ice::PairState::InProgress => w3c::CandidatePairState::InProgress,
            ice::PairState::Succeeded => w3c::CandidatePairState::Succeeded,
            ice::PairState::Failed => w3c::CandidatePairState::Failed,
        },
        nominated: pair.nominated,
        packets_sent: pair.packets_sent,
        packets_received: pair.packets_received,
        bytes_sent: pair.bytes_sent,
        bytes_received: pair.bytes_received,
        last_packet_sent_timestamp: pair.last_packet_sent.map(|at| moment.of(at)),
        last_packet_received_timestamp: pair.last_packet_received.map(|at| moment.of(at)),
        total_round_trip_time: pair.total_rtt.as_secs_f64(),
        current_round_trip_time: pair.current_rtt.map(|rtt| rtt.as_secs_f64()),
        requests_received: pair.requests_received,
        requests_sent: pair.requests_sent - pair.consent_requests_sent,
        responses_received: pair.responses_received,
        responses_sent: pair.responses_sent,
        consent_requests_sent: pair.consent_requests_sent,
    })
}

fn candidates(
    prefix: &str,
    candidates: &[ice::CandidateStats],
    moment: Moment,
) -> Vec<w3c::CandidateStats> {
    candidates
        .iter()
        .map(|stats| candidate(prefix, stats, moment))
        .collect()
}

fn candidate(prefix: &str, stats: &ice::CandidateStats, moment: Moment) -> w3c::CandidateStats {
    let candidate = &stats.candidate;
    w3c::CandidateStats {
        id: candidate_id(prefix, stats.id),
        timestamp: moment.timestamp,
        transport_id: TRANSPORT.into(),
        address: candidate.address.to_string(),
        port: candidate.port,
        protocol: match candidate.protocol {
            ice::Protocol::Udp => "udp".into(),
            ice::Protocol::Tcp => "tcp".into(),
        },
        candidate_type: match candidate.kind {
            ice::CandidateKind::Host => w3c::CandidateType::Host,
            ice::CandidateKind::ServerReflexive => w3c::CandidateType::Srflx,
            ice::CandidateKind::PeerReflexive => w3c::CandidateType::Prflx,
            ice::CandidateKind::Relayed => w3c::CandidateType::Relay,
        },
        priority: candidate.priority,
        url: stats.url.as_ref().map(|url| url.to_string()),
        foundation: candidate.foundation.clone(),
        related_address: candidate
            .related
            .as_ref()
            .map(|(address, _)| address.to_string()),
        related_port: candidate.related.as_ref().map(|(_, port)| *port),
        username_fragment: candidate.ufrag.clone(),
        tcp_type: candidate.tcp_type.map(|tcp_type| match tcp_type {
            ice::TcpType::Active => "active".into(),
            ice::TcpType::Passive => "passive".into(),
            ice::TcpType::SimultaneousOpen => "so".into(),
        }),
    }
}

fn certificate(prefix: &str, der: &[u8], moment: Moment) -> w3c::CertificateStats {
    let fingerprint = Fingerprint::of(der, HashAlgorithm::Sha256).to_string();
    // `sha-256 4A:AD:…`, as `a=fingerprint` has it.
    let (algorithm, digits) = fingerprint.split_once(' ').unwrap_or_default();
    w3c::CertificateStats {
        id: prefix.to_owned() + &digits.replace(':', "")[..16],
        timestamp: moment.timestamp,
        fingerprint: digits.to_owned(),
        fingerprint_algorithm: algorithm.to_owned(),
        base64_certificate: BASE64_STANDARD.encode(der),
    }
}

fn data_channel(channel: &ChannelStats, moment: Moment) -> w3c::DataChannelStats {
    w3c::DataChannelStats {
        id: format!("D{}", channel.number),
        timestamp: moment.timestamp,
        label: channel.label.clone(),
        protocol: channel.protocol.clone(),
        data_channel_identifier: channel.counters.id,
        state: channel.state,
        messages_sent: channel.counters.messages_sent,
        bytes_sent: channel.counters.bytes_sent,
        messages_received: channel.counters.messages_received,
        bytes_received: channel.counters.bytes_received,
    }
}

/// When figures were taken, by both clocks.
#[derive(Clone, Copy)]
struct Moment {
    now: Instant,
    /// Milliseconds since 1970.
    timestamp: f64,
}

impl Moment {
    fn new(now: Instant) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "W3C timestamps are times of day; nothing is timed by them"
        )]
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Moment {
            now,
            timestamp: milliseconds(since_1970),
        }
    }

    fn of(self, earlier: Instant) -> f64 {
        self.timestamp - milliseconds(self.now.saturating_duration_since(earlier))
    }
}

fn pair_id(pair: u64) -> String {
    format!("CP{pair}")
}

fn candidate_id(prefix: &str, id: ice::CandidateId) -> String {
    format!("I{prefix}{}", id.0)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// There is one: everything is bundled.
const TRANSPORT: &str = "T";

/// The version's two bytes on the wire.
const DTLS_1_2: &str = "FEFD";
