//! A shell and processes that do everything wrong, under virtual time.
//!
//! Owns: faults (launches that fail, crashes, deaf and immortal processes, health that flaps, setups), commits that
//! fail (effects released late), crashes of the daemon (a new world from what was committed), changed definitions. After
//! every step the oracle recomputes the world, and [`Chaos::witness`] checks what is seen from outside.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use service_model::UnitKind;
use service_model::{
    Attempt, Command, Effect, End, Index, Input, LaunchFailure, Policy, Report, Restored, State,
    Token, World,
};

use super::dice::Dice;
use super::sim::{aged, ms};

/// What will happen.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Told(Index, Attempt, Report),
    Dies(Index, Attempt, End),
    Rings(Index, Token),
    Found(Index),
    Asked(Vec<Index>, Command),
    Redefined(Index),
    Removed(Index),
    Released,
    Crash,
}

/// A world under attack.
pub(crate) struct Chaos {
    pub(crate) world: World,
    pub(crate) policies: Vec<Policy>,
    pub(crate) steps: u64,
    pub(crate) launches: u64,
    pub(crate) seed: u64,
    pub(crate) faults: bool,
    pub(crate) dice: Dice,
    pub(crate) now: Duration,
    pub(crate) alive: BTreeMap<Index, Attempt>,
    pub(crate) immortal: bool,
    queue: BinaryHeap<Reverse<(Duration, usize)>>,
    happenings: Vec<Option<Happening>>,
    pub(crate) published: BTreeMap<Index, Attempt>,
    /// Effects whose commit has failed so far, and what was committed before.
    pub(crate) withheld: VecDeque<Effect>,
    committed: Option<(Duration, Vec<Restored>)>,
    pub(crate) killed: bool,
}

impl Chaos {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let count = 1 + dice.below(9) as u32;
        let mut policies: Vec<Policy> = Vec::new();
        for unit in 0..count {
            let policy = dice.policy(unit, &policies);
            policies.push(policy);
        }
        let mut world = World::new(seed);
        let defined = policies
            .iter()
            .cloned()
            .map(|policy| (world.reserve(), policy))
            .collect();
        world
            .define_all(defined)
            .expect("edges lead to lower indices");
        let mut chaos = Self {
            world,
            policies,
            steps: 0,
            launches: 0,
            seed,
            faults: true,
            dice,
            now: Duration::from_secs(5),
            alive: BTreeMap::new(),
            immortal: true,
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            published: BTreeMap::new(),
            withheld: VecDeque::new(),
            committed: None,
            killed: false,
        };
        chaos.resume();
        chaos.schedule_attacks();
        chaos
    }

    fn schedule_attacks(&mut self) {
        let count = self.policies.len() as u64;
        for _ in 0..3 + self.dice.below(12) {
            let at = ms(self.dice.below(4000));
            let unit = Index(self.dice.below(count) as u32);
            let happening = match self.dice.below(24) {
                0 | 1 => Happening::Crash,
                2 => Happening::Redefined(unit),
                3 => Happening::Removed(unit),
                _ => Happening::Asked(self.dice.some_of(count), self.dice.command()),
            };
            self.later(at, happening);
        }
        let all = self.all();
        self.later(ms(0), Happening::Asked(all, START));
    }

    pub(crate) fn all(&self) -> Vec<Index> {
        (0..self.policies.len() as u32).map(Index).collect()
    }

    pub(crate) fn states(&self) -> Vec<State> {
        self.all()
            .into_iter()
            .map(|unit| self.world.unit(unit).state)
            .collect()
    }

    pub(crate) fn ask(&mut self, command: Command) {
        let all = self.all();
        self.later(Duration::ZERO, Happening::Asked(all, command));
    }

    /// From here on everything goes well: what lives proves itself, what is launched works, what is killed dies.
    pub(crate) fn heal(&mut self) {
        self.faults = false;
        self.immortal = false;
        self.forget(|happening| {
            matches!(
                happening,
                Happening::Told(_, _, Report::Unhealthy | Report::Paused | Report::Dead)
            )
        });
        for (unit, attempt) in self.alive.clone() {
            match self.world.unit(unit).state {
                State::Lost | State::Stopping => {
                    self.later(ms(1), Happening::Dies(unit, attempt, End::Failure))
                }
                _ => self.later(ms(40), Happening::Told(unit, attempt, Report::Healthy)),
            }
            if self.policies[unit.0 as usize].kind == UnitKind::Task {
                self.later(ms(50), Happening::Dies(unit, attempt, End::Success));
            }
        }
    }

    pub(crate) fn later(&mut self, after: Duration, happening: Happening) {
        self.queue
            .push(Reverse((self.now + after, self.happenings.len())));
        self.happenings.push(Some(happening));
    }

    fn forget(&mut self, which: impl Fn(&Happening) -> bool) {
        let happenings = &mut self.happenings;
        happenings
            .iter_mut()
            .for_each(|slot| drop(slot.take_if(|happening| which(happening))));
        self.queue
            .retain(|Reverse((_, slot))| happenings[*slot].is_some());
    }

    /// Until nothing more happens; false when that takes too long.
    pub(crate) fn run(&mut self) -> bool {
        for _ in 0..20_000 {
            let Some(Reverse((at, slot))) = self.queue.pop() else {
                return true;
            };
            self.now = self.now.max(at);
            let happening = self.happenings[slot].take().expect("each happens once");
            self.happen(happening);
        }
        false
    }

    /// As long as attacks are under way, and a little longer.
    pub(crate) fn run_for_attacks(&mut self) {
        let until = self.now + ms(6000);
        while let Some(&Reverse((at, slot))) = self.queue.peek() {
            if at > until {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            let happening = self.happenings[slot].take().expect("each happens once");
            self.happen(happening);
        }
        self.release();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Told(unit, attempt, report) => self.step(Input::Report {
                unit,
                attempt,
                report,
            }),
            Happening::Rings(unit, token) => self.step(Input::Timer { unit, token }),
            Happening::Asked(units, command) => {
                self.killed = command == Command::Kill;
                self.step(Input::Command { units, command });
                self.killed = false;
            }
            Happening::Dies(unit, attempt, end) => {
                if self.alive.get(&unit) == Some(&attempt) {
                    self.alive.remove(&unit);
                    self.step(Input::Report {
                        unit,
                        attempt,
                        report: Report::Exited(end),
                    });
                }
            }
            Happening::Found(unit) => self.find(unit),
            Happening::Redefined(unit) => {
                let lower = self.policies[..unit.0 as usize].to_vec();
                self.redefine(unit, &lower);
            }
            Happening::Removed(unit) => {
                if self.world.remove(unit).is_ok() {
                    self.policies[unit.0 as usize].edges.clear();
                    self.resume();
                    let lower = self.policies[..unit.0 as usize].to_vec();
                    self.redefine(unit, &lower);
                }
            }
            Happening::Released => self.release(),
            Happening::Crash => self.crash(),
        }
    }

    /// Any report about any attempt, any timer, any unit, and the oracle after it. Nothing is performed.
    pub(crate) fn tell_nonsense(&mut self) {
        let unit = Index(self.dice.below(self.policies.len() as u64 + 1) as u32);
        let attempt = Attempt(self.dice.below(4));
        let end = [End::Success, End::Failure][self.dice.below(2) as usize];
        let input = match self.dice.below(18) {
            0 => Input::Timer {
                unit,
                token: Token(self.dice.below(20)),
            },
            1 | 2 => Input::Command {
                units: vec![unit],
                command: self.dice.command(),
            },
            at => {
                let reports = [
                    Report::Launched,
                    Report::Launched,
                    Report::LaunchFailed(LaunchFailure::Transient),
                    Report::NeverBegan,
                    Report::Unlaunchable,
                    Report::Exited(end),
                    Report::Healthy,
                    Report::Unprobed,
                    Report::Unhealthy,
                    Report::Paused,
                    Report::Postponed,
                    Report::Dead,
                    Report::SetupComplete,
                    Report::SetupRequired,
                    Report::SetupFailed,
                ];
                Input::Report {
                    unit,
                    attempt,
                    report: reports[at as usize - 3],
                }
            }
        };
        self.now += ms(self.dice.below(2000));
        self.world.step(input, self.now, &mut Vec::new());
        self.world.check();
    }

    fn redefine(&mut self, unit: Index, lower: &[Policy]) {
        let mut policy = self.dice.policy(unit.0, lower);
        // What runs is what it is; only policies change.
        policy.kind = self.policies[unit.0 as usize].kind;
        policy.attached = self.policies[unit.0 as usize].attached;
        self.world
            .define(Some(unit), policy.clone())
            .expect("edges lead to lower indices");
        self.policies[unit.0 as usize] = policy;
        self.resume();
    }

    fn resume(&mut self) {
        let mut effects = Vec::new();
        self.world.resume(self.now, &mut effects);
        self.take(effects);
    }

    fn step(&mut self, input: Input) {
        self.steps += 1;
        if self.faults && self.committed.is_none() && self.dice.percent(2) {
            self.committed = Some((self.now, self.saved()));
            let after = ms(self.dice.below(300));
            self.later(after, Happening::Released);
        }
        let mut effects = Vec::new();
        self.world.step(input, self.now, &mut effects);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        self.world.check();
        for effect in effects {
            self.witness(&effect);
            let ends = matches!(
                effect,
                Effect::Terminate(..) | Effect::Kill(..) | Effect::Detach(..)
            );
            match self.committed.is_some() && !ends {
                true => self.withheld.push_back(effect),
                false => self.perform(effect),
            }
        }
    }

    fn release(&mut self) {
        self.committed = None;
        while let Some(effect) = self.withheld.pop_front() {
            self.perform(effect);
        }
    }

    fn saved(&self) -> Vec<Restored> {
        self.all()
            .into_iter()
            .map(|unit| self.world.save(unit))
            .collect()
    }

    /// The daemon dies; what runs goes on. Reports, timers and uncommitted effects are lost.
    fn crash(&mut self) {
        let (then, saved) = self
            .committed
            .take()
            .unwrap_or_else(|| (self.now, self.saved()));
        // The daemon is away for a while, and what was kept may be older than its death.
        self.now += ms(self.dice.below(20));
        let away = self.now - then;
        let mut saved: Vec<Restored> = saved.into_iter().map(|unit| aged(unit, away)).collect();
        self.withheld.clear();
        self.published.clear();
        self.forget(|happening| {
            matches!(
                happening,
                Happening::Told(..) | Happening::Rings(..) | Happening::Found(_)
            )
        });
        self.world = World::new(self.seed ^ 1);
        let defined = self
            .policies
            .iter()
            .cloned()
            .map(|policy| (self.world.reserve(), policy))
            .collect();
        self.world
            .define_all(defined)
            .expect("edges lead to lower indices");
        let is_exact = self.dice.percent(70);
        for (unit, saved) in self.all().into_iter().zip(&mut saved) {
            if !is_exact {
                saved.bases.clear();
                saved.left = None;
                saved.recent.clear();
            }
            self.world.restore(unit, saved.clone());
        }
        self.resume();
        for (unit, saved) in self.all().into_iter().zip(&saved) {
            self.witness_restored(unit, saved);
        }
        for unit in self.all() {
            if self.world.unit(unit).state.is_active() {
                let after = ms(self.dice.below(60));
                self.later(after, Happening::Found(unit));
            }
        }
    }

    /// The new daemon has looked for the attempt of a unit.
    fn find(&mut self, unit: Index) {
        let view = self.world.unit(unit);
        let is_alive = self.alive.get(&unit) == Some(&view.attempt);
        let report = match (is_alive, view.state) {
            (true, _) => Report::Launched,
            (false, State::Starting) => Report::LaunchFailed(LaunchFailure::Transient),
            (false, _) => Report::Exited(End::Failure),
        };
        if view.state.is_active() && !view.confirmed {
            self.step(Input::Report {
                unit,
                attempt: view.attempt,
                report,
            });
        }
    }
}

pub(crate) const START: Command = Command::Start {
    again: false,
    gateless: false,
};
