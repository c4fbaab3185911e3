//! A session under a sequence of calls of its application, against a peer that sends any message
//! on any stream, over a link that loses what the input says. Nothing panics; every channel that
//! was announced is closed exactly once; nothing outlives the session.
#![no_main]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use peerloom_datachannel::sctp::{
    self, Association, Budget, Config, Event, OutgoingMessage, Packet, PacketBatch, Ppid, StreamId,
};
use peerloom_datachannel::{
    ChannelKey, ChannelOptions, MessageKind, Reliability, Role, Session, SessionConfig,
    SessionEvent,
};

#[derive(Arbitrary, Debug)]
enum Call {
    Open {
        ordered: bool,
        reliability: u8,
        negotiated: Option<u8>,
    },
    Send {
        channel: u8,
        text: bool,
        len: u16,
    },
    Close {
        channel: u8,
    },
    PeerSends {
        stream: u8,
        ppid: u8,
        ordered: bool,
        payload: Payload,
    },
    PeerResets {
        stream: u8,
    },
    Exchange {
        lose: u8,
    },
    Wait {
        millis: u16,
    },
    Shutdown,
    Abort,
}

#[derive(Arbitrary, Debug)]
enum Payload {
    Any(Vec<u8>),
    Open {
        channel_type: u8,
        label: u8,
        protocol: u8,
    },
    Ack,
    Zeros(u16),
}

struct World {
    now: Instant,
    session: Session,
    peer: Association,
    batch: PacketBatch,
    keys: Vec<ChannelKey>,
    alive: HashMap<ChannelKey, bool>,
    connected: bool,
    is_over: bool,
}

fuzz_target!(|input: (bool, Vec<Call>)| {
    let (is_connected, calls) = input;
    let now = Instant::now();
    let mut config = SessionConfig {
        max_message_size: 2000,
        ..SessionConfig::default()
    };
    config.limits.refused_streams = 4;
    config.limits.incoming_channels = 8;
    config.limits.early_messages = 4;
    config.limits.partial_bytes = 3000;
    config.association_limits.send_queue = 100_000;
    let mut session = Session::new(config, [1; 32], now);
    session.set_role(now, Role::Client);
    session.connect(now);
    let mut peer = Association::new(Config::webrtc(), sctp::Limits::default(), [2; 32], now);
    peer.connect(now);
    let mut world = World {
        now,
        session,
        peer,
        batch: PacketBatch::new(),
        keys: Vec::new(),
        alive: HashMap::new(),
        connected: false,
        is_over: false,
    };
    if is_connected {
        world.exchange(0);
        assert!(world.connected);
    }
    for call in calls.into_iter().take(200) {
        world.call(call);
    }
    world.session.abort(world.now, "end");
    world.events();
    assert!(world.is_over && world.session.channels() == 0);
    assert!(
        world.alive.values().all(|alive| !alive),
        "a channel was never closed"
    );
});

impl World {
    fn call(&mut self, call: Call) {
        let now = self.now;
        match call {
            Call::Open {
                ordered,
                reliability,
                negotiated,
            } => {
                let reliability = match reliability % 3 {
                    0 => Reliability::Reliable,
                    1 => Reliability::MaxRetransmits(reliability.into()),
                    _ => Reliability::MaxLifetime(Duration::from_millis(reliability.into())),
                };
                let negotiated = negotiated.map(u16::from);
                let options = ChannelOptions {
                    ordered,
                    reliability,
                    negotiated,
                    ..Default::default()
                };
                if let Ok(key) = self.session.open(now, options) {
                    self.announce(key);
                }
            }
            Call::Send { channel, text, len } => {
                if let Some(key) = self.key(channel) {
                    let kind = if text {
                        MessageKind::Text
                    } else {
                        MessageKind::Binary
                    };
                    let _ = self
                        .session
                        .send(now, key, kind, vec![0; len.into()].into());
                }
            }
            Call::Close { channel } => {
                if let Some(key) = self.key(channel) {
                    self.session.close(now, key);
                }
            }
            Call::PeerSends {
                stream,
                ppid,
                ordered,
                payload,
            } => {
                let _ = self.peer.send(
                    now,
                    OutgoingMessage {
                        stream: StreamId(u16::from(stream) % 32),
                        ppid: Ppid(50 + u32::from(ppid % 10)),
                        payload: payload.bytes(),
                        ordered,
                        reliability: Reliability::Reliable,
                    },
                );
            }
            Call::PeerResets { stream } => {
                let _ = self
                    .peer
                    .reset_streams(now, &[StreamId(u16::from(stream) % 32)]);
            }
            Call::Exchange { lose } => self.exchange(lose),
            Call::Wait { millis } => {
                self.now += Duration::from_millis(millis.into());
                self.session.handle_timeout(self.now);
                self.peer.handle_timeout(self.now);
            }
            Call::Shutdown => self.session.shutdown(now),
            Call::Abort => self.session.abort(now, "fuzz"),
        }
        self.events();
    }

    /// Four rounds of packets, of which `lose` says which are lost.
    fn exchange(&mut self, lose: u8) {
        let budget = Budget {
            packets: 16,
            bytes: 1 << 14,
        };
        for round in 0..8 {
            let from_peer = round % 2 == 1;
            self.batch.clear();
            if from_peer {
                self.peer.poll_transmit(self.now, &mut self.batch, budget);
            } else {
                self.session
                    .poll_transmit(self.now, &mut self.batch, budget);
                self.session.drain_unqueued(&self.batch, |_, _| {});
            }
            for index in 0..self.batch.len() {
                let mut bytes = vec![0; self.batch.encoded_len(index)];
                self.batch.encode(index, &mut bytes);
                if lose >> ((round as usize + index) % 8) & 1 == 1 {
                    continue;
                }
                let packet = Packet::decode(&bytes).expect("we encoded it");
                if from_peer {
                    self.session.handle_packet(self.now, &packet);
                } else {
                    self.peer.handle_packet(self.now, &packet);
                }
            }
            self.events();
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            assert!(!self.is_over, "{event:?} after the end");
            match event {
                SessionEvent::Incoming { key, .. } => self.announce(key),
                SessionEvent::Message { key, cost, .. } => {
                    assert_eq!(self.alive.get(&key), Some(&true));
                    self.session.release(self.now, cost);
                }
                SessionEvent::Closed { key, .. } => {
                    assert_eq!(self.alive.insert(key, false), Some(true), "closed twice");
                }
                SessionEvent::SessionClosed(_) => self.is_over = true,
                SessionEvent::Opened(key)
                | SessionEvent::Assigned { key, .. }
                | SessionEvent::Closing(key) => assert_eq!(self.alive.get(&key), Some(&true)),
                SessionEvent::Connected => self.connected = true,
            }
        }
        while let Some(event) = self.peer.poll_event() {
            if let Event::Message(message) = event {
                self.peer.release(self.now, message.cost);
            }
        }
    }

    fn announce(&mut self, key: ChannelKey) {
        self.keys.push(key);
        assert_eq!(
            self.alive.insert(key, true),
            None,
            "a key was given out twice"
        );
    }

    fn key(&self, channel: u8) -> Option<ChannelKey> {
        self.keys
            .get(usize::from(channel) % self.keys.len().max(1))
            .copied()
    }
}

impl Payload {
    fn bytes(self) -> Bytes {
        match self {
            Self::Any(bytes) => bytes.into(),
            Self::Open {
                channel_type,
                label,
                protocol,
            } => {
                let mut bytes = vec![
                    3,
                    channel_type & 0x83,
                    1,
                    0,
                    0,
                    0,
                    0,
                    9,
                    0,
                    label,
                    0,
                    protocol,
                ];
                bytes.resize(12 + usize::from(label) + usize::from(protocol), b'x');
                bytes.into()
            }
            Self::Ack => Bytes::from_static(&[2]),
            Self::Zeros(len) => vec![0; len.into()].into(),
        }
    }
}
