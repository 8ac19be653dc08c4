//! The words that the model and its shell share.
//!
//! Owns: what can be asked, reported and ordered. Decides nothing.

use std::time::Duration;

use super::life::Cause;
use crate::{Gate, Restart, UnitKind};

/// A unit, by its place in the `World`. Never reused while the world lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u32);

/// One run of a unit, counted from 1 and never reused for that unit; 0 means that it never ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub u64);

/// One stay in one state: a timer that was armed for another stay is stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What the model must know of a unit to decide about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Service or task.
    pub kind: UnitKind,
    /// What it needs.
    pub edges: Vec<Edge>,
    /// Whether a readiness (or startup) probe decides when it is ready; without, it is once launched.
    pub probed: bool,
    /// Whether it has a setup that is checked, performed and validated before it is ready.
    pub setup: bool,
    /// Whether it is only observed: it is never signalled, and stopping it is letting go of it.
    pub attached: bool,
    /// Started again when, and how fast.
    pub restart: Restart,
    /// Whether readiness lost while running restarts it (`on_unhealthy: restart`).
    pub restart_on_unhealthy: bool,
    /// Ready within this time of its launch, or that attempt has failed.
    pub startup_timeout: Option<Duration>,
    /// A task's attempt may run this long.
    pub run_timeout: Option<Duration>,
    /// How long a stop may take before force. After force, the same time again for the death to be confirmed.
    pub grace: Duration,
}

impl Policy {
    /// How long an attempt may take until it is ready (a service) or has ended (a task).
    pub(super) fn time_limit(&self) -> Option<Duration> {
        match self.kind {
            UnitKind::Service => self.startup_timeout,
            UnitKind::Task => self.run_timeout,
        }
    }
}

/// An edge of the graph: what a unit needs of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Of whom.
    pub on: Index,
    /// How far it must have come.
    pub gate: Gate,
    /// If not required: open too when the other is not wanted, or can no longer come that far.
    pub required: bool,
    /// When the other begins a new attempt after having been up, this unit is restarted once the gate is open again.
    pub restart: bool,
}

/// Where a unit is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Does not run, and nothing is known against starting it.
    Idle,
    /// Its launch was ordered.
    Starting,
    /// Runs, not yet proven.
    Settling,
    /// Runs, and its setup has still to be performed.
    SetupRequired,
    /// Runs, and its setup is being performed.
    SettingUp,
    /// Runs, and has proven it where it can.
    Ready,
    /// Its end was ordered.
    Stopping,
    /// Ended; waits before it is started again.
    Backoff,
    /// Ends again and again; is tried again only slowly.
    CrashLoop,
    /// Ended with success: a task, or a service that was allowed to end.
    Done,
    /// Ended for good, until somebody asks for it again.
    Failed,
    /// Its end was ordered by force and not confirmed: nothing is started over it.
    Lost,
    /// Kept down by the operator.
    Held,
}

impl State {
    /// Whether a process of it may be alive.
    pub fn is_active(self) -> bool {
        match self {
            Self::Starting
            | Self::Settling
            | Self::SetupRequired
            | Self::SettingUp
            | Self::Ready
            | Self::Stopping
            | Self::Lost => true,
            Self::Idle
            | Self::Backoff
            | Self::CrashLoop
            | Self::Done
            | Self::Failed
            | Self::Held => false,
        }
    }

    /// As it is shown: lower-case kebab.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Settling => "settling",
            Self::SetupRequired => "setup-required",
            Self::SettingUp => "setting-up",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::CrashLoop => "crash-loop",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Held => "held",
        }
    }
}

/// What comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Somebody asks for something, of several units at once: the order in which they are named means nothing.
    Command {
        /// Of whom.
        units: Vec<Index>,
        /// What.
        command: Command,
    },
    /// As `Command`, with one of its own for each unit: nobody moves before all of them have been asked, so a gate that
    /// one of them shuts is shut for the others.
    Commands(Vec<(Index, Command)>),
    /// The shell tells what happened to an attempt.
    Report {
        /// To whom.
        unit: Index,
        /// To which run of it; a stale one is dropped.
        attempt: Attempt,
        /// What.
        report: Report,
    },
    /// A timer that an [`Effect::Arm`] asked for.
    Timer {
        /// Whose.
        unit: Index,
        /// For which stay.
        token: Token,
    },
}

/// What can be asked of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// It shall run. A failed or looping one begins anew, its counters cleared, and so does a service that has ended. A
    /// task that is done stays done, unless `again`, and so does a service whose completion another one waits for.
    /// With `gateless`, what it needs does not hold it back.
    Start {
        /// Run what is done once more.
        again: bool,
        /// Ignore its gates.
        gateless: bool,
    },
    /// It shall not run. Units that need it and shall not run either go first.
    Stop,
    /// As `Stop`, by force at once.
    Kill,
    /// A new attempt of it: ended first when it runs. Also runs a completed task again.
    Restart,
    /// It shall not run until released, whatever else asks for it.
    Hold,
    /// No longer held; runs again if it is wanted.
    Release,
}

/// What can happen to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Its process runs.
    Launched,
    /// It could not be launched; no process of it exists.
    LaunchFailed(LaunchFailure),
    /// It waits for its turn, and it is known by now that it cannot be launched then. Told of the attempt before; of one that
    /// was launched meanwhile it means nothing.
    Unlaunchable,
    /// It was to be launched by an earlier daemon, which died before: no process of it exists or ever did. No failure.
    NeverBegan,
    /// It ended, and the end is confirmed: no process of it is left.
    Exited(End),
    /// Its readiness is proven.
    Healthy,
    /// It has turned out that nothing says how it is: it is ready because it runs.
    Unprobed,
    /// Its readiness is lost, or could not be proven in as many tries as it has.
    Unhealthy,
    /// It was frozen from outside: it answers nobody, which is no fault of its own. `Healthy` ends that.
    Paused,
    /// Whoever is to launch it cannot be reached; nothing of it exists, and it is tried again. No failure, and no time that
    /// it has taken.
    Postponed,
    /// Its liveness probe failed: it must be restarted.
    Dead,
    /// Its setup was found complete, or was performed and validated.
    SetupComplete,
    /// Its setup has still to be performed.
    SetupRequired,
    /// Its setup could not be checked, performed or validated.
    SetupFailed,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By an exit code that means success.
    Success,
    /// By any other, by a signal, or in a way nobody saw.
    Failure,
}

/// Why an attempt could not be launched, as far as it matters for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchFailure {
    /// It will be the same the next time: no such program, no permission.
    Permanent,
    /// It may work the next time.
    Transient,
}

/// What shall be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Launch this attempt. Answer with `Launched` or `LaunchFailed`.
    Launch(Index, Attempt),
    /// Begin to probe it, its startup and readiness first.
    Probe(Index, Attempt),
    /// Look whether its setup is complete; answer with `SetupComplete`, `SetupRequired` or `SetupFailed`.
    CheckSetup(Index, Attempt),
    /// Perform its setup and validate it; answer with `SetupComplete` or `SetupFailed`.
    PerformSetup(Index, Attempt),
    /// End it by its stop policy. Answer with `Exited` once the death is confirmed.
    Terminate(Index, Attempt),
    /// End all of it by force. Answer with `Exited` once the death is confirmed.
    Kill(Index, Attempt),
    /// Let go of it (attached targets). Answer with `Exited`.
    Detach(Index, Attempt),
    /// Call back with [`Input::Timer`] after this time.
    Arm {
        /// Whose.
        unit: Index,
        /// For which stay.
        token: Token,
        /// After how long.
        after: Duration,
    },
    /// It is ready: tell others where it is.
    Publish(Index, Attempt),
    /// It is no longer: stop telling.
    Withdraw(Index, Attempt),
    /// It went from one state to another: for events, the journal, and whoever waits.
    Moved(Moved),
}

/// A change of state, and what it was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Who.
    pub unit: Index,
    /// In which run.
    pub attempt: Attempt,
    /// From.
    pub from: State,
    /// To.
    pub to: State,
    /// How many automatic restarts there were since somebody asked for the unit.
    pub restarts: u32,
    /// The latest failure since somebody asked for the unit, if any: why it stops, waits or has failed.
    pub cause: Option<Cause>,
}
