//! What can be asked of the supervisor, and what it answers.
//!
//! Owns: the questions, the answers and the refusals. Decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_channel::{Receiver, Sender};

use super::one_off::{BeginError, OneOffReady, OneOffWish};
use super::registering::Registering;
use super::running::{Controls, RunFacts};
use super::snapshot::StatusText;
use crate::executors::{Ground, Input, LaunchOrder};
use crate::model::Goal;
use crate::report::{Blocked, Event, NetView, StackStatus, Why};
use crate::spec::{SecretValues, StackName, StackSpec, UnitId, UnitName};

/// Where an answer goes. The asker may be gone by then.
pub(crate) type Reply<T> = Sender<T>;

/// What can be asked of the supervisor.
#[derive(Debug)]
pub(crate) enum Request {
    /// Define or redefine a stack.
    Apply {
        stack: Box<StackSpec>,
        secrets: SecretValues,
        mode: ApplyMode,
        reply: Reply<Result<Applied, ApplyError>>,
    },
    /// Do something with units of a stack; no names: with all.
    Command {
        stack: StackName,
        units: Vec<UnitName>,
        order: Order,
        reply: Reply<Result<Ordered, OrderError>>,
    },
    /// Answer once every unit has come as far as the goal, or one never can.
    Wait {
        stack: StackName,
        units: Vec<UnitName>,
        goal: Goal,
        any: bool,
        /// The asker has ordered them down: what is wanted again was ordered up since.
        ordered_down: bool,
        reply: Reply<Result<Waited, OrderError>>,
    },
    /// Forget a stack whose units are all gone.
    Forget {
        stack: StackName,
        reply: Reply<Result<(), ForgetError>>,
    },
    /// The handles of what runs of these units; no names: of all.
    Controls {
        stack: StackName,
        units: Vec<UnitName>,
        reply: Reply<Result<Controls, OrderError>>,
    },
    /// The run that a unit is in.
    Running {
        unit: UnitId,
        reply: Reply<Result<RunFacts, OrderError>>,
    },
    /// How a stack stands.
    Status {
        stack: StackName,
        reply: Reply<Result<StackStatus, OrderError>>,
    },
    /// The same as text, which is written once as long as nothing happens.
    StatusText {
        stack: StackName,
        reply: Reply<Result<StatusText, OrderError>>,
    },
    /// Which stacks there are.
    Stacks { reply: Reply<Vec<Arc<StackSpec>>> },
    /// Every stack in short.
    Overview { reply: Reply<Vec<StackOverview>> },
    /// Why a unit is where it is.
    Why {
        stack: StackName,
        unit: UnitName,
        reply: Reply<Result<Why, OrderError>>,
    },
    /// How units (no name: all) are reached by one of them, or by this machine.
    Net {
        stack: StackName,
        asker: Option<String>,
        unit: Option<String>,
        reply: Reply<Result<NetView, NetError>>,
    },
    /// Make something ready that is run by the definition of a unit, and beside it.
    OneOff {
        stack: StackName,
        unit: UnitName,
        wish: Box<OneOffWish>,
        reply: Reply<Result<OneOffReady, BeginError>>,
    },
    /// What such a run is made by, once what it stands on is there.
    OneOffOrder {
        id: String,
        ground: Ground,
        reply: Reply<Result<LaunchOrder, BeginError>>,
    },
    /// End one-off runs: this one, or all of the stack.
    EndOneOffs {
        stack: StackName,
        id: Option<String>,
        reply: Reply<Vec<Receiver<String>>>,
    },
    /// Give the next run of a unit this input.
    Input {
        unit: UnitId,
        input: Input,
        reply: Reply<()>,
    },
    /// Register services that this daemon does not run.
    Register(Registering),
    /// Events from this sequence number on (`None`: from now on).
    Subscribe {
        since: Option<u64>,
        capacity: usize,
        reply: Reply<Subscribed>,
    },
    /// End: stop everything first, or leave it to the next daemon.
    Shutdown { keep: bool, reply: Reply<()> },
}

impl Request {
    /// Whether it leaves every unit as it is.
    pub(crate) fn only_asks(&self) -> bool {
        match self {
            Self::Apply { .. }
            | Self::Command { .. }
            | Self::Forget { .. }
            | Self::OneOff { .. }
            | Self::OneOffOrder { .. }
            | Self::EndOneOffs { .. }
            | Self::Shutdown { .. } => false,
            Self::Wait { .. }
            | Self::Controls { .. }
            | Self::Running { .. }
            | Self::Status { .. }
            | Self::StatusText { .. }
            | Self::Stacks { .. }
            | Self::Overview { .. }
            | Self::Why { .. }
            | Self::Net { .. }
            | Self::Input { .. }
            | Self::Register(_)
            | Self::Subscribe { .. } => true,
        }
    }
}

/// A stack in short.
#[derive(Clone, Debug)]
pub struct StackOverview {
    /// Its definition.
    pub stack: Arc<StackSpec>,
    /// How many units it has.
    pub units: u32,
    /// How many of them may have a process.
    pub active: u32,
    /// How many of them are ready; a task: has completed.
    pub ready: u32,
}

/// What happens to units that the new definition does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyMode {
    /// The definition is the whole stack: units that it does not name are orphans, which `Applied` names.
    Replace,
    /// The definition adds to the stack.
    Extend,
}

/// What a definition changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Units that were not there before.
    pub added: Vec<UnitName>,
    /// Units whose definition differs from before. One that runs goes on as it was until it is next started.
    pub changed: Vec<UnitName>,
    /// In what each of them differs: names of fields, never values.
    pub differences: BTreeMap<UnitName, Vec<String>>,
    /// Units that are no longer named and do not run: forgotten.
    pub removed: Vec<UnitName>,
    /// Units that are no longer named but still run.
    pub orphans: Vec<UnitName>,
}

/// Why a definition was refused. Nothing of it was taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Units need each other in a circle.
    #[error("units need each other in a circle: {}", .units.join(" -> "))]
    Cycle {
        /// The circle, its first unit again at its end.
        units: Vec<String>,
    },
    /// A dependency is not in the stack.
    #[error("`{unit}` needs `{dependency}`, which is not in the stack")]
    UnknownDependency {
        /// Who needs it.
        unit: String,
        /// What is needed.
        dependency: String,
    },
    /// A secret stands where others can see it.
    #[error(
        "the secret `{secret}` may not stand in `{place}` of `{unit}`: others can read that; give it in `env`"
    )]
    SecretSeen {
        /// Whose definition it is.
        unit: String,
        /// Which secret.
        secret: String,
        /// The key that it stands under.
        place: &'static str,
    },
    /// A variable that no program may be given so.
    #[error("`{variable}` cannot be a variable of `{unit}`: {reason}")]
    Variable {
        /// Whose definition it is.
        unit: String,
        /// The variable's name.
        variable: String,
        /// Why not.
        reason: &'static str,
    },
    /// The supervisor has ended.
    #[error("the supervisor has ended")]
    Ended,
}

/// What to do with units.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Start them and what they need.
    Start {
        /// Only them, whatever they need.
        no_dependencies: bool,
        /// Run units that are done once more, when they are named.
        again: bool,
    },
    /// Stop them.
    Stop {
        /// Units that need them are stopped too.
        with_dependents: bool,
        /// Units that need them do not matter.
        force: bool,
        /// Instead of each unit's own grace, in which it may end by itself.
        grace: Option<std::time::Duration>,
    },
    /// A new attempt of each.
    Restart {
        /// Instead of each unit's own grace, in which it may end by itself.
        grace: Option<std::time::Duration>,
    },
    /// Keep them down.
    Hold,
    /// Keep them down no longer.
    Release,
}

/// What an order came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ordered {
    /// The units that the order reached, with those it took along, by name and replica, in dependency order.
    pub units: Vec<String>,
    /// Those of them for which it changed something.
    pub moved: Vec<String>,
}

/// Why an order was refused. Nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// There is no such stack.
    #[error("there is no stack `{stack}`")]
    UnknownStack {
        /// What was asked for.
        stack: String,
    },
    /// There is no such unit in the stack.
    #[error("there is no service or task `{unit}` in stack `{stack}`")]
    UnknownUnit {
        /// The stack.
        stack: String,
        /// What was asked for.
        unit: String,
        /// The name that was perhaps meant.
        similar: Option<String>,
    },
    /// Units that run need those that shall stop.
    #[error("{} {} {}", .dependents.join(", "), if .dependents.len() == 1 { "needs" } else { "need" }, .units.join(", "))]
    Needed {
        /// What shall stop.
        units: Vec<String>,
        /// What needs it and runs.
        dependents: Vec<String>,
    },
    /// A wanted unit has a target that cannot be run.
    #[error("`{unit}` cannot be run: {reason}")]
    Unsupported {
        /// The unit.
        unit: String,
        /// Its target's type and why not.
        reason: String,
    },
    /// The supervisor has ended.
    #[error("the supervisor has ended")]
    Ended,
}

/// Why a question about addresses has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// There is no such stack or unit.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// Units are told only of those of their own stack.
    #[error(
        "`{unit}` is of the stack `{other}`, and units are told only of those of their own: here `{stack}`"
    )]
    OtherStack {
        /// What was asked for.
        unit: String,
        /// Its stack.
        other: String,
        /// The stack that was asked about.
        stack: String,
    },
}

/// Why a stack was not forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// Units of it still run.
    #[error("units of the stack still run: {}", .units.join(", "))]
    StillRunning {
        /// These.
        units: Vec<String>,
    },
    /// There is no such stack.
    #[error("there is no stack `{stack}`")]
    UnknownStack {
        /// What was asked for.
        stack: String,
    },
    /// It was forgotten, and something that belonged to it could not be removed.
    #[error(
        "`{stack}` is forgotten, but something of it is left on the container engine ({reason}): what has the label org.harness.stack={stack} can be removed there"
    )]
    Leftover {
        /// Of which stack.
        stack: String,
        /// Why.
        reason: String,
    },
    /// The supervisor has ended.
    #[error("the supervisor has ended")]
    Ended,
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Every unit has come as far (or one has, when any was enough).
    Reached,
    /// These never can, unless somebody acts.
    Never(Vec<Blocked>),
}

/// A subscription to events.
#[derive(Debug)]
pub struct Subscribed {
    /// Events before the first one delivered that are no longer kept.
    pub missed: u64,
    /// The events, in order. It ends when the reader was too slow: subscribe again after the last one seen.
    pub events: async_channel::Receiver<std::sync::Arc<Event>>,
}
