//! Taking over the definition of a stack.
//!
//! Owns: the way from a specification to what the model must know, and what a new definition changes. A unit that runs
//! goes on as it was launched until it is next started.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use service_registry::Incarnation;

use super::commit::Deferred;
use super::difference::differences;
use super::request::{Applied, ApplyError, ApplyMode};
use super::turn::Supervisor;
use super::units::UnitEntry;
use super::{environment, secrets};
use crate::model::{Edge, Index, Policy};
use crate::report::EventKind;
use crate::spec::{
    OnUnhealthy, Restart, RestartWhen, SecretValues, ServiceSpec, StackName, StackSpec, TargetKind,
    UnitId, UnitName,
};

impl Supervisor {
    /// Takes over a definition, or nothing of it.
    pub(super) fn apply(
        &mut self,
        mut stack: StackSpec,
        sent: SecretValues,
        mode: ApplyMode,
    ) -> Result<Applied, ApplyError> {
        let before = self.units.stack(&stack.name).cloned();
        if let (ApplyMode::Extend, Some(before)) = (mode, &before) {
            for (name, unit) in &before.units {
                stack
                    .units
                    .entry(name.clone())
                    .or_insert_with(|| unit.clone());
            }
            for (name, secret) in &before.secrets {
                let secrets = &mut stack.secrets;
                secrets
                    .entry(name.clone())
                    .or_insert_with(|| secret.clone());
            }
        }
        self.keep_inactive(&mut stack);
        check(&stack)?;
        secrets::check(&stack)?;
        environment::check(&stack)?;
        let stack = Arc::new(stack);
        let mut applied = Applied::default();
        let kept_orphans = self.retire(&stack, &mut applied);
        let mut known = instances(&stack);
        known.extend(kept_orphans);
        let running = self.units.of_stack(&stack.name);
        let running: Vec<_> = running.filter_map(|entry| entry.running.clone()).collect();
        let users = known.values().chain(&running).map(Arc::as_ref);
        let used = secrets::used(users.chain(stack.inactive.values()));
        let has_new_values = self.take_secrets(&stack.name, sent, &used);
        self.define_units(&stack, known, &mut applied);
        if before.as_ref() != Some(&stack) {
            let mut data = serde_json::Map::new();
            data.insert(
                "units".into(),
                stack.units.keys().map(|name| name.as_str()).collect(),
            );
            if !applied.differences.is_empty() {
                let changed = applied.differences.iter();
                let changed: serde_json::Map<_, _> = changed
                    .map(|(unit, names)| (unit.to_string(), names.as_slice().into()))
                    .collect();
                data.insert("changed".into(), changed.into());
            }
            self.emit_plain(EventKind::StackDefined, Some(&stack.name), data);
            self.units.set_stack(Arc::clone(&stack));
            self.assign_addresses(&stack);
            self.record_stack(&stack.name);
        } else if has_new_values {
            self.record_stack(&stack.name);
        }
        Ok(applied)
    }

    /// What is in no active profile and runs all the same, because somebody asked for it before, stays in the stack, and
    /// so does what it needs.
    fn keep_inactive(&self, stack: &mut StackSpec) {
        let known = self.units.of_stack(&stack.name);
        let mut open: Vec<UnitName> = known
            .filter(|entry| self.world.unit(entry.index).state.is_active())
            .map(|entry| entry.id.name.clone())
            .collect();
        while let Some(name) = open.pop() {
            if stack.units.contains_key(&name) {
                continue;
            }
            if let Some(unit) = stack.inactive.get(&name) {
                open.extend(unit.dependencies.iter().map(|needed| needed.unit.clone()));
                stack.units.insert(name, unit.clone());
            }
        }
    }

    /// Forgets units that the new definition does not name, as far as they do not run. Answers with those that do.
    fn retire(
        &mut self,
        stack: &StackSpec,
        applied: &mut Applied,
    ) -> BTreeMap<UnitId, Arc<ServiceSpec>> {
        let named: BTreeSet<UnitId> = stack
            .units
            .values()
            .flat_map(|unit| ids(&stack.name, unit))
            .collect();
        let gone: Vec<(Index, UnitId, Arc<ServiceSpec>)> = self
            .units
            .of_stack(&stack.name)
            .filter(|entry| !named.contains(&entry.id))
            .map(|entry| (entry.index, entry.id.clone(), Arc::clone(&entry.spec)))
            .collect();
        let mut orphans = BTreeMap::new();
        for (index, id, spec) in gone {
            if self.world.unit(index).state.is_active() {
                applied.orphans.push(id.name.clone());
                orphans.insert(id, spec);
            } else {
                applied.removed.push(id.name.clone());
                self.forget_unit(index);
            }
        }
        orphans
    }

    /// Forgets a unit that does not run.
    pub(super) fn forget_unit(&mut self, index: Index) {
        let entry = self.units.get(index);
        let (id, had_container) = (entry.id.clone(), entry.spec.keeps_container());
        if self.world.remove(index).is_ok() {
            self.units.remove(index);
            self.timers.forget(index);
            // Its withdrawal may still wait to be carried out, and finds no unit then.
            self.registry
                .withdraw(&super::address::key(&id), Incarnation(u64::MAX));
            self.keeper.batch().units.insert(id.clone(), None);
            if had_container {
                self.keeper.defer(Deferred::ForgetUnit(id));
            }
        }
    }

    /// Makes the model know these units. All of them are reserved first, so that edges may point anywhere.
    pub(super) fn define_units(
        &mut self,
        stack: &StackSpec,
        units: BTreeMap<UnitId, Arc<ServiceSpec>>,
        applied: &mut Applied,
    ) {
        let mut touched = Vec::new();
        let before = self.units.stack(&stack.name).cloned();
        for (id, spec) in units {
            let hash = self.definition_hash(stack, &spec);
            match self.units.index(&id) {
                None => {
                    let index = self.world.reserve();
                    applied.added.push(spec.name.clone());
                    self.units.insert(UnitEntry::new(id, index, spec, hash));
                    touched.push(index);
                }
                Some(index) => {
                    let entry = self.units.get_mut(index);
                    let changed = entry.hash != hash;
                    let had_container = entry.spec.keeps_container() && entry.running.is_none();
                    if changed && let Some(before) = &before {
                        let before = (before.directory.as_path(), entry.spec.as_ref());
                        let names = differences(before, (stack.directory.as_path(), spec.as_ref()));
                        applied.differences.insert(spec.name.clone(), names);
                    }
                    entry.define(&spec, &hash);
                    if had_container && !spec.keeps_container() {
                        self.keeper.defer(Deferred::ForgetUnit(id));
                    }
                    if changed {
                        applied.changed.push(spec.name.clone());
                        touched.push(index);
                    }
                }
            }
        }
        let policies: Vec<(Index, Policy)> = self
            .with_those_next_to(&stack.name, &touched)
            .into_iter()
            .map(|index| (index, self.policy(index)))
            .collect();
        self.world
            .define_all(policies)
            .expect("the definition was checked for circles before anything was taken over");
    }

    /// These units, and those whose edges lead to them: which units an edge leads to, and what it waits for unless it
    /// says so itself, follows from the definition at its other end.
    fn with_those_next_to(&self, stack: &StackName, units: &[Index]) -> BTreeSet<Index> {
        let names: BTreeSet<&UnitName> = units
            .iter()
            .map(|unit| &self.units.get(*unit).id.name)
            .collect();
        let dependents = self.units.of_stack(stack).filter(|entry| {
            let mut needs = entry.spec.dependencies.iter();
            needs.any(|dependency| names.contains(&dependency.unit))
        });
        let dependents: BTreeSet<Index> = dependents.map(|entry| entry.index).collect();
        dependents
            .into_iter()
            .chain(units.iter().copied())
            .collect()
    }

    /// What the model must know of a unit.
    pub(super) fn policy(&self, index: Index) -> Policy {
        let entry = self.units.get(index);
        let spec = &entry.spec;
        let edges = spec.dependencies.iter().flat_map(|dependency| {
            self.units
                .instances(&entry.id.stack, &dependency.unit)
                .into_iter()
                .map(|on| Edge {
                    on,
                    gate: dependency
                        .gate
                        .unwrap_or_else(|| self.units.get(on).spec.default_gate()),
                    required: dependency.required,
                    restart: dependency.restart,
                })
        });
        Policy {
            kind: spec.kind,
            edges: edges.collect(),
            // Of one that its image may judge, whether anybody does is told once it runs.
            probed: spec.readiness.is_some() || spec.startup.is_some() || spec.is_judged_by_image(),
            setup: spec.setup.is_some(),
            // Of what runs: it is stopped, or let go of, as what it is.
            attached: entry.described().target.kind().is_attached(),
            restart: restart_of(spec),
            restart_on_unhealthy: spec.on_unhealthy == OnUnhealthy::Restart,
            startup_timeout: spec.startup_timeout,
            run_timeout: spec.timeout,
            grace: entry.grace.unwrap_or(spec.stop.grace),
        }
    }
}

/// When a unit is started again. The end of a container that somebody else runs is no end of observing it: whoever runs it may
/// start it again.
fn restart_of(spec: &ServiceSpec) -> Restart {
    let when = match (spec.target.kind(), spec.restart.when) {
        (TargetKind::DockerAttach, RestartWhen::OnFailure { max: None }) => RestartWhen::Always,
        (_, when) => when,
    };
    Restart {
        when,
        ..spec.restart.clone()
    }
}

/// Every instance that a stack defines, with its definition.
pub(super) fn instances(stack: &StackSpec) -> BTreeMap<UnitId, Arc<ServiceSpec>> {
    let of = |spec: &ServiceSpec| {
        let shared = Arc::new(spec.clone());
        let ids = ids(&stack.name, spec).into_iter();
        ids.map(move |id| (id, Arc::clone(&shared)))
    };
    stack.units.values().flat_map(of).collect()
}

/// The instances of a unit.
fn ids(stack: &StackName, spec: &ServiceSpec) -> Vec<UnitId> {
    let with_replica = |replica| UnitId {
        stack: stack.clone(),
        name: spec.name.clone(),
        replica,
    };
    match spec.replicas {
        0 | 1 => vec![with_replica(0)],
        count => (1..=count).map(with_replica).collect(),
    }
}

/// Whether the definition can be taken over: every dependency is there, and none needs itself.
fn check(stack: &StackSpec) -> Result<(), ApplyError> {
    for (name, unit) in &stack.units {
        for dependency in &unit.dependencies {
            if !stack.units.contains_key(&dependency.unit) {
                return Err(ApplyError::UnknownDependency {
                    unit: name.to_string(),
                    dependency: dependency.unit.to_string(),
                });
            }
        }
    }
    match circle(stack) {
        Some(units) => Err(ApplyError::Cycle { units }),
        None => Ok(()),
    }
}

/// A circle among the dependencies, its first unit again at its end.
fn circle(stack: &StackSpec) -> Option<Vec<String>> {
    let mut proven: BTreeSet<&UnitName> = BTreeSet::new();
    for start in stack.units.keys() {
        // The way from `start` down, each with the position of the next dependency to follow.
        let mut way: Vec<(&UnitName, usize)> = vec![(start, 0)];
        while let Some((name, next)) = way.last_mut() {
            let dependency = stack.units[*name].dependencies.get(*next);
            *next += 1;
            match dependency {
                None => {
                    proven.insert(*name);
                    way.pop();
                }
                Some(dependency) => {
                    let unit = &dependency.unit;
                    if let Some(at) = way.iter().position(|(name, _)| *name == unit) {
                        let names = way[at..].iter().map(|(name, _)| name.to_string());
                        return Some(names.chain([unit.to_string()]).collect());
                    }
                    if !proven.contains(unit) {
                        way.push((unit, 0));
                    }
                }
            }
        }
    }
    None
}
