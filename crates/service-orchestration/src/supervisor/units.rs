//! Every unit that the supervisor knows, beyond what the model knows of it.
//!
//! Owns: definitions, the facts of the last attempt, and the tasks that belong to it. The state itself is the model's.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_executor::Task;
use chrono::{DateTime, Utc};
use service_registry::{Attachment, LoopbackPool};

use crate::executors::{AttemptControl, OwnCheck};
use crate::model::{Index, Restored, State};
use crate::report::{ExitInfo, Health};
use crate::spec::{PortSpec, SecretValues, ServiceSpec, StackName, StackSpec, UnitId, UnitName};
use crate::store::{StoredTimes, UnitRecord};

/// One unit.
#[derive(Debug)]
pub(crate) struct UnitEntry {
    pub(crate) id: UnitId,
    pub(crate) index: Index,
    pub(crate) spec: Arc<ServiceSpec>,
    /// The hash of `spec`.
    pub(crate) hash: String,
    /// What the attempt that may be alive was launched with: an older definition than `spec` when that has changed since.
    pub(crate) running: Option<Arc<ServiceSpec>>,
    pub(crate) facts: Facts,
    pub(crate) health: HealthFacts,
    /// What it said last before it failed.
    pub(crate) last_output: Vec<String>,
    /// Dropping these ends what they do; the service itself runs on.
    pub(crate) runner: Option<Runner>,
    /// Whether that task makes the ground for an attempt of which nothing is launched yet.
    pub(crate) is_preparing: bool,
    pub(crate) probes: Option<Probes>,
    /// Makes its image before its turn has come.
    pub(crate) imaging: Option<Task<()>>,
    /// Since when its image is wanted for the launch that comes next.
    pub(crate) image_since: Option<std::time::Instant>,
    /// The last order to the running attempt, while it is being given.
    pub(crate) ordering: Option<Task<()>>,
    /// What was last handed over to be kept.
    pub(crate) kept: Option<UnitRecord>,
    /// Its attempt was launched by an earlier daemon.
    pub(crate) inherited: bool,
    /// When it was started last where it runs, by whomever, since its latest end.
    pub(crate) started_ns: Option<u64>,
    /// When somebody last ordered it to stop.
    pub(crate) stop_ordered_at: Option<DateTime<Utc>>,
    /// Whether it ends as soon as it is taken: what runs was started before that order.
    pub(crate) ends_when_taken: bool,
    /// Asks whether what somebody else has started runs still.
    pub(crate) asking: Option<Task<()>>,
    /// Instead of the unit's own grace, for the stop that was asked for last.
    pub(crate) grace: Option<Duration>,
}

/// What is known of the last attempt, kept with the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) instance_id: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) container_id: Option<String>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) stopped_at: Option<DateTime<Utc>>,
    pub(crate) exit: Option<ExitInfo>,
    pub(crate) reason: Option<String>,
    /// Why whoever runs it cannot be asked, while that is so.
    pub(crate) unreachable: Option<String>,
    /// How often its launch was postponed because nobody could be asked for it.
    pub(crate) postponed: u32,
    /// Whether it was frozen by somebody else.
    pub(crate) paused: bool,
    /// The network that it was made for, when somebody has taken it off that.
    pub(crate) off_network: Option<String>,
    pub(crate) attached: Option<serde_json::Value>,
    /// Its own networks, when it is a container.
    pub(crate) networks: BTreeMap<String, Attachment>,
    /// Of a container of somebody else: its ports, and where they are published.
    pub(crate) seen_ports: Vec<PortSpec>,
    /// Of the same: whether it has the machine's own network.
    pub(crate) is_on_host: bool,
    /// How the check is had that it has of its own, if it has one.
    pub(crate) own_check: Option<OwnCheck>,
    /// By their place in the definition: the port itself, or where it is published.
    pub(crate) chosen_ports: BTreeMap<u32, u16>,
    pub(crate) launched_hash: Option<String>,
    /// Whether the attempt runs in a container that an earlier one had.
    pub(crate) is_again: bool,
}

/// What the probes said last.
#[derive(Clone, Debug, Default)]
pub(crate) struct HealthFacts {
    pub(crate) verdict: Health,
    pub(crate) reason: Option<String>,
    pub(crate) last_checked: Option<DateTime<Utc>>,
    /// Whether it has said that it is ready (sd_notify).
    pub(crate) notified: bool,
}

/// The task that watches a running attempt.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) attempt: u64,
    pub(crate) _task: Task<()>,
    /// There once it runs.
    pub(crate) control: Option<Arc<dyn AttemptControl>>,
    /// An end that was ordered before there was a handle.
    pub(crate) pending: Option<Ending>,
}

/// How an attempt shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Terminate,
    Kill,
    Detach,
}

/// The task that probes a running attempt.
#[derive(Debug)]
pub(crate) struct Probes {
    pub(crate) _task: Task<()>,
    pub(crate) feed: crate::probe::Feed,
}

impl UnitEntry {
    pub(crate) fn new(id: UnitId, index: Index, spec: Arc<ServiceSpec>, hash: String) -> Self {
        Self {
            id,
            index,
            spec,
            hash,
            running: None,
            facts: Facts::default(),
            health: HealthFacts::default(),
            last_output: Vec::new(),
            runner: None,
            is_preparing: false,
            probes: None,
            imaging: None,
            image_since: None,
            ordering: None,
            kept: None,
            inherited: false,
            started_ns: None,
            stop_ordered_at: None,
            ends_when_taken: false,
            asking: None,
            grace: None,
        }
    }

    /// The definition that describes it now: what runs is what it was launched with, whatever has changed since.
    pub(crate) fn described(&self) -> &Arc<ServiceSpec> {
        self.running.as_ref().unwrap_or(&self.spec)
    }

    /// Whether the check of its image says how what runs is.
    pub(crate) fn is_judged_by_image(&self) -> bool {
        self.facts.own_check.is_some() && self.described().is_judged_by_image()
    }

    /// Whether what runs was launched with another definition than the one it now has.
    pub(crate) fn is_outdated(&self) -> bool {
        let launched = self.facts.launched_hash.as_ref();
        self.running.is_some() && launched.is_some_and(|hash| *hash != self.hash)
    }

    /// Takes over another definition; what runs keeps the one that it was launched with.
    pub(crate) fn define(&mut self, spec: &Arc<ServiceSpec>, hash: &str) {
        self.spec = Arc::clone(spec);
        hash.clone_into(&mut self.hash);
        if self.running.is_some() && !self.is_outdated() {
            self.running = Some(Arc::clone(spec));
        }
    }

    /// What is kept of it.
    pub(crate) fn record(&self, life: &Restored, now: Now<'_>) -> UnitRecord {
        UnitRecord {
            id: self.id.clone(),
            wanted: life.wanted,
            gateless: life.gateless,
            held: life.held,
            state: life.state.into(),
            attempt: life.attempt.0,
            restarts: life.restarts,
            failures: life.failures,
            launched: life.launched,
            unhealthy: life.unhealthy,
            renew: life.renew,
            forced: life.forced,
            fault: life.fault.map(Into::into),
            cause: life.cause.map(Into::into),
            looping: life.looping,
            last_wait_ns: nanoseconds(life.last_wait),
            times: now.times(life),
            // Named by whoever knows the other units.
            bases: Vec::new(),
            grace_ns: self.grace.map(nanoseconds),
            instance_id: self.facts.instance_id.clone(),
            started_at: self.facts.started_at,
            stopped_at: self.facts.stopped_at,
            exit: self.facts.exit.clone(),
            reason: self.facts.reason.clone(),
            attached: self.facts.attached.clone(),
            chosen_ports: self.facts.chosen_ports.clone(),
            launched_hash: self.facts.launched_hash.clone(),
            launched_spec: self
                .running
                .as_ref()
                .filter(|_| self.is_outdated())
                .map(|running| Box::new(running.as_ref().clone())),
        }
    }

    /// Takes over what was kept of it.
    pub(crate) fn recall(&mut self, record: &UnitRecord) {
        self.kept = Some(record.clone());
        self.grace = record.grace_ns.map(Duration::from_nanos);
        self.running = State::from(record.state).is_active().then(|| {
            let older = record.launched_spec.as_deref().cloned();
            older.map_or_else(|| Arc::clone(&self.spec), Arc::new)
        });
        self.facts = Facts {
            instance_id: record.instance_id.clone(),
            pid: None,
            container_id: None,
            networks: BTreeMap::new(),
            seen_ports: Vec::new(),
            is_on_host: false,
            own_check: None,
            started_at: record.started_at,
            stopped_at: record.stopped_at,
            exit: record.exit.clone(),
            reason: record.reason.clone(),
            unreachable: None,
            postponed: 0,
            paused: false,
            off_network: None,
            attached: record.attached.clone(),
            chosen_ports: record.chosen_ports.clone(),
            launched_hash: record.launched_hash.clone(),
            is_again: false,
        };
    }
}

/// What the time is, where points in time are kept and recalled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now<'a> {
    /// The boot that the clock belongs to; without, no time is kept.
    pub(crate) boot_id: Option<&'a str>,
    /// The model's, by the clock of that boot.
    pub(crate) time: Duration,
}

impl Now<'_> {
    fn times(&self, life: &Restored) -> Option<StoredTimes> {
        let times = StoredTimes {
            boot_id: self.boot_id?.to_owned(),
            due_ns: life
                .left
                .map(|left| nanoseconds(self.time.saturating_add(left))),
            restarts_ns: life
                .recent
                .iter()
                .map(|age| nanoseconds(self.time.saturating_sub(*age)))
                .collect(),
        };
        (times.due_ns.is_some() || !times.restarts_ns.is_empty()).then_some(times)
    }

    /// What is left now of a wait that was kept, and how long ago restarts now are. Time without a daemon counts; of
    /// another boot nothing is known, and nothing of it runs.
    pub(crate) fn since(&self, times: Option<&StoredTimes>) -> (Option<Duration>, Vec<Duration>) {
        let Some(times) = times.filter(|times| Some(times.boot_id.as_str()) == self.boot_id) else {
            return (None, Vec::new());
        };
        let left = times
            .due_ns
            .map(|due| Duration::from_nanos(due).saturating_sub(self.time));
        let ages = times.restarts_ns.iter();
        let ages = ages.map(|at| self.time.saturating_sub(Duration::from_nanos(*at)));
        (left, ages.collect())
    }
}

/// Enough for five hundred years; what is longer is as good as that.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Every stack and unit.
#[derive(Debug, Default)]
pub(crate) struct Units {
    stacks: BTreeMap<StackName, Arc<StackSpec>>,
    secrets: BTreeMap<StackName, SecretValues>,
    /// The addresses that a stack's local network gives out.
    pools: BTreeMap<StackName, LoopbackPool>,
    entries: BTreeMap<Index, UnitEntry>,
    by_id: BTreeMap<UnitId, Index>,
}

impl Units {
    pub(crate) fn stack(&self, name: &StackName) -> Option<&Arc<StackSpec>> {
        self.stacks.get(name)
    }

    pub(crate) fn stacks(&self) -> impl Iterator<Item = &Arc<StackSpec>> {
        self.stacks.values()
    }

    pub(crate) fn set_stack(&mut self, stack: Arc<StackSpec>) {
        self.stacks.insert(stack.name.clone(), stack);
    }

    /// The values of a stack's secrets.
    pub(crate) fn secrets(&self, stack: &StackName) -> &SecretValues {
        static NONE: LazyLock<SecretValues> = LazyLock::new(SecretValues::default);
        self.secrets.get(stack).unwrap_or(&NONE)
    }

    pub(crate) fn set_secrets(&mut self, stack: StackName, values: SecretValues) {
        self.secrets.insert(stack, values);
    }

    pub(crate) fn remove_stack(&mut self, name: &StackName) {
        self.stacks.remove(name);
        self.secrets.remove(name);
        self.pools.remove(name);
    }

    pub(crate) fn pool(&self, stack: &StackName) -> Option<&LoopbackPool> {
        self.pools.get(stack)
    }

    pub(crate) fn pool_mut(&mut self, stack: &StackName) -> Option<&mut LoopbackPool> {
        self.pools.get_mut(stack)
    }

    pub(crate) fn set_pool(&mut self, stack: StackName, pool: LoopbackPool) {
        self.pools.insert(stack, pool);
    }

    pub(crate) fn insert(&mut self, entry: UnitEntry) {
        self.by_id.insert(entry.id.clone(), entry.index);
        self.entries.insert(entry.index, entry);
    }

    pub(crate) fn remove(&mut self, index: Index) {
        if let Some(entry) = self.entries.remove(&index) {
            self.by_id.remove(&entry.id);
        }
    }

    pub(crate) fn get(&self, index: Index) -> &UnitEntry {
        self.entries
            .get(&index)
            .expect("the model only speaks of units that were defined")
    }

    pub(crate) fn get_mut(&mut self, index: Index) -> &mut UnitEntry {
        self.entries
            .get_mut(&index)
            .expect("the model only speaks of units that were defined")
    }

    /// A unit that may have been forgotten since somebody began to speak of it.
    pub(crate) fn find(&self, index: Index) -> Option<&UnitEntry> {
        self.entries.get(&index)
    }

    pub(crate) fn index(&self, id: &UnitId) -> Option<Index> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &UnitEntry> {
        self.entries.values()
    }

    /// The units of a stack, by name and replica.
    pub(crate) fn of_stack<'a>(
        &'a self,
        stack: &'a StackName,
    ) -> impl Iterator<Item = &'a UnitEntry> {
        self.by_id
            .iter()
            .filter(move |(id, _)| &id.stack == stack)
            .map(|(_, index)| self.get(*index))
    }

    /// Every instance of one service that is known, those that its definition no longer has included.
    pub(crate) fn known_instances(&self, stack: &StackName, name: &UnitName) -> Vec<Index> {
        let with_replica = |replica| UnitId {
            stack: stack.clone(),
            name: name.clone(),
            replica,
        };
        let known = self.by_id.range(with_replica(0)..=with_replica(u32::MAX));
        known.map(|(_, index)| *index).collect()
    }

    /// Every instance of one service, or the one task of that name.
    pub(crate) fn instances(&self, stack: &StackName, name: &UnitName) -> Vec<Index> {
        let with_replica = |replica| UnitId {
            stack: stack.clone(),
            name: name.clone(),
            replica,
        };
        match self.index(&with_replica(0)) {
            Some(index) => vec![index],
            None => (1..)
                .map_while(|replica| self.index(&with_replica(replica)))
                // What its definition no longer has, and still runs, is nobody's to wait for.
                .enumerate()
                .take_while(|(before, index)| {
                    let replicas = self.get(*index).spec.replicas;
                    u32::try_from(*before).is_ok_and(|before| before < replicas.max(1))
                })
                .map(|(_, index)| index)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_counts_on_within_a_boot_and_says_nothing_after_it() {
        let second = Duration::from_secs;
        let at = |boot_id, time| Now {
            boot_id: Some(boot_id),
            time: second(time),
        };
        let life = Restored {
            left: Some(second(30)),
            recent: vec![second(20), second(5)],
            ..Restored::default()
        };
        let kept = at("a", 1000).times(&life);
        assert_eq!(
            at("a", 1010).since(kept.as_ref()),
            (Some(second(20)), vec![second(30), second(15)])
        );
        assert_eq!(at("a", 9999).since(kept.as_ref()).0, Some(Duration::ZERO));
        assert_eq!(at("b", 1010).since(kept.as_ref()), (None, vec![]));
        assert_eq!(at("a", 1).times(&Restored::default()), None);
    }
}
