//! Coming up again: taking over what an earlier daemon left running.
//!
//! Owns: the way from what was kept to a world that goes on, and the word that every attempt has been looked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::future;
use service_registry::LoopbackPool;
use tracing::Instrument;

use super::commit::Keeper;
use super::define;
use super::hub::EventHub;
use super::inbox::{AttemptNews, Inbox};
use super::request::Applied;
use super::runner;
use super::secrets;
use super::turn::{Setting, Supervisor};
use super::units::{Now, Runner};
use crate::executors::{AdoptError, Ticket, input};
use crate::model::{Attempt, Index, Restored, World};
use crate::spec::{RestartWhen, StackSpec, UnitId, UnitKind};
use crate::store::{Kept, StackRecord, Store, StoreError, UnitRecord};

/// Attempts that are still being looked for, and who waits for the last of them.
#[derive(Debug)]
pub(super) struct Adoption {
    pending: BTreeSet<Index>,
    /// Dropped when nothing is pending: whoever waits on the other end then knows.
    done: Option<Sender<()>>,
}

impl Supervisor {
    /// A supervisor that goes on from what the store has. The channel closes once every attempt that may live has been
    /// found, or found gone.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub(crate) fn restore(
        setting: Setting,
        store: Arc<dyn Store>,
        channel: (Sender<Inbox>, Receiver<Inbox>),
    ) -> Result<(Self, Receiver<()>), StoreError> {
        let Kept {
            stacks,
            units,
            events,
            standings,
            key,
        } = store.load()?;
        let hub = EventHub::new(setting.source.clone(), events);
        let (done, adopted) = async_channel::bounded(1);
        let world = World::new(crate::host::seed());
        let mut supervisor = Self::assemble(setting, hub, Keeper::new(store), key, world, channel);
        for stack in stacks {
            supervisor.recall_stack(stack, &units);
        }
        let alive = supervisor.recall_units(&units);
        supervisor.recall_standings(&standings);
        // Ended attempts too: the daemon may have died between the end of one and that of its probes.
        let attempts = units.iter().filter_map(|unit| unit.instance_id.as_deref());
        supervisor.prober.sweep(attempts);
        supervisor.listen_to_starts();
        supervisor.look_for_one_offs();
        supervisor.resume_ways();
        supervisor.clear_away(&alive);
        supervisor.adoption = Adoption {
            pending: alive.iter().map(|(unit, _)| *unit).collect(),
            done: (!alive.is_empty()).then_some(done),
        };
        let mut effects = Vec::new();
        supervisor
            .world
            .resume(supervisor.clock.now(), &mut effects);
        for (unit, ticket) in alive {
            supervisor.look_for(unit, ticket);
        }
        supervisor.absorb(effects);
        Ok((supervisor, adopted))
    }

    fn recall_stack(&mut self, record: StackRecord, units: &[UnitRecord]) {
        let stack = Arc::new(record.spec);
        if let Some(Ok(pool)) = record.loopback.as_ref().map(LoopbackPool::restore) {
            self.units.set_pool(stack.name.clone(), pool);
        }
        self.units.set_stack(Arc::clone(&stack));
        self.units.set_secrets(stack.name.clone(), record.secrets);
        let mut known = define::instances(&stack);
        for (id, orphan) in orphans(&stack, units) {
            known.entry(id).or_insert(orphan);
        }
        self.define_units(&stack, known, &mut Applied::default());
        self.assign_addresses(&stack);
    }

    /// Gives every unit the life it had; answers with those that may be alive.
    fn recall_units(&mut self, records: &[UnitRecord]) -> Vec<(Index, Ticket)> {
        let mut alive = Vec::new();
        let boot_id = self.boot_id.clone();
        let now = Now {
            boot_id: boot_id.as_deref(),
            time: self.clock.now(),
        };
        for record in records {
            let Some(unit) = self.units.index(&record.id) else {
                continue;
            };
            let is_current = self.was_launched_as_defined(unit, record);
            let entry = self.units.get_mut(unit);
            entry.recall(record);
            if is_current {
                entry.facts.launched_hash = Some(entry.hash.clone());
            }
            let always = entry.spec.restart.when == RestartWhen::Always;
            if entry.grace.is_some() {
                let policy = self.policy(unit);
                self.world
                    .define_all(vec![(unit, policy)])
                    .expect("only the grace differs, so no circle can come to be");
            }
            let (left, recent) = now.since(record.times.as_ref());
            let bases = record
                .bases
                .iter()
                .filter_map(|(on, attempt)| Some((self.units.index(on)?, Attempt(*attempt))));
            let restored = Restored {
                wanted: record.wanted || (always && record.attempt > 0),
                gateless: record.gateless,
                held: record.held,
                state: record.state.into(),
                attempt: Attempt(record.attempt),
                restarts: record.restarts,
                failures: record.failures,
                launched: record.launched,
                unhealthy: record.unhealthy,
                renew: record.renew,
                forced: record.forced,
                fault: record.fault.map(Into::into),
                cause: record.cause.map(Into::into),
                looping: record.looping,
                last_wait: Duration::from_nanos(record.last_wait_ns),
                recent,
                left,
                bases: bases.collect(),
            };
            self.world.restore(unit, restored);
            if self.world.unit(unit).state.is_active() {
                let ticket = Ticket {
                    unit: record.id.clone(),
                    attempt: record.attempt,
                    instance_id: record
                        .instance_id
                        .clone()
                        .expect("an attempt is named when its launch is decided"),
                    details: record.attached.clone(),
                };
                self.units.get_mut(unit).inherited = true;
                alive.push((unit, ticket));
            }
        }
        alive
    }

    /// Whether an attempt of which version 1 of the state tells was launched by the definition that its unit has now.
    fn was_launched_as_defined(&self, unit: Index, record: &UnitRecord) -> bool {
        let entry = self.units.get(unit);
        let (Some(hash), Some(stack)) = (&record.launched_hash, self.units.stack(&record.id.stack))
        else {
            return false;
        };
        *hash != entry.hash && secrets::is_first_hash(hash, stack, &entry.spec)
    }

    /// Clears away what is left of attempts whose end was kept. Looked for before anything new is launched. Blocks.
    fn clear_away(&mut self, alive: &[(Index, Ticket)]) {
        let known = self.units.all().map(|entry| entry.id.clone());
        let known = known.filter(|unit| self.needs_kept(unit));
        let maybe_alive = alive.iter().map(|(_, ticket)| ticket.unit.clone());
        let units: BTreeSet<UnitId> = known.chain(maybe_alive).collect();
        for executor in self.setting.executors.all() {
            future::block_on(executor.forget_units_except(&units));
            let mut left = future::block_on(executor.known());
            for (_, ticket) in alive {
                left.remove(&ticket.instance_id);
            }
            for instance_id in left {
                self.cleaner.forget(Arc::clone(executor), instance_id);
            }
        }
        let living: BTreeSet<&str> = alive
            .iter()
            .map(|(_, ticket)| &*ticket.instance_id)
            .collect();
        for instance_id in self.hosts.carried_for() {
            if !living.contains(&*instance_id) {
                self.release_ways(&instance_id);
            }
        }
    }

    /// Looks for an attempt that may be alive.
    fn look_for(&mut self, unit: Index, ticket: Ticket) {
        let attempt = Attempt(ticket.attempt);
        let reporter = self.reporter(unit, attempt);
        let kind = self.units.get(unit).described().target.kind();
        let Some(executor) = self.setting.executors.get(kind).cloned() else {
            reporter.report(AttemptNews::NotFound(AdoptError {
                unit: ticket.unit,
                instance_id: ticket.instance_id,
                source: format!("this program has no executor for targets of type `{kind}`").into(),
            }));
            return;
        };
        let span = runner::span(&ticket.unit, ticket.attempt);
        let log = self.setting.logs.open(&ticket.unit);
        // Whoever gave a task its input gave it to an earlier daemon: it has ended.
        let is_task = self.units.get(unit).described().kind == UnitKind::Task;
        let ended = is_task.then(|| input().1);
        let running = runner::adopt(executor, ticket, ended, log, reporter);
        let task = self.setting.spawner.spawn(running.instrument(span));
        self.units.get_mut(unit).runner = Some(Runner {
            attempt: attempt.0,
            _task: task,
            control: None,
            pending: None,
        });
    }

    /// Whether nobody can say if the attempt of a unit lives, after it was looked for.
    pub(super) fn is_missing(&self, unit: Index) -> bool {
        !self.world.unit(unit).confirmed && !self.adoption.pending.contains(&unit)
    }

    /// One attempt has been found, or found gone.
    pub(super) fn adoption_settled(&mut self, unit: Index) {
        if self.adoption.pending.remove(&unit) && self.adoption.pending.is_empty() {
            self.adoption.done = None;
        }
    }
}

impl Adoption {
    pub(super) fn none() -> Self {
        Self {
            pending: BTreeSet::new(),
            done: None,
        }
    }
}

/// Units that were kept: those that the definition no longer names may still be alive. They are known by what they were
/// launched with where that was kept, else by their name alone, so that they can be found and stopped. How to start them
/// is not known any more.
fn orphans(
    stack: &StackSpec,
    records: &[UnitRecord],
) -> impl Iterator<Item = (UnitId, Arc<crate::spec::ServiceSpec>)> {
    use crate::spec::{ProcessTarget, Restart, ServiceSpec, TargetSpec, UnitKind};
    let own = records
        .iter()
        .filter(|record| record.id.stack == stack.name);
    own.map(|record| {
        let target = TargetSpec::Process(ProcessTarget::default());
        let bare = || ServiceSpec::new(record.id.name.clone(), UnitKind::Service, target);
        let known = record.launched_spec.as_deref().cloned();
        let spec = ServiceSpec {
            restart: Restart {
                when: RestartWhen::Never,
                ..Restart::default()
            },
            dependencies: Vec::new(),
            ..known.unwrap_or_else(bare)
        };
        (record.id.clone(), Arc::new(spec))
    })
}
