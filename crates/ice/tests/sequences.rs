//! Any sequence of calls leaves a consistent state: no panic, no busy loop, every cap kept.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use peerloom_ice::{Agent, AgentConfig, Candidate, Event, Limits, LocalId, Role, Transmit};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
enum Call {
    AddLocal(u16),
    RemoveLocal(u16),
    AddServer(u8),
    AddressesDone,
    ExchangeCredentials,
    AddCandidate(u8),
    EndOfCandidates,
    /// Delivers the oldest datagram on the way, from another source if so.
    Deliver(Option<u8>),
    Lose,
    Sleep(u32),
    SwitchRole,
    Restart,
    RestartBoth,
    Data(u16, u8),
    Close,
}

fn calls() -> impl Strategy<Value = Vec<(bool, Call)>> {
    let call = prop_oneof![
        3 => (0..4_u16).prop_map(Call::AddLocal),
        1 => (0..4_u16).prop_map(Call::RemoveLocal),
        1 => (0..3_u8).prop_map(Call::AddServer),
        1 => Just(Call::AddressesDone),
        3 => Just(Call::ExchangeCredentials),
        3 => any::<u8>().prop_map(Call::AddCandidate),
        1 => Just(Call::EndOfCandidates),
        20 => proptest::option::weighted(0.2, 0..6_u8).prop_map(Call::Deliver),
        4 => Just(Call::Lose),
        8 => (0..3_000_u32).prop_map(Call::Sleep),
        1 => (0..60_000_u32).prop_map(Call::Sleep),
        1 => Just(Call::SwitchRole),
        1 => Just(Call::Restart),
        2 => Just(Call::RestartBoth),
        2 => (0..4_u16, any::<u8>()).prop_map(|(id, host)| Call::Data(id, host)),
        1 => Just(Call::Close),
    ];
    proptest::collection::vec((any::<bool>(), call), 1..250)
}

fn address(end: usize, id: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, end as u8 + 1], 1000 + id))
}

struct World {
    now: Instant,
    ends: [Agent; 2],
    /// Sender, and what it sent.
    wire: [Vec<Transmit>; 2],
}

impl World {
    fn call(&mut self, end: usize, call: &Call) {
        let now = self.now;
        let other = 1 - end;
        let agent = &mut self.ends[end];
        match call {
            Call::AddLocal(id) => {
                let _ = agent.add_local_address(now, LocalId(*id), address(end, *id));
            }
            Call::RemoveLocal(id) => agent.remove_local_address(now, LocalId(*id)),
            Call::AddServer(i) => {
                agent.add_stun_server(
                    now,
                    SocketAddr::from(([203, 0, 113, *i], 3478)),
                    "stun:test",
                );
            }
            Call::AddressesDone => agent.local_addresses_done(now),
            Call::ExchangeCredentials => {
                let credentials = agent.local_credentials().clone();
                let _ = self.ends[other].set_remote_credentials(now, credentials);
            }
            Call::AddCandidate(n) => {
                let line = match n % 3 {
                    0 => format!("candidate:{n} 1 udp {n}00000 192.0.2.{n} 1000 typ host"),
                    1 => format!("candidate:{n} 1 udp 7 192.0.2.{} 1001 typ srflx", other + 1),
                    _ => format!("candidate:{n} 1 udp 7 192.0.2.{} 1000 typ host", other + 1),
                };
                let _ = agent.add_remote_candidate(now, line.parse::<Candidate>().unwrap());
            }
            Call::EndOfCandidates => agent.end_of_remote_candidates(now),
            Call::Deliver(source) => {
                if self.wire[other].is_empty() {
                    return;
                }
                let datagram = self.wire[other].remove(0);
                let mut from = address(other, datagram.local.0);
                if let Some(port) = source {
                    from.set_port(5000 + u16::from(*port));
                }
                let id = LocalId(datagram.destination.port().saturating_sub(1000) % 4);
                let _ = agent.handle_datagram(now, id, from, &datagram.payload);
            }
            Call::Lose => self.wire[end].clear(),
            Call::Sleep(ms) => self.now += Duration::from_millis((*ms).into()),
            Call::SwitchRole => {
                let role = agent.role();
                agent.set_role(match role {
                    Role::Controlling => Role::Controlled,
                    Role::Controlled => Role::Controlling,
                });
            }
            Call::Restart => {
                let credentials = agent.new_credentials();
                agent.restart(now, credentials);
            }
            Call::RestartBoth => {
                for agent in &mut self.ends {
                    let credentials = agent.new_credentials();
                    agent.restart(now, credentials);
                }
                self.call(0, &Call::ExchangeCredentials);
                self.call(1, &Call::ExchangeCredentials);
            }
            Call::Data(id, host) => {
                let remote = address(usize::from(*host) % 2, *id);
                agent.note_received(now, LocalId(*id), remote, 1, 100);
                agent.note_sent(now, LocalId(*id), remote, 1, 100);
            }
            Call::Close => agent.close(),
        }
    }

    fn settle(&mut self) {
        for (agent, wire) in self.ends.iter_mut().zip(&mut self.wire) {
            agent.handle_timeout(self.now);
            while let Some(transmit) = agent.poll_transmit(self.now) {
                wire.push(transmit);
                assert!(wire.len() < 10_000);
            }
            wire.truncate(100);
            while let Some(event) = agent.poll_event() {
                if let Event::Selected(pair) = event {
                    assert_ne!(pair.remote.port(), 0);
                }
            }
            let deadline = agent.poll_timeout();
            assert!(
                deadline.is_none_or(|at| at > self.now),
                "deadline in the past"
            );
            let stats = agent.stats();
            assert!(stats.pairs.len() <= 10 && stats.remote_candidates.len() <= 12);
            assert!(stats.pairs.iter().filter(|p| p.selected).count() <= 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_sequence_of_calls_is_survived(calls in calls(), seed in any::<u8>(), lite in 0..4_u8) {
        let limits = Limits { pairs: 10, remote_candidates: 12, ..Limits::default() };
        let config = |end| AgentConfig {
            limits: limits.clone(),
            lite: lite == end,
            ..AgentConfig::default()
        };
        #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
        let now = Instant::now();
        let ends = [1, 2].map(|end| Agent::new(config(end), [seed.wrapping_add(end); 32]));
        let mut world = World { now, ends, wire: [Vec::new(), Vec::new()] };
        for (end, call) in &calls {
            world.call(usize::from(*end), call);
            world.settle();
        }
    }
}
