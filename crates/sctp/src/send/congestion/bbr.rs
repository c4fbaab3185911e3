//! A model of the path: how fast it delivers and how long it takes when its queue is empty, after
//! BBR (draft-ietf-ccwg-bbr). What is sent follows the model, so a loss alone slows nothing down.
//!
//! The draft takes a loss rate above 2 % for a full queue, and collapses on a radio link that loses
//! more whatever is sent. Here the loss rate seen while the queue was empty is the path's own, and
//! only what exceeds it counts.

use super::{Acked, Controller, INITIAL_PACKETS, MIN_PACKETS};
use crate::send::outstanding::Moment;

/// The controller.
#[derive(Debug)]
pub(crate) struct Bbr {
    packet: usize,
    cwnd: usize,
    phase: Phase,
    /// The highest delivery rate of this and of the last cycle of probing, in bytes a second.
    bandwidth: [u64; 2],
    /// The shortest round trip in nanoseconds, and when it was seen.
    min_rtt: u64,
    min_rtt_at: Moment,
    full: FullPipe,
    round: Round,
    /// The share that the path loses with an empty queue.
    own_loss: f64,
    /// The rounds since the last probe for bandwidth, and its moment.
    rounds_since_probe: u64,
    probed_at: Moment,
    random: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Twice as fast each round trip, until that changes nothing.
    Startup,
    /// What start-up put into the queue leaves.
    Drain,
    /// Slower than the path, until the queue is empty.
    Down,
    /// As fast as the path.
    Cruise,
    /// Faster for a round trip, to see whether the path is, which takes one more to tell.
    Up(Probe),
    /// Little in flight for a while, so that the round trip is that of an empty queue.
    ProbeRtt { until: Option<Moment> },
}

/// A probe for more bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probe {
    /// Packets a round trip beyond the model.
    extra: usize,
    /// The bandwidth before.
    bandwidth: u64,
    /// All of them were sent.
    sent: bool,
}

/// Whether the bandwidth still grows.
#[derive(Debug, Default)]
struct FullPipe {
    bandwidth: u64,
    rounds: u32,
    reached: bool,
}

/// What happened in a round trip.
#[derive(Debug)]
struct Round {
    acked: usize,
    lost: usize,
    shortest: u64,
    limited: bool,
}

impl Round {
    fn new() -> Self {
        Self {
            acked: 0,
            lost: 0,
            shortest: u64::MAX,
            limited: false,
        }
    }

    fn loss(&self) -> f64 {
        self.lost as f64 / (self.acked + self.lost).max(1) as f64
    }

    /// Whether more was lost than this share, by more than chance takes from a few packets.
    fn loses_more_than(&self, share: f64, packet: usize) -> bool {
        let expected = (self.acked + self.lost) as f64 * share;
        self.lost as f64 > expected + (CHANCE_LOSSES * packet) as f64
    }
}

impl Bbr {
    pub(crate) fn new(packet: usize, seed: u32) -> Self {
        Self {
            packet,
            cwnd: INITIAL_PACKETS * packet,
            phase: Phase::Startup,
            bandwidth: [0; 2],
            min_rtt: u64::MAX,
            min_rtt_at: Moment(0),
            full: FullPipe::default(),
            round: Round::new(),
            own_loss: 0.0,
            rounds_since_probe: 0,
            probed_at: Moment(0),
            random: seed | 1,
        }
    }

    fn max_bandwidth(&self) -> u64 {
        self.bandwidth[0].max(self.bandwidth[1])
    }

    /// What fills the path and not its queue, times `gain`.
    fn bdp(&self, gain: f64) -> usize {
        if self.min_rtt == u64::MAX {
            return INITIAL_PACKETS * self.packet;
        }
        (self.max_bandwidth() as f64 * (self.min_rtt as f64 / 1e9) * gain) as usize
    }

    fn pacing_gain(&self) -> f64 {
        match self.phase {
            Phase::Startup => STARTUP_GAIN,
            Phase::Drain => DRAIN_GAIN,
            Phase::Down => DOWN_GAIN,
            Phase::Cruise | Phase::Up(_) | Phase::ProbeRtt { .. } => 1.0,
        }
    }

    fn on_round(&mut self, now: Moment) {
        let round = std::mem::replace(&mut self.round, Round::new());
        self.rounds_since_probe += 1;
        let empty = self.min_rtt.saturating_add(self.min_rtt / 16);
        let queueless = round.shortest <= empty.saturating_add(QUEUE_JITTER);
        let careful = matches!(self.phase, Phase::Cruise | Phase::Down);
        if queueless && careful && round.acked > 0 {
            self.own_loss += (round.loss() - self.own_loss) / 8.0;
        }
        self.check_full(&round);
        let excess = round.loses_more_than(self.own_loss * 1.5 + EXCESS_LOSS, self.packet);
        match self.phase {
            Phase::Up(_) if excess || round.limited => self.enter_down(now),
            Phase::Up(probe) => self.go_on_probing(now, probe),
            Phase::Cruise if self.is_time_to_probe(now) => {
                // Equal additions, whatever the rate, and proportional losses make flows equal.
                self.phase = Phase::Up(Probe {
                    extra: PROBE_PACKETS,
                    bandwidth: self.max_bandwidth(),
                    sent: false,
                });
                // What was the fastest two probes ago is forgotten.
                self.bandwidth = [0, self.bandwidth[0].max(1)];
            }
            Phase::Startup
            | Phase::Drain
            | Phase::Down
            | Phase::Cruise
            | Phase::ProbeRtt { .. } => {}
        }
    }

    /// As long as half of what was added came through, twice as much is tried.
    fn go_on_probing(&mut self, now: Moment, probe: Probe) {
        if !probe.sent {
            self.phase = Phase::Up(Probe {
                sent: true,
                ..probe
            });
        } else if self.max_bandwidth() >= probe.bandwidth + self.extra_rate(probe.extra) / 2 {
            self.phase = Phase::Up(Probe {
                extra: probe.extra * 2,
                bandwidth: self.max_bandwidth(),
                sent: false,
            });
        } else {
            self.enter_down(now);
        }
    }

    /// So many packets a round trip, in bytes a second.
    fn extra_rate(&self, packets: usize) -> u64 {
        (packets * self.packet) as u64 * 1_000_000_000 / self.min_rtt.max(1)
    }

    /// The pipe is full when three rounds in a row, or one that loses much, brought no quarter more.
    fn check_full(&mut self, round: &Round) {
        if self.full.reached || round.limited {
            return;
        }
        let bandwidth = self.max_bandwidth();
        if bandwidth >= self.full.bandwidth + self.full.bandwidth / 4 {
            self.full.bandwidth = bandwidth;
            self.full.rounds = 0;
            return;
        }
        self.full.rounds += 1;
        self.full.reached =
            self.full.rounds >= FULL_ROUNDS || round.loses_more_than(STARTUP_LOSS, self.packet);
    }

    fn update_model(&mut self, acked: &Acked) {
        if let Some(rtt) = acked.rtt {
            self.round.shortest = self.round.shortest.min(rtt);
            if rtt <= self.min_rtt {
                self.min_rtt = rtt;
                self.min_rtt_at = acked.now;
            }
        }
        if let Some(sample) = acked.rate {
            self.round.limited |= sample.limited;
            if !sample.limited || sample.rate >= self.max_bandwidth() {
                self.bandwidth[0] = self.bandwidth[0].max(sample.rate);
            }
        }
    }

    fn update_phase(&mut self, acked: &Acked) {
        let now = acked.now;
        match self.phase {
            Phase::Startup if self.full.reached => self.phase = Phase::Drain,
            Phase::Startup => {}
            Phase::Drain => {
                if acked.in_flight <= self.bdp(1.0) {
                    self.enter_down(now);
                }
            }
            Phase::Down => {
                if acked.in_flight <= self.bdp(1.0) {
                    self.phase = Phase::Cruise;
                }
            }
            Phase::Cruise | Phase::Up(_) => {}
            Phase::ProbeRtt { until } => self.probe_rtt(acked, until),
        }
        let stale = now.0.saturating_sub(self.min_rtt_at.0) > MIN_RTT_LIFE;
        if stale && !matches!(self.phase, Phase::ProbeRtt { .. }) && self.full.reached {
            self.phase = Phase::ProbeRtt { until: None };
        }
    }

    /// Every two to three seconds, or as often as a flow of RFC 9260 would have grown by a quarter of
    /// a small window.
    fn is_time_to_probe(&self, now: Moment) -> bool {
        let spread = (u64::from(self.random) * 1_000_000_000) >> 32;
        let rounds =
            (self.bdp(1.0) / self.packet.max(1)).clamp(MIN_CRUISE_ROUNDS, MAX_CRUISE_ROUNDS) as u64;
        now.0.saturating_sub(self.probed_at.0) >= PROBE_INTERVAL + spread
            || self.rounds_since_probe >= rounds
    }

    fn enter_down(&mut self, now: Moment) {
        self.phase = Phase::Down;
        self.probed_at = now;
        self.rounds_since_probe = 0;
        // Numerical Recipes' generator: connections that start together should not probe together.
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
    }

    fn probe_rtt(&mut self, acked: &Acked, until: Option<Moment>) {
        match until {
            None if acked.in_flight <= self.probe_rtt_window() => {
                self.phase = Phase::ProbeRtt {
                    until: Some(Moment(acked.now.0 + PROBE_RTT_TIME.max(self.min_rtt))),
                };
                // The measurements of the time that follows count alone.
                self.min_rtt = acked.rtt.unwrap_or(self.min_rtt);
            }
            Some(end) if acked.now >= end => {
                self.min_rtt_at = acked.now;
                self.enter_down(acked.now);
            }
            None | Some(_) => {}
        }
    }

    fn probe_rtt_window(&self) -> usize {
        self.bdp(0.5).max(MIN_PACKETS * self.packet)
    }

    fn update_window(&mut self, acked: &Acked) {
        let floor = MIN_PACKETS * self.packet;
        let burst = (self.max_bandwidth() / 1_000_000_000 * BURST) as usize;
        let mut target = self.bdp(WINDOW_GAIN) + burst + 3 * self.packet;
        if let Phase::Up(probe) = self.phase {
            // With others' packets in the queue the window is all used, and would let no probe out.
            target += 2 * probe.extra * self.packet;
        }
        if self.full.reached {
            self.cwnd = (self.cwnd + acked.bytes).min(target);
        } else if self.cwnd < target {
            self.cwnd += acked.bytes;
        }
        if matches!(self.phase, Phase::ProbeRtt { .. }) {
            self.cwnd = self.cwnd.min(self.probe_rtt_window());
        }
        self.cwnd = self.cwnd.max(floor);
    }
}

impl Controller for Bbr {
    fn window(&self) -> usize {
        self.cwnd
    }

    /// There is none.
    fn ssthresh(&self) -> usize {
        usize::MAX
    }

    fn pacing_rate(&self, srtt: u64) -> u64 {
        let bandwidth = self.max_bandwidth();
        if bandwidth == 0 {
            let initial = self.cwnd as u64 * 1_000_000_000 / srtt.max(1);
            return (initial as f64 * STARTUP_GAIN) as u64;
        }
        // A little less than the path, so that a queue that came by chance goes.
        let margin = if self.full.reached { 0.99 } else { 1.0 };
        let mut rate = (bandwidth as f64 * self.pacing_gain() * margin) as u64;
        if let Phase::Up(Probe {
            extra, sent: false, ..
        }) = self.phase
        {
            rate += self.extra_rate(extra);
        }
        rate.max((MIN_PACKETS * self.packet) as u64)
    }

    fn wants_rate(&self) -> bool {
        true
    }

    fn on_acked(&mut self, acked: &Acked) {
        self.update_model(acked);
        self.round.acked += acked.bytes;
        self.round.lost += acked.lost;
        if acked.round {
            self.on_round(acked.now);
        }
        self.update_phase(acked);
        self.update_window(acked);
    }

    /// A loss alone says nothing.
    fn on_loss(&mut self, _now: Moment) {}

    /// Nothing is known of what is in flight; the model tells how far to grow again.
    fn on_timeout(&mut self, _now: Moment) {
        self.cwnd = MIN_PACKETS * self.packet;
    }

    fn undo(&mut self) {
        self.cwnd = self.cwnd.max(self.bdp(WINDOW_GAIN));
    }

    /// The model is as good as before, and the pacer lets no burst go.
    fn on_idle(&mut self, _rtos: u32) {}

    fn on_path_resumed(&mut self) {
        self.cwnd = self.cwnd.max(INITIAL_PACKETS * self.packet);
    }

    fn set_packet_size(&mut self, bytes: usize) {
        self.packet = bytes;
        self.cwnd = self.cwnd.max(MIN_PACKETS * bytes);
    }
}

/// 4 ln 2: the lowest gain with which the rate doubles in a round trip.
const STARTUP_GAIN: f64 = 2.77;
const DRAIN_GAIN: f64 = 0.35;
const DOWN_GAIN: f64 = 0.9;
/// Packets a round trip that the first step of a probe adds.
const PROBE_PACKETS: usize = 12;
/// SACKs may come late and together.
const WINDOW_GAIN: f64 = 2.0;
const FULL_ROUNDS: u32 = 3;
/// What a round may lose beyond the path's own share before the queue counts as full.
const EXCESS_LOSS: f64 = 0.02;
/// Start-up sends almost three times what a full path takes: half of that and more is lost.
const STARTUP_LOSS: f64 = 0.3;
/// Losses of a round that may be chance.
const CHANCE_LOSSES: usize = 3;
/// A round trip of so many nanoseconds more is no queue.
const QUEUE_JITTER: u64 = 1_000_000;
/// After five seconds without an empty queue one is made, for 200 ms.
const MIN_RTT_LIFE: u64 = 5_000_000_000;
const PROBE_RTT_TIME: u64 = 200_000_000;
const PROBE_INTERVAL: u64 = 2_000_000_000;
const MIN_CRUISE_ROUNDS: usize = 16;
const MAX_CRUISE_ROUNDS: usize = 63;
/// What the pacer lets go at once, in nanoseconds.
const BURST: u64 = 2_000_000;
