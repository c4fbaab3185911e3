//! What a peer may cost us.

/// Caps on everything that a peer's input can make grow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// RTCP packets looked at in one compound datagram.
    pub rtcp_packets: usize,
    /// Packet statuses looked at in one compound datagram: a run-length chunk of two bytes stands
    /// for 8,191 of them.
    pub feedback_statuses: usize,
    /// Packets a frame assembler holds; a power of two is used.
    pub assembler_packets: usize,
    /// Bytes of payload a frame assembler holds.
    pub assembler_bytes: usize,
    /// Media packets kept to repair others from, for each FEC decoder.
    pub fec_media_packets: usize,
    /// Repair packets kept until they are of use, for each FEC decoder.
    pub fec_repair_packets: usize,
    /// Largest SPS, PPS or VPS cached, in bytes.
    pub parameter_set: usize,
    /// Largest frame, page or record a container reader accepts, in bytes.
    pub container_record: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A browser sends at most a report, SDES and a handful of feedback together.
            rtcp_packets: 64,
            // 200 ms of 50,000 packets a second.
            feedback_statuses: 10_000,
            assembler_packets: 2048,
            assembler_bytes: 4 << 20,
            fec_media_packets: 256,
            fec_repair_packets: 64,
            parameter_set: 4096,
            container_record: 16 << 20,
        }
    }
}
