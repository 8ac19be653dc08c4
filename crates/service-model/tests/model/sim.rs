//! Plays the shell and the processes under virtual time.
//!
//! Owns: the queue of what will happen, which processes live, and how each unit's process behaves. After every step the
//! oracle is asked, and what only the shell can see is checked: see [`super::sim::Sim::witness`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use service_model::{
    Attempt, Command, Effect, End, Goal, Index, Input, LaunchFailure, Moved, Policy, Report,
    Restored, State, Token, Verdict, View, World,
};

use super::text::parse;

/// How the process of a unit behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// Its launch fails so.
    pub(crate) launch_fails: Option<LaunchFailure>,
    /// Nobody can be asked to launch it.
    pub(crate) unanswered: bool,
    /// Its readiness probe succeeds; `None`: it says nothing.
    pub(crate) healthy: Option<bool>,
    /// It ends by itself, so long after its launch.
    pub(crate) ends: Option<(Duration, End)>,
    /// It does not react to being asked to end.
    pub(crate) deaf: bool,
    /// It does not die when it is killed.
    pub(crate) immortal: bool,
    /// What looking at its setup says, and what performing it says.
    pub(crate) setup: (Report, Report),
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            launch_fails: None,
            unanswered: false,
            healthy: Some(true),
            ends: None,
            deaf: false,
            immortal: false,
            setup: (Report::SetupComplete, Report::SetupComplete),
        }
    }
}

/// What will happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Told(Index, Attempt, Report),
    Dies(Index, Attempt, End),
    Rings(Index, Token),
}

/// A world with its processes.
pub(crate) struct Sim {
    pub(crate) world: World,
    pub(crate) now: Duration,
    pub(crate) names: Vec<String>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) behaviours: Vec<Behaviour>,
    pub(crate) alive: BTreeMap<Index, Attempt>,
    pub(crate) history: Vec<(Duration, Effect)>,
    queue: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    happenings: Vec<Option<Happening>>,
    published: BTreeMap<Index, Attempt>,
}

impl Sim {
    pub(crate) fn parse(text: &str) -> Self {
        let units = parse(text);
        let mut world = World::new(1);
        let defined = units
            .iter()
            .map(|(_, policy)| (world.reserve(), policy.clone()))
            .collect();
        world.define_all(defined).expect("a graph without a ring");
        let (names, policies): (Vec<_>, Vec<_>) = units.into_iter().unzip();
        Self {
            world,
            now: Duration::from_secs(1000),
            behaviours: vec![Behaviour::default(); names.len()],
            names,
            policies,
            alive: BTreeMap::new(),
            history: Vec::new(),
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            published: BTreeMap::new(),
        }
    }

    pub(crate) fn index(&self, name: &str) -> Index {
        let at = self.names.iter().position(|known| known == name);
        Index(u32::try_from(at.expect("a known name")).expect("few units"))
    }

    pub(crate) fn name(&self, unit: Index) -> &str {
        &self.names[unit.0 as usize]
    }

    pub(crate) fn view(&self, name: &str) -> View {
        self.world.unit(self.index(name))
    }

    pub(crate) fn state(&self, name: &str) -> State {
        self.view(name).state
    }

    pub(crate) fn verdict(&self, name: &str, goal: Goal) -> Verdict {
        self.world.verdict(self.index(name), goal)
    }

    pub(crate) fn behave(&mut self, name: &str) -> &mut Behaviour {
        let at = self.index(name).0 as usize;
        &mut self.behaviours[at]
    }

    // What is asked.

    pub(crate) fn command(&mut self, names: &[&str], command: Command) -> &mut Self {
        let units = names.iter().map(|name| self.index(name)).collect();
        self.step(Input::Command { units, command });
        self
    }

    /// Starts a unit and, as the caller of the model does, what it needs.
    pub(crate) fn up(&mut self, name: &str) -> &mut Self {
        let unit = self.index(name);
        let mut units = self.world.dependencies(unit);
        units.push(unit);
        let command = Command::Start {
            again: false,
            gateless: false,
        };
        self.step(Input::Command { units, command });
        self
    }

    pub(crate) fn start(&mut self, names: &[&str]) -> &mut Self {
        self.command(
            names,
            Command::Start {
                again: false,
                gateless: false,
            },
        )
    }

    pub(crate) fn stop(&mut self, names: &[&str]) -> &mut Self {
        self.command(names, Command::Stop)
    }

    pub(crate) fn restart(&mut self, names: &[&str]) -> &mut Self {
        self.command(names, Command::Restart)
    }

    pub(crate) fn down_all(&mut self) -> &mut Self {
        let units = self.all();
        self.step(Input::Command {
            units,
            command: Command::Stop,
        });
        self
    }

    pub(crate) fn up_all(&mut self) -> &mut Self {
        let units = self.all();
        self.step(Input::Command {
            units,
            command: Command::Start {
                again: false,
                gateless: false,
            },
        });
        self
    }

    pub(crate) fn all(&self) -> Vec<Index> {
        (0..self.names.len()).map(|at| Index(at as u32)).collect()
    }

    /// The process of a unit ends by itself, now.
    pub(crate) fn ends(&mut self, name: &str, end: End) -> &mut Self {
        let unit = self.index(name);
        let attempt = self.alive.remove(&unit).expect("its process is alive");
        self.step(Input::Report {
            unit,
            attempt,
            report: Report::Exited(end),
        });
        self
    }

    /// The shell tells something about the current attempt of a unit, now.
    pub(crate) fn tell(&mut self, name: &str, report: Report) -> &mut Self {
        let unit = self.index(name);
        let attempt = self.world.unit(unit).attempt;
        self.step(Input::Report {
            unit,
            attempt,
            report,
        });
        self
    }

    // Time.

    /// Lets everything happen that is under way, for as long as it takes; an hour of virtual time at most.
    pub(crate) fn settle(&mut self) -> &mut Self {
        self.run_for(Duration::from_secs(3600))
    }

    pub(crate) fn run_for(&mut self, time: Duration) -> &mut Self {
        let until = self.now + time;
        while let Some(&Reverse((at, _, slot))) = self.queue.peek() {
            if at > until {
                self.now = until;
                return self;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            let happening = self.happenings[slot].take().expect("each happens once");
            self.happen(happening);
        }
        self.now = until;
        self
    }

    pub(crate) fn happens(&mut self, after: Duration, happening: Happening) {
        self.happenings.push(Some(happening));
        let slot = self.happenings.len() - 1;
        self.queue
            .push(Reverse((self.now + after, slot as u64, slot)));
    }

    fn happen(&mut self, happening: Happening) {
        let input = match happening {
            Happening::Told(unit, attempt, report) => Input::Report {
                unit,
                attempt,
                report,
            },
            Happening::Rings(unit, token) => Input::Timer { unit, token },
            Happening::Dies(unit, attempt, end) => {
                if self.alive.get(&unit) != Some(&attempt) {
                    return;
                }
                self.alive.remove(&unit);
                Input::Report {
                    unit,
                    attempt,
                    report: Report::Exited(end),
                }
            }
        };
        self.step(input);
    }

    pub(crate) fn step(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.world.step(input, self.now, &mut effects);
        self.take(effects);
    }

    /// Checks what came out of a step, and does it.
    pub(crate) fn take(&mut self, effects: Vec<Effect>) {
        self.world.check();
        for effect in effects {
            self.history.push((self.now, effect.clone()));
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Launch(unit, attempt) => self.launch(unit, attempt),
            Effect::Probe(unit, attempt) => {
                let is_probed = self.policies[unit.0 as usize].probed;
                if let (true, Some(healthy)) = (is_probed, self.behaviour(unit).healthy) {
                    let report = if healthy {
                        Report::Healthy
                    } else {
                        Report::Unhealthy
                    };
                    self.happens(ms(20), Happening::Told(unit, attempt, report));
                }
            }
            Effect::CheckSetup(unit, attempt) => {
                self.happens(
                    ms(5),
                    Happening::Told(unit, attempt, self.behaviour(unit).setup.0),
                );
            }
            Effect::PerformSetup(unit, attempt) => {
                self.happens(
                    ms(50),
                    Happening::Told(unit, attempt, self.behaviour(unit).setup.1),
                );
            }
            Effect::Terminate(unit, attempt) => {
                if !self.behaviour(unit).deaf {
                    self.happens(ms(30), Happening::Dies(unit, attempt, End::Success));
                }
            }
            Effect::Kill(unit, attempt) => {
                if !self.behaviour(unit).immortal {
                    self.happens(ms(5), Happening::Dies(unit, attempt, End::Failure));
                }
            }
            Effect::Detach(unit, attempt) => {
                self.happens(ms(1), Happening::Dies(unit, attempt, End::Success));
            }
            Effect::Arm { unit, token, after } => {
                self.happens(after, Happening::Rings(unit, token))
            }
            Effect::Publish(unit, attempt) => {
                assert_eq!(
                    self.published.insert(unit, attempt),
                    None,
                    "published twice"
                );
            }
            Effect::Withdraw(unit, attempt) => {
                assert_eq!(
                    self.published.remove(&unit),
                    Some(attempt),
                    "withdrawn unpublished"
                );
            }
            Effect::Moved(_) => {}
        }
    }

    fn launch(&mut self, unit: Index, attempt: Attempt) {
        let behaviour = self.behaviour(unit);
        if let Some(how) = behaviour.launch_fails {
            return self.happens(
                ms(5),
                Happening::Told(unit, attempt, Report::LaunchFailed(how)),
            );
        }
        if behaviour.unanswered {
            return self.happens(ms(5), Happening::Told(unit, attempt, Report::Postponed));
        }
        assert_eq!(
            self.alive.insert(unit, attempt),
            None,
            "two live attempts of {}",
            self.name(unit)
        );
        self.happens(ms(10), Happening::Told(unit, attempt, Report::Launched));
        let is_task = self.policies[unit.0 as usize].kind == service_model::UnitKind::Task;
        let ends = behaviour
            .ends
            .or(is_task.then_some((ms(100), End::Success)));
        if let Some((after, end)) = ends {
            self.happens(ms(10) + after, Happening::Dies(unit, attempt, end));
        }
    }

    fn behaviour(&self, unit: Index) -> Behaviour {
        self.behaviours[unit.0 as usize]
    }

    // What happened.

    fn names_of(&self, pick: impl Fn(&Effect) -> Option<Index>) -> Vec<&str> {
        let picked = self.history.iter().filter_map(|(_, effect)| pick(effect));
        picked.map(|unit| self.name(unit)).collect()
    }

    /// Launches, in order.
    pub(crate) fn launched(&self) -> Vec<&str> {
        self.names_of(|effect| match effect {
            Effect::Launch(unit, _) => Some(*unit),
            _ => None,
        })
    }

    /// Ordered ends, in order.
    pub(crate) fn stopped(&self) -> Vec<&str> {
        self.names_of(|effect| match effect {
            Effect::Moved(Moved {
                unit,
                to: State::Stopping,
                ..
            }) => Some(*unit),
            _ => None,
        })
    }

    /// The states that a unit went through.
    pub(crate) fn path(&self, name: &str) -> Vec<&'static str> {
        let wanted = self.index(name);
        let moves = self.history.iter().filter_map(|(_, effect)| match effect {
            Effect::Moved(moved) if moved.unit == wanted => Some(moved.to.as_str()),
            _ => None,
        });
        moves.collect()
    }

    /// How long after each other a unit was launched, in milliseconds.
    pub(crate) fn launch_gaps(&self, name: &str) -> Vec<u128> {
        let wanted = self.index(name);
        let launches = self
            .history
            .iter()
            .filter(|(_, effect)| matches!(effect, Effect::Launch(unit, _) if *unit == wanted));
        let times: Vec<Duration> = launches.map(|(at, _)| *at).collect();
        times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_millis())
            .collect()
    }

    pub(crate) fn count(&self, pick: impl Fn(&Effect) -> bool) -> usize {
        self.history
            .iter()
            .filter(|(_, effect)| pick(effect))
            .count()
    }

    pub(crate) fn forget_history(&mut self) -> &mut Self {
        self.history.clear();
        self
    }

    pub(crate) fn is_published(&self, name: &str) -> bool {
        self.published.contains_key(&self.index(name))
    }
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What was saved, so much later: less is left of what was waited for, and what was is longer ago.
pub(crate) fn aged(mut saved: Restored, by: Duration) -> Restored {
    saved.left = saved.left.map(|left| left.saturating_sub(by));
    for age in &mut saved.recent {
        *age += by;
    }
    saved
}
