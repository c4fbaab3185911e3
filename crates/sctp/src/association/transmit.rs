//! What goes out, and in which order: a SACK, control, what is sent again, then new data.

use std::time::Instant;

use crate::batch::PacketBatch;
use crate::wire::{Checksum, Chunk, PacketHeader};

use super::Association;

/// How much one [`Association::poll_transmit`] may plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Packets.
    pub packets: usize,
    /// Bytes of packets. A packet is planned if a full one fits.
    pub bytes: usize,
}

impl Association {
    /// Plans packets into `batch`, behind those that it holds, and returns how many. Call it after
    /// everything that takes `now`, until it returns 0; a smaller number than the budget's means
    /// that it will, until something else is called.
    ///
    /// Even then `batch` may hold [`PacketBatch::unqueued`] bytes and messages to be freed by
    /// [`PacketBatch::clear`]. What was planned counts as sent: every packet has to be encoded and
    /// sent, or is lost as in the network.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        batch: &mut PacketBatch,
        budget: Budget,
    ) -> usize {
        let mut planned = 0;
        let mut bytes = budget.bytes;
        while planned < budget.packets && bytes >= self.config.max_packet_size {
            let len = self.plan_packet(now, batch);
            if len == 0 {
                break;
            }
            planned += 1;
            bytes = bytes.saturating_sub(len);
        }
        self.counters.packets_sent += planned as u64;
        // Abandoned and expired messages may have come up.
        self.proceed(now);
        self.sender.flush(batch);
        planned
    }

    /// Plans one packet and returns its length; zero if there is nothing to send.
    fn plan_packet(&mut self, now: Instant, batch: &mut PacketBatch) -> usize {
        if let Some((tag, chunk)) = self.replies.pop_front() {
            let len = chunk.encoded_len() + crate::wire::HEADER_LEN;
            batch.begin_packet(self.header(tag), Checksum::Crc32c, len);
            self.push_control(batch, chunk);
            return batch.end_packet();
        }
        let Some(peer) = self.peer else { return 0 };
        loop {
            // RFC 9653 §5.2: not with an INIT, which goes out as a reply, and not with a COOKIE-ECHO,
            // whose receiver may know nothing of what it once announced.
            let checksum = if peer.zero_checksum && self.phase.is_connected() {
                Checksum::Zero
            } else {
                Checksum::Crc32c
            };
            batch.begin_packet(
                self.header(peer.tag),
                checksum,
                self.sender
                    .packet_size()
                    .max(self.config.max_packet_size)
                    .max(self.reset_request_packet()),
            );
            self.plan_chunks(now, batch);
            let len = batch.end_packet();
            // Giving up what may not be sent again can make a FORWARD-TSN due.
            let more = self.sender.forward_tsn_due() && self.phase.may_send_data();
            if len > 0 || !more {
                return len;
            }
        }
    }

    fn plan_chunks(&mut self, now: Instant, batch: &mut PacketBatch) {
        let mut may_send_data = self.phase.may_send_data();
        if let Some(echo) = self.take_cookie_echo() {
            // §5.1 C: DATA may travel behind it, in this packet only. If the peer has an
            // association already it takes the DATA, too.
            self.push_control(batch, echo);
            may_send_data = true;
        }
        if !self.phase.is_connected() && !may_send_data {
            // Answers to the peer are all there is before.
            self.plan_control(batch);
            return;
        }
        self.plan_control(batch);
        if let Some(inbound) = &mut self.inbound
            && self.phase.is_connected()
        {
            let room = batch.remaining();
            let bundle = may_send_data && self.sender.can_send_new();
            let sack = inbound.poll_sack(now, room);
            let sack = if bundle {
                sack.or_else(|| inbound.bundle_sack(room))
            } else {
                sack
            };
            if let Some(sack) = sack {
                self.counters.sacks_sent += 1;
                self.push_control(batch, Chunk::Sack(sack));
            }
        }
        if let Some(shutdown) = self.take_shutdown() {
            self.push_control(batch, shutdown);
        }
        if let Some(request) = self.take_reset_request(batch.remaining()) {
            self.push_control(batch, request);
        }
        if may_send_data {
            if let Some(forward) = self.sender.take_forward_tsn(now, batch.remaining()) {
                self.push_control(batch, forward);
            }
            self.sender.fill(now, batch);
        }
    }

    /// Whatever fits of the answers and other control chunks.
    fn plan_control(&mut self, batch: &mut PacketBatch) {
        while let Some(chunk) = self.control.front() {
            if chunk.encoded_len() > batch.remaining() {
                if batch.open_len() > crate::wire::HEADER_LEN {
                    return;
                }
                // It would not fit any packet.
                self.control.pop_front();
                self.counters.drops.control_limit += 1;
                continue;
            }
            if let Some(chunk) = self.control.pop_front() {
                self.push_control(batch, chunk);
            }
        }
    }

    fn push_control(&mut self, batch: &mut PacketBatch, chunk: Chunk<'static>) {
        self.counters.control_sent += 1;
        batch.push_control(chunk);
    }

    fn header(&self, tag: u32) -> PacketHeader {
        PacketHeader {
            source_port: self.config.local_port,
            destination_port: self.config.remote_port,
            verification_tag: tag,
        }
    }
}
