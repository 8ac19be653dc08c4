//! Calls about stacks and their units.
//!
//! Owns: the parameters and results, and how they stand to the supervisor's own words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use service_orchestration::model::Goal;
use service_orchestration::report::Blocked;
use service_orchestration::spec::{SecretValues, StackName, StackSpec, UnitName, exposed};
use service_orchestration::supervisor::{Applied, ApplyMode, Ordered, Waited};

use super::StackSummary;

/// Parameters of `stack.start`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartParams {
    /// The stack, which is defined or redefined first.
    pub stack: Box<StackSpec>,
    /// What happens to units that run and that the definition no longer names.
    #[serde(default)]
    pub mode: Mode,
    /// The units wanted, with what they need; empty: all.
    #[serde(default)]
    pub units: Vec<UnitName>,
    /// Only those units, whatever they need.
    #[serde(default)]
    pub no_deps: bool,
    /// Named units that are done are run once more.
    #[serde(default)]
    pub again: bool,
    /// Values of the stack's secrets: those that the units wanted need. Those that are not sent stay as they were.
    #[serde(
        default,
        with = "exposed",
        skip_serializing_if = "SecretValues::is_empty"
    )]
    pub secrets: SecretValues,
}

/// Result of `stack.start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartResult {
    /// What the definition changed.
    pub applied: ApplyResult,
    /// What the order reached.
    pub ordered: OrderResult,
}

/// Parameters of `stack.apply`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyParams {
    /// The stack.
    pub stack: Box<StackSpec>,
    /// What happens to units that the definition does not name.
    #[serde(default)]
    pub mode: Mode,
    /// Values of the stack's secrets. Those that are not sent stay as they were.
    #[serde(
        default,
        with = "exposed",
        skip_serializing_if = "SecretValues::is_empty"
    )]
    pub secrets: SecretValues,
}

/// What happens to units that a definition does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They are forgotten, or orphans while they run.
    #[default]
    Replace,
    /// They stay: the definition adds to the stack.
    Extend,
}

/// Result of `stack.apply`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyResult {
    /// Units that were not there before.
    pub added: Vec<UnitName>,
    /// Units whose definition differs from before. One that runs goes on as it was until it is next started.
    pub changed: Vec<UnitName>,
    /// In what each of them differs: names of fields, never values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub differences: BTreeMap<UnitName, Vec<String>>,
    /// Units that were forgotten.
    pub removed: Vec<UnitName>,
    /// Units that are no longer named but still run.
    pub orphans: Vec<UnitName>,
}

/// Parameters of `stack.stop`. It answers when the stop is ordered: wait for `stopped` to know that all is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopParams {
    /// The stack.
    pub stack: StackName,
    /// The units; empty: all.
    #[serde(default)]
    pub units: Vec<UnitName>,
    /// Units that need them are stopped too.
    #[serde(default)]
    pub with_dependents: bool,
    /// Units that need them do not matter.
    #[serde(default)]
    pub force: bool,
    /// Instead of each unit's own grace, in milliseconds.
    #[serde(default)]
    pub grace_ms: Option<u64>,
}

impl StopParams {
    /// A stop of a whole stack, as its units say.
    pub fn all(stack: StackName) -> Self {
        Self {
            stack,
            units: Vec::new(),
            with_dependents: false,
            force: false,
            grace_ms: None,
        }
    }

    /// Instead of each unit's own grace.
    pub fn grace(&self) -> Option<Duration> {
        self.grace_ms.map(Duration::from_millis)
    }
}

/// Parameters of `stack.restart`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartParams {
    /// The stack.
    pub stack: StackName,
    /// The units; empty: all.
    #[serde(default)]
    pub units: Vec<UnitName>,
    /// Instead of each unit's own grace, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// Parameters of `unit.hold` and `unit.release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitsParams {
    /// The stack.
    pub stack: StackName,
    /// The units; empty: all.
    pub units: Vec<UnitName>,
}

/// Parameters of `unit.start`: as `stack.start`, of a stack that is defined, as it is defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartUnitsParams {
    /// The stack.
    pub stack: StackName,
    /// The units; empty: all.
    #[serde(default)]
    pub units: Vec<UnitName>,
    /// Units that they need are left alone.
    #[serde(default)]
    pub no_deps: bool,
    /// Tasks that completed are run again.
    #[serde(default)]
    pub again: bool,
}

/// Parameters of `unit.signal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalParams {
    /// The stack.
    pub stack: StackName,
    /// The units, which must run; empty: all that run.
    pub units: Vec<UnitName>,
    /// The signal's number.
    pub signal: i32,
}

/// Result of `unit.signal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalResult {
    /// The units whose main process was signalled, by name and replica.
    pub units: Vec<String>,
}

/// What an order came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderResult {
    /// The units that the order reached, with those it took along, by name and replica, in dependency order.
    pub units: Vec<String>,
    /// Those of them for which it changed something.
    pub moved: Vec<String>,
}

/// Parameters of `stack.status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusParams {
    /// The stack.
    pub stack: StackName,
}

/// Parameters of `stack.list`: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackListParams {}

/// Result of `stack.list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackListResult {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// The stacks, by name.
    pub items: Vec<StackSummary>,
}

/// Parameters of `stack.wait`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitParams {
    /// The stack.
    pub stack: StackName,
    /// The units; empty: all.
    #[serde(default)]
    pub units: Vec<UnitName>,
    /// How far they must come.
    pub goal: WaitGoal,
    /// One of them is enough.
    #[serde(default)]
    pub any: bool,
    /// With `stopped`: the asker has ordered them down, so that one which is wanted again was started by a later order
    /// and never comes so far.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered_down: bool,
}

/// How far a unit must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitGoal {
    /// It was launched, even if it has ended since.
    Launched,
    /// It was launched and has not ended.
    Running,
    /// It is ready; a task: it has completed.
    Ready,
    /// It has ended with success.
    Completed,
    /// Nothing of it runs.
    Stopped,
}

/// Result of `stack.wait`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitResult {
    /// They have come as far.
    Reached,
    /// These never can, unless somebody acts.
    Never(Vec<Blocked>),
}

/// Parameters of `stack.forget`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetParams {
    /// The stack. Nothing of it may run.
    pub stack: StackName,
    /// Whether its volumes go too, with what is in them; also those of a stack that was forgotten before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub volumes: bool,
}

/// Result of `stack.forget`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetResult {
    /// The names of the volumes that were removed.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Those that somebody else made under the stack's name, and that are left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// Parameters of `unit.why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyParams {
    /// The stack.
    pub stack: StackName,
    /// The unit.
    pub unit: UnitName,
}

impl From<Mode> for ApplyMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Replace => Self::Replace,
            Mode::Extend => Self::Extend,
        }
    }
}

impl From<Applied> for ApplyResult {
    fn from(
        Applied {
            added,
            changed,
            differences,
            removed,
            orphans,
        }: Applied,
    ) -> Self {
        Self {
            added,
            changed,
            differences,
            removed,
            orphans,
        }
    }
}

impl From<Ordered> for OrderResult {
    fn from(Ordered { units, moved }: Ordered) -> Self {
        Self { units, moved }
    }
}

impl From<WaitGoal> for Goal {
    fn from(goal: WaitGoal) -> Self {
        match goal {
            WaitGoal::Launched => Self::Launched,
            WaitGoal::Running => Self::Running,
            WaitGoal::Ready => Self::Ready,
            WaitGoal::Completed => Self::Completed,
            WaitGoal::Stopped => Self::Stopped,
        }
    }
}

impl From<Waited> for WaitResult {
    fn from(waited: Waited) -> Self {
        match waited {
            Waited::Reached => Self::Reached,
            Waited::Never(blocked) => Self::Never(blocked),
        }
    }
}
