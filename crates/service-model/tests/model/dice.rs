//! Randomness of the random worlds: numbers, commands, policies.

use std::time::Duration;

use service_model::{Backoff, CrashLoop, Gate, Restart, RestartWhen, UnitKind};
use service_model::{Command, Edge, Index, Policy};

use super::sim::ms;

/// A generator (xorshift): the same seed gives the same world.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn some_of(&mut self, count: u64) -> Vec<Index> {
        let all = self.percent(25);
        let chosen = (0..count).filter(|_| all || self.percent(35));
        chosen.map(|at| Index(at as u32)).collect()
    }

    pub(crate) fn command(&mut self) -> Command {
        match self.below(16) {
            0..6 => Command::Start {
                again: self.percent(30),
                gateless: self.percent(15),
            },
            6..9 => Command::Stop,
            9 => Command::Kill,
            10..13 => Command::Restart,
            13 => Command::Hold,
            _ => Command::Release,
        }
    }

    pub(crate) fn policy(&mut self, unit: u32, lower: &[Policy]) -> Policy {
        let mut edges = Vec::new();
        for on in 0..unit {
            if self.percent(35) {
                let other = lower[on as usize].kind;
                edges.push(self.edge(Index(on), other));
            }
        }
        let kind = if self.percent(25) {
            UnitKind::Task
        } else {
            UnitKind::Service
        };
        let when = match self.below(8) {
            0 => RestartWhen::Never,
            1..4 => RestartWhen::OnFailure {
                max: Some(self.below(4) as u32),
            },
            4 | 5 => RestartWhen::OnFailure { max: None },
            6 => RestartWhen::Always,
            _ => RestartWhen::UnlessStopped,
        };
        let restart = Restart {
            when,
            backoff: Backoff {
                cap: ms(1000),
                reset_after: ms(self.below(1000)),
                ..Backoff::default()
            },
            crash_loop: CrashLoop {
                limit: self.below(6) as u32,
                window: ms(2000),
                retry_every: self.percent(50).then_some(ms(1500)),
            },
        };
        Policy {
            kind,
            edges,
            probed: self.percent(55),
            setup: self.percent(20),
            attached: self.percent(8),
            restart,
            restart_on_unhealthy: self.percent(25),
            startup_timeout: self.percent(25).then_some(ms(1200)),
            run_timeout: self.percent(20).then_some(ms(1000)),
            grace: Duration::from_millis(200 + self.below(2000)),
        }
    }

    fn edge(&mut self, on: Index, other: UnitKind) -> Edge {
        let gate = match other {
            UnitKind::Task if self.percent(80) => Gate::Completed,
            UnitKind::Task => Gate::Started,
            UnitKind::Service if self.percent(60) => Gate::Ready,
            UnitKind::Service => Gate::Started,
        };
        Edge {
            on,
            gate,
            required: self.percent(80),
            restart: self.percent(30),
        }
    }
}
