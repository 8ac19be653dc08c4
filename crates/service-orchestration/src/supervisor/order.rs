//! Answering requests: what is asked of stacks and units.
//!
//! Owns: whom an order reaches, and why one is refused. What then happens is the model's to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::commit::Deferred;
use super::request::{ApplyError, ForgetError, Order, OrderError, Ordered, Reply, Request};
use super::turn::Supervisor;
use super::wait::Until;
use crate::model::{Command, Goal, Index, Input, State};
use crate::report::EventKind;
use crate::spec::{StackName, UnitName};

impl Supervisor {
    pub(super) fn answer(&mut self, request: Request) {
        match request {
            Request::Apply { reply, .. } if self.is_ending => {
                self.reply(reply, Err(ApplyError::Ended));
            }
            Request::Apply {
                stack,
                secrets,
                mode,
                reply,
            } => {
                let answer = self.apply(*stack, secrets, mode);
                self.reply(reply, answer);
            }
            Request::Command {
                order: Order::Start { .. } | Order::Restart { .. },
                reply,
                ..
            } if self.is_ending => self.reply(reply, Err(OrderError::Ended)),
            Request::Command {
                stack,
                units,
                order,
                reply,
            } => {
                let answer = self.order(&stack, &units, &order);
                self.reply(reply, answer);
            }
            Request::Wait {
                stack,
                units,
                goal,
                any,
                ordered_down,
                reply,
            } => match self.resolve(&stack, &units) {
                Ok(units) => {
                    let until = Until {
                        goal,
                        any,
                        ordered_down,
                    };
                    self.wait_for(units, until, reply);
                }
                Err(error) => self.reply(reply, Err(error)),
            },
            Request::Forget { stack, reply } => {
                let answer = self.forget_stack(&stack);
                self.reply(reply, answer);
            }
            Request::Controls {
                stack,
                units,
                reply,
            } => {
                let answer = self
                    .resolve(&stack, &units)
                    .map(|units| self.controls(&units));
                drop(reply.try_send(answer));
            }
            Request::Running { unit, reply } => {
                let answer = self.running(&unit);
                drop(reply.try_send(answer));
            }
            Request::Status { stack, reply } => {
                drop(reply.try_send(self.status(&stack)));
            }
            Request::StatusText { stack, reply } => {
                drop(reply.try_send(self.status_text(&stack)));
            }
            Request::Stacks { reply } => {
                drop(reply.try_send(self.units.stacks().map(Arc::clone).collect()));
            }
            Request::Overview { reply } => drop(reply.try_send(self.overview())),
            Request::Why { stack, unit, reply } => {
                let answer = self
                    .resolve(&stack, std::slice::from_ref(&unit))
                    .map(|units| self.explain(units[0]));
                drop(reply.try_send(answer));
            }
            Request::Net {
                stack,
                asker,
                unit,
                reply,
            } => {
                let answer = self.net(&stack, asker.as_deref(), unit.as_deref());
                drop(reply.try_send(answer));
            }
            Request::Input { unit, input, reply } => {
                self.inputs.expect(unit, input);
                let _asker_is_gone = reply.try_send(());
            }
            Request::Register(what) => self.register(what),
            Request::OneOff { reply, .. } if self.is_ending => {
                drop(reply.try_send(Err(OrderError::Ended.into())));
            }
            Request::OneOff {
                stack,
                unit,
                wish,
                reply,
            } => self.begin_one_off(&stack, &unit, *wish, reply),
            Request::OneOffOrder { id, ground, reply } => {
                let answer = self.one_off_order(&id, ground);
                drop(reply.try_send(answer));
            }
            Request::EndOneOffs { stack, id, reply } => {
                let answer = self.end_one_offs(&stack, id.as_deref());
                drop(reply.try_send(answer));
            }
            Request::Subscribe {
                since,
                capacity,
                reply,
            } => {
                drop(reply.try_send(self.hub.subscribe(since, capacity)));
            }
            Request::Shutdown { keep, reply } => self.shut_down(keep, reply),
        }
    }

    /// Answers once what was decided is kept. Whoever asked may be gone by then.
    pub(super) fn reply<T: Send + 'static>(&mut self, reply: Reply<T>, answer: T) {
        self.keeper.defer(Deferred::Answer(Box::new(move || {
            drop(reply.try_send(answer));
        })));
    }

    /// The units of these names (of the whole stack when there are none).
    pub(super) fn resolve(
        &self,
        stack: &StackName,
        names: &[UnitName],
    ) -> Result<Vec<Index>, OrderError> {
        if self.units.stack(stack).is_none() {
            return Err(OrderError::UnknownStack {
                stack: stack.to_string(),
            });
        }
        if names.is_empty() {
            return Ok(self
                .units
                .of_stack(stack)
                .map(|entry| entry.index)
                .collect());
        }
        let mut units = Vec::new();
        for name in names {
            let instances = self.units.known_instances(stack, name);
            if instances.is_empty() {
                let known = self
                    .units
                    .of_stack(stack)
                    .map(|entry| entry.id.name.as_str());
                return Err(OrderError::UnknownUnit {
                    stack: stack.to_string(),
                    unit: name.to_string(),
                    similar: similar(name.as_str(), known),
                });
            }
            units.extend(instances);
        }
        Ok(units)
    }

    pub(super) fn order(
        &mut self,
        stack: &StackName,
        names: &[UnitName],
        order: &Order,
    ) -> Result<Ordered, OrderError> {
        let mut named = self.resolve(stack, names)?;
        if let (Order::Start { .. }, true, Some(spec)) =
            (order, names.is_empty(), self.units.stack(stack))
        {
            // What still runs and is no longer defined is nobody's to start.
            // Nor is what is in no active profile, and runs because somebody asked for it before.
            named.retain(|unit| {
                let name = &self.units.get(*unit).id.name;
                spec.units.contains_key(name) && !spec.inactive.contains_key(name)
            });
        }
        match order {
            Order::Start {
                no_dependencies,
                again,
            } => self.start(&named, *no_dependencies, *again && !names.is_empty()),
            Order::Stop {
                with_dependents,
                force,
                grace,
            } => {
                let units = self.with_dependents(named, *with_dependents, *force)?;
                self.set_grace(&units, *grace);
                self.note_stop_order(&units);
                // Whoever forces and gives no time at all does not want to be asked first what still stops in order.
                let at_once = *force && *grace == Some(std::time::Duration::ZERO);
                if at_once {
                    return Ok(self.command(units, Command::Kill));
                }
                // What was asked before and is now given no time has nothing left to wait for.
                let is_late = |unit: &Index| self.world.unit(*unit).state == State::Stopping;
                let (late, others): (Vec<Index>, Vec<Index>) = match grace {
                    Some(std::time::Duration::ZERO) => units.into_iter().partition(is_late),
                    Some(_) | None => (Vec::new(), units),
                };
                let mut ordered = self.command(others, Command::Stop);
                if !late.is_empty() {
                    let killed = self.command(late, Command::Kill);
                    ordered.units.extend(killed.units);
                    ordered.moved.extend(killed.moved);
                }
                Ok(ordered)
            }
            Order::Restart { grace } => self.restart(&named, *grace),
            Order::Hold => Ok(self.command(named, Command::Hold)),
            Order::Release => Ok(self.command(named, Command::Release)),
        }
    }

    fn start(
        &mut self,
        named: &[Index],
        no_dependencies: bool,
        again: bool,
    ) -> Result<Ordered, OrderError> {
        let mut reached: BTreeSet<Index> = named.iter().copied().collect();
        if !no_dependencies {
            for unit in named {
                reached.extend(self.world.dependencies(*unit));
            }
        }
        let reached: Vec<Index> = reached.into_iter().collect();
        self.refuse_unsupported(&reached)?;
        self.set_grace(&reached, None);
        self.forget_stop_order(&reached);
        let command = |unit: Index| {
            let is_named = named.contains(&unit);
            // What runs by an older definition is brought up to date; what runs by this one is left alone.
            match self.is_outdated(unit) {
                true if self.world.unit(unit).state.is_active() => Command::Restart,
                is_outdated => Command::Start {
                    again: is_outdated || (again && is_named),
                    gateless: no_dependencies && is_named,
                },
            }
        };
        let asked = reached.iter().map(|unit| (*unit, command(*unit)));
        let asked = asked.collect();
        Ok(self.commands(asked))
    }

    /// A new attempt of each. What they cannot do without, and nobody has started, is started as by a start.
    fn restart(
        &mut self,
        named: &[Index],
        grace: Option<std::time::Duration>,
    ) -> Result<Ordered, OrderError> {
        let start = Command::Start {
            again: false,
            gateless: false,
        };
        self.forget_stop_order(named);
        let mut asked: BTreeMap<Index, Option<Command>> = BTreeMap::new();
        asked.extend(named.iter().map(|unit| (*unit, Some(Command::Restart))));
        let mut open = named.to_vec();
        while let Some(unit) = open.pop() {
            if self.world.unit(unit).gateless {
                continue;
            }
            for edge in self.policy(unit).edges {
                if edge.required && !asked.contains_key(&edge.on) {
                    let is_wanted = self.world.unit(edge.on).wanted;
                    asked.insert(edge.on, (!is_wanted).then_some(start));
                    open.push(edge.on);
                }
            }
        }
        let asked: Vec<(Index, Command)> = asked
            .into_iter()
            .filter_map(|(unit, command)| Some((unit, command?)))
            .collect();
        let units: Vec<Index> = asked.iter().map(|(unit, _)| *unit).collect();
        self.refuse_unsupported(&units)?;
        self.set_grace(named, grace);
        let mut ordered = self.commands(asked);
        ordered.units = named
            .iter()
            .map(|unit| self.units.get(*unit).id.local_name())
            .collect();
        Ok(ordered)
    }

    /// Whether a unit runs, or has completed, by another definition than the one it now has.
    fn is_outdated(&self, unit: Index) -> bool {
        let entry = self.units.get(unit);
        match self.world.unit(unit).state {
            State::Done => entry.facts.launched_hash.as_ref() != Some(&entry.hash),
            state => state.is_active() && entry.is_outdated(),
        }
    }

    fn set_grace(&mut self, units: &[Index], grace: Option<std::time::Duration>) {
        let mut policies = Vec::new();
        for unit in units {
            let entry = self.units.get_mut(*unit);
            if entry.grace != grace {
                entry.grace = grace;
                policies.push((*unit, self.policy(*unit)));
            }
        }
        self.world
            .define_all(policies)
            .expect("only the grace differs, so no circle can come to be");
    }

    fn command(&mut self, units: Vec<Index>, command: Command) -> Ordered {
        self.commands(units.into_iter().map(|unit| (unit, command)).collect())
    }

    /// Asks all of them in one step: nobody moves by what the others were before.
    fn commands(&mut self, asked: Vec<(Index, Command)>) -> Ordered {
        let units: Vec<Index> = asked.iter().map(|(unit, _)| *unit).collect();
        let before = units.iter().map(|unit| (*unit, self.stance(*unit)));
        let before: Vec<_> = before.collect();
        self.step(Input::Commands(asked));
        let mut ordered = Ordered::default();
        for (unit, before) in before {
            let name = self.units.get(unit).id.local_name();
            if self.stance(unit) != before {
                ordered.moved.push(name.clone());
                self.record(unit);
            }
            ordered.units.push(name);
        }
        self.make_images(&units);
        ordered
    }

    /// What an order can change of a unit at once.
    fn stance(&self, unit: Index) -> (bool, bool, State) {
        let view = self.world.unit(unit);
        (view.wanted, view.held, view.state)
    }

    /// With everything that needs them, or refused when something of it runs and may not be taken along.
    fn with_dependents(
        &self,
        named: Vec<Index>,
        take_along: bool,
        force: bool,
    ) -> Result<Vec<Index>, OrderError> {
        let mut reached: BTreeSet<Index> = named.iter().copied().collect();
        let mut dependents = BTreeSet::new();
        for unit in &named {
            for dependent in self.world.dependents(*unit) {
                let view = self.world.unit(dependent);
                if !reached.contains(&dependent) && (view.wanted || view.state.is_active()) {
                    dependents.insert(dependent);
                }
            }
        }
        dependents.retain(|unit| self.world.unit(*unit).state != State::Done);
        if take_along {
            reached.extend(dependents);
        } else if !force && !dependents.is_empty() {
            let names = |units: &mut dyn Iterator<Item = &Index>| -> Vec<String> {
                units
                    .map(|unit| self.units.get(*unit).id.local_name())
                    .collect()
            };
            return Err(OrderError::Needed {
                units: names(&mut named.iter()),
                dependents: names(&mut dependents.iter()),
            });
        }
        Ok(reached.into_iter().collect())
    }

    fn refuse_unsupported(&self, units: &[Index]) -> Result<(), OrderError> {
        for unit in units {
            let entry = self.units.get(*unit);
            let kind = entry.spec.target.kind();
            if self.setting.executors.get(kind).is_none() {
                return Err(OrderError::Unsupported {
                    unit: entry.id.local_name(),
                    reason: format!("this program has no executor for targets of type `{kind}`"),
                });
            }
        }
        Ok(())
    }

    fn forget_stack(&mut self, stack: &StackName) -> Result<(), ForgetError> {
        if self.units.stack(stack).is_none() {
            return Err(ForgetError::UnknownStack {
                stack: stack.to_string(),
            });
        }
        let mut running = Vec::new();
        let mut resting = Vec::new();
        for entry in self.units.of_stack(stack) {
            match self.world.unit(entry.index).state.is_active() {
                true => running.push(entry.id.local_name()),
                false => resting.push(entry.index),
            }
        }
        if !running.is_empty() {
            return Err(ForgetError::StillRunning { units: running });
        }
        for unit in resting {
            self.forget_unit(unit);
        }
        self.units.remove_stack(stack);
        self.leave_meshes(stack);
        self.snapshots.forget(stack);
        self.keeper.batch().stacks.insert(stack.clone(), None);
        self.emit_plain(
            EventKind::StackForgotten,
            Some(stack),
            serde_json::Map::new(),
        );
        Ok(())
    }

    /// Ends the supervisor: at once when everything is left to the next one, else when everything is gone.
    fn shut_down(&mut self, keep: bool, reply: Reply<()>) {
        if keep {
            self.reply(reply, ());
            self.keeper.defer(Deferred::End);
            return;
        }
        self.is_ending = true;
        self.one_offs.end_all();
        let all: Vec<Index> = self.units.all().map(|entry| entry.index).collect();
        self.command(all.clone(), Command::Stop);
        self.wait_to_end(all, Goal::Stopped, reply);
    }
}

/// The known name that is most like this one, if any is.
pub(super) fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_recognised() {
        let known = ["postgres", "redis", "api"];
        assert_eq!(
            similar("postgrse", known.into_iter()),
            Some("postgres".into())
        );
        assert_eq!(similar("apj", known.into_iter()), Some("api".into()));
        assert_eq!(similar("worker", known.into_iter()), None);
    }
}
