//! Whoever waits for units to come so far.
//!
//! Owns: the waiting. All of them must have come so far at one moment: a unit that was ready and has failed since is not
//! ready. What can never be reached ends the wait at once.

use std::collections::BTreeSet;

use super::commit::Deferred;
use super::request::{OrderError, Reply, Waited};
use super::turn::Supervisor;
use crate::model::{Because, Goal, Index, Obstacle, Verdict};
use crate::report::Blocked;

#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    /// Whom it waits for, and their names: a unit may be forgotten meanwhile.
    units: Vec<(Index, String)>,
    until: Until,
    then: Then,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    pub(super) goal: Goal,
    /// One of them is enough.
    pub(super) any: bool,
    /// The asker has ordered them down: what is wanted again was ordered up since.
    pub(super) ordered_down: bool,
}

#[derive(Debug)]
enum Then {
    Answer(Reply<Result<Waited, OrderError>>),
    /// The supervisor ends, whether all of them came so far or not.
    End(Reply<()>),
}

impl Supervisor {
    pub(super) fn wait_for(
        &mut self,
        units: Vec<Index>,
        until: Until,
        reply: Reply<Result<Waited, OrderError>>,
    ) {
        let units = self.named(units);
        self.waiters.waiting.push(Waiter {
            units,
            until,
            then: Then::Answer(reply),
        });
    }

    pub(super) fn wait_to_end(&mut self, units: Vec<Index>, goal: Goal, reply: Reply<()>) {
        let units = self.named(units);
        self.waiters.waiting.push(Waiter {
            units,
            until: Until {
                goal,
                any: false,
                ordered_down: false,
            },
            then: Then::End(reply),
        });
    }

    fn named(&self, units: Vec<Index>) -> Vec<(Index, String)> {
        let name = |unit: Index| (unit, self.units.get(unit).id.local_name());
        units.into_iter().map(name).collect()
    }

    /// Answers those who need not wait any longer.
    pub(super) fn answer_waiters(&mut self) {
        if self.waiters.waiting.is_empty() {
            return;
        }
        let ailing = self.ailing();
        for waiter in std::mem::take(&mut self.waiters.waiting) {
            if waiter.is_gone() {
                continue;
            }
            match self.outcome(&waiter, &ailing) {
                None => self.waiters.waiting.push(waiter),
                Some(waited) => match waiter.then {
                    Then::Answer(reply) => self.reply(reply, Ok(waited)),
                    Then::End(reply) => {
                        self.reply(reply, ());
                        self.keeper.defer(Deferred::End);
                    }
                },
            }
        }
    }

    /// What came of a wait; nothing yet while it goes on.
    fn outcome(&self, waiter: &Waiter, ailing: &BTreeSet<Index>) -> Option<Waited> {
        let (mut reached, mut blocked) = (0, Vec::new());
        for (unit, name) in &waiter.units {
            match self.prospect(*unit, name, waiter.until, ailing) {
                Prospect::Reached => reached += 1,
                Prospect::Open => {}
                Prospect::Blocked(why) => blocked.push(why),
            }
        }
        let count = waiter.units.len();
        let (is_enough, is_hopeless) = match (waiter.until.any, &waiter.then) {
            (true, _) => (reached > 0 || count == 0, blocked.len() == count),
            (false, Then::Answer(_)) => (reached == count, !blocked.is_empty()),
            // Before the end, everything that can still come so far does.
            (false, Then::End(_)) => (reached == count, reached + blocked.len() == count),
        };
        match (is_enough, is_hopeless) {
            (true, _) => Some(Waited::Reached),
            (false, true) => Some(Waited::Never(blocked)),
            (false, false) => None,
        }
    }

    /// Units that are unhealthy, and all that need one: nobody else has to be asked why they are not ready. In a long
    /// chain the answer to that is long, and there is a turn for every unit of it.
    fn ailing(&self) -> BTreeSet<Index> {
        let unhealthy = self
            .units
            .all()
            .map(|entry| entry.index)
            .filter(|unit| self.world.unit(*unit).unhealthy);
        let mut ailing = BTreeSet::new();
        for unit in unhealthy {
            if ailing.insert(unit) {
                ailing.extend(self.world.dependents(unit));
            }
        }
        ailing
    }

    fn prospect(
        &self,
        unit: Index,
        name: &str,
        until: Until,
        ailing: &BTreeSet<Index>,
    ) -> Prospect {
        let goal = until.goal;
        let itself = |reason: String| {
            Prospect::Blocked(Blocked {
                name: name.to_owned(),
                culprit: name.to_owned(),
                reason,
                unhealthy: false,
                started_again: false,
            })
        };
        // It may have been forgotten since: it is gone then, and nothing else.
        let Some(entry) = self.units.find(unit) else {
            return match goal {
                Goal::Stopped => Prospect::Reached,
                Goal::Launched | Goal::Running | Goal::Ready | Goal::Completed => {
                    itself("it is no longer defined".into())
                }
            };
        };
        if goal == Goal::Stopped && self.is_missing(unit) {
            return itself(entry.facts.reason.clone().unwrap_or_default());
        }
        if goal == Goal::Stopped && until.ordered_down && self.world.unit(unit).wanted {
            return Prospect::Blocked(Blocked {
                name: name.to_owned(),
                culprit: name.to_owned(),
                reason: "it was started again by another order".into(),
                unhealthy: false,
                started_again: true,
            });
        }
        match self.world.verdict(unit, goal) {
            Verdict::Reached => Prospect::Reached,
            Verdict::Pending if goal != Goal::Stopped && ailing.contains(&unit) => {
                match self.unhealthy_culprit(unit) {
                    Some(culprit) => Prospect::Blocked(Blocked {
                        name: name.to_owned(),
                        culprit: self.units.get(culprit).id.local_name(),
                        reason: self.health_sentence(culprit),
                        unhealthy: true,
                        started_again: false,
                    }),
                    None => Prospect::Open,
                }
            }
            Verdict::Pending => Prospect::Open,
            Verdict::Never {
                unit: culprit,
                obstacle,
            } => Prospect::Blocked(Blocked {
                name: name.to_owned(),
                culprit: self
                    .units
                    .find(culprit)
                    .map_or_else(|| "?".into(), |entry| entry.id.local_name()),
                reason: self.obstacle_sentence(culprit, &obstacle),
                unhealthy: false,
                started_again: false,
            }),
        }
    }

    /// The unit that runs but is unhealthy, and so keeps this one from being ready.
    fn unhealthy_culprit(&self, unit: Index) -> Option<Index> {
        let why = self.world.why(unit);
        let mut roots = why.roots();
        roots
            .find(|reason| reason.because == Because::Unhealthy)
            .map(|reason| reason.unit)
    }

    fn obstacle_sentence(&self, culprit: Index, obstacle: &Obstacle) -> String {
        match obstacle {
            Obstacle::NotWanted => "nobody has started it".into(),
            Obstacle::Held => "it is kept down by the operator".into(),
            Obstacle::Failed(cause) => self.failure_sentence(culprit, "it failed", *cause),
            Obstacle::CrashLoop(cause) => {
                self.failure_sentence(culprit, "it ends again and again", *cause)
            }
            Obstacle::Lost => "it was killed, and its death was not confirmed".into(),
            Obstacle::Ended => "it has ended".into(),
            Obstacle::Undefined => "it is not defined".into(),
        }
    }
}

enum Prospect {
    Reached,
    Open,
    Blocked(Blocked),
}

impl Waiter {
    /// Whoever asked does not wait any more.
    fn is_gone(&self) -> bool {
        match &self.then {
            Then::Answer(reply) => reply.is_closed(),
            Then::End(_) => false,
        }
    }
}
