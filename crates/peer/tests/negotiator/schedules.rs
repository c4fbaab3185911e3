//! Random schedules of everything that asks for an exchange, on both sides at once, up to a
//! connection that carries data.

use std::time::Duration;

use peerloom::{
    Certificate, DataChannel, DataChannelOptions, DtlsRole, Event, Negotiator, NegotiatorStats,
    PeerConnection, Politeness, SignalingState,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::path::{Delays, End, Random, path};
use super::support;

/// 1,000 schedules: data channels from either side, at the start and later; ICE restarts from
/// either side, in the middle of exchanges; signals late by 0 to 60 ms each; and now and then a
/// path that breaks with what is on it, so that offers are rolled back by hand as well as in glare.
/// Within two seconds of virtual time after the last of it both ends are stable and connected, every
/// channel carries a message, and exactly one end was DTLS client.
#[tokio::test(start_paused = true)]
async fn any_schedule_ends_stable_and_connected() {
    let certificates = [(); 2].map(|()| Certificate::generate().unwrap());
    let mut total = NegotiatorStats::default();
    let (mut restarts, mut breaks, mut slowest) = (0, 0, Duration::ZERO);
    for seed in 0..1000 {
        let mut world = World::new(seed, &certificates).await;
        world.play().await;
        slowest = slowest.max(world.settle().await);
        restarts += world.restarts;
        breaks += world.breaks;
        for stats in world.finish().await {
            total.offers += stats.offers;
            total.answers += stats.answers;
            total.collisions += stats.collisions;
            total.candidates_refused += stats.candidates_refused;
        }
    }
    println!("{total:?}, {restarts} restarts, {breaks} breaks, slowest {slowest:?}");
    // The schedules are worth something.
    assert!(total.collisions > 500, "{total:?}");
    assert!(restarts > 500, "{restarts}");
    assert!(breaks > 100, "{breaks}");
}

struct World {
    seed: u64,
    random: Random,
    peers: [PeerConnection; 2],
    /// `None` while it runs.
    negotiators: [Option<Negotiator>; 2],
    running: JoinSet<(usize, Negotiator)>,
    carrying: JoinSet<()>,
    channels: Vec<(usize, DataChannel)>,
    restarts: u32,
    breaks: u32,
}

impl World {
    async fn new(seed: u64, certificates: &[Certificate; 2]) -> Self {
        let mut peers = Vec::new();
        for certificate in certificates {
            let builder = support::builder().certificate(certificate.clone());
            peers.push(builder.build().await.unwrap());
        }
        let peers: [PeerConnection; 2] = peers.try_into().unwrap();
        let roles = [Politeness::Polite, Politeness::Impolite];
        let negotiators = [0, 1].map(|i| Some(Negotiator::new(&peers[i], roles[i]).unwrap()));
        let mut world = Self {
            seed,
            random: Random::new(seed),
            peers,
            negotiators,
            running: JoinSet::new(),
            carrying: JoinSet::new(),
            channels: Vec::new(),
            restarts: 0,
            breaks: 0,
        };
        world.start();
        world
    }

    /// Both negotiators run over a new path.
    fn start(&mut self) {
        let delays = Delays {
            seed: self.random.below(u64::MAX),
            up_to: 60,
        };
        let (at_a, at_b) = path(delays, &mut self.carrying);
        for (me, end) in [at_a, at_b].into_iter().enumerate() {
            let mut negotiator = self.negotiators[me].take().unwrap();
            let stop = self.peers[me].clone();
            let seed = self.seed;
            self.running.spawn(async move {
                let End { sink, source } = end;
                let end = negotiator.run(sink, source).await;
                assert!(end.is_ok(), "{seed}: {end:?}");
                drop(stop);
                (me, negotiator)
            });
        }
    }

    async fn play(&mut self) {
        let both = self.random.below(2) == 0;
        self.open(0);
        if both {
            self.open(1);
        }
        for _ in 0..self.random.below(12) {
            let me = usize::from(self.random.below(2) == 1);
            match self.random.below(8) {
                0 => self.open(me),
                1..=3 => {
                    self.peers[me].restart_ice().unwrap();
                    self.restarts += 1;
                }
                4 => {
                    for peer in &self.peers {
                        peer.restart_ice().unwrap();
                    }
                    self.restarts += 2;
                }
                // An answer that is lost leaves a role at one end that the other never heard of:
                // a path is replaced under a connection, not under a first exchange.
                5 if self.peers.iter().all(is_settled) => self.break_path().await,
                _ => {}
            }
            sleep(Duration::from_millis(self.random.below(150))).await;
        }
    }

    /// Whatever is on the path is lost; both ends learn of it.
    async fn break_path(&mut self) {
        self.breaks += 1;
        // The sources end with the path.
        self.carrying.shutdown().await;
        while let Some(ended) = self.running.join_next().await {
            let (me, mut negotiator) = ended.unwrap();
            negotiator.replace_path();
            self.negotiators[me] = Some(negotiator);
        }
        self.start();
    }

    fn open(&mut self, me: usize) {
        let channel = self.peers[me]
            .create_data_channel(
                format!("{}", self.channels.len()),
                DataChannelOptions::default(),
            )
            .unwrap();
        self.channels.push((me, channel));
    }

    /// How long it took.
    async fn settle(&mut self) -> Duration {
        let (seed, start) = (self.seed, Instant::now());
        let all = async {
            for (_, channel) in &self.channels {
                channel.send(channel.label()).await.unwrap();
            }
            for (me, _) in &self.channels {
                let incoming = incoming(&self.peers[1 - me]).await;
                let message = incoming.recv().await.unwrap();
                assert_eq!(message.as_text(), Some(incoming.label()), "{seed}");
            }
            while !self.peers.iter().all(is_settled) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        if timeout(Duration::from_secs(2), all).await.is_err() {
            let states = self.peers.each_ref().map(|peer| {
                (
                    peer.signaling_state(),
                    peer.connection_state(),
                    peer.ice_connection_state(),
                )
            });
            panic!("seed {seed}: {states:?} after two seconds");
        }
        start.elapsed()
    }

    async fn finish(mut self) -> Vec<NegotiatorStats> {
        let mut clients = 0;
        for peer in &self.peers {
            let role = peer.stats().await.unwrap().internals.dtls.role;
            clients += u32::from(role == Some(DtlsRole::Client));
        }
        assert_eq!(clients, 1, "{}", self.seed);
        for peer in &self.peers {
            peer.close().await;
        }
        let mut stats = Vec::new();
        while let Some(ended) = self.running.join_next().await {
            stats.push(ended.unwrap().1.stats());
        }
        stats
    }
}

/// Nothing more is to be done.
fn is_settled(peer: &PeerConnection) -> bool {
    peer.signaling_state() == SignalingState::Stable
        && peer.connection_state() == peerloom::ConnectionState::Connected
}

async fn incoming(peer: &PeerConnection) -> DataChannel {
    loop {
        if let Event::DataChannel(channel) = peer.next_event().await.unwrap() {
            return channel;
        }
    }
}
