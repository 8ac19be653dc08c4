//! One unit's life: what is true of it now.
//!
//! Owns: the facts of one unit. They are changed by [`super::lifecycle`] (what happens to it) and by
//! [`super::command`] (what is asked of it) only. Knows no other unit.

use std::time::Duration;

use super::backoff::Counters;
use super::vocabulary::{Attempt, End, Index, LaunchFailure, State, Token};

/// Why an attempt failed, or ended without having been asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It ended by itself.
    Exited(End),
    /// It could not be launched.
    NotLaunched(LaunchFailure),
    /// Its readiness was lost, and its policy says that this restarts it.
    Unhealthy,
    /// Its liveness probe failed.
    Dead,
    /// It was not ready in time.
    StartupTimeout,
    /// The task ran for too long.
    RunTimeout,
    /// Its setup could not be checked, performed or validated.
    SetupFailed,
}

/// A [`State`], with what is known only in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Starting,
    /// `proven`: its health is, and its setup is being looked at.
    Settling {
        proven: bool,
    },
    SetupRequired,
    SettingUp,
    Ready,
    Stopping {
        rung: Rung,
        purpose: Purpose,
    },
    /// `budget`: it waits for the budget of all units, not for its own wait.
    Backoff {
        until: Duration,
        budget: bool,
    },
    CrashLoop {
        until: Duration,
    },
    Done,
    Failed,
    Lost,
    Held,
}

/// How far the end of a unit has been pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    Asked,
    Forced,
}

/// What a unit is being stopped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Somebody asked for it, or for a new attempt.
    Asked,
    /// The attempt has failed; what comes next is up to its restart policy.
    Fault(Cause),
}

impl Phase {
    pub(super) fn state(self) -> State {
        match self {
            Self::Idle => State::Idle,
            Self::Starting => State::Starting,
            Self::Settling { .. } => State::Settling,
            Self::SetupRequired => State::SetupRequired,
            Self::SettingUp => State::SettingUp,
            Self::Ready => State::Ready,
            Self::Stopping { .. } => State::Stopping,
            Self::Backoff { .. } => State::Backoff,
            Self::CrashLoop { .. } => State::CrashLoop,
            Self::Done => State::Done,
            Self::Failed => State::Failed,
            Self::Lost => State::Lost,
            Self::Held => State::Held,
        }
    }
}

/// Everything that is known of one unit.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) phase: Phase,
    pub(super) attempt: Attempt,
    pub(super) token: Token,
    /// When the state was entered.
    pub(super) since: Duration,
    pub(super) wanted: bool,
    pub(super) held: bool,
    pub(super) gateless: bool,
    /// The running attempt, or the completion, shall be followed by a new attempt.
    pub(super) renew: bool,
    /// Whose new attempt is why, unless somebody asked for that.
    pub(super) renewed_for: Option<Index>,
    /// The attempt belongs to this world, or was found alive after it was restored.
    pub(super) confirmed: bool,
    pub(super) unhealthy: bool,
    /// Nothing says how the attempt is: it counts as ready because it runs.
    pub(super) unprobed: bool,
    pub(super) published: bool,
    /// By when it must be ready (a service) or ended (a task), or have gone when it was asked to.
    pub(super) deadline: Option<Duration>,
    /// Some attempt was launched since somebody asked for the unit.
    pub(super) launched: bool,
    /// The next launch is an automatic restart.
    pub(super) automatic: bool,
    /// The next launch has its token of the budget.
    pub(super) paid: bool,
    pub(super) counters: Counters,
    /// What the latest failure was, until it is asked for anew.
    pub(super) cause: Option<Cause>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            phase: Phase::Idle,
            attempt: Attempt(0),
            token: Token(0),
            since: Duration::ZERO,
            wanted: false,
            held: false,
            gateless: false,
            renew: false,
            renewed_for: None,
            confirmed: true,
            unhealthy: false,
            unprobed: false,
            published: false,
            deadline: None,
            launched: false,
            automatic: false,
            paid: false,
            counters: Counters::default(),
            cause: None,
        }
    }
}

impl Life {
    pub(super) fn state(&self) -> State {
        self.phase.state()
    }

    /// Whether it shall run.
    pub(super) fn shall_run(&self) -> bool {
        self.wanted && !self.held
    }

    /// Whether an attempt is alive or coming alive, and no end of it was ordered.
    pub(super) fn is_running(&self) -> bool {
        self.state().is_active() && !self.is_stopping() && self.phase != Phase::Lost
    }

    /// Whether being ready proves little: nothing asks it how it is, and it has ended more than once since it was ready
    /// for long enough.
    pub(super) fn is_doubtful(&self) -> bool {
        self.unprobed && self.counters.failures > 1
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state() == State::Stopping
    }

    /// Whether its attempt is on its way out, or will be as soon as its turn comes.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_stopping() || (self.is_running() && (!self.shall_run() || self.renew))
    }

    /// Whether what it needs has to stay for now: until it is gone itself, or, when nothing of it runs, until those are
    /// that need it, and are on their way out (`blockers`).
    pub(super) fn holds_back(&self, blockers: u32) -> bool {
        let is_alive = self.is_running() || self.is_stopping();
        self.is_leaving() || (!is_alive && blockers > 0)
    }

    /// Whether its attempt was launched, and neither has it ended nor was its end ordered.
    pub(super) fn is_up(&self) -> bool {
        self.is_running() && self.phase != Phase::Starting
    }

    /// Until when it waits before it is started again.
    pub(super) fn until(&self) -> Option<Duration> {
        match self.phase {
            Phase::Backoff { until, .. } | Phase::CrashLoop { until } => Some(until),
            Phase::Idle
            | Phase::Starting
            | Phase::Settling { .. }
            | Phase::SetupRequired
            | Phase::SettingUp
            | Phase::Ready
            | Phase::Stopping { .. }
            | Phase::Done
            | Phase::Failed
            | Phase::Lost
            | Phase::Held => None,
        }
    }

    /// Somebody asked for it: nothing that happened before counts.
    pub(super) fn begin_anew(&mut self) {
        self.counters = Counters::default();
        self.cause = None;
        self.renewed_for = None;
        self.launched = false;
        self.automatic = false;
        self.paid = false;
    }
}
