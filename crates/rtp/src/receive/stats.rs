//! What the pieces counted, together, in the terms of W3C's webrtc-stats.

use std::time::{Duration, Instant};

use super::{JitterBuffer, KeyFrameRequests, Reception};
use crate::rtcp::SenderInfo;
use crate::{AssembledFrame, FrameStatus};

/// `RTCInboundRtpStreamStats`, as far as it is known without decoding. Members are W3C's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "the members of RTCInboundRtpStreamStats, by their names there"
)]
pub struct InboundStats {
    pub packets_received: u64,
    pub bytes_received: u64,
    pub header_bytes_received: u64,
    pub packets_lost: i64,
    pub jitter: Duration,
    pub last_packet_received_timestamp: Option<Instant>,
    pub packets_discarded: u64,
    pub retransmitted_packets_received: u64,
    pub retransmitted_bytes_received: u64,
    pub fec_packets_received: u64,
    pub fec_bytes_received: u64,
    pub nack_count: u64,
    pub pli_count: u64,
    pub fir_count: u64,
    pub frames_received: u64,
    pub frames_dropped: u64,
    pub key_frames_received: u64,
    pub jitter_buffer_delay: Duration,
    pub jitter_buffer_target_delay: Duration,
    pub jitter_buffer_emitted_count: u64,
}

impl InboundStats {
    /// Takes over what the pieces counted. What none of them sees stays as it is: retransmissions
    /// and FEC (a stream of their own), frames, FIR, and NACKs, which count packets sent.
    pub fn update<P: AsRef<[u8]>>(
        &mut self,
        reception: &Reception,
        jitter_buffer: &JitterBuffer<P>,
        key_frames: &KeyFrameRequests,
    ) {
        let (received, buffer) = (reception.stats(), jitter_buffer.stats());
        self.packets_received = received.packets;
        self.bytes_received = received.payload_bytes;
        self.header_bytes_received = received.header_bytes;
        self.last_packet_received_timestamp = received.last_packet;
        self.packets_lost = reception.lost();
        self.jitter = reception.jitter();
        self.packets_discarded = buffer.discarded;
        self.jitter_buffer_delay = buffer.delay;
        self.jitter_buffer_target_delay = buffer.target_delay;
        self.jitter_buffer_emitted_count = buffer.emitted;
        self.pli_count = key_frames.sent();
    }

    /// Counts a frame that the assembler reported.
    pub fn on_frame(&mut self, frame: &AssembledFrame) {
        match frame.status {
            FrameStatus::Complete => {
                self.frames_received += 1;
                self.key_frames_received += u64::from(frame.key_frame);
            }
            FrameStatus::Undecodable => {
                self.frames_received += 1;
                self.frames_dropped += 1;
            }
            FrameStatus::Incomplete | FrameStatus::Malformed => self.frames_dropped += 1,
        }
    }
}

/// `RTCRemoteOutboundRtpStreamStats`: what the other end says that it sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteOutboundStats {
    /// `packetsSent`, modulo 2^32 as reported.
    pub packets_sent: u32,
    /// `bytesSent`, modulo 2^32 as reported.
    pub bytes_sent: u32,
    /// `remoteTimestamp`, NTP, 2^-32 s.
    pub remote_timestamp: u64,
    /// `reportsSent`, as far as they arrived.
    pub reports_sent: u64,
}

impl RemoteOutboundStats {
    /// Takes note of a sender report.
    pub const fn on_sender_report(&mut self, info: &SenderInfo) {
        self.packets_sent = info.packets;
        self.bytes_sent = info.octets;
        self.remote_timestamp = info.ntp;
        self.reports_sent += 1;
    }
}
