//! The dictionaries of W3C webrtc-stats that a data connection has, with their names in JSON.
//!
//! Which member is filled with what, and which is not and why, is in `docs/stats.md`. Times are
//! milliseconds since 1970 (`DOMHighResTimeStamp`), round trips are seconds, as in browsers.

use serde::{Deserialize, Serialize};

use crate::data_channel::DataChannelState;

/// One object of a report by its `type` (W3C webrtc-stats §6.1 `RTCStatsType`), from
/// [`StatsReport::entries`](super::StatsReport::entries).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Entry<'a> {
    /// The connection.
    PeerConnection(&'a PeerConnectionStats),
    /// Its one transport: ICE and DTLS.
    Transport(&'a TransportStats),
    /// A pair of candidates.
    CandidatePair(&'a CandidatePairStats),
    /// A candidate of this end.
    LocalCandidate(&'a CandidateStats),
    /// A candidate of the other end.
    RemoteCandidate(&'a CandidateStats),
    /// A certificate of either end.
    Certificate(&'a CertificateStats),
    /// A data channel.
    DataChannel(&'a DataChannelStats),
}

impl<'a> Entry<'a> {
    /// Names the object within the report, and in later reports of the connection.
    pub fn id(&self) -> &'a str {
        match self {
            Entry::PeerConnection(stats) => &stats.id,
            Entry::Transport(stats) => &stats.id,
            Entry::CandidatePair(stats) => &stats.id,
            Entry::LocalCandidate(stats) | Entry::RemoteCandidate(stats) => &stats.id,
            Entry::Certificate(stats) => &stats.id,
            Entry::DataChannel(stats) => &stats.id,
        }
    }
}

macro_rules! dictionary {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct $name {
            /// Names the object within the report, and in later reports of the connection.
            pub id: String,
            /// When the figures were taken, in milliseconds since 1970.
            pub timestamp: f64,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

dictionary! {
    /// W3C `RTCPeerConnectionStats`.
    PeerConnectionStats {
        /// Channels that have been open, whoever opened them.
        data_channels_opened: u64,
        /// Of these, those that are open no more.
        data_channels_closed: u64,
    }
}

dictionary! {
    /// W3C `RTCTransportStats`.
    TransportStats {
        /// DTLS datagrams sent, connectivity checks not included.
        packets_sent: u64,
        /// DTLS datagrams received, connectivity checks not included.
        packets_received: u64,
        /// UDP payload of `packets_sent` in bytes.
        bytes_sent: u64,
        /// UDP payload of `packets_received` in bytes.
        bytes_received: u64,
        /// Who nominates.
        ice_role: IceRole,
        /// Our user name fragment.
        ice_local_username_fragment: String,
        /// The state of DTLS.
        dtls_state: DtlsState,
        /// The state of ICE.
        ice_state: IceState,
        /// The pair that data is sent on.
        #[serde(skip_serializing_if = "Option::is_none")]
        selected_candidate_pair_id: Option<String>,
        /// Our certificate.
        local_certificate_id: String,
        /// The other end's, once DTLS is established.
        #[serde(skip_serializing_if = "Option::is_none")]
        remote_certificate_id: Option<String>,
        /// The protocol version as four hexadecimal digits: `FEFD` is DTLS 1.2.
        #[serde(skip_serializing_if = "Option::is_none")]
        tls_version: Option<String>,
        /// The cipher suite by its name in IANA's registry.
        #[serde(skip_serializing_if = "Option::is_none")]
        dtls_cipher: Option<String>,
        /// Which end of the handshake we are.
        dtls_role: DtlsRole,
        /// The SRTP protection profile by its name in IANA's registry, if one was negotiated.
        #[serde(skip_serializing_if = "Option::is_none")]
        srtp_cipher: Option<String>,
        /// How often the selected pair has changed, the first selection included.
        selected_candidate_pair_changes: u64,
    }
}

dictionary! {
    /// W3C `RTCIceCandidatePairStats`.
    CandidatePairStats {
        /// The transport.
        transport_id: String,
        /// The candidate of this end.
        local_candidate_id: String,
        /// The candidate of the other end.
        remote_candidate_id: String,
        /// Where its check is.
        state: CandidatePairState,
        /// Whether it was nominated.
        nominated: bool,
        /// Datagrams sent that are no checks.
        packets_sent: u64,
        /// Datagrams received that are no checks.
        packets_received: u64,
        /// UDP payload of `packets_sent` in bytes.
        bytes_sent: u64,
        /// UDP payload of `packets_received` in bytes.
        bytes_received: u64,
        /// When the last of `packets_sent` was.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_packet_sent_timestamp: Option<f64>,
        /// When the last of `packets_received` was.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_packet_received_timestamp: Option<f64>,
        /// Sum of the round trips of all answered checks, in seconds.
        total_round_trip_time: f64,
        /// Round trip of the last answered check, in seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        current_round_trip_time: Option<f64>,
        /// Checks received.
        requests_received: u64,
        /// Checks sent, those for consent not included.
        requests_sent: u64,
        /// Answers received.
        responses_received: u64,
        /// Answers sent.
        responses_sent: u64,
        /// Checks sent for consent (RFC 7675).
        consent_requests_sent: u64,
    }
}

dictionary! {
    /// W3C `RTCIceCandidateStats`.
    CandidateStats {
        /// The transport.
        transport_id: String,
        /// The address, or a name that is not resolved yet.
        address: String,
        /// The port.
        port: u16,
        /// `udp` or `tcp`.
        protocol: String,
        /// How it was found.
        candidate_type: CandidateType,
        /// Its priority (RFC 8445 §5.1.2).
        priority: u32,
        /// The STUN server that told it to us.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Candidates of one kind, base and server share it.
        foundation: String,
        /// The base of a reflexive candidate.
        #[serde(skip_serializing_if = "Option::is_none")]
        related_address: Option<String>,
        /// Its port.
        #[serde(skip_serializing_if = "Option::is_none")]
        related_port: Option<u16>,
        /// The user name fragment of its generation.
        #[serde(skip_serializing_if = "Option::is_none")]
        username_fragment: Option<String>,
        /// Of a candidate for TCP, which ICE over UDP does not use: `active`, `passive` or `so`.
        #[serde(skip_serializing_if = "Option::is_none")]
        tcp_type: Option<String>,
    }
}

dictionary! {
    /// W3C `RTCCertificateStats`.
    CertificateStats {
        /// The fingerprint, pairs of hexadecimal digits with colons.
        fingerprint: String,
        /// Its hash function: `sha-256`.
        fingerprint_algorithm: String,
        /// The certificate in DER form, in base64.
        base64_certificate: String,
    }
}

dictionary! {
    /// W3C `RTCDataChannelStats`.
    DataChannelStats {
        /// Its label.
        label: String,
        /// Its subprotocol.
        protocol: String,
        /// Its stream id, once known.
        #[serde(skip_serializing_if = "Option::is_none")]
        data_channel_identifier: Option<u16>,
        /// Its state.
        state: DataChannelState,
        /// Messages handed to SCTP.
        messages_sent: u64,
        /// Their payload in bytes.
        bytes_sent: u64,
        /// Messages received.
        messages_received: u64,
        /// Their payload in bytes.
        bytes_received: u64,
    }
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident as $case:literal { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = $case)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }
    };
}

names! {
    /// W3C WebRTC `RTCIceRole`.
    IceRole as "lowercase" {
        /// Nominates.
        Controlling,
        /// Has pairs nominated.
        Controlled,
    }
}

names! {
    /// W3C webrtc-stats `RTCDtlsRole`.
    DtlsRole as "lowercase" {
        /// Sends the ClientHello.
        Client,
        /// Answers it.
        Server,
        /// Signalling has not decided.
        Unknown,
    }
}

names! {
    /// W3C WebRTC `RTCDtlsTransportState`.
    DtlsState as "lowercase" {
        /// Nothing was sent.
        New,
        /// The handshake is under way.
        Connecting,
        /// Keys are in use and the other end is who signalling said.
        Connected,
        /// Closed on purpose.
        Closed,
        /// Ended by an error.
        Failed,
    }
}

names! {
    /// W3C WebRTC `RTCIceTransportState`.
    IceState as "lowercase" {
        /// Gathering, or waiting for remote candidates.
        New,
        /// Checks are under way.
        Checking,
        /// A usable pair was found, checks go on.
        Connected,
        /// A pair was selected and all checks are done.
        Completed,
        /// Contact is lost and may come back.
        Disconnected,
        /// No pair works.
        Failed,
        /// The agent has ended.
        Closed,
    }
}

names! {
    /// W3C webrtc-stats `RTCStatsIceCandidatePairState`.
    CandidatePairState as "kebab-case" {
        /// Not to be checked yet.
        Frozen,
        /// To be checked.
        Waiting,
        /// A check is under way.
        InProgress,
        /// No check was answered.
        Failed,
        /// A check was answered.
        Succeeded,
    }
}

names! {
    /// W3C WebRTC `RTCIceCandidateType`.
    CandidateType as "lowercase" {
        /// An address of an interface.
        Host,
        /// As a STUN server sees it.
        Srflx,
        /// As the other end sees it.
        Prflx,
        /// On a TURN server.
        Relay,
    }
}
