//! One-off runs: a command by a unit's definition, beside the unit.
//!
//! Owns: which of them there are, and the one task that each has from its making to its end. None is a unit: the model knows
//! nothing of them, nothing waits for them, and none is started again. Each ends with the process of whoever asked for it,
//! whether that lets go of it or is killed, and a daemon that comes up looks for those of the one before.

mod life;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use async_executor::Task;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use service_shim::Identity;

use self::life::{Life, Making};
use super::inbox::Inbox;
use super::request::{OrderError, Reply};
use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::{
    CheckOrder, Ground, KnownOneOff, LaunchError, LaunchOrder, OneOffPlace, Progress,
    ServiceExecutor,
};
use crate::model::{Attempt, Index};
use crate::report::{EventKind, OneOffStatus};
use crate::spec::{SecretValues, ServiceSpec, StackName, TargetSpec, Template, UnitName};

/// What shall be run, where it differs from the definition of the unit.
#[derive(Clone, Debug)]
pub struct OneOffWish {
    /// The command and its arguments; empty: the unit's own.
    pub command: Vec<String>,
    /// What a container begins with, instead of its own.
    pub entrypoint: Option<Vec<String>>,
    /// Further variables, each by the name `UNIT/VARIABLE`; they win over those of the definition.
    pub env: SecretValues,
    /// Whose identity it has inside.
    pub user: Option<String>,
    /// Where it begins.
    pub working_dir: Option<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whose it is: the run ends when this process does.
    pub holder: Identity,
}

/// A run that is ready to be begun by whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOffReady {
    /// Its identity.
    pub id: String,
    /// What is to be begun.
    pub place: OneOffPlace,
}

/// Why nothing can be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// There is no such unit, or the supervisor has ended.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// What was asked for does not fit the unit.
    #[error("`{unit}` cannot be run so: {reason}")]
    Unfit {
        /// The unit.
        unit: String,
        /// Why not.
        reason: String,
    },
    /// Whoever asks is not a process that can be seen from here.
    #[error("the process {pid} that asks is not one of this machine, or has ended")]
    Unseen {
        /// Its number, as it says.
        pid: u32,
    },
    /// It could not be made ready.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// Something of a one-off run is left, for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a one-off run could not be ended: {reason}")]
pub struct OneOffLeft {
    /// Why.
    pub reason: String,
}

/// What is reported of a run.
#[derive(Debug)]
pub(crate) enum OneOffNews {
    /// What it stands on is being made.
    Preparing(crate::executors::Making),
    /// It was made.
    Made,
    /// Nothing of it is left.
    Over,
    /// An earlier daemon's, found by this executor.
    Found(KnownOneOff, Arc<dyn ServiceExecutor>),
}

/// All runs.
#[derive(Debug, Default)]
pub(crate) struct OneOffs {
    all: BTreeMap<String, OneOff>,
    /// Those who look for the runs of earlier daemons.
    looking: Vec<Task<()>>,
}

/// One run.
#[derive(Debug)]
struct OneOff {
    known: KnownOneOff,
    since: DateTime<Utc>,
    /// Whether it was made, so that something of it may run.
    is_made: bool,
    /// The definition that it is made by, and of which unit.
    wanted: Option<(Index, Arc<ServiceSpec>)>,
    /// Closed to end it.
    end: Sender<()>,
    /// Told, or closed, once it is over; told why not when that fails.
    over: Receiver<String>,
    _task: Task<()>,
}

impl Supervisor {
    /// Begins to make a run ready.
    pub(super) fn begin_one_off(
        &mut self,
        stack: &StackName,
        unit: &UnitName,
        wish: OneOffWish,
        reply: Reply<Result<OneOffReady, BeginError>>,
    ) {
        let making = match self.making(stack, unit, wish, reply.clone()) {
            Ok(making) => making,
            Err(error) => return drop(reply.try_send(Err(error))),
        };
        let (known, wanted, making, executor) = making;
        self.attend_one_off(known, Some(wanted), Some(making), executor);
    }

    #[allow(
        clippy::type_complexity,
        reason = "what is made here is taken apart by the one caller"
    )]
    fn making(
        &mut self,
        stack: &StackName,
        unit: &UnitName,
        wish: OneOffWish,
        reply: Reply<Result<OneOffReady, BeginError>>,
    ) -> Result<
        (
            KnownOneOff,
            (Index, Arc<ServiceSpec>),
            Making,
            Arc<dyn ServiceExecutor>,
        ),
        BeginError,
    > {
        let index = self.resolve(stack, std::slice::from_ref(unit))?[0];
        if !wish.holder.is_alive() {
            let pid = wish.holder.pid;
            return Err(BeginError::Unseen { pid });
        }
        let (tty, holder) = (wish.tty, wish.holder.clone());
        let spec = Arc::new(spec_of(&self.units.get(index).spec, wish)?);
        self.choose_ports(index)?;
        let entry = self.beside(index, Arc::clone(&spec), Ground::default());
        let kind = spec.target.kind();
        let executor = self.setting.executors.get(kind).cloned();
        let executor = executor.ok_or_else(|| OrderError::Unsupported {
            unit: entry.id.local_name(),
            reason: format!("this program has no executor for targets of type `{kind}`"),
        })?;
        let known = KnownOneOff {
            id: crate::host::instance_id(),
            unit: entry.id.clone(),
            holder,
            grace_ms: u64::try_from(spec.stop.grace.as_millis()).unwrap_or(u64::MAX),
        };
        let mut ground = None;
        if executor.needs_ground(&spec.target) {
            let mut order = self.ground_order(&entry, Attempt(0))?;
            let (inbox, id) = (self.sender.clone(), known.id.clone());
            order.progress = Progress::to(move |making| {
                let news = OneOffNews::Preparing(making);
                let id = id.clone();
                drop(inbox.try_send(Inbox::OneOff { id, news }));
            });
            ground = Some(order);
        }
        let making = Making { ground, tty, reply };
        Ok((known, (index, spec), making, executor))
    }

    /// What an executor must know to make a run ready, now that what it stands on is there.
    pub(super) fn one_off_order(
        &self,
        id: &str,
        ground: Ground,
    ) -> Result<LaunchOrder, BeginError> {
        let run = self.one_offs.all.get(id).ok_or(OrderError::Ended)?;
        let (unit, spec) = run.wanted.clone().ok_or(OrderError::Ended)?;
        if self.units.find(unit).is_none() {
            return Err(BeginError::Order(OrderError::UnknownUnit {
                stack: run.known.unit.stack.to_string(),
                unit: run.known.unit.local_name(),
                similar: None,
            }));
        }
        let entry = self.beside(unit, spec, ground);
        let mut order = self.order_for(&entry, Attempt(0), id.to_owned())?;
        if let Some(own) = &mut order.container {
            own.ports.clear();
            if own.check == CheckOrder::Needed {
                own.check = CheckOrder::IfAny;
            }
            own.keep = false;
        }
        Ok(order)
    }

    /// A unit as it would be by this definition, beside the one that there is.
    fn beside(&self, unit: Index, spec: Arc<ServiceSpec>, ground: Ground) -> UnitEntry {
        let entry = self.units.get(unit);
        let mut beside = UnitEntry::new(entry.id.clone(), unit, spec, entry.hash.clone());
        beside.facts.chosen_ports = entry.facts.chosen_ports.clone();
        beside.facts.networks = ground.networks;
        beside
    }

    fn attend_one_off(
        &mut self,
        known: KnownOneOff,
        wanted: Option<(Index, Arc<ServiceSpec>)>,
        making: Option<Making>,
        executor: Arc<dyn ServiceExecutor>,
    ) {
        let (end, ended) = async_channel::bounded(1);
        let (told, over) = async_channel::bounded(1);
        let is_made = making.is_none();
        let life = Life {
            known: known.clone(),
            executor,
            inbox: self.sender.clone(),
            ended,
            told,
        };
        let task = self.setting.spawner.spawn(life.live(making));
        let run = OneOff {
            since: self.clock.wall(),
            is_made,
            wanted,
            end,
            over,
            _task: task,
            known,
        };
        self.one_offs.all.insert(run.known.id.clone(), run);
    }

    /// Something is reported of a run.
    pub(super) fn one_off_news(&mut self, id: String, news: OneOffNews) {
        match news {
            OneOffNews::Preparing(making) => {
                self.tell_one_off(&id, EventKind::OneOffPreparing, |data| {
                    data.insert("activity".into(), making.activity.as_str().into());
                    data.insert("reason".into(), making.what.into());
                    data.insert("output".into(), making.output.into());
                });
            }
            OneOffNews::Made => {
                if let Some(run) = self.one_offs.all.get_mut(&id) {
                    run.is_made = true;
                }
                self.tell_one_off(&id, EventKind::OneOffStarted, |_| {});
            }
            OneOffNews::Over => {
                if self.one_offs.all.get(&id).is_some_and(|run| run.is_made) {
                    self.tell_one_off(&id, EventKind::OneOffEnded, |_| {});
                }
                self.one_offs.all.remove(&id);
            }
            OneOffNews::Found(known, executor) => {
                if !self.one_offs.all.contains_key(&id) {
                    self.attend_one_off(known, None, None, executor);
                }
            }
        }
    }

    fn tell_one_off(
        &mut self,
        id: &str,
        kind: EventKind,
        more: impl FnOnce(&mut Map<String, Value>),
    ) {
        let Some(run) = self.one_offs.all.get(id) else {
            return;
        };
        let unit = run.known.unit.clone();
        let mut data = Map::new();
        data.insert("one_off".into(), id.into());
        data.insert("unit".into(), unit.local_name().into());
        data.insert("pid".into(), run.known.holder.pid.into());
        more(&mut data);
        self.emit_plain(kind, Some(&unit.stack), data);
    }

    /// Has runs end: this one, or all of a stack. Answers with what tells that each is over.
    pub(super) fn end_one_offs(
        &mut self,
        stack: &StackName,
        id: Option<&str>,
    ) -> Vec<Receiver<String>> {
        let of_stack =
            self.one_offs.all.values().filter(|run| {
                run.known.unit.stack == *stack && id.is_none_or(|id| run.known.id == id)
            });
        let ended = of_stack.map(|run| {
            run.end.close();
            run.over.clone()
        });
        ended.collect()
    }

    /// All runs of a stack that were made.
    pub(super) fn one_offs_of(&self, stack: &StackName) -> Vec<OneOffStatus> {
        let made = self.one_offs.all.values().filter(|run| run.is_made);
        let own = made.filter(|run| run.known.unit.stack == *stack);
        own.map(|run| OneOffStatus {
            id: run.known.id.clone(),
            unit: run.known.unit.local_name(),
            pid: run.known.holder.pid,
            since: run.since,
        })
        .collect()
    }

    /// Looks for those that earlier daemons have left, for as long as nobody can say.
    pub(super) fn look_for_one_offs(&mut self) {
        for executor in self.setting.executors.all() {
            let looking = life::look(Arc::clone(executor), self.sender.clone());
            let task = self.setting.spawner.spawn(looking);
            self.one_offs.looking.push(task);
        }
    }
}

impl OneOffs {
    /// Has all of them end.
    pub(super) fn end_all(&self) {
        for run in self.all.values() {
            run.end.close();
        }
    }

    /// Waits for those that were told to end. What cannot be removed is found by the next daemon.
    pub(super) async fn finish(self) {
        for run in self.all.into_values().filter(|run| run.end.is_closed()) {
            if let Ok(reason) = run.over.recv().await {
                tracing::warn!(run = run.known.id, reason, "a one-off run is left behind");
            }
        }
    }
}

/// The definition of a unit, with what is wanted instead.
fn spec_of(spec: &ServiceSpec, wish: OneOffWish) -> Result<ServiceSpec, BeginError> {
    let mut spec = spec.clone();
    let unfit = |reason: &str| BeginError::Unfit {
        unit: spec.name.to_string(),
        reason: reason.to_owned(),
    };
    let literal = |words: Vec<String>| words.into_iter().map(Template::literal).collect();
    for name in wish.env.names() {
        let value = wish.env.get(name).expect("it is one of its names");
        let (_, variable) = name.as_str().split_once('/').unwrap_or_default();
        if !super::environment::is_possible(variable, value.expose()) {
            return Err(unfit(&format!("`{variable}` cannot be a variable")));
        }
    }
    match &mut spec.target {
        TargetSpec::Docker(target) if target.host.is_some() => {
            let host = target.host.as_deref().unwrap_or_default();
            return Err(unfit(&format!(
                "its container is on {host}, where nothing is run beside it: `harness exec` runs a command in it"
            )));
        }
        TargetSpec::Docker(target) => {
            if let Some(words) = wish.entrypoint {
                target.entrypoint = Some(literal(words));
                // That of the file belongs to the other one.
                target.command = Some(Vec::new());
            }
            if !wish.command.is_empty() {
                target.command = Some(literal(wish.command));
            }
            target.user = wish.user.or(target.user.take());
            if let Some(directory) = wish.working_dir {
                target.working_dir = Some(Template::literal(directory));
            }
        }
        TargetSpec::Process(target) => {
            if wish.entrypoint.is_some() {
                return Err(unfit("a process has no entrypoint: give the command"));
            }
            if wish.user.is_some() {
                return Err(unfit("a process runs as whoever asks for it"));
            }
            if let Some(directory) = wish.working_dir {
                target.working_dir = Some(Template::literal(directory));
            }
            let mut words = wish.command.into_iter();
            if let Some(program) = words.next() {
                let directory = target.working_dir.as_ref().and_then(Template::as_literal);
                let program = match directory {
                    // As whoever is there would mean it.
                    Some(directory) if program.contains('/') => {
                        let path = std::path::Path::new(directory).join(program);
                        path.to_string_lossy().into_owned()
                    }
                    Some(_) | None => program,
                };
                target.program = Template::literal(program);
                target.args = literal(words.collect());
            }
        }
        TargetSpec::ProcessAttach { .. }
        | TargetSpec::DockerAttach { .. }
        | TargetSpec::Remote(_)
        | TargetSpec::Package(_)
        | TargetSpec::Builtin => {
            let kind = spec.target.kind();
            return Err(unfit(&format!(
                "nothing can be run by a definition of type `{kind}`"
            )));
        }
    }
    for name in wish.env.names() {
        let value = wish.env.get(name).expect("it is one of its names");
        let (_, variable) = name.as_str().split_once('/').unwrap_or_default();
        let value = Template::literal(value.expose().clone());
        spec.env.insert(variable.to_owned(), value);
    }
    Ok(spec)
}
