//! `ice/{stun_encode,stun_decode}`: the checks on a selected pair, through the agent, with their
//! MESSAGE-INTEGRITY and FINGERPRINT, and everything the agent does for them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use peerloom_ice::{Agent, AgentConfig, Event, LocalId, Role, State, Transmit};

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = crate::group(criterion, "ice");
    group.throughput(Throughput::Elements(1));
    for (name, part) in [
        // A check of ours is made.
        ("stun_encode/check", Part::Check),
        // The other end's check is verified; its answer is made at once.
        ("stun_decode/check_and_answer", Part::Request),
        // The answer to our check is verified.
        ("stun_decode/answer", Part::Response),
    ] {
        group.bench_function(name, |b| {
            let mut pair = Pair::connected();
            b.iter_custom(|checks| (0..checks).map(|_| pair.check(part)).sum());
        });
    }
    let mut pair = Pair::connected();
    let request = pair.due().expect("a check is due");
    // What a shared socket asks of every datagram: no verification.
    group.bench_function(BenchmarkId::new("stun_decode", "ufrag"), |b| {
        b.iter(|| {
            let datagram = std::hint::black_box(&request.payload[..]);
            peerloom_ice::is_stun(datagram) && peerloom_ice::local_ufrag(datagram).is_some()
        });
    });
    group.finish();
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Check,
    Request,
    Response,
}

/// Two agents with a selected pair, on virtual time.
struct Pair {
    now: Instant,
    a: Agent,
    b: Agent,
    made: Duration,
}

impl Pair {
    fn connected() -> Self {
        let now = Instant::now();
        let agent = |seed| Agent::new(AgentConfig::default(), [seed; 32]);
        let (mut a, mut b) = (agent(1), agent(2));
        a.set_role(Role::Controlling);
        b.set_role(Role::Controlled);
        a.add_local_address(now, LocalId(0), address(A))
            .expect("a usable address");
        b.add_local_address(now, LocalId(0), address(B))
            .expect("a usable address");
        let (of_a, of_b) = (a.local_credentials().clone(), b.local_credentials().clone());
        a.set_remote_credentials(now, of_b)
            .expect("they are the first");
        b.set_remote_credentials(now, of_a)
            .expect("they are the first");
        while let Some(event) = b.poll_event() {
            if let Event::LocalCandidate(candidate) = event {
                a.add_remote_candidate(now, candidate)
                    .expect("a usable candidate");
            }
        }
        let mut pair = Self {
            now,
            a,
            b,
            made: Duration::ZERO,
        };
        while pair.a.state() != State::Completed {
            pair.check(Part::Check);
        }
        pair
    }

    /// The next check of `a`, with what `b` sends meanwhile answered.
    fn due(&mut self) -> Option<Transmit> {
        for _ in 0..100 {
            let began = Instant::now();
            let transmit = self.a.poll_transmit(self.now);
            self.made = began.elapsed();
            if transmit.is_some() {
                return transmit;
            }
            while let Some(theirs) = self.b.poll_transmit(self.now) {
                let _ = self
                    .a
                    .handle_datagram(self.now, LocalId(0), address(B), &theirs.payload);
                while let Some(answer) = self.a.poll_transmit(self.now) {
                    let _ =
                        self.b
                            .handle_datagram(self.now, LocalId(0), address(A), &answer.payload);
                }
            }
            let timeouts = [self.a.poll_timeout(), self.b.poll_timeout()];
            if let Some(at) = timeouts.into_iter().flatten().min() {
                self.now = self.now.max(at);
            }
            self.a.handle_timeout(self.now);
            self.b.handle_timeout(self.now);
        }
        None
    }

    /// A check of `a` and its answer; the time of one part of it.
    fn check(&mut self, part: Part) -> Duration {
        let request = self.due().expect("checks go on for ever");
        let began = Instant::now();
        let _ = self
            .b
            .handle_datagram(self.now, LocalId(0), address(A), &request.payload);
        let requested = began.elapsed();
        let mut responded = Duration::ZERO;
        while let Some(answer) = self.b.poll_transmit(self.now) {
            let began = Instant::now();
            let _ = self
                .a
                .handle_datagram(self.now, LocalId(0), address(B), &answer.payload);
            responded = began.elapsed();
        }
        while self.a.poll_event().is_some() {}
        while self.b.poll_event().is_some() {}
        match part {
            Part::Check => self.made,
            Part::Request => requested,
            Part::Response => responded,
        }
    }
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

const A: u16 = 1_000;
const B: u16 = 2_000;
