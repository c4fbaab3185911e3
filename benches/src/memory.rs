//! Two data-channel sessions in one thread: the state machines and the codec, and nothing else. No
//! socket, no DTLS, no task, no lock.

use std::time::{Duration, Instant};

use bytes::Bytes;
use peerloom_datachannel::sctp::{Budget, Packet, PacketBatch};
use peerloom_datachannel::{
    ChannelKey, ChannelOptions, MessageKind, Role, Session, SessionConfig, SessionEvent,
};

use crate::Result;

/// What the driver of `peerloom` gathers at once.
pub const BUDGET: Budget = Budget {
    packets: 54,
    bytes: 54 * 1160,
};

/// Two sessions with an open channel, whose packets are encoded, carried over and decoded in
/// memory that is used again and again. Its clock moves only by itself.
#[derive(Debug)]
pub struct Pair {
    now: Instant,
    sender: Session,
    receiver: Session,
    channel: ChannelKey,
    /// Messages are handed in only while fewer bytes wait.
    high: usize,
    batch: PacketBatch,
    wire: Vec<u8>,
    packets: u64,
    received: u64,
    received_bytes: u64,
}

impl Pair {
    /// Two sessions with an open channel.
    ///
    /// # Errors
    /// If they do not connect.
    pub fn connect(options: ChannelOptions) -> Result<Self> {
        let now = Instant::now();
        let session = |seed| Session::new(SessionConfig::default(), [seed; 32], now);
        let (mut sender, mut receiver) = (session(1), session(2));
        sender.set_role(now, Role::Client);
        receiver.set_role(now, Role::Server);
        let channel = sender.open(now, options)?;
        sender.connect(now);
        receiver.connect(now);
        let mut pair = Self {
            now,
            sender,
            receiver,
            channel,
            high: HIGH,
            batch: PacketBatch::new(),
            wire: vec![0; MAX_PACKET],
            packets: 0,
            received: 0,
            received_bytes: 0,
        };
        for _ in 0..CONNECT_TURNS {
            pair.turn();
            if pair.sender.channel_state(channel) == Some(peerloom_datachannel::ChannelState::Open)
            {
                return Ok(pair);
            }
        }
        Err("the sessions do not connect".into())
    }

    /// Whether another message may be handed in.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.sender.association().total_buffered() < self.high
    }

    /// Hands in one message.
    ///
    /// # Errors
    /// What the session says.
    pub fn send(&mut self, message: Bytes) -> Result<()> {
        self.sender
            .send(self.now, self.channel, MessageKind::Binary, message)?;
        Ok(())
    }

    /// One batch there and one back. If neither end had anything to say, time moves to the next
    /// timer.
    pub fn turn(&mut self) {
        let there = self.carry(Direction::There);
        self.deliver();
        let back = self.carry(Direction::Back);
        while self.sender.poll_event().is_some() {}
        self.now += TURN;
        if there + back == 0 {
            let timeouts = [self.sender.poll_timeout(), self.receiver.poll_timeout()];
            if let Some(at) = timeouts.into_iter().flatten().min() {
                self.now = self.now.max(at);
            }
            self.sender.handle_timeout(self.now);
            self.receiver.handle_timeout(self.now);
        }
    }

    /// Sends `messages` messages made by `make` and carries until all have arrived.
    ///
    /// # Errors
    /// If they do not arrive.
    pub fn transfer(&mut self, messages: u64, mut make: impl FnMut() -> Bytes) -> Result<()> {
        let wanted = self.received + messages;
        let (mut sent, mut idle) = (0, 0);
        while self.received < wanted {
            while sent < messages && self.has_room() {
                self.send(make())?;
                sent += 1;
            }
            let before = self.received_bytes + self.packets;
            self.turn();
            idle = if self.received_bytes + self.packets == before {
                idle + 1
            } else {
                0
            };
            if idle > CONNECT_TURNS {
                return Err("the transfer stands still".into());
            }
        }
        Ok(())
    }

    /// Packets carried, both ways.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Messages that arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    fn carry(&mut self, direction: Direction) -> usize {
        let (from, to) = match direction {
            Direction::There => (&mut self.sender, &mut self.receiver),
            Direction::Back => (&mut self.receiver, &mut self.sender),
        };
        let planned = from.poll_transmit(self.now, &mut self.batch, BUDGET);
        from.drain_unqueued(&self.batch, |_, _| {});
        for index in 0..self.batch.len() {
            let len = self.batch.encode(index, &mut self.wire);
            // What we encode is never refused: the tests of the codec see to it.
            if let Ok(packet) = Packet::decode(&self.wire[..len]) {
                to.handle_packet(self.now, &packet);
            }
        }
        self.packets += self.batch.len() as u64;
        self.batch.clear();
        planned
    }

    fn deliver(&mut self) {
        let mut taken = 0;
        while let Some(event) = self.receiver.poll_event() {
            if let SessionEvent::Message { payload, cost, .. } = event {
                self.received += 1;
                self.received_bytes += payload.len() as u64;
                taken += cost;
            }
        }
        if taken > 0 {
            self.receiver.release(self.now, taken);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    There,
    Back,
}

/// About what the driver of `peerloom` keeps ready for the writer.
const HIGH: usize = 256 << 10;

/// A turn's time: the round trip on loopback under load.
const TURN: Duration = Duration::from_micros(50);

const MAX_PACKET: usize = 2048;

/// Far more than a handshake needs.
const CONNECT_TURNS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A link that lost or invented messages would give figures of something else.
    #[test]
    fn every_message_arrives_once() {
        let mut pair = Pair::connect(ChannelOptions::default()).unwrap();
        for size in [1, 64, 1_160, 65_535] {
            let before = pair.received_bytes;
            pair.transfer(300, || Bytes::from(vec![7; size])).unwrap();
            assert_eq!(pair.received_bytes - before, 300 * size as u64);
        }
        assert_eq!(pair.received(), 1_200);
    }
}
